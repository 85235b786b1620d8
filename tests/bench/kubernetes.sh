#!/usr/bin/env bash
# Beside kubectl (and helm, where it is installed) in one run: applying 200 objects, a second time with nothing to do, status, and the time from a
# crash loop to the verdict. The pods are kwok's. Figures are medians of three; a limit that is missed is a failed case.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
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

ours=() theirs=() helms=()
for round in 1 2 3; do
  many "$WORK/k" "k$round" a; k create namespace "k$round" >/dev/null
  theirs+=("$(ms k apply --server-side --field-manager=bench -f "$WORK/k/k8s/many.yaml")")
  many "$WORK/o$round" "o$round" a; web "$WORK/o$round" "o$round"; k create namespace "o$round" >/dev/null
  cd "$WORK/o$round"
  ours+=("$(ms "$CODOPS" deploy test v1)")
  if command -v helm >/dev/null; then
    mkdir -p "$WORK/h/templates"; many "$WORK/m" "h$round" a; k create namespace "h$round" >/dev/null
    printf 'apiVersion: v2\nname: many\nversion: 0.1.0\n' >"$WORK/h/Chart.yaml"
    sed '/^kind: Namespace$/,/^---$/d; 1d' "$WORK/m/k8s/many.yaml" >"$WORK/h/templates/many.yaml"
    helms+=("$(ms helm --kubeconfig "$KUBECONFIG" upgrade --install many "$WORK/h" -n "h$round")")
  fi
done
echo "  200 new objects: codops ${ours[*]} ms, kubectl apply --server-side ${theirs[*]} ms, helm ${helms[*]:-not here} ms"
at_most "200 objects, of kubectl's time" "$(awk "BEGIN { printf \"%.2f\", $(median "${ours[@]}") / $(median "${theirs[@]}") }")" 0.7
if ((${#helms[@]} > 0)); then at_most "200 objects, of helm's time" "$(awk "BEGIN { printf \"%.2f\", $(median "${ours[@]}") / $(median "${helms[@]}") }")" 0.4; fi

ours=() theirs=() status=()
cd "$WORK/o3"
"$CODOPS" config manifests test v1 >"$WORK/rendered.json"
for round in 1 2 3; do
  ours+=("$(ms "$CODOPS" deploy test v1)")
  theirs+=("$(ms k diff --server-side --field-manager=codops -f "$WORK/rendered.json")")
  status+=("$(ms "$CODOPS" status test)")
done
echo "  nothing to do: codops ${ours[*]} ms, kubectl diff --server-side ${theirs[*]} ms; status ${status[*]} ms"
at_most "nothing to do, of kubectl diff's time" "$(awk "BEGIN { printf \"%.2f\", $(median "${ours[@]}") / $(median "${theirs[@]}") }")" 0.7
at_most "status, ms" "$(median "${status[@]}")" 60

web "$WORK/o3" o3 'codops.test/state: crash'
began=$SECONDS
rc=0; "$CODOPS" deploy test v2 >"$WORK/crash.txt" 2>&1 || rc=$?
verdict=$((SECONDS - began))
k -n o3 patch deployment web -p '{"spec":{"template":{"metadata":{"annotations":{"codops.test/state":"crash"}}}}}' >/dev/null
began=$SECONDS
k -n o3 rollout status deployment/web --timeout=30s >/dev/null 2>&1 || true
echo "  a crash loop: codops says so and is back after $verdict s (exit $rc), kubectl rollout status gives up after $((SECONDS - began)) s of its 30"
at_most "the verdict on a crash loop, with the way back, s" "$verdict" 10
expect "and its exit code" "$rc" 1
finish
