#!/usr/bin/env bash
# Two environments that lead to one project on one engine: a command for the one never reaches what the other has deployed.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18295 200ms
sed -i 's/^environments:.*/environments: { test: {}, staging: {} }/' codops.yaml
printf 'DATABASE_URL=postgresql://app:pw@web:5432/app\n' >.env.staging
check "the first deploy" tiny_deploy v1.0.0
before=$(fingerprint)
refused() { # COMMAND...: exit 78, with whose it is
  local rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
  expect "$1 of another environment: exit 78, and whose it is" "$rc $(grep -c 'belongs to the environment "test", not to "staging"' "$WORK/out")" "78 1"
}
refused exec staging web -- touch /tmp/reached
refused run staging web -- true
refused logs staging
refused status staging
refused backup staging
refused restore staging latest --yes
rc=0
"$CODOPS" health-check staging --output json >"$WORK/out" 2>&1 || rc=$?
expect "health-check of another environment says nothing good" "$((rc != 0)) $(grep -c 'belongs to the environment' "$WORK/out")" "1 2"
expect "nothing was changed" "$(diff <(fingerprint) <(echo "$before") | head -n 4)" ""
check "its own are reached" "$CODOPS" exec test web -- test ! -e /tmp/reached
finish
