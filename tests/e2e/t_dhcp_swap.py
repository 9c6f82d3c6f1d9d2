#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The address is the machine's: whatever board it gets, and it is free once the machine is gone (clients of packets)."""
from e2e import *
import dhcpclient


def hosts():
    with open(server.runtime + "/dnsmasq.hosts") as f:
        return f.read()


def leases():
    """MAC -> address, as dnsmasq has them."""
    with open(server.state + "/dnsmasq/leases") as f:
        return {line.split()[1]: line.split()[2] for line in f}


def lease(client):
    return true(client.lease(), f"no lease for {client.mac}").yiaddr


def enrol(client):
    client.set_address(lease(client))
    client.fetch(f"{server.url}/boot?mac={client.mac}&platform=pcbios&buildarch=i386")
    machine = until(lambda: server.machine_of(client), 20, "enrolled")
    until(lambda: f"{client.mac},{client.address},{machine['name']}\n" in hosts(), 20, f"its line in the host file, now {hosts()!r}")
    equal(lease(client), client.address, "address of the enrolled machine")
    return machine["name"]


with Suite() as t:
    server = Server(t.lan)
    disk = os.path.join(t.lan.dir, "empty.raw")
    with open(disk, "wb") as f:
        f.truncate(4 << 20)
    server.ctl("image", "import", disk, "--name", "empty", "--default")
    old, new, third = (dhcpclient.Client(t.lan, name, f"{t.lan.net}.{host}") for name, host in (("old", 250), ("new", 251), ("third", 252)))
    name, address = enrol(old), old.address

    with t.case("swap: the new board has the machine's address at its first question"):
        server.ctl("machine", "swap", name, new.mac, "--yes")
        until(lambda: old.mac not in leases(), 20, f"the old board's lease is gone, now {leases()}")
        equal(lease(new), address, "address of the new board")
        equal(server.machine(name)["address"], address, "address in the inventory")
        equal(server.machine(name)["lease"]["address"], address, "the lease that it shows")

    with t.case("the old board is anybody, with another address"):
        true(lease(old) != address, "the old board got the machine's address")

    with t.case("a swap to a board that has another lease, from before: it gets the machine's address as well"):
        true(lease(third) != address, "a stranger got the machine's address")
        server.ctl("machine", "swap", name, third.mac, "--yes")
        until(lambda: new.mac not in leases(), 20, f"the second board's lease is gone, now {leases()}")
        equal(lease(third), address, "address of the third board")

    with t.case("the MAC is changed by adding one and removing the other: the same"):
        server.ctl("machine", "mac", "add", name, old.mac)
        server.ctl("machine", "mac", "remove", name, third.mac)
        until(lambda: leases().get(third.mac) != address, 20, f"the lease of the MAC that was removed is gone, now {leases()}")
        equal(lease(old), address, "address of the MAC that was added")

    with t.case("what changed while dnsmasq was down is made good when it is back"):
        pid = server.api("status")["dhcp"]["pid"]
        os.kill(pid, signal.SIGKILL)
        server.ctl("machine", "swap", name, new.mac, "--yes")
        until(lambda: server.api("status")["dhcp"]["pid"] not in (0, None, pid), 30, "dnsmasq is back")
        until(lambda: leases().get(old.mac) != address, 20, f"the lease of the board that was swapped out is gone, now {leases()}")
        equal(lease(new), address, "address of the board")

    with t.case("remove: its address is free"):
        server.ctl("machine", "remove", name, "--yes")
        until(lambda: address not in leases().values(), 20, f"its lease is gone, now {leases()}")
