// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Portals: see portal.h. A listening socket belongs to one loop, which accepts; a login moves to its target's loop as
 * soon as it has named it.
 */
#include "iscsi/link/portal.h"

#include "iscsi/link/conn.h"
#include "iscsi/link/link_loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 64 };

int portal_bind(struct listener *listener, const struct endpoint *endpoint, struct reason *reason)
{
	const struct sockaddr *addr = (const struct sockaddr *)&endpoint->addr;
	char text[PARSE_ENDPOINT_TEXT];
	int fd, on = 1, err;

	fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		goto fail;
	/* [::] is IPv6 only, so that 0.0.0.0 can stand beside it. */
	if (addr->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
		goto fail;
	if (bind(fd, addr, endpoint->len) || listen(fd, PORTAL_BACKLOG))
		goto fail;
	listener->endpoint.len = sizeof(listener->endpoint.addr);
	if (getsockname(fd, (struct sockaddr *)&listener->endpoint.addr, &listener->endpoint.len))
		goto fail;
	listener->fd = fd;
	return 0;
fail:
	err = errno;
	endpoint_format(endpoint, text);
	reason_set(reason, "cannot listen on iSCSI portal %s: %s%s", text, strerror(err),
		   err == EADDRINUSE ? ": another iSCSI target runs there; stop it, or choose another --iscsi" : "");
	if (fd >= 0)
		close(fd);
	return -err;
}

static bool same_host(const struct endpoint *a, const struct endpoint *b)
{
	const struct sockaddr_in *a4 = (const void *)&a->addr, *b4 = (const void *)&b->addr;
	const struct sockaddr_in6 *a6 = (const void *)&a->addr, *b6 = (const void *)&b->addr;

	if (a->addr.ss_family != b->addr.ss_family)
		return false;
	if (a->addr.ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return !memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

/* The oldest connection that has not logged in makes room; a host that has many of them first. */
static void make_room(struct link_loop *loop, const struct endpoint *peer)
{
	struct conn *oldest = NULL, *oldest_of_peer = NULL;
	unsigned of_peer = 0;

	if (loop->login_count < PORTAL_LOGINS_PER_ADDRESS)
		return;
	list_each(link, next, &loop->conns)
	{
		struct conn *conn = list_entry(link, struct conn, link);

		if (!conn->counted)
			continue;
		if (!oldest)
			oldest = conn;
		if (!same_host(&conn->peer, peer))
			continue;
		if (!oldest_of_peer)
			oldest_of_peer = conn;
		of_peer++;
	}
	if (of_peer >= PORTAL_LOGINS_PER_ADDRESS)
		oldest = oldest_of_peer;
	else if (loop->login_count < PORTAL_LOGINS_MAX)
		return;
	link_log(loop, "iscsi: %s: closed, too many connections that do not log in", oldest->peer_text);
	conn_close(oldest, "too many connections that do not log in");
}

static void pause_listener(struct listener *listener)
{
	link_log(listener->loop, "iscsi: cannot accept connections: %s", strerror(errno));
	uv_poll_stop(&listener->poll);
	listener->paused = true;
	link_wake(listener->loop);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct endpoint peer = { .len = sizeof(peer.addr) };
		int fd = accept4(listener->fd, (struct sockaddr *)&peer.addr, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				pause_listener(listener);
			else if (errno == ECONNABORTED || errno == EINTR)
				continue;
			return;
		}
		make_room(listener->loop, &peer);
		conn_new(listener->loop, fd, &peer);
	}
}

int portal_start(struct listener *listener)
{
	int err = uv_poll_init(loop_uv(listener->loop->loop), &listener->poll, listener->fd);

	if (err)
		return err;
	listener->poll.data = listener;
	listener->poll_open = true;
	return uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;

	close(listener->fd);
	listener->fd = -1;
	live_put(listener->loop->live);
}

void portal_stop(struct listener *listener)
{
	listener->paused = false;
	if (listener->poll_open)
		uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
	else
		live_put(listener->loop->live);
	listener->poll_open = false;
}

void portal_tick(struct listener *listener)
{
	if (!listener->paused)
		return;
	listener->paused = false;
	uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
}
