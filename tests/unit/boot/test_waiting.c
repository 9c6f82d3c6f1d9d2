// SPDX-License-Identifier: GPL-2.0-or-later
/* Machines that get no disk yet: policy, a person, an image, another machine or room decides. */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"
#define UUID2 "5a4b0075-0000-4000-8000-000000000002"

static void test_deny_policy(void **state)
{
	struct world *w = *state;

	world_policy(w, "enrol", "deny");
	world_expect(w, MAC1, UUID1, "vm1", "denied", "sanboot --no-describe --drive 0x80 || exit");
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_waiting(w, MAC1, NULL), 0);
	/* Who is known already stays. */
	world_policy(w, "enrol", "auto");
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_policy(w, "enrol", "deny");
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
}

static void test_no_image(void **state)
{
	struct world *w = *state;
	struct waiting row;

	world_expect(w, MAC1, UUID1, "vm1", "wait", "sanbootctl image import FILE --name NAME --default");
	assert_int_equal(world_waiting(w, MAC1, &row), 1);
	assert_int_equal(row.reason, WAIT_NO_IMAGE);
	assert_int_equal(world_children(w), 0);
	world_add_image(w, "debian", 'd');
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "boots debian@1");
	assert_int_equal(world_waiting(w, MAC1, NULL), 0);
}

static void test_approve(void **state)
{
	struct world *w = *state;
	struct waiting row;
	char number[24], text[64];
	struct reason reason;
	struct machine machine;

	world_policy(w, "enrol", "approve");
	world_expect(w, MAC1, UUID1, "vm1", "wait", "waits for approval, number 1 ");
	assert_int_equal(world_waiting(w, MAC1, &row), 1);
	assert_int_equal(row.reason, WAIT_APPROVAL);
	assert_string_equal(row.address, "127.0.0.1");
	assert_int_equal(world_children(w), 0);
	world_expect(w, MAC1, UUID1, "vm1", "wait", "number 1 ");
	world_expect(w, MAC2, UUID2, "vm2", "wait", "number 2 ");
	assert_int_equal(world_events(w, "waiting"), 2);
	snprintf(number, sizeof(number), "%lld", (long long)row.number);
	assert_int_equal(boot_approve(w->boot, number, &(struct boot_approval){ .name = "alice" }, "ctl", &machine,
				      &reason),
			 0);
	assert_string_equal(machine.name, "alice");
	assert_int_equal(world_waiting(w, MAC1, &row), 1);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "machine alice boots debian@1");
	world_expect(w, MAC2, UUID2, "vm2", "wait", "number 2 ");
	/* By MAC; a name that is taken; once more. */
	assert_int_equal(boot_approve(w->boot, MAC2, &(struct boot_approval){ .name = "ALICE" }, "ctl", NULL, &reason),
			 -EEXIST);
	assert_non_null(strstr(reason.text, "ALICE"));
	assert_int_equal(world_children(w), 1);
	assert_int_equal(boot_approve(w->boot, "52-54-00-AA-00-02", &(struct boot_approval){ .image = "debian@1" },
				      "ctl", NULL, &reason),
			 0);
	assert_int_equal(boot_approve(w->boot, MAC2, NULL, "ctl", NULL, &reason), -EEXIST);
	assert_int_equal(boot_approve(w->boot, "77", NULL, "ctl", NULL, &reason), -ENOENT);
	assert_int_equal(boot_approve(w->boot, "who?", NULL, "ctl", NULL, &reason), -EINVAL);
	assert_int_equal(world_children(w), 2);
	snprintf(text, sizeof(text), "%s", world_machine(w, MAC2).name);
	assert_string_equal(text, "pc-001");
}

static void test_deny(void **state)
{
	struct world *w = *state;
	struct reason reason;

	world_policy(w, "enrol", "approve");
	world_expect(w, MAC1, UUID1, "vm1", "wait", "number 1 ");
	assert_int_equal(boot_deny(w->boot, "1", "ctl", &reason), 0);
	world_expect(w, MAC1, UUID1, "vm1", "denied", "a person said no");
	/* Beforehand, too; and under enrol=auto. */
	assert_int_equal(boot_deny(w->boot, MAC2, "ctl", &reason), 0);
	world_policy(w, "enrol", "auto");
	world_expect(w, MAC2, UUID2, "vm2", "denied", NULL);
	assert_int_equal(world_machine_count(w), 0);
	/* The person changes his mind. */
	assert_int_equal(boot_approve(w->boot, MAC2, NULL, "ctl", NULL, &reason), 0);
	world_expect(w, MAC2, UUID2, "vm2", "sanboot", NULL);
	assert_int_equal(boot_deny(w->boot, MAC2, "ctl", &reason), -EEXIST);
	assert_int_equal(boot_deny(w->boot, "x", "ctl", &reason), -EINVAL);
}

static void test_forget(void **state)
{
	struct world *w = *state;
	struct reason reason;
	struct waiting row;
	char number[24];

	world_policy(w, "enrol", "approve");
	world_expect(w, MAC1, UUID1, "vm1", "wait", "number 1 ");
	assert_int_equal(boot_deny(w->boot, MAC1, "ctl", &reason), 0);
	assert_int_equal(boot_forget(w->boot, MAC1, "ctl", &reason), 0);
	assert_int_equal(world_waiting(w, MAC1, &row), 0);
	/* A stranger: the policy's word, not the one that was said once. */
	world_expect(w, MAC1, UUID1, "vm1", "wait", "waits for approval");
	assert_int_equal(world_waiting(w, MAC1, &row), 1);
	snprintf(number, sizeof(number), "%lld", (long long)row.number);
	assert_int_equal(boot_forget(w->boot, number, "ctl", &reason), 0);
	assert_int_equal(boot_forget(w->boot, number, "ctl", &reason), -ENOENT);
	assert_int_equal(boot_forget(w->boot, MAC2, "ctl", &reason), -ENOENT);
	assert_int_equal(boot_forget(w->boot, "x", "ctl", &reason), -EINVAL);
}

static void test_conflict(void **state)
{
	struct world *w = *state;
	struct reason reason;
	struct waiting row;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_expect(w, MAC1, UUID2, "vm2", "wait", "conflict");
	assert_int_equal(world_waiting(w, MAC1, &row), 1);
	assert_int_equal(row.reason, WAIT_CONFLICT);
	assert_int_equal(row.machine_id, world_machine(w, MAC1).id);
	/* Without a UUID it is the MAC alone that counts; and the right hardware is not held up. */
	world_expect(w, MAC1, "00000000-0000-0000-0000-000000000000", "", "sanboot", NULL);
	world_expect(w, MAC1, UUID2, "vm2", "wait", "conflict");
	assert_int_equal(boot_deny(w->boot, MAC1, "ctl", &reason), 0);
	world_expect(w, MAC1, UUID2, "vm2", "denied", NULL);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_expect(w, MAC1, UUID2, "vm2", "denied", NULL);
	/* A new board after all. */
	assert_int_equal(boot_approve(w->boot, MAC1, &(struct boot_approval){ .name = "other" }, "ctl", NULL, &reason),
			 -EINVAL);
	assert_int_equal(boot_approve(w->boot, MAC1, NULL, "ctl", NULL, &reason), 0);
	world_expect(w, MAC1, UUID2, "vm2", "sanboot", "machine pc-001");
	world_expect(w, MAC1, UUID1, "vm1", "wait", "conflict");
	assert_int_equal(world_machine_count(w), 1);
}

static void test_swap_offer(void **state)
{
	struct world *w = *state;
	char child[NAME_MAX_TEXT];
	struct reason reason;
	struct machine machine;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	memcpy(child, machine.system.object, sizeof(child));
	/* Another MAC with this UUID: never booted by itself. */
	world_expect(w, MAC2, UUID1, "vm1", "wait", "the UUID or serial number of machine pc-001");
	assert_int_equal(world_machine_count(w), 1);
	assert_int_equal(boot_approve(w->boot, MAC2, NULL, "ctl", &machine, &reason), 0);
	assert_string_equal(machine.name, "pc-001");
	world_expect(w, MAC2, UUID1, "vm1", "sanboot", "machine pc-001");
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "machine pc-001");
	/* The same serial on another board: replaces the hardware. */
	world_expect(w, "52:54:00:aa:00:03", UUID2, "vm1", "wait", "the UUID or serial number of machine pc-001");
	assert_int_equal(boot_approve(w->boot, "52:54:00:aa:00:03", NULL, "ctl", &machine, &reason), 0);
	world_expect(w, "52:54:00:aa:00:03", UUID2, "vm1", "sanboot", "machine pc-001");
	assert_string_equal(world_machine(w, "pc-001").system.object, child);
	/* The old hardware comes back: by its serial it is pc-001 again, or so it says. */
	world_expect(w, MAC1, UUID1, "vm1", "wait", "the UUID or serial number");
	/* "It is another machine": with a name. */
	assert_int_equal(boot_approve(w->boot, MAC1, &(struct boot_approval){ .name = "twin" }, "ctl", &machine,
				      &reason),
			 0);
	assert_string_equal(machine.name, "twin");
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "machine twin");
	assert_int_equal(world_machine_count(w), 2);
	/* A serial that two machines share identifies none. */
	world_expect(w, "52:54:00:aa:00:04", "", "vm1", "sanboot", "machine pc-002");
}

static void test_limits(void **state)
{
	struct world *w = *state;
	struct waiting row;
	struct reason reason;

	world_policy(w, "max-machines", "1");
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_expect(w, MAC2, UUID2, "vm2", "wait", "as many machines as it may have");
	assert_int_equal(world_waiting(w, MAC2, &row), 1);
	assert_int_equal(row.reason, WAIT_FULL);
	assert_int_equal(boot_approve(w->boot, MAC2, NULL, "ctl", NULL, &reason), -ENOSPC);
	assert_non_null(strstr(reason.text, "max-machines"));
	/* The list is bounded: who finds no place waits without a number. */
	world_policy(w, "max-waiting", "1");
	world_expect(w, "52:54:00:aa:00:03", "", "", "wait", NULL);
	assert_int_equal(world_waiting(w, "52:54:00:aa:00:03", &row), 1);
	assert_int_equal(row.number, 0);
	world_policy(w, "enrol", "approve");
	world_policy(w, "max-machines", "10");
	world_expect(w, "52:54:00:aa:00:03", "", "", "wait", "without a number");
	assert_int_equal(world_children(w), 1);
}

static void test_no_space(void **state)
{
	struct world *w = *state;
	struct waiting row;

	world_policy(w, "reserve", "8000T");
	world_expect(w, MAC1, UUID1, "vm1", "wait", "no room for another disk");
	world_expect(w, MAC1, UUID1, "vm1", "wait", "no room for another disk");
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_children(w), 0);
	assert_int_equal(world_waiting(w, MAC1, &row), 1);
	assert_int_equal(row.reason, WAIT_NO_SPACE);
	assert_int_equal(world_events(w, "no-space"), 1);
	world_policy(w, "reserve", "0%");
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	assert_int_equal(world_waiting(w, MAC1, &row), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deny_policy),
		cmocka_unit_test_setup_teardown(test_no_image, world_setup_empty, world_teardown),
		TEST(test_approve),
		TEST(test_deny),
		TEST(test_forget),
		TEST(test_conflict),
		TEST(test_swap_offer),
		TEST(test_limits),
		TEST(test_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
