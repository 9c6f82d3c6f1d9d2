#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way in which firmware comes to us: UEFI by iPXE's ROM and by its own PXE client, BIOS by undionly.kpxe over TFTP."""
from e2e import *

LKRN = "/usr/lib/ipxe/ipxe.lkrn"


def vendor_rom(path, lacks):
    """A network card's ROM with an iPXE that does not know this scheme of URIs: QEMU's, with the name's letters in another order (the sum stays)."""
    with open("/usr/lib/ipxe/qemu/efi-virtio.rom", "rb") as f:
        rom = f.read()
    equal(rom.count(b"\0" + lacks + b"\0"), 1, f"places of {lacks}")
    with open(path, "wb") as f:
        f.write(rom.replace(b"\0" + lacks + b"\0", b"\0" + lacks[1:] + lacks[:1] + b"\0"))
    return path


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

    for lacks in ("HTTP", "iSCSI"):
        with t.case(f"UEFI: a vendor's iPXE without {lacks} is given one that has it"):
            vm = VM(t.lan, 3, uefi=True, rom=vendor_rom(f"{t.lan.dir}/without-{lacks}.rom", lacks.lower().encode()))
            vm.wait(rf"SANBOOTD this iPXE \(\S+\) has no {lacks}; loading another one from {re.escape(t.lan.ip)}", 60)
            vm.proof(timeout=90, fw="uefi")
            vm.poweroff()
