// SPDX-License-Identifier: GPL-2.0-or-later
/* UUIDs and serial numbers that several boards share. */
#include "inventory/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UUID "5a4b0075-0000-4000-8000-000000000001"

static bool is_shared(struct inventory_tx *tx, enum hardware_id id, const char *text)
{
	bool shared = true;

	assert_int_equal(hardware_is_shared(tx, id, text, &shared), 0);
	return shared;
}

static int learn(struct inventory_tx *tx, void *arg)
{
	struct machine m = make_machine(1, make_version(tx, 1)), other = make_machine(2, m.system.version_id);
	struct waiting row = { .mac = "52:54:00:00:00:09", .uuid = UUID, .serial = "S1", .seen_ms = 1, .first_ms = 1 };

	(void)arg;
	strcpy(m.uuid, UUID);
	strcpy(m.serial, "S1");
	strcpy(other.uuid, "5a4b0075-0000-4000-8000-000000000002");
	strcpy(other.serial, "S2");
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:01"), 0);
	assert_int_equal(machine_insert(tx, &other, "52:54:00:00:00:02"), 0);
	assert_int_equal(waiting_put(tx, &row, 10), 0);
	assert_false(is_shared(tx, HARDWARE_UUID, UUID));
	assert_int_equal(hardware_set_shared(tx, HARDWARE_UUID, UUID), 0);
	assert_int_equal(hardware_set_shared(tx, HARDWARE_UUID, UUID), 0);
	/* Nobody has it any more, and nothing else is lost. */
	assert_int_equal(machine_by_id(tx, m.id, &m), 0);
	assert_string_equal(m.uuid, "");
	assert_string_equal(m.serial, "S1");
	assert_int_equal(machine_by_id(tx, other.id, &other), 0);
	assert_string_equal(other.uuid, "5a4b0075-0000-4000-8000-000000000002");
	assert_int_equal(waiting_by_mac(tx, row.mac, &row), 0);
	assert_string_equal(row.uuid, "");
	assert_string_equal(row.serial, "S1");
	assert_int_equal(hardware_set_shared(tx, HARDWARE_SERIAL, "S1"), 0);
	assert_int_equal(machine_by_id(tx, m.id, &m), 0);
	assert_string_equal(m.serial, "");
	assert_int_equal(hardware_set_shared(tx, HARDWARE_SERIAL, ""), -EINVAL);
	assert_int_equal(hardware_set_shared(tx, HARDWARE_SERIAL, "a\nb"), -EINVAL);
	return 0;
}

/* A whole line, of its own kind; after a restart, too. */
static int look(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	assert_true(is_shared(tx, HARDWARE_UUID, UUID));
	assert_true(is_shared(tx, HARDWARE_SERIAL, "S1"));
	assert_false(is_shared(tx, HARDWARE_UUID, "S1"));
	assert_false(is_shared(tx, HARDWARE_SERIAL, "S"));
	assert_false(is_shared(tx, HARDWARE_SERIAL, "S12"));
	assert_false(is_shared(tx, HARDWARE_SERIAL, ""));
	return 0;
}

static void test_learnt(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in_write(f, learn, NULL), 0);
	assert_int_equal(in_read(f, look, NULL), 0);
	fixture_reopen(f);
	assert_int_equal(in_read(f, look, NULL), 0);
}

/* However many somebody invents: the last ones are known. */
static int flood(struct inventory_tx *tx, void *arg)
{
	char text[SERIAL_TEXT];

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%0120d", i);
		assert_int_equal(hardware_set_shared(tx, HARDWARE_SERIAL, text), 0);
		assert_true(is_shared(tx, HARDWARE_SERIAL, text));
	}
	snprintf(text, sizeof(text), "%0120d", 980);
	assert_true(is_shared(tx, HARDWARE_SERIAL, text));
	snprintf(text, sizeof(text), "%0120d", 0);
	assert_false(is_shared(tx, HARDWARE_SERIAL, text));
	return 0;
}

static void test_bounded(void **state)
{
	assert_int_equal(in_write(*state, flood, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_learnt), TEST(test_bounded) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
