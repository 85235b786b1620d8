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
"$CODOPS" backup keygen --identity "$WORK/identity" --signing-key "$WORK/sign" >"$WORK/keys"
cat >codops.yaml <<YAML
name: shop
backup:
  store: $WORK/store
  recipients: [$(sed -n 's/.*recipients: \[\(.*\)\]/\1/p' "$WORK/keys")]
  identity_file: $WORK/identity
  signing_key: $WORK/sign
YAML
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
sleep 300 &
bystander=$!
echo "$bystander" >"$WORK/scratch/codops-drill-earlier/data/postmaster.pid"
check "the next drill" "$CODOPS" backup drill test
if ended "$server"; then pass "it ends the server that was left"; else fail "it ends the server that was left" "$server runs"; fi
expect "it removes the folders of the dead, and no others" "$(drills | sort | xargs -n 1 basename | xargs)" "codops-drill-living codops-drill-unknown"
if ended "$bystander"; then fail "it ends no other process" "it did"; else pass "it ends no other process"; fi
kill "$bystander"; bystander=
finish
