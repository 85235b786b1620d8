#!/usr/bin/env bash
# deploy, scale, rollback and the small verbs, as they should go.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/site.sh
source "$SUPPORT/site.sh"
need_engine
# shellcheck disable=SC2119
site
# So that the first release is there to the end.
echo 'keep_releases: 20' >>"$APP/codops.yaml"

# ---- the first one
exits "a plan of the first deploy" 0 deploy demo v1.0.0 --dry-run -o json
expect "a dry run makes nothing" "$(docker ps -aq "${mine[@]}"; docker volume ls -q --filter "name=$PROJECT")" ""
exits "first deploy" 0 deploy demo v1.0.0 -o json
expect "it says what it did" "$(result '[.verb, .release, .version, .changed, .downtime, .front_door.asked == .front_door.answered]')" \
  '["deploy",1,"v1.0.0",true,[],true]'
serving "first deploy serves" v1.0.0 1
check "status --check agrees" "$CODOPS" -C "$APP" status demo --check
check "tables" migrated
data=$(docker ps -q --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=postgres)

# ---- a new version under load
traffic move
exits "a new version under load" 0 deploy demo v1.1.0 -o json
seconds=$(result .seconds)
load_stop move
unharmed "no request failed" move
expect "both versions were seen" "$(load_value move '.versions_seen | keys')" '["v1.0.0","v1.1.0"]'
serving "the new version serves" v1.1.0 2
expect "the old set is kept, stopped" "$(docker inspect -f '{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}' "$PROJECT-backend-r1-1")" "exited no"
expect "data was left alone" "$(docker ps -q --no-trunc "${mine[@]}" --filter label=com.docker.compose.service=postgres)" "$data"
echo "  (deploy under load: $seconds s)"

# ---- nothing to do, and to do it all the same
footprint
exits "the same again" 0 deploy demo v1.1.0 -o json
expect "says that nothing changed" "$(result '[.changed, .steps]')" '[false,[]]'
expect "and nothing did" "$(unchanged)" ""
exits "a dry run of another version" 0 deploy demo v1.0.0 --dry-run -o json
expect "plans a release" "$(result '[.dry_run, .changed, .release, (.steps | length > 0)]')" '[true,false,3,true]'
expect "and changes nothing" "$(unchanged)" ""
exits "--force" 0 deploy demo v1.1.0 --force
serving "a new set of the same version" v1.1.0 3
expect "new containers" "$(running backend)" "$PROJECT-backend-r3-1 $PROJECT-backend-r3-2 "

# ---- one service
exits "one service alone" 0 deploy demo backend=v1.0.0 -o json
expect "the backend moved" "$(served)" v1.0.0
expect "the page did not" "$(served /version.json) $(running frontend)" "v1.1.0 $PROJECT-frontend-r3-1 "

# ---- scale
exits "scale up" 0 scale demo backend=3
expect "three run, two of them as before" "$(running backend)" \
  "$PROJECT-backend-r4-1 $PROJECT-backend-r4-2 $PROJECT-backend-r5-3 "
expect "all three get requests" "$(for ((i = 0; i < 30; i++)); do curl -s -o /dev/null -D - $FRONT/api/version | grep -i '^x-instance'; done | sort -u | wc -l)" 3
exits "scale down" 0 scale demo backend=1
expect "one runs" "$(running backend)" "$PROJECT-backend-r4-1 "
exits "a scaled count stays" 0 deploy demo v1.1.0
expect "one of the new version" "$(running backend) $(served)" "$PROJECT-backend-r7-1  v1.1.0"
exits "scale back" 0 scale demo backend=2

# ---- rollback
exits "rollback --to a version" 0 rollback demo --to 3
serving "that release serves" v1.1.0 3
exits "rollback" 0 rollback demo -o json
expect "to the one before" "$(result '[.verb, .from, .release, .version, .changed]')" '["rollback",3,2,"v1.1.0",true]'
traffic back
exits "rollback to the first, by version, under load" 0 rollback demo --to v1.0.0
load_stop back
unharmed "no request failed on the way back" back
serving "the first release serves" v1.0.0 1
expect "its own containers, not new ones" "$(running backend)" "$PROJECT-backend-r1-1 $PROJECT-backend-r1-2 "
exits "further back there is nothing" 1 rollback demo
exits "a release that is not kept" 64 rollback demo --to v7.7.7

# ---- configuration only
cp "$APP/nginx/nginx.conf" "$WORK/nginx.conf"
sed -i 's/X-Frame-Options DENY/X-Frame-Options SAMEORIGIN/' "$APP/nginx/nginx.conf"
exits "another nginx.conf" 0 deploy demo v1.0.0
expect "nginx has it" "$(curl -s -D - -o /dev/null $FRONT/ | grep -ic '^x-frame-options: SAMEORIGIN')" 1
expect "no container was made for it" "$(running backend)" "$PROJECT-backend-r1-1 $PROJECT-backend-r1-2 "
sed -i 's/^CORS_ORIGIN=.*/CORS_ORIGIN=https:\/\/shop.example/' "$APP/.env.demo"
exits "another value in the environment" 0 deploy demo v1.0.0 -o json
expect "only what reads it was made again" "$(result '.untouched | contains(["frontend","postgres","redis"])')" true
expect "the backend has it" "$(docker exec "$(running backend | cut -d' ' -f1)" printenv CORS_ORIGIN)" https://shop.example
exits "back to before" 0 rollback demo --to 1
expect "files and environment went back too" \
  "$(curl -s -D - -o /dev/null $FRONT/ | grep -ic '^x-frame-options: DENY') $(docker exec "$(running backend | cut -d' ' -f1)" printenv CORS_ORIGIN || true)" "1 "

# ---- old_set: running
echo 'old_set: running' >>"$APP/codops.yaml"
exits "a deploy that leaves the old set running" 0 deploy demo v1.1.0 -o json
newest=$(result .release)
expect "both sets run" "$(running backend)" "$PROJECT-backend-r1-1 $PROJECT-backend-r1-2 $PROJECT-backend-r$newest-1 $PROJECT-backend-r$newest-2 "
serving "one serves, and the other is no drift" v1.1.0 "$newest"
expect "nobody reaches the old one by name" "$(docker exec "$(running nginx | cut -d' ' -f1)" getent ahostsv4 backend | cut -d' ' -f1 | sort -u | wc -l)" 2
exits "the same again changes nothing" 0 deploy demo v1.1.0 -o json
expect "and says so" "$(result .changed)" false
traffic rest
exits "rollback to the set that runs" 0 rollback demo -o json
load_stop rest
unharmed "no request failed" rest
expect "nothing was started or made" "$(result '[.release, .engine_seconds.start // 0, .engine_seconds.create // 0]')" '[1,0,0]'
serving "the set that ran serves" v1.0.0 1
sed -i '/^old_set/d' "$APP/codops.yaml"
exits "without the setting it is drift" 2 status demo --check
exits "which the next deploy ends" 0 deploy demo v1.0.0
exits "and back" 0 rollback demo --to 1
expect "one set runs" "$(running backend)" "$PROJECT-backend-r1-1 $PROJECT-backend-r1-2 "

# ---- the small verbs
exits "exec" 7 exec demo backend -- sh -c 'echo inside; exit 7'
expect "its output" "$(cat "$WORK/out")" inside
check "exec reads standard input" sh -c "[ \"\$(echo through | '$CODOPS' -C '$APP' exec demo backend -- cat)\" = through ]"
before=$(docker ps -aq | sort)
# shellcheck disable=SC2016 # the container's
for verb in exec run; do
  exits "$verb: a service that is none" 64 "$verb" demo nosuch -- true
  check "$verb: says which there are" grep -q 'there are: .*backend' "$WORK/err"
done
exits "run: a command that is none" 127 run demo backend -- nosuch
check "run: and says which" grep -q "nosuch can't be run in backend" "$WORK/err"
exits "run" 3 run demo backend -- sh -c 'echo "$DATABASE_URL" | cut -c1-10; exit 3'
expect "has the service's environment" "$(cat "$WORK/out")" postgresql
expect "leaves no container" "$(docker ps -aq | sort)" "$before"
exits "logs" 0 logs demo backend --tail 5
check "logs have lines of the service" grep -q . "$WORK/out"
exits "maintenance on" 0 maintenance demo on
expect "the front says 503" "$(served) $(served /)" "503 503"
exits "maintenance off" 0 maintenance demo off
serving "it serves again" v1.0.0 1
before=$(running backend)
exits "restart" 0 restart demo backend
expect "with other containers" "$([[ $(running backend) != "$before" ]] && served)" v1.0.0
exits "history" 0 history demo -o json
expect "every entry follows the one before" "$(result '[.. | objects | select(has("result")) | .result] | unique')" '["done","ok"]'

# ---- the end of it
exits "down asks first" 64 down demo
exits "down" 0 down demo --yes
expect "no container, no network" "$(docker ps -aq "${mine[@]}")$(docker network ls -q --filter "name=$PROJECT")" ""
check "data stays" docker volume inspect "${PROJECT}_pgdata"
exits "up again with its data" 0 deploy demo v1.1.0
expect "orders are there" "$(curl -s $FRONT/api/orders | jq '.orders | length > 0')" true
exits "down with its volumes" 0 down demo --volumes --yes
expect "nothing is left" "$(docker volume ls -q --filter "name=$PROJECT")" ""
finish
