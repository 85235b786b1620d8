#!/usr/bin/env bash
# health-check as a gate of CI and cron: secrets in the wrong place, --wait, --strict, what becomes of `-- COMMAND`, what a command check
# leaves, settings that can't be read.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"

cd "$WORK"
server=
clean_up() { [[ -z $server ]] || kill "$server" 2>/dev/null || true; }
code=0
run() { code=0; "$CODOPS" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || code=$?; }
exits() { # NAME CODE ARGUMENTS...
  local name=$1 wanted=$2
  shift 2
  run "$@"
  expect "$name" "$code" "$wanted"
}
said() { words "$WORK/out"; words "$WORK/err"; }
says() { # NAME TEXT
  if [[ $(said) == *"$2"* ]]; then pass "$1"; else fail "$1" "$(said | cut -c 1-400)"; fi
}
hides() { # NAME TEXT
  if [[ $(said) == *"$2"* ]]; then fail "$1" "$(said | cut -c 1-400)"; else pass "$1"; fi
}

# Answers "/TEXT/SECONDS" with status 200 after so long.
cat >server.py <<'PY'
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(float(self.path.rpartition("/")[2] or 0))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
open("port.new", "w").write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
PY
python3 server.py 2>/dev/null & server=$!
wait_for 20 test -s port
url=http://127.0.0.1:$(cat port)
mkdir -p plain
printf 'environments: {production: {}}\nhealth: {checks: {site: {url: "%s/"}}}\n' "$url" >plain/codops.yaml

# ---- the option was forgotten: the URL stands where a name should
slip='postgresql://u:Geheim32@127.0.0.1:1/x'
for format in text json nagios junit prometheus github; do
  said_wrong=
  for words in "health-check $slip" "health-check -C plain production $slip" "health-check --container $slip" "health-check --disk $slip" "health-check --retries $slip" \
    "health-check --status=$slip --url $url" "health-check -C plain production --timeout $slip" "$slip health-check"; do
    # shellcheck disable=SC2086
    DOCKER_HOST=unix:///nonexistent run $words -o "$format"
    if grep -q Geheim32 "$WORK/out" "$WORK/err" || ((code == 0)); then said_wrong+="$words ($code); "; fi
  done
  expect "a URL in the wrong place shows no password: $format" "$said_wrong" ""
done
exits "an environment that is a URL" 78 health-check -C plain "$slip"
says "it is named without its password" 'unknown environment "postgresql://u:***@127.0.0.1:1/x"'
said_wrong=
for verb in deploy status rollback history logs exec run scale restart down backup restore "migrate plan" "config show" "config check" setup-dev "db init"; do
  # shellcheck disable=SC2086
  run -C plain $verb "$slip" v1 "$slip"
  if grep -q Geheim32 "$WORK/out" "$WORK/err" || ((code == 0)); then said_wrong+="$verb ($code); "; fi
done
expect "nor does any other verb show it" "$said_wrong" ""
exits "a connection string in its place" 78 health-check -C plain 'host=h password=Geheim32 dbname=d'
hides "nor its password" Geheim32
mkdir -p slips
for wrong in 'site: {url: "http://127.0.0.1:1/", needs: ["http://u:Geheim32@h/"]}' 'site: {url: "http://127.0.0.1:1/", status: "http://u:Geheim32@h/"}' \
  'site: {disk: "http://u:Geheim32@h/"}' 'site: {command: ["http://u:Geheim32@h/"]}' 'site: {disk: /, warn: "http://u:Geheim32@h/"}' '"http://u:Geheim32@h/": {tcp: "127.0.0.1:1"}' 'site: {"http://u:Geheim32@h/": 1}'; do
  printf 'environments: {production: {}}\nhealth: {checks: {%s}}\n' "$wrong" >slips/codops.yaml
  for words in "health-check production" "health-check production -o json" "health-check production -o nagios" "config check" "config check -o json"; do
    # shellcheck disable=SC2086
    run -C slips $words
    if grep -q Geheim32 "$WORK/out" "$WORK/err"; then fail "codops.yaml: $wrong: $words" "$(said | cut -c 1-300)"; fi
  done
done
pass "nor is one of codops.yaml quoted with it"

# ---- --wait: the deadline is no verdict
exits "--wait of a wrong answer ends with the deadline" 124 health-check --wait --timeout 3s --url "$url/slow/0.3" --status 204 -o json
expect "its reason is the answer" "$(jq -r '.checks[0] | .stage + ": " + .message' "$WORK/out")" "status: HTTP 200, expected 204"
run health-check --wait --timeout 2s --url "$url/slow/0.3" --status 204
says "the lines of the wait have it too" 'waiting: 0 of 1 checks are well · 1 failed; '
says "with the reason" 'HTTP 200, expected 204'
exits "what was well stays well beside what is not" 124 health-check --wait --timeout 3s --url "$url/slow/0.3" --tcp 127.0.0.1:1 -o json
expect "in the count" "$(jq -c '[.counts.ok, .counts.fail]' "$WORK/out")" "[1,1]"
exits "a warning is what a strict wait ends with" 124 health-check --wait --strict --timeout 2s --url "$url/slow/0.1" --slow 1ms -o json
expect "and not a failure" "$(jq -c '[.counts.warn, .counts.fail]' "$WORK/out")" "[1,0]"

# ---- --strict: what the CI server reads is what the exit code says
exits "a warning when strict" 1 health-check --strict --slow 0s --url "$url/" -o junit
says "a failure in JUnit" 'failures="1"'
exits "the same for GitHub" 1 health-check --strict --slow 0s --url "$url/" -o github
says "an error there" '::error title='

# ---- COMMAND gets the caller's own limit of core files
limits() { (ulimit -Sc "$1" && "$CODOPS" health-check --tcp "127.0.0.1:$(cat port)" -- bash -c 'echo "core $(ulimit -Sc) $(ulimit -Hc)"' 2>/dev/null | grep '^core'); }
hard=$(ulimit -Hc)
if [[ $hard != 0 ]]; then
  expect "the command may write a core file" "$(limits "$hard")" "core $hard $hard"
  expect "as large as the caller allowed" "$(limits 0)" "core 0 $hard"
else
  skip "the command may write a core file" "the hard limit is 0 here"
fi
printf 'environments: {production: {}}\nhealth: {checks: {c: {command: [bash, -c, "test $$(ulimit -Sc) = 0 && test $$(ulimit -Hc) = %s"]}}}\n' "$hard" >plain/codops.yaml
exits "what codops starts beside itself writes none, and may raise that" 0 health-check -C plain production

# ---- what a command that is well has started ends with it
cat >plain/session.sh <<'SH'
setsid sleep 777 >/dev/null 2>&1 &
echo $! >started
SH
cat >plain/orphan.sh <<'SH'
(setsid sh -c 'echo $$ >started.new; mv started.new started; exec sleep 778' >/dev/null 2>&1 &)
while ! test -e started; do sleep 0.01; done
SH
for script in session orphan; do
  rm -f plain/started
  printf 'environments: {production: {}}\nhealth: {checks: {c: {command: [sh, -c, "cd %s && . ./%s.sh"]}}}\n' "$WORK/plain" "$script" >plain/codops.yaml
  exits "a command that leaves something behind is well: $script" 0 health-check -C plain production
  left=$(cat plain/started)
  if kill -0 "$left" 2>/dev/null; then
    fail "nothing of it goes on: $script" "$(ps -o args= -p "$left")"
    kill "$left"
  else
    pass "nothing of it goes on: $script"
  fi
done

# ---- settings that can't be read
rm -rf plain/codops.yaml
mkdir plain/codops.yaml
exits "a folder in the place of codops.yaml" 78 health-check -C plain production
rm -rf plain
if [[ $(id -u) == 0 ]] && command -v setpriv >/dev/null; then
  chmod 755 "$WORK"
  mkdir -m 755 p7
  printf 'health: {checks: {port: {tcp: "127.0.0.1:%s"}}}\n' "$(cat port)" >p7/codops.yaml
  cp "$CODOPS" "$WORK/codops"
  as_nobody() { code=0; (cd / && setpriv --reuid 65534 --regid 65534 --clear-groups "$WORK/codops" "$@") >"$WORK/out" 2>"$WORK/err" </dev/null || code=$?; }
  as_nobody -C "$WORK/p7" health-check production
  expect "another user reads what is readable" "$code" 0
  chmod 600 p7/codops.yaml
  as_nobody -C "$WORK/p7" health-check production
  expect "codops.yaml of another user" "$code" 78
  chmod 644 p7/codops.yaml
  printf 'REDIS_URL=redis://127.0.0.1:1\n' >p7/.env.production
  printf 'health: {checks: {cache: {redis: REDIS_URL}}}\n' >p7/codops.yaml
  chmod 600 p7/.env.production
  as_nobody -C "$WORK/p7" health-check production
  expect "the environment's file of another user" "$code" 78
  chmod 700 p7
  as_nobody -C "$WORK/p7" health-check production
  expect "the project's folder of another user" "$code" 78
else
  skip "settings of another user" "this is not root"
fi

# ---- a folder that is gone
mkdir -p gone there
printf 'health: {checks: {site: {url: "%s/"}}}\n' "$url" >there/codops.yaml
(cd gone && rmdir "$WORK/gone" && "$CODOPS" -C "$WORK/there" health-check production >"$WORK/out" 2>"$WORK/err") && code=0 || code=$?
expect "from a folder that is gone, a project named from the root on" "$code" 0
mkdir gone
(cd gone && rmdir "$WORK/gone" && "$CODOPS" -C there health-check production >"$WORK/out" 2>"$WORK/err") && code=0 || code=$?
expect "one named from there can't be found" "$code" 78

# ---- words
exits "a command that is no program" 64 health-check --url "$url/" -- /etc/passwd
says "is told as that" 'is no program: it is not executable'
exits "nor is a folder" 64 health-check --url "$url/" -- /etc/
says "told as that, too" 'is a folder'
exits "no time at all" 64 health-check --url "$url/" --timeout 0
says "is refused" '--timeout is 0'
exits "the same for one attempt" 64 health-check --url "$url/" --check-timeout 0s
exits "a scheme has no case" 0 health-check --url "HTTP${url#http}/"
exits "a header that would be two" 64 health-check --url "$url/" --header $'X: a\r\nEvil: b'
says "is refused by its name" 'the value of the header "X" has a line break'

# ---- few descriptors: a name that was not looked up is not known not to be
targets=()
for i in $(seq 122); do targets+=(--url "$url/$i/0"); done
(ulimit -n 8 && "$CODOPS" health-check --timeout 60s "${targets[@]}" --tls localhost:1 -o json >"$WORK/out" 2>"$WORK/err") || true
expect "with few descriptors no name is said not to exist" "$(jq -c '[.checks[] | select(.message // "" | contains("does not exist"))] | length' "$WORK/out")" 0

# ---- a database in pieces
mkdir -p pieces
printf 'environments: {production: {}}\n' >pieces/codops.yaml
pieces() { printf '%s\n' "REDIS_URL=redis://127.0.0.1:1" "$@" >pieces/.env.production; }
pieces DB_HOST=127.0.0.1 DB_PORT=18510 DB_USER=app DB_PASSWORD=Geheim32 DB_NAME=d
exits "pieces that say no kind" 2 health-check -C pieces production
says "are told to be left out" 'DB_HOST is left out'
pieces DB_CONNECTION=pgsql DB_HOST=127.0.0.1 DB_PORT=1 DB_USER=app DB_PASSWORD=Geheim32 DB_NAME=d
exits "pieces of PostgreSQL" 2 health-check -C pieces production -o json
expect "are checked" "$(jq -c '[.checks[].kind]' "$WORK/out")" '["postgres","redis"]'
pieces PGHOST=127.0.0.1 PGPORT=tcp://1 PGUSER=app
run health-check -C pieces production
says "a port that is none is told by its own variable" 'PGPORT is no port: "tcp://1"'
finish
