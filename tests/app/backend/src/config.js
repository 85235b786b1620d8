import { hostname } from 'node:os';

// Everything that the environment says, in one place.
const env = process.env;
export const config = {
  port: Number(env.PORT ?? 3000),
  databaseUrl: env.DATABASE_URL,
  redisUrl: env.REDIS_URL,
  version: env.VERSION ?? 'dev',
  instance: hostname(),
  corsOrigin: env.CORS_ORIGIN ?? false,
  drainSeconds: Number(env.DRAIN_SECONDS ?? 25),
  poolSize: Number(env.DATABASE_POOL ?? 10),
};

// Faults baked into an image (or given in the environment) so that a deploy has something to survive.
const words = (env.DEMO_SWITCHES ?? '').split(/[\s,]+/).filter(Boolean);
const seconds = (word, fallback) => {
  const found = words.map((w) => w.match(`^${word}(\\d*)$`)).find(Boolean);
  return found ? Number(found[1] || fallback) : undefined;
};
export const faults = {
  unready: words.includes('unready'), // /ready answers 503 for ever
  crash: seconds('crash', 5), // exits with 1 so many seconds after it was ready
  dead: words.includes('dead'), // exits with 1 before it listens
  boot: seconds('boot', 2), // listens only after so many seconds
  exit: words.includes('exit'), // SIGTERM: gone at once, whatever is in flight
  stubborn: words.includes('stubborn'), // SIGTERM: ignored
  oom: seconds('oom', 2), // eats memory so many seconds after it was ready
  flap: words.includes('flap'), // ready and unready in turn, 3 s each
};
