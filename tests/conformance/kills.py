#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is killed with -9 between any two steps of whatever changes something, and started again: kills.py [PART-OF-A-NAME]. A step is a
call that changes a file (kill_at.c). For N = 1, 2, ... the operation is begun and the daemon dies before its step N, until one comes to
its end; that one is killed once it is answered. Some of the starts after it are killed as well, before each of their own steps.

What then must hold, whatever it was: the operation is wholly done or wholly not, and there is one event of it or none; what was answered
is done; rows and files agree, nothing is left over, and every file is whole for qemu-img. The operations are one table in three files
(kills_machines.py, kills_volumes.py, kills_images.py): see Operation for a row. One line for each, and one for their number."""
import http.client
import json
import os
import re
import select
import socket
import sqlite3
import subprocess
import sys
import time
from collections import namedtuple

import iscsi
from iscsi import Failed, want, equal
from sanbootd import BUILD, Sanbootd

KILLS_MIN = 500
STEPS_MAX = 400
START_KILLED_AFTER = 5          # the step of an operation after which its start is killed, too
START_STRIDE = 3                # before each so many-th of its steps: another third of them with the next operation
GONE = (OSError, http.client.HTTPException, iscsi.Closed)

# A row. prepare(t): what it is about, handed to act and is_done. act(t, what): until it is answered. is_done(t, what): True or
# False; it also checks that nothing is half done. events: the kind (or "A|B") of which there is one more when it is done; None: it has none
# of its own. undone: the kind of which there is one more when
# it went on behind the call (t.job says which it was) and came to nothing. steps: there are more than so many. arms: act itself says from where on steps
# count, by t.arm(). stride: one of so many steps is tried.
Operation = namedtuple("Operation", "name prepare act is_done events steps arms stride undone", defaults=(None, 1, False, 1, None))


class Mortal(Sanbootd):
    """The daemon, and the file that says when it dies."""

    def __init__(self, where=None):
        self.at = f"/tmp/sanbootd-kill-at-{os.getpid()}"
        self.made, self.checked, self.kept, self.job = 0, {}, {}, None
        self.kills = self.starts_killed = self.step = self.armed = self.series = 0
        self.spare()
        super().__init__(where=where)
        self.state = self.dir + "/state"
        self.api("PATCH", "policy", {"max-machines": "5000"})

    # ---- life and death ----

    def start(self):
        want(self.begin(), "it ended by itself")

    def begin(self, step=0):
        """False: it died before that step of its start."""
        self.spare()
        if step:
            self.die_before(step)
        env = {**os.environ, "LD_PRELOAD": os.path.abspath(os.path.join(BUILD, "kill_at.so")), "KILL_AT": self.at,
               "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}
        with open(self.dir + "/log", "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=env)
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline().decode() if ready else ""
        found = re.match(r"ready http=(\S+) iscsi=(\S+):(\d+) ", line)
        if step:
            os.unlink(self.at)
        if found and not (step and self.died()):
            self.http, self.address = found.group(1), (found.group(2), int(found.group(3)))
            return True
        want(step and self.died(), f"sanbootd is not ready: {line!r}; see {self.dir}/log")
        self.process.wait()
        self.process.stdout.close()
        return False

    def died(self):
        """It has said that it does, where it was just about to."""
        time.sleep(0.002)
        return os.path.exists(self.at + ".last")

    def die_before(self, step):
        self.armed += 1
        with open(self.at + ".new", "w", encoding="ascii") as f:
            f.write(f"{step} {self.armed}")
        os.rename(self.at + ".new", self.at)

    def arm(self):
        self.die_before(self.step)

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

    def start_over_kills(self):
        """Each start dies some steps later, until one does not."""
        self.series += 1
        for step in range(1 + self.series % START_STRIDE, STEPS_MAX, START_STRIDE):
            if self.begin(step):
                return
            self.kills += 1
            self.starts_killed += 1
        raise Failed(f"no start within {STEPS_MAX} steps")

    def begin_chores(self, until):
        """What it does now and then, after a start of its own. A step is one of theirs."""
        self.kill()
        with open(self.at + ".chores", "w", encoding="ascii"):
            pass
        try:
            self.start()
        finally:
            os.unlink(self.at + ".chores")
        self.arm()
        deadline = time.monotonic() + 20
        while not until():
            if self.process.poll() is not None:
                raise ConnectionError("it is dead")
            want(time.monotonic() < deadline, "nothing is done")
            time.sleep(0.01)

    # ---- what operations use ----

    def once(self, what, make):
        """Made for the first who asks."""
        if what not in self.kept:
            self.kept[what] = make(self)
        return self.kept[what]

    def new(self, letter):
        """A name that nothing has."""
        self.made += 1
        return f"{letter}{self.made}"

    def new_mac(self):
        self.machines += 1
        return f"52:54:00:c0:{self.machines >> 8:02x}:{self.machines & 255:02x}"

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

    def rows(self, query, *values):
        db = sqlite3.connect(f"file:{self.state}/inventory.db?mode=ro", uri=True, timeout=30)
        try:
            return db.execute(query, values).fetchall()
        finally:
            db.close()

    def events(self, kind):
        return sum(self.rows("SELECT count(*) FROM event WHERE kind = ?", one)[0][0] for one in kind.split("|"))

    # ---- what must hold after every start ----

    def check(self):
        """Rows and files agree; nothing is left over; every file is whole."""
        equal(os.listdir(self.state + "/tmp"), [], "tmp/")
        equal(self.rows("PRAGMA integrity_check"), [("ok",)], "the inventory")
        equal(self.rows("PRAGMA foreign_key_check"), [], "rows that name what is gone")
        equal(self.rows("SELECT object FROM discarded_object"), [], "objects that are given up and still there")
        objects = sorted(o for o, in self.rows("SELECT object FROM volume WHERE backend = 'files' AND object <> '' UNION SELECT object FROM snapshot"))
        equal(sorted(f for f in os.listdir(self.state + "/children") if not f.endswith(".journal")), objects, "files and rows")
        generated = {o for o, in self.rows("SELECT object FROM volume WHERE backend = 'generated'")}
        equal(sorted(set(os.listdir(self.state + "/generated")) - generated), [], "files of who-am-i volumes that nobody has")
        equal(sorted(f for f in os.listdir(self.state + "/images") if not f.endswith(".bootset")),
              sorted(f for f, in self.rows("SELECT file FROM image_version")), "images and rows")
        equal(sorted(self.rows("SELECT machine_id FROM attachment WHERE lun = 0")), sorted(self.rows("SELECT id FROM machine")), "system disks")
        equal(sorted(self.rows("SELECT id FROM volume WHERE kind = 0")),
              sorted(self.rows("SELECT volume_id FROM attachment WHERE lun = 0 UNION SELECT volume_id FROM trash "
                               "UNION SELECT volume_id FROM maintenance")), "system disks without machines")
        for name in objects:
            path = os.path.join(self.state, "children", name)
            st = os.stat(path)
            if self.checked.get(name) != (st.st_ino, st.st_mtime_ns, st.st_size) and not os.path.exists(path + ".journal"):
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


# ---- one operation ----

def begin_and_die(t, op, what, step):
    """Whether it was answered, and where the daemon died."""
    t.step, t.job, answered = step, None, False
    if not op.arms:
        t.arm()
    try:
        op.act(t, what)
        answered = True
    except GONE:
        pass
    t.kills += 1
    return answered, t.kill()


def events_of(t, op):
    return tuple(t.events(kind) if kind else 0 for kind in (op.events, op.undone))


def look_after_it(t, op, what, answered, events, listed):
    """Is it done? listed: of an interrupted job the list of jobs knows."""
    now, undone = (after - before for after, before in zip(events_of(t, op), events))
    done = op.is_done(t, what)
    want(done or not answered, "it was answered, and is not done")
    want(not op.events or now == done, f"{now} events {op.events}, and it is {'' if done else 'not '}done")
    if t.job:
        equal(undone, not done, f"events {op.undone}, and it is {'' if done else 'not '}done")
        want(done or not listed or t.api("GET", t.job)["stage"] == "failed", "the list of jobs does not say so")
    else:
        want(undone <= (not done), f"{undone} events {op.undone}")
    t.check()
    return done


def kill_between_all_steps(t, op):
    kills, before, told, seen, began = t.kills, 0, 0, [], time.monotonic()
    for step in range(1, STEPS_MAX, op.stride):
        what = op.prepare(t)
        events = events_of(t, op)
        answered, died = begin_and_die(t, op, what, step)
        try:
            again = step == START_KILLED_AFTER
            if again:
                t.start_over_kills()
            else:
                t.start()
            before += not look_after_it(t, op, what, answered, events, not again)
            told += events_of(t, op)[1] > events[1]
        except Failed as err:
            raise Failed(f"killed {died} (step {step}): {err}") from None
        seen.append(died)
        if answered and died == "after the answer":
            want(before and len(seen) > before and step > op.steps, f"only {step} steps, {before} of them before it was done: {seen}")
            want(told or not op.undone, f"no event {op.undone}")
            print(f"#   {t.kills - kills} kills, {len(seen)} of them of it and {before} of these before it was done, in {time.monotonic() - began:.1f} s",
                  flush=True)
            return
    raise Failed(f"no end after {STEPS_MAX} steps: the last were {seen[-5:]}")


# ---- all of them ----

def attempt_all(t, wanted):
    """How many failed. After a failure the daemon may be dead, or hold what the next would take for its own fault: a new one."""
    failed = 0
    for op in wanted:
        if not iscsi.attempt("kill -9: " + op.name, lambda t, op=op: kill_between_all_steps(t, op), t):
            failed += 1
            t.kill()
            t.spare()
            t.start()
    return failed


def main():
    # The tables use what is above: imported here, under the name that they know.
    import kills_images, kills_machines, kills_volumes
    if not os.path.exists(os.path.join(BUILD, "kill_at.so")):
        sys.exit(f"make MODE={os.environ.get('MODE', 'release')} {BUILD}/kill_at.so first")
    table = kills_machines.OPERATIONS + kills_volumes.OPERATIONS + kills_images.OPERATIONS
    wanted = [op for op in table if len(sys.argv) < 2 or sys.argv[1] in op.name]
    iscsi.declare(len(wanted) + (wanted == table))
    t = Mortal()
    failed, status = 0, None
    try:
        failed = attempt_all(t, wanted)
    finally:
        t.spare()
        status = t.stop()
    print(f"# {t.kills} kills, {t.starts_killed} of them of starts after a kill, of {len(wanted)} operations")
    if wanted == table:
        print("ok" if t.kills >= KILLS_MIN else "not ok", f"kill -9: at least {KILLS_MIN} kills", flush=True)
        failed += t.kills < KILLS_MIN
    if status:
        print(f"not ok kills: the daemon ended with {status}")
    sys.exit(1 if failed or status else 0)


if __name__ == "__main__":
    import kills
    kills.main()
