// SPDX-License-Identifier: GPL-2.0-or-later
/* The answer to router solicitations: see router.h. */
#include "dhcp/router.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { HOP_LIMIT = 255, OPTION_UNIT = 8, BATCH = 64 };

struct no_router {
	uv_poll_t poll;
	int fd;
	unsigned index; /* of the interface */
};

int no_router_valid(const unsigned char *packet, size_t len, int hop_limit)
{
	size_t at = sizeof(struct nd_router_solicit);

	if (hop_limit != HOP_LIMIT || len < at || packet[0] != ND_ROUTER_SOLICIT || packet[1] != 0)
		return 0;
	while (at < len) {
		/* Type and length, in units of 8 bytes; 0 is no length. */
		if (len - at < 2 || packet[at + 1] == 0 || (size_t)packet[at + 1] * OPTION_UNIT > len - at)
			return 0;
		at += (size_t)packet[at + 1] * OPTION_UNIT;
	}
	return 1;
}

static void answer(struct no_router *r, struct sockaddr_in6 *asker)
{
	/* Everything 0: no hop limit, no flags, lifetime 0, no timers, no options. The kernel fills the checksum in. */
	struct nd_router_advert advert = { .nd_ra_type = ND_ROUTER_ADVERT };

	/* A node without an address receives only what is sent to all nodes: ff02::1. */
	if (IN6_IS_ADDR_UNSPECIFIED(&asker->sin6_addr))
		asker->sin6_addr = (struct in6_addr){ .s6_addr = { 0xff, 0x02, [15] = 1 } };
	asker->sin6_scope_id = r->index;
	asker->sin6_port = 0;
	if (sendto(r->fd, &advert, sizeof(advert), MSG_DONTWAIT, (struct sockaddr *)asker, sizeof(*asker)) < 0)
		log_debug("router advertisement: %s", strerror(errno));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct no_router *r = poll->data;

	(void)status;
	(void)events;
	for (unsigned i = 0; i < BATCH; i++) {
		unsigned char packet[1500];
		struct sockaddr_in6 from;
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec iov = { packet, sizeof(packet) };
		struct msghdr msg = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t got = recvmsg(r->fd, &msg, MSG_DONTWAIT);
		int hop_limit = 0;

		if (got < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
			if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)
				memcpy(&hop_limit, CMSG_DATA(c), sizeof(hop_limit));
		if (no_router_valid(packet, (size_t)got, hop_limit))
			answer(r, &from);
	}
}

static int open_socket(const char *interface, unsigned index)
{
	struct ipv6_mreq all_routers = { .ipv6mr_multiaddr.s6_addr = { 0xff, 0x02, [15] = 2 },
					 .ipv6mr_interface = index };
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6), on = 1, hops = HOP_LIMIT,
	    err;
	struct icmp6_filter filter;

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
	if (!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) &&
	    !setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) &&
	    !setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)) &&
	    !setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)) &&
	    !setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) &&
	    !setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) &&
	    !setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &all_routers, sizeof(all_routers)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int no_router_start(struct loop *loop, const char *interface, struct no_router **no_router)
{
	struct no_router *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->index = if_nametoindex(interface);
	r->fd = r->index ? open_socket(interface, r->index) : -ENODEV;
	if (r->fd < 0) {
		int err = r->fd;

		free(r);
		return err;
	}
	uv_poll_init(loop_uv(loop), &r->poll, r->fd);
	r->poll.data = r;
	uv_poll_start(&r->poll, UV_READABLE, on_readable);
	*no_router = r;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct no_router *r = handle->data;

	close(r->fd);
	free(r);
}

void no_router_stop(struct no_router *r)
{
	if (r)
		uv_close((uv_handle_t *)&r->poll, on_closed);
}
