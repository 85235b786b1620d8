#!/usr/bin/env python3
"""Kills a program with SIGKILL at every message between it and PostgreSQL: before the server gets it, and after the server has
answered and before the answer is read.

  kill_points.py SERVER_PORT RESET AFTER_KILL AFTER_RERUN -- PROGRAM...

For each point: RESET (a command) prepares the database, PROGRAM runs through this proxy, whose port is in PROXY_PORT, and is killed;
then AFTER_KILL judges what is there, PROGRAM runs once more without harm, and AFTER_RERUN judges again. Ends when a run is over
before its point comes. Prints "points N, killed K" and one line for each judgement that failed; exit 1 if there was one.
Only the first connection counts: others watch. KILL_STRIDE=3 takes every third point.
"""
import os, select, socket, struct, subprocess, sys, threading

split = sys.argv.index("--")
server_port, reset, after_kill, after_rerun = int(sys.argv[1]), *sys.argv[2:split]
program = sys.argv[split + 1:]


class Proxy(threading.Thread):
    def __init__(self, point, after):
        super().__init__(daemon=True)
        self.point, self.after, self.count, self.victim, self.hit = point, after, 0, None, False
        self.ready = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def kill(self):
        self.hit = True
        self.ready.wait()
        self.victim.kill()

    def run(self):
        counted = False
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client, not counted), daemon=True).start()
            counted = True

    def carry(self, client, counted):
        server = socket.create_connection(("127.0.0.1", server_port))
        waiting = False
        buffered = b""
        try:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(1 << 20)
                    if not data:
                        return
                    if ready is client:
                        self.count += counted
                        if counted and self.count == self.point:
                            if not self.after:
                                self.kill()
                                return
                            waiting = True
                        server.sendall(data)
                    elif waiting:
                        # The answer is complete with ReadyForQuery, or with a request for a password.
                        buffered += data
                        if buffered[-6:-1] == b"Z\0\0\0\5" or buffered[:1] in b"RN" and len(buffered) < 200:
                            self.kill()
                            return
                    else:
                        client.sendall(data)
        except OSError:
            pass
        finally:
            client.close()
            server.close()


def run(point, after):
    proxy = Proxy(point, after)
    proxy.start()
    victim = subprocess.Popen(program, env={**os.environ, "PROXY_PORT": str(proxy.port)}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    proxy.victim = victim
    proxy.ready.set()
    said = victim.communicate(timeout=60)[0].decode(errors="replace")
    proxy.listener.close()
    return proxy.hit, victim.returncode, said


def judge(what, command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    if done.returncode == 0:
        return True
    print(f"{what}: {(done.stdout + done.stderr).strip()[-400:]}")
    return False


stride = int(os.environ.get("KILL_STRIDE", "1"))
points = killed = failures = 0
for after in (False, True):
    point = 1 - stride
    while True:
        point += stride
        name = f"{'after' if after else 'before'} message {point}"
        subprocess.run(["bash", "-c", reset], check=True)
        hit, code, said = run(point, after)
        if not hit:
            if code != 0:
                print(f"{name}: not killed, and exit {code}: {said[-300:]}")
                failures += 1
            break
        points += 1
        killed += code == -9
        if code != -9:
            print(f"{name}: exit {code} instead of being killed: {said[-300:]}")
            failures += 1
        failures += not judge(f"{name}, killed", after_kill)
        _, code, said = run(0, False)
        if code != 0:
            print(f"{name}: the next run ends with {code}: {said[-400:]}")
            failures += 1
        failures += not judge(f"{name}, run again", after_rerun)
print(f"points {points}, killed {killed}")
sys.exit(failures > 0)
