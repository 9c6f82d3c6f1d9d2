#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the watch over I/O loops said (server/base/loop_watch.h): each "loop io-N waited ..." in the log of a debug or asan build is a failure.

    tests/loop_watch.py NAME LOG PROGRAM      "not ok NAME: loop-watch ..." for each such line, with source lines for the addresses; exit
                                              status 1 if there is one

And one line that is no result: "# loop-watch: NAME watched", or "# loop-watch: NAME blind: why" where the kernel did not let the watch look.
Of these tests/run makes one result for the whole suite."""
import mmap, os, re, subprocess, sys

WAITED = re.compile(r"loop io-\d+ waited .*")
BLIND = re.compile(r"where it sleeps cannot be traced: .*")


def with_sources(line, program):
    """The line, with function and source line instead of an address of the program."""
    def source(m):
        p = subprocess.run(["addr2line", "-fspe", program, m.group(1)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return p.stdout.strip().replace(" at ", "@") if p.returncode == 0 and "?" not in p.stdout else m.group(0)
    try:
        return re.sub(re.escape(os.path.basename(program)) + r"\+(0x[0-9a-f]+)", source, line)
    except OSError:
        return line                       # no addr2line


def complaints(text, program):
    """The lines of a log that say that a loop waited."""
    return [with_sources(m.group(0), program) for m in WAITED.finditer(text)]


def blind(text):
    """Why the watch did not see all; None where it did."""
    m = BLIND.search(text)
    return "only major faults are watched: " + m.group(0).strip() if m else None


def watches(program):
    """Whether it was built with the watch."""
    try:
        with open(program, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as text:
            return text.find(b"where it sleeps cannot be traced") >= 0
    except (OSError, ValueError):
        return False


def outcome(name, why):
    print(f"# loop-watch: {name} blind: {why}" if why else f"# loop-watch: {name} watched", flush=True)


def judge(name, text, program):
    """Prints what there is to say; false where a loop waited."""
    found = complaints(text, program)
    for line in found:
        print(f"not ok {name}: loop-watch {line}", flush=True)
    if watches(program):
        outcome(name, blind(text))
    return not found


if __name__ == "__main__":
    with open(sys.argv[2], errors="replace") as log:
        sys.exit(0 if judge(sys.argv[1], log.read(), sys.argv[3]) else 1)
