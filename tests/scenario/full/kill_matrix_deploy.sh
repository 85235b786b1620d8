#!/usr/bin/env bash
# SIGKILL before and after every step of a deploy, under load: afterwards one complete release serves, the next command has cleaned
# up, and no request failed. The rest of the matrix (rollback, scale, other signals, the engine's own restarts) is full/kill_matrix.sh.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
clean_up() { tiny_down; }

tiny_project "$WORK/p" 18180
check "the first deploy" tiny_deploy v1.0.0
check "the second deploy" tiny_deploy v1.1.0
expect "it converged" "$(converged v1.1.0 || true)" ""

other() { if [[ $(serving) == v1.0.0 ]]; then echo v1.1.0; else echo v1.0.0; fi; }
mapfile -t points < <(points_of deploy test v1.0.0)
load_start matrix --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
for point in "${points[@]}"; do strike "$point" "deploy, KILL $point" deploy test "$(other)"; done
load_stop matrix
matrix_total
expect "every cell of the matrix (${#points[@]}) converged" "$matrix_bad" 0
expect "no request failed (of $(load_value matrix .sent))" "$(load_value matrix '[.failed, .reasons]')" "[0,{}]"

# Without resume: the next deploy recovers by itself, before it does what it was asked to.
CODOPS_TEST_KILL=after:start "$CODOPS" deploy test "$(other)" >/dev/null 2>&1 || true
wanted=$(other)
said=$("$CODOPS" deploy test "$wanted" 2>&1) || true
expect "the next deploy says what it recovered" "$(grep -c 'died at step start: undoing it' <<<"$said")" 1
expect "and then does its own work" "$(converged "$wanted" || true)" ""
