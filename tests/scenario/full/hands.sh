#!/usr/bin/env bash
# The proxy replaced in a run that fails, dies or is stopped; hands on the proxy (paused, renamed, its configuration changed); networks
# removed while all is stopped; other settings than the run had. One complete release serves afterwards.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18795 300ms
check "a first deploy" tiny_deploy v1.0.0
check "another" tiny_deploy v1.1.0
of_service() { docker ps "$@" --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Names}}' | sort; }
front() { of_service --filter label=com.docker.compose.service=front; }
run() { # ARGUMENT...: in $rc, $WORK/out
  rc=0
  "$CODOPS" --progress plain "$@" >"$WORK/out" 2>&1 || rc=$?
}
well() { # NAME VERSION [WANTED CODE]
  expect "$1" "$rc $(converged "$2" || true)" "${3:-0} "
  [[ $rc == "${3:-0}" ]] || tail -n 8 "$WORK/out"
}
cp docker-compose.prod.yml "$WORK/plain.yml"
cp codops.yaml "$WORK/codops.yaml"
other_proxy() { sed '0,/pull_policy: never/s//pull_policy: never\n    environment: { A: "${VERSION}" }/' "$WORK/plain.yml" >docker-compose.prod.yml; }

# ---- a deploy that makes the proxy anew
other_proxy
for point in after:front after:monitor; do
  CODOPS_TEST_FAIL=$point run deploy test v1.0.0 --allow-downtime
  well "the proxy replaced, failed $point: what served serves" v1.1.0 5
done
CODOPS_TEST_KILL=after:front:TERM run deploy test v1.0.0 --allow-downtime
well "the proxy replaced, SIGTERM behind it" v1.1.0 143
for point in before:front after:front before:prove; do
  CODOPS_TEST_KILL=$point run deploy test v1.0.0 --allow-downtime
  run resume test
  well "the proxy replaced, killed $point, resumed" v1.1.0
done
CODOPS_TEST_KILL=after:monitor run deploy test v1.0.0 --allow-downtime
run abort test
well "the proxy replaced, killed after:monitor, aborted" v1.1.0
cp "$WORK/plain.yml" docker-compose.prod.yml

# ---- the settings of today are not those of the run
CODOPS_TEST_KILL=after:settle run deploy test v1.0.0
sed -i 's|upstreams: /etc/nginx/upstreams|upstreams: /etc/nginx/conf.d|' codops.yaml
run abort test
cp "$WORK/codops.yaml" codops.yaml
well "another folder in the settings by now: aborted as it ran" v1.1.0
CODOPS_TEST_KILL=after:switch run deploy test v1.0.0
sed -i '/^proxy:/d' codops.yaml
run abort test
cp "$WORK/codops.yaml" codops.yaml
well "no proxy in the settings by now: aborted as it ran" v1.1.0

# ---- hands on the proxy
docker pause "$(front)" >/dev/null
run deploy test v1.0.0
well "a paused proxy: the next deploy goes on" v1.0.0
docker pause "$(front)" >/dev/null
CODOPS_TEST_FAIL=after:prove run deploy test v1.1.0
expect "a paused proxy, and a deploy that fails: what was to serve serves" "$rc $(served)" "5 v1.0.0"
was=$(front)
docker rename "$was" "$PROJECT-other"
run deploy test v1.1.0
well "a renamed proxy" v1.1.0
expect "it has its name again" "$(front) $(grep -c "$was had been renamed to $PROJECT-other" "$WORK/out")" "$was 1"
CODOPS_TEST_KILL=after:start run deploy test v1.0.0
docker rename "$was" "$PROJECT-other"
run resume test
well "renamed while a run had died" v1.1.0

config=/etc/nginx/nginx.conf
sed 's/location . {/& return 418;/' nginx.conf >"$WORK/changed.conf"
docker cp "$WORK/changed.conf" "$(front):$config"
docker exec "$(front)" touch -d '2026-01-01' "$config" # as a file of another day, whenever the proxy was started
docker exec "$(front)" nginx -s reload
run status test --check
expect "a changed configuration in the proxy is drift" "$rc $(grep -c "$config inside the proxy was changed by hand" "$WORK/out")" "2 1"
run deploy test v1.1.0
well "and the next deploy of the same version puts it right" v1.1.0
CODOPS_TEST_KILL=after:start run deploy test v1.0.0
docker exec "$(front)" sh -c "echo 'broken;' >>$config"
run deploy test v1.0.0
well "one that nginx refuses, beside a run that died" v1.0.0
hold after:start deploy test v1.1.0
docker exec "$(front)" sh -c "echo 'broken;' >>$config"
go_on
rc=$holder_rc
well "one that nginx refuses, changed while the run goes on: its files are put back" v1.1.0

expect "and said" "$(grep -c "refuses its configuration" "$WORK/holder.out")" 1
run deploy test v1.0.0
well "back" v1.0.0

# ---- everything stopped, the networks gone
gone() {
  of_service | xargs docker stop -t 1 >/dev/null
  docker network rm "${PROJECT}_default" "${PROJECT}_codops" >/dev/null
}
gone
run deploy test v1.0.0
well "all stopped and the networks removed: the same version again" v1.0.0
gone
run deploy test v1.1.0
well "a new version" v1.1.0
gone
run rollback test
well "a rollback" v1.0.0
gone
run scale test web=2
run restart test
well "a restart" v1.0.0
CODOPS_TEST_KILL=after:start run deploy test v1.1.0
gone
run resume test
well "beside a run that died" v1.0.0
gone
# Somebody else has the old addresses by now.
docker network create --subnet "$(docker network create "$PROJECT-x" >/dev/null && docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' "$PROJECT-x"; docker network rm "$PROJECT-x" >/dev/null)" "$PROJECT-squatter" >/dev/null
run deploy test v1.1.0
well "with other addresses than before" v1.1.0
run rollback test
well "and a rollback to containers that had the old ones" v1.0.0
docker network rm "$PROJECT-squatter" >/dev/null

# ---- paused containers of the old set
CODOPS_TEST_KILL=after:start run deploy test v1.1.0
of_service --filter label=com.docker.compose.service=web --filter label=codops.version=v1.0.0 | xargs docker pause >/dev/null
run deploy test v1.1.0
well "the old set paused beside a run that died" v1.1.0
expect "nothing is left paused" "$(of_service --filter status=paused)" ""

# ---- a service that can't run twice, without a proxy
tiny_down
cat >docker-compose.prod.yml <<YAML
services:
  web: { image: "codops-demo/frontend:\${VERSION}", pull_policy: never, restart: unless-stopped, stop_grace_period: 2s, ports: ["127.0.0.1:18795:8080"] }
YAML
sed -i '/^proxy:/d; /^front_door:/d' codops.yaml
run deploy test v1.0.0 --allow-downtime
run deploy test v1.1.0 --allow-downtime
run rollback test --allow-downtime
expect "a rollback of what can't run twice" "$rc $(served)" "0 v1.0.0"
run status test --check
expect "leaves no drift" "$rc $(grep -c drift "$WORK/out")" "0 0"
finish
