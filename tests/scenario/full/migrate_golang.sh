#!/usr/bin/env bash
# codops and golang-migrate's own program on one database: each goes on where the other stopped, they keep each other out, and each
# sees where the other failed.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
source "$SUPPORT/postgres_plain.sh"
program=$("$SUPPORT/golang_migrate.sh") || { skip "golang-migrate" "its program can't be had (go install)"; finish; }
postgres_start "$WORK/pg" -c fsync=off || { skip "golang-migrate" "PostgreSQL can't be started"; finish; }
clean_up() { postgres_stop; }

mkdir -p "$WORK/shop/migrations" && cd "$WORK/shop"
printf 'name: shop\nmigrate: {path: migrations}\n' >codops.yaml
step() { # NUMBER SQL [DOWN]
  printf '%s\n' "$2" >"migrations/00000$1_step.up.sql"
  printf '%s\n' "${3:-DROP TABLE t$1;}" >"migrations/00000$1_step.down.sql"
}
for i in 1 2 3 4; do step $i "CREATE TABLE t$i(id int PRIMARY KEY, name text); INSERT INTO t$i VALUES ($i, 'a;');"; done
theirs() { "$program" -path migrations -database "$(postgres_url shop)?sslmode=disable" "$@"; }
ours() { DATABASE_URL=$(postgres_url shop) "$CODOPS" migrate "$@"; }
row() { psql_in shop -c "SELECT version || ' ' || dirty FROM schema_migrations"; }
fresh() { psql_in postgres -c 'DROP DATABASE IF EXISTS shop WITH (FORCE)' -c 'CREATE DATABASE shop'; }
dump() { "$PG_BIN/pg_dump" --schema-only -h "$PGSOCKET" -p "$PGPORT" -U postgres shop | grep -v -e '^--' -e '^\\'; }
counts() { ours status staging -o json 2>/dev/null | jq -c '[.counts.applied, .counts.pending]' || true; }

fresh
check "theirs alone" theirs up
dump >"$WORK/wanted"
expect "codops sees all as applied" "$(counts) $(code_of=0; ours status staging >/dev/null 2>&1 || code_of=$?; echo "$code_of")" "[4,0] 0"
fresh
check "codops applies half" ours up staging --to 000002_step --yes
expect "their row" "$(row) $(theirs version 2>&1)" "2 false 2"
check "theirs goes on" theirs up
check "the schema is the same" diff "$WORK/wanted" <(dump)
fresh
check "theirs applies half" theirs up 2
expect "codops sees that" "$(counts)" "[2,2]"
check "codops goes on" ours up staging --yes
expect "their program says so too" "$(theirs version 2>&1) $(theirs up 2>&1)" "4 no change"
check "the schema is the same again" diff "$WORK/wanted" <(dump)
check "codops takes one back" ours down staging --yes
check "theirs takes one more back" theirs down 1
expect "both agree" "$(theirs version 2>&1) $(counts)" "2 [2,2]"

# ---- each keeps the other out
ours up staging --yes >/dev/null 2>&1
step 5 "SELECT pg_sleep(4); CREATE TABLE t5(id int);"
theirs up >"$WORK/theirs" 2>&1 & other=$!
wait_for 10 sh -c "[ \"\$('$PG_BIN/psql' -XAtq -h '$PGSOCKET' -p '$PGPORT' -U postgres -d shop -c \"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted\")\" != 0 ]"
rc=0
ours up staging --yes --lock-wait 300ms >"$WORK/out" 2>"$WORK/err" || rc=$?
expect "codops waits for theirs, then gives up" "$rc" 4
wait $other
expect "theirs was not disturbed" "$(row)" "5 false"
step 6 "SELECT pg_sleep(4); CREATE TABLE t6(id int);"
ours up staging --yes >"$WORK/out" 2>&1 & other=$!
wait_for 10 sh -c "[ \"\$('$PG_BIN/psql' -XAtq -h '$PGSOCKET' -p '$PGPORT' -U postgres -d shop -c \"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted\")\" != 0 ]"
theirs up >"$WORK/theirs" 2>&1 || true
expect "theirs waits for codops, and has nothing left to do" "$(cat "$WORK/theirs")" "no change"
wait $other
expect "codops was not disturbed" "$(row)" "6 false"

# ---- each sees where the other failed
step 7 "CREATE TABLE t7(id int); SELECT nope;"
theirs up >"$WORK/theirs" 2>&1 || true
rc=0
ours status staging >"$WORK/out" 2>&1 || rc=$?
expect "their failure: dirty, and codops says failed" "$(row) $rc" "7 true 1"
rc=0
ours up staging --yes >"$WORK/out" 2>&1 || rc=$?
check "and does not go on; the way out is told" sh -c '[ "$1" = 1 ] && grep -q "resolve staging --rolled-back" "$2"' - "$rc" "$WORK/out"
check "resolved by codops" ours resolve staging --rolled-back 000007_step
step 7 "CREATE TABLE t7(id int);"
expect "then both know where they are" "$(row) $(counts)" "6 false [6,1]"
check "and theirs goes on" theirs up
step 8 "CREATE INDEX CONCURRENTLY t7_id ON t7(id); SELECT nope;"
rc=0
ours up staging --yes >"$WORK/out" 2>&1 || rc=$?
theirs up >"$WORK/theirs" 2>&1 || true
expect "codops' failure outside of a transaction: theirs says dirty" "$rc $(row) $(grep -ci 'dirty database version 8' "$WORK/theirs")" "1 8 true 1"
step 8 "CREATE INDEX CONCURRENTLY t7_id ON t7(id); SELECT 1;"
check "mended, codops continues" ours up staging --yes
expect "and both agree" "$(row) $(theirs up 2>&1)" "8 false no change"
finish
