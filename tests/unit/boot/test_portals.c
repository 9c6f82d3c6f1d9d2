// SPDX-License-Identifier: GPL-2.0-or-later
/* Which portals a script names, decided from what the host has and from what machines waited for. */
#include "world.h"

#include "base/util.h"
#include "boot/portals.h"
#include "boot/progress/stages.h"
#include "boot/progress/timeline.h"
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct portals_address host[4];
static struct endpoint bound[4];
static struct portals_facts facts;

static void address_set(unsigned i, const char *interface, const char *address)
{
	host[i] = (struct portals_address){ .up = true, .link = true };
	snprintf(host[i].interface, sizeof(host[i].interface), "%s", interface);
	assert_int_equal(inet_pton(AF_INET, address, &host[i].address), 1);
	assert_int_equal(inet_pton(AF_INET, "255.255.255.0", &host[i].mask), 1);
}

static void bind_to(const char *first, const char *second)
{
	assert_true(parse_endpoint(first, &bound[0]));
	facts.bound_count = 1;
	if (second && parse_endpoint(second, &bound[1]))
		facts.bound_count = 2;
}

/* A server at 10.0.0.1 (eth0) and 10.0.1.1 (eth1), asked at the first one. */
static int setup(void **state)
{
	(void)state;
	address_set(0, "lo", "127.0.0.1");
	host[0].loopback = true;
	address_set(1, "eth0", "10.0.0.1");
	address_set(2, "eth1", "10.0.1.1");
	facts = (struct portals_facts){
		.reached = "10.0.0.1", .all = true, .bound = bound, .addresses = host, .address_count = 3, .lost = ""
	};
	bind_to("0.0.0.0:3260", NULL);
	return 0;
}

/* What is offered, and behind "-" what is left out. */
static const char *chosen(void)
{
	static char text[1024];
	struct portals_offer offer;
	size_t len = 0;

	portals_choose(&facts, &offer);
	for (unsigned i = 0; i < offer.count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s:%u", i ? " " : "", offer.list[i].host,
					offer.list[i].port);
	snprintf(text + len, sizeof(text) - len, "%s%s", offer.left_out[0] ? " - " : "", offer.left_out);
	return text;
}

static void test_all_or_one(void **state)
{
	(void)state;
	assert_string_equal(chosen(), "10.0.0.1:3260 10.0.1.1:3260");
	facts.reached = "10.0.1.1";
	assert_string_equal(chosen(), "10.0.1.1:3260 10.0.0.1:3260");
	bind_to("10.0.0.1:3260", "10.0.1.1:3261");
	assert_string_equal(chosen(), "10.0.1.1:3261 10.0.0.1:3260");
	facts.all = false;
	assert_string_equal(chosen(), "10.0.1.1:3261");
	facts.lost = "10.0.1.1:3261"; /* a mark of a time when it was asked for all */
	assert_string_equal(chosen(), "10.0.1.1:3261");
}

static void test_a_link_or_an_address_is_gone(void **state)
{
	(void)state;
	host[2].link = false;
	assert_string_equal(chosen(), "10.0.0.1:3260 - 10.0.1.1:3260 (eth1 has no link)");
	bind_to("10.0.0.1:3260", "10.0.1.1:3260");
	assert_string_equal(chosen(), "10.0.0.1:3260 - 10.0.1.1:3260 (eth1 has no link)");
	host[2].up = false;
	assert_string_equal(chosen(), "10.0.0.1:3260 - 10.0.1.1:3260 (eth1 is down)");
	facts.address_count = 2;
	assert_string_equal(chosen(), "10.0.0.1:3260 - 10.0.1.1:3260 (the address is gone)");
	/* Two cards with one address: one of them will do. */
	facts.address_count = 4;
	address_set(3, "eth2", "10.0.1.1");
	assert_string_equal(chosen(), "10.0.0.1:3260 10.0.1.1:3260");
	/* It just came from there. */
	host[1].link = false;
	assert_string_equal(chosen(), "10.0.0.1:3260 10.0.1.1:3260");
	/* The host does not say what it has: that proves nothing. */
	facts.address_count = 0;
	assert_string_equal(chosen(), "10.0.0.1:3260 10.0.1.1:3260");
}

static void test_nothing_listens_where_it_came_from(void **state)
{
	(void)state;
	bind_to("10.0.1.1:3260", "[::]:3260");
	assert_string_equal(chosen(), "10.0.1.1:3260 - 10.0.0.1:3260 (no portal listens there)");
	facts.all = false;
	assert_string_equal(chosen(), "10.0.1.1:3260 - 10.0.0.1:3260 (no portal listens there)");
	/* The last one is never left out. */
	host[2].link = false;
	assert_string_equal(chosen(), "10.0.0.1:3260");
	bind_to("[::]:3260", NULL);
	assert_string_equal(chosen(), "10.0.0.1:3260");
}

static void test_what_a_system_waited_for(void **state)
{
	(void)state;
	facts.lost = "10.0.1.1:3260";
	assert_string_equal(chosen(), "10.0.0.1:3260 - 10.0.1.1:3260 (not reached before)");
	facts.lost = "10.0.0.1:3260";
	assert_string_equal(chosen(), "10.0.1.1:3260 - 10.0.0.1:3260 (not reached before)");
	facts.lost = "10.0.0.1:3261 10.0.0.1:326";
	assert_string_equal(chosen(), "10.0.0.1:3260 10.0.1.1:3260");
	/* Not the last one. */
	facts.lost = "10.0.0.1:3260 10.0.1.1:3260";
	assert_string_equal(chosen(), "10.0.0.1:3260 10.0.1.1:3260");
	host[2].link = false;
	assert_string_equal(chosen(), "10.0.0.1:3260 - 10.0.1.1:3260 (eth1 has no link)");
}

static void test_loopback(void **state)
{
	(void)state;
	bind_to("127.0.0.9:3260", "10.0.0.1:3260");
	assert_string_equal(chosen(), "10.0.0.1:3260 127.0.0.9:3260");
}

static void test_lists(void **state)
{
	char list[PORTALS_TEXT] = "", many[PORTALS_TEXT * 2] = "";

	(void)state;
	portals_add(list, "a:1 b:2");
	portals_add(list, "b:2 c:3 a:1");
	assert_string_equal(list, "a:1 b:2 c:3");
	assert_true(portals_has(list, "c:3"));
	assert_false(portals_has(list, "c:"));
	assert_false(portals_has(list, ""));
	portals_remove(list, "c:3 a:1 d:4");
	assert_string_equal(list, "b:2");
	portals_remove(list, "b:2");
	assert_string_equal(list, "");
	for (unsigned i = 0; i < 40; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "10.0.0.%u:3260 ", 10 + i);
	portals_add(list, many);
	assert_in_range(strlen(list), PORTALS_TEXT - 20, PORTALS_TEXT - 1);
	assert_int_equal(strlen(strrchr(list, ' ') + 1), strlen("10.0.0.10:3260"));
}

/* ---- a machine whose system waits, by a clock that runs ahead ---- */

#define MAC1 "52:54:00:aa:00:01"

static void expect_uris(struct world *w, bool two)
{
	struct boot_ask ask = world_ask_of(MAC1, "", "");
	struct reply reply = world_ask(w, &ask);

	assert_string_equal(reply.outcome, "sanboot");
	assert_non_null(strstr(reply.script, " iscsi:127.0.0.1::3260:"));
	assert_int_equal(!!strstr(reply.script, " iscsi:127.0.9.1::3260:"), two);
	free(reply.script);
}

static struct machine set_multipath(struct world *w)
{
	struct reason reason;
	struct machine machine = world_machine(w, MAC1);

	assert_int_equal(boot_set(w->boot, machine.name, "multipath", "yes", "ctl", &reason), 0);
	return machine;
}

static void run_ahead(struct world *w, unsigned by_ms)
{
	timeline_tick(w->boot->timeline, time_unix_ms() + by_ms, time_monotonic_ms() + by_ms);
	stages_changed(w->boot->stages);
}

/* Both addresses are there, so it is not the server that knows: only the machine's system does not come. */
static void test_a_machine_that_waits(void **state)
{
	struct world *w = *state;
	struct boot_session session = { .address = "10.0.0.9:1", .portal = "127.0.0.1:3260", .boot = 1 };
	struct endpoint portals[2];
	struct machine machine;

	assert_true(parse_endpoint("127.0.0.1:3260", &portals[0]));
	assert_true(parse_endpoint("127.0.9.1:3260", &portals[1]));
	boot_set_portals(w->boot, portals, 2);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	machine = set_multipath(w);
	expect_uris(w, true);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	boot_target_session(w->boot, machine.id, &session, NULL);
	run_ahead(w, 2 * TIMELINE_STEADY_MS);
	assert_int_equal(world_machine(w, MAC1).lost_portals[0], 0);
	run_ahead(w, 2 * TIMELINE_PORTAL_MS);
	world_stop(w); /* stopping writes what has not been written yet */
	world_start(w);
	boot_set_portals(w->boot, portals, 2);
	assert_string_equal(world_machine(w, MAC1).lost_portals, "127.0.9.1:3260");
	assert_int_equal(world_events(w, "stuck"), 1);
	assert_int_equal(world_events(w, "portal-left-out"), 0);
	/* Its next script leaves that portal out and says so, until a person asks for it again. */
	expect_uris(w, false);
	expect_uris(w, false);
	assert_int_equal(world_events(w, "portal-left-out"), 1);
	set_multipath(w);
	assert_int_equal(world_machine(w, MAC1).lost_portals[0], 0);
	expect_uris(w, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all_or_one, setup),
		cmocka_unit_test_setup(test_a_link_or_an_address_is_gone, setup),
		cmocka_unit_test_setup(test_nothing_listens_where_it_came_from, setup),
		cmocka_unit_test_setup(test_what_a_system_waited_for, setup),
		cmocka_unit_test_setup(test_loopback, setup),
		cmocka_unit_test(test_lists),
		cmocka_unit_test_setup_teardown(test_a_machine_that_waits, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
