#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A CD is booted from, by BIOS and by UEFI, with the machine's disk beside it; and read by a system that runs."""
import hashlib

from e2e import *


def check_cd(vm, data):
    """The running system reads the CD, byte for byte, and cannot write to it."""
    sums = vm.ask("sh sha256sum </dev/sr0; mkdir -p /cd; mount -t iso9660 /dev/sr0 /cd && sha256sum </cd/data.bin; umount /cd",
                  r"([0-9a-f]{64})  -\s+([0-9a-f]{64})  -\s+E2E-DONE 0")
    equal(sums.group(1), iso, f"{vm.name}: all of the CD")
    equal(sums.group(2)[:16], data, f"{vm.name}: a file on it")
    vm.ask("sh dd if=/dev/zero of=/dev/sr0 bs=2048 count=1 conv=fsync 2>/dev/null", r"E2E-DONE 1")


with Suite() as t:
    server = Server(t.lan).tiny()
    with open(guest("tiny.iso"), "rb") as f:
        iso = hashlib.file_digest(f, "sha256").hexdigest()
    bios, uefi, none = VM(t.lan, 1, start=False), VM(t.lan, 2, uefi=True, rom="none", start=False), VM(t.lan, 3, start=False)
    for vm in (bios, uefi, none):
        server.ask(vm.mac)
    names = {vm: server.machine_of(vm)["name"] for vm in (bios, uefi, none)}

    with t.case("a CD is given to machines without a word about disks that cannot boot"):
        said = server.ctl("volume", "create", "--shared", "setup", "--kind", "cd", "--from", guest("tiny.iso"))
        for vm in (bios, uefi):
            server.ctl("volume", "attach", "setup", names[vm])
        server.ctl("machine", "set", names[bios], "boot-once=cd")
        server.ctl("machine", "set", names[uefi], "boot=cd")
        notes = [v for v in server.json("image", "list")["images"]]
        true("firmware cannot boot it" not in json.dumps(notes) + said, f"{notes} {said}")

    bios.start()
    uefi.start()
    for fw in ("bios", "uefi"):
        vm = {"bios": bios, "uefi": uefi}[fw]
        with t.case(f"{fw}: boots from its CD, finds its disk by the iBFT, reads the CD"):
            got = vm.proof(fw=fw)
            equal(got["from"], "cd", "where the kernel came from")
            ibft = vm.ask("ibft", r"IBFT [\s\S]*E2E-DONE").group(0)
            equal(re.findall(r"(target\d+)/lun=(\w+)", ibft), [("target0", "00000000")], "targets and LUNs in the iBFT")
            check_cd(vm, got["data"])

    with t.case("boot-once=cd: the next boot is from the disk, and the CD is still there"):
        bios.poweroff()
        server.closed(names[bios])
        bios.start()
        got = bios.proof(fw="bios")
        equal(got["from"], "disk", "where the kernel came from")
        check_cd(bios, got["data"])

    with t.case("a CD that cannot be booted: it says so, and boots its disk when it is told to"):
        plain = os.path.join(t.lan.dir, "plain.iso")
        sh(f"xorriso -as mkisofs -quiet -o {plain} {os.path.join(HERE, 'e2e.py')}")
        server.ctl("volume", "create", "--machine", names[none], "--kind", "cd", "--from", plain)
        server.ctl("machine", "set", names[none], "boot=cd")
        none.start()
        none.wait(r"SANBOOTD machine \S+ could not boot its CD: https://ipxe.org/\w+")
        server.ctl("machine", "set", names[none], "boot=disk")
        equal(none.proof()["from"], "disk", "where the kernel came from")
