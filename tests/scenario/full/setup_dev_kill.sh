#!/usr/bin/env bash
# setup-dev killed with SIGKILL before and after every step, and at moments that nobody chose: the next run ends well.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
[[ -d $npm_config_cache ]] || { skip "npm" "no npm cache: tests/support/images.sh fetch"; finish; }

fresh() {
  (cd "$WORK/app" 2>/dev/null && "$CODOPS" setup-dev --down >/dev/null 2>&1 </dev/null) || true
  rm -rf "$WORK/app" && clone "$WORK/app" && cd "$WORK/app"
}
skip=()
sound() { # NAME: the next run ends well, and so does the one after, without anything to do
  local rc secrets
  secrets=$(grep -h '^[A-Z_]*\(PASSWORD\|SECRET\)=.' .env 2>/dev/null || true)
  rc=$(code setup -o json "${skip[@]}")
  expect "$1: the next run ends well" "$rc $(json '[.steps[] | select(.ending == "failed" or .ending == "blocked") | .name]')" "0 []"
  setup -o json "${skip[@]}" || true
  expect "$1: then there is nothing to do" "$(json '[.steps[] | select(.ending != "unchanged") | .name]')" '[]'
  expect "$1: seeded once, migrated once" "$("$CODOPS" dev psql -- -Atc 'SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL)')" "$seeded|3"
  [[ -z $secrets ]] || expect "$1: no secret was made twice" "$(grep -cF "$secrets" .env)" "$(wc -l <<<"$secrets")"
  expect "$1: nothing is left over" "$(find . -name '.*.tmp' -not -path '*/node_modules/*' | wc -l) $(find .codops /var/lib/codops/dev -path '*postgres/new-*' -prune -print 2>/dev/null | wc -l)" "0 0"
}

stores=(--skip "install,generate,seed")
for step in env postgres redis database migrate install-backend generate seed install-frontend; do
  case $step in
    install-frontend) skip=() seeded=3 ;;
    install-backend | generate | seed) skip=(--skip install:frontend) seeded=3 ;;
    *) skip=("${stores[@]}") seeded=0 ;;
  esac
  for when in before after; do
    fresh
    expect "killed $when $step" "$(CODOPS_TEST_KILL=$when:$step code setup "${skip[@]}")" 137
    sound "$when $step"
  done
done
for delay in 0.02 0.05 0.1 0.15 0.2 0.3 0.4 0.5 0.6 0.8 1 1.2 1.4 1.6 2 2.5 3 -4 -6 -8 -12; do
  # The later ones fall into npm.
  skip=("${stores[@]}") seeded=0
  [[ $delay != -* ]] || { skip=(--skip install:frontend) seeded=3; }
  delay=${delay#-}
  fresh
  setup "${skip[@]}" & victim=$!
  sleep "$delay"
  kill -KILL $victim 2>/dev/null || true
  wait $victim 2>/dev/null || true
  sound "after $delay s"
done
finish
