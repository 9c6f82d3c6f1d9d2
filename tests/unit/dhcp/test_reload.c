// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dhcp: another configuration while it runs, with the real dnsmasq in a network namespace of the test's own. A bad one
 * changes nothing; a good one is in force; off and on again works; nothing is left behind. And the server with another address.
 */
#include "cmocka_all.h"

#include "base/log.h"
#include "base/loop.h"
#include "dhcp/dhcp.h"
#include "dhcp/owner.h"
#include "dhcp/status.h"
#include "inventory/inventory.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct site {
	char dir[64], file[96];
	struct loop *loop;
	struct inventory *inventory;
	struct dhcp_config config;
	struct dhcp *dhcp;
	struct reason reason;
};

static bool run(const char *command)
{
	return system(command) == 0;
}

static int set_up(void **state)
{
	struct site *site = calloc(1, sizeof(*site));

	*state = site;
	if (geteuid() != 0 || unshare(CLONE_NEWNET))
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(site->dir, sizeof(site->dir), "/tmp/sanbootd-test-reload-XXXXXX");
	if (!mkdtemp(site->dir) ||
	    !run("ip link set lo up && ip link add br0 type bridge && ip addr add 10.77.0.1/24 dev br0 && ip link set br0 up &&"
		 " ip link add br1 type bridge && ip addr add 10.78.0.1/24 dev br1 && ip link set br1 up"))
		return -1;
	snprintf(site->file, sizeof(site->file), "%s/inventory.db", site->dir);
	site->loop = loop_new(0);
	loop_start(site->loop, "control");
	if (inventory_open(site->file, &site->inventory, &site->reason))
		return -1;
	site->config = (struct dhcp_config){
		.mode = DHCP_FULL,
		.interfaces = { "br0" },
		.interface_count = 1,
		.ranges = { "10.77.0.100,10.77.0.200" },
		.range_count = 1,
		.force = true,
		.ipxe_dir = "/usr/lib/ipxe",
		.state_dir = site->dir,
		.runtime_dir = site->dir,
		.http_port = 8080,
		.inventory = site->inventory,
		.loop = site->loop,
	};
	return 0;
}

static int tear_down(void **state)
{
	struct site *site = *state;
	char command[128];

	if (site->inventory)
		inventory_close(site->inventory);
	if (site->loop) {
		loop_stop(site->loop);
		loop_free(site->loop);
		snprintf(command, sizeof(command), "rm -r %s", site->dir);
		run(command);
	}
	free(site);
	return 0;
}

static bool is(const struct site *site, enum dhcp_mode mode, const char *state)
{
	struct dhcp_status status;
	bool fits;

	dhcp_get_status(site->dhcp, &status);
	fits = status.mode == mode && !strcmp(status.state, state);
	dhcp_status_free(&status);
	return fits;
}

static bool serves(const struct site *site, const char *interface)
{
	struct dhcp_status status;

	dhcp_get_status(site->dhcp, &status);
	dhcp_status_free(&status);
	return status.interface_count == 1 && !strcmp(status.interfaces[0], interface) && status.tftp;
}

static int pid_of(const struct site *site)
{
	struct dhcp_status status;

	dhcp_get_status(site->dhcp, &status);
	dhcp_status_free(&status);
	return status.pid;
}

static bool dhcp_served(void)
{
	char owner[300];

	return owner_of_udp_port(67, owner, sizeof(owner));
}

static int reload(struct site *site, const struct dhcp_config *config)
{
	site->reason.text[0] = '\0';
	return dhcp_reload(site->dhcp, config, &site->reason);
}

/* Nothing of a refused configuration is in force, and dnsmasq was not even restarted. */
static void check_refused(struct site *site, const struct dhcp_config *config, int err, const char *reason)
{
	int pid = pid_of(site);

	assert_int_equal(reload(site, config), err);
	assert_non_null(strstr(site->reason.text, reason));
	assert_int_equal(pid_of(site), pid);
	assert_true(is(site, DHCP_FULL, "up"));
}

static void test_reload(void **state)
{
	struct site *site = *state;
	struct dhcp_config other = site->config;
	int pid;

	if (!site->loop) {
		test_skip("a network namespace of its own needs root");
		return;
	}
	if (dhcp_start(&site->config, &site->dhcp, &site->reason))
		fail_msg("%s", site->reason.text);
	assert_true(is(site, DHCP_FULL, "up"));
	pid = pid_of(site);

	/* The same again disturbs nothing. */
	assert_int_equal(reload(site, &other), 0);
	assert_int_equal(pid_of(site), pid);

	other.ranges[0] = "10.99.0.1,10.99.0.2";
	check_refused(site, &other, -EINVAL, "lies in the subnet of no --interface");
	other = site->config;
	other.interfaces[0] = "nosuch0";
	check_refused(site, &other, -ENODEV, "there is no network interface");
	other = site->config;
	other.ipxe_dir = site->dir;
	check_refused(site, &other, -ENOENT, "no boot file is in");
	other = site->config;
	other.state_dir = "/tmp";
	check_refused(site, &other, -EINVAL, "needs a restart");

	/* Another network; the texts are copied. */
	other = site->config;
	other.interfaces[0] = strdup("br1");
	other.ranges[0] = strdup("10.78.0.100,10.78.0.200");
	assert_int_equal(reload(site, &other), 0);
	free((char *)(uintptr_t)other.ranges[0]);
	free((char *)(uintptr_t)other.interfaces[0]);
	assert_true(serves(site, "br1"));
	assert_int_not_equal(pid_of(site), pid);

	other = site->config;
	other.mode = DHCP_PROXY;
	assert_int_equal(reload(site, &other), 0);
	assert_true(is(site, DHCP_PROXY, "up"));
	other.mode = DHCP_OFF; /* TFTP stays */
	assert_int_equal(reload(site, &other), 0);
	assert_true(is(site, DHCP_OFF, "up"));
	assert_false(dhcp_served());
	other.interface_count = 0;
	assert_int_equal(reload(site, &other), 0);
	assert_true(is(site, DHCP_OFF, "stopped") && !pid_of(site));
	assert_int_equal(reload(site, &site->config), 0);
	assert_true(is(site, DHCP_FULL, "up"));
	assert_true(dhcp_served());
	dhcp_stop(site->dhcp);
	assert_false(dhcp_served());
}

/* Refused by the running dnsmasq only: the port is taken when it starts again. What was in force comes back. */
static void test_goes_back(void **state)
{
	struct site *site = *state;
	struct dhcp_config other = site->config;
	char owner[300], command[300];

	if (!site->loop) {
		test_skip("a network namespace of its own needs root");
		return;
	}
	site->config.mode = DHCP_OFF;
	assert_int_equal(dhcp_start(&site->config, &site->dhcp, &site->reason), 0);
	snprintf(command, sizeof(command),
		 "python3 -c 'import socket, os\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind((\"0.0.0.0\", 67))\n"
		 "if os.fork(): os._exit(0)\nimport time\ntime.sleep(60)' >/dev/null 2>&1");
	assert_true(run(command));
	assert_int_equal(reload(site, &other), -EIO);
	assert_non_null(strstr(site->reason.text, "UDP port 67 is taken by python3"));
	assert_true(is(site, DHCP_OFF, "up"));
	assert_true(owner_of_udp_port(67, owner, sizeof(owner)));
	snprintf(command, sizeof(command), "kill %d", atoi(strstr(owner, "(process ") + 9));
	assert_true(run(command));
	dhcp_stop(site->dhcp);
}

static void on_moved(void *arg)
{
	sem_post(arg);
}

static bool file_has(const struct site *site, const char *name, const char *text)
{
	char command[300];

	snprintf(command, sizeof(command), "grep -qF '%s' %s/%s", text, site->dir, name);
	return run(command);
}

/* The server gets another address: that is noticed, and what was made from the old one follows a reload of the same. */
static void test_moved(void **state)
{
	struct site *site = *state;
	struct timespec none = { 0 };
	sem_t moved;
	int pid;

	if (!site->loop) {
		test_skip("a network namespace of its own needs root");
		return;
	}
	sem_init(&moved, 0, 0);
	site->config.moved = on_moved;
	site->config.moved_arg = &moved;
	if (dhcp_start(&site->config, &site->dhcp, &site->reason))
		fail_msg("%s", site->reason.text);
	pid = pid_of(site);
	assert_true(file_has(site, "dnsmasq.conf", "http://10.77.0.1:8080/ipxe/"));
	/* Two steps, and an address of another interface: one question. */
	assert_true(run("ip addr add 10.79.0.1/24 dev br1 && ip addr del 10.77.0.1/24 dev br0"));
	assert_true(run("ip addr add 10.77.0.9/24 dev br0"));
	while (sem_wait(&moved))
		;
	assert_int_equal(reload(site, &site->config), 0);
	assert_int_not_equal(pid_of(site), pid);
	assert_true(file_has(site, "dnsmasq.conf", "http://10.77.0.9:8080/ipxe/"));
	assert_false(file_has(site, "dnsmasq.conf", "10.77.0.1:"));
	assert_int_equal(sem_timedwait(&moved, &none), -1);
	/* Back again. */
	assert_true(run("ip addr del 10.77.0.9/24 dev br0 && ip addr add 10.77.0.1/24 dev br0"));
	while (sem_wait(&moved))
		;
	assert_int_equal(reload(site, &site->config), 0);
	assert_true(file_has(site, "dnsmasq.conf", "http://10.77.0.1:8080/ipxe/"));
	dhcp_stop(site->dhcp);
	sem_destroy(&moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_goes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moved, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
