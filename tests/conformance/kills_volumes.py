# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the table in kills.py: what is done to volumes and to the snapshots of volumes and machines."""
from iscsi import equal, want
from kills import Operation, depth, reads, write
from kills_machines import Box


def data_volume(t, **more):
    name = t.new("v")
    t.api("POST", "volumes", {"name": name, "size": "64M", **more})
    return name


def created(t, name):
    v = t.volumes().get(name)
    want(not v or (v["machines"] and v["state"] == "ready" and v["virtual_bytes"] == 64 << 20 and not v.get("error")), f"half made: {v}")
    return bool(v)


def create(t, name):
    t.api("POST", "volumes", {"name": name, "size": "64M", "machine": t.once("owner", Box).mac})


def create_shared(t, name):
    t.api("POST", "volumes", {"name": name, "kind": "shared", "image": "golden@1"})


def removed(t, name):
    v = t.volumes().get(name)
    want(not v or not v.get("error"), f"half gone: {v}")
    return not v


def detached(t):
    return t.once("volume", lambda t: attach(t, data_volume(t)))


def attach(t, name):
    t.api("POST", f"volumes/{name}/attach", {"machine": t.once("volumes", Box).mac})
    return name


def machines_of(t, name):
    return t.volumes()[name]["machines"]


def free(t):
    t.once("volumes", Box)
    name = t.once("volume", data_volume)
    if machines_of(t, name):
        t.api("POST", f"volumes/{name}/detach", {})
    return name


def taken(t):
    name = t.once("volume", data_volume)
    return name if machines_of(t, name) else attach(t, name)


def size_of(t, name):
    v = t.volumes()[name]
    want(v["virtual_bytes"] % (1 << 20) == 0 and not v.get("error"), f"half of it: {v}")
    return v["virtual_bytes"] >> 20


class Growing:
    """A volume that grows by 1 MiB each time."""

    def __init__(self, t):
        self.name = t.once("growing", data_volume)
        self.mib = size_of(t, self.name)

    def grow(self, t):
        t.api("PATCH", "volumes/" + self.name, {"size": f"{self.mib + 1}M"})

    def is_done(self, t):
        now = size_of(t, self.name)
        want(now in (self.mib, self.mib + 1), f"{now} MiB, {self.mib} before")
        return now > self.mib


def with_note(t):
    name = t.once("volume", data_volume)
    t.api("PATCH", "volumes/" + name, {"note": "old"})
    return name


# ---- snapshots ----

class Snapshots:
    """A volume or machine, and what is done to its snapshots. Offset 0 reads 1 at the first snapshot, 2 at the second."""

    def __init__(self, t, path, layers=0):
        self.t, self.path = t, path
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


def of_machine(t, layers=0):
    return Snapshots(t, Box(t).path, layers)


def of_volume(t, layers=0):
    return Snapshots(t, "volumes/" + data_volume(t), layers)


def snapshot_rows(kind, make):
    """The same for a machine and for a volume."""
    def having(t):
        return t.once(f"{kind} with snapshots", make)

    def to_take(t):
        s = having(t)
        s.restore("two")
        for label in s.found():
            if label not in ("one", "two"):
                s.remove(label)
        return t.new("s")

    def is_taken(t, label):
        having(t).reads(2)
        return label in having(t).found()

    def to_restore(t):
        having(t).restore("two")
        return having(t)

    def is_restored(_, s):
        done = reads(s.file(), 0, 1)
        s.reads(1 if done else 2)
        return done

    def to_remove(t):
        s, label = having(t), t.new("s")
        s.restore("two")
        s.take(label)
        s.restore("two")
        return label

    def is_removed(t, label):
        having(t).reads(2)
        return label not in having(t).found()
    return [
        Operation(f"{kind} snapshot", to_take, lambda t, label: having(t).take(label), is_taken, "snapshot-taken", 4),
        Operation(f"{kind} restore", to_restore, lambda t, s: s.restore("one"), is_restored, "snapshot-restored", 4),
        Operation(f"{kind} snapshot-remove", to_remove, lambda t, label: having(t).remove(label), is_removed, "snapshot-removed", 4),
    ]


def deep(t):
    s = of_machine(t, layers=3)
    s.take("deep")
    write(s.file(), 0, 7)
    equal(depth(s.file()), 8, "the chain")
    return s


def to_take_deep(t):
    s = t.once("deep", deep)
    if depth(s.file()) < 8:
        s.restore("deep")
        write(s.file(), 0, 7)
    return t.new("s")


def taken_deep(t, label):
    s = t.once("deep", deep)
    done = label in s.found()
    equal(depth(s.file()), 2 if done else 8, "the chain")
    s.reads(7)
    for n in range(3):
        want(reads(s.file(), f"{2 + n}M", 3 + n), f"what layer {n} wrote is lost")
    return done


def source(t):
    return t.once("source", lambda t: of_volume(t, layers=2))


def copied(t, name):
    v = t.volumes().get(name)
    want(not v or not v.get("error"), f"half made: {v}")
    if v:
        equal(depth(v["path"]), 1, "the chain of the copy")
        want(reads(v["path"], 0, 2) and reads(v["path"], "1M", 9) and reads(v["path"], "3M", 4), "the copy reads otherwise")
    source(t).reads(2)
    return bool(v)


def removed_with_snapshots(t, s):
    name = s.path.split("/")[1]
    if name in t.volumes():
        equal(len(t.api("GET", s.path + "/snapshots")["snapshots"]), 4, "its snapshots")
        want(reads(t.volumes()[name]["path"], 0, 2), "it reads otherwise")
        return False
    return True


def to_join(t):
    """Two layers of which nobody needs the lower one for itself."""
    s = of_machine(t, layers=1)
    s.remove("one")
    equal(depth(s.file()), 5, "the chain")
    return s


def is_joined(_, s):
    s.reads(2)
    want(reads(s.file(), "2M", 3), "what the layer wrote is lost")
    chain = depth(s.file())
    want(chain in (4, 5), f"a chain of {chain}")
    return chain == 4


def join(t, s):
    t.begin_chores(lambda: not t.rows("SELECT 1 FROM snapshot WHERE removed = 1 AND volume_id = (SELECT max(volume_id) FROM snapshot)"))


OPERATIONS = [
    Operation("volume create", lambda t: t.new("v"), create, created, "volume-created", 4),
    Operation("volume create --shared", lambda t: t.new("v"), create_shared, lambda t, name: name in t.volumes(), "volume-created"),
    Operation("volume remove", data_volume, lambda t, name: t.api("DELETE", "volumes/" + name), removed, "volume-removed", 4),
    Operation("volume attach", free, attach, lambda t, name: bool(machines_of(t, name)), "volume-attached"),
    Operation("volume detach", taken, lambda t, name: t.api("POST", f"volumes/{name}/detach", {}), lambda t, name: not machines_of(t, name),
              "volume-detached"),
    Operation("volume set", with_note, lambda t, name: t.api("PATCH", "volumes/" + name, {"note": "new"}),
              lambda t, name: t.volumes()[name]["note"] == "new", "volume-set"),
    Operation("volume resize", Growing, lambda t, v: v.grow(t), lambda t, v: v.is_done(t), "volume-resized", 4),
    *snapshot_rows("machine", of_machine),
    *snapshot_rows("volume", of_volume),
    Operation("machine snapshot of a chain that is too deep", to_take_deep, lambda t, label: t.once("deep", deep).take(label), taken_deep,
              "snapshot-taken", 4),
    Operation("volume copy", lambda t: source(t) and t.new("v"), lambda t, name: t.api("POST", source(t).path + "/copy", {"name": name}), copied,
              "volume-created", 4, undone="copy-undone"),
    Operation("volume remove of one with snapshots", lambda t: of_volume(t, layers=2), lambda t, s: t.api("DELETE", s.path),
              removed_with_snapshots, "volume-removed", 4),
    Operation("layers are joined", to_join, join, is_joined, None, 4, arms=True, stride=3),
]
