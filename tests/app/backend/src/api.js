import { Router, json } from 'express';
import { config } from './config.js';
import { db, redis } from './stores.js';

const channel = 'orders';
export { channel as ordersChannel };

export function api() {
  const router = Router();
  router.use(json({ limit: '16kb' }));

  router.get('/version', (_, response) => response.json({ version: config.version, instance: config.instance }));

  router.get('/orders', async (_, response) => {
    const { rows } = await db.query('SELECT id, customer, total_cents, created_at FROM orders ORDER BY id DESC LIMIT 20');
    response.json({ orders: rows });
  });

  router.post('/orders', async (request, response) => {
    const { customer, total_cents: total } = request.body ?? {};
    if (typeof customer !== 'string' || !customer || customer.length > 100 || !Number.isInteger(total) || total < 0) {
      return response.status(400).json({ error: 'customer (1 to 100 characters) and total_cents (a whole number) are needed' });
    }
    const { rows: [order] } = await db.query(
      'INSERT INTO orders (customer, total_cents) VALUES ($1, $2) RETURNING id, customer, total_cents, created_at', [customer, total]);
    // The order is written: a browser that misses the news asks again by itself.
    redis.publish(channel, JSON.stringify(order)).catch((error) => console.error(`redis: ${error.message}`));
    response.status(201).json(order);
  });

  // A slow download: one chunk every 100 ms.
  router.get('/download', (request, response) => {
    const seconds = Math.min(Math.max(Number(request.query.seconds) || 5, 0.1), 300);
    const chunk = Buffer.alloc(4096, 'x');
    let left = Math.round(seconds * 10);
    response.set({ 'content-type': 'application/octet-stream', 'content-length': String(left * chunk.length) });
    const timer = setInterval(() => {
      response.write(chunk);
      if (--left === 0) {
        clearInterval(timer);
        response.end();
      }
    }, 100);
    response.on('close', () => clearInterval(timer));
  });
  return router;
}
