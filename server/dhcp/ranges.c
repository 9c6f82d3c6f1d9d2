// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ranges of addresses: see ranges.h. So that nobody who invents MACs keeps real machines from booting:
 *
 *   - enrolled and waiting machines are in the host file: their addresses are reserved, their leases long;
 *   - everybody else gets a short lease, out of at most UNKNOWN_MAX addresses of a range (dnsmasq writes its whole
 *     lease file at each change);
 *   - the last quarter of a range is for firmware and iPXE alone.
 */
#include "dhcp/ranges.h"

#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNKNOWN_LEASE_S = 600, UNKNOWN_MAX = 4096, LEASES_SPARE = 1024 };

/* Seconds; 0: no lease time, UINT64_MAX: infinite. */
static uint64_t lease_seconds(const char *lease)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	size_t digits = strspn(lease, "0123456789");

	if (!strcmp(lease, "infinite"))
		return UINT64_MAX;
	if (digits == 0 || digits > 8 || (lease[digits] && lease[digits + 1]))
		return 0;
	for (size_t i = 0; i < array_len(units); i++)
		if (lease[digits] == units[i].unit || (!lease[digits] && units[i].seconds == 1))
			return strtoull(lease, NULL, 10) * units[i].seconds;
	return 0;
}

static int range_parse(const char *text, struct dhcp_range *range, struct reason *reason)
{
	char first[64], last[64], rest[2];
	int fields = sscanf(text, "%63[^,],%63[^,],%31[^,]%1s", first, last, range->lease, rest);

	if (fields < 3)
		snprintf(range->lease, sizeof(range->lease), "12h");
	if (fields < 2 || fields > 3 || inet_pton(AF_INET, first, &range->first) != 1 ||
	    inet_pton(AF_INET, last, &range->last) != 1) {
		return reason_refuse(
			reason, -EINVAL,
			"--dhcp-range %s: expected FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h",
			text);
	}
	if (ntohl(range->first.s_addr) > ntohl(range->last.s_addr))
		return reason_refuse(reason, -EINVAL, "--dhcp-range %s: the first address is behind the last", text);
	if (!lease_seconds(range->lease))
		return reason_refuse(reason, -EINVAL,
				     "--dhcp-range %s: \"%s\" is no lease time; expected such as 12h, 45m or infinite",
				     text, range->lease);
	return 0;
}

bool dhcp_range_valid(const char *text, struct reason *reason)
{
	struct dhcp_range range;

	return !range_parse(text, &range, reason);
}

static bool in_range(const struct dhcp_range *range, struct in_addr address)
{
	return ntohl(address.s_addr) >= ntohl(range->first.s_addr) &&
	       ntohl(address.s_addr) <= ntohl(range->last.s_addr);
}

static bool overlap(const struct dhcp_range *a, const struct dhcp_range *b)
{
	return in_range(a, b->first) || in_range(b, a->first);
}

static int refuse_place(const struct dhcp_config *config, const struct dhcp_network *networks, const char *text,
			struct reason *reason)
{
	char address[DHCP_NETWORK_TEXT];
	struct buf have;

	buf_init(&have, sizeof(reason->text));
	for (unsigned i = 0; i < config->interface_count; i++)
		buf_printf(&have, "%s%s has %s", i ? ", " : "", networks[i].name,
			   dhcp_network_format(&networks[i], address));
	reason_set(reason, "--dhcp-range %s lies in the subnet of no --interface (%s)", text, buf_text(&have));
	buf_fini(&have);
	return -EINVAL;
}

static int place(const struct dhcp_config *config, const struct dhcp_network *networks, const char *text,
		 struct dhcp_range *range, struct reason *reason)
{
	const struct dhcp_network *n = NULL;
	char address[INET_ADDRSTRLEN];
	struct in_addr ends[2];

	for (unsigned i = 0; i < config->interface_count && !n; i++) {
		if (!dhcp_network_has(&networks[i], range->first) || !dhcp_network_has(&networks[i], range->last))
			continue;
		n = &networks[i];
		range->interface = i;
	}
	if (!n)
		return refuse_place(config, networks, text, reason);
	if (in_range(range, n->address))
		return reason_refuse(reason, -EINVAL, "--dhcp-range %s contains this server's own address %s", text,
				     inet_ntop(AF_INET, &n->address, address, sizeof(address)));
	ends[0].s_addr = n->address.s_addr & n->netmask.s_addr;
	ends[1].s_addr = n->address.s_addr | ~n->netmask.s_addr;
	for (unsigned i = 0; i < 2; i++)
		if (in_range(range, ends[i]))
			return reason_refuse(reason, -EINVAL,
					     "--dhcp-range %s contains %s, the %s address of %s's network", text,
					     inet_ntop(AF_INET, &ends[i], address, sizeof(address)),
					     i ? "broadcast" : "first", n->name);
	return 0;
}

static int check_all(const struct dhcp_config *config, const struct dhcp_network *networks,
		     const struct dhcp_ranges *ranges, struct reason *reason)
{
	bool served[DHCP_INTERFACES_MAX] = { false };
	char address[DHCP_NETWORK_TEXT];

	for (unsigned i = 0; i < ranges->count; i++) {
		served[ranges->list[i].interface] = true;
		for (unsigned k = 0; k < i; k++)
			if (overlap(&ranges->list[i], &ranges->list[k]))
				return reason_refuse(reason, -EINVAL, "--dhcp-range %s and --dhcp-range %s overlap",
						     config->ranges[k], config->ranges[i]);
	}
	for (unsigned i = 0; i < config->interface_count; i++)
		if (!served[i])
			return reason_refuse(reason, -EINVAL,
					     "no --dhcp-range lies in the network of --interface %s, which has %s: add "
					     "one, or leave the interface out",
					     networks[i].name, dhcp_network_format(&networks[i], address));
	return 0;
}

int ranges_make(const struct dhcp_config *config, const struct dhcp_network *networks, struct dhcp_ranges *ranges,
		struct reason *reason)
{
	ranges->count = 0;
	for (unsigned i = 0; i < config->range_count; i++) {
		struct dhcp_range *range = &ranges->list[i];
		int err = range_parse(config->ranges[i], range, reason);

		if (!err)
			err = place(config, networks, config->ranges[i], range, reason);
		if (err)
			return err;
		ranges->count++;
	}
	return check_all(config, networks, ranges, reason);
}

bool ranges_contain(const struct dhcp_ranges *ranges, struct in_addr address)
{
	for (unsigned i = 0; i < ranges->count; i++)
		if (in_range(&ranges->list[i], address))
			return true;
	return false;
}

static void add_line(struct buf *text, const char *tags, uint32_t first, uint32_t last,
		     const struct dhcp_network *network, const char *lease)
{
	struct in_addr ends[2] = { { htonl(first) }, { htonl(last) } };
	char a[INET_ADDRSTRLEN], b[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &ends[0], a, sizeof(a));
	inet_ntop(AF_INET, &ends[1], b, sizeof(b));
	inet_ntop(AF_INET, &network->netmask, mask, sizeof(mask));
	buf_printf(text, "dhcp-range=%s,%s,%s,%s,%s\n", tags, a, b, mask, lease);
}

void ranges_add_config(const struct dhcp_ranges *ranges, const struct dhcp_network *networks, struct buf *text)
{
	uint64_t leases = LEASES_SPARE;

	/* In the host file, be it with an address of another network. */
	buf_add_string(text, "tag-if=set:ours,tag:known\ntag-if=set:ours,tag:known-othernet\n");
	buf_add_string(text, "dhcp-match=set:boots,option:client-arch\ndhcp-match=set:boots,175\n"
			     "dhcp-userclass=set:boots,iPXE\n");
	for (unsigned i = 0; i < ranges->count; i++) {
		const struct dhcp_range *range = &ranges->list[i];
		const struct dhcp_network *network = &networks[range->interface];
		uint32_t first = ntohl(range->first.s_addr), last = ntohl(range->last.s_addr);
		uint32_t count = (uint32_t)min_u64((uint64_t)last - first + 1, UNKNOWN_MAX), unknown = last - count + 1;
		char lease[32];

		snprintf(lease, sizeof(lease), "%llu",
			 (unsigned long long)min_u64(lease_seconds(range->lease), UNKNOWN_LEASE_S));
		add_line(text, "tag:ours", first, last, network, range->lease);
		add_line(text, "tag:!ours,tag:boots", unknown, last, network, lease);
		add_line(text, "tag:!ours,tag:!boots", unknown, last - count / 4, network, lease);
		leases += (uint64_t)last - first + 1;
	}
	/* Never reached before the ranges are full: it would refuse enrolled machines too. */
	buf_printf(text, "dhcp-lease-max=%llu\n", (unsigned long long)min_u64(leases, 1 << 20));
}
