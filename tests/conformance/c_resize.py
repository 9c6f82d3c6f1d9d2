# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that grows under its sessions (part of rfc7143.py): nothing is lost, nothing fails, everybody is told."""
import os
import struct

from iscsi import *

TUR, CAPACITY_10 = b"\0" * 6, b"\x25" + b"\0" * 9
CAPACITY_CHANGED = (6, 0x2a, 0x09)


def capacity(s):
    last, block = struct.unpack(">II", s.command(CAPACITY_10, read=8).data)
    return (last + 1) * block


def told(s):
    """The Async Message of a session that is not iPXE's."""
    pdu = s.recv()
    equal((pdu.opcode, pdu.bhs[36]), (ASYNC, 0), "Async Message")
    equal((pdu.data[4] & 15, pdu.data[14], pdu.data[15]), CAPACITY_CHANGED, "its sense data")
    s.statsn = (s.statsn + 1) & NONE


@case("SPC-4 §5.6")
def resize_tells_each_nexus_once(t):
    a, size = Session(t, "many"), t.larger()
    b = Session(t, "many", initiator=IQN + "other")
    ipxe = Session(t, "many", initiator=IQN + "ipxe", isid=b"\x40\0\x27\x23\x55\x56")
    data = os.urandom(4096)
    equal(a.command(write10(80, 8), write=4096, data=data).status, 0, "status of a write before")
    t.tell(f"resize 2 0 {size}")
    equal(t.line("resized"), "resized 0", "what became of it")
    for s in (a, b):
        told(s)
        equal(s.command(TUR).sense_code, CAPACITY_CHANGED, "unit attention")
        equal(s.command(TUR).status, 0, "status after it")
        equal(capacity(s), size, "READ CAPACITY(10)")
    equal(ipxe.command(TUR).sense_code, CAPACITY_CHANGED, "unit attention of iPXE")
    equal(b.command(read10(80, 8), read=4096).data, data, "what was written before")
    last = size // 512 - 1
    equal(a.command(write10(last, 1), write=512, data=data[:512]).status, 0, "status of a write to the last block")
    equal(b.command(read10(last, 1), read=512).data, data[:512], "what it wrote")
    equal(b.command(read10(last + 1, 1), read=512).sense_code, (5, 0x21, 0), "sense of a read behind it")


@case("SAM-5 §5.14")
def resize_waits_for_the_commands_in_hand_and_later_ones_wait_for_it(t):
    s, size, data = Session(t), t.larger(), os.urandom(512)
    slow = s.send_command(write10(SLOW, 1), write=512, data=data)
    s.ping()                                                      # it is under way
    t.tell(f"resize 1 0 {size}")
    later = s.send_command(read10(SLOW, 1), read=512)
    probe = s.nop(b"still there", immediate=True)
    answers = {}
    while len(answers) < 4:
        pdu = s.recv()
        answers.setdefault("async" if pdu.opcode == ASYNC else pdu.itt, pdu)
    equal(answers[slow].bhs[3], 0, "status of the write")
    equal(answers[later].data, data, "what the later read brings")
    equal(t.line("resized"), "resized 0", "what became of it")
    want(probe in answers, "no NOP-In in between")


class Patient(Session):
    """Passes over Async Messages, and repeats what a unit attention came before."""

    def recv(self):
        while (pdu := super().recv()).opcode == ASYNC:
            self.statsn = (self.statsn + 1) & NONE
        return pdu

    def command(self, *args, **kwargs):
        while (answer := super().command(*args, **kwargs)).sense_code == CAPACITY_CHANGED:
            pass
        return answer


@case("SAM-5 §5.14")
def resize_under_many_writers(t):
    """Commands go on all the time; the disk is exchanged five times. Each write is read back."""
    sessions = [Patient(t, "many", initiator=IQN + f"w{n}") for n in range(3)]
    expected = {}
    for turn in range(5):
        t.tell(f"resize 2 0 {t.larger()}")
        for at in range(40):
            for n, s in enumerate(sessions):
                lba, data = 4096 + n * 1000 + at * 8, os.urandom(4096)
                equal(s.command(write10(lba, 8), write=4096, data=data).status, 0, f"status of write {at} of turn {turn}")
                expected[lba] = data
        equal(t.line("resized"), "resized 0", "what became of it")
    for lba, data in expected.items():
        equal(sessions[0].command(read10(lba, 8), read=4096).data, data, f"block {lba}")


@case("SAM-5 §5.14")
def resize_and_a_write_whose_data_comes_late(t):
    """A command that has not got its data does not hold it up, and finds the larger disk."""
    s, size, data = Session(t), t.larger(), os.urandom(2048)
    before = s.command(read10(200, 4), read=2048).data
    itt = s.send_command(write10(200, 4), write=2048)
    r2t = s.recv()
    t.tell(f"resize 1 0 {size}")
    equal(t.line("resized"), "resized 0", "what became of it")
    told(s)
    s.serve(r2t, data)
    equal(s.answer(itt).sense_code, CAPACITY_CHANGED, "what it was told")
    want(s.command(read10(200, 4), read=2048).data == before, "it was written all the same")


@case("SAM-5 §5.14")
def resize_of_what_is_not_open(t):
    t.tell("resize 9 0 1")
    equal(t.line("resized"), "resized -2", "what became of it")


@case("RFC 7143 §6.3.5")
def resize_that_loses_the_disk_ends_the_sessions(t):
    s = Session(t)
    t.tell("resize 1 0 0")
    s.send_command(read10(0, 1), read=512)
    equal(t.line("resized").split()[:2], ["resized", "-5"], "what became of it")
    s.expect_close()
    again = Session(t)                                            # the next login opens it anew
    equal(again.command(read10(0, 1), read=512).status, 0, "status of a read")
