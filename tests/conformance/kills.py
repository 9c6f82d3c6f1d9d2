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

    def api(self, method, path, body=None):
        """What it answers; Failed where it refuses."""
        c = http.client.HTTPConnection("localhost", timeout=60)
        c.sock = socket.socket(socket.AF_UNIX)
        try:
            c.sock.connect(self.runtime.name + "/control.sock")
            c.request(method, "/api/v1/" + path, json.dumps(body) if body is not None else None,
                      {"Content-Type": "application/json"} if body is not None else {})
            r = c.getresponse()
            got = json.loads(r.read())
        finally:
            c.close()
        want(r.status < 300, f"{method} {path}: {r.status} {got}")
        return got

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

    def check(self):
        """Rows and files agree; nothing is left over; every file is whole."""
        equal(os.listdir(self.state + "/tmp"), [], "tmp/")
        equal(self.rows("PRAGMA integrity_check"), [("ok",)], "the inventory")
        equal(self.rows("PRAGMA foreign_key_check"), [], "rows that name what is gone")
        equal(self.rows("SELECT object FROM discarded_object"), [], "objects that are given up and still there")
        objects = sorted(o for o, in self.rows("SELECT object FROM volume WHERE object <> ''"))
        equal(sorted(os.listdir(self.state + "/children")), objects, "files and rows")
        equal(sorted(self.rows("SELECT machine_id FROM attachment WHERE lun = 0")), sorted(self.rows("SELECT id FROM machine")), "system disks")
        equal(self.rows("SELECT count(*) FROM volume WHERE kind = 0"), self.rows("SELECT count(*) FROM machine"), "system disks without machines")
        for name in objects:
            path = os.path.join(self.state, "children", name)
            st = os.stat(path)
            if self.checked.get(name) == (st.st_ino, st.st_mtime_ns, st.st_size):
                continue
            p = subprocess.run(["qemu-img", "check", "-f", "qcow2", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               check=False)
            equal(p.returncode, 0, f"qemu-img check {name}: {p.stdout.strip()}")
            self.checked[name] = (st.st_ino, st.st_mtime_ns, st.st_size)

    def forget(self):
        """For iscsi.attempt."""


def kill_between_all_steps(t, prepare, act, is_done):
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
            want(before and kills - before > 0 and step > STEPS_MIN, f"only {step} steps, {before} of them before it was done: {seen}")
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


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BUILD, "kill_at.so")):
        sys.exit(f"make MODE={os.environ.get('MODE', 'release')} {BUILD}/kill_at.so first")
    wanted = [c for c in iscsi.CASES if len(sys.argv) < 2 or sys.argv[1] in c[0]]
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
