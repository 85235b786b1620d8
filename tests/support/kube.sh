#!/usr/bin/env bash
# A Kubernetes of the tests' own: everything lives in DIR and listens on 127.0.0.1, so it belongs into a network namespace
# (netns.sh).
#
#   kube.sh why                        why there can be none (exit 1), or nothing (exit 0)
#   kube.sh up DIR [--node] [--fake N] [--port P]
#                                      starts it, prints the kubeconfig's path; --node: a real node (root), --fake: N of kwok's
#   kube.sh import DIR IMAGE.tar...    loads images into the real node
#   kube.sh kubectl DIR ARGS...        that version's kubectl
#   kube.sh stop-server DIR | start-server DIR | pause-server DIR | resume-server DIR     the API server alone, as a crash would
#   kube.sh down DIR                   leaves nothing
#
# The launcher is `cluster` in the directory that CODOPS_KUBE names, else in ../shared/kube; its binaries are those of
# KUBEBUILDER_ASSETS, else its own. A machine has one real node at a time: `up --node` waits for its turn (the processes
# of the node hold /tmp/kube-node.lock; don't hold it yourself around this).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
die() { echo "error: $*" >&2; exit 1; }

launcher() {
  local folder
  for folder in ${CODOPS_KUBE:+"$CODOPS_KUBE"} "$here/../../../shared/kube"; do
    if [[ -f $folder/cluster ]]; then (cd "$folder" && echo "$PWD/cluster"); return; fi
  done
  return 1
}
why() {
  local tool
  launcher >/dev/null || { echo "no Kubernetes: CODOPS_KUBE names no directory with its launcher"; return 1; }
  for tool in zstd openssl; do command -v "$tool" >/dev/null || { echo "no Kubernetes: $tool is missing"; return 1; }; done
}
node_why() {
  local tool
  ((EUID == 0)) || { echo "a real node needs root"; return 1; }
  for tool in containerd runc iptables conntrack ip; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || { echo "a real node needs $tool"; return 1; }
  done
  [[ -x /usr/lib/cni/bridge ]] || { echo "a real node needs containernetworking-plugins"; return 1; }
}
binaries() {
  if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then echo "$KUBEBUILDER_ASSETS"; else echo "${XDG_CACHE_HOME:-$HOME/.cache}/codops-kube"; fi
}
pid_of_server() {
  local pid
  pid=$(cat "$1/apiserver.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

# A Docker engine in the same namespace drops what it does not know, and so what pods send to each other.
pods_may_talk() { # -I|-D DIR
  local range side
  range=$(sed -n 's/^clusterCIDR: *//p' "$2/proxy.yaml" 2>/dev/null) && [[ -n $range ]] || return 0
  for side in -s -d; do PATH=$PATH:/usr/sbin:/sbin iptables -w "$1" FORWARD "$side" "$range" -j ACCEPT 2>/dev/null || true; done
}

up() {
  local dir=$1 reason
  reason=$(why) || die "$reason"
  shift
  if [[ " $* " == *" --node "* ]]; then
    reason=$(node_why) || die "$reason"
    exec 9>>/tmp/kube-node.lock
    flock -w "${CODOPS_KUBE_WAIT:-900}" 9 || die "another real node runs on this machine (/tmp/kube-node.lock)"
  fi
  mkdir -p "$dir"
  ip link set lo up 2>/dev/null || true
  if ! bash "$(launcher)" up "$dir" "$@"; then
    tail -n 5 "$dir"/*.log >&2 || true
    bash "$(launcher)" down "$dir" || true
    die "Kubernetes did not come up in $dir"
  fi
  pods_may_talk -I "$dir"
}
start_server() {
  # Returns once it is in a session of its own: whoever called may end our process group.
  rm -f "$1/apiserver.pid"
  # shellcheck disable=SC2016 # for the inner shell
  (cd "$1" && setsid bash -c 'echo $$ >apiserver.pid; exec bash apiserver.sh' >>apiserver.log 2>&1 </dev/null &)
  until [[ -s $1/apiserver.pid ]]; do sleep 0.02; done
}

# Each thread stops when it is next scheduled; one that runs meanwhile still answers.
pause() { # PID
  kill -STOP "$1"
  while [[ -d /proc/$1 ]] && cat "/proc/$1/task"/*/stat 2>/dev/null | sed 's/.*) //' | grep -qv '^T'; do sleep 0.02; done
}

(($# >= 1)) || usage
verb=$1
shift
[[ $verb == why ]] || (($# >= 1)) || usage
case $verb in
  why) why ;;
  up) up "$@" ;;
  import) bash "$(launcher)" import "$@" ;;
  kubectl) dir=$1; shift; exec "$(binaries)/kubectl" --kubeconfig "$dir/admin.kubeconfig" "$@" ;;
  stop-server) pid=$(pid_of_server "$1") && kill -KILL "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done ;;
  start-server) start_server "$1" ;;
  pause-server) pause "$(pid_of_server "$1")" ;;
  resume-server) kill -CONT "$(pid_of_server "$1")" ;;
  down) [[ ! -d $1 ]] || { pods_may_talk -D "$1"; bash "$(launcher)" down "$1"; } ;;
  *) usage ;;
esac
