# shellcheck shell=bash disable=SC2317,SC2119,SC2120
# For scenarios that deploy the demo application with codops: `source …/support/site.sh` after case.sh, then `site`.
#
#   site [KEY=VALUE...]          a copy of the demo in $APP, project $PROJECT, front door $FRONT; short windows; gone at the end
#   ops ARGUMENT...              codops there: its exit code in $CODE, stdout in $WORK/out, stderr in $WORK/err; never fails
#   exits NAME WANTED ARG...     a case: ops ARG... ends with exit code WANTED
#   result EXPRESSION            of the JSON that the last ops printed
#   migrated                     the tables are there, with Prisma's history, where codops did not make them
#   served [PATH]                the version that answers at the front door, or the status if it isn't 200
#   serving NAME VERSION N       a case: VERSION is served, status says release N, healthy, no drift, no lock, nothing unfinished
#   running SERVICE              the containers that run of a service, sorted
#   footprint                    keeps what is on the engine and in the history; unchanged: what differs from that now
#   leftovers N                  containers of release N
#   traffic NAME                 every kind of request, few of each: load_stop NAME ends it, then unharmed CASE NAME
#   version TAG [SWITCH...]      makes a version of the demo
#   dc ARGUMENT...               docker compose on the project; compose_here: whether it can be had
PROJECT=$SCENARIO$$
APP=$WORK/app
HTTP=18080
FRONT=http://127.0.0.1:$HTTP
CODE=0
export VERSION=''

site() {
  demo "$APP" HTTP_PORT="$HTTP" HTTPS_PORT=18443 "$@"
  sed -i "s/^project:.*/project: $PROJECT/; s/^monitor:.*/monitor: 1s/" "$APP/codops.yaml"
  # No long connection is left open here.
  sed -i 's/worker_shutdown_timeout .*/worker_shutdown_timeout 5s;/' "$APP/nginx/nginx.conf"
}

ops() {
  CODE=0
  "$CODOPS" -C "$APP" --progress none "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || CODE=$?
}
exits() { # NAME WANTED ARGUMENT...
  local name=$1 wanted=$2
  shift 2
  ops "$@"
  if [[ $CODE == "$wanted" ]]; then pass "$name"; else fail "$name" "exit $CODE, not $wanted: $(tail -n 5 "$WORK/err") $(tail -n 3 "$WORK/out")"; fi
}
result() { jq -c "$1" "$WORK/out" 2>/dev/null || echo "no JSON"; }

migrated() {
  local file psql=("$CODOPS" -C "$APP" exec demo postgres -- psql -q -U shop -d shop -v ON_ERROR_STOP=1)
  [[ $(curl -s -m 10 -o /dev/null -w '%{http_code}' $FRONT/api/orders) != 200 ]] || return 0
  # As Prisma's own CLI would have left it: without this history a deploy rightly refuses a database that has tables.
  "${psql[@]}" -c 'CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0)'
  for file in "$APP"/prisma/migrations/2*/migration.sql; do
    "${psql[@]}" -f - <"$file"
    "${psql[@]}" -c "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
      VALUES (gen_random_uuid(), '$(sha256sum "$file" | cut -d' ' -f1)', '$(basename "$(dirname "$file")")', now(), 1)"
  done
}

served() { # [PATH]
  curl -sS -m 10 -w '\n%{http_code}' "$FRONT${1:-/api/version}" 2>&1 | { mapfile -t lines
    if [[ ${lines[-1]} == 200 ]]; then jq -r .version <<<"${lines[0]}" 2>/dev/null || echo 200; else echo "${lines[-1]}"; fi; }
}
what_serves() {
  "$CODOPS" -C "$APP" status demo -o json >"$WORK/status" 2>"$WORK/err" || true
  echo "$(served) $(jq -c '[.version, .release, .healthy, .drift, .lock, .unfinished]' "$WORK/status")"
}
serves_well() { [[ $(what_serves) == "$1 [\"$1\",$2,true,[],null,null]" ]]; }
serving() { # NAME VERSION RELEASE
  # On a busy machine a health check may just have timed out.
  if wait_for 30 serves_well "$2" "$3"; then pass "$1"; else fail "$1" "$(what_serves), not $2, release $3"; fi
}

mine=(--filter "label=com.docker.compose.project=$PROJECT")
running() { docker ps "${mine[@]}" --filter "label=com.docker.compose.service=$1" --format '{{.Names}}' | sort | tr '\n' ' '; }
leftovers() { docker ps -a "${mine[@]}" --format '{{.Names}}' | grep -e "-r$1-" | tr '\n' ' ' || true; }
# Ids and states, not times; probes of health checks come and go.
footprint_now() {
  docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}' | sort
  docker network ls --no-trunc --format '{{.ID}} {{.Name}}' | sort
  docker volume ls --format '{{.Name}}' | sort
  docker image ls --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort
  "$CODOPS" -C "$APP" history demo -o json 2>/dev/null | jq -S . || true
}
footprint() { footprint_now >"$WORK/footprint"; }
unchanged() { diff <(footprint_now) "$WORK/footprint" | head -n 10; }

traffic() { load_start "$1" --url $FRONT --get-new 30 --get-keep 20 --post 10 --seconds 1 --drain 5; }
unharmed() { expect "$1" "$(load_value "$2" '[.failed, .reasons]')" '[0,{}]'; }

version() { "$SUPPORT/images.sh" version "${DOCKER_HOST#unix://}" "$@"; }
compose_here() { compose=$("$SUPPORT/compose.sh" 2>/dev/null); }
dc() { "$compose" -p "$PROJECT" --project-directory "$APP" --env-file "$APP/.env.demo" -f "$APP/docker-compose.prod.yml" -f "$APP/compose.plain.yml" "$@"; }

# shellcheck disable=SC2317 # called at the end
remove_site() {
  local ids
  mapfile -t ids < <(docker ps -aq --filter "name=$PROJECT")
  ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}" >/dev/null 2>&1
  mapfile -t ids < <(docker network ls -q --filter "name=$PROJECT")
  ((${#ids[@]} == 0)) || docker network rm "${ids[@]}" >/dev/null 2>&1
  mapfile -t ids < <(docker volume ls -q --filter "name=$PROJECT")
  ((${#ids[@]} == 0)) || docker volume rm "${ids[@]}" >/dev/null 2>&1
}
clean_up() { remove_site; }
