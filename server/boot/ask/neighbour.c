// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rtnetlink questions: see neighbour.h. RTM_GETROUTE says how the kernel would reach the address (itself, a neighbour,
 * a gateway) and through which interface; RTM_GETNEIGH with an address says what the neighbour table holds for that
 * one. The connection that the asker's request came by keeps its entry alive.
 */
#include "neighbour.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

enum { NEIGHBOUR_TIMEOUT_SECONDS = 1 };

struct address {
	int family;
	size_t len;
	unsigned char bytes[16];
};

struct route {
	bool found, own, gateway;
	int interface;
};

struct neighbour_row {
	bool found;
	unsigned state;
	char mac[PARSE_MAC_TEXT]; /* "" where the link has none, or not of six bytes */
};

static int neighbour_on_route(struct nl_msg *msg, void *arg)
{
	struct route *route = arg;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct nlattr *attrs[RTA_MAX + 1];
	const struct rtmsg *rt;

	if (header->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(header, sizeof(*rt), attrs, RTA_MAX, NULL) < 0)
		return NL_SKIP;
	rt = nlmsg_data(header);
	route->found = true;
	route->own = rt->rtm_type == RTN_LOCAL;
	route->gateway = attrs[RTA_GATEWAY] || attrs[RTA_VIA];
	if (attrs[RTA_OIF] && nla_len(attrs[RTA_OIF]) >= (int)sizeof(uint32_t))
		route->interface = (int)nla_get_u32(attrs[RTA_OIF]);
	return NL_OK;
}

static int neighbour_on_entry(struct nl_msg *msg, void *arg)
{
	struct neighbour_row *row = arg;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct nlattr *attrs[NDA_MAX + 1];
	const struct ndmsg *nd;

	if (header->nlmsg_type != RTM_NEWNEIGH || nlmsg_parse(header, sizeof(*nd), attrs, NDA_MAX, NULL) < 0)
		return NL_SKIP;
	nd = nlmsg_data(header);
	row->found = true;
	row->state = nd->ndm_state;
	if (attrs[NDA_LLADDR] && nla_len(attrs[NDA_LLADDR]) == 6) {
		const unsigned char *b = nla_data(attrs[NDA_LLADDR]);

		snprintf(row->mac, sizeof(row->mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
			 b[5]);
	}
	return NL_OK;
}

/* Sends one question and reads its answer. *missing: the kernel said that there is no such thing. 0 or -errno. */
static int neighbour_ask(struct nl_sock *sock, int type, const void *header, size_t header_len, int attr,
			 const struct address *address, nl_recvmsg_msg_cb_t parse, void *arg, bool *missing)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST);
	int err = -ENOMEM;

	*missing = false;
	if (!msg)
		return err;
	if (nlmsg_append(msg, (void *)(uintptr_t)header, header_len, NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, attr, (int)address->len, address->bytes) < 0)
		goto out;
	err = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, parse, arg);
	if (err < 0)
		goto out;
	err = nl_send_auto(sock, msg);
	if (err >= 0)
		err = nl_recvmsgs_default(sock);
	if (err == -NLE_OBJ_NOTFOUND || err == -NLE_NOADDR || err == -NLE_NODEV) {
		*missing = true;
		err = 0;
	}
	err = err < 0 ? -EIO : 0;
out:
	nlmsg_free(msg);
	return err;
}

static int neighbour_open(struct nl_sock **out)
{
	struct timeval timeout = { .tv_sec = NEIGHBOUR_TIMEOUT_SECONDS };
	struct nl_sock *sock = nl_socket_alloc();

	if (!sock)
		return -ENOMEM;
	nl_socket_disable_auto_ack(sock);
	if (nl_connect(sock, NETLINK_ROUTE) < 0 ||
	    setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout))) {
		nl_socket_free(sock);
		return -EIO;
	}
	*out = sock;
	return 0;
}

/* Tunnels and point-to-point links have no MACs, and the kernel keeps no entry for each address there. */
static bool neighbour_link_has_macs(int interface)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = true;

	if (fd >= 0 && if_indextoname((unsigned)interface, request.ifr_name) && !ioctl(fd, SIOCGIFFLAGS, &request))
		has = !(request.ifr_flags & (IFF_NOARP | IFF_POINTOPOINT));
	if (fd >= 0)
		close(fd);
	return has;
}

static enum neighbour neighbour_judge(const struct neighbour_row *row, const char *mac)
{
	if (!row->found || !row->mac[0] || row->state & (NUD_INCOMPLETE | NUD_FAILED))
		return NEIGHBOUR_MISSING;
	return strcmp(row->mac, mac) ? NEIGHBOUR_OTHER : NEIGHBOUR_MATCH;
}

static bool neighbour_parse(const char *text, struct address *address)
{
	if (inet_pton(AF_INET, text, address->bytes) == 1)
		*address = (struct address){ .family = AF_INET, .len = 4 };
	else if (inet_pton(AF_INET6, text, address->bytes) == 1)
		*address = (struct address){ .family = AF_INET6, .len = 16 };
	else
		return false;
	return inet_pton(address->family, text, address->bytes) == 1;
}

int neighbour_check(const char *text, const char *mac, enum neighbour *result)
{
	struct address address;
	struct route route = { 0 };
	struct neighbour_row row = { 0 };
	struct nl_sock *sock;
	bool missing;
	int err;

	if (!neighbour_parse(text, &address))
		return -EINVAL;
	err = neighbour_open(&sock);
	if (err)
		return err;
	struct rtmsg rt = { .rtm_family = (unsigned char)address.family,
			    .rtm_dst_len = (unsigned char)(address.len * 8) };

	err = neighbour_ask(sock, RTM_GETROUTE, &rt, sizeof(rt), RTA_DST, &address, neighbour_on_route, &route,
			    &missing);
	if (!err && (missing || !route.found))
		err = -EHOSTUNREACH;
	if (err)
		goto out;
	if (route.own || route.gateway || !neighbour_link_has_macs(route.interface)) {
		*result = route.own ? NEIGHBOUR_OWN : NEIGHBOUR_OFF_LINK;
		goto out;
	}
	struct ndmsg nd = { .ndm_family = (unsigned char)address.family, .ndm_ifindex = route.interface };

	err = neighbour_ask(sock, RTM_GETNEIGH, &nd, sizeof(nd), NDA_DST, &address, neighbour_on_entry, &row, &missing);
	if (!err)
		*result = neighbour_judge(&row, mac);
out:
	nl_socket_free(sock);
	return err;
}
