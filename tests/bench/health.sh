#!/bin/bash
# codops health-check beside goss, hurl and `xargs -P curl`, in one run against one server on loopback.
#   tests/bench/health.sh PATH_TO_CODOPS [RUNS]
# GOSS and HURL name the peers' programs (HURL may be several words); those that are absent are left out.
set -euo pipefail
codops=$(realpath "${1:?usage: health.sh PATH_TO_CODOPS [RUNS]}")
runs=${2:-15}
goss=${GOSS:-$(command -v goss || true)}
hurl=${HURL:-$(command -v hurl || true)}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
port=${PORT:-18950}
server=""
trap '[ -n "$server" ] && kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

${CXX:-g++} -std=c++20 -O2 -o "$work/slow_server" "$here/health/slow_server.cpp"
serve() {
  [ -n "$server" ] && kill "$server" && wait "$server" 2>/dev/null || true
  "$work/slow_server" "$port" "$1" & server=$!
  "$codops" health-check --wait --tcp "127.0.0.1:$port" >/dev/null 2>&1
}

# Median and best wall time, mean processor time, and largest resident size in MB over the runs; the command's exit code must be $2.
measure() {
  local name=$1 expected=$2; shift 2
  local i code
  for ((i = 0; i < runs; i++)); do
    code=0
    /usr/bin/env python3 -c '
import os, resource, subprocess, sys, time
start = time.monotonic()
code = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
took = (time.monotonic() - start) * 1000
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{took:.1f} {used.ru_maxrss / 1024:.1f} {(used.ru_utime + used.ru_stime) * 1000:.1f}")
sys.exit(0 if code == int(sys.argv[1]) else 1)' "$expected" "$@" >>"$work/$name.log" || { echo "$name: unexpected exit code" >&2; return 1; }
  done
  sort -n "$work/$name.log" | awk -v name="$name" '{t[NR] = $1; c += $3; if ($2 > m) m = $2} END {printf "%-24s median %8.1f ms   best %8.1f ms   cpu %7.1f ms   %6.1f MB\n", name, t[int((NR + 1) / 2)], t[1], c / NR, m}'
}

echo "## one check"
serve 0
printf 'http:\n  http://127.0.0.1:%s/:\n    status: 200\n' "$port" >"$work/one.yaml"
printf 'GET http://127.0.0.1:%s/\nHTTP 200\n' "$port" >"$work/one.hurl"
measure codops-1 0 "$codops" health-check --url "http://127.0.0.1:$port/"
[ -n "$goss" ] && measure goss-1 0 "$goss" -g "$work/one.yaml" validate
# shellcheck disable=SC2086
[ -n "$hurl" ] && measure hurl-1 0 $hurl --test "$work/one.hurl"
measure curl-1 0 curl -sf -o /dev/null "http://127.0.0.1:$port/"

echo "## 1,000 endpoints that take 50 ms"
serve 50
echo "http:" >"$work/many.yaml"
arguments=()
for ((i = 0; i < 1000; i++)); do
  printf '  http://127.0.0.1:%s/%s:\n    status: 200\n' "$port" "$i" >>"$work/many.yaml"
  printf 'GET http://127.0.0.1:%s/%s\nHTTP 200\n' "$port" "$i" >"$work/$i.hurl"
  echo "http://127.0.0.1:$port/$i" >>"$work/urls"
  arguments+=(--url "http://127.0.0.1:$port/$i")
done
measure codops-1000 0 "$codops" health-check --timeout 60s "${arguments[@]}"
runs_before=$runs; runs=3
[ -n "$goss" ] && measure goss-1000 0 "$goss" -g "$work/many.yaml" validate
# shellcheck disable=SC2086
[ -n "$hurl" ] && measure hurl-1000 0 $hurl --test --jobs 200 "$work"/[0-9]*.hurl
measure xargs-curl-1000 0 xargs -a "$work/urls" -P 200 -n 1 curl -sf -o /dev/null
runs=$runs_before

echo "## 2,000 targets with ulimit -n 64"
for ((i = 1000; i < 2000; i++)); do arguments+=(--url "http://127.0.0.1:$port/$i"); done
(ulimit -n 64; runs=3; measure codops-2000-ulimit-64 0 "$codops" health-check --timeout 60s "${arguments[@]}")

echo "## a deadline of 2 s, an endpoint that takes 5 s"
serve 5000
runs=3
printf 'http:\n  http://127.0.0.1:%s/:\n    status: 200\n    timeout: 2000\n' "$port" >"$work/slow.yaml"
measure codops-deadline 124 "$codops" health-check --timeout 2s --check-timeout 30s --url "http://127.0.0.1:$port/"
[ -n "$goss" ] && measure goss-deadline 1 "$goss" -g "$work/slow.yaml" validate
true
