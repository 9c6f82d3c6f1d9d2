/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What else machines are told in full mode: routers, name servers, time servers, domains (RFC 2132, RFC 3397). Pure
 * functions; private to dhcp/.
 */
#ifndef DHCP_OPTIONS_H
#define DHCP_OPTIONS_H

#include "base/buf.h"
#include "base/reason.h"
#include "dhcp/dhcp.h"
#include "dhcp/network.h"

/*
 * dnsmasq's lines for config->options. A router is told in its own network; the rest everywhere, or on the interface it
 * is given for. -EINVAL with a sentence: no such interface among config's, a router in no network, two values for one
 * thing.
 */
int options_add_config(const struct dhcp_config *config, const struct dhcp_network *networks, struct buf *text,
		       struct reason *reason);

#endif
