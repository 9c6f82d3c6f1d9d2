#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way in which firmware comes to us: UEFI by iPXE's ROM and by its own PXE client, BIOS by undionly.kpxe over TFTP."""
from e2e import *

LKRN = "/usr/lib/ipxe/ipxe.lkrn"

with Suite() as t:
    server = Server(t.lan).tiny()

    with t.case("UEFI: iPXE ROM"):
        vm = VM(t.lan, 1, uefi=True)
        first = vm.proof(count=1, fw="uefi")
        vm.poweroff()

    with t.case("UEFI: the firmware's own PXE loads our iPXE by TFTP"):
        vm = VM(t.lan, 1, uefi=True, rom="none")
        again = vm.proof(count=2, fw="uefi")
        equal(again["ip"], first["ip"], "address")
        true(vm.seen(r"iPXE initialising devices"), "iPXE was not loaded")
        vm.poweroff()
        vm.no_errors()
        server.check_disk(first["hostname"])

    with t.case("BIOS: undionly.kpxe by TFTP, which finds us again"):
        # QEMU's only PXE client for BIOS is iPXE itself: this one is told to behave like a ROM that has only TFTP
        script = os.path.join(t.lan.dir, "chain.ipxe")
        with open(script, "w") as f:
            f.write(f"#!ipxe\ndhcp\nchain tftp://{t.lan.ip}/undionly.kpxe || shell\n")
        vm = VM(t.lan, 2, args=("-kernel", LKRN, "-initrd", script))
        vm.proof(count=1, fw="bios")
        vm.poweroff()
