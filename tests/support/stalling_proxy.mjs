#!/usr/bin/env node
// Carries TCP connections to a server, and lets each of them go silent once it has carried so many bytes from there: what a network
// that broke down looks like from the other end.
//
//   stalling_proxy.mjs HOST PORT TARGET_HOST TARGET_PORT BYTES STALLED_FILE   the file is made when the first one stalls
import { writeFileSync } from 'node:fs';
import net from 'node:net';

const [host, port, targetHost, targetPort, bytes, stalledFile] = process.argv.slice(2);
net
  .createServer((client) => {
    const server = net.connect(Number(targetPort), targetHost);
    let carried = 0;
    server.on('data', (data) => {
      carried += data.length;
      if (carried > Number(bytes)) {
        server.pause();
        writeFileSync(stalledFile, 'stalled\n');
        return;
      }
      client.write(data);
    });
    client.on('data', (data) => server.write(data));
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
  })
  .listen(Number(port), host);
