#!/bin/bash
# codops health-check beside goss, hurl, curl and `xargs -P curl`, in one run against one server on loopback. Says of each bar whether it
# holds, with the ratio; exits 1 when one does not.
#   tests/bench/health.sh [PATH_TO_CODOPS [RUNS]]
# GOSS and HURL name the peers' programs (HURL may be several words); those that are not named are had by health/peers.sh, or left out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
codops=$(realpath "${1:-${CODOPS:-$here/../../build/release/cli/codops}}")
runs=${2:-15}
work=$(mktemp -d)
server='' missed=0
trap '[ -n "$server" ] && kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
if [[ -z ${GOSS:-} || -z ${HURL:-} ]]; then "$here/health/peers.sh" >"$work/peers"; else : >"$work/peers"; fi
goss=${GOSS:-$(sed -n 's/^GOSS=//p' "$work/peers")}
read -ra hurl <<<"${HURL:-$(sed -n 's/^HURL=//p' "$work/peers")}"

for program in slow_server launch; do ${CXX:-g++} -std=c++20 -O2 -o "$work/$program" "$here/health/$program.cpp"; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
serve() {
  if [[ -n $server ]]; then kill "$server" && wait "$server" 2>/dev/null || true; fi
  "$work/slow_server" "$port" "$1" & server=$!
  "$codops" health-check --wait --tcp "127.0.0.1:$port" >/dev/null 2>&1
}

# Median, best and processor time in ms, largest resident size in MB over the runs, also as $work/NAME.{median,best,peak}.
measure() { # NAME EXIT COMMAND…
  local name=$1 expected=$2 i
  shift 2
  for ((i = 0; i < runs; i++)); do
    "$work/launch" "$expected" "$@" >>"$work/$name.log" || { echo "$name: unexpected exit code" >&2; missed=1; return 0; }
  done
  sort -n "$work/$name.log" | awk -v name="$name" -v out="$work/$name" '{t[NR] = $1; c += $3; if ($2 > m) m = $2}
    END {median = t[int((NR + 1) / 2)]; print median > (out ".median"); print t[1] > (out ".best"); print m > (out ".peak")
         printf "  %-22s median %8.1f ms   best %8.1f ms   cpu %7.1f ms   %6.1f MB\n", name, median, t[1], c / NR, m}'
}
value() { cat "$work/$1" 2>/dev/null || true; }
bar() { # WHAT GOT MOST
  local said=holds result=pass
  if [[ -z $2 || -z $3 ]]; then
    said='not measured' result=skip
  elif ! awk -v got="$2" -v most="$3" 'BEGIN {exit !(got <= most)}'; then
    said=MISSED result=fail missed=1
  fi
  printf '    %s: %s: %.1f of at most %.1f\n' "$said" "$1" "${2:-0}" "${3:-0}"
  printf '%s\thealth: %s\t%s\n' "$result" "$1" "$2 of at most $3" >>"${CODOPS_RESULTS:-/dev/null}"
}
beside() { # OURS PEER…: how many times as long as each
  local ours=$1 peer
  shift
  for peer in "$@"; do
    if [[ -s $work/$peer.median && -s $work/$ours.median ]]; then
      awk -v a="$(value "$ours.median")" -v b="$(value "$peer.median")" -v n="$peer" 'BEGIN {printf "    %.2f x %s\n", a / b, n}'
    fi
  done
}

echo "load $(cut -d' ' -f1-3 /proc/loadavg) on $(nproc) cores"
echo "start"
measure codops-version 0 "$codops" --version
bar "codops --version, best, ms" "$(value codops-version.best)" 15
bar "codops --version, MB" "$(value codops-version.peak)" 20

echo "one check"
serve 0
printf 'http:\n  http://127.0.0.1:%s/:\n    status: 200\n' "$port" >"$work/one.yaml"
printf 'GET http://127.0.0.1:%s/\nHTTP 200\n' "$port" >"$work/one.hurl"
measure codops-1 0 "$codops" health-check --url "http://127.0.0.1:$port/"
[[ -z $goss ]] || measure goss-1 0 "$goss" -g "$work/one.yaml" validate
((${#hurl[@]} == 0)) || measure hurl-1 0 "${hurl[@]}" --test "$work/one.hurl"
measure curl-1 0 curl -sf -o /dev/null "http://127.0.0.1:$port/"
beside codops-1 goss-1 hurl-1 curl-1
bar "one check, 1.0 x goss, median, ms" "$(value codops-1.median)" "$(value goss-1.median)"
bar "one check, MB" "$(value codops-1.peak)" 20

echo "1,000 endpoints that take 50 ms"
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
for most in 340 512; do measure "codops-1000-p$most" 0 "$codops" health-check --timeout 60s --parallel "$most" "${arguments[@]}"; done
runs_before=$runs runs=3
[[ -z $goss ]] || measure goss-1000 0 "$goss" -g "$work/many.yaml" validate
((${#hurl[@]} == 0)) || measure hurl-1000 0 "${hurl[@]}" --test --jobs 200 "$work"/[0-9]*.hurl
measure xargs-curl-1000 0 xargs -a "$work/urls" -P 200 -n 1 curl -sf -o /dev/null
runs=$runs_before
beside codops-1000 goss-1000 hurl-1000 xargs-curl-1000
bar "1,000 endpoints, median, ms" "$(value codops-1000.median)" 300
bar "1,000 endpoints, MB" "$(value codops-1000.peak)" 20

echo "2,000 targets with ulimit -n 64"
for ((i = 1000; i < 2000; i++)); do arguments+=(--url "http://127.0.0.1:$port/$i"); done
runs=3
hard=$(ulimit -Hn)
ulimit -Sn 64
measure codops-2000-ulimit-64 0 "$codops" health-check --timeout 60s "${arguments[@]}"
ulimit -Sn "$([[ $hard == unlimited || $hard -gt 1024 ]] && echo 1024 || echo "$hard")"

echo "a deadline of 2 s, an endpoint that takes 5 s"
serve 5000
printf 'http:\n  http://127.0.0.1:%s/:\n    status: 200\n    timeout: 2000\n' "$port" >"$work/slow.yaml"
measure codops-deadline 124 "$codops" health-check --timeout 2s --check-timeout 30s --url "http://127.0.0.1:$port/"
[[ -z $goss ]] || measure goss-deadline 1 "$goss" -g "$work/slow.yaml" validate
bar "the deadline, median, ms" "$(value codops-deadline.median)" 2050
exit "$missed"
