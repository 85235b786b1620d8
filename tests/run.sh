#!/usr/bin/env bash
# Every test: packages, release build, unit and integration tests, scenarios. The last line is "N passed, N failed, N skipped".
#
#   tests/run.sh [--full] [--only PATTERN] [--lanes N] [--no-packages] [--keep]
#
#   --full          the long ones too (tests/scenario/full, tests/bench)
#   --only PATTERN  only the steps whose name matches (unit, integration, scripts, or a scenario's path)
#   --lanes N       so many scenarios side by side, each lane with an engine and a network of its own (3); what has tight
#                   bars of time (unit, integration, health_check, cli, --full's) runs alone before and after them
#   --no-packages   takes what is installed
#   --keep          leaves the engine and its directory for a look afterwards
#
# CODOPS_REQUIRE_SERVICES=1 turns a skip into a failure. Works as root, or as a user with sudo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,13s/^# \{0,1\}//p' tests/run.sh >&2; exit 64; }
full='' only='' packages=1 keep='' inside='' lanes=3 lane=''
while (($#)); do
  case $1 in
    --full) full=1 ;;
    --only) only=${2:?--only wants a pattern}; shift ;;
    --no-packages) packages='' ;;
    --keep) keep=1 ;;
    --lanes) lanes=${2:?--lanes wants a number}; shift ;;
    --inside) inside=1 ;; # the second half, in the network namespace
    --lane) lane=${2:?}; shift ;; # one lane of it, in a namespace of its own
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
  if ! { cmake --preset release -DCODOPS_TESTS=ON && cmake --build --preset release; } >"$log" 2>&1; then
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
  tests/support/managers.sh >/dev/null 2>&1 || say "no pnpm, no yarn: what tries them is skipped"

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
    local one
    for one in $(seq "$lanes"); do
      if [[ -f $work/lane$one.pid ]]; then "${as_root[@]}" kill "$(<"$work/lane$one.pid")" 2>/dev/null || true; fi
    done
    # Each with a limit of its own: a run that said its total must also end.
    "${as_root[@]}" timeout -k 5 120 tests/support/netns.sh "$namespace" tests/support/kube.sh down "$work/k" >/dev/null || true
    for one in "$work/e" "$work"/[0-9]*/e; do
      [[ ! -d $one ]] || "${as_root[@]}" timeout -k 5 240 tests/support/engine.sh destroy "$one" >/dev/null || true
    done
    "${as_root[@]}" tests/support/netns.sh --delete "$namespace" || true
    for one in $(seq 2 "$lanes"); do "${as_root[@]}" tests/support/netns.sh --delete "$namespace-$one" || true; done
    "${as_root[@]}" rm -rf "$work"
    exit "$rc"
  }
  trap end EXIT
  trap 'exit 130' INT TERM
  args=(--inside --lanes "$lanes")
  [[ -z $full ]] || args+=(--full)
  [[ -z $only ]] || args+=(--only "$only")
  CODOPS_TEST_CACHE=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests} CODOPS_TEST_WORK=$work \
    "${as_root[@]}" tests/support/netns.sh "$namespace" tests/run.sh "${args[@]}"
}

# ---- second half: the tests, with an engine and ports of their own
passed=0 failed=0 skipped=0 running=() checking=''
count() { # PASSED FAILED SKIPPED
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}
broken() { # NAME LOG
  say "  FAILED: $1"
  # doctest's failures stand anywhere in its log.
  { sed 's/\x1b\[[0-9;]*m//g' "$2" | grep -m 5 -B 8 -A 6 -E '(ERROR|FATAL ERROR):' || true; tail -n 40 "$2"; } | sed 's/^/    /'
}

# doctest counts cases; those that could not run say "skipped: why" and return. With several filters (options, in words), that many runs beside
# each other.
begin_doctest() { # KIND MINUTES [FILTER...]
  local kind=$1 minutes=$2 binary=build/release/tests/codops_${1}_tests log part=0 filter options
  shift 2
  rm -f "$logs/$kind"*.log "$logs/$kind"*.log.rc
  wanted "$kind" && [[ -x $binary ]] || return 0
  say "$kind"
  for filter in "${@:---source-file=*}"; do
    log=$logs/$kind$((++part)).log
    read -ra options <<<"$filter"
    { timeout -k 10 "$((minutes * 60))" "$binary" --duration=true "${options[@]}" >"$log" 2>&1 && echo 0 || echo $?; } >"$log.rc" &
    running+=($!)
  done
}
end_doctest() { # KIND
  local log
  ((${#running[@]} == 0)) || wait "${running[@]}"
  running=()
  for log in "$logs/$1"*.log; do [[ ! -e $log ]] || count_doctest "$1" "$log"; done
}
run_doctest() { # KIND MINUTES [FILTER...]
  begin_doctest "$@"
  end_doctest "$1"
}
count_doctest() { # KIND LOG
  local kind=$1 log=$2 rc summary skips
  rc=$(<"$log.rc")
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
  local script=$1 name log rc=0 results=$CODOPS_TEST_WORK/results p=0 f=0 s=0 began=$SECONDS
  wanted "$script" || return 0
  name=$(basename "$script" .sh)
  log=$logs/$name.log
  : >"$results"
  say "$script"
  CODOPS_RESULTS=$results timeout -k 20 "$(($2 * 60))" "$script" >"$log" 2>&1 </dev/null || rc=$?
  p=$(grep -c ^pass "$results" || true) f=$(grep -c ^fail "$results" || true) s=$(grep -c ^skip "$results" || true)
  # A script that ends badly without having said why, or that records nothing, counts as one failure.
  if ((f == 0 && (rc != 0 || p + s == 0))); then f=1; fi
  count "$p" "$f" "$s"
  [[ -z $lane ]] || printf '%s %s %s %s\n' "$script" "$p" "$f" "$s" >>"$tally"
  echo "    $((SECONDS - began)) s"
  grep -E '^(fail|skip)' "$results" | sed 's/^/    /' || true
  ((f == 0)) || broken "$script (exit $rc)" "$log"
}

begin_scripts() {
  wanted scripts && command -v shellcheck >/dev/null || return 0
  # Scripts are checked one by one: what case.sh brings (set -e, variables) is not seen in those that source it.
  { git ls-files '*.sh' .ci/run | xargs shellcheck -x -S warning -e SC2034,SC2119,SC2120,SC2154,SC2164 >"$logs/scripts.log" 2>&1 && echo 0 || echo 1; } >"$logs/scripts.rc" &
  checking=$!
}
end_scripts() {
  [[ -n $checking ]] || return 0
  wait "$checking"
  if [[ $(<"$logs/scripts.rc") == 0 ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); broken scripts "$logs/scripts.log"; fi
}

# What every lane and what runs alone needs; nothing of the caller's own may change what is tested.
surroundings() {
  logs=$PWD/build/release/test-logs
  mkdir -p "$logs" "$CODOPS_TEST_WORK"
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
  export CODOPS=$PWD/build/release/cli/codops DOCKER_HOST=unix://$CODOPS_TEST_WORK/e/docker.sock
  export DOCKER_CONFIG=$CODOPS_TEST_WORK/docker-config TMPDIR=$CODOPS_TEST_WORK
  mkdir -p "$DOCKER_CONFIG"
  [[ -z $full ]] || export CODOPS_FULL=1
}

engine() {
  say "engine${lane:+ of lane $lane}"
  if tests/support/engine.sh start "$CODOPS_TEST_WORK/e" && tests/support/images.sh build "$CODOPS_TEST_WORK/e/docker.sock"; then return; fi
  say "no engine or no images: what needs them is skipped"
  unset DOCKER_HOST
}

# An engine that came to a stop would take every script after this one along.
revive() {
  local stacks=$logs/engine-hangs.$SECONDS.log
  [[ -n ${DOCKER_HOST:-} ]] && tests/support/engine.sh hangs "$CODOPS_TEST_WORK/e" >"$stacks" || { rm -f "$stacks"; return 0; }
  say "  the engine hangs: what its threads do is in $stacks"
  tests/support/engine.sh destroy "$CODOPS_TEST_WORK/e" || true
  engine
}

# ---- scenarios side by side: each lane takes the next script that nobody has taken
take() { # QUEUE: the script, which leaves the queue
  exec 7>"$1.lock"
  flock 7
  head -n 1 "$1"
  sed -i 1d "$1"
  exec 7>&-
}
run_lane() {
  local script said=$CODOPS_TEST_WORK/said
  echo $$ >"$lanes_dir/lane$lane.pid"
  while script=$(take "$lanes_dir/queue$lane") && [[ -n $script ]] || { script=$(take "$lanes_dir/queue") && [[ -n $script ]]; }; do
    run_script "$script" 10 >"$said" 2>&1
    revive >>"$said" 2>&1
    flock "$lanes_dir/said.lock" cat "$said" # whole, not line by line between another's
  done
}
# What the Kubernetes of the first lane serves stays there.
side_by_side() { # SCRIPT...
  local script one line
  lanes_dir=$CODOPS_TEST_WORK
  tally=$lanes_dir/tally
  : >"$tally"
  : >"$lanes_dir/queue"
  for one in $(seq "$lanes"); do : >"$lanes_dir/queue$one"; done
  for script in "$@"; do
    if grep -q kube_site.sh "$script"; then echo "$script" >>"$lanes_dir/queue1"; else echo "$script" >>"$lanes_dir/queue"; fi
  done
  args=(--inside --lanes "$lanes")
  [[ -z $full ]] || args+=(--full)
  [[ -z $only ]] || args+=(--only "$only")
  for one in $(seq "$lanes"); do
    local place=(tests/support/netns.sh "$(basename "$CODOPS_TEST_WORK")-$one")
    ((one > 1)) || place=()
    CODOPS_LANES=$lanes_dir CODOPS_TEST_WORK=$CODOPS_TEST_WORK${place[0]:+/$one} "${place[@]}" tests/run.sh "${args[@]}" --lane "$one" &
  done
  wait
  for script in "$@"; do
    # A lane that was killed took its script along: that must not look like nothing.
    if line=$(grep -m 1 -F "$script " "$tally"); then
      read -r _ one line <<<"$line"
      count "$one" "${line% *}" "${line#* }"
    else
      count 0 1 0
      say "  FAILED: $script: its lane ended before it did"
    fi
  done
}

# Pods by the hundred are played by kwok; a few run on a real node, where root, the packages and other runs allow it.
kubernetes() {
  local log=$logs/kube.log reason node
  [[ -z $only || $only =~ integration|kube ]] || return 0
  say "kubernetes"
  reason=$(tests/support/kube.sh why) || { say "$reason: what needs it is skipped"; return 0; }
  for node in --node ''; do
    CODOPS_KUBE_WAIT=120 tests/support/kube.sh up "$CODOPS_TEST_WORK/k" ${node:+"$node"} --fake 3 >>"$log" 2>&1 || continue
    [[ -n $node ]] || say "no real node: what needs one is skipped (see $log)"
    export CODOPS_TEST_KUBE=$CODOPS_TEST_WORK/k
    return 0
  done
  say "Kubernetes did not start: what needs it is skipped (see $log)"
}

inside() {
  local script scripts alone=() beside=()
  surroundings
  [[ -x $CODOPS ]] || { failed=1; say "  FAILED: $CODOPS was not built"; }
  # The long ones first: the lanes end at about the same time.
  local -a long=(deploy restore lock backup_engine unnamed_volume hooks backup_container backup maintenance drift wounded down hardened setup_dev_docker crash dependent signals state)
  mapfile -t scripts < <({ printf 'tests/scenario/%s.sh\n' "${long[@]}" && ls tests/scenario/*.sh; } | awk '!seen[$0]++')
  for script in "${scripts[@]}"; do
    wanted "$script" || continue
    case $script in
      */cli.sh | */health_check.sh) alone+=("$script") ;;
      *) beside+=("$script") ;;
    esac
  done
  ((${#beside[@]} >= lanes)) || lanes=1

  # What waits for processes to start beside what computes.
  begin_doctest unit 5
  begin_scripts
  engine
  kubernetes
  end_scripts
  end_doctest unit
  # Parts that take about as long, and wait for different things.
  local restore='*/backup/restore_*'
  run_doctest integration "$(minutes 60 10)" "--source-file=$restore,*/store/*" "--source-file=*/backup/* --source-file-exclude=$restore" "--source-file-exclude=*/backup/*,*/store/*"
  for script in ${alone[@]+"${alone[@]}"}; do run_script "$script" 10; done
  ((${#beside[@]} == 0)) || side_by_side "${beside[@]}"
  if [[ -n $full ]]; then
    for script in tests/scenario/full/*.sh tests/bench/*.sh; do [[ ! -e $script ]] || run_script "$script" 60; done
  fi
  # Who ran nothing proved nothing.
  ((passed + failed > 0)) || failed=1
  echo "logs: build/release/test-logs"
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0))
}

inside_lane() {
  surroundings
  lanes_dir=$CODOPS_LANES
  tally=$lanes_dir/tally
  ((lane == 1)) || engine
  run_lane
}

if [[ -n $lane ]]; then inside_lane; elif [[ -n $inside ]]; then inside; else outside; fi
