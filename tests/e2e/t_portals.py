#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with several portals (multipath=yes), of which one goes: what is said while its initramfs waits for it, and that the next
script leaves it out."""
from e2e import *

with Suite() as t:
    second = f"{t.lan.net}.2"

    def there(yes):
        sh(f"ip addr {'add' if yes else 'del'} {second}/24 dev br0")

    def at_both():
        """The running system's daemon logs in anew, at one after the other."""
        until(lambda: sorted(s["portal"] for s in server.machine(name)["sessions"] if not s["ipxe"]) == [one, two], 40, "sessions at both portals")

    def stages(name):
        return {s["stage"]: s for s in server.machine(name)["timeline"]}

    there(True)
    server = Server(t.lan, extra=["--iscsi", f"{second}:3260"]).tiny()
    vm = VM(t.lan, 1, start=False)
    server.ask(vm.mac)
    name = server.machine_of(vm)["name"]
    server.ctl("machine", "set", name, "multipath=yes")
    vm.start()
    one, two = f"{t.lan.ip}:3260", f"{second}:3260"

    with t.case("a machine boots, and is told of both portals", vital=True):
        vm.proof(count=1, hostname=name)
        at_both()
        until(lambda: "steady" in stages(name), 40, "steady, with both portals")
        equal(stages(name)["steady"]["detail"], "", "what it is steady without")

    with t.case("a portal goes after iPXE: the machine waits, and is not called steady"):
        vm.send("reboot")
        vm.wait(rf"SANBOOTD machine {name} boots tiny@1")
        vm.wait(r"E2E-INIT")
        there(False)
        got = until(lambda: server.machine(name)["stuck"], 150, "stuck")
        equal(got["stage"], "kernel-login", "stuck at")
        true(f"waits for portal {two}, which does not answer ({two}: the address is gone)" in got["why"], got["why"])
        true("steady" not in stages(name), "it is called steady")
        true(f"waits for portal {two}" in server.ctl("machine", "show", name), "machine show does not say it")
        equal(len(server.events(f"waits for portal {two}")), 1, "events")
        equal(server.machine(name)["lost_portals"], two, "lost_portals")
        true(not vm.seen(r"DISKLESS-BOOT-OK[^\n]*count=2"), "it did boot: nothing was proven")

    with t.case("switched off and on, it boots without that portal"):
        vm.stop()
        server.ctl("machine", "release", name)
        vm.start()
        vm.proof(count=2)
        detail = stages(name)["script"]["detail"]
        true(f"without {two} (the address is gone)" in detail, detail)
        equal(len(server.events("portal-left-out")), 1, "events")
        until(lambda: "steady" in stages(name), 40, "steady, with one portal")

    with t.case("the address is back: the machine is not told of it before a person says so"):
        there(True)
        vm.poweroff()
        vm.no_errors()
        server.check_disk(name)
        script = server.ask(vm.mac)
        true(f"iscsi:{t.lan.ip}::" in script and f"iscsi:{second}::" not in script, "portals of its script")
        until(lambda: f"without {two} (not reached before)" in stages(name)["script"]["detail"], 20, "why it is not told")
        server.ctl("machine", "set", name, "multipath=yes")
        equal(server.machine(name)["lost_portals"] or None, None, "lost_portals")
        both = lambda script: f"iscsi:{t.lan.ip}::" in script and f"iscsi:{second}::" in script
        until(lambda: both(server.ask(vm.mac)), 20, "both portals in its script")

    server.stop()
