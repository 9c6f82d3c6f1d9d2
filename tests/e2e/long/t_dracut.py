#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian with an initramfs of dracut's: two clones boot, differ, keep their addresses, power off, outlive a server that is killed."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from e2e import *

with Suite() as t:
    with t.case("build-debian.sh --initramfs dracut makes an image", vital=True):
        image = guest("debian-dracut.raw")

    server = Server(t.lan)
    with t.case("it is imported without a warning", vital=True):
        server.ctl("image", "import", image, "--name", "debian", "--default", timeout=300)
        equal(server.api("images")["images"][0]["versions"][0]["warnings"], [], "warnings")

    with t.case("two clones boot at once, with CHAP, each as itself", vital=True):
        vms = [VM(t.lan, 1, mem=512, action="tick"), VM(t.lan, 2, mem=512, action="poweroff")]
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
        vms[0].tick()
        sessions = server.machine(first[0]["hostname"])["sessions"]
        equal([s["initiator"] for s in sessions], [first[0]["initiator"]], "initiator names")

    with t.case("it switches itself off"):
        # dracut goes back into its initramfs for that, which it unpacks again from the disk
        vms[1].off(timeout=120)
        vms[1].no_errors()
        server.check_disk(first[1]["hostname"])

    with t.case("it goes on when the server is killed"):
        # needs an iscsid: without Restart=always the one of the initramfs now and then leaves none behind (not at every boot)
        server.kill()
        vms[0].proc.out.skip()
        server.start()
        vms[0].tick(4)
        vms[0].no_errors()
        vms[0].stop()
