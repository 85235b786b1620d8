#!/usr/bin/env bash
# Beside other tools on a real node: objects that kubectl or Helm applied are taken over, and undone to what they were; kubectl goes on working; an
# autoscaler's count is its own.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --node
kube_tiny "$WORK/tiny" tiny
manifests() { sed "s/\${VERSION}/$1/" k8s/web.yaml; }
managers() { k -n tiny get deployment web -o json --show-managed-fields | jq -c '[.metadata.managedFields[] | select(.subresource == null) | .manager] - ["kube-controller-manager"] | unique'; }
no_difference() { "$CODOPS" config manifests test "$1" | k diff --server-side --field-manager=codops -f - 2>&1; }
# NAME: the same version crashes; what another tool had made is as before, but for the entries of managed fields.
undone_to_theirs() {
  local before after rc=0
  before=$(kube_print tiny)
  sed -i 's/^          ports: .*/          command: [sh, -c, "exit 3"]\n&/' k8s/web.yaml
  "$CODOPS" deploy test v1.1.0 >"$WORK/undone.txt" 2>&1 || rc=$?
  sed -i '/exit 3/d' k8s/web.yaml
  after=$(kube_print tiny)
  # kubectl's memory of what it applied goes with the take-over.
  expect "$1" "$rc $(diff <(jq -c 'del(.metadata.annotations)' <<<"$before") <(jq -c 'del(.metadata.annotations)' <<<"$after") | cut -c1-600)" "1 "
}

# ---- what kubectl applied
manifests v1.0.0 | k apply -f - >/dev/null
k -n tiny rollout status deployment/web --timeout=60s >/dev/null
"$CODOPS" deploy test v1.1.0 --dry-run >"$WORK/plan.txt" 2>&1 || true
check "the plan says that it takes over from kubectl" grep -qE 'deployment/web.* is taken over from kubectl' "$WORK/plan.txt"
undone_to_theirs "a first deploy over it that fails is undone"
check "a first deploy over it" "$CODOPS" deploy test v1.1.0
expect "it serves" "$(kube_serves tiny v1.1.0)" "v1.1.0 "
expect "codops alone manages it" "$(managers)" '["codops"]'
expect "no difference for kubectl" "$(no_difference v1.1.0)" ""
"$CODOPS" down test --yes >/dev/null 2>&1 || fail "down"
k -n tiny delete secrets -l codops.state >/dev/null

# ---- what Helm applied: its labels, annotations and manager, as version 3 (updates) and version 4 (server-side) leave them
manifests v1.0.0 | k create --dry-run=client -o json -f - | jq -s '{apiVersion: "v1", kind: "List", items: [.[] | select(.kind != "Namespace")
  | .metadata.labels["app.kubernetes.io/managed-by"] = "Helm" | .metadata.annotations = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "tiny"}]}' >"$WORK/helm.json"
jq '.items |= map(select(.kind == "Deployment"))' "$WORK/helm.json" | k create --field-manager=helm -f - >/dev/null
jq '.items |= map(select(.kind != "Deployment"))' "$WORK/helm.json" | k apply --server-side --field-manager=helm -f - >/dev/null
k -n tiny rollout status deployment/web --timeout=60s >/dev/null
"$CODOPS" deploy test v1.1.0 --dry-run >"$WORK/plan.txt" 2>&1 || true
check "the plan says that it takes over from Helm" grep -qE 'service/web.* is taken over from Helm release "shop"' "$WORK/plan.txt"
check "for the one that version 3 made as well" grep -qE 'deployment/web.* is taken over from Helm release "shop"' "$WORK/plan.txt"
undone_to_theirs "a first deploy over Helm's that fails is undone"
check "a first deploy over Helm's" "$CODOPS" deploy test v1.1.0
expect "it serves alone" "$(kube_serves tiny v1.1.0)" "v1.1.0 "
expect "codops manages it" "$(managers)" '["codops"]'

# ---- kubectl goes on working
check "kubectl rollout status" k -n tiny rollout status deployment/web --timeout=10s
check "the next version" "$CODOPS" deploy test v1.0.0
check "kubectl rollout undo" k -n tiny rollout undo deployment/web
k -n tiny rollout status deployment/web --timeout=60s >/dev/null
expect "it goes back" "$(kube_serves tiny v1.1.0)" "v1.1.0 "
check "status shows that as drift" grep -q 'runs codops-demo/frontend:v1.1.0, the release says codops-demo/frontend:v1.0.0' <("$CODOPS" status test 2>&1 || true)
check "and the next deploy puts it right" "$CODOPS" deploy test v1.0.0
expect "it serves again" "$(kube_serves tiny v1.0.0)" "v1.0.0 "
expect "no difference afterwards" "$(no_difference v1.0.0)" ""

# ---- an autoscaler
k -n tiny autoscale deployment web --min=3 --max=4 >/dev/null
wait_for 60 test "$(k -n tiny get deployment web -o jsonpath='{.spec.replicas}')" = 3 || true
rc=0; "$CODOPS" scale test web=2 >"$WORK/scale.txt" 2>&1 || rc=$?
expect "scale leaves it to the autoscaler" "$rc $(grep -c -i horizontalpodautoscaler "$WORK/scale.txt")" "64 1"
wait_for 60 eval '[[ $(k -n tiny get deployment web -o jsonpath={.spec.replicas}) == 3 ]]' || true
check "a deploy as well" "$CODOPS" deploy test v1.1.0
expect "its count holds" "$(k -n tiny get deployment web -o jsonpath='{.spec.replicas}')" 3
finish
