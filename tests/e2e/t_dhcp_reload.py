#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGHUP after an edit of the configuration file: DHCP changes its mode and range, running machines notice nothing, a bad edit changes nothing."""
from e2e import *


def configure(text):
    with open(conf, "w") as f:
        f.write("interface = br0\n" + text)


def hangup(mode):
    server.proc.proc.send_signal(signal.SIGHUP)
    until(lambda: (d := server.api("status")["dhcp"])["mode"] == mode and d["state"] in ("up", "stopped"), 20, f"mode {mode}")


with Suite() as t:
    conf = os.path.join(t.lan.dir, "sanbootd.conf")
    configure(f"dhcp = full\ndhcp-range = {t.lan.net}.100,{t.lan.net}.110\n")
    server = Server(t.lan, dhcp="off", extra=["--config", conf], start=False)
    at = server.argv.index("--dhcp")
    del server.argv[at:at + 2]                    # a flag would win over the file
    server.start().tiny()
    vm = VM(t.lan, 1)
    first = vm.proof(count=1)
    vm.send("tick")
    vm.tick(1)

    with t.case("SIGHUP: full to proxy, to off, to full with another range, with a machine running"):
        configure("dhcp = proxy\n")
        hangup("proxy")
        vm.tick(1)
        configure("dhcp = off\n")
        hangup("off")
        vm.tick(1)
        configure(f"dhcp = full\ndhcp-range = {t.lan.net}.120,{t.lan.net}.130\n")
        hangup("full")
        vm.tick(2)
        vm.no_errors()
        other = VM(t.lan, 2)
        true(re.match(re.escape(t.lan.net) + r"\.1[23]\d/", other.proof(count=1)["ip"]), "an address of the old range")

    with t.case("SIGHUP: a range that does not fit, and a file that cannot be read, change nothing"):
        pid = server.api("status")["dhcp"]["pid"]
        configure("dhcp = full\ndhcp-range = 10.99.0.1,10.99.0.9\n")
        server.proc.proc.send_signal(signal.SIGHUP)
        server.wait_log(r"DHCP goes on as it was: --dhcp-range 10\.99\.0\.1,10\.99\.0\.9 lies in the subnet of no --interface")
        configure("dhcp = fool\n")
        server.proc.proc.send_signal(signal.SIGHUP)
        server.wait_log(r"the configuration was not read again")
        dhcp = server.api("status")["dhcp"]
        equal((dhcp["mode"], dhcp["state"], dhcp["pid"]), ("full", "up", pid), "DHCP")
        vm.tick(1)
        vm.no_errors()
