import { useCallback, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { io } from 'socket.io-client';
import './style.css';

const money = (cents) => (cents / 100).toFixed(2);

async function json(url, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.json();
}

function Orders() {
  const [page, setPage] = useState(null); // version of this page
  const [api, setApi] = useState(null); // version and replica that answered
  const [orders, setOrders] = useState([]);
  const [error, setError] = useState('');
  const [customer, setCustomer] = useState('');

  const refresh = useCallback(async () => {
    try {
      setApi(await json('/api/version'));
      setOrders((await json('/api/orders')).orders);
      setError('');
    } catch (failure) {
      setError(failure.message);
    }
  }, []);

  useEffect(() => {
    json('/version.json').then((v) => setPage(v.version)).catch(() => setPage('dev'));
    refresh();
    const timer = setInterval(refresh, 5000);
    // No long polling: it would need sticky sessions with more than one replica.
    const socket = io({ transports: ['websocket'] });
    socket.on('order', (order) => setOrders((known) => [order, ...known.filter((o) => o.id !== order.id)].slice(0, 20)));
    return () => {
      clearInterval(timer);
      socket.close();
    };
  }, [refresh]);

  async function add(event) {
    event.preventDefault();
    try {
      await json('/api/orders', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ customer, total_cents: 100 + Math.floor(Math.random() * 9900) }),
      });
      setCustomer('');
      setError('');
    } catch (failure) {
      setError(failure.message);
    }
  }

  return (
    <main>
      <h1>COD orders</h1>
      <p className="versions">
        page <b>{page ?? '…'}</b> · API <b>{api?.version ?? '…'}</b> <small>{api?.instance}</small>
      </p>
      {error && <p className="error">{error}</p>}
      <form onSubmit={add}>
        <input value={customer} onChange={(e) => setCustomer(e.target.value)} placeholder="customer" required maxLength="100" />
        <button>Add order</button>
      </form>
      <table>
        <thead><tr><th>#</th><th>customer</th><th>total</th><th>placed</th></tr></thead>
        <tbody>
          {orders.map((o) => (
            <tr key={o.id}>
              <td>{o.id}</td><td>{o.customer}</td><td>{money(o.total_cents)}</td>
              <td>{new Date(o.created_at).toLocaleTimeString()}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </main>
  );
}

createRoot(document.getElementById('root')).render(<Orders />);
