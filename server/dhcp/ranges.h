/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The addresses that are given out in full mode: --dhcp-range, each belonging to the interface in whose network it
 * lies. Pure functions; private to dhcp/.
 */
#ifndef DHCP_RANGES_H
#define DHCP_RANGES_H

#include "base/buf.h"
#include "base/reason.h"
#include "dhcp/dhcp.h"
#include "dhcp/network.h"

struct dhcp_range {
	struct in_addr first, last;
	char lease[32];	    /* as dnsmasq writes it: "12h", "infinite" */
	unsigned interface; /* index into config->interfaces */
};

struct dhcp_ranges {
	struct dhcp_range list[DHCP_RANGES_MAX];
	unsigned count;
};

/*
 * All of config's. -EINVAL with a sentence: not a range, in no interface's network, over this server's own address,
 * over another range; or an interface that no range is for.
 */
int ranges_make(const struct dhcp_config *config, const struct dhcp_network *networks, struct dhcp_ranges *ranges,
		struct reason *reason);
bool ranges_contain(const struct dhcp_ranges *ranges, struct in_addr address);
/* dnsmasq's lines: who gets which part of a range, and for how long. */
void ranges_add_config(const struct dhcp_ranges *ranges, const struct dhcp_network *networks, struct buf *text);

#endif
