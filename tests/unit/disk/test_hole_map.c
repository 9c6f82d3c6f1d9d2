// SPDX-License-Identifier: GPL-2.0-or-later
/* disk/hole_map: what is a hole, who shares a map, and when a file is another one. */
#include "cmocka_all.h"

#include "disk/hole_map.h"
#include "fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { K = 1024, M = 1024 * 1024 };

/* A file of 16 MiB with data in so many KiB from each of these, 0 last. */
static int sparse(struct fixture *fx, const uint64_t *data_kib, size_t length_kib)
{
	static char data[256 * K];
	int fd = open(fixture_path(fx, "sparse"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	memset(data, 7, sizeof(data));
	assert_int_equal(ftruncate(fd, 16 * M), 0);
	for (; *data_kib; data_kib++)
		assert_int_equal(pwrite(fd, data, length_kib * K, (off_t)*data_kib * K), (ssize_t)(length_kib * K));
	return fd;
}

static struct hole_map *get(struct hole_maps *maps, int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return hole_map_get(maps, fd, &st);
}

static void test_covers(void **state)
{
	/* 64 KiB each; between the last two only 16 KiB. */
	static const uint64_t data[] = { 1024, 4096, 4096 + 64 + 16, 0 };
	struct hole_maps maps;
	struct hole_map *map;
	int fd = sparse(*state, data, 64);

	hole_maps_init(&maps);
	map = get(&maps, fd);
	assert_non_null(map);
	assert_true(hole_map_covers(map, 0, 1024 * K));
	assert_true(hole_map_covers(map, 512, 512));
	assert_false(hole_map_covers(map, 512, 1024 * K));
	assert_false(hole_map_covers(map, 1024 * K, 512));
	assert_false(hole_map_covers(map, (1024 + 64) * K - 512, 1024));
	assert_true(hole_map_covers(map, (1024 + 64) * K, (4096 - 1024 - 64) * K));
	/* Too small to be kept. */
	assert_false(hole_map_covers(map, (4096 + 64) * K, 4 * K));
	assert_true(hole_map_covers(map, 8 * M, 8 * M));
	assert_true(hole_map_covers(map, 15 * M, 100 * (uint64_t)M));
	assert_true(hole_map_covers(map, UINT64_MAX - 4096, 4096));
	assert_false(hole_map_covers(NULL, 0, 512));
	hole_map_put(map);
	hole_map_put(NULL);
	hole_maps_fini(&maps);
	close(fd);
}

static void test_all_data_and_all_hole(void **state)
{
	static const uint64_t none[] = { 0 };
	struct hole_maps maps;
	struct hole_map *map;
	int fd = sparse(*state, none, 0);

	hole_maps_init(&maps);
	map = get(&maps, fd);
	assert_true(hole_map_covers(map, 0, 16 * M));
	hole_map_put(map);
	/* The first data there is at the very beginning, and nothing comes after it. */
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(ftruncate(fd, 4096), 0);
	map = get(&maps, fd);
	assert_false(hole_map_covers(map, 0, 512));
	assert_true(hole_map_covers(map, 4096, 512));
	hole_map_put(map);
	hole_maps_fini(&maps);
	close(fd);
}

static void test_shared_until_it_changes(void **state)
{
	static const uint64_t data[] = { 1024, 0 };
	struct hole_map *first, *second, *changed;
	struct hole_maps maps;
	int fd = sparse(*state, data, 64);

	hole_maps_init(&maps);
	first = get(&maps, fd);
	second = get(&maps, fd);
	assert_ptr_equal(first, second);
	/* Another size is another file, whatever the clock says. */
	assert_int_equal(ftruncate(fd, 17 * M), 0);
	assert_int_equal(pwrite(fd, "x", 1, 8 * M), 1);
	changed = get(&maps, fd);
	assert_ptr_not_equal(first, changed);
	assert_true(hole_map_covers(first, 8 * M, 512));
	assert_false(hole_map_covers(changed, 8 * M, 512));
	hole_map_put(first);
	assert_true(hole_map_covers(second, 0, 1024 * K));
	hole_map_put(changed);
	hole_map_put(second);
	hole_maps_fini(&maps);
	close(fd);
}

static void test_what_cannot_seek(void **state)
{
	struct hole_maps maps;
	int ends[2];

	(void)state;
	hole_maps_init(&maps);
	assert_int_equal(pipe(ends), 0);
	assert_null(get(&maps, ends[0]));
	hole_maps_fini(&maps);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_all_data_and_all_hole),
		cmocka_unit_test(test_shared_until_it_changes),
		cmocka_unit_test(test_what_cannot_seek),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
