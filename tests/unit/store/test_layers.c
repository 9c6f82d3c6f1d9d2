// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Snapshots and copies, as every backend promises them, asked of each through store.h: "files", and "memory", which is
 * one of a test's.
 */
#include "store/disks.h"
#include "store/fixture.h"
#include "store/memory_backend.h"

#include "base/util.h"
#include "inventory/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct policy no_reserve = { .reserve_percent = 0 }, all = { .reserve_percent = 100 };
static const struct store_backend *const files_first[] = { &store_files, &memory_backend, NULL };
static const struct store_backend *const memory_first[] = { &memory_backend, &store_files, NULL };

enum { GOLDEN_BYTES = 4 << 20, DATA_BYTES = 8 << 20, BLOCK = 4096 };

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

static struct image_version golden(struct fixture *f)
{
	char *bytes = malloc(GOLDEN_BYTES);

	assert_non_null(bytes);
	memset(bytes, 'g', GOLDEN_BYTES);
	make_file(input(f, "golden.raw"), bytes, GOLDEN_BYTES, GOLDEN_BYTES);
	free(bytes);
	return import_version(f, input(f, "golden.raw"), "golden");
}

static struct volume made(struct fixture *f, const struct image_version *version)
{
	struct volume volume = { .kind = version ? VOLUME_SYSTEM : VOLUME_DATA,
				 .size_bytes = version ? 0 : DATA_BYTES,
				 .version_id = version ? version->id : 0 };
	struct reason reason;

	if (store_create_volume(f->store, &volume, version, &no_reserve, 3, &reason))
		fail_msg("%s", reason.text);
	return volume;
}

/* It goes on over what it was. */
static struct volume over(struct fixture *f, const struct volume *volume, const char *layer)
{
	struct volume next = *volume;
	struct reason reason;

	if (store_snapshot_volume(f->store, &next, layer, &no_reserve, 3, &reason))
		fail_msg("%s", reason.text);
	assert_string_not_equal(next.object, volume->object);
	assert_true(next.fresh);
	return next;
}

static int count_object(void *arg, const char *object)
{
	(void)object;
	++*(unsigned *)arg;
	return 0;
}

static unsigned objects(struct fixture *f)
{
	unsigned count = 0;

	assert_int_equal(f->backends[0]->list(f->store, count_object, &count), 0);
	return count;
}

/* ---- disks ---- */

static void put(struct fixture *f, const struct volume *volume, const struct image_version *version, unsigned block,
		unsigned char byte)
{
	struct reason reason;
	struct disks d;
	struct disk *disk;
	int err;

	disks_start(&d, f);
	disk = disks_open(&d, 0, volume, version, &err, &reason);
	if (!disk)
		fail_msg("%s", reason.text);
	assert_int_equal(disks_write(disk, (uint64_t)block * BLOCK, byte), 0);
	assert_int_equal(disks_close(&d, disk), 0);
	disks_stop(&d);
}

/* want: what each of its first blocks reads as, one letter each. */
static void reads(struct fixture *f, const struct volume *volume, const struct image_version *version, const char *want)
{
	struct reason reason;
	char got[16] = "";
	struct disks d;
	struct disk *disk;
	int err;

	disks_start(&d, f);
	disk = disks_open(&d, 0, volume, version, &err, &reason);
	if (!disk)
		fail_msg("%s", reason.text);
	for (unsigned i = 0; i < strlen(want); i++) {
		int byte = disks_read(disk, (uint64_t)i * BLOCK);

		assert_true(byte >= 0);
		got[i] = byte ? (char)byte : '0';
	}
	assert_string_equal(got, want);
	assert_int_equal(disks_close(&d, disk), 0);
	disks_stop(&d);
}

/* ---- what a snapshot is ---- */

static void check_snapshot(struct fixture *f, const struct image_version *version, const char *before,
			   const char *after, const char *again)
{
	struct volume first = made(f, version), second, third, is;
	struct volume_info info;

	put(f, &first, version, 1, 'a');
	put(f, &first, version, 2, 'a');
	second = over(f, &first, first.object);
	assert_int_equal(objects(f), 2);
	assert_int_equal(store_volume_info(f->store, &second, NULL, &info), 0);
	assert_int_equal(info.virtual_bytes, version ? GOLDEN_BYTES : DATA_BYTES);
	assert_true(info.clean);
	reads(f, &second, version, before);
	put(f, &second, version, 2, 'b');
	put(f, &second, version, 3, 'b');
	reads(f, &second, version, after);
	/* Back: another one over the same layer, which has not changed. */
	third = over(f, &first, first.object);
	reads(f, &third, version, before);
	put(f, &third, version, 0, 'c');
	reads(f, &third, version, again);
	reads(f, &second, version, after);
	/* And the layer itself, for somebody who looks. */
	is = first;
	reads(f, &is, version, before);
}

static void of_snapshot(struct fixture *f)
{
	check_snapshot(f, NULL, "0aa00", "0abb0", "caa00");
	assert_int_equal(objects(f), 3);
}

static void of_snapshot_of_a_golden_version(struct fixture *f)
{
	struct image_version version = golden(f);

	check_snapshot(f, &version, "gaagg", "gabbg", "caagg");
}

/* It goes on as large as it has become. */
static void of_larger(struct fixture *f)
{
	struct volume volume = made(f, NULL), next;
	struct volume_info info;

	put(f, &volume, NULL, 1, 'a');
	volume.size_bytes = DATA_BYTES + (1 << 20);
	next = over(f, &volume, volume.object);
	assert_int_equal(store_volume_info(f->store, &next, NULL, &info), 0);
	assert_int_equal(info.virtual_bytes, DATA_BYTES + (1 << 20));
	reads(f, &next, NULL, "0a0");
}

static void refused(struct fixture *f, const struct volume *volume, const char *layer, const struct policy *policy,
		    int want, const char *sentence)
{
	struct volume next = *volume;
	unsigned count = objects(f);
	struct reason reason = { "" };

	assert_int_equal(store_snapshot_volume(f->store, &next, layer, policy, 3, &reason), want);
	assert_string_equal(next.object, volume->object);
	assert_int_equal(objects(f), count);
	if (!strstr(reason.text, sentence))
		fail_msg("no \"%s\" in: %s", sentence, reason.text);
}

static void of_refused(struct fixture *f)
{
	struct volume volume = made(f, NULL), unknown = volume;
	struct reason reason;
	struct disks d;
	struct disk *disk;
	int err;

	refused(f, &volume, "missing", &no_reserve, -ENOENT, "missing");
	refused(f, &volume, volume.object, &all, -ENOSPC, "make room");
	snprintf(unknown.backend, sizeof(unknown.backend), "tape");
	refused(f, &unknown, volume.object, &no_reserve, -EINVAL, "no backend \"tape\"");
	assert_int_equal(store_copy_volume(f->store, &unknown, volume.object, &no_reserve, 3, &reason), -ENOENT);
	/* One that is open was not closed in order. */
	disks_start(&d, f);
	disk = disks_open(&d, 0, &volume, NULL, &err, &reason);
	assert_non_null(disk);
	assert_int_equal(disks_write(disk, 0, 'x'), 0);
	refused(f, &volume, volume.object, &no_reserve, -EBUSY, "was not closed in order");
	assert_int_equal(store_copy_volume(f->store, &volume, volume.object, &no_reserve, 3, &reason), -EBUSY);
	assert_int_equal(disks_close(&d, disk), 0);
	disks_stop(&d);
	over(f, &volume, volume.object);
}

/* ---- chains and copies ---- */

/* As many layers as there may be; then only a copy goes on. */
static void of_deep(struct fixture *f)
{
	struct image_version version = golden(f);
	struct volume volume = made(f, &version), copy;
	struct reason reason = { "" };
	struct volume_info info;
	uint64_t layers;

	for (unsigned i = 0; i < DISK_CHAIN_MAX - 2; i++) {
		put(f, &volume, &version, i, (unsigned char)('a' + i));
		volume = over(f, &volume, volume.object);
	}
	put(f, &volume, &version, 6, 'z');
	reads(f, &volume, &version, "abcdefzg");
	refused(f, &volume, volume.object, &no_reserve, -EMLINK, "below it already");
	assert_int_equal(store_volume_info(f->store, &volume, NULL, &info), 0);
	layers = info.layers_bytes;
	copy = volume;
	if (store_copy_volume(f->store, &copy, volume.object, &no_reserve, 3, &reason))
		fail_msg("%s", reason.text);
	assert_false(copy.fresh);
	reads(f, &copy, &version, "abcdefzg");
	assert_int_equal(store_volume_info(f->store, &copy, NULL, &info), 0);
	assert_int_equal(info.layers_bytes, 0);
	/* Layers are what lies between: each of these six took something. */
	if (f->backends[0] == &store_files)
		assert_true(layers > 6 * BLOCK && layers < 6 * (1 << 20));
	/* It can be a layer again, and the chain below the other one does not matter to it. */
	put(f, &copy, &version, 7, 'y');
	reads(f, &volume, &version, "abcdefzg");
	copy = over(f, &copy, copy.object);
	reads(f, &copy, &version, "abcdefzy");
}

static int insert_volume(struct inventory_tx *tx, void *arg)
{
	return volume_insert(tx, arg);
}

struct taken {
	struct volume volume;
	struct snapshot snapshot;
};

static int take(struct inventory_tx *tx, void *arg)
{
	struct taken *taken = arg;
	int err = snapshot_insert(tx, &taken->snapshot);

	taken->volume.snapshot_id = taken->snapshot.id;
	return err ? err : volume_update(tx, &taken->volume);
}

static int read_volume(struct inventory_tx *tx, void *arg)
{
	struct volume *volume = arg;

	return volume_by_id(tx, volume->id, volume);
}

/* The rows, too. */
static struct volume taken(struct fixture *f, struct volume volume, const char *label)
{
	struct taken taken = { .volume = over(f, &volume, volume.object) };

	taken.snapshot =
		(struct snapshot){ .volume_id = volume.id, .parent_id = volume.snapshot_id, .size_bytes = DATA_BYTES };
	memcpy(taken.snapshot.object, volume.object, sizeof(volume.object));
	snprintf(taken.snapshot.label, sizeof(taken.snapshot.label), "%s", label);
	assert_int_equal(in_write(f, take, &taken), 0);
	return taken.volume;
}

static struct volume with_row(struct fixture *f, const char *name)
{
	struct volume volume = made(f, NULL);

	snprintf(volume.name, sizeof(volume.name), "%s", name);
	volume.fresh = false;
	assert_int_equal(in_write(f, insert_volume, &volume), 0);
	return volume;
}

static unsigned events_seen;

static int count_missing(void *arg, const struct event *event)
{
	(void)arg;
	events_seen += !strcmp(event->kind, "snapshot-missing");
	return 0;
}

static int count_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, -1, 0, 100, count_missing, arg);
}

/* After a start layers are there, what was begun is gone, and an unused object over a layer is made again over that
 * layer. */
static void of_reclaim(struct fixture *f)
{
	struct volume volume = with_row(f, "data"), lost, half_made, copy;
	struct reason reason;
	struct volume now;

	put(f, &volume, NULL, 1, 'a');
	volume = taken(f, volume, "one");
	half_made = over(f, &volume, volume.object);
	copy = volume;
	assert_int_equal(store_copy_volume(f->store, &copy, volume.object, &no_reserve, 3, &reason), 0);
	assert_int_equal(objects(f), 4);
	lost = volume;
	store_delete_object(f->store, &volume);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(objects(f), 2);
	assert_int_equal(f->backends[0]->sync(f->store, half_made.object), -ENOENT);
	assert_int_equal(f->backends[0]->sync(f->store, copy.object), -ENOENT);
	reads(f, &lost, NULL, "0a0");
	now = lost;
	assert_int_equal(in_write(f, read_volume, &now), 0);
	assert_int_equal(now.state, VOLUME_READY);
	/* A layer that went behind our back is said. */
	events_seen = 0;
	volume = taken(f, lost, "two");
	store_delete_object(f->store, &lost);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(in_write(f, count_events, NULL), 0);
	assert_int_equal(events_seen, 1);
}

static int remove_volume(struct inventory_tx *tx, void *arg)
{
	return volume_delete(tx, *(int64_t *)arg);
}

/* What committed changes have given up goes while the server runs; what is about to be made does not. */
static void of_given_up(struct fixture *f)
{
	struct volume volume = with_row(f, "data"), other = with_row(f, "other"), copy = other;
	struct reason reason;

	volume = taken(f, volume, "one");
	volume = taken(f, volume, "two");
	assert_int_equal(store_copy_volume(f->store, &copy, other.object, &no_reserve, 0, &reason), 0);
	assert_int_equal(objects(f), 5);
	store_delete_given_up(f->store);
	assert_int_equal(objects(f), 5);
	assert_int_equal(in_write(f, remove_volume, &volume.id), 0);
	store_delete_given_up(f->store);
	assert_int_equal(objects(f), 2);
	assert_int_equal(f->backends[0]->sync(f->store, copy.object), 0);
}

/* ---- of each ---- */

static void test_snapshot_files(void **state)
{
	of_snapshot(*state);
}

static void test_snapshot_memory(void **state)
{
	of_snapshot(*state);
}

static void test_snapshot_of_a_golden_version_files(void **state)
{
	of_snapshot_of_a_golden_version(*state);
}

static void test_snapshot_of_a_golden_version_memory(void **state)
{
	of_snapshot_of_a_golden_version(*state);
}

static void test_larger_files(void **state)
{
	of_larger(*state);
}

static void test_larger_memory(void **state)
{
	of_larger(*state);
}

static void test_refused_files(void **state)
{
	of_refused(*state);
}

static void test_refused_memory(void **state)
{
	of_refused(*state);
}

static void test_deep_files(void **state)
{
	of_deep(*state);
}

static void test_deep_memory(void **state)
{
	of_deep(*state);
}

static void test_reclaim_files(void **state)
{
	of_reclaim(*state);
}

static void test_reclaim_memory(void **state)
{
	of_reclaim(*state);
}

static void test_given_up_files(void **state)
{
	of_given_up(*state);
}

static void test_given_up_memory(void **state)
{
	of_given_up(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_snapshot_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_snapshot_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_snapshot_of_a_golden_version_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_snapshot_of_a_golden_version_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_larger_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_larger_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_refused_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_refused_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_deep_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_deep_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_reclaim_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_reclaim_memory, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_given_up_files, setup_files, teardown),
		cmocka_unit_test_setup_teardown(test_given_up_memory, setup_memory, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
