#!/usr/bin/env bash
# setup-dev with an engine: the development compose file's containers, and engines that are not there or hang.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
export CODOPS_SETUP_DEV_BACKEND=auto
quick=(--skip "install,generate,seed")
clone "$WORK/my shop"
cd "$WORK/my shop"

# ---- no engine, and one that hangs
engine=${DOCKER_HOST:-}
export DOCKER_HOST=unix://$WORK/none.sock
expect "no engine: --backend docker says so" "$(code setup -o json "${quick[@]}" --backend docker) $(ending networks) $(ending postgres) $(ending env)" "69 failed blocked done"
rm -f .env
if [[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null; then
  expect "no engine: the host's packages" "$(code setup -o json "${quick[@]}") $(json '[.ready, .backend]')" '0 [true,"local"]'
  python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(16); time.sleep(600)' "$WORK/hung.sock" & hung=$!
  wait_for 10 test -S "$WORK/hung.sock"
  export DOCKER_HOST=unix://$WORK/hung.sock
  start=$SECONDS
  expect "an engine that hangs: the host's packages" "$(code setup -o json "${quick[@]}") $(json .backend)" '0 "local"'
  if ((SECONDS - start < 15)); then pass "without waiting long"; else fail "without waiting long" "$((SECONDS - start)) s"; fi
  check "and why is told" grep -q 'does not answer' "$WORK/err"
  expect "down" "$(code setup --down --backend local)" 0
  kill $hung
  wait $hung 2>/dev/null || true
fi
rm -rf .codops .env
export DOCKER_HOST=$engine
need_engine

project=devtest$$
export CODOPS_SETUP_DEV_PROJECT=$project
clean_up() { down_all; remove_stack "$project"; remove_stack "$project-dev"; }

# ---- the first day, with a job that ends
cat >docker-compose.override.yml <<'Y'
services:
  buckets:
    image: codops-demo/redis:7
    pull_policy: never
    command: ["sh", "-c", "echo made"]
    entrypoint: []
  mirror:
    image: codops-demo/redis:7
    pull_policy: never
    command: ["redis-server", "--port", "7000"]
    depends_on: { buckets: { condition: service_completed_successfully }, redis: { condition: service_healthy } }
Y
expect "setup-dev works" "$(code setup -o json "${quick[@]}")" 0
expect "ready" "$(json '[.ready, .backend]')" '[true,"docker"]'
expect "a job that ended with 0 is done" "$(ending buckets) $(ending mirror)" "done done"
expect "migrations are applied" "$("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" 3
expect "Redis with its password" "$("$CODOPS" dev redis-cli -- ping)" PONG
expect "containers as docker compose names them" "$(docker ps -a --filter "label=com.docker.compose.project=$project" --format '{{.Names}}' | sort | tr '\n' ' ')" \
  "$project-buckets-1 $project-mirror-1 $project-postgres-1 $project-redis-1 "
if compose=$("$SUPPORT/compose.sh" 2>/dev/null); then
  expect "docker compose sees them" "$("$compose" -p "$project" ps --services 2>/dev/null | sort | tr '\n' ' ')" "mirror postgres redis "
fi
best=9999
for _ in 1 2 3 4 5; do
  start=$(date +%s%N)
  setup -o json "${quick[@]}" || true
  took=$((($(date +%s%N) - start) / 1000000))
  ((took >= best)) || best=$took
done
expect "again: nothing to do" "$(json '[.ready, ([.steps[] | select(.ending != "unchanged")] | length)]')" '[true,0]'
if ((best < 300)); then pass "again, quickly"; else fail "again, quickly" "$best ms"; fi
expect "dev status" "$("$CODOPS" dev status -o json | jq -c .ready)" true
"$CODOPS" dev logs postgres >"$WORK/out" 2>&1
check "dev logs" grep -q 'ready to accept connections' "$WORK/out"

# ---- the engine is away, or hangs: databases that are in it are not passed over for empty ones, its containers' ports are nobody's to move
hang() { # a socket that accepts, and says nothing; its process is $hung
  rm -f "$WORK/hung.sock"
  python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(16); time.sleep(600)' "$WORK/hung.sock" & hung=$!
  wait_for 10 test -S "$WORK/hung.sock"
}
before=$(sha256sum .env)
local_data() { find .codops/dev /var/lib/codops/dev/my-shop-* -maxdepth 1 \( -name postgres -o -name redis \) 2>/dev/null | wc -l; }
export DOCKER_HOST=unix://$WORK/none.sock
expect "the engine is away: told, and nothing is started elsewhere" "$(code setup -o json "${quick[@]}") $(json .backend) $(ending networks) $(local_data)" '69 "docker" failed 0'
check "where the databases are, and both ways on" grep -q 'databases are in the engine at .*docker.sock, and .*--backend local' "$WORK/out"
expect "dev psql, dev redis-cli, dev status say so" "$(code "$CODOPS" dev psql -- -c 'SELECT 1') $(code "$CODOPS" dev redis-cli -- ping) $(code "$CODOPS" dev status)" "69 69 69"
expect "--down and --reset do not say that there is nothing" "$(code setup --down) $(code setup --reset --yes)" "69 69"
hang
export DOCKER_HOST=unix://$WORK/hung.sock
for backend in auto docker; do
  expect "a hung engine, --backend $backend: no port is moved" "$(code setup -o json "${quick[@]}" --backend $backend --remap) $(ending ports) $(sha256sum .env) $(grep -c 'setup-dev --remap' "$WORK/out") $(local_data)" "69 failed $before 0 0"
done
kill $hung
wait $hung 2>/dev/null || true
export DOCKER_HOST=$engine
expect "and once it answers all is there" "$(code setup -o json "${quick[@]}") $(json '[.steps[] | select(.ending != "unchanged")] | length')" "0 0"

# ---- whose project it is: docker compose's own order, with the setting where the compose file's name is
named() { "$CODOPS" doctor -o json "${quick[@]}" 2>/dev/null | jq -r '.steps[] | select(.name == "networks") | .text' | grep -o '^[a-z0-9_-]*_default'; }
expect "COMPOSE_PROJECT_NAME goes before the setting" "$(COMPOSE_PROJECT_NAME=$project-shell named)" "$project-shell_default"
cp -p .env "$WORK/env" && printf '\nCOMPOSE_PROJECT_NAME=%s\n' "$project-file" >>.env
expect "so does that of .env" "$(named)" "$project-file_default"
expect "and the shell's before it" "$(COMPOSE_PROJECT_NAME=$project-shell named)" "$project-shell_default"
if compose=$("$SUPPORT/compose.sh" 2>/dev/null); then
  expect "as docker compose has it" "$("$compose" config --format json 2>/dev/null | jq -r .name) $(COMPOSE_PROJECT_NAME=$project-shell "$compose" config --format json 2>/dev/null | jq -r .name)" "$project-file $project-shell"
fi
check "which is told" grep -q "the stack is .*$project-file.* as COMPOSE_PROJECT_NAME says" <("$CODOPS" doctor "${quick[@]}" 2>&1 || true)
cp -p "$WORK/env" .env

# ---- a copy of the checkout: its URLs lead to this one's containers
cp -a "$WORK/my shop" "$WORK/copy"
for verb in "dev psql -- -c 'SELECT 1'" "dev redis-cli -- ping" "dev logs postgres" "dev status"; do
  expect "a copy, one project name: $verb" "$(cd "$WORK/copy" && eval "code '$CODOPS' $verb") $(grep -c "that of the checkout \"$WORK/my shop\"" "$WORK/code.err") $(wc -c <"$WORK/code.out")" "78 1 0"
done
for verb in "dev psql -- -c 'SELECT 1'" "dev redis-cli -- ping"; do
  expect "a copy, a name of its own: $verb" "$(cd "$WORK/copy" && eval "COMPOSE_PROJECT_NAME=$project-copy code '$CODOPS' $verb") $(grep -c "which container \"$project-.*-1\" has" "$WORK/code.err") $(wc -c <"$WORK/code.out")" "69 1 0"
done
rm -rf "$WORK/copy"

# ---- databases by the host's packages: an engine that is there is no reason to begin with empty ones
if [[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null; then
  clone "$WORK/sticky"
  cd "$WORK/sticky"
  expect "by the host's packages" "$(code setup -o json "${quick[@]}" --backend local) $(json .backend)" '0 "local"'
  expect "auto stays with them" "$(code setup -o json "${quick[@]}") $(json .backend) $(json '[.steps[] | select(.ending != "unchanged")] | length')" '0 "local" 0'
  check "and says why" grep -q "backend local: this checkout's databases are there" "$WORK/err"
  expect "where they are is told to who takes the engine" "$(CODOPS_SETUP_DEV_PROJECT=$project-sticky code "$CODOPS" doctor --backend docker "${quick[@]}") $(grep -c "by the host's packages stay there" "$WORK/code.err")" "2 1"
  expect "down" "$(code setup --down --backend local)" 0
  cd "$WORK/my shop"
fi

# ---- two at once: from nothing, in one checkout
docker rm -f "$project-postgres-1" "$project-redis-1" >/dev/null
CODOPS_TEST_KILL=before:postgres:STOP "$CODOPS" setup-dev "${quick[@]}" >/dev/null 2>&1 </dev/null & first=$!
stopped() { [[ $(awk '/^State:/ {print $2}' "/proc/$first/status") == T ]]; }
check "one has begun" wait_for 20 stopped
expect "the other ends with 4 when it may not wait" "$(code setup "${quick[@]}" --lock-wait 200ms)" 4
check "and names the first" grep -q "\"codops setup-dev\" (pid $first" "$WORK/err"
"$CODOPS" setup-dev -o json "${quick[@]}" >"$WORK/second" 2>/dev/null </dev/null & second=$!
kill -CONT "$first"
rc=0
wait "$first" || rc=$?
wait "$second" || rc=$rc.$?
expect "or waits, and both end well" "$rc $(jq -c .ready "$WORK/second")" "0 true"
expect "with one container each" "$(docker ps -a --filter "label=com.docker.compose.project=$project" --format '{{.Names}}' | sort | tr '\n' ' ')" \
  "$project-buckets-1 $project-mirror-1 $project-postgres-1 $project-redis-1 "

# ---- an exited database
docker kill "$project-postgres-1" >/dev/null
expect "dev status sees an exited database" "$(code "$CODOPS" dev status) $(grep -c 'exited with 137' "$WORK/code.out")" "2 1"
expect "setup-dev starts it" "$(code setup -o json "${quick[@]}") $(ending postgres) $(ending migrate)" "0 done unchanged"

# ---- killed in mid-way
docker rm -f "$project-postgres-1" >/dev/null
expect "killed before a step" "$(CODOPS_TEST_KILL=before:postgres code setup "${quick[@]}")" 137
expect "and after one" "$(CODOPS_TEST_KILL=after:postgres code setup "${quick[@]}")" 137
expect "the next run ends well, with the data" "$(code setup -o json "${quick[@]}") $(ending migrate)" "0 unchanged"

# ---- killed while a container was made anew: the one before it is there under another name
docker stop -t 5 "$project-mirror-1" >/dev/null
docker rename "$project-mirror-1" "$project-mirror-1-before"
sed -i 's/"7000"/"7001"/' docker-compose.override.yml
expect "the next run makes it and removes the old one" "$(code setup -o json "${quick[@]}") $(docker ps -a --filter "name=$project-mirror" --format '{{.Names}}')" "0 $project-mirror-1"
docker network disconnect "${project}_default" "$project-mirror-1"
expect "a container that is not on its network is joined to it" "$(code setup -o json "${quick[@]}") $(ending mirror) $(docker inspect -f "{{len .NetworkSettings.Networks}}" "$project-mirror-1")" "0 done 1"
sed -i 's/"7001"/"7000"/' docker-compose.override.yml

# ---- a port that another container has
docker run -d --name "$project-other" --label "com.docker.compose.project=$project-x" -p 127.0.0.1:5439:5432 codops-demo/redis:7 >/dev/null
sed -i 's/^POSTGRES_PORT=.*/POSTGRES_PORT=5439/; s/:5432/:5439/' .env
expect "a container that has the port is named" "$(code setup -o json "${quick[@]}") $(ending ports) $(grep -c "$project-other" "$WORK/out")" "1 failed 1"
expect "--remap moves, and the container follows" "$(code setup -o json "${quick[@]}" --remap) $(docker port "$project-postgres-1" 5432/tcp) $("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" "0 127.0.0.1:5440 3"
docker rm -fv "$project-other" >/dev/null

# ---- a container that does not come up
sed -i 's/"--port", "7000"/"--no-such-option"/' docker-compose.override.yml
expect "a container that exits is told with its last lines" "$(code setup -o json "${quick[@]}") $(ending mirror) $(ending migrate)" "1 failed unchanged"
check "its log is there" grep -q 'no-such-option\|FATAL CONFIG\|Bad directive' "$WORK/out"
rm docker-compose.override.yml

# ---- a paused one never answers
docker pause "$project-postgres-1" >/dev/null
expect "paused: dev psql says so" "$(code timeout 20 "$CODOPS" dev psql -- -c 'SELECT 1') $(grep -c 'is paused' "$WORK/code.err")" "69 1"
expect "setup-dev lets it go on" "$(code setup -o json "${quick[@]}") $(ending postgres)" "0 done"

# ---- how many, and what the compose file is called
mkdir "$WORK/dev" && cd "$WORK/dev"
docker tag codops-demo/postgres:15 company/own:1
cat >docker-compose.dev.yml <<'Y'
services:
  store: {image: "codops-demo/redis:7", pull_policy: never, env_file: .env, ports: ["127.0.0.1:6390:6379"]}
  db: {image: "company/own:1", pull_policy: never, container_name: NAMED, environment: {POSTGRES_PASSWORD: "wr1tten"}, ports: ["127.0.0.1:5490:5432"]}
  helper: {image: "codops-demo/redis:7", pull_policy: never, deploy: {replicas: 2}, depends_on: [off]}
  off: {image: "codops-demo/redis:7", pull_policy: never, scale: 0}
Y
printf 'REDIS_HOST=localhost\nREDIS_PORT=6390\nREDIS_PASSWORD=\nSESSION_SECRET=\nDB_HOST=localhost\nDB_PORT=5490\nDB_USER=postgres\nDB_PASSWORD=\nDB_NAME=shop\n' >.env.example
sed -i "s/NAMED/$project-named/" docker-compose.dev.yml
export CODOPS_SETUP_DEV_PROJECT=$project-dev
expect "docker-compose.dev.yml alone, with an env_file that this run makes" "$(code setup -o json) $(json '[.backend, .ready]') $("$CODOPS" dev redis-cli -- ping) $("$CODOPS" dev psql -- -Atc 'SELECT current_database()')" '0 ["docker",true] PONG shop'
expect "one of each, none where none is wanted" "$(docker ps --filter "label=com.docker.compose.project=$project-dev" --format '{{.Names}}' | sort | xargs)" "$project-dev-helper-1 $project-dev-store-1 $project-named"
expect "both are told" "$(words "$WORK/err" | grep -c 'wants 2 of .helper.: setup-dev runs one') $(words "$WORK/err" | grep -c 'wants none: off')" "1 1"
expect "the container has what the file got" "$(docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$project-dev-store-1" | grep -c "^SESSION_SECRET=$(sed -n 's/^SESSION_SECRET=//p' .env)$")" 1
expect "again: nothing to do" "$(code setup -o json) $(json '[.steps[] | select(.ending != "unchanged")]') $(code "$CODOPS" dev status)" "0 [] 0"
"$CODOPS" dev psql -- -qc "ALTER ROLE postgres PASSWORD 'other'"
expect "another password than the volume's: the fix names the container as it is called" "$(code "$CODOPS" doctor -o json) $(jq -r '.steps[] | select(.name == "database") | .hint' "$WORK/code.out" | grep -c "docker exec -it $project-named psql")" "2 1"
docker exec "$project-named" psql -qU postgres -d postgres -c "ALTER ROLE postgres PASSWORD 'wr1tten'"
mv docker-compose.dev.yml stack.yml && echo 'COMPOSE_FILE=stack.yml' >>.env
# .env is what "store" gets: that one has another definition by now.
expect "COMPOSE_FILE in .env" "$(code "$CODOPS" doctor -o json) $(jq -r '.backend, (.steps[] | select(.name == "db" or .name == "store") | .ending)' "$WORK/code.out" | xargs)" "2 docker unchanged wanted"
expect "down" "$(code setup --down)" 0
export CODOPS_SETUP_DEV_PROJECT=$project
remove_stack "$project-dev"
cd "$WORK/my shop"

# ---- the end of the day; data is not lost by it
expect "--down" "$(code setup --down)" 0
expect "nothing runs, the volume is there" "$(docker ps -q --filter "label=com.docker.compose.project=$project" | wc -l) $(docker volume ls -q | grep -c "^${project}_pgdata$")" "0 1"
# As after a run that was ended while the engine started a container: a proxy of the engine's has the port, the container does not run yet.
python3 -c 'import socket, sys, time
open("/proc/self/comm", "w").write("docker-proxy")
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 5440)); s.listen(8); open(sys.argv[1], "w"); time.sleep(1.5)' \
  "$WORK/proxied" & proxy=$!
wait_for 10 test -e "$WORK/proxied"
before=$(sha256sum .env)
expect "up again, with the port held by its own container's start" "$(code setup -o json "${quick[@]}" --remap) $(ending ports) $(ending migrate) $(sha256sum .env)" "0 unchanged unchanged $before"
wait $proxy

# ---- a network twice, as an engine leaves it that was asked by a run that was killed: no container could join either
twin() {
  curl -sS -o /dev/null -w '%{http_code}' --unix-socket "${DOCKER_HOST#unix://}" -H 'Content-Type: application/json' \
    -d "{\"Name\": \"${project}_default\", \"CheckDuplicate\": false, \"Labels\": {\"com.docker.compose.project\": \"$project\", \"com.docker.compose.network\": \"default\"}}" http://docker/v1.40/networks/create
}
networks() { docker network ls -q --filter "name=^${project}_default$" | wc -l; }
docker stop -t 5 "$project-postgres-1" "$project-redis-1" >/dev/null
# An engine of API 1.44 makes no second one, whoever asks.
if [[ $(twin) == 201 ]]; then
  expect "a network twice: one is left" "$(code setup -o json "${quick[@]}") $(ending networks) $(ending migrate) $(networks)" "0 done unchanged 1"
  docker rm -f "$project-postgres-1" >/dev/null
  CODOPS_TEST_KILL=before:postgres:STOP "$CODOPS" setup-dev -o json "${quick[@]}" >"$WORK/out" 2>/dev/null </dev/null & first=$!
  wait_for 20 stopped
  twin >/dev/null
  kill -CONT "$first"
  rc=0
  wait "$first" || rc=$?
  expect "and when it comes late" "$rc $(ending postgres) $(ending migrate) $(networks)" "0 done unchanged 1"
else
  expect "a network twice can't be here" "$(networks)" 1
  expect "up" "$(code setup "${quick[@]}")" 0
fi
docker run -d --name "$project-user" -v "${project}_pgdata:/mine:ro" codops-demo/redis:7 >/dev/null
expect "--reset, and somebody has a volume: nothing is removed" "$(code setup --reset --yes) $(docker ps -q --filter "label=com.docker.compose.project=$project" | wc -l) $("$CODOPS" dev psql -- -Atc 'SELECT count(*) FROM _prisma_migrations')" "1 2 3"
check "who has it is told" grep -q "container \"$project-user\" has volume \"${project}_pgdata\".*nothing was stopped or removed" "$WORK/err"
docker rm -f "$project-user" >/dev/null
expect "--reset asks" "$(code setup --reset)" 64
check "and names the volume" grep -q "${project}_pgdata" "$WORK/err"
expect "--reset --yes starts anew" "$(code setup -o json "${quick[@]}" --reset --yes) $(ending migrate)" "0 done"

# ---- a deployed stack of the same name is nobody's to touch
docker run -d --name "$project-prod" --label "com.docker.compose.project=$project" --label com.docker.compose.oneoff=False --label com.docker.compose.service=web --label codops.environment=production codops-demo/redis:7 >/dev/null
expect "a deployed stack of that name is refused" "$(code setup "${quick[@]}") $(code setup --down) $(code setup --reset --yes)" "78 78 78"
expect "and runs on" "$(docker inspect -f '{{.State.Running}}' "$project-prod")" true
docker rm -fv "$project-prod" >/dev/null
finish
