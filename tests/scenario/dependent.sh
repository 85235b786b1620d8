#!/usr/bin/env bash
# A service that is well only while what it depends on is: everything stops in mid-deploy (an engine that crashed, a host that went down), and
# one command brings all of it back, in order. Containers that boot still get no traffic; what never had any is stopped fast.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() {
  tiny_down
  docker volume rm "${PROJECT}_data" >/dev/null 2>&1 || true
}
tiny_project "$WORK/p" 18795 300ms
# Slow to boot, deaf to SIGTERM, ill without Redis.
cat >web.sh <<'SH'
#!/bin/bash
trap '' TERM
sleep 1.5
exec nginx -g 'daemon off;'
SH
chmod 755 web.sh
sed -i '/^  web:/,$d' docker-compose.prod.yml
cat >>docker-compose.prod.yml <<'YAML'
  web:
    image: codops-demo/frontend:${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_signal: SIGTERM
    stop_grace_period: 30s
    entrypoint: ["/web.sh"]
    volumes: ["./web.sh:/web.sh:ro"]
    depends_on: { redis: { condition: service_healthy } }
    healthcheck: { test: ["CMD", "bash", "-c", "exec 3<>/dev/tcp/redis/6379 4<>/dev/tcp/127.0.0.1/8080"], interval: 500ms, timeout: 2s, retries: 3, start_period: 3s }
    deploy: { replicas: 2 }
  redis:
    image: codops-demo/redis:7
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 2s
    volumes: ["data:/data"]
    healthcheck: { test: ["CMD", "redis-cli", "ping"], interval: 500ms, retries: 5 }
volumes: { data: {} }
YAML
check "a first deploy" tiny_deploy v1.0.0
# shellcheck disable=SC2046 # words
stop_all() { docker kill $(docker ps -q $(of_project)) >/dev/null; }
resumes() { timeout 100 "$CODOPS" resume test >"$WORK/out" 2>&1 || { echo "exit $?"; tail -n 4 "$WORK/out"; }; }

for point in ${CODOPS_FULL:+after:start} after:switch ${CODOPS_FULL:+after:settle}; do
  hold "$point" deploy test v1.1.0
  kill -KILL "$holder"
  wait "$holder" 2>/dev/null || true
  holder=
  stop_all
  expect "$point, killed, everything stopped: one resume" "$(resumes)" ""
  expect "$point: one complete release serves" "$(converged "$(served || true)" || true)" ""
  check "$point: back at the first" tiny_deploy v1.0.0
done
hold after:switch deploy test v1.1.0
stop_all
go_on
expect "everything stopped under a run that lives: told, moved back" "$((holder_rc == 1 || holder_rc == 5)) $(converged v1.0.0 || true)" "1 "

# ---- members that boot still
# shellcheck disable=SC2046 # words
docker restart -t 0 $(docker ps -q $(of_project) --filter label=com.docker.compose.service=web) >/dev/null
rc=0
"$CODOPS" scale test web=1 >"$WORK/out" 2>&1 || rc=$?
expect "scaled down while they boot: waits for what it keeps" "$rc $(tail -n 2 "$WORK/out" | grep -c HTTP)" "0 0"
expect "and serves" "$(converged v1.0.0 || true)" ""
check "and up again" "$CODOPS" scale test web=2

# ---- what was started and never had traffic has no request to end
check "another release" tiny_deploy v1.1.0
hold after:start rollback test
began=$(date +%s%N)
kill -TERM "$holder"
go_on
took=$((($(date +%s%N) - began) / 1000000))
expect "SIGTERM in a rollback before the switch: 143" "$holder_rc $(converged v1.1.0 || true)" "143 "
if ((took <= 7500)); then pass "within 7 s ($took ms), though they are deaf to SIGTERM"; else fail "within 7 s" "$took ms"; fi
finish
