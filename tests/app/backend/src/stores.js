import pg from 'pg';
import { createClient } from 'redis';
import { config } from './config.js';

pg.types.setTypeParser(20, Number); // bigint: order numbers and sums are far below 2^53

export const db = new pg.Pool({
  connectionString: config.databaseUrl,
  max: config.poolSize,
  connectionTimeoutMillis: 8000, // waiting for a free connection counts too
  idleTimeoutMillis: 30000,
  application_name: `backend ${config.version}`,
});
// A connection that dies while idle must not end the process: the next query opens another.
db.on('error', (error) => console.error(`database: ${error.message}`));

export const redis = createClient({
  url: config.redisUrl,
  disableOfflineQueue: true,
  socket: { reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 2000) },
});
export const subscriber = redis.duplicate();
for (const client of [redis, subscriber]) client.on('error', (error) => console.error(`redis: ${error.message}`));

const limited = (promise, ms, what) => {
  let timer;
  const limit = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what}: no answer in ${ms} ms`)), ms); });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
};

async function probe(what, ask) {
  const started = process.hrtime.bigint();
  try {
    await limited(ask(), 4000, what);
    return { status: 'up', ms: Number(process.hrtime.bigint() - started) / 1e6 };
  } catch (error) {
    return { status: 'down', error: error.message || error.code || String(error) };
  }
}

export async function probeAll() {
  const [database, cache] = await Promise.all([
    probe('database', () => db.query('SELECT 1')),
    probe('redis', () => redis.ping()),
  ]);
  return { database, redis: cache };
}
