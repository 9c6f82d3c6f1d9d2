# SPDX-License-Identifier: GPL-2.0-or-later
"""What people do with a whole disk (promote, snapshot, clone, restore, maintenance, reset), beside two copies of the same disk: by cp and by
qemu-img. And a version that is published for a thousand machines."""
import http.client, json, os, random, socket, subprocess, time

from lab import say, settle
from report import median
from scale import MIB
from targets import Failed, Sanbootd, iload, line_of_script

DISK_BYTES = 40 << 30
GOAL_MS, PUBLISH_GOAL_MS, MACHINES = 100, 1000, 1000
PIECE = 1 * MIB                     # what is written lies in pieces all over the disk
PIECES_AT_ONCE = 512
CLOSED_SECONDS = 60


class Server(Sanbootd):
    def api(self, method, path, body=None):
        c = http.client.HTTPConnection("localhost", timeout=600)
        c.sock = socket.socket(socket.AF_UNIX)
        try:
            c.sock.connect(self.runtime.name + "/control.sock")
            c.request(method, "/api/v1/" + path, json.dumps(body if body is not None else {}), {"Content-Type": "application/json"})
            r = c.getresponse()
            got = json.loads(r.read())
        finally:
            c.close()
        if r.status >= 300:
            raise Failed(f"{method} {path}: {r.status} {got}")
        return got

    def timed_ms(self, method, path, body=None):
        began = time.monotonic()
        self.api(method, path, body)
        return (time.monotonic() - began) * 1000

    def closed_disk(self, name):
        end = time.monotonic() + CLOSED_SECONDS
        while not (disk := self.api("GET", "machines/" + name)["disk"])["clean"]:
            if time.monotonic() > end:
                raise Failed(f"the disk of {name} is not closed within {CLOSED_SECONDS} s")
            time.sleep(0.1)
        return disk["path"]

    def boot(self, mac):
        """It boots, and writes 1 MiB: nothing of what comes then is that of a disk that nobody has used."""
        c = http.client.HTTPConnection(self.http, timeout=60)
        c.request("GET", f"/boot?mac={mac}&platform=pcbios&buildarch=i386")
        r = c.getresponse()
        self.write_list([line_of_script(r.status, r.read().decode())])
        c.close()
        iload(self, "-n", 1, "-q", 4, "-b", "64k", "-w", "write", "--region", "0:1m", "-d", 0.2)


def qemu(*argv, **more):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if p.returncode:
        raise Failed(f"{' '.join(map(str, argv))}: {p.stdout.strip()[:500]}")
    return p.stdout


def offset_of(piece, pieces):
    return 64 * MIB + piece * ((DISK_BYTES - 128 * MIB) // pieces) // PIECE * PIECE


def fill(path, size_bytes):
    pieces = size_bytes // PIECE
    for first in range(0, pieces, PIECES_AT_ONCE):
        lines = "".join(f"write -P {1 + n % 250} {offset_of(n, pieces)} {PIECE}\n" for n in range(first, min(pieces, first + PIECES_AT_ONCE)))
        said = qemu("qemu-io", "-f", "qcow2", "-n", "-t", "writeback", path, input=lines)
        if "failed" in said:
            raise Failed(f"qemu-io: {said[-500:]}")


def holds(path, size_bytes):
    """What was written reads so, where anybody looks."""
    pieces = size_bytes // PIECE
    for n in (0, pieces // 2, pieces - 1):
        said = qemu("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {1 + n % 250} {offset_of(n, pieces)} {PIECE}", path)
        if "verification failed" in said:
            raise Failed(f"{path} has lost what was written at piece {n}")


def copies(server, path, times):
    """The same disk, by those who copy."""
    to = os.path.join(server.dir, "copy")
    for name, argv in (("cp --reflink=never", ["cp", "--reflink=never", path, to]),
                       ("qemu-img convert", ["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", path, to])):
        settle()
        began = time.monotonic()
        qemu(*argv)
        times.setdefault(name, []).append((time.monotonic() - began) * 1000)
        os.unlink(to)


def one_round(server, number, size_bytes, times):
    name, mac = f"life-{number}", f"52:54:00:b1:00:{number:02x}"
    m = "machines/" + name

    def timed(what, method, path, body=None):
        settle()
        times.setdefault(what, []).append(server.timed_ms(method, path, body))

    def written():
        server.boot(mac)
        path = server.closed_disk(name)
        fill(path, size_bytes)
        return path

    server.api("POST", "machines", {"machines": [{"name": name, "macs": [mac]}]})
    copies(server, written(), times)
    timed("promote", "POST", m + "/promote", {"image": f"promoted-{number}"})
    server.boot(mac)
    server.closed_disk(name)
    timed("snapshot", "POST", m + "/snapshots", {"label": "now"})
    server.boot(mac)
    server.closed_disk(name)
    timed("clone", "POST", m + "/clone", {"name": f"clone-{number}"})
    holds(server.api("GET", f"machines/clone-{number}")["disk"]["path"], size_bytes)
    server.boot(mac)
    server.closed_disk(name)
    timed("restore", "POST", m + "/restore", {"label": "now"})
    holds(server.closed_disk(name), size_bytes)
    timed("maintenance, begin", "POST", m + "/maintenance", {})
    written()
    timed("maintenance, end", "DELETE", m + "/maintenance", {})
    holds(server.closed_disk(name), size_bytes)
    timed("reset, layers stay", "POST", m + "/reset")
    written()
    timed("reset, all goes", "POST", m + "/reset")
    server.api("DELETE", f"machines/clone-{number}", {"for_good": True})
    server.api("DELETE", m, {"for_good": True})
    # The versions go as well: the next round has the room again.
    server.api("DELETE", f"images/promoted-{number}")
    for version in reversed(server.api("GET", "images/golden")["versions"]):
        if version["state"] == "draft":
            server.api("DELETE", f"images/golden@{version['version']}")


def publish(server, machines, result):
    """One more version of an image that so many machines have."""
    for first in range(0, machines, 500):
        server.api("POST", "machines", {"machines": [{"name": f"many-{n}", "macs": [f"52:54:00:b2:{n >> 8:02x}:{n & 255:02x}"]}
                                                      for n in range(first, min(machines, first + 500))]})
    server.api("POST", "machines/many-0/snapshots", {"label": "now"})
    server.api("POST", "machines/many-0/promote", {"image": "golden", "snapshot": "now"})
    newest = max(v["version"] for v in server.api("GET", "images/golden")["versions"])
    result["publish_ms"] = server.timed_ms("POST", f"images/golden@{newest}/publish")
    result["publish_machines"] = machines
    met = "met" if result["publish_ms"] < PUBLISH_GOAL_MS else "MISSED"
    print(f"published for {machines} machines in {result['publish_ms']:.0f} ms (goal {PUBLISH_GOAL_MS}: {met})")


def measure(directory, scale, result):
    size_bytes, machines = scale.life_bytes // PIECE * PIECE, min(MACHINES, 10 * scale.wide)
    golden = directory + "-life.raw"
    r = random.Random(3)
    with open(golden, "wb") as f:
        f.write(r.randbytes(8 * MIB))
        f.truncate(DISK_BYTES)
    say(f"a machine with {DISK_BYTES >> 30} GiB, of which {size_bytes / (1 << 30):.2f} GiB are written")
    server = Server(directory + "-life", golden, machines)
    times = {}
    try:
        for number in range(scale.life_rounds):
            one_round(server, number, size_bytes, times)
        publish(server, machines, result)
    finally:
        server.stop()
        os.unlink(golden)
    result.update(disk_bytes=DISK_BYTES, written_bytes=size_bytes, ms=times, machines=machines)
    print(f"\nwhole disks: {DISK_BYTES >> 30} GiB, {size_bytes / (1 << 30):.2f} GiB written, {scale.life_rounds} rounds")
    for what, all_ms in times.items():
        copy = what in ("cp --reflink=never", "qemu-img convert")
        verdict = "" if copy else f"  goal {GOAL_MS}: {'met' if max(all_ms) < GOAL_MS else 'MISSED'}"
        print(f"  {what:20} median {median(all_ms):9.1f} ms, most {max(all_ms):9.1f} ms{verdict}")
