// SPDX-License-Identifier: GPL-2.0-or-later
/* The trash: a removed machine's disk stays, comes back as it was, and goes when its time is over. */
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"
#include "boot/retention.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;

/* A machine that has written something, and is off. */
static struct machine make(struct world *w)
{
	struct machine machine;
	uint16_t status;

	reason.text[0] = '\0';
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	assert_int_equal(world_write_block(w, 8192, 'x', true), 0);
	world_close(w);
	return machine;
}

/* Without waiting for the grace. */
static void run(struct world *w)
{
	struct retention plan;

	assert_int_equal(boot_run_retention(w->boot, "ctl", 0, &plan, &reason), 0);
	retention_fini(&plan);
}

static void test_there_and_back(void **state)
{
	struct world *w = *state;
	struct machine was = make(w), back;
	uint16_t status;

	assert_int_equal(boot_remove(w->boot, "pc-001", false, "ctl", &reason), 0);
	assert_non_null(strstr(reason.text, "sanbootctl machine trash restore pc-001"));
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_children(w), 1);
	/* It is a stranger now, gets another disk, and its own is nobody's to touch. */
	world_expect(w, MAC1, "", "", "sanboot", "machine pc-001");
	assert_int_equal(world_children(w), 2);
	assert_string_equal(world_find(w, was.iqn, "x").reason.text[0] ? "refused" : "found", "refused");
	/* Neither a start nor a sweep takes it. */
	world_restart(w);
	boot_retention_chore(w->boot);
	assert_int_equal(world_children(w), 2);
	/* The new one has its name and its card. */
	assert_int_equal(boot_trash_restore(w->boot, "pc-001", NULL, "ctl", &back, &reason), -EEXIST);
	assert_non_null(strstr(reason.text, "--name NAME"));
	assert_int_equal(boot_trash_restore(w->boot, "pc-001", "old", "ctl", &back, &reason), -EEXIST);
	assert_non_null(strstr(reason.text, MAC1));
	assert_int_equal(boot_remove(w->boot, "pc-001", true, "ctl", &reason), 0);
	assert_int_equal(world_children(w), 1);
	assert_int_equal(boot_trash_restore(w->boot, "pc-001", "a b", "ctl", &back, &reason), -EINVAL);
	assert_int_equal(boot_trash_restore(w->boot, "nix", NULL, "ctl", &back, &reason), -ENOENT);
	assert_int_equal(boot_trash_restore(w->boot, "pc-001", NULL, "ctl", &back, &reason), 0);
	assert_string_equal(reason.text, "");
	assert_int_equal(back.id, was.id);
	assert_string_equal(back.iqn, was.iqn);
	assert_string_equal(back.system.object, was.system.object);
	world_expect(w, MAC1, "", "", "sanboot", "machine pc-001");
	assert_int_equal(world_begin(w, was.id, 2), 0);
	assert_non_null(world_open(w, was.id, 2, &status, &reason));
	assert_int_equal(world_read_disk(w, w->disk, 8192), 'x');
	world_close(w);
	assert_int_equal(world_events(w, "restored"), 1);
}

static void test_its_time_is_over(void **state)
{
	struct world *w = *state;
	struct machine back;

	make(w);
	assert_int_equal(boot_remove(w->boot, "pc-001", false, "ctl", &reason), 0);
	world_policy(w, "trash", "1h");
	run(w);
	assert_int_equal(world_children(w), 1);
	/* Nothing is kept any more: what is there goes, too. */
	world_policy(w, "trash", "none");
	boot_retention_chore(w->boot);
	assert_int_equal(world_children(w), 1);
	run(w);
	assert_int_equal(world_children(w), 0);
	assert_int_equal(boot_trash_restore(w->boot, "pc-001", NULL, "ctl", &back, &reason), -ENOENT);
	assert_int_equal(world_events(w, "removed"), 2);
	/* Nor does one that is removed from now on. */
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	assert_int_equal(boot_remove(w->boot, MAC2, false, "ctl", &reason), 0);
	assert_string_equal(reason.text, "");
	assert_int_equal(world_children(w), 0);
}

static void test_emptied(void **state)
{
	struct world *w = *state;

	make(w);
	assert_int_equal(boot_snapshot_take(w->boot, "pc-001:0", "before", "ctl", &reason), 0);
	assert_int_equal(world_children(w), 2);
	assert_int_equal(boot_remove(w->boot, "pc-001", false, "ctl", &reason), 0);
	assert_int_equal(world_children(w), 2);
	world_restart(w);
	assert_int_equal(world_children(w), 2);
	assert_int_equal(boot_trash_delete(w->boot, "nix", "ctl", &reason), -ENOENT);
	assert_int_equal(boot_trash_delete(w->boot, "pc-001", "ctl", &reason), 0);
	assert_int_equal(world_children(w), 0);
	assert_int_equal(boot_trash_delete(w->boot, "pc-001", "ctl", &reason), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_its_time_is_over, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_emptied, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
