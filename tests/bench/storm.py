# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot storm: a recorded boot of Debian (tests/sim/boots), replayed without think times by machines that are new to the server."""
import concurrent.futures, csv, http.client, itertools, os, random, re, shutil, threading, time

from lab import settle
from report import median
from targets import TOP, Constant, Earlier, Failed, Sanbootd, iload, line_of_script

TRACE = os.path.join(TOP, "tests", "sim", "boots", "debian-first-boot.csv")
DISK_BYTES, BLOCK, DEPTH = 1536 << 20, 512, 16
GOAL, ENROL_SECONDS, RSS_KB, SLACK_BYTES = 1.7, 2.0, 1024, 1 << 20
MANY = 256              # machines of the storm that the goals are for; what larger ones cost is held against it
GROWTH = 1.1            # what a machine of a larger storm may cost, as a multiple
CLIENTS = 16            # that ask for boot scripts at a time


def records():
    with open(TRACE) as f:
        for row in csv.DictReader(f):
            yield row["op"], int(row["lba"]), int(row["blocks"])


def golden(path):
    """Every block that the boot reads holds data; the rest are holes. Made once."""
    if os.path.exists(path):
        return path
    r = random.Random(2)
    with open(path + ".new", "wb") as f:
        f.truncate(DISK_BYTES)
        for op, lba, blocks in records():
            if op == "R":
                f.seek(lba * BLOCK)
                f.write(r.randbytes(blocks * BLOCK))
    os.rename(path + ".new", path)
    return path


def pages_bytes(which):
    """Of the distinct pages of 4 KiB that the boot reads (R), or writes (W): what a child has to store."""
    pages = set()
    for op, lba, blocks in records():
        if op == which:
            pages.update(range(lba // 8, (lba + blocks + 7) // 8))
    return len(pages) * 4096


def status_kb(pid, key):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(key + r":\s+(\d+)", f.read()).group(1))


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")


def enrol(server, first, count):
    """New machines, all at once; gives the lines for iload and the seconds that it took."""
    local = threading.local()
    clients = itertools.count(2)
    patience = time.monotonic() + 60 + count * 0.1

    def one(n):
        if not hasattr(local, "c"):
            # The server lets so many new machines come from one address, and so many a second from all.
            local.c = http.client.HTTPConnection(server.http, timeout=60, source_address=(f"127.0.1.{next(clients)}", 0))
        pause = 0.01
        while time.monotonic() < patience:
            local.c.request("GET", f"/boot?mac=52:54:00:57:{n >> 8:02x}:{n & 255:02x}&platform=pcbios&buildarch=i386")
            r = local.c.getresponse()
            text = r.read().decode()
            if r.status != 503:
                return line_of_script(r.status, text)
            time.sleep(pause)
            pause = min(2 * pause, 0.3)
        raise Failed(f"not enrolled within {60 + count * 0.1:.0f} s: {text[:300]!r}")

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        began = time.monotonic()
        lines = list(pool.map(one, range(first, first + count)))
        return lines, time.monotonic() - began


def replay(target, machines, *more):
    return iload(target, "-n", machines, "-q", DEPTH, "--trace", TRACE, "--no-barrier", "--login-par", 48, *more,
                 timeout=120 + machines)


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


def verified(server, machines, image, row):
    """The first boot of each machine, with every byte looked at; and the most memory that it took, with all of them there."""
    idle_kb = status_kb(server.pid, "VmRSS")
    lines, row["enrol_s"] = enrol(server, 0, machines)
    server.write_list(lines)
    forget_peak(server.pid)
    r = replay(server, machines, "--base", image)
    if not r["verified"] or r["unchecked"]:
        raise Failed(f"{r['verified']} blocks verified, {r['unchecked']} not")
    cache_kb = server.metric("sanbootd_golden_cache_used_bytes") >> 10
    row.update(verified_blocks=r["verified"], verified_s=r["secs"], child_bytes=children_bytes(server, machines),
               rss_kb_per_machine=(status_kb(server.pid, "VmHWM") - cache_kb - idle_kb) / machines)


def step(directory, machines, rounds):
    """One size of a storm: verified once, then timed beside the bound."""
    image = golden(os.path.join(os.path.dirname(directory), "storm.raw"))
    os.makedirs(directory)
    server = bound = earlier = None
    row = {"machines": machines}
    try:
        server = Sanbootd(directory, image, machines * (rounds + 1), auth="chap")
        if Earlier.build:
            earlier = Earlier(directory, image, machines * (rounds + 1), auth="chap")
            verified(earlier, machines, image, {})
        bound = Constant(directory, DISK_BYTES, machines)
        verified(server, machines, image, row)
        runs, bounds, others = [], [], []
        for i in range(rounds):
            for target, got in ((server, runs), (earlier, others)):
                if target:
                    target.write_list(enrol(target, machines * (i + 1), machines)[0])
                    settle()
                    got.append(replay(target, machines))
            bounds.append(replay(bound, machines))
    finally:
        for t in (server, earlier, bound):
            if t:
                t.stop()
        shutil.rmtree(directory)
        settle()
    pairs = list(zip(runs, bounds))
    if others:
        row["earlier"] = {"time_ratio": median(a["secs"] / b["secs"] for a, b in zip(runs, others)),
                          "cpu_ratio": median(a["target_cpu_s"] / b["target_cpu_s"] for a, b in zip(runs, others))}
    row.update(seconds=median(r["secs"] for r in runs), bound_seconds=median(r["secs"] for r in bounds),
               cpu_ms_per_boot=1000 * median(r["target_cpu_s"] for r in runs) / machines,
               bound_cpu_ms_per_boot=1000 * median(r["target_cpu_s"] for r in bounds) / machines,
               time_ratio=median(a["secs"] / b["secs"] for a, b in pairs),
               cpu_ratio=median(a["target_cpu_s"] / b["target_cpu_s"] for a, b in pairs),
               mbps=median(sum(r[k]["bytes"] for k in ("read", "write")) / 1e6 / r["secs"] for r in runs),
               ops=sum(r[k]["ops"] for r in runs for k in ("read", "write", "flush")))
    return row


def judge(row, written):
    """The goals that this row misses; None: they are for more machines."""
    if row["machines"] < MANY:
        return None
    misses = {"enrolment": row["machines"] == MANY and row["enrol_s"] > ENROL_SECONDS, "time": row["time_ratio"] > GOAL,
              "CPU": row["cpu_ratio"] > GOAL, "memory": row["rss_kb_per_machine"] > RSS_KB,
              "disk": row["child_bytes"] > written + SLACK_BYTES}
    return [what for what, missed in misses.items() if missed]


def growth(rows):
    """What a machine of the largest storm costs, as multiples of what it costs among 256, or in the storm before."""
    if len(rows) < 2:
        return None
    large = rows[-1]
    small = next((r for r in rows[:-1] if r["machines"] == MANY), rows[-2])
    costs = {"CPU": "cpu_ms_per_boot", "memory": "rss_kb_per_machine", "disk": "child_bytes", "bound's CPU": "bound_cpu_ms_per_boot"}
    times = {what: large[key] / small[key] for what, key in costs.items()}
    missed = [what for what, x in times.items() if x > GROWTH and what != "bound's CPU"]
    judged = small["machines"] >= MANY
    print(f"  a machine among {large['machines']} costs, as a multiple of one among {small['machines']}: "
          + ", ".join(f"{what} {x:.2f}" for what, x in times.items())
          + (f" (goal: {GROWTH} at most)  " + ("MISSED: " + ", ".join(missed) if missed else "met") if judged else ""), flush=True)
    return dict(times, machines=[small["machines"], large["machines"]], missed=missed if judged else None)


def measure(directory, scale, result):
    os.makedirs(directory, exist_ok=True)
    written, rows = pages_bytes("W"), result.setdefault("steps", [])
    print(f"\nBoot storm: a boot of {sum(b for o, _, b in records() if o == 'R') * BLOCK / 1e6:.0f} MB read, "
          f"{sum(b for o, _, b in records() if o == 'W') * BLOCK / 1e6:.1f} MB written; every machine is new\n"
          f"  goals for {MANY} and more: time and CPU {GOAL} x the bound, {MANY} enrolled in {ENROL_SECONDS:.0f} s, {RSS_KB} KB a machine,"
          f" disk {written / 1e6:.2f} MB written + {SLACK_BYTES / 1e6:.2f} MB\n"
          f"{'machines':>8} {'enrolled':>9} {'verified':>9} {'storm':>8} {'bound':>8} {'ratio':>6}  {'CPU a boot':>10} {'bound':>8} {'ratio':>6}"
          f"  {'MB/s':>6} {'RSS each':>9} {'disk each':>10}", flush=True)
    for n in scale.storms:
        row = step(os.path.join(directory, str(n)), n, scale.storm_rounds)
        row["missed"] = judge(row, written)
        rows.append(row)
        verdict = "" if row["missed"] is None else "MISSED: " + ", ".join(row["missed"]) if row["missed"] else "met"
        print(f"{n:8} {row['enrol_s']:7.2f} s {row['verified_s']:7.2f} s {row['seconds']:6.2f} s {row['bound_seconds']:6.2f} s {row['time_ratio']:6.2f}"
              f"  {row['cpu_ms_per_boot']:7.1f} ms {row['bound_cpu_ms_per_boot']:5.1f} ms {row['cpu_ratio']:6.2f}  {row['mbps']:6.0f}"
              f" {row['rss_kb_per_machine']:6.0f} KB {row['child_bytes'] / 1e6:7.2f} MB  {verdict}", flush=True)
        if "earlier" in row:
            print(f"         of the earlier build's: {row['earlier']['time_ratio']:.2f} of the time, {row['earlier']['cpu_ratio']:.2f} of the CPU", flush=True)
    result["written_bytes"], result["goal"] = written, {"ratio": GOAL, "rss_kb_per_machine": RSS_KB, "machines": MANY}
    result["growth"] = growth(rows)
