#!/bin/sh
# golang-migrate's own program, built once into the test cache; prints its path. Exit 77: it can't be had.
set -eu
cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}/golang-migrate-4.18.1
if [ ! -x "$cache/migrate" ]; then
  command -v go >/dev/null 2>&1 || { echo "go is not installed" >&2; exit 77; }
  mkdir -p "$cache"
  GOBIN=$cache go install -tags postgres github.com/golang-migrate/migrate/v4/cmd/migrate@v4.18.1 >&2 || exit 77
fi
echo "$cache/migrate"
