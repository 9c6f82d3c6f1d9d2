// SPDX-License-Identifier: GPL-2.0-or-later
/* What people do with machines: each thing done, each refusal with its sentence, and nothing half done. */
#include "world.h"

#include "base/util.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define MAC3 "52:54:00:aa:00:03"
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"
#define UUID2 "5a4b0075-0000-4000-8000-000000000002"

static struct reason reason;

static int setup(void **state)
{
	*state = world_new(true);
	reason.text[0] = '\0';
	return 0;
}

static struct machine start(struct world *w, const char *mac)
{
	uint16_t status;
	struct reason why;
	struct machine machine;

	world_expect(w, mac, UUID1, "vm1", "sanboot", NULL);
	machine = world_machine(w, mac);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &why));
	w->session = (struct boot_session){ .address = "10.0.0.9:1", .since_ms = 1700000000000, .boot = 1 };
	return machine;
}

static void run(struct world *w, bool running)
{
	w->alive = running;
	w->sessions = running;
}

static void test_reset(void **state)
{
	struct world *w = *state;
	struct machine machine = start(w, MAC1), after;
	struct machine_boot current, pending;

	run(w, true);
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "pc-001 runs: 10.0.0.9:1"));
	assert_string_equal(world_machine(w, MAC1).system.object, machine.system.object);
	assert_non_null(w->disk);
	/* It has gone; its disk is still open for a while, and is closed for it. A newer version is taken. */
	run(w, false);
	world_add_image(w, "debian", 'e');
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	assert_null(w->disk);
	after = world_machine(w, MAC1);
	assert_string_not_equal(after.system.object, machine.system.object);
	assert_int_not_equal(after.system.version_id, machine.system.version_id);
	assert_true(after.system.fresh);
	assert_int_equal(world_children(w), 1);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number, 0);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "boots debian@2");
	assert_int_equal(boot_reset(w->boot, "nobody", "ctl", &reason), -ENOENT);
	assert_non_null(strstr(reason.text, "there is no machine nobody"));
}

/* No space: the old disk stays. */
static void test_reset_no_space(void **state)
{
	struct world *w = *state;
	struct machine machine = start(w, MAC1);

	run(w, false);
	world_policy(w, "reserve", "8000T");
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), -ENOSPC);
	assert_true(reason.text[0]);
	assert_string_equal(world_machine(w, MAC1).system.object, machine.system.object);
	assert_int_equal(world_children(w), 1);
	/* And it can be logged in to again. */
	uint16_t status;
	struct reason why;

	assert_non_null(world_open(w, machine.id, 1, &status, &why));
}

static void test_swap(void **state)
{
	struct world *w = *state;
	struct machine machine = start(w, MAC1), after;

	run(w, true);
	assert_int_equal(boot_swap(w->boot, "pc-001", MAC2, "ctl", &reason), -EBUSY);
	run(w, false);
	assert_int_equal(boot_swap(w->boot, "pc-001", "x", "ctl", &reason), -EINVAL);
	assert_int_equal(boot_mac(w->boot, "pc-001", true, MAC3, "ctl", &reason), 0);
	/* The replacement waits already (its UUID is known then). */
	world_policy(w, "enrol", "approve");
	world_expect(w, MAC2, UUID2, "vm2", "wait", NULL);
	assert_int_equal(boot_swap(w->boot, "pc-001", "52-54-00-AA-00-02", "ctl", &reason), 0);
	after = world_machine(w, MAC2);
	assert_int_equal(after.id, machine.id);
	assert_string_equal(after.system.object, machine.system.object);
	assert_string_equal(after.iqn, machine.iqn);
	assert_string_equal(after.uuid, UUID2);
	assert_int_equal(world_waiting(w, MAC2, NULL), 0);
	world_expect(w, MAC2, UUID2, "vm2", "sanboot", "machine pc-001");
	/* The old hardware is a stranger now. */
	world_expect(w, MAC1, UUID1, "vm1", "wait", "waits for approval");
	world_expect(w, MAC3, "", "", "wait", "waits for approval");
	/* To a MAC that a machine has: never. */
	assert_int_equal(boot_approve(w->boot, MAC1, NULL, "ctl", NULL, &reason), 0);
	assert_int_equal(boot_swap(w->boot, "pc-001", MAC1, "ctl", &reason), -EEXIST);
	assert_non_null(strstr(reason.text, "belongs to machine pc-002"));
	assert_int_equal(world_machine(w, MAC1).id == machine.id, 0);
	/* To hardware that has never asked: its UUID is learnt when it does. */
	assert_int_equal(boot_swap(w->boot, "pc-001", "52:54:00:aa:00:04", "ctl", &reason), 0);
	assert_string_equal(world_machine(w, "pc-001").uuid, "");
	world_expect(w, "52:54:00:aa:00:04", "5a4b0075-0000-4000-8000-000000000004", "", "sanboot", "machine pc-001");
	assert_string_equal(world_machine(w, "pc-001").uuid, "5a4b0075-0000-4000-8000-000000000004");
}

static void test_remove(void **state)
{
	struct world *w = *state;

	start(w, MAC1);
	run(w, true);
	assert_int_equal(boot_remove(w->boot, MAC1, true, "ctl", &reason), -EBUSY);
	assert_int_equal(world_machine_count(w), 1);
	run(w, false);
	assert_int_equal(boot_remove(w->boot, MAC1, true, "ctl", &reason), 0);
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_children(w), 0);
	assert_int_equal(boot_remove(w->boot, MAC1, true, "ctl", &reason), -ENOENT);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "machine pc-001");
}

static void test_mac(void **state)
{
	struct world *w = *state;

	start(w, MAC1);
	assert_int_equal(boot_mac(w->boot, "pc-001", true, "01:00:5e:00:00:01", "ctl", &reason), -EINVAL);
	assert_int_equal(boot_mac(w->boot, "pc-001", true, MAC2, "ctl", &reason), 0);
	assert_int_equal(boot_mac(w->boot, "pc-001", true, MAC2, "ctl", &reason), -EEXIST);
	assert_int_equal(boot_mac(w->boot, "pc-001", false, MAC3, "ctl", &reason), -ENOENT);
	assert_int_equal(boot_mac(w->boot, "pc-001", false, MAC1, "ctl", &reason), 0);
	assert_int_equal(boot_mac(w->boot, "pc-001", false, MAC2, "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "only MAC address"));
	world_expect(w, MAC2, UUID1, "vm1", "sanboot", "machine pc-001");
}

static void set(struct world *w, const char *key, const char *value, int want)
{
	int err = boot_set(w->boot, "pc-001", key, value, "ctl", &reason);

	if (err != want)
		fail_msg("%s=%s: %d instead of %d: %s", key, value, err, want, reason.text);
	if (want)
		assert_true(reason.text[0]);
}

static void test_set(void **state)
{
	struct world *w = *state;
	struct machine machine;
	char note[NOTE_TEXT + 1];

	start(w, MAC1);
	assert_int_equal(boot_approve(w->boot, MAC2, &(struct boot_approval){ .name = "x" }, "ctl", NULL, &reason),
			 -ENOENT);
	world_expect(w, MAC2, UUID2, "vm2", "sanboot", NULL);
	memset(note, 'n', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	set(w, "colour", "red", -EINVAL);
	set(w, "name", "a b", -EINVAL);
	set(w, "name", "PC-002", -EEXIST);
	set(w, "auth", "maybe", -EINVAL);
	set(w, "access", "all", -EINVAL);
	set(w, "boot", "no-such-entry", -EINVAL);
	set(w, "note", note, -EINVAL);
	set(w, "state", "failed", -EINVAL);
	set(w, "mode", "sometimes", -EINVAL);
	set(w, "auth", "mutual", 0);
	set(w, "access", "many", 0);
	set(w, "quota", "1000", -EINVAL);
	set(w, "quota", "a lot", -EINVAL);
	set(w, "quota", "none", 0);
	set(w, "quota", "policy", 0);
	set(w, "quota", "20G", 0);
	set(w, "physical-block", "1024", -EINVAL);
	set(w, "physical-block", "512", 0);
	set(w, "note", "the one by the window", 0);
	set(w, "mode", "ephemeral", 0);
	machine = world_machine(w, "pc-001");
	assert_int_equal(machine.auth, AUTH_MUTUAL);
	assert_true(machine.access_many);
	assert_true(machine.system.physical_512);
	assert_string_equal(machine.system.quota, "20G");
	assert_string_equal(machine.note, "the one by the window");
	assert_int_equal(machine.mode, MODE_EPHEMERAL);
	/* What concerns the disk is not done to a running machine; the rest is. */
	run(w, true);
	set(w, "mode", "persistent", -EBUSY);
	set(w, "name", "alice", 0);
	run(w, false);
	assert_string_equal(world_machine(w, "alice").iqn, machine.iqn);
}

static uint64_t disk_size(struct world *w)
{
	struct machine machine = world_machine(w, "pc-001");
	struct volume_info info;

	assert_int_equal(store_volume_info(w->store, &machine.system, NULL, &info), 0);
	return info.virtual_bytes;
}

/* A disk grows, open or closed, and keeps what is on it; the next one, after a reset, is as large. */
static void test_set_size(void **state)
{
	struct world *w = *state;
	struct machine machine = start(w, MAC1);
	uint64_t before = disk_size(w);
	uint16_t status;
	struct reason why;

	set(w, "size", "", -EINVAL);
	set(w, "size", "5000", -EINVAL);
	set(w, "size", "0", -EINVAL);
	set(w, "size", "1M", -EINVAL);
	assert_non_null(strstr(reason.text, "a disk only grows"));
	set(w, "size", "17T", -EINVAL);
	assert_int_equal(world_machine(w, "pc-001").system.size_bytes, 0);
	assert_int_equal(disk_size(w), before);
	/* while it runs */
	assert_int_equal(world_write_block(w, 8192, 0x55, true), 0);
	set(w, "size", "10G", 0);
	assert_non_null(strstr(
		reason.text,
		"pc-001 runs: it sees the new size after a rescan; on Linux: for d in /sys/class/scsi_device/*:0;"));
	assert_non_null(w->disk);
	assert_int_equal(w->disk->size_bytes, (uint64_t)10 << 30);
	assert_false(boot_volume_is_closed(w->boot, machine.system.id));
	assert_int_equal(world_write_block(w, (uint64_t)9 << 30, 0x66, true), 0);
	assert_int_equal(disk_size(w), (uint64_t)10 << 30);
	assert_int_equal(world_machine(w, "pc-001").system.size_bytes, (uint64_t)10 << 30);
	/* while somebody else changes it */
	assert_int_equal(disks_claim(&w->boot->disks, machine.system.id), 0);
	set(w, "size", "12G", -EBUSY);
	disks_unclaim(&w->boot->disks, machine.system.id);
	/* while it is off */
	world_close(w);
	set(w, "size", "11G", 0);
	assert_int_equal(disk_size(w), (uint64_t)11 << 30);
	assert_string_equal(world_machine(w, "pc-001").system.object, machine.system.object);
	assert_non_null(world_open(w, machine.id, 1, &status, &why));
	assert_int_equal(w->disk->size_bytes, (uint64_t)11 << 30);
	world_close(w);
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	assert_string_not_equal(world_machine(w, "pc-001").system.object, machine.system.object);
	assert_int_equal(disk_size(w), (uint64_t)11 << 30);
}

static void session(struct world *w, int64_t machine_id, const char *ended_why)
{
	boot_target_session(w->boot, machine_id, &w->session, ended_why);
}

/* Who was logged in when the server went away may come back: until then nobody takes its disk. */
static void test_resume(void **state)
{
	struct world *w = *state;
	struct machine machine = start(w, MAC1);
	uint16_t status;
	struct reason why;

	/* Killed under two sessions; one of them had ended. */
	session(w, machine.id, NULL);
	session(w, machine.id, NULL);
	session(w, machine.id, "logout");
	world_restart(w);
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "pc-001 ran when the server was stopped"));
	assert_non_null(strstr(reason.text, "may come back: wait 1"));
	assert_non_null(strstr(reason.text, "machine release pc-001"));
	assert_int_equal(boot_remove(w->boot, "pc-001", true, "ctl", &reason), -EBUSY);
	assert_int_equal(boot_swap(w->boot, "pc-001", MAC3, "ctl", &reason), -EBUSY);
	set(w, "mode", "ephemeral", -EBUSY);
	set(w, "note", "does not concern the disk", 0);
	assert_string_equal(world_machine(w, "pc-001").system.object, machine.system.object);
	/* It is back, and shuts down: off. */
	session(w, machine.id, NULL);
	session(w, machine.id, "logout");
	set(w, "mode", "ephemeral", 0);
	set(w, "mode", "persistent", 0);
	/* It was off when the server stopped. */
	world_restart(w);
	set(w, "mode", "ephemeral", 0);
	set(w, "mode", "persistent", 0);
	/* Stopped in order: the sessions end, the machine goes on. */
	session(w, machine.id, NULL);
	boot_stopping(w->boot);
	session(w, machine.id, "the server stops");
	world_restart(w);
	set(w, "mode", "ephemeral", -EBUSY);
	/* A second restart before it is back. */
	world_restart(w);
	set(w, "mode", "ephemeral", -EBUSY);
	/* A person knows better. */
	assert_int_equal(boot_release(w->boot, "pc-001", "ctl", &reason), 0);
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	/* The time is over. */
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	assert_non_null(world_open(w, machine.id, 2, &status, &why));
	world_close(w);
	w->session.boot = 2;
	session(w, machine.id, NULL);
	world_restart(w);
	set(w, "mode", "ephemeral", -EBUSY);
	presence_set_resume(&w->boot->presence, machine.id, time_monotonic_ms());
	set(w, "mode", "ephemeral", 0);
}

static void test_set_image(void **state)
{
	struct world *w = *state;
	struct machine before, after;

	start(w, MAC1);
	run(w, false);
	world_add_image(w, "other", 'o');
	before = world_machine(w, MAC1);
	set(w, "image", "nothing", -ENOENT);
	set(w, "image", "other@7", -ENOENT);
	set(w, "image", "other@", -EINVAL);
	set(w, "image", "../x", -EINVAL);
	set(w, "image", "debian", 0); /* what it has */
	assert_string_equal(world_machine(w, MAC1).system.object, before.system.object);
	/* Its disk holds data of its own. */
	set(w, "image", "other", -EEXIST);
	assert_non_null(strstr(reason.text, "machine reset"));
	assert_string_equal(world_machine(w, MAC1).system.object, before.system.object);
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), 0);
	set(w, "image", "other", 0);
	after = world_machine(w, MAC1);
	assert_int_not_equal(after.system.version_id, before.system.version_id);
	assert_int_equal(world_children(w), 1);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", "boots other@1");
}

static void test_sessions(void **state)
{
	struct world *w = *state;
	struct boot_sessions sessions;
	struct machine machine = start(w, MAC1);

	assert_int_equal(boot_list_sessions(w->boot, machine.id, &sessions), 0);
	assert_int_equal(sessions.count, 0);
	free(sessions.list);
	w->sessions = 20;
	assert_int_equal(boot_list_sessions(w->boot, machine.id, &sessions), 0);
	assert_int_equal(sessions.count, 20);
	assert_string_equal(sessions.list[19].address, "10.0.0.9:1");
	free(sessions.list);
	w->sessions_err = -ENOMEM;
	assert_int_equal(boot_list_sessions(w->boot, machine.id, &sessions), -ENOMEM);
	w->sessions = 0;
	assert_int_equal(boot_list_sessions(w->boot, machine.id, &sessions), -ENOMEM);
	w->sessions_err = 0;
}

/* Who cannot see whether a machine runs does not touch its disk. */
static void test_sessions_unknown(void **state)
{
	struct world *w = *state;
	struct machine machine = start(w, MAC1), after;

	run(w, false);
	w->sessions_err = -ENOMEM;
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), -ENOMEM);
	assert_non_null(strstr(reason.text, "pc-001 runs: "));
	assert_int_equal(boot_swap(w->boot, "pc-001", MAC2, "ctl", &reason), -ENOMEM);
	assert_int_equal(boot_remove(w->boot, "pc-001", true, "ctl", &reason), -ENOMEM);
	assert_non_null(w->disk);
	assert_int_equal(w->releases, 0);
	after = world_machine(w, MAC1);
	assert_string_equal(after.system.object, machine.system.object);
	assert_int_equal(world_children(w), 1);
	/* Nothing is left claimed. */
	w->sessions_err = 0;
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), 0);
}

struct racer {
	struct world *world;
	int err;
	bool remove;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct reason why;

	racer->err = racer->remove ? boot_remove(racer->world->boot, "pc-001", true, "ctl", &why) :
				     boot_reset(racer->world->boot, "pc-001", "ctl", &why);
	return NULL;
}

/* Two people at once: each is either done or refused; never half. */
static void test_race(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 20; i++) {
		struct racer racers[3] = { { w, 1, false }, { w, 1, false }, { w, 1, true } };
		pthread_t threads[3];
		unsigned done = 0;

		world_expect(w, MAC1, UUID1, "vm1", "sanboot", "machine pc-001");
		for (int t = 0; t < 3; t++)
			assert_int_equal(pthread_create(&threads[t], NULL, race, &racers[t]), 0);
		for (int t = 0; t < 3; t++) {
			pthread_join(threads[t], NULL);
			assert_true(racers[t].err == 0 || racers[t].err == -EBUSY || racers[t].err == -ENOENT);
			done += racers[t].err == 0;
		}
		assert_true(done > 0);
		assert_int_equal(world_children(w), world_machine_count(w));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reset),
		TEST(test_reset_no_space),
		TEST(test_swap),
		TEST(test_remove),
		TEST(test_mac),
		TEST(test_set),
		TEST(test_set_size),
		TEST(test_resume),
		TEST(test_set_image),
		TEST(test_sessions),
		TEST(test_sessions_unknown),
		TEST(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
