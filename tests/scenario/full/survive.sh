#!/usr/bin/env bash
# What happens around a deploy while it runs: old containers die, the proxy dies, somebody removes things by hand, one of four
# services fails, the target of a rollback is gone or does not come up. The cases have the numbers of facts/deploy.md, "Must survive".
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
try() { # its exit code in $rc, its words in out
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
}
load() { load_start "$1" --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0; }
unharmed() { # NAME [ALLOWED]
  load_stop "$1"
  local lost
  lost=$(load_value "$1" .failed)
  if ((lost <= ${2:-0})); then pass "$1: $lost of $(load_value "$1" .sent) requests failed (allowed: ${2:-0})"; else
    fail "$1: at most ${2:-0} requests fail" "$lost of $(load_value "$1" '[.sent, .reasons]')"
  fi
}
of_service() { docker ps -q --no-trunc --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$1"; }
web_of() { docker ps "${@:2}" -q --no-trunc --filter "label=com.docker.compose.project=$PROJECT" --filter "label=codops.version=$1" --filter label=com.docker.compose.service=web; }
# As a crash does it: not through the engine, which would take it for somebody's wish.
crash() { docker inspect -f '{{.State.Pid}}' "$@" | xargs kill -KILL; }
ends_as() { # NAME EXIT VERSION
  expect "$1: exit" "$rc" "$2"
  [[ $rc == "$2" ]] || tail -n 12 "$WORK/holder.out"
  if wait_for 30 converged "$3"; then pass "$1: $3 serves, complete"; else fail "$1: $3 serves, complete" "$(converged "$3")"; fi
}

# Undone, and the restart of the proxy is told as drift until something is deployed.
serves_whole() { [[ $(served) == "$1" && -z $(orphans) && $("$CODOPS" status test -o json | jq -c '[.version, .healthy, .unfinished, .lock]') == "[\"$1\",true,null,null]" ]]; }

tiny_project "$WORK/p" 18780 500ms
check "a first deploy" tiny_deploy v1.0.0

# ---- 12: the old set
load one-dies
hold after:start deploy test v1.1.0
crash "$(web_of v1.0.0 | head -n 1)"
go_on
rc=$holder_rc
ends_as "12: an old container crashes during the deploy" 0 v1.1.0
unharmed one-dies 2
load all-die
hold after:start deploy test v1.0.0
mapfile -t old < <(web_of v1.1.0)
docker update --restart no "${old[@]}" >/dev/null
crash "${old[@]}"
go_on
rc=$holder_rc
ends_as "12: all old containers die during the deploy: it goes forward" 0 v1.0.0
load_stop all-die # what is asked between their death and the switch can't be answered
load in-window
hold after:switch deploy test v1.1.0
mapfile -t old < <(web_of v1.0.0)
crash "${old[@]}"
go_on
rc=$holder_rc
ends_as "12: all old containers die in the monitor window" 0 v1.1.0
unharmed in-window

# ---- 13: the proxy
for point in before:switch after:switch after:monitor; do
  want=v1.0.0
  [[ $("$CODOPS" status test -o json | jq -r .version) == v1.1.0 ]] || want=v1.1.0
  was=$([[ $want == v1.0.0 ]] && echo v1.1.0 || echo v1.0.0)
  hold "$point" deploy test "$want"
  crash "$(of_service front)"
  go_on
  rc=$holder_rc
  case $rc in
    0) ends_as "13: the proxy dies at $point and comes back" 0 "$want" ;;
    *) expect "13: the proxy dies at $point: exit 1 or 5" "$(((rc == 1) || (rc == 5)))" 1; check "13: the proxy dies at $point: undone, $was serves" wait_for 30 serves_whole "$was" ;;
  esac
done
serving=$("$CODOPS" status test -o json | jq -r .version)
other=$([[ $serving == v1.0.0 ]] && echo v1.1.0 || echo v1.0.0)
hold before:switch deploy test "$other"
docker stop -t 1 "$(of_service front)" >/dev/null
go_on
rc=$holder_rc
expect "13: the proxy is stopped by hand before the switch: exit" "$rc" 5
expect "13: nothing of the new set is left" "$(docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter "label=codops.version=$other" --filter label=com.docker.compose.service=web --filter status=running)" ""
try deploy test "$other"
ends_as "13: the next deploy starts it" 0 "$other"

# ---- 19: by hand, meanwhile
serving=$other
other=$([[ $serving == v1.0.0 ]] && echo v1.1.0 || echo v1.0.0)
load by-hand
hold after:start deploy test "$other"
docker rm -f "$(web_of "$other" | head -n 1)" >/dev/null
go_on
rc=$holder_rc
expect "19: a new container is removed by hand: exit 1 or 5" "$(((rc == 1) || (rc == 5)))" 1
if wait_for 30 converged "$serving"; then pass "19: what served serves"; else fail "19: what served serves" "$(converged "$serving")"; fi
unharmed by-hand
load old-by-hand
hold after:start deploy test "$other"
docker rm -f "$(web_of "$serving" | head -n 1)" >/dev/null
go_on
rc=$holder_rc
ends_as "19: an old container is removed by hand: it goes on" 0 "$other"
unharmed old-by-hand 1
docker run -d --name "$PROJECT-web-9" --label "com.docker.compose.project=$PROJECT" --label com.docker.compose.service=web --label com.docker.compose.oneoff=False \
  --label com.docker.compose.config-hash=x --label com.docker.compose.container-number=9 codops-demo/frontend:v1.0.0 >/dev/null
try status test --check
expect "19: a container of docker compose's beside it is drift" "$rc" 2
try deploy test "$serving"
ends_as "19: which the next deploy removes" 0 "$serving"

# ---- 16: the way back
web_of "$other" -a | xargs docker rm -f >/dev/null
load recreated
try rollback test
cp "$WORK/out" "$WORK/holder.out"
ends_as "16: the kept set was removed: it is made again" 0 "$other"
unharmed recreated
web_of "$serving" -a | xargs docker rm -f >/dev/null
docker tag "codops-demo/frontend:$serving" codops-demo/frontend:kept
gone=$("$CODOPS" status test -o json | jq -r '.release')
fingerprint >"$WORK/before"
image=$(docker image inspect -f '{{.Id}}' "codops-demo/frontend:$serving")
# Its definition names an image that is nowhere any more.
state=codops-$PROJECT-state
target=$("$CODOPS" history test -o json | jq -r --arg v "$serving" '[.entries[] | select(.version == $v and .result == "ok") | .release] | max')
file=/state/meta/releases/$(printf %06d "$target").json
docker cp "$state:$file" - | tar -xO >"$WORK/release"
sed "s/${image#sha256:}/$(printf '0%.0s' {1..64})/g; s,codops-demo/frontend:$serving,codops-demo/frontend:gone,g" "$WORK/release" >"$WORK/r"
docker cp "$WORK/r" "$state:$file" >/dev/null
try rollback test --to "$target"
expect "16: the target's image is gone: exit 1" "$rc" 1
expect "16: and it is said" "$(grep -c 'error: .*' "$WORK/out")" 1
expect "16: nothing has changed" "$(diff <(fingerprint) "$WORK/before")" ""
docker cp "$WORK/release" "$state:$file" >/dev/null
expect "16: release $gone serves" "$(converged "$other" || true)" ""

# ---- 1, 15: four services, the third fails
cp docker-compose.prod.yml "$WORK/compose"
for name in a b c; do
  cat >>docker-compose.prod.yml <<YAML
  $name:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    depends_on: [$([[ $name == a ]] && echo web || { [[ $name == b ]] && echo a || echo b; })]
YAML
done
try deploy test "$other"
expect "15: three services more" "$rc" 0
serving=$other
other=$([[ $serving == v1.0.0 ]] && echo v1.1.0 || echo v1.0.0)
sed 's/^  b:/  b:\n    command: [sh, -c, "sleep 0.5; exit 3"]/' docker-compose.prod.yml >"$WORK/third"
cp docker-compose.prod.yml "$WORK/four"
cp "$WORK/third" docker-compose.prod.yml
fingerprint >"$WORK/before"
load third
try deploy test "$other"
# It counts as started until it ends: which step notices is a matter of moments.
expect "15: the third of four fails: exit 1 or 5" "$(((rc == 1) || (rc == 5)))" 1
expect "15: it is named, with its exit code" "$(grep -c -- '-b-r[0-9]*-1 exited with 3' "$WORK/out" | awk '{print ($1 > 0)}')" 1
expect "15: all four are as before" "$(diff <(fingerprint) "$WORK/before")" ""
unharmed third
sed 's/^  b:/  b:\n    restart: always\n    command: [sh, -c, "sleep 1; exit 0"]/' "$WORK/four" >docker-compose.prod.yml
load flapping
try deploy test "$other" --set monitor=4s
expect "1: one that comes and goes: exit 1 or 5" "$(((rc == 1) || (rc == 5)))" 1
expect "1: all four are as before" "$(diff <(fingerprint) "$WORK/before")" ""
unharmed flapping
# A health check that turns after it was well.
sed 's/^  b:/  b:\n    healthcheck: { test: [CMD-SHELL, "test ! -e \/tmp\/f || exit 1; (sleep 1; touch \/tmp\/f) \&"], interval: 1s, retries: 1 }/' "$WORK/four" >docker-compose.prod.yml
load turning
try deploy test "$other" --set monitor=8s
expect "1: one that turns unhealthy in the monitor window: exit 5" "$rc" 5
expect "1: all four are as before then too" "$(diff <(fingerprint) "$WORK/before")" ""
unharmed turning
cp "$WORK/compose" docker-compose.prod.yml
try deploy test "$serving"
expect "and back to two services" "$rc" 0

# ---- 16: a target that does not come up
mkdir -p "$WORK/needed"
touch "$WORK/needed/flag"
sed "s,^  web:,  web:\n    volumes: [\"$WORK/needed:/needed\"]\n    entrypoint: [sh\, -c\, 'test -e /needed/flag \&\& exec nginx -g \"daemon off;\"']," "$WORK/compose" >docker-compose.prod.yml
try deploy test "$serving"
expect "16: a release that needs a file of the host" "$rc" 0
[[ $rc == 0 ]] || tail -n 5 "$WORK/out"
cp "$WORK/compose" docker-compose.prod.yml
try deploy test "$other"
expect "16: one that does not" "$rc" 0
rm "$WORK/needed/flag"
load no-way-back
try rollback test
expect "16: the target does not come up: exit 1" "$rc" 1
if wait_for 30 converged "$other"; then pass "16: what served serves"; else fail "16: what served serves" "$(converged "$other")"; fi
unharmed no-way-back

# ---- 18: the same tag, another image
docker tag "codops-demo/frontend:$serving" codops-demo/frontend:v9.0.0-moving
try deploy test v9.0.0-moving
expect "18: a tag" "$rc $(served)" "0 $serving"
docker tag "codops-demo/frontend:$other" codops-demo/frontend:v9.0.0-moving
load moving
try deploy test v9.0.0-moving
expect "18: the same tag with another image moves" "$rc $(served)" "0 $other"
unharmed moving
try deploy test v9.0.0-moving -o json
expect "18: and then there is nothing to do" "$rc $(jq -c '[.changed, .steps]' "$WORK/out")" '0 [false,[]]'
try rollback test
expect "18: rollback leads to the image of before" "$rc $(served)" "0 $serving"
docker image rm codops-demo/frontend:v9.0.0-moving codops-demo/frontend:kept >/dev/null 2>&1 || true
finish
