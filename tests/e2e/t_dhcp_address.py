#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The server gets another address while it runs: what machines are told to load, and from where, follows without SIGHUP (clients of packets)."""
from e2e import *
import dhcpclient

UEFI_HTTP = 16                              # architecture: x64 UEFI HTTP boot


def url():
    return client.ask(UEFI_HTTP, "HTTPClient").file


def readdress(old, new):
    sh(f"ip addr del {old}/24 dev br0")
    sh(f"ip addr add {new}/24 dev br0")


with Suite() as t:
    server = Server(t.lan)
    client = dhcpclient.Client(t.lan)
    moved = t.lan.net + ".9"
    pid = server.api("status")["dhcp"]["pid"]

    with t.case("another address in the same network: the URL for HTTP boot and the script by TFTP name it"):
        true(url().startswith(f"http://{t.lan.ip}:8080/ipxe/"), f"URL {url()}")
        readdress(t.lan.ip, moved)
        until(lambda: server.events("address-changed"), 20, "the event")
        until(lambda: server.api("status")["dhcp"]["state"] == "up", 20, "dnsmasq is up")
        true(url().startswith(f"http://{moved}:8080/ipxe/"), f"URL {url()}")
        true(f"http://{moved}:8080/boot?" in client.fetch(f"tftp://{moved}/boot.ipxe").decode(), "the script names the old address")
        equal(server.events("address-changed")[0]["level"], "info", "level of the event")

    with t.case("one in another network, where the range does not fit: an event says what to do, and the way back follows by itself"):
        pid = server.api("status")["dhcp"]["pid"]
        readdress(moved, "10.99.0.1")
        event = until(lambda: [e for e in server.events("address-changed") if e["level"] == "error"], 20, "the event")[0]
        true(re.search(r"lies in the subnet of no --interface .*systemctl reload sanbootd", event["text"]), f"event: {event}")
        readdress("10.99.0.1", t.lan.ip)
        until(lambda: len(server.events("address-changed")) == 3, 20, "the event")
        true(url().startswith(f"http://{t.lan.ip}:8080/ipxe/"), f"URL {url()}")
