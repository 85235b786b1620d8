#!/usr/bin/env bash
# Every step fails once, after its work was done: what can be observed afterwards equals what was there before, the history says so,
# and under load no request fails.
#
#   UNDO_VERBS="deploy rollback scale"   which commands
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
clean_up() { tiny_down; }

tiny_project "$WORK/p" 18280 300ms
# The first deploy of all: its failure leaves no container, no network and no lock (volumes hold data: they stay).
for step in $(steps_of deploy test v1.0.0); do
  rc=0
  CODOPS_TEST_FAIL=after:$step "$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || rc=$?
  # shellcheck disable=SC2046
  left="$(docker ps -aq $(of_project) | wc -l) containers, $(docker network ls --format '{{.Name}}' | grep -c "^${PROJECT}_" || true) networks"
  if ((rc == 1 || rc == 5)) && [[ $left == "0 containers, 0 networks" ]] && lock_free; then pass "first deploy, $step fails: nothing is left"; else
    fail "first deploy, $step fails: nothing is left" "exit $rc, $left: $(tail -n 4 "$WORK/out")"
  fi
done
check "then it works" tiny_deploy v1.0.0
check "and again" tiny_deploy v1.1.0

same() { # VERB...: every step of it fails once
  local step before after rc last
  for step in $(steps_of "$@"); do
    before=$(fingerprint)
    rc=0
    CODOPS_TEST_FAIL=after:$step "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
    after=$(fingerprint)
    last=$("$CODOPS" history test -o json | jq -r '.entries[-1] | "\(.result) \(.failed_step)"')
    if ((rc == 1 || rc == 5)) && [[ $before == "$after" && $last == "undone $step" ]] && lock_free; then
      pass "$1, $step fails (exit $rc): all is as before"
    else
      fail "$1, $step fails (exit $rc): all is as before" "history: $last; $(diff <(echo "$before") <(echo "$after") | head -n 6); $(tail -n 3 "$WORK/out")"
    fi
  done
}
load_start undo --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
for verb in ${UNDO_VERBS:-deploy rollback scale}; do
  case $verb in
    deploy) same deploy test v1.0.0 ;;
    rollback) same rollback test ;;
    scale) same scale test web=3 && same scale test web=1 ;;
  esac
done
load_stop undo
expect "no request failed (of $(load_value undo .sent))" "$(load_value undo '[.failed, .reasons]')" "[0,{}]"
expect "what serves is complete" "$(converged v1.1.0 || true)" ""

# What declares that it has no undo is named.
printf 'hooks:\n  pre_deploy: [{ run: ["true"] }]\n' >>codops.yaml
before=$(fingerprint)
rc=0
CODOPS_TEST_FAIL=after:start "$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || rc=$?
expect "a step without an undo is named, the rest is as before" "$rc $(grep -c 'stays *hook-1: what a hook does is its own' "$WORK/out") $(diff <(fingerprint) <(echo "$before"))" "1 1 "
sed -i '/^hooks:/,$d' codops.yaml

# A signal is a failure with less time.
rc=0
CODOPS_TEST_KILL=after:switch:TERM "$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || rc=$?
expect "SIGTERM: 143 once undone" "$rc" 143
expect "and nothing has changed" "$(converged v1.1.0 || true)" ""
# The undo of the switch itself fails: what traffic may depend on stays, and the next command mends it.
rc=0
CODOPS_TEST_KILL=after:switch:TERM CODOPS_TEST_FAIL=undo:switch "$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || rc=$?
expect "an undo that fails is exit 6" "$rc" 6
expect "something still answers" "$(served | cut -c1-2)" v1
check "resume tries again" "$CODOPS" resume test
expect "and mends it" "$(converged v1.1.0 || true)" ""
