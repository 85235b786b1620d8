#!/usr/bin/env bash
# kill -9 at every journalled point of a deploy and of a rollback; then the next command: one complete release, nothing left, nothing to do twice.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
clean_up() { kube_down; }
need_kube --node
kube_tiny "$WORK/tiny" tiny
cat >k8s/extra.yaml <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: { name: extra, namespace: tiny }
data: { a: b }
YAML

served() { kube_serves tiny "$(serving)"; }
fingerprint() { kube_print tiny; "$CODOPS" history test -o json | jq -c '[.entries[] | [.number, .result]]'; }
converged() { # VERSION
  local said got
  said=$("$CODOPS" status test --check -o json 2>&1) || { echo "status --check: $said"; return 1; }
  got=$(kube_serves tiny "$1")
  [[ $got == "$1 " ]] || { echo "$got is served, not $1"; return 1; }
  [[ -z $(k -n tiny get lease -o name) ]] || { echo "a lease is left"; return 1; }
  got=$(k -n tiny get deployment web -o json --show-managed-fields | jq -c '[.metadata.managedFields[].manager] | map(select(. == "codops-window"))')
  [[ $got == "[]" ]] || { echo "a window is left"; return 1; }
  got=$(k -n tiny get configmap extra -o name --ignore-not-found)
  case $1 in
    v1.0.0) [[ $got == configmap/extra ]] || { echo "extra is missing"; return 1; } ;;
    *) [[ -z $got ]] || { echo "extra is left"; return 1; } ;;
  esac
  got=$("$CODOPS" history test -o json | jq -c '[.broken, ([.journals[] | select(.ended | not)] | length)]')
  [[ $got == "[[],0]" ]] || { echo "history: $got"; return 1; }
}
"$CODOPS" deploy test v1.0.0 >"$WORK/first.txt" 2>&1 || { fail "the first deploy" "$(tail -n 5 "$WORK/first.txt")"; finish; }
mv k8s/extra.yaml "$WORK/extra.yaml"  # v1.1.0 has no such object: it is pruned

before_deploy() { # back to v1.0.0 with its extra object
  [[ $(serving) == v1.0.0 ]] || "$CODOPS" rollback test --to v1.0.0 >"$WORK/back.txt" 2>&1 || fail "back" "$(tail -n 5 "$WORK/back.txt")"
}
for point in $(points_of deploy test v1.1.0); do
  before_deploy
  strike "$point" "deploy, $point" deploy test v1.1.0
done
for point in before:apply:TERM before:rollout:TERM before:prune:TERM; do
  before_deploy
  strike "$point" "deploy, $point" deploy test v1.1.0
done
for point in before:apply before:rollout after:rollout before:settle before:record after:record; do
  [[ $(serving) == v1.1.0 ]] || "$CODOPS" deploy test v1.1.0 >"$WORK/up.txt" 2>&1 || fail "up" "$(tail -n 5 "$WORK/up.txt")"
  strike "$point" "rollback, $point" rollback test --to v1.0.0
done
expect "every cell ($matrix_cells) converged" "$matrix_bad" 0
finish
