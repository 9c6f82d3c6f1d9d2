#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Nobody boots unasked: machines that wait for a person, for an image, or are refused. All go on without a reset."""
from e2e import *

def boots_of(vm):
    """How often its firmware started."""
    return len(re.findall(r"iPXE initialising devices", vm.proc.out.text))

def children(server):
    return [f for d, _, files in os.walk(os.path.join(server.state, "children")) for f in files]

with Suite() as t:
    server = Server(t.lan)

    with t.case("no image yet: the machine waits and shows the command that imports one"):
        early = VM(t.lan, 1)
        early.wait(r"SANBOOTD waits for an image")
        early.wait(r"sanbootctl image import")
        equal(server.machines(), [], "machines")

    with t.case("it goes on by itself once there is one"):
        server.tiny()
        early.proof(count=1)
        equal(boots_of(early), 1, "starts of its firmware")
        early.poweroff()

    server.ctl("policy", "set", "enrol=approve")
    before = children(server)

    with t.case("enrol=approve: a new machine waits on its screen with its number"):
        vm = VM(t.lan, 2)
        number = vm.wait(r"SANBOOTD waits for approval, number (\d+)").group(1)
        equal([str(w["number"]) for w in server.waiting()], [number], "who waits")
        equal(children(server), before, "disks: one that waits has none")

    with t.case("approved by its number it boots, without a reset"):
        server.ctl("machine", "approve", number, "--name", "chosen-name")
        vm.proof(count=1, hostname="chosen-name")
        equal(boots_of(vm), 1, "starts of its firmware")
        equal(server.waiting(), [], "who waits")
        vm.poweroff()

    with t.case("denied it says so and boots from its own disk"):
        vm = VM(t.lan, 3)
        vm.wait(r"SANBOOTD waits for approval, number (\d+)")
        server.ctl("machine", "deny", vm.mac)
        vm.wait(r"SANBOOTD this machine \(\S+\) was refused")
        vm.wait(r"Booting from its own disk")
        vm.stop()
        equal(len(server.machines()), 2, "number of machines")

    with t.case("enrol=deny: a new machine is refused, a known one boots"):
        server.ctl("policy", "set", "enrol=deny")
        true("refused" in server.ask("52:54:00:e2:00:99"), "the script of an unknown machine")
        vm = VM(t.lan, 2, name="vm2-again")
        vm.proof(count=2, hostname="chosen-name")
        vm.poweroff()
