# shellcheck shell=bash
# A project with a real PostgreSQL that others work on too. Sourced after case.sh and need_engine; leaves the working directory in it, and the
# engine's starts and ends of the database in $WORK/events.
#
#   project VOLUME [OPTION...]   the compose file: the volume of the data, options of the server
#   dc ARGUMENT...               docker compose on it
#   exits NAME WANTED ARG...     a case: codops ARG... ends with exit code WANTED
#   db | id_of_db | psql SQL     the database's container, and a question to it; rows: how many there are
#   writing … written NAME       rows are written meanwhile; a case: each acknowledged one is there
#   never_two STARTS             cases: never two databases at once, and the engine saw more than STARTS starts and ends
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

never_two() {
  check "they are all told" wait_for 10 grep -q "start $(id_of_db)" "$WORK/events"
  expect "never two at once" "$(awk -v least="$1" '/start/ {n++; if (n > 1) two = 1} /die/ {n--} END {print (NR > least), two + 0}' "$WORK/events")" "1 0"
}
