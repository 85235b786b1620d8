#!/usr/bin/env bash
# `codops backup` and `codops restore` against a real server: the round trip, and the faults that must leave every earlier
# backup as it was, the live database untouched, and no child, temporary file or secret behind.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
PG_PASSWORD='c4nary-pa:ss\word'
source "$SUPPORT/backup_postgres.sh"
clean_up() {
  umount "$WORK/small-store" || true
  postgres_stop "$WORK/pg" || true
}
if ! postgres_start "$WORK/pg"; then
  skip "server" "no PostgreSQL server programs are installed"
  finish
fi

sql postgres 'CREATE DATABASE shop'
sql shop "CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS what, repeat(md5(i::text), 6) AS more FROM generate_series(1, 150000) i;
          ALTER TABLE orders ADD PRIMARY KEY (id); CREATE TABLE few AS SELECT generate_series(1, 10) AS n"
mkdir "$WORK/project" "$WORK/store"
cd "$WORK/project"
encoded=$(python3 -c 'import sys,urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$PG_PASSWORD")
echo "DATABASE_URL=postgresql://postgres:$encoded@127.0.0.1:$PGPORT_OWN/shop" >.env.test
{
  echo "name: shop"
  backup_settings 'retention: {days: 0, count: 50}'
} >codops.yaml

labels() { "$CODOPS" backup list test "$@" -o json | jq -r '.backups[].label' | sort; }
count() { labels "$@" | grep -c . || true; }
# What must hold after any fault. $1: the case; $2: how many backups there must be at least.
invariant() {
  local name=$1 least=$2 left
  check "$name: every listed backup is whole" "$CODOPS" backup verify test all
  if (($(count) >= least)); then pass "$name: earlier backups are there"; else fail "$name: earlier backups are there" "$(count) of $least"; fi
  expect "$name: the live database is untouched" "$(sql shop 'SELECT count(*) FROM orders')" 150000
  if wait_for 10 test "$(sql postgres "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'codops%' OR application_name = 'pg_dump'")" = 0; then
    pass "$name: no session is left"
  else
    fail "$name: no session is left" "$(sql postgres 'SELECT application_name FROM pg_stat_activity')"
  fi
  left=$(pgrep -f "pg_dump.*port='$PGPORT_OWN'" || true)
  expect "$name: no child is left" "$left" ""
  expect "$name: no side database is left" "$(sql postgres "SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_new%'")" 0
}

# ---- the round trip
check "a backup" "$CODOPS" backup test --label "before v2" --metrics-file "$WORK/codops.prom"
expect "it is listed" "$(count)" 1
first=$(labels)
check "metrics name the success" grep -q '^codops_backup_last_success_timestamp_seconds{environment="test"} [1-9]' "$WORK/codops.prom"
expect "metrics are world-readable" "$(stat -c %a "$WORK/codops.prom")" 644
expect "what is stored is private" "$(find "$WORK/store" -type f ! -perm 600 | wc -l)" 0
check "two workers" "$CODOPS" backup test --jobs 2
check "cron's empty environment" env -i "$CODOPS" backup test --project-dir "$PWD"
sql shop "DELETE FROM orders WHERE id % 3 = 0"
check "restore" "$CODOPS" restore test "before v2" --yes
expect "every row is back" "$(sql shop 'SELECT count(*), sum(id) FROM orders')" "150000|11250075000"
check "undo" "$CODOPS" restore test --undo --yes
expect "and gone again" "$(sql shop 'SELECT count(*) FROM orders')" 100000
check "restore again" "$CODOPS" restore test "$first" --yes --no-safety-backup
sql shop 'SELECT 1' >/dev/null
for side in $(sql postgres "SELECT datname FROM pg_database WHERE datname ~ '^shop_(before|undone)'"); do sql postgres "DROP DATABASE \"$side\""; done
check "export reads without codops" "$CODOPS" backup export test latest "$WORK/out.dump"
check "pg_restore lists the export" "$pg_bin/pg_restore" -f /dev/null "$WORK/out.dump"
check "drill" "$CODOPS" backup drill test
expect "a drill is recorded" "$("$CODOPS" backup list test -o json | jq '[.backups[] | select(.drilled)] | length')" 1
rc=0
"$CODOPS" backup drill test --set backup.rto=1ms >"$WORK/out" 2>&1 || rc=$?
expect "one that takes longer than the RTO is not well" "$rc $(grep -c 'RTO .*, MISSED' "$WORK/out")" "2 1"
rc=0
"$CODOPS" backup drill test --image postgres:15 >"$WORK/out" 2>&1 || rc=$?
expect "without a compose file there is no engine for --image, and the hint can be typed" "$rc $(grep -c "^error: --image: the environment's engine can't be had" "$WORK/out") $(grep -c '^hint: --server-env NAME, --same-server, or neither' "$WORK/out")" "78 1 1"
export_without() { env "$@" "$CODOPS" backup export test latest "$WORK/out2.dump" --set "backup.identity_file=$WORK/nowhere"; }
check "the identity may come from the environment" export_without CODOPS_BACKUP_IDENTITY="$(<"$WORK/identity")"
expect "and reads the same" "$(sha256sum <"$WORK/out2.dump")" "$(sha256sum <"$WORK/out.dump")"
rm "$WORK/out2.dump"
expect "without any nothing is read" "$(export_without A=b >/dev/null 2>&1 || echo $?) $(find "$WORK" -maxdepth 1 -name 'out2.dump*' | wc -l)" "78 0"

# ---- a small schema, a role, and somebody else's SQL
sql postgres "CREATE ROLE reader"
sql postgres "CREATE DATABASE small"
sql small "CREATE TABLE t AS SELECT generate_series(1, 100) a; GRANT SELECT ON t TO reader; CREATE POLICY p ON t TO reader USING (true)"
sed 's,/shop$,/small,' .env.test >.env.small
small() { "$CODOPS" "$1" "${@:2}" --store "$WORK/store-of-small"; }
check "a backup of a small database" small backup small
check "its drill: grants and policies name roles that a scratch server lacks" "$CODOPS" backup drill small --store "$WORK/store-of-small"
check "restore --table out of a short archive" small restore small latest --table t --yes
plain() { "$pg_bin/pg_dump" -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -N 'restored_*' small; }
plain >"$WORK/plain.sql"
check "a plain dump of pg_dump restores" small restore small "$WORK/plain.sql" --yes
sed "s,^-- PostgreSQL database dump complete,\\\\! touch $WORK/owned\n\\\\o |touch $WORK/owned\n&," "$WORK/plain.sql" >"$WORK/evil.sql"
rc=0
small restore small "$WORK/evil.sql" --yes >"$WORK/out" 2>&1 || rc=$?
expect "a dump that runs commands here is refused, and runs none" "$rc $(find "$WORK" -maxdepth 1 -name owned)" "65 "
# pg_dump --create: it would make and change databases by name. A psql that is older than \restrict, or none at all, makes no difference.
printf '\\restrict abc\n' | cat - "$WORK/plain.sql" >"$WORK/restricted.sql"
check "a dump with \\restrict in it restores" small restore small "$WORK/restricted.sql" --yes --no-safety-backup
"$pg_bin/pg_dump" -C --clean -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -N 'restored_*' small >"$WORK/create.sql"
sql small 'DELETE FROM t WHERE a > 10'
check "a dump of pg_dump --create restores" small restore small "$WORK/create.sql" --yes
expect "every row of it is there" "$(sql small 'SELECT count(*) FROM t')" 100

# ---- names, and manifests that can't be read
rc=0
small backup small --label latest >"$WORK/out" 2>&1 || rc=$?
expect "a label that is a word of its own is refused" "$rc $(find "$WORK/store-of-small" -name manifest.json | wc -l)" "64 $("$CODOPS" backup list small --store "$WORK/store-of-small" -o json | jq '.backups | length')"
check "a good one" small backup small --label good
check "a newer one" small backup small --label newer
on_small() { "$CODOPS" backup "$1" small "${@:2}" --store "$WORK/store-of-small"; }
stamp() { on_small show "$1" -o json | jq -r .label; }
good=$(stamp good) newer=$(stamp newer)
head -c 300 /dev/urandom >"$WORK/store-of-small/shop/small/$newer/manifest.json"
expect "a manifest that is garbage is listed as damaged" "$(on_small list -o json | jq -r --arg stamp "$newer" '.backups[] | select(.label == $stamp) | "\(.state) \(.sound)"')" "damaged false"
check "in the text too" sh -c "'$CODOPS' backup list small --store '$WORK/store-of-small' | grep -q '$newer .*DAMAGED .*the manifest is no JSON document'"
expect "latest is the one before" "$(on_small show latest -o json 2>"$WORK/err" | jq -r .label)" "$good"
check "and says so" grep -q "$newer is newer, and passed over" "$WORK/err"
expect "verify of latest fails: the newest is damaged" "$(on_small verify latest >/dev/null 2>&1; echo $?)" 2
check "prune leaves both" on_small prune
expect "a restore of it is refused" "$(on_small show "$newer" >/dev/null 2>&1; echo $?)" 65
check "rm takes it by its stamp" on_small rm "$newer" --yes
check "rm takes a label" on_small rm good --yes
expect "both are gone" "$(on_small list -o json | jq -r '.backups[].label' | grep -cE "$good|$newer")" 0
sql postgres "DROP ROLE reader" 2>/dev/null || true

# ---- another key: what was signed with the first is not trusted, which is no damage
keys_of() { # SIGNING_KEY
  mkdir -p "$WORK/rotate"
  cp .env.test "$WORK/rotate/.env.test"
  printf '%s\n' 'name: shop' 'backup:' "  store: $WORK/store-of-rotation" "  signing_key: $1" '  retention: {days: 0, count: 3}' >"$WORK/rotate/codops.yaml"
}
turned() { "$CODOPS" backup "$@" -C "$WORK/rotate"; }
keys_of "$WORK/sign"
for _ in 1 2; do turned test >/dev/null 2>&1; done
"$CODOPS" backup keygen --identity "$WORK/identity2" --signing-key "$WORK/sign2" >/dev/null
keys_of "$WORK/sign2"
check "a backup with a new key" turned test
expect "prunes none of the old ones" "$(turned list test -o json | jq -r '[.backups[].state] | join(" ")')" "verified untrusted untrusted"
rc=0
turned verify test all >"$WORK/out" 2>&1 || rc=$?
expect "verify tells them from damaged ones, and leaves no mark" "$rc $(grep -c 'NOT TRUSTED' "$WORK/out") $(grep -l '"damage": "[^"]' -r "$WORK/store-of-rotation" | wc -l)" "2 2 0"
keys_of "$WORK/sign"
expect "with the old key they are what they were" "$(turned list test -o json | jq -r '[.backups[].state] | join(" ")')" "untrusted verified verified"
check "and a backup with it prunes by the count alone" turned test
expect "so that three verified ones are left" "$(turned list test -o json | jq -r '[.backups[].state] | join(" ")')" "verified untrusted verified verified"
mkdir -p "$WORK/store-of-rotation/shop/test/99999999-999999F"
cp "$(find "$WORK/store-of-rotation" -name manifest.json | sort | head -n 1)" "$WORK/store-of-rotation/shop/test/99999999-999999F/manifest.json"
before=$(turned list test -o json | jq -r '[.backups[] | select(.sound)][0].label')
check "a backup beside an impossible stamp" turned test
expect "has one of its own, after the last" "$([[ $(turned list test -o json | jq -r '[.backups[] | select(.sound)][0].label') > $before ]] && echo yes)" yes
expect "the impossible one is told" "$(turned list test -o json | jq -r '.backups[] | select(.label == "99999999-999999F") | .state')" damaged
check "and goes by its stamp" turned rm test 99999999-999999F --yes
expect "an option before the command is told where it belongs" "$("$CODOPS" --store /x backup list 2>&1 | grep -c 'comes before the command')" 1

# ---- backups of two databases in one folder: what list says of each is what prune does
sql postgres 'CREATE DATABASE twin'
for twin in small twin; do
  mkdir -p "$WORK/twins/$twin"
  sed "s,/shop\$,/$twin," .env.test >"$WORK/twins/$twin/.env.test"
  sed "s,store: .*,store: $WORK/store-of-twins,; s/count: 50/count: 1/" codops.yaml >"$WORK/twins/$twin/codops.yaml"
done
of_twin() { "$CODOPS" backup "${@:2}" -C "$WORK/twins/$1"; }
told() { # TWIN: what list keeps, newest first, then where a prune would differ
  of_twin "$1" list test -o json | jq -c '[.backups[] | {label, keep, reasons}] | sort_by(.label)' >"$WORK/listed"
  of_twin "$1" list test -o json | jq -c '[.backups[].keep]'
  of_twin "$1" prune test --dry-run -o json | jq -c '[.backups[] | {label, keep, reasons}] | sort_by(.label)' | diff "$WORK/listed" -
}
for twin in small small twin; do of_twin "$twin" test --no-prune >/dev/null 2>&1; done
expect "another database's are kept" "$(told twin)" "[true,true,true]"
expect "of its own what no rule keeps is not" "$(told small)" "[true,true,false]"
sed -i "s,:$PGPORT_OWN/,:1/," "$WORK/twins/small/.env.test"
expect "where it can't be asked which are its own, all are" "$(told small)" "[true,true,true]"
sed -i "s,:1/,:$PGPORT_OWN/," "$WORK/twins/small/.env.test"
expect "one would go" "$(of_twin small list test | grep -c 'next prune removes it')" 1
check "and goes" of_twin small prune test
expect "so that two are left" "$(told twin)" "[true,true]"
sql postgres 'DROP DATABASE twin'

# ---- an identity that a passphrase protects, as `age -p` makes it
cat >"$WORK/protect.py" <<'PY'
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("age", ["age", "-p", "-a", "-o", sys.argv[2], sys.argv[1]])
for _ in range(2):  # the passphrase, and once more
    while b"assphrase" not in os.read(terminal, 4096): pass
    os.write(terminal, b"open sesame\n")
try:
    while os.read(terminal, 4096): pass
except OSError: pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
check "age protects the identity" python3 "$WORK/protect.py" "$WORK/identity" "$WORK/protected"
protected() { "$CODOPS" backup "$@" --set "backup.identity_file=$WORK/protected"; }
check "a backup needs no passphrase for it" protected test
rc=0
protected export test latest "$WORK/protected.dump" >"$WORK/out" 2>&1 || rc=$?
expect "what has to be read is refused without" "$rc $(grep -c "$WORK/protected is protected by a passphrase" "$WORK/out") $(grep -c 'set CODOPS_BACKUP_PASSPHRASE' "$WORK/out")" "78 1 1"
rc=0
CODOPS_BACKUP_PASSPHRASE='open says me' protected export test latest "$WORK/protected.dump" >"$WORK/out" 2>&1 || rc=$?
expect "and with another one" "$rc $(grep -c "the passphrase does not open $WORK/protected" "$WORK/out")" "78 1"
check "with it, it is read" env CODOPS_BACKUP_PASSPHRASE='open sesame' "$CODOPS" backup export test latest "$WORK/protected.dump" --set "backup.identity_file=$WORK/protected"
check "and whole" "$pg_bin/pg_restore" -f /dev/null "$WORK/protected.dump"
expect "--help names the variable" "$("$CODOPS" restore --help | grep -c CODOPS_BACKUP_PASSPHRASE)" 1

# ---- secrets
if command -v strace >/dev/null; then
  strace -f -qq -s 4096 -e trace=execve -v -o "$WORK/execs" "$CODOPS" backup test --jobs 2 >"$WORK/out" 2>&1 || true
  expect "the password is in no child's arguments or environment" "$(grep -c "c4nary" "$WORK/execs" || true)" 0
  expect "children were seen" "$(grep -q pg_dump "$WORK/execs" && echo yes)" yes
else
  skip "secrets in children" "no strace"
fi
expect "the password is in no output and no stored file" "$(grep -rl c4nary "$WORK/store" "$WORK/out" "$WORK/codops.prom" 2>/dev/null | wc -l)" 0

# ---- two at once
"$CODOPS" backup test >"$WORK/a" 2>&1 &
one=$!
wait_for 10 sh -c "find '$WORK/store' -name in-progress.json | grep -q ." || true
kill -STOP "$one"
rc=0
"$CODOPS" backup test >"$WORK/b" 2>&1 || rc=$?
expect "the second of two at once is kept out, though the first stands still" "$rc $(grep -c "pid $one on " "$WORK/b")" "4 1"
kill -CONT "$one"
rc=0; wait "$one" || rc=$?
expect "which goes on when it may" "$rc" 0
"$CODOPS" backup test >"$WORK/a" 2>&1 &
one=$!
wait_for 10 sh -c "find '$WORK/store' -name in-progress.json | grep -q ." || true
kill -STOP "$one"
kill -KILL "$one"
wait "$one" || true
check "of one that was killed while it stood still nobody waits" "$CODOPS" backup test

# ---- kill -9 at every tenth of a run
unfinished() { find "$WORK/store" \( -name '*.tmp' -o -name in-progress.json \) -printf '%P %s %TT\n'; }
before=$(count)
started=$(date +%s%N)
"$CODOPS" backup test >/dev/null 2>&1
whole=$(($(date +%s%N) - started))
before=$((before + 1))
for tenth in 1 2 3 4 5 6 7 8 9; do
  "$CODOPS" backup test >/dev/null 2>&1 &
  victim=$!
  sleep "$(python3 -c "print($whole * $tenth / 10 / 1e9)")"
  kill -KILL "$victim" 2>/dev/null || true
  wait "$victim" 2>/dev/null || true
done
invariant "kill -9 at every tenth" "$before"
before=$(count)
check "the next run" "$CODOPS" backup test
expect "it sweeps what killed runs left" "$(unfinished)" ""
expect "folders without a manifest are gone" "$(find "$WORK/store/shop/test" -mindepth 1 -maxdepth 1 -type d | wc -l)" "$(count)"

# ---- each step of publication: every folder, rename, sync and removal is killed, then fails. With --full only.
# strace counts each call by its own number: glibc's renameat2 without flags is renameat; the manifest's, which takes nobody's place,
# is a renameat2. A run that ends well was beyond the last one.
every() { # CALL FAULT LEAST: fault at the first CALL of a run, at the second of the next …; LEAST of them must be met
  local call=$1 fault=$2 least=$3 k rc ignored=''
  for ((k = 1; k <= 60; ++k)); do
    rc=0
    strace -f -qq -o "$WORK/trace" -e trace="$call" -e inject="$call:$fault:when=$k" "$CODOPS" backup test >"$WORK/out" 2>&1 || rc=$?
    if ((rc == 0)) && grep -q INJECTED "$WORK/trace"; then ignored+=" $k"; elif ((rc == 0)); then break; fi
    if [[ $fault == error=* && -n $(unfinished) ]]; then fail "$call:$fault:when=$k leaves nothing" "$(unfinished)"; fi
  done
  if ((k > least && k <= 60)); then pass "$call:$fault was met"; else fail "$call:$fault was met" "$((k - 1)) times, not $least"; fi
  expect "$call:$fault ends with an error, wherever it is" "$ignored" ""
}
if [[ -z ${CODOPS_FULL:-} ]]; then
  :
elif command -v strace >/dev/null; then
  before=$(count)
  every mkdir signal=SIGKILL 1
  every renameat signal=SIGKILL 4
  every renameat2 signal=SIGKILL 1
  every fsync signal=SIGKILL 11
  every unlink signal=SIGKILL 1
  invariant "kill -9 at each folder, rename, fsync and unlink" "$before"
  check "the run after those" "$CODOPS" backup test
  expect "nothing unfinished stays" "$(unfinished)" ""
  before=$(count)
  every mkdir error=ENOSPC 1
  every renameat error=EIO 4
  every renameat2 error=EIO 1
  every fsync error=EIO 11
  every unlink error=EIO 1
  rc=0
  strace -f -qq -o "$WORK/trace" -e trace=write -e inject=write:error=ENOSPC:when=40 "$CODOPS" backup test >"$WORK/out" 2>&1 || rc=$?
  expect "a write that fails is a failure" "$((rc != 0)) $(grep -q INJECTED "$WORK/trace" && echo met)" "1 met"
  invariant "failing system calls" "$before"
  expect "a failed run leaves nothing" "$(unfinished)" ""
  # It was in place when its folder could not be synced: no other backup's name is taken.
  strace -f -qq -o "$WORK/trace" -e trace=renameat2,fsync -e inject=fsync:error=EIO:when=10 "$CODOPS" backup test >"$WORK/out" 2>&1 || true
  expect "what fails after the manifest's rename is told as that" "$(grep -A 1 renameat2 "$WORK/trace" | grep -c INJECTED) $(grep -c '^error: cannot sync .*: Input/output error' "$WORK/out")" "1 1"
else
  skip "publication steps" "no strace"
fi

# ---- pg_dump or its backend dies
before=$(count)
"$CODOPS" backup test >"$WORK/out" 2>&1 &
run=$!
wait_for 10 pgrep -f "pg_dump.*port='$PGPORT_OWN'" || true
pkill -KILL -P "$run" pg_dump || true
rc=0; wait "$run" || rc=$?
expect "a killed pg_dump is a failure" "$rc" 1
# It looks for a backend in COPY without a pause, from before the run on: a small table is out in a few milliseconds.
"$pg_bin/psql" -X -q -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -c "DO \$\$ DECLARE hit int := 0; BEGIN
  WHILE hit = 0 AND clock_timestamp() < now() + interval '20 s' LOOP
    PERFORM pg_stat_clear_snapshot();
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) INTO hit FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active';
  END LOOP; END \$\$" &
hunter=$!
"$CODOPS" backup test >"$WORK/out" 2>&1 &
run=$!
rc=0; wait "$run" || rc=$?
wait "$hunter" || true
if ((rc != 0)); then pass "a terminated backend is a failure"; else fail "a terminated backend is a failure" "exit 0"; fi
invariant "dead children" "$before"

# ---- a table that is being altered
"$pg_bin/psql" -X -q -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -d shop -c "BEGIN; LOCK TABLE few IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(30)" >/dev/null 2>&1 &
holder=$!
wait_for 5 sh -c "'$pg_bin/psql' -X -A -t -h '$PGSOCK' -p '$PGPORT_OWN' -U postgres -d shop -c \"SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'\" | grep -q '[1-9]'" || true
rc=0
timeout 25 "$CODOPS" backup test --lock-wait 500ms >"$WORK/out" 2>&1 || rc=$?
expect "a long lock is waited for only so long" "$rc" 1
kill "$holder" 2>/dev/null || true
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()" >/dev/null

# ---- a full disk
mkdir "$WORK/small-store"
if mount -t tmpfs -o size=12m tmpfs "$WORK/small-store"; then
  check "it fits once" "$CODOPS" backup test --store "$WORK/small-store" --no-prune
  rc=0
  for _ in 1 2 3 4 5; do "$CODOPS" backup test --store "$WORK/small-store" >"$WORK/out" 2>"$WORK/err" || { rc=$?; break; }; done
  expect "a full disk is a failure" "$rc" 1
  check "it is named" grep -q "No space left" "$WORK/err"
  check "with the state of things, and what to type" grep -q "^hint: nothing was published, and earlier backups are as they were; once that is mended: codops backup test --store $WORK/small-store" "$WORK/err"
  check "what was there is whole" "$CODOPS" backup verify test all --store "$WORK/small-store"
  expect "nothing half-written stays" "$(find "$WORK/small-store" -name '*.tmp' | wc -l)" 0
  before=$(count --store "$WORK/small-store")
  rc=0
  "$CODOPS" backup test --store "$WORK/small-store" --set backup.retention.count=1 >"$WORK/out" 2>&1 || rc=$?
  expect "and nothing is pruned for one that failed" "$rc $(count --store "$WORK/small-store")" "1 $before"
  mount -o remount,ro "$WORK/small-store"
  check "and in a store that takes no notes" sh -c "'$CODOPS' backup verify test all --store '$WORK/small-store' 2>'$WORK/err'"
  check "which is told" grep -q "that it was verified is not recorded in the store" "$WORK/err"
else
  skip "a full disk" "no tmpfs may be mounted"
fi

# ---- whoever watches is told of every failure, by the ping and by the metrics, whatever the store says
cat >"$WORK/watch.py" <<'PY'
import http.server, sys
class Watch(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[2], "a") as log: log.write(self.path + "\n")
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    do_POST = do_HEAD = do_GET
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Watch)
open(sys.argv[1], "w").write(str(server.server_port))
server.serve_forever()
PY
python3 "$WORK/watch.py" "$WORK/watch.port" "$WORK/pings" &
watch=$!
wait_for 10 test -s "$WORK/watch.port"
DEADMAN="http://127.0.0.1:$(<"$WORK/watch.port")/uu?create=1"
export DEADMAN
watched() { # what the watcher saw, and whether the metrics have a new attempt beside an older success
  local rc=0 attempt
  attempt=$(sed -n 's/^codops_backup_last_attempt[^ ]* //p' "$WORK/codops.prom")
  : >"$WORK/pings"
  "$CODOPS" backup "$@" --ping-env DEADMAN --metrics-file "$WORK/codops.prom" >"$WORK/out" 2>"$WORK/err" || rc=$?
  echo "$((rc != 0)) $(xargs <"$WORK/pings") $([[ $(sed -n 's/^codops_backup_last_attempt[^ ]* //p' "$WORK/codops.prom") > $attempt ]] && echo attempt) $(grep -c '^codops_backup_last_success' "$WORK/codops.prom")"
}
expect "a success" "$(watched test)" "0 /uu/start?create=1 /uu?create=1 attempt 1"
touch "$WORK/store-file"
expect "a store that is a file" "$(watched test --store "$WORK/store-file")" "1 /uu/start?create=1 /uu/fail?create=1 attempt 1"
mkdir -p "$WORK/unreadable"
cp .env.test "$WORK/unreadable/"
sed "s,signing_key: .*,signing_key: $WORK/no-such-key," codops.yaml >"$WORK/unreadable/codops.yaml"
expect "a signing key that is not there" "$(watched test -C "$WORK/unreadable")" "1 /uu/start?create=1 /uu/fail?create=1 attempt 1"
{
  cat codops.yaml
  printf '  s3: {endpoint: "http://127.0.0.1:1", path_style: true}\n'
} >"$WORK/unreadable/codops.yaml"
expect "an S3 that refuses" "$(AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b watched test -C "$WORK/unreadable" --store s3://bucket/prefix)" "1 /uu/start?create=1 /uu/fail?create=1 attempt 1"
kill "$watch" 2>/dev/null || true

# ---- latest, when its restore dies after the safety backup
restore_dry() { "$CODOPS" restore test "$@" --dry-run; }
chosen=$("$CODOPS" backup show test latest -o json | jq -r .label)
expect "a dry run says which backup latest is" "$(restore_dry latest | grep -c "latest, which is $chosen") $(restore_dry latest -o json | jq -r .source)" "1 $chosen"
before=$(count)
"$CODOPS" restore test latest --yes >"$WORK/out" 2>&1 &
victim=$!
wait_for 30 sh -c "'$CODOPS' backup list test -o json | jq -e '.backups | length > $before'" || true
kill -KILL "$victim" 2>/dev/null || true
wait "$victim" 2>/dev/null || true
expect "there is a safety backup, and latest is what it was" "$(($(count) > before)) $("$CODOPS" backup show test latest -o json 2>/dev/null | jq -r .label)" "1 $chosen"
for side in $(sql postgres "SELECT datname FROM pg_database WHERE datname ~ '^shop_(before|undone)'"); do sql postgres "DROP DATABASE \"$side\""; done

# ---- the clock
if [[ -e /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 ]]; then
  newest=$(labels | tail -n 1)
  check "a clock that is a year behind" env LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 FAKETIME=-365d "$CODOPS" backup test
  if [[ $(labels | tail -n 1) > $newest ]]; then pass "its label still sorts last"; else fail "its label still sorts last" "$(labels | tail -n 1)"; fi
  before=$(count)
  week() { "$@" "$CODOPS" backup test --set backup.retention.days=7 --set backup.retention.count=0; }
  check "a clock that is a year ahead" week env LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 FAKETIME=+365d
  newest=$(labels | tail -n 1)
  check "and right again" week env
  expect "drops none of the good ones by days" "$(count)" "$((before + 2))"
  if [[ $(labels | tail -n 1) > $newest ]]; then pass "and the newest still sorts last"; else fail "and the newest still sorts last" "$(labels | tail -n 1)"; fi
  check "all of them are whole" "$CODOPS" backup verify test all
else
  skip "the clock" "no libfaketime" || true
fi
finish
