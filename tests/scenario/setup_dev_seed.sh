#!/usr/bin/env bash
# setup-dev's seed meets the checkout's own database only, whatever files and shells say, and once only, whatever is killed.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }

project() { # DIR: a checkout with a seed in a folder of its own, which says what it sees
  mkdir -p "$1/backend" "$1/prisma/migrations/20250101000000_first" && checkouts+=("$1") && cd "$1"
  echo '{"name":"b","private":true}' >backend/package.json
  echo 'provider = "postgresql"' >prisma/migrations/migration_lock.toml
  echo 'CREATE TABLE things (name text);' >prisma/migrations/20250101000000_first/migration.sql
  printf 'DATABASE_URL=postgresql://me:secret@127.0.0.1:%s/seeded\n' "$2" >.env
  cat >backend/seed.sh <<'SH'
#!/bin/sh
echo "$DATABASE_URL" >>../seen
if [ -e ../hang ]; then
  # As npm does: somebody who is neither child nor group of this.
  setsid sleep 86400 &
  echo $! >../grandchild.new && mv ../grandchild.new ../grandchild
  echo $PPID >../guard
  wait
fi
psql "$DATABASE_URL" -qc "INSERT INTO things VALUES ('seed')"
SH
  chmod 755 backend/seed.sh
  printf 'project: seeded\nsetup_dev:\n  seed:\n    - run: [./seed.sh]\n      directory: backend\n' >codops.yaml
}
things() { "$CODOPS" dev psql -- -Atc "SELECT string_agg(name, ',') FROM things"; }
seed_text() { jq -r '.steps[] | select(.name == "seed") | .text' "$WORK/out"; }

# ---- somebody's own database, which no seed of another checkout may meet
project "$WORK/theirs" 5440
expect "another checkout's database is up" "$(code setup -o json --skip seed) $(ending migrate)" "0 done"
theirs=postgresql://me:secret@127.0.0.1:5440/seeded
in_theirs() { psql "$theirs" -Atc 'SELECT count(*) FROM things'; }

# ---- the three places that can name it
project "$WORK/package" 5441
echo "DATABASE_URL=$theirs" >backend/.env
expect "a package's own .env: the seed is left out" "$(code setup -o json) $(ending seed) $(in_theirs) $(test -e seen; echo $?)" "0 unchanged 0 1"
expect "and both places are named" "$(seed_text | grep -c 'DATABASE_URL of backend/.env leads to "seeded" on 127.0.0.1:5440, and this checkout.s own is "seeded" on 127.0.0.1:5441 (.env)') $(words "$WORK/err" | grep -c 'seed: not run: .*by hand: .*seed.sh')" "1 1"
rm backend/.env
expect "without it the seed runs, in its own" "$(code setup -o json) $(ending seed) $(in_theirs) $(things)" "0 done 0 seed"
echo "DATABASE_URL=$theirs" >.env.local
expect ".env.local has the last word: what is examined is that one, and it is somebody's" "$(code setup -o json) $(ending ports) $(ending seed) $(in_theirs) $(wc -l <seen)" "1 failed blocked 0 1"
rm .env.local && "$CODOPS" setup-dev --down >/dev/null 2>&1

project "$WORK/shell" 5442
expect "the caller's variables don't lead a seed away" "$(DATABASE_URL=$theirs PGHOSTADDR=192.0.2.1 PGPORT=5440 DIRECT_URL=$theirs code setup -o json) $(ending seed) $(in_theirs) $(things) $(cat seen)" \
  "0 done 0 seed postgresql://me:secret@127.0.0.1:5442/seeded"
check "that this shell leads elsewhere is said" grep -q 'DATABASE_URL of this shell leads to "seeded" on 127.0.0.1:5440' <(jq -r '.notes[]' "$WORK/out")

project "$WORK/foreign" 5440
rm -r prisma && sed -i 's/seeded$/empty/' .env
psql "$theirs" -qc 'CREATE DATABASE empty'
expect "a server that is not this checkout's own gets no seed, not even where it is empty" "$(code setup -o json --skip ports,postgres,database) $(ending seed) $(test -e seen; echo $?)" "0 unchanged 1"
check "which is said" grep -q 'is not this checkout.s own postgres' "$WORK/out"

# ---- killed: nothing that the seed started goes on, and it is not done twice
project "$WORK/killed" 5443
# One that nobody has reaped yet has ended, too.
gone() { [[ -z $(tr -d '\0' <"/proc/$1/cmdline" 2>/dev/null) ]]; }
# On a busy machine it is the shell, then setsid, for a moment.
begun() { [[ -s grandchild && -s guard && $(cat "/proc/$(cat grandchild)/comm") == sleep ]]; }
begin() { # starts a run whose seed hangs; its pid is in $run
  rm -f grandchild guard && touch hang
  "$CODOPS" setup-dev >"$WORK/run.out" 2>&1 </dev/null & run=$!
  wait_for 60 begun
}
begin
kill -KILL $run
check "killed: what the seed had started ends too" wait_for 20 gone "$(cat grandchild)"
begin
# The guard as well, before it can act. Not by stopping the guard: the kernel continues a stopped group whose parent dies.
is_stopped() { [[ $(awk '/^State:/ {print $2}' "/proc/$1/status" 2>/dev/null) == T ]]; }
kill -STOP $run
wait_for 10 is_stopped $run || fail "the run is stopped" "it is not"
kill -KILL "$(cat guard)"
kill -KILL $run
left=$(cat grandchild)
expect "with the guard killed it goes on" "$(kill -0 "$left" && echo alive)" alive
rm hang
expect "the next run ends it first, and seeds once" "$(code setup -o json) $(ending seed) $(things) $(gone "$left" && echo gone)" "0 done seed gone"
check "and says whom" grep -q "left running by a run that was killed: .*sleep (pid $left)" <(words "$WORK/err")
expect "again: nothing to do" "$(code setup -o json) $(ending seed) $(things)" "0 unchanged seed"
finish
