# SPDX-License-Identifier: GPL-2.0-or-later
"""All targets up at once over the same golden data, for the parts that hold them beside each other; idle ones take no time from
the one that is measured."""
import mmap, os, random, shutil, sys

from loads import region
from scale import FRESH, GOLDEN_BYTES, MIB, WRITTEN_OFFSET
from spdk import Spdk
from targets import Constant, Earlier, Failed, Sanbootd, Tgt, WideTgt, iload


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def settle():
    """What was left dirty is not the next one's burden."""
    os.sync()


def touch_memory(size_bytes):
    """A virtual machine's host takes back memory that nobody uses, and whoever has it next waits for each page: not those who are measured."""
    with mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for at in range(0, size_bytes, mmap.PAGESIZE):
            memory[at] = 1


class Lab:
    def __init__(self, directory, scale):
        self.dir, self.scale = directory, scale
        os.makedirs(directory)
        self.golden = os.path.join(directory, "golden.raw")
        self.targets, self.written = {}, False
        self.fresh_turn = 0
        say("golden image")
        r = random.Random(1)
        with open(self.golden, "wb") as f:
            for _ in range(scale.data_bytes // MIB):
                f.write(r.randbytes(MIB))
            f.truncate(GOLDEN_BYTES)
        try:
            self.begin_all()
        except BaseException:
            self.stop()
            raise

    def begin_all(self):
        scale = self.scale
        for kind in [Sanbootd, Earlier] if Earlier.build else [Sanbootd]:
            self.begin(kind, self.golden, scale.wide)
            ours = self.targets[kind.name]
            ours.write_list(ours.enrol(scale.wide))
        self.begin(Constant, GOLDEN_BYTES, scale.wide)
        if shutil.which("tgtd"):
            self.begin(Tgt, self.golden, scale.narrow)
        if os.environ.get("SPDK_TGT"):
            self.begin(Spdk, scale.wide, WRITTEN_OFFSET + scale.written_bytes, scale.data_bytes)
        settle()

    def begin(self, kind, *args):
        say(f"starting {kind.name}")
        self.targets[kind.name] = kind(self.dir, *args)

    def stop(self):
        for t in self.targets.values():
            try:
                t.stop()
            except Failed as e:
                say(e)

    @property
    def alive(self):
        return all(t.alive for t in self.targets.values())

    def of(self, *names):
        return [self.targets[name] for name in names if name in self.targets]

    def peers(self, machines, *names):
        """The targets of these names (all, where there is none) for a load of so many machines."""
        wide = machines > self.scale.narrow
        if wide and "tgt" in self.targets and "tgt-wide" not in self.targets:
            self.begin(WideTgt, self.golden, self.scale.wide, self.scale.part_bytes)
            settle()
        other = "tgt" if wide else "tgt-wide"
        return [t for t in self.targets.values() if t.name != other and (not names or t.label in names)]

    def prepare(self, load):
        """Every machine of the load has written the region once, as the load says."""
        if self.written or not (load.written or load.fresh):
            return
        say("writing the region that is overwritten")
        for t in self.of("sanbootd", "earlier", "tgt"):
            iload(t, "-n", self.scale.narrow, "-q", 8, "-b", "256k", "-w", "write", "--pass",
                  *region(WRITTEN_OFFSET, self.scale.written_bytes))
        settle()
        self.written = True

    def fresh_region(self):
        """Whole blocks that no machine has written to."""
        part = FRESH[1] // max(self.scale.rounds, 2) // MIB * MIB
        self.fresh_turn += 1
        return region(FRESH[0] + (self.fresh_turn - 1) * part, part)

    def measure(self, load):
        """Rounds of every target in turn; gives {target: [what iload printed]}."""
        self.prepare(load)
        got, scale = {}, self.scale
        # SPDK's RAM disk ends where the first writes would go: it has nothing to allocate.
        targets = [t for t in self.peers(load.sessions) if t.name != "spdk" or not load.fresh]
        for _ in range(scale.rounds):
            fresh = self.fresh_region() if load.fresh else []
            for t in targets:
                seconds = min(scale.seconds, 1) if load.fresh else scale.seconds
                # tgt has no children: its plain write is what a first write is held against.
                extra = region(WRITTEN_OFFSET, scale.written_bytes) if load.fresh and t.name == "tgt" else fresh
                if load.fresh:
                    touch_memory(int(max(seconds, 1) * 1024) * MIB)
                got.setdefault(t.label, []).append(
                    iload(t, "--poll", "-n", load.sessions, "-d", seconds, "-W", 0 if load.fresh else scale.warmup, *load.args, *extra))
                if load.kind == "write" or "randrw" in load.args:
                    settle()
        return got
