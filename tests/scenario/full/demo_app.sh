#!/usr/bin/env bash
# The demo application itself, started by plain docker compose: what the other scenarios build on.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
compose=$("$SUPPORT/compose.sh" 2>/dev/null) || { skip "docker compose" "it can't be had here"; finish; }

project=demoapp$$
http=18080 https=18443
demo "$WORK/app" HTTP_PORT=$http HTTPS_PORT=$https
cd "$WORK/app"
export VERSION=v1.1.0
dc() { "$compose" -p "$project" --env-file .env.demo -f docker-compose.prod.yml -f compose.plain.yml "$@"; }
clean_up() {
  dc down -v -t 1 >/dev/null 2>&1
  docker rm -f "$project-one" >/dev/null 2>&1
}
get() { curl -sS -m 10 "$@"; }
code() { get -o /dev/null -w '%{http_code}' "$@"; }
front=http://127.0.0.1:$http

check "starts and gets healthy" dc up -d --wait
expect "no table before the first migration" "$(code $front/api/orders)" 500
for file in prisma/migrations/2*/migration.sql; do
  dc exec -T postgres psql -q -U shop -d shop -v ON_ERROR_STOP=1 -f - <"$file" 2>&1
done

for path in /health /ready /live /health/detailed /api/version /api/orders /version.json /; do
  expect "$path answers" "$(code "$front$path")" 200
done
expect "the version is the tag's" "$(get $front/api/version | jq -r .version)" v1.1.0
expect "the page's version too" "$(get $front/version.json | jq -r .version)" v1.1.0
expect "metrics are not for the outside" "$(code $front/metrics)" 403
expect "metrics are there inside" \
  "$(dc exec -T backend curl -s http://127.0.0.1:3000/metrics | grep -c '^app_info{version="v1.1.0"} 1')" 1
expect "an order is written" "$(code -H 'content-type: application/json' -d '{"customer":"Ann","total_cents":5}' $front/api/orders)" 201
expect "and read" "$(get $front/api/orders | jq -r '.orders[0].customer')" Ann
expect "a bad order is refused" "$(code -H 'content-type: application/json' -d '{"customer":""}' $front/api/orders)" 400
expect "TLS with the project's own authority" "$(code --cacert nginx/ssl/ca.crt https://localhost:$https/ready)" 200
expect "gzip" "$(get -H 'accept-encoding: gzip' -D - -o /dev/null "$front$(get $front/ | grep -o '/assets/[^"]*\.js')" |
  grep -ic '^content-encoding: gzip')" 1
expect "headers on error pages too" "$(get -D - -o /dev/null $front/metrics | grep -ic -e '^x-frame-options: DENY' -e '^content-security-policy:')" 2

load_start calm --url $front --seconds 1 --duration 4
load_wait calm
expect "no request fails in peace" "$(load_value calm '[.reasons, .sent > 1000, .by_kind.websocket.ok]')" '[{},true,1]'

dc stop -t 5 redis >/dev/null 2>&1
check "not ready without Redis" wait_for 60 sh -c "[ \$(curl -s -o /dev/null -w '%{http_code}' $front/ready) = 503 ]"
expect "alive without Redis" "$(code $front/live)" 200
dc start redis >/dev/null 2>&1
check "ready again by itself" wait_for 60 curl -fsS $front/ready
dc restart -t 10 postgres >/dev/null 2>&1
check "survives a restart of PostgreSQL" wait_for 60 curl -fsS $front/ready
expect "data survives it" "$(get $front/api/orders | jq '.orders | length > 0')" true

dc kill backend >/dev/null 2>&1
# 502 or 504, as the dead addresses refuse or swallow the connection.
expect "an error page when nothing answers" "$(get -o page -w '%{http_code}' $front/api/version | cut -c1-2; grep -o '<h1>.*</h1>' page)" \
  $'50\n<h1>Back in a moment</h1>'

# The limit, where nobody is exempt.
sed -i 's,^RATE_LIMIT_EXEMPT=.*,RATE_LIMIT_EXEMPT=192.0.2.0/24,; s,^RATE_LIMIT=.*,RATE_LIMIT=1r/s,' .env.demo
dc up -d --wait >/dev/null 2>&1
expect "the rate limit works" "$(for ((i = 0; i < 60; i++)); do code $front/api/version; echo; done | sort -u | tr '\n' ' ')" "200 429 "
expect "and leaves probes alone" "$(for ((i = 0; i < 60; i++)); do code $front/ready; echo; done | sort -u | tr '\n' ' ')" "200 "

# The switches, on single containers of the project's network.
network=${project}_default
started=$(date +%s%N)
"$SUPPORT/images.sh" version "${DOCKER_HOST#unix://}" v9.9.9
took=$((($(date +%s%N) - started) / 1000000))
# A second when the machine is idle; it may be busy.
if ((took < 8000)); then pass "another version is made quickly"; else fail "another version is made quickly" "$took ms"; fi
one() { # SWITCHES: a backend with them
  docker rm -f "$project-one" >/dev/null 2>&1 || true
  docker run -d --name "$project-one" --network "$network" -m 128m --env-file <(dc exec -T backend env | grep -E '^(DATABASE|REDIS)_URL=') \
    -e DEMO_SWITCHES="$1" codops-demo/backend:v1.1.0 >/dev/null
}
inside() { docker exec "$project-one" curl -s -o /dev/null -m 3 -w '%{http_code}' "http://127.0.0.1:3000$1"; }
state() { docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}' "$project-one"; }
stop_ms() { local t; t=$(date +%s%N); docker stop -t "$1" "$project-one" >/dev/null; echo $((($(date +%s%N) - t) / 1000000)); }
ready() { [[ $(inside /ready) == 200 ]]; }
is() { [[ $(state) == "$1" ]]; }

one ""
check "ready on its own" wait_for 60 ready
docker exec -d "$project-one" sh -c "curl -sSN -o /tmp/got 'http://127.0.0.1:3000/api/download?seconds=3'; echo \$? >/tmp/rc; cat /tmp/rc >/proc/1/fd/1"
wait_for 60 docker exec "$project-one" test -s /tmp/got
took=$(stop_ms 10)
if ((took > 500 && took < 9000)); then pass "drains on SIGTERM"; else fail "drains on SIGTERM" "$took ms"; fi
expect "and exits with 0" "$(state)" "exited 0 false"
expect "the download was whole" "$(docker logs "$project-one" 2>&1 | grep -cx 0)" 1
one exit
check "exit: ready" wait_for 60 ready
took=$(stop_ms 10)
if ((took < 2500)); then pass "exit: gone at once"; else fail "exit: gone at once" "$took ms"; fi
one stubborn
check "stubborn: ready" wait_for 60 ready
stop_ms 1 >/dev/null
expect "stubborn: only SIGKILL ends it" "$(state)" "exited 137 false"
one crash1
check "crash: exits with 1 after it was ready" wait_for 60 sh -c "docker exec $project-one curl -s http://127.0.0.1:3000/ready >/dev/null; docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' $project-one | grep -q 'exited 1'"
one dead
check "dead: exits with 1" wait_for 60 is "exited 1 false"
one unready
check "unready: 503" wait_for 60 sh -c "[ \$(docker exec $project-one curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:3000/ready) = 503 ]"
expect "unready: alive all the same" "$(inside /live)" 200
one oom0
check "oom: the kernel ends it" wait_for 60 sh -c "docker exec $project-one curl -s http://127.0.0.1:3000/ready >/dev/null; docker inspect -f '{{.State.OOMKilled}}' $project-one | grep -q true"
"$SUPPORT/images.sh" version "${DOCKER_HOST#unix://}" v9.9.8-badmigration
expect "badmigration: in the image" "$(docker run --rm codops-demo/backend:v9.9.8-badmigration ls prisma/migrations | grep -c broken)" 1
expect "v1.0.0 is without the third migration" "$(docker run --rm codops-demo/backend:v1.0.0 ls prisma/migrations | grep -c ^2025)" 2
docker image rm -f codops-demo/{backend,frontend}:v9.9.9 codops-demo/{backend,frontend}:v9.9.8-badmigration >/dev/null
