// SPDX-License-Identifier: GPL-2.0-or-later
/* Leases that no longer fit: see stale.h. */
#include "dhcp/stale.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_TEXT = 64 };

/* A MAC of the host file, with the address of its line; 0: none. */
struct place {
	char mac[PARSE_MAC_TEXT];
	in_addr_t address;
};

struct places {
	struct place *by_mac, *by_address; /* the same ones, sorted */
	unsigned count;
};

static int compare_mac(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->mac, ((const struct place *)b)->mac);
}

static int compare_address(const void *a, const void *b)
{
	in_addr_t one = ((const struct place *)a)->address, other = ((const struct place *)b)->address;

	return one < other ? -1 : one > other;
}

/* MAC[,MAC]...[,set:TAG][,ADDRESS][,NAME]: the MACs are appended. Returns the next line. */
static const char *read_line(const char *line, struct places *places)
{
	unsigned first = places->count;
	struct in_addr address = { 0 };

	while (*line && *line != '\n') {
		size_t len = strcspn(line, ",\n");
		char word[WORD_TEXT];

		snprintf(word, sizeof(word), "%.*s", len < sizeof(word) ? (int)len : 0, line);
		if (!parse_mac(word, places->by_mac[places->count].mac))
			inet_pton(AF_INET, word, &address);
		else
			places->count++;
		line += len + (line[len] == ',');
	}
	for (unsigned i = first; i < places->count; i++)
		places->by_mac[i].address = address.s_addr;
	return line + (*line == '\n');
}

static int read_places(const char *hosts, struct places *places)
{
	size_t words = 1;

	for (const char *at = hosts; *at; at++)
		words += *at == ',' || *at == '\n';
	places->count = 0;
	places->by_mac = calloc(words, sizeof(*places->by_mac));
	places->by_address = calloc(words, sizeof(*places->by_address));
	if (!places->by_mac || !places->by_address)
		return -ENOMEM;
	while (*hosts)
		hosts = read_line(hosts, places);
	memcpy(places->by_address, places->by_mac, places->count * sizeof(*places->by_mac));
	qsort(places->by_mac, places->count, sizeof(*places->by_mac), compare_mac);
	qsort(places->by_address, places->count, sizeof(*places->by_address), compare_address);
	return 0;
}

static void free_places(struct places *places)
{
	free(places->by_mac);
	free(places->by_address);
}

static const struct place *find(const struct places *places, bool by_mac, const struct place *key)
{
	return bsearch(key, by_mac ? places->by_mac : places->by_address, places->count, sizeof(*key),
		       by_mac ? compare_mac : compare_address);
}

static bool is_stale(const struct places *now, const struct places *before, const struct place *lease)
{
	const struct place *own = find(now, true, lease);

	if (own && own->address == lease->address)
		return false;
	return find(now, false, lease) || (!own && find(before, true, lease));
}

int stale_find(const char *hosts, const char *before, const struct dhcp_lease *leases, unsigned count,
	       struct stale_leases *stale)
{
	struct places now, old = { 0 };
	int err = read_places(hosts, &now);

	if (!err)
		err = read_places(before, &old);
	for (unsigned i = 0; !err && i < count && stale->count < STALE_MAX; i++) {
		struct stale_lease *found = &stale->list[stale->count];
		struct place lease;

		if (!parse_mac(leases[i].mac, lease.mac) || inet_pton(AF_INET, leases[i].address, &found->address) != 1)
			continue;
		lease.address = found->address.s_addr;
		if (!is_stale(&now, &old, &lease))
			continue;
		memcpy(found->mac, lease.mac, sizeof(found->mac));
		stale->count++;
	}
	free_places(&now);
	free_places(&old);
	return err;
}
