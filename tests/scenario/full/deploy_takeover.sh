#!/usr/bin/env bash
# Others act on the same engine: docker compose, somebody's hands, a restart of the engine.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
# shellcheck disable=SC2119
site
compose_here || { skip "docker compose" "it can't be had here"; finish; }

# ---- compose started it, codops goes on
VERSION=v1.0.0 dc up -d --wait >/dev/null 2>&1
check "tables" migrated
exits "status of what compose started" 0 status demo -o json
expect "it is seen" "$(result '[.adopted, (.services | length)]')" '[true,5]'
data=$(docker ps -q --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=postgres)
exits "the proxy's recreation wants consent" 1 deploy demo v1.1.0
exits "deploy takes it over" 0 deploy demo v1.1.0 --allow-downtime
expect "the new version serves, and no container of compose's but data" \
  "$(served) $(docker ps "${mine[@]}" --format '{{.Names}}' | grep -Ev -e '-r[0-9]+-' | sort | tr '\n' ' ')" "v1.1.0 $PROJECT-postgres-1 $PROJECT-redis-1 "
expect "data was left alone" "$(docker ps -q --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=postgres)" "$data"
check "status --check agrees" "$CODOPS" -C "$APP" status demo --check

# ---- compose sees what codops made
expect "compose ps" "$(VERSION=v1.1.0 dc ps --format json | jq -rs 'flatten | [.[].Service] | sort | join(" ")')" "backend backend frontend nginx postgres redis"
check "compose logs" sh -c '[ "$1" -ge 2 ]' sh "$(VERSION=v1.1.0 dc logs --no-color --tail 1 backend 2>/dev/null | cut -d'|' -f1 | sort -u | wc -l)"

# ---- by hand
victim=$(running backend | cut -d' ' -f1)
docker rm -f "$victim" >/dev/null
exits "a container removed by hand is seen" 2 status demo --check
exits "the next deploy puts it back" 0 deploy demo v1.1.0
check "all is well" "$CODOPS" -C "$APP" status demo --check
expect "two backends" "$(running backend | wc -w)" 2
VERSION=v1.0.0 dc up -d --no-deps --scale backend=3 --no-recreate backend >/dev/null 2>&1
exits "a container of compose's is seen" 2 status demo --check
exits "the next deploy removes it" 0 deploy demo v1.1.0
expect "two backends, of codops" "$(running backend | wc -w) $(running backend | grep -c -- "-backend-[0-9]" || true)" "2 0"
VERSION=v1.0.0 dc up -d --no-deps frontend >/dev/null 2>&1
exits "compose recreated a service" 2 status demo --check
exits "the next deploy takes it back" 0 deploy demo v1.1.0
expect "all serve the release" "$(served) $(served /version.json)" "v1.1.0 v1.1.0"
check "nothing else is odd" "$CODOPS" -C "$APP" status demo --check
VERSION=v1.0.0 dc up -d --wait >/dev/null 2>&1
expect "compose made all of it anew, the proxy too" "$(docker ps "${mine[@]}" --format '{{.Names}}' | grep -c -e '-r[0-9]*-' || true)" 0
exits "it is seen" 2 status demo --check
data=$(docker ps -q --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=postgres)
exits "the proxy's recreation wants consent" 1 deploy demo v1.1.0
exits "the next deploy takes all of it over" 0 deploy demo v1.1.0 --allow-downtime
expect "but data, which is left alone" "$(served) $(docker ps -q --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=postgres)" "v1.1.0 $data"
check "and is as deployed" "$CODOPS" -C "$APP" status demo --check
docker stop -t 1 "$(running nginx | tr -d ' ')" >/dev/null
exits "a stopped proxy is seen" 2 status demo --check
exits "the next deploy starts it" 0 deploy demo v1.1.0
expect "it serves" "$(served)" v1.1.0

# shellcheck disable=SC2317 # called by wait_for
back_again() { [[ $(served) == v1.0.0 ]]; }

# ---- the engine restarts with no codops there
exits "another version" 0 deploy demo v1.0.0
release=$("$CODOPS" -C "$APP" status demo -o json | jq .release)
if "$SUPPORT/engine.sh" restart "$(dirname "${DOCKER_HOST#unix://}")" >/dev/null; then
  check "after a restart of the engine it serves by itself" wait_for 60 back_again
  check "everything gets healthy again" wait_for 60 "$CODOPS" -C "$APP" status demo --check
  serving "the right release" v1.0.0 "$release"
  expect "and no old set" "$(running backend | tr ' ' '\n' | grep -c -v -- "-r$release-" || true)" 0
  exits "deploys go on" 0 deploy demo v1.1.0
  expect "with the new version" "$(served)" v1.1.0
else
  fail "restart of the engine" "it did not come up"
fi

# ---- compose takes it down
VERSION=v1.1.0 dc down -t 2 --remove-orphans >/dev/null 2>&1 || true
expect "compose down removes what codops made" "$(docker ps -q "${mine[@]}")" ""
finish
