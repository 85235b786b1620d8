#!/usr/bin/env bash
# A Redis whose image declares its volume and whose compose file names none: its data goes over from container to container, as with docker
# compose, and a rollback that would not touch it says so. And what else a project without a proxy meets: data that a rollback leaves running,
# jobs whose containers were pruned, networks that are defined anew.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
P=unnamed$$
mine=(--filter "label=com.docker.compose.project=$P")
mkdir -p "$WORK/p"
cd "$WORK/p"
printf 'monitor: 300ms\nkeep_releases: 2\nenvironments: {prod: {}}\n' >codops.yaml
project() { # MAXMEMORY
  cat >docker-compose.prod.yml <<YAML
name: $P
services:
  cache:
    image: codops-demo/redis:7
    pull_policy: never
    command: ["redis-server", "--appendonly", "yes", "--maxmemory", "$1"]
    healthcheck: {test: ["CMD", "redis-cli", "get", "a"], interval: 1s, timeout: 5s, retries: 30}
    restart: always
  app:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    restart: always
    stop_grace_period: 1s
    volumes: [/scratch]
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
YAML
}
exits() { # NAME WANTED ARGUMENT...
  local name=$1 wanted=$2 got=0
  shift 2
  "$CODOPS" --progress none "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || got=$?
  if [[ $got == "$wanted" ]]; then pass "$name"; else fail "$name" "exit $got: $(tail -n 6 "$WORK/err") $(tail -n 3 "$WORK/out")"; fi
}
container() { docker ps "${mine[@]}" --filter "label=com.docker.compose.service=$1" --format '{{.Names}}'; }
volume() { docker inspect -f '{{range .Mounts}}{{.Name}}{{end}}' "$(container "$1")"; }
value() { docker exec "$(container cache)" redis-cli get a; }
limit() { docker exec "$(container cache)" redis-cli config get maxmemory | tail -n 1; }
# shellcheck disable=SC2317 # called at the end
clean_up() {
  local ids
  mapfile -t ids < <(docker ps -aq --filter "name=$P")
  ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}"
  mapfile -t ids < <(docker network ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker network rm "${ids[@]}"
  mapfile -t ids < <(docker volume ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker volume rm "${ids[@]}"
} >/dev/null 2>&1

project 64mb
exits "a first deploy" 0 deploy prod v1.0.0
docker exec "$(container cache)" redis-cli set a 1 >/dev/null
kept=$(volume cache)

# ---- another definition
project 65mb
exits "the plan" 0 deploy prod v1.0.0 --dry-run
expect "it says that the data goes over" "$(grep -c 'cache keeps /.* in a volume without a name, which goes over' "$WORK/out")" 1
exits "another definition" 0 deploy prod v1.0.0 --allow-downtime
expect "the data is there" "$(value) $(volume cache) $(limit)" "1 $kept 68157440"
expect "no rollback is named as the way back" "$(grep -c 'back:  a rollback never touches data' "$WORK/out") $(grep -c 'codops rollback prod' "$WORK/out")" "1 0"
exits "a rollback would do nothing and says so" 1 rollback prod --allow-downtime
expect "with why, and what to type" "$(grep -c 'in cache alone, and a rollback never touches data' "$WORK/err") $(grep -c 'codops deploy prod v1.0.0 --allow-downtime' "$WORK/err")" "1 1"

# ---- a restart, a failure, hands
exits "a restart" 0 restart prod cache --allow-downtime
expect "the data is there" "$(value) $(volume cache)" "1 $kept"
project nonsense
exits "a definition that does not start" 5 deploy prod v1.0.0 --allow-downtime
expect "the data is there" "$(value) $(volume cache)" "1 $kept"
project 65mb
scratch=$(volume app)
for tag in v1.1.0 v1.0.0 v1.1.0; do exits "deploy $tag" 0 deploy prod $tag; done
expect "a service that rolls starts with a new one" "$([[ $(volume app) != "$scratch" ]] && echo new)" new
exits "one more restart" 0 restart prod cache --allow-downtime
expect "old containers were pruned, the data is there" "$(docker ps -aq "${mine[@]}" --filter label=com.docker.compose.service=cache | wc -l) $(value) $(volume cache)" "2 1 $kept"
docker rm -fv "$(container cache)" >/dev/null
exits "removed by hand" 0 deploy prod v1.1.0
expect "the data is there" "$(value) $(volume cache)" "1 $kept"

# ---- docker compose between deploys
if compose=$("$SUPPORT/compose.sh" 2>/dev/null); then
  VERSION=v1.1.0 "$compose" -f docker-compose.prod.yml up -d --wait >/dev/null 2>&1
  expect "docker compose keeps it" "$(container cache) $(value)" "$P-cache-1 1"
  exits "codops goes on" 0 deploy prod v1.0.0
  exits "and makes it anew" 0 restart prod cache --allow-downtime
  expect "the data is there" "$(value) $(volume cache)" "1 $kept"
fi

exits "down" 0 down prod -y
expect "leaves the data" "$(docker volume ls -q | grep -c "$kept")" 1
docker volume rm "$kept" >/dev/null
docker volume ls -q | sort >"$WORK/before"
exits "a deploy after it" 0 deploy prod v1.0.0
exits "another definition again" 0 restart prod cache --allow-downtime
exits "down with volumes" 0 down prod --volumes -y
docker volume ls -q | sort >"$WORK/after"
expect "leaves none of the service's" "$(comm -13 "$WORK/before" "$WORK/after" | wc -l)" 0

# ---- a release that adds data and a job; networks
next() { # NETWORK [LINE of app] [SERVICES]
  cat >docker-compose.prod.yml <<YAML
name: $P
services:
  app:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    stop_grace_period: 1s
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
${2:-}
${3:-}
networks: {default: $1}
YAML
}
more='    depends_on: {job: {condition: service_completed_successfully}}'
services='  job: {image: codops-demo/redis:7, pull_policy: never, command: ["true"]}
  queue: {image: codops-demo/redis:7, pull_policy: never, stop_grace_period: 1s}'
next '{}'
exits "a release without data" 0 deploy prod v1.0.0
next '{}' "$more" "$services"
exits "a release with a job and data" 0 deploy prod v1.1.0
queue=$(container queue)
exits "back" 0 rollback prod
exits "what was left running is no drift" 0 status prod --check
expect "it is said" "$(grep -c "left up.*$queue" "$WORK/out")" 1
exits "forward again" 0 deploy prod v1.1.0
expect "with the same container" "$(container queue)" "$queue"
docker container prune -f --filter "label=com.docker.compose.project=$P" >/dev/null
exits "an ended job that was pruned is no drift" 0 status prod --check
exits "and there is nothing to do" 0 deploy prod v1.1.0
expect "so it says" "$(grep -c 'nothing to do' "$WORK/out")" 1
next '{internal: true}' "$more" "$services"
exits "another definition of a network" 0 deploy prod v1.1.0
expect "is told" "$(grep -c "warning: the network ${P}_default is as it was made, with another internal " "$WORK/out")" 1
exits "a release that asks for it" 0 deploy prod v1.0.0
exits "it is drift" 2 status prod --check
expect "with what to type" "$(grep -c 'internal than release .*codops down prod, then codops deploy prod v1.0.0' "$WORK/out")" 1
next '{internal: true}' "    platform: linux/s390x"
exits "an image of another platform than asked for" 1 deploy prod v1.1.0
expect "is named" "$(grep -c 'is for linux/.* and its platform: says linux/s390x' "$WORK/err")" 1
next '{internal: true}' "    mem_limit: 1m"
exits "a container that can't be made" 1 deploy prod v1.1.0
next '{internal: true}' "    user: nosuchuser"
exits "nor started" 1 deploy prod v1.1.0
expect "changed nothing" "$(grep -c 'moved back' "$WORK/err")" 0
exits "down with volumes" 0 down prod --volumes -y
finish
