# SPDX-License-Identifier: GPL-2.0-or-later
"""Task management (RFC 7143 §4.2.3, §11.5, §11.6)."""
from iscsi import *

NO_LUN = b"\0\x07" + b"\0" * 6
TUR = b"\0" * 6


@case("RFC 7143 §11.6.1")
def ABORT_TASK_waits_for_the_disk(t):
    s = Session(t)
    t.hold()
    itt = s.send_command(write10(HELD, 1), write=512, data=os.urandom(512))
    t.held()
    abort = s.tmf(1, itt, s.cmdsn - 1)
    s.expect_silence()
    t.go()
    equal(s.tmf_answer(abort), 0, "response")
    s.expect_silence()


@case("RFC 7143 §11.6.1")
def ABORT_TASK_of_a_task_that_waits_for_data(t):
    s = Session(t)
    itt = s.send_command(write10(0, 4), write=2048)
    r2t = s.recv()
    equal(s.tmf_answer(s.tmf(1, itt, s.cmdsn - 1)), 0, "response")
    s.serve(r2t, b"?" * 2048)
    s.expect_silence()
    s.ping()


@case("RFC 7143 §11.6.1")
def ABORT_TASK_of_no_task(t):
    s = Session(t)
    equal(s.tmf_answer(s.tmf(1, 0x9999, s.cmdsn - 1)), 1, "response")
    equal(s.tmf_answer(s.tmf(1, 0x9999, s.cmdsn - 1000)), 1, "response")


@case("RFC 7143 §11.6.1")
def ABORT_TASK_of_a_command_that_never_came(t):
    """Its CmdSN is in the window: it is taken for received."""
    s = Session(t)
    missing = s.numbers()
    equal(s.tmf_answer(s.tmf(1, 0x9999, missing)), 0, "response")
    equal(s.command(TUR).status, 0, "status of the next command")


@case("RFC 7143 §11.6.1")
def ABORT_TASK_of_a_command_ahead_of_its_turn(t):
    s = Session(t)
    first = s.cmdsn
    held = s.send_command(TUR, cmdsn=first + 1)
    s.cmdsn = first + 2
    equal(s.tmf_answer(s.tmf(1, held, first + 1)), 0, "response")
    now = s.send_command(TUR, cmdsn=first)
    equal(s.recv().itt, now, "the only answer")
    equal(s.command(TUR).status, 0, "status of the next command")


@case("RFC 7143 §11.6.1")
def ABORT_TASK_for_another_logical_unit(t):
    s = Session(t)
    t.hold()
    itt = s.send_command(read10(HELD, 1), read=512)
    equal(s.tmf_answer(s.tmf(1, itt, s.cmdsn - 1, lun=NO_LUN)), 2, "response")
    t.go()
    equal(s.answer(itt).status, 0, "status")


@case("RFC 7143 §11.5.1")
def ABORT_TASK_SET(t):
    s = Session(t)
    t.hold()
    for i in range(4):
        s.send_command(read10(HELD + i, 1), read=512)
    s.send_command(write10(0, 4), write=2048)
    s.recv()
    t.held(4)
    abort = s.tmf(2)
    s.expect_silence()
    t.go()
    equal(s.tmf_answer(abort), 0, "response")
    s.expect_silence()
    equal(s.command(TUR).status, 0, "status")


@case("RFC 7143 §11.5.1")
def ABORT_TASK_SET_leaves_others_alone(t):
    a, b = Session(t), Session(t)
    t.hold()
    a.send_command(read10(HELD, 1), read=512)
    theirs = b.send_command(read10(HELD, 1), read=512)
    t.held(2)
    abort = a.tmf(2)
    t.go()
    equal(a.tmf_answer(abort), 0, "response")
    equal(b.answer(theirs).status, 0, "status of the other session")
    a.expect_silence()


@case("RFC 7143 §11.5.1")
def CLEAR_TASK_SET(t):
    a, b = Session(t), Session(t)
    t.hold()
    a.send_command(read10(HELD, 1), read=512)
    b.send_command(read10(HELD, 1), read=512)
    t.held(2)
    clear = a.tmf(4)
    a.expect_silence()
    t.go()
    equal(a.tmf_answer(clear), 0, "response")
    b.expect_silence()
    equal(b.command(TUR).sense_code, (6, 0x2f, 0), "unit attention of the other session")
    equal(a.command(TUR).status, 0, "status of our own")


@case("RFC 7143 §11.5.1")
def LOGICAL_UNIT_RESET(t):
    a, b = Session(t), Session(t)
    t.hold()
    a.send_command(read10(HELD, 1), read=512)
    b.send_command(write10(HELD + 8, 1), write=512, data=b"x" * 512)
    t.held(2)
    reset = a.tmf(5)
    a.expect_silence()
    t.go()
    equal(a.tmf_answer(reset), 0, "response")
    b.expect_silence()
    equal(b.command(TUR).sense_code[:2], (6, 0x29), "unit attention")


@case("RFC 7143 §11.5.1")
def TARGET_WARM_RESET(t):
    s = Session(t)
    t.hold()
    s.send_command(read10(HELD, 1), read=512)
    t.held()
    reset = s.tmf(6)
    s.expect_silence()
    t.go()
    equal(s.tmf_answer(reset), 0, "response")
    s.expect_silence()
    equal(s.command(TUR).sense_code[:2], (6, 0x29), "unit attention")


@case("RFC 7143 §11.5.1")
def TARGET_COLD_RESET_ends_all_sessions(t):
    a, b = Session(t), Session(t)
    equal(a.tmf_answer(a.tmf(7)), 0, "response")
    a.expect_close()
    b.expect_close()
    Session(t).ping()


def simple(section, name, response, function, **kwargs):
    def test(t):
        s = Session(t)
        equal(s.tmf_answer(s.tmf(function, **kwargs)), response, "response")
        s.ping()
    test.__name__ = name
    case(section)(test)


simple("RFC 7143 §11.6.1", "CLEAR_ACA_is_unsupported", 5, 3)
simple("RFC 7143 §11.6.1", "TASK_REASSIGN_needs_level_2", 4, 8)
simple("RFC 7143 §11.6.1", "unknown_function_is_unsupported", 5, 99)
simple("RFC 7143 §11.6.1", "ABORT_TASK_SET_of_no_logical_unit", 2, 2, lun=NO_LUN)
simple("RFC 7143 §11.6.1", "CLEAR_TASK_SET_of_no_logical_unit", 2, 4, lun=NO_LUN)
simple("RFC 7143 §11.6.1", "LOGICAL_UNIT_RESET_of_no_logical_unit", 2, 5, lun=NO_LUN)
simple("RFC 7143 §11.5", "request_in_order", 0, 2, immediate=False)


@case("RFC 7143 §11.5")
def request_with_a_tag_in_use(t):
    s = Session(t)
    t.hold()
    itt = s.send_command(read10(HELD, 1), read=512)
    s.tmf(1, itt, s.cmdsn - 1, itt=itt)
    s.rejected(7)
    t.go()
    equal(s.answer(itt).status, 0, "status")


@case("RFC 7143 §4.2.3.3")
def connection_lost_during_an_abort(t):
    s = Session(t)
    t.hold()
    itt = s.send_command(write10(HELD, 1), write=512, data=b"x" * 512)
    t.held()
    s.tmf(1, itt, s.cmdsn - 1)
    s.close()
    Session(t).ping()
    t.go()
    t.line("ended 1 ")
    Session(t).ping()


@case("RFC 7143 §4.2.3.3")
def abort_and_reset_together(t):
    s = Session(t)
    t.hold()
    itt = s.send_command(read10(HELD, 1), read=512)
    t.held()
    tags = [s.tmf(1, itt, s.cmdsn - 1), s.tmf(2), s.tmf(5)]
    s.expect_silence()
    t.go()
    equal([s.tmf_answer(tag) for tag in tags], [0, 0, 0], "responses, in order")


@case("RFC 7143 §4.2.3.3")
def many_requests_at_once(t):
    s = Session(t)
    t.hold()
    s.send_command(read10(HELD, 1), read=512)
    t.held()
    tags = [s.tmf(2) for _ in range(40)]
    equal([s.recv().opcode for _ in range(8)], [REJECT] * 8, "those beyond the 32nd")
    t.go()
    equal([s.recv().opcode for _ in tags[8:]], [TMF_RESPONSE] * 32, "responses")
    s.ping()


@case("RFC 7143 §4.2.3")
def reset_in_the_middle_of_a_data_segment(t):
    """Another session's reset takes the task away whose Data-Out is half here."""
    a, b = Session(t), Session(t)
    itt = a.send_command(write10(0, 128), write=65536)
    r2t = a.recv()
    frame = a.frame(DATA_OUT, 0x80, itt=itt, words=[r2t.ttt, 0, 0, 0, 0, 0], data=b"x" * 65536)
    a.raw(frame[:30000])
    t.takes(a)
    equal(b.tmf_answer(b.tmf(5)), 0, "response")
    a.raw(frame[30000:])
    a.expect_silence()
    a.ping()
