#!/usr/bin/env bash
# What is wrong beforehand fails before any change, with the right code.
# shellcheck disable=SC2016,SC2317 # compose's variables; the clean-up runs at the end
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
# shellcheck disable=SC2119
site
foreign=
clean_up() {
  [[ -z $foreign ]] || kill "$foreign" 2>/dev/null
  remove_site
}
refused() { # NAME EXIT ARG...
  footprint
  exits "$@"
  expect "$1: nothing was changed" "$(unchanged)" ""
  check "$1: it says why" grep -q '^error: ..*' "$WORK/err"
}
listen() { # PORT|PATH: accepts and never answers
  node -e 'require("net").createServer(() => {}).listen(isNaN(process.argv[1]) ? process.argv[1] : +process.argv[1])' "$1" &
  foreign=$!
}

listen $HTTP
wait_for 10 sh -c "exec 3<>/dev/tcp/127.0.0.1/$HTTP" || wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$HTTP"
exits "the port is taken by another process" 1 deploy demo v1.0.0
expect "and nothing was started" "$(docker ps -q "${mine[@]}")" ""
kill $foreign; wait $foreign 2>/dev/null || true
exits "deploy" 0 deploy demo v1.0.0

refused "a malformed version" 64 deploy demo 'not a tag'
refused "no version" 64 deploy demo
refused "an unknown service" 64 deploy demo nosuch=v1.1.0
refused "no container of a service behind the proxy" 64 scale demo backend=0
refused "an environment that is nowhere" 78 deploy nowhere v1.1.0
refused "an image that does not exist" 1 deploy demo v9.9.9
refused "an unknown setting" 78 deploy demo v1.1.0 --set montior=1s

cp "$APP/docker-compose.prod.yml" "$WORK/compose.yml"
sed -i 's/JWT_SECRET: .*/JWT_SECRET: ${NOT_SET_ANYWHERE:?is needed}/' "$APP/docker-compose.prod.yml"
refused "a missing variable" 78 deploy demo v1.1.0
check "it is named" grep -q NOT_SET_ANYWHERE "$WORK/err"
cp "$WORK/compose.yml" "$APP/docker-compose.prod.yml"
sed -i 's/^    image: /    imgae: /' "$APP/docker-compose.prod.yml"
refused "an invalid compose file" 78 deploy demo v1.1.0
check "with its line" grep -q 'docker-compose.prod.yml:[0-9]' "$WORK/err"
sed 's/\${VERSION[^}]*}/v1.0.0/' "$WORK/compose.yml" >"$APP/docker-compose.prod.yml"
refused "a version that reaches no image" 78 deploy demo v1.1.0
cp "$WORK/compose.yml" "$APP/docker-compose.prod.yml"

service_with() { # NAME LINE: put before its image
  sed "/^    image: codops-demo\/$1/i\\$2" "$WORK/compose.yml" >"$APP/docker-compose.prod.yml"
}
service_with backend '    volumes_from: [redis]'
refused "the volumes of another service" 78 deploy demo v1.1.0
service_with backend '    volumes: [{type: volume, source: pgdata, target: /srv, volume: {subpath: inside}}]'
refused "a folder within a volume" 78 deploy demo v1.1.0
check "the service is named" grep -q 'service "backend" mounts a folder' "$WORK/err"
service_with backend '    networks: [nowhere]'
printf 'networks:\n  nowhere: { external: true, name: codops-nowhere-%s }\n' "$PROJECT" >>"$APP/docker-compose.prod.yml"
refused "an external network that is not there" 78 deploy demo v1.1.0
check "by its name" grep -q "codops-nowhere-$PROJECT" "$WORK/err"
service_with frontend '    container_name: the-front'
exits "a name of the container's own" 0 deploy demo v1.1.0 --dry-run
check "it is told that it does not get it" grep -q 'frontend is not called "the-front"' "$WORK/out" "$WORK/err"
cp "$WORK/compose.yml" "$APP/docker-compose.prod.yml"
refused "what is not built" 1 deploy demo v9.9.9 --dry-run
check "the command that builds it" grep -q 'codops build demo VERSION' "$WORK/err"
footprint
exits "a dry run of what is built first" 0 deploy demo v9.9.9 --build --dry-run
expect "builds nothing" "$(unchanged)" ""
check "and says what it has not seen" grep -q 'image is not on the engine yet' "$WORK/out" "$WORK/err"

docker create --name "$PROJECT-backend-r2-1" codops-demo/backend:v1.0.0 >/dev/null
refused "a name is taken by a foreign container" 1 deploy demo v1.1.0
docker rm "$PROJECT-backend-r2-1" >/dev/null
sed -i 's/^      RATE_LIMIT: .*/      RATE_LIMIT: 7r\/s/' "$APP/docker-compose.prod.yml"
refused "an outage that nobody accepted" 1 deploy demo v1.0.0 --yes
cp "$WORK/compose.yml" "$APP/docker-compose.prod.yml"

exits "no engine" 69 deploy demo v1.1.0 --set host=unix:///nowhere/docker.sock
exits "no engine, a question" 3 status demo --set host=unix:///nowhere/docker.sock
listen "$WORK/silent.sock"
wait_for 10 test -S "$WORK/silent.sock"
began=$SECONDS
exits "an engine that does not answer" 69 deploy demo v1.1.0 --set "host=unix://$WORK/silent.sock" --set timeouts.engine=1s
if ((SECONDS - began < 20)); then pass "it gives up in time"; else fail "it gives up in time" "$((SECONDS - began)) s"; fi
exits "its deadline" 124 deploy demo v1.1.0 --set "host=unix://$WORK/silent.sock" --timeout 1s
kill $foreign; wait $foreign 2>/dev/null || true
serving "after all that" v1.0.0 1
finish
