// SPDX-License-Identifier: GPL-2.0-or-later
/* Attempts per address: see limiter.h. The mutex guards the table. */
#include "http/limiter.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LIMITER_ADDRESSES = 1024 };

struct entry {
	unsigned char key[16]; /* all 0: unused */
	unsigned char family;
	unsigned left; /* attempts */
	uint64_t refilled_ms, used_ms;
};

struct limiter {
	pthread_mutex_t mutex;
	struct entry entries[LIMITER_ADDRESSES];
};

struct limiter *limiter_new(void)
{
	struct limiter *made = calloc(1, sizeof(*made));

	if (made)
		pthread_mutex_init(&made->mutex, NULL);
	return made;
}

void limiter_free(struct limiter *limiter)
{
	if (!limiter)
		return;
	pthread_mutex_destroy(&limiter->mutex);
	free(limiter);
}

/* What counts as one address; anything that is none shares one entry. */
static void make_key(const char *address, struct entry *key)
{
	memset(key, 0, sizeof(*key));
	if (inet_pton(AF_INET, address, key->key) == 1) {
		key->family = AF_INET;
	} else if (inet_pton(AF_INET6, address, key->key) == 1) {
		key->family = AF_INET6;
		memset(key->key + 8, 0, 8);
	} else {
		memset(key->key, 0, sizeof(key->key));
		key->family = AF_UNSPEC;
	}
}

/* Under the mutex: the address's entry, made in place of the one unused longest where it has none. */
static struct entry *find(struct limiter *limiter, const char *address, uint64_t now_ms)
{
	struct entry key, *oldest = &limiter->entries[0];

	make_key(address, &key);
	for (unsigned i = 0; i < LIMITER_ADDRESSES; i++) {
		struct entry *entry = &limiter->entries[i];

		if (entry->used_ms && entry->family == key.family && !memcmp(entry->key, key.key, sizeof(key.key)))
			return entry;
		if (entry->used_ms < oldest->used_ms)
			oldest = entry;
	}
	*oldest = key;
	oldest->left = LIMITER_BURST;
	oldest->refilled_ms = now_ms;
	return oldest;
}

unsigned limiter_try(struct limiter *limiter, const char *address, uint64_t now_ms)
{
	struct entry *entry;
	uint64_t refills;
	unsigned wait_s = 0;

	pthread_mutex_lock(&limiter->mutex);
	entry = find(limiter, address, now_ms);
	entry->used_ms = now_ms ? now_ms : 1;
	refills = (now_ms - entry->refilled_ms) / LIMITER_REFILL_MS;
	if (refills) {
		entry->left = refills >= LIMITER_BURST - entry->left ? LIMITER_BURST : entry->left + (unsigned)refills;
		entry->refilled_ms += refills * LIMITER_REFILL_MS;
	}
	if (entry->left)
		entry->left--;
	else
		wait_s = (unsigned)((LIMITER_REFILL_MS - (now_ms - entry->refilled_ms) + 999) / 1000);
	pthread_mutex_unlock(&limiter->mutex);
	return wait_s;
}

void limiter_forget(struct limiter *limiter, const char *address)
{
	struct entry *entry;

	pthread_mutex_lock(&limiter->mutex);
	entry = find(limiter, address, 0);
	entry->left = LIMITER_BURST;
	pthread_mutex_unlock(&limiter->mutex);
}
