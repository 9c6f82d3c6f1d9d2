// SPDX-License-Identifier: GPL-2.0-or-later
/* Several keys of a machine, a group or a volume: what is refused of them leaves nothing of the others. */
#include "world.h"

#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;

typedef struct boot_setting pairs[3];

static void expect(int err, int wanted, const char *said)
{
	if (err != wanted || (said && !strstr(reason.text, said)))
		fail_msg("%d: %s", err, reason.text);
}

static void test_machine(void **state)
{
	struct world *w = *state;
	struct machine before, after;
	unsigned events;

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	before = world_machine(w, MAC1);
	events = world_events(w, "machine-set");
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "note", "x" }, { "colour", "red" } }, 2, &reason), -EINVAL,
	       "there is no key colour");
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "note", "x" }, { "group", "nowhere" } }, 2, &reason),
	       -EINVAL, "no group nowhere");
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "name", "pc-9" }, { "no-gateway", "perhaps" } }, 2, &reason),
	       -EINVAL, "no-gateway: expected no or yes");
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "name", "pc-9" }, { "name", "pc-002" } }, 2, &reason),
	       -EEXIST, "pc-002");
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "note", "x" }, { "templates", "nowhere" } }, 2, &reason),
	       -EINVAL, NULL);
	/* What would do is not done either. */
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "name", "pc-9" }, { "note", "x" }, { "size", "1" } }, 3,
				 &reason),
	       0, "");
	assert_string_equal(reason.text, "");
	expect(boot_rehearse_set(w->boot, "nobody", (pairs){ { "note", "x" } }, 1, &reason), -ENOENT,
	       "no machine nobody");
	after = world_machine(w, MAC1);
	assert_string_equal(after.name, before.name);
	assert_string_equal(after.note, "");
	assert_int_equal(world_events(w, "machine-set"), events);
}

/* An image that would begin its disk anew makes a file, which does not stay. */
static void test_image(void **state)
{
	struct world *w = *state;
	unsigned children;

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_add_image(w, "lab", 7);
	children = world_children(w);
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "image", "lab" }, { "note", "x" } }, 2, &reason), 0, "");
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "image", "lab" }, { "image", "none@1" } }, 2, &reason),
	       -ENOENT, NULL);
	assert_int_equal(world_children(w), children);
}

/* What only changes while a machine is off is refused before anything is changed. */
static void test_running(void **state)
{
	struct world *w = *state;
	struct machine machine;
	struct machine_boot current, pending;
	uint16_t status;

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	assert_non_null(world_open(w, machine.id, pending.number, &status, &reason));
	atomic_store(&w->sessions, 1);
	atomic_store(&w->alive, true);
	w->session.machine_id = machine.id;
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "note", "x" }, { "mode", "ephemeral" } }, 2, &reason),
	       -EBUSY, NULL);
	expect(boot_rehearse_set(w->boot, MAC1, (pairs){ { "note", "x" }, { "boot", "menu" } }, 2, &reason), 0, "");
	atomic_store(&w->sessions, 0);
	world_close(w);
}

static int no_group(struct inventory_tx *tx, void *arg)
{
	struct machine_group group;

	return group_by_name(tx, arg, &group);
}

static void test_group(void **state)
{
	struct world *w = *state;
	struct boot *boot = w->boot;
	char lab[] = "lab", room[] = "room";

	expect(boot_rehearse_group_set(boot, "lab", true, (pairs){ { "priority", "high" } }, 1, &reason), -EINVAL,
	       "priority: expected a number");
	expect(boot_rehearse_group_set(boot, "a b", true, (pairs){ { "priority", "1" } }, 1, &reason), -EINVAL, "name");
	expect(boot_rehearse_group_set(boot, "lab", true, (pairs){ { "priority", "1" }, { "note", "x" } }, 2, &reason),
	       0, "");
	assert_int_equal(world_write(w, no_group, lab), -ENOENT);
	expect(boot_rehearse_group_set(boot, "lab", false, (pairs){ { "priority", "1" } }, 1, &reason), -ENOENT,
	       "no group");
	assert_int_equal(boot_group_add(boot, "lab", "ctl", &reason), 0);
	expect(boot_rehearse_group_set(boot, "lab", true, (pairs){ { "priority", "1" } }, 1, &reason), -EEXIST,
	       "already");
	expect(boot_rehearse_group_set(boot, "lab", false,
				       (pairs){ { "name", "room" }, { "note", "x" }, { "boot", "menu" } }, 3, &reason),
	       0, "");
	expect(boot_rehearse_group_set(boot, "lab", false, (pairs){ { "name", "room" }, { "colour", "red" } }, 2,
				       &reason),
	       -EINVAL, "no key colour");
	assert_int_equal(world_write(w, no_group, room), -ENOENT);
	assert_int_equal(world_write(w, no_group, lab), 0);
}

static void test_volume(void **state)
{
	struct world *w = *state;
	const struct boot_volume_new data = {
		.name = "scratch", .kind = VOLUME_DATA, .size_bytes = 1 << 20, .lun = -1
	};

	int64_t id;

	if (boot_volume_create(w->boot, &data, "ctl", &id, &reason))
		fail_msg("%s", reason.text);
	expect(boot_rehearse_volume_set(w->boot, "scratch", (pairs){ { "name", "other" }, { "colour", "red" } }, 2,
					&reason),
	       -EINVAL, "no key colour");
	expect(boot_rehearse_volume_set(w->boot, "scratch", (pairs){ { "name", "other" }, { "quota", "much" } }, 2,
					&reason),
	       -EINVAL, "quota: expected");
	expect(boot_rehearse_volume_set(w->boot, "scratch", (pairs){ { "name", "other" }, { "size", "2M" } }, 2,
					&reason),
	       0, "");
	assert_int_not_equal(world_volume(w, "scratch").id, 0);
	assert_int_equal(world_volume(w, "other").id, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_machine, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_image, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_running, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_group, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_volume, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
