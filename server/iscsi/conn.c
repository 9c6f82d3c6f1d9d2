// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A TCP connection: see conn.h. Here its life and its output; conn_input.c has its input.
 */
#include "iscsi/conn.h"

#include "base/log.h"
#include "iscsi/conn_input.h"
#include "iscsi/hub.h"
#include "iscsi/login.h"
#include "iscsi/session.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	GATHER_MAX = 256,
	TURN_BYTES = 512 << 10, /* sent by a connection before others have their turn */
};

static void conn_on_poll(uv_poll_t *poll, int status, int events);
static void conn_on_poll_closed(uv_handle_t *handle);

static void set_option(int fd, int level, int name, int value)
{
	/* A missing option makes a connection slower or slower to die, not wrong. */
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		log_debug("iscsi: setsockopt(%d, %d): %s", level, name, strerror(errno));
}

static void set_options(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/*
	 * A dead peer is noticed after CONN_LOSS_MS without an ACK, whether we have something to send or not. A network
	 * that is away for less disturbs nothing; after more the initiator logs in anew, as open-iscsi does on its own
	 * account after 10 s, and iPXE when it is reset.
	 */
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, CONN_KEEPIDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, CONN_KEEPINTVL_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, (CONN_LOSS_MS / 1000 - CONN_KEEPIDLE_S) / CONN_KEEPINTVL_S + 1);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, CONN_LOSS_MS);
}

/* Tells libuv what we wait for. */
static void conn_watch(struct conn *conn)
{
	int events = 0;

	if (conn->state == CONN_CLOSED || conn->moving_to)
		return;
	if (conn->out_first)
		events |= UV_WRITABLE;
	if (conn->state == CONN_LINGERING || conn_wants_input(conn))
		events |= UV_READABLE;
	if (events == conn->events)
		return;
	conn->events = events;
	if (events)
		uv_poll_start(&conn->poll, events, conn_on_poll);
	else
		uv_poll_stop(&conn->poll);
}

static int conn_attach(struct conn *conn, struct hub *hub)
{
	int err = uv_poll_init(loop_uv(hub->loop), &conn->poll, conn->fd);

	if (err)
		return err;
	conn->hub = hub;
	conn->poll_open = true;
	conn->poll.data = conn;
	conn->events = 0;
	list_append(&hub->conns, &conn->link);
	if (conn->counted)
		hub->login_count++;
	return 0;
}

/* To be looked at before the loop sleeps. */
static void conn_mark(struct conn *conn)
{
	/* On its way to another loop it is nobody's. */
	if (!list_linked(&conn->dirty_link) && conn->state != CONN_CLOSED && !conn->moving_to)
		list_append(&conn->hub->dirty, &conn->dirty_link);
}

int conn_new(struct hub *hub, int fd, const struct endpoint *peer)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int err = -ENOMEM;

	if (!conn)
		goto fail;
	conn->fd = fd;
	conn->counted = true;
	conn->peer = *peer;
	conn->local.len = sizeof(conn->local.addr);
	if (getsockname(fd, (struct sockaddr *)&conn->local.addr, &conn->local.len)) {
		err = -errno;
		goto fail;
	}
	endpoint_format(peer, conn->peer_text);
	list_init(&conn->dirty_link);
	list_init(&conn->link);
	conn->out_last = &conn->out_first;
	set_options(fd);
	conn_input_init(conn);
	err = login_new(conn);
	if (err)
		goto fail;
	err = conn_attach(conn, hub);
	if (err) {
		login_free(conn->login);
		goto fail;
	}
	conn->last_rx_ms = time_monotonic_ms();
	conn->deadline_ms = conn->last_rx_ms + LOGIN_FIRST_MS;
	conn->deadline_why = "no login request came";
	server_live_get(hub->server);
	conn_mark(conn);
	return 0;
fail:
	close(fd);
	free(conn);
	return err;
}

/* ---- sending ---- */

struct pdu_out *conn_pdu(struct conn *conn)
{
	struct pdu_out *out = spares_get(&conn->hub->pdus, sizeof(*out));

	if (!out) {
		conn_close(conn, "out of memory");
		return NULL;
	}
	out->next = NULL;
	out->task = NULL;
	out->owned = NULL;
	out->iov = NULL;
	out->offset = out->data_len = 0;
	memset(out->head, 0, BHS_BYTES);
	return out;
}

static void pdu_done(struct hub *hub, struct pdu_out *out)
{
	struct task *task = out->task;

	free(out->owned);
	spares_put(&hub->pdus, out, UINT_MAX);
	if (task)
		answer_pdu_sent(task);
}

void conn_queue(struct conn *conn, struct pdu_out *out)
{
	if (conn->state != CONN_OPEN) {
		pdu_done(conn->hub, out);
		return;
	}
	pdu_out_seal(out, conn->header_digest, conn->data_digest);
	*conn->out_last = out;
	conn->out_last = &out->next;
	conn->unsent += out->total;
	conn_mark(conn);
}

void conn_queue_copy(struct conn *conn, struct pdu_out *out, const void *data, size_t len)
{
	if (len > 0) {
		out->owned = malloc(len);
		if (!out->owned) {
			pdu_done(conn->hub, out);
			conn_close(conn, "out of memory");
			return;
		}
		memcpy(out->owned, data, len);
		out->inline_iov = (struct iovec){ out->owned, len };
		out->iov = &out->inline_iov;
		out->data_len = len;
	}
	conn_queue(conn, out);
}

static void drop_output(struct conn *conn)
{
	while (conn->out_first) {
		struct pdu_out *out = conn->out_first;

		conn->out_first = out->next;
		pdu_done(conn->hub, out);
	}
	conn->out_last = &conn->out_first;
	conn->unsent = 0;
}

/* n bytes have gone: the PDUs that are whole are done. */
static void conn_sent(struct conn *conn, size_t n)
{
	conn->unsent -= n;
	while (n > 0) {
		struct pdu_out *out = conn->out_first;
		size_t take = min_u64(n, out->total - out->sent);

		out->sent += take;
		n -= take;
		if (out->sent < out->total)
			return;
		conn->out_first = out->next;
		if (!conn->out_first)
			conn->out_last = &conn->out_first;
		pdu_done(conn->hub, out);
	}
}

static void conn_flush(struct conn *conn)
{
	size_t sent = 0;

	/* What is left goes when the socket is said to be writable, in the next turn. */
	while (conn->out_first && sent < TURN_BYTES) {
		struct iovec iov[GATHER_MAX];
		struct msghdr msg = { .msg_iov = iov };
		size_t gathered = sent;
		int count = 0;
		bool whole = true;
		ssize_t n;

		for (const struct pdu_out *out = conn->out_first;
		     out && whole && count < GATHER_MAX && gathered < TURN_BYTES; out = out->next) {
			count += pdu_out_gather(out, iov + count, GATHER_MAX - count, &whole);
			gathered += out->total - out->sent;
		}
		msg.msg_iovlen = (size_t)count;
		n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			conn_close(conn, strerror(errno));
			return;
		}
		sent += (size_t)n;
		conn_sent(conn, (size_t)n);
		if (conn->state == CONN_CLOSED)
			return;
	}
}

/* ---- its end ---- */

static void conn_free(struct conn *conn)
{
	struct iscsi_server *server = conn->hub->server;

	conn_input_fini(conn);
	free(conn);
	server_live_put(server);
}

static void conn_on_poll_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;

	conn->poll_open = false;
	if (conn->moving_to) {
		loop_post(conn->moving_to->loop, &conn->msg);
		return;
	}
	close(conn->fd);
	if (!conn->in_answer)
		conn_free(conn);
}

static void conn_detach(struct conn *conn)
{
	if (conn->counted)
		conn->hub->login_count--;
	list_remove(&conn->link);
	list_remove(&conn->dirty_link);
	if (conn->hub->last == conn)
		conn->hub->last = NULL;
	uv_close((uv_handle_t *)&conn->poll, conn_on_poll_closed);
}

void conn_close(struct conn *conn, const char *why)
{
	if (conn->state == CONN_CLOSED)
		return;
	log_debug("iscsi: %s: connection closed: %s", conn->peer_text, why);
	conn->state = CONN_CLOSED;
	conn_detach(conn);
	conn->sink = SINK_DISCARD;
	conn->sink_task = NULL;
	if (conn->login) {
		login_abandon(conn->login);
		conn->login = NULL;
	}
	if (conn->session) {
		struct session *session = conn->session;

		conn->session = NULL;
		session_connection_lost(session, why);
	}
	drop_output(conn);
}

void conn_finish(struct conn *conn)
{
	if (conn->state != CONN_OPEN)
		return;
	conn->state = CONN_FINISHING;
	conn->sink = SINK_DISCARD;
	conn->sink_task = NULL;
	conn->deadline_ms = time_monotonic_ms() + CONN_LINGER_MS;
	conn->deadline_why = "the last answer was not taken";
	conn_mark(conn);
}

bool conn_answered(struct conn *conn)
{
	conn->in_answer = false;
	if (conn->state != CONN_CLOSED)
		return true;
	if (!conn->poll_open)
		conn_free(conn);
	return false;
}

void conn_tick(struct conn *conn, uint64_t now_ms)
{
	if (conn->deadline_ms && now_ms >= conn->deadline_ms)
		conn_close(conn, conn->deadline_why);
}

void conn_logged_in(struct conn *conn)
{
	conn->deadline_ms = 0;
	if (conn->counted)
		conn->hub->login_count--;
	conn->counted = false;
}

/* ---- moving ---- */

static void conn_arrive(struct loop_msg *msg)
{
	struct conn *conn = container_of(msg, struct conn, msg);
	struct hub *hub = conn->moving_to;

	conn->moving_to = NULL;
	if (conn_attach(conn, hub)) {
		/* Out of memory: there is no handle that could be closed. */
		conn->hub = hub;
		conn->state = CONN_CLOSED;
		close(conn->fd);
		login_abandon(conn->login);
		conn_free(conn);
		return;
	}
	if (hub->stopping)
		conn_close(conn, "the server stops");
	else
		conn->moved(conn);
}

void conn_move(struct conn *conn, struct hub *to, void (*moved)(struct conn *conn))
{
	assert(conn->held && !conn->session && conn->state == CONN_OPEN && !conn->out_first);
	conn->moving_to = to;
	conn->moved = moved;
	conn->msg.run = conn_arrive;
	conn_detach(conn);
}

/* ---- events ---- */

void conn_hold(struct conn *conn)
{
	conn->held = true;
}

void conn_resume(struct conn *conn)
{
	conn->held = false;
	conn_mark(conn);
}

void conn_work(struct conn *conn)
{
	if (conn->state == CONN_CLOSED || conn->moving_to)
		return;
	for (;;) {
		conn_flush(conn);
		/* What drained may have made room to go on: no event would come for bytes that we already have. */
		if (!conn->stalled || !conn_wants_input(conn))
			break;
		conn_parse_unread(conn);
	}
	if (conn->moving_to)
		return;
	if (conn->state == CONN_FINISHING && !conn->out_first) {
		/* A plain close would send RST, and with it the peer might lose our last words. */
		shutdown(conn->fd, SHUT_WR);
		conn->state = CONN_LINGERING;
	}
	conn_watch(conn);
}

/* libuv says EBADF whatever happened. */
static const char *socket_error(const struct conn *conn)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len) || !err)
		return "connection lost";
	return strerror(err);
}

/* Something has come, or can go. */
static void conn_do(struct conn *conn)
{
	/* All that can be answered now goes out now: by the next turn hundreds of other connections have used the caches. */
	loop_run_own(conn->hub->loop);
	/* It is not marked any more, so no round sees it: deadlines that it has now need the clock. */
	hub_wake(conn->hub);
	list_remove(&conn->dirty_link);
	conn_work(conn);
}

static void conn_on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *conn = poll->data;
	struct hub *hub = conn->hub;

	if (status < 0) {
		conn_close(conn, socket_error(conn));
		return;
	}
	loop_works(hub->loop);
	hub->last = conn;
	if (events & UV_READABLE)
		conn_receive(conn);
	conn_do(conn);
}

bool conn_look(struct conn *conn)
{
	uint64_t receives = conn->receives;

	if (!(conn->events & UV_READABLE))
		return false;
	conn_receive(conn);
	if (conn->receives == receives)
		return false;
	loop_works(conn->hub->loop);
	conn_do(conn);
	return true;
}

void conn_forget_task(struct conn *conn, const struct task *task)
{
	if (conn->sink_task != task)
		return;
	conn->sink_task = NULL;
	if (conn->sink == SINK_TASK)
		conn->sink = SINK_DISCARD;
}
