#!/usr/bin/env bash
# What a container has beside its own image: mounted folders that hold what the checkout's folder holds and nothing else, also after a deploy that
# was undone and a rollback; a folder that another service writes; files that only their owner reads. And who asks for a rolling
# service by its name from outside the traffic network.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
other=outside$$
clean_up() {
  docker rm -f "$other" >/dev/null 2>&1 || true
  tiny_down
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
sed -i '/^proxy:/i stateful: [watch]' codops.yaml
image_has=$(docker run --rm codops-demo/frontend:v1.0.0 ls /etc/cron.d | wc -l)
check "the image has files where a folder is mounted" test "$image_has" -gt 0
"$CODOPS" deploy test v1.0.0 --dry-run >"$WORK/plan" 2>&1 || cat "$WORK/plan"
check "the plan says from when a name leads there" grep -q "on the network shared$$ reaches its new containers while they boot" "$WORK/plan"
check "and what is shared" grep -q 'static as it is on this host (web writes it)' "$WORK/plan"
check "a first deploy" tiny_deploy v1.0.0

of() { docker ps -q "${mine[@]}" --filter "label=com.docker.compose.service=$1" | head -n 1; }
mine=(--filter "label=com.docker.compose.project=$PROJECT")
asked() { # CONTAINER NAME
  docker exec "$1" getent hosts "$2" | wc -l
}
expect "a folder holds the checkout's files alone" "$(docker exec "$(of web)" ls /etc/cron.d)" own
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
