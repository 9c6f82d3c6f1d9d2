#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What each kind of firmware is told to load, in full and in proxy mode, and that it can load it.

Real clients where there are any: OVMF by HTTP boot, arm64 UEFI where qemu-system-arm and qemu-efi-aarch64 are installed. The rest (IA32, vendors' iPXE
without HTTP, Secure Boot) is a client of packets, dhcpclient.py, which asks as that firmware would and fetches what it is told."""
import struct

from e2e import *
import dhcpclient

AAVMF = os.environ.get("AAVMF", "/usr/share/AAVMF/AAVMF_CODE.fd")
QEMU_ARM = os.environ.get("QEMU_ARM", "qemu-system-aarch64")
HTTP_ONLY = ("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")


def boot_files(folder):
    """iPXE's files for every architecture: Debian's, and stand-ins for those that Debian 12 does not have."""
    os.makedirs(folder + "/arm64")
    for name in ("undionly.kpxe", "ipxe.efi", "snponly.efi"):
        shutil.copyfile("/usr/lib/ipxe/" + name, f"{folder}/{name}")
    for name in ("arm64/snponly.efi", "snponly-i386.efi"):
        with open(f"{folder}/{name}", "w") as f:
            f.write("stand-in for " + name)
    return folder


def signed(path, signer):
    """The file, an EFI program, with a certificate table: nobody verifies it here."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    directories = struct.unpack_from("<I", data, 0x3c)[0] + 24 + 112
    struct.pack_into("<II", data, directories + 4 * 8, len(data), len(signer))
    return bytes(data) + signer


def release_files(folder):
    """x64 as in ipxeboot.tar.gz of iPXE 2.0.0 (src/util/gensrvimg), with Debian's iPXE."""
    os.makedirs(folder + "/x86_64")
    os.makedirs(folder + "/x86_64-sb")
    shutil.copyfile("/usr/lib/ipxe/undionly.kpxe", folder + "/undionly.kpxe")
    for name in ("ipxe.efi", "snponly.efi"):
        shutil.copyfile("/usr/lib/ipxe/" + name, f"{folder}/x86_64/{name}")
        os.symlink("x86_64/" + name, f"{folder}/{name}")
        with open(f"{folder}/x86_64-sb/{name}", "wb") as f:
            f.write(signed("/usr/lib/ipxe/" + name, b"iPXE"))
        os.symlink("shimx64.efi", f"{folder}/x86_64-sb/{name[:-4]}-shim.efi")
    with open(folder + "/x86_64-sb/shimx64.efi", "wb") as f:
        f.write(signed("/usr/lib/ipxe/ipxe.efi", b"Microsoft Corporation UEFI CA 2011"))
    os.symlink("x86_64-sb", folder + "/sb")
    return folder


def fetched(url, path):
    """By TFTP or HTTP, the same bytes as the file."""
    with open(path, "rb") as f:
        true(client.fetch(url) == f.read(), f"{url} is not {path}")


def every_architecture(t, server, proxy):
    """The packet-level client: PXE and HTTP boot of each architecture, then iPXE with and without HTTP."""
    ask = lambda **how: client.ask(proxy=proxy, **how)
    tftp, http_ = f"tftp://{t.lan.ip}/", f"http://{t.lan.ip}:8080/ipxe/"
    for arch, name in ((0, "undionly.kpxe"), (6, "snponly-i386.efi"), (7, "snponly.efi"), (9, "snponly.efi"), (11, "arm64/snponly.efi")):
        got = ask(arch=arch)
        equal((got.server, got.file), (t.lan.ip, name), f"PXE, architecture {arch}")
        fetched(tftp + name, f"{ipxe}/{name}")
    for arch, name in ((15, "snponly-i386.efi"), (16, "snponly.efi"), (19, "arm64/snponly.efi")):
        got = ask(arch=arch, vendor="HTTPClient")
        equal((got.vendor, got.file), ("HTTPClient", http_ + name), f"HTTP boot, architecture {arch}")
        fetched(http_ + name, f"{ipxe}/{name}")
    for arch in (0, 7, 11):
        for features, what in ((dhcpclient.IPXE_HTTP, "with HTTP"), (dhcpclient.IPXE_NO_HTTP, "without HTTP")):
            got = ask(arch=arch, ipxe=features)
            equal((got.server, got.file), (t.lan.ip, "boot.ipxe"), f"iPXE {what}, architecture {arch}")
            if not proxy:
                equal(got.no_proxy, True, "iPXE is told that no proxy will answer")
    got = client.fetch(tftp + "boot.ipxe").decode()
    true(got.startswith("#!ipxe\n") and f"http://{t.lan.ip}:8080/boot?" in got, f"boot.ipxe by TFTP: {got[:80]!r}")


with Suite() as t:
    ipxe = boot_files(os.path.join(t.lan.dir, "ipxe"))
    client = dhcpclient.Client(t.lan)
    server = Server(t.lan, extra=["--ipxe-dir", ipxe]).tiny()

    with t.case("full: every architecture, by PXE and by HTTP boot (packets)"):
        every_architecture(t, server, proxy=False)

    with t.case("full: no wait for an IPv6 router that is not there (stock iPXE ROM)"):
        # the harness has one; from here on there is none, and the bridge has but its link-local address
        if t.lan.ipv6:
            next(p for p in t.lan.things if p.name == "router6").stop()
            sh("ip addr del fd00:e2e::1/64 dev br0")
        times = []
        while len(times) < 4 and min(times, default=99) >= 10:                     # with the wait: 13 s more than the 1 to 3 s that it takes
            vm = VM(t.lan, 3)
            vm.wait(r"SANBOOTD asks http://10\.77\.0\.1:8080 as " + vm.mac, 60)
            times.append(time.monotonic() - vm.t0)
            print(f"# power-on to script: {times[-1]:.1f} s", flush=True)
            vm.stop()
        true(min(times) < 10, f"it took {min(times):.1f} s at best")

    with t.case("full: OVMF's HTTP boot"):
        vm = VM(t.lan, 1, uefi=True, rom="none", args=HTTP_ONLY)
        vm.proof(count=1, fw="uefi")
        true(vm.seen(r"URI: http://10\.77\.0\.1:8080/ipxe/snponly\.efi"), "it did not boot by HTTP")
        vm.poweroff()

    with t.case("leases and boot files in the status"):
        dhcp = server.api("status")["dhcp"]
        lease = next((l for l in dhcp["leases"] if l["mac"] == vm.mac), None)
        true(lease and lease["address"].startswith(t.lan.net) and lease["expires_ms"] > time.time() * 1000, f"leases: {dhcp['leases']}")
        equal(lease["name"], server.machine_of(vm)["name"], "name of the lease")
        equal({f["machines"]: f["file"] for f in dhcp["boot_files"]}["UEFI arm64"], "arm64/snponly.efi", "boot file")
        equal(dhcp["missing_boot_files"], [], "missing boot files")

    with t.case("Debian 12's boot files: what is missing is said, nothing is refused"):
        server.stop()
        server.argv = server.argv[:-2]
        server.start()
        missing = server.api("status")["dhcp"]["missing_boot_files"]
        equal([m["machines"] for m in missing], ["UEFI IA32", "UEFI arm64"], "missing boot files")
        equal(len(re.findall(r"UEFI arm64 machines cannot boot: there is no \S+ in /usr/lib/ipxe \(package ipxe of Debian 13", server.log())), 1, "said")
        equal(client.ask(arch=11).file, "", "boot file for arm64")

    with t.case("Secure Boot: a shim in --ipxe-dir is served (packets)"):
        server.stop()
        shutil.copyfile(ipxe + "/snponly.efi", ipxe + "/snponly-shimx64.efi")
        server.argv += ["--ipxe-dir", ipxe]
        server.start()
        equal(client.ask(arch=7).file, "snponly-shimx64.efi", "boot file")
        fetched(f"tftp://{t.lan.ip}/snponly-shimx64.efi", ipxe + "/snponly-shimx64.efi")
        true("enrolled by hand (MOK)" in server.ctl("status"), "that the loader is not signed is not said")
        os.unlink(ipxe + "/snponly-shimx64.efi")

    with t.case("Secure Boot: the shim of iPXE's release and what it loads beside itself (packets)"):
        server.stop()
        release = release_files(os.path.join(t.lan.dir, "ipxeboot"))
        server.argv += ["--ipxe-dir", release]
        server.start()
        shim, loader = "x86_64-sb/snponly-shim.efi", "x86_64-sb/snponly.efi"
        equal(client.ask(arch=7).file, shim, "boot file")
        equal(client.ask(arch=16, vendor="HTTPClient").file, f"http://{t.lan.ip}:8080/ipxe/{shim}", "boot file by HTTP")
        for name in (shim, loader):
            fetched(f"tftp://{t.lan.ip}/{name}", f"{release}/{name}")
            fetched(f"http://{t.lan.ip}:8080/ipxe/{name}", f"{release}/{name}")
        needs = "may be on where the firmware trusts Microsoft Corporation UEFI CA 2011"
        true(f"UEFI x64: {shim}; Secure Boot {needs}\n" in server.ctl("status"), f"status: {server.ctl('status')}")
        true(f"UEFI x64 machines are given {shim}, which starts {loader}; Secure Boot {needs}" in server.log(), "the log does not say it")
        server.argv += ["--ipxe-dir", ipxe]
        server.stop()
        server.start()

    name = "arm64: AAVMF's PXE fetches the boot file"
    if not shutil.which(QEMU_ARM) or not os.path.exists(AAVMF):
        t.skip(name, "apt install qemu-system-arm qemu-efi-aarch64 to run it")
    else:
        with t.case(name):
            arm = Process(t.lan, "arm64", [QEMU_ARM, "-machine", "virt", "-cpu", "cortex-a57", "-m", "512", "-nodefaults", "-nographic", "-serial", "stdio",
                                           "-bios", AAVMF, "-netdev", f"tap,id=n0,ifname={t.lan.tap()},script=no,downscript=no",
                                           "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:e2:00:aa,bootindex=1,romfile="])
            arm.out.wait(r"NBP filename is arm64/snponly\.efi", 240, "arm64")
            arm.out.wait(r"NBP file downloaded successfully", 60, "arm64")
            arm.stop(signal.SIGKILL)

    server.stop()
    t.lan.neighbour("router", f"{t.lan.net}.254", ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--interface=eth0", "--bind-interfaces",
                                                   f"--dhcp-range={t.lan.net}.150,{t.lan.net}.160,1h", "--no-ping",
                                                   f"--dhcp-leasefile={t.lan.dir}/router.leases", "--pid-file=", "--user=root",
                                                   "--log-facility=-", "--log-dhcp"])
    server = Server(t.lan, dhcp="proxy", state=server.state, extra=["--ipxe-dir", ipxe])

    with t.case("proxy: every architecture, by PXE and by HTTP boot (packets)"):
        every_architecture(t, server, proxy=True)

    with t.case("proxy: OVMF's HTTP boot"):
        vm = VM(t.lan, 2, uefi=True, rom="none", args=HTTP_ONLY)
        got = vm.proof(count=1, fw="uefi")
        true(re.match(re.escape(t.lan.net) + r"\.1[56]\d/", got["ip"]), f"address {got['ip']} is not the router's")
        true(vm.seen(r"URI: http://10\.77\.0\.1:8080/ipxe/snponly\.efi"), "it did not boot by HTTP")
        vm.poweroff()
