#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many at once: turns in order, a rogue host with thousands of MACs, and a machine that gets no further."""
from concurrent.futures import ThreadPoolExecutor

from e2e import *

# Asks for the scripts of COUNT invented machines as fast as it can, says what came of it, and goes on more slowly until it is ended.
FLOODER = r"""
import collections, http.client, sys, threading, time
host, count = sys.argv[1], int(sys.argv[2])
seen, lock = collections.Counter(), threading.Lock()
def ask(first, step):
    c = None
    for n in range(first, count, step):
        try:
            c = c or http.client.HTTPConnection(host, 8080, timeout=20)
            c.request("GET", f"/boot?mac=02:00:00:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}&platform=pcbios")
            r = c.getresponse()
            r.read()
            what = f"{r.status}{' Retry-After' if r.getheader('Retry-After') else ''}"
        except OSError as e:
            c, what = None, type(e).__name__
        with lock:
            seen[what] += 1
def flood():
    threads = [threading.Thread(target=ask, args=(i, 8)) for i in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
flood()
print("FLOODED", dict(seen), flush=True)
n = 0
while True:
    ask(n, count)
    n = (n + 1) % count
    time.sleep(0.005)
"""

def mac(n):
    return f"52:54:00:e2:{n >> 8:02x}:{n & 255:02x}"

def place(script):
    """0: it boots; else (place, of how many)."""
    m = re.search(r"waits for its turn: number (\d+) of (\d+)", script)
    true(m or "sanboot --drive" in script, f"neither its disk nor its turn: {script[:200]!r}")
    return (int(m.group(1)), int(m.group(2))) if m else 0

with Suite() as t:
    server = Server(t.lan).tiny()
    server.ctl("policy", "set", "max-machines=300")

    with t.case("max-booting: they take turns in the order in which they came"):
        server.ctl("policy", "set", "max-booting=2")
        equal([place(server.ask(mac(n))) for n in range(1, 6)], [0, 0, (1, 1), (2, 2), (3, 3)], "places")
        equal([place(server.ask(mac(n))) for n in (1, 2, 5, 3)], [0, 0, (3, 3), (1, 3)], "places of those who ask again")
        name = {m["macs"][0]: m["name"] for m in server.machines()}
        server.ctl("machine", "release", name[mac(1)])
        equal([place(server.ask(mac(n))) for n in (5, 4, 3, 4)], [(3, 3), (2, 3), 0, (1, 2)], "places after one has gone")
        server.ctl("machine", "remove", name[mac(2)], "--yes")
        equal([place(server.ask(mac(n))) for n in (5, 4, 5)], [(2, 2), 0, (1, 1)], "places after another has gone")
        script = server.ask(mac(5))
        true("sleep 5" in script and f"{server.url}/boot?mac=" in script, f"it does not come back by itself: {script!r}")
        server.ctl("group", "add", "lab", "priority=5")
        server.ctl("machine", "set", name[mac(1)], "group=lab")
        equal([place(server.ask(mac(n))) for n in (6, 1, 5, 6)], [(2, 2), (1, 3), (2, 3), (3, 3)], "places with one of a group that goes first")
        server.ctl("policy", "set", "max-booting=0")
        equal(place(server.ask(mac(5))), 0, "without a limit")
        server.ctl("policy", "set", "max-booting=512")

    with t.case("256 machines switched on together all get their script at once"):
        with ThreadPoolExecutor(32) as pool:
            scripts = list(pool.map(lambda n: server.ask(mac(n)), range(0x100, 0x200)))
        equal([place(s) for s in scripts], [0] * 256, "their turns")

    known = server.machines()[0]
    flooder = t.lan.neighbour("flooder", f"{t.lan.net}.66", [sys.executable, "-u", "-c", FLOODER, t.lan.ip, "5000"])

    with t.case("a rogue host with 5000 MACs: refused, named in an event, nothing made", vital=True):
        before = len(server.machines())
        said = flooder.out.wait(r"FLOODED (\{.*\})", 120, "flooder").group(1)
        print(f"# {said}", flush=True)
        true(int(re.search(r"'503 Retry-After': (\d+)", said).group(1)) > 4000, f"what it was told: {said}")
        equal(len(server.machines()), before, "machines")
        events = server.events("flood")
        true(events and f"{t.lan.net}.66" in events[0]["text"] and "a second" in events[0]["text"], f"events: {events}")
        true(len(events) <= 6, f"{len(events)} events")

    with t.case("meanwhile a known machine gets its script, and a new one is enrolled and boots"):
        t0 = time.monotonic()
        true("sanboot --drive" in server.ask(known["macs"][0]), "the known machine")
        print(f"# its script came in {time.monotonic() - t0:.2f} s", flush=True)
        vm = VM(t.lan, 101)
        vm.proof(count=1)
        flooder.stop()

    with t.case("5000 MACs from an address that cannot be checked: max-machines holds"):
        allowed = len(server.machines()) + 20
        server.ctl("policy", "set", f"max-machines={allowed}")
        own = Process(t.lan, "own", [sys.executable, "-u", "-c", FLOODER, t.lan.ip, "5000"])
        said = own.out.wait(r"FLOODED (\{.*\})", 120, "flooder").group(1)
        own.stop()
        print(f"# {said}", flush=True)
        equal(len(server.machines()), allowed, "machines")
        true("'503 Retry-After'" in said, f"what it was told: {said}")
        until(lambda: "sanboot --drive" in server.get(f"/boot?mac={known['macs'][0]}")[1], 20, "the known machine, from the same address")
        server.ctl("policy", "set", "max-machines=400")

    with t.case("a machine whose plug was pulled is shown as off before long"):
        name = server.machine_of(vm)["name"]
        until(lambda: server.machine(name)["timeline"][-1]["stage"] == "steady", 60, "its system stays")
        vm.stop()
        unplugged = time.monotonic()
        until(lambda: server.machine(name)["state"] == "off", 50, "off")
        print(f"# {time.monotonic() - unplugged:.0f} s after that", flush=True)

    with t.case("a machine that cannot reach the portal: stuck at its script, with the reason"):
        server.stop()
        server.argv += ["--iscsi", "127.0.0.1:3260"]
        server.argv.remove(f"{t.lan.ip}:3260")
        server.argv.remove("--iscsi")
        server.start()
        vm = VM(t.lan, 102)
        vm.wait(r"SANBOOTD machine \S+ boots")
        name = server.machine_of(vm)["name"]
        stuck = until(lambda: server.machine(name)["stuck"], 90, "stuck")
        equal((stuck["stage"], stuck["next"]), ("script", "ipxe-login"), "where")
        true("ipxe.org/" in stuck["why"] and "3260" in stuck["why"] and "--advertise" in stuck["hint"], f"why: {stuck}")
        shown = server.ctl("machine", "show", name)
        true(re.search(r"stuck +at script since .* usually because\n.*iSCSI portal", shown), f"machine show: {shown}")
        equal(len([e for e in server.events("stuck at script") if e["object"] == name]), 1, "events")
        equal([s["stage"] for s in server.machine(name)["timeline"]], ["dhcp", "boot-file", "script"], "stages")
        vm.stop()
    server.stop()
