#!/usr/bin/env bash
# backup and restore of a whole application on an engine: PostgreSQL and Redis in containers, a volume of uploads, the containers
# stopped meanwhile, the migrations that the backup lacks, its undo, and a restore that is killed while they rest.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
# shellcheck source=tests/support/backup_postgres.sh
source "$SUPPORT/backup_postgres.sh"
need_engine
# shellcheck disable=SC2119
site
python3 - "$APP/docker-compose.prod.yml" <<'PY'
import sys
path = sys.argv[1]
text = open(path).read()
text = text.replace("    stop_grace_period: 30s\n", '    stop_grace_period: 30s\n    volumes: ["uploads:/srv/uploads"]\n', 1).replace("  redisdata:\n", "  redisdata:\n  uploads:\n")
open(path, "w").write(text)
PY
backup_settings 'redis: true' 'volumes: [uploads]' 'restore: {application: stop}' >>"$APP/codops.yaml"
# The demo's own CA, as its users would name it: what convention checks is to be well.
printf 'front_door: {url: "https://localhost:18443/ready", ca: nginx/ssl/ca.crt}\n' >"$APP/codops.demo.yaml"
psql() { docker exec "$(docker ps -q "${mine[@]}" --filter label=com.docker.compose.service=postgres)" psql -X -q -A -t -U shop -d "${2:-shop}" -c "$1"; }
redis() { docker exec "$(docker ps -q "${mine[@]}" --filter label=com.docker.compose.service=redis)" redis-cli "$@"; }
inside() { docker exec -u 0 "$(docker ps -q "${mine[@]}" --filter label=com.docker.compose.service=backend | head -n 1)" sh -c "$1"; }
# What is live, in one line.
state() { echo "$(psql 'SELECT count(*), sum(total_cents) FROM orders') $(redis get greeting) $(inside 'cd /srv/uploads && find . -type f ! -path "./.codops*" | sort | xargs sha256sum | sha256sum' | cut -c 1-12)"; }
tables() { psql "SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL"; }

exits "first deploy" 0 deploy demo v1.0.0
check "tables" migrated
psql "INSERT INTO orders (customer, total_cents) SELECT 'c' || i, i FROM generate_series(1, 40000) i"
redis set greeting hello >/dev/null
inside 'mkdir -p /srv/uploads/2026 && echo picture >/srv/uploads/2026/a.png && head -c 2000000 /dev/urandom >/srv/uploads/large'
saved=$(state)

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
killed() {
  "$CODOPS" -C "$APP" --progress none restore demo "$label" --yes >"$WORK/out" 2>&1 </dev/null &
  local run=$!
  wait_for 60 sh -c "[ -z \"\$(docker ps -q --filter label=com.docker.compose.project=$PROJECT --filter label=com.docker.compose.service=backend)\" ]"
  kill -KILL "$run"
  wait "$run" 2>/dev/null
}
killed || true
expect "killed: the application rests" "$(running backend)" ""
exits "killed: status says so" 2 status demo --check
exits "killed: resume" 0 resume demo
expect "killed: it says what it did" "$(grep -c 'undid restore v1.1.0' "$WORK/out")" 1
expect "killed: the same containers run again" "$(running backend)" "$containers"
expect "killed: what was live is live" "$(state)" "$changed"
exits "killed: nothing is unfinished" 0 status demo --check
killed || true
exits "killed: the next restore does all of it" 0 restore demo "$label" --yes
expect "killed: all of it is back" "$(state)" "$saved"
expect "killed: no side database stays but those that are kept" "$(psql "SELECT count(*) FROM pg_database WHERE datname ~ '^shop' AND datname !~ '^shop(_before|_undone|$)'" postgres)" 0
serving "killed: it serves" v1.1.0 2
killed || true
exits "killed: a deploy starts it too" 0 deploy demo v1.1.0
serving "killed: it serves again" v1.1.0 2
exits "history tells" 0 history demo

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
