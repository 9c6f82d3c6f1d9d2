# SPDX-License-Identifier: GPL-2.0-or-later
"""Data transfer (RFC 7143 §11.3, §11.4, §11.7, §11.8): immediate, unsolicited, solicited, residuals."""
from iscsi import *

UNDER, OVER = 2, 4


@case("RFC 7143 §11.7")
def Data_In_obeys_MaxRecvDataSegmentLength(t):
    s = Session(t, mrdsl=4096)
    answer = s.read10(0, 33)
    equal([len(p.data) for p in answer.pdus], [4096] * 4 + [512], "PDU sizes")
    equal([p.w36 for p in answer.pdus], list(range(5)), "DataSN")
    equal([p.w40 for p in answer.pdus], [0, 4096, 8192, 12288, 16384], "buffer offsets")


@case("RFC 7143 §13.13")
def Data_In_sequences_end_at_MaxBurstLength(t):
    s = Session(t, keys=[("MaxBurstLength", 8192)], mrdsl=3072)
    answer = s.read10(0, 40)
    equal([len(p.data) for p in answer.pdus], [3072, 3072, 2048] * 2 + [3072, 1024], "PDU sizes")
    equal([p.final for p in answer.pdus], [False, False, True] * 2 + [False, True], "F bits")


@case("RFC 7143 §11.7.3")
def GOOD_status_rides_on_the_last_Data_In(t):
    answer = Session(t, mrdsl=8192).read10(0, 32)
    equal([p.flags & 1 for p in answer.pdus], [0, 1], "S bits")
    equal(answer.status, 0, "status")


@case("RFC 7143 §11.4")
def errors_come_in_a_SCSI_Response(t):
    answer = Session(t).read10(BROKEN, 1)
    equal([p.opcode for p in answer.pdus], [RESPONSE], "PDUs")
    equal((answer.status, answer.sense_code[0]), (2, 3), "status, sense key")


@case("RFC 7143 §11.4.5")
def read_residuals(t):
    s = Session(t)
    for blocks, expected, flag, residual, got in ((1, 512, 0, 0, 512), (2, 512, OVER, 512, 512), (1, 2048, UNDER, 1536, 512),
                                                  (1, 100, OVER, 412, 100), (1, 513, UNDER, 1, 512)):
        answer = s.read10(0, blocks, expected)
        equal((answer.status, answer.flags & 6, answer.residual, len(answer.data)), (0, flag, residual, got),
              f"{blocks} blocks, {expected} bytes expected")


@case("RFC 7143 §11.4.5")
def read_with_nothing_expected(t):
    answer = Session(t).command(read10(0, 1))
    equal((answer.status, answer.flags & 6, answer.residual, answer.data), (0, OVER, 512, b""), "answer")


@case("RFC 7143 §11.4.5")
def no_data_where_data_was_expected(t):
    answer = Session(t).command(b"\0" * 6, read=512)
    equal((answer.status, answer.flags & 6, answer.residual), (0, UNDER, 512), "answer")


@case("RFC 7143 §11.4.5")
def write_residuals(t):
    s = Session(t)
    data = os.urandom(2048)
    answer = s.command(write10(10, 1), write=2048, payload=data)
    equal((answer.status, answer.flags & 6, answer.residual), (0, UNDER, 1536), "too much")
    equal(s.read10(10, 1).data, data[:512], "the block")
    equal(sum(r.w44 for r in answer.r2ts), 512, "bytes asked for")
    answer = s.command(write10(10, 2), write=512, payload=data)
    equal((answer.flags & 6, answer.residual), (OVER, 512), "too little")


@case("RFC 7143 §11.4.5")
def immediate_data_beyond_what_the_command_takes_is_dropped(t):
    s = Session(t)
    data = os.urandom(1536)
    before = s.read10(12, 2).data
    answer = s.command(write10(11, 1), write=1536, data=data)
    equal((answer.status, answer.flags & 6, answer.residual), (0, UNDER, 1024), "answer")
    equal(s.read10(11, 3).data, data[:512] + before, "the blocks")


@case("RFC 7143 §11.3.4")
def immediate_data_only(t):
    s = Session(t)
    data = os.urandom(8192)
    answer = s.command(write10(300, 16), write=8192, data=data)
    equal((answer.status, len(answer.r2ts)), (0, 0), "status, R2Ts")
    equal(s.read10(300, 16).data, data, "data")


@case("RFC 7143 §11.8")
def R2T_asks_for_the_rest(t):
    s = Session(t)
    data = os.urandom(20000 // 512 * 512)
    answer = s.write10(300, data, 1024)
    equal(answer.status, 0, "status")
    equal([(r.w40, r.w44) for r in answer.r2ts], [(1024, len(data) - 1024)], "offset and length")
    equal(answer.exp_datasn, 1, "ExpDataSN")
    equal(s.read10(300, len(data) // 512).data, data, "data")


@case("RFC 7143 §11.8")
def R2Ts_of_at_most_MaxBurstLength(t):
    s = Session(t, keys=[("MaxBurstLength", 2048)])
    data = os.urandom(5 * 1024)
    answer = s.write10(0, data)
    equal([(r.w36, r.w40, r.w44) for r in answer.r2ts], [(0, 0, 2048), (1, 2048, 2048), (2, 4096, 1024)], "R2TSN, offset, length")
    equal(s.read10(0, 10).data, data, "data")


@case("RFC 7143 §13.17")
def several_R2Ts_outstanding(t):
    s = Session(t, keys=[("MaxBurstLength", 2048), ("MaxOutstandingR2T", 4)])
    data = os.urandom(16 * 1024)
    itt = s.send_command(write10(0, 32), write=len(data))
    r2ts = [s.recv() for _ in range(4)]
    equal([r.w40 for r in r2ts], [0, 2048, 4096, 6144], "offsets")
    equal(len({r.ttt for r in r2ts}), 4, "different Target Transfer Tags")
    s.expect_silence()
    for r2t in r2ts:
        s.serve(r2t, data, 512)
    answer = s.answer(itt, data)
    equal((answer.status, len(answer.r2ts)), (0, 4), "status, further R2Ts")
    equal(s.read10(0, 32).data, data, "data")


@case("RFC 7143 §13.17")
def several_R2Ts_served_backwards(t):
    s = Session(t, keys=[("MaxBurstLength", 2048), ("MaxOutstandingR2T", 4)])
    data = os.urandom(8192)
    itt = s.send_command(write10(0, 16), write=len(data))
    for r2t in reversed([s.recv() for _ in range(4)]):
        s.serve(r2t, data, 1024)
    equal(s.answer(itt, data).status, 0, "status")
    equal(s.read10(0, 16).data, data, "data")


@case("RFC 7143 §11.7")
def Data_Out_of_512_bytes_as_iPXE_sends_it(t):
    s = Session(t, keys=[("InitialR2T", "Yes"), ("ImmediateData", "No")])
    data = os.urandom(65536)
    itt = s.send_command(write10(0, 128), write=65536)
    equal(s.answer(itt, data, 512).status, 0, "status")
    equal(s.read10(0, 128).data, data, "data")


@case("RFC 7143 §11.7")
def unsolicited_Data_Out(t):
    s = Session(t, keys=[("InitialR2T", "No")])
    data = os.urandom(8192)
    itt = s.send_command(write10(0, 16), write=8192, data=data[:1024], final=False)
    s.expect_silence()
    s.send_data(itt, NONE, 1024, data[1024:4096], 0, False)
    s.send_data(itt, NONE, 4096, data[4096:], 1, True)
    answer = s.answer(itt)
    equal((answer.status, len(answer.r2ts)), (0, 0), "status, R2Ts")
    equal(s.read10(0, 16).data, data, "data")


@case("RFC 7143 §11.7")
def unsolicited_then_solicited(t):
    s = Session(t, keys=[("InitialR2T", "No"), ("FirstBurstLength", 4096)])
    data = os.urandom(16384)
    itt = s.send_command(write10(0, 32), write=16384, data=data[:2048], final=False)
    s.send_data(itt, NONE, 2048, data[2048:4096], 0, True)
    answer = s.answer(itt, data)
    equal((answer.status, [(r.w40, r.w44) for r in answer.r2ts]), (0, [(4096, 12288)]), "status, R2Ts")
    equal(s.read10(0, 32).data, data, "data")


@case("RFC 7143 §11.7")
def unsolicited_data_of_several_commands_mixed(t):
    s = Session(t, keys=[("InitialR2T", "No")])
    data = [os.urandom(2048) for _ in range(8)]
    tags = [s.send_command(write10(16 * i, 4), write=2048, final=False) for i in range(8)]
    for half in range(2):
        for i in reversed(range(8)):
            s.send_data(tags[i], NONE, half * 1024, data[i][half * 1024:half * 1024 + 1024], half, half == 1)
    equal({s.recv().itt for _ in tags}, set(tags), "answers")
    for i in range(8):
        equal(s.read10(16 * i, 4).data, data[i], f"data of command {i}")


def failing_write(section, name, code, feed, keys=(), blocks=4, rejected=None, **kwargs):
    """feed(session, tag) sends the wrong data."""
    def test(t):
        s = Session(t, keys=list(keys))
        before = s.read10(500, blocks).data
        itt = s.send_command(write10(500, blocks), write=blocks * 512, **kwargs)
        feed(s, itt)
        if rejected:
            s.rejected(rejected)
        pdu = s.recv()
        while pdu.opcode == R2T:
            pdu = s.recv()
        equal((pdu.opcode, pdu.itt, pdu.bhs[3]), (RESPONSE, itt, 2), "response and status")
        equal((pdu.data[4] & 15, pdu.data[14], pdu.data[15]), code, "sense")
        equal(s.read10(500, blocks).data, before, "the blocks")
        s.ping()
    test.__name__ = name
    case(section)(test)


AMOUNT, UNEXPECTED = (0x0b, 0x0c, 0x0d), (0x0b, 0x0c, 0x0c)
R2TONLY = [("InitialR2T", "Yes"), ("ImmediateData", "No")]


def with_r2t(feed):
    def fed(s, itt):
        feed(s, itt, s.recv())
    return fed


failing_write("RFC 7143 §11.7.5", "DataSN_that_does_not_begin_with_0", AMOUNT,
              with_r2t(lambda s, itt, r: s.send_data(itt, r.ttt, 0, b"!" * 2048, 1)))
failing_write("RFC 7143 §11.7.5", "DataSN_twice", AMOUNT,
              with_r2t(lambda s, itt, r: (s.send_data(itt, r.ttt, 0, b"!" * 1024, 0, False),
                                          s.send_data(itt, r.ttt, 1024, b"!" * 1024, 0))))
failing_write("RFC 7143 §13.18", "hole_in_the_data", AMOUNT,
              with_r2t(lambda s, itt, r: (s.send_data(itt, r.ttt, 0, b"!" * 512, 0, False),
                                          s.send_data(itt, r.ttt, 1024, b"!" * 1024, 1))))
failing_write("RFC 7143 §13.18", "data_that_overlaps", AMOUNT,
              with_r2t(lambda s, itt, r: (s.send_data(itt, r.ttt, 0, b"!" * 1024, 0, False),
                                          s.send_data(itt, r.ttt, 512, b"!" * 1536, 1))))
failing_write("RFC 7143 §11.8.4", "more_data_than_the_R2T_asked_for", AMOUNT,
              with_r2t(lambda s, itt, r: s.send_data(itt, r.ttt, 0, b"!" * 4096, 0)))
failing_write("RFC 7143 §11.8.4", "less_data_than_the_R2T_asked_for", AMOUNT,
              with_r2t(lambda s, itt, r: s.send_data(itt, r.ttt, 0, b"!" * 512, 0)))
failing_write("RFC 7143 §11.7.4", "buffer_offset_beyond_the_command", AMOUNT,
              with_r2t(lambda s, itt, r: s.send_data(itt, r.ttt, 0xfffffe00, b"!" * 512, 0)))
failing_write("RFC 7143 §11.4.7.2", "immediate_data_that_was_not_agreed_on", UNEXPECTED, lambda s, itt: None, R2TONLY, data=b"!" * 512)
failing_write("RFC 7143 §11.4.7.2", "F_bit_missing_with_InitialR2T_Yes", UNEXPECTED, lambda s, itt: None, R2TONLY, final=False)
failing_write("RFC 7143 §11.4.7.2", "unsolicited_Data_Out_that_was_not_agreed_on", UNEXPECTED,
              with_r2t(lambda s, itt, r: (s.send_data(itt, NONE, 0, b"!" * 512, 0), s.send_data(itt, r.ttt, 0, b"!" * 2048, 0))),
              R2TONLY, rejected=4)
failing_write("RFC 7143 §13.14", "immediate_data_beyond_FirstBurstLength", AMOUNT, lambda s, itt: None,
              [("FirstBurstLength", 512)], data=b"!" * 1024)
failing_write("RFC 7143 §13.14", "unsolicited_data_beyond_FirstBurstLength", AMOUNT,
              lambda s, itt: s.send_data(itt, NONE, 0, b"!" * 1024, 0), [("FirstBurstLength", 512), ("InitialR2T", "No")], final=False)
failing_write("RFC 7143 §11.3.4", "immediate_data_beyond_the_expected_length", AMOUNT, lambda s, itt: None, data=b"!" * 4096)


@case("RFC 7143 §11.7")
def Data_Out_with_an_unknown_transfer_tag(t):
    s = Session(t)
    itt = s.send_command(write10(500, 4), write=2048)
    r2t = s.recv()
    s.send_data(itt, r2t.ttt + 77, 0, b"!" * 512, 0)
    s.rejected(4)
    s.serve(r2t, b"!" * 2048)
    equal(s.answer(itt).status, 2, "status")


@case("RFC 7143 §11.7")
def Data_Out_for_no_task_is_dropped(t):
    s = Session(t)
    for i in range(20):
        s.send_data(0xdead0000 + i, i, 0, b"?" * 8192, 0)
    s.expect_silence()
    s.ping()


@case("RFC 7143 §11.7")
def Data_Out_for_a_read_is_dropped(t):
    s = Session(t)
    itt = s.send_command(read10(SLOW, 1), read=512)
    s.send_data(itt, NONE, 0, b"?" * 512, 0)
    equal(s.answer(itt).status, 0, "status")
    s.ping()


@case("RFC 7143 §11.3.1")
def bidirectional_command_is_refused(t):
    s = Session(t)
    answer = s.command(write10(0, 1), write=512, data=b"!" * 512, flags=0xe1)
    equal((answer.status, answer.sense_code[0]), (2, 5), "status, sense key")


@case("RFC 7143 §11.3.1")
def write_command_with_the_R_bit(t):
    s = Session(t)
    before = s.read10(40, 1).data
    answer = s.command(write10(40, 1), read=512)
    equal((answer.flags & OVER, answer.residual), (OVER, 512), "overflow")
    equal(s.read10(40, 1).data, before, "the block")


@case("RFC 7143 §11.3.1")
def read_command_with_the_W_bit(t):
    s = Session(t)
    answer = s.command(read10(40, 1), write=512, data=b"?" * 512)
    equal((answer.flags & OVER, answer.residual, answer.data), (OVER, 512, b""), "overflow and no data")


@case("RFC 7143 §11.7")
def four_MiB_write_and_read(t):
    s = Session(t)
    data = os.urandom(4 << 20)
    itt = s.send_command(struct.pack(">BBQIBB", 0x8a, 0, 2048, 8192, 0, 0), write=len(data), data=data[:65536])
    equal(s.answer(itt, data, 262144).status, 0, "status of the write")
    answer = s.command(struct.pack(">BBQIBB", 0x88, 0, 2048, 8192, 0, 0), read=len(data))
    want(answer.data == data, "the data differs")


@case("RFC 7143 §11.8")
def many_large_writes_share_the_memory(t):
    """More than 8 MiB asked for at once: R2Ts come as memory allows, and all of it completes."""
    s = Session(t)
    data = os.urandom(2 << 20)
    tags = {s.send_command(struct.pack(">BBQIBB", 0x8a, 0, 8192 * i, 4096, 0, 0), write=len(data)) for i in range(16)}
    while tags:
        pdu = s.recv()
        if pdu.opcode == R2T:
            s.serve(pdu, data, 262144)
        else:
            equal((pdu.opcode, pdu.bhs[3]), (RESPONSE, 0), "response")
            tags.remove(pdu.itt)
    want(s.command(struct.pack(">BBQIBB", 0x88, 0, 8192 * 15, 4096, 0, 0), read=len(data)).data == data, "the data differs")


@case("RFC 7143 §11.7")
def reads_of_more_than_the_output_may_hold(t):
    s = Session(t)
    tags = [s.send_command(read10(0, 2048), read=1 << 20) for _ in range(24)]
    for itt in tags:
        equal(len(s.answer(itt).data), 1 << 20, "bytes")


@case("RFC 7143 §11.7")
def slow_reader_gets_everything(t):
    """A tiny receive buffer: partial writes on the other side, and commands that wait behind them."""
    c = Session(t, clear=False)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    tags = [c.send_command(read10(0, 64), read=32768) for _ in range(30)]
    equal([len(c.answer(i).data) for i in tags][1:], [32768] * 29, "bytes")
    c.ping()


@case("design: TCP")
def header_and_data_in_two_segments_as_iPXE_sends_them(t):
    """With Nagle's algorithm the second waits for the ACK of the first: 40 ms each, unless the target acknowledges at once."""
    s = Session(t, keys=[("InitialR2T", "Yes"), ("ImmediateData", "No")])
    s.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    took = []
    while not took or (min(took) > 0.5 and len(took) < 20):       # busy machines are slow, but not each time
        began = time.monotonic()
        for lba in range(25):
            itt = s.send_command(write10(lba, 1), write=512)
            r2t = s.recv()
            frame = s.frame(DATA_OUT, 0x80, itt=itt, words=[r2t.ttt, 0, s.statsn, 0, 0, 0], data=b"i" * 512)
            s.raw(frame[:48])
            s.raw(frame[48:])
            equal(s.answer(itt).status, 0, "status")
        took.append(time.monotonic() - began)
    want(min(took) < 0.5, "25 writes always took more than", min(took), "s")


@case("RFC 7143 §11.2")
def PDUs_byte_by_byte(t):
    s = Session(t)
    frame = s.frame(NOP_OUT | IMMEDIATE, itt=77, words=[NONE, s.cmdsn, 0], data=b"slowly")
    for i in range(len(frame)):
        s.raw(frame[i:i + 1])
    equal(s.recv().data, b"slowly", "ping data")


@case("RFC 7143 §11.2")
def many_PDUs_in_one_segment(t):
    s = Session(t)
    frames = b"".join(s.frame(NOP_OUT | IMMEDIATE, itt=i, words=[NONE, s.cmdsn, 0], data=b"%d" % i) for i in range(1, 500))
    s.raw(frames)
    for i in range(1, 500):
        equal(s.recv().data, b"%d" % i, "ping data")
