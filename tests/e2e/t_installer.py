#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian 12's own installer as packaging/debian-installer/ has it, with no key pressed, and an empty disk that it finds by iSCSI.

Its initrd and kernel are Debian's, unchanged. Booting them whole takes minutes under emulation, so what is between is cut short:
- The initrd's programs run here, in a root directory of their own (run-installer.sh): they fetch the answers and iscsi-disk from the server,
  and udebs from a mirror that it serves. Of these some are stand-ins (make-installer.sh); the test says which.
- A machine boots the entry: iPXE with the disk, the installer's kernel, and of the initrd, as it is then, the programs and the modules that it
  needs. Its init takes an address, runs /bin/iscsi-disk, and partitions with sfdisk in the place of partman.
Not run here: netcfg and the installer's menu (so not its questions for name servers, router and memory), partman, and what follows.
E2E_INSTALLER=whole boots kernel and initrd unchanged, with the menu; it has not been seen to pass."""
import hashlib

from e2e import *

QUICK = "console=ttyS0,115200 mitigations=off no_timer_check tsc=reliable random.trust_cpu=on audit=0 apparmor=0 cryptomgr.notests loglevel=4 hw-detect/firmware-lookup=never"
SYSLOG = "import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind((sys.argv[1], 514))\nwhile True: print(s.recv(4096).decode('latin1').strip())"
WHOLE = os.environ.get("E2E_INSTALLER") == "whole"
EXAMPLE = os.path.join(TOP, "packaging", "debian-installer")


def change(text, *changes):
    """The example as a site would edit it: each line has to be there."""
    for old, new in changes:
        true(old in text, f"the example has no line {old!r}")
        text = text.replace(old, new)
    return text


def read(path):
    """A file; a path that is not absolute is one of the example."""
    with open(os.path.join(EXAMPLE, path)) as f:
        return f.read()


with Suite() as t:
    try:
        installer = guest("installer")
    except Unreachable as why:
        t.leave_out(f"Debian's installer cannot be fetched: {why}")
    print(f"# udebs that are stand-ins: {' '.join(read(os.path.join(installer, 'stand-ins')).split())}")
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

    with t.case("the installer's programs take the answers, and then the udebs that they need for the disk", vital=True):
        work = os.path.join(t.lan.dir, "run")
        os.mkdir(work)
        sh(f"{HERE}/run-installer.sh {installer} http://{t.lan.ip}:8080/boot-files/debian/preseed.cfg {work}")
        said = read(os.path.join(work, "syslog"))
        # The order is the point: with little memory anna fetches what is asked for by name, and nothing can be loaded earlier.
        for line in ("successfully loaded preseed file", "Queueing udeb open-iscsi-udeb", r'successfully ran ".*iscsi-disk"', "suite/codename set to: bookworm",
                     "retrieving open-iscsi-udeb", r"retrieving scsi-modules-\S+-di", "iscsi-disk: there is no iBFT"):
            found = re.search(line, said)
            true(found, f"it does not say /{line}/, or too early: {said[-800:]!r}")
            said = said[found.end():]
        if not WHOLE:
            shutil.copy(os.path.join(work, "initrd.gz"), os.path.join(files, "debian", "initrd.gz"))

    with t.case("an empty file is imported, and a machine gets an entry for its first boot", vital=True):
        empty = os.path.join(t.lan.dir, "empty.raw")
        sh(f"truncate -s 2G {empty}")
        server.ctl("image", "import", empty, "--name", "empty", "--default")
        vm = VM(t.lan, 1, mem=640 if WHOLE else 384, start=False)
        server.ask(vm.mac)
        name = server.machine_of(vm)["name"]
        server.ctl("machine", "set", name, "boot-once=debian")

    with t.case("on a machine that boots the entry they find its disk, with no key pressed", vital=True):
        vm.start()
        vm.wait(rf"SANBOOTD machine {name} starts Debian 12 installer")
        found = vm.wait(r"E2E-DISKS lowmem=(\d*) ([^\n]*)\n|Prompt: |Press enter", timeout=900 if WHOLE else 240)
        true(found.group(2) is not None, f"it asks something: {vm.proc.out.text[-600:]!r}")
        equal(found.group(1), "1" if WHOLE else "", "its level of low memory (without one, WHOLE would prove less than it says)")
        equal(found.group(2).split(), ["/dev/sda"], "disks")
        true(server.machine(name)["sessions"], "no session")

    with t.case("it partitions and formats the disk", vital=True):
        done = vm.wait(r"([0-9a-f]{64})  /target/data\s+E2E-(INSTALLED|FAILED) (\S+)", timeout=180)
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
