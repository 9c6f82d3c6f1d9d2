// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A connection's input: see conn.h. One receive takes up to RX_BLOCK_BYTES into memory that the hub's connections
 * share (rx_pool.h); in the middle of a large data segment the receive goes straight into the task's own memory, and
 * only what follows into the shared one. What cannot be parsed yet is copied to conn->unread.
 */
#include "iscsi/conn_input.h"

#include "base/log.h"
#include "iscsi/hub.h"
#include "iscsi/login.h"
#include "iscsi/session.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	DIRECT_MIN = 8192, /* bytes still to come that make a direct receive worth while */
	DIRECT_PIECES = 8,
	LOGIN_RECEIVE = 16384, /* before a session exists: bytes of one receive */
	ACK_BELOW = 8192,      /* bytes of a receive; the kernel acknowledges by itself what is some segments long */
};

void conn_input_init(struct conn *conn)
{
	pdu_in_init(&conn->in, LOGIN_DATA_MAX);
	buf_init(&conn->segment, MAX_SEGMENT_BYTES);
}

void conn_input_fini(struct conn *conn)
{
	free(conn->unread);
	buf_fini(&conn->segment);
}

bool conn_wants_input(const struct conn *conn)
{
	return conn->state == CONN_OPEN && !conn->held && conn->unsent < CONN_UNSENT_MAX;
}

static void conn_header(struct conn *conn)
{
	buf_reset(&conn->segment);
	conn->sink = SINK_SEGMENT;
	if (conn->session)
		session_header(conn->session, conn);
	else if (conn->login)
		login_header(conn->login);
}

static void conn_data(struct conn *conn, const uint8_t *piece, size_t len)
{
	if (conn->sink == SINK_SEGMENT) {
		buf_add(&conn->segment, piece, len);
	} else if (conn->sink == SINK_TASK) {
		size_t n = min_u64(len, conn->sink_left);

		transfer_take(conn->sink_task, conn->sink_offset, piece, n);
		conn->sink_offset += n;
		conn->sink_left -= n;
	}
}

static void conn_pdu_end(struct conn *conn)
{
	if (conn->segment.failed)
		conn_close(conn, "out of memory");
	else if (conn->session)
		session_pdu(conn->session, conn);
	else if (conn->login)
		login_pdu(conn->login);
}

/* Handles PDUs until the bytes are used up or must wait; returns how many bytes were used. */
static size_t conn_parse(struct conn *conn, const uint8_t *data, size_t len)
{
	const uint8_t *at = data, *piece;
	size_t left = len, piece_len;

	conn->stalled = false;
	for (;;) {
		if (!conn_wants_input(conn)) {
			conn->stalled = true;
			break;
		}
		switch (pdu_in_next(&conn->in, &at, &left, &piece, &piece_len)) {
		case PDU_MORE:
			return len;
		case PDU_HEADER:
			conn_header(conn);
			break;
		case PDU_DATA:
			conn_data(conn, piece, piece_len);
			break;
		case PDU_END:
			conn_pdu_end(conn);
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

void conn_parse_unread(struct conn *conn)
{
	/* Without unread bytes: an end of PDU that needs none may be waiting. */
	const uint8_t *data = conn->unread ? conn->unread + conn->unread_at : conn->hub->rx.now->bytes;

	conn->unread_at += conn_parse(conn, data, conn->unread_len - conn->unread_at);
	if (conn->unread_at < conn->unread_len)
		return;
	free(conn->unread);
	conn->unread = NULL;
	conn->unread_at = conn->unread_len = 0;
}

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
	if (conn->in.state != PDU_IN_DATA || conn->sink != SINK_TASK)
		return 0;
	*len = min_u64(conn->in.data_left, conn->sink_left);
	if (*len < DIRECT_MIN) {
		*len = 0;
		return 0;
	}
	pieces = transfer_slice(conn->sink_task, conn->sink_offset, *len, iov, DIRECT_PIECES);
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

void conn_receive(struct conn *conn)
{
	struct iovec iov[DIRECT_PIECES + 1];
	struct rx_pool *rx = &conn->hub->rx;
	struct msghdr msg = { .msg_iov = iov };
	size_t direct, used, indirect;
	int pieces = 0;
	ssize_t n;

	if (conn->state == CONN_OPEN && (!conn_wants_input(conn) || conn->stalled))
		return;
	pieces = direct_pieces(conn, iov, &direct);
	iov[pieces] = (struct iovec){ rx->now->bytes, conn->session ? RX_BLOCK_BYTES : LOGIN_RECEIVE };
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
	conn->last_rx_ms = uv_now(loop_uv(conn->hub->loop));
	conn->receives++;
	used = min_u64((size_t)n, direct);
	direct_received(conn, iov, used);
	indirect = (size_t)n - used;
	used = conn_parse(conn, rx->now->bytes, indirect);
	keep_unread(conn, rx->now->bytes + used, indirect - used);
	rx_pool_turn(rx);
	if (n < ACK_BELOW && conn->state == CONN_OPEN && (pdu_in_partial(&conn->in) || conn->login))
		quick_ack(conn);
}
