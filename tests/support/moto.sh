#!/usr/bin/env bash
# Prints the path of moto_server, an S3 server for tests, after making sure that it is there: the one in PATH, else from
# PyPI into the tests' cache. Exit 77: it can't be had.
set -euo pipefail

if command -v moto_server >/dev/null && moto_server --version >/dev/null 2>&1; then
  command -v moto_server
  exit 0
fi
cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}/moto
if [[ ! -x $cache/bin/moto_server ]]; then
  mkdir -p "${cache%/*}"
  { python3 -m venv "$cache" && "$cache/bin/pip" install -q 'moto[server,s3]'; } >&2 || {
    rm -rf "$cache"
    exit 77
  }
fi
echo "$cache/bin/moto_server"
