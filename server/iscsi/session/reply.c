// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a session says: PDUs and their numbers (RFC 7143 §4.2.2), Reject and asynchronous messages (§11.17, §11.9), the
 * end that follows an answer; and what the provider is told. See session.h.
 *
 * ExpCmdSN is the next command that will be taken in order; MaxCmdSN leaves room for what the window still holds, and
 * never goes back. ExpStatSN is not held against anybody: with ErrorRecoveryLevel 0 nothing depends on it, and iPXE runs
 * one ahead.
 */
#include "iscsi/session/session.h"

#include <string.h>

void session_advance_window(struct session *session)
{
	unsigned used = session->numbered < session->window ? session->numbered : session->window;
	uint32_t max = session->exp_cmdsn + (session->window - used) - 1;

	if (serial_before(session->max_cmdsn, max))
		session->max_cmdsn = max;
}

void session_number(struct session *session, struct bhs_target *bhs, bool status)
{
	session_advance_window(session);
	bhs->statsn = be32_put(session->statsn);
	if (status)
		session->statsn++;
	bhs->exp_cmdsn = be32_put(session->exp_cmdsn);
	bhs->max_cmdsn = be32_put(session->max_cmdsn);
}

struct bhs_target *session_answer(struct session *session, uint8_t opcode, uint32_t itt, struct pdu_out **out)
{
	struct bhs_target *bhs;

	*out = session->conn ? conn_pdu(session->conn) : NULL;
	if (!*out)
		return NULL;
	bhs = (struct bhs_target *)(*out)->head;
	bhs->opcode = opcode;
	bhs->flags = FLAG_FINAL;
	bhs->itt = be32_put(itt);
	return bhs;
}

uint32_t session_next_ttt(struct session *session)
{
	uint32_t ttt = session->next_ttt++;

	if (session->next_ttt == TAG_NONE)
		session->next_ttt = 0;
	return ttt;
}

/* ---- the end ---- */

void session_end(struct session *session, const char *why)
{
	if (session->conn)
		conn_close(session->conn, why);
}

void session_end_after_sending(struct session *session, const char *why)
{
	/* The session ends now; what is queued still goes out, and its tasks with it. */
	if (session->conn)
		conn_finish(session->conn, why);
}

/* ---- Reject ---- */

void session_reject(struct session *session, uint8_t reason, const struct bhs *rejected)
{
	struct pdu_out *out;
	struct bhs_target *bhs;

	/* iPXE closes when it sees one; it never does what is rejected here. */
	link_log(session->loop->link, "iscsi: %s, %s: opcode 0x%02x rejected, reason 0x%02x", session->address,
		 session->initiator, rejected->opcode & OP_MASK, reason);
	if (++session->rejects > SESSION_REJECTS_MAX) {
		session_end(session, "too many protocol errors");
		return;
	}
	bhs = session_answer(session, OP_REJECT, TAG_NONE, &out);
	if (!bhs)
		return;
	bhs->specific[0] = reason;
	session_number(session, bhs, true);
	conn_queue_copy(session->conn, out, rejected, BHS_BYTES);
}

/* ---- asynchronous messages ---- */

void async_scsi_event(struct session *session, const uint8_t lun[8], const void *sense, size_t len)
{
	uint8_t data[2 + SCSI_SENSE_MAX];
	const struct be16 sense_len = be16_put((uint16_t)len);
	struct pdu_out *out;
	struct bhs_async *bhs;

	if (session->ipxe)
		return;
	bhs = (struct bhs_async *)session_answer(session, OP_ASYNC, TAG_NONE, &out);
	if (!bhs)
		return;
	memcpy(bhs->lun, lun, sizeof(bhs->lun));
	session_number(session, (struct bhs_target *)bhs, true);
	bhs->event = ASYNC_SCSI;
	/* §11.9.4: SenseLength, then the sense data */
	memcpy(data, &sense_len, sizeof(sense_len));
	memcpy(data + sizeof(sense_len), sense, len);
	conn_queue_copy(session->conn, out, data, sizeof(sense_len) + len);
}

void async_request_logout(struct session *session, unsigned seconds)
{
	struct pdu_out *out;
	struct bhs_async *bhs;

	if (session->ipxe || !session->port)
		return;
	bhs = (struct bhs_async *)session_answer(session, OP_ASYNC, TAG_NONE, &out);
	if (!bhs)
		return;
	session_number(session, (struct bhs_target *)bhs, true);
	bhs->event = ASYNC_LOGOUT;
	bhs->parameter3 = be16_put((uint16_t)seconds);
	conn_queue(session->conn, out);
}

/* ---- what the provider is told ---- */

void session_info(const struct session *session, struct iscsi_session_info *info)
{
	uint64_t heard_ms = session->conn ? session->conn->last_rx_ms : session->heard_ms;

	*info = (struct iscsi_session_info){
		.key = session->port ? session->port->key : 0,
		.boot = session->boot,
		.ipxe = session->ipxe,
		.since_unix_ms = session->since_unix_ms,
		.bytes_read = session->bytes_read,
		.bytes_written = session->bytes_written,
		.commands = session->commands,
		.heard_unix_ms = time_unix_ms() - (int64_t)(time_monotonic_ms() - heard_ms),
	};
	memcpy(info->initiator, session->initiator, sizeof(info->initiator));
	memcpy(info->address, session->address, sizeof(info->address));
	memcpy(info->portal, session->portal, sizeof(info->portal));
}

void session_tell(const struct session *session, void (*event)(void *arg, const struct iscsi_session_info *session))
{
	struct iscsi_session_info info;

	if (!event)
		return;
	session_info(session, &info);
	event(session->loop->provider->arg, &info);
}
