# shellcheck shell=bash
# A project as small as a rollout allows: nginx in front of two containers of one service, no database. For scenarios that deploy
# dozens of times. Sourced after case.sh.
#
#   tiny_project DIR PORT [MONITOR]   makes it; the environment is "test"; leaves PROJECT, FRONT, and the working directory in DIR
#   tiny_deploy VERSION               the first deploy, which must work
#   tiny_down                         removes everything of it
#   converged VERSION                 0 when exactly one complete release of VERSION serves and nothing else is left; says what is wrong
#   lock_free | orphans | served      pieces of that
#   hold POINT COMMAND...   a run of codops that stops itself there; its pid in $holder, its words in $WORK/holder.out; go_on lets it run to
#                    its end, its exit code in $holder_rc; tiny_down ends what is left of it
#   fingerprint                       what can be observed of the project, as text: two equal ones mean that nothing changed
# Versions: v1.0.0 and v1.1.0, of the demo application's front end.

tiny_project() { # DIR PORT [MONITOR]
  PROJECT=tiny$$
  FRONT=http://127.0.0.1:$2
  export PROJECT FRONT
  mkdir -p "$1"
  cd "$1" || return 1
  cat >docker-compose.prod.yml <<YAML
services:
  front:
    image: codops-demo/nginx:1.22
    pull_policy: never
    restart: unless-stopped
    ports: ["127.0.0.1:$2:80"]
    volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro"]
    stop_grace_period: 5s
  web:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 5s
    deploy: { replicas: 2 }
YAML
  cat >nginx.conf <<'CONF'
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr warn;
worker_shutdown_timeout 5s;
events { worker_connections 1024; }
http {
  include /etc/nginx/upstreams/*.conf;
  access_log off;
  proxy_connect_timeout 500ms;
  proxy_http_version 1.1;
  proxy_set_header Connection '';
  server { listen 80; location / { proxy_pass http://web; } }
}
CONF
  cat >codops.yaml <<YAML
project: $PROJECT
proxy: { service: front, upstreams: /etc/nginx/upstreams }
front_door: { path: /healthz }
readiness: { web: { path: /healthz, port: 8080 } }
timeouts: { drain: 5s, ready: 60s }
monitor: ${3:-500ms}
keep_releases: 2
environments: { test: {} }
YAML
  : >.env.test
  chmod 644 nginx.conf
}

tiny_deploy() { "$CODOPS" deploy test "$1" >"$WORK/deploy.out" 2>&1 || { cat "$WORK/deploy.out"; return 1; }; }

holder=
holder_rc=
stopped() { [[ $(awk '/^State:/ {print $2}' "/proc/$1/status" 2>/dev/null) == T ]]; }
hold() { # POINT COMMAND...
  local point=$1
  shift
  CODOPS_TEST_KILL=$point:STOP "$CODOPS" "$@" >"$WORK/holder.out" 2>&1 &
  holder=$!
  wait_for 60 stopped "$holder" || { fail "a run stops at $point" "$(tail -n 3 "$WORK/holder.out")"; finish; }
}
go_on() {
  # Not all were stopped: one that waited may have ended by its signal already.
  kill -CONT "$holder" 2>/dev/null || true
  holder_rc=0
  wait "$holder" || holder_rc=$?
  holder=
}

of_project() { echo --filter "label=com.docker.compose.project=$PROJECT"; }

tiny_down() {
  local ids
  [[ -z $holder ]] || kill -KILL "$holder" 2>/dev/null || true
  # shellcheck disable=SC2046 # two words each
  ids=$(docker ps -aq $(of_project); docker ps -aq --filter "name=^/codops-$PROJECT-")
  # shellcheck disable=SC2086
  [[ -z $ids ]] || timeout 60 docker rm -f -v $ids >/dev/null 2>&1 || true
  # shellcheck disable=SC2046
  docker network ls -q $(of_project) | xargs -r docker network rm >/dev/null 2>&1 || true
  docker volume rm "codops-$PROJECT-state" "${PROJECT}_codops-upstreams" >/dev/null 2>&1 || true
}

served() { curl -fsS -m 5 "$FRONT/version.json" | jq -r .version; }

lock_free() { [[ -z $(docker ps -aq --filter "name=^/codops-$PROJECT-lock") ]]; }

# Containers of no release that ever served, and networks that no deploy keeps.
orphans() {
  local known name served
  served=$("$CODOPS" history test -o json | jq -c '[.entries[] | select(.result == "ok") | .release]')
  known=$(docker cp "codops-$PROJECT-state:/state/meta/releases" - 2>/dev/null | tar -xO --wildcards '*.json' 2>/dev/null |
    jq -r --argjson served "$served" 'select(.number as $n | $served | index($n)) | .services[].members[].container' | sort -u)
  # shellcheck disable=SC2046
  for name in $(docker ps -a $(of_project) --format '{{.Names}}'); do
    grep -qx -- "$name" <<<"$known" || echo "container $name"
  done
  docker network ls --format '{{.Name}}' | grep -- "^${PROJECT}_" | grep -vx -e "${PROJECT}_default" -e "${PROJECT}_codops" || true
}

# name, state, restart policy, and address on the traffic network of every container.
containers() {
  # shellcheck disable=SC2046
  docker ps -aq $(of_project) | xargs -r docker inspect --format \
    "{{.Name}} {{.Id}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}} {{with index .NetworkSettings.Networks \"${PROJECT}_codops\"}}{{with .IPAMConfig}}{{.IPv4Address}}{{end}}{{end}}" | sort
}
upstreams() { docker exec "$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=front)" sh -c 'cat /etc/nginx/upstreams/*.conf'; }

fingerprint() {
  containers
  docker network ls --format '{{.Name}} {{.ID}}' | grep -- "^${PROJECT}_" | sort
  upstreams
  docker volume ls --format '{{.Name}}' | grep -- "$PROJECT" | sort
}

converged() { # VERSION
  local said got addresses entry
  said=$("$CODOPS" status test --check -o json 2>&1) || { echo "status --check: $(jq -c '[.unfinished, .drift, .services]' <<<"$said" 2>/dev/null || echo "$said")"; return 1; }
  [[ $(jq -r .version <<<"$said") == "$1" ]] || { echo "status says $(jq -r .version <<<"$said"), not $1"; return 1; }
  got=$(served) || { echo "the front door does not answer"; return 1; }
  [[ $got == "$1" ]] || { echo "$got is served, not $1"; return 1; }
  # shellcheck disable=SC2046
  got=$(docker ps $(of_project) --filter label=com.docker.compose.service=web --format '{{.Image}}' | sort | uniq -c | awk '{print $1, $2}')
  [[ $got == "$(jq '.services[] | select(.name == "web") | .wanted' <<<"$said") codops-demo/frontend:$1" ]] || { echo "runs: $got"; return 1; }
  # The proxy leads to exactly the containers that run.
  # shellcheck disable=SC2046
  addresses=$(docker ps -q $(of_project) --filter label=com.docker.compose.service=web | xargs docker inspect --format \
    "{{with index .NetworkSettings.Networks \"${PROJECT}_codops\"}}{{.IPAddress}}{{end}}" | sort | tr '\n' ' ')
  got=$(upstreams | grep -o 'server [0-9.]*' | cut -d' ' -f2 | sort | tr '\n' ' ')
  [[ $got == "$addresses" ]] || { echo "the proxy leads to $got, what runs is $addresses"; return 1; }
  lock_free || { echo "a lock is left"; return 1; }
  got=$(orphans)
  [[ -z $got ]] || { echo "left over: $got"; return 1; }
  entry=$("$CODOPS" history test -o json | jq -c '[.broken, ([.journals[] | select(.ended | not)] | length), ([.entries[] | select(.result == "ok")] | last | .version)]')
  [[ $entry == "[[],0,\"$1\"]" ]] || { echo "history: $entry"; return 1; }
}
