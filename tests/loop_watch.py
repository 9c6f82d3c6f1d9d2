#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the watch over I/O loops said (server/base/loop_watch.h): each "loop io-N waited ..." in the log of a debug or asan build is a failure.

    tests/loop_watch.py NAME LOG PROGRAM      "not ok NAME ..." for each such line, with source lines for the addresses; exit status 1 if there is one

Where the kernel did not let the watch look, that is said as "skip NAME ..."."""
import os, re, subprocess, sys

WAITED = re.compile(r"loop io-\d+ waited .*")
BLIND = re.compile(r"loop io-\d+: only its major faults and long sleeps are watched.*")


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
    return m.group(0) if m else None


def judge(name, text, program):
    """Prints what there is to say; false where a loop waited."""
    found = complaints(text, program)
    for line in found:
        print(f"not ok {name} {line}", flush=True)
    if blind(text):
        print(f"skip {name} {blind(text)}", flush=True)
    return not found


if __name__ == "__main__":
    with open(sys.argv[2], errors="replace") as log:
        sys.exit(0 if judge(sys.argv[1], log.read(), sys.argv[3]) else 1)
