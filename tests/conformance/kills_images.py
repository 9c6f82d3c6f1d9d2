#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""As kills.py, of what people do to images: imported (as it is, converted, packed, sent), made empty, published now and at a time,
retired, removed, exported. After each start a version is there, whole and as it was put in, or there is nothing of it; and of an export
there is the whole file or what was there before, under no other name."""
import hashlib
import os
import subprocess
import time

import kills
from iscsi import case, equal, want
from kills import kill_between_all_steps, tool

SIZE = 2 << 20


def content(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Inputs:
    """One disk in several formats."""

    def __init__(self, t):
        self.dir = t.dir + "/inputs"
        self.raw = self.dir + "/a.raw"
        if os.path.exists(self.raw):
            return
        os.mkdir(self.dir)
        with open(self.raw, "wb") as f:
            f.write(os.urandom(300000))
            f.truncate(SIZE)
        tool("qemu-img", "convert", "-O", "vhdx", self.raw, self.dir + "/a.vhdx")
        subprocess.run(["xz", "-k", self.raw], check=True)


def new_image(t):
    t.made += 1
    return f"i{t.made}"


def versions(t, name):
    return {v["version"]: v for i in t.api("GET", "images")["images"] if i["name"] == name for v in i["versions"]}


def wait(t, path):
    """Until a job has ended."""
    while True:
        status = t.api("GET", path)
        if status["stage"] in ("done", "failed"):
            equal(status["stage"], "done", status["text"])
            return
        time.sleep(0.01)


def is_whole(t, name, like):
    """One version with this content, or none."""
    found = versions(t, name)
    want(len(found) < 2, f"{found}")
    for v in found.values():
        equal(content(f"{t.state}/images/{v['file']}"), content(like), "what is in it")
        equal(v["sha256"], content(like), "its SHA-256")
    return bool(found)


def imported(t, file):
    inputs = Inputs(t)

    def act(name):
        wait(t, f"imports/{t.api('POST', 'images', {'path': inputs.dir + '/' + file, 'name': name})['import']}")
    kill_between_all_steps(t, lambda: new_image(t), act, lambda name: is_whole(t, name, inputs.raw))


@case("kill -9")
def while_an_image_is_imported(t):
    imported(t, "a.raw")


@case("kill -9")
def while_an_image_is_converted(t):
    imported(t, "a.vhdx")


@case("kill -9")
def while_an_image_is_unpacked(t):
    imported(t, "a.raw.xz")


@case("kill -9")
def while_an_image_is_sent(t):
    inputs = Inputs(t)
    with open(inputs.raw, "rb") as f:
        data = f.read()

    def act(name):
        number = t.api("POST", "images", {"upload": "a.raw", "name": name, "size_bytes": SIZE})["import"]
        for at in range(0, SIZE, 1 << 20):
            t.put(f"imports/{number}/data?offset={at}", data[at:at + (1 << 20)])
        t.api("POST", f"imports/{number}/end")
        wait(t, f"imports/{number}")
    kill_between_all_steps(t, lambda: new_image(t), act, lambda name: is_whole(t, name, inputs.raw))


@case("kill -9")
def while_an_empty_image_is_made(t):
    def is_done(name):
        found = versions(t, name)
        for v in found.values():
            equal(os.stat(f"{t.state}/images/{v['file']}").st_size, 64 << 30, "its size")
        return bool(found)
    kill_between_all_steps(t, lambda: new_image(t), lambda name: t.api("POST", "images/empty", {"name": name, "size": "64G"}), is_done)


class Two:
    """An image with two versions, of which the first is published."""

    def __init__(self, t):
        self.t, self.name = t, new_image(t)
        for _ in range(2):
            wait(t, f"imports/{t.api('POST', 'images', {'path': Inputs(t).raw, 'name': self.name})['import']}")

    def states(self):
        found = versions(self.t, self.name)
        return tuple(found[n]["state"] for n in sorted(found))

    def published(self):
        return next(i["published"] for i in self.t.api("GET", "images")["images"] if i["name"] == self.name)


@case("kill -9")
def while_a_version_is_published(t):
    two = Two(t)

    def prepare():
        t.api("POST", f"images/{two.name}@{3 - two.published()}/publish")
        return two.published()

    def act(was):
        t.api("POST", f"images/{two.name}@{3 - was}/publish")
    kill_between_all_steps(t, prepare, act, lambda was: two.published() != was, steps_min=2)


@case("kill -9")
def while_a_version_is_retired(t):
    two = Two(t)

    def prepare():
        t.api("PATCH", f"images/{two.name}@2", {"state": "test", "note": ""})

    def is_done(_):
        v = versions(t, two.name)[2]
        want((v["state"], v["note"]) in (("test", None), ("retired", "slow")), f"half of it: {v['state']}, {v['note']}")
        return v["state"] == "retired"
    kill_between_all_steps(t, prepare, lambda _: t.api("PATCH", f"images/{two.name}@2", {"state": "retired", "note": "slow"}), is_done,
                           steps_min=2)


@case("kill -9")
def while_a_plan_is_carried_out(t):
    """The start after the kill carries it out, where the server did not come to it: so it is always done, and once."""
    two = Two(t)

    def prepare():
        t.api("POST", f"images/{two.name}@1/publish")
        return len(t.rows("SELECT 1 FROM event WHERE kind = 'image-published'"))

    def act(_):
        t.api("POST", f"images/{two.name}@2/publish", {"at_ms": int(time.time() * 1000) + 300})
        while two.published() != 2:
            time.sleep(0.02)

    def is_done(events):
        planned = versions(t, two.name)[2]["publish_at_ms"]
        deadline = time.monotonic() + 10
        while planned and two.published() != 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        done = two.published() == 2
        want(done or not planned, "what was planned is not done")
        equal(len(t.rows("SELECT 1 FROM event WHERE kind = 'image-published'")), events + done, "events")
        return done
    kill_between_all_steps(t, prepare, act, is_done)


@case("kill -9")
def while_a_version_is_removed(t):
    def prepare():
        two = Two(t)
        return two.name

    def is_done(name):
        found = versions(t, name)
        for v in found.values():
            equal(content(f"{t.state}/images/{v['file']}"), content(Inputs(t).raw), "what is in it")
        return 2 not in found
    kill_between_all_steps(t, prepare, lambda name: t.api("DELETE", f"images/{name}@2"), is_done)


@case("kill -9")
def while_an_image_is_exported(t):
    """Over a file that is there."""
    two, folder = Two(t), t.dir + "/exports"
    os.mkdir(folder)
    path = folder + "/a.vmdk"

    def prepare():
        with open(path, "w", encoding="ascii") as f:
            f.write("old")

    def act(_):
        wait(t, f"jobs/{t.api('POST', 'exports', {'image': two.name + '@1', 'path': path, 'format': 'vmdk', 'force': True})['job']}")

    def is_done(_):
        others = [f for f in os.listdir(folder) if f != "a.vmdk"]
        for f in others:        # between its name and its place: whole, and it says whose it is
            want(f.startswith(".sanbootd-"), f"left over: {f}")
            tool("qemu-img", "compare", "-f", "vmdk", "-F", "raw", os.path.join(folder, f), Inputs(t).raw)
            os.unlink(os.path.join(folder, f))
        with open(path, "rb") as f:
            if f.read() == b"old":
                return False
        tool("qemu-img", "compare", "-f", "vmdk", "-F", "raw", path, Inputs(t).raw)
        return True
    kill_between_all_steps(t, prepare, act, is_done)


if __name__ == "__main__":
    kills.main(__name__)
