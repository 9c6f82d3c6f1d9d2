#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Linux initiator's view of a machine's disk, by sg3_utils in a guest: what it is (held to tests/conformance/facts.py), each
command that they can send, what the kernel made of it, and another initiator on the same disk. What the tools have written is
read back through libiscsi, and from the closed disk, when the machine is off."""
import hashlib, random, subprocess, types

from e2e import *

sys.path.insert(0, os.path.join(TOP, "tests", "conformance"))
import facts, microsoft
from microsoft import rw

TOOLS = ("sg_inq sg_vpd sg_persist sg_unmap sg_write_same sg_compare_and_write sg_get_lba_status sg_readcap sg_modes sg_opcodes "
         "sg_luns sg_sync sg_turs sg_dd sg_verify sg_write_verify sg_start sg_prevent sg_requests sg_logs sg_senddiag sg_raw").split()
RUN = 'export LD_LIBRARY_PATH=/mnt/sg/lib PATH=/mnt/sg/bin:$PATH\nset -o pipefail\n{ "$@"; } 2>&1 | sed "s/^/SG| /"\n'
DISK, SCRATCH, P2 = 160 << 20, 90 << 20, (41, 48)              # bytes; what tiny.raw does not use; its ext4 in MiB: first, number
LBA = SCRATCH // 512
# sg3_utils' exit codes
ILLEGAL_REQUEST, ATTENTION, INVALID_OPCODE, MISCOMPARE, OUT_OF_RANGE, CONFLICT, NOT_A_PAGE = 5, 6, 9, 14, 22, 24, 83

noise = random.Random(3)
FILES = {"noise": noise.randbytes(128 << 10), "block": noise.randbytes(512), "swap": None, "ones": b"\x0f" * 4096}


def golden(directory):
    """tiny.raw with room behind its partitions, and in its ext4 the tools, their libraries and FILES."""
    path, part = os.path.join(directory, "sg.raw"), os.path.join(directory, "sg.p2")
    sh(f"cp --sparse=always {guest('tiny.raw')} {path}")
    os.truncate(path, DISK)
    sh(f"dd if={path} of={part} bs=1M skip={P2[0]} count={P2[1]} status=none")
    FILES["swap"] = FILES["noise"][4096:8192] + FILES["ones"]                         # compare with, and replace by
    for name, data in [*FILES.items(), ("run", RUN.encode())]:
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)
    tools = [shutil.which(tool) for tool in TOOLS]
    true(all(tools), f"missing: {[n for n, p in zip(TOOLS, tools) if not p]}; run: apt-get install sg3-utils")
    libraries = {l for tool in tools for l in re.findall(r"=> (/\S+)", sh("ldd " + tool))}
    lines = ["mkdir sg", "mkdir sg/bin", "mkdir sg/lib"] + [f"write {directory}/{name} sg/{name}" for name in [*FILES, "run"]]
    lines += [f"write {os.path.realpath(l)} sg/lib/{os.path.basename(l)}" for l in libraries]
    for name, tool in zip(TOOLS, tools):
        lines += [f"write {tool} sg/bin/{name}", f"set_inode_field sg/bin/{name} mode 0100755"]
    subprocess.run(["debugfs", "-w", "-f", "-", part], input="\n".join(lines), text=True, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    sh(f"e2fsck -fn {part}")
    sh(f"dd if={part} of={path} bs=1M seek={P2[0]} conv=notrunc status=none")
    os.unlink(part)
    return path


class Linux(VM):
    """A guest that runs tools; what they print comes in lines with a tag."""

    def run(self, command, code=0):
        out = self.proc.out
        at = len(out.text)
        got = int(self.ask(f"sh sh /mnt/sg/run {command}", r"E2E-DONE (\d+)").group(1))
        text = "".join(line[4:] + "\n" for line in out.text[at:].splitlines() if line.startswith("SG| "))
        if got != code:
            raise Failed(f"{command}: exit code {got} instead of {code}: {text!r}")
        return text

    def sg(self, command, code=0):
        return self.run(f"{command} /dev/sda", code)

    def raw(self, command):
        """The bytes that a tool gets, by way of od."""
        return bytes.fromhex(self.run(f'sh -c "{command} /dev/sda | busybox od -An -tx1 -v"'))

    def read(self, path):
        return self.run(f"cat {path}").strip()


class Host(microsoft.Windows):
    """The other initiator. It idles while the guest works, so it is asked whether it is still there, and answers."""

    def recv(self):
        while (pdu := super().recv()).opcode == 0x20 and pdu.itt == 0xffffffff:
            self.send(0x40, lun=pdu.lun, itt=0xffffffff, words=[pdu.ttt, self.cmdsn, self.statsn])
        return pdu


def expect(text, *lines):
    """Each of them is a part of the text, blanks taken as one."""
    flat = " ".join(text.split())
    for line in lines:
        true(line in flat, f"{line!r} is not in {text!r}")


with Suite() as t:
    server = Server(t.lan)
    server.ctl("image", "import", golden(t.lan.dir), "--name", "sg", "--default")
    server.ctl("policy", "set", "auth=none")
    vm, model = Linux(t.lan, 1), bytearray(DISK - SCRATCH)

    def wrote(block, data):
        """The model of the scratch blocks."""
        model[block * 512:block * 512 + len(data)] = data

    with t.case("the machine boots", vital=True):
        proof = vm.proof(count=1)
        server.ctl("machine", "set", proof["hostname"], "access=many")
        machine = types.SimpleNamespace(address=(t.lan.ip, 3260), iqn=proof["target"])
        host, fact = Host(machine, name="iqn.2026-11.test:host"), facts.Facts(proof["target"], DISK)

    # ---- what it is

    with t.case("sg_inq: who it is"):
        expect(vm.sg("sg_inq"), "PDT=0 RMB=0", "version=0x06 [SPC-4]", "TPGS=0 3PC=0 Protect=0", "CmdQue=1",
               f"Vendor identification: {facts.VENDOR}", f"Product identification: {facts.PRODUCT}", f"Unit serial number: {fact.serial}")
        equal(vm.raw("sg_inq --raw"), host.inquiry(96), "standard INQUIRY data of both initiators")

    with t.case("sg_vpd: each page, the same for both initiators"):
        equal(tuple(vm.raw("sg_vpd --page=0 --raw")[4:]), facts.PAGES, "supported pages")
        for page in facts.PAGES:
            equal(vm.raw(f"sg_vpd --page={page:#x} --raw").hex(), host.inquiry(2048, page).hex(), f"VPD {page:02x}h")
        vm.sg("sg_vpd --page=0xb3", code=NOT_A_PAGE)                                    # not in VPD 00h, so it does not even ask

    with t.case("sg_vpd: identifiers"):
        equal(facts.parse_designators(vm.raw("sg_vpd --page=di --raw")), fact.designators(), "designators")
        expect(vm.sg("sg_vpd --page=di"), "0x" + fact.naa, f"SCSI name string: {fact.name}", "Relative target port: 0x1",
               f"SCSI name string: {fact.iqn},t,0x0001", "transport: Internet SCSI (iSCSI)")
        expect(vm.sg("sg_vpd --page=sn"), f"Unit serial number: {fact.serial}")

    with t.case("sg_vpd: limits, provisioning, characteristics"):
        l = facts.LIMITS
        expect(vm.sg("sg_vpd --page=bl"), "(WSNZ): 1", f"Maximum compare and write length: {l['maximum compare and write length']} blocks",
               f"Optimal transfer length granularity: {l['optimal transfer length granularity']} blocks",
               f"Maximum transfer length: {l['maximum transfer length']} blocks",
               f"Optimal transfer length: {l['optimal transfer length']} blocks",
               f"Maximum unmap LBA count: {l['maximum unmap lba count']}",
               f"Maximum unmap block descriptor count: {l['maximum unmap block descriptor count']}",
               f"Optimal unmap granularity: {l['optimal unmap granularity']} blocks", "Unmap granularity alignment: 0",
               f"Maximum write same length: {l['maximum write same length']:#x} blocks")
        expect(vm.sg("sg_vpd --page=lbpv"), "(LBPU): 1", "(LBPWS): 1", "(LBPWS10): 1", "(LBPRZ): 1", "(ANC_SUP): 1",
               "Threshold exponent: 11", "Provisioning type: 2")
        expect(vm.sg("sg_vpd --page=bdc"), "Non-rotating medium")
        expect(vm.sg("sg_vpd --page=ei"), "HEADSUP=1 ORDSUP=1 SIMPSUP=1", "V_SUP=1", "Maximum supported sense data length=252")

    with t.case("sg_readcap"):
        expect(vm.sg("sg_readcap --long"), "prot_en=0", "lbpme=1, lbprz=1", f"Last LBA={fact.blocks - 1}", "Logical block length=512 bytes",
               "physical block length=4096 bytes", "Lowest aligned LBA=0", f"Device size: {DISK} bytes")
        expect(vm.sg("sg_readcap"), f"Last LBA={fact.blocks - 1}", "Logical block length=512 bytes")

    with t.case("sg_luns, sg_turs, sg_requests, sg_senddiag, sg_prevent, sg_start"):
        expect(vm.sg("sg_luns"), "Lun list length = 8", "0000000000000000")
        expect(vm.sg("sg_turs --num=20"), "with 0 errors")
        expect(vm.sg("sg_requests"), "No additional sense information")
        expect(vm.sg("sg_senddiag --test"), "GOOD status")
        vm.sg("sg_prevent --prevent=0")
        for how in ("--stop", "--start"):
            vm.sg(f"sg_start {how}")
            expect(vm.sg("sg_turs --num=2"), "with 0 errors")
        vm.sg("sg_start --eject", code=ILLEGAL_REQUEST)

    with t.case("sg_modes"):
        for six in ("", " --six"):
            expect(vm.sg("sg_modes --all" + six), "WP=0, DpoFua=1", "Block descriptor length=8", ">> Read-Write error recovery",
                   ">> Caching, page_control: current", ">> Control", ">> Informational exceptions control")
            for control, wce in ((0, 4), (1, 4), (2, 4), (3, 4)):
                page = vm.raw(f"sg_modes --page=8 --control={control} --dbd --raw{six}")[4 if six else 8:]
                equal((page[0] & 0x3f, page[1], page[2]), (8, 18, wce), f"caching page, page control {control}")
        vm.sg("sg_modes --page=0x19", code=ILLEGAL_REQUEST)

    with t.case("sg_opcodes"):
        listed = vm.sg("sg_opcodes")
        codes = [tuple(m) for m in re.findall(r"^ ([0-9a-f]{2}) {4,8}([0-9a-f]*) +\d+ +\d,\d", listed, re.M)]
        true(len(codes) >= 58 and ("42", "") in codes and ("9e", "12") in codes and ("5f", "7") in codes, f"{len(codes)}: {codes}")
        for code, action in codes:
            sa = f",0x{action}" if action else ""
            expect(vm.sg(f"sg_opcodes --opcode=0x{code}{sa}"), "Command is supported [conforming to SCSI standard]", f"Usage data: {code}")
        for code in ("0x83", "0x84", "0x48", "0x04", "0x9c"):
            expect(vm.sg(f"sg_opcodes --opcode={code}"), "Command is NOT supported")
        expect(vm.sg("sg_opcodes --tmf"), "Abort task", "Abort task set", "Clear task set", "Logical unit reset")

    with t.case("sg_logs"):
        expect(vm.sg("sg_logs --all"), "0x0c Logical block provisioning", "Used LBA mapping threshold resource count")

    # ---- what the kernel made of it

    with t.case("the kernel's view"):
        queue = {"logical_block_size": 512, "physical_block_size": facts.PHYSICAL, "minimum_io_size": facts.PHYSICAL,
                 "optimal_io_size": l["optimal transfer length"] * 512, "max_sectors_kb": l["optimal transfer length"] // 2,
                 "discard_granularity": facts.PHYSICAL, "discard_max_bytes": l["maximum unmap lba count"] * 512,
                 "write_zeroes_max_bytes": l["maximum write same length"] * 512, "fua": 1, "write_cache": "write back", "rotational": 0}
        device = {"vendor": facts.VENDOR, "model": facts.PRODUCT, "type": 0, "scsi_level": 7, "state": "running", "queue_type": "simple",
                  "wwid": fact.name}
        disk = {"FUA": 1, "cache_type": "write back", "protection_type": 0, "provisioning_mode": "unmap", "thin_provisioning": 1,
                "zeroing_mode": "writesame_16_unmap"}
        for where, wanted in (("/sys/block/sda/queue", queue), ("/sys/block/sda/device", device), ("/sys/class/scsi_disk/0:0:0:0", disk)):
            for name, value in wanted.items():
                equal(vm.read(f"{where}/{name}").split("\0")[0], str(value), f"{where}/{name}")
        equal(int(vm.read("/sys/block/sda/size")), fact.blocks, "blocks")
        equal(vm.read("/sys/block/sda/alignment_offset"), "0", "alignment offset")

    # ---- what it does: all in the scratch blocks

    with t.case("sg_dd: WRITE and READ of 6, 10, 12 and 16 bytes, with FUA"):
        for n, size in enumerate((6, 10, 12, 16)):
            at, flags = 1024 * n, "sgio" if size == 6 else "sgio,fua"
            vm.run(f"sg_dd if=/mnt/sg/noise of=/dev/sda bs=512 bpt=64 seek={LBA + at} count=256 cdbsz={size} oflag={flags}")
            wrote(at, FILES["noise"])
            vm.run(f"sg_dd if=/dev/sda of=/tmp/back bs=512 bpt=64 skip={LBA + at} count=256 cdbsz={size} iflag={flags}")
            vm.run("busybox cmp /tmp/back /mnt/sg/noise")

    with t.case("sg_sync"):
        vm.sg("sg_sync")
        vm.sg(f"sg_sync --16 --lba={LBA} --count=1024")
        vm.sg(f"sg_sync --lba={fact.blocks} --count=1", code=OUT_OF_RANGE)

    with t.case("sg_write_same: 10, 16, UNMAP, NDOB"):
        vm.sg(f"sg_write_same --10 --in=/mnt/sg/block --lba={LBA + 5000} --num=100")
        vm.sg(f"sg_write_same --16 --in=/mnt/sg/block --lba={LBA + 5200} --num=3000")
        wrote(5000, FILES["block"] * 100)
        wrote(5200, FILES["block"] * 3000)
        vm.sg(f"sg_write_same --16 --unmap --in=/dev/zero --xferlen=512 --lba={LBA + 5304} --num=800")
        vm.sg(f"sg_write_same --10 --unmap --in=/dev/zero --xferlen=512 --lba={LBA + 6200} --num=8")
        vm.sg(f"sg_write_same --16 --ndob --lba={LBA + 6400} --num=64")
        for at, blocks in ((5304, 800), (6200, 8), (6400, 64)):
            wrote(at, bytes(blocks * 512))
        vm.sg(f"sg_write_same --16 --in=/mnt/sg/block --lba={LBA} --num=0", code=ILLEGAL_REQUEST)
        vm.sg(f"sg_write_same --16 --in=/mnt/sg/block --lba={LBA} --num={l['maximum write same length'] + 1}", code=ILLEGAL_REQUEST)

    with t.case("sg_unmap, sg_get_lba_status"):
        vm.sg(f"sg_unmap --force --lba={LBA + 5400},{LBA + 7000} --num=400,600")
        vm.sg(f"sg_unmap --force --lba={LBA + 7000},{LBA + 7104} --num=8,96")
        wrote(5400, bytes(400 * 512))
        wrote(7000, bytes(600 * 512))
        line = vm.sg(f"sg_get_lba_status --brief --maxlen=4096 --lba={LBA + 6900}").splitlines()
        extents = [tuple(int(x, 0) for x in x.split()[:3]) for x in line if x.startswith("0x")]
        equal(extents[:2], [(LBA + 6900, 100, 0), (LBA + 7000, 600, 1)], "mapped, deallocated")
        equal(extents[2][0::2], (LBA + 7600, 0), "and mapped again")
        vm.sg(f"sg_unmap --force --lba={fact.blocks - 8} --num=16", code=OUT_OF_RANGE)
        vm.sg(f"sg_unmap --force --anchor --lba={LBA + 5600} --num=16")
        wrote(5600, bytes(16 * 512))
        vm.sg(f"sg_write_same --16 --unmap --anchor --in=/dev/zero --xferlen=512 --lba={LBA + 7000} --num=8")
        line = vm.sg(f"sg_get_lba_status --brief --maxlen=24 --lba={LBA + 7000}")
        true(re.search(rf"0x0*{LBA + 7000:x} +0x0*8 +0 ", line + " "), f"anchored blocks have their space: {line}")
        vm.sg(f"sg_write_same --16 --anchor --in=/dev/zero --xferlen=512 --lba={LBA} --num=8", code=ILLEGAL_REQUEST)
        vm.sg(f"sg_get_lba_status --lba={fact.blocks}", code=OUT_OF_RANGE)

    with t.case("sg_compare_and_write"):
        vm.sg(f"sg_compare_and_write --in=/mnt/sg/swap --lba={LBA + 8} --num=8 --xferlen=8192")
        wrote(8, FILES["ones"])
        vm.sg(f"sg_compare_and_write --in=/mnt/sg/swap --lba={LBA + 8} --num=8 --xferlen=8192", code=MISCOMPARE)

    with t.case("sg_verify, sg_write_verify, ORWRITE"):
        vm.sg(f"sg_verify --lba={LBA} --count=2048")
        vm.sg(f"sg_verify --16 --lba={LBA + 1024} --count=128 --ebytchk=1 --in=/mnt/sg/noise --ndo=65536")
        vm.sg(f"sg_verify --16 --lba={LBA + 5000} --count=8 --ebytchk=1 --in=/mnt/sg/noise --ndo=4096", code=MISCOMPARE)
        vm.sg(f"sg_write_verify --lba={LBA + 9000} --num=256 --in=/mnt/sg/noise --ilen=131072")
        vm.sg(f"sg_write_verify --16 --lba={LBA + 10000} --num=256 --bytchk=1 --in=/mnt/sg/noise --ilen=131072")
        wrote(9000, FILES["noise"])
        wrote(10000, FILES["noise"])
        cdb = "8b 00 " + (LBA + 9000).to_bytes(8, "big").hex(" ") + " 00 00 00 08 00 00"
        vm.run(f"sg_raw --send=4096 --infile=/mnt/sg/ones /dev/sda {cdb}")
        wrote(9000, bytes(b | 0x0f for b in FILES["noise"][:4096]))

    with t.case("the kernel's own discard: fstrim"):
        before = vm.run("sha256sum /mnt/data.bin")
        trimmed = re.search(r"(\d+) bytes", vm.run("busybox fstrim -v /mnt"))
        true(int(trimmed.group(1)) > 8 << 20, f"{trimmed.group(0)} trimmed")
        vm.run("busybox sh -c \"echo 3 >/proc/sys/vm/drop_caches\"")
        equal(vm.run("sha256sum /mnt/data.bin"), before, "a file's sum")

    with t.case("what is not there is refused: EXTENDED COPY, FORMAT, ATA"):
        for cdb in ("83" + " 00" * 15, "04" + " 00" * 5, "85 08 0e 00 00 00 01 00 00 00 00 00 00 00 ec 00"):
            expect(vm.run(f"sg_raw /dev/sda {cdb}", code=INVALID_OPCODE), "Illegal Request", "Invalid command operation code")

    with t.case("write cache switched by the kernel: MODE SELECT, seen by both"):
        where = "/sys/class/scsi_disk/0:0:0:0/cache_type"
        for kind, wce in (("write through", 0), ("write back", 4)):
            vm.run(f'sh -c "echo {kind} >{where}"')
            equal((vm.read(where), vm.read("/sys/block/sda/queue/write_cache")), (kind, kind), "cache type")
            equal(host.command(microsoft.TUR).sense_code, (6, 0x2a, 1), "unit attention of the other initiator")
            equal(host.data_in(bytes([0x1a, 8, 8, 0, 192, 0]), 192)[6] & 4, wce, "WCE as it sees it")
            vm.run(f"sg_dd if=/mnt/sg/noise of=/dev/sda bs=512 seek={LBA + 11000 + wce} count=8 oflag=sgio")
            wrote(11000 + wce, FILES["noise"][:4096])

    # ---- two initiators

    with t.case("sg_persist: register, reserve, and the other is kept out"):
        vm.run("mount -o remount,ro /mnt")                                             # nothing of its own writes in between
        expect(vm.sg("sg_persist --in --read-keys"), "there are NO registered reservation keys")
        expect(vm.sg("sg_persist --in --report-capabilities"), "(PTPL_C): 1", "Write Exclusive, registrants only: 1",
               "Exclusive Access, all registrants: 1")
        vm.sg("sg_persist --out --register --param-sark=0xa11ce")
        vm.sg("sg_persist --out --reserve --param-rk=0xa11ce --prout-type=5")
        expect(vm.sg("sg_persist --in --read-reservation"), "Key=0xa11ce", "type: Write Exclusive, registrants only")
        expect(vm.sg("sg_persist --in --read-full-status"), "<< Reservation holder >>", f"{proof['initiator']},i,0x00023d")
        equal(host.command(rw(0x2a, LBA + 12000, 8), write=4096, data=b"?" * 4096).status, 0x18, "status of the other's write")
        equal(host.good(rw(0x28, LBA, 256), read=131072).data[:4096], bytes(model[:4096]), "what the other reads")
        vm.sg("sg_persist --out --register --param-sark=0xb0b", code=CONFLICT)           # without its key

    with t.case("sg_persist: preempted, and preempting"):
        host.good(microsoft.pr_out(6), write=24, data=microsoft.pr_list(0, 0xb0b))
        host.good(microsoft.pr_out(4, 5), write=24, data=microsoft.pr_list(0xb0b, 0xa11ce))
        expect(vm.sg("sg_persist --in --read-keys", code=ATTENTION), "Additional sense: Registrations preempted")
        expect(vm.sg("sg_persist --in --read-keys"), "1 registered reservation key", "0xb0b")
        vm.sg(f"sg_write_same --16 --in=/mnt/sg/block --lba={LBA + 12000} --num=8", code=CONFLICT)
        vm.sg("sg_persist --out --register-ignore --param-sark=0xa11ce")
        vm.sg("sg_persist --out --preempt-abort --param-rk=0xa11ce --param-sark=0xb0b --prout-type=5")
        equal(host.command(microsoft.TUR).sense_code, (6, 0x2a, 5), "REGISTRATIONS PREEMPTED")
        expect(vm.sg("sg_persist --in --read-reservation"), "Key=0xa11ce")

    with t.case("sg_persist: release, clear"):
        host.good(microsoft.pr_out(6), write=24, data=microsoft.pr_list(0, 0xb0b))
        vm.sg("sg_persist --out --release --param-rk=0xa11ce --prout-type=5")
        equal(host.command(microsoft.TUR).sense_code, (6, 0x2a, 4), "RESERVATIONS RELEASED")
        expect(vm.sg("sg_persist --in --read-reservation"), "there is NO reservation held")
        vm.sg("sg_persist --out --clear --param-rk=0xa11ce")
        equal(host.command(microsoft.TUR).sense_code, (6, 0x2a, 3), "RESERVATIONS PREEMPTED")
        expect(vm.sg("sg_persist --in --read-keys"), "there are NO registered reservation keys")
        vm.run("mount -o remount,rw /mnt")

    with t.case("unit attentions reach the kernel: mode parameters, thin provisioning threshold"):
        page = bytearray(host.data_in(bytes([0x1a, 8, 0x1c, 2, 192, 0]), 192)[4:])
        page[0] &= 0x7f                                                                # PS is reserved in MODE SELECT
        page[16] |= 0x80                                                               # a threshold that is long reached
        page[20:24] = b"\0\0\0\1"
        host.data_out(bytes([0x15, 0x10, 0, 0, len(page) + 4, 0]), bytes(4) + page)
        vm.run('sh -c "echo x >/mnt/some && sync"')
        for line in ("Mode parameters changed", "thin provisioning soft threshold"):
            until(lambda: vm.run("sync") == "" and line in vm.run("sh -c \"dmesg | grep sd.0:0:0:0\""), 20, f"{line!r} in the kernel's log")

    with t.case("its disk grows while it runs: the kernel is told, and has the new size once it looks"):
        vm.run('sh -c "(sg_dd if=/dev/sda of=/dev/null bs=512 bpt=8 iflag=direct count=80000; echo $? >/tmp/dd) >/dev/null 2>&1 &"')
        server.ctl("machine", "set", proof["hostname"], f"size={2 * DISK >> 20}M")
        until(lambda: vm.run("sg_turs /dev/sda") == "" and "Capacity data has changed" in vm.run("sh -c \"dmesg | grep sd.0:0:0:0\""), 20,
              "the unit attention in the kernel's log")
        vm.run('sh -c "echo 1 >/sys/block/sda/device/rescan"')
        equal(int(vm.read("/sys/block/sda/size")), 2 * DISK // 512, "the kernel's size of the disk")
        until(lambda: vm.run('sh -c "cat /tmp/dd 2>/dev/null || true"') == "0\n", 120, "the end of what was read all the while")
        message = host.recv()
        equal((message.opcode, message.data[14:16]), (0x32, b"\x2a\x09"), "Async Message to the other initiator")
        host.statsn = message.statsn + 1
        equal(host.command(microsoft.TUR).sense_code, (6, 0x2a, 9), "unit attention of the other initiator")
        host.good(microsoft.TUR, attention=True)                                       # and that of the threshold
        vm.run("sg_dd if=/mnt/sg/noise of=/dev/sda bs=512 seek=%d count=8 oflag=sgio" % (2 * DISK // 512 - 8))
        equal(host.good(rw(0x28, 2 * DISK // 512 - 8, 8), read=4096).data, FILES["noise"][:4096], "the new end, as the other reads it")
        model.extend(bytes(DISK - 4096) + FILES["noise"][:4096])

    with t.case("a CD is attached while it runs: iscsid finds it, and the tools know what it is"):
        iso = guest("tiny.iso")
        blocks = os.path.getsize(iso) // 2048
        server.ctl("volume", "create", "--machine", proof["hostname"], "--kind", "cd", "--from", iso)
        until(lambda: vm.ask("sh ls /dev/sr0 2>/dev/null", r"E2E-DONE (\d)").group(1) == "0", 20, "/dev/sr0")
        for tool, wanted in (("sg_turs", ()), ("sg_inq", ("PDT=5", "RMB=1", "Diskless CD-ROM")), ("sg_modes", ("MM capabilities",)),
                             ("sg_luns", ("2 lun entries", "0001000000000000")), ("sg_vpd -i", ("designator type: NAA",)),
                             ("sg_readcap", (f"Number of logical blocks={blocks}", "block length=2048 bytes")),
                             ("sg_opcodes", ("Get configuration", "Read TOC/PMA/ATIP"))):
            expect(vm.run(f"{tool} /dev/sr0"), *wanted)
        vm.run("sg_start --eject /dev/sr0", code=ILLEGAL_REQUEST)
        vm.run(f"sg_dd if=/dev/sr0 of=/tmp/cd bs=2048 bpt=16 skip={blocks - 64} count=64 iflag=sgio")
        with open(iso, "rb") as f:
            f.seek((blocks - 64) * 2048)
            equal(vm.run("sha256sum /tmp/cd").split()[0], hashlib.sha256(f.read()).hexdigest(), "its last 64 blocks")
        vm.run("sg_raw --send=2048 --infile=/mnt/sg/ones /dev/sr0 2a 00 00 00 00 00 00 00 01 00", code=INVALID_OPCODE)

    # ---- what is left of it

    with t.case("what the tools wrote is what libiscsi reads, and what is in the closed disk"):
        host.close()
        vm.poweroff()
        vm.no_errors()
        copy, url = os.path.join(t.lan.dir, "copy.raw"), f"iscsi://{t.lan.ip}:3260/{fact.iqn}/0"
        for form, source in (("raw", lambda: url), ("qcow2", lambda: server.check_disk(proof["hostname"]))):
            sh(f"qemu-img convert -f {form} -O raw {source()} {copy}")
            with open(copy, "rb") as f:
                f.seek(SCRATCH)
                got = f.read()
            wrong = [n for n in range(0, len(model), 512) if got[n:n + 512] != model[n:n + 512]]
            true(not wrong, f"{form}: {len(wrong)} blocks differ, the first is scratch block {wrong[0] // 512 if wrong else 0}")
