#!/usr/bin/env bash
# backup and restore where this machine has no programs of PostgreSQL: those in the database's container are used, whose stdin
# is all that they can be given.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
# shellcheck source=tests/support/backup_postgres.sh
source "$SUPPORT/backup_postgres.sh"
need_engine
if ((EUID != 0)); then
  skip "the host's programs" "hiding them takes root"
  finish
fi
# shellcheck disable=SC2119
site
backup_settings 'restore: {health: false}' >>"$APP/codops.yaml"
in_database() { docker exec -i "$(docker ps -q "${mine[@]}" --filter label=com.docker.compose.service=postgres)" "$@"; }
psql() { in_database psql -X -q -A -t -U shop -d "${2:-shop}" -c "$1"; }
state() { psql "SELECT count(*), sum(total_cents), max(customer) FROM orders" "${1:-shop}"; }
spoil() { psql "DELETE FROM orders WHERE total_cents % 2 = 0; UPDATE orders SET customer = 'x' WHERE id % 100 = 0; CREATE TABLE IF NOT EXISTS later (x int)"; }

exits "deploy" 0 deploy demo v1.0.0
check "tables" migrated
psql "INSERT INTO orders (customer, total_cents) SELECT 'c' || i, i FROM generate_series(1, 60000) i; SELECT lo_from_bytea(4711, '\xdeadbeef')" >/dev/null
saved=$(state)
in_database pg_dump -U shop -Fc shop >"$WORK/plain.dump"
in_database pg_dump -U shop shop >"$WORK/plain.sql"
gzip -k "$WORK/plain.sql"
mkdir "$WORK/folder" "$WORK/none"

# ---- from here on codops runs where none are
cat >"$WORK/bare" <<'SH'
#!/usr/bin/env bash
# shellcheck disable=SC2016
exec unshare -m bash -c 'set -e
  for folder in /usr/lib/postgresql /usr/pgsql-*; do [ ! -d "$folder" ] || mount --bind "$0" "$folder"; done
  for folder in ${PATH//:/ }; do
    for name in pg_dump pg_dumpall pg_restore psql; do [ ! -x "$folder/$name" ] || mount --bind /dev/null "$folder/$name"; done
  done
  exec "$@"' "$(dirname "$0")/none" "$BARE_CODOPS" "$@"
SH
chmod +x "$WORK/bare"
export BARE_CODOPS=$CODOPS
# shellcheck disable=SC2016
expect "none is at hand" "$(BARE_CODOPS=bash "$WORK/bare" -c 'for p in pg_dump pg_dumpall pg_restore psql; do "$p" --version && echo "$p"; done; ls /usr/lib/postgresql' 2>/dev/null || true)" ""
CODOPS=$WORK/bare

for format in custom plain directory all; do
  exits "backup as $format" 0 backup demo --format "$format" --jobs 2 -o json
  label=$(result .label | tr -d '"')
  spoil
  exits "$format: restore" 0 restore demo "$label" --yes --no-safety-backup
  expect "$format: all of it is back" "$(state)" "$saved"
  expect "$format: large objects too" "$(psql "SELECT encode(lo_get(4711), 'hex')")" deadbeef
  expect "$format: and nothing of later" "$(psql "SELECT to_regclass('later') IS NULL")" t
done
exits "its roles are in it" 0 backup export demo "$label" "$WORK/globals.sql" --part globals
expect "as pg_dumpall writes them" "$(grep -c '^CREATE ROLE shop' "$WORK/globals.sql")" 1

for file in plain.dump plain.sql plain.sql.gz; do
  spoil
  exits "restore of $file" 0 restore demo "$WORK/$file" --yes --no-safety-backup
  expect "$file: all of it is back" "$(state)" "$saved"
done
exits "a drill, where no server can be started" 69 backup drill demo
expect "says where else" "$(grep -c '^hint: .*--server-env.*--same-server' "$WORK/err")" 1
exits "a drill on the server itself" 0 backup drill demo --same-server -o json
expect "compares every row" "$(result .rows)" "$("$CODOPS" -C "$APP" backup show demo latest -o json | jq .marks.rows)"
expect "and leaves nothing there" "$(psql "SELECT count(*) FROM pg_database WHERE datname ~ '_drill_'") $(state)" "0 $saved"
exits "restore with a safety backup" 0 restore demo latest --yes
expect "all of it is there" "$(state)" "$saved"
exits "into another database" 0 restore demo latest --into other
expect "the same" "$(state other)" "$saved"
exits "one table" 0 restore demo latest --table orders -o json
expect "its rows" "$(psql "SELECT count(*) FROM $(result .schema | tr -d '"').orders")" "$(psql 'SELECT count(*) FROM orders')"
head -c 20000 "$WORK/plain.dump" >"$WORK/cut.dump"
exits "a file that is cut off" 65 restore demo "$WORK/cut.dump" --yes
exits "a folder of pg_dump -Fd" 64 restore demo "$WORK/folder" --yes
expect "and what to do with it" "$(grep -c 'pg_restore -Fd' "$WORK/err")" 1
expect "live is as it was" "$(state)" "$saved"
expect "nothing is left of those that failed" "$(psql "SELECT count(*) FROM pg_database WHERE datname ~ '_new_|_tables_'")" 0
exits "undo" 0 restore demo --undo --yes
finish
