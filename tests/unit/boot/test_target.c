// SPDX-License-Identifier: GPL-2.0-or-later
/* Targets: who may log in, how a boot begins, what opens and closes, and what a failure leaves. */
#include "world.h"

#include "base/loop.h"
#include "base/util.h"
#include "boot/ask/enrol.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct machine enrol(struct world *w, const char *mac)
{
	world_expect(w, mac, "", "", "sanboot", NULL);
	return world_machine(w, mac);
}

static void test_find(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct machine_boot current, pending;
	struct boot_access access = world_find(w, machine.iqn, "whoever");
	char initiator[IQN_MAX_TEXT];

	world_boots(w, machine.id, &current, &pending);
	enrol_initiator(machine.iqn, initiator);
	assert_int_equal(access.machine_id, machine.id);
	assert_string_equal(access.iqn, machine.iqn);
	assert_int_equal(access.auth, AUTH_CHAP);
	assert_false(access.many);
	assert_string_equal(access.initiator, initiator);
	assert_int_equal(access.current.boot, 0);
	assert_int_equal(access.pending.boot, 1);
	assert_true(access.pending.pending);
	assert_string_equal(access.pending.secret, pending.secret);
	assert_string_equal(access.pending.user, strrchr(machine.iqn, ':') + 1);
	assert_string_equal(access.pending.reverse_secret, "");
	access = world_find(w, "iqn.2026-11.org.example:sanbootd:nobody", "whoever");
	assert_int_equal(access.machine_id, 0);
	assert_int_equal(access.login_status, 0x0203);
	assert_true(access.reason.text[0]);
	access = world_find(w, "", "");
	assert_int_equal(access.login_status, 0x0203);
	world_policy(w, "auth", "mutual");
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	access = world_find(w, machine.iqn, initiator);
	assert_int_equal(access.auth, AUTH_MUTUAL);
	assert_int_equal(access.current.boot, 1);
	assert_int_equal(access.pending.boot, 0);
	assert_string_equal(access.current.secret, pending.secret);
	assert_string_equal(access.current.reverse_secret, pending.reverse_secret);
	assert_string_equal(access.current.reverse_user, "sanbootd");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	access = world_find(w, machine.iqn, initiator);
	assert_int_equal(access.current.boot, 1);
	assert_int_equal(access.pending.boot, 2);
}

/* Nobody asked for a script: with a secret there is no way in; without one a boot is made up. */
static void test_find_without_boot(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct reason reason;
	struct boot_access access;

	assert_int_equal(boot_release(w->boot, MAC1, "ctl", &reason), 0);
	access = world_find(w, machine.iqn, "");
	assert_int_equal(access.machine_id, 0);
	assert_int_equal(access.login_status, 0x0202);
	world_policy(w, "auth", "none");
	access = world_find(w, machine.iqn, "");
	assert_int_equal(access.machine_id, machine.id);
	assert_int_equal(access.auth, AUTH_NONE);
	assert_string_equal(access.initiator, "");
	assert_int_equal(access.pending.boot, 2);
	assert_string_equal(access.pending.secret, "");
	assert_string_equal(access.pending.user, "");
	access = world_find(w, machine.iqn, "");
	assert_int_equal(access.pending.boot, 2);
	/* access=many: any name, but the secret. */
	world_policy(w, "auth", "chap");
	assert_int_equal(boot_set(w->boot, MAC1, "access", "many", "ctl", &reason), 0);
	access = world_find(w, machine.iqn, "");
	assert_true(access.many);
	assert_string_equal(access.initiator, "");
	assert_int_equal(strlen(access.pending.secret), 16);
}

static int set_interrupted(struct inventory_tx *tx, void *arg)
{
	return machine_boot_set_interrupted(tx, *(int64_t *)arg, 1);
}

/* Invariant 4: the secret of an interrupted boot opens nothing any more; the next boot's does. */
static void test_interrupted(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct boot_access access;
	struct reason reason;
	uint16_t status;

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_int_equal(world_write(w, set_interrupted, &machine.id), 0);
	access = world_find(w, machine.iqn, "");
	assert_int_equal(access.machine_id, 0);
	assert_int_equal(access.login_status, 0x0202);
	assert_null(world_open(w, machine.id, 1, &status, &reason));
	assert_int_equal(status, 0x0301);
	assert_non_null(strstr(reason.text, "interrupted"));
	world_policy(w, "auth", "none");
	access = world_find(w, machine.iqn, "");
	assert_int_equal(access.machine_id, 0);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	access = world_find(w, machine.iqn, "");
	assert_int_equal(access.machine_id, machine.id);
	assert_int_equal(access.current.boot, 0);
	assert_int_equal(access.pending.boot, 2);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	assert_non_null(world_open(w, machine.id, 2, &status, &reason));
}

static void test_power(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct machine_boot current, pending;
	struct reason reason;
	uint16_t status;

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	world_lose_power(w, machine.system.object, w->disk);
	/* The boot that wrote it must not go on... */
	assert_null(world_open(w, machine.id, 1, &status, &reason));
	assert_int_equal(status, 0x0301);
	assert_non_null(strstr(reason.text, "loss of power"));
	assert_int_equal(world_events(w, "boot-interrupted"), 1);
	world_boots(w, machine.id, &current, &pending);
	assert_true(current.interrupted);
	assert_int_equal(world_find(w, machine.iqn, "").login_status, 0x0202);
	assert_null(world_open(w, machine.id, 1, &status, &reason));
	/* ...and the next one may. */
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(world_find(w, machine.iqn, "").pending.boot, 2);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	assert_non_null(world_open(w, machine.id, 2, &status, &reason));
}

/* The machine asked for a script before anybody opened the disk again: its new boot has lost nothing. */
static void test_power_new_boot(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct machine_boot current, pending;
	struct reason reason;
	uint16_t status;

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	world_lose_power(w, machine.system.object, w->disk);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	assert_non_null(world_open(w, machine.id, 2, &status, &reason));
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number, 2);
	assert_false(current.interrupted);
	assert_int_equal(world_events(w, "boot-interrupted"), 0);
}

static int forget_host_boot(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	return setting_set(tx, "host-boot-id", "another");
}

/* A disk for one boot only that lost writes with the server's power: a new one, and that boot is over. */
static void test_power_ephemeral(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct machine_boot current, pending;
	struct reason reason, why;
	uint16_t status;

	assert_int_equal(boot_set(w->boot, MAC1, "mode", "ephemeral", "ctl", &reason), 0);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	machine = world_machine(w, MAC1);
	assert_non_null(world_open(w, machine.id, 1, &status, &why));
	world_lose_power(w, machine.system.object, w->disk);
	assert_int_equal(world_write(w, forget_host_boot, NULL), 0);
	world_restart(w);
	machine = world_machine(w, MAC1);
	assert_true(machine.system.fresh);
	assert_false(world_boots(w, machine.id, &current, &pending));
	assert_int_equal(world_events(w, "disk-made-again"), 1);
	assert_int_equal(world_children(w), 1);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
}

static int set_failed(struct inventory_tx *tx, void *arg)
{
	struct machine machine;
	int err = machine_by_mac(tx, arg, &machine);

	machine.system.state = VOLUME_FAILED;
	return err ? err : machine_update(tx, &machine);
}

/* Lifting means: what is in the file counts, nothing beside it does, and the boot that believed otherwise is over. */
static void test_lifted(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	char path[PATH_MAX], journal[PATH_MAX + 8];
	struct reason reason, why;
	uint16_t status;

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &why));
	world_die(w, machine.system.object, w->disk);
	snprintf(path, sizeof(path), "%s/children/%s", w->dir, machine.system.object);
	snprintf(journal, sizeof(journal), "%s.journal", path);
	assert_int_equal(access(journal, F_OK), 0);
	assert_int_equal(world_write(w, set_failed, (void *)MAC1), 0);
	assert_int_equal(boot_set(w->boot, MAC1, "state", "ready", "ctl", &reason), 0);
	assert_int_equal(access(journal, F_OK), -1);
	assert_null(world_open(w, machine.id, 1, &status, &why));
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	assert_non_null(world_open(w, machine.id, 2, &status, &why));
}

struct listed {
	sem_t done;
	char iqns[8][IQN_MAX_TEXT];
	unsigned count;
};

static void on_listed(void *arg, const char *iqn, int err)
{
	struct listed *listed = arg;

	assert_int_equal(err, 0);
	if (!iqn)
		sem_post(&listed->done);
	else if (listed->count < array_len(listed->iqns))
		snprintf(listed->iqns[listed->count++], IQN_MAX_TEXT, "%s", iqn);
}

static struct listed list(struct world *w, const char *initiator)
{
	struct listed listed = { .count = 0 };

	sem_init(&listed.done, 0, 0);
	boot_target_list(w->boot, initiator, w->io, on_listed, &listed);
	sem_wait(&listed.done);
	return listed;
}

/* SendTargets tells each initiator its own target and no other. */
static void test_list(void **state)
{
	struct world *w = *state;
	struct machine one = enrol(w, MAC1), two = enrol(w, MAC2);
	char initiator[IQN_MAX_TEXT];
	struct reason reason;
	struct listed listed;

	enrol_initiator(two.iqn, initiator);
	listed = list(w, initiator);
	assert_int_equal(listed.count, 1);
	assert_string_equal(listed.iqns[0], two.iqn);
	assert_int_equal(list(w, "iqn.1993-08.org.debian:01:abc").count, 0);
	assert_int_equal(list(w, "").count, 0);
	assert_int_equal(boot_set(w->boot, one.name, "auth", "none", "ctl", &reason), 0);
	assert_int_equal(list(w, "").count, 1);
	assert_int_equal(list(w, initiator).count, 2);
}

static void test_open(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	char path[PATH_MAX];
	struct reason reason;
	struct stat st;
	uint16_t status;

	assert_true(machine.system.fresh);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	assert_int_equal(status, 0);
	/* Durable before the login is answered: it is not fresh any more. */
	assert_false(world_machine(w, MAC1).system.fresh);
	snprintf(path, sizeof(path), "%s/children/%s", w->dir, machine.system.object);
	assert_int_equal(stat(path, &st), 0);
	assert_null(world_open(w, machine.id, 1, &status, &reason));
	assert_int_equal(status, 0x0301);
	assert_int_equal(world_write_block(w, 8192, 'x', true), 0);
	world_close(w);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	world_restart(w);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	/* A machine that is gone. */
	world_close(w);
	assert_null(world_open(w, 4711, 1, &status, &reason));
	assert_int_equal(status, 0x0301);
	assert_true(reason.text[0]);
}

/* A boot keeps the rule under which it began; the next one is under that of now. */
static void test_rule_changes(void **state)
{
	static const struct {
		const char *begun, *now;
		enum auth_kind current, next;
	} changes[] = {
		{ "none", "chap", AUTH_NONE, AUTH_CHAP },
		{ "chap", "none", AUTH_CHAP, AUTH_NONE },
		{ "chap", "mutual", AUTH_CHAP, AUTH_MUTUAL },
		{ "mutual", "chap", AUTH_MUTUAL, AUTH_CHAP },
	};
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct boot_access access;

	for (unsigned i = 0; i < array_len(changes); i++) {
		world_policy(w, "auth", changes[i].begun);
		world_expect(w, MAC1, "", "", "sanboot", NULL);
		assert_int_equal(world_begin(w, machine.id, i + 1), 0);
		world_policy(w, "auth", changes[i].now);
		world_expect(w, MAC1, "", "", "sanboot", NULL);
		access = world_find(w, machine.iqn, "whoever");
		assert_int_equal(access.auth, changes[i].next);
		assert_int_equal(access.current.boot, i + 1);
		assert_int_equal(access.current.auth, changes[i].current);
		assert_int_equal(access.current.secret[0] != '\0', changes[i].current != AUTH_NONE);
		assert_int_equal(access.current.reverse_secret[0] != '\0', changes[i].current == AUTH_MUTUAL);
		assert_int_equal(access.pending.boot, i + 2);
		assert_int_equal(access.pending.auth, changes[i].next);
		assert_int_equal(access.pending.secret[0] != '\0', changes[i].next != AUTH_NONE);
	}
}

/* Invariant 7: changed behind our back, it is not booted from; the event says so once, not with each attempt. */
static void test_golden_changed(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	char path[PATH_MAX];
	struct reason reason;
	uint16_t status;
	int fd;

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	snprintf(path, sizeof(path), "%s/images/debian@1.raw", w->dir);
	assert_int_equal(chmod(path, 0644), 0);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "garbage", 7, 100), 7);
	close(fd);
	for (int i = 0; i < 3; i++) {
		assert_null(world_open(w, machine.id, 1, &status, &reason));
		assert_int_equal(status, 0x0301);
		assert_true(reason.text[0]);
	}
	assert_int_equal(world_events(w, "golden-changed"), 1);
	/* Put right again, the machine goes on. */
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "ddddddd", 7, 100), 7);
	close(fd);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
}

static void test_ephemeral(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1), after;
	struct reason reason, why;
	uint16_t status;

	assert_false(boot_target_begin_needs_closed(w->boot, machine.id));
	assert_int_equal(boot_set(w->boot, MAC1, "mode", "ephemeral", "ctl", &reason), 0);
	assert_true(boot_target_begin_needs_closed(w->boot, machine.id));
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	after = world_machine(w, MAC1);
	assert_string_not_equal(after.system.object, machine.system.object);
	assert_non_null(world_open(w, machine.id, 1, &status, &why));
	/* Its disk has to be closed before the next boot begins. */
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, machine.id, 2), -EBUSY);
	assert_string_equal(world_machine(w, MAC1).system.object, after.system.object);
	world_close(w);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	assert_string_not_equal(world_machine(w, MAC1).system.object, after.system.object);
	assert_non_null(world_open(w, machine.id, 2, &status, &why));
	/* After a restart it is known again as soon as somebody logs in. */
	world_restart(w);
	assert_int_equal(world_children(w), 1);
	world_find(w, machine.iqn, "");
	assert_true(boot_target_begin_needs_closed(w->boot, machine.id));
}

static void test_ephemeral_no_space(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct reason reason;
	struct machine_boot current, pending;

	assert_int_equal(boot_set(w->boot, MAC1, "mode", "ephemeral", "ctl", &reason), 0);
	world_policy(w, "reserve", "8000T");
	assert_int_equal(world_begin(w, machine.id, 1), -ENOSPC);
	assert_string_equal(world_machine(w, MAC1).system.object, machine.system.object);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(pending.number, 1);
	assert_int_equal(current.number, 0);
	assert_int_equal(world_events(w, "no-space"), 1);
	world_policy(w, "reserve", "0%");
	assert_int_equal(world_begin(w, machine.id, 1), 0);
}

struct event_call {
	struct loop_msg msg;
	struct disk *disk;
	enum disk_event event;
	sem_t done;
};

static void raise_event(struct loop_msg *msg)
{
	struct event_call *call = container_of(msg, struct event_call, msg);

	call->disk->on_event(call->disk->event_arg, call->event, "fdatasync failed");
	sem_post(&call->done);
}

static void disk_event(struct world *w, enum disk_event event)
{
	struct event_call call = { .msg.run = raise_event, .disk = w->disk, .event = event };

	sem_init(&call.done, 0, 0);
	loop_post(w->io, &call.msg);
	sem_wait(&call.done);
	sem_destroy(&call.done);
}

/* Invariant 5: no login until a person lifts it. */
static void test_failed(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct boot_access access;
	struct reason reason, why;
	uint16_t status;

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &why));
	disk_event(w, DISK_NO_SPACE);
	disk_event(w, DISK_NO_SPACE);
	assert_int_equal(world_events(w, "no-space"), 1);
	disk_event(w, DISK_FAILED);
	assert_int_equal(world_events(w, "disk-failed"), 1);
	assert_int_equal(world_machine(w, MAC1).system.state, VOLUME_FAILED);
	access = world_find(w, machine.iqn, "");
	assert_int_equal(access.machine_id, 0);
	assert_int_equal(access.login_status, 0x0301);
	world_close(w);
	assert_null(world_open(w, machine.id, 1, &status, &why));
	assert_non_null(strstr(why.text, "fdatasync failed"));
	world_expect(w, MAC1, "", "", "wait", "its disk on the server failed");
	assert_int_equal(boot_set(w->boot, MAC1, "state", "ready", "ctl", &reason), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &why));
	disk_event(w, DISK_FAILED);
	world_events(w, "");
	world_close(w);
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), 0);
	assert_int_equal(world_machine(w, MAC1).system.state, VOLUME_READY);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
}

static void test_notes(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct boot_session session = { .address = "10.0.0.9:1", .ipxe = true, .boot = 1 };

	boot_target_session(w->boot, machine.id, &session, NULL);
	boot_target_session(w->boot, machine.id, &session, "the peer has closed it");
	assert_int_equal(world_events(w, "session-began"), 1);
	assert_int_equal(world_events(w, "session-ended"), 1);
	for (int i = 0; i < 1000; i++)
		boot_target_refused(w->boot, 0, "iqn.\x01", "who\n", "10.0.0.66:5", "no machine has this target name");
	assert_true(world_events(w, "login-refused") <= 6);
	assert_true(world_events(w, "login-refused") > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_find),
		TEST(test_rule_changes),
		TEST(test_find_without_boot),
		TEST(test_interrupted),
		TEST(test_power),
		TEST(test_power_new_boot),
		TEST(test_power_ephemeral),
		TEST(test_lifted),
		TEST(test_list),
		TEST(test_open),
		TEST(test_golden_changed),
		TEST(test_ephemeral),
		TEST(test_ephemeral_no_space),
		TEST(test_failed),
		TEST(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
