#!/usr/bin/env bash
# backup and restore where this machine has no programs of PostgreSQL: those in the database's container are used, whose stdin
# is all that they can be given.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
# shellcheck source=tests/support/backup_postgres.sh
source "$SUPPORT/backup_postgres.sh"
need_engine
if ((EUID != 0)); then
  skip "the host's programs" "hiding them takes root"
  finish
fi
# shellcheck disable=SC2119
site
backup_settings 'restore: {health: false}' >>"$APP/codops.yaml"
in_database() { docker exec -i "$(docker ps -q "${mine[@]}" --filter label=com.docker.compose.service=postgres)" "$@"; }
psql() { in_database psql -X -q -A -t -U shop -d "${2:-shop}" -c "$1"; }
state() { psql "SELECT count(*), sum(total_cents), max(customer) FROM orders" "${1:-shop}"; }
spoil() { psql "DELETE FROM orders WHERE total_cents % 2 = 0; UPDATE orders SET customer = 'x' WHERE id % 100 = 0; CREATE TABLE IF NOT EXISTS later (x int)"; }

exits "deploy" 0 deploy demo v1.0.0
check "tables" migrated
psql "INSERT INTO orders (customer, total_cents) SELECT 'c' || i, i FROM generate_series(1, 60000) i; SELECT lo_from_bytea(4711, '\xdeadbeef')" >/dev/null
saved=$(state)
in_database pg_dump -U shop -Fc shop >"$WORK/plain.dump"
in_database pg_dump -U shop shop >"$WORK/plain.sql"
gzip -k "$WORK/plain.sql"
mkdir "$WORK/folder" "$WORK/none"

# ---- from here on codops runs where none are
cat >"$WORK/bare" <<'SH'
#!/usr/bin/env bash
# shellcheck disable=SC2016
exec unshare -m bash -c 'set -e
  for folder in /usr/lib/postgresql /usr/pgsql-*; do [ ! -d "$folder" ] || mount --bind "$0" "$folder"; done
  for folder in ${PATH//:/ }; do
    for name in pg_dump pg_dumpall pg_restore psql; do [ ! -x "$folder/$name" ] || mount --bind /dev/null "$folder/$name"; done
  done
  exec "$@"' "$(dirname "$0")/none" "$BARE_CODOPS" "$@"
SH
chmod +x "$WORK/bare"
export BARE_CODOPS=$CODOPS
# shellcheck disable=SC2016
expect "none is at hand" "$(BARE_CODOPS=bash "$WORK/bare" -c 'for p in pg_dump pg_dumpall pg_restore psql; do "$p" --version && echo "$p"; done; ls /usr/lib/postgresql' 2>/dev/null || true)" ""
CODOPS=$WORK/bare

for format in custom plain directory all; do
  exits "backup as $format" 0 backup demo --format "$format" --jobs 2 -o json
  label=$(result .label | tr -d '"')
  spoil
  exits "$format: restore" 0 restore demo "$label" --yes --no-safety-backup
  expect "$format: all of it is back" "$(state)" "$saved"
  expect "$format: large objects too" "$(psql "SELECT encode(lo_get(4711), 'hex')")" deadbeef
  expect "$format: and nothing of later" "$(psql "SELECT to_regclass('later') IS NULL")" t
done
exits "its roles are in it" 0 backup export demo "$label" "$WORK/globals.sql" --part globals
expect "as pg_dumpall writes them" "$(grep -c '^CREATE ROLE shop' "$WORK/globals.sql")" 1

for file in plain.dump plain.sql plain.sql.gz; do
  spoil
  exits "restore of $file" 0 restore demo "$WORK/$file" --yes --no-safety-backup
  expect "$file: all of it is back" "$(state)" "$saved"
done

# ---- a drill has a container of the database's own image for itself
drill_server() { docker ps -q --no-trunc --filter label=codops.role=drill; }
# What is on the engine for good: not the minutes a container was made in.
there() { docker ps -aq --no-trunc | sort && docker network ls -q | sort && docker volume ls -q | sort; }
as_before() { [[ $(there) == "$before" ]]; }
made() { [[ -n $(drill_server) ]]; }
serves() { one=$(drill_server) && [[ -n $one ]] && docker exec "$one" pg_isready -q -h 127.0.0.1; }
drill_begins() { # ARGUMENT...
  env --default-signal=INT "$CODOPS" -C "$APP" --progress plain backup drill demo "$@" >"$WORK/drill.out" 2>"$WORK/drill.err" </dev/null &
  victim=$!
}
drill_ends() { CODE=0; wait "$victim" 2>/dev/null || CODE=$?; }
docker run --label codops.role=drill --name "left$$" codops-demo/base:12 true
docker create --label codops.role=drill --name "young$$" codops-demo/base:12 true >/dev/null
before=$(there | grep -v "$(docker inspect -f '{{.Id}}' "left$$")")
drill_begins -o json
if wait_for 60 serves; then pass "a drill has a server"; else fail "a drill has a server" "$(words "$WORK/drill.err")"; fi
kill -STOP "$victim"
docker inspect "$one" >"$WORK/inspect"
password=$(jq -r '.[].Config.Env[]' "$WORK/inspect" | sed -n 's/^POSTGRES_PASSWORD=//p')
expect "with a password" "${#password}" 32
expect "which no program here was given" "$(grep -alF -- "$password" /proc/[0-9]*/cmdline 2>/dev/null)" ""
expect "and no label has" "$(jq -c '.[].Config.Labels' "$WORK/inspect" | grep -cF -- "$password")" 0
expect "no port is published, no network of the application's leads to it" "$(jq -c '.[] | [(.NetworkSettings.Ports | map_values(select(. != null))), (.NetworkSettings.Networks | keys)]' "$WORK/inspect")" '[{},["bridge"]]'
expect "it is of the image that runs" "$(jq -r '.[].Image' "$WORK/inspect")" "$(docker inspect -f '{{.Image}}' "$(docker ps -q "${mine[@]}" --filter label=com.docker.compose.service=postgres)")"
exits "it is none of the project's containers" 0 status demo --check
if compose_here; then expect "nor of compose's" "$(VERSION=v1.0.0 dc ps -aq --no-trunc | grep -c "$one")" 0; fi
kill -CONT "$victim"
drill_ends
expect "the drill compares every row there" "$CODE $(jq -c '[.server, .same, .rows]' "$WORK/drill.out")" "0 [\"container\",true,$("$CODOPS" -C "$APP" backup show demo latest -o json | jq .marks.rows)]"
expect "says where" "$(grep -c 'a temporary container of codops-demo/postgres:15' "$WORK/drill.err")" 1
if as_before; then pass "and leaves nothing, of an earlier one neither"; else fail "and leaves nothing, of an earlier one neither" "$(diff <(there) - <<<"$before")"; fi

cp -r "$WORK/store" "$WORK/damaged"
part=$(find "$WORK/damaged" -path "*$label*" -name database.dump.zst.age)
python3 -c "import sys; f = open(sys.argv[1], 'r+b'); f.seek(0, 2); at = f.tell() // 2; f.seek(at); was = f.read(1)[0]; f.seek(at); f.write(bytes([was ^ 0xff]))" "$part"
exits "a damaged backup does not come back" 2 backup drill demo "$label" --store "$WORK/damaged" -o json
expect "which is told" "$(result '[.server, .same, .difference != ""]')" '["container",false,true]'

for signal in KILL:137 INT:130 ${CODOPS_FULL:+TERM:143 HUP:143}; do
  for moment in serves ${CODOPS_FULL:+made}; do
    drill_begins
    wait_for 60 "$moment" || fail "a drill for $signal has a server" "$(words "$WORK/drill.err")"
    kill "-${signal%:*}" "$victim"
    drill_ends
    expect "SIG${signal%:*} ends a drill" "$CODE" "${signal#*:}"
    if wait_for 15 as_before; then pass "its container and volume are gone"; else fail "its container and volume are gone" "$(diff <(there) - <<<"$before")"; fi
  done
done

none=codops-drill-none:1
docker build -q -t "$none" - >/dev/null 2>&1 <<<'FROM codops-demo/postgres:15
LABEL com.docker.compose.project=somebody
CMD ["postgres", "-c", "nonsense=1"]'
exits "an image whose server does not start" 69 backup drill demo --image "$none"
expect "what it said is told" "$(grep -c '│ .*nonsense' "$WORK/err")" 1
exits "an image of something else" 69 backup drill demo --image codops-demo/redis:7
expect "is told" "$(grep -c '"codops-demo/redis:7" is no image of PostgreSQL' "$WORK/err")" 1
tar -c -T /dev/null | docker import - codops-drill-empty:1 >/dev/null
exits "an image of nothing" 69 backup drill demo --image codops-drill-empty:1
exits "an image that can't be had" 69 backup drill demo --image 127.0.0.1:1/none:1
if as_before; then pass "nothing is left of these"; else fail "nothing is left of these" "$(diff <(there) - <<<"$before")"; fi
docker rm "young$$" >/dev/null

export ELSEWHERE=postgresql://shop@127.0.0.1:1/shop
exits "a drill, where no server can be started" 69 backup drill demo --set database.url_variable=ELSEWHERE
expect "says where else" "$(grep -c '^hint: .*--image.*--server-env.*--same-server' "$WORK/err")" 1
exits "two places" 64 backup drill demo --same-server --image codops-demo/postgres:15
exits "a drill on the server itself" 0 backup drill demo --same-server -o json
expect "compares every row" "$(result .rows)" "$("$CODOPS" -C "$APP" backup show demo latest -o json | jq .marks.rows)"
expect "and leaves nothing there" "$(psql "SELECT count(*) FROM pg_database WHERE datname ~ '_drill_'") $(state)" "0 $saved"
exits "restore with a safety backup" 0 restore demo latest --yes
expect "all of it is there" "$(state)" "$saved"
exits "into another database" 0 restore demo latest --into other
expect "the same" "$(state other)" "$saved"
exits "one table" 0 restore demo latest --table orders -o json
expect "its rows" "$(psql "SELECT count(*) FROM $(result .schema | tr -d '"').orders")" "$(psql 'SELECT count(*) FROM orders')"
head -c 20000 "$WORK/plain.dump" >"$WORK/cut.dump"
exits "a file that is cut off" 65 restore demo "$WORK/cut.dump" --yes
exits "a folder of pg_dump -Fd" 64 restore demo "$WORK/folder" --yes
expect "and what to do with it" "$(grep -c 'pg_restore -Fd' "$WORK/err")" 1
expect "live is as it was" "$(state)" "$saved"
expect "nothing is left of those that failed" "$(psql "SELECT count(*) FROM pg_database WHERE datname ~ '_new_|_tables_'")" 0
exits "undo" 0 restore demo --undo --yes
finish
