#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An idle server costs no CPU: idle.py. The whole daemon on loopback, and its threads' wake-ups counted.

Expected are none but these: a NOP-In and its answer for each session of an operating system in 15 s; and while a machine is booting, the
control loop once a second, until the boot is steady (20 s after the login of the system) or known to be stuck. With nobody there: none at all."""
import sys

import iscsi
from iscsi import Session, attempt, case, equal
from sanbootd import Sanbootd, wakeups

IO_LOOPS = r"io-\d+$"


@case("idle")
def with_nobody_there_nothing_wakes_up(t):
    equal(wakeups.idle(t.process.pid, 20), None, "threads that woke up")


@case("idle")
def a_silent_machine_wakes_nothing(t):
    machine = t.enrol()
    s = Session(machine, name=None, keys=[("TargetName", machine.iqn)])
    equal(s.read10(0, 8).status, 0, "a read")
    equal(wakeups.idle(t.process.pid, 10, IO_LOOPS), None, "I/O loops that woke up, while the boot is watched")
    equal(wakeups.idle(t.process.pid, 45), None, "threads that woke up, once the boot is steady")
    s.close()


def main():
    iscsi.declare(len(iscsi.CASES))
    daemon, failed = Sanbootd(), 0
    try:
        for name, function, _ in iscsi.CASES:
            failed += not attempt(name, function, daemon)
    finally:
        status = daemon.stop()
    if status:
        print(f"not ok idle: the daemon ended with {status}")
    return 1 if failed or status else 0


if __name__ == "__main__":
    sys.exit(main())
