// SPDX-License-Identifier: GPL-2.0-or-later
/* Snapshots: their labels, what stands on what, and when an object is given up. */
#include "inventory/fixture.h"
#include "inventory/snapshot.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct text {
	char text[512];
};

static struct volume make_volume(struct inventory_tx *tx, const char *name, int64_t version_id)
{
	struct volume volume = {
		.kind = VOLUME_DATA, .backend = "files", .size_bytes = 1 << 20, .version_id = version_id
	};

	snprintf(volume.name, sizeof(volume.name), "%s", name);
	snprintf(volume.object, sizeof(volume.object), "%s-0.qcow2", name);
	assert_int_equal(volume_insert(tx, &volume), 0);
	return volume;
}

/* The volume's object becomes a snapshot, and it goes on in "NAME-N.qcow2" over it. */
static int64_t take(struct inventory_tx *tx, struct volume *volume, const char *label, unsigned n)
{
	struct snapshot snapshot = { .volume_id = volume->id,
				     .parent_id = volume->snapshot_id,
				     .version_id = volume->version_id,
				     .size_bytes = volume->size_bytes };

	snprintf(snapshot.label, sizeof(snapshot.label), "%s", label);
	memcpy(snapshot.object, volume->object, sizeof(snapshot.object));
	assert_int_equal(snapshot_insert(tx, &snapshot), 0);
	assert_true(snapshot.id > 0 && snapshot.created_ms > 0);
	snprintf(volume->object, sizeof(volume->object), "%.40s-%u.qcow2", volume->name, n);
	volume->snapshot_id = snapshot.id;
	assert_int_equal(volume_update(tx, volume), 0);
	return snapshot.id;
}

static int add_object(void *arg, const char *object)
{
	struct text *list = arg;
	size_t len = strlen(list->text);

	snprintf(list->text + len, sizeof(list->text) - len, "%s ", object);
	return 0;
}

static void given_up(struct inventory_tx *tx, bool reserved, const char *want)
{
	struct text list = { "" };

	assert_int_equal(discarded_each(tx, "files", reserved, add_object, &list), 0);
	assert_string_equal(list.text, want);
}

static int add_label(void *arg, const struct snapshot *snapshot)
{
	struct text *list = arg;
	size_t len = strlen(list->text);

	snprintf(list->text + len, sizeof(list->text) - len, "%s%s ", snapshot->label, snapshot->removed ? "!" : "");
	return 0;
}

static void labels(struct inventory_tx *tx, int64_t volume_id, const char *want)
{
	struct text list = { "" };

	assert_int_equal(snapshot_each(tx, volume_id, add_label, &list), 0);
	assert_string_equal(list.text, want);
}

static void remove_it(struct inventory_tx *tx, int64_t id, bool want_stays)
{
	bool stays = !want_stays;

	assert_int_equal(snapshot_remove(tx, id, &stays), 0);
	assert_int_equal(stays, want_stays);
}

static int keep_all(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1);
	struct volume volume = make_volume(tx, "data", version), other = make_volume(tx, "other", 0), found;
	struct snapshot got, first;

	(void)arg;
	assert_string_equal(volume.serial, "data-0");
	take(tx, &volume, "one", 1);
	take(tx, &volume, "Two", 2);
	take(tx, &other, "one", 1); /* labels are each volume's own */
	assert_int_equal(snapshot_find(tx, volume.id, "ONE", &first), 0);
	assert_string_equal(first.object, "data-0.qcow2");
	assert_int_equal(first.parent_id, 0);
	assert_int_equal(first.version_id, version);
	assert_int_equal(first.size_bytes, 1 << 20);
	assert_int_equal(snapshot_find(tx, volume.id, "two", &got), 0);
	assert_string_equal(got.object, "data-1.qcow2");
	assert_int_equal(got.parent_id, first.id);
	assert_false(got.automatic || got.removed);
	assert_int_equal(snapshot_find(tx, volume.id, "three", &got), -ENOENT);
	assert_int_equal(snapshot_find(tx, volume.id, "\xff", &got), -ENOENT);
	assert_int_equal(snapshot_by_id(tx, 99, &got), -ENOENT);
	labels(tx, volume.id, "one Two ");
	labels(tx, 0, "one Two one ");
	/* Nothing was given up; the serial number stays whatever the object is called. */
	given_up(tx, true, "");
	assert_int_equal(volume_find(tx, "data", &found), 0);
	assert_string_equal(found.serial, "data-0");
	assert_string_equal(found.object, "data-2.qcow2");
	assert_true(found.snapshot_id > first.id);
	return 0;
}

static void test_keep(void **state)
{
	assert_int_equal(in_write(*state, keep_all, NULL), 0);
}

static int refuse_label(struct inventory_tx *tx, void *arg)
{
	struct snapshot snapshot = { .volume_id = 1, .object = "x", .size_bytes = 1 };

	snprintf(snapshot.label, sizeof(snapshot.label), "%s", (const char *)arg);
	return snapshot_insert(tx, &snapshot);
}

static int make_one(struct inventory_tx *tx, void *arg)
{
	struct volume volume = make_volume(tx, "data", 0);

	(void)arg;
	take(tx, &volume, "taken", 1);
	return 0;
}

static void test_labels(void **state)
{
	static const char *const bad[] = { "", "a b", "-a", ".a", "a/b", "a:b", "#1", "\xc3\xa4" };
	char label[NAME_MAX_TEXT + 2];

	assert_int_equal(in_write(*state, make_one, NULL), 0);
	for (size_t i = 0; i < array_len(bad); i++) {
		assert_false(snapshot_label_valid(bad[i]));
		assert_int_equal(in_write(*state, refuse_label, (void *)(uintptr_t)bad[i]), -EINVAL);
	}
	memset(label, 'a', sizeof(label));
	label[NAME_MAX_TEXT] = '\0';
	assert_false(snapshot_label_valid(label));
	label[NAME_MAX_TEXT - 1] = '\0';
	assert_true(snapshot_label_valid(label));
	assert_int_equal(in_write(*state, refuse_label, (char[]){ "TAKEN" }), -EEXIST);
	assert_int_equal(in_write(*state, refuse_label, (char[]){ "free" }), 0);
}

/* one <- two <- three <- the volume */
static int removed_in_order(struct inventory_tx *tx, void *arg)
{
	struct volume volume = make_volume(tx, "data", 0);
	int64_t one = take(tx, &volume, "one", 1), two = take(tx, &volume, "two", 2),
		three = take(tx, &volume, "three", 3);
	struct snapshot got;

	(void)arg;
	/* Something stands on each. */
	remove_it(tx, two, true);
	labels(tx, volume.id, "one two! three ");
	assert_int_equal(snapshot_find(tx, volume.id, "two", &got), -ENOENT);
	given_up(tx, true, "");
	/* Its label is free again, and that one is another. */
	take(tx, &volume, "two", 4);
	labels(tx, volume.id, "one two! three two ");
	/* The volume goes elsewhere: what stood below only for its sake goes, from the top down. */
	remove_it(tx, three, true);
	assert_int_equal(snapshot_find(tx, volume.id, "two", &got), 0);
	remove_it(tx, got.id, true);
	volume.snapshot_id = one;
	strcpy(volume.object, "data-5.qcow2");
	assert_int_equal(volume_update(tx, &volume), 0);
	labels(tx, volume.id, "one ");
	given_up(tx, true, "data-1.qcow2 data-2.qcow2 data-3.qcow2 data-4.qcow2 ");
	assert_int_equal(discarded_forget(tx, "files", "data-1.qcow2"), 0);
	/* A leaf goes at once, and the volume over nothing takes the last with it. */
	remove_it(tx, one, true);
	volume.snapshot_id = 0;
	assert_int_equal(volume_update(tx, &volume), 0);
	labels(tx, volume.id, "");
	given_up(tx, true, "data-0.qcow2 data-2.qcow2 data-3.qcow2 data-4.qcow2 ");
	take(tx, &volume, "again", 6);
	volume.snapshot_id = 0;
	strcpy(volume.object, "data-7.qcow2");
	assert_int_equal(volume_update(tx, &volume), 0);
	labels(tx, volume.id, "again ");
	assert_int_equal(snapshot_find(tx, volume.id, "again", &got), 0);
	remove_it(tx, got.id, false);
	assert_int_equal(snapshot_remove(tx, got.id, &(bool){ 0 }), -ENOENT);
	return 0;
}

static void test_remove(void **state)
{
	assert_int_equal(in_write(*state, removed_in_order, NULL), 0);
}

/* With the volume all of its snapshots go, and nobody else's. */
static int removed_with_it(struct inventory_tx *tx, void *arg)
{
	struct volume volume = make_volume(tx, "data", 0), other = make_volume(tx, "other", 0);

	(void)arg;
	take(tx, &volume, "one", 1);
	take(tx, &other, "one", 1);
	take(tx, &volume, "two", 2);
	assert_int_equal(volume_delete(tx, volume.id), 0);
	labels(tx, 0, "one ");
	given_up(tx, true, "data-0.qcow2 data-1.qcow2 data-2.qcow2 ");
	return 0;
}

static void test_volume_goes(void **state)
{
	assert_int_equal(in_write(*state, removed_with_it, NULL), 0);
}

/* What is about to be made goes at the next start, unless somebody has it by then. */
static int reserve(struct inventory_tx *tx, void *arg)
{
	struct volume volume = make_volume(tx, "data", 0);

	(void)arg;
	assert_int_equal(object_reserve(tx, "files", "data-1.qcow2"), 0);
	assert_int_equal(object_reserve(tx, "files", "data-9.qcow2"), 0);
	given_up(tx, false, "");
	given_up(tx, true, "data-1.qcow2 data-9.qcow2 ");
	take(tx, &volume, "one", 1);
	given_up(tx, true, "data-9.qcow2 ");
	take(tx, &volume, "two", 2); /* now a snapshot has it */
	given_up(tx, true, "data-9.qcow2 ");
	assert_int_equal(discarded_forget(tx, "files", "data-9.qcow2"), 0);
	given_up(tx, true, "");
	return 0;
}

static void test_reserve(void **state)
{
	assert_int_equal(in_write(*state, reserve, NULL), 0);
}

/* A version stays as long as a snapshot stands on it. */
static int version_stays(struct inventory_tx *tx, void *arg)
{
	int64_t first = make_version(tx, 1), second = make_version(tx, 2);
	struct volume volume = make_volume(tx, "data", first);
	struct image_version version;
	int64_t one = take(tx, &volume, "one", 1);

	(void)arg;
	volume.version_id = second;
	volume.snapshot_id = 0;
	assert_int_equal(volume_update(tx, &volume), 0);
	assert_int_equal(version_by_id(tx, first, &version), 0);
	assert_int_equal(version.snapshots, 1);
	assert_int_equal(version.volumes, 0);
	assert_int_equal(version_delete(tx, first), -EBUSY);
	remove_it(tx, one, false);
	assert_int_equal(version_delete(tx, first), 0);
	return 0;
}

static void test_version(void **state)
{
	assert_int_equal(in_write(*state, version_stays, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keep, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_labels, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_remove, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_volume_goes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_reserve, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_version, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
