#!/usr/bin/env node
// Open-loop load on the demo application's front door: requests start when they are due, whether or not
// earlier ones were answered, so an outage costs as many failures as it would cost users.
//
//   load.mjs [--url http://127.0.0.1:8080] [--get-new 150] [--get-keep 120] [--post 30]   requests per second
//            [--downloads 1] [--seconds 5]   downloads at any time, each so long
//            [--websockets 1]                Socket.IO connections, each asked something every second
//            [--drain 30]     a WebSocket may be closed so long (s) after a switch or a reload, not before
//            [--timeout 10]   a request without a complete answer after so long (s) failed
//            [--duration 0]   seconds; 0: until SIGINT or SIGTERM
//            [--addresses N]  new connections to 127.0.0.1 come from 127.0.0.1 … 127.0.0.N in turn (1)
//            [--ready FILE]   made once every kind of traffic had its first success
//            [--ca FILE]      for https
//
// One JSON object on stdout at the end; exit 0 without a failed request, 1 with, 64 for bad arguments.
// What is not a failure: a WebSocket closed after the drain's time, and a request on a reused connection that
// was closed before a byte came back, when the one retry on a new connection succeeds. Everything else is:
// an error, a timeout, a cut body, a status outside 2xx.
// Node's own modules only.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';

const defaults = {
  url: 'http://127.0.0.1:8080', 'get-new': '150', 'get-keep': '120', post: '30', downloads: '1', seconds: '5', websockets: '1',
  drain: '30', timeout: '10', duration: '0', addresses: '1', ready: '', ca: '',
};
const options = (() => {
  try {
    return parseArgs({ options: Object.fromEntries(Object.entries(defaults).map(([k, v]) => [k, { type: 'string', default: v }])) }).values;
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exit(64);
  }
})();
const number = (name) => {
  const value = Number(options[name]);
  if (!(value >= 0)) {
    console.error(`error: --${name} wants a number, not "${options[name]}"`);
    process.exit(64);
  }
  return value;
};
const base = new URL(options.url);
const client = base.protocol === 'https:' ? https : http;
const ca = options.ca ? readFileSync(options.ca) : undefined;
const timeoutMs = number('timeout') * 1000;
const drainMs = number('drain') * 1000;
const addresses = number('addresses');
const target = { host: base.hostname, port: base.port || (base.protocol === 'https:' ? 443 : 80), ca };

const start = performance.now();
const startedAt = new Date();
const now = () => performance.now() - start;

// ---- what is counted
const kinds = {};
const failures = [];
const reasons = {};
let failedFrom;
let failedTo;
const versions = {};
const statuses = {};
const switches = [];
const reloads = [];
const lastSeen = new Map(); // instance -> time of its last answer
const workers = new Set(); // of the proxy
let lastOk = 0;
let longestGap = { ms: 0, at_ms: 0 };
let stopping = false;
let inFlight = 0;
const waitingForFirst = new Set();

const kind = (name) => (kinds[name] ??= { sent: 0, ok: 0, failed: 0, retried: 0, slowest_ms: 0, times: [] });

function firstOf(name) {
  if (waitingForFirst.delete(name) && waitingForFirst.size === 0 && options.ready) writeFileSync(options.ready, 'ready\n');
}

function success(name, began, headers) {
  const k = kind(name);
  const t = now();
  k.ok++;
  if (name !== 'download' && name !== 'websocket') {
    const took = t - began;
    if (took > k.slowest_ms) k.slowest_ms = took;
    // Every answer's time would fill memory in a long run: an even sample (the worst is kept apart).
    if (k.times.length < 20000) k.times.push(took);
    else k.times[Math.floor(Math.random() * 20000)] = took;
    if (t - lastOk > longestGap.ms) longestGap = { ms: t - lastOk, at_ms: lastOk };
    lastOk = t;
  }
  firstOf(name);
  if (!headers) return;
  const version = headers['x-app-version'];
  const instance = headers['x-instance'];
  if (version) versions[version] = (versions[version] ?? 0) + 1;
  const worker = headers['x-proxy-worker'];
  if (worker && !workers.has(worker)) {
    workers.add(worker);
    // One reload brings several workers, which are first met within moments of each other.
    if (t > 400 && (!reloads.length || t - reloads.at(-1).at_ms > 600)) reloads.push({ at_ms: t, worker });
  }
  if (instance) {
    const before = lastSeen.get(instance);
    // A replica that did not answer for a while answers: traffic moved.
    if (before === undefined || t - before > 3000) {
      if (t > 1000 && (!switches.length || t - switches.at(-1).at_ms > 1000)) switches.push({ at_ms: t, version, instance });
    }
    lastSeen.set(instance, t);
  }
}

function failure(name, reason, more = {}) {
  kind(name).failed++;
  failedTo = Math.round(now());
  failedFrom ??= failedTo;
  const what = `${name}: ${reason.replace(/\d{3,}/g, (digits) => (reason.startsWith('status') ? digits : 'N'))}`;
  reasons[what] = (reasons[what] ?? 0) + 1;
  if (failures.length < 20) failures.push({ kind: name, at_ms: Math.round(now()), at: new Date().toISOString(), reason, ...more });
}

// ---- requests
const agents = {
  get_keep: new client.Agent({ keepAlive: true, scheduling: 'fifo', ca }),
  post_keep: new client.Agent({ keepAlive: true, scheduling: 'fifo', ca }),
};
const order = JSON.stringify({ customer: 'load', total_cents: 1999 });
const postHeaders = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(order) };
let ordersAcknowledged = 0;
// One client with one address uses its ports up within minutes, and then what the kernel's connection tracking still knows of a port's last
// connection decides where the next one goes. Many clients have many addresses.
let nextAddress = 0;
const fromSomewhere = () => (addresses > 1 ? { localAddress: `127.0.0.${1 + (nextAddress++ % addresses)}` } : {});

function request(name, path, { method = 'GET', agent = false, body, limitMs = timeoutMs, began = now(), retry = false, done = () => {} } = {}) {
  const k = kind(name);
  if (!retry) k.sent++;
  inFlight++;
  let bytesBefore = 0;
  let settled = false;
  const headers = method === 'POST' ? { ...postHeaders } : {};
  if (agent === false) headers.connection = 'close';
  const outgoing = client.request({ ...target, ...(agent === false ? fromSomewhere() : {}), path, method, agent, headers });
  let port; // of this side: what the kernel's connection tracking has on it can be looked up
  let connected = false;
  const sentAt = now();
  let late = 0;
  const expire = () => {
    // This process was late itself: what has arrived meanwhile is read before anything is called unanswered.
    if (!late && now() - sentAt - limitMs > 250) {
      late = Math.round(now() - sentAt - limitMs);
      timer = setTimeout(expire, 1000);
      return;
    }
    outgoing.noRetry = true;
    port ??= outgoing.socket?.localPort;
    outgoing.destroy(new Error(`no complete answer in ${limitMs / 1000} s`));
  };
  let timer = setTimeout(expire, limitMs);

  const settle = (reason, response) => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    inFlight--;
    if (!reason) {
      success(name, began, response.headers);
      return done();
    }
    const nothingCameBack = outgoing.reusedSocket && !response && !outgoing.noRetry && (outgoing.socket?.bytesRead ?? 0) === bytesBefore;
    if (nothingCameBack && !retry) {
      k.retried++;
      return request(name, path, { method, agent: false, body, limitMs, began, retry: true, done });
    }
    port ??= outgoing.socket?.localPort;
    failure(name, reason, { waited_ms: Math.round(now() - began), ...(retry ? { after: 'retry' } : {}), version: response?.headers['x-app-version'], port, connected, ...(late ? { late_ms: late } : {}) });
    return done();
  };

  outgoing.on('socket', (socket) => {
    bytesBefore = socket.bytesRead;
    const know = () => { connected = true; port = socket.localPort; };
    if (socket.connecting) socket.once('connect', know);
    else know();
  });
  outgoing.on('error', (error) => settle(error.code ? `${error.code} ${error.message}` : error.message));
  outgoing.on('response', (response) => {
    statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1;
    let got = 0;
    response.on('data', (chunk) => { got += chunk.length; });
    response.on('error', (error) => settle(`body cut after ${got} bytes: ${error.code ?? error.message}`, response));
    response.on('close', () => settle(response.complete ? undefined : `body cut after ${got} bytes`, response));
    response.on('end', () => {
      if (response.statusCode < 200 || response.statusCode > 299) return settle(`status ${response.statusCode}`, response);
      const announced = response.headers['content-length'];
      if (announced !== undefined && Number(announced) !== got) return settle(`${got} of ${announced} bytes`, response);
      if (method === 'POST') ordersAcknowledged++;
      settle(undefined, response);
    });
  });
  outgoing.end(body);
}

// ---- the schedule: every 5 ms as many as are due by then, so a late timer catches up
const flows = [
  { name: 'get_new', rate: number('get-new'), send: (began) => request('get_new', '/api/version', { began }) },
  { name: 'get_keep', rate: number('get-keep'), send: (began) => request('get_keep', '/api/version', { began, agent: agents.get_keep }) },
  {
    name: 'post_keep', rate: number('post'),
    send: (began) => request('post_keep', '/api/orders', { began, method: 'POST', body: order, agent: agents.post_keep }),
  },
].filter((flow) => flow.rate > 0);
for (const flow of flows) {
  flow.next = 0;
  waitingForFirst.add(flow.name);
}
const ticker = setInterval(() => {
  const t = now();
  for (const flow of flows) {
    for (; flow.next <= t; flow.next += 1000 / flow.rate) flow.send(flow.next);
  }
}, 5);

function download() {
  if (stopping) return;
  const began = now();
  request('download', `/api/download?seconds=${options.seconds}`, {
    limitMs: number('seconds') * 1000 + timeoutMs,
    // After a failure not at once: a dead front door would be asked thousands of times a second.
    done: () => setTimeout(download, now() - began < 100 ? 200 : 0),
  });
}

// ---- WebSocket: Socket.IO's protocol by hand, it is that small
function websocket() {
  if (stopping) return;
  const began = now();
  const k = kind('websocket');
  k.sent++;
  let socket;
  let over = false;
  let asker;
  let answerDue;
  const end = (reason, fine) => {
    if (over) return;
    over = true;
    clearInterval(asker);
    clearTimeout(answerDue);
    socket?.destroy();
    if (stopping || fine) success('websocket', began);
    else failure('websocket', reason, { age_ms: Math.round(now() - began) });
    if (!stopping) setTimeout(websocket, fine ? 0 : 200);
  };
  const closed = () => {
    // What is seen of a reload or a switch comes a moment after it, hence the half second.
    // Nor do nginx's old workers stop accepting at once: 100 ms after the new ones have begun.
    const changes = [...switches, ...reloads].map((change) => change.at_ms).filter((at) => at > began - 300);
    const since = changes.length ? now() - Math.min(...changes) : undefined;
    const fine = since !== undefined && since >= drainMs - 500;
    if (fine) k.closed_after_drain = (k.closed_after_drain ?? 0) + 1;
    end(since === undefined ? 'closed with no switch' : `closed ${Math.round(since)} ms after a switch, the drain is ${drainMs} ms`, fine);
  };
  const upgrade = client.request({
    ...target, agent: false, path: '/socket.io/?EIO=4&transport=websocket',
    headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') },
  });
  const opening = setTimeout(() => upgrade.destroy(new Error('no WebSocket in time')), timeoutMs);
  upgrade.on('error', (error) => end(error.code ?? error.message));
  upgrade.on('response', (response) => { response.resume(); end(`status ${response.statusCode}`); });
  upgrade.on('upgrade', (_, raw, head) => {
    clearTimeout(opening);
    socket = raw;
    socket.setNoDelay(true);
    const send = (text) => {
      const payload = Buffer.from(text);
      const mask = randomBytes(4);
      socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload.map((byte, i) => byte ^ mask[i % 4])]));
    };
    let asked = 0;
    const message = (text) => {
      if (text === '2') return send('3'); // ping
      if (text.startsWith('0')) return send('40'); // opened: join the default namespace
      if (text.startsWith('40')) {
        firstOf('websocket');
        asker = setInterval(() => {
          send(`42${++asked}["echo",${asked}]`);
          answerDue ??= setTimeout(() => end('an open WebSocket gave no answer'), timeoutMs);
        }, 1000);
        return undefined;
      }
      if (text === `43${asked}[${asked}]`) {
        clearTimeout(answerDue);
        answerDue = undefined;
      }
      if (text === '1' || text === '41') return closed();
      return undefined;
    };
    let buffer = head;
    const read = (chunk) => {
      buffer = buffer.length ? Buffer.concat([buffer, chunk]) : chunk;
      while (buffer.length >= 2) {
        let length = buffer[1] & 0x7f;
        let at = 2;
        if (length === 126) { if (buffer.length < 4) return; length = buffer.readUInt16BE(2); at = 4; }
        if (length === 127) { if (buffer.length < 10) return; length = Number(buffer.readBigUInt64BE(2)); at = 10; }
        if (buffer.length < at + length) return;
        const opcode = buffer[0] & 0x0f;
        const payload = buffer.subarray(at, at + length);
        buffer = buffer.subarray(at + length);
        if (opcode === 8) return closed();
        if (opcode === 1) message(payload.toString());
      }
    };
    socket.on('data', read);
    socket.on('close', closed);
    socket.on('error', () => closed());
    if (head.length) { buffer = Buffer.alloc(0); read(head); }
    stops.push(() => end('', true));
  });
  upgrade.end();
}
const stops = [];

for (let i = 0; i < number('downloads'); i++) { download(); }
for (let i = 0; i < number('websockets'); i++) { waitingForFirst.add('websocket'); websocket(); }

// ---- the end
function report() {
  const cpu = process.cpuUsage();
  const seconds = now() / 1000;
  const total = { sent: 0, ok: 0, failed: 0, retried: 0, slowest_ms: 0 };
  const by_kind = {};
  const at = (sorted, q) => (sorted.length ? Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))].toFixed(1)) : null);
  for (const [name, { times, ...k }] of Object.entries(kinds)) {
    for (const field of ['sent', 'ok', 'failed', 'retried']) total[field] += k[field];
    total.slowest_ms = Math.max(total.slowest_ms, k.slowest_ms);
    times.sort((a, b) => a - b);
    by_kind[name] = { ...k, slowest_ms: Math.round(k.slowest_ms), p50_ms: at(times, 0.5), p99_ms: at(times, 0.99) };
  }
  total.slowest_ms = Math.round(total.slowest_ms);
  const result = {
    started: startedAt.toISOString(), seconds: Number(seconds.toFixed(1)), ...total, orders_acknowledged: ordersAcknowledged,
    longest_gap_ms: Math.round(longestGap.ms), longest_gap_at_ms: Math.round(longestGap.at_ms),
    versions_seen: versions, statuses, by_kind,
    switches: switches.map((s) => ({ ...s, at_ms: Math.round(s.at_ms) })), reloads: reloads.map((r) => ({ ...r, at_ms: Math.round(r.at_ms) })),
    failed_from_ms: failedFrom, failed_to_ms: failedTo, reasons,
    cpu_percent: Number(((cpu.user + cpu.system) / 1e4 / seconds).toFixed(1)), failures,
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`, () => process.exit(total.failed ? 1 : 0));
}

function stop() {
  if (stopping) return;
  stopping = true;
  clearInterval(ticker);
  for (const close of stops) close();
  // Every request that was sent is accounted for; its own timeout bounds the wait.
  const poll = setInterval(() => {
    if (inFlight > 0) return;
    clearInterval(poll);
    report();
  }, 20);
}
process.on('SIGINT', stop);
process.on('SIGTERM', stop);
if (number('duration') > 0) setTimeout(stop, number('duration') * 1000);
