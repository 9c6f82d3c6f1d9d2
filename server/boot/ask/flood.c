// SPDX-License-Identifier: GPL-2.0-or-later
/* Token buckets: see flood.h. The mutex guards all of it. */
#include "flood.h"

#include "base/secret.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MILLI = 1000, WINDOW_MS = 10000 };

/* Thousandths of a token, so that a millisecond brings a whole number of them. */
struct bucket {
	uint64_t left;
	uint64_t filled_ms;
};

struct address {
	unsigned char key[17]; /* family, address; all 0: unused */
	uint64_t used_ms;
	struct bucket asks, news;
	uint64_t window_ms; /* asks are counted since then */
	unsigned window_asks;
	unsigned refused; /* since the last event */
	uint64_t event_ms;
	bool told;
};

struct seen {
	uint64_t hash; /* of address and MAC; 0: unused */
	uint64_t used_ms;
};

struct flood {
	pthread_mutex_t mutex;
	uint64_t seed; /* so that nobody can choose MACs that fall into one set */
	struct bucket all;
	bool started;
	struct address addresses[FLOOD_ADDRESSES];
	struct seen seen[FLOOD_SEEN_SETS][FLOOD_SEEN_WAYS];
};

struct flood *flood_new(void)
{
	struct flood *flood = calloc(1, sizeof(*flood));

	if (!flood)
		return NULL;
	pthread_mutex_init(&flood->mutex, NULL);
	secret_bytes(&flood->seed, sizeof(flood->seed));
	return flood;
}

void flood_free(struct flood *flood)
{
	if (!flood)
		return;
	pthread_mutex_destroy(&flood->mutex);
	free(flood);
}

/* ---- under the mutex ---- */

static void bucket_fill(struct bucket *b, unsigned burst, unsigned per_s, uint64_t now_ms)
{
	uint64_t more = (now_ms - b->filled_ms) * per_s, full = (uint64_t)burst * MILLI;

	b->left = more >= full - b->left ? full : b->left + more;
	b->filled_ms = now_ms;
}

static void make_key(const char *text, unsigned char key[17])
{
	memset(key, 0, 17);
	if (inet_pton(AF_INET, text, key + 1) == 1) {
		key[0] = 4;
	} else if (inet_pton(AF_INET6, text, key + 1) == 1) {
		key[0] = 6;
		memset(key + 9, 0, 8);
	} else {
		memset(key, 0, 17);
		key[0] = 1;
	}
}

static struct address *address_get(struct flood *f, const char *text, uint64_t now_ms)
{
	struct address *oldest = &f->addresses[0];
	unsigned char key[17];

	make_key(text, key);
	for (unsigned i = 0; i < FLOOD_ADDRESSES; i++) {
		struct address *a = &f->addresses[i];

		if (!memcmp(a->key, key, sizeof(key)))
			return a;
		if (oldest->key[0] && (!a->key[0] || a->used_ms < oldest->used_ms))
			oldest = a;
	}
	*oldest = (struct address){ .window_ms = now_ms };
	memcpy(oldest->key, key, sizeof(key));
	oldest->asks = (struct bucket){ .left = (uint64_t)FLOOD_ASK_BURST * MILLI, .filled_ms = now_ms };
	oldest->news = (struct bucket){ .left = (uint64_t)FLOOD_NEW_BURST * MILLI, .filled_ms = now_ms };
	return oldest;
}

static struct flood_verdict refuse(struct address *a, uint64_t now_ms)
{
	uint64_t elapsed_ms = max_u64(now_ms - a->window_ms, 1000);
	struct flood_verdict verdict = { .refused = true };

	a->refused++;
	verdict.per_second = (unsigned)(a->window_asks * 1000ull / elapsed_ms);
	verdict.refused_count = a->refused;
	verdict.event = !a->told || now_ms - a->event_ms >= FLOOD_EVENT_MS;
	if (verdict.event) {
		a->told = true;
		a->event_ms = now_ms;
		a->refused = 0;
	}
	return verdict;
}

/* FNV-1a with a secret start. known: the MAC of a machine. */
static uint64_t pair_hash(const struct flood *f, const struct address *a, const char *mac, bool known)
{
	uint64_t hash = known ? ~f->seed : f->seed;

	for (size_t i = 0; i < sizeof(a->key); i++)
		hash = (hash ^ a->key[i]) * 0x100000001b3ull;
	for (; *mac; mac++)
		hash = (hash ^ (unsigned char)*mac) * 0x100000001b3ull;
	hash ^= hash >> 29;
	return hash ? hash : 1;
}

/* Its place among those that were let in: its own, or the one to be replaced. */
static struct seen *seen_find(struct flood *f, uint64_t hash)
{
	struct seen *set = f->seen[hash % FLOOD_SEEN_SETS], *oldest = &set[0];

	for (unsigned i = 0; i < FLOOD_SEEN_WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		if (set[i].used_ms < oldest->used_ms)
			oldest = &set[i];
	}
	return oldest;
}

/* A machine that has asked before, and not just now. */
static bool known_may_ask(struct flood *f, const struct address *a, const char *mac, uint64_t now_ms)
{
	uint64_t hash = pair_hash(f, a, mac, true);
	struct seen *seen = seen_find(f, hash);

	if (seen->hash != hash || now_ms - seen->used_ms < FLOOD_KNOWN_MS)
		return false;
	seen->used_ms = now_ms;
	return true;
}

/* ---- public ---- */

struct flood_verdict flood_ask(struct flood *f, const char *address, const char *mac, uint64_t now_ms)
{
	struct flood_verdict verdict = { 0 };
	struct address *a;

	pthread_mutex_lock(&f->mutex);
	a = address_get(f, address, now_ms);
	a->used_ms = now_ms;
	if (now_ms - a->window_ms > WINDOW_MS) {
		a->window_ms = now_ms;
		a->window_asks = 0;
	}
	a->window_asks++;
	bucket_fill(&a->asks, FLOOD_ASK_BURST, FLOOD_ASK_PER_S, now_ms);
	if (a->asks.left >= MILLI)
		a->asks.left -= MILLI;
	else if (!known_may_ask(f, a, mac, now_ms))
		verdict = refuse(a, now_ms);
	pthread_mutex_unlock(&f->mutex);
	return verdict;
}

void flood_known(struct flood *f, const char *address, const char *mac, uint64_t now_ms)
{
	struct address *a;
	uint64_t hash;

	pthread_mutex_lock(&f->mutex);
	a = address_get(f, address, now_ms);
	hash = pair_hash(f, a, mac, true);
	*seen_find(f, hash) = (struct seen){ .hash = hash, .used_ms = now_ms };
	pthread_mutex_unlock(&f->mutex);
}

struct flood_verdict flood_unknown(struct flood *f, const char *address, const char *mac, uint64_t now_ms)
{
	struct flood_verdict verdict = { 0 };
	struct address *a;
	struct seen *seen;
	uint64_t hash;

	pthread_mutex_lock(&f->mutex);
	if (!f->started)
		f->all = (struct bucket){ .left = (uint64_t)FLOOD_ALL_BURST * MILLI, .filled_ms = now_ms };
	f->started = true;
	a = address_get(f, address, now_ms);
	hash = pair_hash(f, a, mac, false);
	seen = seen_find(f, hash);
	bucket_fill(&a->news, FLOOD_NEW_BURST, FLOOD_NEW_PER_S, now_ms);
	bucket_fill(&f->all, FLOOD_ALL_BURST, FLOOD_ALL_PER_S, now_ms);
	if (seen->hash == hash) {
		seen->used_ms = now_ms;
	} else if (a->news.left < MILLI || f->all.left < MILLI) {
		verdict = refuse(a, now_ms);
	} else {
		a->news.left -= MILLI;
		f->all.left -= MILLI;
		*seen = (struct seen){ .hash = hash, .used_ms = now_ms };
	}
	pthread_mutex_unlock(&f->mutex);
	return verdict;
}
