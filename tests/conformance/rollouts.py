#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Publication in rings as an initiator and a person see it: rollouts.py. The whole daemon on loopback; which golden version a machine reads
over iSCSI before and after its next boot, and what becomes of what it wrote. One line for each case."""
import json
import os
import sys
import time

import iscsi
from iscsi import attempt, case, equal, want
from sanbootd import Sanbootd, golden_blocks
from snapshots import block, labels, off, reads, refused, session, write

AT, BLOCKS = 4096, 256                     # as snapshots.py


def new_blocks():
    return b"the new version ".ljust(512, b"!") * BLOCKS


def add_version(t):
    """golden@2, which differs where the tests read."""
    path = t.dir + "/golden2.raw"
    with open(t.golden, "rb") as old, open(path, "wb") as new:
        new.write(old.read())
        new.seek(AT * 512)
        new.write(new_blocks())
    t.ctl("image", "import", path, "--name", "golden")


def rollout(t):
    return json.loads(t.ctl("image", "rings", "golden", "--json"))


def standing(t, machine):
    return {m["name"]: m["standing"] for m in rollout(t)["machines"]}[machine.name]


def kill_and_start(t, *machines):
    """Killed, and started again at another portal."""
    t.process.kill()
    t.process.wait()
    t.start()
    for m in machines:
        m.address = t.address


def enrol(t, **settings):
    m = t.enrol(**settings)
    # Settings that need a machine that is off have their boot asked for by now.
    reads(m, golden_blocks(AT, BLOCKS))
    return m


def end(t):
    """Nothing is left for the next case."""
    t.ctl("image", "rollout", "undo", "golden")
    for m in json.loads(t.ctl("machine", "list", "--json"))["machines"]:
        t.ctl("machine", "remove", m["name"], "--for-good", "--yes")


@case("rollouts")
def a_ring_gets_it_with_its_next_boot_and_nobody_else(t):
    canary, other = enrol(t, mode="ephemeral", ring="canary"), enrol(t, mode="ephemeral")
    refused(t, "no machine of golden is in ring nowhere", "image", "publish", "golden@2", "--ring", "nowhere")
    refused(t, "that time is over", "image", "publish", "golden@2", "--ring", "canary", "--then", "50%@2020-01-01 00:00")
    s = session(canary)
    s.command(bytes(6))
    said = t.ctl("image", "publish", "golden@2", "--ring", "canary", "--then", "100%", "--dry-run")
    want("gets it at its next boot (it runs: outdated until then)" in said and "after step 2 begins" in said, said)
    t.ctl("image", "publish", "golden@2", "--ring", "canary", "--then", "100%")
    refused(t, "1 rollout needs golden@2", "image", "remove", "golden@2", "--yes")
    equal(s.command(iscsi.read10(AT, BLOCKS), read=BLOCKS * 512).data, golden_blocks(AT, BLOCKS), "a machine that runs")
    want("gets golden@2" in t.ctl("machine", "list"), "nobody is told")
    equal(canary.show()["next_image"], "golden@2", "what it gets")
    s.close()
    off(canary)
    kill_and_start(t, canary, other)
    reads(canary, new_blocks())
    reads(other, golden_blocks(AT, BLOCKS))
    equal((standing(t, canary), standing(t, other)), ("has", "later"), "standings")
    t.ctl("image", "rollout", "undo", "golden")
    equal(standing(t, canary), "goes-back", "after undo")
    kill_and_start(t, canary, other)
    reads(canary, golden_blocks(AT, BLOCKS))
    reads(other, golden_blocks(AT, BLOCKS))
    equal([b["image"] for b in canary.show()["boots"] if b["started_ms"]][:2], ["golden@1", "golden@2"], "what it ran on")
    for m in (canary, other):
        t.ctl("machine", "remove", m.name, "--for-good", "--yes")


@case("rollouts")
def nothing_is_lost_of_a_disk_that_is_kept(t):
    m = enrol(t)
    write(m, "first")
    refused(t, "--persistent", "image", "publish", "golden@2", "--then", "100%")
    t.ctl("image", "publish", "golden@2", "--then", "100%", "--persistent")
    reads(m, new_blocks())
    write(m, "second")
    equal(labels(m), ["before-golden-2"], "snapshots")
    t.ctl("image", "rollout", "undo", "golden")
    kill_and_start(t, m)
    reads(m, block("first"))
    t.ctl("machine", "restore", m.name, "before-golden-1", "--yes")
    reads(m, block("second"))
    equal(len([f for f in os.listdir(t.dir + "/state/children") if f.endswith(".qcow2")]), 4, "files")
    t.ctl("machine", "remove", m.name, "--for-good", "--yes")


@case("rollouts")
def boots_that_fail_stop_it_and_put_machines_back(t):
    machines = [t.enrol(mode="ephemeral") for _ in range(3)]        # nothing is known of the old version
    t.ctl("policy", "set", "rollout-min-boots=3", "rollout-brake=back", "rollout-wait=none")
    t.ctl("image", "publish", "golden@2", "--then", "100%")
    for m in machines:
        reads(m, new_blocks())
        t.ask(m.show()["macs"][0])
    kill_and_start(t, *machines)
    deadline = time.monotonic() + 60
    while rollout(t)["state"] == "running":
        want(time.monotonic() < deadline, f"it goes on: {rollout(t)}")
        time.sleep(0.2)
    r = rollout(t)
    equal((r["state"], r["back"], r["boots"]["new"]["failed"]), ("stopped", True, 3), "the rollout")
    want("only 0 of 3 boots" in r["why"], r["why"])
    want("rollout-stopped" in t.ctl("events"), "no event")
    for m in machines:
        reads(m, golden_blocks(AT, BLOCKS))
    want("new machines would get golden@2" in t.ctl("image", "publish", "golden@2", "--dry-run"), "a dry run")
    end(t)


if __name__ == "__main__":
    wanted = [c for c in iscsi.CASES if c[0].startswith("rollouts") and (len(sys.argv) < 2 or sys.argv[1] in c[0])]
    iscsi.declare(len(wanted))
    daemon = Sanbootd()
    failed = 0
    try:
        add_version(daemon)
        for name, function, _ in wanted:
            failed += not attempt(name, function, daemon)
    finally:
        status = daemon.stop()
    if status:
        print(f"not ok rollouts: the daemon ended with {status}")
    sys.exit(1 if failed or status else 0)
