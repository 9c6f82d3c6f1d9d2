#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian 12's own installer with the answers of packaging/debian-installer/, as far as it goes without a machine.

The programs of its initrd run in a root directory of their own (run-installer.sh): they fetch the answers and iscsi-disk from the server, and udebs
from a mirror that it serves. Of these some are stand-ins (make-installer.sh); the test says which. Not run here: its kernel, so neither the
modules nor the log-in; netcfg and the menu, so not its questions for name servers, router and memory; partman, and what follows."""
from e2e import *

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
    files = os.path.join(t.lan.dir, "boot-files")
    shutil.copytree(os.path.join(installer, "mirror"), os.path.join(files, "mirror"))
    os.makedirs(os.path.join(files, "debian"))
    shutil.copy(os.path.join(EXAMPLE, "iscsi-disk"), os.path.join(files, "debian", "iscsi-disk"))
    with open(os.path.join(files, "debian", "preseed.cfg"), "w") as f:
        f.write(change(read("preseed.cfg"), ("hostname string deb.debian.org", f"hostname string {t.lan.ip}:8080"),
                       ("http/directory string /debian", "http/directory string /boot-files/mirror")))
        f.write("d-i debian-installer/allow_unauthenticated boolean true\n")         # the mirror is made by this test
    server = Server(t.lan, extra=["--boot-files", files])

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

    with t.case("what logs in is there then, with the modules of the installer's kernel"):
        root, there = os.path.join(work, "root"), set()
        for _, _, names in os.walk(os.path.join(root, "lib", "modules")):
            there.update(names)
        for module in ("iscsi_ibft.ko", "iscsi_boot_sysfs.ko", "iscsi_tcp.ko", "libiscsi_tcp.ko", "libiscsi.ko", "scsi_transport_iscsi.ko", "sd_mod.ko"):
            true(module in there, f"no {module}")
        for program in ("iscsistart", "iscsid"):
            sh(f"chroot {root} /sbin/{program} -v")

    server.stop()
