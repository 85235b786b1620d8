#!/usr/bin/env bash
# kill -9 of `codops backup drill`: its server ends with it, and the next drill leaves neither its folder nor a server in it.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
PG_PASSWORD=drill
source "$SUPPORT/backup_postgres.sh"
server='' bystander=''
clean_up() {
  if [[ -n $bystander ]]; then kill "$bystander" 2>/dev/null || true; fi
  if [[ -n $server && $(readlink "/proc/$server/cwd") == "$WORK"/* ]]; then kill -QUIT "$server" 2>/dev/null || true; fi
  postgres_stop "$WORK/pg" || true
}
if ! postgres_start "$WORK/pg"; then
  skip "server" "no PostgreSQL server programs are installed"
  finish
fi

sql postgres 'CREATE DATABASE shop'
sql shop "CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS what FROM generate_series(1, 150000) i"
mkdir "$WORK/project" "$WORK/store"
cd "$WORK/project"
echo "DATABASE_URL=postgresql://postgres:$PG_PASSWORD@127.0.0.1:$PGPORT_OWN/shop" >.env.test
{
  echo "name: shop"
  backup_settings
} >codops.yaml
check "a backup" "$CODOPS" backup test

mkdir -m 755 "$WORK/scratch"
export TMPDIR=$WORK/scratch
drills() { find "$WORK/scratch" -mindepth 1 -maxdepth 1 -name 'codops-drill-*'; }
serves() { find "$WORK/scratch" -name .s.PGSQL.5432 2>/dev/null | grep -q .; }
ended() { [[ ! -e /proc/$1/stat ]] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status"; }
"$CODOPS" backup drill test >/dev/null 2>&1 &
victim=$!
if wait_for 30 serves; then pass "a drill has a server"; else fail "a drill has a server" "$(drills)"; fi
left=$(drills)
server=$(head -n 1 "$left/data/postmaster.pid")
kill -KILL "$victim"
wait "$victim" 2>/dev/null || true
if wait_for 10 ended "$server"; then pass "its server ends with it"; else fail "its server ends with it" "$(tr '\0' ' ' <"/proc/$server/cmdline")"; fi
expect "its folder is still there" "$(drills)" "$left"
# A server that missed the signal.
as_server "$pg_bin/pg_ctl" -D "$left/data" -w -l "$left/data/again.log" -o "-k $left -c listen_addresses=" start >/dev/null
server=$(head -n 1 "$left/data/postmaster.pid")
if ended "$server"; then fail "a server is left" "it is gone"; else pass "a server is left"; fi
# Of a drill that lives, and of nobody that is known: both stay.
cp -a "$left/owner.json" "$WORK/owner"
mkdir -m 700 "$WORK/scratch/codops-drill-living" "$WORK/scratch/codops-drill-unknown"
jq -c --argjson pid $$ --argjson start "$(sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 20)" '.pid = $pid | .start_time = $start' "$WORK/owner" >"$WORK/scratch/codops-drill-living/owner.json"
# One of an earlier boot, whose number for the server is another process's by now.
mkdir -m 700 "$WORK/scratch/codops-drill-earlier" "$WORK/scratch/codops-drill-earlier/data"
jq -c '.boot_id = "earlier"' "$WORK/owner" >"$WORK/scratch/codops-drill-earlier/owner.json"
# One that was killed before it had said whose it is, long ago; one that may be about to; and one that somebody put something into.
mkdir -m 700 "$WORK/scratch/codops-drill-unnamed" "$WORK/scratch/codops-drill-young" "$WORK/scratch/codops-drill-full"
touch "$WORK/scratch/codops-drill-unnamed/.owner.json.0123456789ab.tmp" "$WORK/scratch/codops-drill-full/file"
touch -d '2 hours ago' "$WORK/scratch/codops-drill-unnamed" "$WORK/scratch/codops-drill-full"
sleep 300 &
bystander=$!
echo "$bystander" >"$WORK/scratch/codops-drill-earlier/data/postmaster.pid"
check "the next drill" "$CODOPS" backup drill test
if ended "$server"; then pass "it ends the server that was left"; else fail "it ends the server that was left" "$server runs"; fi
expect "it removes the folders of the dead, and no others" "$(drills | sort | xargs -n 1 basename | xargs)" "codops-drill-full codops-drill-living codops-drill-unknown codops-drill-young"
if ended "$bystander"; then fail "it ends no other process" "it did"; else pass "it ends no other process"; fi
kill "$bystander"; bystander=

# ---- on a server that others use, killed while its database is filled: that, and the role it made, go with the next drill
sql shop "CREATE ROLE gone; CREATE POLICY p ON orders TO gone USING (true);
  CREATE FUNCTION stall(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN PERFORM pg_sleep(coalesce(current_setting('drill.stall', true), '0')::float8); RETURN 1; END \$\$;
  CREATE TABLE one AS SELECT 1 AS i; CREATE INDEX ON one (stall(i))"
check "a backup that names a role" "$CODOPS" backup test
sql shop "DROP POLICY p ON orders; DROP ROLE gone"
DRILL_SERVER="postgresql://postgres:$PG_PASSWORD@127.0.0.1:$PGPORT_OWN/postgres"
export DRILL_SERVER
left_there() { sql postgres "SELECT concat((SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_drill%'), ' ', (SELECT count(*) FROM pg_roles WHERE rolname = 'gone'))"; }
stalls() { [[ $(sql postgres "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'shop_drill%' AND wait_event = 'PgSleep'") == 1 ]]; }
sql postgres "ALTER ROLE postgres SET drill.stall = '120'"
"$CODOPS" backup drill test --server-env DRILL_SERVER >"$WORK/out" 2>&1 &
victim=$!
if wait_for 60 stalls; then pass "a drill builds an index on a server"; else fail "a drill builds an index on a server" "$(left_there)"; fi
kill -KILL "$victim"
wait "$victim" 2>/dev/null || true
sql postgres "ALTER ROLE postgres RESET drill.stall"
expect "killed, it leaves a database and a role there" "$(left_there)" "1 1"
check "the next drill there" "$CODOPS" backup drill test --server-env DRILL_SERVER
expect "leaves neither, of the dead one nor of its own" "$(left_there)" "0 0"
expect "and no session" "$(sql postgres "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'shop_drill%'")" 0

# ---- somebody who is not root, with an environment like cron's: first one who may only read the store, then its owner
if ((EUID == 0)); then
  cp "$CODOPS" "$WORK/codops"
  chown -R nobody: "$WORK/project" "$WORK/identity" "$WORK/sign"
  chmod -R a+rX "$WORK/store"
  mkdir -m 700 "$WORK/own"
  chown nobody: "$WORK/own"
  nobody=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups env -i TMPDIR="$WORK/own" "$WORK/codops" --project-dir "$WORK/project")
  rc=0
  "${nobody[@]}" backup drill test -o json >"$WORK/out" 2>"$WORK/err" || rc=$?
  expect "a drill of one who may only read" "$rc $(jq -r '"\(.same) \(.rows)"' "$WORK/out")" "0 true 150001"
  check "says that it is not recorded" grep -q 'the drill is not recorded' "$WORK/err"
  chown -R nobody: "$WORK/store"
  before=$("$CODOPS" backup list test -o json | jq -r '.backups[0].drilled')
  check "a drill as nobody" "${nobody[@]}" backup drill test
  expect "is recorded" "$("${nobody[@]}" backup list test -o json | jq -r --arg before "$before" '.backups[0].drilled > $before')" true
  expect "nothing is left of either" "$(find "$WORK/own" -mindepth 1)" ""
  "${nobody[@]}" backup drill test >/dev/null 2>&1 &
  victim=$!
  nobodys() { find "$WORK/own" -name .s.PGSQL.5432 | grep -q .; }
  if wait_for 30 nobodys; then pass "nobody's drill has a server"; else fail "nobody's drill has a server" "none"; fi
  server=$(head -n 1 "$WORK"/own/codops-drill-*/data/postmaster.pid)
  # setpriv and env become codops: what was started is what is killed.
  kill -KILL "$victim"
  wait "$victim" 2>/dev/null || true
  if wait_for 10 ended "$server"; then pass "killed, its server ends with it"; else fail "killed, its server ends with it" "$server runs"; fi
  check "nobody's next drill" "${nobody[@]}" backup drill test
  expect "removes what was left" "$(find "$WORK/own" -mindepth 1)" ""
fi
finish
