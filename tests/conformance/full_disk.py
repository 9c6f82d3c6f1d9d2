#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Operations of the table in kills.py on a file system that is full to the last block: full_disk.py. Each is refused with a sentence that says so, or
done where it needs no room; nothing is half done, nothing is left over, and with room again it is done. As root, for a tmpfs of its own."""
import os
import subprocess
import sys
import tempfile

import iscsi
from iscsi import Failed, attempt, equal, want
from kills import Mortal
import kills_images
import kills_machines
import kills_volumes

SIZE = "96m"
SAYS = "free|room|space"
# What has to fail without room; whatever is done in the inventory alone must not.
NEED_ROOM = ["machine add", "machine import-csv", "machine reset", "machine set image=other@1", "volume create", "volume copy", "machine snapshot",
             "machine restore", "machine promote", "image import", "image import of a VHDX", "image import of what is packed"]
NEED_NONE = ["image create", "machine set note", "machine set name", "machine remove", "machine trash empty", "volume attach", "volume remove", "image publish",
             "image remove", "machine snapshot-remove", "group add", "policy set"]


class Full:
    """Everything that was free, for as long as the block lasts."""

    def __init__(self, folder):
        self.path = folder + "/filler"

    def __enter__(self):
        with open(self.path, "wb", buffering=0) as f:
            for piece in (1 << 20, 4096):
                try:
                    while True:
                        f.write(bytes(piece))
                except OSError:
                    pass

    def __exit__(self, *_):
        if os.path.exists(self.path):
            os.unlink(self.path)


def act_without_room(t, op):
    what = op.prepare(t)
    events = t.events(op.events) if op.events else 0
    why = None
    with Full(t.where):
        try:
            op.act(t, what)
        except Failed as err:
            why = str(err)
        done = op.is_done(t, what)
        equal(done, why is None, f"is it done, and it said: {why}")
    if op.events:
        equal(t.events(op.events) - events, done, f"events {op.events}")
    return done, why


def refused_then_done(t, op):
    done, why = act_without_room(t, op)
    want(not done, "it was done without room")
    want(any(word in why for word in SAYS.split("|")), f"it does not say why: {why}")
    t.check()
    what = op.prepare(t)
    op.act(t, what)
    want(op.is_done(t, what), "with room again it is not done")
    t.check()


def done_all_the_same(t, op):
    done, why = act_without_room(t, op)
    want(done, f"it is refused: {why}")
    t.check()


def main():
    table = {op.name: op for op in kills_machines.OPERATIONS + kills_volumes.OPERATIONS + kills_images.OPERATIONS}
    wanted = [(name, refused_then_done) for name in NEED_ROOM] + [(name, done_all_the_same) for name in NEED_NONE]
    iscsi.declare(len(wanted))
    where = tempfile.mkdtemp(prefix="sanbootd-full-")
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", where], check=False).returncode:
        os.rmdir(where)
        for name, _ in wanted:
            print(f"skip full disk: {name}: no file system can be mounted here")
        return 0
    failed = 1
    try:
        t = Mortal(where)
        t.where = where
        t.api("PATCH", "policy", {"reserve": "0%"})
        failed = sum(not attempt("full disk: " + name, lambda t, op=table[name], way=way: way(t, op), t) for name, way in wanted)
        failed += t.stop() != 0
    finally:
        subprocess.run(["umount", "-l", where], check=False)
        os.rmdir(where)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
