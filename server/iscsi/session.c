// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions: see session.h. Here: the order of commands (RFC 7143 §4.2.2), dispatch, and the session's end.
 *
 * Numbering: ExpCmdSN is the next command that will be taken in order; MaxCmdSN leaves room for what the window still
 * holds, and never goes back. ExpStatSN is not held against anybody: with ErrorRecoveryLevel 0 nothing depends on it,
 * and iPXE runs one ahead.
 */
#include "iscsi/session.h"

#include "base/log.h"
#include "iscsi/hub.h"
#include "iscsi/login.h"
#include "iscsi/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static void advance_window(struct session *session)
{
	unsigned used = session->numbered < session->window ? session->numbered : session->window;
	uint32_t max = session->exp_cmdsn + (session->window - used) - 1;

	if (serial_before(session->max_cmdsn, max))
		session->max_cmdsn = max;
}

void session_number(struct session *session, struct bhs_target *bhs, bool status)
{
	advance_window(session);
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

/* ---- dispatch ---- */

/* Its turn has come: a command, or another numbered (or immediate) request. */
static void session_dispatch(struct session *session, struct task *task, const struct bhs *bhs, const char *data,
			     size_t len)
{
	if (task) {
		transfer_command(session, task);
		return;
	}
	switch (bhs->opcode & OP_MASK) {
	case OP_NOP_OUT:
		nop_out(session, bhs, data, len);
		break;
	case OP_TASK_REQUEST:
		task_mgmt_request(session, (const struct bhs_task_request *)bhs);
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

static void hold(struct session *session, uint32_t cmdsn, struct task *task, const struct bhs *bhs, const char *data,
		 size_t len)
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
				transfer_free(task);
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
static void session_ordered(struct session *session, struct task *task, const struct bhs *bhs, const char *data,
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

void session_header(struct session *session, struct conn *conn)
{
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
		if (session->target)
			transfer_command_header(session, (const struct bhs_scsi_command *)bhs);
		break;
	case OP_DATA_OUT:
		conn->sink = SINK_DISCARD;
		if (session->target)
			transfer_data_header(session, (const struct bhs_data_out *)bhs);
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
			transfer_fail(session->receiving, SCSI_DATA_CORRUPTED);
		return false;
	}
	if (opcode != OP_DATA_OUT)
		session_end_after_sending(session, "data digest error");
	return opcode != OP_DATA_OUT;
}

void session_pdu(struct session *session, struct conn *conn)
{
	const struct bhs *bhs = pdu_in_bhs(&conn->in);
	uint8_t opcode = bhs->opcode & OP_MASK;
	struct task *task = session->receiving;

	session->receiving = NULL;
	if (session->ignored)
		return;
	session->receiving = task;
	if (conn->in.data_digest_bad && data_digest_error(session, bhs))
		return;
	session->receiving = NULL;
	switch (opcode) {
	case OP_DATA_OUT:
		if (session->target)
			transfer_data(session, (const struct bhs_data_out *)bhs, conn->in.data_digest_bad);
		break;
	case OP_SCSI_COMMAND:
	case OP_TASK_REQUEST:
		/* §4.3: a discovery session has text and logout only. */
		if (!session->target) {
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

/* ---- beginning ---- */

static struct session *session_alloc(struct hub *hub, const struct login *login)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->hub = hub;
	memcpy(session->isid, login->isid, sizeof(session->isid));
	memcpy(session->initiator, login->initiator, sizeof(session->initiator));
	session->cid = login->cid;
	session->boot = login->boot;
	session->ipxe = iscsi_is_ipxe(login->isid);
	session->params = login->negotiation.params;
	session->since_unix_ms = time_unix_ms();
	session->exp_cmdsn = login->cmdsn;
	session->max_cmdsn = login->cmdsn - 1;
	session->ping_ttt = session->text_ttt = TAG_NONE;
	buf_init(&session->text, 65536);
	buf_init(&session->text_reply, 4 << 20);
	list_init(&session->link);
	list_init(&session->ending_link);
	list_init(&session->held);
	list_init(&session->tasks);
	list_init(&session->ready);
	list_init(&session->solicit);
	/* What a window full of unsolicited data comes to is bounded. */
	session->window = SESSION_UNSOLICITED_BYTES / session->params.first_burst;
	if (session->window > SESSION_WINDOW || (session->params.initial_r2t && !session->params.immediate_data))
		session->window = SESSION_WINDOW;
	if (session->window < SESSION_WINDOW_MIN)
		session->window = SESSION_WINDOW_MIN;
	advance_window(session);
	return session;
}

/* SPC-4 §7.6.4.6: the TransportID of an initiator port. */
static void format_port_name(const struct session *session, char *out, size_t size)
{
	const uint8_t *isid = session->isid;

	snprintf(out, size, "%s,i,0x%02x%02x%02x%02x%02x%02x", session->initiator, isid[0], isid[1], isid[2], isid[3],
		 isid[4], isid[5]);
}

struct session *session_new(struct target *target, const struct login *login)
{
	struct session *session = session_alloc(target->hub, login);
	char port_name[ISCSI_NAME_MAX + 24];

	if (!session)
		return NULL;
	format_port_name(session, port_name, sizeof(port_name));
	if (scsi_nexus_open(target->scsi, port_name, &session->nexus)) {
		free(session);
		return NULL;
	}
	scsi_nexus_set_user(session->nexus, session);
	session->target = target;
	session->tsih = target_next_tsih(target);
	list_append(&target->sessions, &session->link);
	return session;
}

struct session *session_new_discovery(struct conn *conn, const struct login *login)
{
	struct session *session = session_alloc(conn->hub, login);

	if (session)
		session->tsih = 1;
	return session;
}

void session_start(struct session *session, struct conn *conn, uint32_t statsn)
{
	session->conn = conn;
	session->statsn = statsn;
	conn->session = session;
	memcpy(session->address, conn->peer_text, sizeof(session->address));
	conn->header_digest = session->params.header_digest;
	conn->data_digest = session->params.data_digest;
	conn->in.header_digest = conn->header_digest;
	conn->in.data_digest = conn->data_digest;
	conn->in.max_data = MAX_RECV_DATA;
	if (session->target) {
		conn_logged_in(conn);
		target_session_began(session->target, session);
	} else {
		conn->deadline_ms = time_monotonic_ms() + SESSION_DISCOVERY_MS;
		conn->deadline_why = "a discovery session that does not end";
	}
}

void session_info(const struct session *session, struct iscsi_session_info *info)
{
	uint64_t heard_ms = session->conn ? session->conn->last_rx_ms : session->heard_ms;

	*info = (struct iscsi_session_info){
		.key = session->target ? session->target->key : 0,
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
}

void session_first_read(struct session *session)
{
	const struct iscsi_provider *provider = session->hub->server->provider;
	struct iscsi_session_info info;

	session->has_read = true;
	if (!provider->first_read)
		return;
	session_info(session, &info);
	provider->first_read(provider->arg, &info);
}

uint64_t session_next_tick_ms(const struct session *session)
{
	/* iPXE never answers, and open-iscsi's kernel part always does. TCP notices the dead. */
	if (!session->target || session->ipxe || session->ping_ttt != TAG_NONE || session->conn->out_first)
		return UINT64_MAX;
	return session->conn->last_rx_ms + SESSION_PING_MS;
}

void session_tick(struct session *session, uint64_t now_ms)
{
	if (now_ms >= session_next_tick_ms(session))
		nop_ping(session);
}

/* ---- ending ---- */

static void drop_held(struct session *session)
{
	list_each(link, next, &session->held) {
		struct held *held = list_entry(link, struct held, link);

		list_remove(link);
		free(held);
	}
	session->held_bytes = 0;
}

void session_maybe_finish(struct session *session)
{
	if (!list_empty(&session->tasks))
		return;
	list_remove(&session->ending_link);
	text_fini(session);
	if (session->target)
		target_session_ended(session->target, session);
	free(session);
}

static bool match_all(const struct task *task, const void *arg)
{
	(void)task;
	(void)arg;
	return true;
}

void session_connection_lost(struct session *session, const char *why)
{
	if (session->ending)
		return;
	session->ending = true;
	if (session->conn)
		session->heard_ms = session->conn->last_rx_ms;
	session->conn = NULL;
	snprintf(session->end_why, sizeof(session->end_why), "%s", why);
	list_append(&session->hub->ending, &session->ending_link);
	drop_held(session);
	task_mgmt_forget_session(session);
	session_abort_tasks(session, match_all, NULL);
}

void session_end(struct session *session, const char *why)
{
	if (session->conn)
		conn_close(session->conn, why);
}

void session_end_after_sending(struct session *session, const char *why)
{
	struct conn *conn = session->conn;

	if (!conn)
		return;
	/* The session ends now; what is queued still goes out, and its tasks with it. */
	conn->session = NULL;
	conn_finish(conn);
	session_connection_lost(session, why);
}
