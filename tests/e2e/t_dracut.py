#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian with an initramfs of dracut's: two clones boot, differ, keep their addresses, reboot, outlive a server that is killed."""
from e2e import *

with Suite() as t:
    with t.case("build-debian.sh --initramfs dracut makes an image", vital=True):
        image = guest("debian-dracut.raw")

    server = Server(t.lan)
    with t.case("it is imported without a warning", vital=True):
        server.ctl("image", "import", image, "--name", "debian", "--default", timeout=300)
        equal(server.api("images")["images"][0]["versions"][0]["warnings"], [], "warnings")

    with t.case("two clones boot at once, with CHAP, each as itself", vital=True):
        vms = [VM(t.lan, 1, mem=512, action="write=2,reboot=2,tick"), VM(t.lan, 2, mem=512, action="tick")]
        first = [vm.proof(count=1, timeout=400) for vm in vms]
        for vm, got in zip(vms, first):
            equal(got["hostname"], server.machine_of(vm)["name"], "host name")
            equal(got["nic"], "ibft0", "the name that dracut gives the card of the iBFT")
            true(got["chap"] != "none", "a boot without CHAP")
            # dracut's DHCP client does not outlive the initramfs: nobody renews the address of the root disk
            equal(got["lease"], "forever", "how long the address is valid")
        for what in ("hostname", "ip", "initiator", "target"):
            true(first[0][what] != first[1][what], f"two machines with one {what}: {first[0][what]}")

    with t.case("a session has the initiator name of its machine's iBFT"):
        got = vms[1].tick(1) and server.machine(first[1]["hostname"])["sessions"]
        equal([s["initiator"] for s in got], [first[1]["initiator"]], "initiator names")

    with t.case("it reboots by itself and has its data"):
        second = vms[0].proof(count=2, timeout=400, **{k: first[0][k] for k in ("hostname", "initiator", "blob", "nic")})
        true(second["blob"] != "none", "it wrote nothing")

    with t.case("both go on when the server is killed"):
        server.kill()
        for vm in vms:
            vm.proc.out.skip()
        server.start()
        for vm in vms:
            vm.tick(4)
            vm.no_errors()
            vm.stop()
