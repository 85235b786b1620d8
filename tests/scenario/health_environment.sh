#!/usr/bin/env bash
# `health-check ENV` on a real engine with the demo application: by convention, from codops.yaml, backup_age, workload, --watch on a terminal.
# shellcheck source=tests/support/case.sh source=tests/support/site.sh
source "$(dirname "$0")/../support/case.sh"
source "$SUPPORT/site.sh"
need_engine
site
secrets=$(grep -E '^(POSTGRES_PASSWORD|REDIS_PASSWORD|JWT_SECRET)=' "$APP/.env.demo" | cut -d= -f2)
checks() { result '[.checks[] | {(.name): .status}] | add' | jq -cS .; }
status_of() { result ".checks[] | select(.name == \"$1\") | .status"; }
# shows NAME: nothing of what the last ops printed is a secret
shows_no_secret() { ! grep -qF "$secrets" "$WORK/out" "$WORK/err"; }

exits "nothing runs yet: unhealthy" 2 health-check demo -o json
exits "the demo is deployed" 0 deploy demo v1.0.0 --yes

# ---- by convention
# The demo's own CA, as its users would name it.
printf 'front_door: {url: "https://localhost:18443/ready", ca: nginx/ssl/ca.crt}\n' >"$APP/codops.demo.yaml"
exits "everything that convention finds is well" 0 health-check demo -o json
wanted='backend database frontend nginx nginx:18080 nginx:18443 postgres redis'
found=$(result '[.checks[].name | split(" ")[0]] | unique | join(" ")')
for one in $wanted; do
  if [[ $found == *"$one"* ]]; then pass "found: $one"; else fail "found: $one" "$found"; fi
done
for path in /health /ready; do
  expect "published: $path over TLS" "$(status_of "nginx:18443 $path")" '"ok"'
done
expect "paths that nobody offers are no failure" "$(result '[.checks[] | select(.status != "ok")] | length')" 0
expect "its certificate was verified" "$(result '[.checks[] | select(.name | startswith("nginx:18443 ")) | .tls.verified] | unique')" '[true]'
expect "the database is reached through its container" "$(result '[.checks[] | select(.kind == "postgres") | .metrics[].label] | sort | .[0]')" '"connections"'
exits "--wait by convention ends" 0 health-check demo --wait --timeout 20s
for format in text json nagios junit prometheus github; do
  ops health-check demo -o $format
  check "no secret in $format" shows_no_secret
done
exits "checks by name" 0 health-check demo redis "redis PING" -o json
expect "and no other" "$(result '[.checks[].kind] | sort')" '["container","redis"]'
exits "a name that is none" 64 health-check demo rediss

printf 'front_door: {url: "https://other.example:18443/ready", ca: nginx/ssl/ca.crt}\n' >"$APP/codops.demo.yaml"
ops health-check demo -o json
expect "a certificate of another name is found out" "$(result '[.checks[] | select(.name | startswith("nginx:18443 ")) | [.status, .stage]] | unique')" '[["fail","tls"]]'
printf 'front_door: {url: "https://localhost:18443/ready", ca: nginx/ssl/ca.crt}\n' >"$APP/codops.demo.yaml"

exits "a second release" 0 deploy demo v1.1.0 --yes --skip-backup
exits "the old set, stopped and kept, is no failure" 0 health-check demo -o json

# ---- something breaks
broken=$(running redis)
docker stop -t 1 ${broken} >/dev/null
exits "redis has stopped" 2 health-check demo -o json
expect "its container says so" "$(status_of redis)" '"fail"'
expect "the database stays well" "$(status_of database)" '"ok"'
docker start ${broken} >/dev/null
exits "and waits until it is back" 0 health-check demo --wait --timeout 60s -- true

# ---- listed in codops.yaml
cat >"$APP/codops.demo.yaml" <<YAML
backup: {store: "$WORK/backups"}
health:
  checks:
    site: {url: "http://127.0.0.1:18080/ready", json: {/status: ready}, needs: [database]}
    database: {postgres: DATABASE_URL, warn: "80%", critical: "95%"}
    cache: {redis: REDIS_URL}
    app: {container: backend}
    room: {disk: /, critical: "100%"}
    backup: {backup_age: 26h}
    cluster: {workload: deployment/backend}
    script: {command: [sh, -c, "exit 0"]}
YAML
ops health-check demo site database cache app script -o json
expect "checks of codops.yaml" "$(checks)" '{"app":"ok","cache":"ok","database":"ok","script":"ok","site":"ok"}'
exits "a store that is not there is not known" 3 health-check demo backup -o json
expect "and named" "$(result '.checks[0].message')" "\"the backups' folder \\\"$WORK/backups\\\" is not there\""
mkdir -p "$WORK/backups"
exits "no backup yet: a failure" 2 health-check demo backup -o json
expect "and the reason" "$(result '.checks[0].message')" '"there is no verified backup"'
exits "a backup is taken" 0 backup demo
exits "then it is young enough" 0 health-check demo backup -o json
expect "its age is a metric" "$(result '.checks[0].metrics | map(.label) | index("age") != null')" true
sed -i 's/backup_age: 26h/backup_age: 1ms/' "$APP/codops.demo.yaml"
exits "or too old" 2 health-check demo backup
exits "a workload where there is no cluster is not known" 3 health-check demo cluster -o json
expect "and says why" "$(result '.checks[0].message')" '"workloads are of Kubernetes; this environment has another engine"'

# ---- an engine that is gone or hangs must not break the deadline
export DOCKER_HOST_KEPT=$DOCKER_HOST
python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(50); time.sleep(120)' "$WORK/hung.sock" & hung=$!
wait_for 10 test -S "$WORK/hung.sock"
rm -f "$APP/codops.demo.yaml"
started=$(date +%s%3N)
DOCKER_HOST=unix://$WORK/hung.sock ops health-check demo --timeout 2s -o json
took=$(($(date +%s%3N) - started))
kill $hung
if ((took < 4000)); then pass "a hung engine: the deadline of 2 s holds"; else fail "a hung engine" "$took ms"; fi
expect "its containers are not known, nothing hides that" "$(status_of postgres)" '"unknown"'
finish
