#!/usr/bin/env bash
# Beside kubectl (and helm, where it is installed) in one run: applying 200 objects, a second time with nothing to do, status, the time from a crash
# loop to the verdict, and the memory that a rollout beside 5,000 pods takes. The pods are kwok's. Figures are medians of three; a limit that is
# missed is a failed case.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
unset CODOPS_TEST_KUBE # a cluster of its own: with a real node, the pods would want real images
need_kube --fake 1

many() { # DIR NAMESPACE VALUE
  local i
  mkdir -p "$1/k8s"
  {
    printf 'apiVersion: v1\nkind: Namespace\nmetadata: { name: %s }\n' "$2"
    for i in $(seq 100); do
      printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: c%s, namespace: %s }\ndata: { value: "%s" }\n' "$i" "$2" "$3"
      printf -- '---\napiVersion: v1\nkind: Service\nmetadata: { name: s%s, namespace: %s, labels: { value: "%s" } }\nspec: { selector: { app: s%s }, ports: [{ port: 80 }] }\n' "$i" "$2" "$3" "$i"
    done
  } >"$1/k8s/many.yaml"
  printf 'project: %s\nmonitor: 0s\nenvironments: { test: {} }\n' "$2" >"$1/codops.yaml"
}
nightly() { # DIR NAMESPACE: what the version stands in, with nothing to wait for
  cat >>"$1/k8s/many.yaml" <<YAML
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly, namespace: $2 }
spec:
  schedule: "0 3 * * *"
  suspend: true
  jobTemplate: { spec: { template: { spec: { restartPolicy: Never, containers: [{ name: nightly, image: "web:\${VERSION}" }] } } } }
YAML
}
web() { # DIR NAMESPACE [ANNOTATIONS]
  cat >"$1/k8s/web.yaml" <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: $2 }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web }, annotations: { ${3:-note: none} } }
    spec: { containers: [{ name: web, image: "web:\${VERSION}" }] }
YAML
}
ms() { # COMMAND...: its wall time
  local began=${EPOCHREALTIME/./}
  "$@" >"$WORK/timed.out" 2>&1 || { tail -n 5 "$WORK/timed.out" >&2; return 1; }
  echo $(((${EPOCHREALTIME/./} - began) / 1000))
}
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }
at_most() { # NAME GOT LIMIT
  echo "  $1: $2 (at most $3)"
  if awk "BEGIN { exit !($2 <= $3) }"; then pass "$1: $2"; else fail "$1" "$2 is over $3"; fi
}

# The server grows slower with each Service that there is: every round leaves as many behind as it found.
gone() { k delete namespace "$1" --wait >/dev/null; }

ours=() applied=() theirs=() helms=() waited=()
ours2=() theirs2=() helms2=() # every one of them changed
for round in 1 2 3; do
  many "$WORK/k" "k$round" a; nightly "$WORK/k" "k$round"; k create namespace "k$round" >/dev/null
  theirs+=("$(ms k apply --server-side --field-manager=bench -f "$WORK/k/k8s/many.yaml")")
  many "$WORK/k" "k$round" b; nightly "$WORK/k" "k$round"
  theirs2+=("$(ms k apply --server-side --field-manager=bench -f "$WORK/k/k8s/many.yaml")")
  gone "k$round"
  many "$WORK/o$round" "o$round" a; nightly "$WORK/o$round" "o$round"; k create namespace "o$round" >/dev/null
  cd "$WORK/o$round"
  ours+=("$(ms "$CODOPS" deploy test v1 -o json)")
  applied+=("$(grep -h '^{' "$WORK/timed.out" | jq '.steps[] | select(.name == "apply") | .seconds * 1000 | floor')")
  many "$WORK/o$round" "o$round" b; nightly "$WORK/o$round" "o$round"
  ours2+=("$(ms "$CODOPS" deploy test v2)")
  gone "o$round"
  many "$WORK/w$round" "w$round" a; web "$WORK/w$round" "w$round"; k create namespace "w$round" >/dev/null
  cd "$WORK/w$round"
  waited+=("$(ms "$CODOPS" deploy test v1)")
  if ((round < 3)); then gone "w$round"; fi
  if command -v helm >/dev/null; then
    mkdir -p "$WORK/h/templates"; many "$WORK/m" "h$round" a; nightly "$WORK/m" "h$round"; k create namespace "h$round" >/dev/null
    printf 'apiVersion: v2\nname: many\nversion: 0.1.0\n' >"$WORK/h/Chart.yaml"
    sed '/^kind: Namespace$/,/^---$/d; 1d' "$WORK/m/k8s/many.yaml" >"$WORK/h/templates/many.yaml"
    helms+=("$(ms helm --kubeconfig "$KUBECONFIG" upgrade --install many "$WORK/h" -n "h$round")")
    many "$WORK/m" "h$round" b; nightly "$WORK/m" "h$round"
    sed '/^kind: Namespace$/,/^---$/d; 1d' "$WORK/m/k8s/many.yaml" >"$WORK/h/templates/many.yaml"
    helms2+=("$(ms helm --kubeconfig "$KUBECONFIG" upgrade many "$WORK/h" -n "h$round")")
    gone "h$round"
  fi
done
echo "  200 new objects: codops ${ours[*]} ms (its step apply ${applied[*]} ms; with a Deployment that is waited for ${waited[*]} ms), kubectl apply --server-side ${theirs[*]} ms, helm ${helms[*]:-not here} ms"
echo "  the same, each of them changed: codops ${ours2[*]} ms, kubectl apply --server-side ${theirs2[*]} ms, helm upgrade ${helms2[*]:-not here} ms"
of() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }
at_most "200 new objects, of kubectl's time" "$(of "$(median "${ours[@]}")" "$(median "${theirs[@]}")")" 0.7
at_most "200 changed objects, of kubectl's time" "$(of "$(median "${ours2[@]}")" "$(median "${theirs2[@]}")")" 0.7
if ((${#helms[@]} > 0)); then
  # An installation is mostly the servers' own work, which is everybody's: told, without a bar.
  echo "  200 new objects, of helm upgrade --install's time: $(of "$(median "${ours[@]}")" "$(median "${helms[@]}")")"
  at_most "200 changed objects, of helm upgrade's time" "$(of "$(median "${ours2[@]}")" "$(median "${helms2[@]}")")" 0.4
fi

ours=() theirs=() status=()
cd "$WORK/w3"
"$CODOPS" config manifests test v1 >"$WORK/rendered.json"
for _ in 1 2 3; do
  ours+=("$(ms "$CODOPS" deploy test v1)")
  theirs+=("$(ms k diff --server-side --field-manager=codops -f "$WORK/rendered.json")")
  status+=("$(ms "$CODOPS" status test)")
done
echo "  nothing to do: codops ${ours[*]} ms, kubectl diff --server-side ${theirs[*]} ms; status ${status[*]} ms"
at_most "nothing to do, of kubectl diff's time" "$(awk "BEGIN { printf \"%.2f\", $(median "${ours[@]}") / $(median "${theirs[@]}") }")" 0.7
at_most "status, ms" "$(median "${status[@]}")" 60

web "$WORK/w3" w3 'codops.test/state: crash'
began=$SECONDS
rc=0; "$CODOPS" deploy test v2 >"$WORK/crash.txt" 2>&1 || rc=$?
verdict=$((SECONDS - began))
k -n w3 patch deployment web -p '{"spec":{"template":{"metadata":{"annotations":{"codops.test/state":"crash"}}}}}' >/dev/null
began=$SECONDS
k -n w3 rollout status deployment/web --timeout=30s >/dev/null 2>&1 || true
k -n w3 patch deployment web -p '{"spec":{"template":{"metadata":{"annotations":{"codops.test/state":null}}}}}' >/dev/null
echo "  a crash loop: codops says so and is back after $verdict s (exit $rc), kubectl rollout status gives up after $((SECONDS - began)) s of its 30"
if command -v helm >/dev/null; then
  mkdir -p "$WORK/crash/k8s" "$WORK/crash/templates"; web "$WORK/crash" w3 'codops.test/state: crash'
  sed 's/${VERSION}/v2/; s/app: web/app: helms/g; s/name: web,/name: helms,/' "$WORK/crash/k8s/web.yaml" >"$WORK/crash/templates/web.yaml"
  printf 'apiVersion: v1\nname: crash\nversion: 0.1.0\n' >"$WORK/crash/Chart.yaml"
  began=$SECONDS
  helm --kubeconfig "$KUBECONFIG" upgrade --install crash "$WORK/crash" -n w3 --wait --timeout 30s >/dev/null 2>&1 || true
  echo "  helm upgrade --wait gives up after $((SECONDS - began)) s of its 30"
  helm --kubeconfig "$KUBECONFIG" uninstall crash -n w3 >/dev/null 2>&1 || true
fi
at_most "the verdict on a crash loop, with the way back, s" "$verdict" 10
expect "and its exit code" "$rc" 1

# Five thousand pods beside a rollout, on the fake node: what is held of them, in all of the process.
web "$WORK/w3" w3
node=$(k get nodes -o name | sed -n 's|^node/||; /fake\|kwok/p' | head -n 1)
crowd() { # PART: 1,250 of them
  local i
  for i in $(seq 1250); do
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: { name: crowd-%s-%s, namespace: w3, labels: { app: crowd } }\nspec: { nodeName: %s, containers: [{ name: crowd, image: "crowd:1" }] }\n' "$1" "$i" "$node"
  done | k create -f - >/dev/null
}
pids=()
for part in 1 2 3 4; do crowd "$part" & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid"; done
python3 -c 'import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)' \
  "$CODOPS" deploy test v3 >"$WORK/crowd.txt" 2>&1 || fail "a deploy beside 5,000 pods" "$(tail -n 5 "$WORK/crowd.txt")"
expect "five thousand pods are there" "$(k -n w3 get pods -l app=crowd --no-headers | wc -l)" 5000
at_most "a watch of 5,000 pods, MB" "$(($(sed -n 's/^peak //p' "$WORK/crowd.txt") / 1024))" 64
finish
