#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is killed with -9 between any two steps of what people and machines do to volumes, and started again: kills.py. A step is a
call that changes a file (kill_at.c). For N = 1, 2, ... the action is begun and the daemon dies before its step N, until one comes to its
end; that one is killed once it is answered. After each start the action is wholly done or wholly not, rows and files agree, nothing
is left over, and every file is whole for qemu-img. One line for each action."""
import http.client
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time

import iscsi
from iscsi import Failed, attempt, case, equal, want
from sanbootd import BUILD, Sanbootd

STEPS_MIN, STEPS_MAX = 4, 400
GONE = (OSError, http.client.HTTPException)


class Mortal(Sanbootd):
    """The daemon, and the file that says when it dies."""

    def __init__(self):
        self.at = f"/tmp/sanbootd-kill-at-{os.getpid()}"
        self.made, self.checked = 0, {}
        super().__init__()
        self.state = self.dir + "/state"

    def start(self):
        self.spare()
        env = dict(os.environ)
        os.environ.update(LD_PRELOAD=os.path.abspath(os.path.join(BUILD, "kill_at.so")), KILL_AT=self.at,
                          ASAN_OPTIONS="verify_asan_link_order=0:" + env.get("ASAN_OPTIONS", ""))
        try:
            super().start()
        finally:
            os.environ.clear()
            os.environ.update(env)

    def die_before(self, step):
        with open(self.at + ".new", "w", encoding="ascii") as f:
            f.write(str(step))
        os.rename(self.at + ".new", self.at)

    def spare(self):
        for name in (self.at, self.at + ".last"):
            if os.path.exists(name):
                os.unlink(name)

    def kill(self):
        """What it did last: where it died by itself, the step before which."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        try:
            with open(self.at + ".last", encoding="utf-8") as f:
                return "before " + f.read()
        except OSError:
            return "after the answer"

    def put(self, path, data):
        """A piece of an import that is sent."""
        c = http.client.HTTPConnection("localhost", timeout=120)
        c.sock = socket.socket(socket.AF_UNIX)
        try:
            c.sock.connect(self.runtime.name + "/control.sock")
            c.request("PUT", "/api/v1/" + path, data, {"Content-Type": "application/octet-stream"})
            r = c.getresponse()
            got = r.read()
        finally:
            c.close()
        want(r.status == 200, f"PUT {path}: {r.status} {got}")

    def volumes(self):
        return {v["name"]: v for v in self.api("GET", "volumes")["volumes"] if v["name"]}

    def machine(self, mac):
        return next((m for m in self.api("GET", "machines")["machines"] if mac in m["macs"]), None)

    def rows(self, query):
        db = sqlite3.connect(f"file:{self.state}/inventory.db?mode=ro", uri=True)
        try:
            return db.execute(query).fetchall()
        finally:
            db.close()

    def settle(self):
        """What was given up goes on a worker: until it has, or the daemon has died of it."""
        end = time.monotonic() + 20
        try:
            while self.process.poll() is None and self.rows("SELECT 1 FROM discarded_object WHERE at_ms < 1 << 62") and time.monotonic() < end:
                time.sleep(0.05)
        except sqlite3.OperationalError:
            want(self.process.poll() is not None, "the inventory cannot be read")

    def check(self):
        """Rows and files agree; nothing is left over; every file is whole."""
        equal(os.listdir(self.state + "/tmp"), [], "tmp/")
        equal(self.rows("PRAGMA integrity_check"), [("ok",)], "the inventory")
        equal(self.rows("PRAGMA foreign_key_check"), [], "rows that name what is gone")
        self.settle()
        equal(self.rows("SELECT object FROM discarded_object"), [], "objects that are given up and still there")
        objects = sorted(o for o, in self.rows("SELECT object FROM volume WHERE object <> '' UNION SELECT object FROM snapshot"))
        equal(sorted(os.listdir(self.state + "/children")), objects, "files and rows")
        equal(sorted(f for f in os.listdir(self.state + "/images") if f.endswith((".raw", ".qcow2"))),
              sorted(f for f, in self.rows("SELECT file FROM image_version")), "images and rows")
        equal(sorted(self.rows("SELECT machine_id FROM attachment WHERE lun = 0")), sorted(self.rows("SELECT id FROM machine")), "system disks")
        equal(self.rows("SELECT count(*) FROM volume WHERE kind = 0"), self.rows("SELECT (SELECT count(*) FROM machine) + (SELECT count(*) FROM maintenance)"), "system disks without machines")
        for name in objects:
            path = os.path.join(self.state, "children", name)
            st = os.stat(path)
            if self.checked.get(name) != (st.st_ino, st.st_mtime_ns, st.st_size):
                tool("qemu-img", "check", "-f", "qcow2", path)
                self.checked[name] = (st.st_ino, st.st_mtime_ns, st.st_size)

    def forget(self):
        """For iscsi.attempt."""


def tool(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    equal(p.returncode, 0, f"{' '.join(argv)}: {p.stdout.strip()}")
    return p.stdout


def write(path, offset, byte, length="64k"):
    tool("qemu-io", "-f", "qcow2", "-c", f"write -P {byte} {offset} {length}", path)


def reads(path, offset, byte, length="64k"):
    p = subprocess.run(["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {byte} {offset} {length}", path], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    want(p.returncode == 0 or "verification failed" in p.stdout, f"{path} cannot be read: {p.stdout.strip()}")
    return p.returncode == 0


def depth(path):
    return len(json.loads(tool("qemu-img", "info", "--backing-chain", "--output=json", path)))


def kill_between_all_steps(t, prepare, act, is_done, steps_min=STEPS_MIN):
    """prepare(): what the action is about, and is handed to act and is_done. is_done also checks that it is wholly done, or wholly not."""
    kills, before, seen = 0, 0, []
    began = time.monotonic()
    for step in range(1, STEPS_MAX):
        what = prepare()
        answered = False
        t.die_before(step)
        try:
            act(what)
            answered = True
            t.settle()
        except GONE:
            pass
        died = t.kill()
        kills += 1
        t.start()
        try:
            done = is_done(what)
            want(done or not answered, "it was answered, and is not done")
            t.check()
        except Failed as err:
            raise Failed(f"killed {died} (step {step}): {err}") from None
        before += not done
        seen.append(died)
        if answered and died == "after the answer":
            want(before and kills - before > 0 and step > steps_min, f"only {step} steps, {before} of them before it was done: {seen}")
            print(f"#   {kills} kills, {before} of them before it was done, in {time.monotonic() - began:.1f} s", flush=True)
            return
    raise Failed(f"no end after {STEPS_MAX} steps: the last were {seen[-5:]}")


# ---- what is done ----

def new_name(t):
    t.made += 1
    return f"v{t.made}"


def data_volume(t, **more):
    name = new_name(t)
    t.api("POST", "volumes", {"name": name, "size": "64M", **more})
    return name


@case("kill -9")
def while_a_data_volume_is_created(t):
    m = t.enrol()

    def is_done(name):
        v = t.volumes().get(name)
        want(not v or (v["machines"] and v["state"] == "ready" and v["virtual_bytes"] == 64 << 20 and not v.get("error")), f"half made: {v}")
        return bool(v)
    kill_between_all_steps(t, lambda: new_name(t),
                           lambda name: t.api("POST", "volumes", {"name": name, "size": "64M", "machine": m.name}), is_done)


@case("kill -9")
def while_a_data_volume_is_removed(t):
    def is_done(name):
        v = t.volumes().get(name)
        want(not v or not v.get("error"), f"half gone: {v}")
        return not v
    kill_between_all_steps(t, lambda: data_volume(t), lambda name: t.api("DELETE", f"volumes/{name}"), is_done)


@case("kill -9")
def while_a_machine_is_enrolled(t):
    def new_mac():
        t.machines += 1
        return f"52:54:00:c0:00:{t.machines:02x}"

    def is_done(mac):
        m = t.machine(mac)
        want(not m or (m["state"] == "off" and not m["disk"].get("error")), f"half made: {m}")
        script = t.ask(mac)
        want(re.search(r"^\s*sanboot ", script, re.M), f"it does not boot afterwards: {script}")
        return bool(m)
    kill_between_all_steps(t, new_mac, t.ask, is_done)


class Snapshots:
    """A volume or machine, and what is done to its snapshots. Offset 0 reads 1 at the first snapshot, 2 at the second."""

    def __init__(self, t, path, layers=0):
        self.t, self.path = t, path
        self.labels = 0
        write(self.file(), 0, 1)
        write(self.file(), "1M", 9)
        self.take("one")
        write(self.file(), 0, 2)
        for n in range(layers):
            self.take(f"layer-{n}")
            write(self.file(), f"{2 + n}M", 3 + n)
        self.take("two")

    def show(self):
        return self.t.api("GET", self.path)

    def file(self):
        v = self.show()
        return (v.get("disk") or v)["path"]

    def found(self):
        return {s["label"]: s for s in self.t.api("GET", self.path + "/snapshots")["snapshots"] if not s["removed"]}

    def take(self, label):
        return self.t.api("POST", self.path + "/snapshots", {"label": label})

    def restore(self, label):
        return self.t.api("POST", self.path + "/restore", {"label": label})

    def remove(self, label):
        return self.t.api("DELETE", self.path + "/snapshots/" + label)

    def reads(self, byte):
        want(reads(self.file(), 0, byte), f"offset 0 does not read as {byte}")
        want(reads(self.file(), "1M", 9), "what both have is lost")


def enrolled(t, layers=0):
    return Snapshots(t, f"machines/{t.enrol().name}", layers)


@case("kill -9")
def while_a_snapshot_is_taken(t):
    s = enrolled(t)

    def prepare():
        s.restore("two")
        for label in s.found():
            if label not in ("one", "two"):
                s.remove(label)
        s.labels += 1
        return f"s{s.labels}"

    def is_done(label):
        s.reads(2)
        return label in s.found()
    kill_between_all_steps(t, prepare, s.take, is_done)


@case("kill -9")
def while_a_snapshot_is_taken_of_a_chain_that_is_too_deep(t):
    s = enrolled(t, layers=3)
    s.take("deep")
    write(s.file(), 0, 7)
    equal(depth(s.file()), 8, "the chain")

    def prepare():
        if depth(s.file()) < 8:
            s.restore("deep")
            write(s.file(), 0, 7)
        s.labels += 1
        return f"s{s.labels}"

    def is_done(label):
        done = label in s.found()
        equal(depth(s.file()), 2 if done else 8, "the chain")
        s.reads(7)
        for n in range(3):
            want(reads(s.file(), f"{2 + n}M", 3 + n), f"what layer {n} wrote is lost")
        return done
    kill_between_all_steps(t, prepare, s.take, is_done)


@case("kill -9")
def while_a_snapshot_is_restored(t):
    s = enrolled(t)

    def prepare():
        s.restore("two")
        return "one"

    def is_done(_):
        done = reads(s.file(), 0, 1)
        s.reads(1 if done else 2)
        return done
    kill_between_all_steps(t, prepare, s.restore, is_done)


@case("kill -9")
def while_a_snapshot_is_removed(t):
    s = enrolled(t)

    def prepare():
        s.restore("two")
        s.labels += 1
        s.take(f"s{s.labels}")
        s.restore("two")
        return f"s{s.labels}"

    def is_done(label):
        s.reads(2)
        return label not in s.found()
    kill_between_all_steps(t, prepare, s.remove, is_done)


@case("kill -9")
def while_a_volume_with_snapshots_is_copied_and_removed(t):
    source = Snapshots(t, "volumes/" + data_volume(t), layers=2)

    def copied(name):
        v = t.volumes().get(name)
        want(not v or not v.get("error"), f"half made: {v}")
        if v:
            equal(depth(v["path"]), 1, "the chain of the copy")
            want(reads(v["path"], 0, 2) and reads(v["path"], "1M", 9) and reads(v["path"], "3M", 4), "the copy reads otherwise")
        source.reads(2)
        return bool(v)

    def with_snapshots():
        return Snapshots(t, "volumes/" + data_volume(t)).path

    def removed(path):
        name = path.split("/")[1]
        if name in t.volumes():
            equal(len(t.api("GET", path + "/snapshots")["snapshots"]), 2, "its snapshots")
            want(reads(t.volumes()[name]["path"], 0, 2), "it reads otherwise")
            return False
        return True
    kill_between_all_steps(t, lambda: new_name(t), lambda name: t.api("POST", source.path + "/copy", {"name": name}), copied)
    kill_between_all_steps(t, with_snapshots, lambda path: t.api("DELETE", path), removed)


# ---- maintenance, clones ----

@case("kill -9")
def while_maintenance_begins_and_ends(t):
    s = enrolled(t)

    def mode():
        return t.api("GET", s.path)["mode"]

    def drafts():
        return sum(v["state"] == "draft" for i in t.api("GET", "images")["images"] for v in i["versions"])

    def outside():
        if mode() == "maintenance":
            t.api("DELETE", s.path + "/maintenance", {"discard": True})

    def inside():
        outside()
        t.api("POST", s.path + "/maintenance", {})
        write(s.file(), 0, 5)
        return drafts()

    def begun(_):
        done = mode() == "maintenance"
        if not done:
            s.reads(2)
        want(done != reads(s.file(), 0, 2), "it has the other disk")
        return done

    def ended(before):
        done = mode() != "maintenance"
        equal(drafts() - before, int(done), "drafts")
        if done:
            s.reads(2)
        else:
            want(reads(s.file(), 0, 5), "what it has written is lost")
        return done
    kill_between_all_steps(t, outside, lambda _: t.api("POST", s.path + "/maintenance", {}), begun)
    kill_between_all_steps(t, inside, lambda _: t.api("DELETE", s.path + "/maintenance", {}), ended)
    outside()


@case("kill -9")
def while_a_machine_is_cloned_and_removed(t):
    s = enrolled(t)

    def clones():
        return [m for m in t.api("GET", "machines")["machines"] if m["name"].startswith("clone-")]

    def use():
        s.restore("two")
        for label in s.found():
            if label not in ("one", "two"):
                s.remove(label)
        write(s.file(), "5M", 6)
        t.made += 1
        return f"clone-{t.made}"

    def cloned(name):
        found = [m for m in clones() if m["name"] == name]
        s.reads(2)
        want(reads(s.file(), "5M", 6), "what was written last is lost")
        for m in found:
            path = m["disk"]["path"]
            want(not m["disk"].get("error") and reads(path, 0, 2) and reads(path, "5M", 6), f"half made: {m}")
            t.api("DELETE", "machines/" + name, {"for_good": True})
        return bool(found)

    def source():
        origin = enrolled(t)
        t.api("POST", origin.path + "/clone", {"name": new_name(t)})
        return origin, f"v{t.made}"

    def removed(what):
        origin, name = what
        gone = origin.path not in ["machines/" + m["name"] for m in t.api("GET", "machines")["machines"]]
        want(reads(t.api("GET", "machines/" + name)["disk"]["path"], 0, 2), "the clone has lost what it stands on")
        if not gone:
            origin.reads(2)
        t.api("DELETE", "machines/" + name, {"for_good": True})
        return gone
    kill_between_all_steps(t, use, lambda name: t.api("POST", s.path + "/clone", {"name": name}), cloned)
    kill_between_all_steps(t, source, lambda what: t.api("DELETE", what[0].path, {"for_good": True}), removed)


def main(module):
    """The cases of one file."""
    if not os.path.exists(os.path.join(BUILD, "kill_at.so")):
        sys.exit(f"make MODE={os.environ.get('MODE', 'release')} {BUILD}/kill_at.so first")
    wanted = [c for c in iscsi.CASES if c[1].__module__ == module and (len(sys.argv) < 2 or sys.argv[1] in c[0])]
    iscsi.declare(len(wanted))
    mortal = Mortal()
    failed = 0
    try:
        for name, function, _ in wanted:
            failed += not attempt(name, function, mortal)
    finally:
        mortal.spare()
        status = mortal.stop()
    if status:
        print(f"not ok kills: the daemon ended with {status}")
    sys.exit(1 if failed or status else 0)


if __name__ == "__main__":
    main(__name__)
