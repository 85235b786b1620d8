#!/usr/bin/env bash
# setup-dev with the host's own PostgreSQL and Redis, from a clean clone: every step, every day, and what may go wrong.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
npm_is_there=
if [[ -d $npm_config_cache ]]; then npm_is_there=1; else skip "npm" "no npm cache: tests/support/images.sh fetch"; fi
# The front end's packages are many: only the long scenario installs them.
with_npm=(--skip install:frontend)
[[ -n $npm_is_there ]] || with_npm=(--skip "install,generate,seed")
quick=(--skip "install,generate,seed")

# ---- the first day. A path with everything that a shell would stumble over.
app="$WORK/my shop's \"\$(touch pwned)\" dev"
clone "$app"
cd "$app"
before=$(fingerprint .)
expect "doctor on a clean clone: there is something to do" "$(code "$CODOPS" doctor)" 2
expect "and it has written nothing" "$(fingerprint .) $(test -e .codops; echo $?)" "$before 1"
expect "setup-dev works" "$(code setup -o json "${with_npm[@]}")" 0
expect "ready" "$(json '[.ready, .backend]')" '[true,"local"]'
expect ".env is private" "$(stat -c %a .env)" 600
expect "with a secret of its own" "$(grep -cE '^(JWT_SECRET|POSTGRES_PASSWORD)=[0-9a-f]{32}$' .env)" 2
expect "the same one in the URL" "$(grep -c "^DATABASE_URL=postgresql://shop:$(sed -n 's/^POSTGRES_PASSWORD=//p' .env)@127.0.0.1:5432/shop$" .env)" 1
expect "somebody else's secret is named, not invented" "$(grep -c '^SMTP_PASSWORD=$' .env) $(json .to_fill)" '1 ["SMTP_PASSWORD in .env"]'
expect "migrations are applied" "$("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" 3
expect "Redis asks for its password" "$(redis-cli -h 127.0.0.1 ping 2>&1 | cut -c1-6) $("$CODOPS" dev redis-cli -- ping)" "NOAUTH PONG"
expect "no shell saw the path" "$(find "$WORK" -name pwned | wc -l)" 0
if [[ -n $npm_is_there ]]; then
  expect "dependencies, generated file, seed" "$(test -d backend/node_modules/pg && jq -r .openapi backend/openapi.json) $("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM orders')" "3.1.0 3"
  expect "what npm made is for others too" "$(stat -c %a backend/node_modules/pg/package.json)" 644
fi

# ---- privacy of the servers
data=$(find "$app/.codops/dev" /var/lib/codops/dev -path '*postgres/data/PG_VERSION' 2>/dev/null | head -n 1 || true)
pid=$(head -n 1 "${data%/*}/postmaster.pid")
if ((EUID == 0)); then expect "PostgreSQL runs as postgres" "$(stat -c %U "/proc/$pid")" postgres; fi
expect "its data is private" "$(stat -c %a "${data%/*}")" 700
expect "it listens on loopback only, on no socket" "$(ss -Hltnp "sport = :5432" | grep -vcE '127.0.0.1:5432|\[::1\]:5432') $(ss -Hlxp | grep -c "pid=$pid,")" "0 0"
secrets=$(grep -oE '[0-9a-f]{32}' .env "$app/.codops/dev/postgres.secret" | cut -d: -f2 | sort -u)
leaks=0
for process in $(pgrep -f 'postgres|redis' || true); do
  if { tr '\0' '\n' <"/proc/$process/cmdline"; } 2>/dev/null | grep -qF "$secrets"; then leaks=$((leaks + 1)); fi
done
expect "no secret in argv, output or logs" "$leaks $(cat "$WORK/out" "$WORK/err" .codops/dev/*.log .codops/dev/ledger.json | grep -cF "$secrets")" "0 0"

# ---- every day
before=$(fingerprint .)
best=9999
for _ in 1 2 3 4 5; do
  start=$(date +%s%N)
  setup -o json "${with_npm[@]}" || true
  took=$((($(date +%s%N) - start) / 1000000))
  ((took >= best)) || best=$took
done
expect "again: nothing to do" "$(json '[.ready, ([.steps[] | select(.ending != "unchanged")] | length)]')" '[true,0]'
expect "and nothing was touched" "$(fingerprint .)" "$before"
# The best of five: the machine may be busy.
if ((best < 300)); then pass "again, quickly"; else fail "again, quickly" "$best ms"; fi
expect "doctor agrees" "$(code "$CODOPS" doctor "${with_npm[@]}")" 0
expect "dev status" "$("$CODOPS" dev status -o json | jq -c '[.ready, (.services | map(.state))]')" '[true,["running","running"]]'
"$CODOPS" dev logs postgres -n 50 >"$WORK/out"
check "dev logs" grep -q '^postgres .*ready to accept connections' "$WORK/out"

# ---- two at once
"$CODOPS" setup-dev --down >/dev/null 2>&1
CODOPS_TEST_KILL=before:postgres:STOP "$CODOPS" setup-dev "${quick[@]}" >/dev/null 2>&1 </dev/null & first=$!
stopped() { [[ $(awk '/^State:/ {print $2}' "/proc/$first/status") == T ]]; }
check "two at once: one has begun" wait_for 20 stopped
expect "the other ends with 4 when it may not wait" "$(code setup "${quick[@]}" --lock-wait 200ms)" 4
check "and names the first" grep -q "\"codops setup-dev\" (pid $first" "$WORK/err"
"$CODOPS" setup-dev -o json "${quick[@]}" >"$WORK/second" 2>/dev/null </dev/null & second=$!
kill -CONT "$first"
rc=0
wait "$first" || rc=$?
wait "$second" || rc=$rc.$?
expect "or waits, and both end well" "$rc $(jq -c .ready "$WORK/second")" "0 true"
pid=$(head -n 1 "${data%/*}/postmaster.pid")

# ---- the database died
kill -KILL "$pid"
expect "dev status sees it" "$(code "$CODOPS" dev status)" 2
expect "setup-dev brings it back" "$(code setup -o json "${quick[@]}") $(ending postgres) $(ending migrate)" "0 done unchanged"
expect "with its data" "$("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" 3

# ---- a pid file that lies: its number belongs to somebody else now
"$CODOPS" setup-dev --down >/dev/null 2>&1
sleep 300 & bystander=$!
cp -p "${data%/*}/PG_VERSION" "$WORK/" && printf '%s\n' "$bystander" >"${data%/*}/postmaster.pid" && printf '%s\n' "$bystander" >"${data%/data/*}/../redis/redis.pid"
if ((EUID == 0)); then chown redis "${data%/data/*}/../redis/redis.pid"; fi
expect "--down leaves it alone" "$(code setup --down) $(cat "$WORK/out") $(kill -0 $bystander && echo alive)" "0 nothing runs alive"
# PostgreSQL would not start while one of its own user's processes has that number.
kill $bystander
as=()
((EUID != 0)) || as=(setpriv --reuid=postgres --clear-groups)
(cd / && exec "${as[@]}" sleep 300) & bystander=$!
is_owner() { [[ $(stat -c %U "${data%/*}") == "$(stat -c %U "/proc/$bystander")" ]]; }
wait_for 10 is_owner
printf '%s\n' "$bystander" >"${data%/*}/postmaster.pid"
expect "and setup-dev starts beside it" "$(code setup -o json "${quick[@]}") $(kill -0 $bystander && echo alive) $("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" "0 alive 3"
kill $bystander
"$CODOPS" setup-dev --down >/dev/null 2>&1

# ---- a port that somebody else has
listen_on 5432
env_before=$(sha256sum .env)
expect "a taken port fails" "$(code setup -o json "${quick[@]}") $(ending ports) $(ending postgres) $(ending redis)" "1 failed blocked blocked"
check "and its holder is named" grep -q "python3 (pid $listener" "$WORK/out"
expect "nothing was changed without asking" "$(sha256sum .env)" "$env_before"
expect "--remap moves" "$(code setup -o json "${quick[@]}" --remap)" 0
expect "everywhere" "$(grep -cE '^(POSTGRES_PORT=5433|DATABASE_URL=.*@127.0.0.1:5433/shop)$' .env)" 2
expect "with the data, and a copy of the file as it was" "$("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations') $(sha256sum <.codops/dev/replaced/.env.* | cut -c1-64)" "3 ${env_before%% *}"
kill "$listener"
expect "and stays there" "$(code setup -o json "${quick[@]}") $(json '[.steps[] | select(.ending != "unchanged")] | length')" "0 0"

# ---- .env files of somebody who has been here before
printf 'MINE=1\r\nJWT_SECRET=\r\n#CORS_ORIGIN=x\r\nDATABASE_URL="%s"' "$(sed -n 's/^DATABASE_URL=//p' .env)" >.env.mine
mine=$(sha256sum <.env.mine)
size=$(stat -c %s .env.mine)
cp .env.mine .env
setup "${quick[@]}" --only env || true
expect "CRLF and no final newline: only appended" "$(head -c "$size" .env | sha256sum)" "$mine"
expect "with its line ends; what was commented out stays so" "$(tail -c +$((size + 1)) .env | grep -vc $'\r$') $(grep -c '^CORS_ORIGIN' .env) $(grep -c '^POSTGRES_PASSWORD=.' .env)" "0 0 1"
cp .env.mine .env && chmod 444 .env
expect "a read-only .env is left alone" "$(code setup -o json --only env) $(sha256sum <.env)" "1 $mine"
check "and the missing keys are named" grep -q POSTGRES_PASSWORD "$WORK/out"
chmod 644 .env
mkdir -p "$WORK/outside" && mv .env "$WORK/outside/profile" && ln -s "$WORK/outside/profile" .env
expect "a link that leaves the project is not followed" "$(code setup --only env) $(sha256sum <"$WORK/outside/profile")" "1 $mine"
rm .env && cp .env.mine .env
printf "A='never closed\n" >.env
broken=$(sha256sum <.env)
expect "a .env that can't be read is 78, and stays" "$(code setup --only env) $(sha256sum <.env)" "78 $broken"
rm .env .env.mine

# ---- an old node: the stores come up all the same
clone "$WORK/old"
cd "$WORK/old"
(cd "$app" && "$CODOPS" setup-dev --down >/dev/null 2>&1) || true
mkdir -p "$WORK/bin" && printf '#!/bin/sh\necho v16.20.0\n' >"$WORK/bin/node" && chmod 755 "$WORK/bin/node"
rc=$(PATH=$WORK/bin:$PATH code setup -o json)
expect "old node" "$rc $(ending tools) $(ending install:backend) $(ending postgres) $(ending migrate)" "1 failed blocked done done"
check "with the version that is wanted and how to get it" grep -q 'node is 16.20.0, and backend/package.json wants >=18.*nvm install 18\|"hint":".*18' "$WORK/out"

# ---- a migration that fails
mkdir -p prisma/migrations/20260101000000_broken
cp "$REPO"/tests/app/switches/badmigration/20260101000000_broken/migration.sql prisma/migrations/20260101000000_broken/
expect "a broken migration is told" "$(code setup -o json "${quick[@]}") $(ending migrate) $(ending redis)" "1 failed unchanged"
rm -r prisma/migrations/20260101000000_broken
expect "and once it is mended all is well" "$(code setup -o json "${quick[@]}")" 0

# ---- one that was applied by half: what another tool recorded and never finished
"$CODOPS" dev psql -- -qc "INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, applied_steps_count) VALUES ('half', repeat('0', 64), '20260102000000_half', now(), 0)"
mkdir prisma/migrations/20260102000000_half && echo 'CREATE TABLE half (id int);' >prisma/migrations/20260102000000_half/migration.sql
expect "a half-applied migration is told" "$(code setup -o json "${quick[@]}") $(ending migrate)" "1 failed"
check "with what to type" grep -q 'codops migrate resolve' "$WORK/out"
"$CODOPS" migrate resolve development --rolled-back 20260102000000_half >/dev/null 2>&1 </dev/null || true
expect "after that all is well" "$(code setup -o json "${quick[@]}") $("$CODOPS" dev psql -- -Atc "SELECT to_regclass('half')")" "0 half"
"$CODOPS" dev psql -- -qc "DROP TABLE half" -c "DELETE FROM _prisma_migrations WHERE migration_name LIKE '%half'"
rm -r prisma/migrations/20260102000000_half

# ---- somebody else's database is nobody's to migrate
printf 'DATABASE_URL=postgresql://shop:x@db.example.com:5432/shop\n' >"$WORK/far" && cp .env "$WORK/env" && cp "$WORK/far" .env
setup -o json "${quick[@]}" || true
expect "a database elsewhere is left alone" "$(json '[.steps[].name] | index("migrate")') $(json .notes | grep -c db.example.com)" "null 1"
cp "$WORK/env" .env

# ---- reset
expect "--reset without a person or --yes changes nothing" "$(code setup --reset) $("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL')" "64 3"
check "and says what would be lost" grep -q 'local PostgreSQL' "$WORK/err"
env_before=$(sha256sum .env)
# Redis writes its file only later: what it holds is asked of the server itself.
setup "${quick[@]}" || true
redis_folder=$("$CODOPS" dev redis-cli -- config get dir | tail -n 1)
"$CODOPS" dev redis-cli -- flushall >/dev/null
"$CODOPS" dev redis-cli -- config set save "" >/dev/null
rm -f "$redis_folder/dump.rdb"
expect "a Redis without a key has nothing to lose" "$(code setup --reset) $(grep -c 'local Redis' "$WORK/err")" "64 0"
"$CODOPS" dev redis-cli -- set mine 42 >/dev/null
expect "one that has not written its file yet has" "$(code setup --reset) $(grep -c 'local Redis.*(keys: 1)' "$WORK/err") $(test -e "$redis_folder/dump.rdb"; echo $?) $("$CODOPS" dev redis-cli -- get mine)" "64 1 1 42"
expect "--reset --yes starts anew" "$(code setup -o json "${quick[@]}" --reset --yes) $(ending migrate) $(sha256sum .env)" "0 done $env_before"

# ---- the seed: not over somebody's data, and one that was killed half way is told
mkdir "$WORK/seeded" && cd "$WORK/seeded" && checkouts+=("$WORK/seeded")
(cd "$app" && "$CODOPS" setup-dev --down >/dev/null 2>&1) || true
(cd "$WORK/old" && "$CODOPS" setup-dev --down >/dev/null 2>&1) || true
mkdir -p prisma/migrations/20250101000000_first
echo 'provider = "postgresql"' >prisma/migrations/migration_lock.toml
echo "CREATE TABLE kinds (name text); INSERT INTO kinds VALUES ('of the migration'); CREATE TABLE things (name text);" >prisma/migrations/20250101000000_first/migration.sql
printf 'DATABASE_URL=postgresql://me:secret@127.0.0.1:5432/seeded\n' >.env
cat >seed.sh <<'SH'
#!/bin/sh
"$CODOPS" dev psql -- -qc "INSERT INTO things VALUES ('seed')"
# The parent is the guard; codops is the guard's.
[ ! -e killed ] || kill -KILL "$(cut -d' ' -f4 /proc/$PPID/stat)"
SH
chmod 755 seed.sh
cat >codops.yaml <<'Y'
project: seeded
setup_dev:
  seed:
    - run: [./seed.sh]
Y
things() { "$CODOPS" dev psql -- -Atc "SELECT string_agg(name, ',') FROM things"; }
expect "rows of a migration are no reason against a seed" "$(code setup -o json) $(ending seed) $(things)" "0 done seed"
expect "which runs once" "$(code setup -o json) $(ending seed) $(things)" "0 unchanged seed"
expect "a run without its seed" "$(code setup -o json --reset --yes --skip seed) $(things)" "0 "
"$CODOPS" dev psql -- -qc "INSERT INTO things VALUES ('mine')"
expect "then somebody's own data: no seed runs over it" "$(code setup -o json) $(ending seed) $(things)" "0 unchanged mine"
expect "which is said, with the way to run it" "$(json '.steps[] | select(.name == "seed") | .text') $(grep -c 'seed: not run.*by hand: (./seed.sh)' "$WORK/err")" '"not run: the database has data of somebody'"'"'s by now" 1'
touch killed
expect "a seed that is killed half way, and setup-dev with it" "$(code setup -o json --reset --yes) $(things)" "137 seed"
rm killed
expect "is not run over its own half" "$(code setup -o json) $(ending seed) $(things)" "0 unchanged seed"
expect "and not taken as done either" "$(json '.steps[] | select(.name == "seed") | .text' | cut -c1-28) $(words "$WORK/err" | grep -c 'seed: began once and did not end.*by hand: .*seed.sh.*--reset')" '"began once and did not end: 1'
"$CODOPS" dev psql -- -qc 'TRUNCATE things'
expect "without what it wrote it runs again" "$(code setup -o json) $(ending seed) $(things)" "0 done seed"

# ---- root's two places for the servers' data: what decides changes, and the data is where it was
if ((EUID == 0)); then
  own=.codops/dev
  if [[ -d $own/postgres ]]; then
    "$CODOPS" setup-dev --down >/dev/null 2>&1
    chmod o-x "$WORK/seeded"
    expect "others can't enter any more: the data is not passed over" "$(code setup -o json) $(ending postgres) $(test -d "$own/postgres/data"; echo $?)" "69 failed 0"
    check "both places are told, and the way out" grep -q "\"$WORK/seeded/.codops/dev/postgres.*/var/lib/codops/dev/seeded-.*chmod o+x .*$WORK/seeded" "$WORK/out"
    expect "nor by --reset" "$(code setup --reset --yes) $(test -d "$own/postgres/data"; echo $?) $(grep -c 'data of postgres is in' "$WORK/err")" "1 0 1"
    expect "nothing was made at the other" "$(find /var/lib/codops/dev -maxdepth 1 -name 'seeded-*' -newer seed.sh 2>/dev/null | wc -l)" 0
    chmod o+x "$WORK/seeded"
    expect "and with the way out it is there" "$(code setup -o json) $(things)" "0 seed"
  else
    # The tests' own folder is closed to others: the data is aside already.
    skip "two places" "$WORK can't be entered by others"
  fi
fi
"$CODOPS" setup-dev --down >/dev/null 2>&1
cd "$WORK/old"
expect "a last start" "$(code setup -o json "${quick[@]}")" 0
expect "--down" "$(code setup --down)" 0
expect "nothing of it runs" "$(ss -Hltn 'sport = :5432 or sport = :5433 or sport = :6379' | wc -l)" 0
finish
