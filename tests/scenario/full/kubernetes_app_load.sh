#!/usr/bin/env bash
# Twenty deploys and rollbacks of the whole demo application under load through a NodePort, orders among it; its backend exits at once on SIGTERM and
# has the preStop of its manifests.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_shop.sh
source "$SUPPORT/kube_shop.sh"
clean_up() { kube_shop_down; }
need_kube --node
first=v9.1.0-exit second=v9.2.0-exit
kube_image "$first"
kube_image "$second"
kube_shop "$WORK/app" "backup: { before_deploy: false }"
# nginx keeps connections to a pod that leaves for its last seconds: a version has come when five answers in a row have it.
settled() { for _ in 1 2 3 4 5; do [[ $(version) == "$1" ]] || return 1; done; }
version() { curl -fsS -m 5 "$SHOP_URL/api/version" | jq -r .version; }
"$CODOPS" deploy cluster "$first" >"$WORK/first.txt" 2>&1 || { fail "the first deploy" "$(tail -n 5 "$WORK/first.txt")"; finish; }
# Of many clients: one that uses its ports up within minutes meets what the node still knows of their last connections.
load_start all --url "$SHOP_URL" --addresses 16 --get-new 100 --get-keep 110 --post 20 --downloads 0 --websockets 0
moves=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
  "$CODOPS" deploy cluster "$second" >"$WORK/move.txt" 2>&1 || { fail "deploy" "$(tail -n 5 "$WORK/move.txt")"; break; }
  expect "it serves after move $((moves + 1))" "$(wait_for 15 settled "$second" && echo yes)" yes
  "$CODOPS" rollback cluster >"$WORK/move.txt" 2>&1 || { fail "rollback" "$(tail -n 5 "$WORK/move.txt")"; break; }
  expect "it serves after move $((moves + 2))" "$(wait_for 15 settled "$first" && echo yes)" yes
  moves=$((moves + 2))
done
load_stop all
rate=$(load_value all '.sent / .seconds | floor')
echo "  $moves moves, $(load_value all .sent) requests in $(load_value all .seconds) s ($rate per second), $(load_value all .failed) failed: $(load_value all .reasons)"
load_value all '.failures[]'
expect "twenty moves" "$moves" 20
expect "no request failed" "$(load_value all .failed)" 0
# An order whose answer was lost with its connection is sent again: there may be more of them than were acknowledged, by as many as were repeated.
orders=$("$CODOPS" exec cluster postgres -- psql -U shop -d shop -Atc 'SELECT count(*) FROM orders')
known=$(load_value all .orders_acknowledged) again=$(load_value all .retried)
echo "  $orders orders, $known acknowledged, $again requests repeated"
check "every acknowledged order is there, and none from nowhere" test "$orders" -ge "$known" -a "$orders" -le "$((known + again))"
check "at least 200 requests a second" test "$rate" -ge 200
finish
