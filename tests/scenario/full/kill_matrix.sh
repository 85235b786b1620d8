#!/usr/bin/env bash
# The rest of the kill matrix, under load: SIGKILL and SIGTERM at every point of deploy, rollback and scale, SIGKILL at random moments,
# the engine stopped for a while (SIGSTOP) and restarted at every step.
#
#   RANDOM_MOMENTS=50   how many kills that are not aligned to steps
#   ENGINE_DIR          the directory of tests/support/engine.sh; by default that of DOCKER_HOST's socket; without its pid file the
#                       engine's own faults are skipped
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
engine_dir=${ENGINE_DIR:-$(dirname "${DOCKER_HOST#unix://}")}
clean_up() { tiny_down; }
other() { if [[ $(serving) == v1.0.0 ]]; then echo v1.1.0; else echo v1.0.0; fi; }
calm() { load_start "$1" --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0; }
none_failed() { # NAME
  load_stop "$1"
  expect "$1: no request failed (of $(load_value "$1" .sent))" "$(load_value "$1" '[.failed, .reasons]')" "[0,{}]"
}
web_count() { "$CODOPS" status test -o json | jq '.services[] | select(.name == "web") | .wanted'; }

tiny_project "$WORK/p" 18680 300ms
check "the first deploy" tiny_deploy v1.0.0
check "the second deploy" tiny_deploy v1.1.0

calm deploy
mapfile -t points < <(points_of deploy test v1.0.0)
for point in "${points[@]}"; do strike "$point:TERM" "deploy, TERM $point" deploy test "$(other)"; done
none_failed deploy

calm rollback
for signal in KILL TERM; do
  mapfile -t points < <(points_of rollback test)
  for point in "${points[@]}"; do
    # A rollback goes to an older release: after one that worked there must be a newer one again.
    [[ $(serving) == v1.1.0 ]] || tiny_deploy v1.1.0
    strike "$point:$signal" "rollback, $signal $point" rollback test
  done
done
none_failed rollback

calm scale
for signal in KILL TERM; do
  mapfile -t points < <(points_of scale test web=3)
  for point in "${points[@]}"; do
    [[ $(web_count) == 2 ]] || "$CODOPS" scale test web=2 >/dev/null 2>&1
    strike "$point:$signal" "scale, $signal $point" scale test web=3
  done
done
"$CODOPS" scale test web=2 >/dev/null 2>&1
none_failed scale

calm random
for ((i = 1; i <= ${RANDOM_MOMENTS:-50}; i++)); do
  matrix_cells=$((matrix_cells + 1))
  wanted=$(other)
  { "$CODOPS" deploy test "$wanted" >"$WORK/struck.out" 2>&1 & } 2>/dev/null
  pid=$!
  # Between nothing and the length of a whole deploy.
  sleep "$(awk -v r=$RANDOM 'BEGIN { printf "%.3f", r / 32768 * 6 }')"
  { kill -KILL "$pid"; wait "$pid"; } 2>/dev/null || true
  "$CODOPS" resume test >"$WORK/resumed.out" 2>&1 || struck_badly "random moment $i" "resume: $(tail -n 3 "$WORK/resumed.out")"
  said=$(converged "$(serving)") || struck_badly "random moment $i" "$said"
done
none_failed random

if [[ -e $engine_dir/docker.pid ]]; then
  pid=$(cat "$engine_dir/docker.pid")
  calm frozen
  for step in $(steps_of deploy test "$(other)"); do
    matrix_cells=$((matrix_cells + 1))
    CODOPS_TEST_KILL=before:$step:STOP "$CODOPS" deploy test "$(other)" >"$WORK/struck.out" 2>&1 &
    run=$!
    wait_for 60 sh -c "grep -q '^State:.T' /proc/$run/status" || { struck_badly "engine stopped at $step" "codops did not get there"; continue; }
    kill -STOP "$pid"
    kill -CONT "$run"
    sleep 3
    kill -CONT "$pid"
    wait "$run" || true
    "$CODOPS" resume test >"$WORK/resumed.out" 2>&1 || struck_badly "engine stopped at $step" "resume: $(tail -n 3 "$WORK/resumed.out")"
    said=$(converged "$(serving)") || struck_badly "engine stopped at $step" "$said"
  done
  none_failed frozen

  # Without live-restore the containers stop with the engine: requests fail, the state must not.
  for step in $(steps_of deploy test "$(other)"); do
    matrix_cells=$((matrix_cells + 1))
    CODOPS_TEST_KILL=before:$step:STOP "$CODOPS" deploy test "$(other)" >"$WORK/struck.out" 2>&1 &
    run=$!
    wait_for 60 sh -c "grep -q '^State:.T' /proc/$run/status" || { struck_badly "engine restarted at $step" "codops did not get there"; continue; }
    "$SUPPORT/engine.sh" restart "$engine_dir" >"$WORK/engine.out" 2>&1 || { struck_badly "engine restarted at $step" "$(tail -n 3 "$WORK/engine.out")"; break; }
    kill -CONT "$run"
    wait "$run" || true
    wait_for 60 served || true
    "$CODOPS" resume test >"$WORK/resumed.out" 2>&1 || struck_badly "engine restarted at $step" "resume: $(tail -n 3 "$WORK/resumed.out")"
    said=$(converged "$(serving)") || struck_badly "engine restarted at $step" "$said"
  done
else
  skip "faults of the engine" "$engine_dir has no docker.pid"
fi
matrix_total
expect "every cell of the matrix ($matrix_cells) converged" "$matrix_bad" 0
