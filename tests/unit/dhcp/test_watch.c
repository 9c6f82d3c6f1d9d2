// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dhcp/watch: what dnsmasq 2.90 logged while real machines booted, in full and in proxy mode, and what others might
 * make it log.
 */
#include "cmocka_all.h"

#include "base/util.h"
#include "dhcp/network.h"
#include "dhcp/watch.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig {
	struct watch watch;
	char text[4096]; /* what was seen, a line each */
	unsigned count;
};

static void on_seen(void *arg, const struct dhcp_seen *seen)
{
	static const char *const kinds[] = {
		[DHCP_SEEN_ASKED] = "asked", [DHCP_SEEN_LEASED] = "leased", [DHCP_SEEN_FILE] = "file"
	};
	struct rig *rig = arg;
	size_t len = strlen(rig->text);

	snprintf(rig->text + len, sizeof(rig->text) - len, "%s %s %s %s\n", kinds[seen->kind], seen->mac, seen->address,
		 seen->file);
	rig->count++;
}

/* The table knows .150 on br0. */
static bool on_neighbour(const char *interface, struct in_addr address, char mac[PARSE_MAC_TEXT])
{
	if (strcmp(interface, "br0") || ntohl(address.s_addr) != 0x0a4d0096)
		return false;
	snprintf(mac, PARSE_MAC_TEXT, "52:54:00:e2:00:04");
	return true;
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->watch = (struct watch){ .seen = on_seen, .arg = rig, .neighbour = on_neighbour };
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void feed(struct rig *rig, const char *const *lines, size_t count)
{
	char line[600];

	for (size_t i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "dnsmasq-%s[90]: %s",
			 strstr(lines[i], " to 10.") || strstr(lines[i], " from 10.") ? "tftp" : "dhcp", lines[i]);
		dhcp_watch_line(&rig->watch, line, 5000);
	}
}

static void test_full(void **state)
{
	static const char *const lines[] = {
		/* OVMF's own PXE */
		"380093566 available DHCP range: 10.77.0.100 -- 10.77.0.200",
		"380093566 vendor class: PXEClient:Arch:00007:UNDI:003000",
		"380093566 DHCPDISCOVER(br0) 52:54:00:e2:00:03 ",
		"380093566 tags: efi64, br0",
		"380093566 DHCPOFFER(br0) 10.77.0.149 52:54:00:e2:00:03 ",
		"380093566 DHCPREQUEST(br0) 10.77.0.149 52:54:00:e2:00:03 ",
		"380093566 tags: efi64, br0",
		"380093566 DHCPACK(br0) 10.77.0.149 52:54:00:e2:00:03 ",
		"380093566 next server: 10.77.0.1",
		"error 8 User aborted the transfer received from 10.77.0.149",
		"sent /run/sanbootd/tftp/br0/arm64/snponly.efi to 10.77.0.149",
		/* iPXE, known by now */
		"3632883498 DHCPDISCOVER(br0) 10.77.0.149 52:54:00:e2:00:03 ",
		"3632883498 tags: ipxe, known, efi64, br0",
		"3632883498 DHCPREQUEST(br0) 10.77.0.149 52:54:00:e2:00:03 ",
		"3632883498 tags: ipxe, known, efi64, br0",
		"3632883498 DHCPACK(br0) 10.77.0.149 52:54:00:e2:00:03 pc-001",
		"sent /run/sanbootd/tftp/br0/boot.ipxe to 10.77.0.149",
		/* its Linux: no boot */
		"77 DHCPDISCOVER(br0) 52:54:00:e2:00:03 ",
		"77 tags: known, br0",
		"77 DHCPREQUEST(br0) 10.77.0.149 52:54:00:e2:00:03 ",
		"77 tags: known, br0",
		"77 DHCPACK(br0) 10.77.0.149 52:54:00:e2:00:03 pc-001",
	};
	struct rig *rig = *state;

	feed(rig, lines, array_len(lines));
	assert_string_equal(rig->text, "asked 52:54:00:e2:00:03  \n"
				       "leased 52:54:00:e2:00:03 10.77.0.149 \n"
				       "file 52:54:00:e2:00:03 10.77.0.149 arm64/snponly.efi\n"
				       "asked 52:54:00:e2:00:03  \n"
				       "leased 52:54:00:e2:00:03 10.77.0.149 \n"
				       "file 52:54:00:e2:00:03 10.77.0.149 boot.ipxe\n");
}

static void test_proxy(void **state)
{
	static const char *const lines[] = {
		/* iPXE's ROM: its address is in the question to port 4011 */
		"544681219 available DHCP subnet: 10.77.0.0/255.255.255.0",
		"544681219 PXE(br0) 52:54:00:e2:00:03 proxy",
		"544681219 tags: ipxe, bios, br0",
		"544681219 bootfile name: boot.ipxe",
		"0 available DHCP subnet: 10.77.0.0/255.255.255.0",
		"0 PXE(br0) 10.77.0.160 52:54:00:e2:00:03 boot.ipxe",
		"0 tags: ipxe, bios, br0",
		"sent /run/sanbootd/tftp/br0/boot.ipxe to 10.77.0.160",
		/* OVMF, of which only the neighbour table knows the address */
		"2687148193 PXE(br0) 52:54:00:e2:00:04 proxy",
		"2687148193 tags: efi64, br0",
		"sent /run/sanbootd/tftp/br0/snponly.efi to 10.77.0.150",
		"sent /run/sanbootd/tftp/br0/snponly.efi to 10.77.0.151", /* nobody knows */
		"sent /run/sanbootd/tftp/br1/snponly.efi to 10.77.0.150",
	};
	struct rig *rig = *state;

	feed(rig, lines, array_len(lines));
	assert_string_equal(rig->text, "asked 52:54:00:e2:00:03  \n"
				       "file 52:54:00:e2:00:03 10.77.0.160 boot.ipxe\n"
				       "asked 52:54:00:e2:00:04  \n"
				       "file 52:54:00:e2:00:04 10.77.0.150 snponly.efi\n");
}

/* Words of a client do not pass for dnsmasq's, and half a line is none. */
static void test_lies(void **state)
{
	static const char *const lines[] = {
		"5 vendor class: DHCPACK(br0) 10.77.0.9 52:54:00:e2:00:03",
		"5 client provides name: PXE(br0) 52:54:00:e2:00:03 proxy",
		"5 tags: ipxe, br0",
		"5 DHCPDISCOVER(br0) 52:54:00:e2:00:03 ",
		"6 tags: ipxe, br0", /* another's */
		"5 DHCPACK(br0) 52:54:00:e2:00:03",
		"5 DHCPDISCOVER(br0) 20-52:54:00:e2:00:03 ",
		"7 DHCPDISCOVER(br0",
		"8 DHCPDISCOVER(br0) ",
		"9999999999999999999999999999 DHCPDISCOVER(br0) 52:54:00:e2:00:03",
		"sent  to 10.77.0.150",
		"sent /run/tftp/br0/ to 10.77.0.150",
		"sent /run/tftp/an-interface-with-a-long-name/boot.ipxe to 10.77.0.150",
		"sent /run/tftp/br0/a to 10.77.0.150 to 10.77.0.1x",
		"file /run/tftp/br0/sent /tftp/br0/x not found for 10.77.0.150 to 10.77.0.150",
	};
	struct rig *rig = *state;

	feed(rig, lines, array_len(lines));
	dhcp_watch_line(&rig->watch, "dnsmasq-dhcp[", 0);
	dhcp_watch_line(&rig->watch, "", 0);
	dhcp_watch_line(&rig->watch, "other-dhcp[1]: 5 tags: ipxe, br0", 0);
	assert_string_equal(rig->text, "");
}

/*
 * Thousands of invented MACs in one second: some hundred events, and one entry for each address; the next second is a
 * new one.
 */
static void test_flood(void **state)
{
	struct rig *rig = *state;
	char line[200];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), "dnsmasq-dhcp[90]: %u DHCPDISCOVER(br0) 02:00:00:00:%02x:%02x", i, i >> 8,
			 i & 0xff);
		dhcp_watch_line(&rig->watch, line, 7100);
		snprintf(line, sizeof(line), "dnsmasq-dhcp[90]: %u tags: bios, br0", i);
		dhcp_watch_line(&rig->watch, line, 7900);
	}
	assert_int_equal(rig->count, WATCH_EVENTS_PER_SECOND);
	rig->text[0] = '\0';
	dhcp_watch_line(&rig->watch, "dnsmasq-dhcp[90]: 1 DHCPDISCOVER(br0) 52:54:00:e2:00:03 ", 8000);
	dhcp_watch_line(&rig->watch, "dnsmasq-dhcp[90]: 1 tags: bios, br0", 8000);
	assert_string_equal(rig->text, "asked 52:54:00:e2:00:03  \n");
}

static void on_exhausted(void *arg, const char *interface, const char *mac, unsigned strangers)
{
	struct rig *rig = arg;

	snprintf(rig->text, sizeof(rig->text), "%s %s %u", interface, mac, strangers);
	rig->count++;
}

static void test_exhausted(void **state)
{
	static const char *const lines[] = {
		"1 DHCPDISCOVER(br0) 52:54:00:e2:00:03 ",
		"1 tags: bios, br0",
		"2 DHCPDISCOVER(br0) 52:54:00:e2:00:04 ",
		"2 tags: known, bios, br0",
		"3 DHCPDISCOVER(br0) 52:54:00:e2:00:05 ",
		"3 tags: ours, known-othernet, br0",
		"4 DHCPREQUEST(br0) 10.77.0.1 52:54:00:e2:00:03 ",
		"4 tags: bios, br0",
		"5 DHCPDISCOVER(br0) 02:00:00:00:00:0e no address available",
	};
	struct rig *rig = *state;

	rig->watch.seen = NULL;
	rig->watch.exhausted = on_exhausted;
	feed(rig, lines, array_len(lines));
	assert_string_equal(rig->text, "br0 02:00:00:00:00:0e 2");
	assert_int_equal(rig->count, 1);
	dhcp_watch_line(
		&rig->watch,
		"dnsmasq-dhcp[90]: 6 DHCPDISCOVER(an-interface-too-long) 10.0.0.1 02:00:00:00:00:0f no address available",
		61000);
	assert_string_equal(rig->text, " 02:00:00:00:00:0f 3");
	dhcp_watch_line(&rig->watch, "dnsmasq-dhcp[90]: 7 DHCPDISCOVER(br1) 02:00:00:00:00:0f no address available",
			181000);
	assert_string_equal(rig->text, "br1 02:00:00:00:00:0f 1");
}

/* The kernel's own table has nothing for an address of ours. */
static void test_neighbour(void **state)
{
	struct in_addr address = { htonl(INADDR_LOOPBACK) };
	char mac[PARSE_MAC_TEXT] = "unchanged";

	(void)state;
	assert_false(dhcp_neighbour("lo", address, mac));
	assert_false(dhcp_neighbour("nosuch0", address, mac));
	assert_string_equal(mac, "unchanged");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_proxy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flood, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exhausted, set_up, tear_down),
		cmocka_unit_test(test_neighbour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
