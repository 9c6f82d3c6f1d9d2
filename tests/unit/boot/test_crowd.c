// SPDX-License-Identifier: GPL-2.0-or-later
/* Many who ask: turns, floods, and the timeline in the inventory, with a real inventory and real children. */
#include "world.h"

#include "base/util.h"
#include "boot/ask/flood.h"
#include "boot/progress/turns.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define MAC3 "52:54:00:aa:00:03"

/* ---- turns ---- */

static void test_turns(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending;
	int64_t first, second;

	world_policy(w, "max-booting", "1");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "wait", "machine pc-002 waits for its turn: number 1 of 1");
	world_expect(w, MAC3, "", "", "wait", "number 2 of 2");
	assert_int_equal(world_machine_count(w), 3); /* to be enrolled needs no turn */
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	first = world_machine(w, MAC1).id;
	second = world_machine(w, MAC2).id;
	turns_leave(w->boot->turns, first);
	world_expect(w, MAC3, "", "", "wait", "number 2 of 2");
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	world_expect(w, MAC3, "", "", "wait", "number 1 of 1");
	/* One that is known and waits gets no boot before its turn. */
	assert_true(world_boots(w, first, &current, &pending));
	assert_int_equal(world_begin(w, first, pending.number), 0);
	world_expect(w, MAC1, "", "", "wait", "number 2 of 2");
	world_boots(w, first, &current, &pending);
	assert_int_equal(pending.number, 0);
	world_policy(w, "max-booting", "0");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC3, "", "", "sanboot", NULL);
	/* Removed, it holds no permit any more. */
	world_policy(w, "max-booting", "3");
	world_expect(w, "52:54:00:aa:00:04", "", "", "wait", "number 1 of 1");
	{
		struct reason reason;

		assert_int_equal(boot_remove(w->boot, MAC2, true, "ctl", &reason), 0);
		assert_true(second != first);
	}
	world_expect(w, "52:54:00:aa:00:04", "", "", "sanboot", NULL);
}

static int put_in_group(struct inventory_tx *tx, void *arg)
{
	struct machine_group group = { .name = "lab", .priority = 5 };
	struct machine machine;
	int err = group_insert(tx, &group);

	assert_int_equal(machine_find(tx, arg, &machine), 0);
	machine.group_id = group.id;
	return err ? err : machine_update(tx, &machine);
}

static void test_priority_of_a_group(void **state)
{
	struct world *w = *state;

	world_expect(w, MAC3, "", "", "sanboot", NULL);
	turns_leave(w->boot->turns, world_machine(w, MAC3).id);
	assert_int_equal(world_write(w, put_in_group, (void *)MAC3), 0);
	world_policy(w, "max-booting", "1");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "wait", "number 1 of 1");
	world_expect(w, MAC3, "", "", "wait", "number 1 of 2");
	world_expect(w, MAC2, "", "", "wait", "number 2 of 2");
}

/* ---- floods ---- */

static struct reply ask_from(struct world *w, const char *mac, const char *client)
{
	struct boot_ask ask = world_ask_of(mac, "", "");

	snprintf(ask.client, sizeof(ask.client), "%s", client);
	return world_ask(w, &ask);
}

static void test_flood(void **state)
{
	struct world *w = *state;
	uint64_t began_ms, allowed;
	unsigned refused = 0;
	struct reply reply;
	char mac[PARSE_MAC_TEXT];

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_policy(w, "enrol", "approve");
	world_policy(w, "max-waiting", "20");
	for (unsigned n = 0; n < 700; n++) {
		snprintf(mac, sizeof(mac), "02:00:00:00:%02x:%02x", n >> 8 & 255, n & 255);
		reply = ask_from(w, mac, "127.0.0.1");
		refused += reply.status == 503;
		if (reply.status == 503) {
			assert_string_equal(reply.outcome, "busy");
			assert_non_null(strstr(reply.script, "127.0.0.1 asks for more machines than it can have"));
			assert_non_null(strstr(reply.script, "chain "));
		}
		free(reply.script);
	}
	assert_in_range(refused, 701 - FLOOD_NEW_BURST - 60, 701 - FLOOD_NEW_BURST); /* MAC1 was the first */
	assert_int_equal(world_events(w, "flood"), 1);
	assert_int_equal(world_machine_count(w), 1);
	/* Known, from the very address of the flood; unknown, from another. */
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	reply = ask_from(w, MAC2, "127.0.0.2");
	assert_int_equal(reply.status, 200);
	free(reply.script);
	/* One address asks without end. A machine on which asking takes longer than the limit allows for sees nothing. */
	began_ms = time_monotonic_ms();
	for (unsigned n = refused = 0; n < FLOOD_ASK_BURST + 3000; n++) {
		reply = ask_from(w, MAC1, "127.0.0.3");
		refused += reply.status == 503;
		free(reply.script);
	}
	allowed = FLOOD_ASK_BURST + 1 + (time_monotonic_ms() - began_ms) * FLOOD_ASK_PER_S / 1000;
	assert_true(refused + allowed >= FLOOD_ASK_BURST + 3000);
	assert_int_equal(world_events(w, "flood"), refused ? 2 : 1);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
}

/* ---- the timeline ---- */

struct stages_of {
	int64_t machine_id;
	uint64_t number;
	char text[256];
	struct stage_record last;
};

static int add_stage(void *arg, const struct stage_record *record)
{
	struct stages_of *of = arg;
	size_t len = strlen(of->text);

	snprintf(of->text + len, sizeof(of->text) - len, "%s%s", len ? " " : "", stage_name(record->stage));
	of->last = *record;
	return 0;
}

static int read_stages(struct inventory_tx *tx, void *arg)
{
	struct stages_of *of = arg;

	return stage_each(tx, of->machine_id, of->number, add_stage, of);
}

static void expect_stages(struct world *w, int64_t machine_id, uint64_t number, const char *want)
{
	struct stages_of of = { .machine_id = machine_id, .number = number };

	/* Stopping writes what has not been written yet. */
	world_restart(w);
	assert_int_equal(world_write(w, read_stages, &of), 0);
	assert_string_equal(of.text, want);
}

static void test_timeline(void **state)
{
	struct world *w = *state;
	struct boot_session session = { .address = "10.0.0.9:1", .ipxe = true, .boot = 1, .heard_ms = time_unix_ms() };
	int64_t id;

	boot_seen_dhcp(w->boot, "52-54-00-AA-00-01", STAGE_DHCP, "", time_unix_ms());
	boot_seen_dhcp(w->boot, MAC1, STAGE_DHCP, "10.0.0.9", time_unix_ms());
	boot_seen_dhcp(w->boot, MAC1, STAGE_BOOT_FILE, "boot.ipxe", time_unix_ms());
	boot_seen_dhcp(w->boot, "nonsense", STAGE_BOOT_FILE, "boot.ipxe", time_unix_ms());
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	id = world_machine(w, MAC1).id;
	boot_target_session(w->boot, id, &session, NULL);
	boot_target_first_read(w->boot, id, 1);
	session.ipxe = false;
	boot_target_session(w->boot, id, &session, NULL);
	expect_stages(w, id, 1, "dhcp boot-file script ipxe-login first-read loader-done kernel-login");
	/* After a restart of the server the system logs in again: the times of this boot stay. */
	boot_target_session(w->boot, id, &session, NULL);
	expect_stages(w, id, 1, "dhcp boot-file script ipxe-login first-read loader-done kernel-login");
	/* Of a boot that does not exist: nothing, and nothing fails. */
	session.boot = 7;
	boot_target_session(w->boot, id, &session, NULL);
	expect_stages(w, id, 7, "");
}

static void test_timeline_of_one_that_waits(void **state)
{
	struct world *w = *state;
	struct reason reason;

	world_policy(w, "enrol", "approve");
	boot_seen_fetch(w->boot, "127.0.0.1", "boot.ipxe");
	world_expect(w, MAC1, "", "", "wait", NULL);
	assert_int_equal(boot_approve(w->boot, MAC1, NULL, "ctl", NULL, &reason), 0);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	expect_stages(w, world_machine(w, MAC1).id, 1, "boot-file waited script");
}

/* The server is restarted while iPXE tries to log in, and it asks for its script again: what was stored stays. */
static void test_timeline_over_a_restart(void **state)
{
	struct world *w = *state;
	int64_t id;

	boot_seen_dhcp(w->boot, MAC1, STAGE_DHCP, "10.0.0.9", time_unix_ms());
	boot_seen_dhcp(w->boot, MAC1, STAGE_BOOT_FILE, "boot.ipxe", time_unix_ms());
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	id = world_machine(w, MAC1).id;
	expect_stages(w, id, 1, "dhcp boot-file script");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	expect_stages(w, id, 1, "dhcp boot-file script");
	/* Switched off and on: that is seen, and what was is over. */
	boot_seen_dhcp(w->boot, MAC1, STAGE_DHCP, "10.0.0.9", time_unix_ms());
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	expect_stages(w, id, 1, "dhcp script");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_turns),    TEST(test_priority_of_a_group),	    TEST(test_flood),
		TEST(test_timeline), TEST(test_timeline_of_one_that_waits), TEST(test_timeline_over_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
