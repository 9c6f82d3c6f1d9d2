// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A connection's input, and what its loop tells it: see conn.h. One receive takes up to RX_BLOCK_BYTES into memory
 * that the loop's connections share (rx_pool.h); in the middle of a large data segment the receive goes straight into
 * the user's own memory, and only what follows into the shared one. What cannot be parsed yet is copied to
 * conn->unread.
 */
#include "iscsi/link/conn.h"

#include "iscsi/link/link_loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	DIRECT_MIN = 8192, /* bytes still to come that make a direct receive worth while */
	DIRECT_PIECES = 8,
	ACK_BELOW = 8192, /* bytes of a receive; the kernel acknowledges by itself what is some segments long */
};

/* Whether PDUs may be parsed at present. */
static bool wants_input(const struct conn *conn)
{
	return conn->state == CONN_OPEN && !conn->paused && conn->unsent < CONN_UNSENT_MAX;
}

/* ---- parsing ---- */

static void header_came(struct conn *conn)
{
	buf_reset(&conn->segment);
	conn->sink = SINK_SEGMENT;
	conn->user->header(conn->user_arg);
}

static void data_came(struct conn *conn, const uint8_t *piece, size_t len)
{
	if (conn->sink == SINK_SEGMENT) {
		buf_add(&conn->segment, piece, len);
	} else if (conn->sink == SINK_USER) {
		size_t n = min_u64(len, conn->sink_left);

		conn->user->take(conn->sink_to, conn->sink_offset, piece, n);
		conn->sink_offset += n;
		conn->sink_left -= n;
	}
}

static void pdu_came(struct conn *conn)
{
	if (conn->segment.failed)
		conn_close(conn, "out of memory");
	else
		conn->user->pdu(conn->user_arg);
}

/* Handles PDUs until the bytes are used up or must wait; returns how many bytes were used. */
static size_t parse(struct conn *conn, const uint8_t *data, size_t len)
{
	const uint8_t *at = data, *piece;
	size_t left = len, piece_len;

	conn->stalled = false;
	for (;;) {
		if (!wants_input(conn)) {
			conn->stalled = true;
			break;
		}
		switch (pdu_in_next(&conn->in, &at, &left, &piece, &piece_len)) {
		case PDU_MORE:
			return len;
		case PDU_HEADER:
			header_came(conn);
			break;
		case PDU_DATA:
			data_came(conn, piece, piece_len);
			break;
		case PDU_END:
			pdu_came(conn);
			break;
		case PDU_BAD_HEADER_DIGEST:
			/* §7.8: nothing in it can be trusted; with ErrorRecoveryLevel 0 the session ends. */
			conn_close(conn, "header digest error");
			return len;
		case PDU_TOO_LONG:
			conn_close(conn, "a data segment longer than we said we take");
			return len;
		}
	}
	return len - left;
}

static void keep_unread(struct conn *conn, const uint8_t *data, size_t len)
{
	if (!len || conn->state == CONN_CLOSED)
		return;
	conn->unread = malloc(len);
	if (!conn->unread) {
		conn_close(conn, "out of memory");
		return;
	}
	memcpy(conn->unread, data, len);
	conn->unread_at = 0;
	conn->unread_len = len;
}

/* Goes on with what was read before parsing had to stop. */
static void parse_unread(struct conn *conn)
{
	/* Without unread bytes: an end of PDU that needs none may be waiting. */
	const uint8_t *data = conn->unread ? conn->unread + conn->unread_at : conn->loop->rx.now->bytes;

	conn->unread_at += parse(conn, data, conn->unread_len - conn->unread_at);
	if (conn->unread_at < conn->unread_len)
		return;
	free(conn->unread);
	conn->unread = NULL;
	conn->unread_at = conn->unread_len = 0;
}

/* ---- receiving ---- */

static void quick_ack(struct conn *conn)
{
	int on = 1;

	/*
	 * iPXE sends a PDU's header and data in two segments and waits for the ACK of the first: whoever is in the
	 * middle of a PDU gets his ACK at once. The kernel forgets the option, so it is set each time.
	 */
	setsockopt(conn->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* The direct part of a receive: where the rest of the data segment belongs. */
static int direct_pieces(struct conn *conn, struct iovec *iov, size_t *len)
{
	int pieces;

	*len = 0;
	if (conn->in.state != PDU_IN_DATA || conn->sink != SINK_USER)
		return 0;
	*len = min_u64(conn->in.data_left, conn->sink_left);
	if (*len < DIRECT_MIN) {
		*len = 0;
		return 0;
	}
	pieces = conn->user->slice(conn->sink_to, conn->sink_offset, *len, iov, DIRECT_PIECES);
	if (!pieces)
		*len = 0;
	return pieces;
}

static void direct_received(struct conn *conn, const struct iovec *iov, size_t len)
{
	conn->sink_offset += len;
	conn->sink_left -= len;
	for (; len > 0; iov++) {
		size_t n = min_u64(iov->iov_len, len);

		pdu_in_direct(&conn->in, iov->iov_base, n);
		len -= n;
	}
}

/* The socket is readable. */
static void receive(struct conn *conn)
{
	struct iovec iov[DIRECT_PIECES + 1];
	struct rx_pool *rx = &conn->loop->rx;
	struct msghdr msg = { .msg_iov = iov };
	size_t direct, used, indirect;
	int pieces = 0;
	ssize_t n;

	if (conn->state == CONN_OPEN && (!wants_input(conn) || conn->stalled))
		return;
	pieces = direct_pieces(conn, iov, &direct);
	iov[pieces] = (struct iovec){ rx->now->bytes, conn->user->receive_bytes };
	msg.msg_iovlen = (size_t)pieces + 1;
	n = recvmsg(conn->fd, &msg, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(conn, n ? strerror(errno) : "closed by the peer");
		return;
	}
	if (conn->state != CONN_OPEN)
		return; /* FINISHING, LINGERING: nobody listens any more */
	conn->last_rx_ms = uv_now(loop_uv(conn->loop->loop));
	conn->receives++;
	used = min_u64((size_t)n, direct);
	direct_received(conn, iov, used);
	indirect = (size_t)n - used;
	used = parse(conn, rx->now->bytes, indirect);
	keep_unread(conn, rx->now->bytes + used, indirect - used);
	rx_pool_turn(rx);
	if (n < ACK_BELOW && conn->state == CONN_OPEN && (pdu_in_partial(&conn->in) || conn->user->ack_at_once))
		quick_ack(conn);
}

/* ---- events ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

/* Tells libuv what we wait for. */
static void watch(struct conn *conn)
{
	int events = 0;

	if (conn->state == CONN_CLOSED || conn->moving_to)
		return;
	if (conn->out_first)
		events |= UV_WRITABLE;
	if (conn->state == CONN_LINGERING || wants_input(conn))
		events |= UV_READABLE;
	if (events == conn->events)
		return;
	conn->events = events;
	if (events)
		uv_poll_start(&conn->poll, events, on_poll);
	else
		uv_poll_stop(&conn->poll);
}

/* Sends, and handles what could not be handled before. */
static void conn_work(struct conn *conn)
{
	if (conn->state == CONN_CLOSED || conn->moving_to)
		return;
	for (;;) {
		conn_flush(conn);
		/* What drained may have made room to go on: no event would come for bytes that we already have. */
		if (!conn->stalled || !wants_input(conn))
			break;
		parse_unread(conn);
	}
	if (conn->moving_to)
		return;
	if (conn->state == CONN_FINISHING && !conn->out_first) {
		/* A plain close would send RST, and with it the peer might lose our last words. */
		shutdown(conn->fd, SHUT_WR);
		conn->state = CONN_LINGERING;
	}
	watch(conn);
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
static void work_now(struct conn *conn)
{
	/* All that can be answered now goes out now: by the next turn hundreds of other connections have used the caches. */
	loop_run_own(conn->loop->loop);
	/* It is not marked any more, so no round sees it: deadlines that it has now need the clock. */
	link_wake(conn->loop);
	list_remove(&conn->busy_link);
	conn_work(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *conn = poll->data;

	if (status < 0) {
		conn_close(conn, socket_error(conn));
		return;
	}
	loop_works(conn->loop->loop);
	conn->loop->last = conn;
	if (events & UV_READABLE)
		receive(conn);
	work_now(conn);
}

bool conn_busy_poll(void *arg)
{
	struct link_loop *loop = arg;
	struct conn *conn = loop->last;
	uint64_t receives;

	if (!conn || !(conn->events & UV_READABLE))
		return false;
	receives = conn->receives;
	receive(conn);
	if (conn->receives == receives)
		return false;
	loop_works(loop->loop);
	work_now(conn);
	return true;
}

void conn_work_all(struct link_loop *loop)
{
	while (!list_empty(&loop->busy)) {
		struct conn *conn = list_entry(loop->busy.next, struct conn, busy_link);

		list_remove(&conn->busy_link);
		conn_work(conn);
	}
}

uint64_t conn_tick_all(struct link_loop *loop, uint64_t now_ms)
{
	uint64_t next_ms = UINT64_MAX;

	list_each(link, next, &loop->conns)
	{
		struct conn *conn = list_entry(link, struct conn, link);

		if (conn->deadline_ms && now_ms >= conn->deadline_ms)
			conn_close(conn, conn->deadline_why);
		else if (conn->deadline_ms)
			next_ms = 0;
		else if (conn->user_arg)
			next_ms = min_u64(next_ms, conn->user->tick(conn->user_arg, now_ms));
	}
	return next_ms;
}
