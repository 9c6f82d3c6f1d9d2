# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that Windows' disk stack sends (part of windows.py): enumeration, mode pages, trim, offload inquiries, health."""
import os
import struct
import subprocess

import facts
from iscsi import *
from microsoft import *
from sanbootd import DISK_BYTES

NO_LUN = b"\0\1" + b"\0" * 6
ILLEGAL, INVALID_OPCODE, OUT_OF_RANGE, INVALID_FIELD, NOT_A_LUN = 5, 0x20, 0x21, 0x24, 0x25
BLOCKS = DISK_BYTES // 512
LENGTHS = (4, 8, 0x24, 64, 0xc0, 255, 1024, 4096)


def same_beginning(what, fetch, lengths):
    """Each allocation length cuts the same answer off, and its length field stays that of the whole (SPC-4 §4.2.5.6)."""
    whole = fetch(max(lengths))
    for length in lengths:
        equal(fetch(length).hex(), whole[:length].hex(), f"{what} with allocation length {length}")
    return whole


# ---- enumeration ----

@case("SPC-4 §6.33")
def REPORT_LUNS_first_and_without_unit_attention(t):
    s = Windows(t, clear=False)
    for length in (16, 0x88, 4096):
        data = s.data_in(struct.pack(">BBB3xIBB", 0xa0, 0, 0, length, 0, 0), length)
        equal(data, struct.pack(">I4x8x", 8)[:length], f"the list, allocation length {length}")
    equal(s.command(TUR).sense_code[:2], (6, 0x29), "and then the unit attention")
    equal(s.command(TUR).status, 0, "status")


@case("SPC-4 §6.6.2")
def INQUIRY_without_unit_attention(t):
    s = Windows(t, clear=False)
    d = same_beginning("INQUIRY", s.inquiry, (5,) + LENGTHS[2:])
    equal((d[0], d[1], d[2], d[3] & 0x0f), (0, 0, facts.VERSION, 2), "type, removable, version, format")
    equal(len(d), d[4] + 5, "additional length")
    equal((d[8:16].decode().rstrip(), d[16:32].decode().rstrip()), (facts.VENDOR, facts.PRODUCT), "vendor and product")
    want(all(32 <= c < 127 for c in d[8:36]), "characters in the names", d[8:36])
    want(d[7] & 2, "CMDQUE=0")
    equal(d[5] & 0x30, 0, "TPGS: asymmetric access, which MPIO would ask about")
    equal(s.command(TUR).sense_code[:2], (6, 0x29), "and then the unit attention")


@case("SPC-4 §6.6.2")
def a_LUN_that_is_not_there(t):
    s = Windows(t)
    equal(s.inquiry(36, lun=NO_LUN)[0], 0x7f, "peripheral qualifier and type")
    s.fails(TUR, ILLEGAL, NOT_A_LUN, lun=NO_LUN)
    s.fails(rw(0x28, 0, 1), ILLEGAL, NOT_A_LUN, lun=NO_LUN, read=512)
    sense = s.data_in(struct.pack(">BBBBBB", 3, 0, 0, 0, 252, 0), 252, lun=NO_LUN)
    equal((sense[2] & 15, sense[12]), (ILLEGAL, NOT_A_LUN), "REQUEST SENSE")


@case("SPC-4 §7.8")
def VPD_pages(t):
    s = Windows(t)
    pages = same_beginning("VPD 00h", lambda n: s.inquiry(n, 0), LENGTHS)
    equal(tuple(pages[4:]), facts.PAGES, "supported pages")
    for page in facts.PAGES:
        d = same_beginning(f"VPD {page:02x}h", lambda n: s.inquiry(n, page), LENGTHS)
        equal((d[0], d[1], struct.unpack(">H", d[2:4])[0]), (0, page, len(d) - 4), f"header of VPD {page:02x}h")


@case("SPC-4 §6.6.1")
def VPD_pages_that_are_not_there(t):
    s = Windows(t)
    for page in (0x81, 0x85, 0x87, 0xb3, 0xb5, 0xb9, 0xc0, 0xff):
        s.fails(struct.pack(">BBBHB", 0x12, 1, page, 255, 0), ILLEGAL, INVALID_FIELD, byte=2, read=255)
    s.fails(struct.pack(">BBBHB", 0x12, 0, 0x83, 255, 0), ILLEGAL, INVALID_FIELD, byte=2, read=255)


@case("SPC-4 §7.8.6")
def identifiers(t):
    f = facts.Facts(t.iqn, DISK_BYTES)
    s = Windows(t)
    equal(s.inquiry(255, 0x80)[4:].decode(), f.serial, "serial")
    equal(facts.parse_designators(s.inquiry(1024, 0x83)), f.designators(), "designators")


@case("SBC-3 §6.6")
def block_limits_provisioning_and_rotation(t):
    s = Windows(t)
    b0, b1, b2 = (s.inquiry(255, page) for page in (0xb0, 0xb1, 0xb2))
    got = dict(zip(("optimal transfer length granularity", "maximum transfer length", "optimal transfer length"),
                   struct.unpack(">HII", b0[6:16])))
    got |= dict(zip(("maximum unmap lba count", "maximum unmap block descriptor count", "optimal unmap granularity"),
                    struct.unpack(">III", b0[20:32])))
    got["maximum write same length"] = struct.unpack(">Q", b0[36:44])[0]
    equal(got, {k: facts.LIMITS[k] for k in got}, "block limits")
    equal(struct.unpack(">H", b1[4:6])[0], facts.ROTATION, "MEDIUM ROTATION RATE")
    equal((b2[4], b2[5] & 0xfe, b2[6] & 7), (facts.PROVISIONING["Threshold Exponent"], 0xe6, 2), "logical block provisioning")


@case("SBC-3 §5.15")
def capacity(t):
    s = Windows(t)
    equal(s.data_in(b"\x25" + b"\0" * 9, 8), struct.pack(">II", BLOCKS - 1, 512), "READ CAPACITY(10)")
    d = same_beginning("READ CAPACITY(16)", lambda n: s.data_in(struct.pack(">BB8xIBB", 0x9e, 0x10, n, 0, 0), n), (8, 12, 32, 255))
    equal(struct.unpack(">QIBB", d[:14]), (BLOCKS - 1, 512, 0, 3), "last LBA, block, protection, physical block exponent")
    equal(struct.unpack(">H", d[14:16])[0], 0xc000, "LBPME, LBPRZ, lowest aligned LBA")


@case("SBC-3 §5.16.2")
def capacity_of_a_512n_disk(t):
    machine = t.daemon.enrol(access="many", **{"physical-block": 512})
    s = Windows(machine)
    d = s.data_in(struct.pack(">BB8xIBB", 0x9e, 0x10, 32, 0, 0), 32)
    equal(struct.unpack(">QIBB", d[:14]), (BLOCKS - 1, 512, 0, 0), "last LBA, block, protection, physical block exponent")
    equal(machine.show()["luns"][0]["physical_block_bytes"], 512, "physical_block_bytes of machine show")
    # As SBC-2 has it: WRITE SAME of no blocks is all the rest, within MAXIMUM WRITE SAME LENGTH.
    equal(s.inquiry(64, 0xb0)[4] & 1, 0, "WSNZ")
    s.fails(rw(0x93, 0, 0), ILLEGAL, INVALID_FIELD, byte=10, write=512, data=b"\0" * 512)
    s.data_out(rw(0x93, BLOCKS - 24, 0), b"e" * 512)
    equal(s.good(rw(0x28, BLOCKS - 32, 32), read=16384).data, b"\0" * 4096 + b"e" * 12288, "the rest of the disk")
    s.data_out(rw(0x41, BLOCKS - 16, 0, 8), b"\0" * 512)
    equal(s.good(rw(0x28, BLOCKS - 32, 32), read=16384).data, b"\0" * 4096 + b"e" * 4096 + b"\0" * 8192, "the rest of it, unmapped")
    s.fails(rw(0x93, BLOCKS, 0), ILLEGAL, OUT_OF_RANGE, write=512, data=b"\0" * 512)


@case("SBC-3 §5.16")
def growth_of_a_running_machine_and_of_one_that_is_off(t):
    machine = t.daemon.enrol(access="many")
    s = Windows(machine)
    equal(s.write(rw(0x2a, BLOCKS - 256, 256), b"B" * 131072).status, 0, "status of a write before")
    size = lambda: machine.show()["disk"]["virtual_bytes"]
    for settings in ("size=32M", "size=1000", "size=17T"):
        try:
            t.daemon.ctl("machine", "set", machine.name, settings)
        except Failed as refused:
            want("size" in str(refused) or "only grows" in str(refused) or "16 TiB" in str(refused), "the reason", refused)
        else:
            raise Failed(f"{settings} was taken")
    equal(size(), DISK_BYTES, "size after what was refused")
    t.daemon.ctl("machine", "set", machine.name, "size=3T")
    pdu = s.recv()
    equal((pdu.opcode, pdu.bhs[36], pdu.data[4] & 15, pdu.data[14], pdu.data[15]), (ASYNC, 0, 6, 0x2a, 9), "Async Message")
    s.statsn += 1
    equal(s.command(TUR).sense_code, (6, 0x2a, 9), "unit attention")
    blocks = 3 << 31
    equal(s.data_in(b"\x25" + b"\0" * 9, 8), struct.pack(">II", 0xffffffff, 512), "READ CAPACITY(10)")
    equal(struct.unpack(">Q", s.data_in(struct.pack(">BB8xIBB", 0x9e, 0x10, 32, 0, 0), 32)[:8])[0], blocks - 1, "READ CAPACITY(16)")
    equal(s.write(rw(0x8a, blocks - 8, 8), b"E" * 4096).status, 0, "status of a write to the new end")
    s.close()
    path = t.daemon.closed_disk(machine)
    t.daemon.ctl("machine", "set", machine.name, "size=4T")
    equal(size(), 4 << 40, "virtual_bytes of machine show")
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", path], check=True)
    s = Windows(machine)
    equal(struct.unpack(">Q", s.data_in(struct.pack(">BB8xIBB", 0x9e, 0x10, 32, 0, 0), 32)[:8])[0], (4 << 31) - 1, "READ CAPACITY(16)")
    equal(s.good(rw(0x88, blocks - 16, 24), read=12288).data, b"\0" * 4096 + b"E" * 4096 + b"\0" * 4096, "around the old end")
    equal(s.good(rw(0x28, BLOCKS - 256, 264), read=135168).data, b"B" * 131072 + b"\0" * 4096, "around the image's end")
    s.close()
    t.daemon.closed_disk(machine)
    t.daemon.ctl("machine", "reset", machine.name, "--yes")
    equal(size(), 4 << 40, "size after a reset")


# ---- mode pages ----

def mode_sense(s, ten, page, subpage=0, control=0, dbd=True, length=192):
    cdb = struct.pack(">BBBB3xHB" if ten else ">BBBBBB", 0x5a if ten else 0x1a, 8 * dbd, control << 6 | page, subpage, length, 0)
    return s.data_in(cdb, length)


def mode_pages(data, ten):
    """Header and pages of a whole answer: device parameter, block descriptors, {(page, subpage): bytes}."""
    header = 8 if ten else 4
    length, descriptors = (struct.unpack(">H", data[:2])[0] + 2, struct.unpack(">H", data[6:8])[0]) if ten else (data[0] + 1, data[3])
    equal(length, len(data), "mode data length")
    at, pages = header + descriptors, {}
    while at < len(data):
        spf = data[at] & 0x40
        size = struct.unpack(">H", data[at + 2:at + 4])[0] + 4 if spf else data[at + 1] + 2
        pages[data[at] & 0x3f, data[at + 1] if spf else 0] = data[at:at + size]
        at += size
    equal(at, len(data), "end of the last page")
    return data[3 if ten else 2], data[header:header + descriptors], pages


@case("SPC-4 §6.11")
def MODE_SENSE(t):
    s = Windows(t)
    for ten in (False, True):
        for page in (0x08, 0x0a, 0x1c, 0x3f):
            for dbd in (True, False):
                lengths = (4, 8, 12, 0x24, 0xc0, 0xff)
                whole = same_beginning(f"MODE SENSE of {page:02x}h", lambda n: mode_sense(s, ten, page, dbd=dbd, length=n), lengths)
                device, descriptors, pages = mode_pages(whole, ten)
                equal(device, 0x10, "WP and DPOFUA")
                wanted = b"" if dbd else struct.pack(">II", BLOCKS, 512)
                equal(descriptors.hex(), wanted.hex(), "block descriptor")
                equal(set(pages), {p for p in facts.MODE_PAGES if p[1] == 0 and page in (p[0], 0x3f)}, "pages")


@case("SPC-4 §7.5.8")
def mode_page_values(t):
    s = Windows(t)
    for ten in (False, True):
        pages = mode_pages(mode_sense(s, ten, 0x3f, 0xff, length=255), ten)[2]
        equal(set(pages), set(facts.MODE_PAGES), "pages and subpages")
        want(pages[0x08, 0][2] & 4, "WCE=0")
        equal(len(pages[0x08, 0]), 20, "length of the caching page")
        equal((pages[0x0a, 0][2] & 4, pages[0x0a, 0][4] & 8), (0, 0), "D_SENSE and SWP")
        equal(pages[0x1c, 0][2] & 8, 8, "DEXCPT")
        mask = mode_pages(mode_sense(s, ten, 0x08, control=1), ten)[2][0x08, 0]
        equal(mask[2:].hex(), (b"\4" + b"\0" * 17).hex(), "what can be changed: WCE alone")


@case("SPC-4 §6.11")
def MODE_SENSE_of_pages_that_are_not_there(t):
    s = Windows(t)
    for page in (0x02, 0x03, 0x04, 0x05, 0x19, 0x1a, 0x2a):
        s.fails(struct.pack(">BBBBBB", 0x1a, 8, page, 0, 192, 0), ILLEGAL, INVALID_FIELD, byte=2, bit=5, read=192)
    s.fails(struct.pack(">BBBB3xHB", 0x5a, 8, 0x08, 0x77, 192, 0), ILLEGAL, INVALID_FIELD, byte=3, read=192)


@case("SPC-4 §6.9")
def write_cache_off_and_on(t):
    """As in the device manager: MODE SELECT with the page as it was read; the other sessions are told."""
    s, other = Windows(t), Windows(t, isid=ISID[:5] + b"\3")
    for ten in (False, True):
        for wce in (0, 4):
            page = bytearray(mode_pages(mode_sense(s, ten, 0x08), ten)[2][0x08, 0])
            page[0] &= 0x3f                                        # PS is reserved here
            page[2] = page[2] & ~4 | wce
            data = b"\0" * (8 if ten else 4) + bytes(page)
            cdb = struct.pack(">BB5xHB", 0x55, 0x10, len(data), 0) if ten else struct.pack(">BBBBBB", 0x15, 0x10, 0, 0, len(data), 0)
            s.data_out(cdb, data)
            equal(mode_pages(mode_sense(s, ten, 0x08), ten)[2][0x08, 0][2] & 4, wce, "WCE")
            equal(other.command(TUR).sense_code, (6, 0x2a, 1), "unit attention of the other session")
            s.data_out(rw(0x2a, 9000, 8), b"w" * 4096)
            equal(s.good(rw(0x28, 9000, 8), read=4096).data, b"w" * 4096, "data")


# ---- small commands ----

@case("SBC-3 §5.17")
def START_STOP_and_removal(t):
    s = Windows(t)
    for byte4 in (0x01, 0x00, 0x01):
        s.good(bytes([0x1b, 0, 0, 0, byte4, 0]))
    s.good(bytes([0x1b, 1, 0, 0, 0, 0]))
    s.good(TUR)                                                    # stopped or not: the next boot must get in
    s.fails(bytes([0x1b, 0, 0, 0, 2, 0]), ILLEGAL, INVALID_FIELD, byte=4)
    for prevent in (1, 0):
        s.good(bytes([0x1e, 0, 0, 0, prevent, 0]))


@case("SBC-3 §5.18")
def SYNCHRONIZE_CACHE(t):
    s = Windows(t)
    s.good(rw(0x35, 0, 0))
    s.good(rw(0x91, 0, 0))
    s.good(rw(0x35, BLOCKS - 1, 1))
    s.fails(rw(0x35, BLOCKS, 1), ILLEGAL, OUT_OF_RANGE)


@case("SBC-3 §5.32")
def VERIFY(t):
    s = Windows(t)
    for code in (0x2f, 0x8f):
        s.good(rw(code, 0, 2048))
        s.good(rw(code, BLOCKS - 8, 8))
        s.good(rw(code, 0, 0))
        s.fails(rw(code, BLOCKS - 7, 8), ILLEGAL, OUT_OF_RANGE)


@case("SBC-3 §4.12")
def FUA_and_the_end_of_the_disk(t):
    s, data = Windows(t), os.urandom(4096)
    for write, read in ((0x2a, 0x28), (0x8a, 0x88)):
        equal(s.write(rw(write, BLOCKS - 8, 8, 8), data).status, 0, "status of a FUA write")
        equal(s.good(rw(read, BLOCKS - 8, 8, 8), read=4096).data, data, "data of a FUA read")
        s.fails(rw(read, BLOCKS - 7, 8), ILLEGAL, OUT_OF_RANGE, read=4096)
        s.fails(rw(write, BLOCKS - 7, 8), ILLEGAL, OUT_OF_RANGE, write=4096, data=data)
        s.fails(rw(read, 1 << 31, 8), ILLEGAL, OUT_OF_RANGE, read=4096)
        s.fails(rw(read, 0, 8, 0x20), ILLEGAL, INVALID_FIELD, byte=1, read=4096)       # RDPROTECT without protection


# ---- trim and offload ----

def unmap(*ranges):
    body = b"".join(struct.pack(">QI4x", lba, blocks) for lba, blocks in ranges)
    return struct.pack(">HH4x", len(body) + 6, len(body)) + body


def send_unmap(s, data, wanted=None):
    cdb = struct.pack(">BB5xHB", 0x42, 0, len(data), 0)
    return s.data_out(cdb, data) if wanted is None else s.fails(cdb, *wanted, write=len(data), data=data)


@case("SBC-3 §5.28")
def UNMAP(t):
    s = Windows(t)
    equal(s.write(rw(0x2a, 20000, 2048), b"T" * (1 << 20)).status, 0, "status")
    send_unmap(s, unmap((20000, 512), (20512, 0), (21024, 1024)))
    got = s.good(rw(0x28, 20000, 2048), read=1 << 20).data
    equal((got[:262144].count(0), got[262144:524288].count(b"T"), got[524288:].count(0)), (262144, 262144, 524288), "zeroes and data")
    send_unmap(s, unmap())
    s.good(struct.pack(">BB5xHB", 0x42, 0, 0, 0))
    send_unmap(s, unmap((BLOCKS - 8, 16)), (ILLEGAL, OUT_OF_RANGE))
    send_unmap(s, unmap(*[(0, 8)] * 257), (ILLEGAL, 0x26))
    send_unmap(s, unmap((0, 8))[:20], (ILLEGAL, 0x1a))
    s.fails(struct.pack(">BB5xHB", 0x42, 2, 24, 0), ILLEGAL, INVALID_FIELD, byte=1, bit=1, write=24, data=unmap((0, 8)))


@case("SBC-3 §4.7.3.4.2")
def ANCHOR_by_UNMAP_and_WRITE_SAME(t):
    """What is anchored reads as zeroes and keeps its space, so GET LBA STATUS does not call it deallocated."""
    s = Windows(t)
    status = lambda lba: struct.unpack(">QIB", s.data_in(struct.pack(">BBQIBB", 0x9e, 0x12, lba, 24, 0, 0), 24)[8:21])
    equal(s.write(rw(0x2a, 40000, 64), b"A" * 32768).status, 0, "status")
    s.data_out(struct.pack(">BB5xHB", 0x42, 1, 40, 0), unmap((40008, 8), (40960, 128)))
    s.data_out(rw(0x93, 40024, 8, 0x18), b"\0" * 512)
    s.good(rw(0x93, 40040, 8, 0x19))                               # NDOB
    s.data_out(rw(0x41, 40056, 4, 0x18), b"x" * 512)               # would not read as zeroes: written
    got = s.good(rw(0x28, 40000, 64), read=32768).data
    one, none = b"A" * 4096, b"\0" * 4096
    equal(got, one + none + one + none + one + none + one + b"x" * 2048 + b"A" * 2048, "data")
    equal((status(40000)[2], status(40000)[1] >= 64), (0, True), "the first extent is mapped")
    lba, blocks, kind = status(40960)
    want(kind in (0, 2) and blocks >= 128, "what was never written has space now, status", kind, "for", blocks)
    s.fails(rw(0x93, 40000, 8, 0x10), ILLEGAL, INVALID_FIELD, byte=1, bit=4, write=512, data=b"\0" * 512)
    s.fails(rw(0x41, 40000, 8, 0x10), ILLEGAL, INVALID_FIELD, byte=1, bit=4, write=512, data=b"\0" * 512)
    equal(s.good(rw(0x28, 40000, 8), read=4096).data, one, "what a refused one would have written")


@case("SBC-3 §5.28")
def trim_of_the_whole_disk_as_format_does_it(t):
    machine = t.daemon.enrol(access="many")
    s, most = Windows(machine), facts.LIMITS["maximum unmap lba count"]
    for lba in range(0, BLOCKS, most):
        send_unmap(s, unmap((lba, min(most, BLOCKS - lba))))
    for lba in (0, 8191, BLOCKS - 8):
        equal(s.good(rw(0x28, lba, 8), read=4096).data, b"\0" * 4096, f"blocks at {lba}")


@case("SBC-3 §5.46")
def WRITE_SAME(t):
    s = Windows(t)
    equal(s.write(rw(0x2a, 30000, 128), b"S" * 65536).status, 0, "status")
    s.data_out(rw(0x41, 30000, 16), b"x" * 512)
    s.data_out(rw(0x93, 30016, 16, 8), b"\0" * 512)
    s.good(rw(0x93, 30032, 16, 1))                                 # NDOB
    got = s.good(rw(0x28, 30000, 64), read=32768).data
    equal(got, b"x" * 8192 + b"\0" * 16384 + b"S" * 8192, "data")
    s.fails(rw(0x93, 0, facts.LIMITS["maximum write same length"] + 1), ILLEGAL, INVALID_FIELD, write=512, data=b"\0" * 512)
    s.fails(rw(0x93, 0, 0), ILLEGAL, INVALID_FIELD, write=512, data=b"\0" * 512)      # WSNZ


@case("SBC-3 §5.4")
def GET_LBA_STATUS(t):
    machine = t.daemon.enrol(access="many")
    s = Windows(machine)
    for lba, blocks in ((65536, 256), (65664 + 4096, 8)):          # and behind what will be unmapped: the rest is a hole already
        equal(s.write(rw(0x2a, lba, blocks), b"M" * blocks * 512).status, 0, "status")
    ask = lambda lba, n=4096: struct.pack(">BBQIBB", 0x9e, 0x12, lba, n, 0, 0)
    d = s.data_in(ask(65536), 4096)
    lba, blocks, status = struct.unpack(">QIB", d[8:21])
    equal((struct.unpack(">I", d[:4])[0], lba, status & 15), (len(d) - 4, 65536, 0), "the extent that was written")
    want(blocks >= 256, "it has", blocks, "blocks")
    send_unmap(s, unmap((65664, 4096)))
    d = s.data_in(ask(65536), 4096)
    equal([struct.unpack(">QIB", d[at:at + 13]) for at in (8, 24)], [(65536, 128, 0), (65664, 4096, 1)], "mapped and deallocated")
    equal(struct.unpack(">QIB", s.data_in(ask(65700, 24), 24)[8:21]), (65700, 4060, 1), "from the middle of an extent, with room for one")
    s.fails(ask(BLOCKS), ILLEGAL, OUT_OF_RANGE, read=4096)


@case("SPC-4 §7.8.17")
def no_offloaded_transfer(t):
    """ODX: no ROD limits in VPD 8Fh, so Windows does not try; where it tries, the commands are not there."""
    s = Windows(t)
    page, at, kinds = s.inquiry(4096, 0x8f), 4, []
    while at < len(page):
        kinds.append(struct.unpack(">HH", page[at:at + 4]))
        at += 4 + kinds[-1][1]
    equal(at, len(page), "end of the last descriptor")
    want(0 not in [k for k, _ in kinds], "a block device ROD limits descriptor:", kinds)
    for cdb in (b"\x83\x00", b"\x83\x01", b"\x83\x10", b"\x83\x11", b"\x84\x07", b"\x84\x03"):
        s.fails(cdb + b"\0" * 14, ILLEGAL, INVALID_OPCODE)


@case("SPC-4 §6.35")
def commands_that_are_not_there(t):
    """ATA pass-through (health), READ BUFFER, SECURITY PROTOCOL (BitLocker), SANITIZE, FORMAT, ATOMIC WRITE: refused, not hung."""
    s = Windows(t)
    for code in (0x04, 0x3c, 0x3b, 0x48, 0x85, 0x9c, 0xa1, 0xa2, 0xb5, 0xc0, 0xff):
        s.fails(bytes([code]) + b"\0" * 15, ILLEGAL, INVALID_OPCODE)
    s.fails(b"\xa3\x0a" + b"\0" * 4 + struct.pack(">IBB", 255, 0, 0), ILLEGAL, INVALID_FIELD, byte=1, read=255)   # no ALUA
    s.ping()


@case("SPC-4 §6.35")
def REPORT_SUPPORTED_OPERATION_CODES(t):
    s = Windows(t)
    ask = lambda options, code, action=0, n=64: s.data_in(struct.pack(">BBBBHIBB", 0xa3, 0x0c, options, code, action, n, 0, 0), n)
    for options, code, action, support in ((1, 0x42, 0, 3), (1, 0x93, 0, 3), (1, 0x83, 0, 1), (2, 0x9e, 0x12, 3), (3, 0x5f, 7, 3),
                                           (3, 0x5f, 8, 1)):
        d = ask(options, code, action)
        equal(d[1] & 7, support, f"support of {code:02x}h/{action:02x}h")
        if support == 3:
            equal((struct.unpack(">H", d[2:4])[0], d[4]), (len(d) - 4, code), "CDB size, operation code")
    d = ask(0, 0, n=4096)
    equal(struct.unpack(">I", d[:4])[0], len(d) - 4, "length of the whole list")


@case("SPC-4 §6.8")
def LOG_SENSE_and_REQUEST_SENSE(t):
    s = Windows(t)
    sense = s.data_in(struct.pack(">BBBBBB", 3, 0, 0, 0, 18, 0), 18)
    equal((sense[0] & 0x7f, sense[2] & 15, sense[12]), (0x70, 0, 0), "REQUEST SENSE")
    log = lambda page, n=255: s.data_in(struct.pack(">BBBB3xHB", 0x4d, 0, 0x40 | page, 0, n, 0), n)
    pages = log(0)
    equal(struct.unpack(">H", pages[2:4])[0], len(pages) - 4, "page length")
    want(0x0c in pages[4:], "no logical block provisioning page")
    equal(log(0x0c)[0] & 0x3f, 0x0c, "page code")
    for page in (0x0d, 0x2f, 0x10):
        s.fails(struct.pack(">BBBB3xHB", 0x4d, 0, 0x40 | page, 0, 255, 0), ILLEGAL, INVALID_FIELD, byte=2, read=255)
