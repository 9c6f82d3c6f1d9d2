// SPDX-License-Identifier: GPL-2.0-or-later
/* Volumes, which machine has which under which LUN, and what is given up. */
#include "inventory/fixture.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Two machines, pc-001 with MAC ...:01 and pc-002; their version. */
static int64_t two_machines(struct inventory_tx *tx)
{
	int64_t version = make_version(tx, 1);

	for (unsigned n = 1; n <= 2; n++) {
		struct machine machine = make_machine(n, version);
		char mac[PARSE_MAC_TEXT];

		make_mac(mac, n);
		assert_int_equal(machine_insert(tx, &machine, mac), 0);
		assert_int_equal(machine.id, n);
	}
	return version;
}

static struct volume data_volume(const char *name)
{
	struct volume volume = { .kind = VOLUME_DATA, .backend = "files", .size_bytes = 1 << 20 };

	snprintf(volume.name, sizeof(volume.name), "%s", name);
	snprintf(volume.object, sizeof(volume.object), "d-%s", name);
	return volume;
}

static struct volume golden_volume(const char *name, enum volume_kind kind, int64_t version_id)
{
	struct volume volume = { .kind = kind, .backend = "files", .version_id = version_id };

	snprintf(volume.name, sizeof(volume.name), "%s", name);
	return volume;
}

/* Inserts it; its id. */
static int64_t insert(struct inventory_tx *tx, struct volume volume)
{
	assert_int_equal(volume_insert(tx, &volume), 0);
	assert_true(volume.id > 0);
	return volume.id;
}

/* ---- each value comes back ---- */

static void same(const struct volume *got, const struct volume *want)
{
	for (const struct field *field = volume_fields; field->column; field++) {
		if (field->kind == FIELD_TEXT)
			assert_string_equal((const char *)got + field->offset, (const char *)want + field->offset);
		else
			assert_int_equal(field_get(field, got), field_get(field, want));
	}
}

static int keep_all(struct inventory_tx *tx, void *arg)
{
	int64_t version = two_machines(tx);
	struct volume made = data_volume("Backup.2"), got, other;

	(void)arg;
	made.version_id = version;
	made.size_bytes = (uint64_t)16 << 40;
	strcpy(made.quota, "20G");
	made.physical_512 = true;
	made.fresh = true;
	strcpy(made.note, "umlauts: \xc3\xa4");
	assert_int_equal(volume_insert(tx, &made), 0);
	assert_true(made.created_ms > 0);
	assert_int_equal(volume_by_id(tx, made.id, &got), 0);
	same(&got, &made);
	/* What is fixed stays, whatever an update says. */
	got.kind = VOLUME_SHARED;
	strcpy(got.backend, "tape");
	got.created_ms = 5;
	got.version_id = 0;
	got.size_bytes = 4096;
	strcpy(got.name, "other");
	got.quota[0] = '\0';
	got.physical_512 = got.fresh = false;
	got.state = VOLUME_FAILED;
	strcpy(got.state_reason, "why");
	got.note[0] = '\0';
	assert_int_equal(volume_update(tx, &got), 0);
	assert_int_equal(volume_by_id(tx, made.id, &other), 0);
	got.kind = VOLUME_DATA;
	strcpy(got.backend, "files");
	got.created_ms = made.created_ms;
	same(&other, &got);
	got.id = 1000;
	assert_int_equal(volume_update(tx, &got), -ENOENT);
	assert_int_equal(volume_by_id(tx, 1000, &got), -ENOENT);
	return 0;
}

static void test_keep(void **state)
{
	assert_int_equal(in_write(*state, keep_all, NULL), 0);
}

/* ---- names ---- */

static int refuse_names(struct inventory_tx *tx, void *arg)
{
	static const char *const bad[] = { "a:b", "#1", "a b", "-a", ".a", "a/b", "\xff" };
	struct volume volume;
	int64_t first, second;

	(void)arg;
	two_machines(tx);
	for (size_t i = 0; i < array_len(bad); i++) {
		volume = data_volume("x");
		strcpy(volume.name, bad[i]);
		assert_false(volume_name_valid(bad[i]));
		assert_int_equal(volume_insert(tx, &volume), -EINVAL);
		assert_int_equal(volume.id, 0);
	}
	/* All but a system volume have one, and that has none. */
	volume = data_volume("");
	assert_int_equal(volume_insert(tx, &volume), -EINVAL);
	volume = golden_volume("named", VOLUME_SYSTEM, 1);
	assert_int_equal(volume_insert(tx, &volume), -EINVAL);
	volume = data_volume("no-backend");
	volume.backend[0] = '\0';
	assert_int_equal(volume_insert(tx, &volume), -EINVAL);
	/* Once, whatever its case. */
	first = insert(tx, data_volume("data"));
	volume = data_volume("DATA");
	assert_int_equal(volume_insert(tx, &volume), -EEXIST);
	second = insert(tx, data_volume("more"));
	assert_int_equal(volume_by_id(tx, second, &volume), 0);
	strcpy(volume.name, "Data");
	assert_int_equal(volume_update(tx, &volume), -EEXIST);
	volume.name[0] = '\0';
	assert_int_equal(volume_update(tx, &volume), -EINVAL);
	assert_int_equal(volume_by_id(tx, first, &volume), 0);
	strcpy(volume.name, "DATA"); /* its own */
	assert_int_equal(volume_update(tx, &volume), 0);
	/* One object is one volume's, in each backend. */
	volume = data_volume("third");
	strcpy(volume.object, "d-data");
	assert_int_equal(volume_insert(tx, &volume), -EEXIST);
	strcpy(volume.backend, "other");
	assert_int_equal(volume_insert(tx, &volume), 0);
	/* It is something: an object, or a version; and what is golden has a version that there is. */
	volume = data_volume("nothing");
	volume.object[0] = '\0';
	assert_int_equal(volume_insert(tx, &volume), -EINVAL);
	volume = golden_volume("shared", VOLUME_SHARED, 0);
	strcpy(volume.object, "x");
	assert_int_equal(volume_insert(tx, &volume), -EINVAL);
	volume = golden_volume("shared", VOLUME_SHARED, 999);
	assert_int_equal(volume_insert(tx, &volume), -ENOENT);
	/* Any number of those have no object. */
	insert(tx, golden_volume("shared-1", VOLUME_SHARED, 1));
	insert(tx, golden_volume("shared-2", VOLUME_CD, 1));
	return 0;
}

static void test_names(void **state)
{
	assert_int_equal(in_write(*state, refuse_names, NULL), 0);
}

static void finds(struct inventory_tx *tx, const char *text, int64_t id)
{
	struct volume volume = { .id = 0 };
	int err = volume_find(tx, text, &volume);

	if (id ? err || volume.id != id : err != -ENOENT)
		fail_msg("%s: %d, volume %lld", text, err, (long long)volume.id);
}

static int find_all(struct inventory_tx *tx, void *arg)
{
	static const char *const none[] = {
		"",
		"#",
		"#0",
		"#999",
		"#1x",
		":",
		":1",
		"pc-001:",
		"pc-001:3",
		"pc-001:256",
		"pc-001:x",
		"pc-001:-1",
		"nobody:1",
		"pc-001",
		"52:54:00:00:00:01",
		"#1:9",
		"no-such",
		"\xff",
		"a-name-that-is-so-much-longer-than-any-that-a-volume-or-a-machine-could-have:1",
		"a-name-that-is-so-much-longer-than-any-that-a-volume-or-a-machine-could-have"
	};
	int64_t data;
	char text[32];

	(void)arg;
	two_machines(tx);
	data = insert(tx, data_volume("pc-001-data"));
	assert_int_equal(attachment_add(tx, 1, 255, data), 0);
	finds(tx, "PC-001-Data", data);
	snprintf(text, sizeof(text), "#%lld", (long long)data);
	finds(tx, text, data);
	finds(tx, "pc-001:0", 1);
	finds(tx, "pc-002:0", 2);
	finds(tx, "PC-001:255", data);
	finds(tx, "#1:255", data);
	finds(tx, "52:54:00:00:00:01:255", data);
	finds(tx, "525400000001:255", data);
	for (size_t i = 0; i < array_len(none); i++)
		finds(tx, none[i], 0);
	return 0;
}

static void test_find(void **state)
{
	assert_int_equal(in_write(*state, find_all, NULL), 0);
}

/* ---- attachments ---- */

static int count_lun(void *arg, unsigned lun, const struct volume *volume)
{
	char *list = arg;

	snprintf(list + strlen(list), 64, "%u=#%lld ", lun, (long long)volume->id);
	return 0;
}

static int count_machine(void *arg, int64_t machine_id, unsigned lun)
{
	char *list = arg;

	snprintf(list + strlen(list), 64, "%lld:%u ", (long long)machine_id, lun);
	return 0;
}

static int attach_all(struct inventory_tx *tx, void *arg)
{
	int64_t version = two_machines(tx), data = insert(tx, data_volume("data")),
		other = insert(tx, data_volume("other")),
		shared = insert(tx, golden_volume("shared", VOLUME_SHARED, version)),
		cd = insert(tx, golden_volume("cd", VOLUME_CD, version));
	struct volume volume = golden_volume("", VOLUME_WHO_AM_I, 0);
	int64_t who;
	char list[512] = "";
	unsigned lun;

	(void)arg;
	strcpy(volume.object, "who-1");
	who = insert(tx, volume);
	/* LUN 0 is the system volume, and only that. */
	assert_int_equal(attachment_add(tx, 1, 0, data), -EINVAL);
	assert_int_equal(attachment_add(tx, 1, 1, 2), -EINVAL);
	assert_int_equal(attachment_add(tx, 1, 0, 2), -EBUSY);
	assert_int_equal(attachment_add(tx, 1, 256, data), -EINVAL);
	assert_int_equal(attachment_add(tx, 3, 1, data), -ENOENT);
	assert_int_equal(attachment_add(tx, 1, 1, 999), -ENOENT);
	/* What is written to is one machine's; what is not is anybody's. A LUN is one volume, and a volume one LUN. */
	assert_int_equal(attachment_add(tx, 1, 2, data), 0);
	assert_int_equal(attachment_add(tx, 2, 2, data), -EBUSY);
	assert_int_equal(attachment_add(tx, 1, 3, data), -EEXIST);
	assert_int_equal(attachment_add(tx, 1, 2, other), -EEXIST);
	assert_int_equal(attachment_add(tx, 1, 4, who), 0);
	assert_int_equal(attachment_add(tx, 2, 4, who), -EBUSY);
	assert_int_equal(attachment_add(tx, 1, 1, shared), 0);
	assert_int_equal(attachment_add(tx, 2, 1, shared), 0);
	assert_int_equal(attachment_add(tx, 1, 255, cd), 0);
	assert_int_equal(attachment_add(tx, 2, 255, cd), 0);
	assert_int_equal(attachment_add(tx, 2, 254, cd), -EEXIST);
	assert_int_equal(attachment_each(tx, 1, count_lun, list), 0);
	assert_string_equal(list, "0=#1 1=#5 2=#3 4=#7 255=#6 ");
	list[0] = '\0';
	assert_int_equal(attachment_each(tx, 99, count_lun, list), 0);
	assert_int_equal(attachment_each_machine(tx, shared, count_machine, list), 0);
	assert_int_equal(attachment_each_machine(tx, other, count_machine, list), 0);
	assert_string_equal(list, "1:1 2:1 ");
	assert_int_equal(attachment_lun(tx, 1, data, &lun), 0);
	assert_int_equal(lun, 2);
	assert_int_equal(attachment_lun(tx, 2, data, &lun), -ENOENT);
	/* What is attached is not deleted. */
	assert_int_equal(volume_delete(tx, data), -EBUSY);
	assert_int_equal(volume_delete(tx, shared), -EBUSY);
	assert_int_equal(attachment_remove(tx, 2, data), -ENOENT);
	assert_int_equal(attachment_remove(tx, 1, data), 0);
	assert_int_equal(attachment_remove(tx, 1, data), -ENOENT);
	assert_int_equal(attachment_add(tx, 2, 2, data), 0);
	assert_int_equal(attachment_remove(tx, 2, data), 0);
	assert_int_equal(volume_delete(tx, data), 0);
	assert_int_equal(volume_delete(tx, data), -ENOENT);
	return 0;
}

static void test_attach(void **state)
{
	assert_int_equal(in_write(*state, attach_all, NULL), 0);
}

static int fill_luns(struct inventory_tx *tx, void *arg)
{
	int64_t version = two_machines(tx);
	unsigned lun;

	(void)arg;
	for (unsigned n = 1; n <= LUN_MAX; n++) {
		char name[32];

		assert_int_equal(attachment_free_lun(tx, 1, &lun), 0);
		assert_int_equal(lun, n);
		snprintf(name, sizeof(name), "v%u", n);
		assert_int_equal(attachment_add(tx, 1, lun, insert(tx, golden_volume(name, VOLUME_SHARED, version))),
				 0);
	}
	assert_int_equal(attachment_free_lun(tx, 1, &lun), -ENOSPC);
	assert_int_equal(attachment_free_lun(tx, 2, &lun), 0);
	assert_int_equal(lun, 1);
	/* The gaps first. */
	assert_int_equal(attachment_remove(tx, 1, 2 + 77), 0);
	assert_int_equal(attachment_remove(tx, 1, 2 + 9), 0);
	assert_int_equal(attachment_free_lun(tx, 1, &lun), 0);
	assert_int_equal(lun, 9);
	return 0;
}

static void test_free_lun(void **state)
{
	assert_int_equal(in_write(*state, fill_luns, NULL), 0);
}

/* ---- what is given up ---- */

static int list_object(void *arg, const char *object)
{
	char *list = arg;

	snprintf(list + strlen(list), 80, "%s ", object);
	return 0;
}

static void given_up(struct inventory_tx *tx, const char *backend, const char *want)
{
	char list[512] = "";

	assert_int_equal(discarded_each(tx, backend, false, list_object, list), 0);
	assert_string_equal(list, want);
}

static int give_up(struct inventory_tx *tx, void *arg)
{
	struct volume volume = data_volume("there");
	int64_t version = two_machines(tx), here = insert(tx, data_volume("here")), there, shared;

	(void)arg;
	strcpy(volume.backend, "other");
	there = insert(tx, volume);
	shared = insert(tx, golden_volume("shared", VOLUME_SHARED, version));
	given_up(tx, "files", "");
	assert_int_equal(volume_delete(tx, here), 0);
	assert_int_equal(volume_delete(tx, there), 0);
	assert_int_equal(volume_delete(tx, shared), 0); /* which has none */
	given_up(tx, "files", "d-here ");
	given_up(tx, "other", "d-there ");
	given_up(tx, "third", "");
	/* What gets another object gives up the old one. */
	assert_int_equal(volume_by_id(tx, 1, &volume), 0);
	assert_int_equal(volume_update(tx, &volume), 0);
	given_up(tx, "files", "d-here ");
	strcpy(volume.object, "new");
	assert_int_equal(volume_update(tx, &volume), 0);
	given_up(tx, "files", "child-1 d-here ");
	/* An object that a volume has again is not given up, whatever the list says; there or elsewhere. */
	there = insert(tx, data_volume("here"));
	given_up(tx, "files", "child-1 ");
	given_up(tx, "other", "d-there ");
	insert(tx, data_volume("there")); /* of the same name, in another backend */
	given_up(tx, "other", "d-there ");
	assert_int_equal(volume_delete(tx, there), 0);
	given_up(tx, "files", "child-1 d-here ");
	assert_int_equal(discarded_forget(tx, "other", "d-here"), 0);
	assert_int_equal(discarded_forget(tx, "files", "d-here"), 0);
	given_up(tx, "files", "child-1 ");
	given_up(tx, "other", "d-there ");
	return 0;
}

static void test_given_up(void **state)
{
	assert_int_equal(in_write(*state, give_up, NULL), 0);
}

/* With a machine goes its system volume, and no other. */
static int delete_machine(struct inventory_tx *tx, void *arg)
{
	int64_t version = two_machines(tx), data = insert(tx, data_volume("data")),
		shared = insert(tx, golden_volume("shared", VOLUME_SHARED, version));
	struct volume volume;
	struct machine machine;
	char list[128] = "";

	(void)arg;
	assert_int_equal(attachment_add(tx, 1, 1, data), 0);
	assert_int_equal(attachment_add(tx, 1, 2, shared), 0);
	assert_int_equal(attachment_add(tx, 2, 2, shared), 0);
	assert_int_equal(volume_delete(tx, 1), -EBUSY);
	assert_int_equal(machine_delete(tx, 1), 0);
	given_up(tx, "files", "child-1 ");
	assert_int_equal(volume_by_id(tx, 1, &volume), -ENOENT);
	assert_int_equal(volume_by_id(tx, data, &volume), 0);
	assert_int_equal(attachment_each_machine(tx, data, count_machine, list), 0);
	assert_int_equal(attachment_each_machine(tx, shared, count_machine, list), 0);
	assert_string_equal(list, "2:2 ");
	assert_int_equal(attachment_add(tx, 2, 1, data), 0);
	/* Its number is not used again, nor is that of its volume. */
	machine = make_machine(3, version);
	assert_int_equal(machine_insert(tx, &machine, "52:54:00:00:00:03"), 0);
	assert_int_equal(machine.id, 3);
	assert_int_equal(machine.system.id, 5);
	return 0;
}

static void test_delete_machine(void **state)
{
	assert_int_equal(in_write(*state, delete_machine, NULL), 0);
}

/* ---- versions ---- */

static int count_users(struct inventory_tx *tx, void *arg)
{
	int64_t version = two_machines(tx), shared = insert(tx, golden_volume("shared", VOLUME_SHARED, version)),
		cd = insert(tx, golden_volume("cd", VOLUME_CD, version));
	struct image_version v;

	(void)arg;
	assert_int_equal(version_by_id(tx, version, &v), 0);
	assert_int_equal(v.machines, 2);
	assert_int_equal(v.volumes, 2);
	/* Many machines may have it: it is one volume. */
	assert_int_equal(attachment_add(tx, 1, 1, shared), 0);
	assert_int_equal(attachment_add(tx, 2, 1, shared), 0);
	assert_int_equal(version_by_id(tx, version, &v), 0);
	assert_int_equal(v.volumes, 2);
	assert_int_equal(machine_delete(tx, 1), 0);
	assert_int_equal(machine_delete(tx, 2), 0);
	assert_int_equal(version_delete(tx, version), -EBUSY);
	assert_int_equal(volume_delete(tx, shared), 0);
	assert_int_equal(version_delete(tx, version), -EBUSY);
	assert_int_equal(volume_delete(tx, cd), 0);
	assert_int_equal(version_delete(tx, version), 0);
	return 0;
}

static void test_version_users(void **state)
{
	assert_int_equal(in_write(*state, count_users, NULL), 0);
}

static int64_t add_version(struct inventory_tx *tx, const char *image, unsigned number, enum version_state state)
{
	struct image_version v = { .number = number, .state = state, .format = "raw", .size_bytes = 1 << 20 };

	snprintf(v.image, sizeof(v.image), "%s", image);
	snprintf(v.file, sizeof(v.file), "%s@%u.raw", image, number);
	assert_int_equal(version_insert(tx, &v), 0);
	return v.id;
}

/* An image that was imported for volumes is neither published nor what new machines get, until somebody says so. */
static int unpublished(struct inventory_tx *tx, void *arg)
{
	struct image_version v;
	int64_t iso = add_version(tx, "iso", 1, VERSION_TEST);

	(void)arg;
	assert_int_equal(version_default(tx, &v), -ENOENT);
	assert_int_equal(version_find(tx, "iso", 0, &v), -ENOENT);
	assert_int_equal(version_find(tx, "iso", 1, &v), 0);
	assert_int_equal(version_newest_given(tx, "iso", &v), 0);
	assert_int_equal(v.id, iso);
	assert_false(v.is_default);
	assert_int_equal(version_newest_given(tx, "none", &v), -ENOENT);
	/* The first that is published becomes the default. */
	add_version(tx, "debian", 1, VERSION_PUBLISHED);
	assert_int_equal(version_default(tx, &v), 0);
	assert_string_equal(v.image, "debian");
	assert_true(v.is_default);
	/* A later one of either does not change that. */
	add_version(tx, "iso", 2, VERSION_TEST);
	assert_int_equal(version_newest_given(tx, "iso", &v), 0);
	assert_int_equal(v.number, 2);
	assert_int_equal(version_publish(tx, iso), 0);
	assert_int_equal(version_default(tx, &v), 0);
	assert_string_equal(v.image, "debian");
	assert_int_equal(version_find(tx, "iso", 0, &v), 0);
	assert_int_equal(v.id, iso);
	assert_int_equal(version_newest_given(tx, "iso", &v), 0);
	assert_int_equal(v.number, 2);
	return 0;
}

/* Where nothing else is published, publishing is what makes the default. */
static int published_later(struct inventory_tx *tx, void *arg)
{
	struct image_version v;
	int64_t iso = add_version(tx, "iso", 1, VERSION_TEST);

	(void)arg;
	assert_int_equal(version_publish(tx, iso), 0);
	assert_int_equal(version_default(tx, &v), 0);
	assert_int_equal(v.id, iso);
	return 0;
}

static void test_unpublished(void **state)
{
	assert_int_equal(in_write(*state, unpublished, NULL), 0);
}

static void test_published_later(void **state)
{
	assert_int_equal(in_write(*state, published_later, NULL), 0);
}

/* ---- words ---- */

static void test_words(void **state)
{
	static const char *const words[] = { "system", "data", "shared", "cd", "who-am-i" };
	enum volume_kind kind;

	(void)state;
	for (unsigned i = 0; i < array_len(words); i++) {
		assert_string_equal(volume_kind_name((enum volume_kind)i), words[i]);
		assert_true(volume_kind_parse(words[i], &kind));
		assert_int_equal(kind, i);
		assert_int_equal(volume_kind_is_shared(kind), i == VOLUME_SHARED || i == VOLUME_CD);
	}
	assert_false(volume_kind_parse("Data", &kind));
	assert_false(volume_kind_parse("", &kind));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keep, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_names, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_find, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_attach, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_free_lun, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_given_up, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_delete_machine, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_version_users, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_unpublished, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_published_later, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
