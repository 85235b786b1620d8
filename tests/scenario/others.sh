#!/usr/bin/env bash
# What others started of a project, with a real PostgreSQL: it is taken over, or stopped before its successor starts, and no row is lost.
# (What else they may do: full/others_again.sh.)
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/others.sh
source "$SUPPORT/others.sh"
exits "a first deploy" 0 deploy prod v1.0.0
psql 'CREATE TABLE t (n int)'

# ---- down, and docker compose goes on
exits "down" 0 down prod -y
check "docker compose starts it" dc up -d --wait
exits "status" 0 status prod -o json
expect "it says what runs" "$(jq -c '[.adopted, .version, (.services | map(.name) | sort)]' "$WORK/out")" '[true,"from docker compose",["app","db"]]'
was=$(id_of_db)
writing
exits "a deploy takes it over" 0 deploy prod v1.1.0
written "no row is lost"
expect "the database is the one that ran" "$(id_of_db)" "$was"
exits "all is as deployed" 0 status prod --check

# ---- one that is not as wanted
exits "codops makes the database anew" 0 restart prod db --allow-downtime
project other fsync=off
check "somebody: with another volume" dc up -d --wait --no-deps db
project data fsync=off
exits "its recreation wants consent" 1 deploy prod v1.1.0
exits "with consent" 0 deploy prod v1.1.0 --allow-downtime
expect "the database is codops'" "$(db | grep -c -- '-db-r[0-9]*-1')" 1
expect "with its rows" "$(rows)" "$written"

# ---- nobody asked codops
was=$(id_of_db)
docker run -d --name "$P-alien" -v "${P}_data:/x" codops-demo/postgres:15 sleep 1000 >/dev/null
exits "another container has the volume" 1 restart prod db --allow-downtime
expect "it is named" "$(grep -c "$P-alien runs, and writes the volume ${P}_data too" "$WORK/err")" 1
expect "nothing was changed, and that is said" "$(id_of_db) $(grep -c 'hint: nothing was changed' "$WORK/err")" "$was 1"
docker rm -f "$P-alien" >/dev/null
exits "without it" 0 restart prod db --allow-downtime
expect "the rows are there" "$(rows)" "$written"

# ---- what the engine says of all that
never_two 6
finish
