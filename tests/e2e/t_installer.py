#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian 12's own installer as packaging/debian-installer/ has it, with no key pressed: little memory, no name servers, and an empty disk
that it finds by iSCSI, partitions and formats. Its kernel and initrd are Debian's; what its mirror has says make-installer.sh."""
import hashlib

from e2e import *

QUICK = "console=ttyS0,115200 mitigations=off no_timer_check tsc=reliable random.trust_cpu=on audit=0 apparmor=0 cryptomgr.notests loglevel=4 hw-detect/firmware-lookup=never"
SYSLOG = "import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind((sys.argv[1], 514))\nwhile True: print(s.recv(4096).decode('latin1').strip())"
EXAMPLE = os.path.join(TOP, "packaging", "debian-installer")


def change(text, *changes):
    """The example as a site would edit it: each line has to be there."""
    for old, new in changes:
        true(old in text, f"the example has no line {old!r}")
        text = text.replace(old, new)
    return text


def read(name):
    with open(os.path.join(EXAMPLE, name)) as f:
        return f.read()


with Suite() as t:
    try:
        installer = guest("installer")
    except Unreachable as why:
        t.leave_out(f"Debian's installer cannot be fetched: {why}")
    site, files = os.path.join(t.lan.dir, "site"), os.path.join(t.lan.dir, "site", "boot-files")
    shutil.copytree(os.path.join(installer, "mirror"), os.path.join(files, "mirror"))
    os.makedirs(os.path.join(files, "debian"))
    os.makedirs(os.path.join(site, "entries"))
    for f in ("linux", "initrd.gz"):
        shutil.copy(os.path.join(installer, f), os.path.join(files, "debian", f))
    shutil.copy(os.path.join(EXAMPLE, "iscsi-disk"), os.path.join(files, "debian", "iscsi-disk"))
    with open(os.path.join(files, "debian", "preseed.cfg"), "w") as f:
        # Under emulation each line takes a second: only those that are needed as far as this test goes.
        f.write(change(read("preseed.cfg").split("# The root partition")[0], ("hostname string deb.debian.org", f"hostname string {t.lan.ip}:8080"),
                       ("directory string /debian", "directory string /boot-files/mirror")))
        f.write("d-i debian-installer/allow_unauthenticated boolean true\n")         # the mirror is made by this test
    with open(os.path.join(site, "entries", "debian.conf"), "w") as f:
        f.write(change(read("debian.conf"), ("cmdline = ", f"cmdline = {QUICK} DEBIAN_FRONTEND=text TERM=dumb log_host={t.lan.ip} ")))
    Process(t.lan, "syslog", [sys.executable, "-uc", SYSLOG, t.lan.ip])
    server = Server(t.lan, extra=["--entries", f"{site}/entries", "--boot-files", files])

    with t.case("debconf accepts each line of the answers"):
        sh(f"debconf-set-selections --checkonly {EXAMPLE}/preseed.cfg")

    with t.case("an empty file is imported, and a machine gets an entry for its first boot", vital=True):
        empty = os.path.join(t.lan.dir, "empty.raw")
        sh(f"truncate -s 2G {empty}")
        server.ctl("image", "import", empty, "--name", "empty", "--default")
        vm = VM(t.lan, 1, mem=640, start=False)
        server.ask(vm.mac)
        name = server.machine_of(vm)["name"]
        server.ctl("machine", "set", name, "boot-once=debian")

    with t.case("Debian's installer starts with 640 MiB and without name servers, asks nothing, and finds its disk", vital=True):
        vm.start()
        vm.wait(rf"SANBOOTD machine {name} starts Debian 12 installer")
        found = vm.wait(r"E2E-DISKS lowmem=(\d*) ([^\n]*)\n|Prompt: |Press enter", timeout=600)
        true(found.group(2) is not None, f"it asks something: {vm.proc.out.text[-600:]!r}")
        equal(found.group(1), "1", "its level of low memory (without one this case would prove nothing)")
        equal(found.group(2).split(), ["/dev/sda"], "disks")
        true(server.machine(name)["sessions"], "no session")

    with t.case("it partitions and formats the disk", vital=True):
        done = vm.wait(r"([0-9a-f]{64})  /target/data\s+E2E-(INSTALLED|FAILED) (\S+)", timeout=300)
        equal(done.group(2), "INSTALLED", "what it says")

    with t.case("it goes on when the server is killed"):
        vm.tick(2)
        server.kill()
        vm.proc.out.skip()
        server.start()
        vm.tick(3)
        vm.no_errors()

    with t.case("what it wrote is on the machine's disk"):
        vm.stop()
        disk = server.check_disk(name)
        raw = os.path.join(t.lan.dir, "disk.raw")
        sh(f"qemu-img convert -O raw {disk} {raw}")
        table = json.loads(sh(f"sfdisk --json {raw}"))["partitiontable"]
        equal(table["label"], "gpt", "partition table")
        equal([p["name"] for p in table["partitions"] if "name" in p], ["root"], "partitions")
        part = os.path.join(t.lan.dir, "part.raw")
        sh(f"dd if={raw} of={part} bs=512 skip={table['partitions'][1]['start']} conv=sparse status=none")
        sh(f"e2fsck -fn {part}")
        sh(f"debugfs -R 'dump /data {part}.data' {part}")
        with open(part + ".data", "rb") as f:
            equal(hashlib.sha256(f.read()).hexdigest(), done.group(1), "the file that it wrote")

    with t.case("the next boot is from the disk"):
        equal(server.machine(name)["boot_once"], None, "boot_once")
        true("SANBOOTD machine" in server.ask(vm.mac) and "sanboot --drive 0x80" in server.ask(vm.mac), "it is not given its disk")
    server.stop()
