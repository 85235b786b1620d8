#!/usr/bin/env bash
# The migrate verbs on a database that only its container's network knows, with the files of a version's image.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
site

value() { sed -n "s/^$1=//p" "$APP/.env.demo" | tail -n 1; }
start_database() {
  docker network inspect "${PROJECT}_default" >/dev/null 2>&1 || docker network create "${PROJECT}_default" >/dev/null
  docker run -d --name "$PROJECT-postgres-1" --network "${PROJECT}_default" \
    --label "com.docker.compose.project=$PROJECT" --label com.docker.compose.service=postgres --label com.docker.compose.oneoff=False \
    --label com.docker.compose.container-number=1 -e POSTGRES_USER="$(value POSTGRES_USER)" -e POSTGRES_PASSWORD="$(value POSTGRES_PASSWORD)" \
    -e POSTGRES_DB="$(value POSTGRES_DB)" codops-demo/postgres:15 >/dev/null
  wait_for 60 docker exec "$PROJECT-postgres-1" pg_isready -q -h 127.0.0.1 -U shop -d shop
}
sql() { docker exec -e PGPASSWORD="$(value POSTGRES_PASSWORD)" "$PROJECT-postgres-1" psql -X -q -A -t -h 127.0.0.1 -U shop -d shop -c "$1"; }

exits "no container: 69" 69 migrate status demo
check "says how to start it" grep -q 'docker compose up -d postgres' "$WORK/err"
start_database
exits "status reads the checkout" 2 migrate status demo -o json
expect "three files" "$(result .counts.pending)" 3
exits "status reads a version's image" 2 migrate status demo v1.0.0 -o json
expect "two files in v1.0.0" "$(result '[.migrations[].name]')" '["20250108090000_init","20250210101500_add_cod_fee"]'
exits "no such version" 1 migrate status demo v0.0.0
exits "VERSION and --folder" 64 migrate status demo v1.0.0 --folder prisma/migrations
exits "plan of a version" 0 migrate plan demo v1.1.0
expect "no line is longer than 100 columns" "$(LC_ALL=C.UTF-8 awk 'length > 100' "$WORK/out")" ""
exits "db init" 0 db init demo
exits "db init again" 0 db init demo -o json
expect "changes nothing" "$(result .made)" '[]'

# Flyway's settings stand above its scripts, in an image too.
mkdir -p "$WORK/image/db/migration"
printf "SELECT '\${not_one}';\n" >"$WORK/image/db/migration/V1__a.sql"
printf 'flyway.placeholderReplacement=false\n' >"$WORK/image/flyway.conf"
for version in v9.0.0 v9.1.0; do
  made=$(docker create codops-demo/backend:v1.0.0)
  docker cp "$WORK/image/." "$made:/srv/"
  docker commit "$made" "codops-demo/backend:$version" >/dev/null
  docker rm "$made" >/dev/null
  rm -f "$WORK/image/flyway.conf"
done
printf 'migrate: {image_path: /srv/db/migration}\n' >>"$APP/codops.yaml"
exits "Flyway's settings of the image are obeyed" 0 migrate plan demo v9.0.0
exits "without them its placeholders are refused" 65 migrate plan demo v9.1.0
sed -i '/^migrate: /d' "$APP/codops.yaml"
docker rmi codops-demo/backend:v9.0.0 codops-demo/backend:v9.1.0 >/dev/null

# An application that made its tables itself.
sql 'CREATE TABLE orders (id serial PRIMARY KEY)'
exits "tables without a history" 1 migrate up demo v1.0.0
check "is P3005" grep -q 'P3005' "$WORK/err"
check "with the command that leads out" grep -q 'codops migrate baseline demo v1.0.0 --to' "$WORK/err"
exits "a deploy says the same" 1 deploy demo v1.0.0 --dry-run
check "with the same command" grep -q 'codops migrate baseline demo v1.0.0 --to' "$WORK/err"
exits "baseline" 0 migrate baseline demo v1.0.0 --to 20250108090000_init --yes
exits "then the rest is pending" 2 migrate status demo v1.0.0 -o json
expect "one applied, one pending" "$(result '[.counts.applied, .counts.pending]')" '[1,1]'
sql 'DROP TABLE orders; DROP TABLE _prisma_migrations'

exits "up to v1.0.0" 0 migrate up demo v1.0.0
exits "v1.0.0 is up to date" 0 migrate status demo v1.0.0
exits "v1.1.0 is not" 2 migrate status demo v1.1.0
exits "verify" 0 migrate verify demo v1.0.0
printf 'migrate: {strict: true}\n' >>"$APP/codops.yaml"
exits "migrate.strict stops a deploy" 65 deploy demo v1.1.0 --dry-run
check "with lint's first finding" grep -q 'index-not-concurrent' "$WORK/err"
sed -i '/^migrate: /d' "$APP/codops.yaml"
exits "without it the plan has the migration" 0 deploy demo v1.1.0 --dry-run -o json
expect "as a step" "$(result '[.steps[] | select(.name == "migrate") | .text]')" '["1 migration (20250315120000_orders_by_cust…)"]'

# From where the container's address leads nowhere: each connection is an exec.
if unshare -n true 2>/dev/null; then
  apart() { local got=0; unshare -n "$CODOPS" -C "$APP" --progress none "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || got=$?; echo "$got"; }
  expect "status through an exec" "$(apart migrate status demo v1.0.0)" 0
  expect "up through an exec" "$(apart migrate up demo v1.1.0)" 0
  expect "no way leaves a trace" "$(apart migrate status demo; tail -n 1 "$WORK/out")" $'0\nup to date (3 migrations)'
  expect "PostgreSQL took no part of it for a crash of its own" "$(docker logs "$PROJECT-postgres-1" 2>&1 | grep -c 'terminated by signal')" 0
else
  skip "through an exec" "unshare -n is not permitted"
fi
expect "three rows" "$(sql 'SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL')" 3
expect "no helper container is left" "$(docker ps -aq --filter "name=$PROJECT-look" | wc -l)" 0

# The URL may be in the compose file alone.
sed -i '/^DATABASE_URL=/d' "$APP/.env.demo"
password=$(value POSTGRES_PASSWORD)
sed -i "s,DATABASE_URL: .*,DATABASE_URL: postgresql://shop:$password@postgres:5432/shop," "$APP/docker-compose.prod.yml"
exits "the compose file's URL" 0 migrate status demo
finish
