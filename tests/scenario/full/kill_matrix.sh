#!/usr/bin/env bash
# The rest of the kill matrix, under load: SIGKILL and SIGTERM at every point of deploy, rollback and scale, SIGKILL at random moments,
# the engine stopped for a while (SIGSTOP) and restarted at every step.
#
#   PARTS="rollback scale random frozen restarted deploy"   which of it
#   SIGNALS="KILL TERM"
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
none_failed() { # PART
  load_stop "$1"
  expect "$1: no request failed (of $(load_value "$1" .sent))" "$(load_value "$1" '[.failed, .reasons]')" "[0,{}]"
}
web_count() { "$CODOPS" status test -o json | jq '.services[] | select(.name == "web") | .wanted'; }

deploy() {
  local signal point points
  for signal in $signals; do
    mapfile -t points < <(points_of deploy test "$(other)")
    for point in "${points[@]}"; do strike "$point:$signal" "deploy, $signal $point" deploy test "$(other)"; done
  done
}

rollback() {
  local signal point points
  for signal in $signals; do
    [[ $(serving) == v1.1.0 ]] || tiny_deploy v1.1.0
    mapfile -t points < <(points_of rollback test)
    for point in "${points[@]}"; do
      # It goes to an older release: after one that worked there must be a newer one again.
      [[ $(serving) == v1.1.0 ]] || tiny_deploy v1.1.0
      strike "$point:$signal" "rollback, $signal $point" rollback test
    done
  done
}

scale() {
  local signal point points
  for signal in $signals; do
    for count in 3 2; do
      mapfile -t points < <(points_of scale test "web=$count")
      for point in "${points[@]}"; do
        [[ $(web_count) == "$((5 - count))" ]] || "$CODOPS" scale test "web=$((5 - count))" >/dev/null 2>&1
        strike "$point:$signal" "scale to $count, $signal $point" scale test "web=$count"
      done
    done
  done
  "$CODOPS" scale test web=2 >/dev/null 2>&1 || true
}

# What a run left is recovered, whatever it was: one case for each.
recovers() { # NAME
  local said
  said=$("$CODOPS" resume test 2>&1) || struck_badly "$1" "resume: $(tail -n 3 <<<"$said")"
  said=$(converged "$(serving)") || struck_badly "$1" "$said"
  printf '    %-34s then %s serves\n' "$1" "$(serving)"
}

random() {
  local i pid
  for ((i = 1; i <= ${RANDOM_MOMENTS:-50}; i++)); do
    matrix_cells=$((matrix_cells + 1))
    "$CODOPS" deploy test "$(other)" >"$WORK/struck.out" 2>&1 &
    pid=$!
    # Between nothing and the length of a whole deploy.
    sleep "$(awk -v r=$RANDOM 'BEGIN { printf "%.3f", r / 32768 * 6 }')"
    { kill -KILL "$pid"; wait "$pid"; } 2>/dev/null || true
    recovers "random moment $i"
  done
}

# A deploy that waits before each of its steps while COMMAND does something to the engine.
meanwhile() { # NAME COMMAND...
  local name=$1 step run
  shift
  for step in $(steps_of deploy test "$(other)"); do
    matrix_cells=$((matrix_cells + 1))
    CODOPS_TEST_KILL=before:$step:STOP "$CODOPS" deploy test "$(other)" >"$WORK/struck.out" 2>&1 &
    run=$!
    if ! wait_for 60 grep -q '^State:.T' "/proc/$run/status"; then
      struck_badly "$name at $step" "codops did not get there: $(tail -n 2 "$WORK/struck.out")"
      continue
    fi
    "$@" "$run" >"$WORK/engine.out" 2>&1 || struck_badly "$name at $step" "$(tail -n 3 "$WORK/engine.out")"
    wait "$run" || true
    wait_for 60 served || true
    recovers "$name at $step"
  done
}
freeze() { # RUN
  local pid
  pid=$(cat "$engine_dir/docker.pid")
  kill -STOP "$pid"
  kill -CONT "$1"
  sleep 3
  kill -CONT "$pid"
}
restart() { # RUN
  "$SUPPORT/engine.sh" restart "$engine_dir"
  kill -CONT "$1"
}
frozen() { meanwhile "engine frozen" freeze; }
restarted() { meanwhile "engine restarted" restart; }

signals=${SIGNALS:-KILL TERM}
tiny_project "$WORK/p" 18680 300ms
check "the first deploy" tiny_deploy v1.0.0
check "the second deploy" tiny_deploy v1.1.0
for part in ${PARTS:-rollback scale random frozen restarted deploy}; do
  case $part in frozen | restarted)
    [[ -e $engine_dir/docker.pid ]] || { skip "$part" "$engine_dir has no docker.pid"; continue; } ;;
  esac
  # Without live-restore the containers stop with the engine: requests fail then, the state must not.
  [[ $part == restarted ]] || calm "$part"
  before=$matrix_bad
  "$part"
  expect "$part: every cell converged" "$((matrix_bad - before))" 0
  [[ $part == restarted ]] || none_failed "$part"
done
matrix_total
