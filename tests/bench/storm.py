# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot storm: a recorded boot of Debian (tests/sim/boots), replayed without think times by machines that are new to the server."""
import concurrent.futures, csv, http.client, os, random, re, threading, time

import report
from targets import TOP, Constant, Failed, Sanbootd, iload, line_of_script

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


def enrol(server, first, count):
    """New machines, all at once; gives the lines for iload and the seconds that it took."""
    local = threading.local()

    def one(n):
        if not hasattr(local, "c"):
            local.c = http.client.HTTPConnection(server.http, timeout=60)
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
    return iload(target, "-n", machines, "-q", DEPTH, "--trace", TRACE, "--no-barrier", "--login-par", 256, *more)


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
        row["rss_kb_per_machine"] = (rss_kb(server.pid) - idle_kb) / machines
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
