/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often an address may try a password: a few times at once, then one attempt in a while. Private to the folder; any
 * thread. IPv6 addresses count by /64. A bounded table: the address that was quiet longest is forgotten first.
 */
#ifndef HTTP_LIMITER_H
#define HTTP_LIMITER_H

#include <stdint.h>

enum { LIMITER_BURST = 8, LIMITER_REFILL_MS = 10000 };

struct limiter;

struct limiter *limiter_new(void);
void limiter_free(struct limiter *limiter);
/* One attempt at now_ms: 0, it may be made; else in how many seconds. address: without port; or "device:" and 16 characters. */
unsigned limiter_try(struct limiter *limiter, const char *address, uint64_t now_ms);
/* It was right: forget the failures. */
void limiter_forget(struct limiter *limiter, const char *address);

#endif
