#!/bin/bash
# The command line as a caller sees it: exit codes, streams, signals, limits of start-up.
# Usage: tests/scenario/cli.sh [path of codops]
set -u
codops=$(readlink -f "${1:-$(dirname "$0")/../../build/release/cli/codops}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CI NO_COLOR
passed=0 failed=0

check() { # check NAME CONDITION…
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    printf 'pass\tcli: %s\t\n' "$name" >>"${CODOPS_RESULTS:-/dev/null}"
  else
    failed=$((failed + 1))
    printf 'fail\tcli: %s\tsee the log\n' "$name" >>"${CODOPS_RESULTS:-/dev/null}"
    echo "FAILED: $name"
    sed 's/^/  out: /' out 2>/dev/null | head -20
    sed 's/^/  err: /' err 2>/dev/null | head -20
  fi
}

run() { # run ARGUMENTS… → $code, out, err
  "$codops" "$@" >out 2>err </dev/null
  code=$?
}

is() { [ "$1" = "$2" ]; }
json() { python3 -c 'import json,sys; d=json.load(open("out")); sys.exit(0 if eval(sys.argv[1]) else 1)' "$1"; }

run --version
check "--version" is "$code:$(cat out)" "0:$(cat out)"
check "--version says its name" grep -q '^codops [0-9]' out

run
check "no command is a usage error" is "$code" 64
check "no command writes nothing to stdout" test ! -s out

run --help
check "--help is a result" is "$code" 0
check "--help opens with deploy" is "$(grep -n -m1 'codops deploy production' out | cut -d: -f1)" 3

run confg show
check "a misspelt command is 64" is "$code" 64
check "it is suggested" grep -q 'hint: did you mean "codops config"' err
check "the exit code stands last" is "$(tail -n 1 err)" "exit 64"

# On a terminal.
on_terminal() { TERM=xterm python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$codops" "$@" >out 2>&1 </dev/null; }
on_terminal confg show
check "errors are coloured on a terminal" grep -q $'\x1b\\[31merror:' out
for words in "--color never confg show" "confg show --color=never" "status nowhere --color never"; do
  read -ra asked <<<"$words"
  on_terminal "${asked[@]}"
  check "not with: $words" test "$(grep -c 'error:' out):$(grep -c $'\x1b\\[3' out)" = 1:0
done

run config check
check "no codops.yaml is in order" is "$code" 0

mkdir -p project/backend
cat >project/codops.yaml <<'YAML'
proxy:
  servce: nginx
monitor: soon
YAML
cd project/backend
"$codops" config check >../../out 2>../../err
code=$?
cd ../..
check "what is wrong is 78" is "$code" 78
check "with file, line, column and a suggestion" grep -q '^codops.yaml:2:3: unknown key "servce" in proxy; did you mean "service"?$' out
check "all at once" grep -q '^codops.yaml:3:10: monitor takes a duration' out

run -C project config check -o json
check "check as JSON" json 'd["exit"] == 78 and len(d["problems"]) == 2 and d["problems"][0]["line"] == 2'

run -C project config show production --output=json
check "a failure as JSON" json 'd["exit"] == 78 and "2 problems" in d["error"] and d["hint"]'
check "and for people" grep -q '^error: ' err
check "with its code" is "$code" 78

printf 'project: shop1\nengine: kubernetes\nkubernetes: { manifests: nope }\nenvironments: { test: {} }\n' >project/codops.yaml
run -C project config check test
check "manifests that are not there are 78, by the place that names them" is "$code:$(grep -c '^codops.yaml:3:.*there are no manifests at' out)" 78:1
mkdir project/nope
run -C project config check test
check "the project is called as its settings say" is "$code:$(grep -c 'in order: project "shop1", test' out)" 0:1
rmdir project/nope

run -o json config show --bogus
check "a usage error as JSON" json 'd["exit"] == 64 and "--bogus" in d["error"]'

printf 'monitor: 3s\nenvironments:\n  production: {}\n' >project/codops.yaml
run -C project config show production --origin
check "origins" grep -Eq '^monitor +3s +codops.yaml:1:10$' out
CODOPS_MONITOR=4s run -C project config show production --origin --set old_set=running
check "a variable wins over the file" grep -Eq '^monitor +4s +CODOPS_MONITOR$' out
check "a flag is an origin" grep -Eq '^old_set +running +--set$' out
run -C project config show prodution
check "an unknown environment is 78" is "$code" 78
check "it is suggested, and the known are named" grep -q 'did you mean "production"? codops.yaml has production' err
cat >project/codops.yaml <<'YAML'
notify:
  - {type: webhook, url: "https://hooks.example.com/canary-4711"}
host: "ssh://deploy:canary-4711@example.com"
health:
  checks:
    site: {url: "https://shop.example.com/health?token=canary-4711", headers: {Authorization: "Bearer canary-4711", Accept: text/plain}}
YAML
run -C project config show production --origin --all
check "secrets are not shown" is "$code:$(grep -c canary-4711 out err | tr '\n' ' ')" "0:out:0 err:0 "
run -C project config show production -o json
check "nor in JSON" is "$code:$(grep -c canary-4711 out)" "0:0"
check "what is none is shown" json 'd["values"]["health.checks.site.headers.Accept"]["value"] == "text/plain" and d["values"]["health.checks.site.url"]["value"] == "https://shop.example.com/health?token=***"'

"$codops" --help >&- 2>err
check "a closed stdout is no failure" is "$?" 0
"$codops" config reference 2>err | head -n 1 >out
check "a reader that leaves is no failure" is "${PIPESTATUS[0]}" 0
check "and nothing is said" test ! -s err
"$codops" --help >/dev/full 2>err
check "a full disk is one" is "$?" 3
check "that is named" grep -q 'No space left' err

# A configuration that never comes: the first signal asks, the second ends.
mkfifo never.yaml
signals() {
  python3 - "$codops" "$1" <<'PY'
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.argv[1], "--config", "never.yaml", "config", "check"])
number = getattr(signal, sys.argv[2])
def blocked():
    return open(f"/proc/{child.pid}/syscall").read().split()[0] in ("2", "257") if os.geteuid() == 0 else True
end = time.monotonic() + 10
while not blocked() and time.monotonic() < end: time.sleep(0.01)
child.send_signal(number)
time.sleep(0.1)
alive = child.poll() is None
child.send_signal(number)
code = child.wait(10)
sys.exit(0 if alive and code == 128 + number else 1)
PY
}
check "the second SIGINT ends with 130" signals SIGINT
check "the second SIGTERM ends with 143" signals SIGTERM

# Processor time: how long a busy machine lets it wait is not its own. tests/bench/health.sh has the wall's time.
check "start-up: at most 15 ms and 20 MB, without curl or TLS set up" python3 - "$codops" <<'PY'
import resource, subprocess, sys
used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
best = 1e9
for _ in range(20):
    begin = used()
    subprocess.run([sys.argv[1], "--version"], stdout=subprocess.DEVNULL, check=True)
    best = min(best, used() - begin)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"codops --version: {best * 1000:.1f} ms, {peak:.1f} MB")
sys.exit(0 if best <= 0.015 and peak <= 20 else 1)
PY

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
