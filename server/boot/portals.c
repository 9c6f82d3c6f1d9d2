// SPDX-License-Identifier: GPL-2.0-or-later
/* Which portals a script names, by what is known of them: see portals.h. Pure functions. */
#include "portals.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { CANDIDATES_MAX = PORTALS_ADDRESSES_MAX };

/* A portal that might be offered. */
struct candidate {
	char host[INET_ADDRSTRLEN];
	unsigned port;
	char why_not[96]; /* "": it answers, for all that is known */
	bool lost;	  /* why_not is only that it did not answer before */
};

struct candidates {
	struct candidate list[CANDIDATES_MAX];
	unsigned count;
};

/* ---- lists ---- */

/* The next word of a list, its length in *len; NULL: none. */
static const char *next_word(const char *at, size_t *len)
{
	at += strspn(at, " ");
	*len = strcspn(at, " ");
	return *len ? at : NULL;
}

static bool has_word(const char *list, const char *word, size_t word_len)
{
	size_t len;

	for (const char *at = list; (at = next_word(at, &len)); at += len)
		if (len == word_len && !memcmp(at, word, len))
			return true;
	return false;
}

bool portals_has(const char *list, const char *portal)
{
	return has_word(list, portal, strlen(portal));
}

void portals_add(char list[PORTALS_TEXT], const char *more)
{
	size_t len;

	for (const char *at = more; (at = next_word(at, &len)); at += len) {
		size_t used = strlen(list);

		if (!has_word(list, at, len) && used + len + 2 <= PORTALS_TEXT)
			snprintf(list + used, PORTALS_TEXT - used, "%s%.*s", used ? " " : "", (int)len, at);
	}
}

void portals_remove(char list[PORTALS_TEXT], const char *those)
{
	char left[PORTALS_TEXT] = "";
	size_t len, used = 0;

	for (const char *at = list; (at = next_word(at, &len)); at += len) {
		if (!has_word(those, at, len))
			used += (size_t)snprintf(left + used, sizeof(left) - used, "%s%.*s", used ? " " : "", (int)len,
						 at);
	}
	memcpy(list, left, sizeof(left));
}

/* ---- addresses ---- */

/* All of a loopback network is this host. */
static bool address_covers(const struct portals_address *a, struct in_addr addr)
{
	return a->address.s_addr == addr.s_addr ||
	       (a->loopback && !((a->address.s_addr ^ addr.s_addr) & a->mask.s_addr));
}

static void address_say(const struct portals_address *a, char *why, size_t size)
{
	why[0] = '\0';
	if (!a->up)
		snprintf(why, size, "%s is down", a->interface);
	else if (!a->link)
		snprintf(why, size, "%s has no link", a->interface);
}

/* Of several interfaces with the same address one that works is enough. */
void portals_say(const struct portals_address *list, unsigned count, struct in_addr addr, char *why, size_t size)
{
	snprintf(why, size, "the address is gone");
	for (unsigned i = 0; i < count; i++) {
		if (!address_covers(&list[i], addr))
			continue;
		address_say(&list[i], why, size);
		if (!why[0])
			return;
	}
}

/* ---- the decision ---- */

static struct in_addr bound_address(const struct endpoint *bound)
{
	return ((const struct sockaddr_in *)(const void *)&bound->addr)->sin_addr;
}

static bool bound_to_all(const struct endpoint *bound)
{
	return bound_address(bound).s_addr == htonl(INADDR_ANY);
}

static void candidate_add(struct candidates *c, const struct portals_facts *facts, struct in_addr addr, unsigned port,
			  const char *why_not)
{
	struct candidate *new = &c->list[c->count];
	char text[INET_ADDRSTRLEN + 8];

	if (c->count == CANDIDATES_MAX)
		return;
	*new = (struct candidate){ .port = port };
	inet_ntop(AF_INET, &addr, new->host, sizeof(new->host));
	snprintf(new->why_not, sizeof(new->why_not), "%s", why_not);
	for (unsigned i = 0; i < c->count; i++)
		if (!strcmp(c->list[i].host, new->host) && c->list[i].port == port)
			return;
	snprintf(text, sizeof(text), "%s:%u", new->host, port);
	if (facts->all && !why_not[0] && portals_has(facts->lost, text)) {
		new->lost = true;
		snprintf(new->why_not, sizeof(new->why_not), "not reached before");
	}
	c->count++;
}

/* Its link is proven by whoever reached it. */
static void add_reached(struct candidates *c, const struct portals_facts *facts)
{
	const struct endpoint *listener = NULL;
	struct in_addr addr;

	if (inet_pton(AF_INET, facts->reached, &addr) != 1)
		return;
	for (unsigned i = 0; i < facts->bound_count && !listener; i++)
		if (facts->bound[i].addr.ss_family == AF_INET &&
		    (bound_to_all(&facts->bound[i]) || bound_address(&facts->bound[i]).s_addr == addr.s_addr))
			listener = &facts->bound[i];
	candidate_add(c, facts, addr, endpoint_port(listener ? listener : &facts->bound[0]),
		      listener ? "" : "no portal listens there");
}

static void add_bound(struct candidates *c, const struct portals_facts *facts, const struct endpoint *bound)
{
	char why[96];

	if (!bound_to_all(bound)) {
		portals_say(facts->addresses, facts->address_count, bound_address(bound), why, sizeof(why));
		candidate_add(c, facts, bound_address(bound), endpoint_port(bound), facts->address_count ? why : "");
		return;
	}
	for (unsigned i = 0; i < facts->address_count; i++) {
		if (facts->addresses[i].loopback)
			continue;
		address_say(&facts->addresses[i], why, sizeof(why));
		candidate_add(c, facts, facts->addresses[i].address, endpoint_port(bound), why);
	}
}

/* Those that answer; with_lost: also those that did not answer this machine before. */
static void offer_fill(struct portals_offer *offer, const struct candidates *c, bool all, bool with_lost)
{
	size_t used = 0;

	*offer = (struct portals_offer){ 0 };
	for (unsigned i = 0; i < c->count; i++) {
		const struct candidate *at = &c->list[i];

		if (!at->why_not[0] || (at->lost && with_lost)) {
			if (offer->count < (all ? PORTALS_OFFERED_MAX : 1)) {
				snprintf(offer->list[offer->count].host, PORTALS_HOST_TEXT, "%s", at->host);
				offer->list[offer->count++].port = at->port;
			}
		} else if (used < sizeof(offer->left_out)) {
			used += (size_t)snprintf(offer->left_out + used, sizeof(offer->left_out) - used, "%s%s:%u (%s)",
						 used ? ", " : "", at->host, at->port, at->why_not);
		}
	}
}

void portals_choose(const struct portals_facts *facts, struct portals_offer *offer)
{
	struct candidates c = { .count = 0 };

	add_reached(&c, facts);
	/* Of one that answers no more is asked. */
	for (unsigned i = 0; i < facts->bound_count && (facts->all || !c.count || c.list[0].why_not[0]); i++)
		if (facts->bound[i].addr.ss_family == AF_INET)
			add_bound(&c, facts, &facts->bound[i]);
	offer_fill(offer, &c, facts->all, false);
	if (!offer->count)
		offer_fill(offer, &c, facts->all, true);
	if (offer->count)
		return;
	/* Nothing is known to answer: where it came from is the best guess. */
	offer->count = 1;
	offer->left_out[0] = '\0';
	snprintf(offer->list[0].host, sizeof(offer->list[0].host), "%s", facts->reached);
	offer->list[0].port = endpoint_port(&facts->bound[0]);
}
