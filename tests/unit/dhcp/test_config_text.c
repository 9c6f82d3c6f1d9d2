// SPDX-License-Identifier: GPL-2.0-or-later
/* dhcp: the configuration that dnsmasq gets, which dnsmasq itself must accept, and the offers of other servers. */
#include "cmocka_all.h"

#include "base/util.h"
#include "dhcp/dnsmasq_config.h"
#include "dhcp/network.h"

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

static int make(enum dhcp_mode mode, const char *range, struct buf *text, char *reason)
{
	struct dhcp_config config = {
		.mode = mode, .interfaces = { "br0" }, .interface_count = 1, .range = range, .ipxe_dir = "/usr/lib/ipxe",
		.state_dir = "/tmp", .runtime_dir = "/tmp", .http_port = 8080,
	};
	struct dhcp_network n = network("br0", "10.77.0.1", "255.255.255.0");
	/* As on a site with iPXE's signed release; nothing for IA32. */
	struct boot_files files = { { "undionly.kpxe", "", "snponly-shimx64.efi", "arm64/snponly.efi" }, true };

	buf_init(text, 1 << 16);
	reason[0] = '\0';
	return dnsmasq_make_config(&config, &n, &files, text, reason, 512);
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
	char reason[512];

	(void)state;
	assert_int_equal(make(DHCP_FULL, "10.77.0.100,10.77.0.200", &text, reason), 0);
	assert_line(&text, "port=0");
	assert_line(&text, "bind-dynamic");
	assert_line(&text, "except-interface=lo");
	assert_line(&text, "interface=br0");
	assert_line(&text, "dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,12h");
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
	char reason[512];

	(void)state;
	assert_int_equal(make(DHCP_PROXY, NULL, &text, reason), 0);
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

/* Mode off with interfaces: TFTP alone, for the site's own DHCP server to point at. */
static void test_off(void **state)
{
	struct buf text;
	char reason[512];

	(void)state;
	assert_int_equal(make(DHCP_OFF, NULL, &text, reason), 0);
	assert_line(&text, "enable-tftp");
	assert_line(&text, "tftp-root=/tmp/tftp/br0,br0");
	assert_null(strstr(buf_text(&text), "\ndhcp-"));
	assert_null(strstr(buf_text(&text), "pxe-"));
	assert_accepted(&text);
	buf_fini(&text);
}

static void test_bad_ranges(void **state)
{
	static const char *const cases[][2] = {
		{ "10.77.0.100", "--dhcp-range 10.77.0.100: expected FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h" },
		{ "10.77.0.200,10.77.0.100", "--dhcp-range 10.77.0.200,10.77.0.100: the first address is behind the last" },
		{ "10.77.0.100,10.77.0.200,12x", "--dhcp-range 10.77.0.100,10.77.0.200,12x: \"12x\" is no lease time; expected such as 12h, 45m or infinite" },
		{ "10.78.0.100,10.78.0.200", "--dhcp-range 10.78.0.100,10.78.0.200 lies in the subnet of no --interface (br0 has 10.77.0.1)" },
		{ "10.77.0.1,10.77.0.200", "--dhcp-range 10.77.0.1,10.77.0.200 contains this server's own address 10.77.0.1" },
	};
	struct buf text;
	char reason[512];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(make(DHCP_FULL, cases[i][0], &text, reason), -EINVAL);
		assert_string_equal(reason, cases[i][1]);
		buf_fini(&text);
	}
}

static void test_no_such_interface(void **state)
{
	struct dhcp_network n;
	char reason[256];

	(void)state;
	assert_int_equal(dhcp_network_find("nosuch0", &n, reason, sizeof(reason)), -ENODEV);
	assert_string_equal(reason, "there is no network interface \"nosuch0\"; ip link shows those there are");
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
	packet[242] = 5; /* an ACK */
	assert_int_equal(dhcp_parse_offer(packet, sizeof(packet), 0x11223344, &server), 0);
	packet[242] = 2;
	assert_int_equal(dhcp_parse_offer(packet, 239, 0x11223344, &server), 0); /* cut */
	packet[241] = 255; /* an option longer than the packet */
	assert_int_equal(dhcp_parse_offer(packet, sizeof(packet), 0x11223344, &server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),		  cmocka_unit_test(test_proxy), cmocka_unit_test(test_off), cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_no_such_interface), cmocka_unit_test(test_offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
