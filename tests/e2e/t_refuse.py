#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be refused, and said in one line: nonsense from machines, a start that cannot work, a full disk."""
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

from e2e import *

def raw(server, request):
    """Sends bytes, gives the status."""
    with socket.create_connection((server.lan.ip, 8080), timeout=20) as s:
        try:
            s.sendall(request)
        except OSError:
            pass                                    # it may have answered and closed before it had read all
        answer = http.client.HTTPResponse(s)
        answer.begin()
        return answer.status

def start_fails(server, pattern):
    """The server does not start, and its last word fits."""
    try:
        server.start(timeout=15)
    except Failed:
        code = server.proc.stop()
        lines = [line for line in server.log().splitlines() if line.strip()]
        true(code not in (0, -6, -11), f"exit code {code}")
        true(lines and re.search(pattern, lines[-1], re.I), f"its last line does not fit /{pattern}/: {lines[-1:]}")
    else:
        server.stop()
        raise Failed("it started")

with Suite() as t:
    server = Server(t.lan).tiny()

    with t.case("a MAC that is no MAC, a Host header full of quotes, a query of 1 MB: 4xx each"):
        for query in ("", "?mac=", "?mac=nonsense", "?mac=52:54:00:e2:00", "?mac=52:54:00:e2:00:zz", "?mac=ff:ff:ff:ff:ff:ff"):
            status, text = server.get("/boot" + query)
            true(400 <= status < 500, f"/boot{query}: {status}")
        for head in (b"Host: \"'\"\"'<>\r\n", b""):
            status = raw(server, b"GET /boot?mac=x HTTP/1.1\r\n" + head + b"\r\n")
            true(400 <= status < 500, f"{head!r}: {status}")
        status = raw(server, b"GET /boot?mac=" + b"5" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        true(400 <= status < 500, f"a query of 1 MB: {status}")
        equal(server.get("/healthz")[0], 200, "alive afterwards")
        equal(server.machines(), [], "machines")

    with t.case("two requests of one new machine at the same moment make one machine"):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: server.ask("52:54:00:e2:02:01"), range(16)))
        equal(len(server.machines()), 1, "number of machines")

    with t.case("256 machines ask at once: all are enrolled, with names and disks of their own"):
        server.ctl("policy", "set", "max-machines=300")
        t0 = time.monotonic()
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda n: server.ask(f"52:54:00:e2:{n >> 8:02x}:{n & 255:02x}"), range(0x300, 0x400)))
        seconds = time.monotonic() - t0
        machines = server.machines()
        equal(len(machines), 257, "number of machines")
        for key in ("name", "iqn"):
            equal(len({m[key] for m in machines}), 257, f"different {key}s")
        equal(len({m["disk"]["path"] for m in machines}), 257, "different disks")
        print(f"# 256 machines enrolled in {seconds:.2f} s")

    with t.case("a state directory in use stops a second server"):
        second = Server(t.lan, dhcp="off", state=server.state, runtime="/run/second", start=False)
        second.argv = [a.replace(":8080", ":8081").replace(":3260", ":3261") for a in second.argv]
        start_fails(second, r"in use|another")

    with t.case("a port that is taken stops a server"):
        second = Server(t.lan, dhcp="off", state=os.path.join(t.lan.dir, "state2"), runtime="/run/second", start=False)
        start_fails(second, r"8080|3260")

    with t.case("a wrong flag and an unknown configuration key stop a server"):
        second = Server(t.lan, dhcp="off", state=os.path.join(t.lan.dir, "state3"), runtime="/run/second", start=False, extra=["--http", "nonsense"])
        start_fails(second, r"--http|nonsense")
        conf = os.path.join(t.lan.dir, "conf")
        with open(conf, "w") as f:
            f.write("# mine\nno-such-key = 1\n")
        second = Server(t.lan, dhcp="off", state=os.path.join(t.lan.dir, "state3"), runtime="/run/second", start=False, extra=["--config", conf])
        start_fails(second, r"conf:2.*no-such-key|conf.*line 2")
    server.stop()

    with t.case("a full disk: the new machine waits and is told so, with an event; it goes on when there is room"):
        state = os.path.join(t.lan.dir, "small")
        os.makedirs(state)
        sh(f"mount -t tmpfs -o size=160m,mode=755 small {state}")
        small = Server(t.lan, dhcp="off", state=state).tiny()
        small.ctl("policy", "set", "reserve=16M")
        ballast = os.path.join(state, "ballast")
        free = os.statvfs(state)
        sh(f"fallocate -l {free.f_bavail * free.f_frsize - (4 << 20)} {ballast}")
        script = small.ask("52:54:00:e2:04:01")
        true("SANBOOTD waits for space" in script, f"the script: {script[:200]!r}")
        equal(small.machines(), [], "machines")
        true(small.events("no-space"), "no event about it")
        os.unlink(ballast)
        true("sanboot --drive" in small.ask("52:54:00:e2:04:01"), "it still waits")
        small.stop()
