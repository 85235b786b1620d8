#!/usr/bin/env bash
# A restore of a whole application that is killed while its containers rest: the next restore, or the next deploy, does all of it. A backup beside a
# deploy waits for nobody.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
# shellcheck source=tests/support/backup_postgres.sh
source "$SUPPORT/backup_postgres.sh"
need_engine
# shellcheck source=tests/support/backup_site.sh
source "$SUPPORT/backup_site.sh"

exits "backup" 0 backup demo
label=$("$CODOPS" -C "$APP" backup list demo -o json | jq -r '[.backups[].label] | sort | first')
exits "a later version" 0 deploy demo v1.1.0
psql 'DELETE FROM orders WHERE total_cents > 100' && redis set greeting gone >/dev/null

killed "$label" || true
exits "killed: the next restore does all of it" 0 restore demo "$label" --yes
expect "killed: all of it is back" "$(state)" "$saved"
expect "killed: no side database stays but those that are kept" "$(psql "SELECT count(*) FROM pg_database WHERE datname ~ '^shop' AND datname !~ '^shop(_before|_undone|$)'" postgres)" 0
serving "killed: it serves" v1.1.0 2
killed "$label" || true
exits "killed: a deploy starts it too" 0 deploy demo v1.1.0
serving "killed: it serves again" v1.1.0 2

# ---- a backup does not wait for a deploy
"$CODOPS" -C "$APP" --progress none deploy demo v1.0.0 >"$WORK/deploying" 2>&1 </dev/null &
deploying=$!
check "a deploy holds its lock" wait_for 60 sh -c "docker ps -a --format '{{.Names}}' | grep -q '^codops-$PROJECT-lock'"
kill -STOP "$deploying"
exits "a backup meanwhile" 0 backup demo
kill -CONT "$deploying"
rc=0; wait "$deploying" || rc=$?
# Stopped for too long it may have lost its lock, and says so; it is never left half done.
expect "the deploy went on, or stopped as one that lost its lock" "$((rc == 0 || rc == 4))" 1
exits "and can be had again" 0 deploy demo v1.1.0
finish
