/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells a machine that asks for an IPv6 router that there is none here: iPXE otherwise waits 13 s for one, on networks
 * without IPv6. A router advertisement with lifetime 0 and no prefix (RFC 4861 §6.2.3) makes nobody a router and gives
 * nobody an address. It is sent only to who asked. Full mode only. Private to dhcp/.
 */
#ifndef DHCP_ROUTER_H
#define DHCP_ROUTER_H

#include <netinet/in.h>
#include <stddef.h>

struct loop;
struct no_router;

/* On the loop. Answers solicitations on this interface until stopped. 0 or -errno. */
int no_router_start(struct loop *loop, const char *interface, struct no_router **no_router);
/* On the loop; it may be gone only in a later turn. NULL: nothing. */
void no_router_stop(struct no_router *no_router);

/* Is this a valid solicitation (RFC 4861 §6.1.1)? For no_router and its tests. */
int no_router_valid(const unsigned char *packet, size_t len, int hop_limit);

#endif
