#!/usr/bin/env bash
# setup-dev killed with SIGKILL before and after every step, and at moments spread over a whole run: the next run ends well. Both
# backends; BACKENDS="docker" takes one of them.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -d $npm_config_cache ]] || { skip "npm" "no npm cache: tests/support/images.sh fetch"; finish; }

project=devkill$$
remove_all() {
  docker ps -aq --filter "label=com.docker.compose.project=$project" | xargs -r docker rm -fv >/dev/null
  docker volume ls -q --filter "label=com.docker.compose.project=$project" | xargs -r docker volume rm >/dev/null
  docker network ls -q --filter "label=com.docker.compose.project=$project" | xargs -r docker network rm >/dev/null
}
clean_up() {
  down_all
  [[ -z ${DOCKER_HOST:-} ]] || remove_all
}
fresh() {
  if [[ $backend == local ]]; then
    (cd "$WORK/app" 2>/dev/null && "$CODOPS" setup-dev --down >/dev/null 2>&1 </dev/null) || true
  else
    remove_all
  fi
  cd "$WORK" && rm -rf "$WORK/app" && clone "$WORK/app" && cd "$WORK/app"
  # Later steps need what npm installs; only the install's own cases wait for it each time.
  [[ -z ${1:-} || ! -d $WORK/modules ]] || cp -al "$WORK/modules" backend/node_modules
}
skip=()
sound() { # NAME: the next run ends well, and so does the one after, without anything to do
  local rc secrets
  secrets=$(grep -h '^[A-Z_]*\(PASSWORD\|SECRET\)=.' .env 2>/dev/null || true)
  rc=$(code setup -o json "${skip[@]}")
  expect "$1: the next run ends well" "$rc $(json '[.steps[] | select(.ending == "failed") | [.name, .text]]')" "0 []"
  setup -o json "${skip[@]}" || true
  expect "$1: then there is nothing to do" "$(json '[.steps[] | select(.ending != "unchanged") | .name]')" '[]'
  expect "$1: seeded once, migrated once" "$("$CODOPS" dev psql -- -Atc 'SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL)')" "$seeded|3"
  [[ -z $secrets ]] || expect "$1: no secret was made twice" "$(grep -cF "$secrets" .env)" "$(wc -l <<<"$secrets")"
  expect "$1: nothing is left over" "$(find . -name '.*.tmp' -not -path '*/node_modules/*' | wc -l) $(find .codops /var/lib/codops/dev -path '*postgres/new-*' -prune -print 2>/dev/null | wc -l)" "0 0"
  [[ $backend == local ]] || expect "$1: one container each" "$(docker ps -a --filter "label=com.docker.compose.project=$project" --format '{{.Names}} {{.State}}' | sort | tr '\n' ' ')" "$project-postgres-1 running $project-redis-1 running "
}

# The engine is killed while setup-dev is in the middle of a step; its state is told, and the next run goes on once it is back.
engine_dies() {
  local dir rc step
  dir=$(dirname "${DOCKER_HOST#unix://}")
  [[ -f $dir/docker.pid ]] || { skip "engine" "not one that can be killed"; return; }
  skip=("${stores[@]}") seeded=0
  for step in networks postgres redis; do
    fresh linked
    CODOPS_TEST_KILL=before:$step:STOP "$CODOPS" setup-dev -o json "${skip[@]}" >"$WORK/out" 2>"$WORK/err" </dev/null & victim=$!
    wait_for 30 is_stopped
    "$SUPPORT/engine.sh" kill "$dir" >/dev/null
    kill -CONT "$victim"
    rc=0
    wait "$victim" || rc=$?
    expect "docker: the engine dies before $step" "$rc $(json '[.steps[] | select(.ending == "failed" and (.text | test("engine") | not))]')" "69 []"
    expect "docker: which is told with the engine gone" "$(code setup "${skip[@]}")" 69
    "$SUPPORT/engine.sh" start "$dir" >/dev/null
    sound "docker: the engine died before $step"
  done
}
is_stopped() { [[ $(awk '/^State:/ {print $2}' "/proc/$victim/status") == T ]]; }

stores=(--skip "install,generate,seed")
whole=(--skip install:frontend)
run_backend() {
  local step when begun total part
  export CODOPS_SETUP_DEV_BACKEND=$backend
  local own=()
  [[ $backend == local ]] || own=(networks)
  rm -rf "$WORK/modules"
  for step in env "${own[@]}" postgres redis database migrate install-backend generate seed; do
    for when in before after; do
      skip=("${stores[@]}") seeded=0
      case $step in install-backend | generate | seed) skip=("${whole[@]}") seeded=3 ;; esac
      if [[ $step == install-backend ]]; then fresh; else fresh linked; fi
      expect "$backend: killed $when $step" "$(CODOPS_TEST_KILL=$when:$step code setup "${skip[@]}")" 137
      sound "$backend: $when $step"
      [[ -d $WORK/modules || ! -f backend/node_modules/.package-lock.json ]] || cp -al backend/node_modules "$WORK/modules"
    done
  done
  # Ctrl-C and a job that is cancelled: an end of its own making, with its own code.
  skip=("${stores[@]}") seeded=0
  for step in env "${own[@]}" postgres redis database migrate; do
    for when in before:INT:130 after:TERM:143; do
      # Once the last step is done, everything is: no signal makes that a failure.
      [[ $when$step != after*migrate ]] || continue
      fresh linked
      IFS=: read -r when signal wanted <<<"$when"
      expect "$backend: SIG$signal $when $step" "$(CODOPS_TEST_KILL=$when:$step:$signal code env --default-signal=INT "$CODOPS" setup-dev "${skip[@]}")" "$wanted"
      sound "$backend: SIG$signal $when $step"
    done
  done
  [[ $backend == local ]] || engine_dies
  # Moments of a run with the stores alone, then of one with everything.
  for kind in stores whole; do
    if [[ $kind == stores ]]; then skip=("${stores[@]}") seeded=0; else skip=("${whole[@]}") seeded=3; fi
    fresh
    begun=$(date +%s%N)
    setup "${skip[@]}" || true
    total=$((($(date +%s%N) - begun) / 1000000))
    for part in 2 5 10 15 20 30 40 50 60 70 80 90 97; do
      [[ $kind == stores ]] || ((part % 20 == 10 || part == 97)) || continue
      fresh
      setup "${skip[@]}" & victim=$!
      sleep "$(awk "BEGIN {print $total * $part / 100000}")"
      kill -KILL $victim 2>/dev/null || true
      wait $victim 2>/dev/null || true
      sound "$backend: $kind at $part %"
    done
  done
  fresh
}

for backend in ${BACKENDS:-local docker}; do
  if [[ $backend == docker ]]; then
    need_engine
    export CODOPS_SETUP_DEV_PROJECT=$project
  elif [[ -z $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] || ! command -v redis-server >/dev/null; then
    skip "$backend" "PostgreSQL or Redis is not installed"
    continue
  fi
  run_backend
done
finish
