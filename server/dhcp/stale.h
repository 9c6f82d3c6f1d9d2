/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases that no longer fit the host file: the machine got another board or lost a MAC, or it was removed. dnsmasq keeps such a
 * lease until it expires, whatever the host file says, and gives the new board another address meanwhile (2.90: neither
 * SIGHUP nor a restart changes that). Private to dhcp/; any thread.
 */
#ifndef DHCP_STALE_H
#define DHCP_STALE_H

#include "base/parse.h"
#include "dhcp/status.h"

#include <netinet/in.h>

enum { STALE_MAX = 256 }; /* at a time; the next ones follow at the next change */

struct stale_lease {
	char mac[PARSE_MAC_TEXT];
	struct in_addr address;
};

struct stale_leases {
	struct stale_lease list[STALE_MAX];
	unsigned count;
};

/*
 * Of leases, those of an address that hosts (as hosts_make wrote it) gives to other MACs, and those of MACs that stand in
 * before and not in hosts. Added to stale as far as there is room. 0 or -ENOMEM.
 */
int stale_find(const char *hosts, const char *before, const struct dhcp_lease *leases, unsigned count,
	       struct stale_leases *stale);

#endif
