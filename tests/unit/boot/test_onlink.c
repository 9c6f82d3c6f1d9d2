// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Askers on the same link, in a network namespace of its own: the neighbour table decides who gets a secret, and which
 * address a machine keeps.
 */
#include "world.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define MAC3 "52:54:00:aa:00:03"

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static int setup(void **state)
{
	*state = NULL;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return 0;
	run("ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	run("ip addr add 10.9.0.1/24 dev v0");
	run("ip neigh replace 10.9.0.101 lladdr " MAC1 " dev v0 nud reachable");
	run("ip neigh replace 10.9.0.102 lladdr " MAC2 " dev v0 nud reachable");
	run("ip neigh replace 10.9.0.254 lladdr 52:54:00:00:00:fe dev v0 nud permanent");
	run("ip route add 192.168.77.0/24 via 10.9.0.254");
	*state = world_new(true);
	return 0;
}

static int teardown(void **state)
{
	if (*state)
		world_free(*state);
	return 0;
}

static struct reply ask_from(struct world *w, const char *mac, const char *client)
{
	struct boot_ask ask = world_ask_of(mac, "", "");

	snprintf(ask.client, sizeof(ask.client), "%s", client);
	snprintf(ask.server, sizeof(ask.server), "10.9.0.1");
	snprintf(ask.base_url, sizeof(ask.base_url), "http://10.9.0.1:8080");
	return world_ask(w, &ask);
}

static void expect(struct world *w, const char *mac, const char *client, const char *outcome)
{
	struct reply reply = ask_from(w, mac, client);

	if (strcmp(reply.outcome, outcome))
		fail_msg("%s from %s: %s instead of %s:\n%s", mac, client, reply.outcome, outcome, reply.script);
	/* A secret only with "sanboot". */
	assert_int_equal(!strcmp(outcome, "sanboot"), strstr(reply.script, "set password ") != NULL);
	free(reply.script);
}

static void test_claims(void **state)
{
	struct world *w = *state;

	if (!w) {
		test_skip("a network namespace of its own needs root");
		return;
	}
	/* Somebody on the link claims to be somebody else: before and after that one is known. */
	expect(w, MAC1, "10.9.0.102:700", "wait");
	expect(w, MAC1, "10.9.0.77:700", "wait");
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_waiting(w, MAC1, NULL), 0);
	expect(w, MAC1, "10.9.0.101:700", "sanboot");
	expect(w, MAC1, "10.9.0.102:700", "wait");
	expect(w, MAC1, "10.9.0.77:700", "wait");
	/* From the server itself, and from behind a router. */
	expect(w, MAC1, "10.9.0.1:700", "sanboot");
	expect(w, MAC1, "127.0.0.1:700", "sanboot");
	expect(w, MAC1, "192.168.77.5:700", "sanboot");
}

static void test_addresses(void **state)
{
	struct world *w = *state;

	if (!w) {
		test_skip("a network namespace of its own needs root");
		return;
	}
	/* The address that it was seen with for sure is the one that it keeps. */
	assert_string_equal(world_machine(w, MAC1).address, "10.9.0.101");
	expect(w, MAC2, "192.168.77.6:700", "sanboot");
	assert_string_equal(world_machine(w, MAC2).address, "");
	expect(w, MAC2, "10.9.0.102:700", "sanboot");
	assert_string_equal(world_machine(w, MAC2).address, "10.9.0.102");
	/* It comes back with another one: what it keeps does not change. */
	run("ip neigh replace 10.9.0.103 lladdr " MAC2 " dev v0 nud reachable");
	expect(w, MAC2, "10.9.0.103:700", "sanboot");
	assert_string_equal(world_machine(w, MAC2).address, "10.9.0.102");
	/* An address that a machine keeps is not another one's. */
	run("ip neigh replace 10.9.0.101 lladdr " MAC3 " dev v0 nud reachable");
	expect(w, MAC3, "10.9.0.101:700", "sanboot");
	assert_string_equal(world_machine(w, MAC3).address, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_claims), cmocka_unit_test(test_addresses) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
