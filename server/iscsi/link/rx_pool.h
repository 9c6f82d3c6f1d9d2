/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for what receives bring: one block for all connections of a loop, used again and again, so that it stays in
 * the processor's cache. Data-Out that lies in it whole is lent to its command instead of copied; a block of which
 * something is still lent after a receive gives way to another. However little of each is lent, there are at most
 * RX_BLOCKS_MAX: beyond that, data is copied. One loop.
 */
#ifndef ISCSI_RX_POOL_H
#define ISCSI_RX_POOL_H

#include <stddef.h>
#include <stdint.h>

enum {
	RX_BLOCK_BYTES = 1 << 20, /* what one receive may bring; with half of it, 64 KiB writes cost a sixth more */
	RX_BLOCKS_MAX = 8,
};

struct rx_block {
	struct rx_pool *pool;
	struct rx_block *next; /* of the free ones */
	unsigned lent;
	uint8_t bytes[RX_BLOCK_BYTES];
};

struct rx_pool {
	struct rx_block *now; /* for the next receive */
	struct rx_block *free;
	unsigned count; /* of all blocks */
};

/* 0 or -ENOMEM. */
int rx_pool_init(struct rx_pool *pool);
/* Nothing is lent any more. */
void rx_pool_fini(struct rx_pool *pool);
/* What the last receive brought is handled: after this, pool->now has nothing that is lent. */
void rx_pool_turn(struct rx_pool *pool);
/*
 * Lends bytes of the last receive: the block that has them, until rx_block_return. NULL: they are not of the last
 * receive, or too many blocks are lent; they have to be copied.
 */
struct rx_block *rx_pool_lend(struct rx_pool *pool, const uint8_t *bytes);
void rx_block_return(struct rx_block *block);

#endif
