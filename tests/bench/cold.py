# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot storm while the golden image lies on a slow disk and not in memory."""
import glob, os, shutil, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from disk_reads import drop, read_bytes
from parts import LastMachine
from storm import enrol, golden, pages_bytes, replay
from targets import Failed, Sanbootd, finish, iload

THROTTLE_BPS, THROTTLE_IOPS = 60 << 20, 400     # about a hard disk
READ_GOAL, P99_GOAL = 1.05, 3
ACCOUNTING = "/proc/sys/kernel/task_delayacct"


class Throttle:
    """Slow reads for a process from the disk that holds a directory; made by cgroups of version 1 or 2, as root."""

    def __init__(self, directory, pid):
        device = os.stat(directory).st_dev
        self.path, numbers = None, f"{os.major(device)}:{os.minor(device)}"
        try:
            with open("/sys/dev/block/" + numbers + "/uevent") as f:
                partition = "PARTN=" in f.read()
            if partition:             # limits are set for whole disks
                with open(f"/sys/dev/block/{numbers}/../dev") as f:
                    numbers = f.read().strip()
            name = f"sanbootd-bench-{os.getpid()}"
            old = os.path.isdir("/sys/fs/cgroup/blkio")
            root = "/sys/fs/cgroup/blkio" if old else "/sys/fs/cgroup"
            for left in glob.glob(os.path.join(root, "sanbootd-bench-*")):
                if not os.path.exists("/proc/" + left.rsplit("-", 1)[1]):
                    os.rmdir(left)
            if not old:
                with open("/sys/fs/cgroup/cgroup.subtree_control", "w") as f:
                    f.write("+io")
            self.path = os.path.join(root, name)
            os.mkdir(self.path)
            if old:
                self.put("blkio.throttle.read_bps_device", f"{numbers} {THROTTLE_BPS}")
                self.put("blkio.throttle.read_iops_device", f"{numbers} {THROTTLE_IOPS}")
            else:
                self.put("io.max", f"{numbers} rbps={THROTTLE_BPS} riops={THROTTLE_IOPS}")
            self.put("cgroup.procs", pid)
        except OSError as e:
            self.end()
            raise Failed(f"no cgroup that limits reads: {e}") from None

    def put(self, name, value):
        with open(os.path.join(self.path, name), "w") as f:
            f.write(str(value))

    def leave(self, pid):
        """The end, for a process that goes on."""
        if self.path:
            with open(os.path.join(os.path.dirname(self.path), "cgroup.procs"), "w") as f:
                f.write(str(pid))
        self.end()

    def end(self):
        if self.path and os.path.isdir(self.path):
            os.rmdir(self.path)
        self.path = None


def io_loop(pid):
    """Of the thread of the I/O loop: major faults, and seconds that it waited for a disk (0 without delay accounting)."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as f:
            name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
        if name.startswith("io-"):
            fields = rest.split()
            return int(fields[9]), int(fields[39]) / os.sysconf("SC_CLK_TCK")
    raise Failed("no thread of an I/O loop")


def storms(server, machines, image):
    """The storm cold, then the same with all in memory; beside each a machine that is hot."""
    lines, _ = enrol(server, 0, 2 * machines + 1)
    server.write_list(lines)
    # The hot one reads what it has written itself: that is in memory, whatever the golden image is.
    hot = LastMachine(server, len(lines))
    region = ["--region", f"{1 << 30}:{(1 << 30) + (16 << 20)}"]
    iload(hot, "-n", 1, "-b", "256k", "-w", "write", "--pass", *region)
    rows, throttle = {}, None
    try:
        # Dropped before anybody has read it: nor has the golden cache any of it.
        for what in ("cold", "warm"):
            server.write_list(lines[:machines] if what == "warm" else lines[machines:-1])
            if what == "cold":
                for path in glob.glob(os.path.join(server.state, "images", "*")):
                    drop(path)
                throttle = Throttle(server.state, server.pid)
            else:
                throttle.leave(server.pid)
            before, bytes_before = io_loop(server.pid), read_bytes(server.pid)
            p = iload(hot, "-n", 1, "-q", 1, "-b", "4k", "-w", "randread", *region, "-d", 2 if what == "warm" else 4, wait=False)
            row = rows[what] = {"storm": replay(server, machines, "--base", image), "hot": finish(p, hot)["read"]}
            after = io_loop(server.pid)
            row["faults"], row["waited_s"] = after[0] - before[0], after[1] - before[1]
            row["bytes"] = read_bytes(server.pid) - bytes_before
    finally:
        server.stop()
        if throttle:
            throttle.end()
    return rows


def measure(directory, scale, result):
    os.makedirs(directory, exist_ok=True)
    image, machines = golden(os.path.join(directory, "storm.raw")), scale.cold_machines
    place = os.path.join(directory, "cold")
    os.makedirs(place)
    with open(ACCOUNTING) as f:
        was = f.read().strip()
    try:
        with open(ACCOUNTING, "w") as f:
            f.write("1")
        rows = storms(Sanbootd(place, image, 2 * machines + 1, auth="chap"), machines, image)
    finally:
        with open(ACCOUNTING, "w") as f:
            f.write(was)
        shutil.rmtree(place)
    cold, warm = rows["cold"], rows["warm"]
    result.update(machines=machines, distinct_bytes=pages_bytes("R"), warm_s=warm["storm"]["secs"], cold_s=cold["storm"]["secs"],
                  read_bytes=cold["bytes"], loop_faults=cold["faults"], loop_waited_s=cold["waited_s"], ops=cold["storm"]["read"]["ops"],
                  hot_p99_us=cold["hot"]["p99_us"], hot_p50_us=cold["hot"]["p50_us"],
                  warm_p99_us=warm["hot"]["p99_us"], warm_p50_us=warm["hot"]["p50_us"])
    ratio = result["read_ratio"] = result["read_bytes"] / result["distinct_bytes"]
    misses = {"bytes read": ratio > READ_GOAL, "loop waited": result["loop_waited_s"] > 0 or result["loop_faults"] > 0,
              "hot machine": result["hot_p99_us"] > P99_GOAL * result["warm_p99_us"]}
    missed = result["missed"] = [what for what, is_missed in misses.items() if is_missed]
    print(f"\nCold and slow: {machines} machines, golden image not in memory, {THROTTLE_BPS >> 20} MB/s and {THROTTLE_IOPS} reads a second\n"
          f"  storm {result['cold_s']:.1f} s (in memory {result['warm_s']:.1f} s); read from the disk {result['read_bytes'] / 1e6:.1f} MB of"
          f" {result['distinct_bytes'] / 1e6:.1f} MB needed: {ratio:.2f} x (goal {READ_GOAL})\n"
          f"  the I/O loop waited {result['loop_waited_s']:.2f} s for a disk, {result['loop_faults']} major faults (goal 0)\n"
          f"  a machine whose data is in memory: p50 {result['warm_p50_us']:.0f} -> {result['hot_p50_us']:.0f} us, p99"
          f" {result['warm_p99_us']:.0f} -> {result['hot_p99_us']:.0f} us  "
          + ("MISSED: " + ", ".join(missed) if missed else "met"), flush=True)
