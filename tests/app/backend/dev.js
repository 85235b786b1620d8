// node dev.js FILE: runs FILE with the variables of ../.env, as far as the caller has not set them.
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const file = new URL('../.env', import.meta.url);
const lines = existsSync(file) ? readFileSync(file, 'utf8').split(/\r?\n/) : [];
for (const line of lines) {
  const found = line.match(/^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/);
  if (found) process.env[found[1]] ??= found[2].replace(/^(['"])(.*)\1$/, '$2');
}
await import(pathToFileURL(resolve(process.argv[2])).href);
