#!/bin/sh
# Prints the path of docker compose, the reference that `codops config compose` is compared with. It is found in
# CODOPS_DOCKER_COMPOSE, in PATH as docker-compose, or unpacked (never installed) from Debian 13's package, signed and
# checked by apt, into the test cache. Exits 1 with the reason on stderr when it can't be had.
set -eu

if [ -n "${CODOPS_DOCKER_COMPOSE:-}" ]; then
  printf '%s\n' "$CODOPS_DOCKER_COMPOSE"
  exit 0
fi

cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}
binary=$cache/compose/docker-compose
works() { [ -x "$1" ] && "$1" version --short >/dev/null 2>&1; }

if works "$binary"; then
  printf '%s\n' "$binary"
  exit 0
fi
# An older docker-compose (1.x, Python) prints no JSON.
if found=$(command -v docker-compose) && "$found" version --short 2>/dev/null | grep -q '^v*2'; then
  printf '%s\n' "$found"
  exit 0
fi

fail() {
  echo "compose.sh: $1" >&2
  exit 1
}
command -v apt-get >/dev/null || fail "no apt-get here; set CODOPS_DOCKER_COMPOSE"

# The mirror that this machine already uses, so that a proxy or a local mirror keeps working.
# shellcheck disable=SC2016 # apt's own $(SITE)
mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' 2>/dev/null | grep -m1 '/debian/*$' || true)
[ -n "$mirror" ] || mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)*\([^ ]*\).*/\2/p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -m1 '/debian/*$' || true)
[ -n "$mirror" ] || mirror=http://deb.debian.org/debian

mkdir -p "$cache"
work=$(mktemp -d "$cache/compose.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/deb"
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$mirror" >"$work/sources.list"
# root's apt drops to _apt for downloads, which can't enter a private folder.
set -- -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
  -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" -o Dir::Cache::Archives="$work/archives" \
  -o APT::Sandbox::User=root -o Acquire::Languages=none
apt-get "$@" update >"$work/log" 2>&1 || fail "apt-get update for trixie failed: $(tail -n 1 "$work/log")"
(cd "$work/deb" && apt-get "$@" download docker-compose >"$work/log" 2>&1) ||
  fail "apt-get download docker-compose failed: $(tail -n 1 "$work/log")"
dpkg-deb -x "$work"/deb/docker-compose_*.deb "$work/root"
unpacked=$(find "$work/root" -type f -name 'docker-compose*' -perm -u+x | head -n 1)
# shellcheck disable=SC2015 # either one failing is the failure
[ -n "$unpacked" ] && works "$unpacked" || fail "the package's docker-compose does not run here"

mkdir -p "$cache/compose"
mv "$unpacked" "$binary"
printf '%s\n' "$binary"
