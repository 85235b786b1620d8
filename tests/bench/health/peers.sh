#!/bin/sh
# Prints two lines, GOSS=… and HURL=…: the peers of health-check, unpacked (never installed) into the test cache from the packages of
# Debian's releases that have them, signed and checked by apt. A line stays empty where one can't be had; why is on stderr.
# hurl is newer than this machine's C library may be: it comes with its own loader and libraries.
set -eu

cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}/health-peers
mkdir -p "$cache"
# The mirror that this machine already uses, so that a proxy or a local mirror keeps working.
# shellcheck disable=SC2016 # apt's own $(SITE)
mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' 2>/dev/null | grep -m1 '/debian/*$' || true)
[ -n "$mirror" ] || mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)*\([^ ]*\).*/\2/p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -m1 '/debian/*$' || true)
[ -n "$mirror" ] || mirror=http://deb.debian.org/debian

# unpack RELEASE PACKAGE: the package and all that it depends on, in $cache/PACKAGE
unpack() {
  [ ! -e "$cache/$2/.complete" ] || return 0
  work=$(mktemp -d "$cache/$2.XXXXXX")
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
  : >"$work/status"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$1" >"$work/sources.list"
  # root's apt drops to _apt for downloads, which can't enter a private folder.
  set -- "$1" "$2" -qq -y -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o Dir::State::Status="$work/status" -o Dir::Cache="$work" \
    -o Dir::Cache::Archives="$work/archives" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Debug::NoLocking=1
  release=$1 package=$2
  shift 2
  if apt-get "$@" update >"$work/log" 2>&1 &&
    apt-get "$@" --no-install-recommends --download-only install "$package" >>"$work/log" 2>&1; then
    for deb in "$work"/archives/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
    rm -rf "${cache:?}/$package"
    mv "$work/root" "$cache/$package"
    : >"$cache/$package/.complete"
    rm -rf "$work"
  else
    echo "peers.sh: no $package of $release: $(tail -n 1 "$work/log")" >&2
    rm -rf "$work"
    return 1
  fi
}

goss='' hurl=''
if unpack trixie goss; then goss=$cache/goss/usr/bin/goss; fi
if unpack sid hurl; then
  loader=$(find "$cache/hurl" -name 'ld-linux-*.so.*' | head -n 1)
  libraries=$(find "$cache/hurl" -name 'libc.so.6' -exec dirname {} \; | head -n 1)
  hurl="$loader --library-path $libraries $cache/hurl/usr/bin/hurl"
fi
echo "GOSS=$goss"
echo "HURL=$hurl"
