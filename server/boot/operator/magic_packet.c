// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wake on LAN: see magic_packet.h. A machine that is off has no address, so the packet goes to everybody in its
 * network, by UDP to the discard port; the card looks for its own MAC, sixteen times in a row, and nothing else. There is
 * no answer: whether it helped is seen when the machine asks for its script.
 */
#include "magic_packet.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MAGIC_PACKET_BYTES = 6 + 16 * 6,
	MAGIC_PACKET_PORT = 9,	/* discard */
	MAGIC_PACKET_TIMES = 2, /* one may be lost, and nobody would know */
};

static void packet_fill(const char *mac, unsigned char packet[MAGIC_PACKET_BYTES])
{
	unsigned char bytes[6] = { 0 };

	/* Of one notation: the inventory has no other. */
	if (sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4],
		   &bytes[5]) != 6)
		memset(bytes, 0, sizeof(bytes));
	memset(packet, 0xff, 6);
	for (unsigned i = 0; i < 16; i++)
		memcpy(packet + 6 + 6 * (size_t)i, bytes, 6);
}

/* device NULL: as the routes say. */
static int packet_send_to(const unsigned char packet[MAGIC_PACKET_BYTES], const char *device, struct in_addr to)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(MAGIC_PACKET_PORT), .sin_addr = to };
	int on = 1, err = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) ||
	    (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device))))
		err = -errno;
	for (int i = 0; i < MAGIC_PACKET_TIMES && !err; i++)
		if (sendto(fd, packet, MAGIC_PACKET_BYTES, 0, (struct sockaddr *)&address, sizeof(address)) < 0)
			err = -errno;
	close(fd);
	return err;
}

struct sending {
	const unsigned char *packet;
	bool known; /* its address */
	struct in_addr address;
	char *where;
	unsigned where_size;
	unsigned sent;
	int err; /* the last one */
};

static void sending_try(struct sending *sending, const char *device, struct in_addr to)
{
	char text[INET_ADDRSTRLEN];
	size_t len = strlen(sending->where);
	int err = packet_send_to(sending->packet, device, to);

	inet_ntop(AF_INET, &to, text, sizeof(text));
	if (err) {
		sending->err = err;
		log_debug("magic packet: %s to %s: %s", device ? device : "by route", text, strerror(-err));
		return;
	}
	sending->sent++;
	snprintf(sending->where + len, sending->where_size - len, "%s%s (%s)", len ? ", " : "",
		 device ? device : "the router", text);
}

static bool sending_is_broadcast(const struct ifaddrs *i)
{
	return i->ifa_addr && i->ifa_netmask && i->ifa_broadaddr && i->ifa_addr->sa_family == AF_INET &&
	       (i->ifa_flags & IFF_UP) && (i->ifa_flags & IFF_BROADCAST) && !(i->ifa_flags & IFF_LOOPBACK);
}

static struct in_addr sending_in_addr(const struct sockaddr *address)
{
	return ((const struct sockaddr_in *)(const void *)address)->sin_addr;
}

static bool sending_is_in(const struct ifaddrs *i, struct in_addr address)
{
	return !((sending_in_addr(i->ifa_addr).s_addr ^ address.s_addr) & sending_in_addr(i->ifa_netmask).s_addr);
}

/* on_link: only the interfaces in whose network it lies. */
static void sending_each(struct sending *sending, const struct ifaddrs *list, bool on_link)
{
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		if (sending_is_broadcast(i) && (!on_link || (sending->known && sending_is_in(i, sending->address))))
			sending_try(sending, i->ifa_name, sending_in_addr(i->ifa_broadaddr));
}

static void sending_everywhere(struct sending *sending, const struct ifaddrs *list)
{
	struct in_addr directed = sending->address;

	sending_each(sending, list, true);
	if (sending->sent)
		return;
	sending_each(sending, list, false);
	directed.s_addr |= htonl(0xff);
	if (sending->known)
		sending_try(sending, NULL, directed);
}

int magic_packet_send(const char *mac, const char *address, char *where, unsigned where_size, struct reason *reason)
{
	unsigned char packet[MAGIC_PACKET_BYTES];
	struct sending sending = { .packet = packet, .where = where, .where_size = where_size };
	struct ifaddrs *list;

	where[0] = '\0';
	sending.known = inet_pton(AF_INET, address, &sending.address) == 1;
	if (getifaddrs(&list))
		return reason_refuse(reason, -errno, "the server's interfaces cannot be listed: %s", strerror(errno));
	packet_fill(mac, packet);
	sending_everywhere(&sending, list);
	freeifaddrs(list);
	if (sending.sent)
		return 0;
	return reason_refuse(
		reason, sending.err ? sending.err : -ENETUNREACH,
		"no packet could be sent: the server has no network card with an IPv4 address that is up%s%s",
		sending.err ? ", or: " : "", sending.err ? strerror(-sending.err) : "");
}
