# shellcheck shell=bash
# The demo application in the cluster of kube_site.sh, by its own k8s/. Sourced after case.sh.
#
#   kube_shop DIR [YAML]   the project in DIR, environment "cluster", working directory DIR; YAML is added to its settings. The backend answers
#                          at $SHOP_URL
#   kube_shop_down         for clean_up

# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
# shellcheck disable=SC2034 # for the scripts
SHOP_URL=http://127.0.0.1:30300

kube_shop() { # DIR [YAML]
  "$REPO/tests/app/prepare.sh" --into "$1" --env cluster >/dev/null
  cd "$1" || return 1
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
${2:-}
YAML
  k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: { name: shop-data }
spec: { capacity: { storage: 1Gi }, accessModes: [ReadWriteOnce], persistentVolumeReclaimPolicy: Retain, hostPath: { path: "$WORK/pgdata" } }
YAML
}
kube_shop_down() {
  [[ -z ${kube_given:-} ]] || k delete namespace ecommerce-cod --wait=true >/dev/null 2>&1 || true
  [[ -z ${kube_given:-} ]] || k delete persistentvolume shop-data >/dev/null 2>&1 || true
  kube_down
}
