#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""libiscsi's view of a freshly enrolled machine's disk, by its own tools, against facts.py (to which tests/e2e/t_sg.py holds the
Linux initiator's view): views.py. One line for each case."""
import os
import re
import shutil
import subprocess
import sys

import facts
import iscsi
from iscsi import Failed, attempt, case, equal, want
from sanbootd import DISK_BYTES, Sanbootd

DESIGNATOR_TYPES = {"T10_VENDORT_ID": 1, "NAA": 3, "RELATIVE_TARGET_PORT": 4, "TARGET_PORT_GROUP": 5, "SCSI_NAME_STRING": 8}
ASSOCIATIONS = {"LOGICAL_UNIT": 0, "TARGET_PORT": 1, "TARGET_DEVICE": 2}


def tool(*argv):
    """What one of libiscsi's tools (or qemu-io) prints, byte by byte a character; it has to succeed."""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    out, err = (text.decode("latin1") for text in (p.stdout, p.stderr))
    equal((p.returncode, err), (0, ""), f"exit code and complaints of {' '.join(argv)}")
    return out


def page(t, code):
    return tool("iscsi-inq", "-e", "1", "-c", str(code), t.url)


@case("iscsi-inq")
def standard_inquiry(t):
    out = tool("iscsi-inq", t.url)
    got = facts.fields(out, ":")
    equal((got["Vendor"], got["Product"]), (facts.VENDOR, facts.PRODUCT), "vendor and product")
    equal((got["Peripheral Qualifier"], got["Peripheral Device Type"], got["Removable"]), ("CONNECTED", "DIRECT_ACCESS", "0"), "kind")
    equal((int(got["Version"].split()[0]), got["ReponseDataFormat"], got["CmdQue"]), (facts.VERSION, "2", "1"), "version, format, CmdQue")
    equal((got["TPGS"], got["3PC"], got["Protect"], got["EncServ"], got["MultiP"]), ("0",) * 5, "what it is not")
    equal(tuple(int(v, 16) for v in re.findall(r"^Version Descriptor:(\w+)", out, re.M)), facts.DESCRIPTORS, "version descriptors")


@case("iscsi-inq")
def VPD_00h_supported_pages(t):
    equal(tuple(int(p, 16) for p in re.findall(r"^Page:0x(\w+)", page(t, 0), re.M)), facts.PAGES, "pages")


@case("iscsi-inq")
def VPD_80h_serial(t):
    equal(re.search(r"^Unit Serial Number:\[(.*)\]", page(t, 0x80), re.M).group(1), t.facts.serial, "serial")


@case("iscsi-inq")
def VPD_83h_identifiers(t):
    found = set()
    for part in page(t, 0x83).split("DEVICE DESIGNATOR #")[1:]:
        value = re.search(r"Designator:\[(.*?)\]\n", part, re.S).group(1)
        association, kind = (re.search(rf"{what}:\(\d\) (\w+)", part).group(1) for what in ("Association", "Designator Type"))
        found.add((ASSOCIATIONS[association], DESIGNATOR_TYPES[kind], value))
    # The tool prints a designator with %s, so that binary ones end at their first zero byte.
    printed = {(a, k, (v.split(b"\0")[0] if k in (3, 4, 5) else v).decode("latin1")) for a, k, v in t.facts.designators()}
    equal(found, printed, "designators")


@case("iscsi-inq")
def VPD_B0h_block_limits(t):
    equal({k: int(v) for k, v in facts.fields(page(t, 0xb0), ":").items()}, facts.LIMITS, "limits")


@case("iscsi-inq")
def VPD_B1h_characteristics(t):
    equal(facts.fields(page(t, 0xb1), ":"), {"Medium Rotation Rate": f"{facts.ROTATION}RPM"}, "rotation")


@case("iscsi-inq")
def VPD_B2h_provisioning(t):
    equal({k: int(v) for k, v in facts.fields(page(t, 0xb2), ":").items()}, facts.PROVISIONING, "provisioning")


@case("iscsi-readcapacity16")
def capacity(t):
    got = facts.fields(tool("iscsi-readcapacity16", t.url), ":")
    equal((int(got["RETURNED LOGICAL BLOCK ADDRESS"]), int(got["LOGICAL BLOCK LENGTH IN BYTES"]), int(got["Total size"])),
          (t.facts.blocks - 1, facts.BLOCK, t.facts.bytes), "last LBA, block, size")
    equal(got["LOWEST ALIGNED LOGICAL BLOCK ADDRESS"], "0", "lowest aligned LBA")
    equal((got["P_TYPE"], got["LBPME"]), ("0 PROT_EN:0", "1 LBPRZ:1"), "protection and provisioning")
    exponent = int(got["P_I_EXPONENT"].rsplit(":", 1)[1])
    equal(facts.BLOCK << exponent, facts.PHYSICAL, "physical block")
    shown = t.show()
    equal((shown["disk"]["virtual_bytes"], shown["luns"][0]["bytes"], shown["luns"][0]["physical_block_bytes"]),
          (t.facts.bytes, t.facts.bytes, facts.PHYSICAL), "what sanbootctl says of it")


@case("iscsi-ls")
def targets_and_LUNs(t):
    host, port = t.address
    out = tool("iscsi-ls", "-s", f"iscsi://{host}:{port}")
    mine = re.search(rf"^Target:{re.escape(t.iqn)} Portal:{re.escape(host)}:{port},1\n((?:Lun.*\n)*)", out, re.M)
    want(mine, f"the target is not listed: {out!r}")
    m = re.fullmatch(r"Lun:0 +Type:DIRECT_ACCESS \(Size:(\w+)\)\n", mine.group(1))
    want(m, f"the LUN is not listed: {mine.group(1)!r}")
    equal(m.group(1), f"{(t.facts.blocks - 1) * facts.BLOCK >> 20}M", "size (the tool multiplies the last LBA)")


@case("iscsi-swp")
def software_write_protect(t):
    host, port = t.address
    for state in ("on", "off"):
        tool("iscsi-swp", "-s", state, t.url)
        equal(tool("iscsi-swp", t.url).strip(), f"SWP:{int(state == 'on')}", "SWP")
        p = subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 1 1M 4k", t.url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60)
        equal("wrote 4096/4096" in p.stdout, state == "off", f"writing with SWP {state}: {p.stdout!r}")


@case("qemu-io")
def golden_blocks_and_what_is_written_over_them(t):
    machine = t.daemon.enrol(access="many")
    with open(t.daemon.golden, "rb") as f:
        golden = f.read(4 << 20)
    copy = os.path.join(t.daemon.dir, "copy.raw")
    fetch = lambda: (tool("qemu-img", "convert", "-f", "raw", "-O", "raw", machine.url, copy), open(copy, "rb").read())[1]
    first = fetch()
    equal((len(first), first[:len(golden)] == golden, any(first[len(golden):])), (DISK_BYTES, True, False), "size, golden blocks, the rest")
    tool("qemu-io", "-f", "raw", "-c", "write -P 0xab 64k 192k", "-c", "write -z 1M 1M", "-c", "discard 3M 512k", "-c", "flush", machine.url)
    wanted = bytearray(first)
    wanted[64 << 10:256 << 10] = b"\xab" * (192 << 10)
    wanted[1 << 20:2 << 20] = bytes(1 << 20)
    wanted[3 << 20:(3 << 20) + (512 << 10)] = bytes(512 << 10)
    equal(fetch() == bytes(wanted), True, "the data as written")
    path = t.daemon.closed_disk(machine)
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, copy)
    equal(open(copy, "rb").read() == bytes(wanted), True, "the data in the closed disk")


def main():
    iscsi.declare(len(iscsi.CASES) + 1)
    missing = [t for t in ("iscsi-inq", "iscsi-ls", "iscsi-readcapacity16", "iscsi-swp", "qemu-io", "qemu-img") if not shutil.which(t)]
    if missing:
        print("not ok libiscsi's view : missing", *missing)
        return 1
    try:
        daemon = Sanbootd()
    except Failed as err:
        print("not ok sanbootd on loopback :", err)
        return 1
    machine = daemon.enrol(access="many")
    machine.facts = facts.Facts(machine.iqn, DISK_BYTES)
    results = [attempt(f"libiscsi: {name}", function, machine) for name, function, _ in iscsi.CASES]
    status = daemon.stop()
    print("ok" if status == 0 else "not ok", "libiscsi: sanbootd ends cleanly", f": status {status}" if status else "")
    return 0 if all(results) and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
