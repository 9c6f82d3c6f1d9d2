// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose turn it is: the order of commands (RFC 7143 §4.2.2), and where each PDU goes. See session.h.
 */
#include "iscsi/session/session.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Its turn has come: a command, or another numbered (or immediate) request. */
static void session_dispatch(struct session *session, struct iscsi_task *task, const struct bhs *bhs, const char *data,
			     size_t len)
{
	if (task) {
		command_begin(session, task);
		return;
	}
	switch (bhs->opcode & OP_MASK) {
	case OP_NOP_OUT:
		nop_out(session, bhs, data, len);
		break;
	case OP_TASK_REQUEST:
		tmf_request(session, (const struct bhs_task_request *)bhs);
		break;
	case OP_TEXT_REQUEST:
		text_request(session, bhs, data, len);
		break;
	case OP_LOGOUT_REQUEST:
		logout_request(session, (const struct bhs_logout_request *)bhs);
		break;
	default: /* a command that was aborted before its turn: only its number counts */
		break;
	}
}

static void hold(struct session *session, uint32_t cmdsn, struct iscsi_task *task, const struct bhs *bhs,
		 const char *data, size_t len)
{
	struct list *after = session->held.prev;
	struct held *held;

	for (; after != &session->held; after = after->prev) {
		held = list_entry(after, struct held, link);
		if (serial_before(held->cmdsn, cmdsn))
			break;
		if (held->cmdsn == cmdsn) {
			/* §4.2.2.1: a duplicate is ignored. */
			if (task)
				command_free(task);
			return;
		}
	}
	if (len > SESSION_HELD_BYTES - session->held_bytes) {
		session_end(session, "too much data ahead of its turn");
		return;
	}
	held = malloc(sizeof(*held) + len);
	if (!held) {
		session_end(session, "out of memory");
		return;
	}
	held->cmdsn = cmdsn;
	held->task = task;
	held->bhs = *bhs;
	held->len = len;
	memcpy(held->data, len ? data : "", len);
	session->held_bytes += len;
	if (task)
		task->state = TASK_HELD;
	list_append(after->next, &held->link); /* before after's successor */
}

static void release_held(struct session *session)
{
	while (!session->ending && !list_empty(&session->held)) {
		struct held *held = list_entry(session->held.next, struct held, link);

		if (held->cmdsn != session->exp_cmdsn)
			return;
		list_remove(&held->link);
		session->held_bytes -= held->len;
		session->exp_cmdsn++;
		session_dispatch(session, held->task, &held->bhs, held->data, held->len);
		free(held);
	}
}

void session_skip_cmdsn(struct session *session, uint32_t cmdsn)
{
	/* Only its number counts, see session_dispatch. */
	const struct bhs nothing = { .opcode = OP_SCSI_COMMAND };

	hold(session, cmdsn, NULL, &nothing, NULL, 0);
	release_held(session);
}

/* A PDU with a CmdSN is whole. */
static void session_ordered(struct session *session, struct iscsi_task *task, const struct bhs *bhs, const char *data,
			    size_t len)
{
	uint32_t cmdsn = be32_get(((const struct bhs_initiator *)bhs)->cmdsn);

	if (bhs->opcode & OP_IMMEDIATE) {
		session_dispatch(session, task, bhs, data, len);
	} else if (cmdsn == session->exp_cmdsn) {
		session->exp_cmdsn++;
		session_dispatch(session, task, bhs, data, len);
		release_held(session);
	} else {
		hold(session, cmdsn, task, bhs, data, len);
	}
}

static bool has_cmdsn(uint8_t opcode)
{
	return opcode <= OP_LOGOUT_REQUEST && opcode != OP_LOGIN_REQUEST && opcode != OP_DATA_OUT;
}

static bool outside_window(const struct session *session, const struct bhs *bhs)
{
	uint32_t cmdsn = be32_get(((const struct bhs_initiator *)bhs)->cmdsn);

	return serial_before(cmdsn, session->exp_cmdsn) || serial_before(session->max_cmdsn, cmdsn);
}

void session_header(void *arg)
{
	struct session *session = arg;
	struct conn *conn = session->conn;
	const struct bhs *bhs = pdu_in_bhs(&conn->in);
	uint8_t opcode = bhs->opcode & OP_MASK;

	session->receiving = NULL;
	/* §4.2.2.1: what is outside the window is silently ignored. */
	session->ignored = has_cmdsn(opcode) && !(bhs->opcode & OP_IMMEDIATE) && outside_window(session, bhs);
	if (session->ignored) {
		log_debug("iscsi: %s: CmdSN %u outside of %u..%u", conn->peer_text,
			  be32_get(((const struct bhs_initiator *)bhs)->cmdsn), session->exp_cmdsn, session->max_cmdsn);
		conn->sink = SINK_DISCARD;
		return;
	}
	switch (opcode) {
	case OP_SCSI_COMMAND:
		conn->sink = SINK_DISCARD;
		if (session->port)
			command_header(session, (const struct bhs_scsi_command *)bhs);
		break;
	case OP_DATA_OUT:
		conn->sink = SINK_DISCARD;
		if (session->port)
			data_out_header(session, (const struct bhs_data_out *)bhs);
		break;
	case OP_NOP_OUT:
	case OP_TEXT_REQUEST:
		conn->sink = SINK_SEGMENT;
		break;
	default:
		conn->sink = SINK_DISCARD;
		break;
	}
}

/* §7.8 with ErrorRecoveryLevel 0. True: the PDU is done with. */
static bool data_digest_error(struct session *session, const struct bhs *bhs)
{
	uint8_t opcode = bhs->opcode & OP_MASK;

	session_reject(session, REJECT_DATA_DIGEST, bhs);
	if (opcode == OP_SCSI_COMMAND) {
		/* Its header is good: the command fails, and keeps its place in the order. */
		if (session->receiving)
			command_fail(session->receiving, SCSI_DATA_CORRUPTED);
		return false;
	}
	if (opcode != OP_DATA_OUT)
		session_end_after_sending(session, "data digest error");
	return opcode != OP_DATA_OUT;
}

void session_pdu(void *arg)
{
	struct session *session = arg;
	struct conn *conn = session->conn;
	const struct bhs *bhs = pdu_in_bhs(&conn->in);
	uint8_t opcode = bhs->opcode & OP_MASK;
	struct iscsi_task *task = session->receiving;

	session->receiving = NULL;
	if (session->ignored)
		return;
	session->receiving = task;
	if (conn->in.data_digest_bad && data_digest_error(session, bhs))
		return;
	session->receiving = NULL;
	switch (opcode) {
	case OP_DATA_OUT:
		if (session->port)
			data_out_pdu(session, (const struct bhs_data_out *)bhs, conn->in.data_digest_bad);
		break;
	case OP_SCSI_COMMAND:
	case OP_TASK_REQUEST:
		/* §4.3: a discovery session has text and logout only. */
		if (!session->port) {
			session_reject(session, REJECT_PROTOCOL, bhs);
			session_end_after_sending(session, "a SCSI request in a discovery session");
			break;
		}
		session_ordered(session, task, bhs, NULL, 0);
		break;
	case OP_NOP_OUT:
	case OP_TEXT_REQUEST:
	case OP_LOGOUT_REQUEST:
		session_ordered(session, NULL, bhs, conn->segment.data, conn->segment.len);
		break;
	case OP_SNACK_REQUEST:
		/* §11.16: nothing is kept for it with ErrorRecoveryLevel 0 */
		session_reject(session, REJECT_SNACK, bhs);
		break;
	case OP_LOGIN_REQUEST:
		session_reject(session, REJECT_PROTOCOL, bhs);
		session_end_after_sending(session, "a Login Request in the full feature phase");
		break;
	default:
		session_reject(session, REJECT_UNSUPPORTED, bhs);
		break;
	}
}

void session_drop_held(struct session *session)
{
	list_each(link, next, &session->held)
	{
		struct held *held = list_entry(link, struct held, link);

		list_remove(link);
		free(held);
	}
	session->held_bytes = 0;
}
