#!/usr/bin/env bash
# exec, run and logs in a pipe: input gets there, and the end of whoever reads the output is the end.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
P=pipes$$
mkdir -p "$WORK/p"
cd "$WORK/p"
printf 'monitor: 300ms\nenvironments: {prod: {}}\n' >codops.yaml
cat >docker-compose.prod.yml <<YAML
name: $P
services:
  app:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    restart: always
    stop_grace_period: 1s
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do echo line; sleep 0.1; done"]
YAML
# shellcheck disable=SC2317 # called at the end
clean_up() {
  local ids
  mapfile -t ids < <(docker ps -aq --filter "name=$P")
  ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}"
  mapfile -t ids < <(docker network ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker network rm "${ids[@]}"
  mapfile -t ids < <(docker volume ls -q --filter "name=$P")
  ((${#ids[@]} == 0)) || docker volume rm "${ids[@]}"
} >/dev/null 2>&1
co() { timeout -k 5 60 "$CODOPS" "$@" 2>"$WORK/err"; }
codes() { # COMMAND...: what it prints through `head -n 2`, and the exit code of codops
  local -a ends
  set +o pipefail
  "$@" | head -n 2 >"$WORK/out"
  ends=("${PIPESTATUS[@]}")
  set -o pipefail
  echo "$(tr '\n' ' ' <"$WORK/out")${ends[0]}"
}
input() { # TEXT COMMAND...: what it prints, and its exit code
  local text=$1 rc=0
  shift
  printf '%s' "$text" | "$@" >"$WORK/out" || rc=$?
  echo "$(tr '\n' ' ' <"$WORK/out")$rc"
}
head -c 20000000 /dev/urandom >"$WORK/much"
check "a deploy" co deploy prod v1.0.0
mkfifo "$WORK/idle"
exec 9<>"$WORK/idle" # input that never comes and never ends

expect "exec ends with its reader" "$(codes co exec prod app -- yes 9>&- </dev/null)" "y y 141"
expect "and where input is open" "$(codes co exec prod app -- yes <&9)" "y y 141"
expect "run ends with its reader" "$(codes co run prod app -- yes <&9)" "y y 141"
expect "and leaves no container" "$(docker ps -aq --filter "name=$P-app-run" | wc -l)" 0
expect "logs -f ends with its reader" "$(codes co logs prod -f | sed 's/[^ ]*app[^ ]* *//g')" "line line 0"

expect "exec does not wait for input" "$(co exec prod app -- echo hello <&9)" hello
expect "nor does run" "$(co run prod app -- echo hello <&9)" hello

expect "exec has its input" "$(input abc co exec prod app -- cat)" "abc0"
expect "run has its input" "$(input abc co run prod app -- cat)" "abc0"
# shellcheck disable=SC2016 # the container's
expect "line by line" "$(input $'a\nb\n' co run prod app -- sh -c 'read x; read y; echo got $y $x')" "got b a 0"
expect "none is none" "$(co run prod app -- cat </dev/null; echo $?)" 0
expect "the exit code is the command's" "$(input abc co run prod app -- sh -c 'cat; echo oh >&2; exit 7') $(grep -c '^oh' "$WORK/err")" "abc7 1"
expect "what is not read does no harm" "$(co run prod app -- true <"$WORK/much"; echo $?)" 0
expect "a command that is not there" "$(input abc co run prod app -- nosuchcommand)" 127
expect "much of it, whole" "$(co run prod app -- sha256sum <"$WORK/much" | cut -d' ' -f1)" "$(sha256sum <"$WORK/much" | cut -d' ' -f1)"
expect "and back" "$(co run prod app -- cat <"$WORK/much" | sha256sum)" "$(sha256sum <"$WORK/much")"
expect "no container is left" "$(docker ps -aq --filter "name=$P-app-run" | wc -l)" 0
finish
