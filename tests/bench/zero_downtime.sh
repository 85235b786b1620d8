#!/usr/bin/env bash
# Deploys and rollbacks one after another under load through nginx: codops, then docker compose doing the same.
#
#   CODOPS_BENCH_MOVES (20), CODOPS_BENCH_PEER_MOVES (the same)   how many of each
#   CODOPS_BENCH_RATE  "--get-new 90 --get-keep 100 --post 30"     requests a second
#
# One version of the application exits at once on SIGTERM. JSON on stdout after the table; it is also in $CODOPS_BENCH_JSON.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
moves=${CODOPS_BENCH_MOVES:-20}
peer_moves=${CODOPS_BENCH_PEER_MOVES:-$moves}
read -ra rate <<<"${CODOPS_BENCH_RATE:---get-new 90 --get-keep 100 --post 30}"
abrupt=v1.2.0-exit
version "$abrupt"
# What each move does, over and over; compose has no rollback and deploys the version before instead.
cycle=("deploy v1.1.0" "rollback v1.0.0" "deploy $abrupt" "rollback v1.0.0" "deploy v1.1.0" "deploy $abrupt" "deploy v1.0.0")
# shellcheck disable=SC2119
site
sed -i '/^keep_releases/d' "$APP/codops.yaml"
printf 'keep_releases: 30\ntimeouts: {drain: 10s}\n' >>"$APP/codops.yaml"
# A download takes 5 s, more on a busy machine: nginx and codops give it time to end.
sed -i 's/worker_shutdown_timeout .*/worker_shutdown_timeout 10s;/' "$APP/nginx/nginx.conf"
# Each probe of a health check is a process in a container: on two cores a dozen of them a second are a load of their own.
sed -i 's/interval: 2s/interval: 5s/; s/interval: 1s/interval: 2s/' "$APP/docker-compose.prod.yml"
seconds_of() { awk -v from="$1" -v to="$(date +%s%N)" 'BEGIN { printf "%.3f", (to - from) / 1e9 }'; }
under_load() { load_start "$1" --url $FRONT "${rate[@]}" --seconds 5 --drain 5; }

# One object a move: wall time, and what codops itself says of it. What is left after boot, drain, monitor window and the
# engine's stop calls is codops' own: lock, observation, plan, preflight, two reloads with their proof, record, prune.
codops_moves() {
  local n verb to began
  : >"$WORK/moves"
  for ((n = 0; n < moves; n++)); do
    read -r verb to <<<"${cycle[n % ${#cycle[@]}]}"
    began=$(date +%s%N)
    if [[ $verb == rollback ]]; then ops rollback demo -o json; else ops deploy demo "$to" -o json; fi
    jq -c --arg verb "$verb" --arg to "$to" --argjson wall "$(seconds_of "$began")" --argjson code "$CODE" '
      ([.steps[]? | {(.name): .seconds}] | add // {}) as $s |
      {$verb, $to, $code, $wall, start: ($s.start // 0), drain: ($s.drain // 0), monitor: ($s.monitor // 0),
       switch: (($s.switch // 0) + ($s.prove // 0)), settle: ($s.settle // 0), stop: (.engine_seconds.stop // 0), engine: .engine_seconds}
      | .own = (.wall - .start - .drain - .monitor - .stop)' "$WORK/out" >>"$WORK/moves" ||
      echo "{\"verb\":\"$verb\",\"code\":$CODE,\"wall\":0,\"own\":0,\"start\":0,\"switch\":0}" >>"$WORK/moves"
    ((CODE == 0)) || { fail "$verb $to" "exit $CODE: $(tail -n 3 "$WORK/err")"; }
  done
}
peer_run() {
  local n verb to began
  : >"$WORK/peer"
  for ((n = 0; n < peer_moves; n++)); do
    read -r verb to <<<"${cycle[n % ${#cycle[@]}]}"
    began=$(date +%s%N)
    CODE=0
    VERSION=$to dc up -d --wait >/dev/null 2>"$WORK/err" || CODE=$?
    echo "{\"verb\":\"$verb\",\"to\":\"$to\",\"code\":$CODE,\"wall\":$(seconds_of "$began")}" >>"$WORK/peer"
  done
}
summary() { # NAME MOVES-FILE
  jq -n --arg name "$1" --slurpfile moves "$2" --slurpfile load "$WORK/load.$1.json" '
    def median: sort | if length == 0 then null else .[length / 2 | floor] end;
    ($load[0]) as $l |
    {name: $name, moves: ($moves | length), bad_moves: ([$moves[] | select(.code != 0)] | length),
     requests: $l.sent, per_second: ($l.sent / $l.seconds | round), failed: $l.failed, retried: $l.retried,
     longest_gap_ms: $l.longest_gap_ms, slowest_ms: $l.slowest_ms, p99_ms: $l.by_kind.get_new.p99_ms,
     wall_median: ([$moves[].wall] | median), wall_max: ([$moves[].wall] | max),
     own_median: ([$moves[].own | values] | median), own_max: ([$moves[].own | values] | max),
     switch_median: ([$moves[].switch | values] | median), reasons: $l.reasons, versions: ($l.versions_seen | keys), each: $moves}'
}

exits "first deploy" 0 deploy demo v1.0.0
check "tables" migrated
under_load codops
codops_moves
load_stop codops
summary codops "$WORK/moves" >"$WORK/codops.json"
ops down demo --volumes --yes

if compose_here; then
  VERSION=v1.0.0 dc up -d --wait >/dev/null 2>&1
  check "tables, for docker compose" migrated
  under_load compose
  peer_run
  load_stop compose
  summary compose "$WORK/peer" >"$WORK/compose.json"
  dc down -v -t 1 >/dev/null 2>&1 || true
else
  skip "docker compose" "it can't be had here"
  echo '{"name":"compose"}' >"$WORK/compose.json"
fi

printf '\n%-8s %6s %9s %6s %7s %8s %9s %12s %9s %9s\n' "" moves requests per_s failed retried gap_ms wall_s_med own_s_med own_s_max
jq -r '[.name, .moves, .requests, .per_second, .failed, .retried, .longest_gap_ms, .wall_median, .own_median, .own_max] | map(. // "-") | @tsv' \
  "$WORK/codops.json" "$WORK/compose.json" | while IFS=$'\t' read -r a b c d e f g h i j; do
  printf '%-8s %6s %9s %6s %7s %8s %9s %12s %9s %9s\n' "$a" "$b" "$c" "$d" "$e" "$f" "$g" "$h" "$i" "$j"
done
jq -n --slurpfile codops "$WORK/codops.json" --slurpfile compose "$WORK/compose.json" --arg cores "$(nproc)" --arg load "$(cut -d' ' -f1-3 /proc/loadavg)" \
  '{cores: ($cores | tonumber), load_average: $load, codops: $codops[0], compose: $compose[0]}' | tee "${CODOPS_BENCH_JSON:-/dev/null}"

value() { jq -c "$1" "$WORK/codops.json"; }
expect "every move succeeded" "$(value '[.moves, .bad_moves]')" "[$moves,0]"
expect "no request failed" "$(value '[.failed, .reasons]')" '[0,{}]'
expect "at 200 requests a second or more" "$(value '.per_second >= 200')" true
expect "every version answered" "$(value '.versions | length')" 3
finish
