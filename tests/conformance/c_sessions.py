# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions, reinstatement, boots, probes (RFC 7143 §6.3.5, design.md "Which machine, which boot")."""
from iscsi import *

TUR = b"\0" * 6
GRACE_S = 1.99                                # TARGET_GRACE_MS, which is counted in milliseconds
PREEMPTABLE = struct.pack(">BBBBBBBHB", 0x5f, 0x06, 0, 0, 0, 0, 0, 24, 0)  # REGISTER AND IGNORE EXISTING KEY


RESERVE_EXCLUSIVE = struct.pack(">BBBBBBBHB", 0x5f, 0x01, 0x03, 0, 0, 0, 0, 24, 0)


def register(s, key, aptpl=True):
    data = bytes(8) + key.to_bytes(8, "big") + bytes(4) + bytes([1 if aptpl else 0]) + bytes(3)
    return s.command(PREEMPTABLE, write=24, data=data)


def keys_of(s):
    data = s.command(struct.pack(">BBBBBBBHB", 0x5e, 0, 0, 0, 0, 0, 0, 256, 0), read=256).data
    return [int.from_bytes(data[i:i + 8], "big") for i in range(8, 8 + int.from_bytes(data[4:8], "big"), 8)]


@case("RFC 7143 §6.3.5")
def same_ISID_reinstates_the_session(t):
    isid = new_isid()
    old = Session(t, isid=isid)
    new = Session(t, isid=isid)
    old.expect_close()
    new.ping()


@case("RFC 7143 §6.3.5")
def reinstatement_waits_for_the_old_writes(t):
    isid, data = new_isid(), os.urandom(512)
    old = Session(t, isid=isid)
    t.hold()
    old.send_command(write10(HELD + 9, 1), write=512, data=data)
    t.held()
    new = t.conn()
    new.login(names(), isid=isid)
    old.expect_close()
    t.meanwhile(1)
    want(not new.has_answer(), "the login did not wait for the write")
    t.go()
    equal(new.login_answer().status, 0, "login status")
    equal(Session(t).read10(HELD + 9, 1).data, data, "what the old session wrote")


@case("RFC 7143 §6.3.5")
def open_iscsi_takes_over_with_the_old_CmdSN(t):
    isid = new_isid()
    first = Session(t, isid=isid, cmdsn=1)
    for _ in range(10):
        first.command(TUR)
    first.close()
    second = Session(t, isid=isid, cmdsn=first.cmdsn)
    equal(second.command(TUR).status, 0, "status")


@case("RFC 7143 §4.4.3.1")
def other_ISID_is_another_session(t):
    a, b = Session(t), Session(t)
    want(a.response.tsih != b.response.tsih, "the same TSIH twice")
    a.ping()
    b.ping()


@case("RFC 7143 §11.12.6")
def second_connection_is_one_too_many(t):
    s = Session(t)
    c = t.conn()
    c.login(names(), isid=s.isid, tsih=s.response.tsih)
    c.refused(0x0206)
    s.ping()


@case("RFC 7143 §11.12.6")
def wrong_TSIH_with_a_known_ISID(t):
    s = Session(t)
    c = t.conn()
    c.login(names(), isid=s.isid, tsih=s.response.tsih ^ 0x5555)
    c.refused(0x020a)
    s.ping()


@case("design: sessions of one boot")
def eight_sessions_and_no_more(t):
    t.tell("release 1")
    t.line("released")
    sessions = [Session(t) for _ in range(8)]
    c = t.conn()
    c.login(names(), isid=new_isid())
    c.refused(0x0302)
    sessions[0].logout()
    sessions[0].expect_close()
    Session(t).ping()


@case("design: sessions of one boot")
def other_initiator_is_refused_while_one_is_in(t):
    s = Session(t)
    c = t.conn()
    c.login(names(initiator=IQN + "stranger"), isid=new_isid())
    c.refused(0x0301)
    s.ping()


@case("design: access=many")
def other_initiators_share_the_disk(t):
    data = os.urandom(512)
    sessions = [Session(t, "many", initiator=IQN + f"node{i}") for i in range(12)]
    sessions[3].write10(7, data, 512)
    for s in sessions:
        equal(s.read10(7, 1).data, data, "data")


@case("design: access=many")
def same_ISID_of_another_initiator_is_another_session(t):
    isid = new_isid()
    a, b = Session(t, "many", initiator=IQN + "a", isid=isid), Session(t, "many", initiator=IQN + "b", isid=isid)
    a.ping()
    b.ping()


@case("design: boots")
def pending_secret_begins_the_boot_and_ends_the_earlier(t):
    boot = 1
    old = Session(t, "boots", chap=f"secret-of-boot-{boot}")
    equal(register(old, 0x1234).status, 0, "status of the registration")
    equal(keys_of(old), [0x1234], "keys")
    same = Session(t, "boots", chap=f"secret-of-boot-{boot}")
    t.forget()
    new = Session(t, "boots", chap=f"secret-of-boot-{boot + 1}")
    equal(t.line("begin"), "begin 5 2", "what the provider was told")
    old.expect_close()
    same.expect_close()
    equal(keys_of(new), [], "keys of the earlier boot")
    c = t.conn()
    algorithm, ident, challenge = chap_start(c, names("boots"))
    c.login([("CHAP_N", "user"), ("CHAP_R", "0x" + chap_digest(algorithm, ident, "secret-of-boot-1", challenge).hex())], 0, 1)
    c.refused(0x0201)
    second = Session(t, "boots", chap="secret-of-boot-2")
    new.ping()
    second.ping()


@case("design: boots")
def boot_waits_for_the_writes_of_the_earlier(t):
    t.tell("pending 5")
    number = int(t.line("pending").split()[1])
    data = os.urandom(512)
    old = Session(t, "boots", chap=f"secret-of-boot-{number - 1}")
    t.hold(5)
    old.send_command(write10(HELD, 1), write=512, data=data)
    t.held(1, 5)
    new = threading.Thread(target=lambda: sessions.append(Session(t, "boots", chap=f"secret-of-boot-{number}")), daemon=True)
    sessions = []
    new.start()
    old.expect_close()
    want(f"begin 5 {number}" not in t.meanwhile(5), "the boot began before the write was done")
    t.go(5)
    t.line(f"begin 5 {number}")
    new.join(TIMEOUT)
    equal(sessions[0].read10(HELD, 1).data, data, "what the earlier boot wrote")


@case("design: boots")
def two_first_logins_of_a_boot_begin_it_once(t):
    t.tell("pending 5")
    number = int(t.line("pending").split()[1])
    Session(t, "boots", chap=f"secret-of-boot-{number - 1}")
    t.forget()
    conns = []
    for _ in range(4):
        c = t.conn()
        c.isid = new_isid()
        chap_login(c, names("boots"), f"secret-of-boot-{number}", isid=c.isid)
        conns.append(c)
    for c in conns:
        c.login((), 1, 3, isid=c.isid)
    for c in conns:
        equal(c.login_answer().status, 0, "status")
    equal(t.line("begin"), f"begin 5 {number}", "the boot")
    t.tell("sessions 5")
    lines = []
    while not (line := t.line("")).startswith("sessions end"):
        lines.append(line)
    want(not any(l.startswith("begin ") for l in lines), "begun twice", lines)
    equal(sum(l.startswith("session ") for l in lines), 4, "sessions")


@case("design: boots")
def reservations_kept_over_a_close_and_cleared_by_a_boot(t):
    t.tell("pending 5")
    number = int(t.line("pending").split()[1])
    s = Session(t, "boots", chap=f"secret-of-boot-{number - 1}")
    register(s, 0x77)
    t.tell("release 5")
    t.line("released")
    s = Session(t, "boots", chap=f"secret-of-boot-{number - 1}")
    equal(keys_of(s), [0x77], "keys after the target was closed")
    t.tell("release 5")
    t.line("released")
    s = Session(t, "boots", chap=f"secret-of-boot-{number}")
    equal(keys_of(s), [], "keys after a new boot")


@case("SPC-4 §5.13.5")
def registrations_without_APTPL_outlive_the_grace(t):
    """They end with power: a logout is no power cycle, and what a target does with its disk is its own affair."""
    t.tell("release 2")
    t.line("released")
    s = Session(t, "many")
    equal(register(s, 0x55, aptpl=False).status, 0, "status of the registration")
    equal(s.command(RESERVE_EXCLUSIVE, write=24, data=(0x55).to_bytes(8, "big") + bytes(16)).status, 0, "status of RESERVE")
    t.forget()
    s.logout()
    s.expect_close()
    t.line("close 2")
    other = Session(t, "many", initiator=IQN + "other")
    t.line("open 2")
    equal(keys_of(other), [0x55], "keys after the target was closed")
    equal(other.write10(0, bytes(512), 512).status, 0x18, "a write of another initiator: RESERVATION CONFLICT")
    again = Session(t, "many", isid=s.isid)
    equal(again.write10(0, bytes(512), 512).status, 0, "a write of the holder")
    t.tell("release 2")
    t.line("released")
    equal(keys_of(Session(t, "many")), [], "keys after a release, which is a power cycle")


@case("design: boots")
def registrations_without_APTPL_end_with_the_boot_though_closed(t):
    t.tell("pending 5")
    number = int(t.line("pending").split()[1])
    s = Session(t, "boots", chap=f"secret-of-boot-{number - 1}")
    register(s, 0x78, aptpl=False)
    t.forget()
    s.logout()
    s.expect_close()
    t.line("close 5")
    s = Session(t, "boots", chap=f"secret-of-boot-{number}")
    equal(keys_of(s), [], "keys after a new boot")


@case("design: boots")
def server_that_died_between_begin_and_open(t):
    """The boot is the current one, and nobody has had the chance to clear what the one before it registered."""
    t.tell("pending 5")
    number = int(t.line("pending").split()[1])
    s = Session(t, "boots", chap=f"secret-of-boot-{number - 1}")
    register(s, 0x79)
    t.tell("release 5")
    t.line("released")
    t.tell("begun 5")
    t.line("begun")
    s = Session(t, "boots", chap=f"secret-of-boot-{number}")
    equal(keys_of(s), [], "keys of the earlier boot")
    register(s, 0x7a)
    t.tell("release 5")
    t.line("released")
    equal(keys_of(Session(t, "boots", chap=f"secret-of-boot-{number}")), [0x7a], "keys of this one")


@case("design: boots")
def ephemeral_disk_is_closed_before_the_boot_begins(t):
    s = Session(t, "ephemeral")
    t.tell("pending 6")
    t.line("pending")
    t.forget()
    ipxe = Session(t, "ephemeral", isid=b"\x40\0\x27\x23\xab\xcd")
    s.expect_close()
    said = []
    while not said or said[-1] != "open":
        word, key = t.line("").split()[:2]
        if key == "6":
            said.append(word)
    equal(said, ["ended", "close", "begin", "open"], "order")
    ipxe.ping()


@case("design: boots")
def without_secrets_only_iPXE_begins_a_boot(t):
    t.tell("release 6")
    t.line("released")
    t.tell("pending 6")
    number = int(t.line("pending").split()[1])
    t.forget()
    linux = Session(t, "ephemeral")
    equal(t.line("began").split()[2], str(number - 1), "boot of the Linux session")
    ipxe = Session(t, "ephemeral", isid=b"\x40\0\x27\x23\x11\x11")
    equal(t.line("began").split()[2], str(number), "boot of the iPXE session")
    linux.expect_close()
    again = Session(t, "ephemeral")
    equal(t.line("began").split()[2], str(number), "boot of the next Linux session")
    ipxe.ping()
    again.ping()


@case("design: probe")
def probe_of_an_OS_that_answers(t):
    s = Session(t)
    t.tell("probe 1 3000")
    pdu = s.recv()
    equal((pdu.opcode, pdu.itt), (NOP_IN, NONE), "the question")
    want(pdu.ttt != NONE, "a question without a tag")
    equal(pdu.statsn, s.statsn, "StatSN")
    s.send(NOP_OUT | IMMEDIATE, itt=NONE, words=[pdu.ttt, s.cmdsn, s.statsn])
    equal(t.line("probed"), "probed " + INITIATOR, "answer")
    s.ping()


@case("design: probe")
def probe_of_an_OS_that_does_not_answer(t):
    t.tell("release 1")
    t.line("released")
    s = Session(t)
    t.tell("probe 1 600")
    equal(t.line("probed"), "probed nobody", "answer")
    s.expect_close()


@case("design: probe")
def probe_of_iPXE_asks_TCP(t):
    t.tell("release 6")
    t.line("released")
    s = Session(t, "ephemeral", isid=b"\x40\0\x27\x23\x22\x22")
    t.tell("probe 6 4000")
    equal(t.line("probed"), "probed " + INITIATOR, "answer")
    s.expect_silence()
    s.ping()


@case("design: sessions")
def the_log_says_how_a_connection_was_lost(t):
    for reset, why in ((True, "Connection reset by peer"), (False, "closed by the peer")):
        s = Session(t, "many", initiator=IQN + "lost")
        s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))
        s.close()
        equal(t.line(f"ended 2 0 {IQN}lost").split(": ", 1)[1], why, "why")


@case("design: probe")
def probe_of_nobody(t):
    t.tell("probe 4 1000")
    equal(t.line("probed"), "probed nobody", "answer")


@case("design: release")
def release_ends_sessions_and_closes_the_disk(t):
    s = Session(t)
    t.forget()
    t.tell("release 1")
    equal(t.line("close"), "close 1", "the disk")
    t.line("released")
    s.expect_close()
    Session(t).ping()


@case("design: release")
def release_waits_for_writes(t):
    s, data = Session(t), os.urandom(512)
    t.hold()
    s.send_command(write10(HELD + 3, 1), write=512, data=data)
    t.held()
    t.forget()
    t.tell("release 1")
    s.expect_close()
    want("released" not in t.meanwhile(1), "it did not wait")
    t.go()
    t.line("released")
    equal(Session(t).read10(HELD + 3, 1).data, data, "data")


@case("design: grace")
def target_closes_some_time_after_its_last_session(t):
    s = Session(t)
    t.forget()
    began = time.monotonic()
    s.logout()
    s.expect_close()
    t.line("close 1")
    want(time.monotonic() - began > GRACE_S, "closed after", time.monotonic() - began, "s")


@case("design: grace")
def login_within_the_grace_finds_it_open(t):
    s = Session(t)
    t.meanwhile(1)  # all of it, that it was opened, too
    began = time.monotonic()
    s.logout()
    s.expect_close()
    Session(t).ping()
    took = time.monotonic() - began
    reopened = any(line.startswith("open 1") for line in t.meanwhile(1))
    want(not reopened or took > GRACE_S, "it was opened again after", took, "s")


@case("RFC 7143 §11.5.1")
def unit_attention_of_a_new_nexus(t):
    s = Session(t, clear=False)
    equal(s.command(TUR).sense_code[:2], (6, 0x29), "first answer")
    equal(s.command(TUR).status, 0, "second answer")
