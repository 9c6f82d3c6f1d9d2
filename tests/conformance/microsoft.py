# SPDX-License-Identifier: GPL-2.0-or-later
"""Microsoft's iSCSI initiator as it has been seen on the wire: two login stages, its ISID, its keys in its order."""
import struct

from iscsi import *

# What a normal session offers. The same login task tag, CID and CmdSN in both stages.
OFFERS = [("HeaderDigest", "None,CRC32C"), ("DataDigest", "None,CRC32C"), ("ErrorRecoveryLevel", "2"), ("InitialR2T", "No"),
          ("ImmediateData", "Yes"), ("MaxRecvDataSegmentLength", "65536"), ("MaxBurstLength", "262144"),
          ("FirstBurstLength", "65536"), ("MaxConnections", "32"), ("DataPDUInOrder", "Yes"), ("DataSequenceInOrder", "Yes"),
          ("DefaultTime2Wait", "0"), ("DefaultTime2Retain", "60"), ("MaxOutstandingR2T", "16")]
DISCOVERY_OFFERS = [("HeaderDigest", "None,CRC32C"), ("DataDigest", "None,CRC32C"), ("MaxRecvDataSegmentLength", "65536"),
                    ("DefaultTime2Wait", "0"), ("DefaultTime2Retain", "60")]
ISID = bytes.fromhex("400001370000")          # its own naming authority; a second session (MPIO) counts up
NAME = "iqn.1991-05.com.microsoft:pc-001"
TUR = b"\0" * 6


def offers(**changed):
    """OFFERS with some of them otherwise; None: left out."""
    changed = {k: str(v) if v is not None else None for k, v in changed.items()}
    return [(k, changed.get(k, v)) for k, v in OFFERS if changed.get(k, v) is not None]


class Windows(Session):
    """A session as Windows begins it: security stage, then operational stage."""

    def __init__(self, machine, keys=None, isid=ISID, name=NAME, clear=True, secret=None, reverse=None, challenge=b"\x5a" * 16):
        Conn.__init__(self, machine.address)
        self.isid, self.cmdsn, self.itt, self.keys = isid, 1, 0x10, keys or OFFERS
        self.identity = [("InitiatorName", name), ("SessionType", "Normal"), ("TargetName", machine.iqn)]
        if secret:
            self.chap(secret, reverse, challenge)
        else:
            self.login(self.identity + [("AuthMethod", "None")], 0, 1, isid=isid)
            self.security = self.login_answer()
        equal(f"{self.security.status:#06x}", "0x0000", "login status of the security stage")
        equal(self.security.flags & 0xcf, 0x81, "T, CSG and NSG of the security stage")
        self.login(self.keys, 1, 3, isid=isid)
        self.response = self.login_answer()
        equal(f"{self.response.status:#06x}", "0x0000", "login status of the operational stage")
        equal(self.response.flags & 0xcf, 0x87, "T, CSG and NSG of the operational stage")
        self.agreed = self.response.dict
        self.statsn, self.max_cmdsn = self.response.statsn + 1, self.response.max_cmdsn
        self.header_digest, self.data_digest = (self.agreed.get(k) == "CRC32C" for k in ("HeaderDigest", "DataDigest"))
        if clear:
            self.good(TUR, attention=True)

    def chap(self, secret, reverse, challenge):
        """RFC 7143 §12.1.3 with MD5, which is all that Windows has; mutual where it knows the target's secret."""
        self.login(self.identity + [("AuthMethod", "CHAP")], 0, 1, transit=False, isid=self.isid)
        first = self.login_answer()
        equal((first.status, first.dict.get("AuthMethod"), first.flags & 0x80), (0, "CHAP", 0), "AuthMethod")
        self.first = first
        self.login([("CHAP_A", "5")], 0, 1, transit=False, isid=self.isid)
        asked = self.login_answer()
        equal((asked.status, asked.dict.get("CHAP_A")), (0, "5"), "CHAP_A")
        digest = chap_digest(5, int(asked.dict["CHAP_I"]), secret[1], unhex(asked.dict["CHAP_C"]))
        answer = [("CHAP_N", secret[0]), ("CHAP_R", "0x" + digest.hex())]
        if reverse:
            answer += [("CHAP_I", "7"), ("CHAP_C", "0x" + challenge.hex())]
        self.login(answer, 0, 1, isid=self.isid)
        self.security = self.login_answer()
        if reverse and self.security.status == 0:
            equal(self.security.dict.get("CHAP_N"), reverse[0], "the target's CHAP_N")
            equal(unhex(self.security.dict["CHAP_R"]), chap_digest(5, 7, reverse[1], challenge), "the target's CHAP_R")

    # ---- SCSI commands ----

    def good(self, cdb, attention=False, **kwargs):
        """The command has to end with GOOD; attention: after unit attentions, if there are any."""
        for _ in range(6):
            answer = self.command(cdb, **kwargs)
            if not (attention and answer.status == 2 and answer.sense_code[0] == 6):
                break
        equal((answer.status, answer.sense_code), (0, None), f"status and sense of CDB {cdb.hex()}")
        return answer

    def fails(self, cdb, key, asc, ascq=0, byte=None, bit=None, **kwargs):
        """CHECK CONDITION with this sense; byte, bit: where the field pointer (SPC-4 §4.5.2.4.2) has to point in the CDB."""
        answer = self.command(cdb, **kwargs)
        equal((answer.status, answer.sense_code), (2, (key, asc, ascq)), f"status and sense of CDB {cdb.hex()}")
        if byte is not None:
            sks = answer.sense[15:18]
            equal((sks[0] & 0xc0, sks[1] << 8 | sks[2]), (0xc0, byte), f"field pointer of CDB {cdb.hex()}")
            if bit is not None:
                equal(sks[0] & 0x0f, 8 | bit, f"bit pointer of CDB {cdb.hex()}")
        return answer

    def data_in(self, cdb, length, **kwargs):
        """Data-In of at most length bytes, all of it announced to iSCSI; the residual has to say what is missing."""
        answer = self.good(cdb, read=length, **kwargs)
        missing = length - len(answer.data)
        equal((answer.flags & 6, answer.residual), (2 if missing else 0, missing), f"residual of CDB {cdb.hex()}")
        return answer.data

    def data_out(self, cdb, data, **kwargs):
        return self.good(cdb, write=len(data), data=data[:int(self.agreed["FirstBurstLength"])], payload=data, **kwargs)

    def inquiry(self, length=255, page=None, lun=b"\0" * 8):
        return self.data_in(struct.pack(">BBBHB", 0x12, page is not None, page or 0, length, 0), length, lun=lun)

    def write(self, cdb, data):
        """A write in Windows' way: immediate data, the rest of the first burst unsolicited where that was agreed on."""
        first = min(len(data), int(self.agreed["FirstBurstLength"]))
        segment = min(first, int(self.agreed.get("MaxRecvDataSegmentLength", 8192)))
        unsolicited = self.agreed["InitialR2T"] == "No" and first > segment
        itt = self.send_command(cdb, write=len(data), data=data[:segment], final=not unsolicited)
        if unsolicited:
            for sn, at in enumerate(range(segment, first, segment)):
                end = min(at + segment, first)
                self.send_data(itt, NONE, at, data[at:end], sn, end == first)
        return self.answer(itt, data, segment)


def rw(code, lba, blocks, flags=0):
    """A READ, WRITE, VERIFY ... of 10 or 16 bytes."""
    if code & 0x80:
        return struct.pack(">BBQIBB", code, flags, lba, blocks, 0, 0)
    return struct.pack(">BBIBHB", code, flags, lba, 0, blocks, 0)


def pr_in(action, length):
    return struct.pack(">BB5xHB", 0x5e, action, length, 0)


def pr_out(action, kind=0, length=24):
    return struct.pack(">BBB2xIB", 0x5f, action, kind, length, 0)


def pr_list(key, action_key, flags=0):
    return struct.pack(">QQ4xB3x", key, action_key, flags)
