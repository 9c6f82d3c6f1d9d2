#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Full mode with two networks: what each is told, fixed addresses over a change of the ranges, and floods of invented MACs (clients of packets)."""
import select, socket

from e2e import *
import dhcpclient

OPTIONS = """dhcp-router = 10.78.0.254
dhcp-dns = 192.0.2.53, 192.0.2.54      # everywhere
dhcp-dns = br1:10.78.0.3
dhcp-ntp = 192.0.2.123
dhcp-domain = lab.example.org
dhcp-domain = br1:none
"""


def configure(*ranges, options=OPTIONS):
    with open(conf, "w") as f:
        f.write("dhcp = full\ninterface = br0\ninterface = br1\n" + options + "".join(f"dhcp-range = {r}\n" for r in ranges))


def hangup(pattern=r"configuration read again"):
    at = len(server.log())
    server.proc.proc.send_signal(signal.SIGHUP)
    until(lambda: re.search(pattern, server.log()[at:]), 20, f"the log: /{pattern}/")


def hosts():
    with open(server.runtime + "/dnsmasq.hosts") as f:
        return f.read()


def last(address):
    return int(address.rsplit(".", 1)[1])


def enrol(client):
    """As a machine does: takes the address that it is given, and asks for its script with it."""
    got = true(client.lease(), "no lease")
    client.set_address(got.yiaddr)
    client.fetch(f"http://{client.address.rsplit('.', 1)[0]}.1:8080/boot?mac={client.mac}&platform=pcbios&buildarch=i386")
    machine = until(lambda: next((m for m in server.machines() if client.mac in m["macs"]), None), 20, "enrolled")
    until(lambda: f"{client.mac},{client.address},{machine['name']}\n" in hosts(), 20, f"its line in the host file, now {hosts()!r}")
    return machine


with Suite() as t:
    sh("ip link add br1 type bridge forward_delay 0 stp_state 0")
    sh("ip addr add 10.78.0.1/24 dev br1")
    sh("ip link set br1 up")
    conf = os.path.join(t.lan.dir, "sanbootd.conf")
    configure("10.77.0.100,10.77.0.115,1h", "10.78.0.50,10.78.0.57", "10.77.0.120,10.77.0.123,2h")
    server = Server(t.lan, dhcp="off", extra=["--config", conf, "--http", "10.78.0.1:8080"], start=False)
    at = server.argv.index("--dhcp")
    del server.argv[at:at + 2]                    # a flag would win over the file
    server.start().tiny()
    a = dhcpclient.Client(t.lan, "alice")
    b = dhcpclient.Client(t.lan, "bob", "10.78.0.250", bridge="br1")
    rogue = dhcpclient.Client(t.lan, "rogue", t.lan.net + ".251")

    with t.case("each network has its own range and is told its own router, name and time servers, domain"):
        got = true(a.lease(), "no lease on br0")
        true(last(got.yiaddr) in (*range(100, 116), *range(120, 124)), f"address {got.yiaddr}")
        equal((got.routers, got.dns, got.ntp, got.domain), ([], ["192.0.2.53", "192.0.2.54"], ["192.0.2.123"], "lab.example.org"), "br0")
        equal(got.lease_s, 600, "lease of a MAC that nobody knows")
        got = true(b.lease(), "no lease on br1")
        true(got.yiaddr.startswith("10.78.0.5"), f"address {got.yiaddr}")
        equal((got.routers, got.dns, got.ntp, got.domain), (["10.78.0.254"], ["10.78.0.3"], ["192.0.2.123"], ""), "br1")

    with t.case("an enrolled machine keeps its address and is told its name, on both networks"):
        one, two = enrol(a), enrol(b)
        for client, machine, seconds in ((a, one, (3600, 7200)), (b, two, (12 * 3600,))):
            got = true(client.lease(), "no lease")
            equal((got.yiaddr, got.host), (client.address, machine["name"]), "address and host name")
            true(got.lease_s in seconds, f"lease of {got.lease_s} s")
            equal(true(client.lease(arch=None), "no lease").yiaddr, client.address, "address for its operating system")

    with t.case("leases: each machine's with it, those of others in the status"):
        for client, machine in ((a, one), (b, two)):
            lease = server.machine(machine["name"])["lease"]
            equal(lease["address"], client.address, "address")
            true(3500 < lease["expires_ms"] / 1000 - time.time() <= 12 * 3600, f"lease: {lease}")
            true(f"{client.address} until " in server.ctl("machine", "show", machine["name"]), "the lease is not shown")
        stranger = true(rogue.lease(arch=None), "no lease").yiaddr
        got = {l["address"]: l["machine"] for l in server.api("status")["dhcp"]["leases"]}
        equal(got, {a.address: one["name"], b.address: two["name"], stranger: None}, "leases")
        said = server.ctl("status")
        true(f"2 of machines, 1 of others" in said and f"{stranger} {rogue.mac}" in said, f"status: {said!r}")

    with t.case("a machine that waits for a person keeps its address too"):
        server.ctl("policy", "set", "enrol=approve")
        c = dhcpclient.Client(t.lan, "carol", t.lan.net + ".252")
        c.set_address(true(c.lease(), "no lease").yiaddr)
        c.fetch(f"{server.url}/boot?mac={c.mac}&platform=pcbios&buildarch=i386")
        until(lambda: f"{c.mac},{c.address}\n" in hosts(), 20, f"its line in the host file, now {hosts()!r}")
        until(lambda: c.lease().lease_s >= 3600, 20, "a long lease")

    with t.case("a flood of invented MACs: who boots still gets an address, who is known keeps his, an event names it"):
        taken = [rogue.lease(mac=b"\x02\0\0\0\0" + bytes([i]), arch=None, seconds=1) for i in range(18)]
        got = {p.yiaddr for p in taken if p}
        true(0 < len(got) < 12 + 3, f"{len(got)} addresses for the rogue, of 20")
        true(None in taken, "the rogue was never refused")
        new = dhcpclient.Client(t.lan, "newcomer", t.lan.net + ".253")
        true(new.lease(), "nothing for a machine that boots for the first time")
        # now one who says that he boots, until nothing is left
        while rogue.lease(mac=b"\x02\0\0\0\1" + os.urandom(1), seconds=1):
            pass
        for client in (a, c):
            equal(true(client.lease(), f"nothing for {client.mac}").yiaddr, client.address, "address")
        events = until(lambda: server.events("dhcp-exhausted"), 20, "the event")
        equal(len(events), 1, "events")
        true(re.search(r"no address is left on br0 for 02:00:00:00:0\d:\w\w: .* packets came from MACs that are neither enrolled nor waiting", events[0]["text"]),
             f"event: {events[0]}")
        true(b.lease(), "nothing on the other network")

    with t.case("a flood of transfers that are begun and left: others are still served by TFTP"):
        begun = [rogue.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(700)]
        def unanswered():
            waiting = [s for s in begun if s not in select.select(begun, [], [], 0)[0]]
            for s in waiting[:100]:                              # more at once would only be lost
                s.sendto(b"\0\1undionly.kpxe\0octet\0", (t.lan.ip, 69))
            return waiting
        until(lambda: not unanswered(), 20, "an answer to each of them")
        with open("/usr/lib/ipxe/undionly.kpxe", "rb") as f:
            true(b.fetch("tftp://10.78.0.1/undionly.kpxe") == f.read(), "another client got something else")
        for s in begun:
            s.close()

    with t.case("SIGHUP with other ranges: what lies in none any more is given up, and the event log says so; the rest stays"):
        configure("10.77.0.200,10.77.0.220", "10.78.0.50,10.78.0.57")
        hangup()
        old = a.address
        event = until(lambda: server.events("address-released"), 20, "the event")
        equal([(e["object"], e["text"].split()[0]) for e in event], [(one["name"], old)], "events")
        until(lambda: f"{a.mac},{one['name']}\n" in hosts(), 20, f"its line in the host file, now {hosts()!r}")
        a.set_address(true(a.lease(), "no lease").yiaddr)
        true(200 <= last(a.address) <= 220, f"address {a.address}")
        a.fetch(f"{server.url}/boot?mac={a.mac}&platform=pcbios&buildarch=i386")
        until(lambda: f"{a.mac},{a.address},{one['name']}\n" in hosts(), 20, f"its line in the host file, now {hosts()!r}")
        equal(true(b.lease(), "no lease on br1").yiaddr, b.address, "address on br1")

    with t.case("what does not fit is refused, and what was in force stays"):
        for ranges, options, why in (
                (("10.77.0.100,10.77.0.150", "10.99.0.1,10.99.0.9"), "",
                 r"--dhcp-range 10\.99\.0\.1,10\.99\.0\.9 lies in the subnet of no --interface \(br0 has 10\.77\.0\.1/24, br1 has 10\.78\.0\.1/24\)"),
                (("10.77.0.100,10.77.0.150", "10.78.0.50,10.78.0.57", "10.77.0.140,10.77.0.160"), "", r"--dhcp-range \S+ and --dhcp-range \S+ overlap"),
                (("10.77.0.100,10.77.0.150",), "", r"no --dhcp-range lies in the network of --interface br1"),
                (("10.77.0.100,10.77.0.150", "10.78.0.50,10.78.0.57"), "dhcp-router = 192.0.2.1\n", r"--dhcp-router 192\.0\.2\.1: 192\.0\.2\.1 is not in the network of any --interface")):
            configure(*ranges, options=options)
            hangup("DHCP goes on as it was: " + why)
        equal(true(a.lease(), "no lease").yiaddr, a.address, "address")
