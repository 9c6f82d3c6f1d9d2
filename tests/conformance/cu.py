#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's iscsi-test-cu, all families with data loss, against a target: cu.py TESTD [lun1], cu.py sanbootd [512n], or cu.py URL [URL].

"lun1": against LUN 1 of a target with two. "sanbootd" is the whole daemon with one machine, whose disk is a child of a golden image; "512n": with physical-block=512. One line for each of its tests.
What it skips must be in the table, with why; anything else that is skipped counts as failed.
"""
import os
import re
import shutil
import subprocess
import sys

import iscsi
from sanbootd import Sanbootd

SKIPS = {
    r"EXTENDEDCOPY|RECEIVECOPYRESULT|RECEIVE_COPY": "EXTENDED COPY is optional: one target, one disk, nothing to copy between",
    r"removable": "the disk is not removable",
    r"allow-sanitize": "SANITIZE is optional, and a reset does it",
    r"WRITEATOMIC16": "WRITE ATOMIC is optional",
    r"LBPPB < 2": "wants several logical blocks in a physical one: it passes where there are (512e)",
    r"does not support 0-blocks": "WSNZ=1 (SBC-3 §6.5.3): a WRITE SAME of no blocks is refused, and must be; it passes on a 512n disk",
}
# A test that asks for one thing and compares with another.
WRONG = {
    "GetLBAStatus.UnmapSingle": "asks for LBA i+1 and wants the descriptor of i+8: right only where a physical block is a logical one; it passes on a 512n disk",
}
WRONG_512N = {
    "WriteSame10.UnmapUntilEnd": "sends FFh with UNMAP=1 and wants zeroes, where WSNZ=0: that would lose data (SBC-3 §4.7.3.4.3); it passes on a 512e disk",
}
# What a disk of 512-byte physical blocks (512n) may answer otherwise.
FAMILIES_512N = ("SCSI.GetLBAStatus", "SCSI.Inquiry", "SCSI.ReadCapacity16", "SCSI.Unmap", "SCSI.WriteSame10", "SCSI.WriteSame16")


def results(output):
    suite = name = None
    lines = []
    for line in output.splitlines() + ["Suite: end"]:
        found = re.match(r"Suite: (.*)|  Test: (.*?) \.\.\.(.*)", line)
        if not found:
            lines.append(line)
            continue
        if name:
            yield f"{suite}.{name}", lines
        if found[1]:
            suite, name = found[1], None
        else:
            name, lines = found[2], [found[3]]


def judge(name, lines, wrong):
    """ok, not ok or skip, and why."""
    body = "\n".join(lines)
    skipped = re.search(r"\[SKIPPED\] (.*)", body)
    if re.search(r"^FAILED|\bFAILED$", body.replace("[FAILED]", ""), re.M):
        return ("skip", wrong[name]) if name in wrong else ("not ok", body.strip().replace("\n", " | ")[:300])
    if not skipped:
        return ("ok", "") if "passed" in body else ("not ok", "it did not end")
    for pattern, why in SKIPS.items():
        if re.search(pattern, skipped[1]):
            return "skip", why
    return "not ok", "skipped: " + skipped[1]


def run(test, urls):
    done = subprocess.run(["iscsi-test-cu", "--dataloss", "--test=" + test, *urls], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600, env={**os.environ, "LC_ALL": "C"})
    return list(results(done.stdout.decode(errors="replace")))


def listed(families):
    """How many tests it has in these families, as "ALL.Family.Test"; a family may be "ALL" itself."""
    names = subprocess.run(["iscsi-test-cu", "--list"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.split()
    return sum(name.count(".") == 2 and (name + ".").startswith(family + ".") for name in names for family in families)


def run_all(urls):
    """Everything; the tests of a write-protected disk on one that is (mode page 0Ah, SWP)."""
    found = [r for r in run("ALL", urls) if not r[0].startswith("ReadOnly.")]
    subprocess.run(["iscsi-swp", "-s", "on", urls[0]], check=True, stdout=subprocess.DEVNULL)
    found += run("SCSI.ReadOnly", urls)
    subprocess.run(["iscsi-swp", "-s", "off", urls[0]], check=True, stdout=subprocess.DEVNULL)
    return found


def main():
    if not shutil.which("iscsi-test-cu"):
        iscsi.declare(1)
        print("skip iscsi-test-cu: not installed (package libiscsi-bin)")
        return 0
    target, suffix, small = None, "", False
    urls = sys.argv[1:]
    exist = listed(FAMILIES_512N) if urls == ["sanbootd", "512n"] else listed(["ALL", "SCSI.ReadOnly"]) - listed(["ALL.ReadOnly"])
    iscsi.declare(exist)
    # Twice: the tests of two paths want two.
    if urls[0] == "sanbootd":
        small = urls[1:] == ["512n"]
        target, suffix = Sanbootd(), " on a child of a golden image" + (", 512n" if small else "")
        urls = [target.enrol(access="many", **({"physical-block": 512} if small else {})).url] * 2
    elif "://" not in urls[0]:
        target = iscsi.Testd(urls[0])
        if urls[1:] == ["lun1"]:
            suffix = " on LUN 1"
            target.tell(f"volume 15 1 data {256 << 20} cu-volume")
            target.line("volume")
            urls = ["iscsi://%s:%d/%stwo/1" % (*target.address, iscsi.IQN)] * 2
        else:
            urls = ["iscsi://%s:%d/%smany/0" % (*target.address, iscsi.IQN)] * 2
    counts = {"ok": 0, "not ok": 0, "skip": 0}
    found = [r for family in FAMILIES_512N for r in run(family, urls)] if small else run_all(urls)
    for name, lines in found:
        verdict, why = judge(name, lines, WRONG_512N if small else WRONG)
        counts[verdict] += 1
        print(verdict, "iscsi-test-cu", name + suffix + (": " + why if why else ""))
    if sum(counts.values()) != exist or exist < (20 if small else 200):
        counts["not ok"] += 1
        print("not ok iscsi-test-cu: it ran", sum(counts.values()), "of", exist, "tests")
    if target and target.stop():
        counts["not ok"] += 1
        print("not ok iscsi-test-cu: the target did not end cleanly")
    print("# iscsi-test-cu" + suffix + ": %(ok)d passed, %(not ok)d failed, %(skip)d skipped" % counts)
    return 1 if counts["not ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
