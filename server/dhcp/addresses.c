// SPDX-License-Identifier: GPL-2.0-or-later
/* See addresses.h. What the kernel's messages say is not read: they only cause a look. */
#include "dhcp/addresses.h"

#include "base/log.h"
#include "base/loop.h"
#include "dhcp/dhcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { QUIET_MS = 500, BATCH = 64 };

struct addresses {
	uv_poll_t poll;
	uv_timer_t timer;
	int fd;
	unsigned handles; /* not closed yet */
	void (*moved)(void *arg);
	void *arg;
	unsigned count;
	struct dhcp_network last[DHCP_INTERFACES_MAX];
};

static void on_quiet(uv_timer_t *timer)
{
	struct addresses *a = timer->data;
	struct dhcp_network now[DHCP_INTERFACES_MAX] = { 0 };
	struct reason reason;

	for (unsigned i = 0; i < a->count; i++) {
		if (!dhcp_network_find(a->last[i].name, &now[i], &reason))
			continue;
		log_warning("nothing can boot there: %s", reason.text);
		return;
	}
	for (unsigned i = 0; i < a->count; i++) {
		if (now[i].address.s_addr == a->last[i].address.s_addr &&
		    now[i].netmask.s_addr == a->last[i].netmask.s_addr)
			continue;
		memcpy(a->last, now, sizeof(now));
		a->moved(a->arg);
		return;
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct addresses *a = poll->data;
	char message[8192];

	(void)status;
	(void)events;
	/* ENOBUFS, too: messages were lost, so something has happened. */
	for (unsigned i = 0; i < BATCH; i++)
		if (recv(a->fd, message, sizeof(message), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
			break;
	uv_timer_start(&a->timer, on_quiet, QUIET_MS, 0);
}

static int open_socket(void)
{
	struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&groups, sizeof(groups)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int addresses_watch(struct loop *loop, const struct dhcp_network *networks, unsigned count, void (*moved)(void *arg),
		    void *arg, struct addresses **addresses)
{
	struct addresses *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->fd = open_socket();
	if (a->fd < 0) {
		int err = a->fd;

		free(a);
		return err;
	}
	a->moved = moved;
	a->arg = arg;
	a->count = count;
	memcpy(a->last, networks, count * sizeof(*networks));
	a->handles = 2;
	uv_timer_init(loop_uv(loop), &a->timer);
	uv_poll_init(loop_uv(loop), &a->poll, a->fd);
	a->timer.data = a->poll.data = a;
	uv_poll_start(&a->poll, UV_READABLE, on_readable);
	/* It may have changed since networks was found, and before anybody listened. */
	uv_timer_start(&a->timer, on_quiet, QUIET_MS, 0);
	*addresses = a;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct addresses *a = handle->data;

	if (--a->handles)
		return;
	close(a->fd);
	free(a);
}

void addresses_stop(struct addresses *a)
{
	if (!a)
		return;
	uv_close((uv_handle_t *)&a->timer, on_closed);
	uv_close((uv_handle_t *)&a->poll, on_closed);
}
