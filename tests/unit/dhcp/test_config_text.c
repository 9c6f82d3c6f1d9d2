// SPDX-License-Identifier: GPL-2.0-or-later
/* dhcp: the configuration that dnsmasq gets, which dnsmasq itself must accept, and the offers of other servers. */
#include "cmocka_all.h"

#include "base/util.h"
#include "dhcp/dnsmasq_config.h"
#include "dhcp/network.h"
#include "dhcp/ranges.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct dhcp_network network(const char *name, const char *address, const char *mask)
{
	struct dhcp_network n = { .name = "" };

	snprintf(n.name, sizeof(n.name), "%s", name);
	inet_pton(AF_INET, address, &n.address);
	inet_pton(AF_INET, mask, &n.netmask);
	return n;
}

/* A site with two networks. */
static const struct dhcp_config site = {
	.interfaces = { "br0", "br1" },
	.interface_count = 2,
	.ipxe_dir = "/usr/lib/ipxe",
	.state_dir = "/tmp",
	.runtime_dir = "/tmp",
	.http_port = 8080,
	.ranges = { "10.77.0.100,10.77.0.199", "10.78.0.10,10.78.255.250,2h" },
	.range_count = 2,
};

static int make_of(const struct dhcp_config *config, struct buf *text, struct reason *reason)
{
	struct dhcp_network n[2] = { network("br0", "10.77.0.1", "255.255.255.0"),
				     network("br1", "10.78.0.1", "255.255.0.0") };
	/* As on a site with iPXE's signed release; nothing for IA32. */
	struct ipxe_files files[1 + DHCP_SETS_MAX] = {
		{ .name = { "undionly.kpxe", "", "snponly-shimx64.efi", "arm64/snponly.efi" } },
		{ .name = { "", "", "x86_64-sb/shimx64.efi", "" } },
		{ .name = { "undionly.kpxe", "", "snponly.efi", "" } },
	};
	struct dhcp_ranges ranges;
	int err;

	buf_init(text, 1 << 16);
	reason->text[0] = '\0';
	err = config->mode == DHCP_FULL ? ranges_make(config, n, &ranges, reason) : 0;
	return err ? err : dnsmasq_make_config(config, n, &ranges, files, text, reason);
}

/* The same with br0 alone. */
static int make(enum dhcp_mode mode, const char *range, struct buf *text, struct reason *reason)
{
	struct dhcp_config config = site;

	config.mode = mode;
	config.interface_count = 1;
	config.ranges[0] = range;
	config.range_count = range ? 1 : 0;
	return make_of(&config, text, reason);
}

static void assert_line(const struct buf *text, const char *line)
{
	char wanted[512];

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	if (!strstr(buf_text(text), wanted))
		fail_msg("no line \"%s\" in:\n%s", line, buf_text(text));
}

/* dnsmasq reads it and finds nothing wrong. */
static void assert_accepted(const struct buf *text)
{
	char path[] = "/tmp/sanbootd-test-dnsmasq-XXXXXX", command[128];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, buf_text(text), text->len), text->len);
	close(fd);
	snprintf(command, sizeof(command), "/usr/sbin/dnsmasq --test -C %s 2>&1", path);
	assert_int_equal(system(command), 0);
	unlink(path);
}

static void test_full(void **state)
{
	struct buf text;
	struct reason reason;

	(void)state;
	assert_int_equal(make(DHCP_FULL, "10.77.0.100,10.77.0.199", &text, &reason), 0);
	assert_line(&text, "port=0");
	assert_line(&text, "bind-dynamic");
	assert_line(&text, "except-interface=lo");
	assert_line(&text, "interface=br0");
	/*
	 * The host file's machines get what was configured; others a short lease, and not the last quarter where they
	 * do not boot.
	 */
	assert_line(&text, "dhcp-range=tag:ours,10.77.0.100,10.77.0.199,255.255.255.0,12h");
	assert_line(&text, "dhcp-range=tag:!ours,tag:boots,10.77.0.100,10.77.0.199,255.255.255.0,600");
	assert_line(&text, "dhcp-range=tag:!ours,tag:!boots,10.77.0.100,10.77.0.174,255.255.255.0,600");
	assert_line(&text, "dhcp-lease-max=1124");
	assert_line(&text, "dhcp-ignore-clid");
	assert_line(&text, "dhcp-option=option:router");
	assert_line(&text, "no-ping");
	assert_line(&text, "dhcp-option-force=tag:ipxe,encap:175,176,1b");
	/* Every iPXE, whatever it was built with, and nobody else. */
	assert_line(&text, "dhcp-match=set:ipxe,175");
	assert_line(&text, "dhcp-boot=tag:ipxe,boot.ipxe");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe");
	assert_line(&text, "dhcp-match=set:efi64,option:client-arch,9");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:efi64,snponly-shimx64.efi");
	assert_line(&text, "dhcp-match=set:arm64,option:client-arch,11");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:arm64,arm64/snponly.efi");
	assert_line(&text, "dhcp-match=set:http-efi64,option:client-arch,16");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:http-efi64,tag:br0,http://10.77.0.1:8080/ipxe/snponly-shimx64.efi");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:http-arm64,tag:br0,http://10.77.0.1:8080/ipxe/arm64/snponly.efi");
	assert_line(&text, "dhcp-option-force=tag:!ipxe,tag:http,60,HTTPClient");
	assert_null(strstr(buf_text(&text), "dhcp-boot=tag:!ipxe,tag:efi32"));
	assert_null(strstr(buf_text(&text), "dhcp-boot=tag:!ipxe,tag:http-efi32"));
	assert_null(strstr(buf_text(&text), "enable-ra"));
	assert_null(strstr(buf_text(&text), "pxe-service"));
	assert_accepted(&text);
	buf_fini(&text);
}

static void test_proxy(void **state)
{
	struct buf text;
	struct reason reason;

	(void)state;
	assert_int_equal(make(DHCP_PROXY, NULL, &text, &reason), 0);
	assert_line(&text, "dhcp-range=10.77.0.0,proxy");
	assert_line(&text, "dhcp-pxe-vendor=PXEClient,HTTPClient");
	assert_line(&text, "pxe-service=tag:!ipxe,0,\"sanbootd\",undionly.kpxe");
	assert_line(&text, "pxe-service=tag:ipxe,0,\"sanbootd\",boot.ipxe");
	assert_line(&text, "pxe-service=tag:!ipxe,11,\"sanbootd\",arm64/snponly.efi");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:http-efi64,tag:br0,http://10.77.0.1:8080/ipxe/snponly-shimx64.efi");
	assert_null(strstr(buf_text(&text), "pxe-service=tag:!ipxe,6,"));
	assert_null(strstr(buf_text(&text), "60,HTTPClient"));
	assert_null(strstr(buf_text(&text), "dhcp-authoritative"));
	assert_line(&text, "dhcp-leasefile=/tmp/dnsmasq/leases"); /* not the host's own */
	assert_accepted(&text);
	buf_fini(&text);
}

/* Which files are named to whom: each line has the tags of those that it is for, whatever their order. */
static void test_sets(void **state)
{
	struct dhcp_config config = site;
	struct buf text;
	struct reason reason;

	(void)state;
	config.mode = DHCP_FULL;
	config.sets[0] = (struct dhcp_boot_set){ "ms2023", "/srv/2023" };
	config.sets[1] = (struct dhcp_boot_set){ "old_1", "/srv/old" };
	config.set_count = 2;
	assert_int_equal(make_of(&config, &text, &reason), 0);
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:efi64,tag:!set-ms2023,tag:!set-old_1,snponly-shimx64.efi");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:efi64,tag:set-ms2023,sets/ms2023/x86_64-sb/shimx64.efi");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:efi64,tag:set-old_1,sets/old_1/snponly.efi");
	/* A set without a file for these machines leaves them to the default one. */
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:bios,tag:!set-old_1,undionly.kpxe");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:bios,tag:set-old_1,sets/old_1/undionly.kpxe");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:arm64,arm64/snponly.efi");
	assert_line(&text, "dhcp-boot=tag:!ipxe,tag:http-efi64,tag:br1,tag:set-ms2023,"
			   "http://10.78.0.1:8080/ipxe/sets/ms2023/x86_64-sb/shimx64.efi");
	assert_line(&text, "dhcp-boot=tag:ipxe,boot.ipxe");
	assert_accepted(&text);
	buf_fini(&text);
	config.mode = DHCP_PROXY;
	assert_int_equal(make_of(&config, &text, &reason), 0);
	assert_line(&text, "dhcp-hostsfile=/tmp/dnsmasq.hosts");
	assert_line(&text, "pxe-service=tag:!ipxe,tag:!set-ms2023,tag:!set-old_1,7,\"sanbootd\",snponly-shimx64.efi");
	assert_line(&text, "pxe-service=tag:!ipxe,tag:set-ms2023,7,\"sanbootd\",sets/ms2023/x86_64-sb/shimx64.efi");
	assert_line(&text, "pxe-service=tag:ipxe,7,\"sanbootd\",boot.ipxe");
	assert_accepted(&text);
	buf_fini(&text);
}

/* Mode off with interfaces: TFTP alone, for the site's own DHCP server to point at. */
static void test_off(void **state)
{
	struct buf text;
	struct reason reason;

	(void)state;
	assert_int_equal(make(DHCP_OFF, NULL, &text, &reason), 0);
	assert_line(&text, "enable-tftp");
	assert_line(&text, "tftp-root=/tmp/tftp/br0,br0");
	assert_null(strstr(buf_text(&text), "\ndhcp-"));
	assert_null(strstr(buf_text(&text), "pxe-"));
	assert_accepted(&text);
	buf_fini(&text);
}

static void test_networks(void **state)
{
	struct dhcp_config config = site;
	struct buf text;
	struct reason reason;

	(void)state;
	config.mode = DHCP_FULL;
	config.options[0] = (struct dhcp_option){ DHCP_OPTION_ROUTER, "10.78.0.254" };
	config.options[1] = (struct dhcp_option){ DHCP_OPTION_ROUTER, "br0:10.77.0.253, 10.77.0.254" };
	config.options[2] = (struct dhcp_option){ DHCP_OPTION_DNS, "192.0.2.53" };
	config.options[3] = (struct dhcp_option){ DHCP_OPTION_DNS, "br1:none" };
	config.options[4] = (struct dhcp_option){ DHCP_OPTION_NTP, "192.0.2.123,192.0.2.124" };
	config.options[5] = (struct dhcp_option){ DHCP_OPTION_NTP, "br1:10.78.0.3" };
	config.options[6] = (struct dhcp_option){ DHCP_OPTION_DOMAIN, "lab.example.org,example.org" };
	config.options[7] = (struct dhcp_option){ DHCP_OPTION_DOMAIN, "br1:Cell-2.example.org" };
	config.option_count = 8;
	if (make_of(&config, &text, &reason))
		fail_msg("%s", reason.text);
	assert_line(&text, "interface=br0");
	assert_line(&text, "interface=br1");
	assert_line(&text, "dhcp-range=tag:ours,10.77.0.100,10.77.0.199,255.255.255.0,12h");
	assert_line(&text, "dhcp-range=tag:ours,10.78.0.10,10.78.255.250,255.255.0.0,2h");
	/* At most 4096 addresses for whoever is not known. */
	assert_line(&text, "dhcp-range=tag:!ours,tag:boots,10.78.239.251,10.78.255.250,255.255.0.0,600");
	assert_line(&text, "dhcp-range=tag:!ours,tag:!boots,10.78.239.251,10.78.251.250,255.255.0.0,600");
	assert_line(&text, "dhcp-option=tag:br0,option:router,10.77.0.253,10.77.0.254");
	assert_line(&text, "dhcp-option=tag:br1,option:router,10.78.0.254");
	assert_line(&text, "dhcp-option=tag:br0,option:dns-server,192.0.2.53");
	assert_null(strstr(buf_text(&text), "tag:br1,option:dns-server"));
	assert_line(&text, "dhcp-option=tag:br0,option:ntp-server,192.0.2.123,192.0.2.124");
	assert_line(&text, "dhcp-option=tag:br1,option:ntp-server,10.78.0.3");
	assert_line(&text, "dhcp-option=tag:br0,option:domain-name,lab.example.org");
	assert_line(&text, "dhcp-option=tag:br0,option:domain-search,lab.example.org,example.org");
	assert_line(&text, "dhcp-option=tag:br1,option:domain-name,Cell-2.example.org");
	assert_accepted(&text);
	buf_fini(&text);
}

static void test_bad_ranges(void **state)
{
	static const struct {
		const char *ranges[3];
		const char *reason;
	} cases[] = {
		{ { "10.77.0.100" },
		  "--dhcp-range 10.77.0.100: expected FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h" },
		{ { "10.77.0.100,10.77.0.101,1h,2h" },
		  "--dhcp-range 10.77.0.100,10.77.0.101,1h,2h: expected FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h" },
		{ { "10.77.0.200,10.77.0.100" },
		  "--dhcp-range 10.77.0.200,10.77.0.100: the first address is behind the last" },
		{ { "10.77.0.100,10.77.0.200,12x" },
		  "--dhcp-range 10.77.0.100,10.77.0.200,12x: \"12x\" is no lease time; expected such as 12h, 45m or infinite" },
		{ { "10.79.0.100,10.79.0.200" },
		  "--dhcp-range 10.79.0.100,10.79.0.200 lies in the subnet of no --interface (br0 has 10.77.0.1/24, br1 has 10.78.0.1/16)" },
		{ { "10.77.0.100,10.78.0.200" },
		  "--dhcp-range 10.77.0.100,10.78.0.200 lies in the subnet of no --interface (br0 has 10.77.0.1/24, br1 has 10.78.0.1/16)" },
		{ { "10.77.0.1,10.77.0.200" },
		  "--dhcp-range 10.77.0.1,10.77.0.200 contains this server's own address 10.77.0.1" },
		{ { "10.77.0.100,10.77.0.255" },
		  "--dhcp-range 10.77.0.100,10.77.0.255 contains 10.77.0.255, the broadcast address of br0's network" },
		{ { "10.77.0.100,10.77.0.200" },
		  "no --dhcp-range lies in the network of --interface br1, which has 10.78.0.1/16: add one, or leave the interface out" },
		{ { "10.77.0.100,10.77.0.150", "10.78.0.9,10.78.0.99", "10.77.0.150,10.77.0.160,1h" },
		  "--dhcp-range 10.77.0.100,10.77.0.150 and --dhcp-range 10.77.0.150,10.77.0.160,1h overlap" },
	};
	struct dhcp_config config = site;
	struct buf text;
	struct reason reason;

	(void)state;
	config.mode = DHCP_FULL;
	for (size_t i = 0; i < array_len(cases); i++) {
		for (config.range_count = 0; config.range_count < 3 && cases[i].ranges[config.range_count];
		     config.range_count++)
			config.ranges[config.range_count] = cases[i].ranges[config.range_count];
		assert_int_equal(make_of(&config, &text, &reason), -EINVAL);
		assert_string_equal(reason.text, cases[i].reason);
		buf_fini(&text);
	}
}

static void test_bad_options(void **state)
{
	static const struct {
		struct dhcp_option options[2];
		const char *reason;
	} cases[] = {
		{ { { DHCP_OPTION_ROUTER, "192.0.2.1" } },
		  "--dhcp-router 192.0.2.1: 192.0.2.1 is not in the network of any --interface (10.77.0.1/24, 10.78.0.1/16)" },
		{ { { DHCP_OPTION_ROUTER, "br1:10.77.0.254" } },
		  "--dhcp-router br1:10.77.0.254: 10.77.0.254 is not in the network of br1 (10.78.0.1/16)" },
		{ { { DHCP_OPTION_ROUTER, "10.77.0.254,10.78.0.254" } },
		  "--dhcp-router 10.77.0.254,10.78.0.254: 10.78.0.254 is not in the network of br0 (10.77.0.1/24)" },
		{ { { DHCP_OPTION_ROUTER, "10.77.0.253" }, { DHCP_OPTION_ROUTER, "br0:10.77.0.254" } },
		  "--dhcp-router 10.77.0.253 and --dhcp-router br0:10.77.0.254 say two things about one: name several in one line, separated by commas" },
		{ { { DHCP_OPTION_DNS, "br7:192.0.2.1" } }, "--dhcp-dns br7:192.0.2.1: br7 is no --interface" },
		{ { { DHCP_OPTION_NTP, "192.0.2.1" }, { DHCP_OPTION_NTP, "none" } },
		  "--dhcp-ntp 192.0.2.1 and --dhcp-ntp none say two things about one: name several in one line, separated by commas" },
	};
	static const char *const malformed[] = {
		"",
		"192.0.2.1,",
		",192.0.2.1",
		"192.0.2.1 192.0.2.2",
		"192.0.2",
		"0.0.0.0",
		":192.0.2.1",
		"none,192.0.2.1",
		"an-interface-too-long:192.0.2.1",
		"1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1"
	};
	static const char *const no_domains[] = {
		"a..b", ".a",	"a.",
		"-a",	"a-.b", "a_b",
		"a/b",	"a\nb", "a234567890123456789012345678901234567890123456789012345678901234.example"
	};
	struct dhcp_config config = site;
	const char *expected;
	struct buf text;
	struct reason reason;

	(void)state;
	config.mode = DHCP_FULL;
	for (size_t i = 0; i < array_len(cases); i++) {
		memcpy(config.options, cases[i].options, sizeof(cases[i].options));
		config.option_count = cases[i].options[1].text ? 2 : 1;
		assert_int_equal(make_of(&config, &text, &reason), -EINVAL);
		assert_string_equal(reason.text, cases[i].reason);
		buf_fini(&text);
	}
	for (size_t i = 0; i < array_len(malformed); i++)
		assert_false(dhcp_option_valid(DHCP_OPTION_DNS, malformed[i], &expected));
	for (size_t i = 0; i < array_len(no_domains); i++)
		assert_false(dhcp_option_valid(DHCP_OPTION_DOMAIN, no_domains[i], &expected));
}

static void test_no_such_interface(void **state)
{
	struct dhcp_network n;
	struct reason reason;

	(void)state;
	assert_int_equal(dhcp_network_find("nosuch0", &n, &reason), -ENODEV);
	assert_string_equal(reason.text, "there is no network interface \"nosuch0\"; ip link shows those there are");
}

static void test_offers(void **state)
{
	unsigned char packet[300] = { 2, 1, 6, 0, 0x11, 0x22, 0x33, 0x44 };
	static const unsigned char options[] = { 53, 1, 2, 0, 54, 4, 10, 0, 0, 9, 255 };
	struct in_addr server = { 0 };

	(void)state;
	packet[236] = 0x63;
	packet[237] = 0x82;
	packet[238] = 0x53;
	packet[239] = 0x63;
	memcpy(packet + 240, options, sizeof(options));
	assert_int_equal(dhcp_parse_offer(packet, sizeof(packet), 0x11223344, &server), 1);
	assert_int_equal(ntohl(server.s_addr), 0x0a000009);
	assert_int_equal(dhcp_parse_offer(packet, sizeof(packet), 0x11223345, &server), 0); /* another's */
	packet[242] = 5;								    /* an ACK */
	assert_int_equal(dhcp_parse_offer(packet, sizeof(packet), 0x11223344, &server), 0);
	packet[242] = 2;
	assert_int_equal(dhcp_parse_offer(packet, 239, 0x11223344, &server), 0); /* cut */
	packet[241] = 255;							 /* an option longer than the packet */
	assert_int_equal(dhcp_parse_offer(packet, sizeof(packet), 0x11223344, &server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),	    cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_sets),	    cmocka_unit_test(test_off),
		cmocka_unit_test(test_networks),    cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_bad_options), cmocka_unit_test(test_no_such_interface),
		cmocka_unit_test(test_offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
