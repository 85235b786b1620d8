#!/usr/bin/env bash
# Images by digest on a real node: the registry says what a tag means, pods get that; a tag that moved is a change; where there is no answer the tag
# stays, and the plan says so. Registries without a password, with one, and with a token server (real tokens, verified by the registry).
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
registry_pid='' token_pid=''
clean_up() {
  [[ -z $token_pid ]] || kill "$token_pid" 2>/dev/null || true
  [[ -z $registry_pid ]] || kill "$registry_pid" 2>/dev/null || true
  # By name: the demo's own tags are of the same images.
  docker images --format '{{.Repository}}:{{.Tag}}' "$registry/*" | xargs -r docker image rm >/dev/null 2>&1 || true
  kube_down
}
command -v docker-registry >/dev/null && command -v htpasswd >/dev/null || { skip "registry" "docker-registry or htpasswd is not installed"; finish; }
need_kube --node
registry=127.0.0.1:$((20000 + RANDOM % 20000))
serve() { # [AUTH]: as configured by the text
  [[ -z $registry_pid ]] || { kill "$registry_pid"; wait "$registry_pid" 2>/dev/null || true; }
  printf 'version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: %s } }\nhttp: { addr: "%s" }\n%s\n' "$WORK/images" "$registry" "${1:-}" >"$WORK/registry.yml"
  docker-registry serve "$WORK/registry.yml" >"$WORK/registry.log" 2>&1 &
  registry_pid=$!
  wait_for 20 curl -s -o /dev/null "http://$registry/v2/" || { fail "the registry starts" "$(tail -n 3 "$WORK/registry.log")"; finish; }
}
push() { # VERSION TAG: prints the digest
  # An image of its own: what a kubelet pulled itself, it doesn't give to pods that know it by another name.
  printf 'FROM codops-demo/frontend:%s\nLABEL test=digests\n' "$1" | docker build -q -t "$registry/shop/frontend:$2" - >/dev/null
  docker push -q "$registry/shop/frontend:$2" >/dev/null
  docker image inspect "$registry/shop/frontend:$2" -f '{{range .RepoDigests}}{{println .}}{{end}}' | sed -n "s|^$registry/shop/frontend@||p"
}
serve
first=$(push v1.0.0 v1.0.0)
kube_tiny "$WORK/tiny" tiny
sed -i "s|codops-demo/frontend|$registry/shop/frontend|" k8s/web.yaml
image() { k -n tiny get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'; }

check "the plan has the digest" grep -qF "${first:0:19}" <("$CODOPS" deploy test v1.0.0 --dry-run 2>&1)
check "a deploy" "$CODOPS" deploy test v1.0.0
expect "pods get the digest" "$(image)" "$registry/shop/frontend:v1.0.0@$first"
expect "it serves" "$(kube_serves tiny v1.0.0)" "v1.0.0 "
expect "the release has it on record" "$("$CODOPS" status test -o json | jq -r '.services[0].images[0]')" "$registry/shop/frontend:v1.0.0@$first"
expect "the same again changes nothing" "$("$CODOPS" deploy test v1.0.0 -o json 2>/dev/null | jq .changed)" false
second=$(push v1.1.0 v1.0.0)
check "a tag that moved is a change" "$CODOPS" deploy test v1.0.0
expect "pods get the new one" "$(image) $(kube_serves tiny v1.1.0)" "$registry/shop/frontend:v1.0.0@$second v1.1.0 "
check "rollback" "$CODOPS" rollback test
expect "goes back to the very image" "$(image) $(kube_serves tiny v1.0.0)" "$registry/shop/frontend:v1.0.0@$first v1.0.0 "

htpasswd -Bbn ci KanarienvogelQ7x-registry >"$WORK/passwords" 2>/dev/null
serve "auth: { htpasswd: { realm: test, path: $WORK/passwords } }"
"$CODOPS" deploy test v1.0.0 --dry-run >"$WORK/plan.txt" 2>&1 || true
check "without the password it stays a tag, and the plan says why" grep -q "frontend:v1.0.0 stays a tag: .* does not let us read" "$WORK/plan.txt"
export DOCKER_AUTH_CONFIG="{\"auths\":{\"$registry\":{\"username\":\"ci\",\"password\":\"KanarienvogelQ7x-registry\"}}}"
"$CODOPS" deploy test v1.0.0 --dry-run >"$WORK/plan.txt" 2>&1 || true
check "with docker login's it has the digest" grep -qF "${second:0:19}" "$WORK/plan.txt"
"$CODOPS" deploy test v3.0.0 --dry-run >"$WORK/plan.txt" 2>&1 || true
check "a tag that is not there" grep -q "stays a tag: .* has no .*shop/frontend:v3.0.0" "$WORK/plan.txt"

# A registry that wants a token from another server for each repository, as Docker Hub and ghcr.io do.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/token.key" -out "$WORK/token.crt" -days 2 -subj /CN=tokens 2>/dev/null
: >"$WORK/tokens.log"
node "$SUPPORT/token_server.mjs" --key "$WORK/token.key" --cert "$WORK/token.crt" --user ci --password KanarienvogelQ7x-registry --ready "$WORK/token.port" --log "$WORK/tokens.log" &
token_pid=$!
wait_for 20 test -s "$WORK/token.port"
serve "auth: { token: { realm: 'http://127.0.0.1:$(cat "$WORK/token.port")/token', service: test-registry, issuer: tests, rootcertbundle: $WORK/token.crt } }"
plan_as() { # AUTHS
  DOCKER_AUTH_CONFIG="{\"auths\":{$1}}" "$CODOPS" deploy test v1.0.0 --dry-run >"$WORK/plan.txt" 2>&1 || true
}
last_asked() { tail -n 1 "$WORK/tokens.log" | jq -r '[.method, .scope, .named, .known] | join(" ")'; }
plan_as "\"$registry\":{\"username\":\"ci\",\"password\":\"KanarienvogelQ7x-registry\"}"
check "with a token it has the digest" grep -qF "${second:0:19}" "$WORK/plan.txt"
expect "the token was asked for that repository, to pull" "$(last_asked)" "GET repository:shop/frontend:pull true true"
plan_as "\"$registry\":{\"identitytoken\":\"refresh-KanarienvogelQ7x-registry\"}"
check "with docker login's identity token too" grep -qF "${second:0:19}" "$WORK/plan.txt"
expect "that goes as a refresh token" "$(last_asked)" "POST repository:shop/frontend:pull true true"
plan_as ""
check "without a password the token is worth nothing, and the plan says why" grep -q "frontend:v1.0.0 stays a tag: .* does not let us read" "$WORK/plan.txt"
expect "nobody was named" "$(last_asked)" "GET repository:shop/frontend:pull false false"
plan_as "\"$registry\":{\"username\":\"ci\",\"password\":\"wrong\"}"
check "a wrong password is told as that" grep -q "frontend:v1.0.0 stays a tag: .* gives no token for .* (it answers 401)" "$WORK/plan.txt"
check "no password is shown" eval '! grep -qE "Kanarienvogel|wrong" "$WORK/plan.txt"'

kill "$registry_pid"; registry_pid=
"$CODOPS" deploy test v1.0.0 --dry-run >"$WORK/plan.txt" 2>&1 || true
check "a registry that is away" grep -q "stays a tag: .*does not answer" "$WORK/plan.txt"
finish
