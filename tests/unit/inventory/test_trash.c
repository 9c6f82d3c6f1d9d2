// SPDX-License-Identifier: GPL-2.0-or-later
/* The trash: what a machine was comes back as it was, and while it is there others may have its name and MACs. */
#include "inventory/fixture.h"

#include "base/util.h"
#include "inventory/snapshot.h"
#include "inventory/trash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAC1 "52:54:00:00:00:01"
#define MAC2 "52:54:00:00:00:02"

static int64_t data_volume;

static int put_one(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1);
	struct machine one = make_machine(1, version);
	struct machine_group group = { .name = "lab" };
	struct volume data = { .kind = VOLUME_DATA, .name = "scratch", .backend = "files", .object = "d-1" };
	struct machine_boot boot = {
		.machine_id = 1, .state = MACHINE_BOOT_PENDING, .secret = "s", .reverse_secret = "r"
	};

	(void)arg;
	assert_int_equal(group_insert(tx, &group), 0);
	strcpy(one.serial, "SERIAL-1");
	strcpy(one.note, "by the \"door\",\n\xc3\xa4");
	strcpy(one.boot, "menu");
	strcpy(one.address, "10.0.0.1");
	one.group_id = group.id;
	one.mode = MODE_EPHEMERAL;
	one.no_gateway = true;
	one.system.size_bytes = (uint64_t)40 << 30;
	assert_int_equal(machine_insert(tx, &one, MAC1), 0);
	assert_int_equal(machine_add_mac(tx, one.id, MAC2), 0);
	assert_int_equal(volume_insert(tx, &data), 0);
	data_volume = data.id;
	assert_int_equal(attachment_add(tx, one.id, 3, data.id), 0);
	boot.machine_id = one.id;
	assert_int_equal(machine_boot_issue(tx, &boot), 0);
	assert_int_equal(machine_by_id(tx, one.id, arg), 0);
	assert_int_equal(trash_put(tx, one.id, "ctl"), 0);
	assert_int_equal(trash_put(tx, one.id, "ctl"), -ENOENT);
	return 0;
}

static int is_in_the_trash(struct inventory_tx *tx, void *arg)
{
	const struct machine *was = arg;
	struct image_version version;
	struct trash_entry entry;
	struct machine machine;
	unsigned count;

	assert_int_equal(machine_count(tx, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(machine_by_mac(tx, MAC1, &machine), -ENOENT);
	assert_int_equal(machine_by_iqn(tx, was->iqn, &machine), -ENOENT);
	assert_int_equal(trash_find(tx, "PC-001", &entry), 0);
	assert_int_equal(entry.id, was->id);
	assert_string_equal(entry.macs, MAC1 " " MAC2);
	assert_string_equal(entry.removed_by, "ctl");
	assert_int_equal(entry.system.id, was->system.id);
	assert_int_equal(trash_find(tx, "#1", &entry), 0);
	assert_int_equal(trash_find(tx, "#2", &entry), -ENOENT);
	assert_int_equal(trash_find(tx, "pc-002", &entry), -ENOENT);
	/* Its disk stands on its version still. */
	assert_int_equal(version_by_id(tx, was->system.version_id, &version), 0);
	assert_int_equal(version_delete(tx, version.id), -EBUSY);
	return 0;
}

static int come_back(struct inventory_tx *tx, void *arg)
{
	const struct machine *was = arg;
	struct trash_restored back;
	struct machine_boot boot = {
		.machine_id = was->id, .state = MACHINE_BOOT_PENDING, .secret = "s", .reverse_secret = "r"
	};
	unsigned lun;

	assert_int_equal(trash_restore(tx, was->id, "", &back), 0);
	/* All of it, to the byte. */
	assert_memory_equal(&back.machine, was, sizeof(*was));
	assert_string_equal(back.others, "");
	assert_int_equal(back.volumes_lost, 0);
	assert_int_equal(attachment_lun(tx, was->id, data_volume, &lun), 0);
	assert_int_equal(lun, 3);
	/* Boot numbers are never used again. */
	assert_int_equal(machine_boot_issue(tx, &boot), 0);
	assert_int_equal(boot.number, 2);
	assert_int_equal(trash_restore(tx, was->id, "", &back), -ENOENT);
	return 0;
}

static void test_there_and_back(void **state)
{
	struct machine was;

	assert_int_equal(in_write(*state, put_one, &was), 0);
	assert_int_equal(in_read(*state, is_in_the_trash, &was), 0);
	fixture_reopen(*state);
	assert_int_equal(in_read(*state, is_in_the_trash, &was), 0);
	assert_int_equal(in_write(*state, come_back, &was), 0);
}

/* Others took its name, a MAC, its volume, its group. */
static int take_what_was_its(struct inventory_tx *tx, void *arg)
{
	const struct machine *was = arg;
	struct machine other = make_machine(2, was->system.version_id);
	struct trash_restored back;
	struct machine machine;

	strcpy(other.name, "PC-001");
	assert_int_equal(machine_insert(tx, &other, MAC2), 0);
	assert_int_equal(attachment_add(tx, other.id, 1, data_volume), 0);
	assert_int_equal(group_delete(tx, was->group_id), 0);
	assert_int_equal(trash_restore(tx, was->id, "", &back), -EEXIST);
	assert_int_equal(trash_restore(tx, was->id, "pc-009", &back), 0);
	assert_string_equal(back.machine.name, "pc-009");
	assert_string_equal(back.others, MAC2);
	assert_int_equal(back.volumes_lost, 1);
	assert_int_equal(back.machine.group_id, 0);
	assert_string_equal(back.machine.iqn, was->iqn);
	assert_int_equal(machine_by_mac(tx, MAC1, &machine), 0);
	assert_int_equal(machine.id, was->id);
	/* Again, and now both cards are the other one's. */
	assert_int_equal(trash_put(tx, was->id, "ctl"), 0);
	assert_int_equal(machine_add_mac(tx, other.id, MAC1), 0);
	return 0;
}

static int no_card_is_left(struct inventory_tx *tx, void *arg)
{
	struct trash_restored back;

	return trash_restore(tx, ((struct machine *)arg)->id, "", &back);
}

static int is_still_there(struct inventory_tx *tx, void *arg)
{
	struct trash_entry entry;

	(void)arg;
	assert_int_equal(trash_find(tx, "pc-009", &entry), 0);
	assert_string_equal(entry.macs, MAC1);
	return 0;
}

static void test_others_took_it(void **state)
{
	struct machine was;

	assert_int_equal(in_write(*state, put_one, &was), 0);
	assert_int_equal(in_write(*state, take_what_was_its, &was), 0);
	/* The job fails, and undoes all of it. */
	assert_int_equal(in_write(*state, no_card_is_left, &was), -EADDRNOTAVAIL);
	assert_int_equal(in_read(*state, is_still_there, NULL), 0);
}

static int count_object(void *arg, const char *object)
{
	(void)object;
	++*(unsigned *)arg;
	return 0;
}

static int empty(struct inventory_tx *tx, void *arg)
{
	const struct machine *was = arg;
	struct volume volume;
	unsigned given_up = 0;

	assert_int_equal(trash_delete(tx, was->id), 0);
	assert_int_equal(trash_delete(tx, was->id), -ENOENT);
	assert_int_equal(volume_by_id(tx, was->system.id, &volume), -ENOENT);
	assert_int_equal(discarded_each(tx, "files", false, count_object, &given_up), 0);
	assert_int_equal(given_up, 1);
	/* What it had besides is nobody's, and stays. */
	assert_int_equal(volume_by_id(tx, data_volume, &volume), 0);
	assert_int_equal(version_delete(tx, was->system.version_id), 0);
	return 0;
}

static void test_empty(void **state)
{
	struct machine was;

	assert_int_equal(in_write(*state, put_one, &was), 0);
	assert_int_equal(in_write(*state, empty, &was), 0);
}

static int collect(void *arg, const struct trash_entry *entry)
{
	strcat(arg, entry->name);
	strcat(arg, " ");
	return 0;
}

static int put_several(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1);
	char names[128] = "";

	(void)arg;
	for (unsigned n = 1; n <= 3; n++) {
		struct machine machine = make_machine(n, version);
		char mac[PARSE_MAC_TEXT];

		make_mac(mac, n);
		assert_int_equal(machine_insert(tx, &machine, mac), 0);
		assert_int_equal(trash_put(tx, machine.id, "ctl"), 0);
	}
	assert_int_equal(trash_each(tx, collect, names), 0);
	assert_string_equal(names, "pc-001 pc-002 pc-003 ");
	return 0;
}

static void test_several(void **state)
{
	assert_int_equal(in_write(*state, put_several, NULL), 0);
}

static void test_times(void **state)
{
	static const char *const bad[] = { "",	 "7",	"d",	"0d",	 "-1d",
					   "7m", "7 d", "1.5d", "4000d", "99999999999999999999d" };
	unsigned s;

	(void)state;
	assert_true(trash_time_parse("none", &s));
	assert_int_equal(s, 0);
	assert_true(trash_time_parse("12h", &s));
	assert_int_equal(s, 12 * 3600);
	assert_true(trash_time_parse("3650d", &s));
	assert_int_equal(s, 3650 * 86400);
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(trash_time_parse(bad[i], &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_others_took_it, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_empty, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_several, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
