#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian from packaging/golden/build-debian.sh: boots, writes, reboots with its data, learns from its who-am-i volume who it is, outlives a
server that is killed. A machine of it that was lived in is made an image and sealed; two machines of that are two machines."""
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


def cloud(vm, name):
    """What cloud-init did there: its line, by words."""
    said = until(lambda: re.findall(r"E2E-CLOUD (host=[^\n]*)\n", vm.proc.out.text), 400, f"{vm.name}: cloud-init has done nothing")
    equal(len(said), 1, f"{vm.name}: how often the commands of its first boot ran")
    got = dict(w.split("=", 1) for w in said[0].split())
    equal(got["host"], name, f"{vm.name}: host name")
    equal(got["key"], name, f"{vm.name}: what the SSH key of the new user ends in")
    equal(got["mac"], vm.mac, f"{vm.name}: MAC")
    equal(got["nic"], "up", f"{vm.name}: the card that it booted from")
    return got


with Suite() as t:
    with t.case("build-debian.sh makes an image", vital=True):
        image = guest("debian.raw")

    templates = os.path.join(t.lan.dir, "templates")
    os.makedirs(os.path.join(templates, "lab"))
    with open(os.path.join(templates, "lab", "user-data"), "w") as f:
        f.write(USER_DATA)
    server = Server(t.lan, extra=["--templates", templates])
    with t.case("it is imported, with a word about its network cards alone", vital=True):
        server.ctl("image", "import", image, "--name", "debian", "--default", timeout=300)
        server.few_cards_only()

    with t.case("the doctor looks into it, and has hints and that"):
        report = server.api("images/debian/check")
        true("Debian" in report["system"], f"it found {report['system']}")
        true(report["initiator"].startswith("open-iscsi "), f"it found {report['initiator']}")
        true(all(part["looked_into"] for part in report["parts"]), f"not looked into: {report['parts']}")
        equal([f["code"] for f in report["findings"] if f["severity"] != "hint"], ["initramfs-few-cards"], "findings")

    def codes(image, *but):
        """What the doctor finds in it, but of these severities."""
        return [f["code"] for f in server.api(f"images/{image}/check")["findings"] if f["severity"] not in but]

    vm = VM(t.lan, 1, mem=512, action="write=2,reboot=2,tick", start=False)
    clone = VM(t.lan, 2, mem=512, action="lived-in,poweroff", start=False)
    with t.case("Debian boots, writes, reboots by itself and has its data", vital=True):
        server.ctl("group", "add", "lab", "templates=lab")
        for each, name in ((vm, "0012"), (clone, "pc-two")):
            server.ask(each.mac)                         # enrolled
            server.ctl("machine", "set", each.mac, "group=lab")
            server.ctl("machine", "set", each.mac, f"name={name}")
            each.start()
        first = vm.proof(count=1, fw="bios", timeout=400)
        equal(first["hostname"], "0012", "host name")
        true(first["chap"] != "none", "a boot without CHAP")
        second = vm.proof(count=2, timeout=400, hostname="0012")
        equal(second["initiator"], first["initiator"], "initiator")
        true(first["blob"] != "none", "it wrote nothing")
        equal(second["blob"], first["blob"], "what it wrote in its first boot")

    with t.case("cloud-init has its name, a user and his key from the who-am-i volume, and two clones differ"):
        one, two = cloud(vm, "0012"), cloud(clone, "pc-two")
        true(one["instance"] != two["instance"], f"both are instance {one['instance']}")
        true(one["instance"].endswith("-1"), f"its first disk is instance {one['instance']}")

    with t.case("a machine that was lived in is made an image, and the doctor names what is its alone", vital=True):
        original = clone.wait(r"E2E-LIVED-IN machine-id=(\w+)").group(1)
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

    with t.case("Debian goes on when the server is killed"):
        vm.tick(3)
        server.kill()
        vm.proc.out.skip()
        server.start()
        vm.tick(4)
        vm.no_errors()
        true(server.machine(first["hostname"])["disk"]["allocated_bytes"] < 64 << 20, "it costs more than 64 MiB")
        vm.stop()

    with t.case("two machines of the sealed image are two machines, and each is itself"):
        pair = [VM(t.lan, number, mem=512, action="who", start=False) for number in (3, 4)]
        for each, name in zip(pair, ("pc-three", "pc-four")):
            server.ask(each.mac)
            server.ctl("machine", "set", each.mac, f"name={name}", "group=lab", "image=lab")
            each.start()
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
