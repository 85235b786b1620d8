#!/usr/bin/env bash
# The demo application in Kubernetes, by its own k8s/: first release with its migration Job, the next one under load with orders, a backup through
# the database's pod, a migration that fails, back.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_shop.sh
source "$SUPPORT/kube_shop.sh"
clean_up() { kube_shop_down; }
need_kube --node
kube_shop "$WORK/app" "backup: { store: $WORK/backups, before_deploy: true }"
url=$SHOP_URL
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
# An autoscaler that is served in two versions, a Secret whose base64 has line ends: neither is a change, nor drift.
expect "the same again changes nothing" "$("$CODOPS" deploy cluster v1.0.0 >"$WORK/again.txt" 2>&1; grep -cE '^ +(objects)? +[~+-] ' "$WORK/again.txt") $("$CODOPS" history cluster -o json | jq '.entries | length')" "0 1"
check "all is well" wait_for 20 "$CODOPS" status cluster --check
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
