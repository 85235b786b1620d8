#!/usr/bin/env bash
# codops' own part of a deploy, by its own account (.time of -o json), and the time of `codops status`: the demo application, no load.
#
#   CODOPS_BENCH_MOVES (7)   deploys and rollbacks; the first deploy of all is not counted
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
# shellcheck disable=SC2119
site
exits "first deploy" 0 deploy demo v1.0.0
: >"$WORK/moves"
for ((n = 0; n < ${CODOPS_BENCH_MOVES:-7}; n++)); do
  if ((n % 3 == 2)); then ops rollback demo -o json; else ops deploy demo "v1.$(((n + 1) % 2)).0" --force -o json; fi
  jq -c '[.verb, .time, ([.steps[]? | {(.name): .seconds}] | add)]' "$WORK/out" | tee -a "$WORK/moves"
done
for ((n = 0; n < 10; n++)); do
  began=$(date +%s%N)
  "$CODOPS" -C "$APP" status demo >/dev/null
  echo $((($(date +%s%N) - began) / 1000000))
done | sort -n >"$WORK/status"
echo "status, ms: $(tr '\n' ' ' <"$WORK/status")  load: $(cut -d' ' -f1-3 /proc/loadavg)"
jq -s '[.[] | .[1].own] | sort | {own_best: .[0], own_median: .[length / 2 | floor], own_worst: .[-1]}' "$WORK/moves"
expect "own overhead of every move, at most 1 s" "$(jq -s '[.[] | .[1].own] | max <= 1' "$WORK/moves")" true
expect "status, median, at most 100 ms" "$(awk 'NR == 5 { print ($1 <= 100) }' "$WORK/status")" 1
# While the old set is the proxy's backup, going back is one switch: of a deploy that fails in its monitor window.
CODOPS_TEST_FAIL=after:monitor "$CODOPS" -C "$APP" --progress plain deploy demo v1.1.0 --force >/dev/null 2>"$WORK/err" || true
back=$(sed -n 's/.*↶ switch .* \([0-9.]*\) s$/\1/p' "$WORK/err")
expect "switch-back in the monitor window ($back s), at most 1 s" "$(awk -v t="${back:-9}" 'BEGIN { print (t <= 1) }')" 1
echo 'old_set: running' >>"$APP/codops.yaml"
exits "a deploy that leaves the old set running" 0 deploy demo v1.1.0 --force
exits "and back" 0 rollback demo -o json
expect "switch-back with the old set running, at most 1 s" "$(result '([.steps[] | select(.name == "start" or .name == "switch" or .name == "prove") | .seconds] | add) <= 1')" true
jq -c '[.time, ([.steps[] | {(.name): .seconds}] | add)]' "$WORK/out"
finish
