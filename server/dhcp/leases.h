/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsmasq's lease file, in which machines have named themselves. Private to dhcp/; any thread. */
#ifndef DHCP_LEASES_H
#define DHCP_LEASES_H

#include "dhcp/status.h"

/* One line of the file; false: it is no IPv4 lease. */
bool leases_parse(const char *line, struct dhcp_lease *lease);
/* The first 16384 of the file; none where there is no file, or no memory. The list is the caller's (free). */
void leases_read(const char *state_dir, struct dhcp_lease **list, unsigned *count);

#endif
