# SPDX-License-Identifier: GPL-2.0-or-later
"""The login phase: headers, stages, identities (RFC 7143 §6.3, §11.12, §11.13)."""
from iscsi import *


def first_pdu_closes(name, opcode):
    def test(t):
        c = t.conn()
        c.send(opcode, itt=1, words=[NONE, 1, 1])
        c.expect_close()
    test.__name__ = f"first_PDU_{name}_closes_without_an_answer"
    case("RFC 7143 §6.3")(test)


for _name, _opcode in (("NOP-Out", 0x40), ("SCSI_Command", 1), ("Text", 4), ("Data-Out", 5), ("Logout", 6), ("TMF", 2),
                       ("SNACK", 0x10), ("Login_Response", 0x23), ("unknown", 0x3e)):
    first_pdu_closes(_name, _opcode)


@case("RFC 7143 §6.3")
def other_PDU_during_login_is_invalid(t):
    c = t.conn()
    c.login(names(), 0, 1, transit=False)
    equal(c.login_answer().status, 0, "status")
    c.send(NOP_OUT | IMMEDIATE, itt=5, words=[NONE, 1, 1])
    c.refused(0x020b)


def header_refused(section, name, status, first=None, **kwargs):
    def test(t):
        c = t.conn()
        if first is not None:
            c.login(names(), **first)
            equal(c.login_answer().status, 0, "first request")
        c.login(names() if first is None else (), **kwargs)
        c.refused(status)
    test.__name__ = name
    case(section)(test)


OPEN = {"csg": 1, "transit": False}
header_refused("RFC 7143 §11.12.4", "Version-min_1_is_unsupported", 0x0205, version_min=1, version_max=1)
header_refused("RFC 7143 §11.12.2", "T_and_C_together", 0x0200, flags=0xc7)
header_refused("RFC 7143 §11.12.3", "CSG_2_is_reserved", 0x0200, flags=0x80 | 2 << 2 | 3)
header_refused("RFC 7143 §11.12.3", "CSG_3_is_no_login_stage", 0x0200, flags=3 << 2)
header_refused("RFC 7143 §11.12.3", "NSG_2_is_reserved", 0x0200, flags=0x80 | 1 << 2 | 2)
header_refused("RFC 7143 §11.12.3", "NSG_before_CSG", 0x0200, flags=0x80 | 1 << 2 | 0)
header_refused("RFC 7143 §11.12.3", "NSG_same_as_CSG", 0x0200, flags=0x80 | 1 << 2 | 1)
header_refused("RFC 7143 §11.12.3", "stage_not_agreed_on", 0x0200, {"csg": 0, "transit": False}, csg=1, transit=False)
header_refused("RFC 7143 §11.12.3", "stage_goes_back", 0x0200, OPEN, csg=0, transit=False)
header_refused("RFC 7143 §11.12.5", "ISID_changes", 0x0200, OPEN, isid=b"\x80\0\0\0\0\2")
header_refused("RFC 7143 §11.12.5", "ISID_format_3_is_reserved", 0x0200, isid=b"\xc0\0\0\0\0\1")
header_refused("RFC 7143 §11.12.6", "TSIH_changes", 0x0200, OPEN, tsih=7)
header_refused("RFC 7143 §11.12.7", "CID_changes", 0x0200, OPEN, cid=2)
header_refused("RFC 7143 §11.12", "AHS_in_a_login", 0x0200, ahs=b"\0\5\2\0\0\0\0\0")
header_refused("RFC 7143 §11.12.6", "TSIH_of_no_session", 0x020a, tsih=0x7777)


@case("RFC 7143 §11.12.4")
def Version_max_above_0_gets_version_0(t):
    c = t.conn()
    c.login(names(), version_max=5, isid=new_isid())
    pdu = c.login_answer()
    equal((pdu.status, pdu.bhs[2], pdu.bhs[3]), (0, 0, 0), "status, Version-max, Version-active")


def identity(section, name, status, keys):
    def test(t):
        c = t.conn()
        c.login(keys)
        c.refused(status)
    test.__name__ = name
    case(section)(test)


identity("RFC 7143 §13.5", "InitiatorName_missing", 0x0207, [("TargetName", IQN + "none")])
identity("RFC 7143 §13.4", "TargetName_missing", 0x0207, names(None))
identity("RFC 7143 §13.21", "SessionType_unknown", 0x0209, names(kind="Other"))
identity("RFC 7143 §4.2.7", "InitiatorName_that_is_no_iSCSI_name", 0x0200, names(initiator="pc-1"))
identity("RFC 7143 §4.2.7", "InitiatorName_with_a_blank", 0x0200, names(initiator="iqn.2026-11.a b"))
identity("RFC 7143 §4.2.7", "InitiatorName_of_224_bytes", 0x0200, names(initiator="iqn." + "a" * 220))
identity("RFC 7143 §11.13.5", "TargetName_unknown_is_not_found", 0x0203, names("nobody"))
identity("RFC 7143 §11.13.5", "TargetName_malformed_is_not_found", 0x0203,
         [("InitiatorName", INITIATOR), ("TargetName", "disk0")])
identity("RFC 7143 §11.13.5", "target_forbidden", 0x0202, names("forbidden"))
identity("RFC 7143 §11.13.5", "target_bound_to_another_initiator", 0x0202, names("bound"))
identity("RFC 7143 §11.13.5", "disk_that_cannot_be_opened", 0x0301, names("broken"))


@case("RFC 7143 §4.2.7")
def InitiatorName_of_223_bytes_is_taken(t):
    Session(t, initiator="iqn." + "a" * 219).logout()


@case("RFC 7143 §4.2.7.1")
def names_are_compared_without_case(t):
    c = t.conn()
    c.login([("InitiatorName", "IQN.2026-11.TEST:RIGHT"), ("TargetName", "IQN.2026-11.Test:Bound")])
    equal(c.login_answer().status, 0, "status")


@case("RFC 7143 §11.13")
def response_names_the_session(t):
    c = t.conn()
    isid = new_isid()
    c.login(names(), 0, 1, isid=isid, itt=0x1234, cmdsn=77)
    first = c.login_answer()
    equal((first.isid, first.itt, first.tsih, first.exp_cmdsn), (isid, 0x1234, 0, 77), "ISID, ITT, TSIH, ExpCmdSN")
    equal(first.flags, 0x81, "flags")
    c.login((), 1, 3, isid=isid, itt=0x1235, cmdsn=77)
    last = c.login_answer()
    equal((last.isid, last.itt, last.status, last.exp_cmdsn), (isid, 0x1235, 0, 77), "ISID, ITT, status, ExpCmdSN")
    want(last.tsih != 0, "no TSIH in the final response")
    equal(last.statsn, (first.statsn + 1) & NONE, "StatSN")
    want(last.max_cmdsn - 77 >= 31, "a window of less than 32 commands")


@case("RFC 7143 §13.9")
def TargetPortalGroupTag_in_the_first_response_and_only_there(t):
    c = t.conn()
    c.login(names(), 0, 1, isid=new_isid())
    equal(c.login_answer().dict.get("TargetPortalGroupTag"), "1", "TargetPortalGroupTag")
    c.login((), 1, transit=False, isid=c.sock and b"\x80\0\0" + (next(ISIDS) - 1).to_bytes(3, "big"))
    want("TargetPortalGroupTag" not in c.login_answer().dict, "TargetPortalGroupTag twice")


@case("RFC 7143 §6.3")
def straight_to_the_operational_stage(t):
    Session(t).ping()


@case("RFC 7143 §6.3")
def security_stage_straight_to_full_feature(t):
    c = t.conn()
    c.login(names() + [("AuthMethod", "None")], 0, 3, isid=new_isid())
    pdu = c.login_answer()
    equal((pdu.status, pdu.flags, pdu.dict["AuthMethod"]), (0, 0x83, "None"), "status, flags, AuthMethod")
    want(pdu.tsih, "no TSIH")


@case("RFC 7143 §6.3")
def request_without_T_stays_in_its_stage(t):
    c = t.conn()
    c.login(names(), 1, transit=False)
    equal(c.login_answer().flags, 1 << 2, "flags")
    c.login((), 1, transit=False)
    equal(c.login_answer().flags, 1 << 2, "flags")
    c.login((), 1, 3)
    equal(c.login_answer().flags, 0x87, "flags")


@case("RFC 7143 §6.2")
def text_in_three_PDUs(t):
    c = t.conn()
    isid = new_isid()
    whole = text(names() + [("MaxBurstLength", 65536)])
    for piece in (whole[:10], whole[10:50]):
        c.login(piece, 1, transit=False, more=True, isid=isid)
        pdu = c.login_answer()
        equal((pdu.status, pdu.flags, pdu.data), (0, 1 << 2, b""), "an empty answer")
    c.login(whole[50:], 1, 3, isid=isid)
    pdu = c.login_answer()
    equal((pdu.status, pdu.dict.get("MaxBurstLength")), (0, "65536"), "status, MaxBurstLength")


@case("RFC 7143 §6.2")
def text_without_an_end(t):
    c = t.conn()
    for _ in range(7):
        c.login(b"X-a=" + b"b" * 9996, 1, transit=False, more=True)
        pdu = c.login_answer()
        if pdu.status:
            equal(pdu.status, 0x0200, "status")
            c.expect_close()
            return
    raise Failed("70 kB of text were taken")


@case("RFC 7143 §6.3")
def login_without_an_end(t):
    c = t.conn()
    c.login(names(), 1, transit=False)
    for _ in range(80):
        pdu = c.login_answer()
        if pdu.status:
            equal(pdu.status, 0x0200, "status")
            c.expect_close()
            return
        c.login((), 1, transit=False)
    raise Failed("80 login requests were taken")


@case("RFC 7143 §6.3")
def login_data_segment_of_1_MB(t):
    c = t.conn()
    c.send(LOGIN | IMMEDIATE, 0x87, itt=1, length=1 << 20)
    c.expect_close()


@case("RFC 7143 §11.12.8")
def CmdSN_of_the_login_is_the_first_commands(t):
    s = Session(t, cmdsn=0xfffffffe)
    for _ in range(4):
        equal(s.command(b"\0" * 6).status, 0, "status")


@case("RFC 7143 §11.12")
def login_without_the_immediate_bit(t):
    c = t.conn()
    c.login(names(), isid=new_isid(), opcode=LOGIN)
    equal(c.login_answer().status, 0, "status")


@case("RFC 7143 §6.3")
def iPXE_as_it_is(t):
    """T on every request, operational keys after the security stage, AuthMethod=None."""
    c = t.conn()
    isid = b"\x40\0\x27\x23\x12\x34"
    c.login(names() + [("AuthMethod", "None")], 0, 1, isid=isid)
    equal((c.login_answer().flags), 0x81, "flags")
    c.login([("HeaderDigest", "None"), ("DataDigest", "None"), ("MaxConnections", "1"), ("InitialR2T", "Yes"),
             ("ImmediateData", "No"), ("MaxRecvDataSegmentLength", "8192"), ("MaxBurstLength", "262144"),
             ("FirstBurstLength", "65536"), ("DefaultTime2Wait", "0"), ("DefaultTime2Retain", "0"),
             ("MaxOutstandingR2T", "1"), ("DataPDUInOrder", "Yes"), ("DataSequenceInOrder", "Yes"),
             ("ErrorRecoveryLevel", "0")], 1, 3, isid=isid)
    pdu = c.login_answer()
    equal((pdu.status, pdu.flags), (0, 0x87), "status, flags")
    want("Reject" not in pdu.dict.values(), "a Reject, which iPXE takes for the end:", pdu.keys)
    equal(pdu.dict["MaxBurstLength"], "262144", "MaxBurstLength")
    while "ipxe" not in t.line("began"):  # others may be those of an earlier test
        pass


@case("RFC 7143 §6.3")
def iscsistart_as_it_is(t):
    keys = [("InitiatorAlias", "pc"), ("HeaderDigest", "None"), ("DataDigest", "None"), ("DefaultTime2Wait", "2"),
            ("DefaultTime2Retain", "0"), ("IFMarker", "No"), ("OFMarker", "No"), ("ErrorRecoveryLevel", "0"),
            ("InitialR2T", "No"), ("ImmediateData", "Yes"), ("MaxBurstLength", "16776192"),
            ("FirstBurstLength", "262144"), ("MaxOutstandingR2T", "1"), ("MaxConnections", "1"),
            ("DataPDUInOrder", "Yes"), ("DataSequenceInOrder", "Yes")]
    s = Session(t, keys=keys)
    d = s.response.dict
    want("InitiatorAlias" not in d, "an answer to InitiatorAlias")
    equal((d["InitialR2T"], d["ImmediateData"], d["MaxBurstLength"], d["FirstBurstLength"], d["IFMarker"]),
          ("No", "Yes", "16776192", "262144", "No"), "answers")
