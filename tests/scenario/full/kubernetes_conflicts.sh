#!/usr/bin/env bash
# A field that somebody else manages: refused by name before any change; --force-conflicts takes it over, and it stays ours.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --fake 1
kube_tiny "$WORK/tiny" tiny
deploys() { rc=0; "$CODOPS" deploy test "$@" >"$WORK/out.txt" 2>&1 || rc=$?; }
value() { k -n tiny get configmap web-config -o jsonpath='{.data.GREETING}'; }
owners() { # of a field
  k -n tiny get "$1" -o json --show-managed-fields | jq -r --argjson path "$2" '[.metadata.managedFields[] | select(.fieldsV1 | getpath($path) != null) | .manager] | join(",")'
}
releases() { "$CODOPS" history test -o json | jq '.entries | length'; }
deploys v1.0.0
expect "the first deploy" "$rc" 0
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web-config, namespace: tiny }\ndata: { GREETING: theirs }\n' | k apply --server-side --force-conflicts --field-manager=gitops -f - >/dev/null
k -n tiny patch deployment web --field-manager=tuner --type=merge -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":9}}}}' >/dev/null
expect "the fields are theirs" "$(owners configmap/web-config '["f:data","f:GREETING"]') $(owners deployment/web '["f:spec","f:template","f:spec","f:terminationGracePeriodSeconds"]')" "gitops tuner"
wait_for 20 eval '[[ $(k -n tiny get deployment web -o jsonpath="{.status.observedGeneration} {.status.updatedReplicas} {.status.availableReplicas}") == "2 2 2" ]]' || true

before=$(kube_print tiny) known=$(releases)
deploys v1.1.0
expect "it is refused" "$rc" 1
check "with the owner, the field and both values" grep -q 'configmap/web-config: .data.GREETING is managed by gitops (theirs), the manifest wants hello' "$WORK/out.txt"
check "for each of them" grep -qE 'deployment/web: .spec.template.spec.terminationGracePeriodSeconds is managed by tuner \(9\), the manifest wants 5' "$WORK/out.txt"
check "and what can be done" grep -q -- '--force-conflicts' "$WORK/out.txt"
expect "nothing was changed" "$(diff <(echo "$before") <(kube_print tiny)) $(releases) $(k -n tiny get leases -o name)" " $known "
deploys v1.1.0 --dry-run
expect "the dry run says the same" "$rc $(grep -c 'is managed by' "$WORK/out.txt")" "1 2"

deploys v1.1.0 --force-conflicts
expect "--force-conflicts goes on" "$rc" 0
expect "the manifest's values hold" "$(value) $(k -n tiny get deployment web -o jsonpath='{.spec.template.spec.terminationGracePeriodSeconds}')" "hello 5"
expect "the fields are codops'" "$(owners configmap/web-config '["f:data","f:GREETING"]') $(owners deployment/web '["f:spec","f:template","f:spec","f:terminationGracePeriodSeconds"]')" "codops codops"
check "kubectl sees no difference" eval '"$CODOPS" config manifests test v1.1.0 | k diff --server-side --field-manager=codops -f -'
deploys v1.0.0
expect "the next one needs no force" "$rc" 0
sed -i 's/GREETING: hello/GREETING: moin/' k8s/web.yaml
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web-config, namespace: tiny }\ndata: { GREETING: hello }\n' | k apply --server-side --field-manager=gitops -f - >/dev/null
deploys v1.0.0
expect "who only agreed is told too, once the values differ" "$rc $(grep -c 'GREETING is managed by gitops (hello), the manifest wants moin' "$WORK/out.txt")" "1 1"
finish
