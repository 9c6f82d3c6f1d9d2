/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's own addresses, watched: the kernel says that some address came or went (rtnetlink), and once that has been
 * quiet for a moment it is looked whether it concerns interfaces that dnsmasq serves. Private to dhcp/; one loop.
 */
#ifndef DHCP_ADDRESSES_H
#define DHCP_ADDRESSES_H

#include "dhcp/network.h"

struct addresses;
struct loop;

/*
 * moved, on the loop: all these interfaces have addresses, and not those of the last time (at first: these). An interface
 * without an address is waited for: what replaces it often comes as two steps. 0 or -errno.
 */
int addresses_watch(struct loop *loop, const struct dhcp_network *networks, unsigned count, void (*moved)(void *arg),
		    void *arg, struct addresses **addresses);
void addresses_stop(struct addresses *addresses); /* NULL: nothing. moved is not called any more */

#endif
