#!/usr/bin/env bash
# One run at a time: who comes second leaves at once and names the holder, or waits; who died or went silent is taken over; who was
# evicted notices and changes nothing more.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
holder=
clean_up() {
  [[ -z $holder ]] || kill -KILL "$holder" 2>/dev/null
  tiny_down
}
stopped() { [[ $(awk '/^State:/ {print $2}' "/proc/$1/status" 2>/dev/null) == T ]]; }
hold() { # POINT COMMAND...: a run that stops itself there and keeps the lock; its pid in $holder
  local point=$1
  shift
  CODOPS_USER=ann CODOPS_TEST_KILL=$point:STOP "$CODOPS" "$@" >"$WORK/holder.out" 2>&1 &
  holder=$!
  wait_for 60 stopped "$holder" || { fail "the holder stops at $point" "$(tail -n 3 "$WORK/holder.out")"; finish; }
}
go_on() { # its exit code in $holder_rc
  kill -CONT "$holder"
  holder_rc=0
  wait "$holder" || holder_rc=$?
  holder=
}
entries() { "$CODOPS" history test -o json | jq '.entries | length'; }
try() { # its exit code in $rc, its words in out, its time in $took (ms)
  local began
  began=$(date +%s%N)
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
  took=$((($(date +%s%N) - began) / 1000000))
}

tiny_project "$WORK/p" 18380 300ms
check "a first deploy" tiny_deploy v1.0.0
check "a second" tiny_deploy v1.1.0

# ---- second comers
hold after:plan deploy test v1.0.0
try deploy test v1.0.0
expect "two deploys at once: the second has exit 4" "$rc" 4
# It must not wait for the heartbeat to grow old.
if ((took < 10000)); then pass "at once"; else fail "at once" "$took ms"; fi
expect "it names the holder" "$(grep -cE "ann on .* \(pid $holder\) runs \"deploy test v1.0.0\"" "$WORK/out")" 1
for verb in "rollback test" "scale test web=3" "restart test" "resume test"; do
  # shellcheck disable=SC2086
  try $verb
  expect "deploy against ${verb%% *}: exit 4" "$rc" 4
done
if command -v faketime >/dev/null; then
  rc=0
  faketime -f +2h "$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || rc=$?
  expect "a clock that is two hours ahead does not make the holder look dead" "$rc" 4
else
  skip "a client's clock that is wrong" "faketime is not installed"
fi
try status test
expect "reading needs no lock" "$rc" 0
try deploy test v1.0.0 --dry-run
expect "nor does a dry run" "$rc" 0
before=$(entries)
"$CODOPS" deploy test v1.1.0 --force --lock-wait 60s >"$WORK/waiter.out" 2>&1 &
waiter=$!
wait_for 30 grep -q 'waiting for the lock' "$WORK/waiter.out" || fail "--lock-wait says that it waits" "$(cat "$WORK/waiter.out")"
go_on
expect "the holder ends well" "$holder_rc" 0
rc=0
wait "$waiter" || rc=$?
expect "--lock-wait: then the other" "$rc" 0
expect "one after the other" "$(($(entries) - before))" 2
expect "all is well" "$(converged v1.1.0 || true)" ""

# ---- twenty at once
before=$(entries)
pids=()
for ((i = 0; i < 20; i++)); do
  (code=0; "$CODOPS" deploy test v1.0.0 >"$WORK/contender.$i" 2>&1 || code=$?; echo "$code" >"$WORK/contender.$i.rc") &
  pids+=($!)
done
wait "${pids[@]}"
codes=$(cat "$WORK"/contender.*.rc | sort | uniq -c | awk '{printf "%s x %s, ", $1, $2}')
# Who comes when the first has finished finds nothing to do: 0 as well.
expect "twenty contenders: only 0 and 4 ($codes)" "$(cat "$WORK"/contender.*.rc | grep -cvx '[04]' || true)" 0
expect "exactly one has changed something" "$(($(entries) - before))" 1
expect "and completely" "$(converged v1.0.0 || true)" ""

# ---- the dead
{ CODOPS_TEST_KILL=after:lock "$CODOPS" deploy test v1.1.0 >/dev/null 2>&1 || true; } 2>/dev/null
if lock_free; then fail "a killed holder leaves its lock" "it is free"; fi
try resume test
expect "a dead holder is taken over" "$rc" 0
expect "which is said" "$(grep -c 'took over the lock of a run that died' "$WORK/out")" 1
if ((took < 10000)); then pass "at once too"; else fail "at once too" "$took ms"; fi

# ---- unlock
hold after:start deploy test v1.1.0
try unlock test </dev/null
expect "unlock asks, and nobody can answer" "$rc" 64
try unlock test --yes
expect "unlock --yes evicts" "$rc" 0
expect "and says whom" "$(grep -c 'evicted: ann on' "$WORK/out")" 1
try resume test
expect "what it had begun is undone" "$(converged v1.0.0 || true)" ""
state=$(fingerprint)
count=$(entries)
go_on
expect "the evicted one notices: exit 4" "$holder_rc" 4
expect "and changes nothing more" "$(fingerprint)" "$state"
expect "not even the history" "$(entries)" "$count"

# ---- silence: stopped for longer than 30 s
hold after:start deploy test v1.1.0
try deploy test v1.1.0 --lock-wait 60s
expect "a silent holder is taken over after 30 s" "$rc" 0
expect "which is said" "$(grep -c 'took over the lock of a run that went silent' "$WORK/out")" 1
state=$(fingerprint)
count=$(entries)
go_on
expect "it notices when it goes on: exit 4" "$holder_rc" 4
expect "and changes nothing more" "$(fingerprint)" "$state"
expect "not even the history" "$(entries)" "$count"
expect "all is well" "$(converged v1.1.0 || true)" ""
