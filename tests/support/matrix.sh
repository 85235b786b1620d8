# shellcheck shell=bash
# One cell of the kill matrix. Sourced after tiny.sh.
#
#   steps_of VERB...             names of the steps of that command's plan, from --dry-run
#   points_of VERB...            every point at which its run can be struck: before and after each step, and around them
#   strike POINT[:SIGNAL] NAME COMMAND...   runs the command with the hook, then `codops resume`, and checks that one complete release
#                                serves, that nothing is left, and that a second `resume` finds nothing; records one case
#   matrix_total                 prints the count
matrix_cells=0
matrix_bad=0

steps_of() { "$CODOPS" "$@" --dry-run -o json | jq -r '.steps[].name'; }

points_of() {
  local step
  echo after:lock
  echo after:plan
  steps_of "$@" | while read -r step; do
    echo "before:$step"
    echo "after:$step"
  done
  echo before:record
  echo after:record
}

serving() { "$CODOPS" status test -o json | jq -r .version; }

strike() { # POINT[:SIGNAL] NAME COMMAND...
  local point=$1 name=$2 rc=0 wanted said before after outcome
  shift 2
  matrix_cells=$((matrix_cells + 1))
  # The shell's own word about a killed child is no news here.
  { CODOPS_TEST_KILL=$point "$CODOPS" "$@" >"$WORK/struck.out" 2>&1 || rc=$?; } 2>/dev/null
  case $point in
    # 6: the undo could not be had in the few seconds that a CI system leaves; the next command does it.
    *:TERM) ((rc == 143 || rc == 0 || rc == 6)) || struck_badly "$name" "exit $rc after SIGTERM: $(tail -n 3 "$WORK/struck.out")" ;;
    *) ((rc == 137)) || struck_badly "$name" "exit $rc, not killed: $(tail -n 3 "$WORK/struck.out")" ;;
  esac
  if ! said=$("$CODOPS" resume test 2>&1); then
    struck_badly "$name" "resume: $(tail -n 3 <<<"$said")"
    "$CODOPS" abort test >/dev/null 2>&1 || true
    return 0
  fi
  wanted=$(serving)
  if ! said=$(converged "$wanted"); then
    struck_badly "$name" "$said"
    return 0
  fi
  before=$(fingerprint)
  said=$("$CODOPS" resume test 2>&1) || true
  after=$(fingerprint)
  [[ $said == *"nothing is unfinished"* && $before == "$after" ]] || struck_badly "$name" "the second resume did something: $said"
  outcome=$wanted
  printf '    %-34s exit %-3s then %s serves\n' "$name" "$rc" "$outcome"
}
struck_badly() {
  matrix_bad=$((matrix_bad + 1))
  fail "$1" "$2"
}
matrix_total() { echo "  matrix: $matrix_cells cells, $matrix_bad bad"; }
