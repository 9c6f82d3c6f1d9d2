// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory for what receives bring: see rx_pool.h. */
#include "iscsi/link/rx_pool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool rx_pool_grow(struct rx_pool *pool)
{
	struct rx_block *block;

	if (pool->count == RX_BLOCKS_MAX)
		return false;
	block = malloc(sizeof(*block));
	if (!block)
		return false;
	block->pool = pool;
	block->lent = 0;
	block->next = pool->free;
	pool->free = block;
	pool->count++;
	return true;
}

static void rx_pool_next(struct rx_pool *pool)
{
	pool->now = pool->free;
	pool->free = pool->now->next;
}

int rx_pool_init(struct rx_pool *pool)
{
	*pool = (struct rx_pool){ 0 };
	if (!rx_pool_grow(pool))
		return -ENOMEM;
	rx_pool_next(pool);
	return 0;
}

void rx_pool_fini(struct rx_pool *pool)
{
	free(pool->now);
	while (pool->free) {
		struct rx_block *block = pool->free;

		pool->free = block->next;
		free(block);
	}
	*pool = (struct rx_pool){ 0 };
}

void rx_pool_turn(struct rx_pool *pool)
{
	if (pool->now->lent)
		rx_pool_next(pool); /* there is one: see rx_pool_lend */
}

struct rx_block *rx_pool_lend(struct rx_pool *pool, const uint8_t *bytes)
{
	struct rx_block *now = pool->now;

	if (bytes < now->bytes || bytes >= now->bytes + RX_BLOCK_BYTES)
		return NULL;
	/* Who lends of this block needs another for the next receive. */
	if (!pool->free && !rx_pool_grow(pool))
		return NULL;
	now->lent++;
	return now;
}

void rx_block_return(struct rx_block *block)
{
	struct rx_pool *pool = block->pool;

	if (--block->lent || block == pool->now)
		return;
	block->next = pool->free;
	pool->free = block;
}
