#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sanbootctl dhcp-snippet: the site's own DHCP server takes it, says the right thing to every firmware, and machines boot with sanbootd --dhcp off.

dnsmasq is always there; dhcpd and kea-dhcp4 where installed (or named by DHCPD and KEA). Windows, OpenWrt and RouterOS cannot be run here."""
from e2e import *
import dhcpclient

DHCPD = os.environ.get("DHCPD", "/usr/sbin/dhcpd")
KEA = os.environ.get("KEA", "/usr/sbin/kea-dhcp4")
HTTP_ONLY = ("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")


def write(name, text):
    path = os.path.join(t.lan.dir, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def accepted(name, argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode:
        raise Failed(f"{name} refuses it: {p.stdout.strip()[-400:]}")


def told_right(what):
    """Every firmware, by packets."""
    url = f"http://{t.lan.ip}:8080"
    def answer(**how):
        def asked():
            try:
                return client.ask(**how)
            except Failed:
                return None                            # it may still be starting
        return until(asked, 20, f"{what}: an answer to {how}")
    for arch, name in ((0, "undionly.kpxe"), (6, "ipxe-i386.efi"), (7, "snponly.efi"), (9, "snponly.efi"), (11, "ipxe-arm64.efi")):
        got = answer(arch=arch)
        equal((got.server, got.file), (t.lan.ip, name), f"{what}: PXE, architecture {arch}")
    for arch, name in ((15, "ipxe-i386.efi"), (16, "snponly.efi"), (19, "ipxe-arm64.efi")):
        got = answer(arch=arch, vendor="HTTPClient")
        equal((got.vendor, got.file), ("HTTPClient", f"{url}/ipxe/{name}"), f"{what}: HTTP boot, architecture {arch}")
    for arch in (0, 7, 11):
        got = answer(arch=arch, ipxe=dhcpclient.IPXE_HTTP)
        equal((got.file, got.no_proxy), (url + "/boot.ipxe", True), f"{what}: iPXE, architecture {arch}")
        got = answer(arch=arch, ipxe=dhcpclient.IPXE_NO_HTTP)
        equal((got.server, got.file), (t.lan.ip, "boot.ipxe"), f"{what}: iPXE without HTTP, architecture {arch}")


with Suite() as t:
    client = dhcpclient.Client(t.lan)
    server = Server(t.lan, dhcp="off", extra=["--interface", "br0"]).tiny()
    tftp = server.api("status")["dhcp"].get("tftp", False)

    with t.case("all six are printed, with the address of the API or of --server"):
        for kind in ("isc", "kea", "dnsmasq", "windows", "openwrt", "routeros"):
            text = server.ctl("dhcp-snippet", kind)
            true(f"http://{t.lan.ip}:8080/boot.ipxe" in text and "undionly.kpxe" in text and f"http://{t.lan.ip}:8080/ipxe/snponly.efi" in text,
                 f"{kind}: {text[:200]!r}")
            true("@" not in text, f"{kind}: a place was left open")
            code, text, _ = server.run("--runtime-dir", "/nonexistent", "dhcp-snippet", kind, "--server", "192.0.2.7:81")
            true(code == 0 and "http://192.0.2.7:81/boot.ipxe" in text and t.lan.ip not in text, f"{kind} --server: {code} {text[:200]!r}")
        equal(server.run("dhcp-snippet", "isc", "--server", 'x"; }')[0], 2, "exit code for an address that is none")
        equal(server.run("dhcp-snippet", "nobody")[0], 2, "exit code for an unknown server")

    with t.case("dnsmasq takes it (--test), and answers every firmware rightly (packets)"):
        snippet = server.ctl("dhcp-snippet", "dnsmasq")
        conf = write("site.conf", f"port=0\ninterface=eth0\nbind-interfaces\ndhcp-range={t.lan.net}.150,{t.lan.net}.160,1h\nno-ping\nlog-dhcp\n" + snippet)
        accepted("dnsmasq", ["dnsmasq", "--test", "-C", conf])
        site = t.lan.neighbour("site", f"{t.lan.net}.254", ["dnsmasq", "-k", "-C", conf, f"--dhcp-leasefile={t.lan.dir}/site.leases", "--pid-file=",
                                                            "--user=root", "--log-facility=-"])
        told_right("dnsmasq")

    with t.case("beside that dnsmasq: BIOS, iPXE ROM"):
        vm = VM(t.lan, 1)
        got = vm.proof(count=1, fw="bios")
        true(re.match(re.escape(t.lan.net) + r"\.1[56]\d/", got["ip"]), f"address {got['ip']} is not the site's")
        vm.poweroff()

    with t.case("beside that dnsmasq: OVMF's HTTP boot"):
        vm = VM(t.lan, 2, uefi=True, rom="none", args=HTTP_ONLY)
        vm.proof(count=1, fw="uefi")
        vm.poweroff()

    name = "beside that dnsmasq: OVMF's PXE, our TFTP"
    if not tftp:
        t.skip(name, "this sanbootd serves no TFTP with --dhcp off --interface br0")
    else:
        with t.case(name):
            vm = VM(t.lan, 3, uefi=True, rom="none")
            vm.proof(count=1, fw="uefi")
            vm.poweroff()
    site.stop()

    name = "ISC dhcpd takes it (-t), and answers every firmware rightly (packets)"
    if not os.access(DHCPD, os.X_OK):
        t.skip(name, "apt install isc-dhcp-server to run it")
    else:
        with t.case(name):
            conf = write("dhcpd.conf", f"ping-check false;\nsubnet {t.lan.net}.0 netmask 255.255.255.0 {{ range {t.lan.net}.150 {t.lan.net}.190; }}\n" + server.ctl("dhcp-snippet", "isc"))
            accepted("dhcpd", [DHCPD, "-t", "-cf", conf])
            site = t.lan.neighbour("dhcpd", f"{t.lan.net}.253", [DHCPD, "-f", "-d", "-cf", conf, "-lf", write("dhcpd.leases", ""), "-pf", t.lan.dir + "/dhcpd.pid", "eth0"])
            told_right("dhcpd")
            site.stop()

    name = "Kea takes it (-t), and answers every firmware rightly (packets)"
    if not os.access(KEA, os.X_OK):
        t.skip(name, "apt install kea-dhcp4-server to run it")
    else:
        with t.case(name):
            os.environ.update(KEA_LOCKFILE_DIR=t.lan.dir, KEA_PIDFILE_DIR=t.lan.dir)
            snippet = server.ctl("dhcp-snippet", "kea")
            accepted("kea-dhcp4", [KEA, "-t", write("snippet.kea", snippet)])
            config = json.loads(re.sub(r"(?m)^//.*$", "", snippet))
            config["Dhcp4"].update({"interfaces-config": {"interfaces": ["eth0"]}, "lease-database": {"type": "memfile", "persist": False},
                                    "subnet4": [{"id": 1, "subnet": t.lan.net + ".0/24", "pools": [{"pool": f"{t.lan.net}.150 - {t.lan.net}.190"}]}]})
            site = t.lan.neighbour("kea", f"{t.lan.net}.252", [KEA, "-c", write("kea.conf", json.dumps(config))])
            told_right("kea")
            site.stop()
