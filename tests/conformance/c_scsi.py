# SPDX-License-Identifier: GPL-2.0-or-later
"""SCSI commands that neither Windows sends nor iscsi-test-cu looks at closely (part of rfc7143.py): one CDB, one PDU at a time."""
import os
import struct

from iscsi import *

LBA = 300000                                  # nobody else's blocks
TUR = b"\0" * 6
ILLEGAL, DATA_PROTECT, MISCOMPARE, ATTENTION = 5, 7, 14, 6
FIELD_IN_CDB, FIELD_IN_LIST, OUT_OF_RANGE = (ILLEGAL, 0x24, 0), (ILLEGAL, 0x26, 0), (ILLEGAL, 0x21, 0)
WORST = 255                                   # blocks of COMPARE AND WRITE


def cdb(code, lba, blocks, flags=0, action=0):
    """Any CDB with blocks, by its group."""
    if code >> 5 == 0:
        return struct.pack(">BBHBB", code, lba >> 16 & 31, lba & 0xffff, blocks, 0)
    if code >> 5 in (1, 2):
        return struct.pack(">BBIBHB", code, flags, lba, 0, blocks, 0)
    if code >> 5 == 5:
        return struct.pack(">BBIIBB", code, flags, lba, blocks, 0, 0)
    return struct.pack(">BBQIBB", code, flags | action, lba, blocks, 0, 0)


def good(s, command, read=0, data=b""):
    answer = s.command(command, read=read, write=len(data), payload=data, data=b"")
    equal((answer.status, answer.sense_code), (0, None), f"status and sense of {command.hex()}")
    return answer


def fails(s, command, sense, read=0, data=b"", field=None):
    """field: (byte, bit) that the pointer names; bit None: the byte."""
    answer = s.command(command, read=read, write=len(data), payload=data)
    equal((answer.status, answer.sense_code), (2, sense), f"status and sense of {command.hex()}")
    if field:
        sks = answer.sense[15:18]
        equal((sks[0] & 0x80, sks[1] << 8 | sks[2]), (0x80, field[0]), f"field pointer of {command.hex()}")
        if field[1] is not None:
            equal(sks[0] & 15, 8 | field[1], f"bit pointer of {command.hex()}")
    return answer


def end_of(s):
    """The first block that is not there; other cases make the disk larger."""
    return struct.unpack(">I", good(s, b"\x25" + bytes(9), read=8).data[:4])[0] + 1


def opcodes(s):
    """REPORT SUPPORTED OPERATION CODES: (code, service action or None, CDB length), and the usage mask of each."""
    data = good(s, struct.pack(">BBBBHIBB", 0xa3, 0x0c, 0, 0, 0, 65536, 0, 0), read=65536).data
    for at in range(4, len(data), 8):
        code, action, flags, length = struct.unpack(">BxHxBH", data[at:at + 8])
        has_action = flags & 1
        one = good(s, struct.pack(">BBBBHIBB", 0xa3, 0x0c, 2 if has_action else 1, code, action, 4096, 0, 0), read=4096).data
        equal((one[1] & 7, struct.unpack(">H", one[2:4])[0]), (3, length), f"what is said of {code:02x}h")
        yield code, action if has_action else None, length, one[4:4 + length]


@case("SPC-4 §6.35")
def each_bit_that_no_usage_mask_has_is_refused(t):
    s, sent, seen = Session(t), 0, set()
    for code, action, length, mask in list(opcodes(s)):
        seen.add(code)
        for byte in range(1, length):
            for bit in range(8):
                if mask[byte] >> bit & 1 or (byte == 1 and bit < 5 and action is not None):
                    continue
                command = bytearray(length)
                command[0] = code
                command[1] = action or 0
                command[byte] |= 1 << bit
                fails(s, bytes(command), FIELD_IN_CDB, field=(byte, bit))
                sent += 1
    want(sent > 1000, "only", sent, "bits were tried")
    for code in set(range(256)) - seen - {0x7f}:
        fails(s, bytes([code]) + bytes(15), (ILLEGAL, 0x20, 0))


@case("SBC-3 §5.9")
def protection_bits_are_refused_and_DPO_and_FUA_are_not(t):
    s, data = Session(t), os.urandom(512)
    for code in (0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a):
        write = code & 0x0f == 0x0a
        for flags in (0, 0x10, 0x08, 0x18):
            good(s, cdb(code, LBA, 1, flags), **({"data": data} if write else {"read": 512}))
        for protect in range(1, 8):
            top = 7 if protect & 4 else 6 if protect & 2 else 5
            fails(s, cdb(code, LBA, 1, protect << 5), FIELD_IN_CDB, field=(1, top))


@case("SBC-3 §5.8")
def READ_6_and_WRITE_6_of_0_blocks_are_256(t):
    s, data = Session(t), os.urandom(256 * 512)
    good(s, cdb(0x0a, LBA, 0), data=data)
    want(good(s, cdb(0x08, LBA, 0), read=len(data)).data == data, "other data")
    equal(good(s, cdb(0x08, LBA, 1), read=512).data, data[:512], "a block of it")


@case("SBC-3 §5.7")
def ORWRITE(t):
    s, a, b = Session(t), os.urandom(4096), os.urandom(4096)
    good(s, cdb(0x8a, LBA, 8), data=a)
    good(s, cdb(0x8b, LBA, 8), data=b)
    equal(good(s, cdb(0x88, LBA, 8), read=4096).data, bytes(x | y for x, y in zip(a, b)), "the blocks")
    good(s, cdb(0x8b, LBA, 0))
    fails(s, cdb(0x8b, LBA, 8, 0x20), FIELD_IN_CDB, field=(1, 5))
    fails(s, cdb(0x8b, end_of(s) - 4, 8), OUT_OF_RANGE)


@case("SBC-3 §5.3")
def COMPARE_AND_WRITE(t):
    s = Session(t)
    command = lambda blocks, lba=LBA: struct.pack(">BBQ3xBBB", 0x89, 0, lba, blocks, 0, 0)
    for blocks in (1, 8, WORST):
        old, new = os.urandom(blocks * 512), os.urandom(blocks * 512)
        good(s, cdb(0x8a, LBA, blocks), data=old)
        good(s, command(blocks), data=old + new)
        want(good(s, cdb(0x88, LBA, blocks), read=len(new)).data == new, "other data after", blocks, "blocks")
        at = blocks * 512 - 100
        almost = new[:at] + bytes([new[at] ^ 1]) + new[at + 1:]
        sense = fails(s, command(blocks), (MISCOMPARE, 0x1d, 0), data=almost + old).sense
        equal((sense[0] & 0x80, struct.unpack(">I", sense[3:7])[0]), (0x80, at), "VALID, and the offset of the difference")
        want(good(s, cdb(0x88, LBA, blocks), read=len(new)).data == new, "it was written all the same")
    good(s, command(0))
    fails(s, command(2, end_of(s) - 1), OUT_OF_RANGE)


@case("SBC-3 §5.32")
def WRITE_AND_VERIFY(t):
    s = Session(t)
    for code in (0x2e, 0xae, 0x8e):
        for check in (0, 2):
            data = os.urandom(2048)
            good(s, cdb(code, LBA, 4, check), data=data)
            equal(good(s, cdb(0x28, LBA, 4), read=2048).data, data, f"after {code:02x}h")
        fails(s, cdb(code, LBA, 4, 0x04), FIELD_IN_CDB, field=(1, 2))
        fails(s, cdb(code, end_of(s), 1), OUT_OF_RANGE)


@case("SBC-3 §5.29")
def VERIFY_with_each_BYTCHK(t):
    s, block = Session(t), os.urandom(512)
    good(s, cdb(0x93, LBA, 16), data=block)
    for code in (0x2f, 0xaf, 0x8f):
        good(s, cdb(code, LBA, 16))
        good(s, cdb(code, LBA, 16, 2), data=block * 16)
        good(s, cdb(code, LBA, 16, 6), data=block)
        wrong = block * 9 + bytes([block[0] ^ 255]) + block[1:] + block * 6
        fails(s, cdb(code, LBA, 16, 2), (MISCOMPARE, 0x1d, 0), data=wrong)
        fails(s, cdb(code, LBA, 17, 6), (MISCOMPARE, 0x1d, 0), data=block)
        fails(s, cdb(code, LBA, 16, 4), FIELD_IN_CDB, field=(1, 2))
        fails(s, cdb(code, end_of(s), 1), OUT_OF_RANGE)


@case("SBC-3 §5.10")
def PRE_FETCH(t):
    s = Session(t)
    for code in (0x34, 0x90):
        for blocks in (0, 1, 65535):
            for immed in (0, 2):
                good(s, cdb(code, LBA, blocks, immed))
        fails(s, cdb(code, end_of(s), 1), OUT_OF_RANGE)


@case("SBC-3 §5.13")
def READ_DEFECT_DATA_is_an_empty_list(t):
    s = Session(t)
    equal(good(s, struct.pack(">BBB4xHB", 0x37, 0, 0x1d, 255, 0), read=255).data, b"\0\x1d\0\0", "the list of (10)")
    equal(good(s, struct.pack(">BB4xIBB", 0xb7, 0x1d, 255, 0, 0), read=255).data, b"\0\x1d" + bytes(6), "the list of (12)")


@case("SPC-4 §6.28")
def RECEIVE_DIAGNOSTIC_RESULTS_and_the_self_test(t):
    s = Session(t)
    data = good(s, struct.pack(">BBBHB", 0x1c, 1, 0, 255, 0), read=255).data
    equal((data[0], struct.unpack(">H", data[2:4])[0]), (0, len(data) - 4), "the page of pages")
    good(s, struct.pack(">BBxHB", 0x1d, 4, 0, 0))
    fails(s, struct.pack(">BBBHB", 0x1c, 1, 0x3f, 255, 0), FIELD_IN_CDB, read=255, field=(2, None))


@case("SPC-4 §6.36")
def REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS(t):
    s = Session(t)
    short = good(s, struct.pack(">BBB3xIBB", 0xa3, 0x0d, 0, 16, 0, 0), read=16).data
    equal((len(short), short[0] & 0xf9), (4, 0xd8), "ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LUN RESET; no CLEAR ACA, no WAKEUP")
    equal(good(s, struct.pack(">BBB3xIBB", 0xa3, 0x0d, 0x80, 16, 0, 0), read=16).data[3], 12, "length of the extended data")


def mode_page(s, page, subpage=0):
    """The page as MODE SELECT(6) takes it: PS is reserved there."""
    data = bytearray(good(s, bytes([0x1a, 8, page, subpage, 255, 0]), read=255).data[4:])
    data[0] &= 0x7f
    return data


def mode_select(s, page):
    good(s, bytes([0x15, 0x10, 0, 0, 4 + len(page), 0]), data=bytes(4) + bytes(page))


@case("SPC-4 §4.5.2")
def D_SENSE_gives_descriptors_and_tells_the_others(t):
    s, other = Session(t, "many"), Session(t, "many", initiator=IQN + "other")
    page = mode_page(s, 0x0a)
    page[2] |= 4
    mode_select(s, page)
    try:
        answer = other.command(TUR)
        equal(answer.sense[:4], bytes([0x72, ATTENTION, 0x2a, 0x01]), "MODE PARAMETERS CHANGED, as descriptors")
        equal(other.command(TUR).status, 0, "status after it")
        sense = s.command(cdb(0x28, LBA, 1, 0x20), read=512).sense
        equal((sense[:4], sense[7] + 8), (bytes([0x72, ILLEGAL, 0x24, 0]), len(sense)), "INVALID FIELD IN CDB")
        equal((sense[8], sense[9], sense[12] & 0xcf, sense[13:15]), (2, 6, 0xcd, b"\0\1"), "sense key specific descriptor: byte 1, bit 5")
        sense = s.command(cdb(0x2a, LBA, 1), read=512, write=512, data=bytes(512)).sense
        equal(sense, bytes([0x72, ILLEGAL, 0x24, 0, 0, 0, 0, 0]), "of the transport: data in both directions")
        block = os.urandom(512)
        good(s, cdb(0x8a, LBA, 1), data=block)
        sense = s.command(cdb(0x2f, LBA, 1, 2), write=512, payload=bytes(512)).sense
        equal(sense[:2], bytes([0x72, MISCOMPARE]), "MISCOMPARE")
        fixed = good(s, struct.pack(">BBBBBB", 3, 0, 0, 0, 252, 0), read=252).data
        descriptors = good(s, struct.pack(">BBBBBB", 3, 1, 0, 0, 252, 0), read=252).data
        equal((fixed[0] & 0x7f, descriptors[0] & 0x7f), (0x70, 0x72), "REQUEST SENSE by its DESC bit")
    finally:
        page[2] &= ~4
        mode_select(s, page)
    equal(other.command(TUR).sense_code, (ATTENTION, 0x2a, 1), "and back")


@case("SPC-4 §7.5.8")
def SWP_protects_all_that_writes(t):
    s = Session(t)
    page = mode_page(s, 0x0a)
    page[4] |= 8
    mode_select(s, page)
    try:
        equal(good(s, bytes([0x1a, 8, 0x0a, 0, 255, 0]), read=255).data[2] & 0x80, 0x80, "WP of MODE SENSE(6)")
        protected = (DATA_PROTECT, 0x27, 2)
        for code in (0x0a, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e, 0x8b):
            fails(s, cdb(code, LBA, 1), protected, data=bytes(512))
        for code in (0x41, 0x93):
            fails(s, cdb(code, LBA, 1, 8), protected, data=bytes(512))
        fails(s, struct.pack(">BBQ3xBBB", 0x89, 0, LBA, 1, 0, 0), protected, data=bytes(1024))
        fails(s, struct.pack(">BB5xHB", 0x42, 1, 24, 0), protected, data=struct.pack(">HH4xQI4x", 22, 16, LBA, 1))
        good(s, cdb(0x28, LBA, 1), read=512)
        good(s, cdb(0x35, 0, 0))
    finally:
        page[4] &= ~8
        mode_select(s, page)
    good(s, cdb(0x2a, LBA, 1), data=bytes(512))


@case("SPC-4 §6.10")
def MODE_SELECT_that_changes_what_cannot_be_is_refused(t):
    s = Session(t)
    for page, byte, change in ((0x08, 2, 0x01), (0x0a, 3, 0x10), (0x01, 3, 0x07), (0x1c, 3, 0x03)):
        wrong = mode_page(s, page)
        wrong[byte] ^= change
        fails(s, bytes([0x15, 0x10, 0, 0, 4 + len(wrong), 0]), FIELD_IN_LIST, data=bytes(4) + bytes(wrong), field=(4 + byte, None))
        equal(mode_page(s, page)[byte], wrong[byte] ^ change, f"byte {byte} of page {page:02x}h afterwards")
    page = mode_page(s, 0x08)
    for cut in (3, 5, 4 + len(page) - 1):
        fails(s, bytes([0x15, 0x10, 0, 0, cut, 0]), (ILLEGAL, 0x1a, 0), data=(bytes(4) + bytes(page))[:cut])


@case("SBC-3 §5.45")
def WRITE_SAME_with_each_of_UNMAP_ANCHOR_and_NDOB(t):
    s, block = Session(t), os.urandom(512)
    for code in (0x41, 0x93):
        for flags in (0, 0x08, 0x18):
            good(s, cdb(code, LBA, 9, flags), data=block)
            equal(good(s, cdb(0x28, LBA, 9), read=4608).data, block * 9, f"{code:02x}h {flags:02x}h: what is not zeroes is written")
            good(s, cdb(code, LBA, 9, flags), data=bytes(512))
            equal(good(s, cdb(0x28, LBA, 9), read=4608).data, bytes(4608), f"{code:02x}h {flags:02x}h: zeroes")
        fails(s, cdb(code, LBA, 9, 0x10), FIELD_IN_CDB, data=bytes(512), field=(1, 4))
        fails(s, cdb(code, LBA, 0), FIELD_IN_CDB, data=bytes(512), field=(7 if code == 0x41 else 10, None))
    for flags in (0x01, 0x09, 0x19):
        good(s, cdb(0x93, LBA, 9), data=block)
        good(s, cdb(0x93, LBA, 9, flags))
        equal(good(s, cdb(0x28, LBA, 9), read=4608).data, bytes(4608), f"NDOB, {flags:02x}h")
    fails(s, cdb(0x93, LBA, 9, 0x11), FIELD_IN_CDB, field=(1, 4))
    fails(s, cdb(0x93, LBA, 65529), FIELD_IN_CDB, data=bytes(512), field=(10, None))


@case("SBC-3 §4.7.3.7")
def threshold_of_thin_provisioning_is_told_once(t):
    s = Session(t)
    page = mode_page(s, 0x1c, 2)
    armed = bytearray(page)
    armed[16] |= 0x80
    armed[20:24] = struct.pack(">I", 1)       # 1 MiB; a disk in memory takes all of its size
    mode_select(s, armed)
    try:
        equal(s.command(TUR).sense_code, (ATTENTION, 0x38, 7), "it is crossed already")
        good(s, cdb(0x8a, LBA, 2048), data=bytes(1 << 20))
        good(s, TUR)
        log = good(s, struct.pack(">BBB4xHB", 0x4d, 0, 0x4c, 255, 0), read=255).data
        equal((log[0] & 0x3f, struct.unpack(">H", log[4:6])[0]), (0x0c, 2), "used resources in log page 0Ch")
    finally:
        mode_select(s, page)
