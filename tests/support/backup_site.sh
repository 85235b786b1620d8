# shellcheck shell=bash disable=SC2119
# The demo application with all that a backup may hold: PostgreSQL, Redis, a volume of uploads; deployed (v1.0.0), with data in it. Sourced after
# site.sh and backup_postgres.sh; leaves the data's state in $saved.
#
#   psql SQL [DATABASE] | redis ARG... | inside COMMAND   in the containers
#   state                                                 what is live, in one line; tables: how many migrations are there
#   killed LABEL                                          a restore of it is killed while the application rests
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

killed() {
  "$CODOPS" -C "$APP" --progress none restore demo "$1" --yes >"$WORK/out" 2>&1 </dev/null &
  local run=$!
  wait_for 60 sh -c "[ -z \"\$(docker ps -q --filter label=com.docker.compose.project=$PROJECT --filter label=com.docker.compose.service=backend)\" ]"
  kill -KILL "$run"
  wait "$run" 2>/dev/null
}
