// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a session: see session.h. */
#include "iscsi/session/session.h"

#include "base/log.h"
#include "iscsi/login/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void session_loop_init(struct session_loop *loop, struct link_loop *link, const struct iscsi_provider *provider,
		       const char *advertise)
{
	loop->link = link;
	loop->provider = provider;
	loop->advertise = advertise;
	list_init(&loop->ending);
}

void session_loop_fini(struct session_loop *loop)
{
	free_list_fini(&loop->tasks);
	chunk_pool_fini(&loop->chunks);
}

/* ---- beginning ---- */

static struct session *session_alloc(struct session_loop *loop, const struct login *login)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->loop = loop;
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
	session_advance_window(session);
	return session;
}

/* SPC-4 §7.6.4.6: the TransportID of an initiator port. */
static void format_port_name(const struct session *session, char *out, size_t size)
{
	const uint8_t *isid = session->isid;

	snprintf(out, size, "%s,i,0x%02x%02x%02x%02x%02x%02x", session->initiator, isid[0], isid[1], isid[2], isid[3],
		 isid[4], isid[5]);
}

/* §11.12.6 */
static uint16_t next_tsih(struct target_port *port)
{
	bool used;

	do {
		if (++port->last_tsih == 0)
			port->last_tsih = 1; /* 0 asks for a new session */
		used = false;
		list_each(link, next, &port->sessions) used |=
			list_entry(link, struct session, link)->tsih == port->last_tsih;
	} while (used);
	return port->last_tsih;
}

struct session *session_new(struct session_loop *loop, struct target_port *port, const struct login *login)
{
	struct session *session = session_alloc(loop, login);
	char port_name[ISCSI_NAME_MAX + 24];

	if (!session)
		return NULL;
	session->tsih = 1;
	if (!port)
		return session;
	format_port_name(session, port_name, sizeof(port_name));
	if (scsi_nexus_open(port->scsi, port_name, &session->nexus)) {
		free(session);
		return NULL;
	}
	scsi_nexus_set_user(session->nexus, session);
	session->port = port;
	session->tsih = next_tsih(port);
	list_append(&port->sessions, &session->link);
	return session;
}

/* When a ping is due, if nothing comes until then. */
static uint64_t ping_ms(const struct session *session)
{
	/* iPXE never answers, and open-iscsi's kernel part always does. TCP notices the dead. */
	if (!session->port || session->ipxe || session->ping_ttt != TAG_NONE || session->conn->out_first)
		return UINT64_MAX;
	return session->conn->last_rx_ms + SESSION_PING_MS;
}

static uint64_t session_tick(void *arg, uint64_t now_ms)
{
	struct session *session = arg;
	uint64_t due_ms = ping_ms(session);

	if (now_ms < due_ms)
		return due_ms;
	nop_ping(session);
	return UINT64_MAX;
}

static const struct conn_user session_user = {
	.receive_bytes = RX_BLOCK_BYTES,
	.header = session_header,
	.pdu = session_pdu,
	.take = data_out_take,
	.slice = data_out_room,
	.sent = response_sent,
	.lost = session_lost,
	.tick = session_tick,
};

void session_start(struct session *session, struct conn *conn, uint32_t statsn)
{
	session->conn = conn;
	session->statsn = statsn;
	conn_set_user(conn, &session_user, session);
	memcpy(session->address, conn->peer_text, sizeof(session->address));
	endpoint_format(&conn->local, session->portal);
	conn->header_digest = session->params.header_digest;
	conn->data_digest = session->params.data_digest;
	conn->in.header_digest = conn->header_digest;
	conn->in.data_digest = conn->data_digest;
	conn->in.max_data = MAX_RECV_DATA;
	if (session->port) {
		conn_logged_in(conn);
		log_info("iscsi: %s: session of %s from %s%s, boot %llu", session->port->iqn, session->initiator,
			 session->address, session->ipxe ? " (iPXE)" : "", (unsigned long long)session->boot);
		session_tell(session, session->loop->provider->session_began);
	} else {
		conn_set_deadline(conn, SESSION_DISCOVERY_MS, "a discovery session that does not end");
	}
}

struct session *session_of(const struct conn *conn)
{
	return conn->user == &session_user ? conn->user_arg : NULL;
}

/* ---- ending ---- */

static void tell_ended(const struct session *session)
{
	const struct iscsi_provider *provider = session->loop->provider;
	struct iscsi_session_info info;

	log_info("iscsi: %s: session of %s from %s ended: %s", session->port->iqn, session->initiator, session->address,
		 session->end_why);
	if (!provider->session_ended)
		return;
	session_info(session, &info);
	provider->session_ended(provider->arg, &info, session->end_why);
}

static void session_maybe_finish(struct session *session)
{
	if (!list_empty(&session->tasks))
		return;
	list_remove(&session->ending_link);
	text_fini(session);
	if (session->port) {
		list_remove(&session->link);
		scsi_nexus_close(session->nexus);
		session->port->changed(session->port);
		tell_ended(session);
	}
	free(session);
}

void session_finish_all(struct session_loop *loop)
{
	list_each(link, next, &loop->ending) session_maybe_finish(list_entry(link, struct session, ending_link));
}

static bool match_all(const struct iscsi_task *task, const void *arg)
{
	(void)task;
	(void)arg;
	return true;
}

void session_lost(void *arg, const char *why)
{
	struct session *session = arg;

	if (session->conn)
		session->heard_ms = session->conn->last_rx_ms;
	session->ending = true;
	session->conn = NULL;
	snprintf(session->end_why, sizeof(session->end_why), "%s", why);
	list_append(&session->loop->ending, &session->ending_link);
	session_drop_held(session);
	tmf_forget_session(session);
	session_abort_tasks(session, match_all, NULL);
}
