#!/usr/bin/env bash
# The demo application in Kubernetes, by its own k8s/: first release with its migration Job, the next one under load with orders, a backup through
# the database's pod, a migration that fails, back.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() {
  [[ -z ${kube_given:-} ]] || k delete namespace ecommerce-cod --wait=true >/dev/null 2>&1 || true
  [[ -z ${kube_given:-} ]] || k delete persistentvolume shop-data >/dev/null 2>&1 || true
  kube_down
}
need_kube --node
"$REPO/tests/app/prepare.sh" --into "$WORK/app" --env cluster >/dev/null
cd "$WORK/app"
# The cluster has no DNS and no storage of its own: Services get addresses that pods know by their hosts file, the claim a folder.
mkdir -p k8s-test "$WORK/pgdata" "$WORK/backups"
cat >k8s-test/kustomization.yaml <<'YAML'
resources: [../k8s]
patches:
  - target: { kind: Service, name: postgres }
    patch: '[{ op: replace, path: /spec/clusterIP, value: 10.96.77.10 }]'
  - target: { kind: Service, name: redis }
    patch: '[{ op: add, path: /spec/clusterIP, value: 10.96.77.11 }]'
  - target: { kind: Service, name: backend }
    patch: '[{ op: add, path: /spec/type, value: NodePort }, { op: add, path: /spec/ports/0/nodePort, value: 30300 }]'
  - target: { kind: Deployment, name: backend }
    patch: &hosts |
      - op: add
        path: /spec/template/spec/hostAliases
        value: [{ ip: 10.96.77.10, hostnames: [postgres] }, { ip: 10.96.77.11, hostnames: [redis] }]
  - target: { kind: Job, name: migrate }
    patch: *hosts
  # How busy this machine is is not what is tested.
  - target: { kind: Deployment, name: backend }
    patch: |
      - { op: add, path: /spec/template/spec/containers/0/readinessProbe/timeoutSeconds, value: 10 }
      - { op: add, path: /spec/template/spec/containers/0/livenessProbe/timeoutSeconds, value: 10 }
  - target: { kind: StatefulSet, name: postgres }
    patch: '[{ op: add, path: /spec/template/spec/containers/0/readinessProbe/timeoutSeconds, value: 10 }]'
YAML
cat >codops.cluster.yaml <<YAML
engine: kubernetes
project: shop
monitor: 2s
kubernetes: { manifests: k8s-test }
backup: { store: $WORK/backups, before_deploy: true }
YAML
k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: { name: shop-data }
spec: { capacity: { storage: 1Gi }, accessModes: [ReadWriteOnce], persistentVolumeReclaimPolicy: Retain, hostPath: { path: "$WORK/pgdata" } }
YAML
url=http://127.0.0.1:30300
orders() { "$CODOPS" exec cluster postgres -- psql -U shop -d shop -Atc 'SELECT count(*) FROM orders'; }
version() { curl -fsS -m 5 "$url/api/version" | jq -r .version; }
deploys() { # NAME EXIT VERSION ARGS...
  local rc=0
  "$CODOPS" deploy cluster "${@:3}" >"$WORK/deploy.txt" 2>&1 || rc=$?
  if ((rc == $2)); then pass "$1"; else fail "$1" "exit $rc, not $2: $(tail -n 15 "$WORK/deploy.txt")"; fi
}

deploys "the first release, with its database" 0 v1.0.0
check "the migration Job's output is shown" grep -q 'applying 2' "$WORK/deploy.txt"
check "it answers" wait_for 20 test "$(version)" = v1.0.0
load_start up --url "$url" --get-new 100 --get-keep 100 --post 20 --downloads 0 --websockets 0
deploys "the next release under load" 0 v1.1.0
check "a verified backup was taken before it" grep -qE 'backup .*verified' "$WORK/deploy.txt"
load_stop up
echo "  $(load_value up .sent) requests, reasons of failures: $(load_value up .reasons)"
expect "no request failed" "$(load_value up .failed)" 0
expect "every acknowledged order is there" \
  "$(orders)" "$(load_value up .orders_acknowledged)"
before=$(orders)
check "backup by its own verb" "$CODOPS" backup cluster --label good
check "it verifies" "$CODOPS" backup verify cluster good
"$CODOPS" exec cluster postgres -- psql -U shop -d shop -Atqc 'TRUNCATE orders CASCADE' >/dev/null
check "restore through the pod" "$CODOPS" restore cluster good --yes
expect "every order is back" "$(orders)" "$before"
check "and the application goes on" wait_for 20 curl -fsS -m 5 -o /dev/null "$url/api/version"
check "health-check finds workloads and the database" "$CODOPS" health-check cluster
if docker image inspect codops-demo/backend:v1.8.0-badmigration >/dev/null 2>&1 || "$SUPPORT/images.sh" version "${DOCKER_HOST#unix://}" v1.8.0-badmigration; then
  kube_load codops-demo/backend:v1.8.0-badmigration codops-demo/frontend:v1.8.0-badmigration
  deploys "a migration that fails" 1 v1.8.0-badmigration
  expect "the version before serves" "$(version)" v1.1.0
fi
rc=0; "$CODOPS" scale cluster frontend=4 >"$WORK/scale.txt" 2>&1 || rc=$?
expect "an autoscaler's business is refused" "$rc $(grep -c horizontalpodautoscaler "$WORK/scale.txt")" "64 1"
check "rollback" "$CODOPS" rollback cluster
expect "it serves" "$(version)" v1.0.0
finish
