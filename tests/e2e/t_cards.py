#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines with several network cards, of which one is on our network; and several machines at one dock, which have its card in turns."""
from e2e import *

PLACEHOLDER = "03000200-0400-0500-0006-000700080009"          # boards whose maker has given them no UUID
CARDS = ("52:54:00:e2:0c:01", "52:54:00:e2:0c:02")


def autoexec():
    """As iPXE for UEFI loads it from beside itself."""
    with open(server.runtime + "/tftp/br0/autoexec.ipxe") as f:
        return f.read()


with Suite() as t:
    server = Server(t.lan).tiny()
    t.lan.bridge("br1")                                        # nobody answers there

    with t.case("the first card is on a dead network: it boots by the second one, is known by it, and its system uses it"):
        vm = VM(t.lan, 1, mac=CARDS[1], first=("br1", CARDS[0]), uuid=PLACEHOLDER, serial="None", args=("-smbios", "type=2,serial=B\u00fc 7"))
        name = vm.proof(count=1)["hostname"]
        machine = server.machine(name)
        vm.ask("sh cat /sys/firmware/ibft/ethernet0/mac; ip -4 -o addr show eth1", rf"{CARDS[1]}[^$]*inet {machine['address']}/")
        vm.poweroff()
        server.closed(name)
        equal((machine["macs"], machine["other_macs"]), ([CARDS[1]], [CARDS[0]]), "its cards")
        equal((machine["board_serial"], machine["secure_boot"]), ("B?? 7", "unknown"), "what it says of its board")

    with t.case("its first card comes to our network: that waits for a person, who makes it another card of the machine"):
        vm = VM(t.lan, 1, name="vm1-other", mac=CARDS[0], first=("br1", CARDS[1]), uuid=PLACEHOLDER, serial="None")
        vm.wait(rf"SANBOOTD new MAC address {CARDS[0]}, but network card {CARDS[1]}")
        waits, = server.waiting()
        equal((waits["reason"], waits["machine"], waits["other_macs"]), ("swap", name, [CARDS[1]]), "what waits")
        equal(len(server.machines()), 1, "number of machines")
        server.ctl("machine", "approve", waits["number"])
        vm.wait(f"SANBOOTD machine {name} boots tiny")
        vm.stop()
        equal(sorted(server.machine(name)["macs"]), sorted(CARDS), "its cards")

    with t.case("autoexec.ipxe: the first card is in a network with a DHCP server of somebody else's; the second one is asked as well"):
        t.lan.neighbour("foreign", "10.88.0.1", ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--interface=eth0", "--dhcp-range=10.88.0.100,10.88.0.200",
                        "--pid-file=", "--user=root", "--log-facility=-", f"--dhcp-leasefile={t.lan.dir}/foreign.leases"], bridge="br1")
        with open(script := os.path.join(t.lan.dir, "autoexec.ipxe"), "w") as f:
            f.write(autoexec())
        vm = VM(t.lan, 2, first=("br1", "52:54:00:e2:0c:03"), rom="none", args=("-kernel", "/usr/lib/ipxe/ipxe.lkrn", "-initrd", script))
        vm.wait("SANBOOTD machine pc-002 boots tiny")
        vm.stop()
        equal(server.machine_of(vm)["other_macs"], ["52:54:00:e2:0c:03"], "its other cards")

    with t.case("a second machine at the same dock is told so, and is another machine once a person says that"):
        uuids = ["5a4b0075-0000-4000-8000-00000000d0c" + str(n) for n in range(4)]
        laptop = lambda n: VM(t.lan, 3, name=f"laptop{n}", uuid=uuids[n], serial=f"laptop{n}")
        dock = "52:54:00:e2:00:03"
        server.ask(dock, uuid=uuids[1], serial="laptop1")
        first = server.machine(dock)["name"]
        vm = laptop(2)
        vm.wait(rf"SANBOOTD conflict: the MAC address {dock} belongs")
        number = vm.wait(r"machine approve (\d+) --dock").group(1)
        code, _, err = server.run("machine", "approve", number, "--name", "second")
        equal((code, "--dock" in err), (1, True), f"approved by a name alone: {err}")
        server.ctl("machine", "approve", number, "--dock", "--name", "second")
        vm.wait("SANBOOTD machine second boots tiny")
        vm.stop()

    with t.case("from then on each of them has its own disk, whoever is at the dock, and a third one is enrolled like any other"):
        vm = laptop(1)
        vm.wait(f"SANBOOTD machine {first} boots tiny")
        vm.stop()
        equal((server.machine(first)["macs"], server.machine(first)["shared_macs"]), ([dock], [dock]), "its MACs")
        true("boots" in server.ask(dock, uuid=uuids[3]) and len(server.machines()) == 5, "the third one is not enrolled")
        true("tells no UUID" in server.ask(dock), "one that tells no UUID")
        code, _, err = server.run("machine", "show", dock)
        equal((code, "several machines share" in err), (1, True), f"machine show {dock}: {err}")
        code, _, err = server.run("machine", "mac", "unshare", first, dock)
        equal((code, "several machines have" in err), (1, True), f"machine mac unshare: {err}")
        with open(server.runtime + "/dnsmasq.hosts") as f:
            equal([line.split(",")[0] for line in f.read().split() if line.startswith(dock)], [dock], "its lines in the host file")
