// SPDX-License-Identifier: GPL-2.0-or-later
/* The golden cache: what gets in, what goes out, what is pinned, and children that read through it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pool.h"
#include "base/util.h"
#include "disk/fixture.h"
#include "disk/golden_cache.h"
#include "disk/qcow2.h"

enum { SLOT = GOLDEN_SLOT_BYTES, PAGE = GOLDEN_PAGE_BYTES, M = 1 << 20, CACHE = 2 * M, SLOTS = CACHE / SLOT };

struct world {
	struct pool *pool;
	struct golden_cache *cache;
};

static int setup(void **state)
{
	static const unsigned threads[POOL_CLASSES] = { 1, 1, 1, 1 };
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(pool_new(threads, &w->pool), 0);
	assert_int_equal(golden_cache_new(w->pool, CACHE, &w->cache), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	golden_cache_free(w->cache);
	pool_free(w->pool);
	free(w);
	return 0;
}

static struct golden_image *image(struct world *w, ino_t ino, long mtime)
{
	const struct stat st = { .st_dev = 1, .st_ino = ino, .st_size = 64 * M, .st_mtim.tv_sec = mtime };
	struct golden_image *got = golden_image_get(w->cache, &st);

	assert_non_null(got);
	return got;
}

/* Reads until the block has a slot: memory comes from a worker. */
static struct golden_slot *pin(struct golden_image *golden, uint64_t offset, uint64_t length, uint8_t **data,
			       bool *valid)
{
	struct golden_slot *slot;

	for (int i = 0; i < 10000; i++) {
		slot = golden_slot_pin(golden, offset, length, data, valid);
		if (slot)
			return slot;
		usleep(1000);
	}
	fail_msg("no slot in ten seconds");
	return NULL;
}

static void test_second_reading_gets_in(void **state)
{
	struct golden_image *golden = image(*state, 1, 1);
	uint8_t *data, *again;
	struct golden_slot *slot;
	bool valid;

	assert_null(golden_slot_pin(golden, 0, PAGE, &data, &valid));
	/* Other pages of the same block are first readings, too. */
	for (uint64_t at = PAGE; at < SLOT; at += PAGE)
		assert_null(golden_slot_pin(golden, at, PAGE, &data, &valid));
	slot = pin(golden, 512, 1024, &data, &valid);
	assert_false(valid);
	memset(data - 512, 'g', PAGE);
	golden_slot_filled(slot, 0, PAGE);
	golden_slot_unpin(slot);
	slot = golden_slot_pin(golden, 0, PAGE, &again, &valid);
	assert_non_null(slot);
	assert_true(valid);
	assert_ptr_equal(again, data - 512);
	assert_int_equal(again[PAGE - 1], 'g');
	golden_slot_unpin(slot);
	/* Only that page. */
	slot = golden_slot_pin(golden, 0, 2 * PAGE, &again, &valid);
	assert_non_null(slot);
	assert_false(valid);
	golden_slot_unpin(slot);
	assert_null(golden_slot_pin(golden, 1ull << 40, PAGE, &data, &valid));
	golden_image_put(golden);
}

static void test_pinned_ones_stay(void **state)
{
	struct world *w = *state;
	struct golden_image *golden = image(w, 1, 1);
	struct golden_slot *slots[SLOTS], *one;
	uint8_t *data, *first;
	bool valid;

	for (unsigned i = 0; i < SLOTS; i++) {
		slots[i] = pin(golden, (uint64_t)i * SLOT, PAGE, i ? &data : &first, &valid);
		golden_slot_filled(slots[i], (uint64_t)i * SLOT, PAGE);
	}
	assert_int_equal(golden_cache_used(w->cache), CACHE);
	/* All are pinned: no room for another. */
	for (int i = 0; i < 5; i++)
		assert_null(golden_slot_pin(golden, (uint64_t)SLOTS * SLOT, PAGE, &data, &valid));
	golden_slot_unpin(slots[0]);
	one = pin(golden, (uint64_t)SLOTS * SLOT, PAGE, &data, &valid);
	assert_ptr_equal(data, first);
	assert_false(valid);
	/* Block 0 has lost its slot, and begins anew. */
	assert_null(golden_slot_pin(golden, 0, PAGE, &data, &valid));
	golden_slot_unpin(one);
	for (unsigned i = 1; i < SLOTS; i++)
		golden_slot_unpin(slots[i]);
	golden_image_put(golden);
}

static void test_images(void **state)
{
	struct world *w = *state;
	struct golden_image *golden = image(w, 1, 1), *changed;
	struct golden_slot *slot;
	uint8_t *data;
	bool valid;

	slot = pin(golden, 0, PAGE, &data, &valid);
	golden_slot_filled(slot, 0, PAGE);
	golden_slot_unpin(slot);
	golden_image_put(golden);
	/* Closed and opened again: it is still there. Changed since: another image. */
	assert_ptr_equal(image(w, 1, 1), golden);
	changed = image(w, 1, 2);
	assert_ptr_not_equal(changed, golden);
	assert_null(golden_slot_pin(changed, 0, PAGE, &data, &valid));
	golden_image_put(changed);
	golden_image_put(golden);
	/* So many others are opened and closed that it is forgotten, with what it had. */
	for (ino_t ino = 2; ino < 40; ino++)
		golden_image_put(image(w, ino, 1));
	assert_int_equal(golden_cache_used(w->cache), 0);
}

/* ---- loops at the same time ---- */

enum { BLOCKS = 3 * SLOTS, HITS = 20000 };

static void *reader(void *arg)
{
	struct golden_image *golden = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	long hits = 0;

	while (hits < HITS) {
		/* The first blocks are read more often than the rest. */
		unsigned block = (unsigned)rand_r(&seed) % (rand_r(&seed) % 2 ? SLOTS / 2 : BLOCKS);
		uint64_t offset = (uint64_t)block * SLOT + (uint64_t)(rand_r(&seed) % 16) * PAGE;
		struct golden_slot *slot;
		uint8_t *data;
		bool valid;

		slot = golden_slot_pin(golden, offset, PAGE, &data, &valid);
		if (!slot) {
			sched_yield(); /* memory comes from a worker */
			continue;
		}
		if (!valid) {
			for (int k = 0; k < 8; k++)
				((_Atomic uint64_t *)(void *)data)[k * 64] = offset + 1;
			golden_slot_filled(slot, offset, PAGE);
		}
		for (int k = 0; k < 8; k++)
			if (((_Atomic uint64_t *)(void *)data)[k * 64] != offset + 1)
				abort();
		hits += valid;
		golden_slot_unpin(slot);
	}
	return NULL;
}

static void test_loops_share(void **state)
{
	struct golden_image *golden = image(*state, 1, 1);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, golden), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	golden_image_put(golden);
}

/* ---- children ---- */

static void test_children_read_through_it(void **state)
{
	struct fixture *fx = *state;
	enum { SIZE = 8 * M, CHILDREN = 3, READS = 3000 };
	uint8_t *want = malloc(SIZE + 512), *got = malloc(M);
	struct disk *disks[CHILDREN];
	struct disk_cache_info info;
	unsigned seed = 7;

	assert_non_null(want);
	assert_non_null(got);
	assert_int_equal(disk_env_set_cache(fx->env, CACHE), 0);
	/* A hole in the middle, and an end within a page. */
	fixture_pattern(want, SIZE, 0, 3);
	memset(want + 3 * M, 0, M);
	fixture_put(fixture_path(fx, "golden.raw"), 0, want, 3 * M, SIZE - 1024);
	fixture_put(fixture_path(fx, "golden.raw"), 4 * M, want + 4 * M, SIZE - 1024 - 4 * M, SIZE - 1024);
	memset(want + SIZE - 1024, 0, 1024);
	for (int i = 0; i < CHILDREN; i++) {
		char name[24];
		struct disk_opened result;
		struct disk_open how = { 0 };

		snprintf(name, sizeof(name), "child%d", i);
		assert_int_equal(
			fixture_shell(
				fx,
				"qemu-img create -q -f qcow2 -o cluster_size=128k,extended_l2=on,lazy_refcounts=off -b golden.raw "
				"-F raw %s %u",
				name, (unsigned)SIZE),
			0);
		how.path = fixture_path(fx, name);
		disks[i] = fixture_open(fx, qcow2_disk_open, &how, &result);
		assert_non_null(disks[i]);
	}
	for (int i = 0; i < READS; i++) {
		uint64_t length = 512 * (1 + (uint64_t)rand_r(&seed) % (i % 16 ? 16 : 700));
		uint64_t offset = 512 * ((uint64_t)rand_r(&seed) % ((SIZE - length) / 512 + 1));

		assert_int_equal(fixture_read(fx, disks[i % CHILDREN], offset, got, length), 0);
		assert_memory_equal(got, want + offset, length);
	}
	disk_env_cache_info(fx->env, &info);
	assert_true(info.hit_bytes > 0 && info.miss_bytes > 0 && info.used_bytes > 0);
	/* What a child writes is its own. */
	memset(got, 'w', PAGE);
	assert_int_equal(fixture_write(fx, disks[0], 16 * PAGE, got, PAGE, false), 0);
	assert_int_equal(fixture_read(fx, disks[0], 16 * PAGE, got, PAGE), 0);
	assert_int_equal(got[0], 'w');
	assert_int_equal(fixture_read(fx, disks[1], 16 * PAGE, got, PAGE), 0);
	assert_memory_equal(got, want + 16 * PAGE, PAGE);
	for (int i = 0; i < CHILDREN; i++)
		assert_int_equal(fixture_close(fx, disks[i]), 0);
	free(want);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_second_reading_gets_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pinned_ones_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_images, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loops_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_children_read_through_it, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
