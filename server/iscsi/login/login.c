// SPDX-License-Identifier: GPL-2.0-or-later
/* The login phase: see login.h. It reads like RFC 7143 §6.3 and §11.12; security.c has the security stage. */
#include "iscsi/login/login.h"

#include "base/log.h"
#include "iscsi/link/link_loop.h"
#include "iscsi/wire/keys.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void login_free(struct login *login)
{
	if (login->access)
		gnutls_memset(login->access, 0, sizeof(*login->access));
	free(login->access);
	buf_fini(&login->text);
	buf_fini(&login->reply);
	free(login);
}

/* The connection is not ours any more. */
static void login_lost(void *arg, const char *why)
{
	struct login *login = arg;

	(void)why;
	list_remove(&login->waiting_link);
	if (login->target)
		login->lost(login->target);
	login_free(login);
}

/* ---- responses ---- */

/* §11.13: everything but status, flags and text. */
static struct bhs_login_response *response_new(struct login *login, struct pdu_out **out)
{
	struct bhs_login_response *bhs;

	*out = conn_pdu(login->conn);
	if (!*out)
		return NULL;
	bhs = (struct bhs_login_response *)(*out)->head;
	bhs->opcode = OP_LOGIN_RESPONSE;
	memcpy(bhs->isid, login->isid, sizeof(bhs->isid));
	bhs->tsih = be16_put(login->tsih);
	bhs->itt = be32_put(login->itt);
	bhs->statsn = be32_put(login->statsn++);
	bhs->exp_cmdsn = be32_put(login->cmdsn);
	bhs->max_cmdsn = be32_put(login->cmdsn);
	return bhs;
}

void login_refuse(struct login *login, uint16_t status, const char *reason)
{
	struct conn *conn = login->conn;
	const struct iscsi_provider *provider = login->service->provider;
	struct bhs_login_response *bhs;
	struct pdu_out *out;
	bool told = link_log(conn->loop, "iscsi: %s: login refused (0x%04x): %s%s%s", conn->peer_text, status, reason,
			     login->initiator[0] ? ", initiator " : "", login->initiator);

	/* A peer that is refused all day must fill neither the log nor the inventory. */
	if (told && provider->login_refused)
		provider->login_refused(provider->arg, login->access ? login->access->key : 0, login->target_name,
					login->initiator, conn->peer_text, reason);
	conn_resume(conn);
	bhs = response_new(login, &out);
	if (!bhs)
		return;
	bhs->status = be16_put(status);
	conn_queue(conn, out);
	conn_finish(conn, reason);
}

/* The reply so far, as the answer to the request in hand. False: the connection has ended, and the login with it. */
static bool respond(struct login *login, uint8_t flags, uint32_t max_cmdsn)
{
	struct conn *conn = login->conn;
	struct bhs_login_response *bhs;
	struct pdu_out *out;

	/* §6.2: at most 64 unknown and all known keys: fits into the 8192 bytes that every initiator takes. */
	if (login->reply.failed || login->reply.len > DEFAULT_RECV_DATA) {
		login_refuse(login, LOGIN_OUT_OF_RESOURCES, "an answer that is too long");
		return false;
	}
	bhs = response_new(login, &out);
	if (!bhs)
		return false;
	bhs->flags = flags;
	bhs->max_cmdsn = be32_put(max_cmdsn);
	conn_queue_copy(conn, out, login->reply.data, login->reply.len);
	if (conn->state != CONN_OPEN)
		return false;
	buf_reset(&login->reply);
	return true;
}

/* ---- the full feature phase ---- */

bool login_succeed(struct login *login, uint16_t tsih, uint32_t max_cmdsn, uint32_t *statsn)
{
	struct conn *conn = login->conn;

	login->tsih = tsih;
	if (!respond(login, LOGIN_TRANSIT | (uint8_t)(login->stage << 2) | STAGE_FULL, max_cmdsn))
		return false;
	*statsn = login->statsn;
	login_free(login);
	conn_resume(conn);
	return true;
}

static void enter_full_feature(struct login *login)
{
	login->state = LOGIN_ADMISSION;
	conn_pause(login->conn);
	if (!login->discovery)
		conn_set_deadline(login->conn, LOGIN_OPEN_MS, "the target was not ready in time");
	login->service->admit(login);
}

/* ---- one request, once the target is known ---- */

static struct refusal operational(struct login *login)
{
	const char *wrong =
		negotiate(&login->negotiation, NEGOTIATE_LOGIN, buf_text(&login->text), login->text.len, &login->reply);

	if (wrong)
		return (struct refusal){ LOGIN_INITIATOR_ERROR, wrong };
	/* Leaving the security stage, or skipping it. */
	if (login->stage == STAGE_OPERATIONAL && !login->declared) {
		keys_add_number(&login->reply, "MaxRecvDataSegmentLength", MAX_RECV_DATA);
		login->declared = true;
	}
	return (struct refusal){ 0, NULL };
}

static struct refusal request_step(struct login *login, bool *transit)
{
	struct refusal refusal = { 0, NULL };
	const char *text = buf_text(&login->text);

	*transit = login->flags & LOGIN_TRANSIT;
	/* §13.9: in the first response to a request that named the target */
	if (!login->announced && !login->discovery) {
		keys_add_number(&login->reply, "TargetPortalGroupTag", 1);
		login->announced = true;
	}
	if (login->stage == STAGE_SECURITY) {
		refusal = security_step(login);
		if (!refusal.status)
			refusal = operational(login);
		if (login->security == SECURITY_METHOD_CHAP || login->security == SECURITY_CHALLENGED)
			*transit = false;
	} else if (keys_get(text, login->text.len, "AuthMethod") || keys_get(text, login->text.len, "CHAP_R")) {
		refusal = (struct refusal){ LOGIN_INITIATOR_ERROR, "security keys in the operational stage" };
	} else {
		refusal = security_finish(login);
		if (!refusal.status)
			refusal = operational(login);
	}
	if (!refusal.status && *transit)
		refusal = security_finish(login);
	return refusal;
}

static void login_step(struct login *login)
{
	struct conn *conn = login->conn;
	uint8_t next = login->flags & 3;
	struct refusal refusal;
	bool transit;

	login->state = LOGIN_STAGES;
	refusal = request_step(login, &transit);
	buf_reset(&login->text);
	if (refusal.status) {
		login_refuse(login, refusal.status, refusal.reason);
		return;
	}
	if (transit && next == STAGE_FULL) {
		enter_full_feature(login);
		return;
	}
	if (!respond(login, (uint8_t)(login->stage << 2) | (transit ? LOGIN_TRANSIT | next : 0), login->cmdsn))
		return;
	if (transit)
		login->stage = next;
	conn_resume(conn);
}

/* ---- the first request: who wants what ---- */

static void on_moved(void *arg)
{
	login_step(arg);
}

static void on_found(void *arg, const struct iscsi_access *access)
{
	struct conn *conn = arg;
	struct login *login;
	struct link_loop *owner;

	if (!conn_answered(conn))
		return;
	login = conn->user_arg;
	login->access = malloc(sizeof(*login->access));
	if (!login->access) {
		login_refuse(login, LOGIN_OUT_OF_RESOURCES, "out of memory");
		return;
	}
	*login->access = *access;
	if (!access->key) {
		login_refuse(login, access->login_status ? access->login_status : LOGIN_NOT_FOUND,
			     login->access->reason.text);
		return;
	}
	if (access->initiator[0] && strcasecmp(access->initiator, login->initiator)) {
		login_refuse(login, LOGIN_FORBIDDEN, "another initiator's target");
		return;
	}
	owner = login->service->loop_of(login->service, access->key);
	if (owner == conn->loop)
		login_step(login);
	else
		conn_move(conn, owner, on_moved);
}

static void find_target(struct login *login)
{
	struct conn *conn = login->conn;
	const struct iscsi_provider *provider = login->service->provider;

	login->state = LOGIN_FINDING;
	conn_pause(conn);
	conn->in_answer = true;
	provider->find(provider->arg, login->target_name, login->initiator, conn->loop->loop, on_found, conn);
}

static void copy_name(char out[ISCSI_NAME_MAX + 1], const char *name)
{
	size_t len = strlen(name);

	memcpy(out, name, len + 1); /* keys_is_iscsi_name: at most 223 bytes */
	/* §4.2.7.1: names are compared in lower case */
	for (size_t i = 0; i < len; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] - 'A' + 'a');
}

/* §6.3: the leading login's first request says who, to whom, and for what. */
static struct refusal identify(struct login *login)
{
	const char *text = buf_text(&login->text), *initiator, *target, *type;
	size_t len = login->text.len;

	initiator = keys_get(text, len, "InitiatorName");
	target = keys_get(text, len, "TargetName");
	type = keys_get(text, len, "SessionType");
	if (!initiator)
		return (struct refusal){ LOGIN_MISSING_PARAMETER, "no InitiatorName" };
	if (!keys_is_iscsi_name(initiator))
		return (struct refusal){ LOGIN_INITIATOR_ERROR, "InitiatorName is no iSCSI name" };
	copy_name(login->initiator, initiator);
	if (type && strcmp(type, "Normal") && strcmp(type, "Discovery"))
		return (struct refusal){ LOGIN_SESSION_TYPE, "unknown SessionType" };
	login->discovery = type && !strcmp(type, "Discovery");
	login->negotiation.discovery = login->discovery;
	if (login->discovery && login->tsih)
		return (struct refusal){ LOGIN_NO_SESSION, "a connection for a discovery session" };
	if (login->discovery)
		return (struct refusal){ 0, NULL };
	if (!target)
		return (struct refusal){ LOGIN_MISSING_PARAMETER, "no TargetName" };
	if (!keys_is_iscsi_name(target))
		return (struct refusal){ LOGIN_NOT_FOUND, "TargetName is no iSCSI name" };
	copy_name(login->target_name, target);
	return (struct refusal){ 0, NULL };
}

/* ---- every request ---- */

/* §11.12: what must hold of the header, before the text is looked at. */
static struct refusal check_header(const struct login *login, const struct bhs_login_request *bhs)
{
	bool transit = bhs->flags & LOGIN_TRANSIT, first = login->requests == 1;
	int current = (bhs->flags >> 2) & 3, next = bhs->flags & 3;
	const struct {
		bool wrong;
		uint16_t status;
		const char *reason;
	} rules[] = {
		/* §11.12.4: we have version 0 only */
		{ bhs->version_min > 0, LOGIN_UNSUPPORTED_VERSION, "no common protocol version" },
		{ login->requests > LOGIN_REQUESTS_MAX, LOGIN_INITIATOR_ERROR, "a login without an end" },
		{ bhs->ahs_words > 0, LOGIN_INITIATOR_ERROR, "an additional header segment" },
		/* §11.12.2 */
		{ transit && (bhs->flags & FLAG_CONTINUE), LOGIN_INITIATOR_ERROR, "T and C bit together" },
		/* §11.12.3 */
		{ current > STAGE_OPERATIONAL, LOGIN_INITIATOR_ERROR, "a reserved current stage" },
		{ transit && next == STAGE_RESERVED, LOGIN_INITIATOR_ERROR, "a reserved next stage" },
		{ transit && next <= current, LOGIN_INITIATOR_ERROR, "a next stage that is not later" },
		{ !first && current != login->stage, LOGIN_INITIATOR_ERROR, "a stage that was not agreed on" },
		/* §11.12.5 to §11.12.8: they name the session and the connection all through the login */
		{ !first && memcmp(bhs->isid, login->isid, sizeof(bhs->isid)), LOGIN_INITIATOR_ERROR,
		  "the ISID changed" },
		{ !first && be16_get(bhs->tsih) != login->tsih, LOGIN_INITIATOR_ERROR, "the TSIH changed" },
		{ !first && be16_get(bhs->cid) != login->cid, LOGIN_INITIATOR_ERROR, "the CID changed" },
		/* §11.12.5: T=11b is reserved */
		{ first && (bhs->isid[0] >> 6) == 3, LOGIN_INITIATOR_ERROR, "a reserved ISID format" },
	};

	for (size_t i = 0; i < array_len(rules); i++)
		if (rules[i].wrong)
			return (struct refusal){ rules[i].status, rules[i].reason };
	return (struct refusal){ 0, NULL };
}

static void take_header(struct login *login, const struct bhs_login_request *bhs)
{
	if (login->requests == 1) {
		memcpy(login->isid, bhs->isid, sizeof(login->isid));
		login->tsih = be16_get(bhs->tsih);
		login->cid = be16_get(bhs->cid);
		login->cmdsn = be32_get(bhs->cmdsn);
		login->statsn = login->service->first_statsn;
		login->stage = (bhs->flags >> 2) & 3;
		conn_set_deadline(login->conn, LOGIN_WHOLE_MS, "the login took too long");
	}
	login->itt = be32_get(bhs->itt);
	login->flags = bhs->flags;
}

/* Text of the request in hand is whole. */
static void login_text(struct login *login)
{
	const char *wrong = keys_check(buf_text(&login->text), login->text.len);
	struct refusal refusal = { wrong ? LOGIN_INITIATOR_ERROR : 0, wrong };

	if (!wrong && login->state == LOGIN_FIRST)
		refusal = identify(login);
	if (refusal.status)
		login_refuse(login, refusal.status, refusal.reason);
	else if (login->state == LOGIN_FIRST && !login->discovery)
		find_target(login);
	else
		login_step(login);
}

static void login_header(void *arg)
{
	struct login *login = arg;
	struct conn *conn = login->conn;
	uint8_t opcode = pdu_in_bhs(&conn->in)->opcode & OP_MASK;

	if (opcode == OP_LOGIN_REQUEST)
		return;
	/* §6.3: before the login has begun there is nobody to answer; afterwards there is. */
	if (login->requests == 0)
		conn_close(conn, "the first PDU is no Login Request");
	else
		login_refuse(login, LOGIN_INVALID_DURING_LOGIN, "another PDU than a Login Request");
}

static void login_pdu(void *arg)
{
	struct login *login = arg;
	struct conn *conn = login->conn;
	const struct bhs_login_request *bhs = (const struct bhs_login_request *)pdu_in_bhs(&conn->in);
	struct refusal refusal;

	login->requests++;
	refusal = check_header(login, bhs);
	if (login->requests == 1 || !refusal.status)
		take_header(login, bhs);
	if (refusal.status) {
		login_refuse(login, refusal.status, refusal.reason);
		return;
	}
	buf_add(&login->text, conn->segment.data, conn->segment.len);
	if (login->text.failed) {
		login_refuse(login, LOGIN_INITIATOR_ERROR, "a text that is too long");
		return;
	}
	if (bhs->flags & FLAG_CONTINUE) {
		/* §6.2: an empty answer asks for the rest */
		respond(login, (uint8_t)(login->stage << 2), login->cmdsn);
		return;
	}
	login_text(login);
}

int login_new(struct conn *conn, const struct login_service *service)
{
	static const struct conn_user user = { .receive_bytes = LOGIN_RECEIVE_BYTES,
					       .ack_at_once = true,
					       .header = login_header,
					       .pdu = login_pdu,
					       .lost = login_lost };
	struct login *login = calloc(1, sizeof(*login));

	if (!login)
		return -ENOMEM;
	login->service = service;
	login->conn = conn;
	buf_init(&login->text, KEYS_TEXT_MAX);
	buf_init(&login->reply, KEYS_TEXT_MAX);
	negotiation_init(&login->negotiation);
	list_init(&login->waiting_link);
	conn->in.max_data = LOGIN_DATA_MAX;
	conn_set_user(conn, &user, login);
	conn_set_deadline(conn, LOGIN_FIRST_MS, "no login request came");
	return 0;
}
