// SPDX-License-Identifier: GPL-2.0-or-later
/* Machines that are known before they ask: all of a list or none, and what they boot when they do. */
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define MAC3 "52:54:00:aa:00:03"

static struct machine machines[8];
static struct reason reason;
static unsigned failed;

static int add(struct world *w, const struct boot_machine_new *list, unsigned count, bool dry_run)
{
	reason.text[0] = '\0';
	return boot_add_machines(w->boot, list, count, dry_run, "ctl", machines, &failed, &reason);
}

static void test_added_and_booted(void **state)
{
	struct world *w = *state;
	struct boot_machine_new list[] = {
		{ .name = "pc-9",
		  .macs = { MAC1, "5254.00aa.0002" },
		  .mac_count = 2,
		  .group = "lab",
		  .address = "10.0.0.9",
		  .note = "by the door" },
		{ .macs = { MAC3 }, .mac_count = 1, .image = "debian@1" },
	};
	struct machine_boot current, pending;
	struct machine machine;

	/* What is strange is refused before it asks, and what waits no longer does. */
	world_policy(w, "enrol", "approve");
	world_expect(w, MAC2, "", "", "wait", NULL);
	assert_int_equal(boot_group_add(w->boot, "lab", "ctl", &reason), 0);
	assert_int_equal(add(w, list, 2, false), 0);
	assert_string_equal(machines[0].name, "pc-9");
	assert_string_equal(machines[1].name, "pc-001");
	assert_int_equal(world_children(w), 2);
	assert_int_equal(world_events(w, "enrolled"), 2);
	assert_int_equal(world_waiting(w, MAC2, NULL), 0);
	machine = world_machine(w, MAC2);
	assert_string_equal(machine.name, "pc-9");
	assert_string_equal(machine.address, "10.0.0.9");
	assert_string_equal(machine.note, "by the door");
	assert_int_not_equal(machine.group_id, 0);
	/* Nobody has seen it: it has no boot, until it asks. */
	assert_int_equal(machine.seen_ms, 0);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number + pending.number, 0);
	world_expect(w, MAC2, "", "", "sanboot", "machine pc-9");
	assert_int_equal(world_children(w), 2);
	world_expect(w, "52:54:00:aa:00:77", "", "", "wait", NULL);
}

static void expect_nothing(struct world *w, const struct boot_machine_new *list, unsigned count, unsigned which,
			   const char *why)
{
	assert_true(add(w, list, count, false) < 0);
	assert_int_equal(failed, which);
	if (!strstr(reason.text, why))
		fail_msg("\"%s\" does not say \"%s\"", reason.text, why);
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_children(w), 0);
	assert_int_equal(world_events(w, "enrolled"), 0);
}

static void test_all_or_none(void **state)
{
	struct world *w = *state;
	struct boot_machine_new good = { .name = "pc-1", .macs = { MAC1 }, .mac_count = 1, .address = "10.0.0.1" };
	struct boot_machine_new list[2] = { good, good };

	expect_nothing(w, list, 2, 1, "there is a machine pc-1 already");
	list[1] = (struct boot_machine_new){ .name = "pc-2", .macs = { MAC2, MAC1 }, .mac_count = 2 };
	expect_nothing(w, list, 2, 1, MAC1 " is machine pc-1 already");
	list[1] = (struct boot_machine_new){ .name = "pc-2", .macs = { "52:54" }, .mac_count = 1 };
	expect_nothing(w, list, 2, 1, "52:54 is no MAC address");
	list[1] = (struct boot_machine_new){ .name = "pc 2", .macs = { MAC2 }, .mac_count = 1 };
	expect_nothing(w, list, 2, 1, "name: expected letters");
	list[1] = (struct boot_machine_new){ .macs = { MAC2 }, .mac_count = 1, .address = "10.0.0.1" };
	expect_nothing(w, list, 2, 1, "another machine keeps the address 10.0.0.1");
	list[1] = (struct boot_machine_new){ .macs = { MAC2 }, .mac_count = 1, .address = "10.0.0" };
	expect_nothing(w, list, 2, 1, "address: expected an IPv4 address");
	list[1] = (struct boot_machine_new){ .macs = { MAC2 }, .mac_count = 1, .group = "lab" };
	expect_nothing(w, list, 2, 1, "there is no group lab");
	list[1] = (struct boot_machine_new){ .macs = { MAC2 }, .mac_count = 1, .image = "nix" };
	expect_nothing(w, list, 2, 1, "there is no nix");
	list[1] = (struct boot_machine_new){ .name = "pc-2" };
	expect_nothing(w, list, 2, 1, "network cards");
	list[1] = (struct boot_machine_new){ .macs = { MAC2 }, .mac_count = 1 };
	world_policy(w, "max-machines", "1");
	expect_nothing(w, list, 2, 2, "max-machines=2");
}

static void test_dry_run(void **state)
{
	struct world *w = *state;
	struct boot_machine_new list[] = { { .name = "pc-1", .macs = { MAC1 }, .mac_count = 1 } };

	assert_int_equal(add(w, list, 1, true), 0);
	assert_string_equal(reason.text, "");
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_children(w), 0);
	assert_int_equal(add(w, list, 1, false), 0);
	assert_int_equal(add(w, list, 1, true), -EEXIST);
	assert_int_equal(failed, 0);
	assert_int_equal(world_machine_count(w), 1);
	assert_int_equal(world_children(w), 1);
}

static void test_no_image(void **state)
{
	struct world *w = *state;
	struct boot_machine_new list[] = { { .name = "pc-1", .macs = { MAC1 }, .mac_count = 1 } };

	expect_nothing(w, list, 1, 0, "there is no image yet: sanbootctl image import");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_added_and_booted, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_all_or_none, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_dry_run, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_no_image, world_setup_empty, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
