#!/bin/bash
# codops health-check as a whole: exit codes, formats, deadline, signals, what becomes of `-- command`.
#   tests/scenario/health_check.sh PATH_TO_CODOPS
set -euo pipefail
codops=$(realpath "${1:-build/release/cli/codops}")
work=$(mktemp -d)
passed=0
servers=()
cleanup() {
  for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

results=${CODOPS_RESULTS:-/dev/null}
fail() { echo "FAIL: $*" >&2; printf 'fail\thealth_check: %s\t\n' "$*" >>"$results"; echo "--- stdout"; cat out 2>/dev/null; echo "--- stderr"; cat err 2>/dev/null; exit 1; }
pass() { passed=$((passed + 1)); echo "ok: $*"; printf 'pass\thealth_check: %s\t\n' "$*" >>"$results"; }
# expect CODE ARGS…: runs codops, keeps stdout in out and stderr in err.
expect() {
  local wanted=$1 code=0; shift
  "$codops" "$@" >out 2>err </dev/null || code=$?
  [ "$code" = "$wanted" ] || fail "exit $code instead of $wanted: codops $*"
}

cat >server.py <<'PY'
import http.server, socketserver, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith('/hang'):
            time.sleep(30)
        code = 503 if self.path.startswith('/bad') else 200
        body = b'{"status":"fail"}' if self.path.startswith('/sick') else b'{"status":"ok"}'
        self.send_response(code)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024
server = Server(('127.0.0.1', 0), Handler)
open(sys.argv[1], 'w').write(str(server.server_port))
server.serve_forever()
PY
python3 server.py port.new 2>/dev/null & servers+=($!)
"$codops" health-check --wait --timeout 10s --disk / >/dev/null 2>&1
for _ in $(seq 100); do [ -s port.new ] && break; sleep 0.1; done
port=$(cat port.new)
url=http://127.0.0.1:$port

expect 0 health-check --url "$url/health" --tcp "127.0.0.1:$port"
grep -q 'all 2 checks are well' out || fail "no summary"
pass "all well is 0"

expect 2 health-check --url "$url/bad" --url "$url/health"
head -2 out | tail -1 | grep -q '✗' || fail "failures are not first"
grep -q 'HTTP 503' out || fail "no reason"
expect 2 health-check --url "$url/sick"
pass "an unhealthy one is 2, failures first"

expect 64 health-check
expect 64 health-check --tcp nonsense
pass "nothing to check, and nonsense, are 64"

# Monitoring shows stdout and knows the codes 0 to 3.
expect 3 health-check -o nagios
grep -qx 'UNKNOWN: there is nothing to check (.*)' out || fail "Nagios is not told why"
pass "nothing to check is UNKNOWN and 3 for Nagios"

# The environment's own file is enough for convention; no compose file, no engine.
mkdir plain
printf 'project: plain\nenvironments: {production: {}, staging: {}}\n' >plain/codops.yaml
printf 'DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/d\nREDIS_URL=redis://:hunter2@127.0.0.1:1/0\n' >plain/.env.production
expect 2 health-check -C plain production -o json
python3 -c 'import json; d = json.load(open("out")); assert [(c["name"], c["kind"]) for c in d["checks"]] == [("database", "postgres"), ("redis", "redis")], d' || fail "by convention"
! grep -q hunter2 out err || fail "a secret is shown"
REDIS_URL=redis://127.0.0.1:1 expect 78 health-check -C plain staging
pass "DATABASE_URL and REDIS_URL of the environment's file are found without a compose file, those of the shell are not"

# What one check lacks, or can't read, is its own trouble: the others are asked, and one of them by name is all there is.
mkdir lacking
cat >lacking/docker-compose.prod.yml <<'YAML'
services: {web: {image: "web:1"}}
YAML
cat >lacking/codops.yaml <<YAML
project: lacking
environments: {production: {}}
backup: {store: "s3://backups/shop", s3: {endpoint: "http://127.0.0.1:1"}}
health:
  checks:
    site: {url: "$url/health"}
    bad: {redis: BAD_URL}
    worse: {postgres: WORSE_URL}
    unset: {redis: NOBODY_SET_IT}
    web: {container: web}
    backup: {backup_age: 26h}
YAML
printf 'BAD_URL=redis://:hunter2@h:port\nWORSE_URL=postgres://u:hun@ter2@127.0.0.1:1/d\n' >lacking/.env.production
DOCKER_HOST=nonsense://x expect 3 health-check -C lacking production -o json
python3 -c 'import json; d = json.load(open("out")); c = {x["name"]: x["status"] for x in d["checks"]}; assert c.pop("site") == "ok" and set(c.values()) == {"unknown"} and len(c) == 5, d' || fail "what one check lacks stops others"
! grep -q ter2 out err || fail "a secret is shown"
grep -q 'AWS_ACCESS_KEY_ID is not set' out || fail "no word of the credentials"
DOCKER_HOST=nonsense://x expect 0 health-check -C lacking production site
DOCKER_HOST=nonsense://x expect 3 health-check --container web --url "$url/health" -o json
python3 -c 'import json; c = {x["kind"]: x["status"] for x in json.load(open("out"))["checks"]}; assert c == {"http": "ok", "container": "unknown"}, c' || fail "an engine that is none stops others"
rm lacking/codops.yaml
printf 'project: lacking\nenvironments: {production: {}}\n' >lacking/codops.yaml
printf 'DATABASE_URL=postgres://u:hun@ter2@127.0.0.1:1/d\nREDIS_URL=redis://:hunter2@h:port\n' >lacking/.env.production
DOCKER_HOST=nonsense://x expect 3 health-check -C lacking production --url "$url/health" -o json
python3 -c 'import json; d = json.load(open("out")); assert sorted(x["status"] for x in d["checks"]) == ["ok"] + ["unknown"] * 3, d' || fail "by convention: what one check lacks stops others"
! grep -q ter2 out err || fail "a secret is shown"
pass "what one check lacks or can't read is unknown, and stops no other"

# On a terminal, where OpenSSL and libpq would ask for the passphrase and nothing would end that.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -passout pass:hunter2 -keyout client.key -out client.pem -subj /CN=codops -days 2 2>/dev/null
chmod 600 client.key
python3 - "$codops" >out 2>err <<'PY' || fail "an encrypted key on a terminal"
import os, pty, select, socket, sys, threading, time
codops = sys.argv[1]
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(8)
def serve():
    while True:
        peer, _ = server.accept()
        threading.Thread(target=lambda peer=peer: (peer.recv(4096), peer.sendall(b"S"), peer.recv(4096), peer.close()), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
port = server.getsockname()[1]
for what in (["--url", f"https://127.0.0.1:{port}/", "--cert", "client.pem", "--key", "client.key"],
             ["--tls", f"127.0.0.1:{port}", "--cert", "client.pem", "--key", "client.key"],
             ["--postgres", f"host=127.0.0.1 port={port} user=u sslmode=require sslcert=client.pem sslkey=client.key"]):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(codops, [codops, "health-check", "--timeout", "20s"] + what)
    seen, start, open_ = b"", time.monotonic(), True
    while open_ and time.monotonic() - start < 10:
        if select.select([fd], [], [], 0.2)[0]:
            try: seen += os.read(fd, 65536)
            except OSError: open_ = False
    if open_: os.kill(pid, 9)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = " ".join(seen.decode().split())
    assert code == 3 and "pass phrase" not in text.lower() and '"client.key" is encrypted' in text, (code, text)
PY
# With it the key opens: what fails then is the server, which speaks no TLS.
CODOPS_KEY_PASSPHRASE=hunter2 expect 2 health-check --tls "127.0.0.1:$port" --cert client.pem --key client.key
pass "an encrypted client key: never a question on the terminal, the file is named, CODOPS_KEY_PASSPHRASE opens it"

# A release loads libpq when it is asked for (cmake/archives.cmake); a linked one is the loader's business.
if ! ldd "$codops" | grep -q libpq; then
  mkdir broken && : >broken/libpq.so.5
  LD_LIBRARY_PATH=broken expect 3 health-check --postgres postgres://u:hunter2@127.0.0.1:1/d
  grep -q 'libpq.so.5: file too short' out || fail "no word of libpq"
  grep -q 'apt-get install libpq5' out || fail "the package is not named"
  ! grep -q hunter2 out err || fail "the password is shown"
  # The others are asked all the same: one that is down is what counts.
  LD_LIBRARY_PATH=broken expect 3 health-check --postgres postgres://u:hunter2@127.0.0.1:1/d --tcp "127.0.0.1:$port" -o json
  python3 -c 'import json; assert sorted(c["status"] for c in json.load(open("out"))["checks"]) == ["ok", "unknown"]' || fail "the check beside it was not asked"
  LD_LIBRARY_PATH=broken expect 2 health-check --postgres postgres://u:hunter2@127.0.0.1:1/d --tcp 127.0.0.1:1 -o junit
  grep -q '<testsuite' out || fail "no report without libpq"
  LD_LIBRARY_PATH=broken PGHOST=db expect 0 health-check --tcp "127.0.0.1:$port"
  pass "without libpq: the database is unknown, the package is named, and all else is asked"
fi

expect 3 health-check --url "https://127.0.0.1:$port/" --ca /nonexistent
expect 78 health-check production --config /nonexistent
pass "could not find out is 3"

# The run's own clock, the best of three: on a busy machine a process may wait for its turn longer than it runs.
best=9999
for _ in 1 2 3; do
  expect 124 health-check -o json --timeout 700ms --check-timeout 20s --url "$url/hang" --url "$url/health"
  took=$(python3 -c 'import json; d = json.load(open("out")); assert d["checks"][0]["stage"] == "request", d; print(round(d["elapsed_seconds"] * 1000))')
  [ "$took" -lt "$best" ] && best=$took
done
[ "$best" -le 750 ] || fail "the deadline of 700 ms took $best ms"
pass "the deadline cuts: 124 after $best ms"

expect 2 health-check --url "http://user:hunter2@127.0.0.1:$port/bad?token=canary"
for format in json junit nagios prometheus github; do
  "$codops" health-check --url "http://user:hunter2@127.0.0.1:$port/bad?token=canary" --redis redis://:hunter2@127.0.0.1:1 --postgres postgres://u:hunter2@127.0.0.1:1/d -o "$format" >>out 2>>err || true
done
! grep -qE 'hunter2|canary' out err || fail "a secret is shown"
pass "no format shows a secret"

expect 2 health-check -o json --url "$url/bad" --url "$url/health"
python3 -c 'import json; d = json.load(open("out")); assert d["exit"] == 2 and not d["healthy"] and d["checks"][0]["stage"] == "status", d'
expect 2 health-check -o junit --url "$url/bad"
python3 -c 'import xml.etree.ElementTree as e; assert e.parse("out").getroot().attrib["failures"] == "1"'
expect 2 health-check -o nagios --url "$url/bad"
grep -qE '^CRITICAL: .* \|.*=[0-9.]+s;' out || fail "no performance data"
expect 0 health-check -o prometheus --url "$url/health"
if command -v promtool >/dev/null; then promtool check metrics <out >/dev/null || fail "promtool refuses"; fi
expect 2 health-check -o github --url "$url/bad"
grep -q '^::error title=' out || fail "no annotation"
pass "JSON, JUnit, Nagios, Prometheus, GitHub"

expect 1 health-check --strict --slow 0s --url "$url/health"
expect 0 health-check --slow 0s --url "$url/health"
expect 1 health-check -o nagios --slow 0s --url "$url/health"
pass "a warning is 1 when strict, and for Nagios"

# The port opens only after a while; then the command runs in codops' place.
free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(python3 -c 'import sys, time; time.sleep(0.6)'; exec python3 -m http.server --bind 127.0.0.1 "$free" >/dev/null 2>&1) & servers+=($!)
expect 7 health-check --wait --timeout 20s --tcp "127.0.0.1:$free" -- sh -c 'echo "became $0"; exit 7'
grep -q 'became sh' out || fail "the command did not run"
expect 124 health-check --wait --timeout 400ms --tcp 127.0.0.1:1 -- touch never
[ ! -e never ] || fail "the command ran although nothing was well"
pass "--wait, then the command; never when it is not well"

"$codops" health-check --timeout 30s --check-timeout 30s --url "$url/hang" >out 2>err & pid=$!
for _ in $(seq 100); do grep -q . "/proc/$pid/stat" && [ "$(ls "/proc/$pid/fd" 2>/dev/null | wc -l)" -gt 8 ] && break; sleep 0.05; done
start=$(date +%s%3N)
kill -TERM "$pid"
code=0; wait "$pid" || code=$?
[ "$code" = 143 ] || fail "SIGTERM gave $code"
[ $(($(date +%s%3N) - start)) -lt 5000 ] || fail "SIGTERM took too long"
pass "SIGTERM in mid-run is 143"

# What a command starts, even in a session of its own, ends with the check: at its deadline, and when codops is killed.
mkdir command
cat >command/codops.yaml <<YAML
project: command
environments: {production: {}}
health: {checks: {script: {command: [sh, -c, 'setsid sleep 321 & echo \$! >$work/started; wait']}}}
YAML
gone() { for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.1; done; return 1; }
expect 124 health-check -C command production --timeout 1s --check-timeout 20s
gone "$(cat started)" || fail "what a command started goes on after the deadline"
rm started
"$codops" health-check -C command production --timeout 60s --check-timeout 60s >out 2>err & pid=$!
for _ in $(seq 200); do [ -s started ] && break; sleep 0.05; done
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
gone "$(cat started)" || fail "what a command started goes on after codops was killed"
pass "a command's own children end with it, and with codops"

# What says where to connect and whom to trust is about the checks that can use it, and never a word without effect.
cat >database.py <<'PY'
import socket, sys, threading
def packet(kind, body): return kind + (len(body) + 4).to_bytes(4, "big") + body
ready = packet(b"Z", b"I")
row = packet(b"T", b"\0\1a\0" + bytes(6) + b"\0\0\0\x17\0\4" + b"\xff" * 4 + b"\0\0") + packet(b"D", b"\0\1\0\0\0\x011") + packet(b"C", b"SELECT 1\0")
def serve(peer):
    if peer.recv(4096)[4:8] == (80877103).to_bytes(4, "big"):  # SSLRequest
        peer.sendall(b"N")
        peer.recv(4096)
    peer.sendall(packet(b"R", bytes(4)) + ready)
    while peer.recv(4096)[:1] == b"Q": peer.sendall(row + ready)
    peer.close()
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(16)
open(sys.argv[1], "w").write(str(server.getsockname()[1]))
while True: threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
PY
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout site.key -out site.pem -subj /CN=site -addext subjectAltName=IP:127.0.0.1 -days 90 2>/dev/null
cat >secure.py <<'PY'
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(204); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain("site.pem", "site.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
open(sys.argv[1], "w").write(str(server.server_port))
server.serve_forever()
PY
python3 database.py database.port & servers+=($!)
python3 secure.py secure.port 2>/dev/null & servers+=($!)
for _ in $(seq 100); do [ -s database.port ] && [ -s secure.port ] && break; sleep 0.1; done
database=postgresql://app:p@127.0.0.1:$(cat database.port)/shop secure=https://127.0.0.1:$(cat secure.port)/
expect 0 health-check --postgres "$database"
expect 2 health-check --postgres "$database" --ca site.pem
expect 0 health-check --postgres "$database" --url "$secure" --ca site.pem
expect 2 health-check --url http://x.test/health --tcp 127.0.0.1:1 --postgres "$database" --connect-to "127.0.0.1:$port" -o json
python3 -c 'import json; c = {x["kind"]: x["status"] for x in json.load(open("out"))["checks"]}; assert c == {"http": "ok", "tcp": "fail", "postgres": "ok"}, c' || fail "--connect-to leads others away"
expect 0 health-check --url http://x.test/health --url http://y.test/health --connect-to "127.0.0.1:$port"
grep -q 'leads to 2 places is all asked at' err || fail "nobody is told that two are asked at one place"
printf 'project: listed\nenvironments: {production: {}}\nhealth: {checks: {site: {url: "%s"}}}\n' "$secure" >listed.yaml
for wrong in "--ca site.pem" "--insecure" "--server-name x" "--cert site.pem" "--connect-to 127.0.0.1:$port"; do
  # shellcheck disable=SC2086
  expect 64 health-check --config listed.yaml production $wrong
  ! grep -q 'not verified' err || fail "said, and not done: $wrong"
  # shellcheck disable=SC2086
  expect 64 health-check --tcp "127.0.0.1:$port" $wrong
done
expect 2 health-check --config listed.yaml production -o json
grep -q 'in codops.yaml ca' out || fail "the hint names no key of codops.yaml"
pass "--ca, --connect-to and their like: only for whom they can be meant"

# Addresses that are none show no password either.
for wrong in "--url https//u:hunter2@h/" "--url http:/u:hunter2@h/" "--tcp u:hunter2@127.0.0.1:1" "--url $url --connect-to u:hunter2@h:1"; do
  # shellcheck disable=SC2086
  expect 64 health-check $wrong
  ! grep -q hunter2 out err || fail "a secret is shown: $wrong"
done
for wrong in HTTPS//u:hunter2@h/ htps/u:hunter2@h/; do
  code=0; "$codops" health-check --timeout 5s --url "$wrong" >out 2>err || code=$?
  [ "$code" != 0 ] && ! grep -q hunter2 out err || fail "a secret is shown: $wrong"
done
mkdir shown
cat >shown/codops.yaml <<'YAML'
project: shown
environments: {production: {}}
front_door: {url: "https://u:it's-hunter2@h/"}
health: {checks: {a: {url: "https://u:hun ter2@h/"}, b: {tcp: "u:hunter2@h:1"}}}
YAML
expect 0 config show production -C shown
! grep -q ter2 out || fail "config show: a secret is shown"
pass "misspelt addresses and config show: no secret"

# A terminal of 60 columns: tables replace each other, no line wraps; Ctrl-C leaves with 130 and nothing else.
python3 - "$codops" "$url" >out 2>err <<'PY' || fail "--watch on a terminal"
import fcntl, os, pty, re, select, signal, struct, sys, termios, time
codops, url = sys.argv[1:3]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(codops, [codops, "health-check", "--watch", "--interval", "100ms", "--url", url + "/bad" + "x" * 80, "--url", url + "/health"])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
seen, end = b"", time.monotonic() + 30
def read():
    global seen
    if select.select([fd], [], [], 0.2)[0]:
        try: seen += os.read(fd, 65536)
        except OSError: return False
    return True
while time.monotonic() < end and seen.count(b"TIME") < 4: read()
os.write(fd, b"\x03")
while time.monotonic() < end and read(): pass
_, status = os.waitpid(pid, 0)
text = seen.decode()
assert os.waitstatus_to_exitcode(status) == 130, (status, text[-300:])
frames = re.split(r"\x1b\[\d+A\x1b\[J", text)
ups = [int(n) for n in re.findall(r"\x1b\[(\d+)A\x1b\[J", text)]
assert len(frames) >= 4, text
# Each goes up by exactly the lines that the one before took.
for frame, up in zip(frames, ups):
    assert frame.count("\n") == up, (up, frame)
plain = re.sub(r"\x1b\[[0-9;]*m", "", frames[-2])
assert "503" in plain and "1 failed" in plain, plain
assert max(len(line.rstrip("\r")) for line in plain.split("\n")) <= 100, plain
PY
pass "--watch on a terminal: frames replace each other, Ctrl-C is 130"
# A terminal of 8 rows: no frame is higher, or its head (the failures) would scroll away and never be replaced.
python3 - "$codops" "$url" >out 2>err <<'PY' || fail "--watch on a low terminal"
import fcntl, os, pty, re, select, struct, sys, termios, time
codops, url = sys.argv[1:3]
parent, child = pty.openpty()
fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 100, 0, 0))
pid = os.fork()
if pid == 0:
    os.login_tty(child) if hasattr(os, "login_tty") else (os.setsid(), fcntl.ioctl(child, termios.TIOCSCTTY, 0), [os.dup2(child, n) for n in range(3)])
    os.environ["TERM"] = "xterm"
    os.execv(codops, [codops, "health-check", "--watch", "--interval", "100ms"] + [word for n in range(12) for word in ("--url", f"{url}/bad?{n}")])
os.close(child)
seen, end = b"", time.monotonic() + 30
while time.monotonic() < end and seen.count(b"TIME") < 3:
    if select.select([parent], [], [], 0.2)[0]: seen += os.read(parent, 65536)
os.kill(pid, 15)
os.waitpid(pid, 0)
frames = re.split(r"\x1b\[\d+A\x1b\[J", seen.decode())
assert len(frames) >= 3, seen
for frame in frames[:-1]:
    assert frame.count("\n") <= 7 and "more lines" in frame and "0 of 12 checks are well" in frame and "TIME" in frame, frame
PY
pass "--watch on a low terminal: the head and the summary stay"
expect 64 health-check --url ''
expect 64 health-check --url 'ht!tp://x'
expect 64 health-check --url 'ftp://127.0.0.1/x'
pass "what is no URL of http is an error of arguments"
expect 0 health-check --watch --interval 0s --timeout 400ms -o json --url "$url/health"
python3 -c '
import json
lines = [json.loads(line) for line in open("out")]
assert 2 <= len(lines) <= 12 and all("checks" in line for line in lines[:-1]) and lines[-1] == {"exit": 0}, len(lines)' || fail "--watch -o json is not one document a line, or runs wild"
expect 64 health-check --watch --wait --url "$url/health"
pass "--watch without a terminal: one document a round, never more than ten a second"

expect 64 health-check --tcp "127.0.0.1:$port" --status 200
for wrong in "--retries -1" "--successes 0" "--parallel 0" "--retries 1001"; do
  # shellcheck disable=SC2086
  expect 64 health-check --tcp "127.0.0.1:$port" $wrong
  grep -q -- "${wrong% *} is between" err || fail "no word of what may be: $wrong"
done
for wrong in "retries: -1" "success_threshold: 0" "failure_threshold: 0" "warn: 80%" "warn: 70" "critical: 14d"; do
  mkdir -p numbers
  printf 'project: numbers\nenvironments: {production: {}}\nhealth: {checks: {site: {tcp: "127.0.0.1:%s", %s}}}\n' "$port" "$wrong" >numbers/codops.yaml
  expect 78 health-check -C numbers production
done
pass "options and numbers that would be ignored are refused"

# Bytes that are no UTF-8, from a server: every format must stay readable for its parser.
cat >rude.py <<'PY'
import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(64)
open(sys.argv[1], "w").write(str(s.getsockname()[1]))
while True:
    c, _ = s.accept(); c.recv(4096)
    c.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://user:hunter2@\xff\xfe\x1b[2J]]><x/\r\nContent-Length: 0\r\n\r\n"); c.close()
PY
python3 rude.py rude.port & servers+=($!)
for _ in $(seq 100); do [ -s rude.port ] && break; sleep 0.1; done
rude=http://127.0.0.1:$(cat rude.port)/
for format in text json junit nagios prometheus github; do
  code=0; "$codops" health-check --url "$rude" -o $format >"out.$format" 2>err || code=$?
  [ "$code" = 2 ] || fail "a rude server, $format: exit $code"
  ! grep -qaE 'hunter2|'$'\x1b' "out.$format" || fail "a rude server, $format: a secret or a control character"
done
python3 -c '
import json, xml.etree.ElementTree as e
json.load(open("out.json")); e.parse("out.junit")
for name in ("nagios", "prometheus", "github", "text"): open("out." + name, encoding="utf-8").read()' || fail "a rude server breaks a format"
pass "bytes that are no text break no format"

arguments=()
for i in $(seq 2000); do arguments+=(--url "$url/$i"); done
(ulimit -n 64; expect 0 health-check --timeout 100s --check-timeout 30s "${arguments[@]}"; grep -q 'all 2000 checks are well' out) || fail "2,000 targets with ulimit -n 64"
pass "2,000 targets with ulimit -n 64"

# A name server that never answers, in a mount namespace of our own.
if unshare -m true 2>/dev/null; then
  python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.53", 53))
open("dns.ready", "w").write("x")
time.sleep(60)' 2>/dev/null & servers+=($!)
  for _ in $(seq 50); do [ -s dns.ready ] && break; sleep 0.1; done
  if [ -s dns.ready ]; then
    echo "nameserver 127.0.0.53" >resolv.conf
    echo "hosts: dns" >nsswitch.conf
    start=$(date +%s%3N); code=0
    unshare -m sh -c "mount --bind resolv.conf /etc/resolv.conf && mount --bind nsswitch.conf /etc/nsswitch.conf && exec '$codops' health-check --timeout 500ms --url http://slow.example/ --url '$url/health'" >out 2>err || code=$?
    took=$(($(date +%s%3N) - start))
    [ "$code" = 124 ] || fail "a hanging resolver gave $code"
    [ "$took" -lt 5000 ] || fail "a hanging resolver took $took ms"
    grep -q 'dns' out || fail "the stage is not dns"
    pass "a name server that hangs: 124 after $took ms, stage dns"
    # The hosts that libpq would look up itself: of the environment, and of several.
    for database in postgresql:///x postgresql://a:b@one.example,two.example/x; do
      code=0
      PGHOST=slow.example unshare -m sh -c "mount --bind resolv.conf /etc/resolv.conf && mount --bind nsswitch.conf /etc/nsswitch.conf && exec '$codops' health-check --timeout 700ms --postgres '$database' --url '$url/health' -o json" >out 2>err || code=$?
      [ "$code" = 124 ] || fail "PostgreSQL's names and a hanging resolver: $code"
      python3 -c 'import json; d = json.load(open("out")); c = {x["kind"]: x for x in d["checks"]}; assert c["http"]["status"] == "ok" and c["postgres"]["status"] == "unknown" and c["postgres"]["stage"] == "dns" and d["elapsed_seconds"] < 4, d' || fail "PostgreSQL's names hold others up"
    done
    pass "PostgreSQL's own names hold nothing up"
  else
    echo "skipped: port 53 of loopback is taken"
  fi
else
  echo "skipped: no mount namespace"
fi

echo "$passed passed, 0 failed"
