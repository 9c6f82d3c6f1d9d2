# SPDX-License-Identifier: GPL-2.0-or-later
"""How often the threads of a process wake up. Each time a thread waits for something it leaves its core by itself, so that its voluntary
context switches count its wake-ups, whatever else the machine does at the time."""
import os, re, time

SPAN_S, BOUND = 3, 3          # idle: fewer wake-ups than that, in so many seconds


def count(pid, names=""):
    """Until now: thread (name, id) -> voluntary switches, of the threads whose name matches."""
    counts = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/status", encoding="utf-8") as f:
                text = f.read()
        except (FileNotFoundError, ProcessLookupError):
            continue                                  # ended meanwhile
        name = re.search(r"^Name:\t(.*)", text, re.M).group(1)
        if re.match(names, name):
            counts[name, task] = int(re.search(r"^voluntary_ctxt_switches:\t(\d+)", text, re.M).group(1))
    return counts


def busy(pid, names="", seconds=SPAN_S):
    """The threads that woke up within so many seconds from now: name -> how often."""
    before = count(pid, names)
    time.sleep(seconds)
    return {thread[0]: n - before.get(thread, 0) for thread, n in count(pid, names).items() if n != before.get(thread, 0)}


def idle(pid, within_s, names=""):
    """None once the threads were idle for a span, within the time; else who woke up in the last span."""
    end = time.monotonic() + within_s
    while True:
        found = busy(pid, names)
        if sum(found.values()) < BOUND:
            return None
        if time.monotonic() > end:
            return found
