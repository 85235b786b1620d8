#!/usr/bin/env bash
# Runs that end while the old set is being stopped, with containers that are deaf to their stop signal, as every one is that has a shell as
# its first process: the engine goes on with the stop that was asked of it, to its SIGKILL. And what else a run finds changed at that point.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }

grace=4
tiny_project "$WORK/p" 18390 300ms
sed -i "/^  web:/,\$ { s/stop_grace_period: .*/stop_grace_period: ${grace}s/; /restart:/a\\    entrypoint: [sh, -c, \"nginx -g 'daemon off;'; true\"]\n    stop_signal: SIGTERM
}" docker-compose.prod.yml
check "a first deploy" tiny_deploy v1.0.0

code_of() { # COMMAND...: its exit code; its words in out
  local code=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 </dev/null || code=$?
  echo "$code"
}
# In the middle of its stop, as the engine tells it: the signal was sent, nothing has ended yet.
in_the_stop() { # COMMAND...: leaves its pid in $run
  # Not the one of before: a signal to a program that bash has not started yet may be lost.
  rm -f "$WORK/kills"
  docker events --filter "label=com.docker.compose.service=web" --filter event=kill --format '{{.ID}}' >"$WORK/kills" &
  local events=$!
  "$CODOPS" --progress plain "$@" >"$WORK/out" 2>&1 &
  run=$!
  wait_for 60 test -s "$WORK/kills" || fail "$1 comes to its stop" "$(tail -n 3 "$WORK/out")"
  kill "$events"
  wait "$events" 2>/dev/null || true
}
# What the engine was asked for would have happened by then.
outlives_the_stop() { # NAME VERSION
  sleep $((grace + 2))
  expect "$1" "$(converged "$2" || true)" ""
}

in_the_stop deploy test v1.1.0
kill -TERM "$run"
rc=0
wait "$run" || rc=$?
expect "SIGTERM while the old set is stopped: undone" "$rc $(served)" "143 v1.0.0"
outlives_the_stop "and what was being stopped lives on" v1.0.0

in_the_stop deploy test v1.1.0
kill -KILL "$run"
wait "$run" 2>/dev/null || true
expect "the same run killed, and aborted" "$(code_of abort test)" 0
outlives_the_stop "lives on too" v1.0.0

in_the_stop deploy test v1.1.0
kill -KILL "$run"
wait "$run" 2>/dev/null || true
expect "killed, and resumed: it goes forward" "$(code_of resume test)" 0
outlives_the_stop "to its end" v1.1.0

in_the_stop down test --yes
kill -TERM "$run"
rc=0
wait "$run" || rc=$?
expect "SIGTERM to down" "$rc" 143
outlives_the_stop "what it had stopped runs again, and stays" v1.1.0

# ---- the new set is gone when the old one would be stopped
hold before:stop deploy test v1.0.0
docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=codops.version=v1.0.0 --filter label=com.docker.compose.service=web | xargs docker rm -f >/dev/null
go_on
expect "a new set that somebody removed: the old one is not stopped" "$holder_rc $(served)" "5 v1.1.0"
expect "it says why" "$(grep -q 'was removed by somebody' "$WORK/holder.out" && echo said)" said
outlives_the_stop "and all is as before" v1.1.0

# ---- rollback of a deploy that died
{ CODOPS_TEST_KILL=after:start "$CODOPS" deploy test v1.0.0 >/dev/null 2>&1 || true; } 2>/dev/null
expect "rollback after a deploy that died" "$(code_of rollback test)" 0
expect "takes back that deploy" "$(grep -c 'undid deploy v1.0.0.* which was the rollback' "$WORK/out") $(converged v1.1.0 || true)" "1 "
expect "once more goes further" "$(code_of rollback test) $(converged v1.0.0 || true)" "0 "
for run in "scale test web=3" "restart test"; do
  read -ra words <<<"$run"
  { CODOPS_TEST_KILL=after:start "$CODOPS" "${words[@]}" >/dev/null 2>&1 || true; } 2>/dev/null
  expect "rollback after a ${words[0]} that died takes back that alone" "$(code_of rollback test) $(converged v1.0.0 || true)" "0 "
done
# The new set serves and the old one was stopped: people are served well, and that is what status says.
{ CODOPS_TEST_KILL=after:stop "$CODOPS" deploy test v1.1.0 >/dev/null 2>&1 || true; } 2>/dev/null
expect "a run that died after its last step: status says what is served" \
  "$("$CODOPS" status test -o json | jq -c '[.version, (.services | map(.running == .wanted) | all), .drift, (.unfinished != null)]') $(served)" '["v1.1.0",true,[],true] v1.1.0'
expect "and resume finishes it" "$(code_of resume test) $(converged v1.1.0 || true)" "0 "
check "and back" tiny_deploy v1.0.0

# ---- codops run, killed
"$CODOPS" run test web -- sleep 600 >/dev/null 2>&1 </dev/null &
run=$!
one_off() { docker ps -q --filter "name=$PROJECT-web-run"; }
runs() { [[ -n $(one_off) ]]; }
wait_for 30 runs || fail "a one-off container runs" ""
expect "a run of somebody who lives is let be" "$(code_of restart test) $(runs && echo runs)" "0 runs"
kill -KILL "$run"
wait "$run" 2>/dev/null || true
"$CODOPS" status test >"$WORK/out" 2>&1 || true
expect "status names what it left" "$(grep -c 'was left by a codops run that was killed' "$WORK/out")" 1
expect "the next changing command removes it" "$(code_of restart test) $(one_off)" "0 "

# ---- a secret in a hook's command
echo 'API_TOKEN=canary-7f3a9c' >>.env.test
printf 'hooks:\n  pre_deploy:\n    - run: [sh, -c, "exit 3", canary-7f3a9c]\n' >>codops.yaml
expect "a hook with a secret in its argv fails" "$(code_of deploy test v1.1.0)" 1
"$CODOPS" history test -o json >>"$WORK/out"
"$CODOPS" history test --journal >>"$WORK/out" 2>&1 || true
expect "and is shown without it" "$(grep -c 'canary-7f3a9c' "$WORK/out") $(grep -c 'sh -c exit 3' "$WORK/out" | sed 's/^[1-9].*/shown/')" "0 shown"
finish
