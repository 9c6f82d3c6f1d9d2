# SPDX-License-Identifier: GPL-2.0-or-later
"""The first boot on a cold server with a slow disk: with what earlier boots taught, without it, and with all in memory."""
import glob, os, shutil, time

from cold import THROTTLE_BPS, THROTTLE_IOPS, Throttle
from disk_reads import drop, read_bytes
from report import median
from storm import DISK_BYTES, TRACE, enrol, golden, pages_bytes
from targets import Failed, Sanbootd, iload

DEPTH = 4               # a system that comes up waits for most of what it reads
FIRMWARE_SECONDS = 5    # between a server's start, or a script, and a system that reads: a BIOS and a loader take longer
STEADY_SECONDS = 20     # of reading without a restart: then what was read before is learnt
ROOM, READ_GOAL = 16, 1.05
KINDS = {               # what is told of it, and the arguments of one()
    "memory": ("all in memory (the tenth machine)", (True, 0, True)),
    "unknown": ("nothing learnt", (False, 0)),
    "at once": ("learnt, it reads at once", (True, 0)),
    "later": (f"learnt, it reads {FIRMWARE_SECONDS} s after the start", (True, FIRMWARE_SECONDS)),
    "room": (f"{ROOM} machines at once, nothing learnt", (False, 0, False, ROOM)),
    "learnt room": (f"{ROOM} machines at once, learnt", (True, 0, False, ROOM)),
}


class Server(Sanbootd):
    """One that can go away and come back over the same state."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.machines = 0

    def script(self, count=1):
        """Of machines that are new."""
        self.write_list(enrol(self, self.machines, count)[0])
        self.machines += count

    def boot(self, count=1):
        return iload(self, "-n", count, "-q", DEPTH, "--trace", TRACE, "--no-barrier")["secs"]

    def learnt(self):
        return glob.glob(os.path.join(self.state, "images", "*.bootset"))


def teach(server):
    """One boot that gets steady: then there is a read set."""
    server.script()
    server.boot()
    p = iload(server, "-n", 1, "-q", 1, "-b", "4k", "-w", "randread", "--region", "0:4k", "--rate", 2, "-d", 2 * STEADY_SECONDS, wait=False)
    try:
        end = time.monotonic() + 2 * STEADY_SECONDS
        while not server.learnt():
            if time.monotonic() > end or p.poll() is not None:
                raise Failed(f"nothing was learnt; see {server.log}")
            time.sleep(0.1)
    finally:
        p.kill()
        p.communicate()


def one(server, image, known, wait, warm=False, machines=1):
    """Seconds of a boot, and bytes from the disk since the server's start, its own read-ahead with them."""
    kept = server.learnt()[0]
    server.stop()
    if not known:
        os.rename(kept, kept + ".away")
    if warm:
        with open(image, "rb") as f:
            while f.read(1 << 20):
                pass
    else:
        drop(image)
    try:
        server.begin()
        server.script(machines)
        time.sleep(wait)
        seconds = server.boot(machines)
        return {"seconds": seconds, "read_bytes": read_bytes(server.pid), "ahead_bytes": server.metric("sanbootd_readahead_bytes_total")}
    finally:
        if not known:
            os.rename(kept + ".away", kept)


def boots(server, scale):
    """Every kind of first boot, in rounds."""
    rows, throttle = {}, None
    try:
        teach(server)
        image = glob.glob(os.path.join(server.state, "images", "*.raw"))[0]
        # All that this process starts from now on reads slowly.
        throttle = Throttle(server.state, os.getpid())
        for _ in range(scale.first_rounds):
            for name in scale.first:
                rows.setdefault(name, []).append(one(server, image, *KINDS[name][1]))
    finally:
        server.stop()
        if throttle:
            throttle.leave(os.getpid())
    return rows


def measure(directory, scale, result):
    os.makedirs(directory, exist_ok=True)
    source, place = golden(os.path.join(directory, "storm.raw")), os.path.join(directory, "first")
    os.makedirs(place)
    try:
        rows = boots(Server(place, source, 1 + scale.first_rounds * len(scale.first) * ROOM), scale)
    finally:
        shutil.rmtree(place)
    result.update({name: {key: median(r[key] for r in got) for key in got[0]} for name, got in rows.items()})
    needed, base = pages_bytes("R"), result["memory"]["seconds"]
    print(f"\nFirst boot of a cold server, {THROTTLE_BPS >> 20} MB/s and {THROTTLE_IOPS} reads a second; {needed / 1e6:.1f} MB needed, "
          f"of a disk of {DISK_BYTES / 1e6:.0f} MB")
    for name in rows:
        r = result[name]
        print(f"  {KINDS[name][0]:36} {r['seconds']:6.2f} s {r['seconds'] / base:6.1f} x   {r['read_bytes'] / 1e6:6.1f} MB from the disk "
              f"({r['read_bytes'] / needed:.2f} x), {r['ahead_bytes'] / 1e6:6.1f} MB of it ahead")
    missed = [name for name in rows if result[name]["read_bytes"] > READ_GOAL * needed]
    print(f"  goal: {READ_GOAL} x what is needed from the disk  " + ("MISSED: " + ", ".join(missed) if missed else "met"), flush=True)
    result.update(needed_bytes=needed, missed=missed)
