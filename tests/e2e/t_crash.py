#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines that die without a word come back, with the same address or another; beside a DHCP server that is not ours."""
from e2e import *

def dhcp_server(lan, address):
    """Somebody's dnsmasq that gives every machine this address and names our boot script."""
    return Process(lan, "otherdhcp", ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--interface=br0", "--bind-interfaces",
                                      f"--dhcp-range={address},{address},1h", f"--dhcp-leasefile={lan.dir}/leases.{address}",
                                      "--dhcp-authoritative", "--no-ping", "--pid-file=", "--user=root", "--log-facility=-", "--log-dhcp",
                                      "--dhcp-option=option:router", "--dhcp-option-force=encap:175,176,1b",
                                      f"--dhcp-boot=http://{lan.ip}:8080/boot.ipxe"])

with Suite() as t:
    server = Server(t.lan, dhcp="off").tiny()
    dhcp = dhcp_server(t.lan, f"{t.lan.net}.150")

    with t.case("a machine boots with somebody else's DHCP", vital=True):
        vm = VM(t.lan, 1)
        got = vm.proof(count=1, ip=f"{t.lan.net}.150/24")
        equal(vm.ask("stamp kept", r"E2E-STAMP (\w+)").group(1), "kept", "stamp")

    with t.case("it crashes while it writes, and comes back"):
        vm.send("tick")
        vm.tick(2)
        vm.proc.out.skip()
        vm.send("crash")
        vm.proof(count=2)
        true("kept" in vm.ask("sum", r"E2E-SUM [^\n]*stamp=(\w+)").group(0), "the stamp is gone")

    with t.case("its plug is pulled, and it comes back with another address"):
        vm.send("tick")
        vm.tick(2)
        vm.stop()
        dhcp.stop()
        dhcp = dhcp_server(t.lan, f"{t.lan.net}.151")
        vm = VM(t.lan, 1, name="vm1-again")
        again = vm.proof(count=3, ip=f"{t.lan.net}.151/24")
        equal(again["target"], got["target"], "target")
        true("kept" in vm.ask("sum", r"E2E-SUM [^\n]*stamp=(\w+)").group(0), "the stamp is gone")
        vm.no_errors()

    with t.case("a second machine with the MAC of one that runs does not disturb it"):
        vm.send("tick")
        vm.tick(1)
        script = server.ask(vm.mac, uuid=vm.uuid)
        true("password" not in script, "it was given a secret")
        vm.tick(2)
        vm.no_errors()

    with t.case("the disk is clean afterwards"):
        vm.poweroff()
        server.check_disk(got["hostname"])
