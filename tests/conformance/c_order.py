# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbering, NOP, Logout, Reject, digests (RFC 7143 §4.2.2, §11.14 to §11.19, §13.1)."""
from iscsi import *

TUR = b"\0" * 6


@case("RFC 7143 §4.2.2.1")
def command_beyond_the_window_is_ignored(t):
    s = Session(t)
    for sn in (s.max_cmdsn + 200, s.cmdsn + 0x40000000):
        s.send_command(TUR, cmdsn=sn)
    s.expect_silence()
    equal(s.ping().exp_cmdsn, s.cmdsn, "ExpCmdSN")


@case("RFC 7143 §4.2.2.1")
def command_before_the_window_is_ignored(t):
    s = Session(t)
    s.send_command(TUR, cmdsn=s.cmdsn - 1)
    s.expect_silence()
    equal(s.command(TUR).status, 0, "status")


@case("RFC 7143 §4.2.2.1")
def data_of_an_ignored_command_is_dropped(t):
    s = Session(t)
    s.send_command(write10(0, 8), write=4096, data=b"x" * 4096, cmdsn=s.cmdsn + 1000)
    s.expect_silence()
    s.ping()


@case("RFC 7143 §4.2.2.1")
def commands_out_of_order_are_put_in_order(t):
    s = Session(t)
    first = s.cmdsn
    a = s.send_command(read10(1, 1), read=512, cmdsn=first + 2)
    b = s.send_command(read10(2, 1), read=512, cmdsn=first + 1)
    s.expect_silence()
    equal(s.ping().exp_cmdsn, first, "ExpCmdSN")
    c = s.send_command(read10(3, 1), read=512, cmdsn=first)
    equal([s.recv().itt for _ in range(3)], [c, b, a], "order of the answers")
    s.cmdsn = first + 3
    equal(s.command(TUR).status, 0, "status")


@case("RFC 7143 §4.2.2.1")
def write_ahead_of_its_turn_keeps_its_data(t):
    s = Session(t)
    first, data = s.cmdsn, os.urandom(1024)
    late = s.send_command(write10(64, 2), write=1024, data=data, cmdsn=first + 1)
    s.expect_silence()
    now = s.send_command(TUR, cmdsn=first)
    equal([s.recv().itt for _ in range(2)], [now, late], "order of the answers")
    s.cmdsn = first + 2
    equal(s.read10(64, 2).data, data, "what was written")


@case("RFC 7143 §4.2.2.1")
def duplicate_ahead_of_its_turn_is_ignored(t):
    s = Session(t)
    first = s.cmdsn
    a = s.send_command(TUR, cmdsn=first + 1)
    s.send_command(TUR, cmdsn=first + 1)
    c = s.send_command(TUR, cmdsn=first)
    equal([s.recv().itt for _ in range(2)], [c, a], "answers")
    s.expect_silence()


@case("RFC 7143 §4.2.2.1")
def NOP_and_text_ahead_of_their_turn(t):
    s = Session(t)
    first = s.cmdsn
    s.cmdsn = first + 1
    nop = s.nop(b"later")
    txt = s.text([("SendTargets", "")])
    s.expect_silence()
    tur = s.send_command(TUR, cmdsn=first)
    equal([s.recv().itt for _ in range(3)], [tur, nop, txt], "order of the answers")


@case("RFC 7143 §4.2.2.1")
def too_much_data_ahead_of_its_turn_ends_the_session(t):
    s = Session(t)
    s.cmdsn += 1
    try:
        for _ in range(4):
            s.nop(b"x" * 60000)
    except Closed:
        return
    s.expect_close()


@case("RFC 7143 §4.2.2.1")
def immediate_command_takes_no_number(t):
    s = Session(t)
    before = s.cmdsn
    equal(s.command(TUR, immediate=True).status, 0, "status")
    equal(s.ping().exp_cmdsn, before, "ExpCmdSN")


@case("RFC 7143 §4.2.2.1")
def MaxCmdSN_never_goes_back(t):
    s = Session(t)
    top = s.max_cmdsn
    tags = [s.send_command(read10(i, 8), read=4096) for i in range(32)]
    for _ in tags:
        pdu = s.recv()
        want((pdu.max_cmdsn - top) & NONE < 1 << 31, "MaxCmdSN went from", top, "to", pdu.max_cmdsn)
        top = pdu.max_cmdsn
    want((top - s.cmdsn) & NONE >= 31, "the window did not open again")


@case("RFC 7143 §4.2.2.1")
def whole_window_at_once(t):
    s = Session(t)
    room = s.ping().max_cmdsn - s.cmdsn + 1
    tags = {s.send_command(read10(i, 1), read=512) for i in range(room)}
    equal({s.recv().itt for _ in range(room)}, tags, "answers")
    s.ping()


@case("RFC 7143 §4.2.2.2")
def StatSN_counts_status_only(t):
    s = Session(t)
    sn = s.ping().statsn
    answer = s.command(read10(0, 128), read=65536)
    equal(answer.pdus[-1].statsn, (sn + 1) & NONE, "StatSN of the status")
    equal(s.ping().statsn, (sn + 2) & NONE, "StatSN of the next NOP-In")


@case("RFC 7143 §4.2.2.2")
def StatSN_wraps(t):
    """testd begins just below 2**32."""
    s = Session(t)
    seen = [s.ping().statsn for _ in range(16)]
    equal(seen, [(seen[0] + i) & NONE for i in range(16)], "StatSN")
    equal(0 in seen, True, "zero was among them")


@case("RFC 7143 §4.2.2.2")
def ExpStatSN_one_ahead_is_not_held_against_iPXE(t):
    s = Session(t)
    s.statsn = (s.statsn + 1) & NONE
    equal(s.command(TUR).status, 0, "status")


@case("RFC 7143 §4.2.2.1")
def CmdSN_wraps(t):
    s = Session(t, cmdsn=0xfffffff0)
    for i in range(40):
        equal(s.command(read10(i, 1), read=512).status, 0, f"status of command {i}")


# ---- NOP ----

@case("RFC 7143 §11.19")
def NOP_Out_is_echoed(t):
    s = Session(t)
    for data in (b"", b"x", b"ping" * 1000):
        itt = s.nop(data)
        pdu = s.recv()
        equal((pdu.opcode, pdu.itt, pdu.ttt, pdu.data), (NOP_IN, itt, NONE, data), "NOP-In")


@case("RFC 7143 §11.19.3")
def NOP_In_data_is_cut_to_what_the_initiator_takes(t):
    s = Session(t, mrdsl=512)
    s.nop(b"y" * 4096)
    equal(s.recv().data, b"y" * 512, "ping data")


@case("RFC 7143 §11.18")
def NOP_Out_without_a_tag_has_no_answer(t):
    s = Session(t)
    s.nop(itt=NONE, immediate=True)
    s.expect_silence()
    s.ping()


@case("RFC 7143 §11.18")
def NOP_Out_takes_a_number_unless_immediate(t):
    s = Session(t)
    before = s.cmdsn
    s.nop()
    equal(s.recv().exp_cmdsn, before + 1, "ExpCmdSN")


# ---- Logout ----

@case("RFC 7143 §11.14")
def logout_closes_the_session(t):
    s = Session(t)
    itt = s.logout()
    pdu = s.recv()
    equal((pdu.opcode, pdu.itt, pdu.bhs[2]), (LOGOUT_RESPONSE, itt, 0), "Logout Response")
    s.expect_close()


def logout_case(name, response, **kwargs):
    def test(t):
        s = Session(t)
        s.logout(**kwargs)
        equal(s.recv().bhs[2], response, "response")
        if response == 0:
            s.expect_close()
        else:
            s.ping()
    test.__name__ = name
    case("RFC 7143 §11.15.1")(test)


logout_case("logout_of_the_connection", 0, reason=1)
logout_case("logout_in_order", 0, immediate=False)
logout_case("logout_of_an_unknown_connection", 1, reason=1, cid=9)
logout_case("logout_for_recovery_is_unsupported", 2, reason=2)


@case("RFC 7143 §11.14.1")
def logout_for_an_unknown_reason_is_rejected(t):
    s = Session(t)
    s.logout(reason=5)
    s.rejected(0x09)
    s.ping()


# ---- Reject ----

def reject_case(section, name, reason, send, closes=False):
    def test(t):
        s = Session(t)
        send(s)
        s.rejected(reason)
        if closes:
            s.expect_close()
        else:
            s.ping()
    test.__name__ = name
    case(section)(test)


reject_case("RFC 7143 §11.17.1", "unknown_opcode_is_rejected", 5, lambda s: s.send(0x1e | IMMEDIATE, itt=9))
reject_case("RFC 7143 §11.17.1", "opcode_of_a_target_is_rejected", 5, lambda s: s.send(R2T, itt=9))
reject_case("RFC 7143 §11.16", "SNACK_is_rejected_at_level_0", 3, lambda s: s.send(SNACK, itt=9, words=[NONE, 0, 0, 0, 0]))
reject_case("RFC 7143 §6.3", "login_in_the_full_feature_phase", 4, lambda s: s.login(names()), closes=True)
reject_case("RFC 7143 §11.2.1.8", "command_without_a_task_tag", 9, lambda s: s.send_command(TUR, itt=NONE))
reject_case("RFC 7143 §11.2.2", "AHS_that_does_not_fit", 9, lambda s: s.send_command(TUR, ahs=b"\0\xff\1\0"))
reject_case("RFC 7143 §11.2.2", "AHS_of_length_0", 9, lambda s: s.send_command(TUR, ahs=b"\0\0\1\0"))


@case("RFC 7143 §11.17.1")
def task_tag_in_use_is_rejected(t):
    s = Session(t)
    slow = s.send_command(read10((256 - 4) * 2048, 1), read=512)
    s.send_command(TUR, itt=slow)
    s.rejected(7)
    equal(s.answer(slow).status, 0, "status of the first")
    equal(s.command(TUR).status, 0, "status of the next")


@case("RFC 7143 §11.17.1")
def too_many_immediate_commands(t):
    s = Session(t)
    tags = [s.send_command(read10((256 - 4) * 2048, 1), read=512, immediate=True) for _ in range(40)]
    opcodes = [s.recv().opcode for _ in tags]
    want(0 < opcodes.count(REJECT) <= 8 and opcodes.count(DATA_IN) >= 32, "answers", opcodes)
    s.ping()


@case("RFC 7143 §11.17")
def session_ends_after_many_rejects(t):
    s = Session(t)
    try:
        for _ in range(100):
            s.send(0x1e | IMMEDIATE, itt=9)
    except Closed:
        return
    s.expect_close()


@case("RFC 7143 §11.2.2")
def AHS_with_an_extended_CDB(t):
    s = Session(t)
    answer = s.command(b"\x7f" + b"\0" * 6 + b"\x18" + b"\0" * 8, ahs=b"\0\x11\1\0" + b"\0" * 16)
    equal(answer.sense_code[:2], (5, 0x20), "sense")


@case("RFC 7143 §11.3.5")
def sense_data_comes_with_its_length(t):
    s = Session(t)
    answer = s.command(b"\xff" + b"\0" * 5)
    equal((answer.status, answer.sense_code), (2, (5, 0x20, 0)), "status, sense")
    pdu = answer.pdus[-1]
    equal(int.from_bytes(pdu.data[:2], "big"), len(pdu.data) - 2, "SenseLength")


# ---- digests ----

def digest_session(t, **kwargs):
    return Session(t, keys=[("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")], clear=False, **kwargs)


@case("RFC 7143 §13.1")
def digests_both_ways(t):
    s = digest_session(t)
    want(s.header_digest and s.data_digest, "no digests", s.response.keys)
    s.command(TUR)
    data = os.urandom(20 * 512)
    equal(s.write10(100, data, 1024).status, 0, "status of the write")
    equal(s.read10(100, 20).data, data, "data")
    for n in (1, 2, 3, 5):
        s.ping(b"z" * n)


@case("RFC 7143 §13.1")
def header_digest_alone(t):
    s = Session(t, keys=[("HeaderDigest", "CRC32C")], clear=False)
    want(s.header_digest and not s.data_digest, "digests", s.response.keys)
    s.ping()


@case("RFC 7143 §13.1")
def data_digest_alone(t):
    s = Session(t, keys=[("DataDigest", "CRC32C")], clear=False)
    want(s.data_digest and not s.header_digest, "digests", s.response.keys)
    s.ping()


@case("RFC 7143 §7.8")
def header_digest_error_ends_the_session(t):
    s = digest_session(t)
    s.ping()
    s.break_header_digest = True
    s.nop()
    s.expect_close()


@case("RFC 7143 §7.8")
def data_digest_error_in_immediate_data_fails_the_command(t):
    s = digest_session(t)
    s.command(TUR)
    before = s.read10(200, 1).data
    s.break_data_digest = True
    itt = s.send_command(write10(200, 1), write=512, data=b"!" * 512)
    s.break_data_digest = False
    s.rejected(2)
    equal(s.answer(itt).sense_code, (0x0b, 0x47, 5), "sense")
    equal(s.read10(200, 1).data, before, "the block")


@case("RFC 7143 §7.8")
def data_digest_error_in_Data_Out_fails_the_command(t):
    s = digest_session(t)
    s.command(TUR)
    itt = s.send_command(write10(200, 2), write=1024)
    r2t = s.recv()
    s.break_data_digest = True
    s.send_data(itt, r2t.ttt, 0, b"!" * 512, 0, False)
    s.break_data_digest = False
    s.rejected(2)
    s.send_data(itt, r2t.ttt, 512, b"!" * 512, 1, True)
    equal(s.answer(itt).sense_code, (0x0b, 0x47, 5), "sense")
    s.ping()


@case("RFC 7143 §7.8")
def data_digest_error_in_a_NOP_ends_the_session(t):
    s = digest_session(t)
    s.break_data_digest = True
    s.nop(b"data")
    s.rejected(2)
    s.expect_close()
