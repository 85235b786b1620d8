#!/usr/bin/env bash
# Twenty deploys and rollbacks under load through a NodePort, of an application that exits at once on SIGTERM.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --node
kube_tiny "$WORK/tiny" tiny
first=v9.1.0-exit second=v9.2.0-exit
kube_image "$first"
kube_image "$second"
"$CODOPS" deploy test "$first" >"$WORK/first.txt" 2>&1 || { fail "the first deploy" "$(tail -n 5 "$WORK/first.txt")"; finish; }
load_start all --url "$(kube_url)" --get-new 120 --get-keep 120 --post 0 --downloads 0 --websockets 0
moves=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
  "$CODOPS" deploy test "$second" >"$WORK/move.txt" 2>&1 || { fail "deploy" "$(tail -n 5 "$WORK/move.txt")"; break; }
  "$CODOPS" rollback test >"$WORK/move.txt" 2>&1 || { fail "rollback" "$(tail -n 5 "$WORK/move.txt")"; break; }
  moves=$((moves + 2))
done
load_stop all
echo "  $moves moves, $(load_value all .sent) requests in $(load_value all .seconds) s, $(load_value all .failed) failed: $(load_value all .reasons)"
expect "twenty moves" "$moves" 20
expect "no request failed" "$(load_value all .failed)" 0
finish
