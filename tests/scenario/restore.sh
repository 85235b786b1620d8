#!/usr/bin/env bash
# `codops restore` with everything that a backup may hold (database, Redis, an upload folder), and its death at any moment:
# what was live is live, or what was restored is, whole; the next run takes back what the dead one left.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
PG_PASSWORD='c4nary-pa:ss\word'
source "$SUPPORT/backup_postgres.sh"
clean_up() {
  postgres_stop "$WORK/pg" || true
  [[ -z ${redis_pid:-} ]] || kill "$redis_pid" 2>/dev/null || true
}
if ! postgres_start "$WORK/pg"; then
  skip "server" "no PostgreSQL server programs are installed"
  finish
fi
command -v redis-server >/dev/null || { skip "redis" "no redis-server is installed"; finish; }
redis_port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
mkdir "$WORK/redis" "$WORK/uploads" "$WORK/project" "$WORK/store"
redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$WORK/redis" --save '' --requirepass c4nary-redis >"$WORK/redis.log" 2>&1 &
redis_pid=$!
redis() { REDISCLI_AUTH=c4nary-redis redis-cli -p "$redis_port" "$@"; }
wait_for 10 redis ping

sql postgres 'CREATE DATABASE shop'
sql shop "CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS what, repeat(md5(i::text), 4) AS more FROM generate_series(1, 60000) i; ALTER TABLE orders ADD PRIMARY KEY (id)"
redis set greeting hello >/dev/null
redis eval "for i = 1, 2000 do redis.call('HSET', 'h' .. i, 'f', i) end" 0 >/dev/null
mkdir "$WORK/uploads/2026"
echo picture >"$WORK/uploads/2026/a.png"
head -c 3000000 /dev/urandom >"$WORK/uploads/large"
cd "$WORK/project"
encoded=$(python3 -c 'import sys,urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$PG_PASSWORD")
printf 'DATABASE_URL=postgresql://postgres:%s@127.0.0.1:%s/shop\nREDIS_URL=redis://:c4nary-redis@127.0.0.1:%s/0\n' "$encoded" "$PGPORT_OWN" "$redis_port" >.env.test
{
  echo "name: shop"
  backup_settings 'redis: true' "volumes: [$WORK/uploads]" 'retention: {days: 0, count: 100}'
  printf '%s\n' "health:" "  checks:" "    database: {postgres: DATABASE_URL}" "    redis: {redis: REDIS_URL}"
} >codops.yaml

# What is live, in one line: rows, a key, the files.
state() {
  printf '%s %s %s' "$(sql shop "SELECT count(*), COALESCE(sum(id), 0) FROM orders")" "$(redis get greeting)" \
    "$(cd "$WORK/uploads" && find . -path './.codops-*' -prune -o -type f -print | sort | xargs -r sha256sum | sha256sum | cut -c 1-12)"
}
tidy() { # what restores keep on purpose
  local side
  for side in $(sql postgres "SELECT datname FROM pg_database WHERE datname ~ '^shop_(before|undone)'"); do sql postgres "DROP DATABASE \"$side\""; done
  for side in 11 12 13 14 15; do redis -n "$side" flushdb >/dev/null; done
  rm -rf "$WORK"/uploads/.codops-before-* "$WORK"/uploads/.codops-undone-*
}

# ---- together, and back
check "a backup with all three" "$CODOPS" backup test --label good
expect "it says what it holds" "$("$CODOPS" backup show test good -o json | jq -r '[.parts[].kind] | sort | unique | join(",")')" "archive,files,globals,redis"
check "it verifies" "$CODOPS" backup verify test
good=$(state)
sql shop 'DELETE FROM orders WHERE id % 2 = 0'
redis set greeting changed >/dev/null
rm -r "$WORK/uploads/2026"
changed=$(state)
check "dry run" "$CODOPS" restore test good --dry-run
expect "changes nothing" "$(state)" "$changed"
check "restore" "$CODOPS" restore test good --yes
expect "all three are back" "$(state)" "$good"
expect "the live database is writable" "$(sql shop 'SHOW default_transaction_read_only')" off
check "undo, dry run" "$CODOPS" restore test --undo --dry-run --yes
expect "changes nothing" "$(state) $(sql postgres "SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_before%'")" "$good 1"
rc=0
"$CODOPS" backup pin test good --dry-run >/dev/null 2>&1 || rc=$?
expect "a verb that has no dry run refuses it" "$rc $("$CODOPS" backup show test good -o json | grep -c '"pinned": *true')" "64 0"
check "undo" "$CODOPS" restore test --undo --yes
expect "all three are what they were" "$(state)" "$changed"
tidy
check "one table" "$CODOPS" restore test good --table orders --yes
schema=$(sql shop "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'restored_%'")
expect "its rows are beside the live ones" "$(sql shop "SELECT count(*) FROM $schema.orders")" 60000
expect "which were not touched" "$(state)" "$changed"
sql shop "DROP SCHEMA $schema CASCADE" 2>/dev/null
check "only Redis, dry run" bash -c "'$CODOPS' restore test good --part redis --dry-run | grep -q 'Redis: what is live is kept beside it; the database is not touched'"
check "only Redis" bash -c "'$CODOPS' restore test good --part redis --yes >'$WORK/only'"
expect "says nothing of a database, and how to go back" "$(grep -c 'the database was not touched' "$WORK/only") $(grep -c '^  back: .*--undo' "$WORK/only") $(grep -c rows "$WORK/only")" "1 1 0"
expect "came back" "$(redis get greeting)" hello
expect "the database did not" "$(sql shop 'SELECT count(*) FROM orders')" 30000
tidy
"$pg_bin/pg_dump" -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -d shop >"$WORK/dump.sql"
rc=0
"$CODOPS" restore test "$WORK/dump.sql" --part redis --yes >/dev/null 2>&1 || rc=$?
expect "a dump file has no Redis" "$rc" 64
rc=0
"$CODOPS" restore test good --part database --into beside --yes >"$WORK/out" 2>&1 || rc=$?
expect "--part goes not with --into, and nothing is made" "$rc $(grep -c '^error: --into makes another database of the backup: it goes without --part' "$WORK/out") $(sql postgres "SELECT count(*) FROM pg_database WHERE datname = 'beside'")" "64 1 0"
rc=0
"$CODOPS" restore test good --into shop --dry-run >"$WORK/out" 2>&1 || rc=$?
expect "a dry run says that --into names a database that is there" "$rc $(grep -c '! database "shop" exists' "$WORK/out")" "65 1"

# ---- every backup verified, the damaged one told and the others read
cp -r "$WORK/store" "$WORK/flipped"
many=$("$CODOPS" backup list test -o json | jq '.backups | length')
flipped=$(find "$WORK/flipped" -name database.dump.zst.age | sort | head -n 1)
# Turned over, whatever it was: 0xff written over it would be the same byte once in 256 runs.
python3 -c "import sys; f = open(sys.argv[1], 'r+b'); f.seek(0, 2); at = f.tell() // 2; f.seek(at); was = f.read(1)[0]; f.seek(at); f.write(bytes([was ^ 0xff]))" "$flipped"
verified() { "$CODOPS" backup verify test all --store "$1" -o json | jq -c '[.exit, ([.backups[] | select(.whole and .read)] | length), ([.backups[] | select(.whole | not) | .label] | join(","))]'; }
expect "verify all reads every one" "$(verified "$WORK/store")" "[0,$many,\"\"]"
expect "of which one with a flipped byte is damaged" "$(verified "$WORK/flipped")" "[2,$((many - 1)),\"$(basename "$(dirname "$flipped")")\"]"

# ---- what pg_dump makes of one schema, which every new database has already
for format in custom plain; do
  "$pg_bin/pg_dump" --format "$format" -n public -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -d shop -f "$WORK/schema.$format"
  check "a $format dump of -n public restores" "$CODOPS" restore test "$WORK/schema.$format" --into only_public --yes
  expect "with every row" "$(sql only_public 'SELECT count(*) FROM orders')" "$(sql shop 'SELECT count(*) FROM orders')"
  sql postgres 'DROP DATABASE only_public'
done
check "the RDB alone" "$CODOPS" backup export test good "$WORK/dump.rdb" --part redis
if command -v redis-check-rdb >/dev/null; then check "is one for Redis" redis-check-rdb "$WORK/dump.rdb"; fi
check "the files alone" "$CODOPS" backup export test good "$WORK/files.tar" --part "$WORK/uploads"
expect "are a tar" "$(tar -xOf "$WORK/files.tar" 2026/a.png)" picture

# ---- a file of a backup's name, where one stands
touch latest good
"$CODOPS" restore test latest --dry-run >"$WORK/out" 2>&1
expect "latest is no file" "$(grep -c '· restore of latest, which is ' "$WORK/out")" 1
rc=0
"$CODOPS" restore test good --yes >"$WORK/out" 2>&1 || rc=$?
expect "what names both is refused, with how to say which" "$rc $(grep -c '^error: "good" is a file here, and the label of backup ' "$WORK/out") $(grep -c '^hint: the file: ./good; the backup: 2' "$WORK/out")" "64 1 1"
rm latest good

# ---- what it prints to go back, where nothing is found by itself, is typed as it stands
state >"$WORK/before"
(cd / && "$CODOPS" -C "$WORK/project" restore test good --part database --yes --no-safety-backup) >"$WORK/out" 2>"$WORK/err"
back=$(sed -n 's/^  back: *\(codops .*[^ ]\)  *(.*/\1/p' "$WORK/out")
check "the printed way back" bash -c "cd / && codops() { '$CODOPS' \"\$@\"; } && $back --yes"
expect "is the way back" "$(state)" "$(sed -n 1p "$WORK/before")"
tidy

# ---- from a passphrase to recipients: what was encrypted with the words is opened with them
sed '/^  recipients:/d; /^  identity_file:/d' codops.yaml >words.yaml
check "a backup with a passphrase" env CODOPS_BACKUP_PASSPHRASE='old words' "$CODOPS" --config words.yaml backup test --label words
check "recipients since then: verify" env CODOPS_BACKUP_PASSPHRASE='old words' "$CODOPS" backup verify test words
check "restore" env CODOPS_BACKUP_PASSPHRASE='old words' "$CODOPS" restore test words --into words --yes
expect "it is what it was" "$(sql words 'SELECT count(*) FROM orders')" "$(sql shop 'SELECT count(*) FROM orders')"
sql postgres 'DROP DATABASE words'
rc=0
CODOPS_BACKUP_PASSPHRASE='other words' "$CODOPS" restore test words --into words --yes >/dev/null 2>"$WORK/err" || rc=$?
expect "not with others" "$((rc != 0)) $(grep -c '^error: .*the passphrase does not open it' "$WORK/err")" "1 1"
rc=0
"$CODOPS" restore test words --into words --yes >/dev/null 2>"$WORK/err" || rc=$?
expect "without: which key is missing" "$((rc != 0)) $(grep -c '^hint: .*CODOPS_BACKUP_PASSPHRASE' "$WORK/err")" "1 1"
check "new ones are for the recipients" env CODOPS_BACKUP_PASSPHRASE='old words' "$CODOPS" backup test --label keys
expect "and need no words" "$(head -c 400 "$WORK/store/shop/test/$("$CODOPS" backup show test keys -o json | jq -r .label)"/database.dump.zst.age | grep -ac X25519)" 1

# ---- a hint is typed as it stands
rc=0
"$CODOPS" --config words.yaml restore test nowhere --yes --store "$WORK/store" >/dev/null 2>"$WORK/err" || rc=$?
expect "a hint goes where the command went" "$rc $(grep -c "codops backup list test --config words.yaml --store $WORK/store" "$WORK/err")" "64 1"

# ---- a SQL-only backup restores, and is compared
check "SQL only" "$CODOPS" backup test --format plain --label sql
check "restores" "$CODOPS" restore test sql --into copied --yes
expect "with every row" "$(sql copied 'SELECT count(*) FROM orders')" 30000
sql postgres 'DROP DATABASE copied'

# ---- secrets
expect "no password in the store or in what was said" "$(grep -rl c4nary "$WORK/store" "$WORK/keys" 2>/dev/null | wc -l)" 0

# ---- killed at tenths of its way: old or new, never between, and the next run clears up
redis set greeting changed >/dev/null
sql shop "DELETE FROM orders WHERE id > 1000"
changed=$(state)
started=$(date +%s%N)
"$CODOPS" restore test good --yes >/dev/null 2>&1
whole=$(($(date +%s%N) - started))
"$CODOPS" restore test --undo --yes >/dev/null 2>&1
tidy
bad=''
# Each of them takes a quarter of a minute: all nine with --full; in the middle, and below at the worst moment, always.
for tenth in ${CODOPS_FULL:+1 2 3 4} 5 ${CODOPS_FULL:+6 7 8 9}; do
  "$CODOPS" restore test good --yes --no-safety-backup >"$WORK/out" 2>&1 &
  victim=$!
  sleep "$(python3 -c "print($whole * $tenth / 10 / 1e9)")"
  kill -KILL "$victim" 2>/dev/null || true
  wait "$victim" 2>/dev/null || true
  # Connections may be closed for the moment; rows are the old ones or the new ones. The next restore mends.
  if ! "$CODOPS" backup test >"$WORK/mend" 2>&1; then
    # Killed between the database and the rest: no backup of that, and the way out is what it says.
    if ! grep -q 'does not belong together' "$WORK/mend" || ! "$CODOPS" restore test --undo --yes >"$WORK/undo" 2>&1 || ! "$CODOPS" backup test >"$WORK/mend" 2>&1; then
      bad+=" $tenth/10: no backup after it ($(tail -n 2 "$WORK/mend"))"
    fi
  fi
  case $(sql shop 'SELECT count(*) FROM orders') in
    60000 | 500) ;;
    *) bad+=" $tenth/10: $(sql shop 'SELECT count(*) FROM orders') rows" ;;
  esac
  [[ $(sql shop 'SHOW default_transaction_read_only') == off ]] || bad+=" $tenth/10: read-only"
  [[ $(sql postgres "SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_new%'") == 0 ]] || bad+=" $tenth/10: a half filled database"
  if ! "$CODOPS" restore test good --yes --no-safety-backup >"$WORK/again" 2>&1; then bad+=" $tenth/10: no restore after it ($(tail -n 2 "$WORK/again"))"; fi
  [[ $(state) == "$good" ]] || bad+=" $tenth/10: $(state)"
  tidy
  sql shop "DELETE FROM orders WHERE id > 1000 OR id % 2 = 0"
  redis set greeting changed >/dev/null
done
expect "killed on its way" "$bad" ""

# ---- killed between the database and the files: a mix is live, which nobody may back up, and two ways out
if command -v strace >/dev/null; then
  echo more >"$WORK/uploads/extra"
  clean=$(state)
  mix() { # the first rename(2) of a restore is of the first file that makes room
    strace -f -o /dev/null -e trace=rename -e inject=rename:signal=KILL:when=1 "$CODOPS" restore test good --yes --no-safety-backup >"$WORK/out" 2>&1 || true
    expect "killed between database and files" "$(sql shop 'SELECT count(*) FROM orders') $([[ $(state) == "$good" || $(state) == "$clean" ]] && echo whole || echo mixed)" "60000 mixed"
  }
  before=$("$CODOPS" backup list test -o json | jq '.backups | length')
  mix
  rc=0
  "$CODOPS" backup test >"$WORK/out" 2>&1 || rc=$?
  expect "no backup is taken of a mix" "$rc $("$CODOPS" backup list test -o json | jq '.backups | length')" "1 $before"
  check "which is said" grep -q 'does not belong together' "$WORK/out"
  check "with the way out" grep -q 'codops restore test --undo' "$WORK/out"
  check "a dry run of a restore says so too" sh -c "'$CODOPS' restore test good --dry-run | grep -q 'does not belong together'"
  check "undo" "$CODOPS" restore test --undo --yes
  expect "puts everything back" "$(state)" "$clean"
  check "and backups are taken again" "$CODOPS" backup test
  expect "nothing is left of it" "$(find "$WORK/uploads" -maxdepth 1 -name '.codops-new-*' | wc -l) $(redis -n 15 exists codops:restore:filling)" "0 0"
  tidy
  mix
  check "or a restore once more" "$CODOPS" restore test good --yes --no-safety-backup
  expect "makes it whole" "$(state)" "$good"
  check "and backups are taken again" "$CODOPS" backup test
  tidy
  sql shop "DELETE FROM orders WHERE id > 1000"
else
  skip "killed between database and files" "no strace"
fi

# ---- two at once, and a deadline
"$CODOPS" restore test good --yes --no-safety-backup >"$WORK/a" 2>&1 &
one=$!
wait_for 10 sh -c "'$pg_bin/psql' -X -A -t -h '$PGSOCK' -p '$PGPORT_OWN' -U postgres -c \"SELECT datname FROM pg_database WHERE datname LIKE 'shop_new%'\" | grep -q new" || true
rc=0
"$CODOPS" restore test good --yes --no-safety-backup >"$WORK/b" 2>&1 || rc=$?
wait "$one" || true
expect "the second of two restores at once is kept out, or waits for the first" "$((rc == 0 || rc == 4))" 1
tidy
# Longer than a session that is ending is waited for.
sql postgres "SELECT pg_advisory_lock(hashtextextended('codops restore shop', 0)), pg_sleep(60)" >/dev/null 2>&1 &
holder=$!
wait_for 10 sh -c "'$pg_bin/psql' -X -A -t -h '$PGSOCK' -p '$PGPORT_OWN' -U postgres -c \"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted\" | grep -q 1" || true
rc=0
"$CODOPS" restore test good --yes --no-safety-backup >"$WORK/b" 2>&1 || rc=$?
expect "while another one holds the lock it is kept out, and names its session" "$rc $(grep -q 'another restore of "shop" is running' "$WORK/b" && echo named)" "4 named"
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'" >/dev/null
wait "$holder" 2>/dev/null || true
rc=0
"$CODOPS" restore test good --yes --no-safety-backup --timeout 300ms >"$WORK/out" 2>&1 || rc=$?
expect "a deadline ends it" "$rc" 124
expect "nothing half filled stays" "$(sql postgres "SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_new%'")" 0

# ---- an application that never lets go of its connections
"$pg_bin/psql" -X -q -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -d shop -c "BEGIN; SELECT count(*) FROM orders; SELECT pg_sleep(60)" >/dev/null 2>&1 &
busy=$!
check "a busy database is restored over" "$CODOPS" restore test good --yes --no-safety-backup
expect "it holds the backup" "$(state)" "$good"
kill "$busy" 2>/dev/null || true
wait "$busy" 2>/dev/null || true
finish
