#!/usr/bin/env bash
# On a real node: hooks, one workload moved alone, abort, unlock, a journal that somebody damaged.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --node
kube_tiny "$WORK/tiny" tiny
# A second workload that serves nothing.
cat >k8s/side.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: { name: side, namespace: tiny }
spec:
  replicas: 1
  selector: { matchLabels: { app: side } }
  template:
    metadata: { labels: { app: side } }
    spec:
      terminationGracePeriodSeconds: 2
      containers: [{ name: side, image: "codops-demo/frontend:${VERSION}", imagePullPolicy: IfNotPresent }]
YAML
image() { k -n tiny get deployment "$1" -o jsonpath='{.spec.template.spec.containers[0].image}' | sed 's/.*://'; }
killed() { { CODOPS_TEST_KILL=$1 "$CODOPS" "${@:2}" >"$WORK/killed.txt" 2>&1; } 2>/dev/null || true; }

# ---- hooks: before, in a pod of the workload; after; and after a failure
cat >>codops.yaml <<'YAML'
hooks:
  pre_deploy:
    - run: [sh, -c, 'echo "$CODOPS_EVENT $CODOPS_VERSION" >>hooks.txt']
  post_deploy:
    - run: [sh, -c, 'echo "$CODOPS_EVENT $CODOPS_VERSION" >>hooks.txt']
    - { run: [sh, -c, 'test "$CODOPS_EVENT $GREETING" = "post_deploy hello"'], service: web }
  on_failure:
    - run: [sh, -c, 'echo "$CODOPS_EVENT $CODOPS_VERSION $CODOPS_RESULT" >>hooks.txt']
YAML
check "a first deploy with hooks" "$CODOPS" deploy test v1.0.0
rc=0; "$CODOPS" deploy test v0.0.1 >"$WORK/failed.txt" 2>&1 || rc=$?
expect "hooks ran" "$rc $(tr '\n' ';' <hooks.txt)" "1 pre_deploy v1.0.0;post_deploy v1.0.0;pre_deploy v0.0.1;on_failure v0.0.1 undone;"
"$CODOPS" deploy test v1.0.0 --dry-run >"$WORK/dry.txt" 2>&1 || true
sed -i 's/^    - { run: .*/    - { run: [sh, -c, "exit 4"], service: web }/' codops.yaml
"$CODOPS" deploy test v1.1.0 >"$WORK/post.txt" 2>&1 || fail "the next one" "$(tail -n 5 "$WORK/post.txt")"
check "a hook in a pod that fails afterwards is a warning" grep -q 'in web exited with 4' "$WORK/post.txt"
last() { "$CODOPS" history test -o json | jq -c ".entries[-1] | $1"; }
expect "and on the record" "$(last '[.result, .exit, .version, (.message | test("in web exited with 4"))]')" '["ok",0,"v1.1.0",true]'
sed -i 's/^    - { run: .*/    - { run: [sh, -c, "touch within; exec sleep 1000"] }/' codops.yaml
for signal in TERM KILL; do
  rm -f within
  "$CODOPS" deploy test "$([[ $signal == TERM ]] && echo v1.0.0 || echo v1.1.0)" >"$WORK/within.txt" 2>&1 &
  run=$!
  wait_for 90 test -e within || fail "the hook runs" "$(tail -n 3 "$WORK/within.txt")"
  rc=0
  kill "-$signal" "$run"
  { wait "$run" || rc=$?; } 2>/dev/null
  [[ $signal == KILL ]] || expect "SIGTERM within post_deploy: 143, the release stays, which is on the record" \
    "$rc $(image web) $(last '[.result, .exit, .version, (.message | test("cut off"))]')" '143 v1.0.0 ["ok",143,"v1.0.0",true]'
done
rc=0; "$CODOPS" abort test >"$WORK/within.txt" 2>&1 || rc=$?
expect "killed within it: the next command says that the hooks may not have ended" "$rc $(tr -s '\n ' ' ' <"$WORK/within.txt" | grep -c 'may not have run to their end')" "0 1"
expect "the release stays, which is on the record" "$(image web) $(last '[.result, .version]')" 'v1.1.0 ["ok","v1.1.0"]'
sed -i 's/^    - { run: .*/    - { run: ["true"] }/' codops.yaml
sed -i '/^  pre_deploy:/,/^  post_deploy:/ s/^    - run: .*/    - run: [sh, -c, "exit 5"]/' codops.yaml
rc=0; "$CODOPS" deploy test v1.0.0 >"$WORK/pre.txt" 2>&1 || rc=$?
expect "one that fails before stops the deploy" "$rc $(image web)" "1 v1.1.0"
sed -i '/^hooks:/,$d' codops.yaml

# ---- one workload alone
check "one workload moves" "$CODOPS" deploy test side=v1.0.0
expect "the other stays" "$(image side) $(image web)" "v1.0.0 v1.1.0"
check "and goes back" "$CODOPS" rollback test
expect "as it was" "$(image side) $(image web)" "v1.1.0 v1.1.0"
rc=0; "$CODOPS" deploy test sid=v1.0.0 >"$WORK/unknown.txt" 2>&1 || rc=$?
expect "a name that is none" "$rc $(grep -c 'did you mean "side"' "$WORK/unknown.txt")" "64 1"

# ---- abort never goes forward
killed before:settle deploy test v1.0.0
check "abort" "$CODOPS" abort test
expect "what served before serves" "$(kube_serves tiny v1.1.0)$(image side)" "v1.1.0 v1.1.0"
check "all is well" "$CODOPS" status test --check

# ---- unlock
"$CODOPS" deploy test v1.0.0 >"$WORK/held.txt" 2>&1 &
held=$!
wait_for 30 grep -q rollout "$WORK/held.txt" || true
kill -STOP "$held"
expect "unlock names the holder" "$("$CODOPS" unlock test --yes 2>&1 | grep -c 'evicted: .*deploy test v1.0.0')" 1
check "the next one recovers and deploys" "$CODOPS" deploy test v1.0.0
kill -CONT "$held"
rc=0; wait "$held" || rc=$?
expect "the evicted one keeps its hands off" "$rc $(kube_serves tiny v1.0.0)$("$CODOPS" history test -o json | jq -c '[.broken, ([.journals[] | select(.ended | not)] | length)]')" "4 v1.0.0 [[],0]"

# ---- a journal that somebody damaged
killed before:rollout deploy test v1.1.0
secret=$(k -n tiny get secrets -l codops.state -o json | jq -r '[.items[] | {name: .metadata.name, path: (.data.path | @base64d)} | select(.path | test("^meta/journal/.*/000001.json$"))] | max_by(.path) | .name')
k -n tiny patch secret "$secret" --type=merge -p '{"data":{"file.zst":"Z2FyYmFnZQ==","file":null}}' >/dev/null
rc=0; "$CODOPS" resume test >"$WORK/damaged.txt" 2>&1 || rc=$?
expect "it is refused" "$rc $(grep -c 'journal of an earlier run is damaged' "$WORK/damaged.txt")" "65 1"
check "status goes on working" grep -q damaged <("$CODOPS" status test 2>&1 || true)
way_out=$(grep -o "kubectl -n tiny delete secret[^;]*" "$WORK/damaged.txt" || true)
# shellcheck disable=SC2086 # words
if [[ -n $way_out ]]; then k ${way_out#kubectl } >/dev/null; else fail "it names the way out" "$(cat "$WORK/damaged.txt")"; fi
check "and after that a deploy puts everything right" "$CODOPS" deploy test v1.1.0
expect "it serves" "$(kube_serves tiny v1.1.0) $(image side)" "v1.1.0  v1.1.0"
check "all is well again" "$CODOPS" status test --check
finish
