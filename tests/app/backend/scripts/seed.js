// A few orders to look at; leaves a database that has some alone.
import pg from 'pg';

const db = new pg.Client({ connectionString: process.env.DATABASE_URL });
await db.connect();
try {
  const { rows: [{ count }] } = await db.query('SELECT count(*)::int AS count FROM orders');
  if (count === 0) {
    await db.query("INSERT INTO orders (customer, total_cents) VALUES ('Ann', 1250), ('Bob', 4000), ('Cem', 799)");
    console.log('3 orders');
  } else {
    console.log(`${count} orders were there`);
  }
} finally {
  await db.end();
}
