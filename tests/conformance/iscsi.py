# SPDX-License-Identifier: GPL-2.0-or-later
"""A raw iSCSI initiator for tests: every field of every PDU can be made wrong. Python's standard library only."""
import base64
import fcntl
import hashlib
import os
import select
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import queue

NOP_OUT, SCSI, TMF, LOGIN, TEXT, DATA_OUT, LOGOUT, SNACK = 0, 1, 2, 3, 4, 5, 6, 0x10
NOP_IN, RESPONSE, TMF_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE = 0x20, 0x21, 0x22, 0x23, 0x24
DATA_IN, LOGOUT_RESPONSE, R2T, ASYNC, REJECT = 0x25, 0x26, 0x31, 0x32, 0x3f
NONE = 0xffffffff
IMMEDIATE = 0x40
IQN = "iqn.2026-11.test:"
INITIATOR = IQN + "initiator"
TIMEOUT = 10
SLOW, HELD, BROKEN = ((256 - mib) * 2048 for mib in (4, 6, 2))  # LBAs of testd's disks: takes a while; Testd.hold(); cannot be read
CAPTURE = os.environ.get("CAPTURE")  # a folder: what each connection sends, a file each (the corpus of tests/fuzz/fuzz_login.c)
SERIALS = iter(range(1 << 30))


class Failed(Exception):
    pass


class Closed(Exception):
    """The target has closed the connection."""


def want(condition, *what):
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


def equal(got, wanted, what):
    want(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


CRC_TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = (_n >> 1) ^ (0x82f63b78 if _n & 1 else 0)
    CRC_TABLE.append(_n)


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >> 8)
    return struct.pack("<I", crc ^ 0xffffffff)


def text(keys):
    """A list of (key, value), a dict, or bytes as they are."""
    if isinstance(keys, bytes):
        return keys
    pairs = keys.items() if isinstance(keys, dict) else keys
    return b"".join(f"{k}={v}".encode() + b"\0" for k, v in pairs)


def parse_text(data):
    return [tuple(p.decode().split("=", 1)) for p in data.split(b"\0") if p]


class Pdu:
    def __init__(self, bhs, data):
        self.bhs, self.data = bhs, data
        self.opcode, self.flags = bhs[0] & 0x3f, bhs[1]
        self.lun = bhs[8:16]
        (self.itt, self.ttt, self.statsn, self.exp_cmdsn, self.max_cmdsn, self.w36, self.w40,
         self.w44) = struct.unpack(">8I", bhs[16:48])

    @property
    def final(self):
        return bool(self.flags & 0x80)

    def __repr__(self):
        return f"<opcode {self.opcode:#x} flags {self.flags:#x} bhs {self.bhs.hex()} data {self.data[:64]!r}>"


class Conn:
    """One TCP connection and its framing."""

    def __init__(self, address, timeout=TIMEOUT):
        self.sock = socket.create_connection(address, timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.serial = next(SERIALS)
        self.header_digest = self.data_digest = False
        self.break_header_digest = self.break_data_digest = False

    def close(self):
        self.sock.close()

    def raw(self, data):
        if CAPTURE:
            with open(f"{CAPTURE}/{os.getpid()}-{id(self):x}-{self.serial}", "ab") as out:
                out.write(data)
        try:
            self.sock.sendall(data)
        except OSError as err:
            raise Closed(str(err))

    def frame(self, opcode, flags=0x80, b2=0, b3=0, lun=b"\0" * 8, itt=0, words=(), data=b"", ahs=b"", length=None):
        """words: the eight (or fewer) 32-bit fields from byte 20 on; bytes are taken as they are."""
        tail = b"".join(w if isinstance(w, bytes) else struct.pack(">I", w & NONE) for w in words)
        tail += b"\0" * (28 - len(tail))
        head = struct.pack(">BBBBB", opcode, flags, b2, b3, len(ahs) // 4)
        head += (len(data) if length is None else length).to_bytes(3, "big") + lun + struct.pack(">I", itt) + tail + ahs
        out = head
        if self.header_digest:
            out += bytes(b ^ 0xff for b in crc32c(head)) if self.break_header_digest else crc32c(head)
        if data:
            padded = data + b"\0" * (-len(data) % 4)
            out += padded
            if self.data_digest:
                out += bytes(b ^ 0xff for b in crc32c(padded)) if self.break_data_digest else crc32c(padded)
        return out

    def send(self, *args, **kwargs):
        self.raw(self.frame(*args, **kwargs))

    def exactly(self, n):
        got = b""
        while len(got) < n:
            try:
                piece = self.sock.recv(n - len(got))
            except socket.timeout:
                raise Failed("no answer")
            except OSError as err:
                raise Closed(str(err))
            if not piece:
                raise Closed("end of stream")
            got += piece
        return got

    def recv(self):
        bhs = self.exactly(48)
        ahs = self.exactly(bhs[4] * 4)
        if self.header_digest:
            equal(self.exactly(4), crc32c(bhs + ahs), "header digest")
        n = int.from_bytes(bhs[5:8], "big")
        data = self.exactly(n)
        if n:
            pad = self.exactly(-n % 4)
            equal(pad, b"\0" * len(pad), "padding")
            if self.data_digest:
                equal(self.exactly(4), crc32c(data + pad), "data digest")
        return Pdu(bhs, data)

    def expect_close(self, seconds=TIMEOUT):
        """Whatever is still in flight may come first."""
        self.sock.settimeout(seconds)
        try:
            while True:
                self.recv()
        except Closed:
            pass

    def has_answer(self):
        """Something has come, or the end has."""
        return bool(select.select([self.sock], [], [], 0)[0])

    def login(self, keys=(), csg=1, nsg=3, transit=True, more=False, flags=None, isid=b"\x80\0\0\0\0\1", tsih=0,
              itt=1, cid=1, cmdsn=1, version_max=0, version_min=0, opcode=LOGIN | IMMEDIATE, ahs=b""):
        if flags is None:
            flags = (0x80 if transit else 0) | (0x40 if more else 0) | csg << 2 | (nsg if transit else 0)
        self.send(opcode, flags, version_max, version_min, isid + struct.pack(">H", tsih), itt,
                  [struct.pack(">HH", cid, 0), cmdsn, 0], text(keys), ahs)

    def login_answer(self):
        pdu = self.recv()
        equal(pdu.opcode, LOGIN_RESPONSE, "opcode")
        pdu.status = int.from_bytes(pdu.bhs[36:38], "big")
        pdu.tsih = int.from_bytes(pdu.bhs[14:16], "big")
        pdu.isid = pdu.bhs[8:14]
        pdu.keys = parse_text(pdu.data)
        pdu.dict = dict(pdu.keys)
        return pdu

    def refused(self, status):
        pdu = self.login_answer()
        equal(f"{pdu.status:#06x}", f"{status:#06x}", "login status")
        want(not pdu.flags & 0x80, "a refusal with the T bit")
        self.expect_close()


def names(target="none", initiator=INITIATOR, kind="Normal"):
    keys = [("InitiatorName", initiator), ("SessionType", kind)]
    return keys + [("TargetName", IQN + target)] if target else keys


ISIDS = iter(range(0x100, 0x1000000))


def new_isid():
    return b"\x80\0\0" + next(ISIDS).to_bytes(3, "big")


class Answer:
    """What became of a SCSI command."""

    def __init__(self):
        self.data, self.pdus, self.r2ts = b"", [], []
        self.status = self.flags = self.residual = self.sense = self.exp_datasn = None

    @property
    def sense_code(self):
        s = self.sense
        return (s[2] & 15, s[12], s[13]) if s and s[0] & 0x7f == 0x70 else None


class Session(Conn):
    """A session in the full feature phase."""

    def __init__(self, target, name="none", keys=(), isid=None, initiator=INITIATOR, kind="Normal", cmdsn=1, chap=None,
                 mrdsl=262144, clear=True, tsih=0):
        super().__init__(target.address)
        self.isid = isid or new_isid()
        self.cmdsn, self.itt = cmdsn, 0x10
        wanted = names(name, initiator, kind)
        csg = 1
        if chap:
            chap_login(self, wanted, chap, isid=self.isid, cmdsn=cmdsn)
            wanted = []
        offers = [("MaxRecvDataSegmentLength", mrdsl)] if mrdsl else []
        super().login(wanted + offers + list(keys), csg, 3, isid=self.isid, cmdsn=cmdsn, tsih=tsih)
        self.response = self.login_answer()
        equal(f"{self.response.status:#06x}", "0x0000", "login status")
        equal(self.response.flags & 0x83, 0x83, "login flags")
        self.statsn = (self.response.statsn + 1) & 0xffffffff
        self.max_cmdsn = self.response.max_cmdsn
        self.header_digest = self.response.dict.get("HeaderDigest") == "CRC32C"
        self.data_digest = self.response.dict.get("DataDigest") == "CRC32C"
        if clear and kind == "Normal":
            for _ in range(4):
                if self.command(b"\0" * 6).status == 0:
                    break

    def numbers(self, immediate=False):
        sn = self.cmdsn
        if not immediate:
            self.cmdsn = (self.cmdsn + 1) & NONE
        return sn

    def tag(self):
        self.itt += 1
        return self.itt

    def send_command(self, cdb, read=0, write=0, data=b"", flags=None, lun=b"\0" * 8, itt=None, cmdsn=None, immediate=False,
                     final=True, ahs=b"", attr=1):
        """read, write: expected data transfer length; data: immediate."""
        itt = self.tag() if itt is None else itt
        cmdsn = self.numbers(immediate) if cmdsn is None else cmdsn
        if flags is None:
            flags = (0x80 if final else 0) | (0x40 if read else 0) | (0x20 if write else 0) | attr
        cdb = cdb + b"\0" * (16 - len(cdb))
        self.send(SCSI | (IMMEDIATE if immediate else 0), flags, lun=lun, itt=itt,
                  words=[read or write, cmdsn, self.statsn, cdb[:16]], data=data, ahs=ahs)
        return itt

    def send_data(self, itt, ttt, offset, data, datasn=0, final=True, lun=b"\0" * 8):
        self.send(DATA_OUT, 0x80 if final else 0, lun=lun, itt=itt, words=[ttt, 0, self.statsn, 0, datasn, offset], data=data)

    def answer(self, itt, payload=None, pdu_bytes=8192):
        """Collects the answer of one command; R2Ts are served from payload."""
        answer = Answer()
        while True:
            pdu = self.recv()
            answer.pdus.append(pdu)
            equal(pdu.itt, itt, f"task tag of {pdu}")
            if pdu.opcode == R2T:
                answer.r2ts.append(pdu)
                self.serve(pdu, payload, pdu_bytes)
            elif pdu.opcode == DATA_IN:
                equal(pdu.w40, len(answer.data), "buffer offset")
                answer.data += pdu.data
                if pdu.flags & 1:
                    answer.status, answer.flags, answer.residual = pdu.bhs[3], pdu.flags, pdu.w44
                    self.statsn = (pdu.statsn + 1) & 0xffffffff
                    return answer
            elif pdu.opcode == RESPONSE:
                answer.status, answer.flags, answer.residual = pdu.bhs[3], pdu.flags, pdu.w44
                answer.exp_datasn = pdu.w36
                if pdu.data:
                    answer.sense = pdu.data[2:2 + int.from_bytes(pdu.data[:2], "big")]
                self.statsn = (pdu.statsn + 1) & 0xffffffff
                return answer
            else:
                raise Failed(f"unexpected {pdu}")

    def serve(self, r2t, payload, pdu_bytes=8192):
        offset, length = r2t.w40, r2t.w44
        for sn, at in enumerate(range(offset, offset + length, pdu_bytes)):
            end = min(at + pdu_bytes, offset + length)
            self.send_data(r2t.itt, r2t.ttt, at, payload[at:end], sn, end == offset + length)

    def command(self, cdb, read=0, write=0, data=b"", payload=None, **kwargs):
        return self.answer(self.send_command(cdb, read, write, data, **kwargs), payload)

    def read10(self, lba, blocks, expected=None):
        return self.command(read10(lba, blocks), read=blocks * 512 if expected is None else expected)

    def write10(self, lba, data, immediate=0, expected=None):
        return self.command(write10(lba, len(data) // 512), write=len(data) if expected is None else expected,
                            data=data[:immediate], payload=data)

    def nop(self, data=b"", immediate=False, itt=None):
        itt = self.tag() if itt is None else itt
        self.send(NOP_OUT | (IMMEDIATE if immediate else 0), itt=itt, words=[NONE, self.numbers(immediate), self.statsn],
                  data=data)
        return itt

    def ping(self, data=b"alive"):
        """The session still works."""
        itt = self.nop(data, immediate=True)
        pdu = self.recv()
        if (pdu.opcode, pdu.itt) == (NOP_IN, NONE):               # a slow test may be asked meanwhile whether it is there
            pdu = self.recv()
        equal((pdu.opcode, pdu.itt, pdu.data), (NOP_IN, itt, data), "NOP-In")
        self.statsn = (pdu.statsn + 1) & 0xffffffff
        return pdu

    def expect_silence(self):
        """Nothing answers what was sent so far: the next PDUs are those for two NOPs. The second one is sent when the target's loop
        has gone round, and what a disk in memory would have answered has been sent."""
        for data in (b"nothing before this", b"nor this"):
            itt = self.nop(data, immediate=True)
            pdu = self.recv()
            equal((pdu.opcode, pdu.itt, pdu.data), (NOP_IN, itt, data), "the next PDU")
            self.statsn = (pdu.statsn + 1) & NONE

    def tmf(self, function, ref_itt=NONE, ref_cmdsn=0, lun=b"\0" * 8, immediate=True, itt=None):
        itt = self.tag() if itt is None else itt
        self.send(TMF | (IMMEDIATE if immediate else 0), 0x80 | function, lun=lun, itt=itt,
                  words=[ref_itt, self.numbers(immediate), self.statsn, ref_cmdsn])
        return itt

    def tmf_answer(self, itt):
        pdu = self.recv()
        equal((pdu.opcode, pdu.itt), (TMF_RESPONSE, itt), "task management response")
        self.statsn = (pdu.statsn + 1) & 0xffffffff
        return pdu.bhs[2]

    def logout(self, reason=0, cid=1, immediate=True):
        itt = self.tag()
        self.send(LOGOUT | (IMMEDIATE if immediate else 0), 0x80 | reason, itt=itt,
                  words=[struct.pack(">HH", cid, 0), self.numbers(immediate), self.statsn])
        return itt

    def text(self, keys=(), final=True, more=False, ttt=NONE, itt=None, immediate=False):
        itt = self.tag() if itt is None else itt
        self.send(TEXT | (IMMEDIATE if immediate else 0), (0x80 if final else 0) | (0x40 if more else 0), itt=itt,
                  words=[ttt, self.numbers(immediate), self.statsn], data=text(keys))
        return itt

    def text_answer(self, itt):
        pdu = self.recv()
        equal((pdu.opcode, pdu.itt), (TEXT_RESPONSE, itt), "text response")
        self.statsn = (pdu.statsn + 1) & 0xffffffff
        pdu.keys = parse_text(pdu.data)
        pdu.dict = dict(pdu.keys)
        return pdu

    def rejected(self, reason):
        pdu = self.recv()
        equal((pdu.opcode, f"{pdu.bhs[2]:#04x}"), (REJECT, f"{reason:#04x}"), "reject")
        equal(pdu.itt, NONE, "task tag of the Reject")
        equal(len(pdu.data), 48, "the rejected header")
        self.statsn = (pdu.statsn + 1) & 0xffffffff
        return pdu


def read10(lba, blocks):
    return struct.pack(">BBIBHB", 0x28, 0, lba, 0, blocks, 0)


def write10(lba, blocks):
    return struct.pack(">BBIBHB", 0x2a, 0, lba, 0, blocks, 0)


def chap_digest(algorithm, ident, secret, challenge):
    digest = hashlib.md5 if algorithm == 5 else hashlib.sha256
    return digest(bytes([ident]) + secret.encode() + challenge).digest()


def unhex(value):
    return bytes.fromhex(value[2:]) if value[:2].lower() == "0x" else base64.b64decode(value[2:])


def chap_start(conn, keys, algorithms="5", **kwargs):
    """The first two exchanges; returns algorithm, identifier and challenge."""
    conn.login(keys + [("AuthMethod", "CHAP")], 0, 1, **kwargs)
    pdu = conn.login_answer()
    equal((pdu.status, pdu.dict.get("AuthMethod"), pdu.flags & 0x80), (0, "CHAP", 0), "AuthMethod")
    conn.login([("CHAP_A", algorithms)], 0, 1, **kwargs)
    pdu = conn.login_answer()
    equal((pdu.status, pdu.flags & 0x80), (0, 0), "challenge")
    return int(pdu.dict["CHAP_A"]), int(pdu.dict["CHAP_I"], 0), unhex(pdu.dict["CHAP_C"])


def chap_login(conn, keys, secret, user="user", algorithms="5", extra=(), **kwargs):
    """Through the security stage; returns the last response, which has gone to the operational stage."""
    algorithm, ident, challenge = chap_start(conn, keys, algorithms, **kwargs)
    response = "0x" + chap_digest(algorithm, ident, secret, challenge).hex()
    conn.login([("CHAP_N", user), ("CHAP_R", response)] + list(extra), 0, 1, **kwargs)
    pdu = conn.login_answer()
    equal(f"{pdu.status:#06x}", "0x0000", "login status after CHAP")
    equal(pdu.flags & 0x83, 0x81, "to the operational stage")
    return pdu


class Testd:
    """The target under test: a testd process, its lines, and how to talk to it."""

    def __init__(self, program, *args):
        self.process = subprocess.Popen([program, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(os.environ.get("TESTD_LOG", os.devnull), "ab"), text=True, bufsize=1)
        self.lines = queue.Queue()
        self.sizes = iter(range(257 << 20, 512 << 20, 1 << 20))
        threading.Thread(target=self.reader, daemon=True).start()
        ready = self.line("ready")
        host, port = ready.split("iscsi=")[1].rsplit(":", 1)
        self.address = (host, int(port))

    def reader(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def line(self, start, seconds=TIMEOUT):
        """The next line that begins so; others are passed over."""
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                raise Failed(f"testd did not say '{start}'")
            if line is None:
                raise Failed("testd has ended")
            if line.startswith(start):
                return line

    def forget(self):
        while not self.lines.empty():
            self.lines.get()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hold(self, key=1):
        """From now on what touches HELD waits at the disk of that target, until go()."""
        self.tell(f"hold {key}")
        self.line(f"holding {key}")

    def held(self, count=1, key=1):
        """So many more requests wait there."""
        for _ in range(count):
            self.line(f"held {key}")

    def go(self, key=0):
        """They go on, at every target or one."""
        self.tell(f"go {key}")

    def meanwhile(self, key=0):
        """What it says until all its loops, or the one of a target, have looked for sessions."""
        self.tell(f"sessions {key}")
        lines = []
        while (line := self.line("")) != "sessions end":
            lines.append(line)
        return lines

    def takes(self, conn):
        """Waits until the target has read what was sent on a connection: nothing is under way, and none is in its socket."""
        ours, theirs = (f"{port:04X}" for port in (conn.sock.getsockname()[1], self.address[1]))
        end = time.monotonic() + TIMEOUT
        while True:
            unsent = int.from_bytes(fcntl.ioctl(conn.sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
            with open("/proc/net/tcp") as table:
                rows = [line.split() for line in table if f":{theirs} " in line and f":{ours} " in line]
            unread = [row[4].split(":")[1] for row in rows if row[1].endswith(":" + theirs)]
            if not unsent and unread == ["00000000"]:
                return
            want(time.monotonic() < end, "the target does not read what was sent")
            time.sleep(0.001)

    def larger(self):
        """A size that no disk of this target has had: they only grow, whichever tests run."""
        return next(self.sizes)

    def conn(self):
        return Conn(self.address)

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(l.split()[1]) for l in status if l.startswith("VmRSS")) * 1024

    def stop(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        return self.process.wait(30)


CASES = []


def case(section, slow=False):
    """Registers a test; its name is the section and the function's name."""
    def register(function):
        CASES.append((f"{section} {function.__name__.replace('_', ' ')}", function, slow))
        return function
    return register


def attempt(name, function, target):
    """True: passed."""
    target.forget()
    try:
        function(target)
        print("ok", name, flush=True)
        return True
    except Exception as err:
        print("not ok", name, ":", type(err).__name__, err, flush=True)
        return False


def declare(count):
    """How many tests there are, for tests/run: each of them has to be reported."""
    print(f"# tests: {count}", flush=True)


def run(program, pattern=""):
    results = []
    declare(sum(pattern in name for name, _, _ in CASES) + 1)

    def alone(name, function):
        target = Testd(program)
        results.append(attempt(name, function, target))
        status = target.stop()
        results.append(status == 0)
        if status:
            print("not ok", name, ": testd ended with", status, flush=True)

    # What waits for a time-out does so beside the others, at targets of its own.
    waiting = [threading.Thread(target=alone, args=(name, function)) for name, function, slow in CASES
               if slow and pattern in name]
    for thread in waiting:
        thread.start()
    target = Testd(program)
    for name, function, slow in CASES:
        if slow or pattern not in name:
            continue
        results.append(attempt(name, function, target))
        if target.process.poll() not in (None, 0):
            print("not ok", name, ": testd ended with", target.process.returncode, flush=True)
            results.append(False)
        if target.process.poll() is not None:
            target = Testd(program)
        target.go()
    status = target.stop()
    print("ok" if status == 0 else "not ok", "testd ends cleanly", f": status {status}" if status else "", flush=True)
    for thread in waiting:
        thread.join()
    return all(results) and status == 0
