#!/usr/bin/env bash
# One run at a time: who comes second leaves at once and names the holder, or waits; who died or went silent is taken over; who was
# evicted notices and changes nothing more.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
export CODOPS_USER=ann
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
  rc=0
  faketime -f -2h "$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || rc=$?
  expect "nor does one that is two hours behind" "$rc" 4
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

# ---- a holder whose clock is wrong: everything goes by the engine's
for skew in -2h +2h; do
  rc=0
  faketime -f "$skew" "$CODOPS" deploy test v1.1.0 --force >"$WORK/out" 2>&1 || rc=$?
  expect "a deploy by a clock of $skew" "$rc $(converged v1.1.0 || true)" "0 "
  expect "its times are the engine's" "$("$CODOPS" history test -o json | jq --argjson now "$(date +%s)" \
    '.entries[-1] | [.started, .ended] | map($now - (sub("\\.[0-9]+"; "") | fromdate) | . > -5 and . < 120) | all')" true
done
# Not by the command faketime, which stays between this shell and the run.
export LD_PRELOAD FAKETIME=+2h
LD_PRELOAD=$(dpkg -L libfaketime | grep -m 1 '/libfaketime.so.1$')
CODOPS_TEST_KILL=after:plan:STOP "$CODOPS" deploy test v1.0.0 >"$WORK/holder.out" 2>&1 &
holder=$!
unset LD_PRELOAD FAKETIME
wait_for 60 stopped "$holder" || fail "a holder whose clock is wrong stops" "$(tail -n 3 "$WORK/holder.out")"
try deploy test v1.0.0
expect "who holds the lock by a wrong clock is not stale" "$rc" 4
kill -KILL "$holder"
holder=
try resume test
expect "and is taken over once it is dead" "$rc $(converged v1.1.0 || true)" "0 "

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

# Several come upon it at once: one removes the dead one's lock, the others wait for that.
together() { # NAME WANTED COMMAND...: each command a text; codes of all in order
  local name=$1 wanted=$2 codes="" pids=() pid code
  shift 2
  { CODOPS_TEST_KILL=after:start "$CODOPS" deploy test v1.1.0 >/dev/null 2>&1 || true; } 2>/dev/null
  for command in "$@"; do
    read -ra words <<<"$command"
    "$CODOPS" "${words[@]}" >"$WORK/together.${#pids[@]}" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    codes+="$code "
  done
  expect "$name" "$codes$(cat "$WORK"/together.* | grep -c 'in progress' || true)" "$wanted"
  [[ $codes == "${wanted% *} " ]] || tail -n 3 "$WORK"/together.*
  rm -f "$WORK"/together.*
}
for round in 1 ${CODOPS_FULL:+2 3}; do
  together "a dead holder, four that wait, $round" "0 0 0 0 0" "restart test --lock-wait 120s" "restart test --lock-wait 120s" "resume test --lock-wait 120s" "abort test --lock-wait 120s"
  together "a dead holder, three unlock at once, $round" "0 0 0 0" "unlock test --yes" "unlock test --yes" "unlock test --yes"
done
try resume test
expect "and all is well" "$rc $(converged v1.0.0 || true)" "0 "

# Half a minute each, with --full. Whose silence it is makes no difference to the code that waits: the last case here waits for one of them.
after_silence() { # NAME
  if [[ -n ${CODOPS_FULL:-} ]]; then
    try resume test --lock-wait 60s
    expect "$1" "$rc $(grep -c 'went silent' "$WORK/out") $(converged v1.0.0 || true)" "0 1 "
  else
    try unlock test --yes
    expect "who died elsewhere is evicted" "$rc $(grep -c 'evicted: ann on' "$WORK/out")" "0 1"
    try resume test
    expect "and its journal is recovered from here" "$rc $(converged v1.0.0 || true)" "0 "
  fi
}

# ---- what can't be seen is not dead
# Another user, whose /proc shows only its own processes (hidepid), on the same machine and in the same PID namespace.
hold after:plan deploy test v1.1.0
chmod 755 "$WORK"
cp "$CODOPS" "$WORK/codops"
chmod 755 "$WORK/codops"
chmod o+rw "${DOCKER_HOST#unix://}"
hidden() { # COMMAND...
  unshare --mount sh -c 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' sh "$@"
}
expect "the holder can't be seen" "$(hidden test -e "/proc/$holder/stat" && echo seen)" ""
rc=0
hidden env HOME=/nonexistent "$WORK/codops" resume test >"$WORK/out" 2>&1 || rc=$?
expect "a holder that is hidden from another user is not taken over" "$rc $(grep -c "pid $holder" "$WORK/out")" "4 1"
# A machine that was restarted, or another one: its numbers of processes mean nothing here.
echo 00000000-0000-4000-8000-000000000000 >"$WORK/boot_id"
other_boot() { unshare --mount sh -c 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"' "$WORK/boot_id" "$@"; }
kill -KILL "$holder"
wait "$holder" 2>/dev/null || true
holder=
rc=0
other_boot "$CODOPS" resume test >"$WORK/out" 2>&1 || rc=$?
expect "another boot does not call the dead dead while their heartbeat is fresh" "$rc" 4
try resume test
expect "this one does" "$rc $(converged v1.0.0 || true)" "0 "
# A lock of another boot, whose holder's number is anybody's here.
{ other_boot env CODOPS_TEST_KILL=after:plan "$CODOPS" deploy test v1.1.0 >/dev/null 2>&1 || true; } 2>/dev/null
try resume test
expect "nor does this boot call one of another dead" "$rc" 4
after_silence "until it has been silent for 30 s"

# ---- a container of somebody else has the lock's name
docker create --name "codops-$PROJECT-lock-deploy" codops-demo/frontend:v1.0.0 >/dev/null
foreign=$(docker inspect -f '{{.Id}}' "codops-$PROJECT-lock-deploy")
for command in "deploy test v1.1.0" "unlock test --yes"; do
  # shellcheck disable=SC2086
  try $command
  expect "${command%% *}: a foreign container in the lock's place is named, not removed" \
    "$rc $(grep -c "codops-$PROJECT-lock-deploy.*not codops' own" "$WORK/out") $(docker inspect -f '{{.Id}}' "codops-$PROJECT-lock-deploy")" "1 1 $foreign"
done
docker rm "$foreign" >/dev/null

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

# ---- evicted just before it changes something: what it had decided to do is not done, or is taken away again
load_start late --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
for point in before:start before:switch before:stop; do
  hold "$point" deploy test v1.1.0
  try unlock test --yes
  try abort test
  expect "evicted $point: undone" "$rc $(converged v1.0.0 || true)" "0 "
  go_on
  expect "evicted $point: it notices: exit 4" "$holder_rc" 4
  expect "evicted $point: traffic goes where it went" "$(served)" v1.0.0
done
load_stop late
expect "no request failed (of $(load_value late .sent))" "$(load_value late '[.failed, .reasons]')" "[0,{}]"
# A call that was on its way to the engine when the lock was lost can't be taken back.
docker run -d --name "$PROJECT-web-r99-1" --network none --label "com.docker.compose.project=$PROJECT" --label com.docker.compose.service=web \
  --label com.docker.compose.oneoff=False --label codops.environment=test --label codops.token=0123456789ab codops-demo/frontend:v1.1.0 >/dev/null
try status test --check
expect "what was made late is named, with the run that made it" "$rc $(grep -c "$PROJECT-web-r99-1 was left by run 0123456789ab" "$WORK/out")" "2 1"
try deploy test v1.1.0
expect "and the next deploy removes it" "$rc $(converged v1.1.0 || true)" "0 "
check "back to v1.0.0" tiny_deploy v1.0.0

# ---- another machine: its processes can't be seen, only its silence
# Not as its first process: that one ignores even SIGKILL from inside.
elsewhere() { unshare --pid --fork --mount-proc --uts sh -c 'hostname elsewhere; "$@"; exit $?' sh env HOME=/nonexistent "$@"; }
expect "another machine reads the same journal" "$(elsewhere "$CODOPS" history test --journal | sha256sum)" "$("$CODOPS" history test --journal | sha256sum)"
{ elsewhere env CODOPS_TEST_KILL=after:start "$CODOPS" deploy test v1.1.0 >/dev/null 2>&1 || true; } 2>/dev/null
try deploy test v1.1.0
expect "who died on another machine holds the lock" "$rc $(grep -c 'on elsewhere' "$WORK/out")" "4 1"
after_silence "until it has been silent for 30 s; its journal is recovered from here"
hold after:start deploy test v1.1.0
rc=0
elsewhere "$CODOPS" resume test >"$WORK/out" 2>&1 || rc=$?
expect "and a run here is not dead for who can't see it" "$rc" 4
kill -KILL "$holder"
wait "$holder" 2>/dev/null || true
holder=
try resume test
expect "but is for who can" "$rc $(converged v1.0.0 || true)" "0 "

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
