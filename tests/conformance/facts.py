# SPDX-License-Identifier: GPL-2.0-or-later
"""What a freshly enrolled machine's disk says of itself, in one place: raw PDUs, libiscsi's tools and the Linux initiator
are all held to this."""
import re
import struct

VENDOR, PRODUCT = "SANBOOT", "Diskless Disk"
VERSION, DESCRIPTORS = 0x06, (0x00a0, 0x0460, 0x04c0, 0x0960)     # SPC-4; SAM-5, SPC-4, SBC-3, iSCSI
PAGES = (0x00, 0x80, 0x83, 0x86, 0x8f, 0xb0, 0xb1, 0xb2)
MODE_PAGES = ((0x01, 0), (0x08, 0), (0x0a, 0), (0x1c, 0), (0x1c, 2))
BLOCK, PHYSICAL = 512, 4096
# VPD B0h (SBC-3 §6.6.4), in libiscsi's words
LIMITS = {
    "wsnz": 1,
    "maximum compare and write length": 255,
    "optimal transfer length granularity": PHYSICAL // BLOCK,
    "maximum transfer length": 8192,
    "optimal transfer length": 2048,
    "maximum prefetch xdread xdwrite transfer length": 0,
    "maximum unmap lba count": 1 << 20,
    "maximum unmap block descriptor count": 256,
    "optimal unmap granularity": PHYSICAL // BLOCK,
    "ugavalid": 1,
    "unmap granularity alignment": 0,
    "maximum write same length": 65528,
}
# VPD B2h (SBC-3 §6.6.5)
PROVISIONING = {"Threshold Exponent": 11, "lbpu": 1, "lbpws": 1, "lbpws10": 1, "lbprz": 1, "anc_sup": 1, "dp": 0, "provisioning type": 2}
ROTATION = 1                                                      # non-rotating


class Facts:
    """Of one machine: its target's name and the size of its disk."""

    def __init__(self, iqn, disk_bytes):
        self.iqn, self.bytes, self.blocks = iqn, disk_bytes, disk_bytes // BLOCK
        self.serial = iqn.rsplit(":", 1)[1]
        # Locally assigned NAA (SPC-4 §7.8.6.6.5): an FNV-1a of the serial. Machines know their disk by it, so it may never change.
        h = 0xcbf29ce484222325
        for byte in self.serial.encode():
            h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
        self.naa = f"{h & 0x0fffffffffffffff | 3 << 60:016x}"
        self.t10 = VENDOR.ljust(8) + PRODUCT.ljust(16) + self.serial
        self.name = f"{iqn},L,0x0000000000000000"

    def designators(self):
        """VPD 83h: (association, type, value), in whatever order."""
        return {(0, 3, bytes.fromhex(self.naa)), (0, 1, self.t10.encode()), (0, 8, self.name.encode()),
                (1, 4, b"\0\0\0\1"), (1, 5, b"\0\0\0\1"), (1, 8, f"{self.iqn},t,0x0001".encode()), (2, 8, self.iqn.encode())}


def parse_designators(page):
    """The designators of a VPD 83h page as it came; each checked for its shape (SPC-4 §7.8.6.1)."""
    found, at, end = set(), 4, 4 + struct.unpack(">H", page[2:4])[0]
    while at < end:
        code_set, kind, length = page[at] & 15, page[at + 1], page[at + 3]
        value = page[at + 4:at + 4 + length]
        association = kind >> 4 & 3
        if len(value) != length or code_set not in (1, 2, 3):
            raise ValueError(f"designator at {at}: {page[at:].hex()}")
        if association and (page[at] >> 4 != 5 or not kind & 0x80):
            raise ValueError(f"designator at {at}: no protocol identifier for iSCSI")
        if kind & 15 == 8:
            if not value.endswith(b"\0") or length % 4:
                raise ValueError(f"SCSI name string at {at}: not ended and padded by zeroes")
            value = value.rstrip(b"\0")
        found.add((association, kind & 15, value))
        at += 4 + length
    return found


def fields(text, separator=":"):
    """`name: value` lines as a dict; a name that comes again keeps its first value."""
    found = {}
    for name, value in re.findall(rf"^\s*([^{separator}\n]+?)\s*{separator}\s*(.*?)\s*$", text, re.M):
        found.setdefault(name, value)
    return found
