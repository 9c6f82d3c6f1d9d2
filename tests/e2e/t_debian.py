#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian from packaging/golden/build-debian.sh: boots, writes, reboots with its data, outlives a server that is killed."""
from e2e import *

with Suite() as t:
    with t.case("build-debian.sh makes an image", vital=True):
        image = guest("debian.raw")

    server = Server(t.lan)
    with t.case("it is imported without a warning", vital=True):
        server.ctl("image", "import", image, "--name", "debian", "--default", timeout=300)
        versions = server.api("images")["images"][0]["versions"]
        equal(versions[0]["warnings"], [], "warnings")

    with t.case("the doctor looks into it, and has nothing but hints"):
        report = server.api("images/debian/check")
        true("Debian" in report["system"], f"it found {report['system']}")
        true(report["initiator"].startswith("open-iscsi "), f"it found {report['initiator']}")
        true(all(part["looked_into"] for part in report["parts"]), f"not looked into: {report['parts']}")
        equal([f["code"] for f in report["findings"] if f["severity"] != "hint"], [], "findings")

    with t.case("Debian boots, writes, reboots by itself and has its data", vital=True):
        vm = VM(t.lan, 1, mem=512, action="write=2,reboot=2,tick")
        first = vm.proof(count=1, fw="bios", timeout=400)
        equal(first["hostname"], server.machine_of(vm)["name"], "host name")
        true(first["chap"] != "none", "a boot without CHAP")
        second = vm.proof(count=2, timeout=400, hostname=first["hostname"])
        equal(second["initiator"], first["initiator"], "initiator")
        true(first["blob"] != "none", "it wrote nothing")
        equal(second["blob"], first["blob"], "what it wrote in its first boot")

    with t.case("Debian goes on when the server is killed"):
        vm.tick(3)
        server.kill()
        vm.proc.out.skip()
        server.start()
        vm.tick(4)
        vm.no_errors()
        true(server.machine(first["hostname"])["disk"]["allocated_bytes"] < 64 << 20, "it costs more than 64 MiB")
        vm.stop()
