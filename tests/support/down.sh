# shellcheck shell=bash
# What a `down` leaves. Sourced after tiny.sh.
#
#   left                  names of the project's containers and networks
#   newest                of the history, as JSON: broken links, unfinished journals, the newest entry's action and result
#   try COMMAND...        codops; its exit code in $rc, its words in $WORK/out; said PATTERN: 1 when they have it
#   gone NAME             cases: nothing is left, and the history says so
#   killed_at POINT       cases: `down` is killed there, and the next command finishes it
# shellcheck disable=SC2046 # two words each
left() { docker ps -a $(of_project) --format '{{.Names}}'; docker network ls --format '{{.Name}}' | grep -- "^${PROJECT}_" || true; }
newest() { "$CODOPS" history test -o json | jq -c '[.broken, ([.journals[] | select(.ended | not)] | length), (.entries | last | [.action, .result])]'; }
try() {
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
}
said() { grep -c -- "$1" "$WORK/out" | awk '{print ($1 > 0)}'; }
gone() { # NAME
  expect "$1: nothing is left" "$(left)" ""
  expect "$1: the history says so" "$(newest)" '[[],0,["down","ok"]]'
  expect "$1: the lock is free" "$(lock_free && echo free)" free
  try resume test
  expect "$1: nothing is unfinished then" "$rc $(cat "$WORK/out")" "0 nothing is unfinished"
}

killed_at() { # POINT
  local point=$1
  [[ -n $(left) ]] || tiny_deploy v1.0.0 || { fail "a deploy before KILL $point" "$(tail -n 3 "$WORK/deploy.out")"; return 0; }
  { CODOPS_TEST_KILL=$point try down test --yes; } 2>/dev/null
  expect "KILL $point" "$rc" 137
  if [[ $point == after:lock || $point == before:plan ]]; then
    expect "KILL $point: all serves" "$(converged v1.0.0 2>&1 | grep -v 'a lock is left')" ""
    return 0
  fi
  if [[ $point == after:record ]]; then
    try resume test
    expect "KILL $point: nothing is unfinished, the lock is taken over" "$rc $(said 'nothing is unfinished')" "0 1"
  else
    expect "KILL $point: status names it" "$("$CODOPS" status test -o json | jq -r .unfinished | grep -c '^down v1.0.0')" 1
    try resume test
    expect "KILL $point: finished, and said" "$rc $(said 'finished down of v1.0.0')" "0 1"
  fi
  gone "KILL $point"
}
