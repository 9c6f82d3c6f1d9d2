/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listening sockets, and the bounds on connections that have not logged in. */
#ifndef ISCSI_PORTAL_H
#define ISCSI_PORTAL_H

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>

struct endpoint;
struct hub;
struct listener;

enum {
	PORTAL_BACKLOG = 4096,
	PORTAL_LOGINS_MAX = 2048,	/* connections without a session, per loop: beyond it the oldest is closed */
	PORTAL_LOGINS_PER_ADDRESS = 64, /* of them from one address, when they are many */
};

/* Binds and listens. -errno, and a sentence in reason. */
int portal_bind(struct listener *listener, const struct endpoint *endpoint, struct reason *reason);
/* Begins to accept, on the listener's hub. */
int portal_start(struct listener *listener);
/* Stops accepting; the socket is closed soon, and the server's live count goes down then. */
void portal_stop(struct listener *listener);
/* From the hub's tick: accepts again after descriptors had run out. */
void portal_tick(struct hub *hub);
/* Whether a listener of the hub waits for that. */
bool portal_is_paused(const struct hub *hub);

#endif
