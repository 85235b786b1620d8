#!/usr/bin/env bash
# The way back among other hands: replicas that an autoscaler raised, one-of fields changed by hand, Jobs that ended, claims, quotas, a strategy set by hand.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --fake 1
kube_tiny "$WORK/tiny" back
sed -i '/^  replicas: 2$/d' k8s/web.yaml
codops() { rc=0; "$CODOPS" "$@" >"$WORK/out.txt" 2>&1 </dev/null || rc=$?; }
of_web() { k -n back get deployment web -o jsonpath="$1"; }
said() { words "$WORK/out.txt" | grep -cE "$1"; }
codops deploy test v1.0.0
expect "the first deploy" "$rc" 0
k -n back scale deployment web --replicas=2 >/dev/null
codops deploy test v1.0.0

# ---- replicas that no manifest says: raised while the run was dead
CODOPS_TEST_KILL=before:rollout "$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 || true
expect "the run died after its apply" "$(of_web '{.spec.template.spec.containers[0].image}')" codops-demo/frontend:v1.1.0
k -n back scale deployment web --replicas=5 >/dev/null
codops resume test
expect "it is undone" "$rc $(of_web '{.spec.template.spec.containers[0].image}')" "0 codops-demo/frontend:v1.0.0"
expect "and no pod that an autoscaler added is taken away" "$(of_web '{.spec.replicas}')" 5
k -n back scale deployment web --replicas=2 >/dev/null

# ---- another hand's branch of a one-of field
k -n back patch deployment web --type=json -p '[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe","value":{"tcpSocket":{"port":8080},"periodSeconds":1}}]' >/dev/null
sed -i 's/readinessProbe: { httpGet: { path: \/healthz, port: 8080 }/readinessProbe: { tcpSocket: { port: 8080 }/' k8s/web.yaml
CODOPS_TEST_KILL=before:rollout "$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 || true
codops resume test
expect "undone though the record has the other branch" "$rc $(of_web '{.spec.template.spec.containers[0].image}')" "0 codops-demo/frontend:v1.0.0"
expect "to what there was" "$(of_web '{.spec.template.spec.containers[0].readinessProbe.tcpSocket.port} {.spec.template.spec.containers[0].readinessProbe.httpGet}')" "8080 "
codops deploy test v1.1.0
expect "the manifest follows the hand" "$rc" 0
codops rollback test
expect "a rollback to the other branch works" "$rc $(of_web '{.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].readinessProbe.httpGet.port} {.spec.template.spec.containers[0].readinessProbe.tcpSocket}')" \
  "0 codops-demo/frontend:v1.0.0 8080 "
expect "the count is what it was" "$(of_web '{.spec.replicas}')" 2

# ---- a strategy set by hand
k -n back patch deployment web --type=merge -p '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}' >/dev/null
codops deploy test v1.1.0
expect "it is downtime, and asked for" "$rc $(said 'downtime: .*Recreate')" "1 1"
k -n back patch deployment web --type=merge -p '{"spec":{"strategy":{"type":"RollingUpdate"}}}' >/dev/null

# ---- a full quota
k -n back create quota full --hard=pods=2 >/dev/null
full() { [[ $(k -n back get quota full -o jsonpath='{.status.used.pods}') == 2 ]]; }
wait_for 20 full || true
codops deploy test v1.1.0 --dry-run
expect "a quota without room is told before" "$rc $(said 'ResourceQuota "full" has no room.*maxUnavailable: 1')" "0 1"
k -n back delete quota full >/dev/null

# ---- a claim that can't change
claim() { printf 'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data, namespace: back }\nspec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: %s } } }\n' "$1" >k8s/claim.yaml; }
claim 2Gi
codops deploy test v1.1.0
expect "a claim" "$rc" 0
claim 1Gi
codops deploy test v1.1.0
expect "no hint deletes its data" "$rc $(said 'deletes its data with it') $(said 'kubectl.* delete')" "1 1 0"
rm k8s/claim.yaml

# ---- a Job that ended
job() { printf 'apiVersion: batch/v1\nkind: Job\nmetadata: { name: seed, namespace: back }\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{ name: c, image: "codops-demo/frontend:${VERSION}", command: [echo, hi] }]\n' >k8s/job.yaml; }
job
ended() { [[ $(k -n back get job seed -o jsonpath='{.status.succeeded}') == 1 ]]; }
codops deploy test v1.1.0
expect "a Job of the release" "$rc" 0
wait_for 20 ended || true
uid() { k -n back get job seed -o jsonpath='{.metadata.uid}'; }
first=$(uid)
codops deploy test v1.0.0 --dry-run
expect "the plan says that it is made anew" "$rc $(said 'has ended and what it runs changes')" "0 1"
codops deploy test v1.0.0
expect "it is" "$rc $([[ $(uid) != "$first" ]] && echo another)" "0 another"
codops rollback test
expect "and no rollback fails by it" "$rc $(k -n back get job seed -o jsonpath='{.spec.template.spec.containers[0].image}')" "0 codops-demo/frontend:v1.1.0"
CODOPS_TEST_KILL=before:rollout "$CODOPS" deploy test v1.0.0 >"$WORK/out.txt" 2>&1 || true
codops resume test
expect "nor an undo" "$rc $(k -n back get job seed -o jsonpath='{.spec.template.spec.containers[0].image}')" "0 codops-demo/frontend:v1.1.0"

# ---- what the cluster says is quoted without the release's secrets
rm k8s/job.yaml
cp k8s/web.yaml "$WORK/web.yaml"
printf 'apiVersion: v1\nkind: Secret\nmetadata: { name: creds, namespace: back }\nstringData: { KEY: frontend-SEKRET4711 }\n' >k8s/secret.yaml
sed -i 's|image: codops-demo/frontend:.*|image: codops-demo/frontend-SEKRET4711:v1|; s|^    metadata: { labels: { app: web } }|    metadata: { labels: { app: web }, annotations: { codops.test/state: image-pull } }|' k8s/web.yaml
sed -i 's|frontend-SEKRET4711:v1|frontend-SEKRET4711:${VERSION}|' k8s/web.yaml
rc=0
"$CODOPS" deploy test v1.2.0 -o json --progress json >"$WORK/out.json" 2>"$WORK/err.txt" </dev/null || rc=$?
expect "it fails, with words" "$rc $(grep -c 'have its image' "$WORK/err.txt" | sed 's/[1-9][0-9]*/some/')" "1 some"
"$CODOPS" history test --logs -o json >"$WORK/history.json" 2>&1 || true
expect "none of them is the secret" "$(grep -h 'have its image' "$WORK/err.txt" "$WORK/out.json" "$WORK/history.json" | grep -c SEKRET4711)" 0
cp "$WORK/web.yaml" k8s/web.yaml
rm k8s/secret.yaml

# ---- a restart is no release to go back from
codops restart test
expect "no line that leads elsewhere" "$rc $(said 'back: ')" "0 0"
finish
