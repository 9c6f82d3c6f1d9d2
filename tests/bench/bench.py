#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sanbootd beside its peers: see README.md here. What there is of results goes to the terminal, bench.json and bench.svg, also after
a failure or Ctrl-C; the status is 0 only if every part that was asked for ran to its end."""
import argparse, fcntl, glob, json, os, shutil, signal, sys, tempfile, time, traceback

import chart, cold, first_boot, life, parts, report, scale, storm
from lab import Lab, say
from loads import loads
from targets import TOP, Failed, stop_all

IN_LAB = {"fairness": parts.fairness, "flush": parts.flush, "idle": parts.idle}
BY_THEMSELVES = {"storm": storm.measure, "cold": cold.measure, "first": first_boot.measure, "life": life.measure}
GIB = 1 << 30


class Place:
    """The directory of this run. It holds a lock as long as this process lives; what runs left that were killed is removed."""

    def __init__(self, parent):
        os.makedirs(parent, exist_ok=True)
        for lock in glob.glob(os.path.join(parent, "bench-*", "lock")):
            with open(lock) as f:
                if not self.take(f):
                    continue
                say(f"removing what a run that was killed left in {os.path.dirname(lock)}")
                shutil.rmtree(os.path.dirname(lock))
        self.path = tempfile.mkdtemp(prefix="bench-", dir=parent)
        self.lock = open(os.path.join(self.path, "lock"), "w")
        self.take(self.lock)

    @staticmethod
    def take(file):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    def need(self, need_bytes):
        there = os.statvfs(self.path)
        free = there.f_bavail * there.f_frsize
        if free < need_bytes:
            raise Failed(f"this needs {need_bytes / GIB:.1f} GiB of disk under {os.path.dirname(self.path)}, where {free / GIB:.1f} GiB are free: "
                         "set BENCH_DIR= to a directory on a larger disk, or ask for less with QUICK=1, LOADS= or STORM=")

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def congestion():
    """How the targets' TCP sends."""
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as f:
        return f.read().strip()


class Run:
    def __init__(self, place, names, size):
        self.place, self.names, self.scale = place, names, size
        self.lab = None
        self.result = {"when": time.strftime("%Y-%m-%d %H:%M"), "scale": size.name, "seconds": size.seconds, "rounds": size.rounds,
                       "kernel": os.uname().release, "congestion": congestion(), "loads": [], "parts": {}, "failed": {}, "interrupted": False}

    def wants(self, name):
        return not self.names or name in self.names

    def part(self, name, work):
        """A failure of it is told at the end, and stops no other."""
        began = time.monotonic()
        try:
            work()
        except Exception as e:
            if not isinstance(e, Failed):
                traceback.print_exc()
            self.result["failed"][name] = f"{type(e).__name__}: {e}" if not isinstance(e, Failed) else str(e)
            say(f"{name} FAILED: {self.result['failed'][name]}")
        say(f"{name}: {time.monotonic() - began:.0f} s")

    def in_lab(self, name, work):
        def go():
            if self.lab and not self.lab.alive:
                self.end_lab()
            if not self.lab:
                stop_all()
                self.lab = Lab(os.path.join(tempfile.mkdtemp(dir=self.place.path), "lab"), self.scale)
            work(self.lab)
        self.part(name, go)

    def end_lab(self):
        lab, self.lab = self.lab, None
        lab.stop()
        shutil.rmtree(lab.dir)

    def load(self, load, lab):
        if not self.result["loads"]:
            report.head()
        self.result["loads"].append(report.summary(load, lab.measure(load)))
        report.line(self.result["loads"][-1])

    def everything(self):
        for load in filter(lambda load: self.wants(load.name), loads(self.scale)):
            self.in_lab(load.name, lambda lab, load=load: self.load(load, lab))
        for name in filter(self.wants, IN_LAB):
            self.in_lab(name, lambda lab, name=name: IN_LAB[name](lab, self.result["parts"].setdefault(name, {})))
        if self.lab:
            self.end_lab()
        for name in filter(self.wants, BY_THEMSELVES):
            self.part(name, lambda name=name: BY_THEMSELVES[name](os.path.join(self.place.path, "storm"), self.scale,
                                                                 self.result["parts"].setdefault(name, {})))

    def write(self, out):
        os.makedirs(out, exist_ok=True)
        with open(os.path.join(out, "bench.json"), "w") as f:
            json.dump(self.result, f, indent=1)
        chart.draw(self.result, os.path.join(out, "bench.svg"))
        print(f"\n{os.path.relpath(out)}/bench.json, bench.svg")


def interrupt(number, frame):
    raise KeyboardInterrupt


def arguments():
    known = [load.name for load in loads(scale.FULL)] + list(IN_LAB) + list(BY_THEMSELVES)
    p = argparse.ArgumentParser(description="sanbootd beside its peers; tests/bench/README.md")
    p.add_argument("--out", default=os.path.join(TOP, "build"), help="where bench.json and bench.svg go")
    p.add_argument("--least", action="store_true", help="as little as can be, to see that all of it works")
    p.add_argument("part", nargs="*", help="; ".join(known))
    args = p.parse_args()
    for name in args.part:
        if name not in known:
            p.error(f"{name}: no such load or part; there are {' '.join(known)}")
    return args


def main():
    args = arguments()
    size = scale.chosen(args.least)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    say(f"targets send by {congestion()}")
    place = Place(os.environ.get("BENCH_DIR", os.path.join(TOP, "build")))
    run = Run(place, args.part, size)
    in_lab = [name for name in (load.name for load in loads(size)) if run.wants(name)] + [name for name in IN_LAB if run.wants(name)]
    try:
        place.need(max(scale.lab_bytes(size) if in_lab else 0, scale.storm_bytes(size) if any(map(run.wants, ("storm", "cold", "first"))) else 0,
                       scale.life_bytes(size) if run.wants("life") else 0))
        run.everything()
    except KeyboardInterrupt:
        run.result["interrupted"] = True
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if run.lab:
            run.lab.stop()
        stop_all()
        place.remove()
    run.write(args.out)
    for name, why in run.result["failed"].items():
        print(f"FAILED {name}: {why}")
    if run.result["interrupted"]:
        print("interrupted")
    sys.exit(1 if run.result["failed"] or run.result["interrupted"] else 0)


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"bench: {e}")
