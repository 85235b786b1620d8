// What the API offers, for editors and clients: backend/openapi.json, made from the routes.
import { readFileSync, writeFileSync } from 'node:fs';

const source = readFileSync(new URL('../src/api.js', import.meta.url), 'utf8');
const paths = {};
for (const [, method, path] of source.matchAll(/router\.(get|post|put|delete)\('([^']+)'/g)) {
  paths[`/api${path}`] = { ...paths[`/api${path}`], [method]: { responses: { default: { description: 'JSON' } } } };
}
const document = { openapi: '3.1.0', info: { title: 'codops demo', version: '1' }, paths };
writeFileSync(new URL('../openapi.json', import.meta.url), `${JSON.stringify(document, null, 2)}\n`);
console.log(`${Object.keys(paths).length} paths`);
