// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory for what receives bring, and Data-Out that stays in it. */
#include "cmocka_all.h"
#include "iscsi/link/chunks.h"
#include "iscsi/link/rx_pool.h"

#include <string.h>

static struct rx_pool pool;

static int set_up(void **state)
{
	(void)state;
	return rx_pool_init(&pool);
}

static int tear_down(void **state)
{
	(void)state;
	rx_pool_fini(&pool);
	return 0;
}

/* Nothing is lent, or what was has come back: the same memory, which is in the cache. */
static void test_same_block_again(void **state)
{
	struct rx_block *first = pool.now;

	(void)state;
	rx_pool_turn(&pool);
	assert_ptr_equal(pool.now, first);
	assert_ptr_equal(rx_pool_lend(&pool, first->bytes + 48), first);
	rx_block_return(first);
	rx_pool_turn(&pool);
	assert_ptr_equal(pool.now, first);
	assert_int_equal(pool.count, 2);
}

static void test_lent_bytes_stay(void **state)
{
	struct rx_block *first = pool.now;

	(void)state;
	memset(first->bytes, 1, 4096);
	rx_pool_lend(&pool, first->bytes);
	rx_pool_lend(&pool, first->bytes + 1024);
	rx_pool_turn(&pool);
	assert_ptr_not_equal(pool.now, first);
	memset(pool.now->bytes, 2, RX_BLOCK_BYTES);
	assert_int_equal(first->bytes[4095], 1);
	/* It comes back with the last of what is lent, not with the first. */
	rx_block_return(first);
	assert_null(pool.free);
	rx_block_return(first);
	assert_ptr_equal(pool.free, first);
}

static void test_only_the_last_receive(void **state)
{
	struct rx_block *first = pool.now;
	uint8_t other[8] = { 0 };

	(void)state;
	assert_null(rx_pool_lend(&pool, other));
	assert_null(rx_pool_lend(&pool, first->bytes + RX_BLOCK_BYTES));
	assert_non_null(rx_pool_lend(&pool, first->bytes + RX_BLOCK_BYTES - 1));
	rx_pool_turn(&pool);
	assert_null(rx_pool_lend(&pool, first->bytes));
	rx_block_return(first);
}

/* Peers that make us hold a little of each block: bounded, and there is always one for the next receive. */
static void test_bound(void **state)
{
	struct rx_block *lent[RX_BLOCKS_MAX];
	unsigned count = 0;

	(void)state;
	for (int i = 0; i < 3 * RX_BLOCKS_MAX; i++) {
		struct rx_block *block = rx_pool_lend(&pool, pool.now->bytes);

		if (block)
			lent[count++] = block;
		rx_pool_turn(&pool);
		assert_int_equal(pool.now->lent, 0);
	}
	assert_int_equal(count, RX_BLOCKS_MAX - 1);
	assert_int_equal(pool.count, RX_BLOCKS_MAX);
	rx_block_return(lent[0]);
	assert_ptr_equal(rx_pool_lend(&pool, pool.now->bytes), pool.now);
	lent[count++] = pool.now;
	rx_pool_turn(&pool);
	assert_ptr_equal(pool.now, lent[0]);
	for (unsigned i = 1; i < count; i++)
		rx_block_return(lent[i]);
}

/* Data-Out of every size, also one that has pieces of its own (more than CHUNKS_INLINE chunks). */
static void test_data_out(void **state)
{
	static const size_t sizes[] = { 512, 4096, 65536, (CHUNKS_INLINE + 1) * CHUNK_LARGE };

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rx_block *block = pool.now;
		struct chunk_pool chunks = { 0 };
		struct data_out data;

		assert_int_equal(data_out_init(&data, sizes[i]), 0);
		assert_non_null(rx_pool_lend(&pool, block->bytes + 48));
		data_out_lend(&data, block, block->bytes + 48);
		assert_int_equal(data.count, 1);
		assert_ptr_equal(data.pieces[0].iov_base, block->bytes + 48);
		assert_int_equal(data.pieces[0].iov_len, sizes[i]);
		assert_int_equal(block->lent, 1);
		data_out_fini(&data, &chunks);
		assert_int_equal(block->lent, 0);
		/* Ended twice: once when the command is done, once when its answer is sent. */
		data_out_fini(&data, &chunks);
		assert_int_equal(block->lent, 0);
		assert_int_equal(chunks.small.count + chunks.large.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_block_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lent_bytes_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_the_last_receive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_data_out, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
