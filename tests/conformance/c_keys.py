# SPDX-License-Identifier: GPL-2.0-or-later
"""Operational keys (RFC 7143 §6.1, §6.2, §13): each with what comes of it."""
from iscsi import *

# section, key, value, answer (None: none)
ANSWERS = [
    ("§13.1", "HeaderDigest", "None", "None"),
    ("§13.1", "HeaderDigest", "CRC32C", "CRC32C"),
    ("§13.1", "HeaderDigest", "None,CRC32C", "None"),
    ("§13.1", "HeaderDigest", "CRC32C,None", "CRC32C"),
    ("§13.1", "HeaderDigest", "X-mine,CRC32C", "CRC32C"),
    ("§13.1", "HeaderDigest", "MD5", "Reject"),
    ("§13.1", "DataDigest", "CRC32C,None", "CRC32C"),
    ("§13.1", "DataDigest", "SHA", "Reject"),
    ("§13.2", "MaxConnections", "4", "1"),
    ("§13.2", "MaxConnections", "1", "1"),
    ("§13.2", "MaxConnections", "0", "Reject"),
    ("§13.2", "MaxConnections", "65536", "Reject"),
    ("§13.7", "InitiatorAlias", "a machine", None),
    ("§13.10", "InitialR2T", "Yes", "Yes"),
    ("§13.10", "InitialR2T", "No", "No"),
    ("§13.10", "InitialR2T", "maybe", "Reject"),
    ("§13.11", "ImmediateData", "Yes", "Yes"),
    ("§13.11", "ImmediateData", "No", "No"),
    ("§13.11", "ImmediateData", "1", "Reject"),
    ("§13.13", "MaxBurstLength", "512", "512"),
    ("§13.13", "MaxBurstLength", "511", "Reject"),
    ("§13.13", "MaxBurstLength", "16777215", "16777215"),
    ("§13.13", "MaxBurstLength", "16777216", "Reject"),
    ("§13.13", "MaxBurstLength", "0x40000", "262144"),
    ("§13.13", "MaxBurstLength", "-1", "Reject"),
    ("§13.13", "MaxBurstLength", "", "Reject"),
    ("§13.13", "MaxBurstLength", "99999999999999999999", "Reject"),
    ("§13.14", "FirstBurstLength", "65536", "65536"),
    ("§13.14", "FirstBurstLength", "16777215", "262144"),
    ("§13.14", "FirstBurstLength", "511", "Reject"),
    ("§13.15", "DefaultTime2Wait", "0", "0"),
    ("§13.15", "DefaultTime2Wait", "3600", "3600"),
    ("§13.15", "DefaultTime2Wait", "3601", "Reject"),
    ("§13.16", "DefaultTime2Retain", "20", "0"),
    ("§13.17", "MaxOutstandingR2T", "1", "1"),
    ("§13.17", "MaxOutstandingR2T", "65535", "8"),
    ("§13.17", "MaxOutstandingR2T", "0", "Reject"),
    ("§13.18", "DataPDUInOrder", "No", "Yes"),
    ("§13.19", "DataSequenceInOrder", "No", "Yes"),
    ("§13.20", "ErrorRecoveryLevel", "2", "0"),
    ("§13.20", "ErrorRecoveryLevel", "3", "Reject"),
    ("§13.22", "X-com.example.speed", "warp", "NotUnderstood"),
    ("§6.2", "NoSuchKey", "1", "NotUnderstood"),
    ("§13.23", "TaskReporting", "FastAbort,RFC3720", "RFC3720"),
    ("§13.23", "TaskReporting", "FastAbort", "Reject"),
    ("§13.24", "iSCSIProtocolLevel", "2", "1"),
    ("§13.24", "iSCSIProtocolLevel", "1", "1"),
    ("§13.25", "IFMarker", "Yes", "No"),
    ("§13.25", "OFMarker", "No", "No"),
    ("§13.25", "IFMarkInt", "1~65535", "Reject"),
    ("§13.25", "OFMarkInt", "2048", "Reject"),
]


def answer_case(section, key, value, wanted):
    def test(t):
        c = t.conn()
        c.login(names() + [(key, value)], isid=new_isid())
        pdu = c.login_answer()
        equal((pdu.status, pdu.dict.get(key)), (0, wanted), f"status and answer to {key}={value}")
    test.__name__ = f"{key}={value or 'nothing'}"
    case(f"RFC 7143 {section}")(test)


for _row in ANSWERS:
    answer_case(*_row)


@case("RFC 7143 §13.14")
def FirstBurstLength_is_not_above_MaxBurstLength(t):
    for keys in ([("MaxBurstLength", 4096), ("FirstBurstLength", 8192)], [("FirstBurstLength", 8192), ("MaxBurstLength", 4096)]):
        s = Session(t, keys=keys)
        equal((s.response.dict["MaxBurstLength"], s.response.dict["FirstBurstLength"]), ("4096", "4096"), "answers")


@case("RFC 7143 §13.12")
def MaxRecvDataSegmentLength_is_declared_once(t):
    c = t.conn()
    c.login(names() + [("MaxRecvDataSegmentLength", 8192)], 1, transit=False)
    equal([v for k, v in c.login_answer().keys if k == "MaxRecvDataSegmentLength"], ["262144"], "our declaration")
    c.login((), 1, 3)
    want("MaxRecvDataSegmentLength" not in c.login_answer().dict, "declared twice")


def malformed(section, name, keys):
    def test(t):
        c = t.conn()
        c.login(text(names()) + keys if isinstance(keys, bytes) else names() + keys, isid=new_isid())
        c.refused(0x0200)
    test.__name__ = name
    case(section)(test)


malformed("RFC 7143 §13.12", "MaxRecvDataSegmentLength_of_511", [("MaxRecvDataSegmentLength", 511)])
malformed("RFC 7143 §6.2", "key_twice", [("MaxBurstLength", 512), ("MaxBurstLength", 512)])
malformed("RFC 7143 §6.1", "key_without_a_value_sign", b"MaxBurstLength\0")
malformed("RFC 7143 §6.1", "key_without_a_name", b"=5\0")
malformed("RFC 7143 §6.1", "key_name_of_64_bytes", b"K" * 64 + b"=1\0")
malformed("RFC 7143 §6.1", "key_name_with_a_blank", b"Max Burst=1\0")
malformed("RFC 7143 §6.1", "value_of_256_bytes", b"X-a=" + b"v" * 256 + b"\0")
malformed("RFC 7143 §6.1", "text_without_its_last_NUL", b"MaxBurstLength=512")
malformed("RFC 7143 §6.2", "hundred_keys", b"".join(b"X-%d=1\0" % i for i in range(100)))
malformed("RFC 7143 §6.2", "seventy_unknown_keys", b"".join(b"X-%d=1\0" % i for i in range(70)))
malformed("RFC 7143 §13.3", "SendTargets_in_a_login", [("SendTargets", "All")])
malformed("RFC 7143 §12", "AuthMethod_in_the_operational_stage", [("AuthMethod", "None")])


@case("RFC 7143 §6.1")
def value_of_255_bytes_is_taken(t):
    Session(t, keys=[("X-a", "v" * 255)])


@case("RFC 7143 §6.1")
def key_name_of_63_bytes_is_taken(t):
    name = "K" * 63
    equal(Session(t, keys=[(name, "1")]).response.dict[name], "NotUnderstood", "answer")


@case("RFC 7143 §6.1")
def padding_counted_as_text_is_taken(t):
    c = t.conn()
    c.login(text(names()) + b"\0\0\0", isid=new_isid())
    equal(c.login_answer().status, 0, "status")


@case("RFC 7143 §6.2")
def key_again_in_a_later_request(t):
    c = t.conn()
    c.login(names() + [("MaxBurstLength", 4096)], 1, transit=False)
    equal(c.login_answer().status, 0, "status")
    c.login([("MaxBurstLength", 8192)], 1, 3)
    c.refused(0x0200)


@case("RFC 7143 §13")
def irrelevant_keys_in_a_discovery_session(t):
    keys = ["MaxConnections", "InitialR2T", "ImmediateData", "MaxBurstLength", "FirstBurstLength", "MaxOutstandingR2T",
            "DataPDUInOrder", "DataSequenceInOrder"]
    s = Session(t, None, [(k, "Yes" if "ata" in k or "R2T" in k and "Max" not in k else "512") for k in keys], kind="Discovery")
    for key in keys:
        equal(s.response.dict[key], "Irrelevant", key)


@case("RFC 7143 §13.21")
def SessionType_defaults_to_Normal(t):
    c = t.conn()
    c.login([("InitiatorName", INITIATOR), ("TargetName", IQN + "none")], isid=new_isid())
    equal(c.login_answer().status, 0, "status")
