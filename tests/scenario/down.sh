#!/usr/bin/env bash
# `down` is a run like a deploy: killed before or after a step (each of them: full/down_kill.sh), the next command finishes it and the history says so; SIGTERM
# before anything is removed starts again what was stopped. It removes what is there once nobody else can change it.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
# shellcheck source=tests/support/down.sh
source "$SUPPORT/down.sh"
foreign=codops-foreign-$$
clean_up() {
  docker rm -f "$foreign" >/dev/null 2>&1 || true
  tiny_down
}
tiny_project "$WORK/p" 18780 0ms
check "a first deploy" tiny_deploy v1.0.0
mapfile -t steps < <(steps_of down test)
expect "its steps" "${steps[*]}" "stop-front stop remove networks"
for point in ${CODOPS_FULL:+before:stop-front} after:stop before:remove ${CODOPS_FULL:+after:networks}; do killed_at "$point"; done

# ---- a signal
for point in after:stop-front after:stop; do
  check "a deploy before TERM $point" tiny_deploy v1.0.0
  { CODOPS_TEST_KILL=$point:TERM try down test --yes; } 2>/dev/null
  # 6: starting them again did not fit into the 7 s that a CI system leaves (a busy machine); the next command goes on with it.
  if ((rc == 6)); then
    expect "TERM $point: no time, and that is said" "$(said 'codops resume test tries again')" 1
    try resume test
    expect "TERM $point: resume starts them again" "$rc $(said 'undid down of v1.0.0')" "0 1"
  else
    expect "TERM $point: exit, and what runs again is said" "$rc $(said 'what it had stopped runs again')" "143 1"
  fi
  expect "TERM $point: all serves" "$(converged v1.0.0 || true)" ""
  expect "TERM $point: the history" "$(newest)" '[[],0,["down","undone"]]'
done
{ CODOPS_TEST_KILL=after:remove:TERM try down test --yes; } 2>/dev/null
expect "TERM after:remove: it can't go back, and says what to do" "$rc $(said 'codops resume test finishes it')" "143 1"
check "the next deploy finishes it first" tiny_deploy v1.1.0
expect "and says so" "$(grep -c 'finished down of v1.0.0' "$WORK/deploy.out")" 1
expect "then it serves" "$(converged v1.1.0 || true)" ""
expect "the history has both" "$("$CODOPS" history test -o json | jq -c '[.entries[-2:][] | [.action, .result]]')" '[["down","ok"],["deploy","ok"]]'

# ---- killed on its way back, and abort
{ CODOPS_TEST_FAIL=after:stop CODOPS_TEST_KILL=undo:stop-front try down test --yes; } 2>/dev/null
try resume test
expect "killed while it started them again: that goes on" "$rc $(said 'undid down of v1.1.0') $(converged v1.1.0 || true)" "0 1 "
{ CODOPS_TEST_KILL=after:stop try down test --yes; } 2>/dev/null
try abort test
expect "abort: what it had stopped runs again" "$rc $(said 'undid down of v1.1.0') $(converged v1.1.0 || true)" "0 1 "
{ CODOPS_TEST_KILL=before:remove try down test --yes; } 2>/dev/null
try abort test
expect "abort, when removal was begun and nothing is removed: it runs again" "$rc $(said 'undid down of v1.1.0') $(converged v1.1.0 || true)" "0 1 "
{ CODOPS_TEST_KILL=before:remove try down test --yes; } 2>/dev/null
docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=web | head -n 1 | xargs docker rm -f >/dev/null
try abort test
expect "abort, when a part is removed: it can't be undone, and is finished" "$rc $(said 'finished down of v1.1.0')" "0 1"
gone "abort, too late"

# ---- what it removes is what is there under the lock
check "a deploy" tiny_deploy v1.0.0
hold after:lock deploy test v1.1.0
"$CODOPS" down test --yes --lock-wait 60s >"$WORK/out" 2>&1 &
waiting=$!
wait_for 30 grep -q 'waiting for the lock' "$WORK/out" || fail "down waits for the lock" "$(cat "$WORK/out")"
go_on
wait "$waiting" || fail "down after the deploy" "$(cat "$WORK/out")"
expect "the deploy had ended well" "$holder_rc" 0
gone "a deploy came between"
check "a deploy" tiny_deploy v1.0.0
{ CODOPS_TEST_KILL=after:start try deploy test v1.1.0; } 2>/dev/null
docker rm -f "$PROJECT-web-r1-1" >/dev/null
try down test --yes
expect "after a run that died, whose recovery makes a container again" "$rc" 0
gone "a run died before"

# ---- somebody else's container
check "a deploy" tiny_deploy v1.0.0
docker run -d --name "$foreign" --network "${PROJECT}_default" --entrypoint sleep codops-demo/nginx:1.22 600 >/dev/null
try down test --yes
expect "a network that others use stays, and that is said" "$rc $(said "${PROJECT}_default stays") $(left)" "0 1 ${PROJECT}_default"
expect "it is down all the same" "$(newest)" '[[],0,["down","ok"]]'
docker rm -f "$foreign" >/dev/null
try down test --yes
gone "once it is gone"

# ---- with the data
for point in before:volumes ${CODOPS_FULL:+before:record} after:record; do
  docker volume create --label "com.docker.compose.project=$PROJECT" "${PROJECT}_data" >/dev/null
  check "a deploy" tiny_deploy v1.0.0
  { CODOPS_TEST_KILL=$point try down test --volumes --yes; } 2>/dev/null
  expect "with volumes, KILL $point" "$rc" 137
  try down test --volumes --yes
  expect "with volumes, KILL $point: the same again ends it" "$rc $(left)" "0 "
  expect "with volumes, KILL $point: no data, no history" "$(docker volume ls --format '{{.Name}}' | grep -- "$PROJECT" || true)" ""
  try down test --volumes --yes
  expect "with volumes, KILL $point: and nothing to do then" "$rc $(cat "$WORK/out")" "0 nothing of test is there"
done
finish
