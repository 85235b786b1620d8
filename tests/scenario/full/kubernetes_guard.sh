#!/usr/bin/env bash
# What must not happen silently: objects of another project, a namespace that can't be known, objects that are being deleted, missing rights,
# runs that nobody waits for, a `down` that dies.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --fake 1
kube_tiny "$WORK/tiny" tiny
codops_says() { rc=0; "$CODOPS" "$@" >"$WORK/out.txt" 2>&1 || rc=$?; }
said() { words "$WORK/out.txt" | grep -cE -- "$1" || true; }
works() { codops_says "${@:2}"; if ((rc == 0)); then pass "$1"; else fail "$1" "exit $rc: $(tail -n 6 "$WORK/out.txt")"; fi; }
killed() { { CODOPS_TEST_KILL=$1 "$CODOPS" "${@:2}" >"$WORK/killed.txt" 2>&1; } 2>/dev/null || true; }
entries() { "$CODOPS" history test -o json | jq -c "[.entries[] | $1]"; }

# ---- rights, told together and before the lock
k create namespace tiny >/dev/null
k -n tiny create serviceaccount weak >/dev/null
cat >"$WORK/role.yaml" <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: weak, namespace: tiny }
rules:
  - { apiGroups: [""], resources: [namespaces, secrets, configmaps, services, events, pods], verbs: ["*"] }
  - { apiGroups: [coordination.k8s.io], resources: [leases], verbs: ["*"] }
  - { apiGroups: [policy], resources: [poddisruptionbudgets], verbs: ["*"] }
  - { apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [list] }
  - { apiGroups: [apps], resources: [replicasets], verbs: [get, list, watch] }
YAML
k apply -f "$WORK/role.yaml" >/dev/null
k -n tiny create rolebinding weak --role=weak --serviceaccount=tiny:weak >/dev/null
weak=$WORK/weak.kubeconfig
cp "$KUBECONFIG" "$weak"
token=$(k -n tiny create token weak)
"$SUPPORT/kube.sh" kubectl "$kube_dir" --kubeconfig "$weak" config set-credentials weak --token="$token" >/dev/null
"$SUPPORT/kube.sh" kubectl "$kube_dir" --kubeconfig "$weak" config set-context --current --user=weak >/dev/null
strong=$KUBECONFIG
KUBECONFIG=$weak codops_says deploy test v1.0.0
expect "what is missing is told in one piece" "$rc $(said 'does not allow: create, get, list, patch deployments.apps in tiny') $(said 'a Role in tiny')" "1 1 1"
expect "before the lock" "$(k -n tiny get leases,secrets -o name)" ""
sed -i 's/resources: \[replicasets\], verbs: .*/resources: [replicasets, deployments], verbs: ["*"] }/' "$WORK/role.yaml"
k apply -f "$WORK/role.yaml" >/dev/null
export KUBECONFIG=$weak
works "a Role in the namespace is enough, with the Namespace among the manifests" deploy test v1.0.0
works "and for the next version" deploy test v1.1.0
codops_says exec test web -- true
expect "a subresource is named in the hint" "$rc $(said 'a Role in tiny of your user needs it: (get|create) "pods/exec"')" "1 1"
export KUBECONFIG=$strong

# ---- another project's objects
mkdir -p "$WORK/other/k8s"
cat >"$WORK/other/k8s/c.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: { name: web-config, namespace: tiny }
data: { GREETING: stolen }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: fresh, namespace: tiny }
spec:
  replicas: 0
  selector: { matchLabels: { app: fresh } }
  template: { metadata: { labels: { app: fresh } }, spec: { containers: [{ name: c, image: "x:${VERSION}" }] } }
YAML
printf 'project: other\nmonitor: 1s\nenvironments: { prod: {} }\n' >"$WORK/other/codops.yaml"
before=$(kube_print tiny)
cd "$WORK/other"
codops_says deploy prod v1.0.0
expect "they are refused by name, with whose they are" "$rc $(said 'configmap/web-config belongs to the environment "test" of project "tiny" \(namespace tiny\)') $(said 'force-conflicts')" "1 1 1"
codops_says deploy prod v1.0.0 --dry-run
expect "the dry run says so too" "$rc $(said 'configmap/web-config belongs to')" "1 1"
expect "nothing was changed" "$(diff <(echo "$before") <(kube_print tiny))" ""
works "--force-conflicts takes them" deploy prod v1.0.0 --force-conflicts
expect "they are the other's" "$(k -n tiny get configmap web-config -o jsonpath='{.data.GREETING}')" stolen
cd "$WORK/tiny"
codops_says rollback test
expect "a rollback does not take them back silently" "$rc $(said 'belongs to the environment "prod" of project "other"')" "1 1"
cp k8s/web.yaml "$WORK/web.yaml"
# The manifests without the ConfigMap: its document, and who reads it.
awk 'BEGIN { RS = "---\n"; ORS = "" } !/kind: ConfigMap/ { print separator $0; separator = "---\n" }' "$WORK/web.yaml" | sed '/envFrom:/d' >k8s/web.yaml
works "the first project without it" deploy test v1.1.0
expect "prune leaves what is another's" "$(k -n tiny get configmap web-config -o jsonpath='{.data.GREETING}')" stolen
cd "$WORK/other"
works "the other one goes" down prod --yes
cd "$WORK/tiny"
cp "$WORK/web.yaml" k8s/web.yaml
works "and all is the first one's again" deploy test v1.1.0

# ---- a namespace that can't be known
printf 'kind: [\n' >k8s/broken.yaml
for verb in status history "down --yes"; do
  # shellcheck disable=SC2086 # words
  codops_says ${verb%% *} test ${verb#"${verb%% *}"}
  expect "a broken manifest stops $verb" "$rc $(said 'k8s/broken.yaml')" "78 1"
done
CODOPS_KUBERNETES_NAMESPACE='' codops_says status test --set kubernetes.namespace=tiny
expect "with the namespace in the settings it is not read" "$(said 'release') $(said broken.yaml)" "1 0"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: far, namespace: elsewhere }\ndata: { a: b }\n' >k8s/broken.yaml
codops_says status test
expect "a second namespace does not move the state" "$(said 'v1.1.0 +release')" 1
rm k8s/broken.yaml

# ---- what is being deleted
k -n tiny patch configmap web-config --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}' >/dev/null
k -n tiny delete configmap web-config --wait=false >/dev/null
old=$(k -n tiny get configmap web-config -o jsonpath='{.metadata.uid}' || true)
codops_says deploy test v1.0.0 --dry-run
expect "the plan says what is being deleted" "$rc $(said 'configmap/web-config was being deleted \(finalizers: example.com/hold\)')" "0 1"
"$CODOPS" deploy test v1.0.0 >"$WORK/waits.txt" 2>&1 &
waits=$!
wait_for 20 grep -q 'waiting until it is gone' "$WORK/waits.txt" || true
k -n tiny patch configmap web-config --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null
rc=0; wait "$waits" || rc=$?
expect "a deploy waits for it, and says for what" "$rc $(words "$WORK/waits.txt" | grep -c 'first: example.com/hold' || true)" "0 1"
new=$(k -n tiny get configmap web-config -o jsonpath='{.metadata.uid}{.metadata.deletionTimestamp}' || true)
if [[ -n $new && $new != "$old" ]]; then pass "and makes it anew"; else fail "and makes it anew" "$new"; fi

# ---- undone exactly: kubectl's memory, another manager's fields
k -n tiny delete configmap web-config >/dev/null
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web-config, namespace: tiny, labels: { team: blue } }\ndata: { GREETING: by kubectl }\n' | k apply -f - >/dev/null
k -n tiny label service web team=red --field-manager=somebody >/dev/null
sed -i '/^kind: Service/,/^spec/ s/^metadata: { name: web, namespace: tiny }$/metadata: { name: web, namespace: tiny, labels: { team: ours } }/' k8s/web.yaml
managed() { k -n tiny get configmap/web-config service/web -o json --show-managed-fields | jq -c '.items[] | [.metadata.labels, .metadata.annotations, [.metadata.managedFields[] | select(.subresource == null) | [.manager, .operation, .fieldsV1]]]'; }
before=$(kube_print tiny; managed)
killed before:rollout deploy test v1.1.0 --force-conflicts
expect "it had changed" "$(k -n tiny get service web -o jsonpath='{.metadata.labels.team}')" ours
works "abort" abort test
expect "annotation, label and owners are as before" "$(diff <(echo "$before") <(kube_print tiny; managed) | cut -c1-600)" ""

# ---- Recreate where pods were rolled
sed -i 's/^  replicas: 2$/  replicas: 2\n  strategy: { type: Recreate }/' k8s/web.yaml
works "from rolling pods to Recreate" deploy test v1.1.0 --allow-downtime --force-conflicts
works "and back" rollback test --allow-downtime

# ---- a client that dies, a server that hangs. kwok ends a Job's pod at once: stopped, it leaves it alone
kwok() { [[ ! -e $kube_dir/kwok.pid ]] || kill "$1" "$(cat "$kube_dir/kwok.pid")"; }
clean_up() { kwok -CONT; kube_down; }
kwok -STOP
"$CODOPS" run test web -- sleep 1000 >"$WORK/run.txt" 2>&1 &
client=$!
wait_for 20 eval '[[ -n $(k -n tiny get jobs -o name) ]]' || true
wait_for 20 eval '[[ -n $(k -n tiny get pods -l codops.dev/run=tiny -o name) ]]' || true
"$SUPPORT/kube.sh" pause-server "$kube_dir"
start=$SECONDS
kill -TERM "$client" # a shell without job control has its children ignore SIGINT
rc=0; wait "$client" || rc=$?
took=$((SECONDS - start))
"$SUPPORT/kube.sh" resume-server "$kube_dir"
expect "SIGTERM of a run with a server that hangs" "$rc $((took <= 7))" "143 1"
k -n tiny delete jobs --all >/dev/null
codops_says run test web --timeout 4s -- sleep 1000
expect "a run beyond its time says that" "$rc $(said 'had not ended') $(said 'API server')" "124 1 0"
kwok -CONT
killed before:rollout deploy test v1.0.0
"$SUPPORT/kube.sh" pause-server "$kube_dir"
"$CODOPS" restart test web >"$WORK/restart.txt" 2>&1 &
client=$!
sleep 1 # into its first question, which nobody answers
start=$SECONDS
kill -TERM "$client"
rc=0; wait "$client" || rc=$?
took=$((SECONDS - start))
"$SUPPORT/kube.sh" resume-server "$kube_dir"
expect "SIGTERM of a restart with a server that hangs" "$rc $((took <= 7))" "143 1"
works "the next command recovers" resume test

# ---- a run that nobody waits for
kwok -STOP
wait_active() { [[ $(k -n tiny get jobs -l codops.dev/run=tiny -o jsonpath='{.items[0].status.active}') == 1 ]]; }
"$CODOPS" run test web -- sleep 1000 >"$WORK/run.txt" 2>&1 &
client=$!
wait_for 20 eval '[[ -n $(k -n tiny get jobs -l codops.dev/run=tiny -o name) ]]' || true
kill -KILL "$client"
wait "$client" 2>/dev/null || true
wait_for 20 wait_active || true
codops_says status test
expect "status names it" "$(said 'nobody waits for it: kubectl -n tiny delete job codops-run-web')" 1
kwok -CONT

# ---- down: what it takes along, a death in it, the namespace
killed in:remove down test --yes
codops_says status test
expect "status tells of a down that died" "$(said 'unfinished +down')" 1
works "the next command finishes it" resume test
expect "nothing is left, and it is on record" "$(kube_print tiny | jq -r 'select(.metadata.name != "default" and .metadata.name != "kube-root-ca.crt" and .metadata.name != "weak") | .kind + "/" + .metadata.name')$(k -n tiny get jobs -o name) $(entries .action | jq -r '.[-1]')" " down"
mkdir -p "$WORK/plain/k8s"
cd "$WORK/plain"
k create namespace plain >/dev/null
printf 'project: plain\nmonitor: 1s\nenvironments: { test: { kubernetes: { namespace: plain } } }\n' >codops.yaml
cat >k8s/c.yaml <<'YAML'
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  replicas: 0
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { containers: [{ name: c, image: "x:${VERSION}" }] }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }
YAML
works "a project in a namespace that it does not define" deploy test v1.0.0
works "down with the claims" down test --volumes --yes
expect "returns once they are gone" "$(k -n plain get persistentvolumeclaims -o name)" ""
works "down with the namespace" down test --namespace --yes
expect "it goes" "$(k get namespace plain -o jsonpath='{.metadata.deletionTimestamp}' 2>/dev/null | grep -c . || k get namespace plain -o name 2>&1 | grep -c NotFound)" 1
sed -i 's/namespace: plain/namespace: default/' codops.yaml
codops_says down test --namespace --yes
expect "Kubernetes' own namespace is refused" "$rc $(said "Kubernetes' own")" "64 1"
finish
