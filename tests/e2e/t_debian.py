#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Debian from packaging/golden/build-debian.sh: boots, writes, reboots with its data, learns from its who-am-i volume who it is, outlives a
server that is killed."""
from e2e import *

# What a site would write, and a line for the test. cloud-init runs only what is looked at: the rest costs a minute under emulation.
USER_DATA = """#cloud-config
users:
  - name: pupil
    ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHBhcGVy {name}]
ssh_genkeytypes: []
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user]
runcmd:
  - echo E2E-CLOUD host=$(cat /etc/hostname) key=$(cut -d' ' -f3 /home/pupil/.ssh/authorized_keys) instance=$(cat /var/lib/cloud/data/instance-id) nic=$(cat /sys/class/net/eth0/operstate) mac={mac} >/dev/console
"""


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

    vm, clone = VM(t.lan, 1, mem=512, action="write=2,reboot=2,tick", start=False), VM(t.lan, 2, mem=512, start=False)
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
        clone.stop()

    with t.case("Debian goes on when the server is killed"):
        vm.tick(3)
        server.kill()
        vm.proc.out.skip()
        server.start()
        vm.tick(4)
        vm.no_errors()
        true(server.machine(first["hostname"])["disk"]["allocated_bytes"] < 64 << 20, "it costs more than 64 MiB")
        vm.stop()
