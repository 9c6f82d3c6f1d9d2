# SPDX-License-Identifier: GPL-2.0-or-later
"""LUNs that come and go under sessions, read-only ones, CD-ROMs (part of rfc7143.py)."""
import os
import struct
import time

from iscsi import *

KEY, MIB = 14, 1 << 20
TUR, CAPACITY_10 = b"\0" * 6, b"\x25" + b"\0" * 9
LUNS_CHANGED, NO_UNIT, POWER_ON = (6, 0x3f, 0x0e), (5, 0x25, 0), (6, 0x29, 0)
PROTECTED, OUT_OF_RANGE = (7, 0x27, 0), (5, 0x21, 0)
SERIALS_OF_VOLUMES = (f"volume-{n}" for n in range(1 << 20))


def lun(number):
    return bytes([0, number]) + bytes(6)


def attach(t, number, kind="data", size=8 * MIB, serial=None, result="0"):
    serial = serial or next(SERIALS_OF_VOLUMES)
    t.tell(f"volume {KEY} {number} {kind} {size} {serial}")
    t.line("volume")
    t.tell(f"attach {KEY} {number}")
    equal(t.line("attached").split()[1], result, "what became of the attaching")
    return serial


def detach(t, number, how="force", result="0"):
    """Its line; the volume is not there at the next opening either."""
    if result == "0":
        t.tell(f"volume {KEY} {number} data 0 none")
        t.line("volume")
    t.tell(f"{how} {KEY} {number}")
    line = t.line("detached")
    equal(line.split()[1], result, f"what became of the detaching ({line})")
    return line


def fresh(t):
    """The target is closed, and has LUN 0 only."""
    for number in (1, 2, 3, 7, 255):
        t.tell(f"volume {KEY} {number} data 0 none")
        t.line("volume")
    t.tell(f"release {KEY}")
    t.line("released")


class Patient(Session):
    """Passes over Async Messages, and counts those of changed LUNs."""

    def __init__(self, t, *args, **kwargs):
        self.told = 0
        super().__init__(t, "luns", *args, **kwargs)

    def recv(self):
        while (pdu := super().recv()).opcode == ASYNC:
            self.told += (pdu.data[4] & 15, pdu.data[14], pdu.data[15]) == LUNS_CHANGED
            self.statsn = (self.statsn + 1) & NONE
        return pdu

    def on(self, number, cdb, **kwargs):
        return self.command(cdb, lun=lun(number), **kwargs)

    def clear_unit(self, number):
        for _ in range(4):
            if self.on(number, TUR).status == 0:
                return
        raise Failed(f"LUN {number} is not ready")

    def luns(self, select=0):
        data = self.command(struct.pack(">BBBBHIBB", 0xa0, 0, select, 0, 0, 4096, 0, 0), read=4096).data
        equal(struct.unpack(">I", data[:4])[0], len(data) - 8, "length of REPORT LUNS")
        return [data[at:at + 8] for at in range(8, len(data), 8)]

    def inquiry(self, number, page=None):
        cdb = struct.pack(">BBBHB", 0x12, page is not None, page or 0, 1024, 0)
        answer = self.on(number, cdb, read=1024)
        equal(answer.status, 0, "status of INQUIRY")
        return answer.data

    def unit_serial(self, number):
        return self.inquiry(number, 0x80)[4:].decode()


def exactly_once(s, number=0):
    equal(s.on(number, TUR).sense_code, LUNS_CHANGED, f"unit attention on LUN {number}")
    equal(s.on(number, TUR).status, 0, "status after it")


@case("SPC-4 §6.33")
def luns_come_and_go_and_each_nexus_is_told_once(t):
    fresh(t)
    a, b, ipxe = Patient(t), Patient(t), Patient(t, isid=b"\x40\0\x27\x23\x66\x77")
    equal(a.luns(), [lun(0)], "LUNs before")
    serial = attach(t, 1)
    for s in (a, b, ipxe):
        exactly_once(s)
        equal(s.luns(), [lun(0), lun(1)], "LUNs")
        equal(s.on(1, TUR).sense_code, POWER_ON, "first answer of the new one")
        equal(s.on(1, TUR).status, 0, "second answer of the new one")
    equal([s.told for s in (a, b, ipxe)], [1, 1, 0], "Async Messages")
    equal((a.unit_serial(1), a.inquiry(1)[0]), (serial, 0), "who it is")
    data = os.urandom(4096)
    equal(a.on(1, write10(64, 8), write=4096, data=data).status, 0, "status of a write")
    equal(b.on(1, read10(64, 8), read=4096).data, data, "what it wrote")
    want(a.command(read10(64, 8), read=4096).data != data, "LUN 0 has what was written to LUN 1")
    # who asks for the LUNs need not be told
    attach(t, 7)
    equal(a.luns(), [lun(0), lun(1), lun(7)], "LUNs")
    equal((a.on(0, TUR).status, a.on(1, TUR).status), (0, 0), "status after REPORT LUNS")
    exactly_once(b, 0)
    exactly_once(b, 1)
    detach(t, 1)
    for s in (a, b, ipxe):
        s.luns()
        equal(s.inquiry(1)[0], 0x7f, "INQUIRY of the one that went")
        equal(s.on(1, read10(0, 1), read=512).sense_code, NO_UNIT, "a READ of it")
        equal(s.on(1, TUR).sense_code, NO_UNIT, "TEST UNIT READY of it")
        equal(s.luns(), [lun(0), lun(7)], "LUNs")
    equal(a.luns(1), [b"\xc1\x01" + bytes(6)], "well-known LUNs")
    equal(a.luns(2), [lun(0), lun(7), b"\xc1\x01" + bytes(6)], "all LUNs")
    equal(a.on(0, read10(0, 1), read=512).status, 0, "status of a read of LUN 0")


@case("SAM-5 §4.7")
def luns_from_1_to_255_and_no_others(t):
    fresh(t)
    s = Patient(t)
    attach(t, 255)
    equal(s.luns(), [lun(0), lun(255)], "LUNs")
    for number, result in ((0, "-22"), (256, "-22"), (3, "-6")):
        t.tell(f"attach {KEY} {number}")
        equal(t.line("attached").split()[1], result, f"attaching LUN {number}")
    attach(t, 255, serial="another", result="0")               # it is there: no error, and nothing changes
    want(s.unit_serial(255) != "another", "a LUN that was there has been replaced")
    detach(t, 0, result="-22")
    detach(t, 9, result="-2")
    detach(t, 255)


@case("design: LUNs")
def luns_of_a_target_that_is_not_open(t):
    fresh(t)
    serial = attach(t, 2, result="-2")                         # whoever opens it next has it
    detach(t, 2, result="-2")
    s = Patient(t)
    equal((s.luns(), s.unit_serial(2)), ([lun(0), lun(2)], serial), "what is there at the login")


@case("design: LUNs")
def luns_that_are_used_stay_unless_forced(t):
    fresh(t)
    s = Patient(t)
    attach(t, 1)
    s.clear_unit(1)
    s.luns(), s.inquiry(1), s.on(1, CAPACITY_10, read=8)
    detach(t, 1, "detach")                                     # nothing of that is use
    attach(t, 1)
    s.clear_unit(1)
    for cdb, kind in ((read10(0, 1), {"read": 512}), (b"\x35" + bytes(9), {})):
        equal(s.on(1, cdb, **kind).status, 0, "status of its use")
        want("unmount" in detach(t, 1, "detach", "-16"), "the refusal does not say what to do")
        equal(s.on(1, TUR).status, 0, "status after the refusal")
        detach(t, 1)
        attach(t, 1)
        s.clear_unit(1)
    # a command on its way: a WRITE that waits for its data
    itt = s.send_command(write10(0, 4), write=2048, lun=lun(1))
    r2t = s.recv()
    detach(t, 1, "detach", "-16")
    detach(t, 1)
    s.serve(r2t, bytes(2048))
    equal(s.answer(itt).sense_code, NO_UNIT, "what became of the write")
    # who is not there any more uses nothing
    attach(t, 1)
    s.clear_unit(1)
    s.on(1, read10(0, 1), read=512)
    s.logout()
    s.expect_close()
    t.line(f"ended {KEY}")
    detach(t, 1, "detach")


@case("design: LUNs", slow=True)
def luns_are_free_again_some_time_after_their_last_use(t):
    other = Testd(t.process.args[0], "--in-use", "800")
    try:
        s = Patient(other)
        attach(other, 1)
        s.clear_unit(1)
        s.on(1, read10(0, 1), read=512)
        began = time.monotonic()
        while True:
            other.tell(f"detach {KEY} 1")
            result = other.line("detached").split()[1]
            if result == "0":
                break
            equal(result, "-16", "the refusal")
            want(time.monotonic() - began < 10, "it is never free")
        want(time.monotonic() - began > 0.7, "it was free too soon")
    finally:
        equal(other.stop(), 0, "end of testd")


@case("SAM-5 §5.14")
def luns_that_go_wait_for_the_commands_in_hand(t):
    fresh(t)
    s, size = Patient(t), 8 * MIB
    attach(t, 1, size=size)
    s.clear_unit(1)
    s.clear_unit(0)
    slow = s.send_command(write10(size // 512 - 1, 1), write=512, data=bytes(512), lun=lun(1))
    s.ping()                                                   # it is under way
    t.tell(f"force {KEY} 1")
    answers = {}

    def until(itt):
        while itt not in answers:
            pdu = s.recv()
            answers[pdu.itt] = pdu

    while True:                                                # a read of LUN 1 is overtaken by one of LUN 0: it waits
        waits = s.send_command(read10(0, 1), read=512, lun=lun(1))
        until(s.send_command(read10(0, 1), read=512))
        if waits not in answers:
            break
        equal(answers[waits].bhs[3], 0, "status of a read before")
    later = [waits] + [s.send_command(read10(0, 1), read=512, lun=lun(1)) for _ in range(3)]
    until(later[-1])
    equal(answers[slow].bhs[3], 0, "status of the write in hand")
    for itt in later:
        sense = answers[itt].data[2:]
        equal((sense[2] & 15, sense[12], sense[13]), NO_UNIT, "sense of a read that waited")
    equal(t.line("close-lun"), f"close-lun {KEY} 1", "its disk")
    equal(t.line("detached").split()[1], "0", "what became of it")


@case("SAM-5 §5.14")
def luns_under_commands_all_the_time(t):
    """One comes and goes forty times while sessions use it and another: no command is lost, none hangs, LUN 0 never fails."""
    fresh(t)
    sessions, seen = [Patient(t) for _ in range(3)], set()
    for turn in range(40):
        serial = attach(t, 1, serial="again" if turn % 2 else None)
        for s in sessions:
            s.clear_unit(0)
        tags = {}
        for s in sessions:
            for at in range(6):
                tags[s, s.send_command(read10(at * 8, 8), read=4096, lun=lun(at % 2))] = at % 2
        t.tell(f"force {KEY} 1")
        for s in sessions:
            for _ in range(6):
                pdu = s.recv()
                while pdu.opcode == DATA_IN and not pdu.flags & 1:
                    pdu = s.recv()
                s.statsn = (pdu.statsn + 1) & NONE
                sense = pdu.data[2:] if pdu.opcode == RESPONSE and pdu.data else None
                code = (sense[2] & 15, sense[12], sense[13]) if sense else "good"
                want(code in (("good", LUNS_CHANGED), ("good", NO_UNIT, POWER_ON))[tags[s, pdu.itt]], "sense", code,
                     "of LUN", tags[s, pdu.itt])
                seen.add(code)
        equal(t.line("detached").split()[1], "0", f"detaching {serial}")
    want("good" in seen and POWER_ON in seen, "the turns do not cover anything:", seen)


@case("design: LUNs", slow=True)
def luns_that_a_session_does_not_let_go_of(t):
    """It does not take the answers of its reads: unforced nothing happens, forced it is ended, and others go on."""
    bystander = Patient(t)
    attach(t, 1, size=16 * MIB)
    s = Patient(t)
    s.clear_unit(1)
    for _ in range(40):
        s.send_command(read10(0, 1024), read=1024 * 512, lun=lun(1))
    bystander.ping()
    detach(t, 1, "detach", "-16")
    t.tell(f"force {KEY} 1")
    equal(t.line(f"ended {KEY}", 20).split(": ")[1], "it does not let go of a LUN that is taken away", "why it ended")
    equal(t.line("detached").split()[1], "0", "what became of it")
    bystander.clear_unit(0)
    equal(bystander.luns(), [lun(0)], "LUNs")


@case("RFC 7143 §11.5")
def luns_and_task_management(t):
    fresh(t)
    s = Patient(t)
    attach(t, 1)
    s.clear_unit(1)
    equal(s.tmf_answer(s.tmf(5, lun=lun(1))), 0, "LOGICAL UNIT RESET")
    equal(s.on(1, TUR).sense_code, (6, 0x29, 3), "unit attention on it")
    s.luns()
    equal(s.on(0, TUR).status, 0, "status of LUN 0")
    detach(t, 1)
    equal(s.tmf_answer(s.tmf(5, lun=lun(1))), 2, "LOGICAL UNIT RESET of one that went")


def register(s, number, key, action=0, old=0, kind=0, aptpl=1):
    data = struct.pack(">QQ4xB3x", old, key, aptpl)
    return s.on(number, struct.pack(">BBBBBIB", 0x5f, action, kind, 0, 0, 24, 0), write=24, data=data).status


def keys(s, number):
    data = s.on(number, struct.pack(">BB5xHB", 0x5e, 0, 4096, 0), read=4096).data
    return list(struct.unpack(f">{(len(data) - 8) // 8}Q", data[8:]))


def d_sense(s, number, on=None):
    """The D_SENSE bit of the control page; on: is saved first."""
    page = s.on(number, b"\x1a\x08\x0a\0\xff\0", read=255).data
    if on is None:
        return bool(page[6] & 4)
    wanted = bytearray(page[4:])
    wanted[0] &= 0x3f
    wanted[2] = wanted[2] & ~4 | (4 if on else 0)
    equal(s.on(number, b"\x15\x11\0\0" + bytes([4 + len(wanted), 0]), write=4 + len(wanted), data=bytes(4) + wanted).status, 0,
          "status of MODE SELECT")


@case("SPC-4 §5.13")
def luns_have_reservations_and_mode_pages_of_their_own_which_are_kept(t):
    fresh(t)
    a, b = Patient(t), Patient(t)
    serial = attach(t, 1)
    for s in (a, b):
        s.clear_unit(0), s.clear_unit(1)
    equal(register(a, 1, 0xa), 0, "REGISTER on LUN 1")
    equal(register(a, 1, 0, 1, 0xa, 3), 0, "RESERVE of LUN 1, Exclusive Access")
    d_sense(a, 1, True)
    b.clear_unit(1)                                             # MODE PARAMETERS CHANGED
    equal((keys(b, 0), keys(b, 1)), ([], [0xa]), "keys of LUN 0, of LUN 1")
    equal(b.on(1, read10(0, 1), read=512).status, 0x18, "a read of LUN 1 by another")
    equal(b.on(0, read10(0, 1), read=512).status, 0, "a read of LUN 0 by another")
    t.tell(f"release {KEY}")                                    # as after a restart: all is forgotten but what was saved
    t.line("released")
    a, b = Patient(t, isid=a.isid), Patient(t, isid=b.isid)
    for s in (a, b):
        s.clear_unit(1)
    equal((d_sense(a, 0), d_sense(a, 1)), (False, True), "D_SENSE of LUN 0, of LUN 1")
    equal((keys(b, 0), keys(b, 1)), ([], [0xa]), "keys after opening again")
    equal(b.on(1, read10(0, 1), read=512).status, 0x18, "a read by another after opening again")
    # another volume under its number, whether somebody is logged in or not, inherits nothing
    detach(t, 1)
    attach(t, 1)
    for s in (a, b):
        s.clear_unit(1)
    equal((keys(b, 1), d_sense(b, 1)), ([], False), "keys and D_SENSE of another volume")
    equal(b.on(1, read10(0, 1), read=512).status, 0, "a read of another volume")
    register(a, 1, 0xb), d_sense(a, 1, True)
    t.tell(f"release {KEY}")
    t.line("released")
    attach(t, 1, serial=serial, result="-2")
    b = Patient(t)
    b.clear_unit(1)
    equal((keys(b, 1), d_sense(b, 1)), ([], False), "keys and D_SENSE of what was exchanged meanwhile")


@case("SPC-4 §5.13.5")
def luns_keep_registrations_while_the_target_is_closed(t):
    """Nobody is logged in, so its disks are closed; without APTPL what is registered stays while there is power."""
    fresh(t)
    s = Patient(t)
    attach(t, 1), attach(t, 2)
    s.clear_unit(1), s.clear_unit(2)
    equal((register(s, 1, 0xc, aptpl=0), register(s, 2, 0xd, aptpl=0)), (0, 0), "REGISTER")
    t.forget()
    s.logout()
    t.line(f"close {KEY}")
    t.tell(f"volume {KEY} 2 data {MIB} in-its-place")
    t.line("volume")
    s = Patient(t)
    s.clear_unit(1), s.clear_unit(2)
    equal((keys(s, 1), keys(s, 2)), ([0xc], []), "keys of the same volume, of another")
    equal(s.unit_serial(2), "in-its-place", "who is LUN 2")


@case("SPC-4 §7.8")
def luns_keep_their_identifiers_under_another_number(t):
    fresh(t)
    s = Patient(t)
    serial = attach(t, 1)
    before = s.inquiry(1, 0x83)
    detach(t, 1)
    attach(t, 3, serial=serial)
    equal((s.unit_serial(3), s.inquiry(3, 0x83)), (serial, before), "serial number and identifiers")
    want(s.inquiry(0, 0x83)[8:16] != before[8:16], "LUN 0 has the same")
    equal(s.unit_serial(0), "luns", "serial number of LUN 0")


@case("SBC-3 §4.18")
def luns_that_are_write_protected(t):
    fresh(t)
    s = Patient(t)
    attach(t, 1, "ro")
    s.clear_unit(0), s.clear_unit(1)
    unmap = struct.pack(">BB5xHB", 0x42, 0, 24, 0)
    same = struct.pack(">BBQIBB", 0x93, 0, 0, 1, 0, 0)
    compare = struct.pack(">BBQ3xBBB", 0x89, 0, 0, 1, 0, 0)
    for cdb, size in ((write10(0, 1), 512), (unmap, 24), (same, 512), (compare, 1024)):
        equal(s.on(1, cdb, write=size, data=bytes(size)).sense_code, PROTECTED, f"sense of {cdb[0]:02x}h")
    equal(s.on(1, b"\x1a\x08\x3f\0\xff\0", read=255).data[2] & 0x80, 0x80, "WP")
    equal(s.on(0, b"\x1a\x08\x3f\0\xff\0", read=255).data[2] & 0x80, 0, "WP of LUN 0")
    equal(s.on(1, read10(4, 1), read=512).data[:8], struct.pack("<Q", 2048), "what is read")


@case("MMC-6 §6")
def luns_that_are_cd_roms(t):
    fresh(t)
    s = Patient(t)
    attach(t, 1, "cd", 9 * MIB + 512)
    s.clear_unit(1)
    equal(s.inquiry(1)[:2], b"\x05\x80", "INQUIRY: CD-ROM, removable")
    equal(struct.unpack(">II", s.on(1, CAPACITY_10, read=8).data), (9 * 512 - 1, 2048), "READ CAPACITY(10)")
    for n, cdb in ((16, read10(16, 2)), (17, struct.pack(">BBIIBB", 0xa8, 0, 17, 2, 0, 0))):
        answer = s.on(1, cdb, read=4096)
        equal((answer.status, len(answer.data)), (0, 4096), f"status and length of {cdb[0]:02x}h")
        equal((answer.data[:8], answer.data[2048:2056]), (struct.pack("<Q", n * 2048), struct.pack("<Q", n * 2048 + 2048)),
              "what is read")
    equal(s.on(1, read10(9 * 512, 1), read=2048).sense_code, OUT_OF_RANGE, "a read behind the end")
    equal(s.on(1, write10(0, 1), write=512, data=bytes(512)).sense_code, (5, 0x20, 0), "a write")
    # Linux: sr_probe, sr_check_events, cdrom_open, cdrom_id
    equal(s.on(1, b"\x5a\0\x2a\0\0\0\0\0\x80\0", read=128).data[8:10], b"\x2a\x18", "MODE SENSE(10) 2Ah")
    equal(s.on(1, b"\x4a\1\0\0\x10\0\0\0\x08\0", read=8).data, b"\0\6\4\x16\2\2\0\0", "a new medium")
    equal(s.on(1, b"\x4a\1\0\0\x10\0\0\0\x08\0", read=8).data, b"\0\6\4\x16\0\2\0\0", "no news")
    equal(s.on(1, b"\x43\0\0\0\0\0\0\0\x0c\0", read=12).data, b"\0\x12\1\1\0\x14\1\0\0\0\0\0", "READ TOC")
    equal(s.on(1, b"\x43\0\0\0\0\0\0\0\x0c\x40", read=12).data, b"\0\x0a\1\1\0\x14\1\0\0\0\0\0", "sessions")
    equal(s.on(1, b"\x46\0\0\0\0\0\0\0\x08\0", read=8).data[6:], b"\0\x08", "profile")
    equal(s.on(1, b"\x51\0\0\0\0\0\0\0\x20\0", read=32).data[2], 0x0e, "a complete disc")
    equal(s.on(1, b"\x1e\0\0\0\1\0").status, 0, "status of PREVENT")
    detach(t, 1)
    equal(s.inquiry(1)[0], 0x7f, "INQUIRY of the one that went")


@case("SPC-4 §5.6")
def luns_that_grow(t):
    fresh(t)
    s = Patient(t)
    attach(t, 1)
    s.clear_unit(0), s.clear_unit(1)
    t.tell(f"resize {KEY} 1 {12 * MIB}")
    equal(t.line("resized"), "resized 0", "what became of it")
    equal(s.on(1, TUR).sense_code, (6, 0x2a, 9), "unit attention on it")
    equal(s.on(0, TUR).status, 0, "status of LUN 0")
    equal(struct.unpack(">I", s.on(1, CAPACITY_10, read=8).data[:4])[0], 12 * 2048 - 1, "READ CAPACITY(10)")
    # one that does not come back is gone, and nothing else
    t.tell(f"resize {KEY} 1 0")
    equal(t.line("resized").split()[1], "-5", "what became of it")
    exactly_once(s)
    equal((s.luns(), s.on(1, TUR).sense_code), ([lun(0)], NO_UNIT), "LUNs after it was lost")
    equal(s.on(0, read10(0, 1), read=512).status, 0, "status of a read of LUN 0")


@case("RFC 7143 §6.3.5")
def luns_of_a_target_whose_own_disk_is_lost(t):
    fresh(t)
    s = Patient(t)
    attach(t, 1)
    t.forget()
    t.tell(f"resize {KEY} 0 0")
    equal(t.line("resized").split()[1], "-5", "what became of it")
    s.expect_close()
    equal(t.line("close"), f"close {KEY}", "the other LUN's disk")
    again = Patient(t)
    equal(again.luns(), [lun(0), lun(1)], "LUNs of the next login")
