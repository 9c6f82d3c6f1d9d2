#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two machines from one image at the same time: two names, two disks, one golden image that stays as it is."""
import hashlib

from e2e import *

def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()

with Suite() as t:
    server = Server(t.lan).tiny()
    golden = [os.path.join(d, f) for d, _, files in os.walk(server.state) for f in files
              if os.path.getsize(os.path.join(d, f)) == os.path.getsize(guest("tiny.raw"))]
    before = [digest(g) for g in golden]
    vms = [VM(t.lan, 1), VM(t.lan, 2)]

    with t.case("two machines at once are enrolled and boot", vital=True):
        got = [vm.proof(count=1) for vm in vms]
        true(got[0]["target"] != got[1]["target"], "both have the same target")

    with t.case("two clones have two host names"):
        names = [g["hostname"] for g in got]
        true("none" not in names and names[0] != names[1], f"host names {names}")
        equal(sorted(names), sorted(m["name"] for m in server.machines()), "names in the inventory")

    with t.case("neither sees the other's writes"):
        wrote = [vm.ask("write 2", r"E2E-WROTE (\w+)").group(1) for vm in vms]
        for vm, word in zip(vms, ("one", "two")):
            equal(vm.ask(f"stamp {word}", r"E2E-STAMP (\w+)").group(1), word, "stamp")
        for vm, word, blob in zip(vms, ("one", "two"), wrote):
            m = vm.ask("sum", r"E2E-SUM blob=(\w+) data=(\w+) stamp=(\w+)")
            equal(m.group(1), blob, f"{vm.name}: what it wrote")
            equal(m.group(3), word, f"{vm.name}: stamp")
        for vm, word, blob in zip(vms, ("one", "two"), wrote):
            vm.send("reboot")
        for vm, word, blob in zip(vms, ("one", "two"), wrote):
            vm.proof(count=2)
            m = vm.ask("sum", r"E2E-SUM blob=(\w+) data=(\w+) stamp=(\w+)")
            equal(m.group(1), blob, f"{vm.name}: what it wrote, after a reboot")
            equal(m.group(3), word, f"{vm.name}: stamp, after a reboot")

    with t.case("the golden image is untouched, the disks are clean"):
        for vm, g in zip(vms, got):
            vm.poweroff()
            vm.no_errors()
            server.check_disk(g["hostname"])
        true(golden, "no golden image found in the state directory")
        equal([digest(g) for g in golden], before, "SHA-256 of the golden image")
