#!/usr/bin/env bash
# What others do to a project that runs, with a real PostgreSQL: docker compose makes all of it anew, or the database alone, and codops goes on or
# back; a database that does not start any more. No row is lost.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/others.sh
source "$SUPPORT/others.sh"
exits "a first deploy" 0 deploy prod v1.0.0
psql 'CREATE TABLE t (n int)'
exits "the next one" 0 deploy prod v1.1.0

# ---- docker compose makes everything anew
exits "codops makes the database anew" 0 restart prod db --allow-downtime
check "somebody: docker compose up" dc up -d
expect "the database is docker compose's" "$(db)" "$P-db-1"
exits "it is seen" 2 status prod --check
expect "and said" "$(grep -c 'codops did not make run instead' "$WORK/out")" 1
was=$(id_of_db)
check "it is ready" wait_for 30 psql 'SELECT 1'
writing
exits "a deploy takes it over" 0 deploy prod v1.1.0
written "no row is lost"
expect "the database is the one that ran" "$(id_of_db)" "$was"
exits "all is as deployed" 0 status prod --check

# ---- the same, and back to what was deployed
exits "codops makes the database anew" 0 restart prod db --allow-downtime
check "somebody: docker compose up" dc up -d --wait
was=$(id_of_db)
exits "a rollback goes back to the release that was removed" 0 rollback prod -o json
expect "to its version" "$(jq -r .version "$WORK/out")" v1.1.0
expect "the database is the one that ran" "$(id_of_db)" "$was"
expect "its rows too" "$(rows)" "$written"
exits "all is as deployed" 0 status prod --check

# ---- the database alone
exits "codops makes the database anew" 0 restart prod db --allow-downtime
check "somebody: docker compose up db" dc up -d --wait --no-deps db
exits "it is seen" 2 status prod --check
expect "and said" "$(grep -c "$P-db-1 was not made by codops and stands in for" "$WORK/out")" 1
was=$(id_of_db)
exits "a deploy records it" 0 deploy prod v1.1.0
expect "the database is the one that ran" "$(id_of_db)" "$was"
exits "all is as deployed" 0 status prod --check
exits "and once more there is nothing to do" 0 deploy prod v1.1.0 -o json
expect "nothing changed" "$(jq -c .changed "$WORK/out")" false

# ---- one that does not start
exits "codops makes the database anew" 0 restart prod db --allow-downtime
project other fsync=off
check "somebody: with another volume" dc up -d --wait --no-deps db
project data fsync=off nonsense=1
exits "what does not start" 5 deploy prod v1.1.0 --allow-downtime
expect "the one before runs again" "$(db)" "$P-db-1"
project data fsync=off
exits "with what does" 0 deploy prod v1.1.0 --allow-downtime
expect "with its rows" "$(rows)" "$written"

# ---- what the engine says of all that
never_two 10
finish
