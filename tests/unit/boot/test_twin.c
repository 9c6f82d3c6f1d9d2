// SPDX-License-Identifier: GPL-2.0-or-later
/* Several boards with the same UUID or serial number: whether the second one is the first machine or another one. */
#include "world.h"

#include <errno.h>
#include <semaphore.h>
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
	assert_int_equal(boot_approve(w->boot, MAC(2), NULL, "ctl", NULL, &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "pc-001 runs just now"));
	assert_non_null(strstr(reason.text, "sanbootctl machine approve " MAC(2) " --name NAME"));
	assert_int_equal(world_machine_count(w), 1);
	set_running(w, false);
	assert_int_equal(boot_approve(w->boot, MAC(2), NULL, "ctl", NULL, &reason), 0);
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
	assert_int_equal(boot_approve(w->boot, MAC(3), &(struct boot_approval){ .name = "other" }, "ctl", NULL,
				      &reason),
			 0);
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

/* ---- network cards ---- */

static void ask_cards(struct world *w, const char *mac, const char *uuid, const char *cards, const char *outcome,
		      const char *in_script)
{
	struct boot_ask ask = world_ask_of(mac, uuid, "");
	struct reply reply;

	snprintf(ask.cards, sizeof(ask.cards), "%s", cards);
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, outcome);
	if (in_script && !strstr(reply.script, in_script))
		fail_msg("%s is not in: %s", in_script, reply.script);
	free(reply.script);
}

/* A board without a UUID, known by one of its cards, comes by another: offered to a person, who makes it one of its cards. */
static void test_other_card(void **state)
{
	struct world *w = *state;
	struct machine machine;
	struct waiting row;
	struct reason reason;

	ask_cards(w, MAC(1), "", "525400aa0001,,,", "sanboot", NULL);
	assert_string_equal(world_machine(w, MAC(1)).cards, "");
	ask_cards(w, MAC(2), "", "525400aa0002,525400aa0001", "wait",
		  "network card " MAC(1) " beside it is one of machine pc-001");
	assert_int_equal(world_waiting(w, MAC(2), &row), 1);
	assert_int_equal(row.reason, WAIT_SWAP);
	assert_string_equal(row.cards, MAC(1));
	assert_int_equal(world_machine_count(w), 1);
	machine = world_machine(w, MAC(1));
	assert_int_equal(boot_approve(w->boot, MAC(2), NULL, "ctl", NULL, &reason), 0);
	assert_int_equal(world_machine(w, MAC(2)).id, machine.id);
	assert_int_equal(world_machine(w, MAC(1)).id, machine.id);
	ask_cards(w, MAC(2), "", "525400aa0002,525400aa0001", "sanboot", "machine pc-001");
}

/* The machine itself has told of the other card before, which is in another iPXE that sees but one. */
static void test_told_card(void **state)
{
	struct world *w = *state;
	struct reason reason;

	ask_cards(w, MAC(1), "", "525400aa0001,525400aa0002", "sanboot", NULL);
	assert_string_equal(world_machine(w, MAC(1)).cards, MAC(2));
	ask_cards(w, MAC(2), "", "525400aa0002", "wait", "network card " MAC(2) " beside it is one of machine pc-001");
	assert_int_equal(boot_approve(w->boot, MAC(2), &(struct boot_approval){ .name = "other" }, "ctl", NULL,
				      &reason),
			 0);
	assert_int_equal(world_machine_count(w), 2);
}

/* An adapter that was at another machine before: what speaks against it outweighs the card. */
static void test_card_contradicted(void **state)
{
	struct world *w = *state;

	begun(w, MAC(1), UUID1, "");
	ask_cards(w, MAC(2), UUID2, "525400aa0001", "sanboot", "machine pc-002");
	set_running(w, true);
	ask_cards(w, MAC(3), "", "525400aa0001", "sanboot", "machine pc-003");
	assert_int_equal(world_events(w, "hardware-shared"), 0); /* of a card nothing is learnt */
	assert_string_equal(world_machine(w, MAC(1)).uuid, UUID1);
}

/* A board that changes what it says again and again is written down once a minute, not each time. */
static void test_facts(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC(1), UUID1, "");
	struct reply reply;

	for (int i = 0; i < 4; i++) {
		snprintf(ask.secure_boot, sizeof(ask.secure_boot), "%d", i % 2);
		snprintf(ask.cards, sizeof(ask.cards), "525400aa0%03d", 100 + i);
		reply = world_ask(w, &ask);
		assert_string_equal(reply.outcome, "sanboot");
		free(reply.script);
	}
	assert_int_equal(world_machine(w, MAC(1)).secure_boot, TOLD_OFF);
	assert_string_equal(world_machine(w, MAC(1)).cards, "52:54:00:aa:01:00");
}

/* ---- one MAC at several machines ---- */

#define UUID3 "5a4b0075-0000-4000-8000-000000000003"

static void share(struct world *w)
{
	struct reason reason;

	world_expect(w, MAC(1), UUID1, "", "sanboot", "machine pc-001");
	world_expect(w, MAC(1), UUID2, "", "wait", "machine approve 1 --dock");
	/* Not without saying so. */
	assert_int_equal(boot_approve(w->boot, MAC(1), &(struct boot_approval){ .name = "second" }, "ctl", NULL,
				      &reason),
			 -EINVAL);
	assert_non_null(strstr(reason.text, "--dock"));
	assert_int_equal(boot_approve(w->boot, "1", &(struct boot_approval){ .name = "second", .shared = true }, "ctl",
				      NULL, &reason),
			 0);
	assert_int_equal(world_waiting(w, MAC(1), NULL), 0);
	assert_int_equal(world_events(w, "mac-shared"), 1);
}

static void test_dock(void **state)
{
	struct world *w = *state;
	struct reason reason;

	share(w);
	world_expect(w, MAC(1), UUID1, "", "sanboot", "machine pc-001");
	world_expect(w, MAC(1), UUID2, "", "sanboot", "machine second");
	/* A third is new, one that tells no UUID is nobody, and gets no secret. */
	world_expect(w, MAC(1), UUID3, "", "sanboot", "machine pc-002");
	world_expect(w, MAC(1), "", "", "wait", "tells no UUID");
	assert_int_equal(world_machine_count(w), 3);
	world_restart(w);
	world_expect(w, MAC(1), UUID2, "", "sanboot", "machine second");
	/* By the MAC none of them is meant. */
	assert_int_equal(boot_release(w->boot, MAC(1), "ctl", &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "several machines share"));
	assert_int_equal(boot_swap(w->boot, "second", MAC(1), "ctl", &reason), -EEXIST);
	/* Each may have cards of its own as well. */
	assert_int_equal(boot_mac(w->boot, "second", true, MAC(2), "ctl", &reason), 0);
	world_expect(w, MAC(2), UUID2, "", "sanboot", "machine second");
	assert_int_equal(boot_mac(w->boot, "second", false, MAC(1), "ctl", &reason), 0);
	world_expect(w, MAC(1), UUID1, "", "sanboot", "machine pc-001");
	world_expect(w, MAC(1), UUID2, "", "wait", "the UUID or serial number of machine second");
	assert_int_equal(boot_approve(w->boot, MAC(1), NULL, "ctl", NULL, &reason), 0);
	world_expect(w, MAC(1), UUID2, "", "sanboot", "machine second");
}

static void test_share(void **state)
{
	struct world *w = *state;
	struct reason reason;

	world_expect(w, MAC(1), "", "", "sanboot", NULL);
	/* Without a UUID it would not be known any more. */
	assert_int_equal(boot_share_mac(w->boot, "pc-001", MAC(1), true, "ctl", &reason), -EINVAL);
	world_expect(w, MAC(1), UUID1, "", "sanboot", NULL);
	assert_int_equal(boot_share_mac(w->boot, "pc-001", MAC(2), true, "ctl", &reason), -ENOENT);
	assert_int_equal(boot_share_mac(w->boot, "pc-001", MAC(1), true, "ctl", &reason), 0);
	world_expect(w, MAC(1), UUID2, "", "sanboot", "machine pc-002");
	assert_int_equal(boot_share_mac(w->boot, "pc-001", MAC(1), false, "ctl", &reason), -EBUSY);
	assert_int_equal(boot_remove(w->boot, "pc-002", true, "ctl", &reason), 0);
	assert_int_equal(boot_share_mac(w->boot, "pc-001", MAC(1), false, "ctl", &reason), 0);
	world_expect(w, MAC(1), UUID2, "", "wait", "SANBOOTD conflict");
	/* Another reason to wait is no dock. */
	world_policy(w, "enrol", "approve");
	world_expect(w, MAC(3), UUID3, "", "wait", "waits for approval");
	assert_int_equal(boot_approve(w->boot, MAC(3), &(struct boot_approval){ .shared = true }, "ctl", NULL, &reason),
			 -EINVAL);
}

struct taking {
	sem_t done;
	int err;
};

static void taken(void *arg, int err)
{
	struct taking *taking = arg;

	taking->err = err;
	sem_post(&taking->done);
}

static int take(struct world *w, const char *mac, const char *token)
{
	struct taking taking;

	sem_init(&taking.done, 0, 0);
	boot_taken(w->boot, mac, token, "127.0.0.1", taken, &taking);
	sem_wait(&taking.done);
	sem_destroy(&taking.done);
	return taking.err;
}

/* A boot-once is used up for the machine whose script that was, not for another one at the same dock. */
static void test_dock_once(void **state)
{
	struct world *w = *state;
	struct reason reason;
	struct machine first, second;

	share(w);
	assert_int_equal(boot_set(w->boot, "pc-001", "boot-once", "local", "ctl", &reason), 0);
	assert_int_equal(boot_set(w->boot, "second", "boot-once", "local", "ctl", &reason), 0);
	first = world_machine(w, "pc-001");
	second = world_machine(w, "second");
	assert_int_equal(take(w, MAC(1), "wrong"), -ENOENT);
	assert_int_equal(take(w, MAC(2), second.boot_once_token), -ENOENT);
	assert_int_equal(take(w, MAC(1), second.boot_once_token), 0);
	assert_string_equal(world_machine(w, "second").boot_once, "");
	assert_string_equal(world_machine(w, "pc-001").boot_once, "local");
	assert_int_equal(take(w, MAC(1), first.boot_once_token), 0);
	assert_string_equal(world_machine(w, "pc-001").boot_once, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_running),	   TEST(test_serial),
		TEST(test_serials_differ), TEST(test_products_differ),
		TEST(test_no_evidence),	   TEST(test_waits_then_runs),
		TEST(test_nobody_proves),  TEST(test_other_card),
		TEST(test_told_card),	   TEST(test_card_contradicted),
		TEST(test_facts),	   TEST(test_dock),
		TEST(test_share),	   TEST(test_dock_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
