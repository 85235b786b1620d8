#!/usr/bin/env bash
# Other hands in the cluster, and what dies in the middle: drift, replicas taken away, an image changed during the rollout, custom resources that leave,
# a Job that can't change, a migration that outlived its client, an API server that hangs at a signal.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { "$SUPPORT/kube.sh" resume-server "$kube_dir" 2>/dev/null || true; kube_down; }
need_kube --fake 1
kube_tiny "$WORK/tiny" tiny 'env: [{ name: DB_PASSWORD, value: Env-Passw0rd-888 }, { name: EMPTY, value: "" }]'
deploys() { rc=0; "$CODOPS" deploy test "$@" >"$WORK/out.txt" 2>&1 || rc=$?; }
checked() { rc=0; "$CODOPS" status test --check >"$WORK/status.txt" 2>&1 || rc=$?; }
image() { k -n tiny get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'; }

# ---- where there is no namespace
cp k8s/web.yaml "$WORK/whole.yaml"
sed -i '1,/^---$/d' k8s/web.yaml
deploys v1.0.0 --dry-run
expect "a dry run in a namespace that there is not fails as the deploy does" "$rc $(grep -c 'no namespace "tiny"' "$WORK/out.txt")" "78 1"
rc=0; "$CODOPS" rollback test >"$WORK/out.txt" 2>&1 || rc=$?
expect "so does a rollback" "$rc $(grep -c 'no namespace "tiny"' "$WORK/out.txt")" "78 1"
cp "$WORK/whole.yaml" k8s/web.yaml
deploys v1.0.0
expect "the first deploy" "$rc" 0
checked
expect "all is well, and nothing is drift" "$rc $(grep -c drift "$WORK/status.txt")" "0 0"

# ---- what somebody changed by hand
k -n tiny set env deployment/web DB_PASSWORD=another ADDED=1 >/dev/null
k -n tiny patch configmap web-config --type=merge -p '{"data":{"GREETING":"theirs"}}' >/dev/null
checked
expect "every change is drift" "$(grep -cE 'GREETING was changed|DB_PASSWORD was changed|ADDED was added' "$WORK/status.txt")" 3
expect "no value is shown" "$(grep -cE 'another|theirs|888' "$WORK/status.txt")" 0
deploys v1.0.0 --force-conflicts
k -n tiny set env deployment/web ADDED- >/dev/null
healthy() { "$CODOPS" status test --check >"$WORK/status.txt" 2>&1; }
wait_for 20 healthy || true
checked
expect "put right by a deploy" "$rc $(grep -c drift "$WORK/status.txt")" "0 0"
k -n tiny scale deployment web --replicas=0 >/dev/null
wait_for 20 eval '[[ -z $(k -n tiny get pods -l app=web -o name) ]]' || true
checked
expect "scaled to none is an outage" "$rc $(grep -c '0/2 *down' "$WORK/status.txt")" "2 1"
rc=0; "$CODOPS" health-check test >"$WORK/health.txt" 2>&1 || rc=$?
expect "for health-check as well" "$rc" 2
k -n tiny scale deployment web --replicas=2 >/dev/null
wait_for 20 eval '[[ $(k -n tiny get deployment web -o jsonpath="{.status.availableReplicas}") == 2 ]]' || true

# ---- somebody changes the image while codops waits for the pods
sed -i 's/^monitor: .*/monitor: 6s/' codops.yaml
"$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 &
held=$!
wait_for 20 eval '[[ $(image) == *:v1.1.0* ]]' || true
k -n tiny set image deployment/web web=other/x:y >/dev/null
rc=0; wait "$held" || rc=$?
expect "a stranger's image is no success" "$rc $(grep -c 'kubectl-set changed it during the rollout: container web: runs other/x:y' "$WORK/out.txt")" "5 1"
expect "what served before is put back" "$(image)" "codops-demo/frontend:v1.0.0"
# ---- a signal while the API server hangs
"$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 &
held=$!
wait_for 20 eval '[[ $(image) == *:v1.1.0* ]]' || true
"$SUPPORT/kube.sh" pause-server "$kube_dir"
began=$(date +%s%N)
kill -TERM "$held"
rc=0; wait "$held" || rc=$?
took=$((($(date +%s%N) - began) / 1000000))
"$SUPPORT/kube.sh" resume-server "$kube_dir"
expect "it ends with its own code" "$rc" 143
expect "within 8 s ($took ms)" "$((took < 8000))" 1
check "the next command recovers" "$CODOPS" resume test
expect "what served before serves" "$(image)" "codops-demo/frontend:v1.0.0"
checked
expect "and all is well" "$rc" 0
sed -i 's/^monitor: .*/monitor: 1s/' codops.yaml

# ---- a custom resource that leaves the manifests
cat >"$WORK/crd.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.hands.example.com }
spec:
  group: hands.example.com
  scope: Namespaced
  names: { plural: widgets, singular: widget, kind: Widget }
  versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }]
YAML
k apply -f "$WORK/crd.yaml" >/dev/null
k wait --for=condition=Established crd/widgets.hands.example.com --timeout=20s >/dev/null
printf 'apiVersion: hands.example.com/v1\nkind: Widget\nmetadata: { name: one, namespace: tiny }\nspec: { a: 1 }\n' >k8s/widget.yaml
deploys v1.1.0
((rc == 0)) || tail -n 8 "$WORK/out.txt"
expect "a custom resource is deployed" "$rc $(k -n tiny get widgets -o name)" "0 widget.hands.example.com/one"
rm k8s/widget.yaml
deploys v1.1.0
expect "and pruned with its manifest" "$rc $(k -n tiny get widgets -o name)" "0 "
k delete -f "$WORK/crd.yaml" >/dev/null

# ---- a Job that there is already
job() { # NAME ANNOTATIONS-OF-PODS ANNOTATIONS COMMAND
  printf 'apiVersion: batch/v1\nkind: Job\nmetadata: { name: %s, namespace: tiny, annotations: { %s } }\nspec:\n  template:\n    metadata: { annotations: { %s } }\n    spec:\n      restartPolicy: Never\n      containers: [{ name: job, image: "codops-demo/frontend:${VERSION}", command: [%s], env: [{ name: DB_PASSWORD, value: Env-Passw0rd-888 }] }]\n' "$1" "$3" "$2" "$4"
}
job once 'a: b' 'c: d' '"true"' >k8s/job.yaml
deploys v1.1.0
expect "a Job" "$rc" 0
deploys v1.0.0
expect "it has ended, and is made anew" "$rc $(k -n tiny get job once -o jsonpath='{.spec.template.spec.containers[0].image}')" "0 codops-demo/frontend:v1.0.0"
expect "what is in them is not shown" "$(grep -c 'Env-Passw0rd' "$WORK/out.txt")" 0
rm k8s/job.yaml

# ---- a migration whose client died: its image never comes, so it waits
job migrate 'codops.test/state: image-pull' 'codops.dev/phase: migrate' 'sleep, "600"' >k8s/job.yaml
"$CODOPS" deploy test v1.0.0 >"$WORK/out.txt" 2>&1 &
held=$!
wait_for 20 eval '[[ -n $(k -n tiny get pods -l codops.dev/migration=tiny -o name) ]]' || true
kill -KILL "$held"
wait "$held" 2>/dev/null || true
expect "it goes on alone" "$(k -n tiny get jobs -l codops.dev/migration=tiny -o name | wc -l)" 1
check "the next command ends it" "$CODOPS" resume test
expect "with its pods" "$(k -n tiny get jobs,pods -l codops.dev/migration=tiny -o name)" ""
rm k8s/job.yaml
checked
expect "and all is well at the end" "$rc" 0
finish
