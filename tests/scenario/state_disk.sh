#!/usr/bin/env bash
# The place of the state on the engine is full, or read-only: a clear error, nothing is lost, and with room again all goes on.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
disk=$WORK/disk
clean_up() {
  tiny_down
  umount "$disk" 2>/dev/null || true
}
mkdir "$disk"
mount -t tmpfs -o size=2m tmpfs "$disk" 2>/dev/null || { skip "a small disk" "nothing can be mounted here"; finish; }
tiny_project "$WORK/p" 18880 300ms
docker volume create -o type=none -o o=bind -o "device=$disk" "codops-$PROJECT-state" >/dev/null
fill() { dd if=/dev/zero of="$disk/ballast" bs=4k 2>/dev/null || true; }
room() { rm -f "$disk/ballast"; }
try() {
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
}
said() { grep -c -- "$1" "${2:-$WORK/out}" | awk '{print ($1 > 0)}'; }

check "a first deploy" tiny_deploy v1.0.0
check "a second" tiny_deploy v1.1.0
load_start disk --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
fingerprint >"$WORK/before"

# ---- full from the beginning
fill
try deploy test v1.0.0
expect "full: exit 1" "$rc" 1
expect "full: it says what and where" "$(said 'state.*can.t be written.*no space left')" 1
expect "full: and what to do" "$(said '^hint: ')" 1
expect "full: nothing has changed" "$(diff <(fingerprint) "$WORK/before")" ""
expect "full: the lock is free" "$(lock_free && echo free)" free
try status test
expect "full: status can be read" "$rc" 0
room
try deploy test v1.0.0
expect "with room again it goes on" "$rc $(converged v1.0.0 || true)" "0 "
nothing_damaged() { expect "$1: no empty file is left in the state" "$("$CODOPS" status test -o json | jq -c .damaged) $(find "$disk/meta" -type f -empty)" "[] "; }
nothing_damaged "with room again"
try rollback test
expect "and back" "$rc $(converged v1.1.0 || true)" "0 "

# ---- full in the middle: what was begun is undone all the same
last_entry() { "$CODOPS" history test -o json | jq -c '.entries[-1] | [.result, .failed_step, .exit, (.message | test("no space left"))]'; }
for point in after:start after:switch; do
  fingerprint >"$WORK/before"
  count=$("$CODOPS" history test -o json | jq '.entries | length')
  hold "$point" deploy test v1.0.0
  fill
  go_on
  expect "full at $point: exit 1 or 5" "$(((holder_rc == 1) || (holder_rc == 5)))" 1
  expect "full at $point: it is said" "$(said 'can.t be written.*no space left' "$WORK/holder.out")" 1
  expect "full at $point: all is as before" "$(diff <(fingerprint) "$WORK/before")" ""
  # Before there is room again: the end has a place that was kept for it.
  expect "full at $point: the history has what happened, and why" "$(last_entry)" \
    "[\"undone\",\"$([[ $point == after:start ]] && echo switch || echo monitor)\",$holder_rc,true]"
  expect "full at $point: nothing is unfinished" "$("$CODOPS" status test -o json | jq -c .unfinished)" null
  room
  try resume test
  expect "full at $point: nothing is told otherwise afterwards" "$rc $(said 'nothing is unfinished') $(converged v1.1.0 || true)" "0 1 "
  expect "full at $point: one entry for it" "$(($("$CODOPS" history test -o json | jq '.entries | length') - count))" 1
  check "full at $point: and it deploys" tiny_deploy v1.0.0
  nothing_damaged "full at $point"
  check "full at $point: and back" tiny_deploy v1.1.0
done

# ---- read-only
fingerprint >"$WORK/before"
mount -o remount,ro "$disk"
try deploy test v1.0.0
expect "read-only: exit 1" "$rc" 1
expect "read-only: it says so" "$(said 'can.t be written.*read-only')" 1
expect "read-only: nothing has changed" "$(diff <(fingerprint) "$WORK/before")" ""
try rollback test
expect "read-only: nor by rollback" "$rc $(diff <(fingerprint) "$WORK/before")" "1 "
try status test
expect "read-only: status can be read" "$rc" 0
mount -o remount,rw "$disk"
check "writable again, it deploys" tiny_deploy v1.0.0
expect "and all is well" "$(converged v1.0.0 || true)" ""
load_stop disk
expect "no request failed (of $(load_value disk .sent))" "$(load_value disk '[.failed, .reasons]')" "[0,{}]"
finish
