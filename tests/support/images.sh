#!/usr/bin/env bash
# The images of the demo application, made with no image registry: Debian's packages -> one root file
# system -> `docker import` -> ordinary Dockerfiles on top.
#
#   images.sh fetch                       needs the network: root file system, npm packages, built front end;
#                                         all kept in the cache and made again only when their inputs change
#   images.sh build SOCKET                needs only an engine: every image, with v1.0.0 and v1.1.0 of the app
#   images.sh version SOCKET TAG [SWITCH...]   one more version of the app (see tests/app/README.md); without
#                                         SWITCH the words after the first "-" of TAG: v1.2.0-crash, v1.3.0-boot5-exit
#   images.sh npm                         prints where the npm cache is (fetch fills it)
#   images.sh key                         prints the cache key of everything (for CI's cache)
#
# CODOPS_TEST_CACHE is the cache (default: ${XDG_CACHE_HOME:-~/.cache}/codops-tests), CODOPS_TEST_MIRROR a Debian mirror.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
app=$(cd "$here/../app" && pwd)
cache=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}
mirror=${CODOPS_TEST_MIRROR:-http://deb.debian.org/debian}
suite=bookworm
packages=(ca-certificates curl gettext-base netcat-openbsd nginx-light nodejs postgresql-15 redis-server tini)

die() { echo "error: $*" >&2; exit 1; }
say() { echo "images: $*" >&2; }
hash_of() { sha256sum | cut -c1-16; }
# Content and names of files below the given paths, whatever the checkout's place and times are.
tree_hash() {
  (cd "$app" && find "$@" \( -name node_modules -o -name dist \) -prune -o -type f -print0 | LC_ALL=C sort -z |
    xargs -0 sha256sum | hash_of)
}

rootfs_key() { { declare -f make_rootfs; echo "$suite ${packages[*]} $(dpkg --print-architecture)"; } | hash_of; }
backend_key() { { tree_hash backend/package.json backend/package-lock.json; declare -f make_backend; } | hash_of; }
frontend_key() { { tree_hash frontend; declare -f make_frontend; } | hash_of; }
rootfs_file() { echo "$cache/rootfs-$(rootfs_key).tar.zst"; }
backend_dir() { echo "$cache/backend-$(backend_key)"; }
# npm's own cache of all that the development of the app installs, for `npm ci --offline` where there is no network.
npm_dir() { echo "$cache/npm-$({ tree_hash backend/package-lock.json frontend/package-lock.json; declare -f make_npm; } | hash_of)"; }
frontend_dir() { echo "$cache/frontend-$(frontend_key)"; }

make_rootfs() { # TARBALL
  local root as_root=()
  # The cache may be on a file system mounted nodev, debootstrap needs device nodes: /var/tmp rarely is.
  root=$(mktemp -d /var/tmp/codops-rootfs.XXXXXX)
  ((EUID == 0)) || as_root=(sudo)
  # shellcheck disable=SC2064 # the directory of now
  trap "${as_root[*]} rm -rf '$root'" EXIT
  "${as_root[@]}" debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
    { tail -n 20 "$cache/debootstrap.log" >&2; die "debootstrap failed: see $cache/debootstrap.log"; }
  # No service may start in there, and PostgreSQL must not make a cluster that nobody uses.
  "${as_root[@]}" sh -c "printf '#!/bin/sh\nexit 101\n' >'$root/usr/sbin/policy-rc.d'; chmod 755 '$root/usr/sbin/policy-rc.d'
    mkdir -p '$root/etc/postgresql-common'
    echo 'create_main_cluster = false' >'$root/etc/postgresql-common/createcluster.conf'
    printf 'path-exclude /usr/share/%s/*\n' doc man locale info >'$root/etc/dpkg/dpkg.cfg.d/slim'"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$root" sh -ec "
    apt-get update -q
    apt-get install -qy --no-install-recommends ${packages[*]}
    useradd --system --uid 1000 --create-home --home-dir /home/node node
    # PostgreSQL's JIT compiler is 120 MB that small queries never need; the server does without it by itself.
    rm -rf /usr/lib/postgresql/15/lib/llvmjit* /usr/lib/postgresql/15/lib/bitcode /usr/lib/*/libLLVM* /usr/lib/*/libz3*
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*.log /var/log/apt /usr/sbin/policy-rc.d
    rm -rf /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info
    mkdir -p /var/log/nginx /var/lib/nginx" >>"$cache/debootstrap.log" 2>&1 ||
    { tail -n 20 "$cache/debootstrap.log" >&2; die "packages failed: see $cache/debootstrap.log"; }
  "${as_root[@]}" tar -C "$root" --one-file-system --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* -c . |
    zstd -q -T0 -4 -f -o "$1.part"
  mv "$1.part" "$1"
  "${as_root[@]}" rm -rf "$root"
  trap - EXIT
}

make_backend() { # DIRECTORY
  local work
  work=$(mktemp -d "$cache/work.XXXXXX")
  cp "$app"/backend/package.json "$app"/backend/package-lock.json "$work"
  (cd "$work" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  chmod 755 "$work"
  rm -rf "$1"
  mv "$work" "$1"
}

make_frontend() { # DIRECTORY (of the built files)
  local work
  work=$(mktemp -d "$cache/work.XXXXXX")
  (cd "$app/frontend" && tar -c --exclude=./node_modules --exclude=./dist .) | tar -x -C "$work"
  (cd "$work" && npm ci --no-audit --no-fund --loglevel=error >&2 && npm run --silent build >&2)
  chmod -R go+rX "$work/dist"
  rm -rf "$1"
  mv "$work/dist" "$1"
  rm -rf "$work"
}

make_npm() { # DIRECTORY
  local work part
  for part in backend frontend; do
    work=$(mktemp -d "$cache/work.XXXXXX")
    cp "$app/$part"/package.json "$app/$part"/package-lock.json "$work"
    (cd "$work" && npm ci --ignore-scripts --cache "$1.part" --no-audit --no-fund --loglevel=error >&2)
    rm -rf "$work"
  done
  rm -rf "$1"
  mv "$1.part" "$1"
}

fetch() {
  mkdir -p "$cache"
  # Two test runs on one machine share the cache: the second waits and then finds everything.
  exec 9>"$cache/lock"
  flock 9
  # What an interrupted run left.
  rm -rf "$cache"/work.*
  [[ -s $(rootfs_file) ]] || { say "making the root file system ($suite, about a minute)"; make_rootfs "$(rootfs_file)"; }
  [[ -d $(backend_dir) ]] || { say "installing the backend's npm packages"; make_backend "$(backend_dir)"; }
  [[ -d $(frontend_dir) ]] || { say "building the front end"; make_frontend "$(frontend_dir)"; }
  [[ -d $(npm_dir) ]] || { say "filling an npm cache"; make_npm "$(npm_dir)"; }
}

d() { docker -H "unix://$socket" "$@"; }

# An image that carries the hash of what it was made from is not made twice.
made() { # IMAGE KEY
  [[ $(d image inspect -f '{{index .Config.Labels "codops-demo.inputs"}}' "$1" 2>/dev/null) == "$2" ]]
}

# `docker build` of a context on standard input. The classic builder: it needs no registry and no plugin.
build_from() { # IMAGE KEY ARGS... <context.tar
  local image=$1 key=$2
  shift 2
  DOCKER_BUILDKIT=0 d build -q --force-rm --label "codops-demo.inputs=$key" -t "$image" "$@" - >/dev/null 2>"$errors" ||
    { cat "$errors" >&2; die "$image could not be built"; }
}

# The migrations that belong to a version: the third came with v1.1.0, so that a demo has one to apply.
stage_prisma() { # DIRECTORY TAG SWITCHES
  mkdir -p "$1/prisma"
  cp -r "$app/prisma/." "$1/prisma"
  [[ $2 != v1.0.* ]] || rm -rf "$1"/prisma/migrations/20250315*
  [[ " $3 " != *" badmigration "* ]] || cp -r "$app"/switches/badmigration/. "$1/prisma/migrations"
}

version() { # TAG SWITCHES...
  local tag=$1 switches key work
  shift
  if (($#)); then switches="$*"; elif [[ $tag == *-* ]]; then switches=${tag#*-} switches=${switches//-/ }; else switches=; fi
  # The parents' ids: a version made before the parents changed is made again.
  key=$({ d image inspect -f '{{.Id}}' codops-demo/backend:base codops-demo/frontend:base; echo "$tag $switches"
    tree_hash prisma switches; declare -f version stage_prisma; } | hash_of)
  if ! made "codops-demo/backend:$tag" "$key"; then
    work=$(mktemp -d)
    stage_prisma "$work" "$tag" "$switches"
    printf '%s\n' "FROM codops-demo/backend:base" "COPY prisma /app/prisma" \
      "ENV VERSION=\"$tag\" DEMO_SWITCHES=\"$switches\"" >"$work/Dockerfile"
    tar -C "$work" -c . | build_from "codops-demo/backend:$tag" "$key"
    rm -rf "$work"
  fi
  if ! made "codops-demo/frontend:$tag" "$key"; then
    work=$(mktemp -d)
    echo "{\"version\":\"$tag\"}" >"$work/version.json"
    chmod 644 "$work/version.json"
    printf '%s\n' "FROM codops-demo/frontend:base" "COPY version.json /usr/share/nginx/html/version.json" \
      "ENV VERSION=\"$tag\"" >"$work/Dockerfile"
    tar -C "$work" -c . | build_from "codops-demo/frontend:$tag" "$key"
    rm -rf "$work"
  fi
}

build() {
  local key name tag
  for key in "$(rootfs_file)" "$(backend_dir)" "$(frontend_dir)"; do
    [[ -e $key ]] || die "$key is missing: run '$0 fetch' first (it needs the network)"
  done
  key=$(rootfs_key)
  if ! made codops-demo/base:12 "$key"; then
    say "importing the base image"
    zstd -dcq "$(rootfs_file)" | d import --change "LABEL codops-demo.inputs=$key" \
      --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
      --change 'CMD ["bash"]' - codops-demo/base:12 >/dev/null
  fi
  for name in postgres redis nginx; do
    case $name in postgres) tag=15 ;; redis) tag=7 ;; nginx) tag=1.22 ;; esac
    key=$({ rootfs_key; tree_hash "images/$name"; } | hash_of)
    made "codops-demo/$name:$tag" "$key" || tar -C "$app/images/$name" -c . | build_from "codops-demo/$name:$tag" "$key"
  done

  # The same Dockerfiles as a user has them, with the cached npm packages and built pages in their contexts
  # (a later layer can't take a migration away: the versions add what is theirs).
  key=$({ rootfs_key; backend_key; tree_hash backend prisma; declare -f build; } | hash_of)
  made codops-demo/backend:base "$key" ||
    tar -c -C "$app" --exclude='prisma/migrations/20250315*' backend/Dockerfile backend/src backend/package.json backend/package-lock.json prisma \
      -C "$(backend_dir)" --transform 's,^node_modules,backend/node_modules,' node_modules |
    build_from codops-demo/backend:base "$key" -f backend/Dockerfile
  key=$({ rootfs_key; frontend_key; declare -f build; } | hash_of)
  made codops-demo/frontend:base "$key" ||
    tar -c -C "$app/frontend" Dockerfile nginx.conf -C "$(frontend_dir)" --transform 's,^\.,dist,' . |
    build_from codops-demo/frontend:base "$key"
  version v1.0.0
  version v1.1.0
}

verb=${1:-}
case $verb in
  fetch) fetch ;;
  npm) npm_dir ;;
  key) { rootfs_key; backend_key; frontend_key; npm_dir; } | hash_of ;;
  build | version)
    [[ $# -ge 2 && -S $2 ]] || die "$verb needs the engine's socket"
    socket=$2
    errors=$(mktemp)
    trap 'rm -f "$errors"' EXIT
    # The caller's own engine settings have no say: the socket was given.
    unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
    if [[ $verb == build ]]; then build; else [[ $# -ge 3 ]] || die "version needs a TAG"; version "${@:3}"; fi
    ;;
  *) sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
