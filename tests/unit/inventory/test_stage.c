// SPDX-License-Identifier: GPL-2.0-or-later
/* Stages of boots. */
#include "inventory/fixture.h"

#include "inventory/stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct list {
	char text[512];
	struct stage_record last;
};

static int add(void *arg, const struct stage_record *record)
{
	struct list *list = arg;
	size_t len = strlen(list->text);

	snprintf(list->text + len, sizeof(list->text) - len, "%s %lld %s%s", stage_name(record->stage),
		 (long long)record->at_ms, record->detail, record->stuck_ms ? "!" : "");
	strcat(list->text, ";");
	list->last = *record;
	return 0;
}

static void expect(struct inventory_tx *tx, int64_t machine_id, uint64_t number, const char *want)
{
	struct list list = { 0 };

	assert_int_equal(stage_each(tx, machine_id, number, add, &list), 0);
	assert_string_equal(list.text, want);
}

static int stages(struct inventory_tx *tx, void *arg)
{
	struct machine m = make_machine(1, make_version(tx, 1));
	struct machine_boot boot = { 0 };
	struct stage_record r = { .stage = STAGE_SCRIPT, .at_ms = 200, .detail = "10.0.0.7" };
	struct list list = { 0 };
	char mac[PARSE_MAC_TEXT];

	(void)arg;
	make_mac(mac, 1);
	assert_int_equal(machine_insert(tx, &m, mac), 0);
	boot.machine_id = r.machine_id = m.id;
	snprintf(boot.secret, sizeof(boot.secret), "s");
	snprintf(boot.mac, sizeof(boot.mac), "%s", mac);
	assert_int_equal(machine_boot_issue(tx, &boot), 0);
	r.number = boot.number + 1;
	assert_int_equal(stage_put(tx, &r, false), -ENOENT); /* no such boot */
	r.number = boot.number;
	assert_int_equal(stage_put(tx, &r, false), 0);
	/* The first time counts, unless it is to be replaced; in the order of the stages. */
	r.at_ms = 300;
	assert_int_equal(stage_put(tx, &r, false), 0);
	r.stage = STAGE_DHCP;
	r.at_ms = 100;
	r.detail[0] = '\0';
	assert_int_equal(stage_put(tx, &r, false), 0);
	expect(tx, m.id, boot.number, "dhcp 100 ;script 200 10.0.0.7;");
	r.at_ms = 150;
	assert_int_equal(stage_put(tx, &r, true), 0);
	expect(tx, m.id, boot.number, "dhcp 150 ;script 200 10.0.0.7;");
	/* Stuck, until it is not. */
	r.stage = STAGE_SCRIPT;
	r.stuck_ms = 900;
	snprintf(r.why, sizeof(r.why), "because");
	assert_int_equal(stage_set_stuck(tx, &r), 0);
	expect(tx, m.id, boot.number, "dhcp 150 ;script 200 10.0.0.7!;");
	assert_int_equal(stage_each(tx, m.id, boot.number, add, &list), 0);
	assert_string_equal(list.last.why, "because");
	r.at_ms = 250;
	assert_int_equal(stage_put(tx, &r, true), 0);
	expect(tx, m.id, boot.number, "dhcp 150 ;script 250 ;");
	r.stage = STAGE_STEADY;
	assert_int_equal(stage_set_stuck(tx, &r), -ENOENT);
	r.stage = STAGES;
	assert_int_equal(stage_put(tx, &r, false), -EINVAL);
	/* A boot asked for anew loses its own, the one before it keeps them. */
	assert_int_equal(machine_boot_begin(tx, m.id, boot.number), 0);
	assert_int_equal(machine_boot_issue(tx, &boot), 0);
	r.stage = STAGE_WAITED;
	r.number = boot.number;
	assert_int_equal(stage_put(tx, &r, false), 0);
	assert_int_equal(stage_clear(tx, m.id, boot.number), 0);
	expect(tx, m.id, boot.number, "");
	expect(tx, m.id, boot.number - 1, "dhcp 150 ;script 250 ;");
	/* They go with their boot, and it with its machine. */
	r.stage = STAGE_DHCP;
	assert_int_equal(stage_put(tx, &r, false), 0);
	assert_int_equal(machine_delete(tx, m.id), 0);
	expect(tx, m.id, boot.number, "");
	assert_string_equal(stage_name(STAGES), "unknown");
	return 0;
}

static void test_stages(void **state)
{
	assert_int_equal(in_write(*state, stages, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stages, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
