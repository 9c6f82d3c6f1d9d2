// SPDX-License-Identifier: GPL-2.0-or-later
/* NOP, Logout, Reject and asynchronous messages (RFC 7143 §11.18, §11.14, §11.17, §11.9). */
#include "iscsi/session.h"

#include "iscsi/hub.h"

#include <string.h>

/* ---- NOP ---- */

void nop_out(struct session *session, const struct bhs *bhs, const char *data, size_t len)
{
	const struct bhs_initiator *request = (const struct bhs_initiator *)bhs;
	uint32_t itt = be32_get(bhs->itt);
	struct bhs_target *reply;
	struct pdu_out *out;

	if (itt == TAG_NONE) {
		/* §11.18.1: the answer to a ping of ours, or nothing at all */
		if (be32_get(request->ttt) == session->ping_ttt)
			session->ping_ttt = TAG_NONE;
		return;
	}
	reply = session_answer(session, OP_NOP_IN, itt, &out);
	if (!reply)
		return;
	memcpy(reply->lun, bhs->lun, sizeof(reply->lun));
	reply->ttt = be32_put(TAG_NONE);
	session_number(session, reply, true);
	/* §11.19.3: as much of the ping data as the initiator takes */
	conn_queue_copy(session->conn, out, data, min_u64(len, session->params.max_send_data));
}

void nop_ping(struct session *session)
{
	struct pdu_out *out;
	struct bhs_target *bhs = session_answer(session, OP_NOP_IN, TAG_NONE, &out);

	if (!bhs)
		return;
	session->ping_ttt = session->next_ttt++;
	if (session->next_ttt == TAG_NONE)
		session->next_ttt = 0;
	bhs->ttt = be32_put(session->ping_ttt);
	session_number(session, bhs, false); /* §11.19.2: StatSN does not advance */
	conn_queue(session->conn, out);
}

/* ---- Logout ---- */

enum { LOGOUT_SESSION = 0, LOGOUT_CONNECTION = 1, LOGOUT_RECOVERY = 2 };
enum { LOGGED_OUT = 0, CID_NOT_FOUND = 1, RECOVERY_UNSUPPORTED = 2 };

void logout_request(struct session *session, const struct bhs_logout_request *bhs)
{
	uint8_t reason = bhs->reason & 0x7f, response = LOGGED_OUT;
	struct bhs_logout_response *reply;
	struct pdu_out *out;

	if (reason > LOGOUT_RECOVERY) {
		session_reject(session, REJECT_INVALID_FIELD, (const struct bhs *)bhs);
		return;
	}
	if (reason == LOGOUT_RECOVERY)
		response = RECOVERY_UNSUPPORTED;
	else if (reason == LOGOUT_CONNECTION && be16_get(bhs->cid) != session->cid)
		response = CID_NOT_FOUND;
	reply = (struct bhs_logout_response *)session_answer(session, OP_LOGOUT_RESPONSE, be32_get(bhs->itt), &out);
	if (!reply)
		return;
	reply->response = response;
	session_number(session, (struct bhs_target *)reply, true);
	reply->time2wait = be16_put((uint16_t)session->params.time2wait);
	conn_queue(session->conn, out);
	if (response == LOGGED_OUT)
		session_end_after_sending(session, "logged out");
}

/* ---- Reject ---- */

void session_reject(struct session *session, uint8_t reason, const struct bhs *rejected)
{
	struct pdu_out *out;
	struct bhs_target *bhs;

	/* iPXE closes when it sees one; it never does what is rejected here. */
	hub_log(session->hub, "iscsi: %s, %s: opcode 0x%02x rejected, reason 0x%02x", session->address,
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

	if (session->ipxe || !session->target)
		return;
	bhs = (struct bhs_async *)session_answer(session, OP_ASYNC, TAG_NONE, &out);
	if (!bhs)
		return;
	session_number(session, (struct bhs_target *)bhs, true);
	bhs->event = ASYNC_LOGOUT;
	bhs->parameter3 = be16_put((uint16_t)seconds);
	conn_queue(session->conn, out);
}
