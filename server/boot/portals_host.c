// SPDX-License-Identifier: GPL-2.0-or-later
/* What this host has of portals just now: see portals.h. */
#include "portals.h"

#include "boot/internal.h"

#include <ifaddrs.h>
#include <stdio.h>

static unsigned host_addresses(struct portals_address *list, unsigned max)
{
	struct ifaddrs *found, *at;
	unsigned count = 0;

	if (getifaddrs(&found))
		return 0;
	for (at = found; at && count < max; at = at->ifa_next) {
		struct portals_address *a = &list[count];

		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET)
			continue;
		*a = (struct portals_address){
			.address = ((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr,
			.up = at->ifa_flags & IFF_UP,
			.link = at->ifa_flags & IFF_RUNNING,
			.loopback = at->ifa_flags & IFF_LOOPBACK,
		};
		if (at->ifa_netmask)
			a->mask = ((const struct sockaddr_in *)(const void *)at->ifa_netmask)->sin_addr;
		snprintf(a->interface, sizeof(a->interface), "%s", at->ifa_name);
		count++;
	}
	freeifaddrs(found);
	return count;
}

bool portals_cause(const char *portal, struct reason *why)
{
	struct portals_address addresses[PORTALS_ADDRESSES_MAX];
	unsigned count = host_addresses(addresses, PORTALS_ADDRESSES_MAX);
	struct endpoint endpoint;
	char text[96];

	if (!count || !parse_endpoint(portal, &endpoint) || endpoint.addr.ss_family != AF_INET)
		return false;
	portals_say(addresses, count, ((const struct sockaddr_in *)(const void *)&endpoint.addr)->sin_addr, text,
		    sizeof(text));
	reason_set(why, "%s", text);
	return text[0];
}

void portals_offer(const struct boot *boot, const char *reached, const struct machine *machine,
		   struct portals_offer *offer)
{
	struct portals_address addresses[PORTALS_ADDRESSES_MAX];
	struct portals_facts facts = {
		.reached = reached,
		.all = machine->multipath,
		.bound = boot->portals,
		.bound_count = boot->portal_count,
		.addresses = addresses,
		.lost = machine->lost_portals,
	};

	/* What somebody else's network makes of our addresses is not known here. */
	if (boot->advertise[0] || !boot->portal_count) {
		*offer = (struct portals_offer){ .count = 1 };
		snprintf(offer->list[0].host, sizeof(offer->list[0].host), "%s",
			 boot->advertise[0] ? boot->advertise : reached);
		offer->list[0].port = boot->iscsi_port;
		return;
	}
	facts.address_count = host_addresses(addresses, PORTALS_ADDRESSES_MAX);
	portals_choose(&facts, offer);
}
