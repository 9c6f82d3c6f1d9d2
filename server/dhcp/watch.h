/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What machines do, read from what dnsmasq logs (log-dhcp): they ask, are given an address, fetch a file.
 *
 * Its lines hold words that come from the network; dnsmasq prints only their printable characters, and each kind of
 * line is known by how it begins. Memory is fixed, whatever is sent: one exchange that is being told, and a table of
 * addresses in which newer ones replace older ones. Only firmware and iPXE are reported: an operating system that
 * renews its lease is no boot. Private to dhcp/; one thread.
 */
#ifndef DHCP_WATCH_H
#define DHCP_WATCH_H

#include "base/parse.h"
#include "dhcp/dhcp.h"

enum { WATCH_ADDRESSES = 1024, WATCH_EVENTS_PER_SECOND = 500 };

struct watch {
	/* Called inside dhcp_watch_line. */
	void (*seen)(void *arg, const struct dhcp_seen *seen);
	/*
	 * No address was left for this one. strangers: how often MACs asked that are not in the host file, in this
	 * minute and the last.
	 */
	void (*exhausted)(void *arg, const char *interface, const char *mac, unsigned strangers);
	/*
	 * The MAC that the kernel's neighbour table has for an address on this interface; NULL: there is no such table.
	 */
	bool (*neighbour)(const char *interface, struct in_addr address, char mac[PARSE_MAC_TEXT]);
	void *arg;

	/* The exchange that dnsmasq is telling: a line says who and what, the next one by which tags it is known. */
	char xid[16], mac[PARSE_MAC_TEXT];
	bool asked, boots;
	char interface[16];
	int64_t minute; /* the one in which strangers[0] asked; strangers[1]: in the one before */
	unsigned strangers[2];
	int64_t second; /* the one in which `events` were reported */
	unsigned events;
	struct watch_address {
		in_addr_t address;
		char mac[PARSE_MAC_TEXT];
	} addresses[WATCH_ADDRESSES]; /* where the neighbour table has nothing: behind a relay */
};

/* Memory that is all zero but for the first four is a new watch. line: one of dnsmasq's, without its end. */
void dhcp_watch_line(struct watch *watch, const char *line, int64_t at_ms);

#endif
