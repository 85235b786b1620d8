#!/usr/bin/env bash
# setup-dev and a disk that is full (a small tmpfs): while .env is written, while the database is made, while packages are
# installed. Each is told, costs nothing that was there, and goes on once there is room.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
# The mount is this script's own: nobody else sees it, and it goes with it.
if [[ -z ${OWN_MOUNTS:-} ]]; then
  ((EUID == 0)) && unshare -m true 2>/dev/null || { skip "mounts" "only root can mount a small disk"; finish; }
  case_finished=1
  trap - EXIT
  rm -rf "$WORK"
  OWN_MOUNTS=1 exec unshare -m "$0"
fi

disk=$WORK/disk
mkdir "$disk"
mount -t tmpfs -o size=256k,mode=755 tmpfs "$disk"
clean_up() {
  down_all
  umount -l "$disk" 2>/dev/null || true
}
room() { mount -o "remount,size=$1" "$disk"; }
full() { head -c 1G /dev/zero >"$disk/filler" 2>/dev/null || true; }
quick=(--skip "install,generate,seed")

# ---- the very first file
app="$disk/first"
mkdir "$app" && cd "$app" && cp "$REPO/tests/app/.env.example" .
full
expect "no room for the first file: told as that" "$(code setup --only env) $(words "$WORK/err" | grep -c 'No space left on device.*make room on the disk') $(find . -name .env)" "1 1 "
rm "$disk/filler"
expect "with room it goes on" "$(code setup --only env) $(test -s .env && echo there)" "0 there"
cd "$disk" && rm -rf "$app"

# ---- .env: nothing is written but the whole
app="$disk/my shop"
mkdir "$app" && cd "$app"
checkouts+=("$app")
cp "$REPO"/tests/app/{.env.example,docker-compose.yml} . && printf 'MINE=1\n' >.env
mkdir -p .codops/dev && printf '*\n' >.codops/dev/.gitignore
expect "with room it grows" "$(code setup --only env) $(grep -c '^MINE=1$' .env) $(grep -c JWT_SECRET .env)" "0 1 1"
printf 'MINE=1\n' >.env
full
expect "a full disk: .env is as it was, nothing is left over" "$(code setup --only env) $(cat .env) $(find . -name '*tmp' | wc -l)" "1 MINE=1 0"
check "and that is told" grep -q 'No space left on device' "$WORK/out" "$WORK/err"
rm "$disk/filler" .env

# ---- .env under two names: it stays one file, so it is written over. Longer than a page, it can be cut off in the middle.
two="$disk/two"
mkdir "$two" && cd "$two" && checkouts+=("$two")
cp "$REPO/tests/app/docker-compose.yml" .
{
  printf 'POSTGRES_PORT=5432\nDATABASE_URL=postgresql://shop:s3cret@127.0.0.1:5432/shop\n'
  seq -f 'MINE_%g=what somebody wrote' 400
  printf 'LAST_URL=postgresql://shop:s3cret@127.0.0.1:5432/shop\n'
} >.env
ln .env other
cp .env "$WORK/was"
listen_on 5432
full
expect "a full disk: .env under two names is as it was" "$(code setup --remap --only env) $(cmp .env "$WORK/was" && stat -c %h .env)" "1 2"
rm "$disk/filler"
expect "killed in the middle of it" "$(CODOPS_TEST_KILL=within:env code setup --remap --only env) $(grep -c ':5433/' .env) $(grep -c ':5432/' .env)" "137 1 1"
expect "doctor tells, and changes nothing" "$(code setup --check --remap --only env; sha256sum <.env) $(words "$WORK/out" | grep -c 'a run that died wrote a part of ".env"')" "2
$(sha256sum <.env) 1"
cp .env "$WORK/half"
expect "the next run puts it back, and moves the whole of it" "$(code setup --remap --only env) $(words "$WORK/err" | grep -c '".env" is as it was') $(grep -c ':5433/' .env) $(cmp .env other && stat -c %h .env)" "0 1 2 2"
sed 's/:5432/:5433/; s/^POSTGRES_PORT=5432/POSTGRES_PORT=5433/' "$WORK/was" >"$WORK/moved"
expect "nothing else of it changed, what it was and its half are kept" "$(cmp .env "$WORK/moved" && sha256sum .codops/dev/replaced/.env.* | cut -c1-64 | grep -cF -e "$(sha256sum <"$WORK/was" | cut -c1-64)" -e "$(sha256sum <"$WORK/half" | cut -c1-64)") $(find .codops/dev/unfinished -type f | wc -l)" "2 0"
cp "$WORK/was" .env
expect "killed again, and then somebody wrote into it" "$(CODOPS_TEST_KILL=within:env code setup --remap --only env; echo 'MINE=now' >>.env; code setup --remap --only env) $(grep -c '^MINE=now$' .env) $(words "$WORK/err" | grep -c 'was changed since a run died.*replaced/.env')" "137
0 1 1"
kill "$listener"
wait "$listener" 2>/dev/null || true
listener=
cd "$disk" && rm -rf "$two"

# ---- the database: initdb writes 40 MB
room 16M
clone "$app"
cd "$app"
before=$(fingerprint .)
expect "a disk that is too small for a database" "$(code setup -o json "${quick[@]}") $(ending env) $(ending postgres) $(ending migrate)" "1 done failed blocked"
check "is told as that" grep -q 'No space left on device' "$WORK/out"
check "with what to do" grep -q '"hint":"make room' "$WORK/out"
secrets=$(sha256sum .env)
expect "nothing of it is left over" "$(find "$disk" -path '*postgres/new-*' | wc -l) $(find "$disk" -path '*postgres/data*' | wc -l)" "0 0"
expect "the checkout is as it was" "$(mv .env "$WORK/env" && fingerprint . && mv "$WORK/env" .env)" "$before"
room 400M
expect "with room the next run ends well" "$(code setup -o json "${quick[@]}") $(sha256sum .env)" "0 $secrets"
expect "with everything" "$("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" 3
"$CODOPS" dev psql -- -qc 'CREATE TABLE mine AS SELECT 42 AS answer'

# ---- packages: npm writes into a disk that fills up under it
if [[ -d $npm_config_cache ]]; then
  mkdir -p "$WORK/src/money" backend/node_modules && printf '{"name":"money","version":"2.0.0"}' >"$WORK/src/money/package.json" && ln -s "$WORK/src/money" backend/node_modules/money
  used=$(df --output=used -k "$disk" | tail -n 1)
  room "$((used + 1500))k"
  expect "a disk that fills while npm installs" "$(code setup -o json --skip install:frontend) $(ending install:backend) $(ending generate)" "1 failed blocked"
  check "is told as that, though npm ended with 0" grep -q 'ENOSPC' "$WORK/out"
  expect "looking says so too" "$(code "$CODOPS" doctor -o json) $(jq -r '.steps[] | select(.name == "install:backend") | .ending' "$WORK/code.out")" "2 wanted"
  check "with what to do" grep -q '"hint":"make room' "$WORK/out"
  expect "the files are as they were" "$(sha256sum .env) $(mv .env "$WORK/env" && fingerprint . && mv "$WORK/env" .env) $(cat "$WORK/src/money/package.json")" "$secrets $before {\"name\":\"money\",\"version\":\"2.0.0\"}"
  room 800M
  expect "with room the next run ends well" "$(code setup -o json --skip install:frontend) $(test -d backend/node_modules/pg && readlink backend/node_modules/money)" "0 $WORK/src/money"
  expect "and the database has kept its data, which no seed was run over" "$("$CODOPS" dev psql -- -Atc 'SELECT answer, (SELECT count(*) FROM orders) FROM mine')" "42|0"
  expect "and that is said" "$(words "$WORK/err" | grep -c 'seed: not run.*by hand: (cd backend .*seed)')" 1
else
  skip "npm" "no npm cache: tests/support/images.sh fetch"
fi

# ---- everything is there: on a full disk there is still nothing to do
full
before=$(fingerprint .)
expect "a run with nothing to do needs no room" "$(code setup -o json "${quick[@]}") $(json .ready) $(fingerprint .)" "0 true $before"
expect "nor does looking" "$(code "$CODOPS" dev status)" 0
rm "$disk/filler"
expect "down" "$(code setup --down)" 0
finish
