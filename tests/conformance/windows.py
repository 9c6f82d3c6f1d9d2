#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Replays what Microsoft's initiator sends to a machine's disk, from login to cluster reservations: windows.py [PART-OF-A-NAME].

Against the whole daemon on loopback. Windows itself was not there: where it has been seen on the wire (microsoft.py) its very
keys and orders are used, and where not, what the standards let it send. One line for each case."""
import os
import struct
import re
import sys

import iscsi
from iscsi import *
from microsoft import *
from sanbootd import DISK_BYTES, Sanbootd
import windows_scsi  # noqa: F401: registers its cases
import windows_reserve  # noqa: F401

LOGIN_KEYS = {"AuthMethod", "TargetAlias", "TargetPortalGroupTag", "MaxRecvDataSegmentLength"}


def login_fields(pdu, itt=1):
    """What every login response has to repeat (RFC 7143 §11.13)."""
    equal((pdu.itt, pdu.bhs[2], pdu.bhs[3], pdu.flags & 0x30), (itt, 0, 0, 0), "ITT, versions, reserved flags")
    equal(pdu.isid, ISID, "ISID")


# ---- login ----

@case("RFC 7143 §6.1")
def security_stage(t):
    c = Conn(t.address)
    c.login([("InitiatorName", NAME), ("SessionType", "Normal"), ("TargetName", t.iqn), ("AuthMethod", "None")], 0, 1, isid=ISID)
    pdu = c.login_answer()
    login_fields(pdu)
    equal((pdu.status, pdu.flags, pdu.tsih), (0, 0x81, 0), "status, T/CSG/NSG, TSIH")
    equal((pdu.dict.get("AuthMethod"), pdu.dict.get("TargetPortalGroupTag")), ("None", "1"), "keys")
    want(set(pdu.dict) <= LOGIN_KEYS, "keys that nobody offered:", pdu.keys)


@case("RFC 7143 §6.2")
def operational_stage_answers_each_key_once(t):
    s = Windows(t)
    login_fields(s.response)
    want(s.response.tsih, "TSIH 0 at the end of the login")
    equal(s.response.statsn, (s.security.statsn + 1) & NONE, "StatSN")
    names = [k for k, _ in s.response.keys]
    equal(len(names), len(set(names)), "keys that come twice")
    asked = {k for k, _ in OFFERS}
    want(set(names) <= asked | LOGIN_KEYS, "keys that nobody offered:", set(names) - asked - LOGIN_KEYS)
    equal(asked - {"MaxRecvDataSegmentLength"} - set(names), set(), "keys without an answer")
    want("NotUnderstood" not in s.agreed.values() and "Reject" not in s.agreed.values(), s.response.keys)


@case("RFC 7143 §13")
def operational_stage_agrees_on_legal_values(t):
    a = Windows(t).agreed
    equal({k: a[k] for k in ("HeaderDigest", "DataDigest", "ErrorRecoveryLevel", "ImmediateData", "MaxConnections", "DataPDUInOrder",
                             "DataSequenceInOrder", "DefaultTime2Wait")},
          {"HeaderDigest": "None", "DataDigest": "None", "ErrorRecoveryLevel": "0", "ImmediateData": "Yes", "MaxConnections": "1",
           "DataPDUInOrder": "Yes", "DataSequenceInOrder": "Yes", "DefaultTime2Wait": "0"}, "values")
    want(a["InitialR2T"] in ("Yes", "No"), "InitialR2T", a["InitialR2T"])
    for key, most in (("MaxBurstLength", 262144), ("FirstBurstLength", 65536), ("MaxOutstandingR2T", 16), ("DefaultTime2Retain", 60)):
        want(0 <= int(a[key]) <= most, key, a[key])
    want(int(a["FirstBurstLength"]) <= int(a["MaxBurstLength"]), "FirstBurstLength beyond MaxBurstLength")


@case("RFC 7143 §6.3")
def operational_stage_alone(t):
    c = Conn(t.address)
    c.login([("InitiatorName", NAME), ("SessionType", "Normal"), ("TargetName", t.iqn)] + OFFERS, 1, 3, isid=ISID)
    pdu = c.login_answer()
    login_fields(pdu)
    equal((pdu.status, pdu.flags & 0xcf, bool(pdu.tsih)), (0, 0x87, True), "status, flags, TSIH")
    equal(pdu.dict.get("TargetPortalGroupTag"), "1", "TargetPortalGroupTag in the first response")


@case("RFC 7143 §6.3")
def security_stage_straight_to_full_feature_phase(t):
    c = Conn(t.address)
    c.login([("InitiatorName", NAME), ("SessionType", "Normal"), ("TargetName", t.iqn), ("AuthMethod", "None,CHAP")], 0, 3, isid=ISID)
    pdu = c.login_answer()
    equal(pdu.status, 0, "status")
    want(pdu.flags & 0x80 == 0 or pdu.flags & 3 in (1, 3), "flags", hex(pdu.flags))


@case("RFC 7143 §13.1")
def digests_where_Windows_insists_on_them(t):
    s = Windows(t, offers(HeaderDigest="CRC32C", DataDigest="CRC32C"))
    equal((s.agreed["HeaderDigest"], s.agreed["DataDigest"]), ("CRC32C", "CRC32C"), "digests")
    data = os.urandom(131072)
    equal(s.write(rw(0x2a, 0x3000, 256), data).status, 0, "status")
    equal(s.good(rw(0x28, 0x3000, 256), read=131072).data, data, "data")


@case("RFC 7143 §13.14")
def FirstBurstLength_before_and_beyond_MaxBurstLength(t):
    keys = [("FirstBurstLength", "262144"), ("MaxBurstLength", "65536")]
    s = Windows(t, keys + offers(FirstBurstLength=None, MaxBurstLength=None))
    equal(s.agreed["MaxBurstLength"], "65536", "MaxBurstLength")
    want(int(s.agreed["FirstBurstLength"]) <= 65536, "FirstBurstLength", s.agreed["FirstBurstLength"])
    data = os.urandom(262144)
    equal(s.write(rw(0x2a, 0x3800, 512), data).status, 0, "status")
    equal(s.good(rw(0x28, 0x3800, 512), read=262144).data, data, "data")


@case("RFC 7143 §6.3.5")
def reconnecting_with_the_same_ISID_reinstates(t):
    old = Windows(t)
    new = Windows(t)
    old.expect_close()
    new.ping()
    equal(new.command(TUR).status, 0, "status")


@case("RFC 7143 §4.4.3")
def a_second_session_for_MPIO(t):
    one, two = Windows(t), Windows(t, isid=ISID[:5] + b"\1")
    one.ping()
    two.ping()
    want(one.response.tsih != two.response.tsih, "both have TSIH", one.response.tsih)


@case("RFC 7143 §4.3")
def discovery_session(t):
    c = Windows.__new__(Windows)
    Conn.__init__(c, t.address)
    c.cmdsn, c.itt = 1, 0x10
    c.login([("InitiatorName", NAME), ("SessionType", "Discovery"), ("AuthMethod", "None")], 0, 1, isid=ISID)
    equal(c.login_answer().status, 0, "status of the security stage")
    c.login(DISCOVERY_OFFERS, 1, 3, isid=ISID)
    pdu = c.login_answer()
    equal((pdu.status, pdu.flags & 0xcf), (0, 0x87), "status, flags")
    equal({k for k, v in pdu.keys if v in ("Irrelevant", "NotUnderstood", "Reject")}, set(), "keys refused")
    c.statsn = pdu.statsn + 1
    answer = c.text_answer(c.text([("SendTargets", "All")]))
    at = answer.keys.index(("TargetName", t.iqn))
    equal(answer.keys[at + 1], ("TargetAddress", f"{t.address[0]}:{t.address[1]},1"), "the address")
    equal([k for k, _ in answer.keys].count("TargetName") <= [k for k, _ in answer.keys].count("TargetAddress"), True, "addresses")
    itt = c.logout()
    bye = c.recv()
    equal((bye.opcode, bye.itt, bye.bhs[2]), (LOGOUT_RESPONSE, itt, 0), "logout response")


# ---- transport in the full feature phase ----

@case("RFC 7143 §11.18")
def pings(t):
    """Windows' NOP-Outs carry a tag and data, or no tag where they only acknowledge StatSN."""
    s = Windows(t)
    s.ping(b"")
    s.ping(b"x" * 4096)
    s.send(NOP_OUT | IMMEDIATE, itt=NONE, words=[NONE, s.cmdsn, s.statsn])
    itt = s.nop(b"in order", immediate=False)
    pdu = s.recv()
    equal((pdu.opcode, pdu.itt, pdu.ttt, pdu.data), (NOP_IN, itt, NONE, b"in order"), "the answer to the second")
    equal(pdu.statsn, s.statsn, "StatSN: the one without a tag has no answer")


@case("RFC 7143 §11.3.4")
def writes_of_all_sizes(t):
    """Immediate data, then unsolicited data if agreed, then R2Ts: what is written is what is read."""
    s = Windows(t)
    for blocks in (1, 8, 127, 128, 129, 512, 513, 2048):
        data = os.urandom(blocks * 512)
        answer = s.write(rw(0x2a, 4096, blocks), data)
        equal((answer.status, answer.flags & 6), (0, 0), f"status and residual of {blocks} blocks")
        equal(s.good(rw(0x28, 4096, blocks), read=blocks * 512).data == data, True, f"the data of {blocks} blocks")


@case("RFC 7143 §11.8")
def R2Ts_begin_where_the_first_burst_ends(t):
    """Windows breaks a connection over an R2T that it did not expect: each is checked for everything that it says."""
    s = Windows(t)
    data, burst = os.urandom(1 << 20), int(s.agreed["MaxBurstLength"])
    answer = s.write(rw(0x8a, 8192, 2048), data)
    equal(answer.status, 0, "status")
    at, first = min(len(data), int(s.agreed["FirstBurstLength"])), answer.r2ts[0]
    for n, r2t in enumerate(answer.r2ts):
        equal((r2t.flags, r2t.bhs[4], len(r2t.data), r2t.lun), (0x80, 0, 0, b"\0" * 8), "flags, AHS, data, LUN")
        equal((r2t.w36, r2t.w40), (n, at), "R2TSN and buffer offset")
        want(0 < r2t.w44 <= burst, "desired length", r2t.w44)
        want(r2t.ttt != NONE, "an R2T without a Target Transfer Tag")
        equal(r2t.statsn, first.statsn, "StatSN (an R2T has none of its own)")
        at += r2t.w44
    equal(at, len(data), "end of the last R2T")
    want(s.good(rw(0x88, 8192, 2048), read=len(data)).data == data, "the data differs")


@case("RFC 7143 §13.17")
def several_R2Ts_at_once(t):
    s = Windows(t, offers(MaxBurstLength=16384, FirstBurstLength=16384))
    most, data = int(s.agreed["MaxOutstandingR2T"]), os.urandom(512 << 10)
    itt = s.send_command(rw(0x2a, 16384, 1024), write=len(data), data=data[:16384])
    r2ts = [s.recv() for _ in range(min(most, 31))]
    equal([r.opcode for r in r2ts], [R2T] * len(r2ts), "opcodes")
    s.expect_silence()
    equal(len({r.ttt for r in r2ts}), len(r2ts), "different Target Transfer Tags")
    for r2t in r2ts:
        s.serve(r2t, data)
    equal(s.answer(itt, data).status, 0, "status")
    want(s.good(rw(0x28, 16384, 1024), read=len(data)).data == data, "the data differs")


@case("RFC 7143 §13.13")
def Data_In_within_64_KiB_and_MaxBurstLength(t):
    s = Windows(t)
    answer = s.good(rw(0x88, 0, 2048), read=1 << 20)
    want(all(len(p.data) <= 65536 for p in answer.pdus), "a Data-In beyond MaxRecvDataSegmentLength")
    equal([p.w36 for p in answer.pdus], list(range(len(answer.pdus))), "DataSN")
    at = 0
    for p in answer.pdus:
        at += len(p.data)
        equal(p.final, at % int(s.agreed["MaxBurstLength"]) == 0, f"F bit at {at}")
    equal(at, 1 << 20, "bytes")


@case("RFC 7143 §4.2.2")
def a_full_window_of_reads(t):
    """MaxPendingRequests is 255: it sends what MaxCmdSN lets it, and goes on as that moves."""
    s = Windows(t)
    sent, done, limit, tags = 0, 0, s.max_cmdsn, {}
    while done < 255:
        while sent < 255 and (limit - s.cmdsn) & NONE < 1 << 31:
            tags[s.send_command(rw(0x28, sent * 8, 8), read=4096)] = sent * 8
            sent += 1
        pdu = s.recv()
        equal((pdu.opcode, pdu.flags & 1, len(pdu.data)), (DATA_IN, 1, 4096), "Data-In with status")
        want(pdu.data.startswith(b"golden block %08x" % tags.pop(pdu.itt)), "the wrong block")
        want((pdu.max_cmdsn - limit) & NONE < 1 << 31, "MaxCmdSN went back")
        limit, s.statsn, done = pdu.max_cmdsn, pdu.statsn + 1, done + 1


@case("RFC 7143 §11.16")
def SNACK_is_refused_at_level_0(t):
    s = Windows(t)
    s.send(SNACK, 0x80, itt=NONE, words=[NONE, 0, s.statsn])
    equal(s.recv().opcode, REJECT, "opcode")


# ---- task management (SAM-5 §7) ----

@case("RFC 7143 §11.6.1")
def task_management_functions(t):
    s = Windows(t)
    for function, lun, wanted in ((1, 0, (0, 1)), (2, 0, (0,)), (4, 0, (0,)), (3, 0, (0, 5)), (5, 0, (0,)), (5, 1, (2,)), (8, 0, (4, 1))):
        got = s.tmf_answer(s.tmf(function, 0x7777, s.cmdsn, lun=bytes([0, lun]) + b"\0" * 6))
        want(got in wanted, f"function {function} on LUN {lun}: response {got}, wanted {wanted}")
    s.ping()


@case("SAM-5 §6.3.2")
def LUN_reset_aborts_a_write_and_is_told(t):
    s, other = Windows(t), Windows(t, isid=ISID[:5] + b"\2")
    before = s.good(rw(0x28, 40000, 512), read=262144).data
    s.send_command(rw(0x2a, 40000, 512), write=262144, data=b"!" * 65536)
    equal(s.recv().opcode, R2T, "opcode")
    equal(s.tmf_answer(s.tmf(5)), 0, "response")
    s.expect_silence()                                          # no status for the write
    for session in (s, other):
        equal(session.command(TUR).sense_code[:2], (6, 0x29), "unit attention")
        equal(session.command(TUR).status, 0, "status after it")
    equal(s.good(rw(0x28, 40000, 512), read=262144).data == before, True, "the blocks are as before")


@case("RFC 7143 §11.5.1")
def target_warm_reset_keeps_the_session(t):
    s = Windows(t)
    equal(s.tmf_answer(s.tmf(6)), 0, "response")
    equal(s.command(TUR).sense_code[:2], (6, 0x29), "unit attention")
    s.ping()


@case("RFC 7143 §11.15")
def logout(t):
    s = Windows(t)
    itt = s.logout()
    pdu = s.recv()
    equal((pdu.opcode, pdu.itt, pdu.bhs[2], pdu.statsn), (LOGOUT_RESPONSE, itt, 0, s.statsn), "response")
    s.expect_close()


# ---- CHAP ----

def locked(t, **kwargs):
    """A machine of its own that wants CHAP, and who opens it: the names in the iBFT, which the script has set."""
    machine = t.daemon.enrol(**kwargs)
    shown, user = machine.show(), (machine.set["username"], machine.set["password"])
    reverse = (machine.set.get("reverse-username"), machine.set.get("reverse-password"))
    want(shown["boots"], "no pending boot")
    return machine, machine.set["initiator-iqn"], user, reverse


@case("RFC 7143 §12.1.3")
def CHAP_with_MD5(t):
    machine, name, user, _ = locked(t, auth="chap")
    s = Windows(machine, name=name, secret=user)
    equal(s.first.dict.get("TargetPortalGroupTag"), "1", "TargetPortalGroupTag in the first response")
    s.ping()


@case("RFC 7143 §12.1.3")
def mutual_CHAP_with_a_long_challenge(t):
    machine, name, user, reverse = locked(t, auth="mutual")
    for size in (16, 255, 1024):
        Windows(machine, name=name, secret=user, reverse=reverse, challenge=os.urandom(size)).ping()


@case("RFC 7143 §12.1.3")
def its_own_challenge_sent_back_is_refused(t):
    """Reflection: whoever answers with the target's challenge wants the target to compute its own response."""
    machine, name, user, reverse = locked(t, auth="mutual")
    c = Conn(machine.address)
    keys = [("InitiatorName", name), ("SessionType", "Normal"), ("TargetName", machine.iqn)]
    algorithm, ident, challenge = chap_start(c, keys, isid=ISID, transit=False)
    response = chap_digest(algorithm, ident, user[1], challenge)
    c.login([("CHAP_N", user[0]), ("CHAP_R", "0x" + response.hex()), ("CHAP_I", str(ident)), ("CHAP_C", "0x" + challenge.hex())],
            0, 1, isid=ISID)
    c.refused(0x0201)


@case("RFC 7143 §11.13.5")
def without_CHAP_it_is_refused(t):
    machine, name, _, _ = locked(t, auth="chap")
    c = Conn(machine.address)
    c.login([("InitiatorName", name), ("SessionType", "Normal"), ("TargetName", machine.iqn), ("AuthMethod", "None")], 0, 1, isid=ISID)
    c.refused(0x0201)


@case("RFC 7143 §11.13.5")
def a_wrong_secret_is_refused(t):
    machine, name, user, _ = locked(t, auth="chap")
    c = Conn(machine.address)
    chap_start(c, [("InitiatorName", name), ("SessionType", "Normal"), ("TargetName", machine.iqn)], isid=ISID, transit=False)
    c.login([("CHAP_N", user[0]), ("CHAP_R", "0x" + "00" * 16)], 0, 1, isid=ISID)
    c.refused(0x0201)


@case("RFC 7143 §9.2.1")
def rule_of_authentication_changes_under_a_running_machine(t):
    """From none to chap: it logs in again as it did; its next boot needs the secret, and then nobody comes in without."""
    machine = t.daemon.enrol(auth="none")
    name = machine.set["initiator-iqn"]
    Windows(machine, name=name).close()
    t.daemon.ctl("machine", "set", machine.name, "auth=chap")
    Windows(machine, name=name).close()
    t.daemon.ctl("machine", "set", machine.name, "note=it boots again")
    script = t.daemon.ask(machine.show()["macs"][0])
    user = tuple(re.search(rf"^set {word} (\S+)", script, re.M).group(1) for word in ("username", "password"))
    Windows(machine, name=name).close()
    new = Windows(machine, name=name, secret=user)
    new.ping()
    c = Conn(machine.address)
    c.login([("InitiatorName", name), ("SessionType", "Normal"), ("TargetName", machine.iqn), ("AuthMethod", "None")], 0, 1, isid=ISID)
    c.refused(0x0201)
    # and back: it may insist on its secret, and whoever has none may come in again
    t.daemon.ctl("machine", "set", machine.name, "auth=none")
    new.close()
    Windows(machine, name=name, secret=user).close()
    Windows(machine, name=name).close()


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    iscsi.declare(sum(pattern in name for name, _, _ in iscsi.CASES) + 1)
    try:
        daemon = Sanbootd()
    except Failed as err:
        print("not ok sanbootd on loopback :", err)
        return 1
    machine = daemon.enrol(access="many")
    results = [attempt(f"Windows: {name}", function, machine) for name, function, _ in iscsi.CASES if pattern in name]
    alive = daemon.process.poll() is None
    status = daemon.stop()
    print("ok" if alive and status == 0 else "not ok", "Windows: sanbootd ends cleanly", f": status {status}" if status else "")
    return 0 if all(results) and alive and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
