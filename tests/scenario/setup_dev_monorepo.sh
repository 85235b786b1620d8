#!/usr/bin/env bash
# setup-dev in a checkout of several programs, each with migrations of its own, on the host's own servers: each folder goes to the database
# that its program's .env names, and where that can't be told it is said, with a command that works as it is printed.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
text_of() { jq -r --arg name "$1" '.steps[] | select(.name == $name) | .text + " " + (.hint // "")' "$WORK/out"; }
notes() { jq -r '.notes[]' "$WORK/out" | grep -c "$1"; }
sql() { psql "postgresql://$1@127.0.0.1:5432/$2" -Atc "$3"; } # USER:PASSWORD DATABASE SQL
prisma() { # FOLDER TABLE
  mkdir -p "$1/20240101000000_first"
  echo 'provider = "postgresql"' >"$1/migration_lock.toml"
  echo "CREATE TABLE $2 (id int);" >"$1/20240101000000_first/migration.sql"
}

app="$WORK/shop"
mkdir -p "$app" && cd "$app" && checkouts+=("$app")
prisma prisma/migrations of_the_shop
printf 'DATABASE_URL=postgresql://shop:sh0p@localhost:5432/shop\n' >.env
# A variable of its own, which Prisma's schema names; dbmate; pieces; another schema of the same database.
prisma services/users/prisma/migrations of_users
printf 'datasource db {\n  provider = "postgresql"\n  url      = env("USERS_URL")\n}\n' >services/users/prisma/schema.prisma
printf 'USERS_URL=postgresql://users:us3r@localhost:5432/users\n' >services/users/.env.example
mkdir -p services/orders/db/migrations billing/db/migrations
printf 'DATABASE_URL=postgresql://orders:0rd3r@localhost:5432/orders\n' >services/orders/.env.example
printf -- '-- migrate:up\nCREATE TABLE of_orders (id int);\n' >services/orders/db/migrations/20240101000000_first.sql
printf 'DB_HOST=localhost\nDB_USER=billing\nDB_PASSWORD=b1ll\nDB_NAME=billing\nDB_PORT=5432\n' >billing/.env
printf -- '-- migrate:up\nCREATE TABLE of_billing (id int);\n' >billing/db/migrations/20240101000000_first.sql
prisma services/audit/prisma/migrations of_audit
printf 'DATABASE_URL=postgresql://shop:sh0p@localhost:5432/shop?schema=audit\n' >services/audit/.env.example
# These can't be told: no .env of its own, a database elsewhere, another tool's folder.
prisma api/prisma/migrations of_the_api
echo '{"name":"api"}' >api/package.json
prisma services/far/prisma/migrations of_far
printf 'DATABASE_URL=postgresql://far:f4r@db.example.com:5432/far\n' >services/far/.env.example
mkdir migrations && echo 'exports.up = () => {}' >migrations/20240101_knex.js

expect "doctor on a clean clone" "$(code "$CODOPS" doctor --skip tools) $(test -e .codops; echo $?)" "2 1"
expect "several programs, each with its database" "$(code setup -o json --skip tools) $(json '[.steps[] | select(.name | startswith("migrate")) | [.name, .ending]]')" \
  '0 [["migrate","done"],["migrate:billing","done"],["migrate:services/audit","done"],["migrate:services/orders","done"],["migrate:services/users","done"]]'
expect "the shop's own" "$(sql shop:sh0p shop "SELECT to_regclass('of_the_shop'), to_regclass('audit.of_audit'), to_regclass('of_the_api'), to_regclass('of_users')")" "of_the_shop|audit.of_audit||"
expect "Prisma's variable" "$(sql users:us3r users "SELECT to_regclass('of_users')")" of_users
expect "dbmate's in another" "$(sql orders:0rd3r orders "SELECT to_regclass('of_orders')")" of_orders
expect "one in pieces" "$(sql billing:b1ll billing "SELECT to_regclass('of_billing')")" of_billing
expect "places name each database" "$(json '[.places[] | select(.name == "database") | .url | sub(".*/"; "")] | sort')" '["billing","orders","shop","shop","users"]'
expect "what can't be told is said" "$(notes 'migrations of api/prisma/migrations are not applied, .* can.t be told: DATABASE_URL in .env is what those of prisma/migrations go to.*DATABASE_URL in api/.env would say it')" 1
expect "a database elsewhere is left alone" "$(notes 'migrations of services/far/prisma/migrations are not applied: DATABASE_URL in services/far/.env leads to db.example.com:5432.*by hand: codops migrate development -C services/far')" 1
expect "and so is another tool's folder" "$(notes '"migrations" has no migrations of Prisma.*its own tool')" 1
expect "again: nothing to do" "$(code setup -o json --skip tools) $(json '[.steps[] | select(.ending != "unchanged")]')" "0 []"
expect "dev status names each folder" "$(code "$CODOPS" dev status -o json) $(jq -r .database "$WORK/code.out" | grep -o 'up to date' | wc -l)" "0 5"

# ---- what is printed can be typed
expect "the command for what can't be told" "$(API="postgresql://orders:0rd3r@localhost:5432/orders?schema=api" code "$CODOPS" migrate status development --folder api/prisma/migrations --database-url-env API)" 2
printf 'DATABASE_URL=postgresql://api:4p1@localhost:5432/api\n' >api/.env
expect "or its own .env" "$(code setup -o json --skip tools) $(ending migrate:api) $(sql api:4p1 api "SELECT to_regclass('of_the_api')")" "0 done of_the_api"
printf '\n' >>services/users/prisma/migrations/20240101000000_first/migration.sql
printf '\n' >>services/orders/db/migrations/20240101000000_first.sql
prisma services/audit/prisma/migrations of_audit2
expect "migrations that were changed: only their own step fails" "$(code setup -o json --skip tools) $(json '[.steps[] | select(.ending == "failed") | .name]')" '65 ["migrate:services/audit","migrate:services/users"]'
for step in services/audit services/users; do
  hint=$(text_of "migrate:$step" | grep -o 'codops migrate status [^;]*')
  expect "the hint of $step leads to that folder and database: $hint" "$(code env PATH="${CODOPS%/*}:$PATH" bash -c "$hint -o json") $(jq -c '[.migrations[].state]' "$WORK/code.out")" '65 ["edited"]'
done
expect "dev status says which" "$(code "$CODOPS" dev status -o json) $(jq -r .database "$WORK/code.out" | grep -o 'services/[a-z]*/prisma/migrations: 1 applied migrations were changed[^;]*' | wc -l)" "2 2"
prisma services/audit/prisma/migrations of_audit
echo 'CREATE TABLE of_users (id int);' >services/users/prisma/migrations/20240101000000_first/migration.sql

# ---- a part of it
mkdir -p services/users/prisma/migrations/20240102000000_second && echo 'CREATE TABLE more (id int);' >services/users/prisma/migrations/20240102000000_second/migration.sql
expect "--only one of them" "$(code setup --only migrate:services/users) $(sql users:us3r users "SELECT to_regclass('more')")" "0 more"
expect "--only migrate is all of them" "$(code setup -o json --only migrate) $(json '[.steps[] | select(.name | startswith("migrate"))] | length')" "0 6"
expect "--skip database: said, and the server is waited for" "$("$CODOPS" setup-dev --down >/dev/null 2>&1; code setup --only migrate --skip database) $(grep -c 'but without database; it and the rest was not looked at' "$WORK/out")" "0 1"
expect "in JSON too" "$(code setup -o json --only migrate --skip database) $(json '[.ready, .not_looked_at]')" '0 [null,["database"]]'
expect "nothing left of what was asked for" "$(code setup --only migrate:api --skip migrate)" 64
# Its own server is away, and another answers at its port with the same password.
"$CODOPS" setup-dev --down >/dev/null 2>&1
mkdir "$WORK/another" && cp .env "$WORK/another/.env" && checkouts+=("$WORK/another")
expect "another checkout has the port" "$(cd "$WORK/another" && code setup)" 0
expect "its database is not migrated, whatever is skipped" "$(code setup -o json --only migrate --skip database,postgres,ports) $(json '[.steps[] | select(.name == "migrate") | .ending]') $(sql shop:sh0p shop "SELECT to_regclass('of_the_shop')")" '69 ["failed"] '

# ---- a .env that is made logs in to what is made: the committed .env.development has another role and no password for Redis, the examples have theirs
mkdir -p "$WORK/first/backend" "$WORK/first/web" && cd "$WORK/first" && checkouts+=("$WORK/first")
printf 'DATABASE_URL=postgresql://postgres:p0st@localhost:5436/first\nREDIS_URL=redis://localhost:6386\n' >.env.development
printf 'REDIS_PASSWORD=your-redis-password\nREDIS_URL=redis://:${REDIS_PASSWORD}@localhost:6386\n' >.env.example
printf 'DATABASE_URL="postgresql://shop:changeme@localhost:5436/first?schema=public"\nREPORTS_URL=postgresql://reader:re4d@localhost:5436/first\nREDIS_URL=redis://:changeme@localhost:6386\n' >backend/.env.example
printf 'DB_HOST=localhost\nDB_PORT=5436\nDB_USER=shop\nDB_PASSWORD=\nDB_NAME=first\n' >web/.env.example
expect "ready" "$(code setup -o json) $(json .ready)" "0 true"
expect "the files log in to what runs" "$(grep -h REDIS_URL .env backend/.env | sort -u) $(grep DATABASE backend/.env) $(grep -E 'USER|PASS' web/.env | xargs)" \
  'REDIS_URL=redis://localhost:6386 DATABASE_URL="postgresql://postgres:p0st@localhost:5436/first?schema=public" DB_USER=postgres DB_PASSWORD=p0st'
expect "a second role of one file is its own, and told where it can't log in" "$(json '.refused_logins | length') $(json '.refused_logins[0]' | grep -c 'REPORTS_URL in backend/.env can.t log in: its role .\+reader')" "1 1"
sed -i 's/p0st@/other@/; s/^REDIS_URL.*/REDIS_URL=redis:\/\/:mine@localhost:6386/' backend/.env
before=$(sha256sum backend/.env)
expect "what was there is told, and stays" "$(code setup -o json) $(json '.refused_logins | length') $(sha256sum backend/.env)" "0 3 $before"
# ---- `git clean -fdx` while they run: no pid file leads to them any more
rm -rf .codops
for place in /var/lib/codops/dev/first-*; do [[ $(cat "$place/checkout" 2>/dev/null) != "$PWD" ]] || rm -rf "$place"; done
expect "its own servers whose folder was removed are told as such, with the way out" "$(code setup -o json --remap) $(ending ports) $(jq -r '.steps[] | select(.name == "ports") | .text, .hint' "$WORK/out" | grep -c "this checkout.s own redis-server (pid .*), whose folder was removed\|setup-dev --down, which ends it")" "1 failed 2"
expect "--down ends them" "$(code setup --down) $(grep -c 'ended .*Redis (pid' "$WORK/out") $(code redis-cli -p 6386 ping) $(code setup --down) $(cat "$WORK/out")" "0 1 1 0 nothing runs"
finish
