#!/usr/bin/env bash
# Every way in which a rollout fails on a real node: the reason is said within seconds of its appearance, and every object is as before.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --node --fake 1
kube_tiny "$WORK/tiny" tiny
cp -r k8s "$WORK/good"
"$CODOPS" deploy test v1.0.0 >"$WORK/first.txt" 2>&1 || { fail "the first deploy" "$(tail -n 5 "$WORK/first.txt")"; finish; }

# NAME EXIT PATTERN SECONDS [VERSION]: with what the manifests have become. They are put back afterwards.
fails() {
  local before after rc=0 status began=$SECONDS took
  before=$(kube_print tiny)
  "$CODOPS" deploy test "${5:-v1.1.0}" >"$WORK/fails.txt" 2>&1 || rc=$?
  took=$((SECONDS - began))
  # Pods of the failed release end in their own time.
  after=$(kube_print tiny)
  if ((rc != $2)); then fail "$1" "exit $rc, not $2: $(tail -n 8 "$WORK/fails.txt")"
  elif ! grep -qE -- "$3" "$WORK/fails.txt"; then fail "$1" "does not say '$3': $(tail -n 12 "$WORK/fails.txt")"
  elif [[ $before != "$after" ]]; then fail "$1" "not as before: $(diff <(echo "$before") <(echo "$after") | cut -c1-400)"
  elif ((took > $4)); then fail "$1" "took $took s, not $4"
  elif status=0; "$CODOPS" status test --check >"$WORK/status.txt" 2>&1 || status=$?; ((status != ${6:-0})); then fail "$1" "status exits with $status: $(cat "$WORK/status.txt")"
  else pass "$1 ($took s)"; fi
  rm -rf k8s && cp -r "$WORK/good" k8s
}
with() { sed -i "s|^          ports: .*|          $1\n&|" k8s/web.yaml; }

fails "an image that can't be had" 1 'ImagePull' 25 v0.0.1
with 'command: [sh, -c, "echo boom; exit 3"]'
fails "CrashLoopBackOff" 1 'CrashLoopBackOff|exited with 3' 30
with 'env: [{ name: X, valueFrom: { secretKeyRef: { name: nowhere, key: x } } }]'
fails "a missing Secret" 1 'nowhere' 45
sed -i 's|path: /healthz|path: /nothing-here-at-all.txt/x|; s|port: 8080 }, periodSeconds|port: 8081 }, periodSeconds|' k8s/web.yaml
fails "never ready" 1 'eady|progress' 60
with 'command: [tail, /dev/zero]'
sed -i 's|^          ports: .*|          resources: { limits: { memory: 32Mi } }\n&|' k8s/web.yaml
fails "OOMKilled" 1 'OOMKilled|out of memory' 40
sed -i 's/^monitor: .*/monitor: 8s/' codops.yaml
with 'command: [bash, -c, "nginx -g \\"daemon off;\\" \& sleep 4; exit 5"]'
fails "ready, then it crashes after 4 s" 5 'exited with 5|CrashLoopBackOff' 60
sed -i 's/^monitor: .*/monitor: 1s/' codops.yaml
sed -i 's|^    spec:$|    spec:\n      nodeSelector: { no: where }|' k8s/web.yaml
sed -i 's/ready: 30s/ready: 15s/' codops.yaml
fails "unschedulable" 1 'nschedulable|node' 45
sed -i 's/ready: 15s/ready: 30s/' codops.yaml
k -n tiny create quota small --hard=pods=2 >/dev/null
fails "a quota refuses" 1 'quota' 40
k -n tiny delete quota small >/dev/null
k apply -f - >/dev/null <<'YAML'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: no-web }
spec:
  matchConstraints: { resourceRules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods] }] }
  validations: [{ expression: "!object.metadata.labels.exists(l, l == 'refused')", message: "the house rule forbids it" }]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: no-web }
spec: { policyName: no-web, validationActions: [Deny] }
YAML
wait_for 20 sh -c '! "$0" kubectl "$1" -n tiny run refused --image=x --labels=refused=1 --dry-run=server' "$SUPPORT/kube.sh" "$kube_dir"
sed -i 's/labels: { app: web } }$/labels: { app: web, refused: "1" } }/' k8s/web.yaml
fails "admission refuses the pods" 1 'house rule' 40
k delete validatingadmissionpolicybinding,validatingadmissionpolicy no-web >/dev/null
sed -i 's/^  replicas: 2/  replicas: 2\n  paused: true/' k8s/web.yaml
fails "paused" 78 'paused' 5
sed -i 's/^  replicas: 2/  replicas: 2\n  progressDeadlineSeconds: 8/; s|port: 8080 }, periodSeconds|port: 8081 }, periodSeconds|' k8s/web.yaml
fails "ProgressDeadlineExceeded" 1 'ProgressDeadlineExceeded|progress' 40
sed -i 's/^  replicas: 2/  replicas: 2\n  replica: 3/' k8s/web.yaml
fails "a field that nobody knows" 1 'replica' 5
cat >k8s/extra.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: { name: extra, namespace: tiny }
data: { a: b }
YAML
with 'command: [sh, -c, "exit 3"]'
fails "what was added goes" 1 'exited with 3|CrashLoopBackOff' 30
k -n tiny set env deployment/web EDITED=1 --field-manager=somebody >/dev/null 2>&1
k -n tiny patch deployment web --field-manager=somebody --type=merge -p '{"spec":{"replicas":3}}' >/dev/null
k -n tiny rollout status deployment/web --timeout=60s >/dev/null
# What somebody changed stays, and is drift.
fails "somebody else's field" 1 'somebody' 10 v1.1.0 2
k -n tiny patch deployment web --field-manager=somebody --type=merge -p '{"spec":{"replicas":2}}' >/dev/null
finish
