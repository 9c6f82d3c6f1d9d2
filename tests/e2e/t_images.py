#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images through their life, as an administrator has it: they come as files, packed, through a pipe and over the network; versions are
tested, published, at a time, gone back to, retired; machines say which one they have; and images and disks go out to other programs."""
import atexit, tempfile, urllib.error, urllib.request

from e2e import *
from initiator import BootScript

MIB = 1 << 20
folder = tempfile.mkdtemp(prefix="sanbootd-e2e-images-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)


def at(name):
    return os.path.join(folder, name)


def shell(command):
    p = subprocess.run(["sh", "-ec", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    equal(p.returncode, 0, f"{command}: {p.stdout.strip()}")


def same(a, b):
    with open(a, "rb") as x, open(b, "rb") as y:
        return x.read() == y.read()


def refused(server, part, *args):
    code, out, err = server.run(*args)
    true(code == 1 and part in err, f"sanbootctl {' '.join(args)}: not refused with \"{part}\", but {code}: {out}{err}")


with Suite() as t:
    for name in ("inbox", "outbox", "exports"):
        os.mkdir(at(name))
    with open(at("a.raw"), "wb") as f:
        f.write(os.urandom(3 * MIB))
        f.truncate(8 * MIB + 4096 * 3)
    server = Server(t.lan, dhcp="off", extra=["--import-dir", at("inbox"), "--export-dir", at("outbox")])
    golden = lambda version: os.path.join(server.state, "images", version + ".raw")
    versions = lambda name: {v["version"]: v for v in server.json("image", "show", name)["versions"]}

    with t.case("an image is imported, packed or not, and through a pipe", vital=True):
        shell(f"cd {folder} && qemu-img convert -O vdi a.raw a.vdi && zstd -q a.vdi && xz -k a.raw")
        for file in ("a.raw", "a.vdi.zst", "a.raw.xz"):
            server.ctl("image", "import", at(file), "--name", "lab")
        with open(at("a.raw"), "rb") as f:
            cat = subprocess.Popen(["cat"], stdin=f, stdout=subprocess.PIPE)
            p = subprocess.run([os.path.join(BUILD, "sanbootctl"), "--runtime-dir", server.runtime, "image", "import", "-", "--name", "lab"],
                               stdin=cat.stdout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            cat.stdout.close()
            cat.wait()
        equal(p.returncode, 0, p.stdout)
        for n in (1, 2, 3, 4):
            true(same(golden(f"lab@{n}"), at("a.raw")), f"lab@{n} is another disk")
        equal([v["state"] for v in versions("lab").values()], ["published", "test", "test", "test"], "states")
        jobs = server.json("image", "jobs")["jobs"]
        equal([(j["kind"], j["stage"], j["percent"], j["version"]) for j in jobs],
              [("import", "done", 100, f"lab@{n}") for n in (1, 2, 3, 4)], "jobs")

    with t.case("over the network any file is sent, and only files in import-dir are named"):
        token = server.json("token", "create", "e2e")["token"]
        far = ["--url", server.url, "--token", token]
        server.ctl(*far, "image", "import", at("a.raw"), "--name", "sent")
        true(same(golden("sent@1"), at("a.raw")), "it is another disk")
        shutil.copy(at("a.raw"), at("inbox/b.raw"))
        os.symlink("/etc/passwd", at("inbox/link"))
        def post(path, body):
            request = urllib.request.Request(server.url + "/api/v1/" + path, json.dumps(body).encode(),
                                             {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=20 * SLOW) as r:
                    return r.status
            except urllib.error.HTTPError as e:
                return e.code
        equal(post("images", {"path": at("inbox/b.raw"), "name": "inbox"}), 202, "in the folder")
        equal(post("images", {"path": at("a.raw"), "name": "outside"}), 403, "beside the folder")
        equal(post("images", {"path": at("inbox/../a.raw"), "name": "outside"}), 403, "out of the folder")
        equal(post("images", {"path": at("inbox/link"), "name": "outside"}), 403, "a link out of the folder")
        equal(post("exports", {"image": "lab@1", "path": at("exports/x.raw"), "format": "raw"}), 403, "an export beside the folder")
        equal(post("exports", {"image": "lab@1", "path": at("outbox/x.raw"), "format": "raw"}), 202, "an export into the folder")
        until(lambda: os.path.exists(at("outbox/x.raw")), 20, "the export")

    with t.case("a pipe that ends early, and Ctrl-C, leave nothing"):
        p = subprocess.Popen([os.path.join(BUILD, "sanbootctl"), "--runtime-dir", server.runtime, "image", "import", "-", "--name", "half"],
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        p.stdin.write(os.urandom(3 * MIB))
        p.stdin.flush()
        until(lambda: any(j["name"] == "half" and j["bytes_done"] >= 2 * MIB for j in server.json("image", "jobs")["jobs"]), 20, "it is sent")
        p.send_signal(signal.SIGINT)
        p.stdin.close()
        equal(p.wait(20 * SLOW), 1, "its exit code")
        until(lambda: [j for j in server.json("image", "jobs")["jobs"] if j["name"] == "half" and j["canceled"]], 20, "it is canceled")
        equal(os.listdir(os.path.join(server.state, "tmp")), [], "tmp/")

    mac, other = "52:54:00:e2:0d:01", "52:54:00:e2:0d:02"
    server.ask(mac)
    pc = server.machines()[0]["name"]

    with t.case("who names a version to test gets it, nobody else does"):
        equal(server.machine(pc)["image"], "lab@1", "a new machine's")
        server.ctl("machine", "set", pc, "image=lab@2")
        equal(server.machine(pc)["image"], "lab@2", "after it was named")
        equal(server.machine(pc)["outdated"], False, "a version to test is not outdated")
        server.ctl("image", "set", "lab@3", "state=draft")
        refused(server, "is a draft", "machine", "set", pc, "image=lab@3")
        refused(server, "1 machines and 0 volumes have lab@2", "image", "set", "lab@2", "state=draft")
        refused(server, "new machines get lab@1", "image", "set", "lab@1", "state=retired")
        refused(server, "expected draft, test or retired", "image", "set", "lab@2", "state=good")

    with t.case("what is published is what new machines get, also after going back"):
        server.ctl("image", "publish", "lab@2")
        server.ctl("image", "publish", "lab@1")
        server.ask(other)
        second = next(m for m in server.machines() if other in m["macs"])["name"]
        equal(server.machine(second)["image"], "lab@1", "a new machine's")
        equal(server.json("image", "show", "lab")["published"], 1, "what the image says")
        true(re.search(r"lab@1 .*new machines get this one", server.ctl("image", "list")), "what image list says")
        equal(server.machine(pc)["outdated"], True, "who has another one")
        true("lab@2, outdated" in server.ctl("machine", "list"), "machine list does not say so")
        true("lab@1 is published; it gets that with" in server.ctl("machine", "show", pc), "machine show does not say so")
        equal(server.json("image", "show", "lab")["outdated"], 1, "how many are outdated")

    with t.case("a retired version stays with who has it, and nobody new gets it"):
        server.ctl("image", "set", "lab@2", "state=retired", "note=hangs on the old laptops")
        refused(server, "is retired", "machine", "set", second, "image=lab@2")
        refused(server, "take it back first", "image", "publish", "lab@2")
        equal(server.machine(pc)["image"], "lab@2", "who had it")
        equal(versions("lab")[2]["note"], "hangs on the old laptops", "the note")
        true(BootScript(server.ask(mac)).login()[0], "who had it does not boot")
        server.closed(pc)

    with t.case("a version is published at a time, also after a kill in between"):
        refused(server, "that time is over", "image", "publish", "lab@4", "--at", "2020-01-01 00:00")
        refused(server, "nothing is planned", "image", "publish", "lab@4", "--at", "none")
        equal(server.run("image", "publish", "lab@4", "--at", "soon")[0], 2, "exit code of a time that is none")
        server.ctl("image", "publish", "lab@4", "--at", "+1m")
        server.ctl("image", "publish", "lab@4", "--at", "none")
        equal(versions("lab")[4]["publish_at_ms"], None, "taken back")
        soon = lambda: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 3))
        server.ctl("image", "publish", "lab@4", "--at", soon())
        until(lambda: server.json("image", "show", "lab")["published"] == 4, 20, "lab@4 is published")
        true(server.events("lab@4 is published"), "no event")
        server.ctl("image", "publish", "lab@1", "--at", soon())
        server.kill()
        time.sleep(3.5)         # it is due while the server is off
        server.start()
        until(lambda: server.json("image", "show", "lab")["published"] == 1, 20, "lab@1 is published again")

    with t.case("an empty image is for who names it"):
        server.ctl("image", "create", "--name", "windows", "--size", "64G")
        equal(os.stat(golden("windows@1")).st_blocks, 0, "what it takes")
        refused(server, "an image windows", "image", "create", "--name", "windows", "--size", "64G")
        server.ctl("machine", "set", second, "image=windows@1")
        true(BootScript(server.ask(other)).login()[0], "it does not open")
        equal(server.machine(second)["disk"]["virtual_bytes"], 64 << 30, "its size")
        server.closed(second)

    with t.case("an image is exported for other programs"):
        for end, driver in (("raw", "raw"), ("qcow2", "qcow2"), ("vhdx", "vhdx"), ("vhd", "vpc"), ("vmdk", "vmdk"), ("vdi", "vdi")):
            server.ctl("image", "export", "lab@1", at("exports/x." + end))
            shell(f"qemu-img compare -q -f {driver} -F raw {at('exports/x.' + end)} {at('a.raw')}")
            if end != "raw" and shutil.which("7zz"):
                shell(f"7zz e -so {at('exports/x.' + end)} 2>/dev/null | cmp - {at('a.raw')}")
        refused(server, "is there already", "image", "export", "lab@1", at("exports/x.vhd"))
        server.ctl("image", "export", "lab@1", at("exports/x.vhd"), "--force")
        refused(server, "expected raw, qcow2", "image", "export", "lab@1", at("exports/x.foo"))
        equal(sorted(os.listdir(at("exports"))), sorted("x." + e for e in ("raw", "qcow2", "vhdx", "vhd", "vmdk", "vdi")), "the folder")

    with t.case("a machine's disk is exported while it is off"):
        disk = server.closed(pc)
        shell(f"qemu-io -f qcow2 -c 'write -P 7 5M 64k' {disk}")
        server.ctl("machine", "export", pc, at("exports/pc.vhdx"))
        shell(f"qemu-img compare -q -f vhdx -F qcow2 {at('exports/pc.vhdx')} {disk}")
        shell(f"qemu-img compare -q -f vhdx -F raw {at('exports/pc.vhdx')} {at('a.raw')} && exit 1 || exit 0")
        true(BootScript(server.ask(mac)).login()[0], "it does not open afterwards")
        server.closed(pc)
        true(server.events("was written to"), "no event")

    with t.case("a version on which somebody has put a disk by hand is not removed"):
        disk = server.closed(pc)
        shell(f"qemu-img rebase -u -f qcow2 -F raw -b ../images/lab@4.raw {disk}")
        refused(server, "stands on lab@4 by its own header", "image", "remove", "lab@4", "--yes")
        shell(f"qemu-img rebase -u -f qcow2 -F raw -b ../images/lab@2.raw {disk}")
        server.ctl("image", "remove", "lab@4", "--yes")
        true(not os.path.exists(golden("lab@4")), "its file is still there")
        refused(server, "1 machine is made from lab@2", "image", "remove", "lab@2", "--yes")
