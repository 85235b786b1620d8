#!/usr/bin/env bash
# A few cells of the kill matrix and of the undo of every step, so that what breaks them is seen every day; all of them are in
# full/kill_matrix.sh and full/undo.sh.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18180 300ms
check "the first deploy" tiny_deploy v1.0.0
check "the second deploy" tiny_deploy v1.1.0

cells() {
  local point last
  for point in after:start after:switch before:stop; do strike "$point" "deploy, KILL $point" deploy test "$(other)"; done
  [[ $(serving) == v1.1.0 ]] || tiny_deploy v1.1.0
  strike after:switch "rollback, KILL after:switch" rollback test
  strike after:switch:TERM "deploy, TERM after:switch" deploy test "$(other)"
  last=$(steps_of deploy test "$(other)" | tail -n 1)
  STRUCK_FAIL=after:$last strike undo:start "deploy, $last fails, KILL undo:start" deploy test "$(other)"
}
matrix_part "kill matrix, in short" cells

# A step that fails is undone, and what can be observed is as before.
for step in start stop; do
  before=$(fingerprint)
  rc=0
  CODOPS_TEST_FAIL=after:$step "$CODOPS" deploy test "$(other)" >"$WORK/out" 2>&1 || rc=$?
  expect "$step fails: exit 1 or 5" "$(((rc == 1) || (rc == 5)))" 1
  expect "$step fails: all is as before" "$(diff <(fingerprint) <(echo "$before") | head -n 6)" ""
done

# Without resume: the next deploy recovers by itself, before it does what it was asked to.
{ CODOPS_TEST_KILL=after:start "$CODOPS" deploy test "$(other)" >/dev/null 2>&1 || true; } 2>/dev/null
wanted=$(other)
said=$("$CODOPS" deploy test "$wanted" 2>&1) || true
expect "the next deploy says what it recovered" "$(grep -c 'died at step start: undoing it' <<<"$said")" 1
expect "and then does its own work" "$(converged "$wanted" || true)" ""
finish
