#!/usr/bin/env bash
# migrate killed with SIGKILL at every message that it exchanges with the server: what is recorded as applied is there, whole; the next
# run continues to exactly the schema and the rows that a run without harm makes. LAYOUTS="prisma dbmate …"; by default Prisma's at
# every fourth message, and with --full all of them at every one.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
source "$SUPPORT/postgres_plain.sh"
postgres_start "$WORK/pg" -c fsync=off || { skip "migrate_kill" "PostgreSQL can't be started"; finish; }
clean_up() { postgres_stop; }
unset DATABASE_URL PGHOST PGUSER PGDATABASE PGPASSWORD

# Four scripts: two in a transaction, one that can't be (with a statement after the one that can't), and one that has its own.
sql() {
  case $1 in
    1) printf 'CREATE TABLE items(id serial PRIMARY KEY, name text);\nINSERT INTO items(name) VALUES ($$a;$$), ($$b$$);\n' ;;
    2) printf 'INSERT INTO items(name) VALUES ($$c$$);\nCREATE TABLE parts(id int PRIMARY KEY);\n' ;;
    3) printf 'CREATE INDEX CONCURRENTLY items_name ON items(name);\nINSERT INTO parts VALUES (1);\nCREATE INDEX CONCURRENTLY items_both ON items(id, name);\n' ;;
    4) printf 'ALTER TABLE parts ADD COLUMN item int;\nINSERT INTO parts VALUES (2, 1);\n' ;;
  esac
}
layout() { # NAME
  local i
  rm -rf "$WORK/project" && mkdir -p "$WORK/project" && cd "$WORK/project"
  printf 'name: shop\n' >codops.yaml
  for i in 1 2 3 4; do
    case $1 in
      prisma)
        mkdir -p "prisma/migrations/2024010${i}000000_step"
        sql $i >"prisma/migrations/2024010${i}000000_step/migration.sql"
        echo 'provider = "postgresql"' >prisma/migrations/migration_lock.toml ;;
      dbmate)
        mkdir -p db/migrations
        { [[ $i == 3 ]] && echo '-- migrate:up transaction:false' || echo '-- migrate:up'; sql $i; printf '\n-- migrate:down\nSELECT 1;\n'; } >"db/migrations/2024010${i}000000_step.sql"
        printf 'migrate: {path: db/migrations, source: dbmate}\n' >>codops.yaml ;;
      golang-migrate)
        mkdir -p migrations
        sql $i >"migrations/00000${i}_step.up.sql"
        echo 'SELECT 1;' >"migrations/00000${i}_step.down.sql"
        printf 'migrate: {path: migrations, source: golang-migrate}\n' >>codops.yaml ;;
      flyway)
        mkdir -p sql
        sql $i >"sql/V${i}__step.sql"
        printf 'migrate: {path: sql, source: flyway}\n' >>codops.yaml ;;
    esac
  done
  awk '!seen[$0]++' codops.yaml >codops.once && mv codops.once codops.yaml
}

export PG_BIN PG_PASSWORD PGSOCKET PGPORT
cat >"$WORK/tools" <<'SH'
one() { "$PG_BIN/psql" -X -q -A -t -h "$PGSOCKET" -p "$PGPORT" -U postgres -d "${2:-shop}" -c "$1" 2>&1; }
fresh() {
  one "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()" postgres >/dev/null
  one "DROP DATABASE IF EXISTS shop WITH (FORCE)" postgres >/dev/null; one "CREATE DATABASE shop TEMPLATE template0" postgres >/dev/null
}
# A client that was killed leaves a backend that ends by itself.
settled() { for ((i = 0; i < 100; i++)); do [[ $(one "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'client backend' AND pid <> pg_backend_pid()") == 0 ]] && return; sleep 0.1; done; echo "a backend does not end"; return 1; }
applied() {
  case $LAYOUT in
    prisma) one "SELECT count(*) FROM _prisma_migrations WHERE migration_name LIKE '2024010$1%' AND finished_at IS NOT NULL AND rolled_back_at IS NULL" ;;
    dbmate) one "SELECT count(*) FROM schema_migrations WHERE version LIKE '2024010$1%'" ;;
    golang-migrate) one "SELECT count(*) FROM schema_migrations WHERE version > $1 OR (version = $1 AND NOT dirty)" ;;
    flyway) one "SELECT count(*) FROM flyway_schema_history WHERE version = '$1' AND success" ;;
  esac
}
# What the scripts leave: for the first, the second, … "1" when its effects are whole, "0" when there are none.
effects() {
  case $1 in
    1) one "SELECT to_regclass('items') IS NOT NULL" ;;
    2) one "SELECT to_regclass('parts') IS NOT NULL" ;;
    3) one "SELECT count(*) = 2 AND bool_and(indisvalid) FROM pg_index WHERE indexrelid = to_regclass('items_name') OR indexrelid = to_regclass('items_both')" ;;
    4) one "SELECT count(*) = 1 FROM information_schema.columns WHERE table_name = 'parts' AND column_name = 'item'" ;;
  esac
}
after_kill() {
  settled || return
  local i a e
  for i in 1 2 3 4; do
    a=$(applied $i) e=$(effects $i)
    [[ $a == *"does not exist"* ]] && a=0
    case "$i/$a/$e" in
      ?/[1t]/t | ?/[0f]/f) ;;
      3/0/t) ;;  # outside of a transaction it may be there before it is recorded
      *) echo "script $i: recorded $a, there: $e"; return 1 ;;
    esac
  done
}
state() {
  "$PG_BIN/pg_dump" --schema-only --no-owner -h "$PGSOCKET" -p "$PGPORT" -U postgres shop | grep -v -e '^--' -e '^\\'
  one "SELECT count(*), min(name), max(name) FROM items"; one "SELECT count(*), sum(id) FROM parts"
  for i in 1 2 3 4; do applied $i; done
}
after_rerun() { state >"$WORK/state"; diff "$WORK/wanted" "$WORK/state" && [[ $("$CODOPS" migrate status staging -o json | jq -c .counts.applied) == 4 ]]; }
SH
cat >"$WORK/run" <<'SH'
#!/bin/sh
export DATABASE_URL="postgresql://postgres:$PG_PASSWORD@127.0.0.1:$PROXY_PORT/shop"
exec "$CODOPS" migrate staging --yes
SH
chmod 755 "$WORK/run"

export KILL_STRIDE=${KILL_STRIDE:-$([[ -n ${CODOPS_FULL:-} ]] && echo 1 || echo 4)}
for LAYOUT in ${LAYOUTS:-prisma ${CODOPS_FULL:+dbmate golang-migrate flyway}}; do
  export LAYOUT
  layout "$LAYOUT"
  DATABASE_URL=$(postgres_url shop)
  export DATABASE_URL
  # shellcheck disable=SC1091
  bash -c "source '$WORK/tools'; fresh; PROXY_PORT=$PGPORT '$WORK/run' >'$WORK/plain' 2>&1 && state >'$WORK/wanted'" || { fail "$LAYOUT" "$(tail -n 5 "$WORK/plain")"; continue; }
  rc=0
  python3 "$SUPPORT/kill_points.py" "$PGPORT" "source '$WORK/tools'; fresh" "source '$WORK/tools'; after_kill" "source '$WORK/tools'; after_rerun" -- "$WORK/run" >"$WORK/said" 2>&1 || rc=$?
  if ((rc == 0)); then pass "$LAYOUT: $(tail -n 1 "$WORK/said")"; else fail "$LAYOUT" "$(head -n 10 "$WORK/said")"; fi
  check "$LAYOUT: it was killed often" awk '/^points/ { exit !($4 >= (ENVIRON["KILL_STRIDE"] == 1 ? 40 : 12)) }' "$WORK/said"
done
finish
