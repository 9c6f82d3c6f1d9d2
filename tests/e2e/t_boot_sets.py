#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets of boot files (boot-file-set): which one the real dnsmasq names to whom, by TFTP and by HTTP, as the DHCP server and beside one. Clients of
packets ask as firmware would."""
from e2e import *
import dhcpclient

MACS = {"own": "52:54:00:e5:00:01", "group": "52:54:00:e5:00:02", "default": "52:54:00:e5:00:03", "none": "52:54:00:e5:00:04", "stranger": "52:54:00:e5:00:05"}
BIOS, EFI, HTTP = 0, 7, 16
FOLDERS = {"ipxe": ("undionly.kpxe", "snponly.efi"), "old": ("undionly.kpxe", "snponly.efi"), "new": ("x86_64-efi/snponly.efi",)}
SETS = {"own": "sets/old/", "group": "sets/new/x86_64-efi/", "default": "", "none": "", "stranger": ""}


def told(proxy):
    """Each of them by each firmware; and what is there under that name."""
    for who, path in SETS.items():
        ask = lambda arch, vendor="PXEClient": client.ask(arch, vendor, proxy=proxy, mac=MACS[who]).file
        # A set without a file for some firmware leaves that to the default one.
        for arch, name in ((BIOS, "undionly.kpxe" if who == "group" else path + "undionly.kpxe"), (EFI, path + "snponly.efi")):
            equal(ask(arch), name, f"{who}, architecture {arch}")
            text = client.fetch(f"tftp://{t.lan.ip}/{name}").decode()
            equal(text, content[name], name)
        url = ask(HTTP, "HTTPClient")
        equal(url, f"http://{t.lan.ip}:8080/ipxe/{path}snponly.efi", f"{who} by HTTP")
        equal(client.fetch(url).decode(), content[path + "snponly.efi"], url)
        # The loader asks beside itself.
        for base in (f"tftp://{t.lan.ip}", f"http://{t.lan.ip}:8080/ipxe"):
            true(client.fetch(f"{base}/{path}autoexec.ipxe").startswith(b"#!ipxe\n"), f"{base}/{path}autoexec.ipxe")


with Suite() as t:
    content = {}
    for folder, names in FOLDERS.items():
        for name in names:
            path = os.path.join(t.lan.dir, folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content[name if folder == "ipxe" else f"sets/{folder}/{name}"] = text = f"{folder}: {name}"
            with open(path, "w") as f:
                f.write(text)
    extra = ["--ipxe-dir", os.path.join(t.lan.dir, "ipxe")]
    for name in ("old", "new"):
        extra += ["--boot-file-set", f"{name}:{os.path.join(t.lan.dir, name)}"]
    client = dhcpclient.Client(t.lan)
    server = Server(t.lan, extra=extra)
    with open(disk := os.path.join(t.lan.dir, "empty.raw"), "wb") as f:
        f.truncate(4 << 20)
    server.ctl("image", "import", disk, "--name", "empty", "--default")
    server.ctl("group", "add", "lab", "boot-file-set=new")
    for who, mac in MACS.items():
        if who != "stranger":
            server.ask(mac)
            server.ctl("machine", "set", mac, f"name={who}")

    with t.case("a set that there is not is refused, by machine and by group, with those that there are"):
        for command in (("machine", "set", "own"), ("group", "set", "lab")):
            code, _, err = server.run(*command, "boot-file-set=older")
            equal((code, "there are: old, new" in err), (1, True), f"{command}: {err}")

    with t.case("full: the machine's own set, else its group's, else the default one"):
        server.ctl("machine", "set", "own", "boot-file-set=old", "group=lab")
        server.ctl("machine", "set", "group", "group=lab")
        server.ctl("machine", "set", "default", "boot-file-set=default", "group=lab")
        until(lambda: open(server.runtime + "/dnsmasq.hosts").read().count("set:set-") == 2, 10, "the host file")
        told(proxy=False)
        shown = {m["name"]: (m["boot_file_set"], m["boot_file_set_own"]) for m in server.machines()}
        equal(shown, {"own": ("old", "old"), "group": ("new", None), "default": ("default", "default"), "none": ("default", None)}, "what is shown")
        true("UEFI x64 of the set new" in server.ctl("status"), "status names the sets")

    server.stop()
    server = Server(t.lan, dhcp="proxy", state=server.state, extra=extra)

    with t.case("proxy: the same beside another DHCP server, which gives the addresses"):
        told(proxy=True)

    with t.case("proxy: a change is in force at once"):
        server.ctl("machine", "set", "none", "boot-file-set=new")
        server.ctl("machine", "set", "own", "boot-file-set=group")
        SETS.update(none=SETS["group"], own=SETS["group"])
        until(lambda: open(server.runtime + "/dnsmasq.hosts").read().count("set:set-new") == 3, 10, "the host file")
        for who in ("none", "own"):
            until(lambda: client.ask(EFI, proxy=True, mac=MACS[who]).file == SETS[who] + "snponly.efi", 10, who)

    server.stop()
    server = Server(t.lan, dhcp="proxy", state=server.state, extra=extra[:-2])

    with t.case("a set that is taken out of the configuration: its machines get the default one, and the log says so"):
        server.wait_log(r"machine none is to have the boot files new")
        server.wait_log(r"group lab is to have the boot files new")
        equal(client.ask(EFI, proxy=True, mac=MACS["none"]).file, "snponly.efi", "its file")

    server.stop()

    with t.case("a set whose folder has no boot file keeps the server from starting, which says so"):
        os.makedirs(empty := os.path.join(t.lan.dir, "nothing"))
        server = Server(t.lan, state=server.state, extra=extra + ["--boot-file-set", f"empty:{empty}"], start=False)
        p = subprocess.run(server.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * SLOW)
        equal((p.returncode != 0, f"boot-file-set empty: there is no boot file in {empty}" in p.stdout), (True, True), p.stdout[-300:])
