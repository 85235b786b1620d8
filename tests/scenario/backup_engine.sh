#!/usr/bin/env bash
# backup and restore of a whole application on an engine: PostgreSQL and Redis in containers, a volume of uploads, the containers
# stopped meanwhile, the migrations that the backup lacks, its undo, and a restore that is killed while they rest. (Killed, and what else comes
# after it, or beside a deploy: full/backup_engine_after.sh.)
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
# shellcheck source=tests/support/backup_postgres.sh
source "$SUPPORT/backup_postgres.sh"
need_engine
# shellcheck source=tests/support/backup_site.sh
source "$SUPPORT/backup_site.sh"

exits "backup" 0 backup demo -o json
exits "it is listed with its parts" 0 backup show demo latest -o json
expect "database, Redis and the volume" "$(result '[.parts[] | select(.subject == "uploads")] | length == 1')" true
exits "verify" 0 backup verify demo latest
exits "drill" 0 backup drill demo

# ---- a later version, with a later schema, and everything is changed
exits "a later version" 0 deploy demo v1.1.0
expect "it has one migration more" "$(tables)" 3
psql 'DELETE FROM orders WHERE total_cents > 100' && redis set greeting gone >/dev/null && inside 'rm /srv/uploads/large; echo other >/srv/uploads/2026/a.png'
changed=$(state)
exits "a dry run" 0 restore demo latest --dry-run
expect "changes nothing" "$(state)" "$changed"

containers=$(running backend)
docker events --filter "label=com.docker.compose.project=$PROJECT" --filter event=die --format '{{index .Actor.Attributes "com.docker.compose.service"}}' >"$WORK/died" &
watching=$!
exits "restore" 0 restore demo latest --yes
kill "$watching"
expect "all of it is back" "$(state)" "$saved"
expect "with the migration that the backup lacked" "$(tables)" 3
expect "backend and front end rested, nothing else did" "$(sort -u "$WORK/died" | grep -v '^$' | tr '\n' ' ')" "backend frontend "
expect "the same containers run again" "$(running backend)" "$containers"
serving "the later version serves" v1.1.0 2
exits "no drift" 0 status demo --check
expect "what was there is a backup too" "$("$CODOPS" -C "$APP" backup list demo -o json | jq '.backups | length')" 2

exits "undo" 0 restore demo --undo --yes
expect "as before the restore" "$(state)" "$changed"
serving "it serves" v1.1.0 2

# ---- killed while the application rests
label=$("$CODOPS" -C "$APP" backup list demo -o json | jq -r '[.backups[].label] | sort | first')
killed "$label" || true
expect "killed: the application rests" "$(running backend)" ""
exits "killed: status says so" 2 status demo --check
exits "killed: resume" 0 resume demo
expect "killed: it says what it did" "$(grep -c 'undid restore v1.1.0' "$WORK/out")" 1
expect "killed: the same containers run again" "$(running backend)" "$containers"
expect "killed: what was live is live" "$(state)" "$changed"
exits "killed: nothing is unfinished" 0 status demo --check
exits "history tells" 0 history demo

# ---- a backup that must come before a deploy
sed -i 's/^backup:/backup:\n  before_deploy: true/' "$APP/codops.yaml"
listed() { "$CODOPS" -C "$APP" backup list demo -o json | jq '.backups | length'; }
before=$(listed)
exits "a deploy with a backup before it" 0 deploy demo v1.0.0 -o json
expect "there is one more" "$(listed)" "$((before + 1))"
sed -i "s,^  store: .*,  store: /proc/no," "$APP/codops.yaml"
exits "a backup that can't be taken stops the deploy" 1 deploy demo v1.1.0
serving "nothing has moved" v1.0.0 "$("$CODOPS" -C "$APP" status demo -o json | jq .release)"
finish
