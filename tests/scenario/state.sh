#!/usr/bin/env bash
# What can happen to the state on the engine, and to hooks: damage, a newer format, removal by hand; failing, hanging.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
# shellcheck source=tests/support/matrix.sh
source "$SUPPORT/matrix.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18580 300ms
check "a first deploy" tiny_deploy v1.0.0
check "a second" tiny_deploy v1.1.0
state=codops-$PROJECT-state
try() { # its exit code in $rc, its words in out
  rc=0
  "$CODOPS" "$@" >"$WORK/out" 2>&1 || rc=$?
}
said() { grep -c -- "$1" "$WORK/out" || true; }
kill_at() { { CODOPS_TEST_KILL=$1 "$CODOPS" "${@:2}" >/dev/null 2>&1 || true; } 2>/dev/null; }
files() { docker cp "$state:/state/meta" - | tar -t | grep '\.json$' | sed 's,^,/state/,'; }
newest() { files | grep "/$1/" | tail -n 1; }
put() { # PATH <content
  cat >"$WORK/file"
  docker cp -q "$WORK/file" "$state:$1" 2>/dev/null || docker cp "$WORK/file" "$state:$1" >/dev/null
}
take() { docker cp "$state:$1" - | tar -xO; } # PATH

# A file disappears: the engine's API removes nothing from a container that never runs, so one that does is given the volume.
without() { # PATH...
  docker run --rm -v "$state:/state" codops-demo/nginx:1.22 rm -f "$@"
}

# ---- an unfinished journal whose entries are damaged
damage() { # NAME KIND POINT [VERSION that serves then]
  kill_at "$3" deploy test v1.0.0
  local run path
  run=$(files | grep /journal/ | cut -d/ -f5 | tail -n 1)
  path=/state/meta/journal/$run/000001.json
  [[ $2 == plan* ]] || path=$(files | grep "/journal/$run/" | tail -n 1)
  case $2 in
    *torn) take "$path" | head -c 60 | put "$path" ;;
    *altered) take "$path" | sed 's/v1\.0\.0/v6.6.6/' | put "$path" ;;
    *empty) put "$path" </dev/null ;;
    *rubbish) head -c 500 /dev/urandom | put "$path" ;;
    *older) take "$path" | sed 's/"format":1/"format":0/' | put "$path" ;;
    gone*) without "/state/meta/journal/$run/00000${2#gone-}.json" ;;
  esac
  try resume test
  expect "$1: resume, which says what is damaged" "$rc $(($(said 'damaged') > 0))" "0 1"
  expect "$1: ${4:-what served} serves" "$(converged "${4:-v1.1.0}" || true)" ""
  [[ -z ${4:-} ]] || check "$1: and back" tiny_deploy v1.1.0
}
load_start damaged --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
damage "its plan is torn, killed after start" plan-torn after:start
damage "its plan was altered, killed after switch" plan-altered after:switch
damage "its last entry is torn, killed after start" entry-torn after:start
damage "its last entry is empty, killed after switch" entry-empty after:switch
# The entries that can be read say that the new set was proven, and it runs.
damage "its last entry is rubbish, killed before stop" entry-rubbish before:stop v1.0.0
damage "its plan is empty, killed after switch" plan-empty after:switch
damage "its plan is rubbish, killed after start" plan-rubbish after:start
damage "its plan has a format before the first" plan-older after:start
damage "its plan is gone" gone-1 after:switch
damage "an entry in the middle is gone" gone-2 after:switch
load_stop damaged
expect "no request failed (of $(load_value damaged .sent))" "$(load_value damaged '[.failed, .reasons]')" "[0,{}]"

# ---- newer formats are not touched
kill_at after:start deploy test v1.0.0
path=$(newest journal)
take "$path" >"$WORK/kept"
sed 's/"format":1/"format":99/' "$WORK/kept" | put "$path"
before=$(containers)
try resume test
expect "a newer journal: exit 65" "$rc" 65
expect "and it says so" "$(said 'format 99')" 1
expect "and touches nothing" "$(containers)" "$before"
put "$path" <"$WORK/kept"
try resume test
expect "with its own codops it goes on" "$(converged v1.1.0 || true)" ""
path=$(newest releases)
take "$path" >"$WORK/kept"
sed 's/"format":1/"format":99/' "$WORK/kept" | put "$path"
try deploy test v1.0.0
expect "a newer release: exit 65" "$rc" 65
expect "no lock is kept" "$(lock_free && echo free)" free
# The release that serves can't be read: said, and rebuilt from labels.
head -c 80 "$WORK/kept" | put "$path"
try status test
expect "a torn release is named" "$(($(said 'damaged') > 0))" 1
expect "and the application is not touched by it" "$(served)" v1.1.0
put "$path" <"$WORK/kept"
expect "put back, all is well" "$(converged v1.1.0 || true)" ""
path=$(newest history)
take "$path" >"$WORK/kept"
sed 's/"by":"[^"]*"/"by":"nobody"/' "$WORK/kept" | put "$path"
try status test --check
expect "an altered history is no harm to what serves" "$rc" 0
expect "and named" "$(($(said 'altered  *history entries') > 0))" 1
put "$path" <"$WORK/kept"

# ---- removed by hand
docker rm -f "$state" >/dev/null
try status test --check
expect "the state's container pruned: all there" "$rc" 0
docker rm -f "$state" >/dev/null
check "and a deploy goes on" tiny_deploy v1.0.0
expect "as ever" "$(converged v1.0.0 || true)" ""
load_start lost --url "$FRONT" --get-new 20 --get-keep 20 --post 0 --downloads 0 --websockets 0
docker rm -f "$state" >/dev/null
docker volume rm "$state" >/dev/null
try status test
expect "the volume removed: status from labels" "$rc $(($(said "v1.0.0") > 0))" "0 1"
try deploy test v1.1.0 --allow-downtime
expect "and a deploy rebuilds it" "$rc" 0
load_stop lost
expect "what serves" "$(served)" v1.1.0
expect "without a failed request" "$(load_value lost '[.failed, .reasons]')" "[0,{}]"
expect "nothing is left over" "$(orphans)" ""

# ---- hooks
hooks() { sed -i '/^hooks:/,$d' codops.yaml; printf 'hooks:\n%s\n' "$1" >>codops.yaml; }
# What the hooks do stands in scripts: a "$" in codops.yaml is codops' own.
cat >note.sh <<'HOOK'
#!/bin/sh
echo "$CODOPS_EVENT $CODOPS_RESULT" >>hooks.log
exit "${1:-0}"
HOOK
cat >hang.sh <<'HOOK'
#!/bin/sh
echo $$ >hook.pid
exec sleep 1000
HOOK
chmod +x note.sh hang.sh
before=$(fingerprint)
hooks '  pre_deploy: [{ run: [sh, -c, "echo no good >&2; exit 3"] }]
  on_failure: [{ run: [./note.sh] }]'
try deploy test v1.0.0
expect "pre_deploy fails: exit 1" "$rc" 1
expect "its words are shown" "$(($(said 'no good') > 0))" 1
expect "nothing has changed" "$(fingerprint)" "$before"
expect "on_failure ran" "$(cat hooks.log)" "on_failure undone"
hooks '  pre_deploy: [{ run: [./hang.sh], timeout: 1s }]'
began=$SECONDS
try deploy test v1.0.0
expect "pre_deploy hangs: exit 1" "$rc" 1
expect "which is said" "$(($(said 'time limit') > 0))" 1
if ((SECONDS - began < 30)); then pass "within its time limit"; else fail "within its time limit" "$((SECONDS - began)) s"; fi
expect "it was killed" "$([[ -s hook.pid ]] && { kill -0 "$(cat hook.pid)" 2>/dev/null && echo alive || echo dead; })" dead
expect "nothing has changed then either" "$(fingerprint)" "$before"
hooks '  pre_deploy: [{ run: [./note.sh] }]
  post_deploy: [{ run: [./note.sh, "9"] }]'
try deploy test v1.0.0
expect "post_deploy fails: a warning, exit 0" "$rc $(said 'hook:  post_deploy: hook .* exited with 9')" "0 1"
expect "both ran once" "$(tail -n +2 hooks.log | tr '\n' ' ')" "pre_deploy running post_deploy ok "
expect "and the deploy stands" "$(converged v1.0.0 || true)" ""
