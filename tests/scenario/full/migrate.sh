#!/usr/bin/env bash
# The migrate verbs and db init, driven as a user would; what counts is exit codes and what the database says afterwards.
source "$(dirname "$0")/../../support/case.sh"
source "$SUPPORT/postgres_plain.sh"

if ! postgres_start "$WORK/pg" -c fsync=off; then
  skip "migrate" "PostgreSQL can't be started"
  finish
fi
clean_up() { postgres_stop; }

project=$WORK/shop
mkdir -p "$project/prisma/migrations"/{20240101000000_init,20240102000000_items}
echo 'provider = "postgresql"' >"$project/prisma/migrations/migration_lock.toml"
echo 'CREATE TABLE items(id int PRIMARY KEY);' >"$project/prisma/migrations/20240101000000_init/migration.sql"
echo 'ALTER TABLE items ADD COLUMN name text;' >"$project/prisma/migrations/20240102000000_items/migration.sql"
printf 'name: shop\ndatabase:\n  extensions: [pgcrypto]\n' >"$project/codops.yaml"
printf 'DATABASE_URL=%s?schema=public&connection_limit=5\n' "$(postgres_url shop)" >"$project/.env.staging"
cd "$project"

run() { # EXIT NAME ARGUMENTS...
  local wanted=$1 name=$2 got=0
  shift 2
  "$CODOPS" "$@" >"$WORK/out" 2>"$WORK/err" || got=$?
  expect "$name" "$got" "$wanted"
  if [[ $got != "$wanted" ]]; then head -n 5 "$WORK/out" "$WORK/err"; fi
  if grep -q "$PG_PASSWORD" "$WORK/out" "$WORK/err"; then fail "$name shows no password" "the password is in its output"; fi
}
history() { psql_in shop -c "SELECT string_agg(migration_name || CASE WHEN finished_at IS NULL THEN '-' ELSE '+' END, ' ' ORDER BY started_at) FROM _prisma_migrations WHERE rolled_back_at IS NULL"; }

run 0 "db init --print prints SQL" db init staging --print
check "db init --print has the database" grep -q 'CREATE DATABASE "shop"' "$WORK/out"
run 0 "db init" db init staging
run 0 "db init again" db init staging
check "db init again makes nothing" sh -c '! grep -q "^  +" "$1"' - "$WORK/out"
expect "the extension is there" "$(psql_in shop -c "SELECT count(*) FROM pg_extension WHERE extname = 'pgcrypto'")" 1

run 2 "status: pending" migrate status staging
run 0 "dry run" migrate staging --dry-run
expect "a dry run makes no table" "$(psql_in shop -c "SELECT to_regclass('_prisma_migrations') IS NULL")" t
run 0 "migrate" migrate staging
expect "history" "$(history)" "20240101000000_init+ 20240102000000_items+"
run 0 "migrate again" migrate up staging
run 0 "status: up to date" migrate status staging --output json
check "status's JSON" python3 -c 'import json,sys; d = json.load(open(sys.argv[1])); assert d["counts"]["applied"] == 2 and d["exit"] == 0' "$WORK/out"

run 0 "new" migrate new staging "Add COD fee"
new=$(cd prisma/migrations && ls -d ./*_add_cod_fee)
expect "its files have the caller's mode" "$(stat -c %a "prisma/migrations/$new/migration.sql")" 644
printf 'ALTER TABLE items ADD COLUMN fee int;\n\nSELECT nope\n  FROM items;\n' >"prisma/migrations/$new/migration.sql"
run 1 "a failing script" migrate staging
check "names file, line, column" grep -q "${new#./}/migration.sql:3:8" "$WORK/err"
check "shows a caret" grep -q '│        ^' "$WORK/err"
expect "leaves nothing" "$(psql_in shop -c "SELECT count(*) FROM information_schema.columns WHERE table_name = 'items'")" 2
echo 'CREATE INDEX items_name ON items(name);' >"prisma/migrations/$new/migration.sql"
run 0 "plan" migrate plan staging
check "plan names the lock" grep -q 'SHARE' "$WORK/out"
run 65 "lint --strict" migrate lint staging --strict
run 65 "lint as SARIF" migrate lint staging --strict --output sarif
check "SARIF is JSON" python3 -c 'import json,sys; assert json.load(open(sys.argv[1]))["runs"][0]["results"][0]["ruleId"] == "index-not-concurrent"' "$WORK/out"
echo '-- codops-lint: allow index-not-concurrent because the table is small' >>"prisma/migrations/$new/migration.sql"
run 0 "lint with an exception" migrate lint staging --strict
run 0 "migrate after the correction" migrate staging

run 0 "verify" migrate verify staging
psql_in shop -c 'ALTER TABLE items ADD COLUMN by_hand int'
run 2 "verify finds what was done by hand" migrate verify staging
psql_in shop -c 'ALTER TABLE items DROP COLUMN by_hand'

echo 'DROP INDEX items_name;' >"prisma/migrations/$new/down.sql"
run 0 "down" migrate down staging --yes
expect "down forgot it" "$(history)" "20240101000000_init+ 20240102000000_items+"
run 64 "down without a terminal and --yes" migrate down staging
run 0 "migrate up again" migrate up staging

echo '-- edited' >>prisma/migrations/20240101000000_init/migration.sql
run 65 "status: edited" migrate status staging
sed -i '/edited/d' prisma/migrations/20240101000000_init/migration.sql
mkdir prisma/migrations/30000101000000_psql
printf 'SELECT 1;\n\\set x 1\n' >prisma/migrations/30000101000000_psql/migration.sql
run 65 "a psql command" migrate staging
check "is named with its place" grep -q '30000101000000_psql/migration.sql:2:1' "$WORK/err"

# SIGTERM (bash ignores SIGINT for what it starts in the background) and kill -9 while a script runs.
echo 'CREATE TABLE half(id int); SELECT pg_sleep(30);' >prisma/migrations/30000101000000_psql/migration.sql
sleeping() { [[ $(psql_in shop -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "$1" ]]; }
"$CODOPS" migrate staging >/dev/null 2>&1 &
pid=$!
check "it sleeps" wait_for 10 sleeping 1
run 4 "another run" migrate staging --lock-wait 100ms
check "names the holder" grep -q 'codops' "$WORK/err"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
expect "SIGTERM" "$code" 143
check "its statement ended" wait_for 5 sleeping 0
"$CODOPS" migrate staging >/dev/null 2>&1 &
pid=$!
check "it sleeps again" wait_for 10 sleeping 1
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
check "kill -9 leaves no backend" wait_for 5 sleeping 0
expect "nor half a migration" "$(psql_in shop -c "SELECT to_regclass('half') IS NULL")" t
rm -r prisma/migrations/30000101000000_psql
run 0 "then all is well" migrate status staging

# A database that has its schema already.
psql_in postgres -c 'CREATE DATABASE legacy' && psql_in legacy -c 'CREATE TABLE items(id int PRIMARY KEY)'
LEGACY=$(postgres_url legacy)
export LEGACY
run 1 "a schema without history" migrate staging --database-url-env LEGACY
check "says P3005" grep -q P3005 "$WORK/err"
run 0 "baseline" migrate baseline staging --to 20240101000000_init --database-url-env LEGACY --yes
run 0 "migrate after the baseline" migrate staging --database-url-env LEGACY
psql_in legacy -c "INSERT INTO _prisma_migrations(id, checksum, migration_name, logs) VALUES ('x', 'y', '20990101000000_x', 'boom')"
run 1 "a failed row" migrate staging --database-url-env LEGACY
check "says P3009" grep -q P3009 "$WORK/err"
run 0 "resolve" migrate resolve staging --rolled-back 20990101000000_x --database-url-env LEGACY
run 0 "migrate after resolve" migrate staging --database-url-env LEGACY

# What came from elsewhere into the history stays on its line.
psql_in legacy -c "INSERT INTO _prisma_migrations(id, checksum, migration_name, finished_at) VALUES ('z', 'y', E'x\\n::error title=x::\\x1b[31m', now())"
run 65 "status: a name with control characters" migrate status staging --database-url-env LEGACY
check "is shown escaped" sh -c 'grep -q "x.x0a::error" "$1" && ! grep -q "^::error" "$1"' - "$WORK/out"
run 64 "new with a name that is too long" migrate new staging "$(printf 'a%.0s' {1..300})"

# A name server that never answers, in a mount namespace of its own.
if unshare -m true 2>/dev/null; then
  python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.54", 53))
open(sys.argv[1], "w").write("x")
time.sleep(60)' "$WORK/dns" &
  dns=$!
  check "a silent name server" wait_for 10 test -s "$WORK/dns"
  echo "nameserver 127.0.0.54" >"$WORK/resolv.conf"
  echo "hosts: dns" >"$WORK/nsswitch.conf"
  export SLOW=postgresql://postgres@slow.example/shop
  silent() { # SIGNAL ARGUMENTS...: how long and with what exit codops goes
    local start signal=$1 rc=0
    shift
    start=$(date +%s%3N)
    unshare -m sh -c 'mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && shift && exec "$@"' - "$WORK" \
      timeout -s "$signal" 1.5 "$CODOPS" migrate status staging --database-url-env SLOW "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
    took=$(($(date +%s%3N) - start))
    echo "$rc" >"$WORK/rc"
  }
  silent KILL --timeout 500ms
  check "a silent name server: --timeout 500ms ends it" test "$(cat "$WORK/rc")" = 124
  silent KILL --wait 500ms
  check "--wait 500ms too" sh -c 'test "$1" != 137 && test "$1" != 0' - "$(cat "$WORK/rc")"
  silent TERM
  check "and SIGTERM" test "$took" -lt 4000
  kill "$dns"
else
  skip "a silent name server" "no mount namespace"
fi
finish
