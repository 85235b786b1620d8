#!/usr/bin/env bash
# A Docker engine of the tests' own: socket, data, logs and pids all live in DIR, so many of them can run
# side by side (each in its own network namespace, see netns.sh; bridges would meet otherwise).
#
#   engine.sh start DIR [dockerd flags...]   start and wait until it answers; DIR/docker.sock is its socket
#   engine.sh stop DIR                       as `systemctl stop docker` does
#   engine.sh restart DIR                    stop, then start with the flags of the last start
#   engine.sh kill DIR                       SIGKILL dockerd and its containerd, as a crash would
#   engine.sh hangs DIR                      0 when it runs but does not list its containers in 20 s; then prints the stacks of its threads
#   engine.sh destroy DIR                    stop it, end every container, unmount, remove DIR
set -euo pipefail

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 64; }
die() { echo "error: $*" >&2; exit 1; }

[[ $# -ge 2 ]] || usage
verb=$1
dir=$(realpath -m "$2")
shift 2
socket=$dir/docker.sock
# containerd's sockets are the longest paths; the kernel's limit for a Unix socket's is 107 bytes.
longest=$dir/exec/containerd/containerd.sock.ttrpc
(( ${#longest} <= 107 )) ||
  die "$dir is too long: a Unix socket's path may have 107 bytes, $longest has ${#longest}"

# The process of a pid file, if it still is what it was: pids are used again.
pid_of() { # FILE NAME
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == "$2" ]] || return 1
  # A zombie has ended, whoever should have reaped it.
  [[ $(awk '/^State:/ {print $2}' "/proc/$pid/status" 2>/dev/null) != Z ]] || return 1
  echo "$pid"
}
dockerd_pid() { pid_of "$dir/docker.pid" dockerd; }
containerd_pid() { pid_of "$dir/exec/containerd/containerd.pid" containerd; }

wait_until() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    (( SECONDS < deadline )) || return 1
    sleep 0.05
  done
}
answers() { curl -fsS -m 2 -o /dev/null --unix-socket "$socket" http://docker/_ping 2>/dev/null; }
gone() { ! dockerd_pid >/dev/null && ! containerd_pid >/dev/null; }
answers_or_ended() { answers || ! kill -0 "$started" 2>/dev/null; }

start() {
  if dockerd_pid >/dev/null; then
    answers || die "an engine runs in $dir but does not answer: see $dir/dockerd.log"
    return 0
  fi
  mkdir -p "$dir"
  chmod 711 "$dir"
  rm -f "$dir/docker.pid" "$socket"
  # dockerd believes this file even when its process is a zombie, and then waits for it in vain.
  containerd_pid >/dev/null || rm -f "$dir/exec/containerd/containerd.pid"
  printf '%s\n' "$@" >"$dir/flags"
  # An empty configuration, so that the machine's own /etc/docker/daemon.json has no say here.
  echo '{}' >"$dir/daemon.json"
  ip link set lo up 2>/dev/null || true
  setsid dockerd --config-file "$dir/daemon.json" --host "unix://$socket" \
    --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" "$@" \
    </dev/null >>"$dir/dockerd.log" 2>&1 &
  started=$!
  wait_until 120 answers_or_ended || true
  if ! answers; then
    tail -n 15 "$dir/dockerd.log" >&2
    die "dockerd did not come up in $dir: see $dir/dockerd.log"
  fi
}

stop() {
  local pid
  if pid=$(dockerd_pid); then
    kill -TERM "$pid"
    # Containers that ignore SIGTERM get 10 s each before the engine may end.
    wait_until 90 gone || die "dockerd $pid did not end: see $dir/dockerd.log"
  fi
  # After a crash of dockerd its containerd runs on alone.
  if pid=$(containerd_pid); then
    kill -TERM "$pid"
    wait_until 20 gone || kill -KILL "$pid"
  fi
}

kill_now() {
  local pid
  if pid=$(dockerd_pid); then kill -KILL "$pid"; fi
  if pid=$(containerd_pid); then kill -KILL "$pid"; fi
  wait_until 10 gone || die "the engine in $dir can't be killed"
}

# 20.10 can come to a stop for good while containers die and are removed; `_ping` goes on answering.
hangs() {
  local pid
  pid=$(dockerd_pid) || return 1
  ! curl -fsS -m 20 -o /dev/null --unix-socket "$socket" 'http://docker/containers/json?all=1' 2>/dev/null || return 1
  kill -USR1 "$pid"
  wait_until 5 compgen -G "$dir/exec/goroutine-stacks-*.log" >/dev/null || true
  cat "$dir"/exec/goroutine-stacks-*.log 2>/dev/null || true
}

# The shims (parents of the containers) that belong to this engine: they outlive it with --live-restore.
shims() { pgrep -f -- "^/usr/bin/containerd-shim-runc-v2 .*-address $dir/exec/containerd/containerd.sock" || true; }

destroy() {
  local pid id mount
  # Nothing here is worth 10 s of grace to each container.
  if answers; then
    { curl -s -m 20 --unix-socket "$socket" http://docker/containers/json | { grep -o '"Id":"[0-9a-f]*"' || true; } | cut -d'"' -f4 |
      while read -r id; do
        curl -s -m 20 -o /dev/null --unix-socket "$socket" -X POST "http://docker/containers/$id/kill" || break
      done; } || true
  fi
  # An engine that hangs (20.10 can, for good) must not hold up whoever wants to be rid of it.
  (stop) || kill_now
  for pid in $(shims); do
    # The container's first process is the shim's child; it would be left to init otherwise.
    pkill -KILL -P "$pid" || true
    kill -KILL "$pid" 2>/dev/null || true
  done
  # Mounts of containers that were alive when the engine crashed.
  awk -v d="$dir/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r |
    while read -r mount; do umount -l "$mount" 2>/dev/null || true; done
  rm -rf "$dir"
}

case $verb in
  start) start "$@" ;;
  stop) stop ;;
  restart)
    mapfile -t flags <"$dir/flags"
    [[ -n ${flags[*]} ]] || flags=()
    stop
    start ${flags[@]+"${flags[@]}"}
    ;;
  kill) kill_now ;;
  hangs) hangs ;;
  destroy) destroy ;;
  *) usage ;;
esac
