#!/usr/bin/env bash
# Many simple objects are not sent twice. What would be refused is refused before any change all the same: by their own form, by a policy, by permissions.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() {
  k delete validatingadmissionpolicybinding,validatingadmissionpolicy codops-test-many --ignore-not-found >/dev/null 2>&1 || true
  k delete clusterrolebinding,clusterrole codops-test-many --ignore-not-found >/dev/null 2>&1 || true
  kube_down
}
need_kube --fake 1
kube_tiny "$WORK/many" many
for i in $(seq 25); do
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: c%s, namespace: many }\ndata: { value: a }\n' "$i"
  printf -- '---\napiVersion: v1\nkind: Service\nmetadata: { name: s%s, namespace: many }\nspec: { selector: { app: s%s }, ports: [{ port: 80 }] }\n' "$i" "$i"
done >k8s/many.yaml
k create namespace many >/dev/null
made() { k -n many get configmaps,services,deployments -o name | grep -cv kube-root-ca.crt || true; }
refused() { # NAME PATTERN
  local rc=0
  "$CODOPS" deploy test v1.0.0 >"$WORK/out.txt" 2>&1 || rc=$?
  if ((rc == 1)) && grep -qE -- "$2" "$WORK/out.txt" && [[ $(made) == 0 ]]; then pass "$1"; else fail "$1" "exit $rc, $(made) objects made: $(tail -n 6 "$WORK/out.txt")"; fi
}

sed -i '0,/value: a/s//"a b": a/' k8s/many.yaml
refused "a key that no ConfigMap may have" 'configmap/c1|ConfigMap.*c1'
sed -i 's/"a b": a/value: a/' k8s/many.yaml

k apply -f - >/dev/null <<'YAML'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: codops-test-many }
spec:
  failurePolicy: Fail
  matchConstraints: { resourceRules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps] }] }
  validations: [{ expression: "object.metadata.name != 'c7'", message: "seven is not allowed here" }]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: codops-test-many }
spec: { policyName: codops-test-many, validationActions: [Deny], matchResources: { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: many } } } }
YAML
policy_holds() { ! k -n many create configmap c7 --dry-run=server; }
check "the policy holds" wait_for 60 policy_holds
refused "one that a policy refuses" 'seven is not allowed here'
k delete validatingadmissionpolicybinding,validatingadmissionpolicy codops-test-many >/dev/null
check "the policy is gone" wait_for 60 k -n many create configmap c7 --dry-run=server

k apply -f - >/dev/null <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: codops-test-many }
rules:
  - { apiGroups: ["*"], resources: ["*"], verbs: [get, list, watch] }
  - { apiGroups: ["", apps, policy, coordination.k8s.io], resources: [namespaces, secrets, services, deployments, poddisruptionbudgets, leases], verbs: ["*"] }
  - { apiGroups: [""], resources: [configmaps], verbs: [patch, delete] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: codops-test-many }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: codops-test-many }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: limited }]
YAML
k config view --raw -o json | jq '.users[].user.as = "limited"' >"$WORK/limited.kubeconfig"
KUBECONFIG=$WORK/limited.kubeconfig refused "who may not create them" 'does not allow: .*create configmaps'
k delete clusterrolebinding,clusterrole codops-test-many >/dev/null

check "then all of them are made" "$CODOPS" deploy test v1.0.0
expect "every one" "$(made)" 53
check "as kubectl would have them" eval '"$CODOPS" config manifests test v1.0.0 | k diff --server-side --field-manager=codops -f -'
expect "the same again changes nothing" "$("$CODOPS" deploy test v1.0.0 -o json 2>/dev/null | jq .changed)" false
finish
