// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The security stage: see login.h.
 *
 *     initiator                              target
 *     AuthMethod=CHAP,None            ->     AuthMethod=CHAP          START --choose_method--> METHOD_CHAP, or DONE
 *     CHAP_A=7,5                      ->     CHAP_A=7 CHAP_I CHAP_C   METHOD_CHAP --challenge--> CHALLENGED
 *     CHAP_N CHAP_R [CHAP_I CHAP_C]   ->     [CHAP_N CHAP_R]          CHALLENGED --check_response--> DONE
 *
 * Which of the target's credentials matches says which boot the session belongs to.
 */
#include "iscsi/login/login.h"

#include "base/parse.h"
#include "base/secret.h"
#include "iscsi/wire/bhs.h"
#include "iscsi/wire/keys.h"

#include <stdio.h>
#include <string.h>

#define REFUSE(code, why) ((struct refusal){ code, why })
static const struct refusal no_refusal;

bool iscsi_is_ipxe(const uint8_t isid[6])
{
	static const uint8_t ipxe[4] = { 0x40, 0x00, 0x27, 0x23 };

	return !memcmp(isid, ipxe, sizeof(ipxe));
}

static const char *get(const struct login *login, const char *name)
{
	return keys_get(buf_text(&login->text), login->text.len, name);
}

/* The current boot where it began under auth=none; NULL: it did not, or there is none. */
static const struct iscsi_credential *open_boot(const struct login *login)
{
	for (int i = 0; login->access && i < ISCSI_CREDENTIALS; i++) {
		const struct iscsi_credential *at = &login->access->credentials[i];

		if (at->boot && !at->pending && at->auth == ISCSI_AUTH_NONE && !at->secret[0])
			return at;
	}
	return NULL;
}

static bool has_secret(const struct login *login)
{
	for (int i = 0; login->access && i < ISCSI_CREDENTIALS; i++)
		if (login->access->credentials[i].boot && login->access->credentials[i].secret[0])
			return true;
	return false;
}

static struct refusal choose_method(struct login *login)
{
	const char *offered = get(login, "AuthMethod");
	bool wants_chap = login->access && login->access->auth != ISCSI_AUTH_NONE;
	bool chap = offered && keys_list_has(offered, "CHAP") && (wants_chap || has_secret(login));
	bool none = offered && keys_list_has(offered, "None") && (!wants_chap || open_boot(login));

	if (!offered)
		return no_refusal;
	/* The rule of now first; then that of the boot which runs, for a machine that knows no other. */
	if (chap && (wants_chap || !none) && (has_secret(login) || !none)) {
		keys_add(&login->reply, "AuthMethod", "CHAP");
		login->security = SECURITY_METHOD_CHAP;
		return no_refusal;
	}
	if (none) {
		keys_add(&login->reply, "AuthMethod", "None");
		login->security = SECURITY_DONE;
		return no_refusal;
	}
	return wants_chap ? REFUSE(LOGIN_AUTHENTICATION_FAILED, "CHAP is needed, and the initiator does not offer it") :
			    REFUSE(LOGIN_AUTHENTICATION_FAILED,
				   "the initiator insists on a secret, and the target has none");
}

static struct refusal challenge(struct login *login)
{
	const char *offered = get(login, "CHAP_A");
	char hex[2 + 2 * CHAP_CHALLENGE_BYTES + 1] = "0x";

	if (!offered)
		return REFUSE(LOGIN_MISSING_PARAMETER, "no CHAP_A");
	login->chap_algorithm = chap_choose(offered);
	if (!login->chap_algorithm)
		return REFUSE(LOGIN_AUTHENTICATION_FAILED, "no CHAP algorithm that we have (5, 7)");
	secret_bytes(&login->chap_id, sizeof(login->chap_id));
	secret_bytes(login->chap_challenge, sizeof(login->chap_challenge));
	secret_hex(hex + 2, login->chap_challenge, sizeof(login->chap_challenge));
	keys_add_number(&login->reply, "CHAP_A", (unsigned long)login->chap_algorithm);
	keys_add_number(&login->reply, "CHAP_I", login->chap_id);
	keys_add(&login->reply, "CHAP_C", hex);
	login->security = SECURITY_CHALLENGED;
	return no_refusal;
}

static bool matches(const struct login *login, const struct iscsi_credential *credential, const char *user,
		    const uint8_t *response, size_t len)
{
	uint8_t wanted[CHAP_DIGEST_MAX];
	size_t wanted_len = chap_digest_len(login->chap_algorithm);

	if (!credential->boot || !credential->secret[0] || strcmp(user, credential->user) || len != wanted_len)
		return false;
	if (!chap_respond(login->chap_algorithm, login->chap_id, credential->secret, login->chap_challenge,
			  sizeof(login->chap_challenge), wanted))
		return false;
	return secret_equal(wanted, response, wanted_len);
}

/* RFC 7143 §12.1.3: the initiator asks us to prove ourselves too. */
static struct refusal answer_reverse(struct login *login)
{
	const char *id_text = get(login, "CHAP_I"), *challenge_text = get(login, "CHAP_C");
	const struct iscsi_credential *credential = login->credential;
	uint8_t theirs[CHAP_BINARY_MAX], response[CHAP_DIGEST_MAX];
	char hex[2 + 2 * CHAP_DIGEST_MAX + 1] = "0x";
	size_t len;
	uint64_t id;

	if (!id_text && !challenge_text)
		return credential->auth == ISCSI_AUTH_MUTUAL ?
			       REFUSE(LOGIN_AUTHENTICATION_FAILED,
				      "mutual CHAP is needed, and the initiator asks no proof of us") :
			       no_refusal;
	if (!id_text || !challenge_text)
		return REFUSE(LOGIN_MISSING_PARAMETER, "CHAP_I or CHAP_C without the other");
	if (!parse_number(id_text, 0, 255, &id) || !chap_decode(challenge_text, theirs, sizeof(theirs), &len))
		return REFUSE(LOGIN_INITIATOR_ERROR, "malformed CHAP_I or CHAP_C");
	/* §9.2.1: a challenge that we have sent is not ours to answer. */
	if (len == sizeof(login->chap_challenge) && !memcmp(theirs, login->chap_challenge, len))
		return REFUSE(LOGIN_AUTHENTICATION_FAILED, "our own challenge came back (reflection)");
	if (!credential->reverse_secret[0])
		return REFUSE(LOGIN_AUTHENTICATION_FAILED,
			      "the initiator wants mutual CHAP, and the target has no secret for it");
	if (!chap_respond(login->chap_algorithm, (uint8_t)id, credential->reverse_secret, theirs, len, response))
		return REFUSE(LOGIN_TARGET_ERROR, "the cryptographic library failed");
	secret_hex(hex + 2, response, chap_digest_len(login->chap_algorithm));
	keys_add(&login->reply, "CHAP_N", credential->reverse_user);
	keys_add(&login->reply, "CHAP_R", hex);
	return no_refusal;
}

static struct refusal check_response(struct login *login)
{
	const char *user = get(login, "CHAP_N"), *text = get(login, "CHAP_R");
	const struct iscsi_credential *credentials = login->access->credentials;
	uint8_t response[CHAP_DIGEST_MAX];
	size_t len;

	if (!user || !text)
		return REFUSE(LOGIN_MISSING_PARAMETER, "no CHAP_N or no CHAP_R");
	if (!chap_decode(text, response, sizeof(response), &len))
		return REFUSE(LOGIN_INITIATOR_ERROR, "malformed CHAP_R");
	/* All are tried, so that time does not tell which one it was. */
	for (int i = 0; i < ISCSI_CREDENTIALS; i++)
		if (matches(login, &credentials[i], user, response, len))
			login->credential = &credentials[i];
	if (!login->credential)
		return REFUSE(LOGIN_AUTHENTICATION_FAILED, "wrong CHAP name or secret");
	login->authenticated = true;
	login->security = SECURITY_DONE;
	return answer_reverse(login);
}

struct refusal security_step(struct login *login)
{
	bool chap_keys = get(login, "CHAP_A") || get(login, "CHAP_R") || get(login, "CHAP_N");

	switch (login->security) {
	case SECURITY_START:
		if (chap_keys)
			return REFUSE(LOGIN_INITIATOR_ERROR, "CHAP keys before AuthMethod");
		return choose_method(login);
	case SECURITY_METHOD_CHAP:
		return challenge(login);
	case SECURITY_CHALLENGED:
		return check_response(login);
	case SECURITY_DONE:
		break;
	}
	return chap_keys || get(login, "AuthMethod") ?
		       REFUSE(LOGIN_INITIATOR_ERROR, "security keys after the security negotiation") :
		       no_refusal;
}

/* server.h: under auth none iPXE begins the pending boot; others belong to the current one. */
static const struct iscsi_credential *choose_without_secret(const struct login *login)
{
	const struct iscsi_credential *current = NULL, *pending = NULL;

	for (int i = 0; i < ISCSI_CREDENTIALS; i++) {
		const struct iscsi_credential *at = &login->access->credentials[i];

		if (at->boot && at->pending)
			pending = at;
		else if (at->boot)
			current = at;
	}
	if (iscsi_is_ipxe(login->isid) && pending)
		return pending;
	return current ? current : pending;
}

struct refusal security_finish(struct login *login)
{
	if (login->discovery)
		return no_refusal;
	if (login->access->auth == ISCSI_AUTH_NONE && !login->authenticated)
		login->credential = choose_without_secret(login);
	else if (!login->authenticated)
		login->credential = open_boot(login);
	if (login->access->auth != ISCSI_AUTH_NONE && !login->credential)
		return REFUSE(LOGIN_AUTHENTICATION_FAILED, "the initiator skips authentication");
	login->boot = login->credential ? login->credential->boot : 0;
	login->pending = login->credential && login->credential->pending;
	return no_refusal;
}
