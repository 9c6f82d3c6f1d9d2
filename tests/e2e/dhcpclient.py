# SPDX-License-Identifier: GPL-2.0-or-later
"""A DHCP client made of packets: asks as a certain firmware would, and says what it was told to load.

For firmware that there is no real client of. It is a neighbour on the LAN; takes the offer with a boot file, and in proxy mode goes on to
port 4011, as PXE clients do (PXE 2.1, section 2.2)."""
import ctypes, os, select, socket, struct, subprocess, threading, time

from e2e import Failed, SLOW, until

# Option 175 of iPXE: its version, then features: 0x11 iSCSI, 0x13 HTTP, 0x18 menus.
IPXE_NO_HTTP = bytes.fromhex("eb0301001511010118010100")[:11]
IPXE_HTTP = IPXE_NO_HTTP + bytes.fromhex("130101")


class Told:
    """What an answer says."""

    def __init__(self, packet):
        self.yiaddr, siaddr = (socket.inet_ntoa(packet[a:a + 4]) for a in (16, 20))
        self.options = {}
        at = 240
        while at < len(packet) and packet[at] != 255:
            if packet[at] == 0:
                at += 1
                continue
            size = packet[at + 1]
            self.options[packet[at]] = self.options.get(packet[at], b"") + packet[at + 2:at + 2 + size]
            at += 2 + size
        text = lambda b: b.split(b"\0")[0].decode()
        self.file = text(self.options.get(67) or packet[108:236])
        self.kind = self.options.get(53, b"\0")[0]
        self.vendor = text(self.options.get(60, b""))
        self.id = socket.inet_ntoa(self.options[54]) if 54 in self.options else ""
        self.server = siaddr if siaddr != "0.0.0.0" else self.id
        self.item = self.menu_item()
        self.no_proxy = b"\xb0\x01\x01" in self.options.get(175, b"")
        self.lease_s = int.from_bytes(self.options.get(51, b""), "big")
        addresses = lambda b: [socket.inet_ntoa(b[i:i + 4]) for i in range(0, len(b), 4)]
        self.routers, self.dns, self.ntp = (addresses(self.options.get(o, b"")) for o in (3, 6, 42))
        self.host, self.domain = text(self.options.get(12, b"")), text(self.options.get(15, b""))

    def menu_item(self):
        """Option 43, for port 4011: the first entry of the boot menu is chosen."""
        menu, at = self.options.get(43, b""), 0
        while at + 1 < len(menu) and menu[at] != 255:
            if menu[at] == 9:
                return bytes([43, 7, 71, 4]) + menu[at + 2:at + 4] + bytes([0, 0, 255])
            at += 2 + menu[at + 1]
        return b""


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    return ~((total >> 16) + (total & 0xFFFF)) & 0xFFFF


def message(mac, xid, kind, arch, vendor, ipxe, address="0.0.0.0", more=b""):
    """arch None: somebody who does not boot from the network."""
    options = bytes([53, 1, kind]) + more
    if arch is not None:
        options += bytes([93, 2]) + struct.pack(">H", arch) + bytes([94, 3, 1, 3, 16, 97, 17, 0]) + b"sanbootd-e2e-uid"
        vendor = f"{vendor}:Arch:{arch:05d}:UNDI:003016".encode()
        options += bytes([60, len(vendor)]) + vendor
    asked = [1, 3, 6, 12, 15, 42, 43, 51, 54, 60, 66, 67, 175]
    options += bytes([55, len(asked), *asked])
    if ipxe:
        options += bytes([77, 4]) + b"iPXE" + bytes([175, len(ipxe)]) + ipxe
    head = struct.pack(">4B4sHH", 1, 1, 6, 0, xid, 0, 0x8000) + socket.inet_aton(address) + bytes(12) + mac + bytes(10 + 64 + 128)
    return head + bytes.fromhex("63825363") + options + b"\xff"


def broadcast(raw, mac, payload):
    udp = struct.pack(">4H", 68, 67, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    raw.send(b"\xff" * 6 + mac + b"\x08\x00" + head + udp)


def answers(raw, xid, seconds):
    """Payloads of UDP packets to port 68 of this transaction, until the time is over."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not select.select([raw], [], [], left)[0]:
            return
        packet = raw.recv(2048)
        ip = packet[14:]
        udp = ip[(ip[0] & 15) * 4:]
        if packet[12:14] == b"\x08\x00" and ip[9] == 17 and udp[2:4] == b"\0\x44" and udp[12:16] == xid and len(udp) > 248:
            yield udp[8:]


TRIES = 3       # a datagram may be lost, so firmware asks again


class NoAnswer(Failed):
    """Of the boot server that an offer named."""


class Client:
    """Somebody on the LAN at .250 who asks for others."""

    def __init__(self, lan, name="client", address=None, bridge="br0"):
        self.address = address or lan.net + ".250"
        self.process = lan.neighbour(name, self.address, ["sleep", "infinity"], bridge=bridge)
        inside = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "ip", "-4", "-o", "addr", "show", "dev", "eth0"]
        until(lambda: self.address.encode() in subprocess.run(inside, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout, 10, f"{name}'s address")
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind(("eth0", 0))
            self.own = raw.getsockname()[4]                       # its MAC
        self.mac = self.own.hex(":")

    def set_address(self, address):
        """It has this address from now on."""
        for command in ("addr flush dev eth0", f"addr add {address}/24 dev eth0"):
            subprocess.run(["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "ip", *command.split()], check=True)
        self.address = address

    def lease(self, mac=None, arch=0, ipxe=None, seconds=2):
        """DISCOVER, OFFER, REQUEST, ACK: what the ACK says. None: nobody offered anything."""
        mac, xid, got = mac or self.own, os.urandom(4), None
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as raw:
            raw.bind(("eth0", 0))
            for kind, more in ((1, lambda: b""), (3, lambda: bytes([54, 4]) + socket.inet_aton(got.id) + bytes([50, 4]) + socket.inet_aton(got.yiaddr))):
                for _ in range(TRIES):
                    broadcast(raw, mac, message(mac, xid, kind, arch, "PXEClient", ipxe, more=more()))
                    said = next((p for p in map(Told, answers(raw, xid, seconds * SLOW / TRIES)) if p.kind == {1: 2, 3: 5}[kind]), None)
                    if said:
                        break
                if not said:
                    return None
                got = said
        return got

    def offers(self, servers, arch=0, seconds=12):
        """What each of these servers offers to one DISCOVER, by its address."""
        xid, got = os.urandom(4), {}
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as raw:
            raw.bind(("eth0", 0))
            for _ in range(TRIES):
                broadcast(raw, self.own, message(self.own, xid, 1, arch, "PXEClient", None))
                for offer in map(Told, answers(raw, xid, seconds * SLOW / TRIES)):
                    got[offer.id] = offer
                    if set(servers) <= set(got):
                        return got
        raise Failed(f"offers came from {sorted(got)} only")

    def socket(self, *kind):
        """A socket in its network namespace."""
        made = []
        def make():
            with open(f"/proc/{self.process.pid}/ns/net") as f:
                if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), 0):        # of this thread only
                    made.append(Failed(f"setns: {os.strerror(ctypes.get_errno())}"))
                else:
                    made.append(socket.socket(*kind))
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], Exception):
            raise made[0]
        return made[0]

    def fetch(self, url):
        """Bytes, by TFTP or HTTP."""
        got = subprocess.run(["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "curl", "-sS", "-f", "-m", "20", url],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if got.returncode:
            raise Failed(f"{url}: {got.stderr.decode().strip()}")
        return got.stdout

    def ask(self, arch, vendor="PXEClient", ipxe=None, proxy=False, seconds=12, again=False, mac=None):
        """What this firmware is told: the offer with a boot file, or in proxy mode what port 4011 then says. mac: as text; else any."""
        mac = bytes.fromhex(mac.replace(":", "")) if mac else b"\x52\x54\x00\xe3" + os.urandom(2)
        xid = os.urandom(4)
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as raw:
            raw.bind(("eth0", 0))
            offers, named = [], None
            for _ in range(TRIES):
                broadcast(raw, mac, message(mac, xid, 1, arch, vendor, ipxe))
                for payload in answers(raw, xid, seconds * SLOW / TRIES):
                    offer = Told(payload)
                    offers.append(offer)
                    # beside another server: that one's offer has an address and nothing to boot
                    if not proxy or offer.yiaddr == "0.0.0.0":
                        named = offer
                        break
                if named:
                    break
        if not named:
            raise Failed(f"architecture {arch}, {vendor}: no offer but {[vars(o) for o in offers]}")
        if named.file or not proxy:
            return named
        try:
            return self.boot_server(mac, xid, arch, vendor, ipxe, named, seconds)
        except NoAnswer as e:
            # Firmware begins again with DISCOVER.
            if again:
                raise
            print(f"# {e}: asked again from the beginning", flush=True)
            return self.ask(arch, vendor, ipxe, proxy, seconds, again=True, mac=mac.hex(":"))

    def boot_server(self, mac, xid, arch, vendor, ipxe, offer, seconds):
        """The question to the boot server, port 4011."""
        with self.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(seconds * SLOW / TRIES)
            s.bind((self.address, 68))
            for _ in range(TRIES):
                s.sendto(message(mac, xid, 3, arch, vendor, ipxe, address=self.address, more=offer.item), (offer.id, 4011))
                try:
                    return Told(s.recv(2048))
                except TimeoutError:
                    continue
            raise NoAnswer(f"architecture {arch}, {vendor}: no answer from {offer.id} port 4011")
