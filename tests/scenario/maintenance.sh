#!/usr/bin/env bash
# The maintenance page: on and off whoever is killed, nothing deployed behind it, and status says what the front really does.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
try() {
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
}
said() { grep -c -- "$1" "$WORK/out" | awk '{print ($1 > 0)}'; }
answers() { curl -s -m 5 -o /dev/null -w '%{http_code}' "$FRONT/healthz"; }
status() { "$CODOPS" status test -o json | jq -c '[.maintenance, .healthy, (.drift | length)]'; }
front() { docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=front; }

tiny_project "$WORK/p" 18740 300ms
check "a first deploy" tiny_deploy v1.0.0
check "a second" tiny_deploy v1.1.0
try maintenance test on
expect "on" "$rc $(answers) $(status)" "0 503 [true,true,0]"
expect "the history has it" "$("$CODOPS" history test -o json | jq -c '[.broken, (.entries | last | [.action, .result, .version])]')" '[[],["maintenance on","done","v1.1.0"]]'
expect "and every row of it has its columns under their heads" \
  "$("$CODOPS" history test | awk 'NR == 1 {at = index($0, "RESULT")} NR > 1 {print substr($0, at - 1, 1), substr($0, at, 1) != " "}' | sort -u)" "  1"
fingerprint >"$WORK/before"
for command in "deploy test v1.0.0" "rollback test" "scale test web=3" "restart test web" "deploy test v1.0.0 --dry-run"; do
  read -ra words <<<"$command"
  try "${words[@]}"
  expect "$command: refused, with the way out" "$rc $(said 'codops maintenance test off') $(diff <(fingerprint) "$WORK/before" | head -n 3)" "1 1 "
done
expect "the page is there still" "$(answers) $(status)" "503 [true,true,0]"
try maintenance test on
expect "on again" "$rc $(answers) $(status)" "0 503 [true,true,0]"

# ---- what the front really does
docker exec "$(front)" sh -c 'echo "upstream web { server 127.0.0.9:1; }" >/etc/nginx/upstreams/codops.conf'
try status test --check
expect "the page was changed by hand: drift" "$rc $(said 'neither its page nor')" "2 1"
try maintenance test off
expect "off" "$rc $(answers) $(status) $(converged v1.1.0 || true)" "0 200 [false,true,0] "
check "and it deploys" tiny_deploy v1.0.0

# ---- killed
for point in before:maintenance after:maintenance; do
  for state in on off; do
    try maintenance test "$([[ $state == on ]] && echo off || echo on)"
    { CODOPS_TEST_KILL=$point try maintenance test "$state"; } 2>/dev/null
    expect "$state, KILL $point" "$rc" 137
    try status test --check
    expect "$state, KILL $point: status says so" "$rc $(said 'died half way')" "2 1"
    try resume test
    expect "$state, KILL $point: resume leads to the application" "$rc $(said 'led the front to the application') $(answers) $(converged v1.0.0 || true)" "0 1 200 "
    { CODOPS_TEST_KILL=$point try maintenance test "$state"; } 2>/dev/null
    try maintenance test "$state"
    expect "$state, KILL $point: the same again" "$rc $(answers) $(status)" "0 $([[ $state == on ]] && echo '503 [true' || echo '200 [false'),true,0]"
  done
done
{ CODOPS_TEST_KILL=after:maintenance try maintenance test on; } 2>/dev/null
check "killed, then a deploy" tiny_deploy v1.1.0
expect "it serves" "$(answers) $(converged v1.1.0 || true)" "200 "
{ CODOPS_TEST_KILL=after:maintenance:TERM try maintenance test on; } 2>/dev/null
expect "SIGTERM: ended, or as it was" "$rc $(status)" "$( ((rc == 143)) && echo '143 [false,true,0]' || echo '0 [true,true,0]')"
try maintenance test off

# ---- evicted: it changes nothing more
for state in on off; do
  [[ $state == on ]] || try maintenance test on
  hold before:maintenance maintenance test "$state"
  "$CODOPS" unlock test --yes >/dev/null 2>&1
  # Whoever comes next leads the front to the application.
  try deploy test v1.0.0
  expect "$state, evicted: a deploy goes on" "$rc $(answers)" "0 200"
  go_on
  expect "$state, evicted: exit 4, nothing written" "$holder_rc $(answers) $(status) $(converged v1.0.0 || true)" "4 200 [false,true,0] "
  check "$state: the other version again" tiny_deploy v1.1.0
done

# ---- a protected environment asks
cp codops.yaml "$WORK/settings"
sed -i 's/^environments: .*/environments: { test: { protected: true } }/' codops.yaml
for words in "maintenance test on" "resume test" "abort test" "down test" "unlock test"; do
  read -ra asked <<<"$words"
  [[ ${asked[0]} != unlock ]] || hold after:lock restart test --yes
  try "${asked[@]}" </dev/null
  expect "protected: $words without an answer" "$rc $(said 'add --yes') $(answers)" "64 1 200"
  [[ ${asked[0]} != unlock ]] || go_on
done
for words in "scale test web=1" "restart test" "deploy test v1.0.0" "rollback test"; do
  read -ra asked <<<"$words"
  try "${asked[@]}" </dev/null
  expect "protected: $words without an answer" "$rc $(said 'nothing was changed; --yes') $(served)" "1 1 v1.1.0"
done
try maintenance test on --yes
expect "protected: on with --yes" "$rc $(answers) $(status)" "0 503 [true,true,0]"
try maintenance test off </dev/null
expect "protected: off asks too" "$rc $(answers)" "64 503"
try maintenance test off --yes
expect "protected: off with --yes" "$rc $(answers) $(status)" "0 200 [false,true,0]"
try resume test --yes
expect "protected: resume with --yes" "$rc" 0
cp "$WORK/settings" codops.yaml

# ---- the proxy is gone
try maintenance test on
docker rm -f "$(front)" >/dev/null
try maintenance test off
expect "off without a proxy" "$rc $("$CODOPS" status test -o json | jq .maintenance)" "0 false"
check "which a deploy makes again" tiny_deploy v1.1.0
expect "and it serves" "$(converged v1.1.0 || true)" ""
try maintenance test on
try down test --yes
check "down and up again ends it" tiny_deploy v1.0.0
expect "and it serves" "$(answers) $(converged v1.0.0 || true)" "200 "
finish
