# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the table in kills.py: what people do to machines, groups and policies, and what machines do by asking and logging in."""
import re
import time

from iscsi import Session, equal, want
from kills import Operation, depth, reads, write

IPXE_ISID = b"\x40\0\x27\x23"


# ---- machines ----

class Box:
    """A machine with data at 1M."""

    def __init__(self, t, **settings):
        self.t, self.mac = t, t.new_mac()
        t.api("POST", "machines", {"machines": [{"macs": [self.mac]}]})
        self.path = "machines/" + self.mac
        if settings:
            self.set(**settings)

    def show(self):
        return self.t.api("GET", self.path)

    def set(self, **settings):
        self.t.api("PATCH", self.path, {key.replace("_", "-"): value for key, value in settings.items()})

    def file(self):
        return self.show()["disk"]["path"]

    def fill(self, byte=9):
        write(self.file(), "1M", byte)
        return self

    def has(self, byte=9):
        return reads(self.file(), "1M", byte)

    def is_there(self):
        return self.t.machine(self.mac) is not None


def is_whole(t, mac):
    """Enrolled so that it boots, or unknown."""
    m = t.machine(mac)
    want(not m or (m["state"] == "off" and not m["disk"].get("error")), f"half made: {m}")
    return bool(m)


def add(t, *macs):
    t.api("POST", "machines", {"machines": [{"macs": [mac]} for mac in macs]})


def all_or_none(t, macs):
    there = [is_whole(t, mac) for mac in macs]
    want(all(there) or not any(there), f"some of them: {there}")
    return all(there)


def boots_afterwards(t, mac):
    done = is_whole(t, mac)
    want(re.search(r"^\s*sanboot ", t.ask(mac), re.M), "it does not boot afterwards")
    return done


def under_approval(function):
    def prepare(t):
        t.api("PATCH", "policy", {"enrol": "approve"})
        try:
            return function(t)
        finally:
            t.api("PATCH", "policy", {"enrol": "auto"})
    return prepare


@under_approval
def a_waiting_one(t):
    mac = t.new_mac()
    t.ask(mac)
    want(t.rows("SELECT 1 FROM waiting WHERE mac = ?", mac), "it does not wait")
    return mac


def approved(t, mac):
    done = is_whole(t, mac)
    equal(t.rows("SELECT count(*) FROM waiting WHERE mac = ?", mac)[0][0], 0 if done else 1, "does it wait")
    return done


def is_denied(t, mac):
    reason, = t.rows("SELECT reason FROM waiting WHERE mac = ?", mac)[0]
    return reason == 6


def field(key, before, after, shown=None, events="machine-set"):
    """One key of a machine, which is asked for again as it is shown."""
    def prepare(t):
        box = t.once("set", Box)
        box.set(**{key: before})
        return box

    def is_done(_, box):
        value = box.show()[shown or key.replace("-", "_")]
        value = {True: "yes", False: "no", None: "none"}.get(value, str(value))
        want(value in (before, after), f"neither {before} nor {after}: {value}")
        return value == after
    return Operation(f"machine set {key}", prepare, lambda t, box: box.set(**{key: after}), is_done, events)


def renamed(t, box):
    name = box.show()["name"]
    want(name in box.names, f"it is called {name}")
    return name == box.names[1]


def to_rename(t):
    box = t.once("rename", Box)
    box.names = t.new("old"), t.new("new")
    box.set(name=box.names[0])
    return box


def with_group(t):
    box = t.once("set", Box)
    t.once("group", lambda t: t.api("POST", "groups", {"name": "of-machines"}))
    box.set(group="none")
    return box


def in_group(t, box):
    return box.show()["group"] == "of-machines"


def to_reset(t):
    return t.once("reset", Box).fill()


def is_reset(t, box):
    """An empty disk, or the old one."""
    m = box.show()
    equal((m["state"], m["image"]), ("off", "golden@1"), "the machine")
    done = not box.has()
    equal(depth(m["disk"]["path"]), 2, "its chain")
    return done


def moved(version):
    def prepare(t):
        t.once("other image", lambda t: t.api("POST", "images/empty", {"name": "other", "size": "64M"}))
        box = t.once("move", Box)
        box.set(image="golden@1")
        return box.fill()

    def is_done(t, box):
        m = box.show()
        done = m["image"] == version
        want(done or m["image"] == "golden@1", f"its image is {m['image']}")
        equal(box.has(), not done, "what was written is there")
        return done
    return Operation(f"machine set image={version}", prepare, lambda t, box: box.set(image=version), is_done, "machine-set", 4)


def grown(t, box):
    size = box.show()["disk"]["virtual_bytes"]
    want(size in (box.bytes, box.bytes + (1 << 20)) and box.has(), f"{size} bytes, {box.bytes} before")
    return size > box.bytes


def to_grow(t):
    box = t.once("grow", lambda t: Box(t).fill())
    box.bytes = box.show()["disk"]["virtual_bytes"]
    return box


def with_card(t):
    box = t.once("cards", Box)
    box.card = t.new_mac()
    return box


def add_card(t, box):
    t.api("POST", box.path + "/macs", {"mac": box.card})


def docked(t):
    """It is told from others at the same dock by its UUID."""
    box = t.once("docked", Box)
    t.ask(f"{box.mac}&uuid=12345678-1234-1234-1234-123456789abc")
    if getattr(box, "card", None) is None:
        box.card = t.new_mac()
        add_card(t, box)
    t.api("PATCH", f"{box.path}/macs/{box.card}", {"shared": False})
    return box


def with_two_cards(t):
    box = with_card(t)
    add_card(t, box)
    return box


def swapped(t, box):
    m = t.machine(box.mac) or t.machine(box.card)
    want(box.card in m["macs"] or box.mac in m["macs"], f"it has lost its MACs: {m['macs']}")
    want(reads(m["disk"]["path"], "1M", 9), "its disk is another one")
    return box.card in m["macs"]


def to_swap(t):
    box = Box(t).fill()
    box.card = t.new_mac()
    return box


def in_trash(t, mac):
    return [e for e in t.api("GET", "trash")["trash"] if mac in e["macs"]]


def removed_to_trash(t, box):
    entries = in_trash(t, box.mac)
    equal(len(entries), 0 if box.is_there() else 1, "entries of it in the trash")
    want(reads(entries[0]["path"] if entries else box.file(), "1M", 9), "its disk is another one")
    return bool(entries)


def trashed(t):
    box = Box(t).fill()
    t.api("DELETE", box.path)
    box.entry = f"trash/%23{in_trash(t, box.mac)[0]['id']}"
    return box


def emptied(t, box):
    entries = in_trash(t, box.mac)
    want(not entries or reads(entries[0]["path"], "1M", 9), "half of it is gone")
    return not entries


def expiring(t):
    for entry in t.api("GET", "trash")["trash"]:
        t.api("DELETE", f"trash/%23{entry['id']}")
    box = trashed(t)
    t.api("PATCH", "policy", {"trash": "none"})
    return box


def expired(t, box):
    t.api("PATCH", "policy", {"trash": "7d"})
    return emptied(t, box)


# ---- groups, policies, who may in ----

def groups(t):
    return {g["name"]: g for g in t.api("GET", "groups")["groups"]}


def new_group(t):
    name = t.new("g")
    t.api("POST", "groups", {"name": name, "note": "old"})
    return name


def group_with_machine(t):
    name = new_group(t)
    t.once("set", Box).set(group=name)
    return name


def group_is_gone(t, name):
    left = groups(t)
    equal(t.once("set", Box).show()["group"], name if name in left else None, "the machine's group")
    return name not in left


def policy_is(t, value):
    return str(t.api("GET", "policy")["max-waiting"]) == value


def old_policy(t):
    t.api("PATCH", "policy", {"max-waiting": "60"})
    return "61"


# ---- machines that ask and log in ----

def log_in(t, box):
    """As iPXE does: the first login begins the boot that the script announced."""
    box.address, box.iqn = t.address, box.show()["iqn"]
    t.sessions = getattr(t, "sessions", 0) + 1
    s = Session(box, name=None, keys=[("TargetName", box.iqn)], isid=IPXE_ISID + t.sessions.to_bytes(2, "big"))
    s.close()


def boots(t, box):
    return t.rows("SELECT number FROM boot JOIN machine_mac USING (machine_id) WHERE machine_mac.mac = ? AND state = 1", box.mac)


def off_again(t, box):
    """Closed in order: after a kill with another boot before."""
    if not box.show()["disk"]["clean"]:
        booted(t, box)
    t.api("POST", box.path + "/release")
    deadline = time.monotonic() + 20
    while not box.show()["disk"]["clean"]:
        want(time.monotonic() < deadline, "its disk stays open")
        time.sleep(0.01)


def booted(t, box):
    """A first time."""
    t.ask(box.mac)
    log_in(t, box)
    return box


def ready_to_boot(settings):
    def prepare(t):
        box = t.once(f"boot {settings}", lambda t: booted(t, Box(t, **settings)))
        off_again(t, box)
        write(box.file(), "1M", 9)
        t.ask(box.mac)
        box.boot = boots(t, box)
        return box
    return prepare


def has_begun(t, box):
    return boots(t, box) != box.boot


def renewed(t, box):
    done = has_begun(t, box)
    equal(box.has(), not done, "what the last boot wrote is there")
    return done


def points(t, box):
    return [s for s in t.api("GET", box.path + "/snapshots")["snapshots"] if not s["removed"]]


def point_taken(t, box):
    done = has_begun(t, box)
    want(box.has(), "what was on its disk is lost")
    if done:
        want(0 < len(points(t, box)) < 3, f"{len(points(t, box))} restore points")
    return done


def with_templates(t):
    box = t.once("who am I", Box)
    box.set(templates="none")
    return box


def has_seed(t, box):
    found = t.rows("SELECT count(*) FROM volume v JOIN attachment a ON a.volume_id = v.id JOIN machine_mac m ON m.machine_id = a.machine_id"
                   " WHERE v.kind = 4 AND m.mac = ?", box.mac)[0][0]
    equal(found, box.show()["templates"] == "cloud-init", "who-am-i volumes")
    return found == 1


def boot_is_pending(t, box):
    n = t.rows("SELECT count(*) FROM boot JOIN machine_mac USING (machine_id) WHERE machine_mac.mac = ? AND state = 0", box.mac)[0][0]
    want(n < 2, f"{n} pending boots")
    want("sanboot" in t.ask(box.mac), "it does not boot")
    return n == 1


# ---- maintenance, clones ----

def drafts(t):
    return t.rows("SELECT count(*) FROM image_version WHERE published = 0 AND unpublished = 0")[0][0]


def outside_maintenance(t):
    """Its own disk has 9; that of its maintenance 5."""
    box = t.once("maintenance", lambda t: Box(t).fill())
    if box.show()["mode"] == "maintenance":
        t.api("DELETE", box.path + "/maintenance", {"discard": True})
    return box


def in_maintenance(t):
    box = outside_maintenance(t)
    t.api("POST", box.path + "/maintenance", {})
    box.fill(5)
    box.drafts = drafts(t)
    return box


def maintenance_begun(t, box):
    done = box.show()["mode"] == "maintenance"
    equal(box.has(), not done, "it has its own disk")
    return done


def maintenance_ended(t, box):
    done = box.show()["mode"] != "maintenance"
    equal(drafts(t) - box.drafts, int(done), "drafts")
    want(box.has(9 if done else 5), "its disk")
    return done


def clone_of(t, box, name):
    return next((m for m in t.api("GET", "machines")["machines"] if m["name"] == name), None)


def to_clone(t):
    box = Box(t).fill()
    box.clone = t.new("clone")
    return box


def cloned(t, box):
    found = clone_of(t, box, box.clone)
    want(box.has(), "what was written is lost")
    want(not found or (not found["disk"].get("error") and reads(found["disk"]["path"], "1M", 9)), f"half made: {found}")
    return bool(found)


def with_clone(t):
    box = to_clone(t)
    t.api("POST", box.path + "/clone", {"name": box.clone})
    return box


def clone_left(t, box):
    want(reads(clone_of(t, box, box.clone)["disk"]["path"], "1M", 9), "the clone has lost what it stands on")
    return not box.is_there()


OPERATIONS = [
    Operation("GET /boot of an unknown machine", lambda t: t.new_mac(), lambda t, mac: t.ask(mac), boots_afterwards, "enrolled", 4),
    Operation("GET /boot of a known machine", Box, lambda t, box: t.ask(box.mac), boot_is_pending, "boot-asked"),
    Operation("machine add", lambda t: t.new_mac(), add, is_whole, "enrolled", 4),
    Operation("machine import-csv", lambda t: [t.new_mac() for _ in range(3)], lambda t, macs: add(t, *macs), all_or_none, None, 8),
    Operation("machine approve", a_waiting_one, lambda t, mac: t.api("POST", "machines/approve", {"macs": [mac]}), approved, "enrolled", 4),
    Operation("machine deny", a_waiting_one, lambda t, mac: t.api("POST", "machines/deny", {"mac": mac}), is_denied, "denied"),
    Operation("machine set name", to_rename, lambda t, box: box.set(name=box.names[1]), renamed, "machine-set"),
    field("note", "old", "new"),
    field("mode", "persistent", "ephemeral"),
    field("auth", "none", "mutual"),
    field("access", "one", "many"),
    field("boot", "disk", "local"),
    field("boot-once", "none", "local"),
    field("quota", "none", "3G"),
    field("physical-block", "4096", "512"),
    field("no-gateway", "no", "yes"),
    field("multipath", "no", "yes"),
    field("restore-points", "1", "3"),
    Operation("machine set group", with_group, lambda t, box: box.set(group="of-machines"), in_group, "machine-set"),
    Operation("machine set templates", with_templates, lambda t, box: box.set(templates="cloud-init"), has_seed, "machine-set"),
    Operation("machine set size", to_grow, lambda t, box: box.set(size=str(box.bytes + (1 << 20))), grown, "machine-set|volume-resized", 4),
    moved("other@1"),
    Operation("machine mac add", with_card, add_card, lambda t, box: box.card in box.show()["macs"], "mac-added"),
    Operation("machine mac remove", with_two_cards, lambda t, box: t.api("DELETE", f"{box.path}/macs/{box.card}"),
              lambda t, box: box.card not in box.show()["macs"], "mac-removed"),
    Operation("machine mac share", docked, lambda t, box: t.api("PATCH", f"{box.path}/macs/{box.card}", {"shared": True}),
              lambda t, box: box.card in box.show()["shared_macs"], "mac-shared"),
    Operation("machine reset", to_reset, lambda t, box: t.api("POST", box.path + "/reset"), is_reset, "reset", 4),
    Operation("machine swap", to_swap, lambda t, box: t.api("POST", box.path + "/swap", {"mac": box.card}), swapped, "swapped"),
    Operation("machine remove", lambda t: Box(t).fill(), lambda t, box: t.api("DELETE", box.path), removed_to_trash, "removed"),
    Operation("machine remove --for-good", lambda t: Box(t).fill(), lambda t, box: t.api("DELETE", box.path, {"for_good": True}),
              lambda t, box: not box.is_there(), "removed"),
    Operation("machine maintenance begin", outside_maintenance, lambda t, box: t.api("POST", box.path + "/maintenance", {}), maintenance_begun,
              "maintenance-began", 4),
    Operation("machine maintenance end", in_maintenance, lambda t, box: t.api("DELETE", box.path + "/maintenance", {}), maintenance_ended,
              "maintenance-ended", 4),
    Operation("machine clone", to_clone, lambda t, box: t.api("POST", box.path + "/clone", {"name": box.clone}), cloned, "enrolled", 4),
    Operation("machine remove --for-good of one with a clone", with_clone, lambda t, box: t.api("DELETE", box.path, {"for_good": True}), clone_left,
              "removed"),
    Operation("machine trash restore", trashed, lambda t, box: t.api("POST", box.entry + "/restore", {}),
              lambda t, box: not removed_to_trash(t, box), "restored"),
    Operation("machine trash empty", trashed, lambda t, box: t.api("DELETE", box.entry), emptied, "removed"),
    Operation("what is in the trash for too long", expiring, lambda t, box: t.api("POST", "retention"), expired, "removed"),
    Operation("a boot begins", ready_to_boot({}), log_in, has_begun, "boot-started"),
    Operation("a boot begins with a new disk (ephemeral)", ready_to_boot({"mode": "ephemeral"}), log_in, renewed, "boot-started", 4),
    Operation("a boot begins with a restore point", ready_to_boot({"restore_points": "2"}), log_in, point_taken, "boot-started", 4),
    Operation("group add", lambda t: t.new("g"), lambda t, name: t.api("POST", "groups", {"name": name}), lambda t, name: name in groups(t),
              "group-added"),
    Operation("group set", new_group, lambda t, name: t.api("PATCH", "groups/" + name, {"note": "new"}),
              lambda t, name: groups(t)[name]["note"] == "new", "group-set"),
    Operation("group remove", group_with_machine, lambda t, name: t.api("DELETE", "groups/" + name), group_is_gone, "group-removed"),
    Operation("policy set", old_policy, lambda t, value: t.api("PATCH", "policy", {"max-waiting": value}), policy_is, "policy-changed"),
    Operation("token create", lambda t: t.new("token"), lambda t, name: t.api("POST", "tokens", {"name": name}),
              lambda t, name: bool(t.rows("SELECT 1 FROM token WHERE label = ?", "api:" + name)), "token-created"),
    Operation("token remove", lambda t: t.api("POST", "tokens", {"name": t.new("token")}), lambda t, token: t.api("DELETE", "tokens", {"token": token["token"]}),
              lambda t, token: not t.rows("SELECT 1 FROM token WHERE label = ?", "api:" + token["name"]), "token-removed"),
    Operation("password", lambda t: t.rows("SELECT value FROM setting WHERE name = 'admin-password'"),
              lambda t, _: t.api("POST", "password", {"password": t.new("correct horse ")}),
              lambda t, was: t.rows("SELECT value FROM setting WHERE name = 'admin-password'") != was, "password-set"),
]
