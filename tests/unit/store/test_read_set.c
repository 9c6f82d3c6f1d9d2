// SPDX-License-Identifier: GPL-2.0-or-later
/* What boots need: learnt, forgotten, kept in a file that may be broken, removed with its image. */
#include "store/fixture.h"

#include "base/be.h"
#include "base/crc32c.h"
#include "base/util.h"
#include "disk/read_trace.h"
#include "store/read_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 4096, NO_MORE = 0 };

static const struct image_version image = { .size_bytes = (uint64_t)BLOCKS * BOOT_BLOCK_BYTES, .sha256 = "00ff" };

/* Blocks [first, first + count), pairs, ended by a count of 0. */
static struct read_trace *trace_of(const uint32_t *pairs)
{
	struct read_trace *trace = read_trace_new(image.size_bytes);

	assert_non_null(trace);
	for (; pairs[1]; pairs += 2)
		read_trace_note(trace, (uint64_t)pairs[0] * BOOT_BLOCK_BYTES, (uint64_t)pairs[1] * BOOT_BLOCK_BYTES);
	return trace;
}

static int learn(struct read_set *set, const uint32_t *pairs)
{
	struct read_trace *trace = trace_of(pairs);
	int err = read_set_merge(set, trace);

	read_trace_unref(trace);
	return err;
}

#define LEARN(set, ...) assert_int_equal(learn(set, (const uint32_t[]){ __VA_ARGS__, 0, NO_MORE }), 0)
#define EXPECT(set, ...) expect(set, (const uint32_t[]){ __VA_ARGS__, 0, NO_MORE })

static void expect(const struct read_set *set, const uint32_t *pairs)
{
	uint32_t next = 0, first, count;
	uint64_t blocks = 0;

	for (; pairs[1]; pairs += 2) {
		assert_true(read_set_next(set, &next, &first, &count));
		assert_int_equal(first, pairs[0]);
		assert_int_equal(count, pairs[1]);
		blocks += count;
	}
	assert_false(read_set_next(set, &next, &first, &count));
	assert_int_equal(read_set_needed_bytes(set), blocks * BOOT_BLOCK_BYTES);
}

static void test_learn(void **state)
{
	struct read_set set = { 0 };

	(void)state;
	assert_int_equal(learn(&set, (const uint32_t[]){ 0, NO_MORE }), -ENODATA);
	assert_int_equal(set.boots, 0);
	LEARN(&set, 10, 5, 100, 1, 4095, 1);
	EXPECT(&set, 10, 5, 100, 1, 4095, 1);
	/* Overlaps of all kinds; what one of two boots read is needed. */
	LEARN(&set, 0, 2, 12, 10, 99, 3);
	EXPECT(&set, 0, 2, 10, 12, 99, 3, 4095, 1);
	assert_int_equal(set.boots, 2);
	assert_int_equal(set.run_count, 8);
	read_set_fini(&set);
	assert_int_equal(set.run_count, 0);
}

static void test_forget(void **state)
{
	struct read_set set = { 0 };
	unsigned boots = 0;

	(void)state;
	/* All of the image, once: a backup. Then boots as usual. */
	LEARN(&set, 0, BLOCKS);
	while (read_set_needed_bytes(&set) > 20 * BOOT_BLOCK_BYTES && boots++ < 10)
		LEARN(&set, 50, 20);
	assert_int_equal(boots, 3);
	/* Much later once more: it never counts. */
	for (unsigned i = 0; i < 20; i++)
		LEARN(&set, 50, 20);
	assert_int_equal(set.run_count, 1); /* and the rest is forgotten altogether */
	LEARN(&set, 0, BLOCKS);
	EXPECT(&set, 50, 20);
	/* What the system needs since an update, and what it does not need any more. */
	for (unsigned i = 0; i < 3; i++)
		LEARN(&set, 60, 20);
	EXPECT(&set, 50, 30);
	for (unsigned i = 0; i < 12; i++)
		LEARN(&set, 60, 20);
	EXPECT(&set, 60, 20);
	read_set_fini(&set);
}

/* More runs than there may be: the less needed ones go, and what is left is in order. */
static void test_bounded(void **state)
{
	struct image_version big = { .size_bytes = (uint64_t)4 * READ_SET_RUNS_MAX * BOOT_BLOCK_BYTES };
	struct read_trace *often = read_trace_new(big.size_bytes), *once = read_trace_new(big.size_bytes);
	struct read_trace *all = read_trace_new((uint64_t)(READ_SET_BLOCKS_MAX + 1) * BOOT_BLOCK_BYTES);
	struct read_set set = { 0 };

	(void)state;
	assert_true(often && once && all);
	for (uint64_t i = 0; i < READ_SET_RUNS_MAX; i++)
		read_trace_note(often, i * 4 * BOOT_BLOCK_BYTES, 1);
	for (uint64_t i = 0; i < READ_SET_RUNS_MAX; i++)
		read_trace_note(once, (i * 4 + 2) * BOOT_BLOCK_BYTES, 1);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(read_set_merge(&set, often), 0);
	assert_int_equal(set.run_count, READ_SET_RUNS_MAX);
	assert_int_equal(read_set_merge(&set, once), 0);
	assert_int_equal(set.run_count, READ_SET_RUNS_MAX);
	assert_int_equal(set.runs[1].first, 4);
	read_trace_note(all, 0, (uint64_t)(READ_SET_BLOCKS_MAX + 1) * BOOT_BLOCK_BYTES);
	assert_int_equal(read_set_merge(&set, all), -E2BIG);
	assert_int_equal(set.boots, 9);
	read_set_fini(&set);
	read_trace_unref(often);
	read_trace_unref(once);
	read_trace_unref(all);
}

/* ---- bytes ---- */

static int decode(const uint8_t *data, size_t size, struct read_set *set)
{
	/* Of its own, so that ASan sees who reads beyond it. */
	uint8_t *copy = malloc(size ? size : 1);
	const char *wrong = NULL;
	int err;

	assert_non_null(copy);
	memcpy(copy, data, size);
	err = read_set_decode(set, &image, copy, size, &wrong);
	free(copy);
	assert_true(!err == !wrong);
	return err;
}

static void refused(const uint8_t *data, size_t size, int err)
{
	struct read_set set = { .boots = 77 };

	assert_int_equal(decode(data, size, &set), err);
	assert_int_equal(set.boots, 77);
}

static void seal(uint8_t *data, size_t size)
{
	struct be32 crc = be32_put(crc32c(0, data, size - 4));

	memcpy(data + size - 4, &crc, 4);
}

static void test_file_format(void **state)
{
	enum { HEADER = 96, RUN = 9 };
	/* Meaning, under a checksum that is right: offset, byte, what it is to be. */
	static const struct {
		size_t at;
		uint8_t byte;
		int err;
	} changes[] = {
		{ 0, 'x', -EUCLEAN },		      /* magic */
		{ 11, 2, -EUCLEAN },		      /* version */
		{ 14, 0, -EUCLEAN },		      /* block size */
		{ 23, 1, -ESTALE },		      /* size of the image */
		{ 24, 'x', -ESTALE },		      /* its hash */
		{ 87, 'x', -ESTALE },		      /* all of it */
		{ 95, 9, -EUCLEAN },		      /* more runs than there are */
		{ 92, 1, -EUCLEAN },		      /* far more */
		{ HEADER + 3, 200, -EUCLEAN },	      /* out of order */
		{ HEADER + 7, 0, -EUCLEAN },	      /* an empty run */
		{ HEADER + 8, 0, -EUCLEAN },	      /* without a score */
		{ HEADER + RUN, 0xff, -EUCLEAN },     /* beyond the image */
		{ HEADER + RUN + 4, 0xff, -EUCLEAN }, /* reaches beyond it */
	};
	struct read_set set = { 0 }, back = { 0 };
	uint8_t *data, *bad;
	size_t size;

	(void)state;
	LEARN(&set, 10, 5, 100, 3);
	assert_int_equal(read_set_encode(&set, &image, &data, &size), 0);
	assert_int_equal(size, HEADER + 2 * RUN + 4);
	assert_int_equal(decode(data, size, &back), 0);
	EXPECT(&back, 10, 5, 100, 3);
	assert_int_equal(back.boots, 1);
	read_set_fini(&back);
	for (size_t cut = 0; cut < size; cut++)
		refused(data, cut, -EUCLEAN);
	bad = malloc(size);
	assert_non_null(bad);
	for (size_t i = 0; i < size; i++) {
		memcpy(bad, data, size);
		bad[i] ^= 0x40;
		refused(bad, size, -EUCLEAN);
	}
	for (size_t i = 0; i < array_len(changes); i++) {
		memcpy(bad, data, size);
		assert_int_not_equal(bad[changes[i].at], changes[i].byte);
		bad[changes[i].at] = changes[i].byte;
		seal(bad, size);
		refused(bad, size, changes[i].err);
	}
	free(bad);
	free(data);
	read_set_fini(&set);
}

/* ---- files ---- */

static struct image_version import_disk(struct fixture *f)
{
	make_disk(input(f, "disk"), 8 << 20, 1);
	return import_version(f, input(f, "disk"), "debian");
}

static void learn_file(struct fixture *f, const struct image_version *version, uint32_t first, uint32_t count)
{
	struct read_trace *trace = trace_of((const uint32_t[]){ first, count, 0, NO_MORE });

	assert_int_equal(store_learn_boot(f->store, version, trace), 0);
	read_trace_unref(trace);
}

static void test_file(void **state)
{
	struct fixture *f = *state;
	struct image_version version = import_disk(f);
	const char *path = in_state(f, "images", "debian@1.raw.bootset");
	struct read_set_info info;
	struct read_set set;

	assert_int_equal(store_load_read_set(f->store, &version, &set), -ENOENT);
	store_get_read_set_info(f->store, &version, &info);
	assert_int_equal(info.boots, 0);
	learn_file(f, &version, 10, 5);
	learn_file(f, &version, 12, 5);
	store_get_read_set_info(f->store, &version, &info);
	assert_int_equal(info.boots, 2);
	assert_int_equal(info.needed_bytes, 7 * BOOT_BLOCK_BYTES);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	/* It survives a restart; a broken one does not, and is learnt anew. */
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(store_load_read_set(f->store, &version, &set), 0);
	EXPECT(&set, 10, 7);
	read_set_fini(&set);
	make_file(path, "rubbish", 7, 7);
	assert_int_equal(store_load_read_set(f->store, &version, &set), -ENOENT);
	assert_int_equal(access(path, F_OK), -1);
	learn_file(f, &version, 20, 1);
	assert_int_equal(truncate(path, 50), 0);
	learn_file(f, &version, 30, 1);
	store_get_read_set_info(f->store, &version, &info);
	assert_int_equal(info.boots, 1);
	/* Another image's is not believed. */
	version.sha256[0] = version.sha256[0] == 'a' ? 'b' : 'a';
	assert_int_equal(store_load_read_set(f->store, &version, &set), -ENOENT);
	/* Longer than any, and no file at all. */
	make_file(path, "x", 1, (uint64_t)1 << 40);
	assert_int_equal(store_load_read_set(f->store, &version, &set), -ENOENT);
	run_command("mkfifo '%s'", path);
	assert_int_equal(store_load_read_set(f->store, &version, &set), -ENOENT);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_removed_with_its_image(void **state)
{
	struct fixture *f = *state;
	struct image_version version = import_disk(f);
	struct read_trace *trace;
	struct reason reason;

	learn_file(f, &version, 10, 5);
	assert_int_equal(count_entries(in_state(f, "images", "")), 2);
	assert_int_equal(store_remove_version(f->store, version.id, "test", &reason), 0);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
	/* Who learns of it too late leaves nothing. */
	trace = trace_of((const uint32_t[]){ 1, 1, 0, NO_MORE });
	assert_int_equal(store_learn_boot(f->store, &version, trace), -ENOENT);
	read_trace_unref(trace);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
	/* One that was left behind goes at the next start. */
	make_file(in_state(f, "images", "debian@1.raw.bootset"), "x", 1, 1);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learn),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_file_format),
		cmocka_unit_test_setup_teardown(test_file, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_removed_with_its_image, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
