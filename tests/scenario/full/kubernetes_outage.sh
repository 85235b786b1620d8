#!/usr/bin/env bash
# What can happen beside a rollout: the API server is killed and comes back, it stands still, the Lease is taken away, somebody deploys at the same time.
source "$(dirname "${BASH_SOURCE[0]}")/../../support/case.sh"
# shellcheck source=tests/support/kube_site.sh
source "$SUPPORT/kube_site.sh"
clean_up() { kube_down; }
need_kube --node
kube_tiny "$WORK/tiny" tiny
"$CODOPS" deploy test v1.0.0 >"$WORK/first.txt" 2>&1 || { fail "the first deploy" "$(tail -n 5 "$WORK/first.txt")"; finish; }

server() { "$SUPPORT/kube.sh" "$1-server" "$kube_dir"; }
# NAME EXIT COMMAND...: COMMAND runs while a deploy of the version that does not serve is in its rollout; the deploy ends with EXIT. After
# 0 the new version serves alone, else the former does once `resume` has been there. Nothing is left either way.
beside_a_rollout() {
  local from to rc=0 served got=$WORK/beside.txt pid
  from=$("$CODOPS" status test -o json | jq -r .version)
  to=$([[ $from == v1.0.0 ]] && echo v1.1.0 || echo v1.0.0)
  rm -f "$got"
  "$CODOPS" deploy test "$to" >"$got" 2>&1 &
  pid=$!
  wait_for 30 grep -q rollout "$got" || true
  "${@:3}"
  wait "$pid" || rc=$?
  served=$to
  if ((rc != 0)); then
    "$CODOPS" resume test >>"$got" 2>&1 || true
    served=$("$CODOPS" status test -o json | jq -r .version)
  fi
  if ((rc != $2)); then fail "$1" "exit $rc, not $2: $(tail -n 8 "$got")"
  else expect "$1" "$(kube_serves tiny "$served") $(k -n tiny get leases -o name)$("$CODOPS" status test --check 2>&1 | grep -c unfinished)" "$served  0"; fi
}
killed_for() { server stop; sleep "$1"; server start; }
paused_for() { server pause; sleep "$1"; server resume; }
beside_a_rollout "an API server that is killed and comes back at once" 0 killed_for 0
beside_a_rollout "an API server that is killed and comes back after 15 s" 0 killed_for 15
beside_a_rollout "an API server that stands still for 4 s" 0 paused_for 4
beside_a_rollout "an API server that stands still for 15 s" 0 paused_for 15
beside_a_rollout "a lost Lease" 4 k -n tiny delete lease --all
second() { local code=0; "$CODOPS" deploy test v1.1.0 >"$WORK/second.txt" 2>&1 || code=$?; expect "a second deploy is kept out" "$code" 4; }
beside_a_rollout "and the first one goes on" 0 second
finish
