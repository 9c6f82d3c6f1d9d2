#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sanbootd beside its peers: see README.md here. Results go to build/bench.json, build/bench.svg and the terminal."""
import json, os, random, shutil, subprocess, sys, tempfile, time

import first_boot, report, storm
from loads import DATA_BYTES, FRESH, GOLDEN_BYTES, MIB, PART_BYTES, WRITTEN, loads, region
from spdk import Spdk
from targets import (BUILD, GENERATOR_CORE, TARGET_CORE, TOP, Constant, Failed, Sanbootd, Tgt, finish, iload, on_core, run)

QUICK = bool(os.environ.get("QUICK"))
REPETITIONS = int(os.environ.get("REPETITIONS", 1 if QUICK else 5))
SECONDS = float(os.environ.get("SECONDS_EACH", 0.7 if QUICK else 2))
WARMUP = 0.2 if QUICK else 0.5
NARROW, WIDE = 32, 48 if QUICK else 256     # sessions of most loads, and of the widest


class Bench:
    """One directory, one golden image, and all targets up at once: idle ones take no time from the one that is measured."""

    def __init__(self, directory, peers=True):
        self.dir = directory
        self.golden = os.path.join(directory, "golden.raw")
        self.targets, self.written = {}, False
        self.fresh_turn = 0
        say("golden image")
        r = random.Random(1)
        with open(self.golden, "wb") as f:
            for _ in range(DATA_BYTES // MIB):
                f.write(r.randbytes(MIB))
            f.truncate(GOLDEN_BYTES)
        try:
            self.begin(Sanbootd, self.golden, WIDE)
            ours = self.targets["sanbootd"]
            ours.write_list(ours.enrol(WIDE))
            self.begin(Constant, GOLDEN_BYTES, WIDE)
            if peers and shutil.which("tgtd"):
                self.begin(Tgt, self.golden, WIDE, NARROW, PART_BYTES)
            if peers and os.environ.get("SPDK_TGT"):
                self.begin(Spdk, WIDE, sum(WRITTEN), DATA_BYTES)
        except BaseException:
            self.stop()
            raise

    def begin(self, kind, *args):
        say(f"starting {kind.name}")
        self.targets[kind.name] = kind(self.dir, *args)

    def stop(self):
        for t in self.targets.values():
            t.stop()

    def fits(self, load, target):
        """SPDK's RAM disk ends where the first writes would go: it has nothing to allocate."""
        if target.name == "spdk":
            return not load.fresh
        return load.bound or target.name != "bound"

    def prepare(self, load):
        """Every machine of the load has written the region once, as the load says."""
        if not load.written or self.written:
            return
        say("writing the region that is overwritten")
        for t in self.targets.values():
            if t.name in ("sanbootd", "tgt"):
                iload(t, "-n", NARROW, "-q", 8, "-b", "256k", "-w", "write", "--pass", *region(*WRITTEN))
        os.sync()
        self.written = True

    def measure(self, load):
        """Rounds of every target in turn; gives {target: [what iload printed]}."""
        self.prepare(load)
        got = {}
        targets = [t for t in self.targets.values() if self.fits(load, t)]
        for _ in range(REPETITIONS):
            extra = []
            if load.fresh:
                part = FRESH[1] // max(REPETITIONS, 2)
                extra = region(FRESH[0] + self.fresh_turn * part, part)
                self.fresh_turn += 1
            for t in targets:
                seconds = SECONDS if not load.fresh else min(SECONDS, 1)
                got.setdefault(t.name, []).append(
                    iload(t, "-n", load.sessions, "-d", seconds, "-W", 0 if load.fresh else WARMUP, *load.args, *extra))
                if load.kind == "write":
                    settle()
        return got


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def settle():
    """What a write load left dirty is not the next one's burden."""
    os.sync()


# ---- parts that are no plain loads ----

def fairness(bench):
    """31 machines reading 4 KiB, without and with one that reads 1 MiB at depth 128."""
    small = ["-n", NARROW - 1, "-q", 1, "-b", "4k", "-w", "randread", *region(0, PART_BYTES)]
    rows = {}
    for t in [t for t in bench.targets.values() if t.name != "spdk"]:
        alone, beside, big = [], [], []
        for _ in range(REPETITIONS):
            alone.append(iload(t, "-d", SECONDS, "-W", WARMUP, *small))
            with open(t.list) as f, open(t.list + ".last", "w") as last:
                last.write(f.readlines()[NARROW - 1])
            greedy = type("Greedy", (), {"name": t.name, "address": t.address, "lun": getattr(t, "lun", 0), "pid": t.pid,
                                         "list": t.list + ".last"})
            p = iload(greedy, "-n", 1, "-q", 128, "-b", "1m", "-w", "read", "-d", SECONDS + WARMUP + 0.5, *region(0, DATA_BYTES),
                      wait=False)
            beside.append(iload(t, "-d", SECONDS, "-W", WARMUP, *small))
            big.append(finish(p, t))
        median = report.median
        rows[t.name] = {"alone_p99_us": median(r["read"]["p99_us"] for r in alone),
                        "beside_p99_us": median(r["read"]["p99_us"] for r in beside),
                        "alone_iops": median(r["read"]["iops"] for r in alone),
                        "beside_iops": median(r["read"]["iops"] for r in beside),
                        "big_mbps": median(r["read"]["mbps"] for r in big)}
        rows[t.name]["ratio"] = rows[t.name]["beside_p99_us"] / rows[t.name]["alone_p99_us"]
    print("\nFairness: p99 of 31 machines reading 4 KiB, alone and beside one that reads 1 MiB at depth 128 (goal: 3.0 x at most)")
    for name, row in rows.items():
        goal = "" if name != "sanbootd" else "  met" if row["ratio"] <= 3 else "  MISSED"
        print(f"  {name:9} {row['alone_p99_us']:8.0f} us -> {row['beside_p99_us']:8.0f} us  {row['ratio']:5.2f} x   "
              f"{row['alone_iops']:8.0f} -> {row['beside_iops']:8.0f} IOPS, beside {row['big_mbps']:6.0f} MB/s{goal}")
    return rows


def flush(bench):
    """Machines that write 4 KiB and flush, one after the other, over what they have written."""
    seconds, sessions = max(SECONDS, 1), WIDE
    args = ["-n", sessions, "-q", 1, "-b", "4k", "-w", "randwrite", "--sync", 1, *region(0, 16 * MIB)]
    got = {"bare": [], "sanbootd": [], "tgt": []}
    for name in ("sanbootd", "tgt"):
        if name in bench.targets:
            iload(bench.targets[name], "-n", sessions, "-q", 4, "-b", "256k", "-w", "write", "--pass", *region(0, 16 * MIB))
    for _ in range(REPETITIONS):
        settle()
        got["bare"].append(json.loads(run(*on_core(TARGET_CORE, [os.path.join(BUILD, "bench", "bare_sync"), bench.dir, sessions,
                                                                 seconds])))["iops"])
        for name in ("sanbootd", "tgt"):
            if name in bench.targets:
                settle()
                got[name].append(iload(bench.targets[name], "-d", seconds, "-W", WARMUP, *args)["flush"]["iops"])
    row = {name: report.median(v) for name, v in got.items() if v}
    ours, bare, tgt = row["sanbootd"], row["bare"], row.get("tgt")
    met = ours >= 0.8 * bare or (tgt and ours >= 3 * tgt)
    print(f"\nFlush: {sessions} machines, 4 KiB write and flush (goal: 3 x tgt, or 0.8 x the bare program)")
    print(f"  sanbootd {ours:.0f}/s, bare program {bare:.0f}/s ({ours / bare:.2f} x)"
          + (f", tgt {tgt:.0f}/s ({ours / tgt:.2f} x)" if tgt else "") + ("  met" if met else "  MISSED"))
    return dict(row, met=bool(met))


def switches(pid):
    """Voluntary context switches of all threads, and their CPU seconds."""
    count, ns = 0, 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            count += next(int(line.split()[1]) for line in f if line.startswith("voluntary"))
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            ns += int(f.read().split()[0])
    return count, ns / 1e9


def idle(bench):
    """Nobody is there, then machines that are logged in and silent."""
    t, rows = bench.targets["sanbootd"], {}
    seconds = 3 if QUICK else 10
    for what, sessions in (("nobody", 0), (f"{NARROW} silent machines", NARROW)):
        p = None
        if sessions:
            p = iload(t, "-n", sessions, "-q", 1, "--rate", 0.01, "-d", seconds + 2, "-b", "4k", *region(0, PART_BYTES), wait=False)
            time.sleep(1)
        else:
            time.sleep(5)         # sessions of the last load are gone, their disks closed
        before = switches(t.pid)
        time.sleep(seconds)
        after = switches(t.pid)
        if p:
            finish(p, t)
        rows[what] = {"wakeups_per_s": (after[0] - before[0]) / seconds, "cpu_percent": 100 * (after[1] - before[1]) / seconds}
    print("\nIdle")
    for what, row in rows.items():
        print(f"  {what}: {row['wakeups_per_s']:.1f} wake-ups a second, {row['cpu_percent']:.3f} % CPU")
    return rows


def main(names):
    parts = {"fairness": fairness, "flush": flush, "idle": idle}
    plain = [l for l in loads(WIDE) if not names or l.name in names]
    directory = tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("BENCH_DIR", os.path.join(TOP, "build")))
    result = {"when": time.strftime("%Y-%m-%d %H:%M"), "quick": QUICK, "seconds": SECONDS, "repetitions": REPETITIONS,
              "kernel": os.uname().release, "loads": [], "parts": {}}
    bench = None
    try:
        if not names or plain or any(n in parts for n in names):
            bench = Bench(directory)
            for load in plain:
                say(load.what)
                result["loads"].append(report.summary(load, bench.measure(load)))
            if plain:
                report.table(result["loads"])
            for name, part in parts.items():
                if not names or name in names:
                    say(name)
                    result["parts"][name] = part(bench)
            bench.stop()
            bench = None
        if not names or "storm" in names:
            say("storm")
            result["parts"]["storm"] = storm.measure(os.path.join(directory, "storm"), QUICK)
        if not names or "cold" in names:
            say("cold")
            result["parts"]["cold"] = storm.measure_cold(os.path.join(directory, "storm"), QUICK)
        if "first" in names or not names and not QUICK:
            say("first")
            result["parts"]["first"] = first_boot.measure(os.path.join(directory, "storm"), QUICK)
    finally:
        if bench:
            bench.stop()
        shutil.rmtree(directory, ignore_errors=True)
    with open(os.path.join(TOP, "build", "bench.json"), "w") as f:
        json.dump(result, f, indent=1)
    report.chart(result, os.path.join(TOP, "build", "bench.svg"))
    print("\nbuild/bench.json, build/bench.svg")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as e:
        sys.exit(f"bench: {e}")
