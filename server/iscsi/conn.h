/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCP connection: bytes in, PDUs out.
 *
 * Receiving: what one readable event brings is framed and handled PDU by PDU; data goes straight to where the session
 * wants it. Parsing stops while an answer is awaited (conn_hold) and while more than CONN_UNSENT_MAX bytes wait to be
 * sent; what has been read by then is kept and parsed later. Sending: a queue, written out once before the loop sleeps.
 *
 *     OPEN -> FINISHING (sends what is queued) -> LINGERING (waits for the peer's end) -> CLOSED -> freed
 *       \________________________________________________________________________________^
 *
 * A connection is in its login (login set), has a session, or is at its end (neither). It never is freed inside a
 * handler.
 */
#ifndef ISCSI_CONN_H
#define ISCSI_CONN_H

#include "base/buf.h"
#include "base/loop.h"
#include "base/parse.h"
#include "iscsi/list.h"
#include "iscsi/pdu.h"

#include <uv.h>

struct hub;
struct login;
struct session;
struct task;

enum {
	/* bytes; beyond it nothing more is read from the peer. Reads alone stay below 1 MiB (session.h). */
	CONN_UNSENT_MAX = 2 << 20,
	CONN_LINGER_MS = 2000,
};

/* Of an idle connection: until TCP asks, and how long nothing may be acknowledged. */
enum { CONN_KEEPIDLE_S = 15, CONN_KEEPINTVL_S = 5, CONN_LOSS_MS = 30000 };
enum conn_state { CONN_OPEN, CONN_FINISHING, CONN_LINGERING, CONN_CLOSED };
enum conn_sink { SINK_DISCARD, SINK_SEGMENT, SINK_TASK };

struct conn {
	struct hub *hub;
	struct list link;	/* hub->conns */
	struct list dirty_link; /* hub->dirty */
	enum conn_state state;
	bool held;	/* parsing waits for conn_resume */
	bool in_answer; /* somebody will call back with this connection: not freed before */
	bool counted;	/* in hub->login_count */
	bool stalled;	/* parsing stopped before its input was used up */
	int fd;
	uv_poll_t poll;
	bool poll_open;
	int events;
	uint64_t last_rx_ms;
	uint64_t receives; /* how often something came */
	uint64_t deadline_ms; /* closed then; 0: never */
	const char *deadline_why;

	struct pdu_in in;
	enum conn_sink sink;
	struct task *sink_task;
	size_t sink_offset, sink_left; /* bytes of the task's data-out */
	struct buf segment;	       /* the data segment, for SINK_SEGMENT */
	uint8_t *unread;
	size_t unread_at, unread_len;

	struct pdu_out *out_first, **out_last;
	size_t unsent; /* bytes */
	bool header_digest, data_digest;

	struct login *login;
	struct session *session;
	struct endpoint peer, local;
	char peer_text[PARSE_ENDPOINT_TEXT];
	struct loop_msg msg;
	struct hub *moving_to;
	void (*moved)(struct conn *conn);
};

/* Takes fd, an accepted, non-blocking socket, and starts its login. -errno: fd is closed. */
int conn_new(struct hub *hub, int fd, const struct endpoint *peer);
/* A PDU of this hub, zeroed head; NULL without memory, and then the connection is closed. */
struct pdu_out *conn_pdu(struct conn *conn);
/* Seals it, queues it. */
void conn_queue(struct conn *conn, struct pdu_out *out);
/* With a copy of data. */
void conn_queue_copy(struct conn *conn, struct pdu_out *out, const void *data, size_t len);
/* Closes now. why for the log and for the session. Harmless on a closed one. */
void conn_close(struct conn *conn, const char *why);
/* Closes when all that is queued is sent and the peer has ended, or after CONN_LINGER_MS. Reads nothing more. */
void conn_finish(struct conn *conn);
void conn_hold(struct conn *conn);
void conn_resume(struct conn *conn);
void conn_work(struct conn *conn);
/* Has something come that libuv has not said? True: it has, and is handled. */
bool conn_look(struct conn *conn);
/* Takes the connection to another loop; moved runs there. It must be held. */
void conn_move(struct conn *conn, struct hub *to, void (*moved)(struct conn *conn));
/* An awaited answer is there. False: the connection was closed meanwhile, and is gone now. */
bool conn_answered(struct conn *conn);
/* It has a session on a target now: no deadline, and it counts as a login no more. */
void conn_logged_in(struct conn *conn);
/* From the hub's tick. */
void conn_tick(struct conn *conn, uint64_t now_ms);
/* The task goes away: what still arrives for it is dropped. */
void conn_forget_task(struct conn *conn, const struct task *task);

#endif
