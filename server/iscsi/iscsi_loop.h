/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the server has on one I/O loop: the floors' parts of it, and when each of them gets its turn. Work that an event
 * caused is put off to the moment before the loop sleeps (uv_prepare): connections send, sessions end, targets take
 * their next step, until nothing is left to do. Nothing is freed before that. Private to server.c and session_list.c.
 */
#ifndef ISCSI_LOOP_H
#define ISCSI_LOOP_H

#include "iscsi/link/link_loop.h"
#include "iscsi/link/portal.h"
#include "iscsi/login/login.h"
#include "iscsi/server.h"
#include "iscsi/session/session.h"
#include "iscsi/target/target.h"

enum { STOP_POLITE_MS = 500 }; /* for an initiator to log out when we stop */

struct iscsi_loop {
	struct iscsi_server *server;
	struct link_loop link;
	struct session_loop sessions;
	struct target_loop targets;
	uv_prepare_t prepare;
	uint64_t stop_deadline_ms, stop_polite_ms;
	unsigned handles;
	struct loop_msg msg, stop_msg; /* start, then close; stop */
};

struct iscsi_server {
	const struct iscsi_provider *provider;
	struct login_service logins;
	unsigned lun_in_use_ms;
	char *advertise; /* NULL: the address that the client reached */
	unsigned loop_count;
	struct iscsi_loop *loops;
	unsigned listener_count;
	struct listener *listeners;
	/* Connections, targets, listeners, and one for each loop that has not been told to stop. */
	struct live live;
	atomic_uint loops_open;
	unsigned drain_ms;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

int iscsi_loop_init(struct iscsi_loop *at, struct iscsi_server *server, struct loop *loop);
/* Starts the clocks, accepts connections. On the loop, as all that follows. */
void iscsi_loop_start(struct iscsi_loop *at);
/* The server stops: nothing is accepted, logins end at once, sessions when their tasks are done. */
void iscsi_loop_stop(struct iscsi_loop *at);
/* Closes the clocks; server->stopped when all loops have done so. */
void iscsi_loop_close(struct iscsi_loop *at);
/* After its handles are closed, or before they were opened. */
void iscsi_loop_fini(struct iscsi_loop *at);

#endif
