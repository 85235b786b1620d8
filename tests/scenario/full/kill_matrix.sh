#!/usr/bin/env bash
# The kill matrix, under load: SIGKILL and SIGTERM at every point of deploy, rollback and scale and of their way back, SIGKILL at
# random moments; the engine stopped for a while (SIGSTOP) at every step, restarted at every step, without and with live-restore.
# The points come from the plan itself. The figures are kept in tests/bench/kill_matrix.md.
#
#   PARTS="deploy rollback scale undo random frozen restarted live"   which of it
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
flags_of_engine=
clean_up() {
  tiny_down
  [[ -z $flags_of_engine ]] || { cp "$flags_of_engine" "$engine_dir/flags" && "$SUPPORT/engine.sh" restart "$engine_dir" >/dev/null; }
}
web_count() { "$CODOPS" status test -o json | jq '.services[] | select(.name == "web") | .wanted'; }
# What each command needs to find: a newer release to go back from, another count to scale from.
ready_for() { # VERB...
  case $1 in
    rollback) [[ $(serving) == v1.1.0 ]] || tiny_deploy v1.1.0 ;;
    scale) [[ $(web_count) == "$((5 - ${3#web=}))" ]] || "$CODOPS" scale test "web=$((5 - ${3#web=}))" >/dev/null 2>&1 ;;
  esac
}
# deploy's version depends on what serves by then.
command_of() { if [[ $1 == deploy ]]; then echo "deploy test $(other)"; else echo "$*"; fi; }
struck_everywhere() { # SIGNAL VERB...
  local signal=$1 point points command
  shift
  ready_for "$@"
  read -ra command <<<"$(command_of "$@")"
  mapfile -t points < <(points_of "${command[@]}")
  for point in "${points[@]}"; do
    ready_for "$@"
    read -ra command <<<"$(command_of "$@")"
    strike "$point:$signal" "$1, $signal $point" "${command[@]}"
  done
}
undone_everywhere() { # VERB...: fails at its last step, and is killed on the way back
  local point points command last
  ready_for "$@"
  read -ra command <<<"$(command_of "$@")"
  mapfile -t points < <(undo_points_of "${command[@]}")
  last=$(steps_of "${command[@]}" | tail -n 1)
  for point in "${points[@]}"; do
    ready_for "$@"
    STRUCK_FAIL=after:$last strike "$point" "$1, $last fails, KILL $point" "${command[@]}"
  done
}
scale_both_ways() { # FUNCTION...
  "$@" scale test web=3
  "$@" scale test web=1
  "$CODOPS" scale test web=2 >/dev/null 2>&1 || true
}
at_random() {
  local i pid
  for ((i = 1; i <= ${RANDOM_MOMENTS:-50}; i++)); do
    matrix_cells=$((matrix_cells + 1))
    "$CODOPS" deploy test "$(other)" >"$WORK/struck.out" 2>&1 &
    pid=$!
    # Between nothing and the length of a whole deploy.
    sleep "$(awk -v r=$RANDOM 'BEGIN { printf "%.3f", r / 32768 * 5 }')"
    { kill -KILL "$pid"; wait "$pid"; } 2>/dev/null || true
    recovers "random moment $i"
  done
}

# A command that waits before each of its steps while COMMAND does something to the engine.
meanwhile() { # NAME COMMAND VERB...
  local name=$1 what=$2 step steps run command
  shift 2
  ready_for "$@"
  read -ra command <<<"$(command_of "$@")"
  mapfile -t steps < <(steps_of "${command[@]}")
  for step in "${steps[@]}"; do
    ready_for "$@"
    read -ra command <<<"$(command_of "$@")"
    matrix_cells=$((matrix_cells + 1))
    CODOPS_TEST_KILL=before:$step:STOP "$CODOPS" "${command[@]}" >"$WORK/struck.out" 2>&1 &
    run=$!
    if ! wait_for 60 grep -q '^State:.T' "/proc/$run/status"; then
      struck_badly "$1, $name at $step" "codops did not get there: $(tail -n 2 "$WORK/struck.out")"
      continue
    fi
    "$what" "$run" >"$WORK/engine.out" 2>&1 || struck_badly "$1, $name at $step" "$(tail -n 3 "$WORK/engine.out")"
    wait "$run" || true
    wait_for 60 served || true
    recovers "$1, $name at $step"
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
all_verbs() { # FUNCTION...
  "$@" deploy test
  "$@" rollback test
  scale_both_ways "$@"
}

tiny_project "$WORK/p" 18680 300ms
check "the first deploy" tiny_deploy v1.0.0
check "the second deploy" tiny_deploy v1.1.0
for part in ${PARTS:-deploy rollback scale undo random frozen restarted live}; do
  case $part in frozen | restarted | live)
    [[ -e $engine_dir/docker.pid ]] || { skip "$part" "$engine_dir has no docker.pid"; continue; } ;;
  esac
  case $part in
    deploy | rollback)
      for signal in ${SIGNALS:-KILL TERM}; do matrix_part "$part, SIG$signal at every point" struck_everywhere "$signal" "$part" test; done ;;
    scale)
      for signal in ${SIGNALS:-KILL TERM}; do matrix_part "scale, SIG$signal at every point" scale_both_ways struck_everywhere "$signal"; done ;;
    undo) matrix_part "the way back of all three, SIGKILL at every point" all_verbs undone_everywhere ;;
    random) matrix_part "deploy, SIGKILL at random moments" at_random ;;
    frozen) matrix_part "all three, the engine frozen for 3 s at every step" all_verbs meanwhile "engine frozen" freeze ;;
    # Without live-restore the containers stop with the engine: requests fail then, the state must not.
    restarted) LOAD='' matrix_part "all three, the engine restarted at every step" all_verbs meanwhile "engine restarted" restart ;;
    live)
      flags_of_engine=$WORK/flags
      cp "$engine_dir/flags" "$flags_of_engine"
      echo --live-restore >>"$engine_dir/flags"
      sed -i '/^$/d' "$engine_dir/flags"
      "$SUPPORT/engine.sh" restart "$engine_dir" >/dev/null
      check "it serves again" wait_for 60 served
      # A port on the host is the engine's own process and ends with it; the proxy's address does not.
      LOAD=http://$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' \
        "$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=front)" | cut -d' ' -f1)
      LOAD=$LOAD matrix_part "all three, the engine restarted at every step, live-restore" all_verbs meanwhile "engine restarted" restart
      unset LOAD ;;
  esac
done
finish
