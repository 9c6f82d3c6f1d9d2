// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What every backend promises, asked of each through store.h alone: "files", and "memory", which is one of a test's.
 * Nothing here knows what an object is kept as.
 */
#include "store/disks.h"
#include "store/fixture.h"
#include "store/memory_backend.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct policy no_reserve = { .reserve_percent = 0 };
static const struct store_backend *const files_first[] = { &store_files, &memory_backend, NULL };
static const struct store_backend *const memory_first[] = { &memory_backend, &store_files, NULL };

enum { GOLDEN_BYTES = 4 << 20 };

/* A store whose new volumes are kept by the first of these. */
static int setup(void **state, const struct store_backend *const *backends)
{
	struct fixture *f = fixture_new();

	f->backends = backends;
	fixture_open(f);
	*state = f;
	return 0;
}

static int setup_files(void **state)
{
	return setup(state, files_first);
}

static int setup_memory(void **state)
{
	return setup(state, memory_first);
}

static int teardown(void **state)
{
	int err = fixture_teardown(state);

	memory_backend_clear();
	return err;
}

static const struct store_backend *backend(struct fixture *f)
{
	return f->backends[0];
}

static struct image_version golden(struct fixture *f)
{
	char *bytes = malloc(GOLDEN_BYTES);

	assert_non_null(bytes);
	memset(bytes, 'g', GOLDEN_BYTES);
	make_file(input(f, "golden.raw"), bytes, GOLDEN_BYTES, GOLDEN_BYTES);
	free(bytes);
	return import_version(f, input(f, "golden.raw"), "golden");
}

static struct volume made(struct fixture *f, struct volume volume, const struct image_version *version)
{
	struct reason reason;

	if (store_create_volume(f->store, &volume, version, &no_reserve, 3, &reason))
		fail_msg("%s", reason.text);
	assert_string_equal(volume.backend, backend(f)->name);
	assert_true(volume.object[0] && volume.fresh);
	return volume;
}

static struct volume make_data(struct fixture *f)
{
	return made(f, (struct volume){ .kind = VOLUME_DATA, .size_bytes = 8 << 20 }, NULL);
}

static struct volume make_system(struct fixture *f, const struct image_version *version)
{
	return made(f, (struct volume){ .kind = VOLUME_SYSTEM, .version_id = version->id }, version);
}

/* ---- the life of an object ---- */

static int count_object(void *arg, const char *object)
{
	unsigned *count = arg;

	assert_true(object[0]);
	++*count;
	return 0;
}

static unsigned objects(struct fixture *f)
{
	unsigned count = 0;

	assert_int_equal(backend(f)->list(f->store, count_object, &count), 0);
	return count;
}

static void check_info(struct fixture *f, const struct volume *volume, uint64_t virtual_bytes, bool clean)
{
	struct volume_info info;

	assert_int_equal(store_volume_info(f->store, volume, NULL, &info), 0);
	assert_int_equal(info.virtual_bytes, virtual_bytes);
	assert_int_equal(info.clean, clean);
	assert_true(info.format[0] && info.path[0]);
}

static void check_life(struct fixture *f, struct disks *d, struct volume volume, const struct image_version *version,
		       unsigned char blank)
{
	uint64_t size_bytes = version ? version->size_bytes : volume.size_bytes;
	unsigned count = objects(f);
	struct reason reason;
	struct disk *disk;
	struct store_space space;
	int err;

	check_info(f, &volume, size_bytes, true);
	assert_int_equal(store_sync_volume(f->store, &volume), 0);
	disk = disks_open(d, 0, &volume, version, &err, &reason);
	assert_non_null(disk);
	assert_int_equal(disk->size_bytes, size_bytes);
	assert_false(disk->read_only);
	assert_int_equal(disks_read(disk, 0), blank);
	assert_int_equal(disks_write(disk, 8192, 'x'), 0);
	check_info(f, &volume, size_bytes, false);
	assert_int_equal(disks_read(disk, 8192), 'x');
	assert_int_equal(disks_read(disk, 4096), blank);
	assert_int_equal(disks_write(disk, size_bytes, 'x'), -EINVAL);
	assert_int_equal(objects(f), count); /* what a backend keeps beside it while it is open is none */
	/* One at a time. */
	assert_null(disks_open(d, 1, &volume, version, &err, &reason));
	assert_int_equal(err, -EBUSY);
	assert_true(reason.text[0]);
	assert_int_equal(disks_close(d, disk), 0);
	check_info(f, &volume, size_bytes, true);
	/* It grows, and what is added reads as zeroes; never the other way. */
	assert_int_equal(store_grow_volume(f->store, &volume, size_bytes + (1 << 20), &reason), 0);
	assert_int_equal(store_grow_volume(f->store, &volume, 0, &reason), 0);
	assert_int_equal(store_grow_volume(f->store, &volume, 4096, &reason), 0);
	assert_int_equal(store_lift_volume(f->store, &volume, &reason), 0);
	disk = disks_open(d, 1, &volume, version, &err, &reason);
	assert_non_null(disk);
	assert_int_equal(disk->size_bytes, size_bytes + (1 << 20));
	assert_int_equal(disks_read(disk, 8192), 'x');
	assert_int_equal(disks_read(disk, size_bytes), 0);
	assert_int_equal(disks_close(d, disk), 0);
	assert_int_equal(store_get_space(f->store, NULL, &space), 0);
	assert_true(space.volumes_bytes > 0);
	/* Deleted, and once more, which is fine. */
	store_delete_object(f->store, &volume);
	store_delete_object(f->store, &volume);
	assert_null(disks_open(d, 0, &volume, version, &err, &reason));
	assert_int_equal(err, -ENOENT);
	assert_true(reason.text[0]);
	assert_int_equal(store_sync_volume(f->store, &volume), -ENOENT);
	assert_int_equal(store_grow_volume(f->store, &volume, 1 << 20, &reason), -ENOENT);
}

static void of_life(struct fixture *f)
{
	struct image_version version = golden(f);
	struct volume data = make_data(f), other = make_data(f), system = make_system(f, &version);
	struct volume_info info;
	struct reason reason;
	struct disks d;

	assert_string_not_equal(data.object, other.object);
	assert_int_equal(backend(f)->create(f->store, &data, NULL, &reason), -EEXIST);
	assert_true(reason.text[0]);
	assert_int_equal(objects(f), 3);
	disks_start(&d, f);
	check_life(f, &d, data, NULL, 0);
	check_life(f, &d, system, &version, 'g');
	disks_stop(&d);
	assert_int_equal(objects(f), 1);
	assert_int_equal(store_volume_info(f->store, &data, NULL, &info), -ENOENT);
	check_info(f, &other, 8 << 20, true);
}

/* A system volume that begins larger than its version. */
static void of_larger(struct fixture *f)
{
	struct image_version version = golden(f);
	struct volume system =
		made(f, (struct volume){ .kind = VOLUME_SYSTEM, .version_id = version.id, .size_bytes = 6 << 20 },
		     &version);

	check_info(f, &system, 6 << 20, true);
}

static void refuse(struct fixture *f, struct volume volume, const struct image_version *version)
{
	struct reason reason = { "" };

	snprintf(volume.object, sizeof(volume.object), "x");
	assert_int_equal(store_create_volume(f->store, &volume, version, &no_reserve, 3, &reason), -EINVAL);
	assert_true(reason.text[0]);
	assert_string_equal(volume.object, "");
	assert_int_equal(objects(f), 0);
}

static void of_refused(struct fixture *f)
{
	static const uint64_t sizes[] = { 0, 512, 4095, 4097, (8 << 20) + 512, ((uint64_t)16 << 40) + 4096 };
	struct image_version version = golden(f);

	for (unsigned i = 0; i < array_len(sizes); i++)
		refuse(f, (struct volume){ .kind = VOLUME_DATA, .size_bytes = sizes[i] }, NULL);
	/* These are their version: nothing is made for them. */
	refuse(f, (struct volume){ .kind = VOLUME_SHARED, .version_id = version.id }, &version);
	refuse(f, (struct volume){ .kind = VOLUME_CD, .version_id = version.id }, &version);
}

/* The golden version itself: nobody writes to it, and nothing is kept for it. */
static void of_golden(struct fixture *f)
{
	struct image_version version = golden(f);
	struct volume shared = { .kind = VOLUME_SHARED, .version_id = version.id };
	struct volume_info info;
	struct reason reason;
	struct disk *disk;
	struct disks d;
	int err;

	snprintf(shared.backend, sizeof(shared.backend), "%s", backend(f)->name);
	assert_int_equal(store_volume_info(f->store, &shared, &version, &info), 0);
	assert_int_equal(info.virtual_bytes, GOLDEN_BYTES);
	assert_int_equal(info.allocated_bytes, 0);
	assert_true(info.clean);
	disks_start(&d, f);
	disk = disks_open(&d, 0, &shared, &version, &err, &reason);
	assert_non_null(disk);
	assert_true(disk->read_only);
	assert_int_equal(disks_read(disk, GOLDEN_BYTES - 4096), 'g');
	assert_int_equal(disks_write(disk, 0, 'x'), -EROFS);
	assert_int_equal(disks_close(&d, disk), 0);
	disks_stop(&d);
	assert_int_equal(objects(f), 0);
}

/* A volume of a backend that this server does not have, say of a newer one's. */
static void of_unknown_backend(struct fixture *f)
{
	struct volume volume = { .id = 7, .kind = VOLUME_DATA, .backend = "tape", .object = "x", .size_bytes = 4096 };
	struct volume_info info;
	struct reason reason;
	struct disks d;
	int err;

	disks_start(&d, f);
	assert_null(disks_open(&d, 0, &volume, NULL, &err, &reason));
	assert_int_equal(err, -EINVAL);
	assert_non_null(strstr(reason.text, "no backend \"tape\", which keeps volume #7"));
	disks_stop(&d);
	assert_int_equal(store_create_volume(f->store, &volume, NULL, &no_reserve, 0, &reason), -EINVAL);
	assert_string_equal(volume.object, "");
	snprintf(volume.object, sizeof(volume.object), "x");
	assert_int_equal(store_grow_volume(f->store, &volume, 8192, &reason), -EINVAL);
	assert_int_equal(store_lift_volume(f->store, &volume, &reason), -EINVAL);
	assert_int_equal(store_sync_volume(f->store, &volume), -EINVAL);
	assert_int_equal(store_volume_info(f->store, &volume, NULL, &info), -ENOENT);
	store_delete_object(f->store, &volume); /* says so, and nothing else */
}

/* ---- after a crash ---- */

static int insert_volume(struct inventory_tx *tx, void *arg)
{
	return volume_insert(tx, arg);
}

static int delete_volume(struct inventory_tx *tx, void *arg)
{
	return volume_delete(tx, *(int64_t *)arg);
}

static int read_volume(struct inventory_tx *tx, void *arg)
{
	struct volume *volume = arg;

	return volume_by_id(tx, volume->id, volume);
}

static struct volume with_row(struct fixture *f, struct volume volume, const char *name, bool fresh)
{
	snprintf(volume.name, sizeof(volume.name), "%s", name);
	volume.fresh = fresh;
	assert_int_equal(in_write(f, insert_volume, &volume), 0);
	return volume;
}

static struct volume now(struct fixture *f, const struct volume *volume)
{
	struct volume is = { .id = volume->id };

	assert_int_equal(in_write(f, read_volume, &is), 0);
	return is;
}

static void write_to(struct fixture *f, const struct volume *volume)
{
	struct reason reason;
	struct disks d;
	struct disk *disk;
	int err;

	disks_start(&d, f);
	disk = disks_open(&d, 0, volume, NULL, &err, &reason);
	assert_non_null(disk);
	assert_int_equal(disks_write(disk, 1 << 20, 'w'), 0);
	assert_int_equal(disks_close(&d, disk), 0);
	disks_stop(&d);
}

static int read_from(struct fixture *f, const struct volume *volume)
{
	struct reason reason;
	struct disks d;
	struct disk *disk;
	int err;

	disks_start(&d, f);
	disk = disks_open(&d, 0, volume, NULL, &err, &reason);
	assert_non_null(disk);
	err = disks_read(disk, 1 << 20);
	assert_int_equal(disks_close(&d, disk), 0);
	disks_stop(&d);
	return err;
}

static void of_reclaim(struct fixture *f)
{
	struct volume used = with_row(f, make_data(f), "used", false), fresh = with_row(f, make_data(f), "fresh", true),
		      lost = with_row(f, make_data(f), "lost", false), gone = with_row(f, make_data(f), "gone", false),
		      half_made = make_data(f), somebodys = make_data(f);
	struct volume_info info;

	write_to(f, &used);
	write_to(f, &gone);
	write_to(f, &somebodys);
	/* Objects that went behind our back, and a removal whose commit was the last thing that happened. */
	store_delete_object(f->store, &fresh);
	store_delete_object(f->store, &lost);
	assert_int_equal(in_write(f, delete_volume, &gone.id), 0);
	assert_int_equal(objects(f), 4);
	fixture_close(f);
	fixture_open(f);
	/* Nobody had used it: it is made again. What somebody had used is not silently replaced. */
	assert_int_equal(objects(f), 3);
	check_info(f, &fresh, 8 << 20, true);
	assert_int_equal(now(f, &fresh).state, VOLUME_READY);
	assert_int_equal(now(f, &lost).state, VOLUME_FAILED);
	assert_non_null(strstr(now(f, &lost).state_reason, "missing"));
	assert_int_equal(store_volume_info(f->store, &lost, NULL, &info), -ENOENT);
	/* Without a row: never written to, it goes; else it may be all that is left of somebody's data. */
	assert_int_equal(store_volume_info(f->store, &gone, NULL, &info), -ENOENT);
	assert_int_equal(store_volume_info(f->store, &half_made, NULL, &info), -ENOENT);
	assert_int_equal(read_from(f, &somebodys), 'w');
	assert_int_equal(read_from(f, &used), 'w');
	/* And once more, nothing changes. */
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(objects(f), 3);
	assert_int_equal(read_from(f, &used), 'w');
	assert_int_equal(now(f, &used).state, VOLUME_READY);
}

/* Each backend has its own objects, also where they are called the same; a start touches no others. */
static void of_both(struct fixture *f)
{
	const struct store_backend *second = f->backends[1];
	struct volume one = with_row(f, make_data(f), "one", false), other = one;
	struct reason reason;

	write_to(f, &one);
	snprintf(other.backend, sizeof(other.backend), "%s", second->name);
	assert_int_equal(second->create(f->store, &other, NULL, &reason), 0);
	other = with_row(f, other, "other", false);
	assert_int_equal(read_from(f, &other), 0);
	assert_int_equal(in_write(f, delete_volume, &other.id), 0);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(now(f, &one).state, VOLUME_READY);
	assert_int_equal(read_from(f, &one), 'w');
	assert_int_equal(objects(f), 1);
	assert_int_equal(second->sync(f->store, other.object), -ENOENT);
}

/* ---- of each ---- */

static void test_life_files(void **state)
{
	of_life(*state);
}

static void test_life_memory(void **state)
{
	of_life(*state);
}

static void test_larger_files(void **state)
{
	of_larger(*state);
}

static void test_larger_memory(void **state)
{
	of_larger(*state);
}

/* Its child is made, and then cannot be made that large. */
static void test_half_made(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);

	refuse(f, (struct volume){ .kind = VOLUME_SYSTEM, .version_id = version.id, .size_bytes = (uint64_t)1 << 62 },
	       &version);
}

static void test_refused_files(void **state)
{
	of_refused(*state);
}

static void test_refused_memory(void **state)
{
	of_refused(*state);
}

static void test_golden_files(void **state)
{
	of_golden(*state);
}

static void test_golden_memory(void **state)
{
	of_golden(*state);
}

static void test_unknown_backend_files(void **state)
{
	of_unknown_backend(*state);
}

static void test_unknown_backend_memory(void **state)
{
	of_unknown_backend(*state);
}

static void test_reclaim_files(void **state)
{
	of_reclaim(*state);
}

static void test_reclaim_memory(void **state)
{
	of_reclaim(*state);
}

static void test_both_files(void **state)
{
	of_both(*state);
}

static void test_both_memory(void **state)
{
	of_both(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_life_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_larger_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_larger_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_half_made, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_refused_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_refused_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_golden_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_golden_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_backend_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_backend_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_reclaim_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_reclaim_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_both_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_both_memory, setup_memory, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
