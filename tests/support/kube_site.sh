# shellcheck shell=bash
# A cluster and projects in it, for scenarios. Sourced after case.sh.
#
#   need_kube [--node]        takes CODOPS_TEST_KUBE, else starts one in $WORK/c (with the demo's images when it has a node), or ends the script with a
#                             skip; KUBECONFIG is set
#   k ARGS...                 that cluster's kubectl
#   kube_tiny DIR NAME [YAML] a project of one Deployment "web" behind a NodePort, in the namespace NAME; the environment is "test"; leaves
#                             the working directory in DIR. YAML goes into the container.
#   kube_image TAG            makes one more version of the demo, "v9.1.0-SWITCHES" as images.sh has it, and loads it into the node
#   kube_print NAMESPACE      every object of the namespace as its owner sees it, one line each: what codops' state, controllers and
#                             the server add is left out, but uids are in it
#   kube_serves NAMESPACE [VERSION]  versions that answer at the NodePort; with VERSION once it alone does, or after 15 s: the node learns of
#                             a new set of pods a moment after the API server, and pods that end go on serving until then

kube_dir="" kube_given=""
need_kube() {
  local why tags
  if ! why=$("$SUPPORT/kube.sh" why); then skip "kubernetes" "$why"; finish; fi
  if [[ ${1:-} == --node ]]; then need_engine; fi
  # The suite's own cluster (a machine has one real node at a time), or one that runs already: used, and left.
  if [[ -n ${CODOPS_TEST_KUBE:-} ]]; then
    kube_given=$CODOPS_TEST_KUBE kube_dir=$CODOPS_TEST_KUBE
    if [[ ${1:-} == --node && ! -e $kube_dir/kubelet.pid ]]; then skip "kubernetes" "this cluster has no real node"; finish; fi
  else
    kube_dir=$WORK/c
    if ! "$SUPPORT/kube.sh" up "$kube_dir" "$@" >"$WORK/kube-up.log" 2>&1; then
      fail "the cluster comes up" "$(tail -n 5 "$WORK/kube-up.log")"
      finish
    fi
  fi
  export KUBECONFIG=$kube_dir/admin.kubeconfig
  # In a cluster that has a real node pods want real images, whatever was asked for.
  if [[ ${1:-} == --node ]] || { [[ -n $kube_given && -e $kube_dir/kubelet.pid ]] && ! node_has codops-demo/frontend:v1.0.0; }; then
    mapfile -t tags < <(docker images --format '{{.Repository}}:{{.Tag}}' | grep -E '^codops-demo/(backend|frontend):v1\.[01]\.0$|^codops-demo/(postgres|redis):')
    ((${#tags[@]} == 0)) || kube_load "${tags[@]}"
  fi
}
node_has() { PATH=$PATH:/usr/sbin:/sbin ctr -a "$kube_dir/containerd.sock" -n k8s.io images ls -q | grep -c "/$1\$" >/dev/null; }
kube_load() { # IMAGE...
  docker save -o "$WORK/images.tar" "$@"
  "$SUPPORT/kube.sh" import "$kube_dir" "$WORK/images.tar" >"$WORK/import.log" 2>&1 || { fail "images load" "$(tail -n 3 "$WORK/import.log")"; return 1; }
  rm -f "$WORK/images.tar"
}
# The processes of the node hold the file descriptor of its lock: only `down` frees it. In a cluster that stays, the next script finds no
# namespace of this one.
kube_down() {
  if [[ -n $kube_given ]]; then [[ -z ${TINY:-} ]] || k delete namespace "$TINY" --ignore-not-found --wait >/dev/null 2>&1 || true
  elif [[ -n $kube_dir ]]; then "$SUPPORT/kube.sh" down "$kube_dir" >/dev/null 2>&1 || true; fi
}

k() { "$SUPPORT/kube.sh" kubectl "$kube_dir" "$@"; }

kube_image() { # TAG
  "$SUPPORT/images.sh" version "${DOCKER_HOST#unix://}" "$1" >&2
  kube_load "codops-demo/backend:$1" "codops-demo/frontend:$1" >&2
}

kube_tiny() { # DIR NAME [YAML]
  mkdir -p "$1/k8s"
  cd "$1" || return 1
  TINY=$2
  cat >k8s/web.yaml <<YAML
apiVersion: v1
kind: Namespace
metadata: { name: $2 }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web-config, namespace: $2 }
data: { GREETING: hello }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: $2 }
spec:
  type: NodePort
  selector: { app: web }
  ports: [{ port: 80, targetPort: 8080 }]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web, namespace: $2 }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: web } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: $2, labels: { app: web } }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: web
          image: codops-demo/frontend:\${VERSION}
          imagePullPolicy: IfNotPresent
          ports: [{ containerPort: 8080 }]
          envFrom: [{ configMapRef: { name: web-config } }]
          readinessProbe: { httpGet: { path: /healthz, port: 8080 }, periodSeconds: 1 }
          lifecycle: { preStop: { exec: { command: [sleep, "2"] } } }
$(sed 's/^/          /' <<<"${3:-}")
YAML
  cat >codops.yaml <<YAML
project: $2
monitor: 1s
timeouts: { ready: 30s }
environments: { test: {} }
YAML
}
kube_url() { echo "http://127.0.0.1:$(k -n "${1:-$TINY}" get service web -o jsonpath='{.spec.ports[0].nodePort}')"; }
kube_answers() { for _ in 1 2 3 4 5 6; do curl -fsS -m 5 "$(kube_url "$1")/version.json" | jq -r .version; done | sort -u | tr '\n' ' '; }
kube_serves() { # NAMESPACE [VERSION]
  local only="${2:-} "
  only_that() { [[ $(kube_answers "$1") == "$2" ]]; }
  [[ -z ${2:-} ]] || wait_for 15 only_that "$1" "$only" || true
  kube_answers "$1"
}

kube_print() { # NAMESPACE
  k -n "$1" get deployments,statefulsets,daemonsets,services,configmaps,secrets,poddisruptionbudgets,horizontalpodautoscalers,ingresses,serviceaccounts,roles,leases,persistentvolumeclaims -o json |
    jq -c '.items[] | select(.type != "codops.dev/state" and (.metadata.labels["applyset.kubernetes.io/id"] | not) and .kind != "Lease")
      | del(.status, .metadata.managedFields, .metadata.resourceVersion, .metadata.generation, .metadata.annotations["deployment.kubernetes.io/revision"])
      | if .metadata.annotations == {} then del(.metadata.annotations) else . end' | sort
}
