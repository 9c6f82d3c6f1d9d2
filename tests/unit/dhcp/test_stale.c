// SPDX-License-Identifier: GPL-2.0-or-later
/* Which leases no longer fit the host file. */
#include "cmocka_all.h"

#include "base/util.h"
#include "dhcp/stale.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define A "52:54:00:00:00:0a"
#define B "52:54:00:00:00:0b"
#define C "52:54:00:00:00:0c"
#define X "52:54:00:00:00:99"

static struct dhcp_lease lease(const char *mac, const char *address)
{
	struct dhcp_lease made = { .expires_ms = 1 };

	snprintf(made.mac, sizeof(made.mac), "%s", mac);
	snprintf(made.address, sizeof(made.address), "%s", address);
	return made;
}

/* "MAC ADDRESS;" of each one that is found. */
static const char *found(const char *hosts, const char *before, const struct dhcp_lease *leases, unsigned count)
{
	static struct stale_leases stale;
	static char text[1024];
	char address[INET_ADDRSTRLEN];
	size_t len = 0;

	stale.count = 0;
	assert_int_equal(stale_find(hosts, before, leases, count, &stale), 0);
	text[0] = '\0';
	for (unsigned i = 0; i < stale.count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s;", stale.list[i].mac,
					inet_ntop(AF_INET, &stale.list[i].address, address, sizeof(address)));
	return text;
}

static void test_found(void **state)
{
	const struct dhcp_lease leases[] = {
		lease(A, "10.0.0.1"),
		lease(B, "10.0.0.2"),
		lease(X, "10.0.0.50"),
		lease("06-52:54:00:00:00:0a", "10.0.0.1"),
	};
	const char *before = A ",10.0.0.1,pc-1\n" B ",10.0.0.2\n";

	(void)state;
	assert_string_equal(found(before, before, leases, array_len(leases)), "");
	assert_string_equal(found("", "", leases, array_len(leases)), "");
	/* Another board; one that waited, and still has the lease from then. */
	assert_string_equal(found(C ",10.0.0.1,pc-1\n" B ",10.0.0.2\n", before, leases, 4), A " 10.0.0.1;");
	assert_string_equal(found(B ",10.0.0.1,pc-1\n", before, leases, 4), A " 10.0.0.1;");
	/* Also when that was long ago: the server did not run meanwhile. */
	assert_string_equal(found(C ",10.0.0.1,pc-1\n", "", leases, 4), A " 10.0.0.1;");
	/* One of two cards is gone; the other one is not touched. */
	assert_string_equal(found(A "," C ",10.0.0.1,pc-1\n", A "," B ",10.0.0.1,pc-1\n", leases, 4), B " 10.0.0.2;");
	/* Removed. Who was never in the file keeps what he has. */
	assert_string_equal(found(B ",10.0.0.2\n", before, leases, 4), A " 10.0.0.1;");
	/* A machine without an address of its own yet. */
	assert_string_equal(found(A ",pc-1\n" B "\n", before, leases, 4), "");
}

/* Many; more than there is room for. */
static void test_many(void **state)
{
	static char hosts[1 << 20];
	static struct dhcp_lease leases[3000];
	static struct stale_leases stale;
	char mac[PARSE_MAC_TEXT], address[INET_ADDRSTRLEN];
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; i < array_len(leases); i++) {
		snprintf(mac, sizeof(mac), "52:54:00:01:%02x:%02x", i >> 8, i & 255);
		snprintf(address, sizeof(address), "10.0.%u.%u", i >> 8, i & 255);
		leases[i] = lease(mac, address);
		/* Every tenth machine has another board. */
		if (i % 10 == 0)
			mac[0] = '6';
		len += (size_t)snprintf(hosts + len, sizeof(hosts) - len, "%s,%s,pc-%u\n", mac, address, i);
	}
	stale.count = 0;
	assert_int_equal(stale_find(hosts, "", leases, array_len(leases), &stale), 0);
	assert_int_equal(stale.count, STALE_MAX);
	stale.count = 0;
	assert_int_equal(stale_find(hosts, "", leases, 100, &stale), 0);
	assert_int_equal(stale.count, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_found), cmocka_unit_test(test_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
