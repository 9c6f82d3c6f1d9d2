# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the table in kills.py: what people do to images. After each start a version is there, whole and as it was put in, or there is
nothing of it; and of an export there is the whole file or what was there before, under no other name."""
import hashlib
import os
import subprocess
import time

from iscsi import equal, want
from kills import Operation, tool
from kills_machines import Box

SIZE = 2 << 20
UNDONE = "image-import-failed"


def content(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Inputs:
    """One disk in several formats."""

    def __init__(self, t):
        self.dir = t.dir + "/inputs"
        self.raw = self.dir + "/a.raw"
        os.mkdir(self.dir)
        with open(self.raw, "wb") as f:
            f.write(os.urandom(300000))
            f.truncate(SIZE)
        tool("qemu-img", "convert", "-O", "vhdx", self.raw, self.dir + "/a.vhdx")
        subprocess.run(["xz", "-k", self.raw], check=True)


def raw(t):
    return t.once("inputs", Inputs).raw


def versions(t, name):
    return {v["version"]: v for i in t.api("GET", "images")["images"] if i["name"] == name for v in i["versions"]}


def wait(t, path):
    """Until a job has ended. From here on it must not vanish."""
    t.job = path
    while True:
        status = t.api("GET", path)
        if status["stage"] in ("done", "failed"):
            equal(status["stage"], "done", status["text"])
            return
        time.sleep(0.01)


# ---- what comes in ----

def import_file(t, file, name):
    wait(t, f"imports/{t.api('POST', 'images', {'path': file, 'name': name})['import']}")


def is_whole(t, name):
    """One version with this content, or none."""
    found = versions(t, name)
    want(len(found) < 2, f"{found}")
    for v in found.values():
        equal(content(f"{t.state}/images/{v['file']}"), content(raw(t)), "what is in it")
        equal(v["sha256"], content(raw(t)), "its SHA-256")
    return bool(found)


def imported(name, file):
    def act(t, image):
        raw(t)
        import_file(t, f"{t.dir}/inputs/{file}", image)
    return Operation(name, lambda t: raw(t) and t.new("i"), act, is_whole, "image-imported", 4, undone=UNDONE)


def send(t, name):
    with open(raw(t), "rb") as f:
        data = f.read()
    number = t.api("POST", "images", {"upload": "a.raw", "name": name, "size_bytes": SIZE})["import"]
    t.job = f"imports/{number}"
    for at in range(0, SIZE, 1 << 20):
        t.put(f"imports/{number}/data?offset={at}", data[at:at + (1 << 20)])
    t.api("POST", f"imports/{number}/end")
    wait(t, f"imports/{number}")


def is_empty(t, name):
    found = versions(t, name)
    for v in found.values():
        equal(os.stat(f"{t.state}/images/{v['file']}").st_size, 64 << 30, "its size")
    return bool(found)


def seal(t, name):
    wait(t, f"imports/{t.api('POST', f'images/{name}@1/seal')['import']}")


# ---- versions ----

class Two:
    """An image with two versions, of which the first is published."""

    def __init__(self, t):
        self.t, self.name = t, t.new("i")
        for _ in range(2):
            import_file(t, raw(t), self.name)

    def published(self):
        return next(i["published"] for i in self.t.api("GET", "images")["images"] if i["name"] == self.name)

    def second(self):
        return versions(self.t, self.name)[2]


def first_published(t):
    two = t.once("two", Two)
    t.api("POST", f"images/{two.name}@1/publish")
    return two


def publish(t, two):
    t.api("POST", f"images/{two.name}@2/publish")


def in_test(t):
    two = t.once("two in test", Two)
    t.api("PATCH", f"images/{two.name}@2", {"state": "test", "note": ""})
    return two


def retired(_, two):
    v = two.second()
    want((v["state"], v["note"]) in (("test", None), ("retired", "slow")), f"half of it: {v['state']}, {v['note']}")
    return v["state"] == "retired"


def to_plan(t):
    two = first_published(t)
    if two.second()["publish_at_ms"]:
        t.api("POST", f"images/{two.name}@2/publish", {"at_ms": 0})
    return two


def plan(t, two):
    t.api("POST", f"images/{two.name}@2/publish", {"at_ms": int(time.time() * 1000) + 86400000})


def carry_out(t, two):
    t.api("POST", f"images/{two.name}@2/publish", {"at_ms": int(time.time() * 1000) + 300})
    while two.published() != 2:
        time.sleep(0.02)


def carried_out(t, two):
    """The start after the kill carries it out, where the server did not come to it: so it is always done, and once."""
    planned = two.second()["publish_at_ms"]
    deadline = time.monotonic() + 10
    while planned and two.published() != 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    done = two.published() == 2
    want(done or not planned, "what was planned is not done")
    equal(t.rows("SELECT count(*) FROM event WHERE kind = 'image-published' AND text LIKE ?", two.name + "@2 is%")[0][0], int(done), "events")
    return done


def other_default(t):
    t.once("two", Two)
    t.api("POST", "images/golden/default")
    return t.kept["two"].name


def is_default(t, name):
    found = [i["name"] for i in t.api("GET", "images")["images"] if i["default"]]
    want(found in (["golden"], [name]), f"default images: {found}")
    return found == [name]


def set_default(t, name):
    t.api("POST", f"images/{name}/default")


def version_removed(t, two):
    found = versions(t, two.name)
    for v in found.values():
        equal(content(f"{t.state}/images/{v['file']}"), content(raw(t)), "what is in it")
    return 2 not in found


# ---- a machine's disk becomes a version ----

def promoted(snapshot):
    def prepare(t):
        t.api("POST", "images/golden/default")
        box = Box(t).fill()
        if snapshot:
            t.api("POST", box.path + "/snapshots", {"label": "now"})
        box.image = t.new("p")
        return box

    def act(t, box):
        t.api("POST", box.path + "/promote", {"image": box.image, **({"snapshot": "now"} if snapshot else {})})

    def is_done(t, box):
        found = versions(t, box.image)
        for v in found.values():
            tool("qemu-img", "compare", "-f", v["format"], "-F", "qcow2", f"{t.state}/images/{v['file']}", box.file())
        want(box.has(), "the machine's disk is another one")
        return bool(found)
    return Operation("machine promote" + " --snapshot" * snapshot, prepare, act, is_done, "image-promoted", 4)


def unidentified(t):
    box = Box(t).fill()
    name = t.new("p")
    t.api("POST", box.path + "/promote", {"image": name})
    return name


def has_sum(t, name):
    v = versions(t, name)[1]
    if v["sha256"]:
        equal(v["sha256"], content(f"{t.state}/images/{v['file']}"), "its SHA-256")
    return bool(v["sha256"])


# ---- what goes out ----

class Export:
    """Over a file that is there."""

    def __init__(self, t, what):
        self.what, self.folder = what, t.dir + "/" + t.new("exports")
        os.mkdir(self.folder)
        self.path = self.folder + "/a.vmdk"

    def begin(self, t):
        wait(t, f"jobs/{t.api('POST', 'exports', {**self.what, 'path': self.path, 'format': 'vmdk', 'force': True})['job']}")

    def is_done(self, like, form):
        equal(os.listdir(self.folder), ["a.vmdk"], "left over")
        with open(self.path, "rb") as f:
            if f.read() == b"old":
                return False
        tool("qemu-img", "compare", "-f", "vmdk", "-F", form, self.path, like)
        return True


def exported(name, key, what, like, form):
    def prepare(t):
        export = t.once(name, lambda t: Export(t, what(t)))
        with open(export.path, "w", encoding="ascii") as f:
            f.write("old")
        return export
    return Operation(name, prepare, lambda t, export: export.begin(t), lambda t, export: export.is_done(like(t), form), key, 4, undone="export-failed")


def machine_to_export(t):
    return t.once("exported machine", lambda t: Box(t).fill())


OPERATIONS = [
    imported("image import", "a.raw"),
    imported("image import of a VHDX", "a.vhdx"),
    imported("image import of what is packed", "a.raw.xz"),
    Operation("image import of what is sent", lambda t: raw(t) and t.new("i"), send, is_whole, "image-imported", 4, undone=UNDONE),
    Operation("image create", lambda t: t.new("i"), lambda t, name: t.api("POST", "images/empty", {"name": name, "size": "64G"}), is_empty, "image-imported", 4),
    Operation("image publish", first_published, publish, lambda t, two: two.published() == 2, "image-published"),
    Operation("image set", in_test, lambda t, two: t.api("PATCH", f"images/{two.name}@2", {"state": "retired", "note": "slow"}), retired, "image-state"),
    Operation("image publish --at", to_plan, plan, lambda t, two: two.second()["publish_at_ms"] is not None, "image-plan"),
    Operation("a plan is carried out", lambda t: Two(t), carry_out, carried_out),
    Operation("image default", other_default, set_default, is_default, "image-default"),
    Operation("image remove", Two, lambda t, two: t.api("DELETE", f"images/{two.name}@2"), version_removed, "image-removed"),
    promoted(False),
    promoted(True),
    Operation("a promoted version gets its SHA-256", unidentified, lambda t, name: t.begin_chores(lambda: has_sum(t, name)), has_sum, arms=True),
    exported("image export", "exported", lambda t: {"image": t.once("two", Two).name + "@1"}, raw, "raw"),
    exported("machine export", "exported", lambda t: {"machine": machine_to_export(t).mac}, lambda t: machine_to_export(t).file(), "qcow2"),
]
