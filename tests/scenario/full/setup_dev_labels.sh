#!/usr/bin/env bash
# setup-dev with an engine when the compose file and the .env files don't say what runs: broken, gone, another profile, another password.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
need_engine
export CODOPS_SETUP_DEV_BACKEND=docker
quick=(--skip "install,generate,seed")
project=devlabel$$
export CODOPS_SETUP_DEV_PROJECT=$project
of_project() { docker ps -q --filter "label=com.docker.compose.project=$project" | wc -l; }
volumes() { docker volume ls -q --filter "label=com.docker.compose.project=$project" | wc -l; }
clean_up() { down_all; remove_stack "$project"; }

# ---- an .env that has only its URLs: what is made beside them is no other password
clone "$WORK/app" && cd "$WORK/app"
printf 'DATABASE_URL=postgresql://me:mine@127.0.0.1:5432/own\nREDIS_URL=redis://:r1x@127.0.0.1:6379\n' >.env
expect "only URLs: the servers are made as these have it" "$(code setup -o json "${quick[@]}") $(grep -cE '^(POSTGRES_USER=me|POSTGRES_PASSWORD=mine|POSTGRES_DB=own|REDIS_PASSWORD=r1x)$' .env) $("$CODOPS" dev psql -- -Atc 'SELECT current_user') $("$CODOPS" dev redis-cli -- ping)" \
  "0 4 me PONG"

# ---- passwords that contradict each other: at once, with the place
start=$SECONDS
sed -i 's/^REDIS_URL=.*/REDIS_URL=redis:\/\/:wrong@127.0.0.1:6379/' .env
expect "Redis with another password" "$(code setup -o json "${quick[@]}") $(ending redis) $(jq -r '.steps[] | select(.name == "redis") | .hint' "$WORK/out" | grep -c 'REDIS_URL in .env must have the password.*REDIS_PASSWORD')" "78 failed 1"
if ((SECONDS - start < 20)); then pass "without waiting"; else fail "without waiting" "$((SECONDS - start)) s"; fi
sed -i 's/:wrong@/:r1x@/' .env
sed -i 's/^POSTGRES_PASSWORD=.*/POSTGRES_PASSWORD=other/' .env
rm -f .codops/dev/ledger.json
setup -o json "${quick[@]}" || true
expect "PostgreSQL with another password than its URL" "$(jq -r '.steps[] | select(.name == "database") | .hint' "$WORK/out" | grep -c 'DATABASE_URL in .env and the compose file (POSTGRES_PASSWORD) have different passwords')" 1
sed -i 's/^POSTGRES_PASSWORD=.*/POSTGRES_PASSWORD=mine/' .env
expect "the same again: all is well" "$(code setup -o json "${quick[@]}")" 0

# ---- a compose file that can't be read, or is gone: the engine knows
cp docker-compose.yml "$WORK/compose.yml"
echo ' bad: [' >>docker-compose.yml
expect "broken: --reset removes nothing, and says why" "$(code setup --reset --yes "${quick[@]}") $(grep -c 'nothing was removed' "$WORK/err") $(of_project)" "78 1 2"
expect "broken: dev status is no \"ready\"" "$(code "$CODOPS" dev status)" 78
expect "broken: --down stops what runs" "$(code setup --down) $(of_project)" "0 0"
cp "$WORK/compose.yml" docker-compose.yml
expect "mended: with its data" "$(code setup -o json "${quick[@]}") $(ending migrate)" "0 unchanged"
rm docker-compose.yml
expect "gone: dev status shows what runs, and is not content" "$(code "$CODOPS" dev status) $(grep -c "$project-postgres-1" "$WORK/code.out")" "2 1"
expect "gone: --reset removes nothing, and says how to" "$(code setup --reset --yes "${quick[@]}") $(words "$WORK/err" | grep -c "docker compose -p $project down --volumes") $(of_project)" "78 1 2"
expect "gone: --down stops what runs" "$(code setup --down) $(of_project)" "0 0"
expect "gone, and nothing runs: still not ready" "$(code "$CODOPS" dev status)" 2
cp "$WORK/compose.yml" docker-compose.yml

# ---- a profile that is not chosen now
printf 'services:\n  admin:\n    image: codops-demo/redis:7\n    pull_policy: never\n    profiles: [tools]\n    volumes: ["admin:/x"]\nvolumes: {admin: {}}\n' >docker-compose.override.yml
expect "with a profile" "$(COMPOSE_PROFILES=tools code setup "${quick[@]}")" 0
check "its volume is there" docker volume inspect "${project}_admin"
expect "--reset without it leaves nothing of its own" "$(code setup --reset --yes "${quick[@]}") $(docker volume inspect "${project}_admin" >/dev/null 2>&1; echo $?)" "0 1"
finish
