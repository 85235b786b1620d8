// A token server as Docker's registry wants one (its token protocol): who names himself with the password gets what he asks for, everybody else an
// empty token; a wrong password is refused.
//
//   node token_server.mjs --key KEY.pem --cert CERT.pem --user U --password P --ready FILE --log FILE
//
// FILE of --ready gets the port once it answers, --log a line of JSON a request: the scope asked for and who asked. A refresh token is "refresh-PASSWORD".
import { createSign, randomUUID, X509Certificate } from 'node:crypto';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const { values: o } = parseArgs({ options: Object.fromEntries(['key', 'cert', 'user', 'password', 'ready', 'log'].map((name) => [name, { type: 'string' }])) });
const key = readFileSync(o.key);
const chain = [new X509Certificate(readFileSync(o.cert)).raw.toString('base64')];
const packed = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(service, access, subject) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${packed({ typ: 'JWT', alg: 'RS256', x5c: chain })}.${packed({ iss: 'tests', sub: subject, aud: service, exp: now + 300, nbf: now - 10, iat: now, jti: randomUUID(), access })}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}
const asked = (scope) => {
  const [type, name, actions] = scope.split(':');
  return { type, name, actions: actions.split(',') };
};

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const parameters = request.method === 'POST' ? new URLSearchParams(body) : new URL(request.url, 'http://x').searchParams;
  const basic = request.headers.authorization && Buffer.from(request.headers.authorization.replace(/^Basic /, ''), 'base64').toString();
  const named = Boolean(basic || parameters.get('refresh_token'));
  const known = basic === `${o.user}:${o.password}` || parameters.get('refresh_token') === `refresh-${o.password}`;
  appendFileSync(o.log, `${JSON.stringify({ method: request.method, scope: parameters.get('scope'), named, known })}\n`);
  response.setHeader('content-type', 'application/json');
  if (named && !known) return response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED"}]}');
  const text = token(parameters.get('service'), known ? [asked(parameters.get('scope'))] : [], known ? o.user : '');
  response.end(JSON.stringify(request.method === 'POST' ? { access_token: text } : { token: text }));
});
server.listen(0, '127.0.0.1', () => writeFileSync(o.ready, String(server.address().port)));
