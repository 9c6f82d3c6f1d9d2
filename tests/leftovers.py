#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends what a killed run of the tests or of the demo left running: leftovers.py RUN. Every process of a run has SANBOOTD_RUN=RUN in its
environment; whoever calls this holds the lock of such runs, so that none can be going on."""
import os, select, signal, sys, time

NAME = "SANBOOTD_RUN"


def ancestors():
    pid = os.getpid()
    while pid > 0:
        yield pid
        with open(f"/proc/{pid}/stat") as f:
            pid = int(f.read().rpartition(")")[2].split()[1])


def of_run(run):
    """The processes of that run, as descriptors that cannot mean another process."""
    mark, spared = os.fsencode(f"{NAME}={run}"), set(ancestors())
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                ours = pid not in spared and mark in f.read().split(b"\0")
        except OSError:
            ours = False                  # gone, or another user's
        if ours:
            yield fd
        else:
            os.close(fd)


def end(run, seconds=20):
    """Kills them and waits until they are gone; gives how many there were."""
    count, limit = 0, time.monotonic() + seconds
    while fds := list(of_run(run)):       # again: one may have started another just now
        count += len(fds)
        for fd in fds:
            try:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            except ProcessLookupError:
                pass
            select.select([fd], [], [], max(0, limit - time.monotonic()))
            os.close(fd)
        if time.monotonic() > limit:
            sys.exit(f"processes of an earlier run do not end: {run}")
    return count


if __name__ == "__main__":
    if killed := end(sys.argv[1]):
        print(f"ended {killed} processes that an earlier run had left")
