// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: dnsmasq's lease file, in which machines choose their names: what comes out of a line must be fit to be
 * shown. And IPv6 router solicitations.
 */
#include "dhcp/leases.h"
#include "dhcp/router.h"
#include "lines.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_line(void *arg, char *line)
{
	struct dhcp_lease lease;
	struct in_addr address;

	(void)arg;
	if (!leases_parse(line, &lease))
		return;
	assert(inet_pton(AF_INET, lease.address, &address) == 1);
	assert(lease.expires_ms >= 0);
	assert(strlen(lease.name) < sizeof(lease.name) && strlen(lease.mac) < sizeof(lease.mac));
	for (const char *c = lease.name; *c; c++)
		assert(*c >= ' ' && *c < 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	each_line(data, size, read_line, NULL);
	no_router_valid(data, size, 255);
	return 0;
}
