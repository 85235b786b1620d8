import { Router } from 'express';
import prom from 'prom-client';
import { config, faults } from './config.js';
import { db, probeAll } from './stores.js';

prom.collectDefaultMetrics();
const requests = new prom.Counter({ name: 'http_requests_total', help: 'Requests answered.', labelNames: ['method', 'route', 'status'] });
const duration = new prom.Histogram({
  name: 'http_request_duration_seconds', help: 'Time to answer a request.', labelNames: ['method', 'route', 'status'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
});
new prom.Gauge({ name: 'app_info', help: 'The version that runs.', labelNames: ['version'] }).set({ version: config.version }, 1);
new prom.Gauge({ name: 'database_pool_connections', help: 'Open database connections.', collect() { this.set(db.totalCount); } });
new prom.Gauge({ name: 'database_pool_waiting', help: 'Queries that wait for a connection.', collect() { this.set(db.waitingCount); } });

export function measure(request, response, next) {
  const stop = duration.startTimer();
  response.on('finish', () => {
    // The route's pattern, not the address: an address per order would make a time series per order.
    const labels = { method: request.method, route: request.route?.path ?? 'none', status: response.statusCode };
    requests.inc(labels);
    stop(labels);
  });
  next();
}

export const state = { draining: false, readySince: 0 };

export function health(onFirstReady) {
  const router = Router();
  router.get('/live', (_, response) => response.json({ status: 'alive' }));
  router.get('/health', (_, response) => response.json({ status: 'ok', version: config.version, uptime: process.uptime() }));

  router.get('/ready', async (_, response) => {
    const checks = await probeAll();
    const flapping = faults.flap && Math.floor(process.uptime() / 3) % 2 === 1;
    const ready = Object.values(checks).every((c) => c.status === 'up') && !state.draining && !faults.unready && !flapping;
    if (ready && !state.readySince) {
      state.readySince = Date.now();
      onFirstReady();
    }
    response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not ready', draining: state.draining, checks });
  });

  router.get('/health/detailed', async (_, response) => {
    const checks = await probeAll();
    const healthy = Object.values(checks).every((c) => c.status === 'up');
    response.status(healthy ? 200 : 503).json({
      status: healthy ? 'healthy' : 'unhealthy', version: config.version, instance: config.instance, uptime: process.uptime(),
      memory: process.memoryUsage(), pool: { total: db.totalCount, idle: db.idleCount, waiting: db.waitingCount }, checks,
    });
  });

  router.get('/metrics', async (_, response) => {
    response.set('content-type', prom.register.contentType).send(await prom.register.metrics());
  });
  return router;
}
