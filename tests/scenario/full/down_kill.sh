#!/usr/bin/env bash
# `down`, killed before and after each of its steps (they come from its plan): the next command finishes it, and the history says so.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
# shellcheck source=tests/support/down.sh
source "$SUPPORT/down.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18780 0ms
check "a first deploy" tiny_deploy v1.0.0
mapfile -t steps < <(steps_of down test)
points=(after:lock before:plan after:plan)
for step in "${steps[@]}"; do points+=("before:$step" "after:$step"); done
points+=(before:record after:record)
for point in "${points[@]}"; do killed_at "$point"; done
finish
