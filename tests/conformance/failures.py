#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server whose own disk goes bad, as an initiator sees it: failures.py. The whole daemon on loopback; faults.c stands before the
kernel's reads, writes and syncs. One line for each case."""
import json
import os
import sys
import time

import iscsi
from iscsi import Conn, Failed, Session, attempt, case, equal, want
from sanbootd import BUILD, Sanbootd

MIB = 1 << 20
MEDIUM_ERROR, DATA_PROTECT = 3, 7
BUSY, CHECK_CONDITION, GOOD = 8, 2, 0
SYNCHRONIZE_CACHE = b"\x35" + bytes(9)


class Rotten:
    """The daemon, and the file that says what is bad."""

    def __init__(self):
        self.faults = f"/tmp/sanbootd-faults-{os.getpid()}"
        self.bad()
        os.environ.update(LD_PRELOAD=os.path.abspath(os.path.join(BUILD, "faults.so")), FAULTS=self.faults,
                          ASAN_OPTIONS="verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", ""))
        try:
            self.daemon = Sanbootd()
        finally:
            del os.environ["LD_PRELOAD"]

    def bad(self, *lines):
        with open(self.faults + ".new", "w", encoding="ascii") as f:
            f.write("".join(line + "\n" for line in lines))
        os.rename(self.faults + ".new", self.faults)

    def enrol(self):
        return self.daemon.enrol()

    def forget(self):
        """For iscsi.attempt."""


def session(machine):
    return Session(machine, name=None, keys=[("TargetName", machine.iqn)])


def login_status(machine):
    c = Conn(machine.address)
    c.login([("InitiatorName", iscsi.INITIATOR), ("SessionType", "Normal"), ("TargetName", machine.iqn)], 1, 3, isid=iscsi.new_isid())
    status = c.login_answer().status
    c.close()
    return status


def child_name(machine):
    return os.path.basename(machine.show()["disk"]["path"])


def code(answer):
    return answer.status, answer.sense_code and answer.sense_code[:3]


def read_error_at(s, lba, blocks, bad_lba):
    got = s.read10(lba, blocks)
    equal(code(got), (CHECK_CONDITION, (MEDIUM_ERROR, 0x11, 0)), f"reading {blocks} blocks at {lba}")
    want(got.sense[0] & 0x80, "the INFORMATION field is not valid")
    equal(int.from_bytes(got.sense[3:7], "big"), bad_lba, "the failing LBA")


@case("golden image")
def a_block_that_cannot_be_read_is_named(t):
    m = t.enrol()
    s = session(m)
    t.bad(f"read /images/ {MIB + 5 * 512}")
    try:
        read_error_at(s, MIB // 512 + 5, 1, MIB // 512 + 5)
        read_error_at(s, MIB // 512, 64, MIB // 512 + 5)
        read_error_at(s, MIB // 512 - 100, 1000, MIB // 512 + 5)
        equal(s.read10(MIB // 512 + 6, 8).status, GOOD, "its neighbours")
        # A write of half a page needs the rest of it from below: it fails, and nothing becomes garbage.
        equal(code(s.write10(MIB // 512 + 1, b"n" * 512)), (CHECK_CONDITION, (MEDIUM_ERROR, 0x0c, 0)), "a write that must read there")
        equal(s.write10(MIB // 512, b"n" * 4096).status, GOOD, "a whole page over it")
        equal(s.read10(MIB // 512 + 5, 1).data, b"n" * 512, "what was written over it")
    finally:
        t.bad()
    equal(s.read10(MIB // 512 + 16, 1).data, (b"golden block %08x " % (MIB // 512 + 16)).ljust(512, b"."), "afterwards")
    equal(m.show()["state"], "running", "one bad block is not the end of the machine")
    s.close()


@case("child")
def a_block_of_the_child_that_cannot_be_read_is_named(t):
    m = t.enrol()
    s = session(m)
    equal(s.write10(2048, b"c" * 65536).status, GOOD, "write")
    equal(s.command(SYNCHRONIZE_CACHE).status, GOOD, "flush")
    with open(m.show()["disk"]["path"], "rb") as f:
        at = f.read().find(b"c" * 4096)
    want(at > 0, "the data are not in the child")
    t.bad(f"read {child_name(m)} {at + 9 * 512}")
    try:
        read_error_at(s, 2048, 128, 2048 + 9)
        read_error_at(s, 2048 + 9, 1, 2048 + 9)
        equal(s.read10(2048 + 16, 8).data, b"c" * 4096, "its neighbours")
    finally:
        t.bad()
    equal(s.read10(2048, 128).data, b"c" * 65536, "afterwards")
    s.close()


@case("invariant 5")
def a_sync_that_fails_ends_all_writing_until_a_person_lifts_it(t):
    m = t.enrol()
    s = session(m)
    equal(s.write10(4096, b"a" * 4096).status, GOOD, "write")
    equal(s.command(SYNCHRONIZE_CACHE).status, GOOD, "flush")
    equal(s.write10(8192, b"b" * 4096).status, GOOD, "a write that nobody has flushed")
    t.bad(f"sync {child_name(m)}")
    try:
        equal(code(s.command(SYNCHRONIZE_CACHE))[1][0], MEDIUM_ERROR, "the flush")
    finally:
        t.bad()
    # The disk is well again, and that changes nothing.
    for _ in range(2):
        equal(code(s.command(SYNCHRONIZE_CACHE))[1][0], MEDIUM_ERROR, "the next flush")
        equal(code(s.write10(4096, b"x" * 4096))[1][0], MEDIUM_ERROR, "a write")
    equal(s.read10(4096, 8).data + s.read10(8192, 8).data, b"a" * 4096 + b"b" * 4096, "reads go on")
    until(lambda: m.show()["state"] == "failed", "the machine is failed in the inventory")
    want("sync" in json.dumps(m.show()) and m.daemon.ctl("events").count("disk-failed") == 1, "nobody is told why")
    s.close()
    m.daemon.ctl("machine", "release", m.name)
    want(login_status(m) >> 8 == 3, "a new login to a failed disk was let in")
    until(lambda: lifted(m), "a person lifts it")
    want(m.show()["state"] != "failed", "it is still failed")
    # Reset to what was durable, and whole.
    m.daemon.ask(m.show()["macs"][0])
    s = session(m)
    equal(s.read10(4096, 8).data, b"a" * 4096, "what was flushed")
    want(s.read10(8192, 8).data in (b"b" * 4096, bytes(4096)), "what was not flushed is neither old nor new")
    equal(s.write10(8192, b"d" * 4096).status, GOOD, "a write")
    equal(s.command(SYNCHRONIZE_CACHE).status, GOOD, "a flush")
    s.close()


def lifted(machine):
    try:
        machine.daemon.ctl("machine", "set", machine.name, "state=ready")
    except Failed:
        return False
    return True


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        want(time.monotonic() < end, f"never: {what}")
        time.sleep(0.05)


@case("invariant 6")
def no_space_is_busy_for_a_while_then_07_27_07(t):
    """Side by side, because a while is long: a file system that is full, and a child at its quota."""
    full, small, one = t.enrol(), t.enrol(), t.enrol()
    t.daemon.ctl("policy", "set", "quota=2M")
    for machine, quota in ((full, "none"), (one, "3M")):
        t.daemon.ctl("machine", "set", machine.name, f"quota={quota}")
    sessions = {"full": session(full), "quota": session(small), "own quota": session(one)}
    t.daemon.ctl("policy", "set", "quota=none")
    equal([m.show()["quota"] for m in (full, small, one)], ["none", "policy", "3M"], "quotas")
    for s in sessions.values():
        equal(s.write10(4096, b"a" * 4096).status, GOOD, "a first write")
    t.bad(f"full {child_name(full)}")
    busy, ended, began = dict.fromkeys(sessions, 0), {}, time.monotonic()
    lba = 8192
    while len(ended) < len(sessions):
        want(time.monotonic() - began < 60, f"still no end after {busy}")
        for name, s in sessions.items():
            got = s.write10(lba, os.urandom(32768)) if name not in ended else None
            if got and got.status == BUSY:
                busy[name] += 1
            elif got and got.status:
                equal(code(got), (CHECK_CONDITION, (DATA_PROTECT, 0x27, 7)), name)
                ended[name] = time.monotonic() - began
        lba += 64
        time.sleep(0.02)
    for name, s in sessions.items():
        want(busy[name] and ended[name] > 15, f"{name}: BUSY {busy[name]} times, the end after {ended[name]:.1f} s")
        equal(s.read10(4096, 8).data, b"a" * 4096, "what was acknowledged stays")
        equal(s.write10(4096, b"A" * 4096).status, GOOD, "what has its space is still written")
        equal(s.command(SYNCHRONIZE_CACHE).status, GOOD, "and flushed")
    # To the file system's own block or two for a file.
    want(small.show()["disk"]["allocated_bytes"] <= 2 * MIB + 65536, f"the quota was not kept: {small.show()['disk']}")
    want(2.5 * MIB < one.show()["disk"]["allocated_bytes"] <= 3 * MIB + 65536, f"its own quota does not hold: {one.show()['disk']}")
    want(t.daemon.ctl("events").count("no-space") >= 2, "nobody is told")
    t.bad()
    # Room again: for the one by itself, for the other by giving something back, or with a new quota at the next opening.
    equal(sessions["full"].write10(8192, b"e" * 4096).status, GOOD, "with room again")
    sessions["quota"].close()
    small.daemon.ctl("machine", "release", small.name)
    until(lambda: small.show()["disk"]["clean"], "the disk at its quota closes clean")
    s = session(small)
    equal(s.write10(lba, b"e" * 32768).status, GOOD, "without the quota")
    s.close()
    sessions["full"].close()
    sessions["own quota"].close()


@case("counters")
def only_what_was_written_counts(t):
    one = t.enrol()
    s = session(one)
    equal(s.write10(4096, b"w" * 4096).status, GOOD, "a write")
    want(s.write10(0xfffffff0, b"w" * 4096).status != GOOD, "a write behind the end")
    equal([x["bytes_written"] for x in one.show()["sessions"]], [4096], "bytes written")
    s.close()


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BUILD, "faults.so")):
        sys.exit(f"make MODE={os.environ.get('MODE', 'release')} {BUILD}/faults.so first")
    wanted = [c for c in iscsi.CASES if len(sys.argv) < 2 or sys.argv[1] in c[0]]
    iscsi.declare(len(wanted))
    rotten = Rotten()
    failed = 0
    try:
        for name, function, _ in wanted:
            failed += not attempt(name, function, rotten)
    finally:
        status = rotten.daemon.stop()
        os.unlink(rotten.faults)
    if status:
        print(f"not ok failures: the daemon ended with {status}")
    sys.exit(1 if failed or status else 0)
