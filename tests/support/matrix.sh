# shellcheck shell=bash
# Cells of the kill matrix. Sourced after tiny.sh.
#
#   steps_of VERB...             names of the steps of that command's plan, from --dry-run
#   points_of VERB...            every point at which its run can be struck: before and after each step, and around them
#   undo_points_of VERB...       every point of its way back: before the undo of each step that has one
#   strike POINT[:SIGNAL] NAME COMMAND...   runs the command with the hook, then `codops resume`, and checks that one complete release
#                                serves, that nothing is left, and that a second `resume` finds nothing; STRUCK_FAIL: where the
#                                struck command, and it alone, is made to fail
#   recovers NAME                the same for what a run left that was struck otherwise
#   matrix_part NAME COMMAND...  runs a part of cells under load and records it as cases; its line of the table goes to stdout.
#                                LOAD=: another URL than $FRONT; empty: without load
#   other                        the version that does not serve
matrix_cells=0
matrix_bad=0
matrix_undo_failed=0

steps_of() { "$CODOPS" "$@" --dry-run -o json | jq -r '.steps[].name'; }

points_of() {
  local step
  echo after:lock
  echo before:plan
  echo after:plan
  steps_of "$@" | while read -r step; do
    echo "before:$step"
    echo "after:$step"
  done
  echo before:record
  echo after:record
  echo in:prune
  echo after:prune
}
undo_points_of() { "$CODOPS" "$@" --dry-run -o json | jq -r '.steps | reverse[] | select(.undo != "") | "undo:\(.name)"'; }

serving() { "$CODOPS" status test -o json | jq -r .version; }
other() { if [[ $(serving) == v1.0.0 ]]; then echo v1.1.0; else echo v1.0.0; fi; }

strike() { # POINT[:SIGNAL] NAME COMMAND...
  local point=$1 name=$2 rc=0
  shift 2
  matrix_cells=$((matrix_cells + 1))
  # The shell's own word about a killed child is no news here.
  { CODOPS_TEST_FAIL=${STRUCK_FAIL:-} CODOPS_TEST_KILL=$point "$CODOPS" "$@" >"$WORK/struck.out" 2>&1 || rc=$?; } 2>/dev/null
  case $point in
    # 6: the undo could not be had in the few seconds that a CI system leaves; the next command does it.
    *:TERM) ((rc == 143 || rc == 0 || rc == 6)) || struck_badly "$name" "exit $rc after SIGTERM: $(tail -n 3 "$WORK/struck.out")" ;;
    *) ((rc == 137)) || struck_badly "$name" "exit $rc, not killed: $(tail -n 3 "$WORK/struck.out")" ;;
  esac
  ((rc != 6)) || matrix_undo_failed=$((matrix_undo_failed + 1))
  recovers "$name" "exit $rc"
}
recovers() { # NAME [WHAT]
  local said before after
  if ! said=$("$CODOPS" resume test 2>&1); then
    struck_badly "$1" "resume: $(tail -n 3 <<<"$said")"
    "$CODOPS" abort test >/dev/null 2>&1 || true
    return 0
  fi
  if ! said=$(converged "$(serving)"); then
    struck_badly "$1" "$said"
    return 0
  fi
  before=$(fingerprint)
  said=$("$CODOPS" resume test 2>&1) || true
  after=$(fingerprint)
  [[ $said == *"nothing is unfinished"* && $before == "$after" ]] || struck_badly "$1" "the second resume did something: $said"
  printf '    %(%T)T  %-44s %-9s then %s serves\n' -1 "$1" "${2:-}" "$(served)"
}
struck_badly() {
  matrix_bad=$((matrix_bad + 1))
  fail "$1" "$2"
}

# A failed request is either the program's or the machine's: its moment, among those of the cells, and what the proxy said then.
what_failed() {
  echo "  the machine: load $(cut -d' ' -f1-3 /proc/loadavg)"
  load_value part '.failures[]'
  docker logs --timestamps --tail 60 "$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=front)" 2>&1 | sed 's/^/  proxy: /'
}

matrix_part() { # NAME COMMAND...
  local name=$1 requests='' failed=''
  shift
  matrix_cells=0 matrix_bad=0 matrix_undo_failed=0
  if [[ -n ${LOAD-$FRONT} ]]; then
    load_start part --url "${LOAD-$FRONT}" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
    "$@"
    load_stop part
    requests=$(load_value part .sent)
    failed=$(load_value part .failed)
    expect "$name: no request failed (of $requests)" "$(load_value part '[.failed, .reasons]')" "[0,{}]"
    ((failed == 0)) || what_failed
  else
    "$@"
  fi
  expect "$name: every cell ($matrix_cells) converged" "$matrix_bad" 0
  echo "  matrix | $name | $matrix_cells | $matrix_bad | ${requests:+$failed of $requests} |$( ((matrix_undo_failed == 0)) || echo " $matrix_undo_failed undos did not fit into 7 s; resume did them")"
}
