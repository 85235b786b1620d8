#!/usr/bin/env bash
# Hooks: on this machine or inside a service's image, each with a time limit; what they are told, what they can't do.
# (What a failing and a hanging pre_deploy do to a deploy is in state.sh, that no secret reaches them in canary.sh.)
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18380 300ms
cp codops.yaml "$WORK/settings"
hooks() { cp "$WORK/settings" codops.yaml; printf 'hooks:\n%s\n' "$1" >>codops.yaml; }
try() { # its exit code in $rc, its words in out, its time in $took (s)
  local began=$SECONDS
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
  took=$((SECONDS - began))
}
said() { grep -c -- "$1" "$WORK/out" | awk '{print ($1 > 0)}'; }
cat >note.sh <<'HOOK'
#!/bin/sh
echo "$CODOPS_EVENT $CODOPS_ENVIRONMENT $CODOPS_VERSION $CODOPS_RELEASE $CODOPS_RESULT" >>hooks.log
HOOK
cat >hang.sh <<'HOOK'
#!/bin/sh
echo $$ >"$1"
exec sleep 1000
HOOK
chmod +x note.sh hang.sh
gone() { [[ -s $1 ]] && ! kill -0 "$(cat "$1")" 2>/dev/null; }

hooks '  pre_deploy: [{ run: [./note.sh] }]
  post_deploy: [{ run: [./note.sh] }]
  on_failure: [{ run: [./note.sh] }]'
try deploy test v1.0.0
expect "what hooks are told" "$rc $(tr '\n' ',' <hooks.log)" "0 pre_deploy test v1.0.0 1 running,post_deploy test v1.0.0 1 ok,"
: >hooks.log
CODOPS_TEST_FAIL=after:switch try deploy test v1.1.0
expect "and when it fails" "$rc $(tr '\n' ',' <hooks.log)" "5 pre_deploy test v1.1.0 2 running,on_failure test v1.1.0 2 undone,"

# ---- inside a service's image: that of the new version
before=$(docker ps -aq | sort)
hooks '  pre_deploy: [{ service: web, run: [sh, -c, "test -d /usr/share/nginx && hostname >/dev/null && exit 0"] }]'
try deploy test v1.1.0
expect "a command inside a service's image" "$rc $(converged v1.1.0 || true)" "0 "
hooks '  pre_deploy: [{ service: web, run: [sh, -c, "echo not today; exit 9"] }]'
before=$(fingerprint)
try deploy test v1.0.0
cp "$WORK/out" "$WORK/failed"
expect "one that fails: exit 1, its code is said" "$rc $(said 'exited with 9')" "1 1"
expect "and nothing has changed, no container of it is left" "$(diff <(fingerprint) <(echo "$before") | head -n 4)" ""
hooks '  pre_deploy: [{ service: web, run: [sleep, "1000"], timeout: 2s }]'
try deploy test v1.0.0
expect "one that hangs: exit 1, its time limit is said" "$rc $(said 'time limit')" "1 1"
if ((took < 25)); then pass "in time ($took s)"; else fail "in time" "$took s"; fi
expect "nothing has changed then either, its container is gone" "$(diff <(fingerprint) <(echo "$before") | head -n 4)$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.oneoff=True)" ""

# The image's own PATH and HOME hold there, and this machine's engine is none of its business.
printf 'FROM codops-demo/frontend:v1.0.0\nENV PATH=/opt/tool:/usr/bin:/bin HOME=/opt\n' >"$WORK/Dockerfile"
DOCKER_BUILDKIT=0 docker build -q -t codops-demo/frontend:v3.0.0 - <"$WORK/Dockerfile" >/dev/null 2>&1
# shellcheck disable=SC2016
hooks '  pre_deploy: [{ service: web, run: [sh, -c, "echo [$PATH][$HOME][$DOCKER_HOST][$CODOPS_EVENT]; exit 9"] }]'
try deploy test v3.0.0
expect "a hook in an image has the image's variables, and codops'" "$(grep -oh '\[/opt/tool.*\]' "$WORK/out" | sort -u)" "[/opt/tool:/usr/bin:/bin][/opt][][pre_deploy]"
docker image rm -f codops-demo/frontend:v3.0.0 >/dev/null

expect "and its words too" "$(grep -c "not today" "$WORK/failed" | awk "{print (\$1 > 0)}")" 1
# The run dies while the hook's container runs.
one_offs() { docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.oneoff=True; }
hooks '  pre_deploy: [{ service: web, run: [sleep, "1000"] }]'
"$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 &
run=$!
one_off_runs() { [[ -n $(one_offs) ]]; }
wait_for 30 one_off_runs
{ kill -KILL "$run"; wait "$run"; } 2>/dev/null || true
try resume test
expect "the run is killed while the hook's container runs: resume removes it" "$rc $(one_offs) $(converged v1.1.0 || true)" "0  "

# ---- afterwards: a warning at most
hooks "  post_deploy: [{ run: [./hang.sh, $WORK/post.pid], timeout: 1s }]
  on_failure: [{ run: [./hang.sh, $WORK/failure.pid], timeout: 1s }]"
try deploy test v1.0.0
expect "post_deploy hangs: it is killed, a warning, exit 0" "$rc $(said 'time limit') $(gone "$WORK/post.pid" && echo gone)" "0 1 gone"
if ((took < 25)); then pass "in time too ($took s)"; else fail "in time too" "$took s"; fi
expect "and the deploy stands" "$(converged v1.0.0 || true)" ""
CODOPS_TEST_FAIL=after:switch try deploy test v1.1.0
expect "on_failure hangs: it is killed, the exit code stays" "$rc $(gone "$WORK/failure.pid" && echo gone)" "5 gone"
expect "and all is undone" "$(converged v1.0.0 || true)" ""
# ---- a failed one after the deploy is on the record, and the deploy stands
last() { "$CODOPS" history test -o json | jq -c ".entries[-1] | $1"; }
hooks '  post_deploy: [{ run: [sh, -c, "echo no luck >&2; exit 4"] }, { run: [./note.sh] }]'
: >hooks.log
try deploy test v1.1.0 --progress none -o json
expect "post_deploy fails: exit 0, in the JSON's warnings" "$rc $(jq -c '.changed, (.warnings | map(select(test("post_deploy: .*exited with 4: no luck"))) | length)' "$WORK/out" | tr '\n' ' ')" "0 true 1 "
expect "the next one runs all the same" "$(cat hooks.log)" "post_deploy test v1.1.0 $(last .release) ok"
expect "the history has it" "$(last '[.result, .exit, (.message | test("post_deploy: .*exited with 4: no luck"))]') $("$CODOPS" history test "$(last .number)" | grep -c 'with 4: no luck')" '["ok",0,true] 1'
try deploy test v1.0.0 --progress none
expect "and so has the result as text" "$rc $(said 'hook:  post_deploy: .*exited with 4: no luck') $(converged v1.0.0 || true)" "0 1 "
hooks '  on_failure: [{ run: [sh, -c, "echo nor here >&2; exit 4"] }]'
CODOPS_TEST_FAIL=after:switch try deploy test v1.1.0 --progress none
expect "on_failure fails: said, on the journal's record" "$rc $(said 'on_failure: .*exited with 4: nor here') $("$CODOPS" history test "$(last .number)" | grep -c 'with 4: nor here')" "5 1 1"
# Bytes of another encoding, in what it says and in what is typed.
hooks '  post_deploy: [{ run: [sh, -c, "printf \"stra\\337e\" >&2; exit 4"] }]'
try deploy test v1.1.0 --progress none
expect "a hook whose words are no UTF-8" "$rc $(said 'exited with 4: stra.*e') $(last .result) $(converged v1.1.0 || true)" '0 1 "ok" '
try deploy test $'v\xff'
expect "arguments that are none" "$rc $(said 'is not UTF-8')" "64 1"
try deploy test v1.0.0 --progress none

# ---- a signal in it: the release stays; killed in it: the next command says so
in_hook() { # SIGNAL: sent to a deploy of v1.1.0 within its hook; its exit code in $rc
  rm -f "$WORK/signal.pid"
  "$CODOPS" deploy test v1.1.0 --force >"$WORK/out" 2>&1 &
  run=$!
  wait_for 60 test -s "$WORK/signal.pid" || fail "the hook runs" "$(tail -n 3 "$WORK/out")"
  rc=0
  kill "-$1" "$run"
  { wait "$run" || rc=$?; } 2>/dev/null
}
hooks "  post_deploy: [{ run: [./hang.sh, $WORK/signal.pid], timeout: 100s }, { run: [./note.sh] }]"
: >hooks.log
in_hook TERM
expect "SIGTERM within post_deploy: 143, the hook is ended, the next is not run" "$rc $(gone "$WORK/signal.pid" && echo gone) $(said 'which stays')$(cat hooks.log)" "143 gone 1"
expect "the history says so" "$(last '[.result, .exit, .version, (.message | test("cut off.*1 more did not run"))]')" '["ok",143,"v1.1.0",true]'
expect "and the release stays" "$(converged v1.1.0 || true)" ""
for command in resume abort; do
  in_hook KILL
  number=$(("$(last .release)" + 1))
  expect "killed within post_deploy, $command: status says that it is unfinished" "$("$CODOPS" status test -o json | jq '.unfinished != null')" true
  try "$command" test
  expect "$command says that the hooks may not have come to their end" "$rc $(tr -s '\n ' ' ' <"$WORK/out" | grep -c "those of release $number may not have run to their end")" "0 1"
  expect "$command: the history too, and the release stays" "$(last '[.result, .release, (.message | test("within its post_deploy hooks"))]') $(converged v1.1.0 || true)" "[\"ok\",$number,true] "
  expect "$command: they are not run again" "$(cat hooks.log)" ""
done
hooks "  on_failure: [{ run: [./hang.sh, $WORK/signal.pid], timeout: 100s }]"
CODOPS_TEST_FAIL=after:switch in_hook KILL
try resume test
expect "killed within on_failure: the next command says so" "$rc $(tr -s '\n ' ' ' <"$WORK/out" | grep -c 'on_failure hooks of deploy v1.1.0 .* may not have run to their end')" "0 1"
expect "the history has why it failed" "$(last '[.result, .exit, .failed_step]') $(converged v1.1.0 || true)" '["undone",5,"switch"] '
try resume test
expect "it is said once" "$rc $(said 'nothing is unfinished')" "0 1"
hooks '  post_deploy: [{ run: [./note.sh] }]'
check "back" tiny_deploy v1.0.0

# ---- what a hook starts does not outlive it: whatever session it is in, and when codops is killed
cat >spread.sh <<'HOOK'
#!/bin/sh
rm -f "$1" "$2"
setsid sh -c 'echo $$ >"$0"; exec sleep 1000' "$1" &
sh -c 'trap "" TERM; echo $$ >"$0"; sleep 1000; sleep 1000; echo late >>hooks.log' "$2"
HOOK
chmod +x spread.sh
all_gone() { gone "$WORK/session.pid" && gone "$WORK/group.pid"; }
hooks "  pre_deploy: [{ run: [./spread.sh, $WORK/session.pid, $WORK/group.pid], timeout: 2s }]"
: >hooks.log
try deploy test v1.1.0
expect "a hook over its time limit, with a child in a session of its own" "$rc $(all_gone && echo gone) $(cat hooks.log)" "1 gone "
rm -f "$WORK"/session.pid "$WORK"/group.pid
hooks "  pre_deploy: [{ run: [./spread.sh, $WORK/session.pid, $WORK/group.pid], timeout: 100s }]"
"$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 &
run=$!
wait_for 30 test -s "$WORK/session.pid"
wait_for 30 test -s "$WORK/group.pid"
if all_gone; then fail "the hook runs" "it has ended"; fi
{ kill -KILL "$run"; wait "$run"; } 2>/dev/null || true
check "codops is killed while it runs: nothing of it goes on" wait_for 5 all_gone
try resume test
expect "and resume finds all as it was" "$rc $(converged v1.0.0 || true)$(cat hooks.log)" "0 "

# A signal must not wait for a hook (one of post_deploy: above), whatever signals who starts codops has blocked for itself.
hooks "  pre_deploy: [{ run: [./hang.sh, $WORK/signal.pid], timeout: 100s }]"
for blocked in "" SIGTERM; do
  # With the file of before, the signal would come before bash has started the program, and may be lost there (seen once in 4,000).
  rm -f "$WORK/signal.pid"
  python3 -c 'import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.Signals[name] for name in sys.argv[1].split()}); os.execv(sys.argv[2], sys.argv[2:])' \
    "$blocked" "$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 &
  run=$!
  wait_for 30 test -s "$WORK/signal.pid"
  began=$SECONDS
  rc=0
  kill -TERM "$run"
  wait "$run" || rc=$?
  expect "SIGTERM${blocked:+ (blocked by the caller)} while a hook runs: 143, the hook is killed" "$rc $(gone "$WORK/signal.pid" && echo gone) $((SECONDS - began < 8))" "143 gone 1"
done
expect "and nothing is left" "$(converged v1.0.0 || true)" ""
finish
