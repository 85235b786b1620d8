#!/usr/bin/env bash
# Somebody's hands between deploys: what was removed, stopped, changed or added is seen and named, and the next deploy of the same version
# puts it right without a failed request.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18780 300ms
check "a first deploy" tiny_deploy v1.0.0
web() { docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=web --format '{{.Names}}' | sort | head -n "${1:-1}"; }
drifted() { # NAME WORDS: after something was done by hand
  rc=0
  "$CODOPS" status test --check >"$WORK/out" 2>&1 || rc=$?
  expect "$1: status --check" "$rc" 2
  expect "$1: it is named" "$(grep -c -- "$2" "$WORK/out")" 1
  rc=0
  "$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || rc=$?
  expect "$1: the next deploy puts it right" "$rc $(converged v1.0.0 || true)" "0 "
  [[ $rc == 0 ]] || tail -n 5 "$WORK/out"
}
load_start drift --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
victim=$(web)
docker update --restart no "$victim" >/dev/null
drifted "another restart policy" "$victim has the restart policy no instead of unless-stopped"
victim=$(web)
docker update --cpu-shares 512 "$victim" >/dev/null
drifted "another limit" "$victim has CpuShares 512 by hand (docker update)"
victim=$(web)
docker network disconnect "${PROJECT}_default" "$victim"
drifted "off its own network" "$victim was taken off the network ${PROJECT}_default"
victim=$(web)
docker rename "$victim" "$PROJECT-other"
drifted "renamed" "$victim was renamed to $PROJECT-other"
docker run -d --name "$PROJECT-web-7" --label "com.docker.compose.project=$PROJECT" --label com.docker.compose.service=web --label com.docker.compose.oneoff=False \
  --label com.docker.compose.config-hash=x --label com.docker.compose.container-number=7 codops-demo/frontend:v1.0.0 >/dev/null
drifted "one more" "$PROJECT-web-7 was not made by codops"
load_stop drift
expect "no request failed (of $(load_value drift .sent))" "$(load_value drift '[.failed, .reasons]')" "[0,{}]"

# Members that came and went under one number are no renamed ones.
for count in 3 1 ${CODOPS_FULL:+3 1 3} 2; do
  check "scaled to $count" "$CODOPS" scale test "web=$count"
  expect "nothing else is touched" "$("$CODOPS" resume test 2>&1) $(converged v1.0.0 || true)" "nothing is unfinished "
done

# The networks themselves, and what is on them.
all() { docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Names}}'; }
for network in codops default; do
  for name in $(all); do docker network disconnect -f "${PROJECT}_$network" "$name" 2>/dev/null || true; done
  docker network rm "${PROJECT}_$network" >/dev/null
  rc=0
  "$CODOPS" status test --check >"$WORK/out" 2>&1 || rc=$?
  expect "the network $network is gone: status --check" "$rc $(grep -c "was taken off the network ${PROJECT}_$network" "$WORK/out")" "2 3"
  rc=0
  "$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || rc=$?
  expect "the network $network is gone: the next deploy makes it, and all is on it" "$rc $(converged v1.0.0 || true)" "0 "
done
front=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=front --format '{{.Names}}')
docker network disconnect -f "${PROJECT}_default" "$front"
drifted "the proxy off its network" "$front was taken off the network ${PROJECT}_default"
docker update --restart no "$front" >/dev/null
drifted "the proxy's restart policy" "$front has the restart policy no instead of unless-stopped"
# Both, and a run that died: there is nothing to go back to but what can be put right.
{ CODOPS_TEST_KILL=after:switch "$CODOPS" deploy test v1.1.0 >/dev/null 2>&1 || true; } 2>/dev/null
for network in codops default; do
  for name in $(all); do docker network disconnect -f "${PROJECT}_$network" "$name" 2>/dev/null || true; done
  docker network rm "${PROJECT}_$network" >/dev/null
done
rc=0
"$CODOPS" resume test >"$WORK/out" 2>&1 || rc=$?
expect "all networks gone after a run had died: resume" "$rc $(converged "$(served || true)" || true)" "0 "
[[ $rc == 0 ]] || tail -n 8 "$WORK/out"
check "back to the first" tiny_deploy v1.0.0
# Renamed while a run goes on.
hold before:settle deploy test v1.1.0
docker rename "$front" "$PROJECT-elsewhere"
go_on
expect "the proxy renamed in a run: undone, under its own name" "$holder_rc $(converged v1.0.0 || true)" "5 "
[[ $holder_rc == 5 ]] || tail -n 8 "$WORK/holder.out"

# What takes a container away from under the proxy may cost the request that is in it; what comes after goes to the other one.
load_start taken --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
victim=$(web)
docker rm -f "$victim" >/dev/null
drifted "removed" "$victim was removed"
victim=$(web)
docker stop -t 1 "$victim" >/dev/null
drifted "stopped" "$victim is stopped"
victim=$(web)
docker network disconnect "${PROJECT}_codops" "$victim"
drifted "off the network of traffic" "$victim was taken off the network ${PROJECT}_codops"
victim=$(web)
docker network disconnect "${PROJECT}_codops" "$victim"
docker network connect "${PROJECT}_codops" "$victim"
drifted "at another address" "$victim has the address .* and traffic goes to"
load_stop taken
lost=$(load_value taken .failed)
if ((lost <= 8)); then pass "at most what was inside them failed ($lost of $(load_value taken .sent))"; else fail "at most what was inside them failed" "$(load_value taken '[.failed, .reasons]')"; fi

# And the proxy itself.
front=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=front --format '{{.Names}}')
docker stop -t 1 "$front" >/dev/null
drifted "a stopped proxy" "$front is stopped"
docker rm -f "$front" >/dev/null
drifted "a removed proxy" "$front was removed"
finish
