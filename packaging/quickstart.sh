#!/usr/bin/env bash
# From a fresh clone on Debian to a running demo, deployed by codops.
#
#   packaging/quickstart.sh           packages, release build, engine, images, then `codops deploy demo v1.0.0`
#   packaging/quickstart.sh --down    removes all that it made (Debian packages stay: it prints their names)
#
# Works as root, or as a user with sudo. It uses the Docker engine that answers, else it starts Debian's on a socket of
# its own. Everything lives in ${CODOPS_QUICKSTART_DIR:-${XDG_STATE_HOME:-~/.local/state}/codops-quickstart}.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

state=${CODOPS_QUICKSTART_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/codops-quickstart}
codops=$PWD/build/release/cli/codops
app=$state/app
export CODOPS_TEST_CACHE=${CODOPS_TEST_CACHE:-$state/cache}
as_root=()
((EUID == 0)) || as_root=(sudo)

step() { printf '\n== %s\n' "$*"; }
die() { echo "error: $*" >&2; exit 1; }
answers() { curl -fsS -m 3 -o /dev/null --unix-socket "$1" http://docker/_ping 2>/dev/null; }
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() { # FROM
  local port=$1
  while taken "$port"; do port=$((port + 1)); done
  echo "$port"
}
line_of() { sed -n "s/^$1=//p" "$app/.env.demo"; }

# The engine that answers already; only Unix sockets, since the images are made on this machine.
find_engine() {
  local socket=/var/run/docker.sock
  if [[ -s $state/socket ]] && answers "$(cat "$state/socket")"; then cat "$state/socket"; return; fi
  [[ ${DOCKER_HOST:-} != unix://* ]] || socket=${DOCKER_HOST#unix://}
  if answers "$socket"; then echo "$socket"; return; fi
  # A second engine beside one that runs would fight it for bridges and firewall rules.
  if [[ -S $socket ]] && "${as_root[@]}" curl -fsS -m 3 -o /dev/null --unix-socket "$socket" http://docker/_ping 2>/dev/null; then
    die "an engine runs at $socket, but you may not talk to it: run this as root, or join its group (usermod -aG docker $USER)"
  fi
}

up() {
  mkdir -p "$state"
  step "Debian packages"
  packaging/packages.sh build demo >"$state/packages.new"
  cat "$state/packages.new" >>"$state/packages"
  rm "$state/packages.new"

  step "codops (release build)"
  [[ -d build/release ]] || touch "$state/made-build"
  cmake --preset release >"$state/build.log" 2>&1 || { tail -n 20 "$state/build.log" >&2; die "cmake failed: see $state/build.log"; }
  cmake --build --preset release --target codops >>"$state/build.log" 2>&1 ||
    { tail -n 20 "$state/build.log" >&2; die "the build failed: see $state/build.log"; }
  "$codops" --version

  step "Docker engine"
  local socket
  socket=$(find_engine)
  if [[ -z $socket ]]; then
    echo "none answers: starting Debian's in $state/engine"
    # Its socket belongs to the caller's group, so that nothing below needs root.
    "${as_root[@]}" tests/support/engine.sh start "$state/engine" --group "$(id -g)"
    touch "$state/made-engine"
    socket=$state/engine/docker.sock
  fi
  echo "$socket" >"$state/socket"
  echo "unix://$socket"
  export DOCKER_HOST=unix://$socket

  step "Images of the demo application"
  tests/support/images.sh fetch
  tests/support/images.sh build "$socket"
  tests/support/images.sh version "$socket" v1.2.0-crash
  tests/support/images.sh version "$socket" v1.3.0-unready

  step "The demo project in $app"
  if [[ ! -e $app/.env.demo ]]; then
    tests/app/prepare.sh --into "$app" "HTTP_PORT=$(free_port 8080)" "HTTPS_PORT=$(free_port 8443)"
  fi

  step "codops deploy demo v1.0.0"
  cd "$app"
  "$codops" deploy demo v1.0.0 --yes
  step "codops status demo"
  "$codops" status demo
  cat <<NEXT

The shop:  http://127.0.0.1:$(line_of HTTP_PORT)/   and  https://localhost:$(line_of HTTPS_PORT)/ (CA: $app/nginx/ssl/ca.crt)

Try next:
  export DOCKER_HOST=unix://$socket PATH=$(dirname "$codops"):\$PATH; cd $app
  codops deploy demo v1.1.0 --dry-run     what would happen
  codops deploy demo v1.1.0               a new version with a migration; reload the page meanwhile
  codops deploy demo v1.3.0-unready       never becomes healthy: v1.1.0 stays
  codops deploy demo v1.2.0-crash         crashes 5 s after the switch: traffic moves back by itself
  codops rollback demo                    back to v1.0.0
  codops history demo
Remove everything:  $OLDPWD/packaging/quickstart.sh --down
NEXT
}

down() {
  [[ -d $state ]] || { echo "nothing to remove: $state does not exist"; return; }
  local socket
  socket=$(cat "$state/socket" 2>/dev/null || true)
  if [[ -e $state/made-engine ]]; then
    step "Ending the engine, with all that ran on it"
    "${as_root[@]}" tests/support/engine.sh destroy "$state/engine"
  elif [[ -n $socket ]] && answers "$socket"; then
    step "Removing the demo from the engine at $socket"
    remove_from "$socket"
  fi
  if [[ -s $state/packages ]]; then
    echo "These Debian packages were installed and stay: $(sort -u "$state/packages" | tr '\n' ' ')"
  fi
  [[ ! -e $state/made-build ]] || rm -rf build/release
  rmdir build 2>/dev/null || true
  rm -rf "$state"
  echo "removed: $state"
}

# By compose's label and by codops' own names (state, lock, network), with docker's own client: this must work when codops was not built or its state is damaged.
remove_from() { # SOCKET
  local ids
  export DOCKER_HOST=unix://$1
  unset DOCKER_CONTEXT
  mapfile -t ids < <({ docker ps -aq --filter label=com.docker.compose.project=codops-demo
    docker ps -aq --filter name=codops-codops-demo-; } | sort -u)
  ((${#ids[@]} == 0)) || docker rm -f -v "${ids[@]}" >/dev/null
  for kind in network volume; do
    mapfile -t ids < <({ docker "$kind" ls -q --filter label=com.docker.compose.project=codops-demo
      docker "$kind" ls -q --filter name=codops-codops-demo-; } | sort -u)
    ((${#ids[@]} == 0)) || docker "$kind" rm "${ids[@]}" >/dev/null
  done
  mapfile -t ids < <(docker image ls --format '{{.Repository}}:{{.Tag}}' 'codops-demo/*')
  ((${#ids[@]} == 0)) || docker image rm -f "${ids[@]}" >/dev/null
  # What lost its tag to a newer build of the same image.
  docker image prune -f --filter label=codops-demo.inputs >/dev/null
}

case ${1:-} in
  '') up ;;
  --down) down ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
