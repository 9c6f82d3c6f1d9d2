#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk engine and QEMU in turns on the same children, compared with a model after every turn.

    differential.py DISKIO [--seed N] [--histories N] [--seconds N] [--rounds N]

A history: a golden raw file with holes (or none), a child over it, and rounds. In each round we run a random list (writes, write
zeroes, discards, flushes, 512 bytes to 2 MiB, sixteen side by side) and close the child or are killed with -9 in the midst of it; then
QEMU reads, checks, maps, compares and runs a list of its own; then the child may grow, or become the backing file of a new one,
up to eight files deep. A failing seed is printed; --seed N --histories 1 runs the same lists again (the moment of a kill is the same
number of acknowledgements; what is on its way then is up to the kernel). Its files are kept where the message says."""
import argparse, json, mmap, os, random, shutil, subprocess, sys, tempfile, time

SECTOR, CLUSTER, MIB = 512, 128 << 10, 1 << 20
POOL_BYTES = 8 * MIB
CHAIN_MAX = 8


class Wrong(Exception):
    pass


def tool(*argv, cwd, ok=(0,)):
    """Runs a program of QEMU's; what it said, where its exit status is one of ok."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode not in ok:
        raise Wrong(f"{' '.join(argv)[:300]}: exit status {done.returncode}: {(done.stdout + done.stderr)[-400:]}")
    return done.stdout + done.stderr


class Engine:
    """One process of ours."""

    def __init__(self, history):
        self.history = history
        self.proc = subprocess.Popen([history.diskio, "pool"], cwd=history.dir, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=open(os.path.join(history.dir, "stderr"), "a", encoding="ascii"))

    def tell(self, *lines):
        try:
            self.proc.stdin.write("".join(line + "\n" for line in lines))
            self.proc.stdin.flush()
        except BrokenPipeError:
            pass                                        # it is dead: who reads its answers finds out why

    def answer(self):
        line = self.proc.stdout.readline().rstrip("\n").split(maxsplit=2)
        return line or ["dead"]

    def ask(self, line, want):
        self.tell(line)
        got = self.answer()
        if got[0] != want:
            raise Wrong(f"{line}: {' '.join(got)}{self.last_words()}")
        return got

    def last_words(self):
        if self.proc.poll() is None:
            return ""
        with open(os.path.join(self.history.dir, "stderr"), encoding="utf-8", errors="replace") as f:
            return f" (exit status {self.proc.returncode}): {f.read()[-1500:]}"

    def end(self):
        self.proc.stdin.close()
        if self.proc.wait(60):
            raise Wrong(f"diskio{self.last_words()}")
        self.proc.stdout.close()

    def killed(self):
        """After its last word: -9, and by itself."""
        self.proc.stdin.close()
        self.proc.stdout.close()
        if self.proc.wait(60) != -9:
            raise Wrong(f"diskio should have died of signal 9{self.last_words()}")


class Op:
    """One change: what it makes of each sector."""

    def __init__(self, kind, offset=0, length=0, start=0, flag=0, fua=0):
        self.kind, self.offset, self.length, self.start, self.flag, self.fua = kind, offset, length, start, flag, fua

    def line(self, number):
        if self.kind == "w":
            return f"w {number} {self.offset} {self.length} {self.start} {self.fua}"
        if self.kind == "z":
            return f"z {number} {self.offset} {self.length} {self.flag} {self.fua}"
        if self.kind == "d":
            return f"d {number} {self.offset} {self.length} {self.fua}"
        return f"f {number}" if self.kind == "f" else "wait"

    def bytes_at(self, history, offset, length):
        if self.kind == "w":
            start = self.start + offset - self.offset
            return history.pool[start:start + length]
        return bytes(length)

    def apply(self, history):
        if self.length:
            history.model[self.offset:self.offset + self.length] = self.bytes_at(history, self.offset, self.length)


class History:
    def __init__(self, diskio, seed):
        self.diskio, self.seed, self.rng = diskio, seed, random.Random(seed)
        self.dir = tempfile.mkdtemp(prefix="sanbootd-differential-", dir="/var/tmp")
        self.log = []
        self.number = self.depth = 0
        self.kills = self.foreign = self.told = 0
        # Zeroes are content, too: also in a golden file, where they are not a hole.
        self.pool = self.rng.randbytes(POOL_BYTES - 3 * MIB) + bytes(3 * MIB)
        with open(self.path("pool"), "wb") as f:
            f.write(self.pool)
        self.engine = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def note(self, text):
        self.log.append(text)

    # ---- the model: a raw file, mapped ----

    def make_model(self, size):
        with open(self.path("model"), "a+b") as f:
            f.truncate(size)
            self.model = mmap.mmap(f.fileno(), size)
        self.size = size

    def resize_model(self, size):
        """What is cut off is gone; what is new is zeroes."""
        self.model.close()
        self.make_model(size)

    # ---- the beginning ----

    def any_size(self):
        return self.rng.choice((4, 6, 9, 13, 20)) * MIB + self.rng.choice((0, 0, 512, 3584, 65536, 70144))

    def begin(self):
        rng, size = self.rng, self.any_size()
        self.child = "child1"
        self.depth = 1
        if rng.random() < 0.15:                         # over nothing
            self.make_model(size)
            return self.create(self.child, size, None, None)
        with open(self.path("golden"), "wb") as f:
            f.truncate(size)
            at = 0
            while at < size:
                length = min(rng.choice((512, 4096, 24576, 65536, 300 * 1024, MIB)), size - at)
                start = rng.randrange((POOL_BYTES - length) // SECTOR) * SECTOR
                f.seek(at)
                f.write(self.pool[start:start + length])
                at += length + rng.choice((0, 4096, 65536, 131072, 500 * 1024, 2 * MIB))
        self.depth = 2
        with open(self.path("golden"), "rb") as f:
            golden = f.read()
        self.make_model(size)
        self.model[:] = golden
        bigger = rng.choice((size, size, size + MIB, size + 5 * MIB + 512))
        self.resize_model(bigger)
        return self.create(self.child, bigger, "golden", "raw")

    def create(self, name, size, backing, fmt):
        if self.rng.random() < 0.3:
            options = ["-b", backing, "-F", fmt] if backing else []
            tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=128k,extended_l2=on", *options, name, str(size), cwd=self.dir)
            self.note(f"qemu-img create {name} {size} over {backing}")
        else:
            engine = Engine(self)
            engine.ask(f"create {name} {size} {backing or '-'} {fmt or '-'}", "created")
            engine.end()
            self.note(f"create {name} {size} over {backing}")

    # ---- random lists ----

    def any_range(self, longest):
        rng = self.rng
        unit = rng.choice((512, 512, 4096, 4096, 32768, CLUSTER))
        length = min(rng.randint(1, 16) * unit, longest, self.size)
        if rng.random() < 0.4 and self.hot:             # where something is already
            offset = rng.choice(self.hot) + rng.randint(-8, 8) * rng.choice((512, 4096, CLUSTER))
        else:
            offset = rng.randrange(self.size // SECTOR) * SECTOR
        offset = min(max(offset, 0), self.size - SECTOR)
        if rng.random() < 0.5:
            offset -= offset % unit
        if rng.random() < 0.05:
            offset = max(self.size - length, 0) // SECTOR * SECTOR
        length = min(length, self.size - offset)
        self.hot = (self.hot + [offset])[-12:]
        return offset, length

    def any_op(self):
        rng, kind = self.rng, self.rng.random()
        if kind < 0.06:
            return Op("f")
        if kind < 0.10:
            return Op("wait")
        offset, length = self.any_range(2 * MIB)
        fua = int(rng.random() < 0.08)
        if kind < 0.20:
            return Op("z", offset, length, flag=rng.randint(0, 1), fua=fua)
        if kind < 0.32:
            return Op("d", offset, length if rng.random() < 0.8 else self.size - offset, fua=fua)
        start = rng.randrange((POOL_BYTES - length) // SECTOR + 1) * SECTOR
        if kind < 0.40:                                 # what is there already
            offset, length = offset - offset % 4096, max(length - length % 4096, SECTOR)
            length = min(length, self.size - offset)
            found = self.pool.find(self.model[offset:offset + SECTOR])
            while found >= 0 and self.pool[found:found + length] != self.model[offset:offset + length] and length > SECTOR:
                length = max(length // 2 - length // 2 % SECTOR, SECTOR)
            start = found if 0 <= found <= POOL_BYTES - length else start
        return Op("w", offset, length, start, fua=fua)

    def ours(self):
        """A list of ours, to its end or to a kill."""
        rng = self.rng
        self.hot = []
        ops = []
        for _ in range(rng.randint(5, 60)):
            op = self.any_op()
            if op.kind == "f" and rng.random() < 0.5:
                ops.append(Op("wait"))                  # so that one knows what it made durable
            ops.append(op)
        ops += [Op("f"), Op("wait")]                    # who waits for input does not look at what is on its way
        engine = Engine(self)
        opened = engine.ask(f"open {self.child}", "opened")
        if int(opened[1]) != self.size:
            raise Wrong(f"it has {opened[1]} bytes, not {self.size}")
        if int(opened[2]):
            raise Wrong("it says that it was interrupted, and was not")
        if rng.random() < 0.4:
            return self.ours_killed(engine, ops)
        engine.tell(*[op.line(i) for i, op in enumerate(ops)])
        for i, op in enumerate(ops):
            self.note(f"we: {op.line(i)}")
            op.apply(self)
        for op in ops:
            got = engine.answer()
            if got[0] not in ("done", "waited") or (got[0] == "done" and int(got[2])):
                raise Wrong(f"{op.line(0)}: {' '.join(got)}{engine.last_words()}")
        if rng.random() < 0.3:
            self.locked()
        self.look(engine)
        self.close(engine)
        return None

    def locked(self):
        """While we have it, nobody else writes it, or what is below it."""
        for argv in (["-c", "write 0 512", self.child], ["-r", "-c", "read 0 512", self.child]):
            said = tool("qemu-io", "-f", "qcow2", *argv, cwd=self.dir, ok=(1,))
            if "lock" not in said:
                raise Wrong(f"qemu-io was refused otherwise than by a lock: {said}")
        tool("qemu-img", "snapshot", "-c", "x", self.child, cwd=self.dir, ok=(1,))
        if os.path.exists(self.path("golden")):
            tool("qemu-io", "-f", "raw", "-c", "write 0 512", "golden", cwd=self.dir, ok=(1,))
            tool("qemu-io", "-f", "raw", "-r", "-c", "read 0 512", "golden", cwd=self.dir)

    def close(self, engine, changed=True):
        if int(engine.ask("close", "closed")[1]):
            raise Wrong("close failed")
        got = engine.ask(f"check {self.child}", "checked")
        if got[1] != "0" or int(got[2]):
            raise Wrong(f"our own check: {got[1]} corruptions, {got[2]} leaks")
        engine.end()
        # Who was killed while making it, before anything else, leaves an empty one to the next who changes something.
        if changed and os.path.exists(self.path(self.child + ".journal")):
            raise Wrong("a journal is left beside a closed child")

    # ---- killed ----

    def ours_killed(self, engine, ops):
        changes = sum(op.kind != "wait" for op in ops)
        die_at = self.rng.randint(1, max(changes, 1))
        engine.tell(f"die {die_at}", *[op.line(i) for i, op in enumerate(ops)])
        for i, op in enumerate(ops):
            self.note(f"we: {op.line(i)}")
        self.note(f"killed after {die_at} answers")
        acked, durable, waited = set(), -1, 0
        while (got := engine.answer())[0] != "dead":
            if got[0] == "waited":
                waited += 1
                continue
            if got[0] != "done" or int(got[2]):
                raise Wrong(f"before the kill: {' '.join(got)}{engine.last_words()}")
            number = int(got[1])
            acked.add(number)
            # A flush that was submitted after a wait: all that came before is durable.
            if ops[number].kind == "f" and (number == 0 or ops[number - 1].kind == "wait"):
                durable = max(durable, number)
        engine.killed()
        self.kills += 1
        tool("qemu-img", "check", "-q", "-f", "qcow2", self.child, cwd=self.dir, ok=(0, 3))
        if self.rng.random() < 0.4 and os.path.exists(self.path(self.child + ".journal")):
            return self.foreign_writer(ops, acked, durable)
        # The same host: not an acknowledged sector may be missing.
        engine = Engine(self)
        if engine.ask(f"open {self.child}", "opened")[2] != "0":
            raise Wrong("a kill is no interruption: the host is the same")
        engine.ask("dump dump", "dumped")
        self.adopt(ops, lambda i, op: i in acked)
        self.look(engine)
        self.close(engine, changed=False)
        return None

    def foreign_writer(self, ops, acked, durable):
        """QEMU comes before we do: the journal is void; what was durable is there, and who opens it is told."""
        self.foreign += 1
        self.note("QEMU comes first")
        tool("qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", self.child, "dump", cwd=self.dir)
        lost = self.adopt(ops, lambda i, op: i <= durable or (i in acked and op.fua), acked)
        self.qemu_writes(repair=True)
        engine = Engine(self)
        told = engine.ask(f"open {self.child}", "opened")[2] == "1"
        if lost and not told:
            raise Wrong("acknowledged writes were lost to QEMU, and nobody is told")
        self.told += told
        self.look(engine)
        ops = [self.any_op() for _ in range(5)] + [Op("w", 0, SECTOR), Op("f"), Op("wait")]
        engine.tell(*[op.line(i) for i, op in enumerate(ops)])
        for i, op in enumerate(ops):
            self.note(f"we: {op.line(i)}")
            op.apply(self)
            engine.answer()
        self.look(engine)
        self.close(engine)

    def adopt(self, ops, is_floor, acked=()):
        """The file `dump` is what is left. Each sector: what the last floor on it wrote, or something later. Whether any lacks what was
        acknowledged."""
        maybe, lost = {}, False
        for i, op in enumerate(ops):
            for sector in range(op.offset // SECTOR, (op.offset + op.length) // SECTOR):
                if is_floor(i, op):
                    maybe[sector] = [op]
                else:
                    maybe.setdefault(sector, [None]).append(op)
        with open(self.path("dump"), "rb") as f:
            dump = f.read()
        if len(dump) != self.size:
            raise Wrong(f"the dump has {len(dump)} bytes, not {self.size}")
        numbers = {id(op): i for i, op in enumerate(ops)}
        for sector, makers in maybe.items():
            at = sector * SECTOR
            found = dump[at:at + SECTOR]
            last = max((k for k, op in enumerate(makers) if op and numbers[id(op)] in acked), default=0)
            lost |= not any(found == (op.bytes_at(self, at, SECTOR) if op else self.model[at:at + SECTOR]) for op in makers[last:])
            if not any(found == (op.bytes_at(self, at, SECTOR) if op else self.model[at:at + SECTOR]) for op in makers):
                raise Wrong(f"after a kill, offset {at} is neither what was acknowledged nor anything later")
            self.model[at:at + SECTOR] = found
        self.compare_dump()
        return lost

    # ---- comparing ----

    def compare_dump(self):
        with open(self.path("dump"), "rb") as f:
            dump = f.read()
        if dump == self.model[:]:
            return
        for at in range(0, self.size, SECTOR):
            if dump[at:at + SECTOR] != self.model[at:at + SECTOR]:
                raise Wrong(f"offset {at} differs from the model")
        raise Wrong(f"the dump has {len(dump)} bytes, not {self.size}")

    def look(self, engine):
        """All bytes, and where they are said to be."""
        engine.ask("dump dump", "dumped")
        self.compare_dump()
        engine.ask("map map", "mapped")
        engine.ask("status status", "told")
        self.maps = []
        for name in ("map", "status"):
            with open(self.path(name), encoding="ascii") as f:
                self.maps.append([line.split() for line in f])

    def qemu_looks(self):
        said = tool("qemu-img", "check", "-f", "qcow2", self.child, cwd=self.dir)
        if "No errors were found" not in said:
            raise Wrong(f"qemu-img check: {said}")
        tool("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", self.child, "model", cwd=self.dir)

    def compare_maps(self):
        """qemu-img map against what we said of the same file when we closed it."""
        theirs = json.loads(tool("qemu-img", "map", "--output=json", "-f", "qcow2", self.child, cwd=self.dir))
        ours, status = self.maps
        for at, end, mine, other in overlaps([(int(o), int(n), x) for o, n, *x in ours], theirs):
            kind, layer, host = mine[0], int(mine[1]), int(mine[2])
            begin = next(int(o) for o, n, *_ in ours if int(o) <= at < int(o) + int(n))
            what = f"bytes {at} to {end}: {mine}, qemu-img map says {other}"
            if other["data"] and not other["zero"]:
                if kind != "data" or layer != other["depth"] or host + at - begin != other["offset"] + at - other["start"]:
                    raise Wrong(what)
            elif kind == "data" and not other["data"] and not self.is_raw(layer):
                raise Wrong(what)
        for at, end, mine, other in overlaps([(int(o), int(n), x) for o, n, *x in status], theirs):
            mapped = mine[0] == "1"
            if mapped != (other["data"] and not other["zero"]) and not (mapped and other["data"]):
                raise Wrong(f"bytes {at} to {end}: block status {mine}, qemu-img map says {other}")

    def is_raw(self, layer):
        return os.path.exists(self.path("golden")) and layer == self.depth - 1

    # ---- QEMU's turn ----

    def qemu_writes(self, repair=False):
        rng = self.rng
        self.hot = []
        commands = []
        for _ in range(rng.randint(1, 12)):
            offset, length = self.any_range(2 * MIB)
            kind, cut = rng.random(), slice(offset, offset + length)
            if kind < 0.35:
                byte = rng.randint(1, 255)
                commands.append(f"write -P {byte} {offset} {length}")
                self.model[cut] = bytes([byte]) * length
            elif kind < 0.55:
                commands.append(f"write {rng.choice(('', '-f '))}-s pool {offset} {length}")
                self.model[cut] = self.pool[:length]
            elif kind < 0.75:
                commands.append(f"write -z {rng.choice(('', '-u '))}{offset} {length}")
                self.model[cut] = bytes(length)
            elif kind < 0.95:
                commands.append(f"discard {offset} {length}")
                # QEMU discards whole clusters only.
                first, last = -(-offset // CLUSTER) * CLUSTER, offset + length
                last = last if last == self.size else last // CLUSTER * CLUSTER
                if first < last:
                    self.model[first:last] = bytes(last - first)
            else:
                commands.append("flush")
        argv = [word for command in commands for word in ("-c", command)]
        self.note(f"qemu-io: {commands}")
        if repair:                                      # leaks of the kill, as a person would
            tool("qemu-img", "check", "-q", "-r", "leaks", "-f", "qcow2", self.child, cwd=self.dir)
        said = tool("qemu-io", "-f", "qcow2", "-d", "unmap", *argv, self.child, cwd=self.dir)
        if "failed" in said:
            raise Wrong(f"qemu-io: {said}")
        self.qemu_looks()

    def they_have_it(self):
        """What QEMU has open, we refuse, and say which file and what to do."""
        name = self.child
        if os.path.exists(self.path("golden")) and self.rng.random() < 0.4:
            name = "golden"
        qemu = subprocess.Popen(["qemu-io", "-f", "raw" if name == "golden" else "qcow2", name], cwd=self.dir, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        qemu.stdin.write("read 0 512\n")
        qemu.stdin.flush()
        while "read 512/512" not in (line := qemu.stdout.readline()):
            if not line:
                raise Wrong("qemu-io ended")
        engine = Engine(self)
        engine.tell(f"open {self.child}")
        got = engine.answer()
        if got[0] != "refused" or got[1] != "16" or name not in got[2] or "another process" not in got[2]:
            raise Wrong(f"qemu-io has {name} open, and we said: {' '.join(got)}")
        engine.end()
        qemu.communicate("quit\n", timeout=60)

    # ---- between the rounds ----

    def change_shape(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.25:
            size = self.size + rng.choice((512, 4096, MIB, 3 * MIB + 1536))
            if rng.random() < 0.5:
                engine = Engine(self)
                engine.ask(f"grow {self.child} {size}", "grown")
                engine.end()
            else:
                tool("qemu-img", "resize", "-q", "-f", "qcow2", self.child, str(size), cwd=self.dir)
            self.note(f"grown to {size}")
            self.resize_model(size)
        elif kind < 0.65 and self.depth < CHAIN_MAX:
            self.number += 1
            self.depth += 1
            size = self.size + rng.choice((0, 0, 0, 512, 2 * MIB))
            below, self.child = self.child, f"over{self.number}"
            self.create(self.child, size, below, "qcow2")
            self.resize_model(size)

    def play(self, rounds):
        self.begin()
        for _ in range(rounds):
            if self.rng.random() < 0.7:
                self.ours()
                self.qemu_looks()
                self.compare_maps()
            if self.rng.random() < 0.8:
                self.qemu_writes()
            if self.rng.random() < 0.15:
                self.they_have_it()
            self.change_shape()
        engine = Engine(self)
        engine.ask(f"open {self.child}", "opened")
        self.look(engine)
        self.close(engine, changed=False)
        self.qemu_looks()
        self.compare_maps()

    def end(self):
        self.model.close()
        shutil.rmtree(self.dir)


def overlaps(ours, theirs):
    """Goes over both lists of extents at once: at, end, what ours says, what theirs says."""
    i = j = 0
    while i < len(ours) and j < len(theirs):
        offset, length, mine = ours[i]
        other = theirs[j]
        end, other_end = offset + length, other["start"] + other["length"]
        at = max(offset, other["start"])
        if min(end, other_end) > at:
            yield at, min(end, other_end), mine, other
        if end <= other_end:
            i += 1
        if other_end <= end:
            j += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("diskio")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0, help="as many histories as that takes")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    print("# tests: 1")
    began, seed, failed, kills, foreign, told, deepest = time.monotonic(), options.seed, 0, 0, 0, 0, 0
    while time.monotonic() - began < options.seconds if options.seconds else seed < options.seed + options.histories:
        history = History(os.path.abspath(options.diskio), seed)
        try:
            history.play(options.rounds)
            history.end()
        except (Wrong, subprocess.TimeoutExpired, OSError, ValueError) as wrong:
            failed += 1
            with open(history.path("log"), "w", encoding="utf-8") as f:
                f.write("\n".join(history.log) + "\n")
            print(f"not ok differential: seed {seed}: {wrong} (files and log in {history.dir})", flush=True)
        kills, foreign, told, deepest = kills + history.kills, foreign + history.foreign, told + history.told, max(deepest, history.depth)
        seed += 1
        if failed == 3:
            break
    count = seed - options.seed
    if foreign > 20 and told < foreign // 2:
        failed += 1
        print(f"not ok differential: only {told} of {foreign} interruptions were told")
    if not failed:
        print(f"ok differential: {count} histories, {kills} kills, after {foreign} of them QEMU came first, chains up to {deepest}, "
              f"{time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
