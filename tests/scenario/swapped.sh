#!/usr/bin/env bash
# A new user's first project: one service that publishes its port, no proxy. It is stopped and started; what comes is watched in the monitor window
# all the same, and "serves" is only said of an old one that does.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
url=http://127.0.0.1:18290/healthz
versions=(1.0-slow 1.1-crash 1.2-sick 1.3-sick 1.4-sick 1.5 1.6-sick 1.7)
clean_up() {
  "$CODOPS" down test --yes --volumes >/dev/null 2>&1 || true
  docker rmi "${versions[@]/#/codops-test/swapped:}" >/dev/null 2>&1 || true
}
for version in "${versions[@]}"; do docker tag codops-demo/frontend:v1.0.0 "codops-test/swapped:$version"; done
mkdir -p "$WORK/p/flag"
cd "$WORK/p"
cat >docker-compose.yml <<'YAML'
services:
  web:
    image: codops-test/swapped:${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    ports: ["127.0.0.1:18290:8080"]
    environment: { WHICH: "${VERSION}" }
    volumes: ["./flag:/flag"]
    entrypoint:
      - sh
      - -c
      - |
        case $$WHICH in *slow) if [ -e /flag/broken ]; then exit 3; fi ;; esac
        case $$WHICH in
          *crash) nginx -g 'daemon off;' & sleep 2.5; exit 7 ;;
          *slow) sleep 2 ;;
        esac
        exec nginx -g 'daemon off;'
    healthcheck:
      test: ["CMD-SHELL", "case $$WHICH in *sick) exit 1 ;; esac; kill -0 $$(cat /run/nginx.pid /tmp/nginx.pid 2>/dev/null | head -n 1)"]
      interval: 300ms
      retries: 10
  helper:
    image: codops-test/swapped:${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    environment: { WHICH: "${VERSION}" }
    volumes: ["./flag:/flag"]
    entrypoint: ["sh", "-c", "while :; do case $$WHICH in 1.5) [ -e /flag/loop ] && exit 9 ;; esac; sleep 0.2; done"]
YAML
cat >codops.yaml <<YAML
project: swapped$$
monitor: 4s
timeouts: { ready: 20s }
environments: { test: {} }
YAML
deploy() { # VERSION: its exit code in rc
  rc=0
  "$CODOPS" deploy test "$1" --allow-downtime >"$WORK/out" 2>&1 || rc=$?
  [[ -z ${2:-} || $rc == "$2" ]] || cat "$WORK/out"
}
serves() { curl -fsS -m 2 "$url" >/dev/null && { "$CODOPS" status test --check >"$WORK/status" 2>&1 || { cat "$WORK/status" >&2; return 1; }; }; }

deploy 1.0-slow
expect "the first deploy" "$rc" 0
check "it serves" serves

deploy 1.1-crash
expect "a version that crashes in the window: exit 5" "$rc" 5
expect "it says that it exited" "$(grep -cE 'monitor.*(exited|restarted)' "$WORK/out")" 1
expect "and that it moved back" "$(grep -c 'moved back   1.0-slow (release 1) serves' "$WORK/out")" 1
check "which is so, at once" serves

deploy 1.2-sick
expect "one that is never healthy: exit 5" "$rc" 5
check "what is said to serve does, at once" serves

: >flag/broken
deploy 1.3-sick
expect "an old one that does not come back: exit 6" "$rc" 6
expect "its name is said" "$(grep -cE 'not undone .*web-r1-1' "$WORK/out")" 1
rm flag/broken
check "and resume brings it back" "$CODOPS" resume test
check "then it serves" curl -fsS -m 2 "$url"

docker restart "$(docker ps -q -f "name=swapped$$-web-r1-1")" >/dev/null
check "it is healthy again" wait_for 20 serves
: >flag/broken
deploy 1.4-sick
expect "again: exit 6" "$rc" 6
deploy 1.5 0
expect "an old one that does not come back is not in its successor's way" "$rc" 0
expect "that it is not whole was said" "$(grep -c 'release 1 is not whole' "$WORK/out")" 1
check "the successor serves" serves

# What crashes since long ago is no fault of a run, and none of its undo's.
: >flag/loop
looping() { (($(docker ps -q -f "name=swapped$$-helper" | xargs docker inspect -f '{{.RestartCount}}' | sort -n | tail -n 1) > 0)); }
check "another service of it begins to crash" wait_for 20 looping
deploy 1.6-sick
expect "a deploy that fails beside it: exit 5" "$rc $(grep -c 'not undone' "$WORK/out")" "5 0"
deploy 1.7 0
expect "and the one that mends it comes" "$rc" 0
finish
