#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two servers on one state directory that locks do not reach: two_servers.py. The same folder is mounted twice by a FUSE file system
(bindfs), each mount with locks of its own, and a whole daemon runs on each: at most one serves, whoever has it is named, and what was
acknowledged is there afterwards."""
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

import iscsi
from iscsi import Failed, Session, attempt, case, declare, equal, want
from sanbootd import BUILD, Sanbootd

F_OFD_SETLK = 37
WRITTEN = b"acknowledged, not flushed ".ljust(512, b".")


class Mounted(Sanbootd):
    """On a mount of its own of the shared folder. elsewhere: in a pid namespace of its own, so that pids tell nothing, as on another host."""

    def __init__(self, shared, elsewhere=False):
        self.shared, self.mounted = shared, False
        if not os.path.exists(shared + "/inventory.db"):
            super().__init__()
            return
        self.dir = tempfile.mkdtemp(prefix="sanbootd-conformance-")
        self.runtime = tempfile.TemporaryDirectory(prefix="sanbootd-run-", dir="/tmp")
        self.argv = [os.path.join(BUILD, "sanbootd"), "--state-dir", self.dir + "/state", "--runtime-dir", self.runtime.name,
                     "--http", "127.0.0.1:0", "--iscsi", "127.0.0.1:0"]
        if elsewhere:
            self.argv = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *self.argv]
        os.mkdir(self.dir + "/state")

    def start(self):
        if not self.mounted:
            subprocess.run(["bindfs", self.shared, self.dir + "/state"], check=True)
            self.mounted = True
        super().start()

    def log(self):
        with open(self.dir + "/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def end(self):
        """Its status, in order."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as f:
            inside = f.read().split() if self.argv[0] == "unshare" else []
        os.kill(int(inside[0]) if inside else self.process.pid, signal.SIGTERM)
        return self.process.wait(60)

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.mounted:
            subprocess.run(["umount", "--lazy", self.dir + "/state"], check=True)
        shutil.rmtree(self.dir)


def locks_reach(shared):
    """From one mount to another: then there is nothing to test here."""
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    with tempfile.TemporaryDirectory() as where:
        held = []
        for name in ("a", "b"):
            os.mkdir(f"{where}/{name}")
            subprocess.run(["bindfs", shared, f"{where}/{name}"], check=True)
        try:
            for name in ("a", "b"):
                held.append(os.open(f"{where}/{name}/try", os.O_RDWR | os.O_CREAT, 0o600))
                fcntl.fcntl(held[-1], F_OFD_SETLK, lock)
            return False
        except BlockingIOError:
            return True
        finally:
            for fd in held:
                os.close(fd)
            for name in ("a", "b"):
                subprocess.run(["umount", f"{where}/{name}"], check=True)
            os.unlink(shared + "/try")


def why_not(shared):
    if os.geteuid() or not os.path.exists("/dev/fuse") or not shutil.which("bindfs"):
        return "needs root, /dev/fuse and bindfs"
    try:
        return "locks of bindfs reach the other mount here" if locks_reach(shared) else None
    except subprocess.CalledProcessError as e:
        return f"FUSE cannot be mounted: {e}"


@case("two-servers")
def the_first_one_warns(a):
    warnings = a.api("GET", "status")["warnings"]
    equal(len(warnings), 1, f"warnings: {warnings}")
    want("FUSE" in warnings[0] and a.dir in warnings[0], f"a warning that says what and where: {warnings[0]}")
    want("state-on-network" in a.ctl("events"), "an event says so, too")


@case("two-servers")
def a_second_one_is_refused(a):
    for elsewhere in (False, True):         # known to be alive; seen to be
        b = Mounted(a.shared, elsewhere)
        try:
            b.start()
            raise Failed("a second server is ready")
        except Failed as e:
            want("is not ready" in str(e), str(e))
            equal(b.process.wait(60), 1, "the second server's end")
            want(f"is in use by another sanbootd on {os.uname().nodename} (process {a.process.pid})" in b.log(), f"who has it: {b.log()}")
        finally:
            b.remove()
    a.ctl("status")


@case("two-servers")
def one_that_was_stuck_ends_as_killed(a):
    machine = a.enrol()
    s = Session(machine, name=None, keys=[("TargetName", machine.iqn)])
    s.command(bytes(6))
    equal(s.command(iscsi.write10(64, 1), write=512, payload=WRITTEN).status, 0, "a write")
    a.process.send_signal(signal.SIGSTOP)
    b = Mounted(a.shared, elsewhere=True)
    try:
        b.start()
        a.process.send_signal(signal.SIGCONT)
        equal(a.process.wait(60), 1, "the end of the one that was stuck")
        want("this one ends at once" in a.log(), f"it says why: {a.log()}")
        machine.daemon, machine.address = b, b.address
        b.ask(machine.show()["macs"][0])
        s = Session(machine, name=None, keys=[("TargetName", machine.iqn)])
        s.command(bytes(6))
        equal(s.read10(64, 1).data, WRITTEN, "what the first one has acknowledged")
        s.close()
        b.ctl("machine", "release", machine.name)
        b.ask(machine.show()["macs"][0])
        path = b.closed_disk(machine)
        equal(subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", path], check=False).returncode, 0, "qemu-img check")
        equal(b.end(), 0, "the second one's end")
    finally:
        b.remove()


def main():
    shared, failed = tempfile.mkdtemp(prefix="sanbootd-shared-"), 0
    declare(len(iscsi.CASES))
    why = why_not(shared)
    if why:
        for name, _, _ in iscsi.CASES:
            print(f"skip {name}: {why}")
    else:
        first = Mounted(shared)
        try:
            for name, function, _ in iscsi.CASES:
                failed += not attempt(name, function, first)
        finally:
            first.remove()
    shutil.rmtree(shared)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
