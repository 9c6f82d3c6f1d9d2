#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine boots besides its disk: menus with a real keyboard, local, once; and scripts of the site's own."""
from e2e import *

DOWN, ENTER = "\x1b[B", "\r"

with Suite() as t:
    site = os.path.join(t.lan.dir, "site")
    for folder in ("ipxe-scripts", "entries", "boot-files"):
        os.makedirs(os.path.join(site, folder))
    server = Server(t.lan, extra=["--ipxe-scripts", f"{site}/ipxe-scripts", "--entries", f"{site}/entries",
                                  "--boot-files", f"{site}/boot-files"])
    vm = VM(t.lan, 1, mem=64, start=False)

    def put(name, text):
        """A file of the site's, and SIGHUP."""
        path = os.path.join(site, name)
        if text is None:
            os.unlink(path)
        else:
            with open(path, "w") as f:
                f.write(text)
        before = server.log().count("configuration read again")
        server.proc.proc.send_signal(signal.SIGHUP)
        until(lambda: server.log().count("configuration read again") > before, 10, "SIGHUP")

    def keys(text):
        vm.proc.proc.stdin.write(text.encode())
        vm.proc.proc.stdin.flush()

    def menu(item):
        """The menu is drawn, up to this item: no line of it has to be complete."""
        vm.proc.out.wait(item, 120, "the menu")

    def boots(count):
        vm.wait(rf"DISKLESS-BOOT-OK int13 count={count:05d}")
        vm.off()
        server.ctl("machine", "release", vm.mac)

    for name in ("int13", "other"):
        server.ctl("image", "import", guest("int13.raw"), "--name", name)
    server.ctl("image", "default", "int13")
    server.ctl("group", "add", "lab", "boot=menu", "priority=10")

    with t.case("a script of the site's own is shown; a broken one is refused with its line, and the built-in one serves", vital=True):
        built_in = server.ask("52:54:00:e2:00:99")
        put("ipxe-scripts/sanboot.ipxe", "#!ipxe\necho {{no_such}}\n")
        problem = server.api("status")["problems"][0]
        true(problem["file"].endswith("site/ipxe-scripts/sanboot.ipxe") and problem["line"] == 2 and "no_such" in problem["reason"], problem)
        true("sanboot.ipxe:2: no such variable: no_such" in server.ctl("status"), "sanbootctl status does not show it")
        true(server.events("file-refused"), "no event")
        equal(server.ask("52:54:00:e2:00:99"), built_in, "the script meanwhile")
        put("ipxe-scripts/sanboot.ipxe", "#!ipxe\necho Welcome to room 3, {{name}}\n{{>target.part}}\nsanboot --drive 0x80 {{uris}} ||\n{{>ask.part}}\n")
        equal(server.api("status")["problems"], [], "problems")
        vm.start()
        vm.wait(r"Welcome to room 3, pc-002")
        boots(1)
        put("ipxe-scripts/sanboot.ipxe", None)
        equal(server.ask("52:54:00:e2:00:99"), built_in, "the script afterwards")

    with t.case("a menu takes its default by itself, and offers nothing that would destroy"):
        server.ctl("policy", "set", "menu-timeout=3")
        server.ctl("machine", "set", "pc-002", "group=lab")
        equal(server.machine("pc-002")["boot"], "menu", "boot, by the group")
        server.ctl("group", "set", "lab", "priority=20", "note=room 3")
        true(re.search(r"lab +1 +20 .* menu .*room 3", server.ctl("group", "list")), "group list")
        vm.start()
        menu(r"what to boot\?")
        vm.wait(r"SANBOOTD machine pc-002 asks for disk")
        boots(2)
        true(vm.seen(r"Its disk: int13@1") and vm.seen(r"local disk") and vm.seen("holds data"), "the menu's items")
        true(not vm.seen(r"Another disk"), "another image was offered to a disk with data")

    with t.case("a key chooses another image, where the disk is new at each boot"):
        server.ctl("machine", "set", "pc-002", "mode=ephemeral")
        server.ctl("policy", "set", "menu-timeout=0")
        child = server.machine("pc-002")["disk"]["path"]
        vm.start()
        menu(r"Another disk: other@1(?s:.*)local disk")
        true(not vm.seen(r"Another disk: int13"), "the image that it has already is offered as another one")
        keys(DOWN + ENTER)
        vm.wait(r"asks for image:other")
        vm.wait(r"SANBOOTD machine pc-002 boots other@1")
        boots(1)
        m = server.machine("pc-002")
        equal(m["image"], "other@1", "image")
        true(m["disk"]["path"] != child, "the disk is still the old one")

    with t.case("local, once: it exits to the firmware, however often somebody asked before, and the next boot is as always"):
        server.ctl("machine", "set", "pc-002", "boot=disk", "boot-once=local")
        for _ in range(3):
            true("boots from its own disk" in server.ask(vm.mac), "not local")
        equal(server.machine("pc-002")["boot_once"], "local", "boot_once")
        vm.start()
        vm.wait(r"SANBOOTD machine pc-002 boots from its own disk")
        until(lambda: server.machine("pc-002")["boot_once"] is None, 60, "boot-once used up")
        vm.stop()
        equal(len(server.events("boot-once=local: its next boot")), 1, "events")
        vm.start()
        boots(1)

    with t.case("a script from an address, once; when it has ended, the machine goes on with its disk"):
        with open(f"{site}/boot-files/tool.ipxe", "w") as f:
            f.write("#!ipxe\necho TOOL RAN in ${platform}\n")
        server.ctl("machine", "set", "pc-002", f"boot-once={server.url}/boot-files/tool.ipxe")
        vm.start()
        vm.wait(r"TOOL RAN in pcbios")
        vm.wait(r"has ended")
        boots(1)
        equal(server.machine("pc-002")["boot_once"], None, "boot_once")

    with t.case("words that nobody knows are refused, with what there is"):
        code, _, err = server.run("machine", "set", "pc-002", "boot=nothing")
        true(code == 1 and "disk, cd, local, menu" in err, err)
        code, _, err = server.run("machine", "set", "pc-002", "group=nothing")
        true(code == 1 and "sanbootctl group add" in err, err)
        server.ctl("group", "remove", "lab")
        equal(server.machine("pc-002")["group"], None, "group")

    server.stop()
