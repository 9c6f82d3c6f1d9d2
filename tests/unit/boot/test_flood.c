// SPDX-License-Identifier: GPL-2.0-or-later
/* Floods, with a clock that the test moves. */
#include "boot/ask/flood.h"

#include "base/parse.h"
#include "cmocka_all.h"

#include <stdio.h>

#define MAC "52:54:00:00:00:01"

static struct flood *flood;

static int setup(void **state)
{
	(void)state;
	flood = flood_new();
	assert_non_null(flood);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	flood_free(flood);
	return 0;
}

/* Machine n asks; a MAC that no machine has. */
static struct flood_verdict unknown(const char *address, unsigned n, uint64_t now_ms)
{
	struct flood_verdict verdict;
	char mac[PARSE_MAC_TEXT];

	snprintf(mac, sizeof(mac), "02:00:00:%02x:%02x:%02x", n >> 16 & 255, n >> 8 & 255, n & 255);
	verdict = flood_ask(flood, address, mac, now_ms);
	return verdict.refused ? verdict : flood_unknown(flood, address, mac, now_ms);
}

static unsigned count(const char *address, unsigned from, unsigned to, uint64_t now_ms)
{
	unsigned allowed = 0;

	for (unsigned n = from; n < to; n++)
		allowed += !unknown(address, n, now_ms).refused;
	return allowed;
}

static void test_256_behind_one_router(void **state)
{
	(void)state;
	/* At once, and then each of them every five seconds for a quarter of an hour. */
	for (unsigned seconds = 0; seconds < 900; seconds += 5)
		assert_int_equal(count("10.9.9.9", 0, 256, 1000ull * seconds), 256);
}

static void test_thousands_of_macs(void **state)
{
	(void)state;
	assert_int_equal(count("10.0.0.66", 0, 1500, 5), FLOOD_NEW_BURST);
	/* Those that were let in stay in, the others do not come in by asking again. */
	assert_int_equal(count("10.0.0.66", 0, 512, 5), FLOOD_NEW_BURST);
	assert_int_equal(count("10.0.0.66", 1000, 1010, 5), 0);
	/* Another address has its own share. */
	assert_int_equal(count("10.0.0.67", 0, 100, 5), 100);
	/* Time brings more: one a second. */
	assert_int_equal(count("10.0.0.66", 2000, 2100, 10005), 10 * FLOOD_NEW_PER_S);
}

static void test_all_addresses_together(void **state)
{
	unsigned allowed = 0;
	char address[16];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(address, sizeof(address), "10.1.0.%u", i);
		allowed += count(address, 1000 * i, 1000 * i + 100, 7);
	}
	assert_int_equal(allowed, FLOOD_ALL_BURST);
	/* Known machines only pass by the bucket of their own address. */
	assert_false(flood_ask(flood, "10.2.0.1", MAC, 7).refused);
	assert_false(flood_ask(flood, "10.1.0.99", MAC, 7).refused);
	/* And a new one has its chance soon. */
	assert_false(unknown("10.2.0.2", 999999, 107).refused);
}

static void test_asking_without_end(void **state)
{
	unsigned allowed = 0;

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		allowed += !flood_ask(flood, "10.0.0.66", MAC, 1000).refused;
	assert_int_equal(allowed, FLOOD_ASK_BURST);
	for (unsigned i = 0; i < 5000; i++)
		allowed += !flood_ask(flood, "10.0.0.66", MAC, 3000).refused;
	assert_int_equal(allowed, FLOOD_ASK_BURST + 2 * FLOOD_ASK_PER_S);
	assert_false(flood_ask(flood, "10.0.0.7", MAC, 3000).refused);
}

/* A machine whose neighbour behind the same router floods. */
static void test_known_behind_the_same_address(void **state)
{
	(void)state;
	assert_false(flood_ask(flood, "10.9.9.9", MAC, 1000).refused);
	flood_known(flood, "10.9.9.9", MAC, 1000);
	count("10.9.9.9", 0, 3000, 2000);
	assert_true(flood_ask(flood, "10.9.9.9", "52:54:00:00:00:02", 2000).refused);
	assert_false(flood_ask(flood, "10.9.9.9", MAC, 2000).refused);
	assert_true(flood_ask(flood, "10.9.9.9", MAC, 2001).refused); /* but not without end */
	count("10.9.9.9", 3000, 9000, 7000);
	assert_false(flood_ask(flood, "10.9.9.9", MAC, 7000).refused);
}

static void test_events(void **state)
{
	unsigned events = 0, refused = 0;
	struct flood_verdict verdict;

	(void)state;
	/* A hundred MACs a second for three minutes. */
	for (unsigned n = 0; n < 18000; n++) {
		verdict = unknown("10.0.0.66", n, n * 10ull);
		refused += verdict.refused;
		if (!verdict.event)
			continue;
		events++;
		assert_true(verdict.per_second >= 99 && verdict.per_second <= 101);
		assert_int_equal(verdict.refused_count, refused);
		refused = 0;
	}
	assert_int_equal(events, 3);
}

static void test_addresses(void **state)
{
	char address[32];

	(void)state;
	/* IPv6 by /64, and what is no address at all. */
	assert_int_equal(count("fd00::1", 0, 1000, 5), FLOOD_NEW_BURST);
	assert_int_equal(count("fd00::2", 5000, 5010, 5), 0);
	assert_int_equal(count("fd00:0:0:1::2", 5000, 5010, 5), 10);
	assert_int_equal(count("", 6000, 6010, 5), 10);
	/* More addresses than there is room for: who was quiet longest is forgotten, nothing else happens. */
	for (unsigned i = 0; i < 3 * FLOOD_ADDRESSES; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.1", i >> 8 & 255, i & 255);
		assert_false(flood_ask(flood, address, MAC, 10 + i).refused);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_256_behind_one_router),
		TEST(test_thousands_of_macs),
		TEST(test_all_addresses_together),
		TEST(test_asking_without_end),
		TEST(test_events),
		TEST(test_addresses),
		TEST(test_known_behind_the_same_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
