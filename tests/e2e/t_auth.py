#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets: CHAP in one direction and both, what is refused, and what starts a boot."""
from e2e import *
from initiator import BootScript

MAC = "52:54:00:e2:01:01"

with Suite() as t:
    server = Server(t.lan).tiny()

    with t.case("asking again gives the same pending boot"):
        script = BootScript(server.ask(MAC))
        equal(BootScript(server.ask(MAC)).set, script.set, "what the script sets")
        true(script.set.get("username") and script.set.get("password"), "no secret under auth=chap")

    with t.case("CHAP: a wrong secret, a wrong user and no secret are refused"):
        for what in ({"secret": "wrong-secret-0"}, {"user": "nobody"}, {"anonymous": True}):
            worked, said = script.login(**what)
            true(not worked, f"logged in with {what}: {said}")
        true(server.events("refused"), "no event about it")

    with t.case("CHAP: the right secret opens the disk"):
        worked, said = script.login()
        true(worked, f"refused: {said}")

    with t.case("the secret of a boot dies with the next boot"):
        later = BootScript(server.ask(MAC))
        true(later.set["password"] != script.set["password"], "the same secret for a new boot")
        worked, said = later.login()
        true(worked, f"refused: {said}")
        worked, said = script.login()
        true(not worked, "the old secret still opens the disk")

    with t.case("another machine's secret does not open this disk"):
        other = BootScript(server.ask("52:54:00:e2:01:02"))
        mine = BootScript(server.ask(MAC))
        worked, said = mine.login(user=other.set["username"], secret=other.set["password"], initiator=other.set["initiator-iqn"])
        true(not worked, "it does")

    with t.case("mutual CHAP: the target proves itself too"):
        server.ctl("policy", "set", "auth=mutual")
        script = BootScript(server.ask("52:54:00:e2:01:03"))
        true("reverse-password" in script.set, f"no reverse secret in the script: {sorted(script.set)}")
        worked, said = script.login()
        true(worked, f"refused: {said}")
        worked, said = script.login(secret="wrong-secret-0")
        true(not worked, "a wrong secret is accepted")

    with t.case("mutual CHAP: a machine boots"):
        vm = VM(t.lan, 1)
        got = vm.proof(count=1)
        true(got["chap"] != "none" and got["mutual"] != "none", f"chap={got['chap']} mutual={got['mutual']}")
        vm.poweroff()

    with t.case("auth=none: a machine boots without secrets"):
        server.ctl("policy", "set", "auth=none")
        vm = VM(t.lan, 2)
        vm.proof(count=1, chap="none", mutual="none")
        vm.poweroff()

    with t.case("no secret in the log"):
        for secret in (script.set["password"], script.set["reverse-password"], later.set["password"]):
            true(secret not in server.log(), "the log has a secret")
