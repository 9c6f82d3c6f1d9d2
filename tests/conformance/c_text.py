# SPDX-License-Identifier: GPL-2.0-or-later
"""Text negotiation and discovery (RFC 7143 §4.3, §11.10, §11.11, Appendix C)."""
from iscsi import *


def discovery(t, **kwargs):
    return Session(t, None, kind="Discovery", **kwargs)


@case("RFC 7143 Appendix C")
def SendTargets_All(t):
    s = discovery(t)
    pdu = s.text_answer(s.text([("SendTargets", "All")]))
    equal((pdu.flags, pdu.ttt), (0x80, NONE), "flags, TTT")
    found = [v for k, v in pdu.keys if k == "TargetName"]
    equal(found, [IQN + "none", IQN + "many"], "targets")
    equal({v for k, v in pdu.keys if k == "TargetAddress"}, {"127.0.0.1:%d,1" % t.address[1]}, "addresses")


@case("design: discovery")
def SendTargets_that_cannot_be_answered_is_not_answered_in_part(t):
    s = discovery(t, initiator=IQN + "unlisted")                  # its list ends with an error
    s.text([("SendTargets", "All")])
    try:
        raise Failed(f"an answer: {s.recv()}")
    except Closed:
        pass
    discovery(t).ping()


@case("RFC 7143 Appendix C")
def SendTargets_of_one_target(t):
    s = discovery(t)
    pdu = s.text_answer(s.text([("SendTargets", IQN + "many")]))
    equal([v for k, v in pdu.keys if k == "TargetName"], [IQN + "many"], "targets")


@case("RFC 7143 Appendix C")
def SendTargets_of_an_unknown_target_is_empty(t):
    s = discovery(t)
    equal(s.text_answer(s.text([("SendTargets", IQN + "nobody")])).data, b"", "answer")


@case("RFC 7143 Appendix C")
def SendTargets_of_nothing_in_discovery(t):
    s = discovery(t)
    equal(s.text_answer(s.text([("SendTargets", "")])).dict, {"SendTargets": "Reject"}, "answer")


@case("RFC 7143 §11.11")
def long_answer_comes_in_pieces(t):
    s = discovery(t, mrdsl=512)
    answer, itt, ttt = b"", None, NONE
    for _ in range(10):
        itt = s.text([("SendTargets", "All")] if ttt == NONE else (), ttt=ttt, itt=itt)
        pdu = s.text_answer(itt)
        answer += pdu.data
        if pdu.final:
            break
        want(pdu.flags & 0x40 and pdu.ttt != NONE, "C bit and TTT", pdu)
        ttt = pdu.ttt
    want(b"many" in answer, "the end is missing")


@case("RFC 7143 §4.3")
def SCSI_command_in_discovery(t):
    s = discovery(t)
    s.send_command(b"\0" * 6)
    s.rejected(4)
    s.expect_close()


@case("RFC 7143 §4.3")
def task_management_in_discovery(t):
    s = discovery(t)
    s.tmf(1)
    s.rejected(4)
    s.expect_close()


@case("RFC 7143 §4.3")
def Data_Out_in_discovery_is_dropped(t):
    s = discovery(t)
    s.send_data(1, NONE, 0, b"x" * 512)
    s.ping()


@case("RFC 7143 §4.3")
def logout_of_discovery(t):
    s = discovery(t)
    s.logout()
    equal(s.recv().bhs[2], 0, "response")
    s.expect_close()


@case("RFC 7143 §4.3")
def connection_for_a_discovery_session(t):
    c = t.conn()
    c.login(names(None, kind="Discovery"), tsih=1)
    c.refused(0x020a)


@case("RFC 7143 Appendix C")
def SendTargets_in_a_normal_session(t):
    s = Session(t)
    for value, wanted in (("", IQN + "none"), (IQN + "none", IQN + "none")):
        equal(s.text_answer(s.text([("SendTargets", value)])).dict.get("TargetName"), wanted, f"SendTargets={value}")
    for value in ("All", IQN + "many"):
        equal(s.text_answer(s.text([("SendTargets", value)])).dict, {"SendTargets": "Reject"}, f"SendTargets={value}")


@case("RFC 7143 §13.12")
def MaxRecvDataSegmentLength_changes_in_the_full_feature_phase(t):
    s = Session(t)
    s.text_answer(s.text([("MaxRecvDataSegmentLength", 1024)]))
    equal([len(p.data) for p in s.read10(0, 4).pdus], [1024, 1024], "PDU sizes")


@case("RFC 7143 §6.2")
def unknown_key_in_the_full_feature_phase(t):
    s = Session(t)
    equal(s.text_answer(s.text([("X-what", "1")])).dict, {"X-what": "NotUnderstood"}, "answer")


def rejected_text(section, name, reason, *args, **kwargs):
    def test(t):
        s = Session(t)
        s.text(*args, **kwargs)
        s.rejected(reason)
        s.ping()
    test.__name__ = name
    case(section)(test)


rejected_text("RFC 7143 §13", "key_of_the_login_in_the_full_feature_phase", 4, [("MaxBurstLength", 512)])
rejected_text("RFC 7143 §6.1", "malformed_text_in_the_full_feature_phase", 4, b"hello")
rejected_text("RFC 7143 §11.10.4", "unknown_TTT_in_a_text_request", 9, [("SendTargets", "")], ttt=5)
rejected_text("RFC 7143 §11.10.1", "F_and_C_in_a_text_request", 9, [("SendTargets", "")], final=True, more=True)
rejected_text("RFC 7143 §11.10", "text_request_without_a_tag", 9, [("SendTargets", "")], itt=NONE)


@case("RFC 7143 §11.10.2")
def text_request_in_pieces(t):
    s = Session(t)
    itt = s.text(b"SendTar", final=False, more=True)
    pdu = s.text_answer(itt)
    equal((pdu.flags, pdu.data), (0, b""), "an empty answer")
    want(pdu.ttt != NONE, "no TTT")
    s.text(b"gets=\0", ttt=pdu.ttt, itt=itt)
    pdu = s.text_answer(itt)
    equal((pdu.flags, pdu.dict.get("TargetName")), (0x80, IQN + "none"), "answer")


@case("RFC 7143 §11.10.1")
def negotiation_goes_on_until_F(t):
    s = Session(t)
    itt = s.text([("X-one", "1")], final=False)
    pdu = s.text_answer(itt)
    equal((pdu.flags, pdu.dict), (0, {"X-one": "NotUnderstood"}), "first answer")
    s.text([("X-two", "2")], ttt=pdu.ttt, itt=itt)
    pdu = s.text_answer(itt)
    equal((pdu.flags, pdu.ttt, pdu.dict), (0x80, NONE, {"X-two": "NotUnderstood"}), "second answer")


@case("RFC 7143 §11.10.4")
def new_negotiation_forgets_the_old(t):
    s = Session(t)
    s.text_answer(s.text(b"X-ol", final=False, more=True))
    equal(s.text_answer(s.text([("X-new", "1")])).dict, {"X-new": "NotUnderstood"}, "answer")


@case("RFC 7143 §11.10")
def text_that_never_ends(t):
    s = Session(t)
    itt, ttt = s.tag(), NONE
    for _ in range(10):
        s.text(b"X-a=" + b"b" * 16380, final=False, more=True, ttt=ttt, itt=itt)
        pdu = s.recv()
        if pdu.opcode == REJECT:
            equal(pdu.bhs[2], 0x0a, "reason")
            s.ping()
            return
        ttt = pdu.ttt
    raise Failed("160 kB of text were taken")
