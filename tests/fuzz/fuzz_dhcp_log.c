// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: dnsmasq's log lines, in which machines have their say. What is reported must be a MAC, an address and a
 * name of a file.
 */
#include "dhcp/watch.h"
#include "lines.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_seen(void *arg, const struct dhcp_seen *seen)
{
	char mac[PARSE_MAC_TEXT];
	struct in_addr address;

	(void)arg;
	assert(parse_mac(seen->mac, mac) && !strcmp(mac, seen->mac));
	assert(seen->kind == DHCP_SEEN_ASKED || inet_pton(AF_INET, seen->address, &address) == 1);
	assert((seen->kind == DHCP_SEEN_FILE) == (seen->file[0] != '\0'));
}

static void read_line(void *arg, char *line)
{
	dhcp_watch_line(arg, line, 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch watch = { .seen = on_seen };

	each_line(data, size, read_line, &watch);
	return 0;
}
