#!/usr/bin/env bash
# Containers as careful people write them (a read-only root, tmpfs over it, secrets, no network), services that can't roll, and a new set that
# only its predecessor makes look well.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18590 300ms
try() { # its exit code in $rc, its words in out
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
}
said() { grep -c -- "$1" "$WORK/out" || true; }
inside() { docker exec "$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$1" --format '{{.Names}}' | head -n 1)" "${@:2}" 2>&1; }

# ---- files of a release where a container's own layer can't take them
echo first-secret >token.txt
echo level=1 >app.conf
cat >>docker-compose.prod.yml <<'YAML'
  worker:
    image: codops-demo/frontend:${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    user: "1234:1234"
    read_only: true
    tmpfs: [/run, /tmp]
    secrets: [token, { source: token, target: mine, mode: 0400, uid: "1234", gid: "1234" }]
    configs: [{ source: app, target: /etc/app.conf }]
    volumes: ["./app.conf:/srv/deep/app.conf:ro"]
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
  covered:
    image: codops-demo/frontend:${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    tmpfs: [/run]
    secrets: [token]
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
  host:
    image: codops-demo/frontend:${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    network_mode: host
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
  lonely:
    image: codops-demo/frontend:${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    network_mode: none
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
secrets: { token: { file: ./token.txt } }
configs: { app: { file: ./app.conf } }
YAML
check "hardened services deploy" tiny_deploy v1.0.0
expect "read-only: secret, config and file are there" "$(inside worker cat /run/secrets/token /run/secrets/mine /etc/app.conf /srv/deep/app.conf | tr '\n' ' ')" "first-secret first-secret level=1 level=1 "
expect "and can't be written" "$(inside worker sh -c 'echo x >/etc/app.conf || echo refused; echo x >/srv/x || echo refused' | grep -c refused)" 2
expect "with the mode and the owner that were asked for" "$(inside worker stat -c '%a %u %g' /run/secrets/token /run/secrets/mine | tr '\n' ' ')" "444 0 0 400 1234 1234 "
expect "under a tmpfs too" "$(inside covered cat /run/secrets/token)" first-secret
expect "a one-off has them as well" "$("$CODOPS" run test worker -- cat /run/secrets/token /srv/deep/app.conf 2>/dev/null | tr '\n' ' ')" "first-secret level=1 "
expect "the host's network, and none" "$(inside lonely sh -c 'ls /sys/class/net | tr "\n" " "')|$(docker inspect "$(docker ps --filter "label=com.docker.compose.service=host" --format '{{.Names}}' | head -n 1)" --format '{{.HostConfig.NetworkMode}}')" "lo |host"
try deploy test v1.0.0
expect "the same again changes nothing" "$rc $(said 'nothing to do')" "0 1"

echo second-secret >token.txt
try deploy test v1.1.0 --allow-downtime
expect "a changed secret comes with the next release" "$rc $(inside worker cat /run/secrets/token)" "0 second-secret"
try rollback test --allow-downtime
expect "and goes with the way back" "$rc $(inside worker cat /run/secrets/token) $(inside covered cat /run/secrets/token)" "0 first-secret first-secret"
expect "in the state it is nobody else's to read" "$(docker cp "codops-$PROJECT-state:/state" - | tar --numeric-owner -tv | awk '$6 == "state/mounts/" {print $1, $2}')" "drwx------ 0/0"

# ---- a new set that does not listen where the proxy leads
cp docker-compose.prod.yml good.yml
sed -i '/^  web:/a\    command: [sleep, "1000"]' docker-compose.prod.yml
sed -i '/^readiness:/d; s/ready: 60s/ready: 4s/' codops.yaml
try deploy test v1.1.0 --allow-downtime
expect "a new set that never listens: refused before any traffic" "$rc $(($(said 'nothing listens on port 8080 of .*web') > 0)) $(curl -s -o /dev/null -w '%{http_code}' "$FRONT/healthz")" "1 1 200"
expect "with the setting that names another port" "$(said 'services: {web: {port: N}}')" 1
sed -i '/command: \[sleep, "1000"\]/a\    healthcheck: { test: [CMD, "true"], interval: 200ms }' docker-compose.prod.yml
try deploy test v1.1.0 --allow-downtime
expect "also where its own health check is content" "$rc $(($(said 'nothing listens on port 8080 of .*web') > 0)) $(curl -s -o /dev/null -w '%{http_code}' "$FRONT/healthz")" "1 1 200"
# It listens, and answers nothing: nginx asks the old set instead, until there is none.
sed -i 's|command: \[sleep, "1000"\]|command: [node, -e, "require(\\"net\\").createServer(s => s.destroy()).listen(8080)"]|' docker-compose.prod.yml
try deploy test v1.1.0 --allow-downtime
expect "one that listens and answers nothing is moved back when it is alone" "$rc $(curl -s -o /dev/null -w '%{http_code}' "$FRONT/healthz")" "5 200"
cp good.yml docker-compose.prod.yml
sed -i 's/ready: 4s/ready: 60s/' codops.yaml

# ---- refused before anything is done
refused() { # NAME YAML-LINE WORDS [CODE]
  sed "/^  lonely:/a\\    $2" good.yml | sed '/^    network_mode: none/d' >docker-compose.prod.yml
  try deploy test v1.1.0 --allow-downtime
  expect "$1" "$rc $(($(said "$3") > 0))" "${4:-78} 1"
}
refused "another service's processes" 'pid: "service:web"' 'pid: service:web'
refused "another service's network" 'network_mode: "service:web"' 'network_mode: service:web'
refused "a volume of one letter" 'volumes: ["c:/data"]' 'no absolute path'
cp good.yml docker-compose.prod.yml
printf 'volumes: { ev: { external: true, name: %s-none } }\n' "$PROJECT" >>docker-compose.prod.yml
sed -i '/^    network_mode: none/i\    volumes: ["ev:/ev"]' docker-compose.prod.yml
try deploy test v1.1.0 --allow-downtime
expect "an external volume that is not there: refused, and not made" "$rc $(said 'the external volume') $(docker volume ls -q | grep -c -- "$PROJECT-none" || true)" "78 1 0"
cp good.yml docker-compose.prod.yml
cp codops.yaml good.codops.yaml
echo 'stateful: [wbe]' >>codops.yaml
try deploy test v1.1.0 --allow-downtime
expect "a misspelt service in the settings" "$rc $(said 'did you mean "web"')" "78 1"
cp good.codops.yaml codops.yaml
printf 'x: "cut\n' >>docker-compose.prod.yml
try deploy test v1.1.0 --allow-downtime
expect "a file that ends within a quoted text" "$rc $(said 'not valid YAML')" "78 1"
cp good.yml docker-compose.prod.yml
try deploy test web=v1.1.0 web=v1.0.0
expect "two versions of one service" "$rc" 64
sed -i '/^  host:/,/pull_policy/ s|frontend:${VERSION}|frontend:v1.0.0|' docker-compose.prod.yml
try deploy test host=v1.1.0
expect "a version that its image does not carry" "$rc $(said 'does not change with the version')" "78 1"
mkdir -p context
printf 'FROM codops-demo/frontend:v1.0.0\nRUN echo context >/which\n' >context/Dockerfile
printf 'FROM codops-demo/frontend:v1.0.0\nRUN echo outside >/which\n' >Other
sed -i '/^secrets:/i\  inline: { image: "hardened/inline:${VERSION}", pull_policy: never, build: { context: ./context, dockerfile_inline: "FROM codops-demo/frontend:v1.0.0\\nRUN echo inline >/which\\n" } }\n  outside: { image: "hardened/outside:${VERSION}", pull_policy: never, build: { context: ./context, dockerfile: ../Other } }' docker-compose.prod.yml
try build test v9.9.9
expect "a Dockerfile in the compose file, and one outside of the context" \
  "$rc $(for one in inline outside; do docker run --rm --network none --entrypoint cat "hardened/$one:v9.9.9" /which; done | tr '\n' ' ')" "0 inline outside "
docker rmi -f hardened/inline:v9.9.9 hardened/outside:v9.9.9 >/dev/null 2>&1 || true
try build test v1.2.0 nope
expect "build of a service that is not there" "$rc $(said 'there is no service "nope"')" "64 1"
finish
