import { createServer } from 'node:http';
import express from 'express';
import { Server } from 'socket.io';
import { api, ordersChannel } from './api.js';
import { config, faults } from './config.js';
import { health, measure, state } from './health.js';
import { db, redis, subscriber } from './stores.js';

const log = (message) => console.log(`${new Date().toISOString()} ${config.version} ${message}`);
const die = (message) => {
  console.error(`Error: ${message}`);
  process.exit(1);
};

// SIGTERM first of all: as process 1 of a container, node would not end by itself while it boots.
let drain = () => process.exit(0);
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    if (faults.stubborn) return log(`${signal} ignored`);
    if (faults.exit) process.exit(0);
    drain(signal);
  });
}

if (faults.dead) die('this version was made to die at its start');
for (const name of ['databaseUrl', 'redisUrl']) {
  if (!config[name]) die(`${name === 'databaseUrl' ? 'DATABASE_URL' : 'REDIS_URL'} is not set`);
}

function startFaults() {
  if (faults.crash !== undefined) setTimeout(() => die(`this version was made to crash ${faults.crash} s after it was ready`), faults.crash * 1000);
  if (faults.oom !== undefined) {
    setTimeout(() => {
      const eaten = [];
      setInterval(() => eaten.push(Buffer.alloc(32 << 20, eaten.length)), 20);
    }, faults.oom * 1000);
  }
}

const app = express();
app.disable('x-powered-by');
app.set('etag', false);
app.use(measure);
app.use((_, response, next) => {
  response.set({ 'x-app-version': config.version, 'x-instance': config.instance });
  // A connection that stays open would keep the drain waiting.
  if (state.draining) response.set('connection', 'close');
  next();
});
app.use(health(startFaults));
app.use('/api', api());
app.use((_, response) => response.status(404).json({ error: 'no such page' }));
// Express knows an error handler by its four parameters.
app.use((error, request, response, _next) => {
  const status = error.status ?? 500;
  if (status >= 500) console.error(`${request.method} ${request.path}: ${error.message}`);
  if (response.headersSent) return response.destroy();
  response.status(status).json({ error: status < 500 ? error.message : 'internal error' });
});

const server = createServer(app);
// Longer than nginx keeps idle upstream connections (60 s), so that it is never this side that closes first.
server.keepAliveTimeout = 75_000;

const io = new Server(server, { cors: { origin: config.corsOrigin }, transports: ['websocket', 'polling'] });
io.on('connection', (socket) => {
  socket.emit('version', { version: config.version, instance: config.instance });
  socket.on('echo', (value, answer) => typeof answer === 'function' && answer(value));
});

// Not awaited: a store that is down at boot shows in /ready, and comes back by itself.
redis.connect().catch(() => {});
subscriber.connect()
  .then(() => subscriber.subscribe(ordersChannel, (text) => io.local.emit('order', JSON.parse(text))))
  .catch((error) => console.error(`redis: ${error.message}`));

if (faults.boot !== undefined) await new Promise((resolve) => setTimeout(resolve, faults.boot * 1000));
server.listen(config.port, () => log(`listens on ${config.port}`));

drain = (signal) => {
  if (state.draining) return;
  state.draining = true;
  log(`${signal}: draining`);
  const limit = setTimeout(() => {
    log('drain took too long');
    process.exit(0);
  }, config.drainSeconds * 1000);
  limit.unref();
  // Requests in flight are answered; idle connections close now. WebSockets close last.
  server.close(async () => {
    await Promise.allSettled([db.end(), redis.quit(), subscriber.quit()]);
    log('drained');
    process.exit(0);
  });
  server.closeIdleConnections();
  io.local.disconnectSockets(true);
};
