// SPDX-License-Identifier: GPL-2.0-or-later
/* Interfaces, and the question whether another DHCP server is there: see network.h. */
#include "dhcp/network.h"

#include "base/be.h"
#include "base/secret.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* RFC 2131 §2, figure 1, and the magic cookie of §3. */
struct dhcp_packet {
	uint8_t op, htype, hlen, hops;
	struct be32 xid;
	struct be16 secs, flags;
	uint8_t ciaddr[4], yiaddr[4], siaddr[4], giaddr[4];
	uint8_t chaddr[16];
	uint8_t sname[64], file[128];
	struct be32 cookie;
};

enum {
	BOOTREQUEST = 1,
	BOOTREPLY = 2,
	DHCP_COOKIE = 0x63825363,
	FLAG_BROADCAST = 0x8000,
	OPTION_PAD = 0,
	OPTION_MESSAGE_TYPE = 53,
	OPTION_SERVER_ID = 54,
	OPTION_END = 255,
	DHCPDISCOVER = 1,
	DHCPOFFER = 2,
	DHCPRELEASE = 7,
	SERVER_PORT = 67,
	CLIENT_PORT = 68,
};

bool dhcp_network_has(const struct dhcp_network *network, struct in_addr address)
{
	return ((address.s_addr ^ network->address.s_addr) & network->netmask.s_addr) == 0;
}

const char *dhcp_network_format(const struct dhcp_network *network, char out[DHCP_NETWORK_TEXT])
{
	char address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &network->address, address, sizeof(address));
	snprintf(out, DHCP_NETWORK_TEXT, "%s/%d", address, __builtin_popcount(network->netmask.s_addr));
	return out;
}

/* A global IPv6 address: a link-local one is everywhere. */
static bool is_ipv6(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 &&
	       !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

int dhcp_network_find(const char *name, struct dhcp_network *network, struct reason *reason)
{
	bool found = false, ipv6 = false;
	struct ifaddrs *all;

	if (!if_nametoindex(name))
		return reason_refuse(reason, -ENODEV,
				     "there is no network interface \"%s\"; ip link shows those there are", name);
	if (getifaddrs(&all))
		return reason_refuse(reason, -errno, "cannot list the network interfaces: %s", strerror(errno));
	for (struct ifaddrs *at = all; at && !found; at = at->ifa_next) {
		if (!at->ifa_addr || !at->ifa_netmask || strcmp(at->ifa_name, name))
			continue;
		ipv6 = ipv6 || is_ipv6(at->ifa_addr);
		if (at->ifa_addr->sa_family != AF_INET)
			continue;
		found = true;
		snprintf(network->name, sizeof(network->name), "%s", name);
		network->address = ((struct sockaddr_in *)at->ifa_addr)->sin_addr;
		network->netmask = ((struct sockaddr_in *)at->ifa_netmask)->sin_addr;
	}
	freeifaddrs(all);
	if (found)
		return 0;
	if (ipv6)
		reason_set(reason,
			   "interface %s has IPv6 addresses only, and machines boot over IPv4: the iBFT, in which they "
			   "find their disk, knows nothing else. Give it an IPv4 address as well: ip address add "
			   "10.0.0.1/24 dev %s",
			   name, name);
	else
		reason_set(reason, "interface %s has no IPv4 address; give it one: ip address add 10.0.0.1/24 dev %s",
			   name, name);
	return -EADDRNOTAVAIL;
}

bool dhcp_neighbour(const char *interface, struct in_addr address, char mac[PARSE_MAC_TEXT])
{
	struct sockaddr_in asked = { .sin_family = AF_INET, .sin_addr = address };
	struct arpreq request = { .arp_flags = 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const unsigned char *b = (const unsigned char *)request.arp_ha.sa_data;
	bool found;

	if (fd < 0)
		return false;
	memcpy(&request.arp_pa, &asked, sizeof(request.arp_pa));
	snprintf(request.arp_dev, sizeof(request.arp_dev), "%s", interface);
	found = !ioctl(fd, SIOCGARP, &request) && request.arp_flags & ATF_COM &&
		request.arp_ha.sa_family == ARPHRD_ETHER;
	close(fd);
	if (found)
		snprintf(mac, PARSE_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return found;
}

int dhcp_parse_offer(const unsigned char *packet, size_t len, unsigned xid, struct in_addr *server)
{
	const struct dhcp_packet *p = (const struct dhcp_packet *)packet;
	const unsigned char *at = packet + sizeof(*p), *end = packet + len;
	bool offer = false, named = false;

	if (len < sizeof(*p) || p->op != BOOTREPLY || be32_get(p->xid) != xid || be32_get(p->cookie) != DHCP_COOKIE)
		return 0;
	while (at < end && *at != OPTION_END) {
		if (*at == OPTION_PAD) {
			at++;
			continue;
		}
		if (end - at < 2 || end - at - 2 < at[1])
			return 0;
		if (at[0] == OPTION_MESSAGE_TYPE && at[1] == 1)
			offer = at[2] == DHCPOFFER;
		if (at[0] == OPTION_SERVER_ID && at[1] == 4) {
			memcpy(server, at + 2, 4);
			named = true;
		}
		at += 2 + at[1];
	}
	return offer && named;
}

static int open_client_socket(const char *interface)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(CLIENT_PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1, err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int send_discover(int fd, uint32_t xid)
{
	struct {
		struct dhcp_packet head;
		uint8_t options[4];
		uint8_t pad[60]; /* some servers drop what is shorter than a BOOTP packet: 300 bytes */
	} packet = {
		.head = { .op = BOOTREQUEST,
			  .htype = 1,
			  .hlen = 6,
			  .xid = be32_put(xid),
			  .flags = be16_put(FLAG_BROADCAST),
			  .cookie = be32_put(DHCP_COOKIE) },
		.options = { OPTION_MESSAGE_TYPE, 1, DHCPDISCOVER, OPTION_END },
	};
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(SERVER_PORT),
				  .sin_addr.s_addr = htonl(INADDR_BROADCAST) };

	/*
	 * A locally administered address that nobody has: the offer is never taken, so no address is used up for long.
	 */
	secret_bytes(packet.head.chaddr, 6);
	packet.head.chaddr[0] = 0x02;
	return sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

int dhcp_discover(const struct dhcp_network *network, unsigned timeout_ms, struct in_addr *server)
{
	uint64_t now = time_monotonic_ms(), end = now + timeout_ms, again = now;
	unsigned char packet[2048];
	int fd = open_client_socket(network->name), result = 0;
	uint32_t xid;

	if (fd < 0)
		return fd;
	secret_bytes(&xid, sizeof(xid));
	for (; !result && now < end; now = time_monotonic_ms()) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		ssize_t got;

		if (now >= again) {
			result = send_discover(fd, xid);
			again = now + 1000;
			if (result)
				break;
		}
		if (poll(&wait, 1, (int)(min_u64(again, end) - now)) <= 0)
			continue;
		got = recv(fd, packet, sizeof(packet), 0);
		if (got > 0)
			result = dhcp_parse_offer(packet, (size_t)got, xid, server);
	}
	close(fd);
	return result;
}

int dhcp_release(const struct dhcp_network *network, const char *mac, struct in_addr address)
{
	struct {
		struct dhcp_packet head;
		uint8_t kind[3], server[6], end;
		uint8_t pad[50]; /* as above */
	} packet = {
		.head = { .op = BOOTREQUEST, .htype = 1, .hlen = 6, .cookie = be32_put(DHCP_COOKIE) },
		.kind = { OPTION_MESSAGE_TYPE, 1, DHCPRELEASE },
		.server = { OPTION_SERVER_ID, 4 },
		.end = OPTION_END,
	};
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SERVER_PORT), .sin_addr = network->address };
	unsigned char b[6];
	/* dnsmasq goes by the interface on which it comes, and the way to an address of our own is lo otherwise. */
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		err = -EINVAL;
	else
		memcpy(packet.head.chaddr, b, sizeof(b));
	secret_bytes(&packet.head.xid, sizeof(packet.head.xid));
	memcpy(packet.head.ciaddr, &address, sizeof(address));
	memcpy(packet.server + 2, &network->address, 4);
	if (!err && (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, network->name, (socklen_t)strlen(network->name) + 1) ||
		     sendto(fd, &packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0))
		err = -errno;
	close(fd);
	return err;
}
