# shellcheck shell=bash
# For scenario scripts: `source "$(dirname "$0")/../support/case.sh"` first of all. One line a case, and a total that run.sh adds up.
#
#   pass NAME | fail NAME REASON | skip NAME REASON     a skip is a failure with CODOPS_REQUIRE_SERVICES=1
#   check NAME COMMAND...        passes when the command exits 0; its last lines are the reason otherwise
#   expect NAME GOT WANTED       passes when both are equal
#   need_engine                  DOCKER_HOST answers and has the demo's images, or the script ends with a skip
#   demo DIR [KEY=VALUE...]      a copy of the demo application in DIR, not rate-limited
#   load_start NAME [OPTIONS...] load.mjs runs once this returns (not under `check`: that is a subshell)
#   load_stop NAME               ends it; load_wait NAME waits for the end of its --duration
#   load_value NAME EXPRESSION   a value of its report, as in: load_value NAME .failed
#   wait_for SECONDS COMMAND...  polls; no fixed sleeps
#   words FILE                   what was said there, as one line: a long text goes over several, each with its time
#
# Given: CODOPS (the binary), DOCKER_HOST, WORK (an empty directory of this script's own, removed at the end), SUPPORT.
set -euo pipefail

SUPPORT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$SUPPORT/../.." && pwd)
CODOPS=${CODOPS:-$REPO/build/release/cli/codops}
CODOPS_RESULTS=${CODOPS_RESULTS:-/dev/null}
SCENARIO=$(basename "$0" .sh)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/codops-$SCENARIO.XXXXXX")
export SUPPORT REPO CODOPS WORK
declare -A load_pids=()
case_failures=0
case_finished=

# How long a case took, since the one before, is said where it counts for the whole suite.
case_began=${EPOCHREALTIME/[.,]/}
record() { # pass|fail|skip NAME REASON
  local now=${EPOCHREALTIME/[.,]/} took
  took=$(((now - case_began) / 100000))
  case_began=$now
  printf '%s\t%s: %s\t%s\n' "$1" "$SCENARIO" "$2" "${3:-}" >>"$CODOPS_RESULTS"
  printf '  %-4s  %s%s%s\n' "$1" "$SCENARIO: $2" "${3:+ ($3)}" "$( ((took < 20)) || echo "   $((took / 10)).$((took % 10)) s")"
}
pass() { record pass "$1"; }
fail() {
  case_failures=$((case_failures + 1))
  record fail "$1" "$(tr '\n\t' '  ' <<<"${2:-}")"
}
skip() {
  if [[ ${CODOPS_REQUIRE_SERVICES:-} == 1 ]]; then fail "$1" "skipped: $2"; else record skip "$1" "$2"; fi
}
check() { # NAME COMMAND...
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then pass "$name"; else fail "$name" "exit $?: $(tail -n 5 <<<"$said")"; fi
}
expect() { # NAME GOT WANTED
  if [[ $2 == "$3" ]]; then pass "$1"; else fail "$1" "got '$2', not '$3'"; fi
}
# Ends the script; what was recorded stays.
finish() { case_finished=1; exit "$((case_failures > 0))"; }

wait_for() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

words() { # FILE
  sed -E 's/^[0-9-]{10}T[0-9:]{8}Z//' "$1" | tr -s '\n ' ' '
}

need_engine() {
  if [[ -z ${DOCKER_HOST:-} ]] || ! docker image inspect codops-demo/backend:v1.1.0 >/dev/null 2>&1; then
    skip "engine" "DOCKER_HOST names no engine with the demo's images (tests/run.sh starts one)"
    finish
  fi
}
demo() { # DIR [KEY=VALUE...]
  # A commit does not wait for the disk: how busy that is is not what is tested.
  "$REPO/tests/app/prepare.sh" --into "$1" RATE_LIMIT_EXEMPT=0.0.0.0/0 'POSTGRES_OPTIONS=-c synchronous_commit=off' "${@:2}"
}

load_start() { # NAME [OPTIONS...]
  local name=$1
  shift
  rm -f "$WORK/load.$name.ready"
  node "$SUPPORT/load.mjs" --ready "$WORK/load.$name.ready" "$@" >"$WORK/load.$name.json" 2>"$WORK/load.$name.err" &
  load_pids[$name]=$!
  if ! wait_for 30 test -e "$WORK/load.$name.ready"; then
    load_stop "$name"
    fail "load" "some kind of traffic never got through: $(jq -c .reasons "$WORK/load.$name.json")"
    return 1
  fi
}
load_wait() { # NAME
  wait "${load_pids[$1]}" || true
  unset "load_pids[$1]"
}
load_stop() { # NAME
  kill -TERM "${load_pids[$1]}" 2>/dev/null || true
  load_wait "$1"
}
load_value() { jq -c "$2" "$WORK/load.$1.json"; }

at_end() {
  local rc=$? pid
  for pid in ${load_pids[@]+"${load_pids[@]}"}; do kill -TERM "$pid" 2>/dev/null || true; done
  # A script may add its own clean-up as a function of this name.
  if declare -F clean_up >/dev/null; then clean_up || true; fi
  # A script that died of `set -e` must not look as if its remaining cases had passed.
  if [[ -z $case_finished && $rc -ne 0 ]]; then record fail "the whole script" "ended with exit $rc before its end"; fi
  [[ -n ${CODOPS_KEEP:-} ]] || rm -rf "$WORK"
  ((rc == 0 && case_failures == 0)) || exit 1
}
trap at_end EXIT
trap 'echo "$0: line $LINENO: exit $?" >&2' ERR
