#!/usr/bin/env bash
# What a container has beside its own image: mounted folders that hold what the checkout's folder holds and nothing else, also after a deploy that
# was undone or killed and a rollback; symbolic links in them; a folder that another service writes; files that only their owner reads. And who
# asks for a rolling service by its name from outside the traffic network.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
other=outside$$
clean_up() {
  docker rm -f "$other" "$other-late" >/dev/null 2>&1 || true
  tiny_down
  docker volume rm "$other-folder" >/dev/null 2>&1 || true
  docker network rm "shared$$" >/dev/null 2>&1 || true
}
tiny_project "$WORK/p" 18797 300ms
docker network create "shared$$" >/dev/null
docker run -d --name "$other" --network "shared$$" codops-demo/nginx:1.22 sleep 600 >/dev/null

mkdir conf.d static
mv nginx.conf conf.d/site.conf
sed -i -n '/server {/p' conf.d/site.conf
sed -i 's#location / {#location /static/ { root /; } location / {#' conf.d/site.conf
cat >nginx.conf <<'CONF'
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr warn;
worker_shutdown_timeout 5s;
events {}
http {
  include /etc/nginx/upstreams/*.conf;
  include /etc/nginx/conf.d/*.conf;
  access_log off;
  proxy_http_version 1.1;
  proxy_set_header Connection '';
}
CONF
echo secret >key
chown 101:101 key
chmod 600 key
cat >docker-compose.prod.yml <<YAML
services:
  front:
    image: codops-demo/nginx:1.22
    pull_policy: never
    restart: unless-stopped
    ports: ["127.0.0.1:18797:80"]
    volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro", "./conf.d:/etc/nginx/conf.d:ro", "./static:/static:ro"]
    stop_grace_period: 5s
  web:
    image: codops-demo/frontend:\${VERSION}
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 5s
    volumes: ["./static:/made", "./key:/key:ro", "./etc:/etc/cron.d:ro"]
    networks: { default: {}, shared: { aliases: [the-web] } }
  watch:
    image: codops-demo/nginx:1.22
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 1s
    command: [sleep, "600"]
networks: { shared: { external: true, name: shared$$ } }
YAML
mkdir etc
echo '# none' >etc/own
echo secret-of-this-host >"$WORK/secret"
ln -s own etc/again
ln -s "$WORK/secret" etc/stray
ln -s ../../secret etc/stray2
sed -i '/^proxy:/i stateful: [watch]' codops.yaml
image_has=$(docker run --rm codops-demo/frontend:v1.0.0 ls /etc/cron.d | wc -l)
check "the image has files where a folder is mounted" test "$image_has" -gt 0
"$CODOPS" deploy test v1.0.0 --dry-run >"$WORK/plan" 2>&1 || cat "$WORK/plan"
check "the plan says from when a name leads there" grep -q "on the network shared$$ reaches its new containers while they boot" "$WORK/plan"
check "and what is shared" grep -q 'static as it is on this host (web writes it)' "$WORK/plan"
check "and which links lead out of their folder" grep -q 'etc (stray.* and 1 more): a symbolic link out of that folder stays one' "$WORK/plan"
check "a first deploy" tiny_deploy v1.0.0

of() { docker ps -q "${mine[@]}" --filter "label=com.docker.compose.service=$1" | head -n 1; }
mine=(--filter "label=com.docker.compose.project=$PROJECT")
asked() { # CONTAINER NAME
  docker exec "$1" getent hosts "$2" | wc -l
}
expect "a folder holds the checkout's files alone" "$(docker exec "$(of web)" ls /etc/cron.d | tr '\n' ' ')" "again own stray stray2 "
expect "a symbolic link is one, and leads within the container" \
  "$(docker exec "$(of web)" sh -c 'cd /etc/cron.d; readlink again stray stray2; cat again; cat stray stray2 2>/dev/null || echo nothing' | tr '\n' ' ')" "own $WORK/secret ../../secret # none nothing "
docker cp "codops-$PROJECT-state:/state" - >"$WORK/state.tar"
expect "what it leads to on this host is nowhere on the engine" "$(grep -c secret-of-this-host "$WORK/state.tar" || true)" 0
expect "a file that only its owner reads keeps him" "$(docker exec "$(of web)" stat -c '%u %g %a' /key)" "101 101 600"
expect "another project reaches the service by its name, on the network that both have" "$(asked "$other" web)" 1
expect "and by its alias" "$(asked "$other" the-web)" 1
expect "so does what keeps data" "$(asked "$(of watch)" web)" 1

docker exec "$(of web)" sh -c 'echo made >/made/later.txt'
expect "what another service writes into a mounted folder is served at once" "$(curl -sS -m 5 "$FRONT/static/later.txt")" made

files() { docker exec "$(of front)" ls /etc/nginx/conf.d | tr '\n' ' '; }
echo 'server { listen 81; return 204; }' >conf.d/more.conf
check "a file more" tiny_deploy v1.1.0
expect "it is there" "$(files)" "more.conf site.conf "
"$CODOPS" rollback test >"$WORK/out" 2>&1 || cat "$WORK/out"
expect "after a rollback it is not" "$(files)" "site.conf "
check "a deploy with it again" tiny_deploy v1.1.0
rm conf.d/more.conf
echo 'server { listen 82; return 204; }' >conf.d/another.conf
sed -i 's#^front_door: .*#front_door: { path: /nowhere/at/all, status: 299 }#' codops.yaml
code=0
"$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || code=$?
expect "one that fails at its proof" "$code" 5
expect "leaves the files as they were" "$(files)" "more.conf site.conf "
check "and a configuration that nginx starts with" docker exec "$(of front)" nginx -t
sed -i 's#^front_door: .*#front_door: { path: /healthz }#' codops.yaml
check "and one that works" tiny_deploy v1.0.0
expect "has its own alone" "$(files)" "another.conf site.conf "

# ---- a run that is killed when the files are in the proxy, or on its way back
inside() { docker exec "$(of front)" "$@"; }
cuts=(in:files after:switch undo:switch)
for cut in "${cuts[@]}"; do
  rm conf.d/another.conf
  echo 'server { listen 83; return 204; }' >conf.d/third.conf
  code=0
  CODOPS_TEST_KILL=$cut CODOPS_TEST_FAIL=$([[ $cut != undo:* ]] || echo before:prove) "$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || code=$?
  expect "killed at $cut" "$code" 137
  code=0
  "$CODOPS" abort test --yes >"$WORK/out" 2>&1 || code=$?
  expect "$cut: the next command brings back the files that serve" "$code $(files)" "0 another.conf site.conf "
  docker restart -t 1 "$(of front)" >/dev/null
  check "$cut: nginx starts with them" wait_for 10 curl -fsS -m 2 "$FRONT/version.json"
  expect "$cut: and leads to the version of before" "$(served)" v1.0.0
  mv conf.d/third.conf conf.d/another.conf
  echo 'server { listen 82; return 204; }' >conf.d/another.conf
done

# ---- a folder that becomes a link, and one again: nothing is written or removed through it
mkdir conf.d/sub
echo '# mine' >conf.d/sub/passwd
check "a folder within the folder" tiny_deploy v1.1.0
rm -r conf.d/sub
ln -s /etc conf.d/sub
check "which becomes a link" tiny_deploy v1.0.0
expect "is one" "$(inside readlink /etc/nginx/conf.d/sub) $(inside grep -c ^root: /etc/passwd)" "/etc 1"
"$CODOPS" rollback test >"$WORK/out" 2>&1 || cat "$WORK/out"
expect "and a folder again after a rollback" "$(inside cat /etc/nginx/conf.d/sub/passwd) $(inside grep -c ^root: /etc/passwd)" "# mine 1"
rm conf.d/sub

# ---- a file over one of the image's, which comes back; a folder more is a new container's
types() { inside sha256sum /etc/nginx/mime.types | cut -d' ' -f1; }
of_image=$(types)
echo 'types {}' >mine.types
cp docker-compose.prod.yml as-is.yml
sed -i 's#"./nginx.conf:/etc/nginx/nginx.conf:ro", #&"./mine.types:/etc/nginx/mime.types:ro", #' docker-compose.prod.yml
check "a file mounted over one of the image" tiny_deploy v1.0.0
expect "is seen" "$(types)" "$(sha256sum <mine.types | cut -d' ' -f1)"
"$CODOPS" rollback test >"$WORK/out" 2>&1 || cat "$WORK/out"
expect "after a rollback the image's is" "$(types)" "$of_image"
check "with it again" tiny_deploy v1.0.0
cp as-is.yml docker-compose.prod.yml
check "and without it" tiny_deploy v1.1.0
expect "the image's is seen" "$(types) $(docker ps -aq --filter "name=$PROJECT-look" | wc -l)" "$of_image 0"
mkdir snippets
echo '# mine' >snippets/mine.conf
sed -i 's#"./conf.d:/etc/nginx/conf.d:ro", #&"./snippets:/etc/nginx/snippets:ro", #' docker-compose.prod.yml
code=0
"$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || code=$?
expect "a folder more wants another container of the proxy" "$code $(words "$WORK/out" | grep -c 'the proxy front is recreated' || true)" "1 1"
code=0
"$CODOPS" deploy test v1.1.0 --allow-downtime >"$WORK/out" 2>&1 || code=$?
expect "which shows it alone" "$code $(inside ls /etc/nginx/snippets | tr '\n' ' ')" "0 mine.conf "
"$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || code=$?
expect "and is there to stay" "$code $(grep -c 'nothing to do' "$WORK/out" || true)" "0 1"

# ---- a folder of files without a container, which gets one while it is being removed
docker volume create --label "codops.files=$PROJECT" "$other-folder" >/dev/null
hold in:folders deploy test v1.0.0
docker create --name "$other-late" -v "$other-folder:/x" codops-demo/nginx:1.22 >/dev/null
go_on
expect "it is left alone" "$holder_rc $(grep -c 'could not be cleaned up' "$WORK/holder.out" || true) $(docker volume ls -q --filter "name=$other-folder")" "0 0 $other-folder"
docker rm "$other-late" >/dev/null
check "the next run" tiny_deploy v1.1.0
expect "removes it" "$(docker volume ls -q --filter "name=$other-folder")" ""

head -c 17000000 /dev/zero >static/large.bin
sed -i '/- \.\/static:\/made/d; s#"./static:/made", ##' docker-compose.prod.yml
"$CODOPS" deploy test v1.1.0 --dry-run >"$WORK/plan" 2>&1 || cat "$WORK/plan"
check "a folder too large to travel: told" grep -q 'do not travel' "$WORK/plan"
code=0
"$CODOPS" deploy test v1.1.0 --allow-downtime >"$WORK/out" 2>&1 || code=$?
expect "and mounted as it is" "$code $(curl -sS -m 5 -o /dev/null -w '%{size_download}' "$FRONT/static/large.bin")" "0 17000000"
openssl req -x509 -newkey rsa:2048 -nodes -keyout conf.d/tls.key -out conf.d/tls.crt -subj /CN=localhost -days 2 2>/dev/null
secure() { # WHAT THE TLS SERVER DOES
  printf '%s\n' 'server { listen 80; return 301 https://$host$request_uri; }' \
    "server { listen 443 ssl; ssl_certificate conf.d/tls.crt; ssl_certificate_key conf.d/tls.key; location / { $1 } }" >conf.d/site.conf
}
secure 'proxy_pass http://web;'
"$CODOPS" deploy test v1.0.0 >"$WORK/out" 2>&1 || cat "$WORK/out"
check "a front that leads to https, which is elsewhere: told" grep -q 'only redirects to https' "$WORK/out"
sed -i 's#ports: .*#ports: ["127.0.0.1:18797:80", "127.0.0.1:18798:443"]#' docker-compose.prod.yml
code=0
"$CODOPS" deploy test v1.0.0 --allow-downtime >"$WORK/out" 2>&1 || code=$?
expect "where it is here, it is asked there" "$code $(grep -c 'only redirects' "$WORK/out")" "0 0"
secure 'return 500;'
code=0
"$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || code=$?
expect "what answers badly behind a redirect is moved back" "$code $(grep -c '18798.*HTTP 500' "$WORK/out")" "5 1"
"$CODOPS" down test --yes >"$WORK/out" 2>&1 || cat "$WORK/out"
expect "down leaves no folder behind" "$(docker volume ls -q --filter "label=codops.files=$PROJECT")" ""
finish
