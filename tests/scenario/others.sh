#!/usr/bin/env bash
# What others started of a project, with a real PostgreSQL: it is taken over, or stopped before its successor starts, and no row is lost.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
compose=$("$SUPPORT/compose.sh" 2>/dev/null) || { skip "docker compose" "it can't be had here"; finish; }
P=$SCENARIO$$
mine=(--filter "label=com.docker.compose.project=$P")
mkdir -p "$WORK/p"
cd "$WORK/p"
printf 'monitor: 300ms\nenvironments: {prod: {}}\n' >codops.yaml
project() { # VOLUME [OPTION...]: of the data, and of the server
  local volume=$1
  shift
  cat >docker-compose.prod.yml <<YAML
name: $P
services:
  db:
    image: codops-demo/postgres:15
    pull_policy: never
    restart: unless-stopped
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: pw, POSTGRES_DB: shop}
    command: ["postgres"$(printf ', "-c", "%s"' "$@")]
    volumes: ["$volume:/var/lib/postgresql/data"]
    healthcheck: {test: ["CMD-SHELL", "psql -q -h 127.0.0.1 -U shop -d shop -c 'SELECT 1'"], interval: 1s, timeout: 5s, retries: 60}
  app:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
volumes: {data: {}, other: {}}
YAML
}
project data fsync=off
dc() { VERSION=v1.0.0 "$compose" -f docker-compose.prod.yml "$@" >"$WORK/dc" 2>&1 || { cat "$WORK/dc"; return 1; }; }
code() { # COMMAND...: its exit code
  local rc=0
  "$CODOPS" --progress none "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || rc=$?
  echo "$rc"
}
exits() { # NAME WANTED ARGUMENT...
  local name=$1 wanted=$2 got
  shift 2
  got=$(code "$@")
  if [[ $got == "$wanted" ]]; then pass "$name"; else fail "$name" "exit $got: $(tail -n 6 "$WORK/err") $(tail -n 3 "$WORK/out")"; fi
}
db() { docker ps --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=db --format '{{.Names}}'; }
id_of_db() { docker ps -q --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=db; }
psql() { docker exec "$(db)" psql -qAt -h 127.0.0.1 -U shop -d shop -v ON_ERROR_STOP=1 -c "$1"; }
rows() { psql 'SELECT count(*) FROM t'; }
written=0
write_rows() { # into what runs, until told; each acknowledged statement is one line
  rm -f "$WORK/stop"
  : >"$WORK/acknowledged"
  while [[ ! -e $WORK/stop ]]; do psql 'INSERT INTO t SELECT generate_series(1, 100)' >/dev/null 2>&1 && echo 100 >>"$WORK/acknowledged"; done
}
writing() { write_rows & writer=$!; wait_for 20 test -s "$WORK/acknowledged"; }
written() { # NAME: every acknowledged row is there
  : >"$WORK/stop"
  wait "$writer" || true
  written=$((written + $(paste -sd+ "$WORK/acknowledged" | bc)))
  local there
  there=$(rows)
  if ((there >= written)); then pass "$1"; else fail "$1" "$there of $written rows"; fi
  written=$there
}
# shellcheck disable=SC2317 # called at the end
clean_up() {
  : >"$WORK/stop"
  kill "$events"
  local ids
  mapfile -t ids < <(docker ps -aq --filter "name=$P")
  ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}"
  mapfile -t ids < <(docker network ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker network rm "${ids[@]}"
  mapfile -t ids < <(docker volume ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker volume rm "${ids[@]}"
} >/dev/null 2>&1
# From now on: the engine keeps no more than a few hundred.
docker events --since "$(docker run --rm codops-demo/frontend:v1.0.0 date +%s)" --filter type=container --filter event=start --filter event=die \
  --filter "label=com.docker.compose.project=$P" --filter label=com.docker.compose.service=db --format '{{.Action}} {{.ID}}' >"$WORK/events" &
events=$!

exits "a first deploy" 0 deploy prod v1.0.0
psql 'CREATE TABLE t (n int)'

# ---- down, and docker compose goes on
exits "down" 0 down prod -y
check "docker compose starts it" dc up -d --wait
exits "status" 0 status prod -o json
expect "it says what runs" "$(jq -c '[.adopted, .version, (.services | map(.name) | sort)]' "$WORK/out")" '[true,"from docker compose",["app","db"]]'
was=$(id_of_db)
writing
exits "a deploy takes it over" 0 deploy prod v1.1.0
written "no row is lost"
expect "the database is the one that ran" "$(id_of_db)" "$was"
exits "all is as deployed" 0 status prod --check

# ---- docker compose makes everything anew
exits "codops makes the database anew" 0 restart prod db --allow-downtime
check "somebody: docker compose up" dc up -d
expect "the database is docker compose's" "$(db)" "$P-db-1"
exits "it is seen" 2 status prod --check
expect "and said" "$(grep -c 'codops did not make run instead' "$WORK/out")" 1
was=$(id_of_db)
check "it is ready" wait_for 30 psql 'SELECT 1'
writing
exits "a deploy takes it over" 0 deploy prod v1.1.0
written "no row is lost"
expect "the database is the one that ran" "$(id_of_db)" "$was"
exits "all is as deployed" 0 status prod --check

# ---- the same, and back to what was deployed
exits "codops makes the database anew" 0 restart prod db --allow-downtime
check "somebody: docker compose up" dc up -d --wait
was=$(id_of_db)
exits "a rollback goes back to the release that was removed" 0 rollback prod -o json
expect "to its version" "$(jq -r .version "$WORK/out")" v1.1.0
expect "the database is the one that ran" "$(id_of_db)" "$was"
expect "its rows too" "$(rows)" "$written"
exits "all is as deployed" 0 status prod --check

# ---- the database alone
exits "codops makes the database anew" 0 restart prod db --allow-downtime
check "somebody: docker compose up db" dc up -d --wait --no-deps db
exits "it is seen" 2 status prod --check
expect "and said" "$(grep -c "$P-db-1 was not made by codops and stands in for" "$WORK/out")" 1
was=$(id_of_db)
exits "a deploy records it" 0 deploy prod v1.1.0
expect "the database is the one that ran" "$(id_of_db)" "$was"
exits "all is as deployed" 0 status prod --check
exits "and once more there is nothing to do" 0 deploy prod v1.1.0 -o json
expect "nothing changed" "$(jq -c .changed "$WORK/out")" false

# ---- one that is not as wanted
exits "codops makes the database anew" 0 restart prod db --allow-downtime
project other fsync=off
check "somebody: with another volume" dc up -d --wait --no-deps db
project data fsync=off
exits "its recreation wants consent" 1 deploy prod v1.1.0
project data fsync=off nonsense=1
exits "what does not start" 5 deploy prod v1.1.0 --allow-downtime
expect "the one before runs again" "$(db)" "$P-db-1"
project data fsync=off
exits "with consent" 0 deploy prod v1.1.0 --allow-downtime
expect "the database is codops'" "$(db | grep -c -- '-db-r[0-9]*-1')" 1
expect "with its rows" "$(rows)" "$written"

# ---- nobody asked codops
was=$(id_of_db)
docker run -d --name "$P-alien" -v "${P}_data:/x" codops-demo/postgres:15 sleep 1000 >/dev/null
exits "another container has the volume" 1 restart prod db --allow-downtime
expect "it is named" "$(grep -c "$P-alien runs, and writes the volume ${P}_data too" "$WORK/err")" 1
expect "nothing was changed, and that is said" "$(id_of_db) $(grep -c 'hint: nothing was changed' "$WORK/err")" "$was 1"
docker rm -f "$P-alien" >/dev/null
exits "without it" 0 restart prod db --allow-downtime
expect "the rows are there" "$(rows)" "$written"

# ---- what the engine says of all that
check "they are all told" wait_for 10 grep -q "start $(id_of_db)" "$WORK/events"
expect "never two at once" "$(awk '/start/ {n++; if (n > 1) two = 1} /die/ {n--} END {print (NR > 10), two + 0}' "$WORK/events")" "1 0"
finish
