#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries: a real kernel and initrd once and then the disk again; Windows set-up as far as it goes without Windows; and what
the iBFT says of gateways and of several portals."""
from e2e import *

with Suite() as t:
    site = os.path.join(t.lan.dir, "site")
    files = os.path.join(site, "boot-files")
    os.makedirs(os.path.join(files, "win"))
    os.makedirs(os.path.join(files, "rescue"))
    os.makedirs(os.path.join(site, "entries"))
    for name in ("vmlinuz", "initrd"):
        sh(f"mcopy -i {guest('tiny.raw')}@@1M ::/{name} {files}/rescue/{name}")

    def entry(name, text):
        with open(os.path.join(site, "entries", name + ".conf"), "w") as f:
            f.write(text)

    entry("rescue", "title = A rescue system\nkind = linux\nkernel = rescue/vmlinuz\ninitrd = rescue/initrd\ndisk = yes\n"
                    "cmdline = console=ttyS0,115200 net.ifnames=0 mitigations=off panic=-1 loglevel=4 started-by=an-entry\n")
    # What stands for wimboot is a kernel: it starts, finds no root, and the machine comes back.
    entry("windows", "title = Windows set-up\nkind = windows\ndirectory = win\nfile = win/winpeshl.ini\n"
                     "cmdline = console=ttyS0,115200 mitigations=off panic=-1 started-by=windows-setup\n")
    entry("broken", "kind = linux\n")
    sh(f"ip addr add {t.lan.net}.2/24 dev br0")
    server = Server(t.lan, extra=["--dhcp-router", t.lan.ip, "--entries", f"{site}/entries", "--boot-files", files, "--iscsi", f"{t.lan.net}.2:3260"]).tiny()
    vm = VM(t.lan, 1)

    with t.case("a machine boots its disk", vital=True):
        first = vm.proof(count=1)
        true("broken.conf: kind = linux needs a kernel" in server.ctl("status"), "the broken entry is not shown")
        equal([e["name"] for e in server.api("status")["entries"]], ["rescue", "windows"], "entries")

    with t.case("a kernel and an initrd, once, with the disk hooked"):
        name = first["hostname"]
        server.ctl("machine", "set", name, "boot-once=rescue", "no-gateway=yes")
        gateway = vm.ask("sh cat /sys/firmware/ibft/ethernet0/gateway", r"(\d+\.\d+\.\d+\.\d+|E2E-DONE)").group(1)
        true(gateway not in ("0.0.0.0", "E2E-DONE"), "there is no gateway in the iBFT before: the test would prove nothing")
        vm.send("reboot")
        vm.wait(r"SANBOOTD machine \S+ starts A rescue system")
        again = vm.proof(count=2)
        equal(again["target"], first["target"], "target")
        vm.ask("sh cat /proc/cmdline", r"started-by=an-entry")
        equal(server.machine(name)["boot_once"], None, "boot_once")

    with t.case("no-gateway=yes keeps the gateway out of the iBFT"):
        got = vm.ask("sh cat /sys/firmware/ibft/ethernet0/gateway; echo", r"(\d+\.\d+\.\d+\.\d+|E2E-DONE)").group(1)
        true(got in ("0.0.0.0", "E2E-DONE"), f"gateway={got}")

    with t.case("and then its disk again; with multipath=yes each portal is a target of the iBFT"):
        server.ctl("machine", "set", name, "multipath=yes", "no-gateway=no")
        vm.send("reboot")
        vm.wait(rf"SANBOOTD machine {name} boots tiny@1")
        vm.proof(count=3)
        vm.ask("sh cat /proc/cmdline /sys/firmware/ibft/target*/ip-addr; echo", r"E2E-DONE 0")
        said = vm.proc.out.text[-600:]
        true("started-by" not in said, "the entry once more")
        true(all(f"{t.lan.net}.{n}" in said for n in (1, 2)), f"portals in the iBFT: {said!r}")
        server.ctl("machine", "set", name, "multipath=no")

    with t.case("Windows set-up: a file that is missing is named on the screen, and the machine goes on once it is there"):
        server.ctl("machine", "set", name, "boot-once=windows")
        for f in ("BCD", "boot.sdi", "winpeshl.ini"):
            with open(os.path.join(files, "win", f), "w") as out:
                out.write(f"stands for {f}\n")
        shutil.copy(os.path.join(files, "rescue", "vmlinuz"), os.path.join(files, "win", "wimboot"))
        vm.send("reboot")
        vm.wait(r"could not start Windows set-up: ")                    # a screen has 80 columns: the rest may be on the next line
        vm.wait(r"boot\.wim: https://ipxe\.org/")
        vm.wait(r"sanbootctl machine set")
        equal(server.machine(name)["boot_once"], "windows", "boot_once")
        server.wait_log(r"asks for the boot file win/boot\.wim in \S+: No such file")
        with open(os.path.join(files, "win", "boot.wim"), "w") as out:
            out.write("stands for boot.wim\n")
        vm.wait(r"started-by=windows-setup", timeout=240)
        true(vm.seen(r"SANBOOTD machine \S+ starts Windows set-up"), "starts")
        equal(server.machine(name)["boot_once"], None, "boot_once")

    with t.case("when set-up restarts the machine, it boots its disk"):
        vm.proof(count=4)
        vm.poweroff()
        server.check_disk(name)
        vm.no_errors()

    with t.case("UEFI: a key in a menu, once; the kernel's EFI stub finds its initrd"):
        server.ask("52:54:00:e2:00:02")
        server.ctl("policy", "set", "menu-timeout=0")
        server.ctl("machine", "set", "pc-002", "boot-once=menu")
        big = VM(t.lan, 2, uefi=True)
        big.proc.out.wait(r"A rescue system(?s:.*)local disk", 150, "the menu")
        big.proc.proc.stdin.write(b"\x1b[B\r")
        big.proc.proc.stdin.flush()
        big.wait(r"SANBOOTD machine pc-002 asks for entry:rescue")
        big.proof(count=1, fw="uefi", hostname="pc-002")
        big.ask("sh cat /proc/cmdline", r"started-by=an-entry")
        equal(server.machine("pc-002")["boot_once"], None, "boot_once")
        big.stop()

    server.stop()
