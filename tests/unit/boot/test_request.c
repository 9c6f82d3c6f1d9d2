// SPDX-License-Identifier: GPL-2.0-or-later
/* GET /boot from the question to the script, with a real inventory and real children. */
#include "world.h"

#include "base/util.h"
#include "store/store.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"
#define UUID2 "5a4b0075-0000-4000-8000-000000000002"

static void test_new_machine(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply first = world_ask(w, &ask), second;
	struct machine_boot current, pending;
	struct machine machine;
	char text[256], want[512];

	assert_int_equal(first.status, 200);
	assert_string_equal(first.outcome, "sanboot");
	machine = world_machine(w, MAC1);
	assert_string_equal(machine.name, "pc-001");
	assert_string_equal(machine.uuid, UUID1);
	assert_string_equal(machine.serial, "vm1");
	assert_string_equal(machine.product, "QEMU PC");
	assert_true(machine.system.fresh);
	/* Asked from the server itself: that is not the address that it will have. */
	assert_string_equal(machine.address, "");
	assert_int_equal(world_children(w), 1);
	assert_int_equal(world_events(w, "enrolled"), 1);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number, 0);
	assert_int_equal(pending.number, 1);
	script_setting(first.script, "password", text, sizeof(text));
	assert_string_equal(text, pending.secret);
	assert_int_equal(strlen(text), 16);
	script_setting(first.script, "reverse-password", text, sizeof(text));
	assert_string_equal(text, "");
	script_setting(first.script, "hostname", text, sizeof(text));
	assert_string_equal(text, "pc-001");
	script_setting(first.script, "initiator-iqn", text, sizeof(text));
	snprintf(want, sizeof(want), "%s:i", machine.iqn);
	assert_string_equal(text, want);
	snprintf(want, sizeof(want), "sanboot --drive 0x80 iscsi:127.0.0.1::3260:0:%s ||", machine.iqn);
	assert_non_null(strstr(first.script, want));
	/* Asked again, the same pending boot and nothing new. */
	second = world_ask(w, &ask);
	assert_string_equal(first.script, second.script);
	assert_int_equal(world_machine_count(w), 1);
	assert_int_equal(world_children(w), 1);
	assert_int_equal(w->probes, 0);
	free(first.script);
	free(second.script);
}

/* The pending boot and its secret survive a restart of the server. */
static void test_restart(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply first = world_ask(w, &ask), second;

	world_restart(w);
	second = world_ask(w, &ask);
	assert_string_equal(first.script, second.script);
	free(first.script);
	free(second.script);
}

static void test_invalid(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of("nonsense", UUID1, "vm1");
	struct reply reply = world_ask(w, &ask);

	assert_int_equal(reply.status, 400);
	assert_string_equal(reply.outcome, "invalid");
	assert_memory_equal(reply.script, "#!ipxe\n", 7);
	assert_non_null(strstr(reply.script, "nonsense"));
	assert_non_null(strstr(reply.script, "goto ask"));
	assert_int_equal(world_machine_count(w), 0);
	free(reply.script);
}

struct crowd {
	sem_t done;
	unsigned sanboots;
};

static void crowd_answered(void *arg, const struct boot_answer *answer)
{
	struct crowd *crowd = arg;

	/* All answers come on one thread. */
	crowd->sanboots += answer->outcome == BOOT_SANBOOT;
	sem_post(&crowd->done);
}

/* Sixteen requests of the same new machine at the same moment make one machine with one child and one boot. */
static void test_same_moment(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct crowd crowd = { .sanboots = 0 };
	struct machine_boot current, pending;

	sem_init(&crowd.done, 0, 0);
	for (int i = 0; i < 16; i++)
		boot_request(w->boot, &ask, crowd_answered, &crowd);
	for (int i = 0; i < 16; i++)
		sem_wait(&crowd.done);
	assert_int_equal(crowd.sanboots, 16);
	assert_int_equal(world_machine_count(w), 1);
	assert_int_equal(world_children(w), 1);
	world_boots(w, world_machine(w, MAC1).id, &current, &pending);
	assert_int_equal(pending.number, 1);
	sem_destroy(&crowd.done);
}

/* 256 new machines at once. */
static void test_many(void **state)
{
	struct world *w = *state;
	struct crowd crowd = { .sanboots = 0 };
	struct reply one;

	world_policy(w, "max-machines", "300");
	struct boot_ask first = world_ask_of(MAC1, "", "");

	one = world_ask(w, &first);
	free(one.script);
	sem_init(&crowd.done, 0, 0);
	for (int i = 0; i < 256; i++) {
		char mac[18];

		snprintf(mac, sizeof(mac), "52:54:00:bb:01:%02x", i);
		struct boot_ask ask = world_ask_of(mac, "", "");

		boot_request(w->boot, &ask, crowd_answered, &crowd);
	}
	for (int i = 0; i < 256; i++)
		sem_wait(&crowd.done);
	assert_int_equal(crowd.sanboots, 256);
	assert_int_equal(world_machine_count(w), 257);
	assert_int_equal(world_children(w), 257);
	sem_destroy(&crowd.done);
}

/* A machine that runs is not disturbed by who asks in its name; when it has gone, the script comes. */
static void test_running(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending, after;
	struct machine machine;
	struct reason reason;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_int_equal(world_begin(w, machine.id, 1), -ESTALE);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number, 1);
	assert_int_equal(pending.number, 0);
	w->session = (struct boot_session){ .address = "10.0.0.99:700", .since_ms = 1700000000000, .boot = 1 };
	w->alive = true;
	w->sessions = 1;
	for (int i = 0; i < 3; i++)
		world_expect(w, MAC1, UUID1, "vm1", "wait",
			     "seems to run already: 10.0.0.99:700 (its system), since 2023-11-1");
	assert_int_equal(w->probes, 3);
	world_boots(w, machine.id, &after, &pending);
	assert_int_equal(pending.number, 0);
	assert_string_equal(after.secret, current.secret);
	/* People are told, too. */
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "10.0.0.99:700"));
	assert_non_null(strstr(reason.text, "sanbootctl machine release pc-001"));
	/* Released: its secret is dead, and the one who waits gets another. */
	assert_int_equal(boot_release(w->boot, "pc-001", "ctl", &reason), 0);
	assert_int_equal(w->releases, 1);
	world_boots(w, machine.id, &after, &pending);
	assert_int_equal(after.number, 0);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_boots(w, machine.id, &after, &pending);
	assert_int_equal(pending.number, 2);
	assert_string_not_equal(pending.secret, current.secret);
}

/* It crashed: no session answers. The script is served, and the current boot lives until the new one begins. */
static void test_crashed(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending;
	struct machine machine;
	char first[64], again[64];
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, "sanboot");
	script_setting(reply.script, "password", first, sizeof(first));
	free(reply.script);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number, 1);
	assert_int_equal(pending.number, 2);
	assert_string_equal(first, pending.secret);
	reply = world_ask(w, &ask);
	script_setting(reply.script, "password", again, sizeof(again));
	free(reply.script);
	assert_string_equal(first, again);
	assert_int_equal(w->probes, 2);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number, 2);
	assert_int_equal(pending.number, 0);
	assert_string_equal(current.secret, first);
}

static void test_auth(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct machine_boot current, pending;
	struct reply reply;
	char text[64];

	world_policy(w, "auth", "none");
	reply = world_ask(w, &ask);
	world_boots(w, world_machine(w, MAC1).id, &current, &pending);
	assert_null(strstr(reply.script, pending.secret));
	assert_non_null(strstr(reply.script, "clear password ||"));
	free(reply.script);
	/* The same boot under a stricter policy has secrets all the same. */
	world_policy(w, "auth", "mutual");
	reply = world_ask(w, &ask);
	script_setting(reply.script, "password", text, sizeof(text));
	assert_string_equal(text, pending.secret);
	script_setting(reply.script, "reverse-password", text, sizeof(text));
	assert_string_equal(text, pending.reverse_secret);
	assert_string_not_equal(pending.secret, pending.reverse_secret);
	script_setting(reply.script, "reverse-username", text, sizeof(text));
	assert_string_equal(text, "sanbootd");
	free(reply.script);
}

/* Asking every few seconds is not written each time. */
static void test_quiet(void **state)
{
	struct world *w = *state;
	uint64_t seen = 0;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_policy(w, "enrol", "approve");
	world_expect(w, MAC2, UUID2, "vm2", "wait", NULL);
	inventory_wait_change(w->inventory, &seen, 0);
	while (inventory_wait_change(w->inventory, &seen, 200))
		;
	for (int i = 0; i < 5; i++) {
		world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
		world_expect(w, MAC2, UUID2, "vm2", "wait", NULL);
	}
	assert_false(inventory_wait_change(w->inventory, &seen, 200));
}

static void test_sanboot_error(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "attempt=1&");
	snprintf(ask.error, sizeof(ask.error), "2c222003");
	for (int i = 1; i < 5; i++) {
		struct reply reply;

		snprintf(ask.attempt, sizeof(ask.attempt), "%d", i);
		reply = world_ask(w, &ask);
		assert_string_equal(reply.outcome, "sanboot");
		free(reply.script);
	}
	assert_int_equal(world_events(w, "sanboot-failed"), 1);
}

/*
 * On-link and not in the neighbour table: no machine, no row, no secret. 127/8 is ours, so another net is made up: no
 * route is as bad.
 */
static void test_stranger(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	ask.client[0] = '\0';
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, "wait");
	assert_non_null(strstr(reply.script, "neighbour table"));
	assert_null(strstr(reply.script, "set password"));
	assert_null(strstr(reply.script, world_machine(w, MAC1).iqn));
	free(reply.script);
	snprintf(ask.mac, sizeof(ask.mac), MAC2);
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, "wait");
	free(reply.script);
	assert_int_equal(world_machine_count(w), 1);
	assert_int_equal(world_waiting(w, MAC2, NULL), 0);
}

static void test_ipv6(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply;

	snprintf(ask.client, sizeof(ask.client), "[::1]:4000");
	snprintf(ask.server, sizeof(ask.server), "::1");
	snprintf(ask.base_url, sizeof(ask.base_url), "http://[::1]:8080");
	reply = world_ask(w, &ask);
	assert_int_equal(reply.status, 200);
	assert_non_null(strstr(reply.script, "--advertise"));
	assert_non_null(strstr(reply.script, "http://[::1]:8080/boot?"));
	free(reply.script);
}

/*
 * What a crash may leave: a file that no row knows. It is gone after the next start; a row without its file gets it
 * back.
 */
static void test_crash(void **state)
{
	struct world *w = *state;
	struct volume orphan = { .kind = VOLUME_SYSTEM };
	struct volume_info info;
	struct reason reason;
	struct image_version version = { .file = "debian@1.raw", .format = "raw", .size_bytes = 4 << 20 };
	struct policy policy = { .max_machines = 1 };
	struct machine machine;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	assert_int_equal(store_create_volume(w->store, &orphan, &version, &policy, 0, &reason), 0);
	assert_int_equal(world_children(w), 2);
	assert_int_equal(store_volume_info(w->store, &machine.system, NULL, &info), 0);
	assert_int_equal(unlink(info.path), 0);
	world_restart(w);
	assert_int_equal(access(info.path, F_OK), 0);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "machine pc-001");
	assert_int_equal(world_machine_count(w), 1);
}

static void test_local(void **state)
{
	struct world *w = *state;
	struct reason reason;
	struct boot_ask ask = world_ask_of(MAC1, UUID1, "vm1");
	struct reply reply;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	assert_int_equal(boot_set(w->boot, "pc-001", "boot", "local", "ctl", &reason), 0);
	world_expect(w, MAC1, UUID1, "vm1", "local", "sanboot --no-describe --drive 0x80 || exit");
	snprintf(ask.platform, sizeof(ask.platform), "efi");
	reply = world_ask(w, &ask);
	assert_non_null(strstr(reply.script, "\nexit\n"));
	assert_null(strstr(reply.script, "\nsanboot"));
	free(reply.script);
}

static void test_first_script(void **state)
{
	struct world *w = *state;
	struct buf script;

	buf_init(&script, 65536);
	assert_int_equal(boot_first_script(w->boot, "http://10.0.0.1:8080", &script), 0);
	assert_non_null(strstr(buf_text(&script), "http://10.0.0.1:8080/boot?mac="));
	buf_reset(&script);
	assert_int_equal(boot_first_script(w->boot, "http://10.0.0.1\" || shell", &script), -EINVAL);
	buf_fini(&script);
}

/* What would make every answer fail stops the start. */
static void test_prefix(void **state)
{
	static const char *const bad[] = {
		"", "iqn", "eui.02004567a425678d", "iqn.2026-11.Org", "iqn.2026-11.a b", "iqn.2026-11.a||b"
	};
	char long_prefix[300];
	struct world *w = *state;
	struct boot_config config = { .iqn_prefix = long_prefix, .loop = w->loop, .inventory = w->inventory };
	struct boot *boot;

	memset(long_prefix, 'a', sizeof(long_prefix));
	memcpy(long_prefix, "iqn.2026-11.", 12);
	long_prefix[210] = '\0';
	assert_int_equal(boot_new(&config, &boot), -EINVAL);
	long_prefix[209] = '\0';
	assert_int_equal(boot_new(&config, &boot), 0);
	boot_free(boot);
	for (size_t i = 0; i < array_len(bad); i++) {
		config.iqn_prefix = bad[i];
		assert_int_equal(boot_new(&config, &boot), -EINVAL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new_machine), TEST(test_restart),	  TEST(test_invalid),	   TEST(test_same_moment),
		TEST(test_many),	TEST(test_running),	  TEST(test_crashed),	   TEST(test_auth),
		TEST(test_quiet),	TEST(test_sanboot_error), TEST(test_stranger),	   TEST(test_ipv6),
		TEST(test_crash),	TEST(test_local),	  TEST(test_first_script), TEST(test_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
