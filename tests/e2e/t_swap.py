#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine broke: its disk goes to another board with another MAC and UUID. And what is never done by itself."""
from e2e import *

with Suite() as t:
    server = Server(t.lan).tiny()

    with t.case("a machine boots and writes", vital=True):
        old = VM(t.lan, 1)
        got = old.proof(count=1)
        name = got["hostname"]
        equal(old.ask("stamp mine", r"E2E-STAMP (\w+)").group(1), "mine", "stamp")
        old.poweroff()
        server.closed(name)

    with t.case("swap: another MAC and UUID boots the old disk"):
        new = VM(t.lan, 2, start=False)
        server.ctl("machine", "swap", name, new.mac, "--yes")
        new.start()
        again = new.proof(count=2, hostname=name, target=got["target"])
        equal(new.ask("sum", r"E2E-SUM [^\n]*stamp=(\w+)").group(1), "mine", "stamp")
        new.poweroff()
        equal(server.machine(name)["macs"], [new.mac], "its MACs")

    with t.case("an unknown MAC with a known UUID and serial number waits for a person, and boots once approved"):
        card = VM(t.lan, 3, uuid=new.uuid, serial=new.name)
        number = card.wait(r"SANBOOTD new MAC address").group(0) and \
            until(lambda: [w for w in server.waiting() if w["mac"] == card.mac], 10, "it does not wait")[0]["number"]
        equal(len(server.machines()), 1, "number of machines")
        server.ctl("machine", "approve", number)
        card.proof(count=3, hostname=name)
        card.poweroff()

    with t.case("a known MAC with another UUID is held"):
        board = VM(t.lan, 3, uuid="5a4b0075-0000-4000-8000-00000000ffff", name="vm3-board")
        board.wait(r"SANBOOTD conflict")
        board.stop()

    with t.case("the old MAC is a new machine"):
        other = VM(t.lan, 1, name="vm1-again")
        fresh = other.proof(count=1)
        true(fresh["hostname"] != name, f"it became {name} again")
        other.poweroff()
