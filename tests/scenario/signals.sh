#!/usr/bin/env bash
# Ctrl-C and SIGTERM: the run is undone within 7 s, the lock given back, exit 130 or 143. A second one ends it at once, and the journal
# recovers. CI systems send both, then SIGKILL.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18080 300ms
check "a first deploy" tiny_deploy v1.0.0
signalled() { # SIGNAL...: to the run that stopped itself; its exit code in $holder_rc, the time until it ended in $took (ms)
  local began signal
  # Sent while it is stopped, so that all have arrived when it goes on.
  for signal in "$@"; do kill "-$signal" "$holder"; done
  began=$(date +%s%N)
  go_on
  took=$((($(date +%s%N) - began) / 1000000))
}

load_start signals --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
for point in after:lock after:plan after:start after:switch before:monitor before:stop; do
  for signal in TERM INT; do
    # The same way back for both: the other points of INT with --full.
    [[ $signal == TERM || $point == after:s* || -n ${CODOPS_FULL:-} ]] || continue
    fingerprint >"$WORK/before"
    wanted=143
    [[ $signal == TERM ]] || wanted=130
    CODOPS_TEST_KILL=$point:STOP env --default-signal=INT "$CODOPS" deploy test v1.1.0 >"$WORK/holder.out" 2>&1 &
    holder=$!
    wait_for 60 stopped "$holder" || { fail "a run stops at $point" "$(tail -n 3 "$WORK/holder.out")"; finish; }
    signalled "$signal"
    expect "SIG$signal $point: exit" "$holder_rc" "$wanted"
    if ((took <= 7500)); then pass "SIG$signal $point: within 7 s ($took ms)"; else fail "SIG$signal $point: within 7 s" "$took ms"; fi
    expect "SIG$signal $point: all is as before" "$(diff <(fingerprint) "$WORK/before" | head -n 4)" ""
    expect "SIG$signal $point: the lock is free, nothing unfinished" "$(lock_free && "$CODOPS" resume test 2>&1)" "nothing is unfinished"
  done
done

# While it waits: for a lock, for a container that never gets ready.
hold after:plan deploy test v1.1.0
keeper=$holder
"$CODOPS" deploy test v1.1.0 --lock-wait 60s >"$WORK/holder.out" 2>&1 &
holder=$!
wait_for 30 grep -q 'waiting for the lock' "$WORK/holder.out" || fail "it waits for the lock" "$(cat "$WORK/holder.out")"
signalled TERM
expect "SIGTERM while it waits for the lock: 143, at once" "$holder_rc $((took < 2000))" "143 1"
holder=$keeper
signalled TERM
expect "and the holder too" "$holder_rc $(converged v1.0.0 || true)" "143 "
cp docker-compose.prod.yml "$WORK/compose"
sed -i 's,^  web:,  web:\n    healthcheck: { test: ["CMD"\, "false"]\, interval: 30s\, start_period: 60s },' docker-compose.prod.yml
"$CODOPS" deploy test v1.1.0 --progress plain >"$WORK/holder.out" 2>&1 &
holder=$!
boots() { [[ $(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=codops.version=v1.1.0 | wc -l) == 2 ]]; }
wait_for 60 boots || fail "it waits for health" "$(cat "$WORK/holder.out")"
signalled TERM
expect "SIGTERM while it waits for health: 143" "$holder_rc" 143
if ((took <= 7500)); then pass "within 7 s ($took ms)"; else fail "within 7 s" "$took ms"; fi
expect "and undone" "$(converged v1.0.0 || true)" ""
cp "$WORK/compose" docker-compose.prod.yml

# While the engine has the write that makes the run known in its hands: it is seen to its end, and undone.
engine=$(cat "$(dirname "${DOCKER_HOST#unix://}")/docker.pid")
sent() { # the run has sent it: what waits in the engine's socket
  [[ $(ss -xn src "${DOCKER_HOST#unix://}" 2>/dev/null | awk 'NR > 1 && $3 > 0' | wc -l) -gt 0 ]]
}
fingerprint >"$WORK/before"
for command in "deploy test v1.1.0" "down test --yes"; do
  read -ra words <<<"$command"
  before=$("$CODOPS" history test -o json | jq '.entries | length')
  hold before:plan "${words[@]}"
  kill -STOP "$engine"
  kill -CONT "$holder"
  # Else the engine has a heartbeat in its hands, and the write waits behind that.
  wait_for 5 sent || { kill -0 "$holder" 2>/dev/null && ! stopped "$holder"; } || fail "${words[0]}: the write is on its way" "the run has ended"
  kill -TERM "$holder"
  (sleep 0.5; kill -CONT "$engine") &
  go_on
  expect "SIGTERM within the first write of ${words[0]}: exit" "$holder_rc" 143
  expect "${words[0]}: its journal is closed, the history has it" \
    "$("$CODOPS" history test -o json | jq -c --argjson before "$before" '[([.journals[] | select(.ended | not)] | length), (.entries | length) - $before, (.entries[-1] | .result, .exit)]')" '[0,1,"undone",143]'
  expect "${words[0]}: all is as before" "$(diff <(fingerprint) "$WORK/before" | head -n 4)" ""
done

# ---- a second one
for point in undo:switch undo:start; do
  CODOPS_TEST_FAIL=after:monitor hold "$point" deploy test v1.1.0
  # Two kinds: a second one of the same kind would not be told apart from the first while it is stopped.
  signalled TERM HUP
  expect "a second signal at $point: exit" "$(((holder_rc == 143) || (holder_rc == 129)))" 1
  if ((took <= 1000)); then pass "a second signal at $point: at once ($took ms)"; else fail "a second signal at $point: at once" "$took ms"; fi
  expect "its journal is open" "$("$CODOPS" history test -o json | jq '[.journals[] | select(.ended | not)] | length')" 1
  said=$("$CODOPS" resume test 2>&1) || true
  expect "and recovers" "$(grep -c 'undoing it' <<<"$said") $(converged v1.0.0 || true)" "1 "
done
load_stop signals
expect "no request failed (of $(load_value signals .sent))" "$(load_value signals '[.failed, .reasons]')" "[0,{}]"
finish
