#!/usr/bin/env bash
# setup-dev in odd company, with the host's own servers: a hostile example, files that are damaged or no files, other users, hardly any
# environment, a server of another major version.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
quick=(--skip "install,generate,seed")
# Not one of these may wait for ever.
bounded() { code timeout -k 1 60 "$CODOPS" "$@"; }
nothing_to_do() { json '[.ready, ([.steps[] | select(.ending != "unchanged")] | length)]'; }

# ---- an example that hopes for a shell, and for SQL
app="$WORK/app"
clone "$app"
cd "$app"
cat >.env.example <<'X'
A=$(touch pwned)
B=`touch pwned`
C="$(touch pwned)"
PORT='3000; touch pwned'
JWT_SECRET=$(openssl rand -hex 32)
SESSION_SECRET="`uuidgen`"
POSTGRES_DB=shop"; DROP DATABASE postgres; --
POSTGRES_PORT=5432
DATABASE_URL=postgresql://sh%22op%27:p%40ss%27w%3Bord@127.0.0.1:5432/my%22db%27%3B
REDIS_URL=redis://:pa%0A%0Dss%22%20x@127.0.0.1:6379/3
X
expect "an example that hopes for a shell" "$(code setup -o json "${quick[@]}") $(find "$WORK" -name 'pwned*' | wc -l)" "0 0"
expect "its text stays text" "$(grep -cxF -e 'A=$(touch pwned)' -e 'B=`touch pwned`' -e 'C="$(touch pwned)"' .env)" 3
expect "what a shell would have made secret is made" "$(grep -cE '^(JWT_SECRET=|SESSION_SECRET=")[0-9a-f]{32}"?$' .env)" 2
expect "names and passwords with quotes work" "$("$CODOPS" dev psql -- -Atc "SELECT current_user || current_database(), count(*) FROM _prisma_migrations") $("$CODOPS" dev redis-cli -- ping)" "sh\"op'my\"db';|3 PONG"
expect "again: nothing to do" "$(code setup -o json "${quick[@]}") $(nothing_to_do)" '0 [true,0]'

# ---- .codops/dev, damaged
for text in '' '[1]' '{"format":"1"}' '{"format":1,"done":{"redis":{"inputs":5,"note":[]}}}' '{"format":1,"done":{"re'; do
  printf '%s' "$text" >.codops/dev/ledger.json
  expect "a ledger that reads '$text'" "$(code setup -o json "${quick[@]}") $(json .ready)" "0 true"
done
for text in '' 'null' '{"pid":"x","command":4,"since":5}' '{"command":"codops setup-dev","since":"yesterday"}'; do
  printf '%s' "$text" >.codops/dev/owner.json
  expect "a lock whose owner reads '$text'" "$(flock .codops/dev/lock "$CODOPS" setup-dev "${quick[@]}" --lock-wait 100ms >/dev/null 2>"$WORK/err" </dev/null || echo $?)" 4
done
for what in lock ledger.json; do
  mv .codops/dev/$what "$WORK/kept" && mkdir .codops/dev/$what
  expect "$what is a folder: told" "$(bounded setup-dev "${quick[@]}") $(grep -c "$what.*directory" "$WORK/code.err")" "1 1"
  rmdir .codops/dev/$what && mv "$WORK/kept" .codops/dev/$what
done
mv .codops/dev/lock "$WORK/kept" && ln -s "$WORK/victim" .codops/dev/lock
expect "a lock that is a link is not followed" "$(bounded setup-dev "${quick[@]}") $(test -e "$WORK/victim"; echo $?)" "1 1"
mv "$WORK/kept" .codops/dev/lock

# ---- .env is no file: a secrets manager's pipe would keep a reader waiting for ever
mv .env "$WORK/env"
for what in "mkfifo .env" "mkdir .env"; do
  $what
  expect "$what: told, not waited for" "$(bounded setup-dev "${quick[@]}") $(grep -c 'plain files only' "$WORK/code.err")" "78 1"
  rm -r .env
done
ln -s nowhere .env
expect "a link to nothing is told with its own way out" "$(code setup -o json "${quick[@]}") $(ending env) $(grep -c '"hint":"remove the link' "$WORK/out") $(readlink .env)" "1 failed 1 nowhere"
rm .env && mv "$WORK/env" .env

# ---- URLs that can't be meant: told by the step that needs them, never "ready", never with what stands in them
cp .env "$WORK/env"
while read -r url; do
  grep -v '^DATABASE_URL=' "$WORK/env" >.env
  printf 'DATABASE_URL=%s\n' "$url" >>.env
  expect "DATABASE_URL=$url" "$(code setup -o json "${quick[@]}") $(ending database) $(ending migrate) $(ending redis) $(cat "$WORK/out" "$WORK/err" | grep -c 'pa55')" "78 failed blocked unchanged 0"
done <<'X'
not a url at pa55 all
postgresql://shop:pa55@[::1
postgresql://shop@127.0.0.1:5432/shop
postgresql://codops_admin:pa55@127.0.0.1:5432/shop
X
{ grep -v '^DATABASE_URL=' "$WORK/env"; echo 'DATABASE_URL=file:./dev.db'; } >.env
expect "another kind of database is left alone" "$(code setup -o json "${quick[@]}") $(json '[.steps[].name] | index("database")') $(json .notes | grep -c '"file')" "0 null 1"
cp "$WORK/env" .env
expect "with its own URL all is there" "$(code setup -o json "${quick[@]}") $(nothing_to_do)" '0 [true,0]'

# ---- hardly any environment
expect "HOME unset" "$(code env -u HOME "$CODOPS" setup-dev "${quick[@]}")" 0
expect "nothing set at all" "$(code env -i "CODOPS_SETUP_DEV_BACKEND=local" "$CODOPS" setup-dev "${quick[@]}")" 0
expect "from a folder inside" "$(cd backend && code "$CODOPS" setup-dev "${quick[@]}") $(test -e backend/.codops; echo $?)" "0 1"

# ---- what stands between two runs: another major version, a password that is gone. Never a word about removing the data.
"$CODOPS" setup-dev --down >/dev/null 2>&1
data=$(find "$app/.codops/dev" /var/lib/codops/dev/app-* -path '*postgres/data/PG_VERSION' 2>/dev/null | head -n 1 || true)
major=$(cat "$data")
echo 9 >"$data"
expect "data of another major version" "$(code setup -o json "${quick[@]}") $(ending postgres) $(ending redis)" "69 failed done"
check "is told with what to install" grep -q "is PostgreSQL 9's, which is not installed.*postgresql-9" "$WORK/out"
echo "$major" >"$data"
mv .codops/dev/postgres.secret "$WORK/" && : >.codops/dev/postgres.secret
expect "its password is gone: told at once" "$(bounded setup-dev "${quick[@]}")" 69
mv "$WORK/postgres.secret" .codops/dev/
expect "and with both in place all is there" "$(code setup -o json "${quick[@]}") $("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" "0 3"

# ---- npm was killed over its own record
mkdir -p backend/node_modules && printf '{"packages":{"node_modul' >backend/node_modules/.package-lock.json
expect "a torn record of npm's is an install that did not end" "$(code "$CODOPS" doctor -o json) $(jq -r '.steps[] | select(.name == "install:backend") | .ending' "$WORK/code.out")" "2 wanted"
rm -r backend/node_modules

# ---- two users
if ((EUID == 0)); then
  # No engine, whichever lane this runs in.
  as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups env -u HOME CODOPS_SETUP_DEV_BACKEND=local DOCKER_HOST="unix://$WORK/none.sock" "$@"; }
  # A copy that the user may read, wherever this one is.
  cp "$CODOPS" "$WORK/codops" && chmod 755 "$WORK/codops"
  expect "somebody else's environment is not touched" "$(cd "$app" && code as_user "$WORK/codops" setup-dev "${quick[@]}") $(grep -c "is user \"root\"'s" "$WORK/code.err")" "1 1"
  clone "$WORK/theirs"
  chown -R 65534:65534 "$WORK/theirs" && cd "$WORK/theirs"
  echo 'DATABASE_URL=postgresql://a:b@localhost:5432/c' >.env.production && chmod 600 .env.production
  listener_of_root=$(head -n 1 "${data%/*}/postmaster.pid")
  # The first run writes .env with ports that are free; the process that has the usual one can't be seen by an ordinary user.
  expect "an ordinary user, beside root's servers" "$(code as_user "$WORK/codops" setup-dev "${quick[@]}" -o json) $(jq -r '.steps[] | select(.name == "ports") | .text' "$WORK/code.out" | grep -c 'postgres 5433 (5432 is taken by .*user "postgres"')" "0 1"
  expect "what it may not read is told, and nothing is said of it" "$(words "$WORK/code.err" | grep -c '.env.production can.t be read by this user: whether it leads to port 5432') $(sha256sum <.env.production)" "1 $(echo 'DATABASE_URL=postgresql://a:b@localhost:5432/c' | sha256sum)"
  expect "has servers of their own" "$(stat -c %U "/proc/$(head -n 1 .codops/dev/postgres/data/postmaster.pid)") $(as_user "$WORK/codops" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" "nobody 3"
  expect "which root's are not" "$(kill -0 "$listener_of_root" && echo alive)" alive
  expect "root does not walk in either" "$(code setup --down) $(grep -c 'go on as "nobody"' "$WORK/err")" "1 1"
  expect "down, by their owner" "$(code as_user "$WORK/codops" setup-dev --down)" 0
  # Low ports can't be tried by an ordinary user; an engine listens for it all the same.
  printf 'services: {web: {image: x, ports: ["127.0.0.1:80:80"]}}\n' >"$WORK/theirs/docker-compose.yml"
  : >.env.example && : >.env && chown 65534:65534 .env.example .env
  expect "a low port is free when nobody has it" "$(as_user "$WORK/codops" doctor --backend docker -o json 2>/dev/null | jq -r '.steps[] | select(.name == "ports") | .ending')" unchanged
  listen_on 80
  # Whether it is a container of its own, no engine can tell here.
  expect "and taken when somebody has" "$(as_user "$WORK/codops" doctor --backend docker -o json 2>/dev/null | jq -r '.steps[] | select(.name == "ports") | .ending, (.text | test("^80, which .*is taken by a process of user .root."))' | xargs)" "failed true"
fi
cd "$app"
expect "down" "$(code setup --down)" 0
finish
