#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian with its root on a multipath map (build-debian.sh --multipath): one map, two paths. One of them is cut under load, the
I/O goes on, and the path comes back; without any path it waits for its server."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from e2e import *

# Its NOP-Out after 5 s finds out, unanswered for 5 s; the path is given up 5 s later. Seconds.
GIVEN_UP = 15


def goes_on(vm, rounds):
    """It wrote, and read the same: some rounds from now on. (A failed path has errors, which its map keeps from what is above it.)"""
    vm.proc.out.skip()
    for _ in range(rounds):
        vm.wait(r"E2E-LOAD \d+ OK")
    for bad in (r"E2E-LOAD \d+ ERROR", r"I/O error, dev dm-", r"Buffer I/O error", r"Remounting filesystem read-only", r"EXT4-fs error"):
        true(not vm.seen(bad), f"the guest saw {bad}")


def longest_wait(vm):
    """Between two rounds of its load, by its own clock."""
    ends = [float(end) for end in re.findall(r"E2E-LOAD \d+ \w+ end=([0-9.]+)", vm.proc.out.text)]
    return max(b - a for a, b in zip(ends, ends[1:]))


def each_path(vm, does):
    """What the kernel says of one path, and of the other: programs have to wait, for they are on that disk."""
    says = rf"device-mapper: multipath: \S+: {does} path "
    first = vm.wait(says + r"(\S+)\.", 180).group(1)
    vm.wait(says + rf"(?!{first}\.)", 180)


with Suite() as t:
    second = f"{t.lan.net}.2"
    sh(f"ip addr add {second}/24 dev br0")
    with t.case("build-debian.sh --multipath makes an image", vital=True):
        image = guest("debian-multipath.raw")
    server = Server(t.lan, extra=["--iscsi", f"{second}:3260"])
    server.ctl("image", "import", image, "--name", "debian", "--default", timeout=300)
    server.ask("52:54:00:e2:00:01")
    name = server.machines()[0]["name"]
    server.ctl("machine", "set", name, "multipath=yes")

    with t.case("the doctor has nothing to say of its multipath"):
        equal([f for f in server.api("images/debian/check")["findings"] if f["code"].startswith("multipath")], [], "findings")

    with t.case("Debian boots with its root on a map of two paths", vital=True):
        vm = VM(t.lan, 1, mem=512, action="paths,load,obey")
        got = vm.proof(count=1, timeout=400, hostname=name)
        said = vm.wait(r"E2E-ROOT[^\n]*\n(?s:.*)E2E-MULTIPATH-END", 120).group(0)
        maps = re.findall(r"^(\S+) \(\S+\) dm-\d+ SANBOOT", said, re.M)
        equal(len(maps), 1, f"maps in {said!r}")
        root = re.match(r"E2E-ROOT (\S*)", said).group(1)
        equal(root, maps[0] + "-part2", f"what the root is on; mounted is {got['root']}")
        equal(len(re.findall(r"\d+:0:0:0 sd\w +\S+ +active ready running", said)), 2, f"paths that are active in: {said!r}")
        until(lambda: "steady" in [s["stage"] for s in server.machine(name)["timeline"]], 40, "steady")

    with t.case("a path is cut under load: the other one goes on"):
        vm.wait(r"E2E-PATHS active active")
        goes_on(vm, 3)
        sh(f"ip addr del {second}/24 dev br0")
        vm.wait(r"E2E-PATHS (active failed|failed active)", 120)
        goes_on(vm, 5)
        true(longest_wait(vm) < 2 * GIVEN_UP, f"it waited for {longest_wait(vm):.0f} s")

    with t.case("the path comes back"):
        sh(f"ip addr add {second}/24 dev br0")
        vm.wait(r"E2E-PATHS active active", 180)
        goes_on(vm, 3)

    with t.case("the server is killed: without any path the root waits, and goes on with it"):
        server.kill()
        each_path(vm, "Failing")
        server.start()
        each_path(vm, "Reinstating")
        goes_on(vm, 3)

    with t.case("it switches itself off in order"):
        vm.send("poweroff")
        vm.off(timeout=120)
        true(not vm.seen(r"EXT4-fs error|Buffer I/O error"), "its last writes failed")
        server.check_disk(name)
