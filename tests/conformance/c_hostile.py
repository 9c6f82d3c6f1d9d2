# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile input: bounded in memory and time, and nobody else is disturbed."""
from iscsi import *
import random
import resource

MB = 1 << 20


def log_lines():
    """Of all targets under test; 0 where nobody asked for a log."""
    try:
        with open(os.environ.get("TESTD_LOG", os.devnull), "rb") as log:
            return sum(1 for _ in log)
    except OSError:
        return 0


def undisturbed(t):
    """Another initiator works as ever."""
    s = Session(t, "many", initiator=IQN + "bystander")
    data = os.urandom(4096)
    equal(s.write10(900, data, 4096).status, 0, "write of the bystander")
    equal(s.read10(900, 8).data, data, "read of the bystander")
    s.close()


@case("hostile")
def PDU_that_claims_16_MB(t):
    s = Session(t)
    s.send(NOP_OUT | IMMEDIATE, itt=1, words=[NONE, s.cmdsn, 0], length=(1 << 24) - 1)
    s.expect_close()
    undisturbed(t)


@case("hostile")
def half_a_PDU_and_silence(t):
    conns = [Session(t) for _ in range(4)]
    for s in conns:
        s.raw(s.frame(SCSI, 0xa1, itt=1, words=[65536, s.cmdsn, 0, write10(0, 128)], data=b"x" * 60000)[:100])
    undisturbed(t)


@case("hostile")
def half_a_PDU_and_gone(t):
    for n in (1, 47, 48, 49, 1000):
        s = Session(t)
        s.raw(s.frame(SCSI, 0xa1, itt=1, words=[65536, s.cmdsn, 0, write10(0, 128)], data=b"x" * 60000)[:n])
        s.close()
    undisturbed(t)


@case("hostile")
def NOPs_without_reading_the_answers(t):
    s = Session(t, "many", initiator=IQN + "flood")
    before = t.rss()
    frame = s.frame(NOP_OUT | IMMEDIATE, itt=1, words=[NONE, s.cmdsn, 0], data=b"x" * 4096)
    s.sock.settimeout(1)
    try:
        for _ in range(40000):
            s.sock.sendall(frame)
        raise Failed("160 MB were taken without an answer being read")
    except socket.timeout:
        pass
    undisturbed(t)
    want(t.rss() - before < 64 * MB, "memory grew by", (t.rss() - before) // MB, "MB")
    s.close()


@case("hostile")
def reads_without_reading_the_answers(t):
    s = Session(t, "many", initiator=IQN + "flood")
    before = t.rss()
    for i in range(100):
        s.send_command(read10(0, 2048), read=MB)
    select.select([s.sock], [], [])                               # the answers have begun
    undisturbed(t)
    want(t.rss() - before < 64 * MB, "memory grew by", (t.rss() - before) // MB, "MB")
    s.close()


@case("hostile")
def writes_that_never_send_their_data(t):
    s = Session(t, "many", initiator=IQN + "flood", keys=[("InitialR2T", "No"), ("FirstBurstLength", 262144)])
    before = t.rss()
    while s.max_cmdsn - s.cmdsn >= 0:
        s.send_command(struct.pack(">BBQIBB", 0x8a, 0, 0, 8192, 0, 0), write=4 * MB, data=b"", final=False)
    t.takes(s)
    undisturbed(t)
    want(t.rss() - before < 32 * MB, "memory grew by", (t.rss() - before) // MB, "MB")
    s.close()


@case("hostile")
def data_nobody_asked_for(t):
    s = Session(t, "many", initiator=IQN + "flood")
    for i in range(2000):
        s.send_data(i + 5000, i, 0, b"?" * 8192)
    s.ping()
    undisturbed(t)


@case("hostile")
def garbage_after_the_login(t):
    rng = random.Random(7)
    for _ in range(60):
        s = Session(t, "many", initiator=IQN + "garbage", clear=False)
        try:
            s.raw(bytes(rng.getrandbits(8) for _ in range(rng.randrange(48, 3000))))
        except Closed:
            pass
        s.close()
    undisturbed(t)


@case("hostile")
def garbage_instead_of_a_login(t):
    rng = random.Random(8)
    for _ in range(200):
        c = t.conn()
        try:
            c.raw(bytes([0x43, 0x87, 0, 0, 0, 0]) + bytes(rng.getrandbits(8) for _ in range(rng.randrange(1, 600))))
        except Closed:
            pass
        c.close()
    undisturbed(t)


@case("hostile")
def headers_with_every_byte_changed(t):
    """A valid command with one byte of its header set to something else: never a crash, and the target lives on."""
    for at in range(48):
        s = Session(t, "many", initiator=IQN + "mutant", clear=False)
        frame = bytearray(s.frame(SCSI, 0xc1, itt=5, words=[512, s.cmdsn, 0, read10(0, 1)]))
        frame[at] ^= 0xff
        try:
            s.raw(bytes(frame) + b"\0" * 2000)
        except Closed:
            pass
        s.close()
    undisturbed(t)


@case("hostile")
def connections_that_never_log_in(t):
    conns = []
    before = t.rss()
    for _ in range(600):
        conns.append(t.conn())
    undisturbed(t)
    want(t.rss() - before < 32 * MB, "memory grew by", (t.rss() - before) // MB, "MB")
    alive = 0
    for c in conns:
        c.sock.settimeout(0.001)
        try:
            alive += c.sock.recv(1) != b""
        except socket.timeout:
            alive += 1
        except OSError:
            pass
        c.close()
    want(alive <= 130, alive, "connections of one address are still open")


@case("hostile", slow=True)
def ten_thousand_connections(t):
    """All held open from this side; the oldest that have not logged in make room, and a machine with a session notices nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, hard), hard))
    machine, data = Session(t, "many", initiator=IQN + "machine"), os.urandom(4096)
    before, lines, conns = t.rss(), log_lines(), []
    try:
        for i in range(10000):
            conns.append(socket.create_connection(t.address, TIMEOUT))
            if i % 250 == 0:
                equal(machine.write10(64, data, 4096).status, 0, "write of the machine")
                equal(machine.read10(64, 8).data, data, "read of the machine")
        undisturbed(t)
        want(t.rss() - before < 64 * MB, "memory grew by", (t.rss() - before) // MB, "MB")
        want(log_lines() - lines < 5000, log_lines() - lines, "lines in the log")
    finally:
        for c in conns:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    machine.ping()
    undisturbed(t)


@case("hostile", slow=True)
def a_million_NOPs(t):
    """Half of them want an answer, and each of those gets one; a machine beside them is served."""
    s, machine = Session(t, "many", initiator=IQN + "flood"), Session(t, "many", initiator=IQN + "machine")
    before = t.rss()
    asks = s.frame(NOP_OUT | IMMEDIATE, itt=1, words=[NONE, s.cmdsn, 0])
    tells = s.frame(NOP_OUT | IMMEDIATE, itt=NONE, words=[NONE, s.cmdsn, 0])
    sender = threading.Thread(target=lambda: [s.sock.sendall((asks + tells) * 500) for _ in range(1000)], daemon=True)
    sender.start()
    s.sock.settimeout(60)
    for i in range(100):
        answers = s.exactly(5000 * 48)
        want(answers[:48 * 5000:48] == bytes([NOP_IN]) * 5000, "something else than NOP-In")
        if i % 10 == 0:
            equal(machine.read10(0, 8).status, 0, "read of the machine")
    sender.join(60)
    want(not sender.is_alive(), "not all were taken")
    s.ping()
    want(t.rss() - before < 32 * MB, "memory grew by", (t.rss() - before) // MB, "MB")


@case("hostile")
def logins_that_stop_half_way(t):
    conns = []
    for i in range(40):
        c = t.conn()
        c.login(names("many", initiator=IQN + f"half{i}"), 0, 1, transit=False)
        conns.append(c)
    undisturbed(t)


@case("hostile")
def connections_dropped_at_every_step(t):
    for i in range(30):
        c = t.conn()
        c.login(names("boots") + [("AuthMethod", "CHAP")], 0, 1)
        if i % 3:
            c.login_answer()
            c.login([("CHAP_A", "5")], 0, 1)
        if i % 3 == 2:
            c.login_answer()
        c.close()
    for i in range(30):
        c = t.conn()
        c.login(names("many", initiator=IQN + "gone"), isid=new_isid())
        c.close()
    undisturbed(t)


@case("hostile")
def sessions_dropped_with_everything_in_flight(t):
    for i in range(20):
        s = Session(t, keys=[("InitialR2T", "No")], clear=False)
        for j in range(20):
            s.send_command(write10(SLOW + 8 * (20 * i + j) % 1600, 8), write=4096, data=b"x" * (4096 if j % 2 else 1024), final=bool(j % 3))
            s.send_command(read10(j, 256), read=131072)
        s.close()
    undisturbed(t)


@case("RFC 7143 §6.3", slow=True)
def login_times_out(t):
    """15 s without a request, 30 s with one that leads nowhere."""
    began = time.monotonic()
    silent, halfway = t.conn(), t.conn()
    halfway.login(names(), 0, 1, transit=False)
    halfway.login_answer()
    silent.expect_close(60)
    want(time.monotonic() - began > 14.9, "the silent one was closed after", time.monotonic() - began, "s")
    want(not halfway.has_answer() or time.monotonic() - began > 29.9, "the other one was closed with it")
    halfway.expect_close(60)
    want(time.monotonic() - began > 29.9, "the other one was closed after", time.monotonic() - began, "s")


@case("RFC 7143 §11.19", slow=True)
def idle_session_is_asked_with_a_NOP_In(t):
    s = Session(t)
    ipxe = Session(t, "ephemeral", isid=b"\x40\0\x27\x23\x33\x33", clear=False)
    s.sock.settimeout(35)
    pdu = s.recv()
    equal((pdu.opcode, pdu.itt), (NOP_IN, NONE), "the question")
    ipxe.expect_silence()


@case("RFC 7143 §11.9.1")
def change_of_capacity_is_told_at_once_but_not_to_iPXE(t):
    s = Session(t, "many")
    ipxe = Session(t, "many", initiator=IQN + "ipxe", isid=b"\x40\0\x27\x23\x55\x55")
    t.tell(f"resize 2 0 {t.larger()}")
    pdu = s.recv()
    equal((pdu.opcode, pdu.flags, pdu.bhs[36], pdu.itt, pdu.ttt, pdu.lun), (ASYNC, 0x80, 0, NONE, 0, bytes(8)), "the message")
    equal(pdu.statsn, s.statsn, "StatSN")
    equal(len(pdu.data), 2 + int.from_bytes(pdu.data[:2], "big"), "SenseLength")
    sense = pdu.data[2:]
    equal((sense[0] & 0x7f, sense[2] & 15, sense[12], sense[13]), (0x70, 6, 0x2a, 0x09), "sense data")
    s.statsn = (s.statsn + 1) & NONE
    equal(s.command(b"\0" * 6).sense_code, (6, 0x2a, 0x09), "unit attention all the same")
    equal(s.command(b"\0" * 6).status, 0, "status after it")
    equal(t.line("resized"), "resized 0", "what became of it")
    equal(ipxe.command(b"\0" * 6).sense_code, (6, 0x2a, 0x09), "what iPXE is told first, and asked for")
    ipxe.close()
    s.ping()


@case("RFC 7143 §11.9.1")
def zz_stop_asks_for_a_logout_but_not_iPXE(t):
    """Last: it ends the target."""
    s, data = Session(t), os.urandom(512)
    ipxe = Session(t, "ephemeral", isid=b"\x40\0\x27\x23\x44\x44", clear=False)
    itt = s.send_command(write10(SLOW, 1), write=512, data=data)
    s.ping()
    t.tell("stop")
    pdu = s.recv()
    equal((pdu.opcode, pdu.bhs[36], pdu.itt), (ASYNC, 1, NONE), "Async Message")
    equal(s.answer(itt).status, 0, "status of the write in hand")
    s.logout()
    equal(s.recv().bhs[2], 0, "Logout Response")
    s.expect_close()
    equal(ipxe.sock.recv(1), b"", "what iPXE is told")
    equal(t.process.wait(10), 0, "exit status")
