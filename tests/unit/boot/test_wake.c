// SPDX-License-Identifier: GPL-2.0-or-later
/* Wake on LAN: the packet as cards look for it, and on which link it goes out, in a network namespace of its own. */
#include "cmocka_all.h"
#include "world.h"

#include "boot/operator/magic_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAC1 "52:54:00:aa:00:01"
#define NO_ROOT "a network namespace of its own needs root"

static bool alone;

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* Two links, and their other ends. */
static int setup(void **state)
{
	(void)state;
	alone = geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
	if (alone)
		run("ip link set lo up; for n in 1 2; do ip link add a$n type veth peer name b$n && ip link set a$n up && ip link set b$n up && "
		    "ip addr add 10.0.$n.1/22 brd + dev a$n || exit 1; done; ip addr flush dev a2; "
		    "ip addr add 10.7.0.1/24 brd + dev a2");
	return 0;
}

static int listen_on(const char *device)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP));

	address.sll_ifindex = (int)if_nametoindex(device);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* How many magic packets for MAC1 came to this address (IPv4); what else is there is none. */
static unsigned take(int fd, const char *to)
{
	static const unsigned char card[] = { 0x52, 0x54, 0x00, 0xaa, 0x00, 0x01 };
	unsigned char packet[6 + 16 * 6], got[2048];
	struct in_addr wanted;
	unsigned count = 0;
	ssize_t len;

	memset(packet, 0xff, 6);
	for (size_t i = 0; i < 16; i++)
		memcpy(packet + 6 + 6 * i, card, 6);
	inet_pton(AF_INET, to, &wanted);
	while ((len = recv(fd, got, sizeof(got), 0)) > 0)
		if (len == 28 + (ssize_t)sizeof(packet) && got[9] == 17 && !memcmp(got + 16, &wanted, 4) &&
		    got[22] == 0 && got[23] == 9 && !memcmp(got + 28, packet, sizeof(packet)))
			count++;
	return count;
}

static void send_to(const char *address, const char *where)
{
	struct reason reason = { "" };
	char said[256];

	assert_int_equal(magic_packet_send(MAC1, address, said, sizeof(said), &reason), 0);
	assert_string_equal(said, where);
}

static void test_which_link(void **state)
{
	int one, two;

	(void)state;
	if (!alone) {
		test_skip(NO_ROOT);
		return;
	}
	one = listen_on("b1");
	two = listen_on("b2");
	/* In the network of one of them, whose mask is no /24. */
	send_to("10.0.3.9", "a1 (10.0.3.255)");
	assert_true(take(one, "10.0.3.255") > 0);
	assert_int_equal(take(two, "10.0.3.255"), 0);
	/* Not known yet: to all. */
	send_to("", "a1 (10.0.3.255), a2 (10.7.0.255)");
	assert_true(take(one, "10.0.3.255") > 0);
	assert_true(take(two, "10.7.0.255") > 0);
	/* Behind a router, whose MAC is known. */
	run("ip route add 192.168.9.0/24 via 10.7.0.254 && ip neigh replace 10.7.0.254 lladdr 52:54:00:00:00:fe dev a2 nud permanent");
	send_to("192.168.9.20", "a1 (10.0.3.255), a2 (10.7.0.255), the router (192.168.9.255)");
	assert_true(take(two, "192.168.9.255") > 0);
	close(one);
	close(two);
}

static void test_a_person_wakes(void **state)
{
	struct reason reason = { "" };
	struct world *w;
	int one;

	(void)state;
	if (!alone) {
		test_skip(NO_ROOT);
		return;
	}
	one = listen_on("b1");
	w = world_new(true);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(boot_wake(w->boot, "nobody", "ctl", &reason), -ENOENT);
	assert_int_equal(boot_wake(w->boot, "pc-001", "ctl", &reason), 0);
	assert_non_null(strstr(reason.text, "a magic packet went to a1"));
	assert_true(take(one, "10.0.3.255") > 0);
	assert_int_equal(world_events(w, "woken"), 1);
	run("ip link set a1 down && ip link set a2 down");
	assert_int_equal(boot_wake(w->boot, "pc-001", "ctl", &reason), -ENETUNREACH);
	assert_non_null(strstr(reason.text, "no packet could be sent"));
	assert_int_equal(world_events(w, "woken"), 1);
	world_free(w);
	close(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_which_link), cmocka_unit_test(test_a_person_wakes) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
