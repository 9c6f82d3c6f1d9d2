#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot files from the running daemon, by TFTP (its dnsmasq) and by HTTP: under which names, beside what, and in parts. No machine boots here: a
neighbour on the LAN asks as firmware and loaders do."""
import socket, struct, urllib.parse

from e2e import *
import dhcpclient

LOADERS = ("undionly.kpxe", "snponly.efi", "arm64/snponly.efi", "i386-efi/snponly.efi")
NAMES = (".treeinfo", ".disk/info", "old~", "live (amd64)", "gr\u00fcn", "100%")


def put(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def read_request(name, seconds=10):
    """A read request to port 69 (RFC 1350): the kind of the first answer (3 data, 5 error), its bytes, and how long it took."""
    with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(seconds * SLOW)
        t0 = time.monotonic()
        s.sendto(b"\0\1" + os.fsencode(name) + b"\0octet\0", (t.lan.ip, 69))
        try:
            packet, _ = s.recvfrom(2048)
        except TimeoutError:
            raise Failed(f"{name} by TFTP: no answer")
    return struct.unpack(">H", packet[:2])[0], packet[4:], time.monotonic() - t0


def scripts_beside_loaders():
    for folder in {os.path.dirname(name) for name in LOADERS}:
        kind, text, _ = read_request(os.path.join(folder, "autoexec.ipxe"))
        equal(kind, 3, f"answer to {folder}/autoexec.ipxe")
        true(text.startswith(b"#!ipxe\n") and f"--replace --autofree tftp://{t.lan.ip}/boot.ipxe".encode() in text, f"{folder}/autoexec.ipxe: {text!r}")
        url = f"http://{t.lan.ip}:8080"
        text = client.fetch("/".join(filter(None, (url, "ipxe", folder, "autoexec.ipxe")))).decode()
        true(text.startswith("#!ipxe\n") and f"--replace --autofree {url}/boot.ipxe" in text, f"{folder}/autoexec.ipxe by HTTP: {text!r}")
    for name in LOADERS:
        equal(read_request(name)[:2], (3, name.encode()), name)
    for name in ("nothing.ipxe", "arm64/nothing.ipxe", "x86_64/autoexec.ipxe"):
        kind, text, seconds = read_request(name)
        equal((kind, b"not found" in text), (5, True), f"answer to {name}, which is not there ({text!r})")
        true(seconds < 5 * SLOW, f"it took {seconds:.1f} s")             # iPXE would wait 30 s


def curl(*args):
    p = subprocess.run(["nsenter", f"--net=/proc/{client.process.pid}/ns/net", "curl", "-sS", "-m", "60", *args], stdout=subprocess.PIPE)
    equal(p.returncode, 0, f"curl {args}")
    return p.stdout


with Suite() as t:
    ipxe, files, tmp = (os.path.join(t.lan.dir, d) for d in ("ipxe", "boot-files", "fetched"))
    for name in LOADERS:
        put(ipxe, name, name)
    for name in NAMES:
        put(ipxe, name, "tftp " + name)
        put(files, name, "http " + name)
    client = dhcpclient.Client(t.lan)
    extra = ["--ipxe-dir", ipxe, "--boot-files", files]
    server = Server(t.lan, dhcp="off", extra=extra + ["--interface", "br0"])
    base = f"http://{t.lan.ip}:8080/boot-files/"

    with t.case("off: autoexec.ipxe beside every loader by TFTP, signed or not; what is not there is said at once"):
        scripts_beside_loaders()

    with t.case("boot files may have any name, by TFTP and by HTTP"):
        for name in NAMES:
            equal(read_request(name)[:2], (3, f"tftp {name}".encode()), name + " by TFTP")
            equal(client.fetch(base + urllib.parse.quote(name)).decode(), "http " + name, name + " by HTTP")

    with t.case("HTTP: a download goes on where it stopped, of 5 GiB, and from the beginning where the file has changed"):
        iso = os.path.join(files, "boot.iso")
        with open(iso, "wb") as f:
            f.truncate(5 << 30)
            f.seek((5 << 30) - 100)
            f.write(b"x" * 100)
        with open(tmp, "wb") as f:
            f.truncate((5 << 30) - 40)                                   # what curl has already
        curl("-f", "-C", "-", "-o", tmp, base + "boot.iso")
        with open(tmp, "rb") as f:
            f.seek((5 << 30) - 60)
            equal(f.read(), b"\0" * 20 + b"x" * 40, "the end of the file")
        os.unlink(tmp)
        tag = re.search(rb'(?mi)^ETag: ("[^"]+")\r$', curl("-I", base + "boot.iso"))[1].decode()
        ask = lambda: curl("-o", "/dev/null", "-w", "%{http_code}", "-H", f"If-Match: {tag}", "-r", "0-511", base + "boot.iso")
        equal(ask(), b"206", "answer")
        put(files, "boot.iso", "another")
        equal(ask(), b"412", "answer after a change")

    with t.case("HTTP: //ipxe/x and http://server/ipxe/x in the request are /ipxe/x"):
        for target in ("//ipxe/snponly.efi", "/ipxe//snponly.efi", "http://elsewhere/ipxe/snponly.efi"):
            equal(curl("-f", "--path-as-is", "--request-target", target, base), b"snponly.efi", target)

    server.stop()
    server = Server(t.lan, state=server.state, extra=extra)

    with t.case("full: autoexec.ipxe beside every loader by TFTP, signed or not; what is not there is said at once"):
        scripts_beside_loaders()

    server.stop()
    server = Server(t.lan, dhcp="proxy", state=server.state, extra=extra)

    with t.case("proxy: autoexec.ipxe beside every loader by TFTP, signed or not; what is not there is said at once"):
        scripts_beside_loaders()
    server.stop()
