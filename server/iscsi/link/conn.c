// SPDX-License-Identifier: GPL-2.0-or-later
/* A TCP connection: see conn.h. Here its life and its output; conn_input.c has its input and its events. */
#include "iscsi/link/conn.h"

#include "base/log.h"
#include "iscsi/link/link_loop.h"

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

void conn_set_keepalive(const struct conn *conn, bool soon)
{
	set_option(conn->fd, IPPROTO_TCP, TCP_KEEPIDLE, soon ? 1 : CONN_KEEPIDLE_S);
	set_option(conn->fd, IPPROTO_TCP, TCP_KEEPINTVL, soon ? 1 : CONN_KEEPINTVL_S);
}

uint64_t conn_last_ack_ms(const struct conn *conn)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? UINT64_MAX : info.tcpi_last_ack_recv;
}

static int conn_attach(struct conn *conn, struct link_loop *loop)
{
	int err = uv_poll_init(loop_uv(loop->loop), &conn->poll, conn->fd);

	if (err)
		return err;
	conn->loop = loop;
	conn->poll_open = true;
	conn->poll.data = conn;
	conn->events = 0;
	list_append(&loop->conns, &conn->link);
	if (conn->counted)
		loop->login_count++;
	return 0;
}

/* It has something to do before the loop sleeps. */
static void conn_mark(struct conn *conn)
{
	/* On its way to another loop it is nobody's. */
	if (!list_linked(&conn->busy_link) && conn->state != CONN_CLOSED && !conn->moving_to)
		list_append(&conn->loop->busy, &conn->busy_link);
}

void conn_set_user(struct conn *conn, const struct conn_user *user, void *arg)
{
	conn->user = user;
	conn->user_arg = arg;
}

/* The user who has it now, if any, has it no more. */
static void conn_lose_user(struct conn *conn, const char *why)
{
	void *arg = conn->user_arg;

	conn->user_arg = NULL;
	conn->sink = SINK_DISCARD;
	conn->sink_to = NULL;
	if (arg)
		conn->user->lost(arg, why);
}

void conn_set_deadline(struct conn *conn, unsigned ms, const char *why)
{
	conn->deadline_ms = time_monotonic_ms() + ms;
	conn->deadline_why = why;
}

int conn_new(struct link_loop *loop, int fd, const struct endpoint *peer)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int err = -ENOMEM;

	if (!conn)
		goto fail;
	conn->loop = loop;
	conn->fd = fd;
	conn->counted = true;
	conn->peer = *peer;
	conn->local.len = sizeof(conn->local.addr);
	if (getsockname(fd, (struct sockaddr *)&conn->local.addr, &conn->local.len)) {
		err = -errno;
		goto fail;
	}
	endpoint_format(peer, conn->peer_text);
	list_init(&conn->busy_link);
	list_init(&conn->link);
	conn->out_last = &conn->out_first;
	set_options(fd);
	pdu_in_init(&conn->in, 0); /* max_data is the user's to say */
	buf_init(&conn->segment, MAX_RECV_DATA);
	conn->last_rx_ms = time_monotonic_ms();
	err = loop->accepted(conn);
	if (err)
		goto fail;
	err = conn_attach(conn, loop);
	if (err) {
		conn_lose_user(conn, "out of memory");
		goto fail;
	}
	live_get(loop->live);
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
	struct pdu_out *out = free_list_get(&conn->loop->pdus, sizeof(*out));

	if (!out) {
		conn_close(conn, "out of memory");
		return NULL;
	}
	out->next = NULL;
	out->mark = NULL;
	out->owned = NULL;
	out->iov = NULL;
	out->offset = out->data_len = 0;
	memset(out->head, 0, BHS_BYTES);
	return out;
}

static void pdu_done(struct conn *conn, struct pdu_out *out)
{
	void *mark = out->mark;

	free(out->owned);
	free_list_put(&conn->loop->pdus, out, UINT_MAX);
	if (mark)
		conn->user->sent(mark);
}

void conn_queue(struct conn *conn, struct pdu_out *out)
{
	if (conn->state != CONN_OPEN) {
		pdu_done(conn, out);
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
			pdu_done(conn, out);
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
		pdu_done(conn, out);
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
		pdu_done(conn, out);
	}
}

void conn_flush(struct conn *conn)
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
	struct live *live = conn->loop->live;

	free(conn->unread);
	buf_fini(&conn->segment);
	free(conn);
	live_put(live);
}

static void on_poll_closed(uv_handle_t *handle)
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
		conn->loop->login_count--;
	list_remove(&conn->link);
	list_remove(&conn->busy_link);
	if (conn->loop->last == conn)
		conn->loop->last = NULL;
	uv_close((uv_handle_t *)&conn->poll, on_poll_closed);
}

void conn_close(struct conn *conn, const char *why)
{
	if (conn->state == CONN_CLOSED)
		return;
	log_debug("iscsi: %s: connection closed: %s", conn->peer_text, why);
	conn->state = CONN_CLOSED;
	conn_detach(conn);
	conn_lose_user(conn, why);
	drop_output(conn);
}

void conn_finish(struct conn *conn, const char *why)
{
	if (conn->state != CONN_OPEN)
		return;
	conn->state = CONN_FINISHING;
	conn_set_deadline(conn, CONN_LINGER_MS, "the last answer was not taken");
	conn_mark(conn);
	conn_lose_user(conn, why);
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

void conn_logged_in(struct conn *conn)
{
	conn->deadline_ms = 0;
	if (conn->counted)
		conn->loop->login_count--;
	conn->counted = false;
}

/* ---- moving ---- */

static void conn_arrive(struct loop_msg *msg)
{
	struct conn *conn = container_of(msg, struct conn, msg);
	struct link_loop *loop = conn->moving_to;

	conn->moving_to = NULL;
	if (conn_attach(conn, loop)) {
		/* Out of memory: there is no handle that could be closed. */
		conn->loop = loop;
		conn->state = CONN_CLOSED;
		close(conn->fd);
		conn_lose_user(conn, "out of memory");
		conn_free(conn);
		return;
	}
	if (loop->stopping)
		conn_close(conn, "the server stops");
	else
		conn->moved(conn->user_arg);
}

void conn_move(struct conn *conn, struct link_loop *to, void (*moved)(void *user_arg))
{
	assert(conn->paused && conn->state == CONN_OPEN && !conn->out_first);
	conn->moving_to = to;
	conn->moved = moved;
	conn->msg.run = conn_arrive;
	conn_detach(conn);
}

void conn_pause(struct conn *conn)
{
	conn->paused = true;
}

void conn_resume(struct conn *conn)
{
	conn->paused = false;
	conn_mark(conn);
}

void conn_forget_sink(struct conn *conn, const void *sink_to)
{
	if (conn->sink_to != sink_to)
		return;
	conn->sink_to = NULL;
	if (conn->sink == SINK_USER)
		conn->sink = SINK_DISCARD;
}
