#!/usr/bin/env bash
# setup-dev with an engine and other compose files: jobs that end, ports that the engine chooses, stores that nobody publishes, a service
# under another name, data in a folder of the checkout, and in an unnamed volume.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
need_engine
export CODOPS_SETUP_DEV_BACKEND=docker
project=devjobs$$
export CODOPS_SETUP_DEV_PROJECT=$project
clean_up() { remove_stack "$project"; }
begin() { # NAME: an empty checkout, with what is on standard input as its compose file
  remove_stack "$project"
  mkdir "$WORK/$1" && cd "$WORK/$1" && cat >compose.yaml
}
unchanged() { jq '[.steps[] | select(.ending != "unchanged")] | length' "$WORK/out"; }
runs_of() { docker logs "$project-$1-1" 2>&1 | wc -l; }

# ---- jobs: who ended with 0 is done, whoever waits for it
begin jobs <<'Y'
services:
  cache: { image: codops-demo/redis:7, pull_policy: never, ports: ["6379"] }
  quick: { image: codops-demo/redis:7, pull_policy: never, entrypoint: [], command: [sh, -c, "echo ran"] }
  slow: { image: codops-demo/redis:7, pull_policy: never, entrypoint: [], command: [sh, -c, "echo ran; while [ ! -e /tmp/end ]; do sleep 0.1; done"] }
  bad: { image: codops-demo/redis:7, pull_policy: never, entrypoint: [], command: [sh, -c, "exit 3"], profiles: [bad] }
  worker: { image: codops-demo/redis:7, pull_policy: never, entrypoint: [], command: [sh, -c, "trap 'exit 0' TERM; echo ran; sleep 86400 & wait"] }
Y
expect "a job that ended with 0 is done, one that runs is up" "$(code setup -o json) $(ending quick) $(ending slow) $(ending worker)" "0 done done done"
docker exec "$project-slow-1" touch /tmp/end
docker wait "$project-slow-1" >/dev/null
expect "again: nothing to do" "$(code setup -o json) $(unchanged) $(runs_of quick) $(runs_of slow)" "0 0 1 1"
expect "doctor, dev status agree" "$(code "$CODOPS" doctor) $(code "$CODOPS" dev status)" "0 0"
expect "a job that fails is told" "$(COMPOSE_PROFILES=bad code setup -o json) $(ending bad)" "1 failed"

# ---- a port that the engine chooses
port() { docker port "$project-$1-1" "$2" | sed -n '1s/.*://p'; }
expect "redis on the engine's port" "$("$CODOPS" dev redis-cli -- ping) $(jq -r '.steps[] | select(.name == "cache") | .text' "$WORK/out" | grep -c 'cache')" "PONG 1"
expect "down stops what runs" "$(code setup --down) $(docker ps -q --filter "label=com.docker.compose.project=$project" | wc -l)" "0 0"
expect "and what was stopped comes back, jobs that had ended do not" "$(code setup -o json) $(ending worker) $(ending cache) $(runs_of quick) $(runs_of worker)" "0 done done 1 2"
expect "its new port is known" "$("$CODOPS" dev redis-cli -- ping) $(test -n "$(port cache 6379)"; echo $?)" "PONG 0"

# ---- a store that nobody publishes is run, and left to its own
begin hidden <<'Y'
services: { cache: { image: codops-demo/redis:7, pull_policy: never } }
Y
start=$SECONDS
expect "a store without a port is run" "$(code setup -o json) $(ending cache)" "0 done"
check "and that nobody can look into it is told" grep -q '"cache" publishes no port 6379' <(jq -r '.notes[]' "$WORK/out")
docker stop "$project-cache-1" >/dev/null
expect "stopped by hand it is started again, though it ended with 0" "$(code setup -o json) $(ending cache) $(docker inspect -f '{{.State.Running}} {{.State.ExitCode}}' "$project-cache-1")" "0 done true 0"
if ((SECONDS - start < 30)); then pass "without waiting"; else fail "without waiting" "$((SECONDS - start)) s"; fi

# ---- a service under another name: its container of before has the port
begin renamed <<'Y'
services:
  redis: { image: codops-demo/redis:7, pull_policy: never, ports: ["127.0.0.1:6390:6379"] }
Y
expect "a service" "$(code setup -o json) $(ending redis)" "0 done"
sed -i 's/^  redis:/  cache:/' compose.yaml
expect "under another name: who has the port is told" "$(code setup -o json) $(ending ports) $(jq -r '.steps[] | select(.name == "ports") | .text' "$WORK/out" | grep -c "container \"$project-redis-1\", whose service is not in the compose file any more")" "1 failed 1"
check "and what to type" grep -q "docker stop $project-redis-1" "$WORK/out"
docker stop "$project-redis-1" >/dev/null
expect "which helps" "$(code setup -o json) $(ending cache)" "0 done"

# ---- data in a folder of the checkout stays, and that is said; from an unnamed volume to a named one is said, too
begin folder <<'Y'
services:
  redis: { image: codops-demo/redis:7, pull_policy: never, ports: ["127.0.0.1:6390:6379"], volumes: ["./data:/data"] }
Y
expect "data in a folder" "$(code setup -o json) $("$CODOPS" dev redis-cli -- set mine 1) $("$CODOPS" dev redis-cli -- save)" "0 OK OK"
expect "--reset leaves it, and says so" "$(code setup --reset --yes) $(words "$WORK/err" | grep -c 'leaves folders of yours.*/data" (of redis)') $("$CODOPS" dev redis-cli -- get mine)" "0 1 1"
begin unnamed <<'Y'
services:
  redis: { image: codops-demo/redis:7, pull_policy: never, ports: ["127.0.0.1:6390:6379"], volumes: ["/data"] }
Y
expect "data in an unnamed volume" "$(code setup -o json) $("$CODOPS" dev redis-cli -- set mine 1)" "0 OK"
printf 'services:\n  redis: { image: codops-demo/redis:7, pull_policy: never, ports: ["127.0.0.1:6390:6379"], volumes: ["kept:/data"] }\nvolumes: { kept: {} }\n' >compose.yaml
old=$(docker inspect -f '{{(index .Mounts 0).Name}}' "$project-redis-1")
expect "now in a named one: where it was is told, and stays" "$(code setup) $(words "$WORK/err" | grep -c "had its data in the unnamed volume ${old:0:12}") $(docker volume inspect "$old" >/dev/null 2>&1; echo $?)" "0 1 0"
docker volume rm "$old" >/dev/null

# ---- .env.test is nobody's to write: that it leads to the port of before is told
begin test <<'Y'
services:
  redis: { image: codops-demo/redis:7, pull_policy: never, ports: ["127.0.0.1:${REDIS_PORT:-6391}:6379"] }
Y
printf 'REDIS_URL=redis://localhost:6391\n' | tee .env >.env.test
listen_on 6391
expect "a remap moves .env, and names .env.test" "$(code setup -o json --remap) $(grep -c 6392 .env) $(cat .env.test) $(jq -r '.notes[]' "$WORK/out" | grep -c '.env.test still leads to port 6391')" "0 2 REDIS_URL=redis://localhost:6391 1"
kill "$listener"
finish
