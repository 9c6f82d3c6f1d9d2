// SPDX-License-Identifier: GPL-2.0-or-later
/* Attempts per address: see limiter.h. The mutex guards the table. */
#include "http/limiter.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LIMITER_ADDRESSES = 1024 };

struct client {
	unsigned char key[16]; /* all 0: unused */
	unsigned char family;
	unsigned left; /* attempts */
	uint64_t refilled_ms, used_ms;
};

struct limiter {
	pthread_mutex_t mutex;
	struct client clients[LIMITER_ADDRESSES];
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

/* What counts as one address, or is one device; anything else shares one client. */
static void make_key(const char *address, struct client *key)
{
	memset(key, 0, sizeof(*key));
	if (inet_pton(AF_INET, address, key->key) == 1) {
		key->family = AF_INET;
	} else if (inet_pton(AF_INET6, address, key->key) == 1) {
		key->family = AF_INET6;
		memset(key->key + 8, 0, 8);
	} else {
		const char *device = strncmp(address, "device:", 7) ? "" : address + 7;

		memset(key->key, 0, sizeof(key->key));
		key->family = AF_UNSPEC;
		memcpy(key->key, device, strnlen(device, sizeof(key->key)));
	}
}

/* Under the mutex: the address's client, made in place of the one unused longest where it has none. */
static struct client *find(struct limiter *limiter, const char *address, uint64_t now_ms)
{
	struct client key, *oldest = &limiter->clients[0];

	make_key(address, &key);
	for (unsigned i = 0; i < LIMITER_ADDRESSES; i++) {
		struct client *client = &limiter->clients[i];

		if (client->used_ms && client->family == key.family && !memcmp(client->key, key.key, sizeof(key.key)))
			return client;
		if (client->used_ms < oldest->used_ms)
			oldest = client;
	}
	*oldest = key;
	oldest->left = LIMITER_BURST;
	oldest->refilled_ms = now_ms;
	return oldest;
}

unsigned limiter_try(struct limiter *limiter, const char *address, uint64_t now_ms)
{
	struct client *client;
	uint64_t refills;
	unsigned wait_s = 0;

	pthread_mutex_lock(&limiter->mutex);
	client = find(limiter, address, now_ms);
	client->used_ms = now_ms ? now_ms : 1;
	refills = (now_ms - client->refilled_ms) / LIMITER_REFILL_MS;
	if (refills) {
		client->left =
			refills >= LIMITER_BURST - client->left ? LIMITER_BURST : client->left + (unsigned)refills;
		client->refilled_ms += refills * LIMITER_REFILL_MS;
	}
	if (client->left)
		client->left--;
	else
		wait_s = (unsigned)((LIMITER_REFILL_MS - (now_ms - client->refilled_ms) + 999) / 1000);
	pthread_mutex_unlock(&limiter->mutex);
	return wait_s;
}

void limiter_forget(struct limiter *limiter, const char *address)
{
	struct client *client;

	pthread_mutex_lock(&limiter->mutex);
	client = find(limiter, address, 0);
	client->left = LIMITER_BURST;
	pthread_mutex_unlock(&limiter->mutex);
}
