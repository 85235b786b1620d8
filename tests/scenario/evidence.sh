#!/usr/bin/env bash
# What is kept of a release that failed, once its containers are gone: which step, which container, its last 100 lines, its probes, exit
# code, out of memory or not, the engine's events.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18280 4s
check "a first deploy" tiny_deploy v1.0.0
cp docker-compose.prod.yml "$WORK/compose"
# web is one container that does what SCRIPT says instead of serving; the deploy of it must fail.
fails_with() { # NAME EXTRA-YAML
  sed "s,^  web:,  web:\n$2," "$WORK/compose" >docker-compose.prod.yml
  rc=0
  "$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || rc=$?
  expect "$1: it fails, and what served serves" "$(((rc == 1) || (rc == 5))) $(converged v1.0.0 || true)" "1 "
  entry=$("$CODOPS" history test -o json | jq '.entries[-1].number')
  "$CODOPS" history test "$entry" -o json >"$WORK/story"
  "$CODOPS" history test "$entry" --logs >"$WORK/story.txt"
  expect "$1: its containers are gone" "$(docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter label=codops.version=v1.1.0)" ""
}
of() { jq -c "$1" "$WORK/story"; }
told() { grep -c -- "$1" "$WORK/story.txt" | awk '{print ($1 > 0)}'; }
cat >talk.sh <<'SH'
i=0
while [ $i -lt 150 ]; do i=$((i + 1)); echo "line $i of it"; done
sleep 1
exit 7
SH
chmod 644 talk.sh
fails_with "exit 7" '    volumes: ["./talk.sh:/talk.sh:ro"]\n    command: [sh\, /talk.sh]'
expect "exit 7: the step" "$(of '[.result, .failed_step, .evidence.step == .failed_step]')" '["undone","start",true]'
expect "exit 7: the container, its exit code" "$(of '.evidence.containers[0] | [(.container | test("-web-r[0-9]+-[12]$")), .exit_code, .oom_killed]')" "[true,7,false]"
# The engine starts it again at once: on a slow machine the next run's first lines may stand behind.
expect "exit 7: its last 100 lines" "$(of '.evidence.containers[0].log | [length, index("line 150 of it") != null]')" '[100,true]'
expect "exit 7: the engine's events" "$(of '[.evidence.events[] | select(.action == "die") | .exit_code] | unique')" '["7"]'
expect "exit 7: told to people too" "$(told 'exit code 7') $(told 'line 150 of it') $(told 'die (exit code 7)') $(told 'undone at start')" "1 1 1 1"

fails_with "unhealthy" '    healthcheck: { test: ["CMD-SHELL"\, "echo the disk is on fire; exit 3"]\, interval: 300ms\, retries: 2 }'
expect "unhealthy: the probes, with what they said" "$(of '.evidence.containers[0].health | [length >= 2, (.[-1] | [.exit_code, (.output | contains("the disk is on fire"))])]')" '[true,[3,true]]'
expect "unhealthy: told to people" "$(told 'the disk is on fire')" 1
expect "unhealthy: and by the command that failed" "$(grep -c 'the disk is on fire' "$WORK/out" | awk '{print ($1 > 0)}')" 1

if docker info 2>&1 | grep -q 'No memory limit support'; then skip "out of memory" "the engine has no memory limits here"; else
  fails_with "out of memory" "    mem_limit: 24m\n    memswap_limit: 24m\n    command: [node\\, -e\\, 'const a = []; setInterval(() => a.push(Buffer.alloc(4e6\\, 1))\\, 50)']"
  expect "out of memory: the flag" "$(of '.evidence.containers[0] | [.oom_killed]')" "[true]"
  expect "out of memory: told to people" "$(told 'out of memory')" 1
fi

# A failure that is no container's own: what was made is shown all the same.
cp "$WORK/compose" docker-compose.prod.yml
rc=0
CODOPS_TEST_FAIL=after:prove "$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || rc=$?
entry=$("$CODOPS" history test -o json | jq '.entries[-1].number')
"$CODOPS" history test "$entry" -o json >"$WORK/story"
expect "a later step fails: exit 5, its name, the new containers and their words" \
  "$rc $(of '[.failed_step, (.evidence.containers | length), (.evidence.events | length > 0)]')" '5 ["prove",2,true]'
check "and it deploys" tiny_deploy v1.1.0
expect "the story of a failure outlives the next releases" "$("$CODOPS" history test "$entry" -o json | jq '.evidence.containers | length')" 2
finish
