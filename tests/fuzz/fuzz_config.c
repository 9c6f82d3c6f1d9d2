// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: the configuration file. What is taken must be of use: DHCP's texts are of the right form, and dnsmasq's
 * lines come out of them whole.
 */
#include "config.h"
#include "dhcp/dnsmasq_config.h"
#include "dhcp/ranges.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config config;

/* As if its interfaces were there: 10.0.0.1/24, 10.0.1.1/24, ... */
static void make_dnsmasq_config(void)
{
	struct dhcp_network networks[DHCP_INTERFACES_MAX];
	static const struct ipxe_files files = { .name = { "undionly.kpxe" } };
	struct dhcp_config dhcp = { .mode = config.dhcp.mode,
				    .interface_count = config.dhcp.interface_count,
				    .state_dir = "/s",
				    .runtime_dir = "/r" };
	struct dhcp_ranges ranges;
	struct reason reason;
	struct buf text;

	for (; dhcp.range_count < config.dhcp.range_count; dhcp.range_count++)
		dhcp.ranges[dhcp.range_count] = config.dhcp.ranges[dhcp.range_count];
	for (; dhcp.option_count < config.dhcp.option_count; dhcp.option_count++) {
		const char *expected;

		dhcp.options[dhcp.option_count].kind = config.dhcp.options[dhcp.option_count].kind;
		dhcp.options[dhcp.option_count].text = config.dhcp.options[dhcp.option_count].text;
		assert(dhcp_option_valid(dhcp.options[dhcp.option_count].kind, dhcp.options[dhcp.option_count].text,
					 &expected));
	}
	for (unsigned i = 0; i < dhcp.interface_count; i++) {
		dhcp.interfaces[i] = config.dhcp.interfaces[i];
		networks[i] = (struct dhcp_network){ .address.s_addr = htonl(0x0a000001 + (i << 8)),
						     .netmask.s_addr = htonl(0xffffff00) };
		snprintf(networks[i].name, sizeof(networks[i].name), "%s", dhcp.interfaces[i]);
	}
	buf_init(&text, 1 << 20);
	if (dhcp.mode != DHCP_FULL || !ranges_make(&dhcp, networks, &ranges, &reason))
		if (!dnsmasq_make_config(&dhcp, networks, &ranges, &files, &text, &reason))
			assert(!text.failed && strlen(buf_text(&text)) == text.len);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "sanbootd", path[64];
	struct reason reason;
	char *argv[] = { name, path, NULL };
	int fd = memfd_create("conf", MFD_CLOEXEC);

	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "--config=/proc/self/fd/%d", fd);
	if (write(fd, data, size) == (ssize_t)size && config_load(2, argv, &config, &reason) == CONFIG_RUN)
		make_dnsmasq_config();
	close(fd);
	return 0;
}
