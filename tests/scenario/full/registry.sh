#!/usr/bin/env bash
# A real registry with a password and TLS: images are pushed and pulled by digest; what is wrong with it (401, no such tag, a tag that
# moved, no answer, an answer that stalls) is found before anything changes.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
command -v docker-registry >/dev/null && command -v htpasswd >/dev/null || { skip "registry" "docker-registry or htpasswd is not installed"; finish; }
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# The engine takes everything in 127.0.0.0/8 on trust: an address that it doesn't, so that TLS counts.
address=10.213.5.1
port=$((20000 + RANDOM % 20000))
registry=$address:$port
trust=/etc/docker/certs.d/$registry
server='' proxy=''
clean_up() {
  [[ -z $server ]] || { kill -CONT "$server"; kill "$server"; } 2>/dev/null || true
  docker images -q "$registry/*" | sort -u | xargs -r docker image rm -f >/dev/null 2>&1 || true
  tiny_down
  rm -rf "$trust"
  [[ -z $proxy ]] || kill "$proxy" 2>/dev/null || true
  ip address del "$address/32" dev lo 2>/dev/null || true
}
ip address add "$address/32" dev lo 2>/dev/null || { skip "registry" "no address can be added here"; finish; }
mkdir -p "$trust" "$WORK/r"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout "$WORK/r/key" -out "$WORK/r/cert" -subj "/CN=$address" -addext "subjectAltName=IP:$address" 2>/dev/null
htpasswd -Bbn ci KanarienvogelQ7x-registry >"$WORK/r/passwords" 2>/dev/null
cat >"$WORK/r/config.yml" <<YAML
version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: $WORK/r/data }, delete: { enabled: true } }
http: { addr: "$registry", tls: { certificate: $WORK/r/cert, key: $WORK/r/key } }
auth: { htpasswd: { realm: test, path: $WORK/r/passwords } }
YAML
docker-registry serve "$WORK/r/config.yml" >"$WORK/r/log" 2>&1 &
server=$!
wait_for 20 curl -s -o /dev/null --cacert "$WORK/r/cert" "https://$registry/v2/" || { fail "the registry starts" "$(tail -n 3 "$WORK/r/log")"; finish; }

with_password() { export DOCKER_AUTH_CONFIG="{\"auths\":{\"$registry\":{\"username\":\"ci\",\"password\":\"${1:-KanarienvogelQ7x-registry}\"}}}"; }
try() { # its exit code in $rc, its words in out, its time in $took (s)
  local began=$SECONDS
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
  took=$((SECONDS - began))
}
said() { cat "$WORK/out" "$WORK/err" | grep -c -- "$1" | awk '{print ($1 > 0)}'; }
forget() { docker images -q "$registry/*" | sort -u | xargs -r docker image rm -f >/dev/null 2>&1 || true; } # the engine has none of them
refused() { # NAME EXIT WORDS
  expect "$1: exit" "$rc" "$2"
  expect "$1: it says why" "$(said "$3")" 1
  [[ $(said "$3") == 1 ]] || tail -n 4 "$WORK/err"
  expect "$1: nothing was changed" "$(diff <(fingerprint) "$WORK/before" | head -n 4)" ""
  expect "$1: no lock is left" "$(lock_free && echo free)" free
}
web_image() { docker inspect -f '{{.Image}}' "$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=web | head -n 1)"; }
digest_of() { # TAG: as the registry has it
  curl -s -o /dev/null -D - --cacert "$WORK/r/cert" -u ci:KanarienvogelQ7x-registry -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
    "https://$registry/v2/shop/web/manifests/$1" | tr -d '\r' | awk 'tolower($1) == "docker-content-digest:" {print $2}'
}

tiny_project "$WORK/p" 18980 300ms
sed -i "s,image: codops-demo/frontend:.*,image: $registry/shop/web:\${VERSION}," docker-compose.prod.yml
sed -i '/shop\/web/{n;d}' docker-compose.prod.yml # its pull_policy
sed -i "s,^    image: $registry.*,&\n    build: ./web," docker-compose.prod.yml
mkdir web
printf 'FROM codops-demo/frontend:v1.0.0\n' >web/Dockerfile

# ---- push
with_password
try build test v1.0.0 --push
expect "TLS by an unknown authority: the push fails" "$rc $(said 'certificate')" "1 1"
cp "$WORK/r/cert" "$trust/ca.crt"
with_password wrong
try build test v1.0.0 --push
expect "a wrong password: the push fails" "$rc $(said 'docker login')" "1 1"
[[ $rc == 1 ]] || tail -n 4 "$WORK/err"
with_password
try build test v1.0.0 --push
expect "build --push" "$rc" 0
[[ $rc == 0 ]] || tail -n 4 "$WORK/err"
first=$(digest_of v1.0.0)
printf 'FROM codops-demo/frontend:v1.1.0\n' >web/Dockerfile
try build test v1.1.0 --push
expect "another version" "$rc $([[ $(digest_of v1.1.0) == sha256:* && $(digest_of v1.1.0) != "$first" ]] && echo pushed)" "0 pushed"

# ---- pull
sed -i '/build: .\/web/d' docker-compose.prod.yml
forget
try deploy test v1.0.0 -o json
expect "deploy pulls" "$rc $(served)" "0 v1.0.0"
[[ $rc == 0 ]] || tail -n 4 "$WORK/err"
expect "by the digest that the registry has" "$(docker image inspect -f '{{join .RepoDigests " "}}' "$(web_image)")" "$registry/shop/web@$first"
expect "and the tag names it on the engine" "$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=web --format '{{.Image}}' | sort -u)" "$registry/shop/web:v1.0.0"
try deploy test v1.0.0 -o json
expect "the same again: nothing to do" "$rc $(jq -c .changed "$WORK/out")" "0 false"
fingerprint >"$WORK/before"

# ---- what is wrong is found before anything changes
try deploy test v7.7.7
refused "no such tag" 1 'there is no image'
unset DOCKER_AUTH_CONFIG
try deploy test v1.1.0
refused "no password" 1 'docker login'
with_password wrong
try deploy test v1.1.0
refused "a wrong password" 1 'docker login'
expect "and the password is not shown" "$(said wrong)" 0
with_password
kill -STOP "$server"
try deploy test v1.1.0 --set timeouts.engine=3s
refused "a registry that stalls" 69 'registry'
if ((took < 60)); then pass "it gives up in time"; else fail "it gives up in time" "$took s"; fi
kill -CONT "$server"
kill "$server"
wait "$server" 2>/dev/null || true
try deploy test v1.1.0
refused "a registry that is away" 69 'registry'
docker-registry serve "$WORK/r/config.yml" >"$WORK/r/log" 2>&1 &
server=$!
wait_for 20 curl -s -o /dev/null --cacert "$WORK/r/cert" "https://$registry/v2/"
rm "$trust/ca.crt"
try deploy test v1.1.0
refused "its authority is no longer trusted" 69 'certificate'
cp "$WORK/r/cert" "$trust/ca.crt"

# ---- a stall in the middle of a pull: a layer of 64 MB of which 8 arrive
head -c 64M /dev/urandom >"$WORK/p/web/ballast"
printf 'FROM codops-demo/frontend:v1.1.0\nCOPY ballast /ballast\n' >web/Dockerfile
sed -i "s,^    image: $registry.*,&\n    build: ./web," docker-compose.prod.yml
check "a version with a large layer is pushed" "$CODOPS" build test v1.4.0 --push
sed -i '/build: .\/web/d' docker-compose.prod.yml
rm web/ballast
forget_unused() { docker image rm -f "$registry/shop/web:v1.4.0" >/dev/null 2>&1 || true; docker images -qf dangling=true | xargs -r docker image rm -f >/dev/null 2>&1 || true; }
forget_unused
fingerprint >"$WORK/before"
# The registry moves behind a proxy that goes silent after 8 MB of a connection.
kill "$server"
wait "$server" 2>/dev/null || true
inner=$((port + 1))
sed "s,addr: \"$registry\",addr: \"127.0.0.1:$inner\"\, host: \"https://$registry\"," "$WORK/r/config.yml" >"$WORK/r/behind.yml"
docker-registry serve "$WORK/r/behind.yml" >"$WORK/r/log" 2>&1 &
server=$!
"$SUPPORT/stalling_proxy.mjs" "$address" "$port" 127.0.0.1 "$inner" 8000000 "$WORK/stalled" &
proxy=$!
wait_for 20 curl -s -o /dev/null --cacert "$WORK/r/cert" "https://$registry/v2/" || fail "the registry answers through the proxy" "$(tail -n 3 "$WORK/r/log")"
load_start stall --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
try deploy test v1.4.0 --set timeouts.pull=10s
expect "the pull had begun" "$(cat "$WORK/stalled" 2>/dev/null)" stalled
refused "a registry that stalls in the middle of a pull" 69 'pulling .*v1.4.0'
expect "its time is said" "$(said 'timeouts.pull')" 1
if ((took < 30)); then pass "within timeouts.pull ($took s)"; else fail "within timeouts.pull" "$took s"; fi
kill "$proxy" "$server"
wait "$proxy" "$server" 2>/dev/null || true
docker-registry serve "$WORK/r/config.yml" >"$WORK/r/log" 2>&1 &
server=$!
wait_for 20 curl -s -o /dev/null --cacert "$WORK/r/cert" "https://$registry/v2/"
load_stop stall
expect "no request failed meanwhile (of $(load_value stall .sent))" "$(load_value stall '[.failed, .reasons]')" "[0,{}]"

# ---- an image for another machine: as a build on a laptop with another processor would push it
other=arm64
[[ $(uname -m) == x86_64 ]] || other=amd64
forget_unused
proxy=''
manifest=$(curl -s --cacert "$WORK/r/cert" -u ci:KanarienvogelQ7x-registry -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "https://$registry/v2/shop/web/manifests/v1.1.0")
send() { curl -s --cacert "$WORK/r/cert" -u ci:KanarienvogelQ7x-registry "$@"; }
send -L "https://$registry/v2/shop/web/blobs/$(jq -r .config.digest <<<"$manifest")" | jq -c --arg other $other '.architecture = $other' | tr -d '\n' >"$WORK/config"
digest=sha256:$(sha256sum "$WORK/config" | cut -d' ' -f1)
place=$(send -D - -o /dev/null -X POST "https://$registry/v2/shop/web/blobs/uploads/" | tr -d '\r' | awk 'tolower($1) == "location:" {print $2}')
send -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$WORK/config" "$place&digest=$digest"
jq -c --arg digest "$digest" --argjson size "$(stat -c %s "$WORK/config")" '.config.digest = $digest | .config.size = $size' <<<"$manifest" >"$WORK/manifest"
expect "an image for $other is pushed" "$(send -o /dev/null -w '%{http_code}' -X PUT -H 'Content-Type: application/vnd.docker.distribution.manifest.v2+json' \
  --data-binary "@$WORK/manifest" "https://$registry/v2/shop/web/manifests/v1.5.0")" 201
try deploy test v1.5.0
refused "an image for another machine" 1 "is for $other, and the engine runs on"
expect "what to do is said" "$(said 'build it for linux/')" 1

# ---- it goes on, and a tag that moves is seen
load_start pull --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
rc=0
strace -f -qq -e trace=execve -s 100000 -v -e signal=none -o "$WORK/trace" "$CODOPS" deploy test v1.1.0 -vv >"$WORK/out" 2>"$WORK/err" || rc=$?
expect "another version is pulled and serves" "$rc $(served)" "0 v1.1.0"
secret=KanarienvogelQ7x-registry
encoded=$(printf 'ci:%s' "$secret" | base64)
# Its first process is codops itself, whose environment is ours.
expect "the registry's password is in no argv, no child's environment, no output, no label" \
  "$(tail -n +2 "$WORK/trace" | cat - "$WORK/out" "$WORK/err" <(docker ps -aq | xargs docker inspect) | grep -c -e "$secret" -e "$encoded" || true)" 0
sed -i "s,^    image: $registry.*,&\n    build: ./web," docker-compose.prod.yml
printf 'FROM codops-demo/frontend:v1.0.0\nLABEL moved=1\n' >web/Dockerfile
"$CODOPS" build test v1.1.0 --push >/dev/null 2>&1
sed -i '/build: .\/web/d' docker-compose.prod.yml
try deploy test v1.1.0 -o json
expect "the same tag with another digest is another release" "$rc $(jq -c .changed "$WORK/out") $(served)" "0 true v1.0.0"
try rollback test
expect "rollback leads back to the digest of before" "$rc $(served)" "0 v1.1.0"
load_stop pull
expect "no request failed (of $(load_value pull .sent))" "$(load_value pull '[.failed, .reasons]')" "[0,{}]"
docker cp "codops-$PROJECT-state:/state/meta" - >"$WORK/meta.tar"
expect "the registry's password is nowhere in the state" "$(grep -c KanarienvogelQ7x "$WORK/meta.tar" || true)" 0
finish
