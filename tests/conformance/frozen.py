#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A state directory that stands still: frozen.py. The whole daemon with one I/O loop, its state on an ext4 of its own in a loop device, which
fsfreeze freezes under load, as an array that hangs would. Whoever reads what is in memory goes on, NOP-Out and ABORT TASK are answered, and
nothing that was acknowledged is lost, also not by a kill -9 meanwhile."""
import os
import random
import select
import subprocess
import sys
import threading
import time

import iscsi
from iscsi import Session, attempt, declare, equal, want
from sanbootd import BUILD, RUNTIME, Sanbootd, golden_blocks
from namespaces import own_mounts                       # of tests/, which sanbootd.py adds to the path

FROZEN_SECONDS, ANSWER_SECONDS = 30, 1.0
PAGES, DEPTH = 2048, 16             # of 4 KiB that are written, from 16 MiB on; writes of a machine at once
FIRST_LBA, READ_BYTES = 32768, 4 << 20
SYNCHRONIZE_CACHE = b"\x35" + bytes(9)
NAMES = ("a frozen state directory stops nobody who does not need it", "killed while frozen")


def session(machine):
    return Session(machine, name=None, keys=[("TargetName", machine.iqn)])


class Freezable:
    """An ext4 in a file, mounted where nobody else sees it (own_mounts)."""

    def __init__(self, where):
        self.image, self.there, self.frozen = where + "/frozen.ext4", where + "/frozen.mount", False
        os.makedirs(self.there, exist_ok=True)
        with open(self.image, "wb") as f:
            f.truncate(1 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.there], check=True)

    def freeze(self):
        subprocess.run(["fsfreeze", "--freeze", self.there], check=True)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            subprocess.run(["fsfreeze", "--unfreeze", self.there], check=True)
        self.frozen = False

    def remove(self):
        self.thaw()
        subprocess.run(["umount", self.there], check=False)
        os.unlink(self.image)
        os.rmdir(self.there)


class Worker(threading.Thread):
    """A machine that does something until stopped; its failure is raised by end()."""

    def __init__(self, machine, seed):
        super().__init__(daemon=True)
        self.session, self.order, self.stopping, self.failure = session(machine), random.Random(seed), False, None

    def run(self):
        try:
            self.work()
        except Exception as err:  # handed on
            self.failure = err

    def end(self):
        self.stopping = True
        self.join(120)
        want(not self.is_alive(), "a machine hangs")
        if self.failure:
            raise self.failure


class Reader(Worker):
    """Reads what is in memory, and checks it."""
    reads = 0

    def work(self):
        while not self.stopping:
            lba = 8 * self.order.randrange(READ_BYTES // 4096)
            want(self.session.read10(lba, 8).data == golden_blocks(lba, 8), f"wrong bytes at block {lba}")
            self.reads += 1

    def rate(self, seconds):
        before, began = self.reads, time.monotonic()
        time.sleep(seconds)
        want(not self.failure, self.failure)
        return (self.reads - before) / (time.monotonic() - began)


class Writer(Worker):
    """Writes pages, DEPTH at a time and never one that is under way; asked to, it sends NOP-Out and ABORT TASK in between."""

    def __init__(self, machine, seed):
        super().__init__(machine, seed)
        self.there = {}             # page -> what it holds, as was acknowledged
        self.under_way = {}         # task tag -> page, content, CmdSN
        self.asked, self.waited = {}, []    # task tag -> when; seconds until the answer
        self.aborted, self.number, self.aborts, self.probes = set(), 0, False, False

    def content(self, page):
        self.number += 1
        return b"%08x%08x" % (page, self.number) * 256

    def submit(self):
        page = self.order.randrange(PAGES)
        if any(page == p for p, _, _ in self.under_way.values()):
            return
        data, sn = self.content(page), self.session.cmdsn
        itt = self.session.send_command(iscsi.write10(FIRST_LBA + 8 * page, 8), write=4096, data=data)
        self.under_way[itt] = (page, data, sn)

    def ask(self):
        """One NOP-Out, and the abort of the write that has waited longest."""
        self.asked[self.session.nop(b"there?", immediate=True)] = time.monotonic()
        waiting = [itt for itt in self.under_way if itt not in self.aborted]
        if self.aborts and waiting:
            ref = waiting[-1]
            self.aborted.add(ref)
            self.asked[self.session.tmf(1, ref, self.under_way[ref][2])] = time.monotonic()

    def take(self, pdu):
        self.session.statsn = (pdu.statsn + 1) & 0xffffffff if pdu.itt != iscsi.NONE else self.session.statsn
        if pdu.opcode == iscsi.RESPONSE:
            page, data, _ = self.under_way.pop(pdu.itt)
            equal(pdu.bhs[3], 0, "status of a write")
            self.there[page] = {data}
            self.aborted.discard(pdu.itt)
        elif pdu.itt in self.asked:
            self.waited.append(time.monotonic() - self.asked.pop(pdu.itt))
            if pdu.opcode == iscsi.TMF_RESPONSE:
                self.settle()
        self.session.max_cmdsn = pdu.max_cmdsn

    def settle(self):
        """An aborted write has happened or never will."""
        for itt in [i for i in self.aborted if i in self.under_way and len(self.asked) == 0]:
            page, data, _ = self.under_way.pop(itt)
            self.there[page] = self.there.get(page, {bytes(4096)}) | {data}
            self.aborted.discard(itt)

    def window(self):
        return (self.session.max_cmdsn - self.session.cmdsn) & 0xffffffff < 0x80000000

    def work(self):
        next_ask = 0
        while not self.stopping or self.under_way:
            while not self.stopping and len(self.under_way) < DEPTH and self.window():
                before = len(self.under_way)
                self.submit()
                if len(self.under_way) == before:
                    break
            if self.probes and time.monotonic() > next_ask and not self.asked:
                self.ask()
                next_ask = time.monotonic() + 0.5
            if self.session.has_answer() or select.select([self.session.sock], [], [], 0.1)[0]:
                self.take(self.session.recv())


def verify(machine, writers_pages):
    s = session(machine)
    for page, contents in writers_pages.items():
        got = s.read10(FIRST_LBA + 8 * page, 8).data
        want(got in contents, f"page {page} is {got[:16]}, not {[c[:16] for c in contents]}")
    s.close()


def stops_nobody(t, disk):
    reading, writing, idle = (t.enrol() for _ in range(3))
    reader, writer, other = Reader(reading, 1), Writer(writing, 2), session(idle)
    for lba in range(0, READ_BYTES // 512, 128):
        equal(reader.session.read10(lba, 128).status, 0, "a first read")
    reader.start()
    writer.start()
    reader.rate(1)
    before = reader.rate(3)
    disk.freeze()
    try:
        began, meanwhile, slowest = time.monotonic(), [], 0
        writer.probes = writer.aborts = True
        while time.monotonic() - began < FROZEN_SECONDS:
            asked = time.monotonic()
            other.ping()
            slowest = max(slowest, time.monotonic() - asked)
            meanwhile.append(reader.rate(1))
        waited = max([*writer.waited, *(time.monotonic() - at for at in writer.asked.values()), 0])
    finally:
        disk.thaw()
    writer.probes = False
    want(len(writer.waited) > FROZEN_SECONDS / 2, f"only {len(writer.waited)} NOP-Outs and ABORT TASKs were answered")
    want(slowest < ANSWER_SECONDS, f"an idle machine waited {slowest:.1f} s for a NOP-In")
    want(waited < ANSWER_SECONDS, f"a machine that writes waited {waited:.1f} s for a NOP-In or the end of a task")
    want(min(meanwhile) >= before / 2, f"reads went on with {min(meanwhile):.0f} a second of {before:.0f}")
    time.sleep(1)
    reader.end()
    writer.end()
    equal(writer.session.command(SYNCHRONIZE_CACHE).status, 0, "a flush afterwards")
    writer.session.close()
    verify(writing, writer.there)
    print(f"# frozen: {before:.0f} reads a second before, {min(meanwhile):.0f} at least meanwhile; NOP-In after {slowest * 1000:.0f} ms, in a "
          f"session that writes {waited * 1000:.0f} ms at most", flush=True)


def killed(t, disk):
    """A process whose workers wait for a frozen file system dies when that is thawed, with what only the log has."""
    writing = t.enrol()
    writer = Writer(writing, 3)
    writer.start()
    time.sleep(1)
    disk.freeze()
    time.sleep(2)
    t.process.kill()
    time.sleep(0.5)
    disk.thaw()
    t.process.wait(60)
    writer.stopping = True
    writer.join(30)
    there = dict(writer.there)
    for page, data, _ in writer.under_way.values():
        there[page] = there.get(page, {bytes(4096)}) | {data}
    want(len(writer.there) > 20, "hardly anything was written: nothing was tested")
    t.start()
    writing.address = t.address
    verify(writing, there)


def run():
    """In a mount namespace of our own."""
    failed = 0
    disk = Freezable(BUILD)
    daemon = Sanbootd(extra=("--threads", "1", "--write-log", "4M"), where=BUILD, state=disk.there)
    try:
        for name, test in zip(NAMES, (stops_nobody, killed)):
            failed += not attempt(f"frozen: {name}", lambda t, test=test: test(t, disk), daemon)
    finally:
        disk.thaw()
        status = daemon.stop()
        disk.remove()
    if status:
        failed += 1
        print(f"not ok frozen: the daemon ended with {status}")
    return 1 if failed else 0


def cannot():
    if os.geteuid():
        return "needs root"
    if RUNTIME != "/dev/shm":
        return "needs /dev/shm"
    p = subprocess.run([*own_mounts(), "sh", "-c", 'd=$(losetup --find --show --read-only "$0") && losetup --detach "$d"', __file__],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return f"needs mounts and loop devices: {' '.join(p.stdout.split())}" if p.returncode else None


def main():
    declare(len(NAMES))
    if why := cannot():
        for name in NAMES:
            print(f"skip frozen: {name}: {why}")
        return 0
    return subprocess.run([*own_mounts(), sys.executable, "-B", __file__, "mounted"], check=False).returncode


if __name__ == "__main__":
    sys.exit(run() if sys.argv[1:2] == ["mounted"] else main())
