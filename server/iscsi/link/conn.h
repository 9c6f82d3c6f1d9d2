/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCP connection: bytes in, PDUs out, for a user who is known only as a table of functions.
 *
 * Receiving: what one readable event brings is framed and handled PDU by PDU; data goes straight to where the user
 * wants it. Parsing stops while an answer is awaited (conn_pause) and while more than CONN_UNSENT_MAX bytes wait to be
 * sent; what has been read by then is kept and parsed later. Sending: a queue, written out once before the loop sleeps.
 *
 *     OPEN --conn_finish--> FINISHING (sends what is queued) --conn_work--> LINGERING (waits for the peer's end)
 *
 *     any of them --conn_close--> CLOSED --on_poll_closed, or conn_answered if that is later--> freed
 *
 * Between conn_move and conn_arrive it is nobody's, and only held. It has a user as long as it is OPEN (conn_set_user:
 * the login, then the session), and never is freed inside a handler.
 */
#ifndef ISCSI_CONN_H
#define ISCSI_CONN_H

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/parse.h"
#include "iscsi/wire/pdu.h"

#include <uv.h>

struct link_loop;

enum {
	/* bytes; beyond it nothing more is read from the peer. Reads alone stay below 1 MiB (session.h). */
	CONN_UNSENT_MAX = 2 << 20,
	CONN_LINGER_MS = 2000,
};

/* Of an idle connection: until TCP asks, and how long nothing may be acknowledged. */
enum { CONN_KEEPIDLE_S = 15, CONN_KEEPINTVL_S = 5, CONN_LOSS_MS = 30000 };
enum conn_state { CONN_OPEN, CONN_FINISHING, CONN_LINGERING, CONN_CLOSED };
/* What becomes of the data segment in hand: nothing; it is gathered in conn->segment; the user takes each piece. */
enum conn_sink { SINK_DISCARD, SINK_SEGMENT, SINK_USER };

/* Whom a connection works for. All of it runs on its loop; arg is the user's own. */
struct conn_user {
	size_t receive_bytes; /* most that one receive may bring into the memory that is shared */
	bool ack_at_once;     /* what it sends is short and waited for: acknowledged without delay */
	/* A header has come (conn->in); conn->sink, which is SINK_SEGMENT, may be changed. */
	void (*header)(void *arg);
	/* The whole PDU has come; its data in conn->segment, or taken. */
	void (*pdu)(void *arg);
	/* SINK_USER: bytes of the data segment, for conn->sink_to from offset on; they are gone after the call. */
	void (*take)(void *sink_to, size_t offset, const uint8_t *bytes, size_t len);
	/* Or: its own memory for them, at most max pieces, to receive into directly. 0: there is none. */
	int (*slice)(void *sink_to, size_t offset, size_t len, struct iovec *iov, int max);
	/* A PDU with a mark (struct pdu_out) is sent, or never will be. Comes after lost, too. */
	void (*sent)(void *mark);
	/* The connection is closed, or finishes: it is not the user's any more. */
	void (*lost)(void *arg, const char *why);
	/* Time goes by: does what is due, and says when there will be something next (UINT64_MAX: never). */
	uint64_t (*tick)(void *arg, uint64_t now_ms);
};

struct conn {
	struct link_loop *loop;
	const struct conn_user *user; /* the last one, when user_arg is NULL */
	void *user_arg;		      /* NULL: nobody's any more */
	struct list link;	      /* loop->conns */
	struct list busy_link;	      /* loop->busy */
	enum conn_state state;
	bool paused;	/* parsing waits for conn_resume */
	bool in_answer; /* somebody will call back with this connection: not freed before */
	bool counted;	/* in loop->login_count */
	bool stalled;	/* parsing stopped before its input was used up */
	int fd;
	uv_poll_t poll;
	bool poll_open;
	int events;
	uint64_t last_rx_ms;
	uint64_t receives;    /* how often something came */
	uint64_t deadline_ms; /* closed then; 0: never */
	const char *deadline_why;

	struct pdu_in in;
	enum conn_sink sink;
	void *sink_to;		       /* SINK_USER: for user->take */
	size_t sink_offset, sink_left; /* bytes of it */
	struct buf segment;	       /* the data segment, for SINK_SEGMENT */
	uint8_t *unread;
	size_t unread_at, unread_len;

	struct pdu_out *out_first, **out_last;
	size_t unsent; /* bytes */
	bool header_digest, data_digest;

	struct endpoint peer, local;
	char peer_text[PARSE_ENDPOINT_TEXT];
	struct loop_msg msg;
	struct link_loop *moving_to;
	void (*moved)(void *user_arg);
};

/*
 * Takes fd, an accepted, non-blocking socket; loop->accepted gives it a user. -errno: fd is closed.
 */
int conn_new(struct link_loop *loop, int fd, const struct endpoint *peer);
/* From now on it works for this one. The user before is not told. */
void conn_set_user(struct conn *conn, const struct conn_user *user, void *arg);
/* A PDU, zeroed head; NULL without memory, and then the connection is closed. */
struct pdu_out *conn_pdu(struct conn *conn);
/* Seals it, queues it. */
void conn_queue(struct conn *conn, struct pdu_out *out);
/* With a copy of data. */
void conn_queue_copy(struct conn *conn, struct pdu_out *out, const void *data, size_t len);
/* Sends what is queued, as far as the socket takes it. */
void conn_flush(struct conn *conn);
/* Closes now. why for the log and for the user. Harmless on a closed one. */
void conn_close(struct conn *conn, const char *why);
/*
 * Closes when all that is queued is sent and the peer has ended, or after CONN_LINGER_MS. Reads nothing more; the user
 * loses it at once.
 */
void conn_finish(struct conn *conn, const char *why);
/* No PDU is handled from now on, until conn_resume. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
/* Takes the connection to another loop; moved runs there. It must be paused. */
void conn_move(struct conn *conn, struct link_loop *to, void (*moved)(void *user_arg));
/* An awaited answer is there. False: the connection was closed meanwhile, and is gone now. */
bool conn_answered(struct conn *conn);
/* Closed after so long, unless another deadline is set. */
void conn_set_deadline(struct conn *conn, unsigned ms, const char *why);
/* It has logged in at a target: no deadline, and it counts as a login no more. */
void conn_logged_in(struct conn *conn);
/* Whoever takes goes away: what still arrives for it is dropped. */
void conn_forget_sink(struct conn *conn, const void *sink_to);
/* TCP asks an idle peer soon whether it is there, or after the usual time. */
void conn_set_keepalive(const struct conn *conn, bool soon);
/* Milliseconds since TCP's last acknowledgement; UINT64_MAX: not known. */
uint64_t conn_last_ack_ms(const struct conn *conn);

/* ---- conn_input.c: what the loop tells them ---- */
/* Before the loop sleeps: all that wait in loop->busy send and go on. */
void conn_work_all(struct link_loop *loop);
/* For loop_set_poll, arg a struct link_loop: has something come that libuv has not said? True: and it is handled. */
bool conn_busy_poll(void *arg);
/* Deadlines, and the users' tick. When the clock is needed next: 0 for the next tick, UINT64_MAX for never. */
uint64_t conn_tick_all(struct link_loop *loop, uint64_t now_ms);

#endif
