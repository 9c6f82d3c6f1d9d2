# SPDX-License-Identifier: GPL-2.0-or-later
"""Diskless virtual machines."""
import json, os, signal, socket, subprocess, time

from lan import SLOW, Failed, Process

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
OVMF = os.environ.get("OVMF", "/usr/share/OVMF/OVMF_CODE.fd")


class VM:
    """A diskless machine. Its console can be waited for and written to."""

    def __init__(self, lan, number, uefi=False, rom=None, nic="virtio-net-pci", mem=None, mac=None, uuid=None, serial=None,
                 name=None, action="", reboot=True, args=(), start=True, first=None):
        """first: (bridge, MAC) of another card, which stands and boots before its own."""
        self.lan, self.uefi = lan, uefi
        self.name = name or f"vm{number}"
        self.mac = mac or f"52:54:00:e2:00:{number:02x}"
        self.uuid = uuid or f"5a4b0075-0000-4000-8000-{number:012x}"
        self.mem = mem or (320 if uefi else 128)
        self.tapdev = lan.tap()
        self.qmp_path = f"/run/{self.name}.qmp"               # not in lan.dir: the path of a socket has at most 107 bytes
        before = ["-netdev", f"tap,id=n1,ifname={lan.tap(first[0])},script=no,downscript=no",
                  "-device", f"{nic},netdev=n1,mac={first[1]},bootindex=1"] if first else []
        rom = {None: "", "none": ",romfile="}.get(rom, f",romfile={rom}")
        esc = lambda s: s.replace(",", ",,")
        self.argv = [QEMU, "-name", self.name, "-accel", "tcg,thread=multi,tb-size=128", "-machine", "q35",
                     "-cpu", "Nehalem", "-smp", "1", "-m", str(self.mem), "-nodefaults", "-nographic",
                     "-serial", "stdio", "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                     *before, "-netdev", f"tap,id=n0,ifname={self.tapdev},script=no,downscript=no",
                     "-device", f"{nic},netdev=n0,mac={self.mac},bootindex={2 if first else 1}{rom}",
                     "-device", "virtio-rng-pci", "-uuid", self.uuid,
                     "-smbios", f"type=1,serial={serial or self.name}", "-boot", "strict=on"]
        if action:
            self.argv += ["-smbios", f"type=3,asset=e2e:{esc(action)}"]
        if uefi:
            self.argv += ["-bios", OVMF]
        if not reboot:
            self.argv += ["-no-reboot"]
        self.argv += list(args)
        self.proc = None
        if start:
            self.start()

    def start(self):
        self.t0 = time.monotonic()
        self.proc = Process(self.lan, self.name, self.argv, stdin=subprocess.PIPE)
        return self

    def wait(self, pattern, timeout=180):
        """The first match after what was waited for before, in a line that is complete."""
        return self.proc.out.wait(pattern if pattern.endswith("\\n") else f"(?:{pattern})[^\n]*\n", timeout, self.name)

    def seen(self, pattern):
        return self.proc.out.seen(pattern)

    def proof(self, timeout=240, **want):
        """Waits for the next proof line, compares fields of it (as text), gives all of them."""
        m = self.wait(r"DISKLESS-BOOT-(?:OK|FAILED)([^\n]*)\n", timeout)
        if "FAILED" in m.group(0):
            raise Failed(f"{self.name}: {m.group(0).strip()}")
        got = dict(w.split("=", 1) for w in m.group(1).split() if "=" in w)
        got["seconds"] = time.monotonic() - self.t0
        for k, v in want.items():
            if got.get(k) != str(v):
                raise Failed(f"{self.name}: {k}={got.get(k)} instead of {v} in: {m.group(0).strip()}")
        return got

    def send(self, line):
        """A line for the guest (see tiny-init for what it understands)."""
        self.proc.proc.stdin.write(line.encode() + b"\n")
        self.proc.proc.stdin.flush()

    def ask(self, line, pattern, timeout=60):
        self.proc.out.skip()
        self.send(line)
        return self.wait(pattern, timeout)

    def tick(self, n=1, timeout=120):
        """Waits for the next n synchronous writes of the guest; each must have succeeded."""
        for _ in range(n):
            m = self.wait(r"E2E-TICK (\d+) (\w+)[^\n]*\n", timeout)
            if m.group(2) != "OK":
                raise Failed(f"{self.name}: {m.group(0).strip()}")
        return int(m.group(1))

    def no_errors(self):
        """The guest's kernel and its writer saw no I/O error."""
        for bad in (r"I/O error", r"E2E-TICK \d+ ERROR", r"Remounting filesystem read-only", r"EXT4-fs error"):
            if self.seen(bad):
                raise Failed(f"{self.name}: the guest saw: {bad}; see {self.proc.out.path}")

    def off(self, timeout=60):
        """Waits until it has switched itself off."""
        try:
            self.proc.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name}: did not switch itself off within {timeout * SLOW:.0f} s") from None
        self.proc.stop()

    def poweroff(self):
        self.send("poweroff")
        self.off()

    def stop(self):
        """The plug is pulled."""
        if self.proc:
            self.proc.stop(signal.SIGKILL)

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.qmp_path)
            f = s.makefile("rw")
            f.readline()
            for c in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                f.write(json.dumps(c) + "\n")
                f.flush()
                while "return" not in (answer := json.loads(f.readline())):
                    if "error" in answer:
                        raise Failed(f"{self.name}: {command}: {answer['error']['desc']}")
