// SPDX-License-Identifier: GPL-2.0-or-later
/* From schema 7, which had no snapshots: volumes stay as they were, and initiators know data volumes again. */
#include "inventory/fixture.h"
#include "inventory/old_file.h"
#include "inventory/snapshot.h"

#include <string.h>
#include <unistd.h>

enum { OLD_VERSION = 7 };

static int find_all(struct inventory_tx *tx, void *arg)
{
	struct volume data, odd, shared;
	struct machine machine;
	struct snapshot snapshot = { .label = "one", .size_bytes = 4096 };

	(void)arg;
	assert_int_equal(machine_by_name(tx, "pc-001", &machine), 0);
	assert_string_equal(machine.system.object, "m1-abc.qcow2");
	assert_string_equal(machine.system.serial, "");
	assert_int_equal(machine.system.snapshot_id, 0);
	/* As it was called to initiators: its object's name up to the first dot. */
	assert_int_equal(volume_find(tx, "data", &data), 0);
	assert_string_equal(data.object, "d1-xyz.qcow2");
	assert_string_equal(data.serial, "d1-xyz");
	assert_string_equal(data.note, "n");
	assert_int_equal(volume_find(tx, "odd", &odd), 0);
	assert_string_equal(odd.serial, "object");
	assert_int_equal(volume_find(tx, "tools", &shared), 0);
	assert_string_equal(shared.serial, "");
	/* And it goes on from there. */
	snapshot.volume_id = data.id;
	memcpy(snapshot.object, data.object, sizeof(snapshot.object));
	assert_int_equal(snapshot_insert(tx, &snapshot), 0);
	data.snapshot_id = snapshot.id;
	strcpy(data.object, "d1-new.qcow2");
	assert_int_equal(volume_update(tx, &data), 0);
	assert_int_equal(volume_find(tx, "pc-001:1", &data), 0);
	assert_string_equal(data.serial, "d1-xyz");
	return 0;
}

static void test_goes_on(void **state)
{
	struct fixture *f = *state;
	struct reason reason;

	inventory_close(f->inventory);
	f->inventory = NULL;
	assert_int_equal(unlink(f->path), 0);
	old_file(f, OLD_VERSION);
	old_file_sql(
		f,
		"INSERT INTO image (id, name, is_default, last_number) VALUES (1, 'debian', 1, 1);"
		"INSERT INTO image_version VALUES (1, 1, 1, 1, 'debian@1.raw', 'raw', 4194304, 'aa', 1, 2, 3, '', '');"
		"INSERT INTO machine (id, name, iqn, uuid, serial, product, mode, auth, access_many, note, address, "
		"created_ms, seen_ms, "
		"no_gateway, boot, boot_once, boot_once_token, multipath) VALUES (1, 'pc-001', 'iqn.2026-11.test:1', "
		"'', '', '', 0, 0, 0, "
		"'', '', 1, 2, 0, '', '', '', 0);"
		"INSERT INTO volume VALUES (1, '', 0, 'files', 'm1-abc.qcow2', 1, 0, '', 0, 0, '', 0, '', 1),"
		"(2, 'data', 1, 'files', 'd1-xyz.qcow2', NULL, 1048576, '', 0, 0, '', 0, 'n', 1),"
		"(3, 'odd', 1, 'files', 'object', NULL, 1048576, '', 0, 0, '', 0, '', 1),"
		"(4, 'tools', 2, 'files', '', 1, 0, '', 0, 0, '', 0, '', 1);"
		"INSERT INTO attachment VALUES (1, 0, 1), (1, 1, 2), (1, 7, 4);");
	if (inventory_open(f->path, &f->inventory, &reason))
		fail_msg("%s", reason.text);
	assert_int_equal(in_write(f, find_all, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
