#!/usr/bin/env bash
# What docker compose goes by without being told (its usual names, the override, COMPOSE_FILE), what it ran before codops came, and a registry that
# wants a login: on a real engine.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
P=$SCENARIO$$
mine=(--filter "label=com.docker.compose.project=$P")
registry=
# shellcheck disable=SC2317 # called at the end
clean_up() {
  [[ -z $registry ]] || kill "$registry"
  local ids
  mapfile -t ids < <(docker ps -aq --filter "name=$P")
  ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}"
  mapfile -t ids < <(docker network ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker network rm "${ids[@]}"
  mapfile -t ids < <(docker volume ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker volume rm "${ids[@]}"
} >/dev/null 2>&1
mkdir -p "$WORK/p"
cd "$WORK/p"
unset COMPOSE_FILE COMPOSE_PATH_SEPARATOR COMPOSE_PROFILES COMPOSE_PROJECT_NAME
printf 'project: %s\nmonitor: 200ms\n' "$P" >codops.yaml
cat >docker-compose.yml <<'YAML'
services:
  app:
    image: codops-demo/frontend:${VERSION}
    pull_policy: never
    restart: always
    stop_grace_period: 1s
    environment: { WORD: base }
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
YAML
word_file() { printf 'services: { app: { environment: { WORD: %s } } }\n' "$1" >"$2"; }
word_file override docker-compose.override.yml
word_file more more.yml
: >.env.test
try() { # its exit code in $rc, its words in out
  rc=0
  timeout -k 5 60 "$CODOPS" "$@" >"$WORK/out" 2>&1 </dev/null || rc=$?
}
said() { words "$WORK/out" | grep -c -- "$1" || true; }
running() { docker ps -q "${mine[@]}" --filter label=com.docker.compose.service=app; }
word() { docker exec "$(running | head -n 1)" printenv WORD; }

# ---- what ran before, by hand
if compose=$("$SUPPORT/compose.sh" 2>/dev/null); then
  check "docker compose runs it three times" env VERSION=v1.0.0 "$compose" -p "$P" up -d --scale app=3 --quiet-pull
  try deploy test v1.0.0 --dry-run
  expect "a plan says that a service scaled by hand gets another count" "$rc $(said 'app runs 3 times, by hand (--scale), and gets 1')" "0 1"
  try deploy test v1.0.0
  expect "so does the deploy" "$rc $(said 'app runs 3 times, by hand (--scale), and gets 1') $(running | wc -l)" "0 1 1"
else
  skip "docker compose" "it can't be had here"
  try deploy test v1.0.0
fi
expect "the override counts" "$rc $(word)" "0 override"
try scale test app=2
expect "a count of codops'" "$rc $(running | wc -l)" "0 2"
try scale test app=3 app=1
expect "two counts of one service: neither" "$rc $(said 'two counts of app') $(running | wc -l)" "64 1 2"
try scale test app=1
expect "one is taken" "$rc $(running | wc -l)" "0 1"

# ---- which files
echo COMPOSE_FILE=docker-compose.yml:more.yml >.env.test
try deploy test v1.0.0
expect "COMPOSE_FILE of the environment's file counts" "$rc $(word)" "0 more"
: >.env.test
export COMPOSE_FILE=docker-compose.yml:more.yml
try deploy test v1.0.0
expect "that of the shell does not, and is told" "$rc $(word) $(said 'COMPOSE_FILE of this shell (docker-compose.yml:more.yml) is not followed')" "0 override 1"
try deploy test v1.0.0
expect "also where nothing is to do" "$rc $(said 'COMPOSE_FILE of this shell') $(said 'nothing to do')" "0 1 1"
try deploy test v1.0.0 --set env_from_shell=COMPOSE_FILE
expect "it does where env_from_shell lists it" "$rc $(word) $(said 'COMPOSE_FILE of this shell')" "0 more 0"
export COMPOSE_FILE=docker-compose.yml:docker-compose.override.yml
try deploy test v1.0.0
expect "the same files need no word" "$rc $(word) $(said 'COMPOSE_FILE of this shell')" "0 override 0"
unset COMPOSE_FILE

# ---- nobody can read what it says
rc=0
"$CODOPS" deploy test v1.1.0 >/dev/full 2>"$WORK/out" || rc=$?
expect "a full stdout: the deploy's own verdict" "$rc $(said 'No space left.*what was done is done') $("$CODOPS" status test -o json | jq -r .version)" "0 1 v1.1.0"
rc=0
"$CODOPS" deploy test v1.0.0 >/dev/full 2>/dev/full || rc=$?
expect "a full stderr, too" "$rc $("$CODOPS" status test -o json | jq -r .version)" "0 v1.0.0"
rc=0
"$CODOPS" deploy test v9.9.9 >/dev/full 2>/dev/full || rc=$?
expect "one that fails" "$rc" 1
rc=0
"$CODOPS" status test >/dev/full 2>/dev/null || rc=$?
expect "whoever asks has no answer" "$rc" 3

# ---- images
cp docker-compose.yml good.yml
mkdir web
printf 'FROM codops-demo/frontend:v1.0.0\n' >web/Dockerfile
sed -i 's#^    image: .*#    image: registry.invalid/app:${VERSION}\n    build: ./web#; /pull_policy/d' docker-compose.yml
try deploy test v2.0.0 --build --dry-run
expect "a dry run of what is built first" "$rc $(said 'not on the engine yet') $(said '+ app')" "0 1 1"
try deploy test v2.0.0 --dry-run
expect "without --build there is no such image" "$rc" 69
cp good.yml docker-compose.yml
node -e 'const server = require("http").createServer((q, s) => s.writeHead(401, { "WWW-Authenticate": "Basic realm=\"r\"" }).end("{}"));
  server.listen(0, "127.0.0.1", () => require("fs").writeFileSync(process.argv[1], String(server.address().port)));' "$WORK/port" &
registry=$!
wait_for 20 test -s "$WORK/port"
place=127.0.0.1:$(<"$WORK/port")
sed -i "s#^    image: .*#    image: $place/app:\${VERSION}#; /pull_policy/d" docker-compose.yml
try deploy test v2.0.0
expect "a registry that wants a login: how to" "$rc $(said "docker login $place")" "1 1"
expect "all the while it runs" "$(running | wc -l)" 1

# ---- a port that goes from one service to another
cp good.yml docker-compose.yml
rm docker-compose.override.yml
sed -i '/stop_grace_period/a\    ports: ["127.0.0.1:18611:8080"]' docker-compose.yml
try deploy test v1.1.0 --allow-downtime
expect "a service that publishes a port" "$rc" 0
sed -i 's/^  app:/  other:/' docker-compose.yml
try deploy test v1.1.0 --allow-downtime
expect "its successor under another name: refused, with the holder and the way" "$rc $(said "port 18611, which service \"other\" publishes, is held by $P-app-r") $(running | wc -l)" "1 1 1"
docker stop "$(docker ps "${mine[@]}" --format '{{.Names}}')" >/dev/null
try deploy test v1.1.0 --allow-downtime
expect "which is one" "$rc $(docker ps "${mine[@]}" --filter label=com.docker.compose.service=other -q | wc -l)" "0 1"
finish
