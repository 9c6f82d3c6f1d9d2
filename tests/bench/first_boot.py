# SPDX-License-Identifier: GPL-2.0-or-later
"""The first boot on a cold server with a slow disk: with what earlier boots taught, without it, and with all in memory."""
import glob, os, time

import report
from storm import DISK_BYTES, THROTTLE_BPS, THROTTLE_IOPS, TRACE, Throttle, distinct_bytes, drop, enrol, golden, read_bytes
from targets import BUILD, Failed, Sanbootd, iload

DEPTH = 4               # a system that comes up waits for most of what it reads
FIRMWARE_SECONDS = 5    # between a server's start, or a script, and a system that reads: a BIOS and a loader take longer
STEADY_SECONDS = 22
ROOM, READ_GOAL = 16, 1.05


class Server(Sanbootd):
    """One that can go away and come back over the same state."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.machines = 0

    def again(self):
        self.stop()
        m = self.start([os.path.join(BUILD, "sanbootd"), "--threads", 1, "--state-dir", self.state, "--runtime-dir",
                        self.runtime, "--http", "127.0.0.1:0", "--iscsi", "127.0.0.1:0", "--log-level", "info",
                        "--config", "/dev/null"], r"ready http=(\S+) iscsi=(\S+) ")
        self.http, self.address = m.group(1), m.group(2)

    def script(self, count=1):
        """Of machines that are new."""
        self.write_list(enrol(self, self.machines, count)[0])
        self.machines += count

    def boot(self, count=1):
        return iload(self, "-n", count, "-q", DEPTH, "--trace", TRACE, "--no-barrier")["secs"]

    def learnt(self):
        return glob.glob(os.path.join(self.state, "images", "*.bootset"))

    def metric(self, name):
        return int(float(next(line.split()[1] for line in self.ctl_metrics() if line.startswith(name + " "))))

    def ctl_metrics(self):
        import http.client
        c = http.client.HTTPConnection(self.http, timeout=30)
        c.request("GET", "/metrics")
        return c.getresponse().read().decode().splitlines()


def teach(server):
    """One boot that gets steady: then there is a boot set."""
    server.script()
    server.boot()
    iload(server, "-n", 1, "-q", 1, "-b", "4k", "-w", "randread", "--region", "0:4k", "--rate", 2, "-d", STEADY_SECONDS)
    end = time.monotonic() + 20
    while not server.learnt():
        if time.monotonic() > end:
            raise Failed(f"nothing was learnt; see {server.log}")
        time.sleep(0.1)


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
        server.again()
        server.script(machines)
        time.sleep(wait)
        seconds = server.boot(machines)
        return {"seconds": seconds, "read_bytes": read_bytes(server.pid), "ahead_bytes": server.metric("sanbootd_readahead_bytes_total")}
    finally:
        if not known:
            os.rename(kept + ".away", kept)


def measure(directory, quick):
    os.makedirs(directory, exist_ok=True)
    source = os.path.join(directory, "storm.raw")
    if not os.path.exists(source):
        golden(source)
    place = os.path.join(directory, "first")
    os.makedirs(place)
    server = Server(place, source, 64)
    rows, throttle = {}, None
    try:
        teach(server)
        image = glob.glob(os.path.join(server.state, "images", "*.raw"))[0]
        # All that this process starts from now on reads slowly.
        throttle = Throttle(server.state, os.getpid())
        for _ in range(1 if quick else 3):
            for name, args in (("memory", (True, 0, True)), ("unknown", (False, 0)), ("at once", (True, 0)),
                               ("later", (True, FIRMWARE_SECONDS)),
                               ("room", (False, 0, False, ROOM)), ("learnt room", (True, 0, False, ROOM))):
                rows.setdefault(name, []).append(one(server, image, *args))
    finally:
        server.stop()
        if throttle:
            throttle.leave(os.getpid())
    row = {name: {key: report.median(r[key] for r in got) for key in got[0]} for name, got in rows.items()}
    needed, base = distinct_bytes(), row["memory"]["seconds"]
    print(f"\nFirst boot of a cold server, {THROTTLE_BPS >> 20} MB/s and {THROTTLE_IOPS} reads a second; {needed / 1e6:.1f} MB needed, "
          f"of a disk of {DISK_BYTES / 1e6:.0f} MB")
    for name, what in (("memory", "all in memory (the tenth machine)"), ("unknown", "nothing learnt"), ("at once", "learnt, it reads at once"),
                       ("later", f"learnt, it reads {FIRMWARE_SECONDS} s after the start"),
                       ("room", f"{ROOM} machines at once, nothing learnt"), ("learnt room", f"{ROOM} machines at once, learnt")):
        r = row[name]
        print(f"  {what:36} {r['seconds']:6.2f} s {r['seconds'] / base:6.1f} x   {r['read_bytes'] / 1e6:6.1f} MB from the disk "
              f"({r['read_bytes'] / needed:.2f} x), {r['ahead_bytes'] / 1e6:6.1f} MB of it ahead")
    missed = [name for name, r in row.items() if r["read_bytes"] > READ_GOAL * needed]
    print(f"  goal: {READ_GOAL} x what is needed from the disk  " + ("MISSED: " + ", ".join(missed) if missed else "met"))
    return dict(row, needed_bytes=needed, missed=missed)
