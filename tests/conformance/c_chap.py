# SPDX-License-Identifier: GPL-2.0-or-later
"""Authentication (RFC 7143 §9.2.1, §12; RFC 1994)."""
from iscsi import *

SECRET = "secret-of-boot-1"
REVERSE = "reverse-of-boot-1"


@case("RFC 7143 §12.1.3")
def CHAP_MD5(t):
    Session(t, "chap", chap=SECRET).ping()


@case("RFC 7143 §12.1.3")
def CHAP_SHA256(t):
    c = t.conn()
    chap_login(c, names("chap"), SECRET, algorithms="7", isid=new_isid())


@case("RFC 7143 §12.1.3")
def CHAP_A_first_of_the_list_is_chosen(t):
    for offered, chosen in (("7,5", 7), ("5,7", 5), ("6,99,5", 5), ("0x7,5", 7)):
        equal(chap_start(t.conn(), names("chap"), offered)[0], chosen, f"CHAP_A={offered}")


@case("RFC 7143 §12.1.3")
def challenges_are_long_and_never_the_same(t):
    challenges = {chap_start(t.conn(), names("chap"))[2] for _ in range(20)}
    equal(len(challenges), 20, "different challenges")
    want(all(len(c) >= 16 for c in challenges), "a challenge of less than 16 bytes")


def refused(name, status, *keys, secret=SECRET, user="user", algorithms="5", target="chap", encode=None, section="§12.1.3"):
    """keys: instead of CHAP_N and CHAP_R."""
    def test(t):
        c = t.conn()
        algorithm, ident, challenge = chap_start(c, names(target), algorithms)
        digest = chap_digest(algorithm, ident, secret, challenge)
        response = encode(digest) if encode else "0x" + digest.hex()
        c.login(list(keys) or [("CHAP_N", user), ("CHAP_R", response)], 0, 1)
        c.refused(status)
    test.__name__ = name
    case(f"RFC 7143 {section}")(test)


refused("CHAP_wrong_secret", 0x0201, secret="guess")
refused("CHAP_wrong_name", 0x0201, user="somebody")
refused("CHAP_name_is_case_sensitive", 0x0201, user="USER")
refused("CHAP_R_missing", 0x0207, ("CHAP_N", "user"))
refused("CHAP_N_missing", 0x0207, ("CHAP_R", "0x" + "00" * 16))
refused("CHAP_R_that_is_no_number", 0x0200, encode=lambda d: "hello")
refused("CHAP_R_with_a_wrong_digit", 0x0200, encode=lambda d: "0xzz")
refused("CHAP_R_of_17_bytes", 0x0201, encode=lambda d: "0x" + d.hex() + "00")
refused("CHAP_R_of_15_bytes", 0x0201, encode=lambda d: "0x" + d.hex()[:30])
refused("CHAP_R_of_1_MB_of_digits", 0x0200, encode=lambda d: "0x" + "a" * 8000)
refused("CHAP_R_empty", 0x0200, encode=lambda d: "0x")


@case("RFC 7143 §6.1")
def CHAP_R_in_base64(t):
    c = t.conn()
    algorithm, ident, challenge = chap_start(c, names("chap"))
    digest = chap_digest(algorithm, ident, SECRET, challenge)
    c.login([("CHAP_N", "user"), ("CHAP_R", "0b" + base64.b64encode(digest).decode())], 0, 1)
    equal(c.login_answer().status, 0, "status")


@case("RFC 7143 §12.1.3")
def no_algorithm_in_common(t):
    c = t.conn()
    c.login(names("chap") + [("AuthMethod", "CHAP")], 0, 1)
    c.login_answer()
    c.login([("CHAP_A", "6,8")], 0, 1)
    c.refused(0x0201)


@case("RFC 7143 §12.1.3")
def CHAP_A_missing(t):
    c = t.conn()
    c.login(names("chap") + [("AuthMethod", "CHAP")], 0, 1)
    c.login_answer()
    c.login((), 0, 1)
    c.refused(0x0207)


def method(name, status, target, value, csg=0, nsg=1):
    def test(t):
        c = t.conn()
        c.login(names(target) + ([("AuthMethod", value)] if value else []), csg, nsg)
        c.refused(status)
    test.__name__ = name
    case("RFC 7143 §12")(test)


method("AuthMethod_None_where_CHAP_is_needed", 0x0201, "chap", "None")
method("AuthMethod_unknown", 0x0201, "chap", "KRB5,SRP")
method("AuthMethod_missing_and_stage_left", 0x0201, "chap", None)
method("security_stage_skipped", 0x0201, "chap", None, 1, 3)
method("security_stage_left_for_full_feature", 0x0201, "chap", None, 0, 3)
method("AuthMethod_CHAP_where_the_target_has_no_secret", 0x0201, "none", "CHAP")


@case("RFC 7143 §12")
def AuthMethod_is_chosen_from_the_list(t):
    for target, chosen in (("chap", "CHAP"), ("none", "None")):
        c = t.conn()
        c.login(names(target) + [("AuthMethod", "KRB5,CHAP,None")], 0, 1, isid=new_isid())
        equal(c.login_answer().dict["AuthMethod"], chosen, target)


@case("RFC 7143 §12.1.3")
def CHAP_keys_before_AuthMethod(t):
    c = t.conn()
    c.login(names("chap") + [("CHAP_A", "5")], 0, 1)
    c.refused(0x0200)


@case("RFC 7143 §12.1.3")
def security_keys_after_CHAP(t):
    c = t.conn()
    algorithm, ident, challenge = chap_start(c, names("chap"))
    response = "0x" + chap_digest(algorithm, ident, SECRET, challenge).hex()
    c.login([("CHAP_N", "user"), ("CHAP_R", response)], 0, transit=False)
    equal(c.login_answer().status, 0, "status")
    c.login([("CHAP_A", "5")], 0, 1)
    c.refused(0x0200)


@case("RFC 7143 §12.1.3")
def mutual_CHAP(t):
    for algorithm in (5, 7):
        c = t.conn()
        challenge = os.urandom(24)
        pdu = chap_login(c, names("mutual"), SECRET, algorithms=str(algorithm), isid=new_isid(),
                         extra=[("CHAP_I", "9"), ("CHAP_C", "0x" + challenge.hex())])
        equal(pdu.dict["CHAP_N"], "target", "CHAP_N")
        equal(unhex(pdu.dict["CHAP_R"]), chap_digest(algorithm, 9, REVERSE, challenge), "CHAP_R")


def reverse(name, status, target, *extra, section="§12.1.3"):
    def test(t):
        c = t.conn()
        algorithm, ident, challenge = chap_start(c, names(target))
        response = "0x" + chap_digest(algorithm, ident, SECRET, challenge).hex()
        keys = [(k, v.replace("OURS", challenge.hex())) for k, v in extra]
        c.login([("CHAP_N", "user"), ("CHAP_R", response)] + keys, 0, 1)
        c.refused(status)
    test.__name__ = name
    case(f"RFC 7143 {section}")(test)


reverse("mutual_is_needed_and_not_asked_for", 0x0201, "mutual")
reverse("reflection_of_our_challenge", 0x0201, "mutual", ("CHAP_I", "1"), ("CHAP_C", "0xOURS"), section="§9.2.1")
reverse("CHAP_C_without_CHAP_I", 0x0207, "mutual", ("CHAP_C", "0x00112233"))
reverse("CHAP_I_without_CHAP_C", 0x0207, "mutual", ("CHAP_I", "1"))
reverse("CHAP_I_of_256", 0x0200, "mutual", ("CHAP_I", "256"), ("CHAP_C", "0x00112233"))
reverse("CHAP_C_of_1025_bytes", 0x0200, "mutual", ("CHAP_I", "1"), ("CHAP_C", "0x" + "ab" * 1025))


@case("RFC 7143 §12.1.3")
def CHAP_C_of_1024_bytes_is_answered(t):
    challenge = os.urandom(1024)
    pdu = chap_login(t.conn(), names("mutual"), SECRET, isid=new_isid(),
                     extra=[("CHAP_I", "200"), ("CHAP_C", "0x" + challenge.hex())])
    equal(unhex(pdu.dict["CHAP_R"]), chap_digest(5, 200, REVERSE, challenge), "CHAP_R")


@case("RFC 7143 §9.2.1")
def secrets_are_not_in_what_is_said(t):
    for _ in range(10):
        c = t.conn()
        try:
            chap_login(c, names("chap"), "guess-of-a-secret")
            raise KeyError("let in")
        except (Failed, Closed):
            pass
        try:
            line = t.line("refused 3", 0.5)  # lines that a peer causes are limited
            break
        except Failed:
            pass
    else:
        raise Failed("no refusal was told")
    want("secret-of" not in line and "guess" not in line, line)


# ---- the rule has changed since the machine booted: it keeps the one that it began under ----

def method(t, target, offered, status=None):
    """What the target chooses of the offered methods; status: it refuses."""
    c = t.conn()
    c.login(names(target) + [("AuthMethod", offered)], 0, 1, transit=False, isid=new_isid())
    if status is not None:
        return c.refused(status)
    answer = c.login_answer()
    equal(answer.status, 0, "status")
    return answer.dict["AuthMethod"]


@case("RFC 7143 §9.2.1")
def boot_begun_without_a_secret_comes_back_without_one(t):
    equal(method(t, "was-none", "None"), "None", "for what has no secret")
    equal(method(t, "was-none", "CHAP,None"), "CHAP", "for what has one")
    s = Session(t, "was-none", keys=[], isid=b"\x80\0\0\0\0\x61")
    s.ping()
    t.tell("sessions 10")
    want(" 1 " in t.line("session 10"), "it is in another boot than that which began so")
    s.close()


@case("RFC 7143 §9.2.1")
def new_boot_is_under_the_new_rule_and_ends_the_old_one(t):
    ipxe = Session(t, "was-none", isid=b"\x40\0\x27\x23\x77\x77", clear=False)     # without a secret: nothing begins
    t.forget()
    s = Session(t, "was-none", chap="secret-of-boot-2")
    equal(t.line("begin"), "begin 10 2", "what began")
    s.ping()
    ipxe.expect_close()
    method(t, "was-none", "None", status=0x0201)


@case("RFC 7143 §9.2.1")
def boot_begun_with_a_secret_may_insist_on_it(t):
    Session(t, "was-chap", chap=SECRET, isid=b"\x80\0\0\0\0\x62").close()
    equal(method(t, "was-chap", "CHAP"), "CHAP", "for what insists")
    equal(method(t, "was-chap", "CHAP,None"), "None", "for what does not")
    method(t, "none", "CHAP", status=0x0201)


@case("RFC 7143 §9.2.1")
def boot_begun_under_CHAP_need_not_ask_for_proof_of_the_target(t):
    Session(t, "was-chap-now-mutual", chap=SECRET).ping()
    method(t, "was-chap-now-mutual", "None", status=0x0201)
