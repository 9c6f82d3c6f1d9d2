# SPDX-License-Identifier: GPL-2.0-or-later
"""Persistent reservations as Windows' failover cluster and its boot use them (part of windows.py): two nodes on one disk."""
import os
import struct

from iscsi import *
from microsoft import *

CONFLICT = 0x18
WRITE_EXCLUSIVE_REGISTRANTS = 5
KEY_A, KEY_B = 0x66bd31a4746f7366, 0x66bd31a4746f7367            # a signature and the node's number
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, IGNORE, MOVE = range(8)
NODES = (NAME + ".node-a", NAME + ".node-b")


def out(s, action, key=0, action_key=0, kind=0, flags=0):
    data = pr_list(key, action_key, flags)
    return s.command(pr_out(action, kind), write=24, data=data)


def done(s, *args, **kwargs):
    answer = out(s, *args, **kwargs)
    equal((answer.status, answer.sense_code), (0, None), f"status of PERSISTENT RESERVE OUT {args}")


def keys(s):
    d = s.data_in(pr_in(0, 8192), 8192)
    generation, length = struct.unpack(">II", d[:8])
    equal(length, len(d) - 8, "ADDITIONAL LENGTH")
    return generation, sorted(k for k, in struct.iter_unpack(">Q", d[8:]))


def reservation(s):
    """Key, scope and type; None: no reservation."""
    d = s.data_in(pr_in(1, 8192), 8192)
    equal(struct.unpack(">I", d[4:8])[0], len(d) - 8, "ADDITIONAL LENGTH")
    return (struct.unpack(">Q", d[8:16])[0], d[21]) if len(d) == 24 else None


def write_status(s):
    return s.command(rw(0x2a, 50000, 8), write=4096, data=b"c" * 4096).status


def read_status(s):
    return s.command(rw(0x28, 50000, 8), read=4096).status


class Nodes:
    """Two nodes of a cluster, and no registration before and after."""

    def __init__(self, t):
        self.machine = t
        self.a, self.b = (self.node(n) for n in (0, 1))
        self.wipe()

    def node(self, n):
        return Windows(self.machine, name=NODES[n])

    def wipe(self):
        done(self.a, IGNORE, 0, 1)
        done(self.a, CLEAR, 1)
        for s in (self.a, self.b):
            s.good(TUR, attention=True)

    def __enter__(self):
        return self.a, self.b

    def __exit__(self, *_):
        try:
            self.wipe()
        except (Failed, Closed, OSError):
            pass                                                    # the case has said why


@case("SPC-4 §6.15")
def without_reservations(t):
    with Nodes(t) as (a, _):
        equal(keys(a)[1], [], "keys")
        equal(reservation(a), None, "reservation")
        d = a.data_in(pr_in(2, 8), 8)
        equal(struct.unpack(">H", d[:2])[0], 8, "length of REPORT CAPABILITIES")
        equal((d[2] & 0x01, d[3] & 0x80, d[4] & 0xea, d[5] & 1), (1, 0x80, 0xea, 1), "PTPL_C, TMV, types")
        for length in (8, 24, 255):
            equal(len(a.data_in(pr_in(0, length), length)), 8, f"READ KEYS with allocation length {length}")


@case("SPC-4 §5.13.7")
def registering(t):
    with Nodes(t) as (a, b):
        before = keys(a)[0]
        done(a, REGISTER, 0, KEY_A)
        done(b, IGNORE, 0x1234, KEY_B)
        generation, found = keys(b)
        equal((generation, found), (before + 2, [KEY_A, KEY_B]), "PRGENERATION and keys")
        equal(out(a, REGISTER, KEY_B, 1).status, CONFLICT, "status of REGISTER with a wrong key")
        equal(keys(a), (generation, found), "PRGENERATION and keys after it")
        done(a, REGISTER, KEY_A, KEY_A + 16)
        done(b, IGNORE, 0, 0)
        equal(keys(a)[1], [KEY_A + 16], "keys after a change and an unregistration")


@case("SPC-4 §5.13.4")
def who_may_do_what(t):
    """Write exclusive, registrants only: what a cluster disk has. A node that has not registered may read."""
    with Nodes(t) as (a, b):
        equal(out(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS).status, CONFLICT, "status of RESERVE without registration")
        done(a, IGNORE, 0, KEY_A)
        done(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        equal(reservation(b), (KEY_A, WRITE_EXCLUSIVE_REGISTRANTS), "reservation as the other node sees it")
        equal((write_status(a), write_status(b), read_status(b)), (0, CONFLICT, 0), "write by the owner, write and read by the other")
        for cdb, data in ((rw(0x35, 0, 0), b""), (rw(0x41, 0, 8), b"\0" * 512), (b"\x1b" + b"\0" * 5, b"")):
            equal(b.command(cdb, write=len(data), data=data).status, CONFLICT, f"status of CDB {cdb.hex()} by the other")
        b.good(TUR)
        b.inquiry()
        b.data_in(b"\x25" + b"\0" * 9, 8)
        done(b, IGNORE, 0, KEY_B)
        equal(write_status(b), 0, "status of a write once it is registered")
        equal(out(b, RESERVE, KEY_B, kind=WRITE_EXCLUSIVE_REGISTRANTS).status, CONFLICT, "status of RESERVE by the other")
        done(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        equal(out(a, RESERVE, KEY_A, kind=1).status, CONFLICT, "status of RESERVE with another type")


@case("SPC-4 §5.13.11.2")
def releasing(t):
    with Nodes(t) as (a, b):
        done(a, IGNORE, 0, KEY_A)
        done(b, IGNORE, 0, KEY_B)
        done(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        done(b, RELEASE, KEY_B, kind=WRITE_EXCLUSIVE_REGISTRANTS)    # not the holder: GOOD, and nothing happens
        equal(reservation(a), (KEY_A, WRITE_EXCLUSIVE_REGISTRANTS), "reservation")
        answer = out(a, RELEASE, KEY_A, kind=1)
        equal((answer.status, answer.sense_code), (2, (5, 0x26, 4)), "RELEASE of another type")
        done(a, RELEASE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        equal(reservation(a), None, "reservation after RELEASE")
        equal(b.command(TUR).sense_code, (6, 0x2a, 4), "RESERVATIONS RELEASED")
        equal(keys(a)[1], [KEY_A, KEY_B], "keys stay")


@case("SPC-4 §5.13.11.4")
def fail_over(t):
    """The other node challenges: it registers, preempts the dead owner's key, and owns the disk; the owner finds out."""
    for action in (PREEMPT, PREEMPT_ABORT):
        with Nodes(t) as (a, b):
            done(a, IGNORE, 0, KEY_A)
            done(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
            done(b, IGNORE, 0, KEY_B)
            done(b, action, KEY_B, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
            equal((keys(b)[1], reservation(b)), ([KEY_B], (KEY_B, WRITE_EXCLUSIVE_REGISTRANTS)), "keys and reservation")
            equal(a.command(TUR).sense_code, (6, 0x2a, 5), "REGISTRATIONS PREEMPTED")
            equal((write_status(a), read_status(a)), (CONFLICT, 0), "write and read by the old owner")
            equal(out(a, REGISTER, KEY_A, KEY_A).status, CONFLICT, "status of its old key")
            equal(out(b, PREEMPT, KEY_B, 0xdead, kind=WRITE_EXCLUSIVE_REGISTRANTS).status, CONFLICT, "PREEMPT of a key that nobody has")


@case("SPC-4 §5.13.11.4")
def PREEMPT_AND_ABORT_ends_the_commands_of_the_old_owner(t):
    with Nodes(t) as (a, b):
        done(a, IGNORE, 0, KEY_A)
        done(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        done(b, IGNORE, 0, KEY_B)
        before = b.good(rw(0x28, 60000, 512), read=262144).data
        itt = a.send_command(rw(0x2a, 60000, 512), write=262144, data=b"z" * 65536)
        r2t = a.recv()
        equal(r2t.opcode, R2T, "opcode")
        done(b, PREEMPT_ABORT, KEY_B, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        a.serve(r2t, b"z" * 262144)
        equal(b.good(rw(0x28, 60000, 512), read=262144).data == before, True, "the blocks are as before")
        probe = a.send_command(TUR)
        pdu = a.recv()
        want(pdu.itt == probe and pdu.bhs[3] == 2, f"{pdu} instead of the unit attention (the write was {itt:#x})")
        equal((pdu.data[4] & 15, pdu.data[14], pdu.data[15]), (6, 0x2a, 5), "REGISTRATIONS PREEMPTED")
        a.statsn = pdu.statsn + 1


@case("SPC-4 §5.13.11.5")
def clearing(t):
    with Nodes(t) as (a, b):
        done(a, IGNORE, 0, KEY_A)
        done(b, IGNORE, 0, KEY_B)
        done(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        done(b, CLEAR, KEY_B)
        equal((keys(b)[1], reservation(b)), ([], None), "keys and reservation")
        equal(a.command(TUR).sense_code, (6, 0x2a, 3), "RESERVATIONS PREEMPTED")
        equal(write_status(a), 0, "status of a write")


@case("SPC-4 §6.15.5")
def full_status(t):
    with Nodes(t) as (a, b):
        done(a, IGNORE, 0, KEY_A)
        done(b, IGNORE, 0, KEY_B)
        done(b, RESERVE, KEY_B, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        d, at, found = a.data_in(pr_in(3, 8192), 8192), 8, {}
        while at < len(d):
            key, flags, kind, port, length = struct.unpack(">Q4xBB4xHI", d[at:at + 24])
            ident = d[at + 24:at + 24 + length]
            equal((ident[0], struct.unpack(">H", ident[2:4])[0], length % 4), (0x45, length - 4, 0), "TransportID")
            found[key] = (flags & 1, kind if flags & 1 else 0, port, ident[4:].rstrip(b"\0").decode())
            at += 24 + length
        name = lambda n: f"{NODES[n]},i,0x{ISID.hex()}"
        equal(found, {KEY_A: (0, 0, 1, name(0)), KEY_B: (1, WRITE_EXCLUSIVE_REGISTRANTS, 1, name(1))}, "registrants")


@case("SPC-4 §5.13.5")
def a_registration_outlives_the_session(t):
    nodes = Nodes(t)
    with nodes as (a, b):
        done(a, IGNORE, 0, KEY_A, flags=1)                            # APTPL
        done(a, RESERVE, KEY_A, kind=WRITE_EXCLUSIVE_REGISTRANTS)
        equal(a.data_in(pr_in(2, 8), 8)[3] & 1, 1, "PTPL_A")
        a.close()
        equal(write_status(b), CONFLICT, "status of a write by the other while the owner is away")
        nodes.a = a = nodes.node(0)
        equal((write_status(a), keys(a)[1]), (0, [KEY_A]), "the owner is back")


@case("SPC-4 §6.16.1")
def malformed_lists(t):
    with Nodes(t) as (a, _):
        done(a, IGNORE, 0, KEY_A)
        for length in (0, 8, 23, 25):
            data = pr_list(KEY_A, 0)[:length].ljust(length, b"\0")
            a.fails(pr_out(RESERVE, WRITE_EXCLUSIVE_REGISTRANTS, length), 5, 0x1a, write=length, data=data)
        a.fails(pr_out(RESERVE, 2), 5, 0x24, byte=2, write=24, data=pr_list(KEY_A, 0))       # an obsolete type
        a.fails(pr_out(RESERVE, 0x15), 5, 0x24, byte=2, write=24, data=pr_list(KEY_A, 0))    # scope
        a.fails(pr_out(8), 5, 0x24, byte=1, write=24, data=pr_list(KEY_A, 0))
        a.fails(pr_in(4, 64), 5, 0x24, byte=1, read=64)


@case("SPC-2 §5.5.1")
def RESERVE_and_RELEASE_of_old(t):
    with Nodes(t) as (a, b):
        a.good(b"\x16" + b"\0" * 5)
        equal((write_status(b), read_status(b), b.command(TUR).status), (CONFLICT,) * 3, "the other's write, read and TEST UNIT READY")
        b.inquiry()
        b.good(b"\x17" + b"\0" * 5)                                   # not its own: GOOD, no effect
        equal(write_status(b), CONFLICT, "status after the other's RELEASE")
        equal(write_status(a), 0, "status of the owner's write")
        a.good(b"\x17" + b"\0" * 5)
        equal(write_status(b), 0, "status after RELEASE")
