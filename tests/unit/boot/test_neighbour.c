// SPDX-License-Identifier: GPL-2.0-or-later
/* The neighbour table, for real: in a network namespace of its own with one link and entries made by hand. */
#include "boot/ask/neighbour.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmocka_all.h"

#define MAC "52:54:00:00:00:07"

static bool apart; /* in a network namespace of its own */
static bool ipv6;  /* which the kernel may be without */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static int setup(void **state)
{
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return 0;
	apart = true;
	run("ip link set lo up && ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	run("ip addr add 10.9.0.1/24 dev v0");
	ipv6 = system("ip -6 addr add fd09::1/64 dev v0 nodad 2>/dev/null") == 0;
	run("ip neigh replace 10.9.0.7 lladdr " MAC " dev v0 nud reachable");
	run("ip neigh replace 10.9.0.8 lladdr 52:54:00:00:00:08 dev v0 nud stale");
	if (ipv6)
		run("ip neigh replace fd09::7 lladdr " MAC " dev v0 nud reachable");
	run("ip neigh replace 10.9.0.254 lladdr 52:54:00:00:00:fe dev v0 nud permanent");
	run("ip route add 192.168.77.0/24 via 10.9.0.254");
	run("ip tuntap add dev t0 mode tun && ip addr add 10.8.0.1 peer 10.8.0.2 dev t0 && ip link set t0 up");
	return 0;
}

static enum neighbour check(const char *address)
{
	enum neighbour result;

	assert_int_equal(neighbour_check(address, MAC, &result), 0);
	return result;
}

static void test_own(void **state)
{
	(void)state;
	assert_int_equal(check("127.0.0.1"), NEIGHBOUR_OWN);
	assert_int_equal(check("127.5.5.5"), NEIGHBOUR_OWN);
}

static void test_bad(void **state)
{
	enum neighbour result;

	(void)state;
	assert_int_equal(neighbour_check("", MAC, &result), -EINVAL);
	assert_int_equal(neighbour_check("10.9.0", MAC, &result), -EINVAL);
}

static void test_table(void **state)
{
	(void)state;
	if (!apart) {
		test_skip("a network namespace of its own needs root");
		return;
	}
	assert_int_equal(check("10.9.0.1"), NEIGHBOUR_OWN);
	assert_int_equal(check("10.9.0.7"), NEIGHBOUR_MATCH);
	assert_int_equal(check("10.9.0.8"), NEIGHBOUR_OTHER);
	assert_int_equal(check("10.9.0.9"), NEIGHBOUR_MISSING);
	assert_int_equal(check("192.168.77.5"), NEIGHBOUR_OFF_LINK);
	assert_int_equal(check("10.8.0.2"), NEIGHBOUR_OFF_LINK);
}

static void test_ipv6(void **state)
{
	(void)state;
	if (!apart || !ipv6) {
		test_skip(apart ? "this kernel has no IPv6" : "a network namespace of its own needs root");
		return;
	}
	assert_int_equal(check("::1"), NEIGHBOUR_OWN);
	assert_int_equal(check("fd09::1"), NEIGHBOUR_OWN);
	assert_int_equal(check("fd09::7"), NEIGHBOUR_MATCH);
	assert_int_equal(check("fd09::9"), NEIGHBOUR_MISSING);
}

/* No route to it at all: nothing is known, and that is not a "yes". */
static void test_no_route(void **state)
{
	enum neighbour result = NEIGHBOUR_MATCH;

	(void)state;
	if (!apart) {
		test_skip("a network namespace of its own needs root");
		return;
	}
	assert_true(neighbour_check("203.0.113.5", MAC, &result) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_own), cmocka_unit_test(test_bad),
					    cmocka_unit_test(test_table), cmocka_unit_test(test_ipv6),
					    cmocka_unit_test(test_no_route) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
