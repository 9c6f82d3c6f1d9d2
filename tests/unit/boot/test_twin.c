// SPDX-License-Identifier: GPL-2.0-or-later
/* Several boards with the same UUID or serial number: whether the second one is the first machine or another one. */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC(n) "52:54:00:aa:00:0" #n
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"
#define UUID2 "5a4b0075-0000-4000-8000-000000000002"

static void set_running(struct world *w, bool runs)
{
	w->session = (struct boot_session){ .address = "10.0.0.99:700", .since_ms = 1700000000000, .boot = 1 };
	w->sessions = runs;
	w->alive = runs;
}

/* It is enrolled and has begun its first boot. */
static struct machine begun(struct world *w, const char *mac, const char *uuid, const char *serial)
{
	struct machine machine;

	world_expect(w, mac, uuid, serial, "sanboot", NULL);
	machine = world_machine(w, mac);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	return machine;
}

static void expect_product(struct world *w, const char *mac, const char *uuid, const char *product, const char *outcome)
{
	struct boot_ask ask = world_ask_of(mac, uuid, "");
	struct reply reply;

	snprintf(ask.product, sizeof(ask.product), "%s", product);
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, outcome);
	free(reply.script);
}

/* The field's fault: the first board runs, the second one waits as its spare, with an approval that would join them. */
static void test_running(void **state)
{
	struct world *w = *state;

	begun(w, MAC(1), UUID1, "");
	set_running(w, true);
	world_expect(w, MAC(2), UUID1, "", "sanboot", "machine pc-002");
	assert_string_equal(world_machine(w, MAC(2)).uuid, "");
	assert_string_equal(world_machine(w, MAC(1)).uuid, "");
	assert_int_equal(world_events(w, "hardware-shared"), 1);
	assert_int_equal(world_waiting(w, MAC(2), NULL), 0);
	/* It is learnt: the third one does not wait although nobody runs by now, nor after a restart. */
	set_running(w, false);
	world_expect(w, MAC(3), UUID1, "", "sanboot", "machine pc-003");
	world_restart(w);
	world_expect(w, MAC(4), UUID1, "", "sanboot", "machine pc-004");
	assert_int_equal(world_events(w, "hardware-shared"), 1);
	/* And it makes no conflict either: a real UUID beside it is the first that this machine tells. */
	world_expect(w, MAC(1), UUID2, "", "sanboot", "machine pc-001");
	assert_string_equal(world_machine(w, MAC(1)).uuid, UUID2);
	world_expect(w, MAC(1), UUID1, "", "sanboot", "machine pc-001");
}

/* A serial number is no better than a UUID, and one may be shared while the other is not. */
static void test_serial(void **state)
{
	struct world *w = *state;
	struct waiting row;

	begun(w, MAC(1), UUID1, "B1");
	set_running(w, true);
	world_expect(w, MAC(2), UUID2, "B1", "sanboot", "machine pc-002");
	assert_string_equal(world_machine(w, MAC(2)).serial, "");
	assert_string_equal(world_machine(w, MAC(2)).uuid, UUID2);
	assert_string_equal(world_machine(w, MAC(1)).uuid, UUID1);
	assert_int_equal(world_events(w, "hardware-shared"), 1);
	/* Both at once. */
	world_expect(w, MAC(3), UUID1, "B1", "sanboot", "machine pc-003");
	assert_int_equal(world_events(w, "hardware-shared"), 2);
	set_running(w, false);
	world_expect(w, MAC(4), UUID2, "B1", "wait", "the UUID or serial number of machine pc-002");
	assert_int_equal(world_waiting(w, MAC(4), &row), 1);
	assert_int_equal(row.machine_id, world_machine(w, MAC(2)).id);
}

static void test_serials_differ(void **state)
{
	struct world *w = *state;

	world_expect(w, MAC(1), UUID1, "A1", "sanboot", NULL);
	world_expect(w, MAC(2), UUID1, "A2", "sanboot", "machine pc-002");
	world_expect(w, MAC(3), UUID1, "A3", "sanboot", "machine pc-003");
	assert_int_equal(world_events(w, "hardware-shared"), 1);
	/* The serial numbers are as good as before. */
	world_expect(w, MAC(4), UUID2, "A2", "wait", "the UUID or serial number of machine pc-002");
}

static void test_products_differ(void **state)
{
	struct world *w = *state;

	expect_product(w, MAC(1), UUID1, "PC", "sanboot");
	expect_product(w, MAC(2), UUID1, "Server", "sanboot");
	assert_int_equal(world_events(w, "hardware-shared"), 1);
	expect_product(w, MAC(3), UUID1, "Server", "sanboot");
	assert_int_equal(world_machine_count(w), 3);
}

/* Nothing speaks against it: a spare, or another card of a machine that is off. */
static void test_no_evidence(void **state)
{
	struct world *w = *state;
	struct machine machine = begun(w, MAC(1), UUID1, "");
	struct reason reason;

	world_expect(w, MAC(2), UUID1, "", "wait", "the UUID or serial number of machine pc-001");
	assert_int_equal(world_events(w, "hardware-shared"), 0);
	/* It is switched on meanwhile: the approval that its screen proposes would join two machines. */
	set_running(w, true);
	assert_int_equal(boot_approve(w->boot, MAC(2), NULL, NULL, "ctl", NULL, &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "pc-001 runs just now"));
	assert_non_null(strstr(reason.text, "sanbootctl machine approve " MAC(2) " --name NAME"));
	assert_int_equal(world_machine_count(w), 1);
	set_running(w, false);
	assert_int_equal(boot_approve(w->boot, MAC(2), NULL, NULL, "ctl", NULL, &reason), 0);
	assert_int_equal(world_machine(w, MAC(2)).id, machine.id);
}

/* Who waited is enrolled by itself once the other one runs; approve with a name is possible all along. */
static void test_waits_then_runs(void **state)
{
	struct world *w = *state;
	struct reason reason;

	begun(w, MAC(1), UUID1, "");
	world_expect(w, MAC(2), UUID1, "", "wait", NULL);
	world_expect(w, MAC(3), UUID1, "", "wait", NULL);
	set_running(w, true);
	assert_int_equal(boot_approve(w->boot, MAC(3), "other", NULL, "ctl", NULL, &reason), 0);
	world_expect(w, MAC(2), UUID1, "", "sanboot", "machine pc-002");
	assert_int_equal(world_waiting(w, MAC(2), NULL), 0);
	set_running(w, false);
	world_expect(w, MAC(3), UUID1, "", "sanboot", "machine other");
}

/* Whoever the network does not show under the MAC that he claims proves nothing; nor does one to whom a person said no. */
static void test_nobody_proves(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC(2), UUID1, "A2");
	struct reason reason;
	struct reply reply;

	begun(w, MAC(1), UUID1, "A1");
	ask.client[0] = '\0';
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, "wait");
	free(reply.script);
	assert_int_equal(boot_deny(w->boot, MAC(3), "ctl", &reason), 0);
	world_expect(w, MAC(3), UUID1, "A3", "denied", NULL);
	assert_int_equal(world_events(w, "hardware-shared"), 0);
	assert_string_equal(world_machine(w, MAC(1)).uuid, UUID1);
	/* Under enrol=approve it waits for approval, not as a swap. */
	world_policy(w, "enrol", "approve");
	world_expect(w, MAC(4), UUID1, "A4", "wait", "waits for approval");
	assert_int_equal(world_events(w, "hardware-shared"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_running),	    TEST(test_serial),	    TEST(test_serials_differ),
		TEST(test_products_differ), TEST(test_no_evidence), TEST(test_waits_then_runs),
		TEST(test_nobody_proves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
