/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the configuration needs to know of a network interface. Private to dhcp/. Blocks for no longer than a system
 * call.
 */
#ifndef DHCP_NETWORK_H
#define DHCP_NETWORK_H

#include "base/parse.h"
#include "base/reason.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct dhcp_network {
	char name[IF_NAMESIZE];
	struct in_addr address, netmask; /* its first IPv4 address */
};

enum { DHCP_NETWORK_TEXT = INET_ADDRSTRLEN + 3 };

bool dhcp_network_has(const struct dhcp_network *network, struct in_addr address);
/* "10.0.0.1/24". Returns out. */
const char *dhcp_network_format(const struct dhcp_network *network, char out[DHCP_NETWORK_TEXT]);
/* 0, -ENODEV (no such interface) or -EADDRNOTAVAIL (no IPv4 address), with a sentence in reason. */
int dhcp_network_find(const char *name, struct dhcp_network *network, struct reason *reason);

/* The MAC that the kernel's neighbour table (ARP) has for an address on this interface; false: none. */
bool dhcp_neighbour(const char *interface, struct in_addr address, char mac[PARSE_MAC_TEXT]);

/*
 * Sends a DHCPDISCOVER (RFC 2131 §4.4.1) from the interface and waits for an offer for at most timeout_ms. 1: a server
 * answered, its identifier is in server; 0: nobody did; -errno: it could not be asked.
 */
int dhcp_discover(const struct dhcp_network *network, unsigned timeout_ms, struct in_addr *server);

/*
 * Tells the server on this interface, our dnsmasq, that mac gives address up (DHCPRELEASE, RFC 2131 §4.4.6). Does not wait. 0
 * or -errno.
 */
int dhcp_release(const struct dhcp_network *network, const char *mac, struct in_addr address);

/*
 * Finds a DHCPOFFER to this transaction in a packet; true with the server's identifier (option 54). For dhcp_discover
 * and its fuzz harness.
 */
int dhcp_parse_offer(const unsigned char *packet, size_t len, unsigned xid, struct in_addr *server);

#endif
