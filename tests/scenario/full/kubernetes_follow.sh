#!/usr/bin/env bash
# Services that change together with their pods, under load: they follow them, forward and back. And what an undo gives back: ports on the nodes, the
# window's fields. Jobs that tidy themselves up.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --node
kube_tiny "$WORK/tiny" tiny
codops() { rc=0; "$CODOPS" "$@" >"$WORK/out.txt" 2>&1 || rc=$?; }
said() { grep -cE -- "$1" "$WORK/out.txt" || true; }
port() { k -n tiny get service "${1:-web}" -o jsonpath='{.spec.ports[0].nodePort}'; }
plain() { k -n tiny get deployment web -o json | jq -S 'del(.metadata.resourceVersion, .metadata.generation, .status, .metadata.annotations["deployment.kubernetes.io/revision"])'; }
renamed() { # FROM TO: the Deployment, its pods, and what the Service leads to
  sed -i "s/app: $1 }/app: $2 }/g; /^kind: Deployment/,\$ s/metadata: { name: $1, /metadata: { name: $2, /" k8s/web.yaml
}
under_load() { # WHAT ARGS...
  load_start all --url "$url" --get-new 60 --get-keep 60 --post 0 --downloads 0 --websockets 0
  codops "${@:2}"
  load_stop all
  echo "  $1: exit $rc, $(load_value all .sent) requests in $(load_value all .seconds) s, $(load_value all .failed) failed: $(load_value all .reasons)"
  expect "$1: no request failed" "$(load_value all .failed)" 0
}

codops deploy test v1.0.0
expect "the first deploy" "$rc" 0
url=$(kube_url)
kube_serves tiny v1.0.0 >/dev/null
cp k8s/web.yaml "$WORK/web.yaml"

# ---- another name and other labels
renamed web shop
codops deploy test v1.1.0 --dry-run
expect "the plan shows the order, and no downtime" "$(grep -oE '^ +[0-9]+ +(apply|rollout|follow|prune)' "$WORK/out.txt" | awk '{ printf "%s ", $2 }') $(said downtime)" "apply rollout follow prune  0"
under_load "renamed" deploy test v1.1.0
expect "renamed" "$rc $(kube_serves tiny v1.1.0)" "0 v1.1.0 "
under_load "rolled back over the rename" rollback test
expect "rolled back" "$rc $(kube_serves tiny v1.0.0)" "0 v1.0.0 "
before=$(kube_print tiny)
sed -i 's/timeouts: .*/timeouts: { ready: 8s }/' codops.yaml
under_load "renamed, with an image that can't be had" deploy test v0.0.7
expect "a release that never was ready moved no traffic" "$rc $(said 'traffic never moved')" "1 1"
same() { diff <(echo "$before") <(kube_print tiny) >"$WORK/diff.txt" && echo same || cut -c1-300 "$WORK/diff.txt"; }
expect "and nothing is left of it" "$(same)" same
sed -i 's/timeouts: .*/timeouts: { ready: 30s }/' codops.yaml

# ---- undone after the Service had followed; died there; died after the old pods went
sed -i 's|test: {}|test: { front_door: { url: "http://127.0.0.1:9/" } }|' codops.yaml
under_load "a proof that fails" deploy test v1.1.0
expect "traffic had moved, and moved back" "$rc $(said 'undone +follow')" "5 1"
expect "everything is as it was" "$(same)" same
sed -i 's|test: {.*|test: {} }|' codops.yaml
CODOPS_TEST_KILL=after:follow "$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 || true
under_load "aborted" abort test
expect "everything is as it was, again" "$rc $(same)" "0 same"
CODOPS_TEST_KILL=before:follow "$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 || true
under_load "resumed" resume test
expect "undone by the next command as well" "$rc $(same)" "0 same"
CODOPS_TEST_KILL=after:prune "$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 || true
under_load "aborted after the old pods went" abort test
expect "the old pods are made anew first" "$rc $(kube_serves tiny v1.0.0)" "0 v1.0.0 "

# ---- another port of the same pods
cp "$WORK/web.yaml" k8s/web.yaml
sed -i 's/targetPort: 8080/targetPort: 8081/; s/containerPort: 8080/containerPort: 8081/; s/port: 8080/port: 8081/; s/^          imagePull/          command: [sh, -c, "exec sleep 1000"]\n&/' k8s/web.yaml
codops deploy test v1.1.0
expect "it is announced, and not done unasked" "$rc $(said 'this deploy has downtime: service/web: its port 80/TCP leads to 8081')" "1 1"
sed -i 's/timeouts: .*/timeouts: { ready: 8s }/' codops.yaml
under_load "a port that nobody ever answers at" deploy test v1.1.0 --allow-downtime
expect "traffic never moved" "$rc $(said 'traffic never moved')" "1 1"
sed -i 's/timeouts: .*/timeouts: { ready: 30s }/' codops.yaml

# ---- what the API server gave
cp "$WORK/web.yaml" k8s/web.yaml
had=$(port)
sed -i 's/  type: NodePort/  type: ClusterIP/' k8s/web.yaml
codops deploy test v0.0.7
expect "undone: the same port of the nodes" "$rc $(port)" "1 $had"
codops deploy test v1.1.0
expect "a release without it" "$rc $(port)" "0 "
codops rollback test
expect "rolled back: the same port of the nodes" "$rc $(port)" "0 $had"
cp "$WORK/web.yaml" k8s/web.yaml
cat >k8s/extra.yaml <<'YAML'
apiVersion: v1
kind: Service
metadata: { name: extra, namespace: tiny }
spec: { type: NodePort, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
YAML
codops deploy test v1.0.0
had=$(port extra)
address=$(k -n tiny get service extra -o jsonpath='{.spec.clusterIP}')
mv k8s/extra.yaml "$WORK/extra.yaml"
CODOPS_TEST_KILL=after:prune "$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 || true
codops abort test
expect "made anew: the same port and address" "$rc $(port extra) $(k -n tiny get service extra -o jsonpath='{.spec.clusterIP}')" "0 $had $address"
expect "which is no drift" "$("$CODOPS" status test | grep -c drift)" 0
codops deploy test v1.0.0
expect "the deploy that removes it" "$rc" 0

# ---- the window's fields, where others have a part in the object
sed -i 's/^monitor: .*/monitor: 5s/' codops.yaml
k -n tiny set env deployment/web THEIRS=1 >/dev/null
k -n tiny scale deployment/web --replicas=3 >/dev/null
k -n tiny rollout status deployment/web >/dev/null
before=$(plain)
differs() { diff <(echo "$before") <(plain) || true; }
codops deploy test v0.0.9 --force-conflicts
expect "an undo leaves no field of the window" "$((rc != 0)) $(differs)" "1 "
CODOPS_TEST_KILL=before:rollout "$CODOPS" deploy test v1.1.0 --force-conflicts >"$WORK/out.txt" 2>&1 || true
codops resume test
expect "nor does a resume" "$rc $(differs)" "0 "
sed -i 's/^monitor: .*/monitor: 1s/' codops.yaml

# ---- a Job that tidies itself up
k -n tiny set env deployment/web THEIRS- >/dev/null
k -n tiny rollout status deployment/web >/dev/null
cat >k8s/warm.yaml <<'YAML'
apiVersion: batch/v1
kind: Job
metadata: { name: warm, namespace: tiny }
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: warm, image: "codops-demo/frontend:v1.0.0", imagePullPolicy: IfNotPresent, command: ["true"] }]
YAML
codops deploy test v1.1.0 --force-conflicts
expect "it ends while the others roll" "$rc" 0
gone() { [[ -z $(k -n tiny get job warm -o name --ignore-not-found) ]]; }
wait_for 20 gone || true
codops status test --check
expect "which is healthy" "$rc $(said 'drift|removed') $(said 'job/warm +1/1 +healthy')" "0 0 1"
codops deploy test v1.1.0
expect "and no reason to run it again" "$rc $(said 'job/warm has run')" "0 0"
expect "no new release" "$("$CODOPS" status test -o json | jq .release)" "$("$CODOPS" history test -o json | jq '[.entries[].release] | max')"
sed -i 's/\["true"\]/[sleep, "600"]/; s/name: warm,/name: slow,/' k8s/warm.yaml
"$CODOPS" deploy test v1.1.0 >"$WORK/out.txt" 2>&1 &
held=$!
runs() { [[ $(k -n tiny get job slow -o jsonpath='{.status.active}' 2>/dev/null) == 1 ]]; }
wait_for 20 runs || true
k -n tiny delete job slow >/dev/null
rc=0; wait "$held" || rc=$?
expect "one that somebody removes before its end is a failure" "$((rc != 0)) $(($(said 'Deleted') > 0))" "1 1"
finish
