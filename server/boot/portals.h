/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which portals a script names, and which it leaves out because they do not answer: the initramfs of a Linux logs in to
 * all that the iBFT has, one after the other, and waits for ever for one that is dead.
 *
 * What the server knows of a portal: whether it listens there, whether the address is still on an interface of its own
 * with a link, and whether the machine's system waited for it in vain before (machine.lost_portals). The last one is
 * never left out. Portals are texts, "10.0.0.1:3260", for the iBFT holds IPv4 addresses only. Private to boot/.
 */
#ifndef BOOT_PORTALS_H
#define BOOT_PORTALS_H

#include "base/parse.h"
#include "base/reason.h"
#include "inventory/inventory.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

struct boot;

enum { PORTALS_OFFERED_MAX = 8, PORTALS_HOST_TEXT = 256, PORTALS_ADDRESSES_MAX = 128 };

struct offered_portal {
	char host[PORTALS_HOST_TEXT]; /* an IPv4 address, or what --advertise says */
	unsigned port;
};

struct portals_offer {
	unsigned count; /* at least 1 */
	struct offered_portal list[PORTALS_OFFERED_MAX];
	char left_out[REASON_TEXT / 2]; /* "10.0.1.1:3260 (eth1 has no link), ..."; "": none */
};

/* An address of this host. */
struct portals_address {
	struct in_addr address, mask;
	char interface[IF_NAMESIZE];
	bool up, link, loopback;
};

struct portals_facts {
	const char *reached; /* the IPv4 address of ours that the machine reached by HTTP */
	bool all;	     /* offer all; else one */
	const struct endpoint *bound;
	unsigned bound_count;
	const struct portals_address *addresses;
	unsigned address_count;
	const char *lost; /* machine.lost_portals */
};

/* The decision: the address that was reached comes first. */
void portals_choose(const struct portals_facts *facts, struct portals_offer *offer);
/* What is wrong with this address of a host that has those: "eth1 has no link"; "": nothing. */
void portals_say(const struct portals_address *list, unsigned count, struct in_addr addr, char *why, size_t size);

/* portals_host.c: the same for a machine that reached this address, with what the host has just now. Any thread, at once. */
void portals_offer(const struct boot *boot, const char *reached, const struct machine *machine,
		   struct portals_offer *offer);
/* What is wrong with a portal as far as the server sees: "eth1 has no link"; false: nothing. Any thread, at once. */
bool portals_cause(const char *portal, struct reason *why);

/* Lists of portals: words in one text. */
bool portals_has(const char *list, const char *portal);
/* Adds those of more that are not there; what does not fit is left out. */
void portals_add(char list[PORTALS_TEXT], const char *more);
void portals_remove(char list[PORTALS_TEXT], const char *those);

#endif
