#!/usr/bin/env bash
# Installs the Debian packages that are missing for the given purposes: build, demo, tests. Prints what it installed.
# A tool that is there from elsewhere (Docker's own packages, NodeSource) counts as installed: Debian's would fight it.
set -euo pipefail

missing=()
library() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q ^ii || missing+=("$1"); }
tool() { # COMMAND PACKAGE...: the packages that bring it
  PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=("${@:2}")
}
# Packages that only one of the two Debian releases has.
exists() { apt-cache policy "$1" 2>/dev/null | grep -q '^ *Candidate: *[0-9]'; }

build() {
  tool cmake cmake
  tool ninja ninja-build
  tool g++ g++
  tool pkg-config pkg-config
  tool ccache ccache
  for name in libcli11-dev libfmt-dev nlohmann-json3-dev libyaml-cpp-dev libcurl4-openssl-dev libssl-dev libarchive-dev \
    libpqxx-dev libpq-dev libzstd-dev libxxhash-dev zlib1g-dev libhiredis-dev doctest-dev; do library "$name"; done
  # A release loads or links these by their own names, without headers (cmake/archives.cmake).
  for name in libpq5 libnghttp2-14; do library "$name"; done
}
demo() {
  tool dockerd docker.io
  # Debian 13 has the client in a package of its own.
  if ! command -v docker >/dev/null && exists docker-cli; then missing+=(docker-cli); fi
  tool debootstrap debootstrap
  tool node nodejs
  tool npm npm
  tool curl curl
  tool openssl openssl
  tool zstd zstd
  tool ip iproute2
  tool iptables iptables
  tool pgrep procps
  library ca-certificates
}
tests() {
  [[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] || missing+=(postgresql)
  tool redis-server redis-server
  tool nginx nginx-light
  tool jq jq
  tool nc netcat-openbsd
  tool nsenter util-linux
  tool shellcheck shellcheck
  tool age age
  tool strace strace
  tool faketime faketime
  tool docker-registry docker-registry
  tool htpasswd apache2-utils
  tool python3 python3
  tool tmux tmux
  library python3-venv
  library busybox-static
  library locales
  # The real node of a Kubernetes (tests/support/kube.sh); containerd and runc come with the engine.
  tool conntrack conntrack
  [[ -x /usr/lib/cni/bridge ]] || missing+=(containernetworking-plugins)
}

as_root=()
((EUID == 0)) || as_root=(sudo)
for purpose in "$@"; do
  case $purpose in
    build | demo | tests) "$purpose" ;;
    *) echo "usage: $0 build|demo|tests..." >&2; exit 64 ;;
  esac
done
if ((${#missing[@]})); then
  echo "installing: ${missing[*]}" >&2
  "${as_root[@]}" apt-get update -q >&2
  # The lists were too old (or none) to know whether docker-cli exists.
  if [[ " ${missing[*]} " == *" docker.io "* ]] && exists docker-cli; then missing+=(docker-cli); fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >&2
  printf '%s\n' "${missing[@]}"
fi
