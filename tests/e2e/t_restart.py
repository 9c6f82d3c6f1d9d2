#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The server goes away under a running machine, in order and not: the machine waits, and loses nothing."""
from e2e import *

with Suite() as t:
    server = Server(t.lan).tiny()
    vm = VM(t.lan, 1)
    name = vm.proof(count=1)["hostname"]
    vm.send("tick")
    vm.tick(2)

    def outage(end):
        wrote = vm.ask("write 2", r"E2E-WROTE (\w+)").group(1)
        end()
        vm.proc.out.skip()
        server.start()
        vm.tick(4)
        vm.no_errors()
        equal(vm.ask("sum", r"E2E-SUM blob=(\w+)").group(1), wrote, "what was written before")
        equal(server.machine(name)["state"], "running", "state")

    with t.case("restarted (SIGTERM) under a writing machine", vital=True):
        outage(server.stop)

    with t.case("killed (kill -9) under a writing machine", vital=True):
        outage(server.kill)

    with t.case("killed again, in the middle of a large write"):
        written = lambda: sum(x["bytes_written"] for x in server.machine(name)["sessions"])
        before = written()
        vm.proc.out.skip()
        vm.send("write 12")
        until(lambda: written() > before + (1 << 20), 30, "the write does not begin")
        server.kill()
        server.start()
        wrote = vm.wait(r"E2E-WROTE (\w+)").group(1)
        vm.tick(2)
        vm.no_errors()
        equal(vm.ask("sum", r"E2E-SUM blob=(\w+)").group(1), wrote, "what was written")

    with t.case("a machine that has not come back yet keeps its disk"):
        child = server.machine(name)["disk"]["path"]
        vm.proc.proc.send_signal(signal.SIGSTOP)                 # its network is slow today
        try:
            server.kill()
            server.start()
            equal(server.machine(name)["sessions"], [], "sessions")
            for what in (["reset", name, "--yes"], ["remove", name, "--yes"], ["swap", name, "52:54:00:aa:bb:cc"]):
                try:
                    server.ctl("machine", *what)
                except Failed as refused:
                    true("may come back" in str(refused), f"{what[0]}: {refused}")
                else:
                    raise Failed(f"{what[0]} went ahead")
        finally:
            vm.proc.out.skip()
            vm.proc.proc.send_signal(signal.SIGCONT)
        vm.tick(2)
        vm.no_errors()
        equal(server.machine(name)["disk"]["path"], child, "its disk")

    with t.case("no process is left behind by a killed server"):
        ours = lambda: [line for line in sh("ps -eo pid,args").splitlines() if "dnsmasq" in line and server.runtime in line]
        true(ours(), "no dnsmasq of ours runs")
        server.kill()
        try:
            until(lambda: not ours(), 5, "dnsmasq still runs")
        finally:
            vm.proc.out.skip()
            server.start()
        vm.tick(2)

    with t.case("a boot over a restart: the secret is still good"):
        vm.send("reboot")
        vm.wait(r"SANBOOTD machine")
        server.kill()
        server.start()
        vm.proof(count=2)

    with t.case("the disk is clean and faultless afterwards"):
        vm.poweroff()
        vm.no_errors()
        server.check_disk(name)
