// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz harness: the answers of other DHCP servers. */
#include "dhcp/network.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in_addr server;

	dhcp_parse_offer(data, size, 0x11223344, &server);
	return 0;
}
