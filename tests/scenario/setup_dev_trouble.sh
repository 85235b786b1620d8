#!/usr/bin/env bash
# setup-dev where something is in the way, with the host's own servers: a port taken at the last moment, a caller's environment, links, odd
# secrets, migrations that were changed, a reset that can't stop everything.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
quick=(--skip "install,generate,seed")
text_of() { jq -r --arg name "$1" '.steps[] | select(.name == $name) | .text + " " + (.hint // "")' "$WORK/out"; }

# ---- a wrong folder
mkdir "$WORK/empty" && cd "$WORK/empty"
expect "a wrong folder is told, and nothing is made there" "$(code setup) $(grep -c 'nothing to set up' "$WORK/err") $(code "$CODOPS" doctor) $(code "$CODOPS" dev status) $(find . | wc -l)" "78 1 78 78 1"
mkdir "$WORK/plain" && cd "$WORK/plain" && printf '{"name":"plain","scripts":{"start":"node ."}}' >package.json && printf '{"name":"plain","lockfileVersion":3,"packages":{"":{"name":"plain"}}}' >package-lock.json
expect "a project that was not set up is not \"ready\"" "$(code "$CODOPS" dev status) $(grep -c 'nothing was set up here yet' "$WORK/code.out")" "2 1"
expect "one without dependencies and services is, once it was" "$(code setup -o json --skip tools) $(code setup -o json --skip tools) $(json '[.steps[] | select(.ending != "unchanged")]') $(code "$CODOPS" dev status)" "0 0 [] 0"

# ---- a port that is taken between the look and the start
app="$WORK/app"
clone "$app" && cd "$app"
rm -f "$WORK/listening.5432"
CODOPS_TEST_KILL=before:postgres:STOP "$CODOPS" setup-dev -o json "${quick[@]}" >"$WORK/out" 2>"$WORK/err" </dev/null & first=$!
stopped() { [[ $(awk '/^State:/ {print $2}' "/proc/$first/status") == T ]]; }
wait_for 30 stopped
listen_on 5432
kill -CONT $first
rc=0
wait $first || rc=$?
expect "a port taken at the last moment: not started on half of its addresses" "$rc $(ending postgres) $(ss -Hltn 'sport = :5432' | grep -c '::1')" "1 failed 0"
check "its holder is named, and the way out" grep -q "taken by python3 (pid $listener.*--remap" <(text_of postgres)
expect "--remap helps" "$(code setup -o json "${quick[@]}" --remap) $(grep -c '^POSTGRES_PORT=5433$' .env) $("$CODOPS" dev psql -- -Atc 'SELECT 1')" "0 1 1"
kill $listener
wait $listener 2>/dev/null || true
listener=

# ---- libpq's variables of a caller, none of which is the checkout's
start=$SECONDS
export PGSSLMODE=require PGHOSTADDR=192.0.2.1 PGSERVICE=nowhere PGTZ=Nowhere/Land PGCHANNELBINDING=require PGGSSENCMODE=require PGTARGETSESSIONATTRS=standby PGOPTIONS='-c nonsense=1' \
  PGPASSFILE=/nonexistent PGPORT=1 PGUSER=nobody PGDATABASE=nowhere PGCONNECT_TIMEOUT=1
expect "a caller's PG… variables lead nowhere else" "$(code setup -o json "${quick[@]}") $("$CODOPS" dev psql -- -Atc 'SELECT current_database()') $(code "$CODOPS" dev status) $(code "$CODOPS" migrate status development)" "0 shop 0 0"
expect "of a new server neither" "$(code setup -o json "${quick[@]}" --reset --yes) $(ending migrate)" "0 done"
expect "a program behind health-check still has them" "$("$CODOPS" health-check --tcp 127.0.0.1:5433 -- sh -c 'echo $PGSERVICE' 2>/dev/null | tail -n 1)" nowhere
unset PGSSLMODE PGHOSTADDR PGSERVICE PGTZ PGCHANNELBINDING PGGSSENCMODE PGTARGETSESSIONATTRS PGOPTIONS PGPASSFILE PGPORT PGUSER PGDATABASE PGCONNECT_TIMEOUT
password=$(sed -n 's/^POSTGRES_PASSWORD=//p' .env)
expect "a URL without a host gets them, one with a host does not" "$(PGHOST=127.0.0.1 PGPORT=5433 PGUSER=shop PGPASSWORD=$password code "$CODOPS" health-check --postgres postgresql:///shop) \
$(PGHOST=127.0.0.1 PGPORT=5433 PGSSLMODE=require PGUSER=shop PGPASSWORD=$password code "$CODOPS" health-check --postgres postgresql:///shop) \
$(PGHOSTADDR=192.0.2.1 PGSSLMODE=require PGUSER=shop PGPASSWORD=$password code "$CODOPS" health-check --postgres postgresql://127.0.0.1:5433/shop)" "0 2 0"
if ((SECONDS - start < 60)); then pass "without waiting for anybody"; else fail "without waiting for anybody" "$((SECONDS - start)) s"; fi

# ---- migrations that differ from what was applied: as `migrate status` has it
first_migration=$(find prisma/migrations -name migration.sql | sort | head -n 1)
cp "$first_migration" "$WORK/migration.sql"
echo '-- changed' >>"$first_migration"
expect "an applied migration that was changed is told by all" "$(code "$CODOPS" migrate status development) $(code setup -o json "${quick[@]}") $(ending migrate) $(code "$CODOPS" doctor "${quick[@]}") $(code "$CODOPS" dev status)" "65 65 failed 2 2"
cp "$WORK/migration.sql" "$first_migration"
mv "$(dirname "$first_migration")" "$WORK/gone"
expect "one that is gone too" "$(code "$CODOPS" migrate status development) $(code setup -o json "${quick[@]}") $(code "$CODOPS" dev status)" "65 65 2"
mv "$WORK/gone" "$(dirname "$first_migration")"
expect "put back, all is well" "$(code setup -o json "${quick[@]}") $(code "$CODOPS" dev status)" "0 0"

# ---- --down and --reset are for all
expect "--down --only, --reset --only: refused" "$(code setup --down --only redis) $(code setup --reset --only redis --yes) $("$CODOPS" dev redis-cli -- ping) $("$CODOPS" dev psql -- -Atc 'SELECT 1')" "64 64 PONG 1"
redis=$("$CODOPS" dev redis-cli -- info server | sed -n 's/^process_id:\([0-9]*\).*/\1/p')
kill -STOP "$redis"
expect "a reset that can't stop everything removes nothing" "$(code setup --reset --yes) $(grep -c 'nothing was removed' "$WORK/err")" "1 1"
kill -CONT "$redis"
expect "and the data is there" "$(code setup -o json "${quick[@]}") $(ending migrate) $("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" "0 unchanged 3"
expect "logs of what is no service: which there are" "$(code "$CODOPS" dev logs nosuch) $(grep -c 'codops dev logs postgres redis' "$WORK/code.err")" "64 1"

# ---- what a script prints
cat >>codops.yaml <<'Y'
  build: false
Y
printf '#!/bin/sh\necho "url $DATABASE_URL"\necho "jwt=$JWT_SECRET" >&2\nexit 3\n' >backend/tell.sh && chmod 755 backend/tell.sh
sed -i 's/run: \[npm, run, --silent, generate\]/run: [.\/tell.sh]/' codops.yaml
secrets=$(sed -n 's/^\(JWT_SECRET\|POSTGRES_PASSWORD\)=//p' .env)
expect "secrets in a script's last words are hidden" "$(code setup -o json --skip install,seed) $(ending generate) $(cat "$WORK/out" "$WORK/err" | grep -cF "$secrets") $(grep -c 'jwt=\*\*\*' "$WORK/out")" "1 failed 0 1"
"$CODOPS" setup-dev --down >/dev/null 2>&1

# ---- links, other names of .env
clone "$WORK/linked" && cd "$WORK/linked"
ln -s ../.env backend/.env && echo 'EXTRA=1' >backend/.env.example
expect "a link to a file that this run makes: made once, with the keys of both" "$(code setup -o json "${quick[@]}" --remap) $(readlink backend/.env) $(grep -c '^EXTRA=1$' .env) $(grep -c '^JWT_SECRET=' .env)" "0 ../.env 1 1"
ln .env "$WORK/other-name"
echo 'LATER=1' >>.env.example
expect "a key more: .env keeps its other name" "$(code setup -o json "${quick[@]}") $(stat -c %h .env) $(grep -c '^LATER=1$' "$WORK/other-name")" "0 2 1"
"$CODOPS" setup-dev --down >/dev/null 2>&1

# ---- .env under two names that are both read; a value that is changed is changed under each
clone "$WORK/twice" && cd "$WORK/twice"
cp .env.example .env && sed -i 's/change-me/x1y2z3/' .env && ln .env backend/.env && echo 'EXTRA=1' >backend/.env.example
listen_on 5432
expect "--reset --yes agrees to the removal, not to a move" "$(code setup -o json "${quick[@]}" --reset --yes) $(ending ports) $(grep -c '@127.0.0.1:5432/' .env)" "1 failed 1"
expect "hard links: one file, with the keys of both examples, moved as one" "$(code setup -o json "${quick[@]}" --remap) $(stat -c %h .env) $(grep -c '^EXTRA=1$' .env) $(cmp .env backend/.env && grep -c '@127.0.0.1:5433/' .env) $(grep -c '@127.0.0.1:5432/' .codops/dev/replaced/.env.*)" "0 2 1 1 1"
kill $listener
wait $listener 2>/dev/null || true
listener=
"$CODOPS" setup-dev --down >/dev/null 2>&1

# ---- servers in pieces, several databases, programs of other languages
mkdir -p "$WORK/pieces"/{db/migrations,services/api,billing} && cd "$WORK/pieces" && checkouts+=("$PWD")
printf -- '-- migrate:up\nCREATE TABLE mine (id int);\n' >db/migrations/20240101000000_mine.sql
printf 'DB_HOST=localhost\nDB_USER=shop\nDB_PASSWORD=change-me\nDB_NAME=shop\nREDIS_HOST=localhost\nREDIS_PORT=6379\nREDIS_PASSWORD=change-me\n' >.env.example
printf 'JWT_SECRET=\r\nDB_PASSWORD=\r\n' >services/api/.env.example
printf 'DATABASE_URL=postgresql://billing:b1ll@localhost:5432/billing\n' >billing/.env.example
echo 'echo "$DB_HOST:$DB_PORT $DB_NAME $REDIS_PORT" >seeded' >seed.sh
echo 'setup_dev: {seed: [{run: [sh, seed.sh]}]}' >codops.yaml
listen_on 5432
expect "DB_HOST, DB_USER, …: made, migrated, on a port of their own" "$(code env DB_PORT=1 PGHOST=192.0.2.1 "$CODOPS" setup-dev -o json) $(jq -r '[.ready, (.steps[] | select(.name == "migrate" or .name == "redis" or .name == "seed") | .ending)] | join(" ")' "$WORK/code.out")" "0 true done done done"
expect "the port is written beside the host" "$(grep -c '^DB_PORT=5433$' .env) $(cat seeded)" "1 localhost:5433 shop 6379"
expect "dev psql, dev redis-cli, dev status" "$("$CODOPS" dev psql -- -Atc "SELECT current_user || '/' || current_database() FROM pg_class WHERE relname = 'mine'") $("$CODOPS" dev redis-cli -- ping) $(code "$CODOPS" dev status)" "shop/shop PONG 0"
expect "a shell's own pieces are told" "$(DB_PORT=1 code "$CODOPS" doctor) $(words "$WORK/code.err" | grep -c 'with DB_PORT of this shell .*unset DB_PORT')" "0 1"
expect "the example of a program in another language, with its line ends" "$(grep -cE $'^JWT_SECRET=[0-9a-f]{32}\r$' services/api/.env) $(sed -n 's/^DB_PASSWORD=//p' services/api/.env | tr -d '\r')" "1 $(sed -n 's/^DB_PASSWORD=//p' .env)"
expect "again: nothing to do" "$(code setup -o json) $(json '[.steps[] | select(.ending != "unchanged")]')" "0 []"
expect "migrate and health-check understand the pieces too" "$(PGHOST=192.0.2.1 code "$CODOPS" migrate status development) $(code "$CODOPS" health-check development -o json) $(jq -c '[.checks[] | [.name, .status]] | sort' "$WORK/code.out")" '0 0 [["database","ok"],["redis","ok"]]'
expect "a URL goes before them" "$(cp .env .env.bak; echo 'DATABASE_URL=postgresql://shop:x@127.0.0.1:1/shop' >>.env; code "$CODOPS" migrate status development --wait 100ms; mv .env.bak .env) $(grep -c '127.0.0.1:1' "$WORK/code.err")" "69 1"
expect "those of a shell are no application's" "$(cd "$WORK/empty" && touch docker-compose.prod.yml && PGHOST=127.0.0.1 PGPORT=5433 PGUSER=shop DB_HOST=127.0.0.1 code "$CODOPS" migrate status production --folder "$WORK/pieces/db/migrations"; rm docker-compose.prod.yml) $(words "$WORK/code.err" | grep -c 'neither DATABASE_URL is set, nor DB_HOST')" "78 1"
expect "from a folder inside it is the same environment" "$(cd services/api && code "$CODOPS" dev status) $(test -e services/api/.codops; echo $?)" "0 1"
kill $listener
wait $listener 2>/dev/null || true
listener=
expect "a socket of the machine's own server is left alone" "$(sed -i.bak 's|^DB_HOST=.*|DB_HOST=/var/run/postgresql|' .env; code "$CODOPS" doctor -o json; mv .env.bak .env) $(jq -c '[.steps[].name] | index("database")' "$WORK/code.out")" "0 null"
expect "one step named by both --only and --skip" "$(code setup --only tools --skip tools)" 64
expect "--remap keeps what the pieces say" "$(code setup -o json --remap) $(json '[.steps[] | select(.ending != "unchanged")]')" "0 []"
# Killed while a migration runs that no transaction takes back.
printf -- '-- migrate:up transaction:false\nCREATE TABLE cut (id int);\nSELECT pg_sleep(2);\nCREATE TABLE behind (id int);\n' >db/migrations/20240103000000_cut.sql
"$CODOPS" setup-dev >/dev/null 2>&1 </dev/null & victim=$!
sleeps() { [[ $("$CODOPS" dev psql -- -Atc "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep(2)%'") == 1 ]]; }
check "a migration is in the middle" wait_for 20 sleeps
kill -KILL $victim
wait $victim 2>/dev/null || true
expect "half applied by a run that was killed: the next one goes on behind it" "$(code setup -o json) $(ending migrate) $("$CODOPS" dev psql -- -Atc "SELECT to_regclass('cut'), to_regclass('behind')") $(code setup -o json) $(json '[.steps[] | select(.ending != "unchanged")]')" "0 done cut|behind 0 []"
expect "DB_CONNECTION=mysql is left alone" "$(printf 'DB_CONNECTION=mysql\n' >>.env; code "$CODOPS" doctor -o json) $(jq -c '[.steps[].name] | index("database")' "$WORK/code.out") $(grep -c 'names .*mysql' "$WORK/code.err")" "0 null 1"
sed -i '/^DB_CONNECTION=/d' .env
expect "--down for an engine that is away tells what it stopped all the same" "$(DOCKER_HOST=unix://$WORK/none.sock code setup --down --backend docker) $(words "$WORK/err" | grep -c 'stopped were PostgreSQL, Redis')" "69 1"

# ---- two databases by URLs, and a role that is renamed
mkdir -p "$WORK/two"/{users,billing,db/migrations} && cd "$WORK/two" && checkouts+=("$PWD")
cp "$WORK/pieces/db/migrations"/20240101* db/migrations/
printf 'DATABASE_URL=postgresql://billing:b1ll@localhost:5432/billing\n' >billing/.env
printf 'DATABASE_URL=postgresql://users:us3r@localhost:5432/users\n' >users/.env
echo '{"name":"x"}' | tee users/package.json >billing/package.json
expect "each back end has its database" "$(code setup -o json --skip tools) $(json .ready)" "0 true"
for name in billing:b1ll users:us3r; do
  expect "${name%:*} can log in" "$(psql "postgresql://$name@127.0.0.1:5432/${name%:*}" -Atc 'SELECT current_user')" "${name%:*}"
done
expect "again: nothing to do" "$(code setup -o json) $(json '[.steps[] | select(.ending != "unchanged")]')" "0 []"
sed -i 's/billing:b1ll/teller:t3ll/' billing/.env
printf -- '-- migrate:up\nALTER TABLE mine ADD name text;\n' >db/migrations/20240102000000_more.sql
expect "another role has what was the first one's" "$(code setup -o json) $(ending migrate) $(psql postgresql://teller:t3ll@127.0.0.1:5432/billing -Atc 'SELECT count(name) FROM mine') $(psql postgresql://users:us3r@127.0.0.1:5432/users -Atc 'SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()')" "0 done 0 users"
"$CODOPS" setup-dev --down >/dev/null 2>&1

# ---- a path that is too long for a socket
long=$WORK/$(printf 'd%.0s' {1..120})
mkdir "$long" && cd "$long"
printf 'services: {web: {image: x}}\n' >compose.yaml
expect "a socket whose path is too long: told" "$(DOCKER_HOST=unix://$long/docker.sock code "$CODOPS" doctor --backend docker) $(words "$WORK/code.out" | grep -c 'too long\|longer')" "2 1"
cd "$WORK"

# ---- a secret that needs quotes, written into another package's file
clone "$WORK/quoted" && cd "$WORK/quoted"
{ sed "s|^JWT_SECRET=.*|JWT_SECRET='two words # and \$more \"so\"'|" .env.example; printf "SESSION_SECRET='-----BEGIN\nline two\nEND-----'\n"; } >.env
sed -i 's/change-me/x1y2z3/' .env
printf 'JWT_SECRET=change-me\nSESSION_SECRET=""\nLAST=1\n' >backend/.env.example
expect "secrets that need quotes" "$(code setup -o json "${quick[@]}" --remap)" 0
same() { node --env-file="$1" -p 'JSON.stringify([process.env.JWT_SECRET, process.env.SESSION_SECRET])'; }
expect "node reads the same in both files" "$(same backend/.env) $(node --env-file=backend/.env -p process.env.LAST)" "$(same .env) 1"
expect "which is what was meant" "$(same backend/.env)" '["two words # and $more \"so\"","-----BEGIN\nline two\nEND-----"]'
expect "again: nothing to do" "$(code setup -o json "${quick[@]}") $(json '[.steps[] | select(.ending != "unchanged")] | length')" "0 0"

# ---- whose .env it is
if ((EUID == 0)); then
  cp "$CODOPS" "$WORK/codops" && chmod 755 "$WORK/codops"
  mkdir "$WORK/theirs" && echo 'A=1' >"$WORK/theirs/.env" && printf 'A=1\nB=2\n' >"$WORK/theirs/.env.example" && chown 65534:65534 "$WORK/theirs" && chmod 644 "$WORK/theirs/.env"
  cd "$WORK/theirs"
  expect "another user's .env: its owner is named" "$(code setpriv --reuid=65534 --regid=65534 --clear-groups "$WORK/codops" setup-dev) $(words "$WORK/code.err" | grep -c 'is user "root".s, and this is user "nobody"') $(grep -c 'chmod' "$WORK/code.err")" "1 1 0"
  rm -rf .codops
  # What may not be read is told by name and mode, with the command that mends it.
  mkdir "$WORK/hidden" && cp "$WORK/twice/.env.example" "$WORK/hidden" && echo 'A=1' >"$WORK/hidden/.env" && chown -R 65534:65534 "$WORK/hidden" && chmod 0 "$WORK/hidden/.env" && cd "$WORK/hidden"
  as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups env CODOPS_SETUP_DEV_BACKEND=local "$WORK/codops" "$@"; }
  expect ".env of mode 000: told, and as it was" "$(code as_nobody setup-dev) $(words "$WORK/code.err" | grep -c 'mode 000.*chmod u+rw') $(stat -c '%a %s' .env)" "78 1 0 4"
  expect "for root too, where a line is missing" "$(mkdir "$WORK/roots" && cd "$WORK/roots" && echo A=1 >.env && printf 'A=1\nB=2\n' >.env.example && chmod 0 .env && code setup --only env; stat -c '%a %s' "$WORK/roots/.env") $(words "$WORK/out" | grep -c '.env. is read-only')" "1
0 4 1"
  chown root .env && chmod 600 .env
  expect "another user's that may not be read" "$(code as_nobody setup-dev) $(words "$WORK/code.err" | grep -c 'user "root".s, mode 600.*sudo chown nobody')" "78 1"
  cd "$WORK/theirs"
  rm -rf .codops
  expect "sudo in somebody's checkout is refused" "$(SUDO_UID=65534 code setup) $(grep -c 'without sudo' "$WORK/err") $(test -e .codops; echo $?)" "78 1 1"
fi
finish
