#!/usr/bin/env bash
# Kubernetes with real pods: a release, its next one under load, releases that fail, runs that died, and what other tools see.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --node
kube_tiny "$WORK/tiny" tiny

# The verb's JSON in out.json, what it said in err.txt, its exit code in $rc.
run() { rc=0; "$CODOPS" "$@" -o json >"$WORK/out.json" 2>"$WORK/err.txt" || rc=$?; }
said() { jq -r "$1" "$WORK/out.json"; }
why() { tail -n 12 "$WORK/err.txt"; }
works() { run "${@:2}"; if ((rc == 0)); then pass "$1"; else fail "$1" "exit $rc: $(why)"; fi; }
# NAME EXIT PATTERN VERB...: it fails with that code, says that, and every object is as before.
undone() {
  local before after
  before=$(kube_print tiny)
  run "${@:4}"
  after=$(kube_print tiny)
  if ((rc != $2)); then fail "$1" "exit $rc, not $2: $(why)"
  elif ! grep -qE -- "$3" "$WORK/err.txt" "$WORK/out.json"; then fail "$1" "does not say $3: $(why)"
  elif [[ $before != "$after" ]]; then fail "$1" "not as before: $(diff <(echo "$before") <(echo "$after") | cut -c1-300)"
  elif ! "$CODOPS" status test --check >"$WORK/status.txt" 2>&1; then fail "$1" "$(cat "$WORK/status.txt")"
  else pass "$1"; fi
}
no_difference() { "$CODOPS" config manifests test "$1" | k diff --server-side --field-manager=codops -f - >"$WORK/diff.txt" 2>&1 || { cat "$WORK/diff.txt"; return 1; }; }

# ---- a first release; nothing the second time; the next one under load
works "the first deploy" deploy test v1.0.0
expect "it serves" "$(kube_serves tiny v1.0.0)" "v1.0.0 "
run deploy test v1.0.0
expect "the same again changes nothing" "$rc $(said .changed)" "0 false"
check "kubectl diff --server-side sees no difference" no_difference v1.0.0
load_start up --url "$(kube_url)" --get-new 100 --get-keep 100 --post 0 --downloads 0 --websockets 0
works "the next version under load" deploy test v1.1.0
load_stop up
expect "no request failed" "$(load_value up .failed)" 0
expect "it serves alone" "$(kube_serves tiny v1.1.0)" "v1.1.0 "
check "kubectl diff --server-side sees no difference afterwards" no_difference v1.1.0
check "kubectl rollout status agrees" k -n tiny rollout status deployment/web --timeout=10s

# ---- releases that fail are undone exactly
undone "an image that can't be had" 1 'ImagePull' deploy test v0.0.1
sed -i 's/^          ports: .*/          command: [sh, -c, "echo no such thing as a teapot; exit 3"]\n&/' k8s/web.yaml
undone "a container that ends at once" 1 'CrashLoopBackOff|exited with 3' deploy test v1.0.0
check "its last words are kept" grep -q 'no such thing as a teapot' <("$CODOPS" history test -o json | jq -r '.entries[-1].number' | xargs -I{} "$CODOPS" history test {} --logs)
sed -i '/teapot/d' k8s/web.yaml
cat >k8s/migrate.yaml <<'YAML'
apiVersion: batch/v1
kind: Job
metadata: { name: migrate, namespace: tiny, annotations: { codops.dev/phase: migrate } }
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - { name: migrate, image: "codops-demo/frontend:${VERSION}", imagePullPolicy: IfNotPresent, command: [sh, -c, "echo relation orders is missing; exit 7"] }
YAML
undone "a migration Job that fails" 1 'exited with 7' deploy test v1.0.0
k -n tiny delete jobs --all >/dev/null
rm k8s/migrate.yaml

# ---- back
works "rollback" rollback test
expect "the release before serves" "$(kube_serves tiny v1.0.0)" "v1.0.0 "
expect "the history knows" "$("$CODOPS" history test -o json | jq -c '[.entries[] | [.action, .result, .exit]]')" \
  '[["deploy","ok",0],["deploy","ok",0],["deploy","undone",1],["deploy","undone",1],["deploy","undone",1],["rollback","ok",0]]'

# ---- one at a time; a run that died
"$CODOPS" deploy test v1.1.0 >"$WORK/held.out" 2>&1 &
held=$!
wait_for 20 k -n tiny get lease -o name
run deploy test v1.1.0
expect "a second deploy is kept out" "$rc" 4
wait "$held" || fail "the first one" "$(tail -n 5 "$WORK/held.out")"
before=$(kube_print tiny)
{ CODOPS_TEST_KILL=before:rollout "$CODOPS" deploy test v1.0.0 >"$WORK/killed.out" 2>&1 || rc=$?; } 2>/dev/null
expect "killed" "$rc" 137
works "the next command recovers" resume test
expect "nothing of it is left" "$(diff <(echo "$before") <(kube_print tiny) && k -n tiny get lease -o name)" ""

# ---- the other verbs
works "scale" scale test web=3
# On a busy machine a pod that was ready misses a probe now and then.
three() { [[ $(k -n tiny get deployment web -o jsonpath='{.spec.replicas} {.status.readyReplicas}') == "3 3" ]]; }
check "three run" wait_for 10 three
works "restart" restart test web
expect "exec" "$("$CODOPS" exec test web -- cat /usr/share/nginx/html/version.json | jq -r .version)" v1.1.0
expect "run: its exit code" "$(rc=0; "$CODOPS" run test web -- sh -c 'echo "hello $GREETING"; exit 9' >"$WORK/run.out" 2>/dev/null || rc=$?; echo "$rc $(cat "$WORK/run.out")")" "9 hello hello"
"$CODOPS" exec test web -- sh -c 'echo a word to the log >/proc/1/fd/1'
check "logs" grep -q 'a word to the log' <("$CODOPS" logs test web -n 5 2>&1 || true)
check "health-check" "$CODOPS" health-check test
works "down" down test --yes
expect "nothing is left but the record" "$(kube_print tiny | jq -r 'select(.metadata.name != "default" and .metadata.name != "kube-root-ca.crt") | .kind + "/" + .metadata.name')" ""
finish
