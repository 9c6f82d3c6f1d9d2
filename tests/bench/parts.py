# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts that are no plain loads, in the lab: fairness, flush, idle. Each fills a dictionary for the results and prints."""
import os, time

from lab import settle
from loads import region
from report import median
from scale import MIB
from targets import Failed, Target, bare_sync, finish, iload

P99_GOAL = 3.0                  # times what it is without the greedy one
TGT_GOAL, BARE_GOAL = 3.0, 0.8  # flushes a second, as multiples


class LastMachine(Target):
    """The last of a target's machines that narrow loads use, as a target of its own."""

    def __init__(self, target, number):
        self.name, self.address, self.lun, self.process = target.name, target.address, getattr(target, "lun", 0), target.process
        self.of = target
        self.list = target.list + ".last"
        with open(target.list) as f, open(self.list, "w") as last:
            last.write(f.readlines()[number - 1])

    @property
    def pid(self):
        return self.of.pid


def fairness(lab, rows):
    """All machines but one read 4 KiB, without and with one that reads 1 MiB at depth 128."""
    scale = lab.scale
    count = scale.narrow - 1
    small = ["-n", count, "-q", 1, "-b", "4k", "-w", "randread", "-d", scale.seconds, "-W", scale.warmup, *region(0, scale.part_bytes)]
    print(f"\nFairness: p99 of {count} machines reading 4 KiB, alone and beside one that reads 1 MiB at depth 128 (goal: {P99_GOAL} x at most)")
    for t in lab.of("sanbootd", "earlier", "bound", "tgt"):
        alone, beside, big = [], [], []
        last = LastMachine(t, scale.narrow)
        for _ in range(scale.rounds):
            alone.append(iload(t, *small))
            p = iload(last, "-n", 1, "-q", 128, "-b", "1m", "-w", "read", "-d", scale.seconds + scale.warmup + 0.5,
                      *region(0, scale.data_bytes), wait=False)
            beside.append(iload(t, *small))
            big.append(finish(p, t))
        row = rows[t.name] = {
            "ratio": median(b["read"]["p99_us"] / a["read"]["p99_us"] for a, b in zip(alone, beside)),
            "alone_p99_us": median(r["read"]["p99_us"] for r in alone), "beside_p99_us": median(r["read"]["p99_us"] for r in beside),
            "alone_iops": median(r["read"]["iops"] for r in alone), "beside_iops": median(r["read"]["iops"] for r in beside),
            "big_mbps": median(r["read"]["mbps"] for r in big)}
        if t.name == "sanbootd":
            row["met"] = row["ratio"] <= P99_GOAL
        goal = "" if t.name != "sanbootd" else "  met" if row["met"] else "  MISSED"
        print(f"  {t.name:9} {row['alone_p99_us']:8.0f} us -> {row['beside_p99_us']:8.0f} us  {row['ratio']:5.2f} x   "
              f"{row['alone_iops']:8.0f} -> {row['beside_iops']:8.0f} IOPS, beside {row['big_mbps']:6.0f} MB/s{goal}", flush=True)


def flush(lab, row):
    """Machines that write 4 KiB and flush, one after the other, over what they have written; beside them a bare program that does
    the same to as many files with as many threads."""
    scale = lab.scale
    seconds, machines, part = max(scale.seconds, 0.5), scale.wide, region(0, scale.flush_bytes)
    args = ["-n", machines, "-q", 1, "-b", "4k", "-w", "randwrite", "--sync", 1, "-d", seconds, "-W", 0.2, *part]
    targets = lab.peers(machines, "sanbootd", "earlier", "tgt")
    for t in targets:
        iload(t, "-n", machines, "-q", 4, "-b", "256k", "-w", "write", "--pass", *part)
    rates = row["rounds"] = {t.label: [] for t in targets} | {"bare": []}
    for _ in range(scale.rounds):
        settle()
        rates["bare"].append(bare_sync(lab.dir, machines, scale.flush_bytes, seconds))
        for t in targets:
            settle()
            rates[t.label].append(iload(t, *args)["flush"]["iops"])
    row.update({name: median(got) for name, got in rates.items()}, machines=machines)
    row["ratios"] = {name: [a / b for a, b in zip(rates["sanbootd"], rates[name])] for name in rates if name != "sanbootd"}
    row["ratio"] = {name: median(got) for name, got in row["ratios"].items()}
    row["met"] = row["ratio"]["bare"] >= BARE_GOAL or row["ratio"].get("tgt", 0) >= TGT_GOAL
    print(f"\nFlush: {machines} machines, 4 KiB write and flush (goal: {TGT_GOAL:.0f} x tgt, or {BARE_GOAL} x the bare program); medians of each"
          f" round's ratio\n  sanbootd {row['sanbootd']:.0f}/s"
          + "".join(f", {name} {row[name]:.0f}/s ({row['ratio'][name]:.2f} x: {' '.join(f'{x:.2f}' for x in row['ratios'][name])})"
                    for name in row["ratio"]) + ("  met" if row["met"] else "  MISSED"), flush=True)


def switches(pid):
    """Voluntary context switches of all threads, and their CPU seconds."""
    count, ns = 0, 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            count += next(int(line.split()[1]) for line in f if line.startswith("voluntary"))
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            ns += int(f.read().split()[0])
    return count, ns / 1e9


def quiet(pid):
    """What follows a load, such as the closing of disks, is over: three seconds without much work."""
    still = 0
    before = switches(pid)
    for _ in range(60):
        time.sleep(0.5)
        after = switches(pid)
        still = still + 1 if after[0] - before[0] < 10 else 0
        if still == 6:
            return
        before = after
    raise Failed("sanbootd does not come to rest")


def idle(lab, rows):
    """Nobody is there, then machines that are logged in and silent."""
    t, scale = lab.targets["sanbootd"], lab.scale
    print("\nIdle")
    for what, sessions in (("nobody", 0), (f"{scale.narrow} silent machines", scale.narrow)):
        p = None
        if sessions:
            p = iload(t, "-n", sessions, "-q", 1, "--rate", 0.01, "-d", 300, "-b", "4k", *region(0, MIB), wait=False)
            time.sleep(0.5)
        quiet(t.pid)
        before = switches(t.pid)
        time.sleep(scale.idle_seconds)
        after = switches(t.pid)
        if p:
            p.kill()
            p.communicate()
        row = rows[what] = {"wakeups_per_s": (after[0] - before[0]) / scale.idle_seconds,
                            "cpu_percent": 100 * (after[1] - before[1]) / scale.idle_seconds}
        print(f"  {what}: {row['wakeups_per_s']:.1f} wake-ups a second, {row['cpu_percent']:.3f} % CPU", flush=True)
