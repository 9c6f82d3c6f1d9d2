#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Second disks: a machine's own that outlives everything, one for all that nobody writes to, and LUNs that come and go under a running machine."""
import hashlib

from e2e import *

MIB = 1 << 20


class Disks:
    """What a running guest sees of its LUNs."""

    def __init__(self, vm):
        self.vm = vm

    def run(self, command, code=0, timeout=60):
        """Its output, for one command line of the guest's shell."""
        self.vm.proc.out.skip()
        self.vm.send(f"sh echo E2E-BEGIN; {command}")
        self.vm.wait("E2E-BEGIN")
        begin = self.vm.proc.out.pos
        got = self.vm.wait(r"E2E-DONE (\d+)", timeout)
        equal(int(got.group(1)), code, f"{self.vm.name}: exit code of {command}")
        return self.vm.proc.out.text[begin:got.start()].strip()

    def write(self, lun, mib):
        """Random data at its beginning: their SHA-256."""
        self.run(f"d=$(lun {lun}) && dd if=/dev/urandom of=$d bs=1M count={mib} conv=fsync 2>/dev/null")
        return self.sum(lun, mib)

    def sum(self, lun, mib):
        """SHA-256 of its beginning, as the server has it."""
        said = self.run(f"d=$(lun {lun}) && blockdev --flushbufs $d && dd if=$d bs=1M count={mib} 2>/dev/null | sha256sum")
        return true(re.search(r"[0-9a-f]{64}", said), f"{self.vm.name}: no sum: {said}").group(0)

    def size(self, lun):
        return int(self.run(f"d=$(lun {lun}) && blockdev --getsize64 $d"))

    def luns(self):
        return sorted(int(line.rsplit(":", 1)[1]) for line in self.run("ls -d /sys/class/scsi_device/*:*").split())


def refused(server, wanted, *args):
    code, _, err = server.run(*args)
    true(code != 0, f"sanbootctl {' '.join(args)} went ahead")
    true(re.search(wanted, err), f"sanbootctl {' '.join(args)}: {err.strip()}")


def check_volume(server, name):
    """Closed, and without a fault for qemu-img."""
    v = until(lambda: (v := server.json("volume", "show", name)).get("clean") and v, 40, f"{name}: a clean, closed volume")
    sh(f"qemu-img check -f qcow2 {os.path.join(server.state, v['path'])}")


with Suite() as t:
    server = Server(t.lan).tiny()
    tools = os.path.join(t.lan.dir, "tools.raw")
    content = os.urandom(3 * MIB)
    with open(tools, "wb") as f:
        f.write(content)
    vms = [VM(t.lan, 1, start=False), VM(t.lan, 2, start=False)]
    for vm in vms:
        server.ask(vm.mac)                               # enrolled
    one, two = (server.machine_of(vm)["name"] for vm in vms)
    a, b = map(Disks, vms)

    with t.case("a second disk that was made before the first boot is LUN 1, empty and thin", vital=True):
        server.ctl("volume", "create", "--machine", one, "--size", "1G")
        server.ctl("volume", "create", "--shared", "tools", "--from", tools)
        for name in (one, two):
            server.ctl("volume", "attach", "tools", name, "--lun", "7")
        for vm in vms:
            vm.start()
        for vm in vms:
            vm.proof(count=1)
        equal(a.luns(), [0, 1, 7], "LUNs of the first machine")
        equal(b.luns(), [0, 7], "LUNs of the second machine")
        equal(a.size(1), 1 << 30, "size of its second disk")
        equal(a.sum(1, 1), hashlib.sha256(bytes(MIB)).hexdigest(), "what is on the new disk")
        mine = a.write(1, 2)
        equal(a.sum(1, 2), mine, "what was written")
        used = server.json("volume", "show", f"{one}:1")["allocated_bytes"]
        true(2 * MIB <= used < 16 * MIB, f"it takes {used} bytes")

    with t.case("a shared disk reads the same in both machines, and neither can write to it"):
        for disks in (a, b):
            equal(disks.sum(7, 3), hashlib.sha256(content).hexdigest(), f"{disks.vm.name}: what is on the shared disk")
            equal(disks.run("blockdev --getro $(lun 7)"), "1", f"{disks.vm.name}: read-only")
            true("Write Protect is on" in disks.run("dmesg"), f"{disks.vm.name}: the kernel does not see that it is protected")
            disks.run("dd if=/dev/zero of=$(lun 7) bs=4k count=1 conv=fsync 2>/dev/null", code=1)
        refused(server, "tools", "image", "remove", "tools@1", "--yes")

    with t.case("a disk that is attached to a running machine is seen by itself, and after the rescan that people are told"):
        said = server.ctl("volume", "create", "--machine", two, "--size", "64M", "--name", "extra")
        rescan = true(re.search(r"on Linux: (.*)$", said, re.M), f"no rescan in: {said}")
        until(lambda: b.luns() == [0, 1, 7], 20, "its iscsid does not look when it is told that there are other LUNs")
        b.run("for d in /sys/class/scsi_device/*:1/device; do echo 1 >$d/delete; done")
        equal(b.luns(), [0, 7], "LUNs when the kernel has forgotten it")
        b.run(rescan.group(1))
        equal(b.luns(), [0, 1, 7], "LUNs after the rescan")
        equal(b.size(1), 64 * MIB, "its size")
        theirs = b.write(1, 4)
        equal(b.sum(1, 4), theirs, "what was written")

    with t.case("a disk in use is detached only by force, and the machine sees that it is gone"):
        refused(server, "used it within the last minute", "volume", "detach", "extra")
        server.ctl("volume", "detach", "extra", "--force")
        b.run("dd if=$(lun 1) of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null", code=1)
        true("Logical unit not supported" in b.run("dmesg"), "the kernel was told something else")
        b.run("for d in /sys/class/scsi_device/*:1/device; do echo 1 >$d/delete; done")
        check_volume(server, "extra")

    with t.case("a disk grows under a running machine"):
        said = server.ctl("volume", "resize", f"{one}:1", "2G")
        rescan = true(re.search(r"on Linux: (.*)$", said, re.M), f"no rescan in: {said}")
        a.run(rescan.group(1))
        equal(a.size(1), 2 << 30, "its size after the rescan")
        equal(a.sum(1, 2), mine, "what was on it")

    with t.case("a server that is killed (kill -9) while two disks are written to: both go on"):
        said = a.run("dd if=/dev/urandom of=/tmp/noise bs=1M count=12 2>/dev/null; sha256sum </tmp/noise")
        mine = re.search(r"[0-9a-f]{64}", said).group(0)
        written = lambda: sum(x["bytes_written"] for x in server.machine(one)["sessions"])
        before = written()
        vms[0].send("tick")
        vms[0].tick(1)
        vms[0].send("sh dd if=/tmp/noise of=$(lun 1) bs=64k oflag=direct conv=fsync 2>/dev/null")
        until(lambda: written() > before + MIB, 30, "the write does not begin")
        server.kill()
        server.start()
        vms[0].wait(r"E2E-DONE 0")
        vms[0].tick(2)
        equal(a.sum(1, 12), mine, "what was written")
        equal(a.sum(7, 3), hashlib.sha256(content).hexdigest(), "the shared disk")
        equal(b.sum(7, 3), hashlib.sha256(content).hexdigest(), "the shared disk of the other machine")
        vms[0].no_errors()

    with t.case("it stays when the machine is reset, given another image, swapped, and new at each boot"):
        for vm in vms:
            vm.poweroff()
        server.closed(one)
        server.ctl("machine", "reset", one, "--yes")
        server.ctl("image", "import", guest("tiny.raw"), "--name", "other")
        server.ctl("machine", "set", one, "image=other")
        server.ctl("machine", "set", one, "mode=ephemeral")
        new = VM(t.lan, 3, start=False)
        server.ctl("machine", "swap", one, new.mac, "--yes")
        server.ctl("machine", "set", one, "templates=cloud-init")
        c = Disks(new)
        new.start()
        new.proof(count=1, hostname=one)
        equal(c.luns(), [0, 1, 7, 254], "its LUNs")
        equal(c.sum(1, 12), mine, "what is on its second disk")

    with t.case("a machine with templates finds on LUN 254 who it is, and cannot write to it"):
        equal(c.run("dd if=$(lun 254) bs=1 skip=32808 count=7 2>/dev/null").strip(), "cidata", "the label")
        said = c.run("mkdir -p /tmp/who && mount -t iso9660 -o ro $(lun 254) /tmp/who && cat /tmp/who/meta-data && ls -1 /tmp/who")
        true(f'local-hostname: "{one}"' in said, f"no name in: {said}")
        true(re.search(r'instance-id: "[a-z0-9]+-\d+"', said), f"no instance in: {said}")
        for name in ("meta-data", "network-config", "user-data"):
            true(re.search(rf"^{name}\s*$", said, re.M), f"no {name} in: {said}")
        c.run("umount /tmp/who; dd if=/dev/zero of=$(lun 254) bs=4k count=1 conv=fsync 2>/dev/null", code=1)
        refused(server, "templates=none", "volume", "detach", f"{one}:254")
        new.poweroff()
        new.no_errors()

    with t.case("the disks are clean and faultless, and go only when somebody says so"):
        server.closed(one)
        check_volume(server, f"{one}-data")
        server.ctl("machine", "remove", one, "--yes")
        path = os.path.join(server.state, server.json("volume", "show", f"{one}-data")["path"])
        server.ctl("volume", "remove", f"{one}-data", "--yes")
        true(not os.path.exists(path), f"{path} is still there")
        refused(server, "tools", "image", "remove", "tools@1", "--yes")
        server.closed(two)
        server.ctl("volume", "detach", "tools", two)
        server.ctl("volume", "remove", "tools", "--yes")
        server.ctl("image", "remove", "tools@1", "--yes")
