#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside a DHCP server that stays: ours only says what to boot."""
import dhcpclient
from e2e import *

with Suite() as t:
    # somebody's router on the same LAN, that knows nothing of network boot
    t.lan.neighbour("router", f"{t.lan.net}.254", ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--interface=eth0", "--bind-interfaces",
                                                   f"--dhcp-range={t.lan.net}.150,{t.lan.net}.160,1h", "--no-ping",
                                                   f"--dhcp-leasefile={t.lan.dir}/router.leases", "--pid-file=", "--user=root",
                                                   "--log-facility=-", "--log-dhcp"])
    server = Server(t.lan, dhcp="proxy").tiny()

    with t.case("proxy: BIOS, iPXE ROM"):
        vm = VM(t.lan, 1)
        got = vm.proof(count=1, fw="bios")
        true(re.match(re.escape(t.lan.net) + r"\.1[56]\d/", got["ip"]), f"address {got['ip']} is not the router's")
        equal(got["hostname"], server.machine_of(vm)["name"], "host name")
        vm.poweroff()

    with t.case("proxy: UEFI, the firmware's own PXE"):
        vm = VM(t.lan, 2, uefi=True, rom="none")
        vm.proof(count=1, fw="uefi")
        vm.poweroff()

    with t.case("proxy: our server gave no address"):
        router = t.lan.net + ".254"
        offers = dhcpclient.Client(t.lan).offers([router, t.lan.ip])
        equal(offers[t.lan.ip].yiaddr, "0.0.0.0", "address in our offer")
        true(re.match(re.escape(t.lan.net) + r"\.1[56]\d$", offers[router].yiaddr), f"the router offers {offers[router].yiaddr}")

    with t.case("full beside another DHCP server: the start is refused, and says how to force it"):
        server.stop()
        second = Server(t.lan, dhcp="full", start=False)
        try:
            second.start()
        except Failed:
            pass
        else:
            raise Failed("it started")
        true("dhcp-force" in second.log(), f"its log does not name --dhcp-force: {second.log()[-300:]!r}")
