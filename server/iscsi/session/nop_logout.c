// SPDX-License-Identifier: GPL-2.0-or-later
/* NOP and Logout (RFC 7143 §11.18, §11.14). */
#include "iscsi/session/session.h"

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
	session->ping_ttt = session_next_ttt(session);
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
