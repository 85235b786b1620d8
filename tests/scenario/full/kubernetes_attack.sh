#!/usr/bin/env bash
# On a real node: Secrets key by key, replicas that nobody says any more, hands on Services and pauses, a definition that changes with its
# resources, the input and the output of `run`.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { k delete crd gizmos.attack.example.com --ignore-not-found >/dev/null 2>&1 || true; kube_down; }
need_kube --node
kube_tiny "$WORK/hands" hands
told=$WORK/told.txt
rc=0
run() { rc=0; "$CODOPS" "$@" >"$told" 2>&1 || rc=$?; }
works() { run "${@:2}"; if ((rc == 0)); then pass "$1"; else fail "$1" "exit $rc: $(tail -n 5 "$told")"; fi; }

# ---- Secrets: a key that goes is gone, also when it was a failed release's
cat >k8s/creds.yaml <<'YAML'
apiVersion: v1
kind: Secret
metadata: { name: creds, namespace: hands }
stringData: { ONE: first-value, TWO: second-value }
YAML
keys() { k -n hands get secret creds -o json | jq -c '.data | keys'; }
works "a first deploy" deploy test v1.0.0
expect "its keys" "$(keys)" '["ONE","TWO"]'
sed -i 's/, TWO: second-value//' k8s/creds.yaml
works "a key is taken out" deploy test v1.1.0
expect "it is gone" "$(keys)" '["ONE"]'
sed -i 's/ONE: first-value/ONE: first-value, NEW: new-value/' k8s/creds.yaml
run deploy test v0.0.1
expect "a failed release's key does not stay" "$rc $(keys)" '1 ["ONE"]'
sed -i 's/NEW: new-value/PIN: 12345678901/' k8s/creds.yaml
run deploy test v1.0.0
expect "a number is refused, by its place, without its value" "$rc $(grep -c 'creds.yaml:4:.*"PIN" in stringData has to be text' "$told") $(grep -c 12345678901 "$told")" "78 1 0"
sed -i 's/, PIN: 12345678901//' k8s/creds.yaml
# Base64 with line ends, as kustomize writes it, is no drift.
cat >k8s/folded.yaml <<'YAML'
apiVersion: v1
kind: Secret
metadata: { name: folded, namespace: hands }
data:
  URL: |
    cG9zdGdyZXM6Ly9zaG9wOnNob3BAZGI6NTQzMi9zaG9wP3NzbG1vZGU9ZGlzYWJsZSZhcHBsaWNhdGlv
    bl9uYW1lPXNob3A=
YAML
works "folded base64" deploy test v1.1.0
works "all is well" status test --check

# ---- replicas that no manifest says any more stay
count() { k -n hands get deployment web -o jsonpath='{.spec.replicas}'; }
sed -i '/^  replicas: 2/d' k8s/web.yaml
k -n hands scale deployment web --replicas=3 >/dev/null
works "a manifest without replicas" deploy test v1.0.0
expect "keeps the live count" "$(count)" 3
sed -i 's/^  selector: { matchLabels: { app: web } }/  replicas: 4\n&/' k8s/web.yaml
run deploy test v0.0.1 --force-conflicts
expect "one that says a number fails: the count is as it was" "$rc $(count)" "1 3"
sed -i '/^  replicas: 4/d' k8s/web.yaml

# ---- taken over from kubectl, with an autoscaler that decides
cat >k8s/hpa.yaml <<'YAML'
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: web, namespace: hands }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }
  minReplicas: 2
  maxReplicas: 5
  metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 80 } } }]
YAML
works "an autoscaler" deploy test v1.1.0
expect "leaves the count alone" "$(count)" 3
run deploy test v1.1.0
expect "the same again changes nothing" "$rc $(grep -c 'horizontalpodautoscaler' "$told")" "0 0"
rm k8s/hpa.yaml
works "and goes" deploy test v1.0.0
expect "with the count as it is" "$(count)" 3
sed 's/\${VERSION}/v1.0.0/; s/^  namespace: hands//; s/name: web, namespace: hands/name: taken, namespace: hands/; s/app: web/app: taken/' k8s/web.yaml |
  awk '/kind: Deployment/ {keep=1} {doc=doc $0 "\n"} /^---$/ {if (keep) printf "%s", doc; doc=""; keep=0} END {if (keep) printf "%s", doc}' |
  sed '/^---$/d; s/^  selector: { matchLabels/  replicas: 4\n&/' >"$WORK/taken.yaml"
k apply -f "$WORK/taken.yaml" >/dev/null
sed '/^  replicas: 4/d; s/v1\.0\.0/${VERSION}/' "$WORK/taken.yaml" >k8s/taken.yaml
works "a Deployment of kubectl's, its number left open" deploy test v1.1.0
expect "keeps it" "$(k -n hands get deployment taken -o jsonpath='{.spec.replicas}')" 4
rm k8s/taken.yaml
works "which goes again" deploy test v1.1.0

# ---- hands: a Service led astray, a pause
k -n hands patch service web --type=merge -p '{"spec":{"selector":{"app":"nope"}}}' >/dev/null
astray() { run status test --check; ((rc == 2)) && grep -q 'unreached .*service/web' "$told"; }
check "a Service that leads nowhere is no health" wait_for 10 astray
check "and is told as drift" grep -q 'its selector is app=nope, not app=web' "$told"
run health-check test
expect "health-check sees it" "$rc $(grep -c 'service/web' "$told")" "2 1"
k -n hands patch service web --type=merge -p '{"spec":{"selector":{"app":"web"}}}' >/dev/null
k -n hands rollout pause deployment/web >/dev/null
run status test --check
expect "a pause by hand is drift" "$rc $(grep -c 'was paused by hand' "$told")" "2 1"
before=$(kube_print hands)
run deploy test v1.0.0
expect "and is refused before anything changes" "$rc $(grep -c 'rollout resume deployment/web' "$told") $(diff <(echo "$before") <(kube_print hands))" "1 1 "
k -n hands rollout resume deployment/web >/dev/null
k -n hands delete poddisruptionbudget web >/dev/null
run status test --check
expect "an object that was removed is drift" "$rc $(grep -c 'poddisruptionbudget.*web was removed' "$told")" "2 1"
works "the next deploy puts it right" deploy test v1.1.0 --force-conflicts
check "all is well again" wait_for 10 "$CODOPS" status test --check

# ---- a definition that gains a field together with the resource that uses it
definition() { # FIELD...
  cat <<YAML
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: gizmos.attack.example.com }
spec:
  group: attack.example.com
  scope: Namespaced
  names: { plural: gizmos, singular: gizmo, kind: Gizmo }
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: { spec: { type: object, properties: { size: { type: integer }${1:+, $1} } } }
---
apiVersion: attack.example.com/v1
kind: Gizmo
metadata: { name: one, namespace: hands }
spec: { size: 1${2:+, $2} }
YAML
}
definition >k8s/gizmo.yaml
works "a definition and its resource" deploy test v1.0.0
definition "colour: { type: string }" "colour: red" >k8s/gizmo.yaml
run deploy test v1.1.0 --dry-run
expect "the plan says what can't be tried" "$rc $(grep -c 'CustomResourceDefinition changes with this release' "$told")" "0 1"
works "both gain a field" deploy test v1.1.0
expect "it is there" "$(k -n hands get gizmos.attack.example.com one -o jsonpath='{.spec.colour}')" red
works "back" rollback test
expect "it is gone" "$(k -n hands get gizmos.attack.example.com one -o jsonpath='{.spec}')" '{"size":1}'
definition >k8s/gizmo.yaml

# ---- run: all of its output, its input
lost=0
for _ in 1 2 3 4 5 6; do
  [[ $("$CODOPS" run test web -- seq 1 20000 2>/dev/null | md5sum) == "$(seq 1 20000 | md5sum)" ]] || lost=$((lost + 1))
done
expect "six long outputs, to the last line" "$lost" 0
expect "one longer still" "$("$CODOPS" run test web -- seq 1 200000 2>/dev/null | md5sum)" "$(seq 1 200000 | md5sum)"
expect "no line end is added" "$("$CODOPS" run test web -- printf nonl 2>/dev/null </dev/null | wc -c)" 4
expect "its input" "$(printf 'a\nb\n' | "$CODOPS" run test web -- cat 2>/dev/null | tr '\n' ,)" "a,b,"
head -c 3000000 /dev/urandom >"$WORK/large"
expect "all of it" "$("$CODOPS" run test web -- sha256sum <"$WORK/large" 2>/dev/null | cut -c1-64)" "$(sha256sum <"$WORK/large" | cut -c1-64)"
expect "one that is read in part" "$("$CODOPS" run test web -- head -n 1 <"$told" 2>/dev/null | wc -l)" 1
# Silent for as long as the command lasts.
mkfifo "$WORK/silent"
exec 7<>"$WORK/silent"
expect "an input that never comes holds nobody up" "$(timeout 60 "$CODOPS" run test web -- echo there <&7 2>/dev/null)" there
expect "not exec either" "$(timeout -k 5 60 "$CODOPS" exec test web -- echo there <&7 2>/dev/null)" there
exec 7>&-
run logs test web -n -1
expect "no number of lines" "$rc" 64
finish
