#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots as an initiator and a person see them: snapshots.py. The whole daemon on loopback; what is written over iSCSI is there again
after a restore, for the initiator and for QEMU's tools. One line for each case."""
import json
import os
import subprocess
import sys
import threading
import time

import iscsi
from iscsi import Failed, Session, attempt, case, equal, want
from sanbootd import Sanbootd, golden_blocks

SYNCHRONIZE_CACHE = b"\x35" + bytes(9)
AT, BLOCKS = 4096, 256                     # where the tests write
LUN1 = b"\0\1" + bytes(6)
AT_ONCE_MS = 100


def tool(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    equal(p.returncode, 0, f"{' '.join(argv)}: {p.stdout.strip()}")
    return p.stdout


def session(machine):
    return Session(machine, name=None, keys=[("TargetName", machine.iqn)])


def block(text):
    return text.encode().ljust(512, b".") * BLOCKS


def write(machine, text, lun=bytes(8)):
    s = session(machine)
    s.command(bytes(6), lun=lun)           # TEST UNIT READY takes what there is to be told
    equal(s.command(iscsi.write10(AT, BLOCKS), write=BLOCKS * 512, payload=block(text), lun=lun).status, 0, "a write")
    equal(s.command(SYNCHRONIZE_CACHE, lun=lun).status, 0, "a flush")
    s.close()
    off(machine)


def alive(s):
    """It answers the server's question whether it is there (NOP-In with a target transfer tag)."""
    pdu = s.recv()
    equal((pdu.opcode, pdu.itt), (iscsi.NOP_IN, iscsi.NONE), f"the server's question: {pdu}")
    s.send(iscsi.NOP_OUT | iscsi.IMMEDIATE, itt=iscsi.NONE, words=[pdu.ttt, s.cmdsn, s.statsn])


def off(machine):
    machine.daemon.ctl("machine", "release", machine.name)
    machine.daemon.ask(machine.show()["macs"][0])
    tool("qemu-img", "check", "-f", "qcow2", machine.daemon.closed_disk(machine))


def reads(machine, want_data, lun=bytes(8)):
    s = session(machine)
    s.command(bytes(6), lun=lun)
    equal(s.command(iscsi.read10(AT, BLOCKS), read=BLOCKS * 512, lun=lun).data, want_data, "what the initiator reads")
    s.close()
    off(machine)


def refused(t, sentence, *args):
    try:
        t.ctl(*args)
    except Failed as err:
        want(sentence in str(err), f"{' '.join(args)}: {err}")
        return
    raise Failed(f"sanbootctl {' '.join(args)} went ahead")


def labels(machine):
    return [s["label"] for s in machine.show()["snapshots"]]


def chain(path):
    return json.loads(tool("qemu-img", "info", "--backing-chain", "--output=json", path))


@case("snapshots")
def what_was_written_is_there_again_after_a_restore(t):
    m = t.enrol()
    reads(m, golden_blocks(AT, BLOCKS))
    write(m, "first")
    t.ctl("machine", "snapshot", m.name, "one")
    equal([os.path.basename(f["filename"]) for f in chain(m.show()["disk"]["path"])][2:], ["golden@1.raw"], "the end of the chain")
    reads(m, block("first"))
    write(m, "second")
    t.ctl("machine", "restore", m.name, "one", "--yes")
    reads(m, block("first"))
    equal(labels(m), ["one", "before-one"], "snapshots")
    t.ctl("machine", "restore", m.name, "before-one", "--yes")
    reads(m, block("second"))
    # They survive what throws the machine's disk away.
    t.ctl("machine", "reset", m.name, "--yes")
    reads(m, golden_blocks(AT, BLOCKS))
    t.ctl("machine", "restore", m.name, "one", "--yes")
    reads(m, block("first"))
    want("one" in t.ctl("machine", "snapshots", m.name) and "one" in t.ctl("machine", "show", m.name), "nobody sees them")
    refused(t, "made from golden@1", "image", "remove", "golden@1", "--yes")
    t.ctl("machine", "remove", m.name, "--yes")
    refused(t, "there is no machine", "machine", "snapshots", m.name)


@case("snapshots")
def a_machine_that_runs_is_refused_with_what_to_do(t):
    m = t.enrol()
    s = session(m)
    equal(s.read10(AT, 1).status, 0, "a read")
    asked = threading.Thread(target=alive, args=(s,))
    asked.start()
    refused(t, "shut it down", "machine", "snapshot", m.name, "one")
    asked.join()
    equal(s.read10(AT, 1).status, 0, "it is disturbed")
    s.close()
    off(m)
    t.ctl("machine", "snapshot", m.name, "one")
    refused(t, "there is a snapshot one already", "machine", "snapshot", m.name, "one")
    refused(t, "label: expected", "machine", "snapshot", m.name, "a b")
    refused(t, "has no snapshot two", "machine", "restore", m.name, "two", "--yes")
    refused(t, "has no snapshot two", "machine", "snapshot-remove", m.name, "two", "--yes")
    refused(t, "--yes", "machine", "restore", m.name, "one")


@case("snapshots")
def a_large_disk_costs_no_more_than_a_small_one(t):
    """The fastest of some: what the server needs, beside what else this host does."""
    m = t.enrol()
    t.ctl("machine", "set", m.name, "size=1T")
    path = m.show()["disk"]["path"]
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 32M 32M", path)
    times = []
    for n in range(5):
        began = time.monotonic()
        t.api("POST", f"machines/{m.name}/snapshots", {"label": f"s{n}"})
        times.append((time.monotonic() - began) * 1000)
    print(f"#   {min(times):.1f} ms to {max(times):.1f} ms for a snapshot of a disk of 1 TiB", flush=True)
    want(min(times) < AT_ONCE_MS, f"{min(times):.0f} ms at least")


@case("snapshots")
def eight_files_at_most_lie_one_over_the_other(t):
    m = t.enrol()
    for n in range(9):
        write(m, f"n{n}")
        t.ctl("machine", "snapshot", m.name, f"s{n}")
        want(len(chain(m.show()["disk"]["path"])) <= 8, "the chain is deeper")
    for n in (0, 5, 6, 7, 8):
        t.ctl("machine", "restore", m.name, f"s{n}", "--yes")
        reads(m, block(f"n{n}"))
    # What nothing stands on goes; what something stands on is said, and goes with that.
    want("stands on it" in t.ctl("machine", "snapshot-remove", m.name, "s0", "--yes"), "nobody is told")
    before = len(os.listdir(t.dir + "/state/children"))
    t.ctl("machine", "remove", m.name, "--for-good", "--yes")
    end = time.monotonic() + 20     # they go on a worker
    while len(os.listdir(t.dir + "/state/children")) > before - 9 and time.monotonic() < end:
        time.sleep(0.05)
    want(len(os.listdir(t.dir + "/state/children")) <= before - 9, "its files are still there")


@case("snapshots")
def a_data_volume_stays_the_same_disk(t):
    m = t.enrol()
    t.ctl("volume", "create", "--machine", m.name, "--size", "64M", "--name", "data")

    def serial():
        s = session(m)
        got = s.command(b"\x12\1\x80\0\xff\0", read=255, lun=LUN1).data
        s.close()
        off(m)
        return got
    known = serial()
    write(m, "first", LUN1)
    t.ctl("volume", "snapshot", "data", "one")
    write(m, "second", LUN1)
    t.ctl("volume", "copy", "data", "copy")
    t.ctl("volume", "restore", "data", "one", "--yes")
    reads(m, block("first"), LUN1)
    equal(serial(), known, "its serial number")
    t.ctl("volume", "detach", "data")
    t.ctl("volume", "attach", "copy", m.name, "--lun", "1")
    reads(m, block("second"), LUN1)
    want(serial() != known, "a copy is another disk")
    volume = json.loads(t.ctl("volume", "show", "data", "--json"))
    equal([s["label"] for s in volume["snapshots"]], ["one", "before-one"], "snapshots")
    status = json.loads(t.ctl("status", "--json"))
    want(status["snapshots"]["count"] >= 2 and status["snapshots"]["bytes"] > 0, f"they are not counted: {status['snapshots']}")
    t.ctl("volume", "remove", "data", "--yes")
    want(not any(os.path.basename(s["path"]) in os.listdir(t.dir + "/state/children") for s in volume["snapshots"]), "its files are still there")


@case("retention")
def what_a_rule_would_take_is_shown_and_taken_when_wanted(t):
    for entry in t.api("GET", "trash")["trash"]:
        t.api("DELETE", f"trash/%23{entry['id']}")
    m = t.enrol()
    write(m, "kept")
    path = m.show()["disk"]["path"]
    t.ctl("machine", "remove", m.name, "--yes")
    said = t.ctl("policy", "set", "trash=none")
    want("go" in said and "retention show" in said, f"nobody is told what goes: {said}")
    plan = json.loads(t.ctl("retention", "show", "--json"))
    item = plan["items"][0]
    equal((item["kind"], item["name"], item["rule"], plan["due"]), ("trash", m.name, "trash=none", 1), "what goes")
    want(item["due_ms"] > plan["now_ms"] + 500_000, "it goes before it can be taken back")
    want(item["bytes"] >= BLOCKS * 512, f"{item['bytes']} bytes")
    want(m.name in t.ctl("retention", "show"), "nobody sees it")
    want(os.path.exists(path), "its disk is gone already")
    refused(t, "--yes", "retention", "run")
    want("1 gone" in t.ctl("retention", "run", "--yes"), "it did not go")
    want(not os.path.exists(path) and not t.api("GET", "trash")["trash"], "it is there still")
    event = [e for e in t.api("GET", "events")["events"] if e["kind"] == "removed"][-1]
    want("trash=none" in event["text"], f"the event does not say why: {event}")
    t.ctl("policy", "set", "trash=7d")
    want("nothing is due" in t.ctl("retention", "run", "--yes"), "something is due")
    refused(t, "keep-idle must be", "policy", "set", "keep-idle=soon")


@case("retention")
def the_last_disks_of_an_ephemeral_machine_stay_for_a_while(t):
    m = t.enrol(mode="ephemeral")
    t.ctl("policy", "set", "keep-ephemeral=1")
    for text in ("first", "second", "third"):
        write(m, text)
    reads(m, golden_blocks(AT, BLOCKS))
    left = m.show()["snapshots"]
    equal(len(left), 1, "disks that were left")
    want(left[0]["left_by"] and left[0]["label"] == f"of-boot-{left[0]['left_by']}", f"{left}")
    tool("qemu-img", "check", "-f", "qcow2", left[0]["path"])
    raw = t.dir + "/left.raw"
    tool("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", left[0]["path"], raw)
    with open(raw, "rb") as f:
        f.seek(AT * 512)
        equal(f.read(BLOCKS * 512), block("third"), "what was on it")
    t.ctl("policy", "set", "keep-ephemeral=none")
    t.ctl("retention", "run", "--yes")
    equal(m.show()["snapshots"], [], "what is left")
    t.ctl("machine", "remove", m.name, "--for-good", "--yes")


if __name__ == "__main__":
    wanted = [c for c in iscsi.CASES if len(sys.argv) < 2 or sys.argv[1] in c[0]]
    iscsi.declare(len(wanted))
    daemon = Sanbootd()
    failed = 0
    try:
        for name, function, _ in wanted:
            failed += not attempt(name, function, daemon)
    finally:
        status = daemon.stop()
    if status:
        print(f"not ok snapshots: the daemon ended with {status}")
    sys.exit(1 if failed or status else 0)
