# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot storm: a recorded boot of Debian (tests/sim/boots), replayed without think times by machines that are new to the server."""
import concurrent.futures, csv, http.client, itertools, os, random, re, threading, time

import report
from targets import TOP, Constant, Failed, Sanbootd, finish, iload, line_of_script

TRACE = os.path.join(TOP, "tests", "sim", "boots", "debian-first-boot.csv")
DISK_BYTES, BLOCK, DEPTH = 1536 << 20, 512, 16
GOAL, ENROL_SECONDS, RSS_KB, SLACK_BYTES = 1.7, 2.0, 1024, 1 << 20
CLIENTS = 16            # that ask for boot scripts at a time


def records():
    with open(TRACE) as f:
        for row in csv.DictReader(f):
            yield row["op"], int(row["lba"]), int(row["blocks"])


def golden(path):
    """Every block that the boot reads holds data; the rest are holes."""
    r = random.Random(2)
    with open(path, "wb") as f:
        f.truncate(DISK_BYTES)
        for op, lba, blocks in records():
            if op == "R":
                f.seek(lba * BLOCK)
                f.write(r.randbytes(blocks * BLOCK))


def written_bytes():
    """What a child has to store: the pages of 4 KiB that the boot writes to."""
    pages = set()
    for op, lba, blocks in records():
        if op == "W":
            pages.update(range(lba // 8, (lba + blocks + 7) // 8))
    return len(pages) * 4096


def rss_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def cache_kb(server):
    """What of that is the golden cache's."""
    c = http.client.HTTPConnection(server.http, timeout=60)
    c.request("GET", "/metrics")
    text = c.getresponse().read().decode()
    c.close()
    return int(re.search(r"^sanbootd_golden_cache_used_bytes (\d+)", text, re.M).group(1)) >> 10


def enrol(server, first, count):
    """New machines, all at once; gives the lines for iload and the seconds that it took."""
    local = threading.local()
    clients = itertools.count(2)

    def one(n):
        if not hasattr(local, "c"):
            # The server lets so many new machines come from one address.
            local.c = http.client.HTTPConnection(server.http, timeout=60, source_address=(f"127.0.1.{next(clients)}", 0))
        for _ in range(200):
            local.c.request("GET", f"/boot?mac=52:54:00:57:{n >> 8:02x}:{n & 255:02x}&platform=pcbios&buildarch=i386")
            r = local.c.getresponse()
            text = r.read().decode()
            if r.status != 503:
                return line_of_script(r.status, text)
            time.sleep(0.01)
        raise Failed("the server is too busy to enrol")

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        began = time.monotonic()
        lines = list(pool.map(one, range(first, first + count)))
        return lines, time.monotonic() - began


def replay(target, machines, *more):
    return iload(target, "-n", machines, "-q", DEPTH, "--trace", TRACE, "--no-barrier", "--login-par", 48, *more)


def children_bytes(server, count):
    """Space of the largest of the newest children, with what lies beside them."""
    sizes = {}
    for root, _, files in os.walk(os.path.join(server.state, "children")):
        for name in files:
            key = name.split(".")[0]
            sizes[key] = sizes.get(key, 0) + os.stat(os.path.join(root, name)).st_blocks * 512
    if len(sizes) < count:
        raise Failed(f"{len(sizes)} children of {count} machines in {server.state}/children")
    return max(sizes.values())


def step(directory, machines, repetitions):
    """One size of a storm: verified once, then beside the bound."""
    image = os.path.join(os.path.dirname(directory), "storm.raw")
    if not os.path.exists(image):
        golden(image)
    os.makedirs(directory)
    server = bound = None
    row = {"machines": machines}
    try:
        server = Sanbootd(directory, image, machines * (repetitions + 1), auth="chap")
        bound = Constant(directory, DISK_BYTES, machines)
        idle_kb = rss_kb(server.pid)
        lines, row["enrol_s"] = enrol(server, 0, machines)
        server.write_list(lines)
        verified = replay(server, machines, "--base", image)
        row["verified_blocks"] = verified["verified"]
        row["verified_s"] = verified["secs"]
        row["rss_kb_per_machine"] = (rss_kb(server.pid) - cache_kb(server) - idle_kb) / machines
        row["child_bytes"] = children_bytes(server, machines)
        runs, bounds = [], []
        for i in range(repetitions):
            server.write_list(enrol(server, machines * (i + 1), machines)[0])
            runs.append(replay(server, machines))
            bounds.append(replay(bound, machines))
        row["seconds"] = report.median(r["secs"] for r in runs)
        row["bound_seconds"] = report.median(r["secs"] for r in bounds)
        row["cpu_ms_per_boot"] = 1000 * report.median(r["target_cpu_s"] for r in runs) / machines
        row["bound_cpu_ms_per_boot"] = 1000 * report.median(r["target_cpu_s"] for r in bounds) / machines
        row["time_ratio"] = report.median(a["secs"] / b["secs"] for a, b in zip(runs, bounds))
        row["cpu_ratio"] = report.median(a["target_cpu_s"] / b["target_cpu_s"] for a, b in zip(runs, bounds))
        row["mbps"] = report.median(sum(r[k]["bytes"] for k in ("read", "write")) / 1e6 / r["secs"] for r in runs)
    finally:
        for t in (server, bound):
            if t:
                t.stop()
    return row


# ---- cold and slow ----

THROTTLE_BPS, THROTTLE_IOPS = 60 << 20, 400     # about a hard disk


class Throttle:
    """Slow reads for a process from the disk that holds a directory; made by cgroups of version 1 or 2, as root."""

    def __init__(self, directory, pid):
        device = os.stat(directory).st_dev
        self.path, numbers = None, f"{os.major(device)}:{os.minor(device)}"
        with open("/sys/dev/block/" + numbers + "/uevent") as f:
            partition = "PARTN=" in f.read()
        if partition:             # limits are set for whole disks
            with open(f"/sys/dev/block/{numbers}/../dev") as f:
                numbers = f.read().strip()
        name = f"sanbootd-bench-{os.getpid()}"
        try:
            if os.path.isdir("/sys/fs/cgroup/blkio"):
                self.path = "/sys/fs/cgroup/blkio/" + name
                os.mkdir(self.path)
                self.put("blkio.throttle.read_bps_device", f"{numbers} {THROTTLE_BPS}")
                self.put("blkio.throttle.read_iops_device", f"{numbers} {THROTTLE_IOPS}")
            else:
                with open("/sys/fs/cgroup/cgroup.subtree_control", "w") as f:
                    f.write("+io")
                self.path = "/sys/fs/cgroup/" + name
                os.mkdir(self.path)
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


def read_bytes(pid):
    with open(f"/proc/{pid}/io") as f:
        return int(re.search(r"^read_bytes: (\d+)", f.read(), re.M).group(1))


def drop(path):
    """Out of the page cache."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def cold(directory, machines):
    """The storm, while the golden image is on a slow disk and not in memory; and what a machine that is hot feels of it."""
    image = os.path.join(os.path.dirname(directory), "storm.raw")
    if not os.path.exists(image):
        golden(image)
    os.makedirs(directory)
    accounting = "/proc/sys/kernel/task_delayacct"
    with open(accounting, "r+") as f:
        was = f.read().strip()
        f.seek(0)
        f.write("1")
    server = throttle = None
    try:
        server = Sanbootd(directory, image, 2 * machines + 1, auth="chap")
        lines, _ = enrol(server, 0, 2 * machines + 1)
        # The hot one reads what it has written itself: that is in memory, whatever the golden image is.
        hot = type("Hot", (), {"name": "sanbootd", "address": server.address, "pid": server.pid, "list": server.list + ".hot"})
        with open(hot.list, "w") as f:
            f.write(lines.pop() + "\n")
        reads = ["-n", 1, "-q", 1, "-b", "4k", "-w", "randread", "--region", f"{1 << 30}:{(1 << 30) + (16 << 20)}"]
        iload(hot, "-n", 1, "-b", "256k", "-w", "write", "--pass", *reads[-2:])
        # The golden image is dropped before anybody has read it (nor has the golden cache any of it), then the same with all in memory.
        rows = {}
        for what in ("cold", "warm"):
            server.write_list(lines[:machines] if what == "warm" else lines[machines:])
            if what == "cold":
                for root, _, files in os.walk(os.path.join(server.state, "images")):
                    for name in files:
                        drop(os.path.join(root, name))
                throttle = Throttle(server.state, server.pid)
            else:
                throttle.leave(server.pid)
            before, bytes_before = io_loop(server.pid), read_bytes(server.pid)
            p = iload(hot, *reads, "-d", 2 if what == "warm" else 4, wait=False)
            rows[what] = replay(server, machines, "--base", image)
            rows[what + "_hot"] = finish(p, hot)
            after = io_loop(server.pid)
            rows[what + "_faults"], rows[what + "_waited_s"] = after[0] - before[0], after[1] - before[1]
            rows[what + "_read_bytes"] = read_bytes(server.pid) - bytes_before
    finally:
        if server:
            server.stop()
        if throttle:
            throttle.end()
        with open(accounting, "w") as f:
            f.write(was)
    return {"machines": machines, "distinct_bytes": distinct_bytes(), "warm_s": rows["warm"]["secs"], "cold_s": rows["cold"]["secs"],
            "read_bytes": rows["cold_read_bytes"], "loop_faults": rows["cold_faults"], "loop_waited_s": rows["cold_waited_s"],
            "hot_p99_us": rows["cold_hot"]["read"]["p99_us"], "hot_p50_us": rows["cold_hot"]["read"]["p50_us"],
            "warm_p99_us": rows["warm_hot"]["read"]["p99_us"], "warm_p50_us": rows["warm_hot"]["read"]["p50_us"]}


def distinct_bytes():
    pages = set()
    for op, lba, blocks in records():
        if op == "R":
            pages.update(range(lba // 8, (lba + blocks + 7) // 8))
    return len(pages) * 4096


def measure_cold(directory, quick):
    os.makedirs(directory, exist_ok=True)
    row = cold(os.path.join(directory, "cold"), 16 if quick else 64)
    ratio = row["read_bytes"] / row["distinct_bytes"]
    missed = [name for name, bad in (("bytes read", ratio > 1.05), ("loop waited", row["loop_waited_s"] > 0 or row["loop_faults"] > 0),
                                     ("hot machine", row["hot_p99_us"] > 3 * row["warm_p99_us"])) if bad]
    print(f"\nCold and slow: {row['machines']} machines, golden image not in memory, {THROTTLE_BPS >> 20} MB/s and {THROTTLE_IOPS} reads a second\n"
          f"  storm {row['cold_s']:.1f} s (in memory {row['warm_s']:.1f} s); read from the disk {row['read_bytes'] / 1e6:.1f} MB of"
          f" {row['distinct_bytes'] / 1e6:.1f} MB needed: {ratio:.2f} x (goal 1.05)\n"
          f"  the I/O loop waited {row['loop_waited_s']:.2f} s for a disk, {row['loop_faults']} major faults (goal 0)\n"
          f"  a machine whose data is in memory: p50 {row['warm_p50_us']:.0f} -> {row['hot_p50_us']:.0f} us, p99 {row['warm_p99_us']:.0f} ->"
          f" {row['hot_p99_us']:.0f} us  " + ("MISSED: " + ", ".join(missed) if missed else "met"))
    return dict(row, missed=missed)


def judge(row, written):
    """The goals that this row misses."""
    missed = []
    if row["machines"] == 256 and row["enrol_s"] > ENROL_SECONDS:
        missed.append("enrolment")
    if row["time_ratio"] > GOAL:
        missed.append("time")
    if row["cpu_ratio"] > GOAL:
        missed.append("CPU")
    if row["machines"] > 1 and row["rss_kb_per_machine"] > RSS_KB:
        missed.append("memory")
    if row["child_bytes"] > written + SLACK_BYTES:
        missed.append("disk")
    return missed


def measure(directory, quick):
    os.makedirs(directory)
    written = written_bytes()
    rows = []
    print(f"\nBoot storm: a boot of {sum(b for o, _, b in records() if o == 'R') * BLOCK / 1e6:.0f} MB read, "
          f"{sum(b for o, _, b in records() if o == 'W') * BLOCK / 1e6:.1f} MB written; every machine is new\n"
          f"{'machines':>8} {'enrolled':>9} {'verified':>9} {'storm':>8} {'bound':>8} {'ratio':>6}  {'CPU a boot':>10} {'bound':>8} {'ratio':>6}"
          f"  {'MB/s':>6} {'RSS each':>9} {'disk each':>10}")
    for n in (1, 16, 64) if quick else (1, 16, 64, 256, 1000):
        row = step(os.path.join(directory, str(n)), n, 1 if quick or n > 256 else 3)
        row["missed"] = judge(row, written)
        rows.append(row)
        print(f"{n:8} {row['enrol_s']:7.2f} s {row['verified_s']:7.2f} s {row['seconds']:6.2f} s {row['bound_seconds']:6.2f} s {row['time_ratio']:6.2f}"
              f"  {row['cpu_ms_per_boot']:7.1f} ms {row['bound_cpu_ms_per_boot']:5.1f} ms {row['cpu_ratio']:6.2f}  {row['mbps']:6.0f}"
              f" {row['rss_kb_per_machine']:6.0f} KB {row['child_bytes'] / 1e6:7.2f} MB  "
              + ("MISSED: " + ", ".join(row["missed"]) if row["missed"] else "met"), flush=True)
    print(f"  goals: time and CPU {GOAL} x the bound, 256 enrolled in {ENROL_SECONDS:.0f} s, {RSS_KB} KB a machine,"
          f" disk {written / 1e6:.2f} MB written + {SLACK_BYTES / 1e6:.2f} MB")
    return {"steps": rows, "written_bytes": written}
