/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Token buckets against whoever asks for the scripts of thousands of machines. Private to boot/.
 *
 * Two things are bounded: how often an address may ask at all, and how many MACs that no machine has may come from it,
 * and from all addresses together. A MAC that was let in may ask again and again at no cost, so 256 new machines behind
 * one router get in within seconds and may wait there for approval. What is bounded for all
 * addresses together does not count known machines: a flood from elsewhere does not touch them, and one from behind
 * their own router hardly does.
 *
 * Any thread; one mutex. IPv6 addresses count by /64. All tables have a fixed size; what was quiet longest is
 * forgotten. No clock: now_ms is any clock that never goes back.
 */
#ifndef BOOT_FLOOD_H
#define BOOT_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

enum {
	FLOOD_ADDRESSES = 1024,
	FLOOD_ASK_BURST = 2048, /* asks of an address */
	FLOOD_ASK_PER_S = 256,
	FLOOD_NEW_BURST = 512, /* MACs of an address that no machine has */
	FLOOD_NEW_PER_S = 1,
	FLOOD_ALL_BURST = 2048, /* the same of all addresses */
	FLOOD_ALL_PER_S = 16,
	FLOOD_SEEN_SETS = 1024, /* remembered MACs: sets of FLOOD_SEEN_WAYS */
	FLOOD_SEEN_WAYS = 8,
	FLOOD_KNOWN_MS = 1000,
	FLOOD_EVENT_MS = 60000, /* at most one event of an address in so long */
};

struct flood;

struct flood_verdict {
	bool refused;
	bool event;		/* and it is time to say so: */
	unsigned refused_count; /* of this address since the last event */
	unsigned per_second;	/* how often it asks just now */
};

/* NULL without memory. */
struct flood *flood_new(void);
void flood_free(struct flood *flood);

/* An address (numeric, without port; anything else shares one bucket) asks, with a MAC. */
struct flood_verdict flood_ask(struct flood *flood, const char *address, const char *mac, uint64_t now_ms);
/* It was a machine's: from now on it may ask once in FLOOD_KNOWN_MS, whatever others do behind its address. */
void flood_known(struct flood *flood, const char *address, const char *mac, uint64_t now_ms);
/* It claims a MAC that no machine has, or that is not its own. After flood_ask. */
struct flood_verdict flood_unknown(struct flood *flood, const char *address, const char *mac, uint64_t now_ms);

#endif
