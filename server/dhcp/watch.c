// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dnsmasq's log as events: see watch.h. The lines of interest, after "dnsmasq-dhcp[PID]: " or "dnsmasq-tftp[PID]: ":
 *
 *     XID DHCPDISCOVER(IF) [ADDRESS] MAC [words]      XID PXE(IF) MAC proxy            asks; its tags follow
 *     XID DHCPDISCOVER(IF) MAC no address available                                    asks in vain
 *     XID DHCPREQUEST(IF) ADDRESS MAC [words]                                          its tags follow, then the answer
 *     XID tags: ipxe, bios, IF
 *     XID DHCPACK(IF) ADDRESS MAC [name]                                               is given the address
 *     XID PXE(IF) ADDRESS MAC FILE                                                     asks port 4011
 *     sent ROOT/tftp/IF/FILE to ADDRESS
 */
#include "dhcp/watch.h"

#include "dhcp/ipxe_files.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { WORD_TEXT = 64 };

/* Does text begin with this? The rest, or NULL. */
static const char *after(const char *text, const char *start)
{
	size_t len = strlen(start);

	return strncmp(text, start, len) ? NULL : text + len;
}

/* Takes the next word of *text; "" at its end, or where it is too long to be any of ours. */
static void next_word(const char **text, char word[WORD_TEXT])
{
	size_t len;

	*text += strspn(*text, " ");
	len = strcspn(*text, " ");
	snprintf(word, WORD_TEXT, "%.*s", len < WORD_TEXT ? (int)len : 0, *text);
	*text += len;
}

/* [ADDRESS] MAC at the start of text. */
static bool parse_who(const char *text, struct in_addr *address, char mac[PARSE_MAC_TEXT])
{
	char word[WORD_TEXT];

	address->s_addr = 0;
	next_word(&text, word);
	if (inet_pton(AF_INET, word, address) == 1)
		next_word(&text, word);
	return parse_mac(word, mac);
}

static void report(struct watch *watch, struct dhcp_seen *seen)
{
	if (seen->at_ms / 1000 != watch->second) {
		watch->second = seen->at_ms / 1000;
		watch->events = 0;
	}
	if (watch->events++ < WATCH_EVENTS_PER_SECOND && watch->seen)
		watch->seen(watch->arg, seen);
}

/* ---- who has which address ---- */

static struct watch_address *place_of(struct watch *watch, struct in_addr address)
{
	return &watch->addresses[ntohl(address.s_addr) % WATCH_ADDRESSES];
}

static void remember(struct watch *watch, struct in_addr address, const char *mac)
{
	struct watch_address *at = place_of(watch, address);

	at->address = address.s_addr;
	memcpy(at->mac, mac, sizeof(at->mac));
}

static bool find(struct watch *watch, const char *interface, struct in_addr address, char mac[PARSE_MAC_TEXT])
{
	const struct watch_address *at = place_of(watch, address);

	if (watch->neighbour && watch->neighbour(interface, address, mac))
		return true;
	if (at->address != address.s_addr || !at->mac[0])
		return false;
	memcpy(mac, at->mac, sizeof(at->mac));
	return true;
}

/* ---- lines ---- */

/* text: from the word on, "WORD(INTERFACE) ...". */
static void on_ask(struct watch *watch, const char *xid, const char *text, const char *mac, bool asked)
{
	const char *interface = strchr(text, '(') + 1;
	size_t len = strcspn(interface, ")");

	watch->interface[0] = '\0';
	if (len < sizeof(watch->interface))
		snprintf(watch->interface, sizeof(watch->interface), "%.*s", (int)len, interface);
	snprintf(watch->xid, sizeof(watch->xid), "%s", xid);
	memcpy(watch->mac, mac, sizeof(watch->mac));
	watch->asked = asked;
	watch->boots = false;
}

static bool boot_tag(const char *tag, size_t len)
{
	for (unsigned k = 0; k < BOOT_KINDS; k++)
		if (strlen(dhcp_boot_kinds[k].tag) == len && !memcmp(dhcp_boot_kinds[k].tag, tag, len))
			return true;
	return (len == 4 && !memcmp(tag, "ipxe", 4)) || (len == 4 && !memcmp(tag, "http", 4));
}

static void on_stranger(struct watch *watch, int64_t minute)
{
	if (minute != watch->minute) {
		watch->strangers[1] = minute == watch->minute + 1 ? watch->strangers[0] : 0;
		watch->strangers[0] = 0;
		watch->minute = minute;
	}
	watch->strangers[0]++;
}

static void on_tags(struct watch *watch, const char *xid, const char *tags, int64_t at_ms)
{
	struct dhcp_seen seen = { .kind = DHCP_SEEN_ASKED, .at_ms = at_ms };

	bool known = false;

	if (!watch->mac[0] || strcmp(watch->xid, xid))
		return;
	while (*tags) {
		size_t len = strcspn(tags, ", ");

		watch->boots = watch->boots || boot_tag(tags, len);
		known = known || (len >= 5 && !memcmp(tags, "known", 5)); /* and known-othernet */
		tags += len + strspn(tags + len, ", ");
	}
	if (watch->boots && watch->asked) {
		memcpy(seen.mac, watch->mac, sizeof(seen.mac));
		report(watch, &seen);
	}
	if (!known && watch->asked)
		on_stranger(watch, at_ms / 60000);
	watch->asked = false; /* told */
}

static void on_ack(struct watch *watch, const char *xid, struct in_addr address, const char *mac, int64_t at_ms)
{
	struct dhcp_seen seen = { .kind = DHCP_SEEN_LEASED, .at_ms = at_ms };

	if (!address.s_addr)
		return;
	remember(watch, address, mac);
	if (!watch->boots || strcmp(watch->xid, xid) || strcmp(watch->mac, mac))
		return;
	memcpy(seen.mac, mac, sizeof(seen.mac));
	inet_ntop(AF_INET, &address, seen.address, sizeof(seen.address));
	report(watch, &seen);
}

static void on_dhcp(struct watch *watch, const char *text, int64_t at_ms)
{
	size_t digits = strspn(text, "0123456789");
	char xid[sizeof(watch->xid)], mac[PARSE_MAC_TEXT];
	const char *rest, *who;
	struct in_addr address;

	if (!digits || digits >= sizeof(xid) || text[digits] != ' ')
		return;
	snprintf(xid, sizeof(xid), "%.*s", (int)digits, text);
	text += digits + 1;
	rest = after(text, "tags: ");
	if (rest) {
		on_tags(watch, xid, rest, at_ms);
		return;
	}
	who = strstr(text, ") ");
	if (!who || !parse_who(who + 2, &address, mac))
		return;
	if (after(text, "DHCPDISCOVER(") && strstr(who, " no address available")) {
		on_ask(watch, xid, text, mac, false); /* no tags follow */
		on_stranger(watch, at_ms / 60000);
		if (watch->exhausted)
			watch->exhausted(watch->arg, watch->interface, mac, watch->strangers[0] + watch->strangers[1]);
	} else if (after(text, "DHCPDISCOVER(")) {
		on_ask(watch, xid, text, mac, true);
	} else if (after(text, "DHCPREQUEST(")) {
		on_ask(watch, xid, text, mac, false);
	} else if (after(text, "DHCPACK(")) {
		on_ack(watch, xid, address, mac, at_ms);
	} else if (after(text, "PXE(")) {
		on_ask(watch, xid, text, mac, !address.s_addr);
		if (address.s_addr)
			remember(watch, address, mac);
	}
}

/* sent ROOT/tftp/INTERFACE/FILE to ADDRESS: a file that we put there, so that its name is ours. */
static void on_tftp(struct watch *watch, const char *text, int64_t at_ms)
{
	struct dhcp_seen seen = { .kind = DHCP_SEEN_FILE, .at_ms = at_ms };
	const char *path = after(text, "sent /"), *file, *to = NULL;
	char interface[16];
	struct in_addr address;
	size_t len;

	for (const char *at = path ? strstr(path, " to ") : NULL; at; at = strstr(at + 1, " to "))
		to = at;
	path = to ? strstr(path, "/tftp/") : NULL;
	file = path ? strchr(path + 6, '/') : NULL;
	if (!file || file > to || inet_pton(AF_INET, to + 4, &address) != 1)
		return;
	len = (size_t)(to - file - 1);
	if (len == 0 || len >= sizeof(seen.file) || (size_t)(file - path - 6) >= sizeof(interface))
		return;
	snprintf(interface, sizeof(interface), "%.*s", (int)(file - path - 6), path + 6);
	snprintf(seen.file, sizeof(seen.file), "%.*s", (int)len, file + 1);
	inet_ntop(AF_INET, &address, seen.address, sizeof(seen.address));
	if (find(watch, interface, address, seen.mac))
		report(watch, &seen);
}

void dhcp_watch_line(struct watch *watch, const char *line, int64_t at_ms)
{
	const char *rest = after(line, "dnsmasq-dhcp["), *text = strstr(line, "]: ");

	if (rest && text)
		on_dhcp(watch, text + 3, at_ms);
	else if (text && after(line, "dnsmasq-tftp["))
		on_tftp(watch, text + 3, at_ms);
}
