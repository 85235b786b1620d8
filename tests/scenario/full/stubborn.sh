#!/usr/bin/env bash
# An application that ignores SIGTERM is replaced under load (case 14 of "must survive"): a download, a WebSocket and POSTs on kept
# connections lie across the switch. Nothing fails, and the stop ends within the service's grace.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
version v1.2.1-stubborn
# shellcheck disable=SC2119
site
grace=4
# Both of them: frontend's nginx is another matter.
awk -v grace=$grace '/^  [a-z]+:$/ { service = $1 } { print } service == "backend:" && /^    image:/ { print "    stop_grace_period: " grace "s" }' \
  <(sed '/stop_grace_period/d' "$APP/docker-compose.prod.yml") >"$WORK/compose.yml"
cp "$WORK/compose.yml" "$APP/docker-compose.prod.yml"
exits "deploy of the stubborn one" 0 deploy demo v1.2.1-stubborn
check "tables" migrated
stubborn=$(running backend)
load_start stubborn --url $FRONT --get-new 15 --get-keep 10 --post 5 --downloads 1 --seconds 4 --websockets 1 --drain 5
exits "and away from it, under load" 0 deploy demo v1.1.0 -o json
cp "$WORK/out" "$WORK/away"
exits "back to it" 0 rollback demo -o json
exits "to the next" 0 deploy demo v1.1.0 --force
load_stop stubborn
unharmed "no request failed (of $(load_value stubborn .sent): $(load_value stubborn '[.by_kind | to_entries[] | "\(.key) \(.value.sent)"] | join(", ")'))" stubborn
expect "downloads and POSTs were among them" "$(load_value stubborn '[.by_kind.download.ok > 2, .by_kind.post_keep.ok > 50, .by_kind.websocket.sent > 0]')" "[true,true,true]"
stop=$(jq '[.steps[] | select(.name == "stop") | .seconds] | add' "$WORK/away")
if awk -v s="$stop" -v g=$grace 'BEGIN { exit !(s >= g - 0.5 && s <= g + 3) }'; then pass "the stop took its grace of $grace s and no more ($stop s)"; else fail "the stop took its grace of $grace s and no more" "$stop s"; fi
expect "it was killed, kept for rollback" "$(for one in $stubborn; do docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}' "$one"; done | sort -u)" "exited 137 false"
finish
