// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text negotiation in the full feature phase (RFC 7143 §11.10, §11.11) and SendTargets (Appendix C).
 *
 * One negotiation at a time. A request may come in several PDUs (C bit), and so may its answer: each part but the last
 * has the C bit and a Target Task Tag, with which the initiator asks for the next.
 */
#include "iscsi/session/session.h"

#include "base/log.h"
#include "iscsi/wire/keys.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void text_reset(struct session *session)
{
	buf_reset(&session->text);
	buf_reset(&session->text_reply);
	session->text_reply_at = 0;
	session->text_ttt = TAG_NONE;
}

void text_fini(struct session *session)
{
	buf_fini(&session->text);
	buf_fini(&session->text_reply);
}

/* Sends the reply, or its next part. */
static void text_respond(struct session *session)
{
	size_t len = session->text_reply.len - session->text_reply_at;
	bool more = len > session->params.max_send_data, ends = !more && session->text_final;
	struct pdu_out *out;
	struct bhs_target *bhs;

	if (session->text_reply.failed) {
		session_end(session, "a text answer that is too long");
		return;
	}
	if (more)
		len = session->params.max_send_data;
	bhs = session_answer(session, OP_TEXT_RESPONSE, session->text_itt, &out);
	if (!bhs)
		return;
	bhs->flags = (ends ? FLAG_FINAL : 0) | (more ? FLAG_CONTINUE : 0);
	if (!ends && session->text_ttt == TAG_NONE)
		session->text_ttt = session_next_ttt(session);
	bhs->ttt = be32_put(ends ? TAG_NONE : session->text_ttt);
	session_number(session, bhs, true);
	conn_queue_copy(session->conn, out, buf_text(&session->text_reply) + session->text_reply_at, len);
	session->text_reply_at += len;
	if (ends) {
		text_reset(session);
	} else if (!more) {
		buf_reset(&session->text_reply);
		session->text_reply_at = 0;
	}
}

/* ---- SendTargets ---- */

/* Appendix C: the target's name, and the address under which this initiator reached us. */
static void add_target(struct session *session, const char *iqn)
{
	const struct conn *conn = session->conn;
	const char *advertise = session->loop->advertise;
	char address[ISCSI_NAME_MAX + PARSE_ENDPOINT_TEXT], local[PARSE_ENDPOINT_TEXT];

	if (advertise)
		snprintf(address, sizeof(address), "%s:%u,1", advertise, endpoint_port(&conn->local));
	else
		snprintf(address, sizeof(address), "%s,1", endpoint_format(&conn->local, local));
	keys_add(&session->text_reply, "TargetName", iqn);
	keys_add(&session->text_reply, "TargetAddress", address);
}

static void on_listed(void *arg, const char *iqn, int err)
{
	struct conn *conn = arg;
	struct session *session = conn->user_arg; /* NULL: it has ended */

	if (iqn) {
		if (session && (!session->text_wanted[0] || !strcasecmp(session->text_wanted, iqn)))
			add_target(session, iqn);
		return;
	}
	if (!conn_answered(conn))
		return;
	/* Half a list would say that the other targets are gone. */
	if (err)
		session_end(session, "its targets could not be listed");
	else
		text_respond(session);
	conn_resume(conn);
}

/* True: the answer comes later. */
static bool send_targets(struct session *session, const char *value)
{
	const struct iscsi_provider *provider = session->loop->provider;
	struct conn *conn = session->conn;

	if (session->port) {
		/* A normal session is told about its own target only. */
		if (!strcmp(value, "All") || (value[0] && strcasecmp(value, session->port->iqn)))
			keys_add(&session->text_reply, "SendTargets", "Reject");
		else
			add_target(session, session->port->iqn);
		return false;
	}
	if (!value[0] || strlen(value) > ISCSI_NAME_MAX) {
		keys_add(&session->text_reply, "SendTargets", "Reject");
		return false;
	}
	snprintf(session->text_wanted, sizeof(session->text_wanted), "%s", strcmp(value, "All") ? value : "");
	conn_pause(conn);
	conn->in_answer = true;
	provider->list(provider->arg, session->initiator, session->loop->link->loop, on_listed, conn);
	return true;
}

/* ---- requests ---- */

/* The whole text is there. */
static void text_whole(struct session *session, const struct bhs *bhs)
{
	struct negotiation negotiation = { .params = session->params, .discovery = !session->port };
	const char *text = buf_text(&session->text), *wrong, *value;
	size_t len = session->text.len;
	bool later = false;

	wrong = keys_check(text, len);
	if (!wrong)
		wrong = negotiate(&negotiation, NEGOTIATE_FULL, text, len, &session->text_reply);
	if (wrong) {
		log_debug("iscsi: %s: text request: %s", session->initiator, wrong);
		text_reset(session);
		session_reject(session, REJECT_PROTOCOL, bhs);
		return;
	}
	/* §13.12: the one parameter that may change in the full feature phase */
	session->params.max_send_data = negotiation.params.max_send_data;
	value = keys_get(text, len, "SendTargets");
	if (value)
		later = send_targets(session, value);
	buf_reset(&session->text);
	if (!later)
		text_respond(session);
}

void text_request(struct session *session, const struct bhs *bhs, const char *data, size_t len)
{
	uint32_t itt = be32_get(bhs->itt), ttt = be32_get(((const struct bhs_initiator *)bhs)->ttt);
	bool continues = bhs->flags & FLAG_CONTINUE;

	/* §11.10.1, §11.10.4 */
	if (itt == TAG_NONE || (continues && (bhs->flags & FLAG_FINAL)) ||
	    (ttt != TAG_NONE && (ttt != session->text_ttt || itt != session->text_itt))) {
		session_reject(session, REJECT_INVALID_FIELD, bhs);
		return;
	}
	if (ttt == TAG_NONE)
		text_reset(session); /* a new negotiation: what was under way is forgotten */
	session->text_itt = itt;
	session->text_final = bhs->flags & FLAG_FINAL;
	if (session->text_reply_at < session->text_reply.len) {
		/* It asks for the rest of our answer, and has nothing to say itself. */
		if (len)
			session_reject(session, REJECT_PROTOCOL, bhs);
		else
			text_respond(session);
		return;
	}
	buf_add(&session->text, data, len);
	if (session->text.failed) {
		text_reset(session);
		session_reject(session, REJECT_OUT_OF_RESOURCES, bhs);
		return;
	}
	if (continues)
		text_respond(session); /* empty: the rest, please */
	else
		text_whole(session, bhs);
}
