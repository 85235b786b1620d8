#!/usr/bin/env bash
# Deploys that go wrong: the release before serves, nothing is left over, the evidence is kept.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
# shellcheck disable=SC2119
site
for tag in v1.3.0-unready v1.3.1-dead v1.3.2-crash8 v1.3.3-oom8; do version "$tag"; done

# ---- the first of all
exits "the first deploy fails" 1 deploy demo v1.3.1-dead
expect "no container, no network of it is left" "$(leftovers 1)$(running nginx)$(running postgres)$(docker network ls -q --filter "name=${PROJECT}_")" ""
check "its volumes stay" docker volume inspect "${PROJECT}_pgdata"
exits "the next one succeeds" 0 deploy demo v1.0.0
serving "and serves" v1.0.0 2
check "tables" migrated

# A case: deploy ARG... ends with EXIT, under load without a failed request unless LOAD is empty, and release 2 goes on as it was.
fails() { # NAME EXIT LOAD RELEASE ARG...
  local name=$1 wanted=$2 load=$3 number=$4 before
  shift 4
  before=$(running backend)$(running frontend)$(running nginx)
  [[ -z $load ]] || traffic bad
  exits "$name" "$wanted" deploy demo "$@"
  if [[ -n $load ]]; then
    load_stop bad
    unharmed "$name: no request failed" bad
  fi
  serving "$name: the old release serves" v1.0.0 2
  expect "$name: by the same containers" "$(running backend)$(running frontend)$(running nginx)" "$before"
  expect "$name: nothing is left over" "$(leftovers "$number")" ""
  expect "$name: the proxy would start again" "$(docker exec "$(running nginx | cut -d' ' -f1)" nginx -t >/dev/null 2>&1; echo $?)" 0
}

fails "a version that never gets ready" 1 load 3 v1.3.0-unready --set timeouts.ready=5s
"$CODOPS" -C "$APP" history demo -o json >"$WORK/history"
entry=$(jq -r '[.. | objects | select(has("result")) | .number // .entry] | last' "$WORK/history")
check "its story names the step" sh -c "'$CODOPS' -C '$APP' history demo $entry -o json | grep -q '\"start\"'"
check "its log lines were kept" sh -c "'$CODOPS' -C '$APP' history demo $entry --logs | grep -q backend-r3"
fails "a version that does not start" 1 '' 4 v1.3.1-dead
# Only requests inside the container that crashes may fail: with the old set as the backup these are few.
traffic crash
fails "a version that crashes in the monitor window" 5 '' 5 v1.3.2-crash8 --set monitor=40s
load_stop crash
lost=$(load_value crash .failed)
if ((lost <= 4)); then pass "at most what was inside it failed"; else fail "at most what was inside it failed" "$(load_value crash '[.failed, .reasons]')"; fi
fails "a version that runs out of memory" 5 '' 6 v1.3.3-oom8 --set monitor=40s

cp "$APP/nginx/nginx.conf" "$WORK/nginx.conf"
sed -i 's/^http {/http { no_such_directive on;/' "$APP/nginx/nginx.conf"
ops deploy demo v1.1.0
if ((CODE == 1)); then pass "an invalid nginx.conf"; else fail "an invalid nginx.conf" "exit $CODE: $(tail -n 3 "$WORK/err")"; fi
cp "$WORK/nginx.conf" "$APP/nginx/nginx.conf"
serving "an invalid nginx.conf: the old release serves" v1.0.0 2
expect "an invalid nginx.conf: the valid one is back" "$(docker exec "$(running nginx | cut -d' ' -f1)" nginx -t >/dev/null 2>&1; echo $?)" 0
expect "an invalid nginx.conf: nothing is left over" "$(leftovers 7)" ""

cp "$APP/docker-compose.prod.yml" "$WORK/compose.yml"
sed -i 's,^    build: ./frontend,    command: ["false"],' "$APP/docker-compose.prod.yml"
fails "the second service fails" 1 load 8 v1.1.0
cp "$WORK/compose.yml" "$APP/docker-compose.prod.yml"
fails "the front door does not answer as it should" 5 load 9 v1.1.0 --set front_door.path=/api/no/such
exits "the next deploy succeeds" 0 deploy demo v1.1.0
serving "and serves" v1.1.0 10
expect "its history says all of it" "$("$CODOPS" -C "$APP" history demo -o json | jq -c '[.. | objects | select(has("result")) | .exit]')" '[1,0,1,1,5,5,1,1,5,0]'
finish
