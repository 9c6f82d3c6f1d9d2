#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of cmdlets (packaging/docs/cmdlets.md): cmdlets.py. Each row's command lines are run as they stand, in order, in one life of the
daemon, and a case looks whether they did what the cmdlet does. A row without a case fails, and so does a case without a row."""
import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request

import iscsi
from iscsi import Failed, Session, attempt, equal, want
from sanbootd import Machine, Sanbootd, TOP

TABLE = os.path.join(TOP, "packaging/docs/cmdlets.md")
# Of the modules of Windows Server 2022: the table has them all.
COUNTS = {"IscsiTarget": 26, "iSCSI, the initiator": 13}
MAC = "52:54:00:12:34:56"
CASES = {}


def rows():
    """[(module, cmdlet, [command line])]"""
    found, module = [], None
    with open(TABLE, encoding="utf-8") as f:
        for line in f:
            if line.startswith("## "):
                module = line[3:].strip()
            m = re.match(r"\| ([A-Z][a-z]+-Iscsi\w+) \| (.*?) \| .*\|$", line)
            if m:
                found.append((module, m.group(1), re.findall(r"`([^`]+)`", m.group(2))))
    return found


def cmdlet(verb):
    def register(function):
        CASES[verb] = function
        return function
    return register


class Site(Sanbootd):
    """A daemon, and a shell that knows what the table calls /srv/ and SERVER."""

    def __init__(self):
        super().__init__()
        self.srv = self.dir + "/srv/"
        os.mkdir(self.srv)
        with open(self.srv + "old.raw", "wb") as f:
            f.write(os.urandom(1 << 20))
            f.truncate(8 << 20)
        subprocess.run(["qemu-img", "convert", "-O", "vhdx", self.srv + "old.raw", self.srv + "old.vhdx"], check=True)

    def run(self, line):
        words = shlex.split(line.replace("/srv/", self.srv).replace("SERVER", self.http))
        if words[0] == "curl":
            with urllib.request.urlopen(words[1], timeout=20) as r:
                return r.read().decode()
        equal(words[0], "sanbootctl", "a program that is not known here")
        return self.ctl(*words[1:])

    def machine_of(self, name):
        return self.api("GET", "machines/" + name)

    def volume(self, name):
        return next((v for v in self.api("GET", "volumes")["volumes"] if v["name"] == name), None)

    def luns(self, name):
        return {x["lun"]: x["volume"] for x in self.machine_of(name)["luns"]}

    def labels(self, path):
        return [s["label"] for s in self.api("GET", path + "/snapshots")["snapshots"] if not s["removed"]]


def session(t, name, mac):
    """A machine boots, and its system has logged in."""
    t.ctl("machine", "set", name, "auth=none")
    t.ask(mac)
    m = Machine(t, name, "")
    return Session(m, name=None, keys=[("TargetName", m.iqn)])


def run_all(t, lines):
    """What they print."""
    return "".join(t.run(line) for line in lines)


# ---- targets ----

@cmdlet("New-IscsiServerTarget")
def target_is_new(t, lines):
    run_all(t, lines)
    want(re.match(r"iqn\.", t.machine_of("pc-001")["iqn"]) and t.machine_of("pc-002")["macs"], "no target")


@cmdlet("Get-IscsiServerTarget")
def target_is_shown(t, lines):
    said = run_all(t, lines)
    want(t.machine_of("pc-001")["iqn"] in said and "pc-002" in said, said)


@cmdlet("Set-IscsiServerTarget")
def target_is_set(t, lines):
    run_all(t, lines)
    equal(t.machine_of("pc-001")["auth"], "mutual", "auth")
    t.ask(MAC)
    m = Machine(t, "pc-001", "")
    try:
        Session(m, name=None, keys=[("TargetName", m.iqn)]).close()
    except Failed:
        return
    raise Failed("it is open without a secret")


@cmdlet("Remove-IscsiServerTarget")
def target_is_gone(t, lines):
    run_all(t, lines)
    want("pc-002" not in t.ctl("machine", "list") and "pc-002" in t.ctl("machine", "trash", "list"), "it is there")


# ---- virtual disks ----

@cmdlet("New-IscsiVirtualDisk")
def disk_is_new(t, lines):
    run_all(t, lines)
    equal((t.volume("scratch")["virtual_bytes"], t.luns("pc-001").get(1)), (20 << 30, "scratch"), "the disk")


@cmdlet("Get-IscsiVirtualDisk")
def disk_is_shown(t, lines):
    said = run_all(t, lines)
    want("scratch" in said and "20 GiB" in said and "system" in said, said)


@cmdlet("Set-IscsiVirtualDisk")
def disk_is_set(t, lines):
    run_all(t, lines)
    equal(t.volume("scratch")["note"], "for-builds", "its note")


@cmdlet("Resize-IscsiVirtualDisk")
def disk_is_larger(t, lines):
    run_all(t, lines)
    equal(t.volume("scratch")["virtual_bytes"], 40 << 30, "its size")


@cmdlet("Import-IscsiVirtualDisk")
def disk_is_imported(t, lines):
    run_all(t, lines)
    equal(t.volume("old-disk")["virtual_bytes"], 8 << 20, "the disk")


@cmdlet("Convert-IscsiVirtualDisk")
def disk_is_converted(t, lines):
    run_all(t, lines)
    subprocess.run(["qemu-img", "compare", "-f", "vpc", "-F", "raw", t.srv + "new.vhd", t.srv + "old.raw"], check=True, stdout=subprocess.DEVNULL)


@cmdlet("Remove-IscsiVirtualDisk")
def disk_is_gone(t, lines):
    run_all(t, lines)
    want(t.volume("scratch") is None, "it is there")


@cmdlet("Add-IscsiVirtualDiskTargetMapping")
def disk_is_mapped(t, lines):
    run_all(t, lines)
    equal(t.luns("pc-002").get(3), "old-disk", "LUN 3")


@cmdlet("Remove-IscsiVirtualDiskTargetMapping")
def disk_is_unmapped(t, lines):
    run_all(t, lines)
    equal(list(t.luns("pc-002")), [0], "LUNs")


# ---- snapshots ----

def closed(t, name):
    t.ctl("machine", "release", name)
    end = time.monotonic() + 20
    while not t.machine_of(name)["disk"]["clean"]:
        want(time.monotonic() < end, f"the disks of {name} stay open")
        time.sleep(0.05)


def write_both(t, byte):
    """pc-001 writes to both of its disks, and is switched off."""
    s = session(t, "pc-001", MAC)
    for lun in (bytes(8), b"\0\1" + bytes(6)):
        s.command(bytes(6), lun=lun)
        equal(s.command(iscsi.write10(2048, 128), write=65536, payload=byte * 65536, lun=lun).status, 0, "a write")
    s.close()
    closed(t, "pc-001")


def qemu_io(path, command, *options):
    p = subprocess.run(["qemu-io", *options, "-f", "qcow2", "-c", command, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       check=False)
    want(p.returncode == 0 and "failed" not in p.stdout, f"{command} {path}: {p.stdout}")


@cmdlet("Checkpoint-IscsiVirtualDisk")
def snapshot_is_taken(t, lines):
    write_both(t, b"\1")
    run_all(t, lines)
    write_both(t, b"\2")
    equal((t.labels("volumes/scratch"), t.labels("machines/pc-001")), (["monday"], ["monday"]), "snapshots")


@cmdlet("Get-IscsiVirtualDiskSnapshot")
def snapshot_is_shown(t, lines):
    said = run_all(t, lines)
    want(said.count("monday") == 2, said)
    listed = json.loads(said[said.index("{"):])["snapshots"]
    qemu_io(listed[0]["path"], "read -P 1 1M 64k", "-r")      # what qemu-nbd -r would show


@cmdlet("Export-IscsiVirtualDiskSnapshot")
def snapshot_is_a_disk(t, lines):
    run_all(t, lines)
    equal((t.volume("monday-disk")["kind"], t.volume("monday-disk")["read_only"]), ("shared", True), "the disk")


@cmdlet("Mount-IscsiVirtualDiskSnapshot")
def snapshot_is_mounted(t, lines):
    run_all(t, lines)
    equal(t.luns("pc-002").get(1), "monday-disk", "LUN 1")
    s = session(t, "pc-002", "52:54:00:12:34:57")
    s.command(bytes(6), lun=b"\0\1" + bytes(6))
    read = s.command(iscsi.read10(2048, 8), read=4096, lun=b"\0\1" + bytes(6))
    equal(read.data, b"\1" * 4096, "what is on it")
    s.close()


@cmdlet("Dismount-IscsiVirtualDiskSnapshot")
def snapshot_is_not_mounted(t, lines):
    closed(t, "pc-002")
    run_all(t, lines)
    want(t.volume("monday-disk") is None, "it is there")


@cmdlet("Restore-IscsiVirtualDisk")
def snapshot_is_restored(t, lines):
    run_all(t, lines)
    for path in (t.volume("scratch")["path"], t.machine_of("pc-001")["disk"]["path"]):
        qemu_io(path, "read -P 1 1M 64k", "-r")
    want("before-monday" in t.labels("volumes/scratch") and "before-monday" in t.labels("machines/pc-001"), "it cannot be undone")


@cmdlet("Remove-IscsiVirtualDiskSnapshot")
def snapshot_is_gone(t, lines):
    run_all(t, lines)
    equal(t.labels("volumes/scratch"), ["before-monday"], "snapshots")


# ---- the server ----

@cmdlet("Stop-IscsiVirtualDiskOperation")
def operation_is_stopped(t, lines):
    """An upload that nobody goes on with."""
    number = t.api("POST", "images", {"upload": "a.raw", "name": "unwanted", "size_bytes": 1 << 20})["import"]
    said = run_all(t, [line.replace("NUMBER", str(number)) for line in lines])
    want("unwanted" in said, said)
    end = time.monotonic() + 20
    while t.api("GET", f"imports/{number}")["stage"] != "failed":
        want(time.monotonic() < end, "it goes on")
        time.sleep(0.05)
    want("unwanted" not in t.ctl("image", "list"), "something of it stayed")


@cmdlet("Get-IscsiTargetServerSetting")
def settings_are_shown(t, lines):
    said = run_all(t, lines)
    want(f"{t.address[0]}:{t.address[1]}" in said and "max-machines=256" in said, said)


@cmdlet("Set-IscsiTargetServerSetting")
def settings_are_set(t, lines):
    run_all(t, lines)
    want("max-machines=500" in t.ctl("policy", "show"), "nothing is changed")


@cmdlet("Export-IscsiTargetServerConfiguration")
def configuration_goes_out(t, lines):
    said = run_all(t, lines)
    want(f"pc-001,{MAC}" in said, said)
    with open(t.srv + "machines.csv", "w", encoding="utf-8") as f:
        f.write(said.replace("pc-001", "pc-101").replace("pc-002", "pc-102").replace("52:54:00:12:34", "52:54:00:12:99"))


@cmdlet("Import-IscsiTargetServerConfiguration")
def configuration_comes_in(t, lines):
    run_all(t, lines)
    equal(t.machine_of("pc-101")["macs"], ["52:54:00:12:99:56"], "MACs")


# ---- the initiator's side ----

def logged_in(t):
    s = session(t, "pc-001", MAC)
    equal((s.read10(0, 8).status, s.write10(4096, b"w" * 4096).status), (0, 0), "read and write")
    return s


@cmdlet("Register-IscsiSession")
def login_is_persistent(t, lines):
    said = run_all(t, lines)
    want(re.search(r"iscsi:\S*" + re.escape(t.machine_of("pc-001")["iqn"]), said) and "sanboot" in said, said)


@cmdlet("Connect-IscsiTarget")
def target_is_to_be_booted(t, lines):
    t.ctl("machine", "set", "pc-001", "boot=local")
    run_all(t, lines)
    want("iscsi:" in t.ask(MAC), "its script does not log in")


@cmdlet("Get-IscsiTarget")
def targets_are_listed(t, lines):
    listed = json.loads(run_all(t, lines))["machines"]
    want(any(m["name"] == "pc-001" and m["iqn"].startswith("iqn.") for m in listed), listed)


@cmdlet("Get-IscsiTargetPortal")
def portals_are_listed(t, lines):
    equal(json.loads(run_all(t, lines))["portals"], [f"{t.address[0]}:{t.address[1]}"], "portals")


@cmdlet("Get-IscsiSession")
def session_is_shown(t, lines):
    s = logged_in(t)
    session, = json.loads(run_all(t, lines))["sessions"]
    equal((session["initiator"], session["bytes_read"], session["bytes_written"]), (iscsi.INITIATOR, 4096, 4096), "the session")
    want(session["commands"] > 1, session)
    metrics = t.run("curl http://SERVER/metrics")
    want(re.search(r"^sanbootd_\w*bytes\w* ?", metrics, re.M), "no sums of bytes")
    s.close()


@cmdlet("Get-IscsiConnection")
def connection_is_shown(t, lines):
    s = logged_in(t)
    own, peer = s.sock.getsockname(), s.sock.getpeername()
    want(f"{own[0]}:{own[1]} at {peer[0]}:{peer[1]}" in run_all(t, lines), "the session's addresses are missing")
    s.close()


@cmdlet("Set-IscsiChapSecret")
def secret_is_shown(t, lines):
    t.ctl("machine", "set", "pc-001", "auth=mutual")
    script = t.ask(MAC)
    said = run_all(t, lines)
    m = json.loads(t.ctl("machine", "show", "pc-001", "--secrets", "--json"))
    secret = m["boots"][0]["secret"]
    want(secret in script and secret in said, "another secret, or none")


@cmdlet("Disconnect-IscsiTarget")
def target_is_released(t, lines):
    s = logged_in(t)
    equal(len(t.machine_of("pc-001")["sessions"]), 1, "sessions")
    run_all(t, lines)
    end = time.monotonic() + 20
    while t.machine_of("pc-001")["sessions"]:
        want(time.monotonic() < end, "it is still there")
        time.sleep(0.05)
    s.close()


@cmdlet("Unregister-IscsiSession")
def target_is_not_booted(t, lines):
    run_all(t, lines)
    script = t.ask(MAC)
    want("iscsi:" not in script, script)


def whole(t, table):
    """Every cmdlet of both modules is there once; those with commands have a case, and the other way round."""
    names = [name for _, name, _ in table]
    equal({module: sum(m == module for m, _, _ in table) for module in COUNTS}, COUNTS, "cmdlets in the table")
    equal(len(set(names)), len(names), "cmdlets that are there twice")
    equal({name for _, name, lines in table if lines}, set(CASES), "rows with commands, and cases")
    t.forget()


def main():
    table = rows()
    with_commands = [(name, lines) for _, name, lines in table if lines]
    iscsi.declare(1 + len(with_commands))
    t = Site()
    failed = not attempt("cmdlets: all of them, each with a case", lambda t: whole(t, table), t)
    try:
        for name, lines in with_commands:
            failed += not attempt("cmdlets: " + name, lambda t, name=name, lines=lines: CASES[name](t, lines), t)
    finally:
        status = t.stop()
    if status:
        print(f"not ok cmdlets: the daemon ended with {status}")
    sys.exit(1 if failed or status else 0)


if __name__ == "__main__":
    main()
