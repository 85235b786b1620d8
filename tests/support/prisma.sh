#!/bin/sh
# Prisma's schema engine from npm, once, into the test cache; then runs prisma_engine.mjs with the arguments given.
# "prisma.sh --check" only makes sure that it is there. Exit 77: it can't be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}/prisma-8.1.0-2
if [ ! -d "$cache/node_modules/@prisma/schema-engine-wasm" ]; then
  command -v npm >/dev/null 2>&1 || { echo "npm is not installed" >&2; exit 77; }
  mkdir -p "$cache"
  work=$(mktemp -d "$cache.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  printf '{"private":true,"type":"module"}' >"$work/package.json"
  npm install --prefix "$work" --no-audit --no-fund --loglevel=error \
    @prisma/schema-engine-wasm@8.1.0-2.59be4fda12412a79eeb9c2ae727b6aa723593323 @prisma/adapter-pg@7.10.1 pg@8 >&2 || exit 77
  cp -r "$work/node_modules" "$work/package.json" "$cache/" 2>/dev/null || exit 77
fi
[ "${1:-}" = --check ] && exit 0
CODOPS_PRISMA_MODULES="$cache/node_modules" exec node --no-warnings "$here/prisma_engine.mjs" "$@"
