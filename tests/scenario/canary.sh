#!/usr/bin/env bash
# A canary in every place where a secret can stand. It may be where the engine needs it and in a 0600 file of the state; nowhere else.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
command -v strace >/dev/null || { skip "canary" "strace is not installed"; finish; }
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
canary=KanarienvogelQ7x
pin=Zq7wP # as short as people choose them
login=$(printf 'ci:%s-login' "$canary" | base64)
anywhere="$canary\|$pin\|$login"
tiny_project "$WORK/p" 18480 300ms
cat >.env.test <<ENV
DATABASE_URL=postgresql://shop:$canary-database@db.invalid/shop
REDIS_PASSWORD=$canary-redis
API_TOKEN=$canary-token
PIN_SECRET=$pin
stripe_password='$canary-lower"case'
SIGNING_SALT=$canary-salt
TLS_KEY="-----BEGIN PRIVATE KEY-----
$canary-key-line-one
$canary-key-line-two
-----END PRIVATE KEY-----"
ENV
echo "$canary-file" >secret.txt
printf 'user: shop\nfirst: %s-other-one\npassword: %s-other-two\n' "$canary" "$canary" >other.txt
cat >docker-compose.prod.yml <<YAML
services:
  front:
    image: codops-demo/nginx:1.22
    pull_policy: never
    ports: ["127.0.0.1:18480:80"]
    volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro"]
  redis:
    image: codops-demo/redis:7
    pull_policy: never
    command: ["redis-server", "--requirepass", "\${REDIS_PASSWORD}"]
  web:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    environment: { DATABASE_URL: "\${DATABASE_URL}", API_TOKEN: "\${API_TOKEN}",
      PIN_SECRET: "\${PIN_SECRET}", stripe_password: "\${stripe_password}", SIGNING_SALT: "\${SIGNING_SALT}", TLS_KEY: "\${TLS_KEY}" }
    secrets: [token, { source: other, target: /etc/other }]
    deploy: { replicas: 1 }
secrets:
  token: { file: ./secret.txt }
  other: { file: ./other.txt }
YAML
cat >hook.sh <<'HOOK'
#!/bin/sh
env >hook.env
HOOK
chmod +x hook.sh
cat >>codops.yaml <<'YAML'
hooks:
  pre_deploy: [{ run: [./hook.sh, "${API_TOKEN}"] }]
  post_deploy: [{ run: [./hook.sh] }]
  on_failure: [{ run: [./hook.sh] }]
YAML
auth="{\"auths\":{\"registry.invalid\":{\"username\":\"ci\",\"password\":\"$canary-registry\"}}}"
# As docker login leaves them, and a helper that is asked for nothing here.
mkdir docker
echo "{\"auths\":{\"registry.invalid\":{\"auth\":\"$login\"},\"other.invalid\":{\"auth\":\"$login\",\"identitytoken\":\"$canary-identity\"}},\"credHelpers\":{\"third.invalid\":\"canary\"}}" >docker/config.json
export DOCKER_CONFIG=$PWD/docker
export DOCKER_AUTH_CONFIG=$auth CALLERS_OWN=$canary-shell

traced() { # NAME ARGUMENTS...
  local name=$1 rc=0
  shift
  strace -f -qq -e trace=execve -s 100000 -v -e signal=none -o "$WORK/$name.trace" "$CODOPS" "$@" >"$WORK/$name.out" 2>&1 || rc=$?
  echo "$rc" >"$WORK/$name.rc"
}
traced deploy deploy test v1.0.0 -vv
expect "the deploy works" "$(cat "$WORK/deploy.rc"; [[ $(cat "$WORK/deploy.rc") == 0 ]] || tail -n 5 "$WORK/deploy.out")" 0
traced again deploy test v1.1.0 --progress json -o json
traced back rollback test
# One that fails, and whose container logs all that it knows.
sed -i 's,^    environment: { DATABASE_URL,    command: ["sh"\, "-c"\, "env; env | sed s.postgresql://shop:.bare:.; cat /run/secrets/token /etc/other; exit 1"]\n&,' docker-compose.prod.yml
traced failing deploy test v1.1.0 -vv
expect "one that fails" "$(cat "$WORK/failing.rc")" 1
traced dry deploy test v1.1.0 --dry-run -vv
traced status status test -o json
traced history history test -o json
traced journal history test --journal
traced story history test "$("$CODOPS" history test -o json | jq '.entries[-1].number')" --logs
expect "the story of the failure is told" "$(cat "$WORK/story.rc")" 0
traced config config show test --origin --all
expect "what it said is told, but for the values" "$(($(grep -c 'PIN_SECRET=\*\*\*' "$WORK/story.out") > 0)) $(grep -c 'bare:\*\*\*' "$WORK/story.out")" "1 1"
# The caller's shell, as a CI system fills it; in a command and in an error of the engine's; where no secret can stand.
cp docker-compose.prod.yml "$WORK/compose"
export CI_TOKEN=$canary-ci
sed -i 's,^    command: \["sh".*,    command: ["sh"\, "-c"\, "echo with ${CI_TOKEN}; exit 1"],' docker-compose.prod.yml
traced interpolated deploy test v1.1.0 -vv
expect "one that says what the shell had" "$(cat "$WORK/interpolated.rc") $(grep -c 'with \*\*\*' "$WORK/interpolated.out" | awk '{print ($1 > 0)}')" "1 1"
sed -i 's,^    command: \["sh".*,    entrypoint: ["/opt/${CI_TOKEN}/run"],' docker-compose.prod.yml
traced quoted deploy test v1.1.0 --progress json -o json
expect "one whose error the engine tells with it" "$(cat "$WORK/quoted.rc") $(grep -c '/opt/\*\*\*/run' "$WORK/quoted.out" | awk '{print ($1 > 0)}')" "1 1"
traced quoted_story history test "$("$CODOPS" history test -o json | jq '.entries[-1].number')" -o json
sed -i 's,^    entrypoint: .*,    mem_limit: "${CI_TOKEN}",' docker-compose.prod.yml
traced misplaced deploy test v1.1.0
expect "one that stands where none can" "$(cat "$WORK/misplaced.rc") $(grep -c 'mem_limit is "\*\*\*"' "$WORK/misplaced.out")" "78 1"
cp "$WORK/compose" docker-compose.prod.yml
unset CI_TOKEN
# Hooks that tell all that they know, and fail; one that runs afterwards too.
sed -i '/^    command: \["sh"/d' docker-compose.prod.yml
sed -i '/^hooks:/,$d' codops.yaml
cp codops.yaml "$WORK/settings"
echo "$canary-registry" >said.txt
tells='cat .env.test secret.txt other.txt docker/config.json said.txt >&2; grep -o "Y2k6[^\"]*" docker/config.json | base64 -d -i >&2; . ./.env.test; echo "$API_TOKEN" "$PIN_SECRET" >&2; exit 9'
cat >>codops.yaml <<YAML
hooks:
  pre_deploy: [{ service: web, run: [sh, -c, "env; env >&2; cat /run/secrets/token /etc/other; exit 9"] }]
  on_failure: [{ run: [sh, -c, '$tells'] }]
YAML
traced image_hook deploy test v1.1.0 -vv
expect "a hook in an image that tells" "$(cat "$WORK/image_hook.rc") $(grep -c 'PIN_SECRET=\*\*\*' "$WORK/image_hook.out" | awk '{print ($1 > 0)}')" "1 1"
expect "and one afterwards" "$(grep -c 'on_failure: hook "sh -c' "$WORK/image_hook.out")" 1
cp "$WORK/settings" codops.yaml
printf "hooks:\n  pre_deploy: [{ run: [sh, -c, '%s'] }]\n" "$tells" >>codops.yaml
traced local_hook deploy test v1.1.0 --progress json -o json
expect "a hook on this machine that tells" "$(cat "$WORK/local_hook.rc") $(grep -c 'PIN_SECRET=\*\*\*' "$WORK/local_hook.out" | awk '{print ($1 > 0)}')" "1 1"
traced hook_stories history test -o json
traced hook_story history test "$("$CODOPS" history test -o json | jq '.entries[-1].number')" --logs --journal -o json
cp "$WORK/settings" codops.yaml

quiet() { # NAME FILE...
  local name=$1 found
  shift
  found=$(grep -l -- "$anywhere" "$@" 2>/dev/null || true)
  if [[ -z $found ]]; then pass "$name"; else fail "$name" "$(grep -oh -- ".\{0,40\}\($anywhere\)[-a-z]*" "$@" | sort | uniq -c | head -n 5)"; fi
}
# execve's second argument is argv; its third the environment, which nobody else can read.
for trace in "$WORK"/*.trace; do sed -n 's/^[0-9]* *execve(\("[^"]*", \[.*\]\), \[.*$/\1/p' "$trace"; done >"$WORK/argv"
expect "processes were traced" "$(($(wc -l <"$WORK/argv") > 10))" 1
quiet "not in any argv" "$WORK/argv"
for trace in "$WORK"/*.trace; do sed -n 's/^[0-9]* execve("[^"]*", \[.*\], \(\[.*\]\).*$/\1/p' "$trace" | tail -n +2; done >"$WORK/environments"
quiet "children do not inherit it" "$WORK/environments"
quiet "not in the hook's environment" hook.env
quiet "not on stdout or stderr" "$WORK"/*.out

docker cp "codops-$PROJECT-state:/state" - >"$WORK/state.tar"
mkdir "$WORK/state"
tar -C "$WORK/state" -xf "$WORK/state.tar" --no-same-owner
expect "a journal and evidence are there to look at" "$(($(find "$WORK/state/state/meta" -path '*journal*' -type f | wc -l) > 10)) $(($(find "$WORK/state/state/meta/evidence" -type f | wc -l) >= 3))" "1 1"
mapfile -t meta < <(find "$WORK/state/state/meta" -type f)
quiet "not in journal, history, releases, evidence" "${meta[@]}"
expect "it is in the state's secrets, where a rollback needs it" "$(grep -lr "$canary-database" "$WORK/state/state/secrets" | wc -l | awk '{print ($1 > 0)}')" 1
expect "whose files are 0600, in folders 0700" \
  "$(tar -tvf "$WORK/state.tar" | awk '$6 ~ /^state\/(secrets|meta|files)/ {print substr($1, 1, 10)}' | sort -u | tr '\n' ' ')" "-rw------- drwx------ "
# shellcheck disable=SC2046
docker inspect -f '{{json .Config.Labels}}' $(docker ps -aq $(of_project); docker ps -aq --filter "name=^/codops-$PROJECT-") >"$WORK/labels"
quiet "not in any label" "$WORK/labels"
docker images -q --filter "label=com.docker.compose.project=$PROJECT" | xargs -r docker history --no-trunc >"$WORK/images.txt"
quiet "not in any image" "$WORK/images.txt"

hold after:lock restart test
expect "no core dumps" "$(awk '/^Max core file size/ {print $5}' "/proc/$holder/limits")" 0
# Root may always: asked of a run of somebody else, whose files in /proc are root's once it may not be traced.
cp "$CODOPS" "$WORK/codops"
chmod 755 "$WORK" "$WORK/codops"
setpriv --reuid=65534 --regid=65534 --clear-groups "$WORK/codops" health-check --wait --timeout 60s --tcp 127.0.0.1:1 >/dev/null 2>&1 &
other=$!
not_theirs() { [[ $(cat "/proc/$other/comm") == codops && $(stat -c %U "/proc/$other/environ") == root ]]; }
check "nor may its own user trace it" wait_for 10 not_theirs
kill "$other"
quiet "not in its command line" "/proc/$holder/cmdline"
# A lock's label names the command.
docker inspect -f '{{json .Config.Labels}}' "codops-$PROJECT-lock-deploy" >"$WORK/lock"
quiet "not in the lock" "$WORK/lock"
