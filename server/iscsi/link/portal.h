/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening sockets, and the bounds on connections that have not logged in. */
#ifndef ISCSI_PORTAL_H
#define ISCSI_PORTAL_H

#include "base/parse.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct link_loop;

enum {
	PORTAL_BACKLOG = 4096,
	PORTAL_LOGINS_MAX = 2048,	/* connections without a session, per loop: beyond it the oldest is closed */
	PORTAL_LOGINS_PER_ADDRESS = 64, /* of them from one address, when they are many */
};

struct listener {
	struct link_loop *loop;
	uv_poll_t poll;
	bool poll_open, paused;
	int fd;
	struct endpoint endpoint;
};

/* Binds and listens. -errno, and a sentence in reason. */
int portal_bind(struct listener *listener, const struct endpoint *endpoint, struct reason *reason);
/* Begins to accept, on the listener's loop. */
int portal_start(struct listener *listener);
/* Stops accepting; the socket is closed soon, and the loop's live count goes down then. */
void portal_stop(struct listener *listener);
/* Accepts again, where descriptors had run out. */
void portal_tick(struct listener *listener);

#endif
