#!/usr/bin/env bash
# setup-dev with the host's own servers in a checkout that was moved or copied, with and without its servers running; data behind links
# and in other hands. Nobody's data is met by another checkout, and every refusal has a way out that works as it is printed.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
quick=(--skip "install,generate,seed")
asides=()
clean_up() {
  down_all
  [[ -z ${asides[*]-} ]] || rm -rf -- "${asides[@]}"
}
field() { jq -r --arg name "$1" --arg field "$2" '.steps[] | select(.name == $name) | .[$field]' "$WORK/out"; }
follow() { [[ -n $(field "$1" hint) ]] && (PATH="${CODOPS%/*}:$PATH" bash -euc "$(field "$1" hint)") >"$WORK/follow.out" 2>&1 </dev/null; } # STEP: does what its hint says
mine() { "$CODOPS" dev psql -- -Atc "SELECT string_agg(name, ',') FROM mine"; }
down() { "$CODOPS" setup-dev --down >/dev/null 2>&1 </dev/null; }

# ---- moved, while its servers run
clone "$WORK/app"
cd "$WORK/app"
expect "a checkout" "$(code setup "${quick[@]}")" 0
"$CODOPS" dev psql -- -qc "CREATE TABLE mine (name text); INSERT INTO mine VALUES ('first')"
mv "$WORK/app" "$WORK/moved" && checkouts+=("$WORK/moved")
cd "$WORK/moved"
expect "moved while its servers run: they are its own" "$(code setup -o json "${quick[@]}") $(json '[.steps[] | select(.ending != "unchanged")]') $(mine)" "0 [] first"
expect "dev status says so" "$(code "$CODOPS" dev status)" 0

# ---- copied, while they run: the copy's URLs lead to the first one's servers
if [[ -d .codops/dev/postgres ]]; then
  cp -a "$WORK/moved" "$WORK/copy" && checkouts+=("$WORK/copy")
  cd "$WORK/copy"
  expect "a copy: dev psql does not reach the other's database" "$(code "$CODOPS" dev psql -- -Atc 'SELECT 1') $(cat "$WORK/code.out")" "69 "
  check "who has the port is told, and what to type" grep -q "PostgreSQL is not on port 5432, which postgres (pid .*" "$WORK/code.err"
  expect "nor does dev redis-cli" "$(code "$CODOPS" dev redis-cli -- ping) $(grep -c 'setup-dev --remap' "$WORK/code.err")" "69 1"
  expect "nor dev status" "$(code "$CODOPS" dev status -o json) $(jq -c '[.ready, .services[0].state, (.database | test("is not on port 5432"))]' "$WORK/code.out")" '2 [false,"stopped",true]'
  expect "setup-dev names the way out" "$(code setup -o json "${quick[@]}") $(ending ports) $(field ports hint | grep -c -- --remap)" "1 failed 1"
  expect "data that was copied from under a running server is not started" "$(code setup -o json "${quick[@]}" --remap) $(ending postgres) $(field postgres text | grep -c "was copied from \"$WORK/.*while its server had it open")" "69 failed 1"
  check "the way out names both checkouts' commands" grep -q 'setup-dev --down.*setup-dev --reset --remap' <<<"$(field postgres hint)"
  expect "it can begin anew" "$(code setup -o json "${quick[@]}" --reset --yes --remap) $("$CODOPS" dev psql -- -Atc "SELECT to_regclass('mine'), count(*) FROM _prisma_migrations")" "0 |3"
  expect "the first one's data is untouched" "$(cd "$WORK/moved" && mine)" first
  down && cd "$WORK" && rm -rf copy

  # ---- copied while they were stopped: it has its own data, and its own servers
  (cd "$WORK/moved" && down)
  cp -a "$WORK/moved" "$WORK/copy" && cd "$WORK/copy"
  expect "a copy of a stopped one has the data" "$(code setup -o json "${quick[@]}") $(mine)" "0 first"
  "$CODOPS" dev psql -- -qc "UPDATE mine SET name = 'second'"
  expect "the first one is moved beside it" "$(cd "$WORK/moved" && code setup "${quick[@]}" --remap) $(cd "$WORK/moved" && mine) $(mine)" "0 first second"
  down

  # ---- copied without owners and modes
  data=.codops/dev/postgres/data
  chmod -R go=rX "$data"
  start=$(date +%s%N)
  expect "data that is open to others: told" "$(code setup -o json "${quick[@]}") $(ending postgres) $(field postgres text | grep -c 'open to other users (mode 755)')" "69 failed 1"
  took=$((($(date +%s%N) - start) / 1000000))
  if ((took < 5000)); then pass "and at once"; else fail "and at once" "$took ms"; fi
  check "the way out can be typed" follow postgres
  if ((EUID == 0)); then
    chown -R root "$data"
    start=$(date +%s%N)
    expect "data of another user: told" "$(code setup -o json "${quick[@]}") $(ending postgres) $(field postgres text | grep -c "user \"root\"'s, and its server runs as \"postgres\"")" "69 failed 1"
    took=$((($(date +%s%N) - start) / 1000000))
    if ((took < 5000)); then pass "at once"; else fail "at once" "$took ms"; fi
    check "the way out can be typed too" follow postgres
    "$CODOPS" dev redis-cli -- set k v >/dev/null && down
    chown root .codops/dev/redis/dump.rdb
    expect "Redis' file of another user: told" "$(code setup -o json "${quick[@]}") $(ending redis)" "69 failed"
    check "with a way out" follow redis
  fi
  expect "and all is well" "$(code setup -o json "${quick[@]}") $(mine)" "0 second"
  down

  # ---- a server that can't start is not waited for, whatever the reason
  echo 'no_such_setting = 1' >>"$data/postgresql.conf"
  start=$(date +%s%N)
  expect "a server that ends at once" "$(code setup -o json "${quick[@]}") $(ending postgres) $(grep -c no_such_setting "$WORK/out")" "1 failed 1"
  took=$((($(date +%s%N) - start) / 1000000))
  if ((took < 4000)); then pass "is told at once"; else fail "is told at once" "$took ms"; fi
  sed -i '$d' "$data/postgresql.conf"

  # ---- data behind a link
  for server in postgres/data postgres redis; do
    step=${server%/data}
    mv ".codops/dev/$server" "$WORK/elsewhere" && ln -s "$WORK/elsewhere" ".codops/dev/$server"
    expect "a link at $server: told" "$(code setup -o json "${quick[@]}") $(ending "$step") $(field "$step" text | grep -c 'is a link')" "69 failed 1"
    expect "a link at $server: no bug for --reset either" "$(code setup --reset --yes) $(grep -c 'is a link' "$WORK/err") $(test -d "$WORK/elsewhere" && echo there)" "1 1 there"
    setup -o json "${quick[@]}" || true
    check "a link at $server: the way out can be typed" follow "$step"
  done
  down
  ln -s "$WORK/nowhere" "$WORK/link" && mv .codops/dev/postgres/data "$WORK/elsewhere" && mv -T "$WORK/link" .codops/dev/postgres/data
  expect "a link to nothing: told" "$(code setup -o json "${quick[@]}") $(ending postgres)" "69 failed"
  rm .codops/dev/postgres/data && mv "$WORK/elsewhere" .codops/dev/postgres/data
  expect "and all is there" "$(code setup -o json "${quick[@]}") $(mine)" "0 second"
  down
else
  # The tests' own folder is closed to others: root's data is aside, and no copy has it.
  skip "copies" "$WORK can't be entered by others"
fi

# ---- root's data in a folder aside, which goes by the checkout's path
if ((EUID == 0)); then
  (cd "$WORK/moved" && down)
  clone "$WORK/closed"
  chmod o-x "$WORK/closed"
  cd "$WORK/closed"
  expect "a closed checkout" "$(code setup "${quick[@]}")" 0
  asides+=("$(<.codops/dev/servers-folder)")
  "$CODOPS" dev psql -- -qc "CREATE TABLE mine (name text); INSERT INTO mine VALUES ('aside')"
  mv "$WORK/closed" "$WORK/shut" && checkouts+=("$WORK/shut") && cd "$WORK/shut"
  expect "moved while its servers run: nothing empty in its place" "$(code setup -o json "${quick[@]}" --remap) $(ending postgres) $(ending redis) $(ending migrate)" "69 failed failed blocked"
  check "where it was is told" grep -q "(it was at .*$WORK/closed" <<<"$(field postgres text)"
  expect "--reset and --down do not say that there is nothing" "$(code setup --reset --yes) $(code setup --down)" "1 1"
  setup -o json "${quick[@]}" --remap || true
  check "the way out can be typed" follow postgres
  setup -o json "${quick[@]}" --remap || true
  check "for both" follow redis
  expect "and the data is there" "$(code setup -o json "${quick[@]}" --remap) $(mine)" "0 aside"
  asides+=("$(<.codops/dev/servers-folder)")
  cp -a "$WORK/shut" "$WORK/shut2" && checkouts+=("$WORK/shut2") && cd "$WORK/shut2"
  expect "a copy has no claim on it" "$(code setup -o json "${quick[@]}" --remap) $("$CODOPS" dev psql -- -Atc "SELECT to_regclass('mine')") $(cd "$WORK/shut" && mine)" "0  aside"
  asides+=("$(<.codops/dev/servers-folder)")
  down
fi

# ---- what was not looked at is not called ready
cd "$WORK/moved"
expect "--only: nobody knows whether all is ready" "$(code setup --only env --check -o json) $(json '[.ready, .only]') $(setup --only env --check; grep -c '^ready' "$WORK/out")" '0 [null,["env"]] 0'
check "which is said" grep -q 'well as far as --only env goes, the rest was not looked at' "$WORK/out"
expect "an empty name is not all of them" "$(code setup --only '') $(code setup --skip ,) $(grep -c -- '--skip names no step' "$WORK/err")" "64 64 1"

# ---- who has a port is told without what stands in its arguments
python3 -c 'import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 5999)); s.listen(8); open(sys.argv[2], "w").write("x"); time.sleep(600)' \
  --password=pa55word "$WORK/listening" 2>/dev/null & listener=$!
wait_for 10 test -s "$WORK/listening"
clone "$WORK/last"
cd "$WORK/last"
echo 'DATABASE_URL=postgresql://shop:x@127.0.0.1:5999/shop' >.env
expect "a holder is named without its arguments" "$(code setup -o json "${quick[@]}") $(field ports text | grep -c "python3 (pid $listener, user ") $(cat "$WORK/out" "$WORK/err" | grep -c pa55word)" "1 1 0"
finish
