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
expect "a wrong folder is told, and nothing is made there" "$(code setup) $(grep -c 'nothing to set up' "$WORK/err") $(code "$CODOPS" doctor) $(find . | wc -l)" "78 1 78 1"

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
  expect "sudo in somebody's checkout is refused" "$(SUDO_UID=65534 code setup) $(grep -c 'without sudo' "$WORK/err") $(test -e .codops; echo $?)" "78 1 1"
fi
finish
