#!/usr/bin/env bash
# `prisma migrate deploy` by Prisma's own CLI from npm, for benchmarks: prisma_cli.sh MIGRATIONS_FOLDER, with DATABASE_URL. "--check" only makes sure that
# it is there. Exit 77: it can't be had.
# Its engine is the one in npm's package ("js", with the adapter), as its native one is a download from elsewhere; the CLI wants a path for that one and for the
# query engine and loads neither. With this engine the process lives on for ten seconds after its last word (measured, also with nothing to do), which
# its native engine does not: it is ended at that word.
set -euo pipefail
cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}/prisma-cli-6.19.3
if [[ ! -d $cache/node_modules/prisma ]]; then
  command -v npm >/dev/null || { echo "npm is not installed" >&2; exit 77; }
  mkdir -p "${cache%/*}"
  work=$(mktemp -d "$cache.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  printf '{"private":true,"type":"module"}' >"$work/package.json"
  npm install --prefix "$work" --no-audit --no-fund --ignore-scripts --loglevel=error prisma@6.19.3 @prisma/adapter-pg@7.10.1 pg@8 >&2 || exit 77
  mkdir "$work/prisma"
  cat >"$work/prisma/schema.prisma" <<'SCHEMA'
generator client {
  provider = "prisma-client"
  output   = "../generated"
}
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
SCHEMA
  cat >"$work/prisma.config.ts" <<'CONFIG'
import { PrismaPg } from '@prisma/adapter-pg'
import { defineConfig } from 'prisma/config'
// The adapter cuts scripts at every ';', inside $$ too; the engine's own drivers send them whole.
const whole = (adapter: any) => {
  adapter.executeScript = async (script: string) => { await adapter.client.query(script) }
  return adapter
}
class Whole extends PrismaPg {
  async connect() { return whole(await super.connect()) }
}
export default defineConfig({
  experimental: { adapter: true },
  engine: 'js',
  schema: 'prisma/schema.prisma',
  migrations: { path: process.env.MIGRATIONS },
  adapter: async () => new Whole({ connectionString: process.env.DATABASE_URL }),
} as any)
CONFIG
  : >"$work/none.so.node"
  mv -T "$work" "$cache" 2>/dev/null || [[ -d $cache/node_modules/prisma ]]
fi
[[ ${1:-} == --check ]] && exit 0
MIGRATIONS=$(realpath "$1")
cd "$cache"
export MIGRATIONS PRISMA_QUERY_ENGINE_LIBRARY=$cache/none.so.node PRISMA_SCHEMA_ENGINE_BINARY=/bin/false PRISMA_HIDE_UPDATE_MESSAGE=1 CHECKPOINT_DISABLE=1
exec {said}< <(exec node node_modules/prisma/build/index.js migrate deploy 2>&1)
cli=$! last=
while read -r -u "$said" line; do
  last=${line:-$last}
  case $line in "All migrations have been successfully applied."* | "No pending migrations to apply."*) kill "$cli" && exit 0 ;; esac
done
echo "prisma migrate deploy: ${last:-said nothing}" >&2
exit 1
