#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""No I/O loop waits for a disk: cold.py. The whole daemon on loopback, with its files on the disk of the build directory and dropped from
memory; machines read, write and flush, and the watch over the loops (server/base/loop_watch.h) must not say a word. Also what they read is right."""
import os
import random
import subprocess
import sys
import threading

import iscsi
from iscsi import Session, attempt, case, equal, want
from sanbootd import BUILD, MODE, Sanbootd, disk_reads, golden_blocks
from namespaces import own_mounts                       # of tests/, which sanbootd.py adds to the path

DATA_BYTES = 32 << 20
MACHINES, DEPTH = 4, 8
SYNCHRONIZE_CACHE = b"\x35" + bytes(9)


def drop_images(daemon):
    for root, _, files in os.walk(daemon.dir + "/state/images"):
        for name in files:
            disk_reads.drop(os.path.join(root, name))


def session(machine):
    return Session(machine, name=None, keys=[("TargetName", machine.iqn)])


def read_all(s, pieces):
    """Reads the pieces (lba, blocks), DEPTH at a time; gives each with its bytes."""
    todo, under_way = list(pieces), {}
    while todo or under_way:
        while todo and len(under_way) < DEPTH:
            lba, blocks = todo.pop()
            itt = s.send_command(iscsi.read10(lba, blocks), read=blocks * 512)
            under_way[itt] = (lba, bytearray(blocks * 512))
        pdu = s.recv()
        equal(pdu.opcode, iscsi.DATA_IN, f"the answer to a read: {pdu}")
        lba, data = under_way[pdu.itt]
        data[pdu.w40:pdu.w40 + len(pdu.data)] = pdu.data
        if pdu.flags & 1:
            equal(pdu.bhs[3], 0, "status of a read")
            s.statsn = (pdu.statsn + 1) & 0xffffffff
            del under_way[pdu.itt]
            yield lba, bytes(data)


def pieces_of(seed):
    """All data once, in pieces of 4 to 128 KiB, in an order of its own."""
    order, at, pieces = random.Random(seed), 0, []
    while at < DATA_BYTES // 512:
        blocks = min(8 * order.choice((1, 1, 2, 4, 16, 32)), DATA_BYTES // 512 - at)
        pieces.append((at, blocks))
        at += blocks
    order.shuffle(pieces)
    return pieces


def together(*functions):
    """Runs them at the same time; the first failure is raised."""
    failures = []

    def run(function):
        try:
            function()
        except Exception as err:  # handed on
            failures.append(err)
    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


def golden_reader(machine, seed):
    def run():
        s = session(machine)
        for lba, data in read_all(s, pieces_of(seed)):
            want(data == golden_blocks(lba, len(data) // 512), f"wrong bytes at block {lba}")
        s.close()
    return run


@case("golden image")
def machines_read_a_golden_image_that_is_not_in_memory(t):
    machines = [t.enrol() for _ in range(MACHINES)]
    before = disk_reads.read_bytes(t.process.pid)
    drop_images(t)
    together(*(golden_reader(m, seed) for seed, m in enumerate(machines)))
    want(disk_reads.read_bytes(t.process.pid) - before > DATA_BYTES * 9 // 10, "the image was not read from a disk: nothing was tested")


@case("child")
def machines_write_and_flush_and_read_what_left_memory(t):
    """Every disk of its own is written and flushed while the golden image is read cold, and read back after it was dropped itself."""
    machines = [t.enrol() for _ in range(MACHINES)]
    drop_images(t)

    def writer(machine, seed):
        def run():
            order, s = random.Random(seed), session(machine)
            path = os.path.join(t.dir, "state", machine.show()["disk"]["path"])
            lbas = [8 * n for n in order.sample(range(DATA_BYTES // 4096), 400)]
            for n, lba in enumerate(lbas):
                equal(s.write10(lba, b"%08x" % lba * 512).status, 0, "a write")
                if n % 8 == 7:
                    equal(s.command(SYNCHRONIZE_CACHE).status, 0, "a flush")
            equal(s.command(SYNCHRONIZE_CACHE).status, 0, "the last flush")
            before = disk_reads.read_bytes(t.process.pid)
            disk_reads.drop(path)
            for lba, data in read_all(s, [(lba, 8) for lba in lbas]):
                want(data == b"%08x" % lba * 512, f"wrong bytes at block {lba}")
            want(disk_reads.read_bytes(t.process.pid) > before, "the child was not read from a disk: nothing was tested")
            s.close()
        return run
    together(*(writer(m, seed) for seed, m in enumerate(machines[1:])), golden_reader(machines[0], 99))


# ---- a file system that has just been mounted ----

SCATTERED, STEP = 3000, 256        # pages of 4 KiB, one in each 128 KiB: as many extents


def a_server_starts_on_a_file_system_of_which_nothing_is_in_memory(where, extra):
    """Not even where the files' blocks are: ext4 reads that when it begins to read data, and waits for it."""
    disk, there = where + "/cold.ext4", where + "/cold.mount"
    mount = lambda: subprocess.run(["mount", "-o", "loop", disk, there], check=True)
    os.makedirs(there, exist_ok=True)
    with open(disk, "wb") as f:
        f.truncate(2 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    mount()
    daemon = Sanbootd(extra=extra, where=there)
    try:
        scattered = daemon.dir + "/scattered.raw"
        lbas = [STEP * n for n in range(SCATTERED)]
        with open(scattered, "wb") as f:
            f.truncate(SCATTERED * STEP * 512)
            for lba in lbas:
                f.seek(lba * 512)
                f.write(golden_blocks(lba, 8))
        daemon.ctl("image", "import", scattered, "--name", "scattered", "--default")
        machine = daemon.enrol()
        daemon.process.terminate()
        equal(daemon.process.wait(60), 0, "how the server ended")
        subprocess.run(["umount", there], check=True)
        mount()
        daemon.start()
        machine.address = daemon.address
        s = session(machine)
        for lba, data in read_all(s, [(lba, 8) for lba in random.Random(1).sample(lbas, 300)]):
            want(data == golden_blocks(lba, 8), f"wrong bytes at block {lba}")
        s.close()
    finally:
        status = daemon.stop()
        subprocess.run(["umount", there], check=False)
        os.unlink(disk)
        os.rmdir(there)
    equal(status, 0, "how the server ended")


MOUNTED = a_server_starts_on_a_file_system_of_which_nothing_is_in_memory.__name__.replace("_", " ")


def mounted(what):
    """In a mount namespace of our own, that nobody else sees."""
    test = a_server_starts_on_a_file_system_of_which_nothing_is_in_memory
    extra = ("--cache-size", "0") if what else ()
    return 0 if attempt(f"cold: {MOUNTED}{what}", lambda _: test(BUILD, extra), Nobody()) else 1


class Nobody:
    def forget(self):
        """For iscsi.attempt."""


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def cannot_mount():
    """Why no file of ours can be mounted; None where it can."""
    if os.geteuid():
        return "needs root"
    p = subprocess.run([*own_mounts(), "sh", "-c", 'd=$(losetup --find --show --read-only "$0") && losetup --detach "$d"', __file__],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return f"needs mounts and loop devices: {' '.join(p.stdout.split())}" if p.returncode else None


def main():
    failed, ways = 0, (("", ()), (", without golden cache", ("--cache-size", "0")))
    iscsi.declare(len(ways) * (len(iscsi.CASES) + 1))
    why = None
    if MODE not in ("asan", "debug"):
        why = f"a build with MODE={MODE} does not watch its loops"
    elif file_system(BUILD) in ("tmpfs", "ramfs"):
        why = f"{BUILD} is in memory, nothing there is ever read from a disk"
    for what, extra in ways:
        if why:
            for name in [c[0] for c in iscsi.CASES] + [MOUNTED]:
                print(f"skip cold: {name}{what}: {why}")
            continue
        daemon = Sanbootd(extra=extra, where=BUILD, data_bytes=DATA_BYTES)
        try:
            for name, function, _ in iscsi.CASES:
                failed += not attempt(f"cold: {name}{what}", function, daemon)
        finally:
            status = daemon.stop()
        if status:
            failed += 1
            print(f"not ok cold: the daemon ended with {status}{what}")
        if cannot := cannot_mount():
            print(f"skip cold: {MOUNTED}{what}: {cannot}")
            continue
        failed += subprocess.run([*own_mounts(), sys.executable, "-B", __file__, "mounted", what], check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(mounted(sys.argv[2]) if sys.argv[1:2] == ["mounted"] else main())
