#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian that was lived in is made an image and sealed; two machines of that are two machines, and each is itself."""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from e2e import *

# What a site would write, and a line for the test. cloud-init runs only what is looked at: the rest costs a minute under emulation.
USER_DATA = """#cloud-config
users:
  - name: pupil
    ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHBhcGVy {name}]
ssh_genkeytypes: []
ssh_deletekeys: false
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user]
runcmd:
  - echo E2E-CLOUD host=$(cat /etc/hostname) key=$(cut -d' ' -f3 /home/pupil/.ssh/authorized_keys) instance=$(cat /var/lib/cloud/data/instance-id) nic=$(cat /sys/class/net/eth0/operstate) mac={mac} >/dev/console
"""


# What the doctor has to find in a machine that was lived in: all its clones would have the same.
CLASHES = ["machine-id", "ssh-host-keys", "initiator-name", "cloud-init-network"]


with Suite() as t:
    image = guest("debian.raw")
    templates = os.path.join(t.lan.dir, "templates")
    os.makedirs(os.path.join(templates, "lab"))
    with open(os.path.join(templates, "lab", "user-data"), "w") as f:
        f.write(USER_DATA)
    server = Server(t.lan, extra=["--templates", templates])
    server.ctl("image", "import", image, "--name", "debian", "--default", timeout=300)
    server.ctl("group", "add", "lab", "templates=lab")

    def codes(image, *but):
        """What the doctor finds in it, but of these severities."""
        return [f["code"] for f in server.api(f"images/{image}/check")["findings"] if f["severity"] not in but]

    def start(number, name, *settings, action):
        vm = VM(t.lan, number, mem=512, action=action, start=False)
        server.ask(vm.mac)                               # enrolled
        server.ctl("machine", "set", vm.mac, f"name={name}", "group=lab", *settings)
        vm.start()
        return vm

    with t.case("a machine that was lived in is made an image, and the doctor names what is its alone", vital=True):
        clone = start(2, "pc-two", action="lived-in,poweroff")
        original = clone.wait(r"E2E-LIVED-IN machine-id=(\w+)", 500).group(1)
        clone.off(timeout=120)
        server.closed("pc-two")
        # a promoted version stands on another one, and is not looked into as it is
        disk = os.path.join(t.lan.dir, "lab.raw")
        server.ctl("machine", "export", "pc-two", disk, "--format", "raw", timeout=300)
        server.ctl("image", "import", disk, "--name", "lab", timeout=300)
        os.remove(disk)
        equal([c for c in codes("lab@1") if c in CLASHES], CLASHES, f"findings of lab@1: {codes('lab@1')}")

    with t.case("sealed, it has none of that", vital=True):
        server.ctl("image", "seal", "lab@1", timeout=300)
        equal(codes("lab@2", "hint"), ["initramfs-few-cards"], "findings of lab@2")
        server.ctl("image", "publish", "lab@2")

    with t.case("two machines of the sealed image are two machines, and each is itself"):
        pair = [start(number, name, "image=lab", action="who") for number, name in ((3, "pc-three"), (4, "pc-four"))]
        who = []
        for each, name in zip(pair, ("pc-three", "pc-four")):
            booted = each.proof(count=2, timeout=400)
            said = each.wait(r"E2E-WHO ([^\n]*)\n", 400).group(1)
            who.append(dict(w.split("=", 1) for w in said.split()))
            equal(who[-1]["hostname"], name, "host name")
            equal(who[-1]["initiator"], booted["initiator"], "initiator name in its file, and of its session")
            # taken down and up again it would have its address from somebody who renews it
            equal([who[-1][what] for what in ("nic", "ip", "lost")], ["up", booted["ip"] + ",forever", "0"], f"{name}: its card")
            until(lambda: "steady" in [s["stage"] for s in server.machine(name)["timeline"]], 60, f"{name} is steady")
            each.no_errors()
        for what in ("machine-id", "key", "initiator"):
            true(who[0][what] and who[1][what], f"no {what}: {who}")
            true(who[0][what] != who[1][what], f"two machines with one {what}: {who[0][what]}")
        true(original not in (who[0]["machine-id"], who[1]["machine-id"]), "one has the machine-id of the original")
        for each in pair:
            each.stop()
