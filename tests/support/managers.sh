#!/bin/sh
# pnpm and yarn from npm, once, into the test cache; prints the folder of their programs. Exit 77: they can't be had.
set -eu
cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}/managers-1
if [ ! -x "$cache/bin/yarn" ]; then
  command -v npm >/dev/null 2>&1 || { echo "npm is not installed" >&2; exit 77; }
  mkdir -p "${cache%/*}"
  work=$(mktemp -d "$cache.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  npm install --global --prefix "$work" --no-audit --no-fund --loglevel=error pnpm@9 yarn@1 >&2 || exit 77
  mkdir -p "$cache"
  cp -r "$work/lib" "$work/bin" "$cache/" || exit 77
fi
echo "$cache/bin"
