#!/usr/bin/env bash
# Every test: packages, release build, unit and integration tests, scenarios. The last line is "N passed, N failed, N skipped".
#
#   tests/run.sh [--full] [--only PATTERN] [--no-packages] [--keep]
#
#   --full          the long ones too (tests/scenario/full, tests/bench)
#   --only PATTERN  only the steps whose name matches (unit, integration, scripts, or a scenario's path)
#   --no-packages   takes what is installed
#   --keep          leaves the engine and its directory for a look afterwards
#
# CODOPS_REQUIRE_SERVICES=1 turns a skip into a failure. Works as root, or as a user with sudo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,11s/^# \{0,1\}//p' tests/run.sh >&2; exit 64; }
full='' only='' packages=1 keep='' inside=''
while (($#)); do
  case $1 in
    --full) full=1 ;;
    --only) only=${2:?--only wants a pattern}; shift ;;
    --no-packages) packages='' ;;
    --keep) keep=1 ;;
    --inside) inside=1 ;; # the second half, in the network namespace
    *) usage ;;
  esac
  shift
done
wanted() { [[ -z $only || $1 =~ $only ]]; }
say() { printf '%s %s\n' "$(date +%T)" "$*"; }
minutes() { [[ -n $full ]] && echo "$1" || echo "$2"; }

# ---- first half: what needs the network or the caller's own user
outside() {
  export LC_ALL=C.UTF-8
  if [[ -n $packages ]]; then
    say "packages"
    packaging/packages.sh build demo tests >/dev/null
  fi
  say "build"
  mkdir -p build/release
  local log=build/release/build.log
  if ! { cmake --preset release && cmake --build --preset release; } >"$log" 2>&1; then
    grep -A12 -m3 -E 'error|FAILED' "$log" || tail -n 40 "$log"
    say "the build failed: see $log"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
  fi
  say "images"
  tests/support/images.sh fetch >build/release/images.log 2>&1 ||
    { tail -n 5 build/release/images.log; say "no images: what needs them is skipped"; }
  # The reference for the compose model; a test that misses it says so itself.
  tests/support/compose.sh >/dev/null 2>&1 || say "docker compose can't be had: what compares with it is skipped"

  tests/support/s3_servers.sh >build/release/s3_servers.log 2>&1 || say "not every S3 server can be had: what needs it is skipped"
  tests/support/prisma.sh --check >/dev/null 2>&1 || say "no Prisma engine: what compares with it is skipped"

  # Sockets' paths must be short; everything else of the run is here too.
  work=$(mktemp -d /tmp/codops-test.XXXXXX)
  chmod 755 "$work"
  namespace=${work##*/}
  as_root=()
  ((EUID == 0)) || as_root=(sudo --preserve-env)
  # shellcheck disable=SC2317 # called by the trap
  end() {
    local rc=$?
    if [[ -n $keep ]]; then
      echo "kept: DOCKER_HOST=unix://$work/e/docker.sock in tests/support/netns.sh $namespace" >&2
      return
    fi
    "${as_root[@]}" tests/support/netns.sh "$namespace" tests/support/kube.sh down "$work/k" >/dev/null || true
    "${as_root[@]}" tests/support/engine.sh destroy "$work/e" >/dev/null || true
    "${as_root[@]}" tests/support/netns.sh --delete "$namespace" || true
    "${as_root[@]}" rm -rf "$work"
    exit "$rc"
  }
  trap end EXIT
  trap 'exit 130' INT TERM
  args=(--inside)
  [[ -z $full ]] || args+=(--full)
  [[ -z $only ]] || args+=(--only "$only")
  CODOPS_TEST_CACHE=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests} CODOPS_TEST_WORK=$work \
    "${as_root[@]}" tests/support/netns.sh "$namespace" tests/run.sh "${args[@]}"
}

# ---- second half: the tests, with an engine and ports of their own
passed=0 failed=0 skipped=0
broken() { # NAME LOG
  say "  FAILED: $1"
  tail -n 40 "$2" | sed 's/^/    /'
}

# doctest counts cases; those that could not run say "skipped: why" and return.
run_doctest() { # KIND MINUTES
  local kind=$1 binary=build/release/tests/codops_${1}_tests log=$logs/$1.log rc=0 summary skips
  wanted "$kind" || return 0
  [[ -x $binary ]] || return 0
  say "$kind"
  timeout -k 10 "$(($2 * 60))" "$binary" >"$log" 2>&1 || rc=$?
  summary=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^\[doctest\] test cases:' | tail -n 1 || true)
  skips=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -cE '(MESSAGE|WARNING): *skipped:' || true)
  if [[ $summary =~ \|\ *([0-9]+)\ passed\ \|\ *([0-9]+)\ failed ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    if ((BASH_REMATCH[1] >= skips)); then passed=$((passed - skips)); fi
    if [[ ${CODOPS_REQUIRE_SERVICES:-} == 1 ]]; then failed=$((failed + skips)); else skipped=$((skipped + skips)); fi
    # It may fail after its last case, in a destructor or a sanitizer.
    ((rc == 0 || BASH_REMATCH[2] > 0)) || failed=$((failed + 1))
    ((rc == 0 && (skips == 0 || ${CODOPS_REQUIRE_SERVICES:-0} != 1))) || broken "$kind" "$log"
  else
    # It crashed, or took too long.
    failed=$((failed + 1))
    broken "$kind (exit $rc)" "$log"
  fi
  grep -hE '(MESSAGE|WARNING): *skipped:' "$log" | sort | uniq -c | head -n 20 || true
}

run_script() { # PATH MINUTES
  local script=$1 name log rc=0 results=$CODOPS_TEST_WORK/results p f s
  wanted "$script" || return 0
  name=$(basename "$script" .sh)
  log=$logs/$name.log
  : >"$results"
  say "$script"
  CODOPS_RESULTS=$results timeout -k 20 "$(($2 * 60))" "$script" >"$log" 2>&1 </dev/null || rc=$?
  p=$(grep -c ^pass "$results" || true) f=$(grep -c ^fail "$results" || true) s=$(grep -c ^skip "$results" || true)
  # A script that ends badly without having said why, or that records nothing, counts as one failure.
  if ((f == 0 && (rc != 0 || p + s == 0))); then f=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  grep -E '^(fail|skip)' "$results" | sed 's/^/    /' || true
  ((f == 0)) || broken "$script (exit $rc)" "$log"
}

check_scripts() {
  local log=$logs/scripts.log files
  wanted scripts && command -v shellcheck >/dev/null || return 0
  mapfile -t files < <(git ls-files '*.sh' .ci/run)
  # Scripts are checked one by one: what case.sh brings (set -e, variables) is not seen in those that source it.
  if shellcheck -x -S warning -e SC2034,SC2119,SC2120,SC2154,SC2164 "${files[@]}" >"$log" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); broken scripts "$log"; fi
}

inside() {
  logs=$PWD/build/release/test-logs
  mkdir -p "$logs"
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
  export CODOPS=$PWD/build/release/cli/codops DOCKER_HOST=unix://$CODOPS_TEST_WORK/e/docker.sock
  [[ -x $CODOPS ]] || { failed=1; say "  FAILED: $CODOPS was not built"; }
  # Nothing of the caller's own may change what is tested.
  export DOCKER_CONFIG=$CODOPS_TEST_WORK/docker-config TMPDIR=$CODOPS_TEST_WORK
  mkdir -p "$DOCKER_CONFIG"

  check_scripts
  run_doctest unit 5
  say "engine"
  if tests/support/engine.sh start "$CODOPS_TEST_WORK/e" && tests/support/images.sh build "$CODOPS_TEST_WORK/e/docker.sock"; then :; else
    say "no engine or no images: what needs them is skipped"
    unset DOCKER_HOST
  fi
  say "kubernetes"
  if [[ -z $only || $only =~ integration|kube ]]; then
    # Pods by the hundred are played by kwok; a few run on a real node where root and the packages allow it.
    local node=--node reason=
    ((EUID == 0)) || node=
    if reason=$(tests/support/kube.sh why) && tests/support/kube.sh up "$CODOPS_TEST_WORK/k" ${node:+"$node"} --fake 3 >"$logs/kube.log" 2>&1; then
      export CODOPS_TEST_KUBE=$CODOPS_TEST_WORK/k
    else
      say "${reason:-no Kubernetes: see $logs/kube.log}: what needs it is skipped"
    fi
  fi
  run_doctest integration "$(minutes 60 10)"
  local script
  [[ -z $full ]] || export CODOPS_FULL=1
  for script in tests/scenario/*.sh; do [[ ! -e $script ]] || run_script "$script" 10; done
  if [[ -n $full ]]; then
    for script in tests/scenario/full/*.sh tests/bench/*.sh; do [[ ! -e $script ]] || run_script "$script" 60; done
  fi
  # Who ran nothing proved nothing.
  ((passed + failed > 0)) || failed=1
  echo "logs: build/release/test-logs"
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0))
}

if [[ -n $inside ]]; then inside; else outside; fi
