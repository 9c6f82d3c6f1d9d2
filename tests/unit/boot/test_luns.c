// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a login opens where a machine has several volumes: all in order, but those that cannot be opened; and who is
 * first.
 */
#include "world.h"

#include "base/util.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason, why;

/* pc-001 and pc-002, whose first boots have begun. */
static int setup(void **state)
{
	struct world *w = world_new(true);

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, 1, 1), 0);
	assert_int_equal(world_begin(w, 2, 1), 0);
	*state = w;
	return 0;
}

static void make(struct world *w, const char *machine, const char *name, enum volume_kind kind, int lun)
{
	struct boot_volume_new what = { .machine = machine, .name = name, .kind = kind, .lun = lun };
	int64_t id;

	if (kind == VOLUME_DATA)
		what.size_bytes = 16 << 20;
	else
		what.from = "debian";
	if (boot_volume_create(w->boot, &what, "ctl", &id, &reason))
		fail_msg("%s", reason.text);
}

static void attach(struct world *w, const char *volume, const char *machine)
{
	if (boot_volume_attach(w->boot, volume, machine, -1, "ctl", &reason))
		fail_msg("%s", reason.text);
}

static int detach(struct world *w, const char *volume, const char *machine)
{
	return boot_volume_detach(w->boot, volume, machine, false, "ctl", &reason);
}

/* Opens what pc-001 has; how many LUNs. */
static unsigned open_it(struct world *w)
{
	uint16_t status;

	return world_open(w, 1, 1, &status, &why) ? w->lun_count : 0;
}

static void unlink_object(struct world *w, const char *which)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/children/%s", w->dir, world_volume(w, which).object);
	assert_int_equal(unlink(path), 0);
}

static void test_order(void **state)
{
	static const unsigned numbers[] = { 0, 2, 3, 7, 255 };
	struct world *w = *state;

	make(w, "pc-001", "last", VOLUME_CD, 255);
	make(w, "pc-001", "data", VOLUME_DATA, 7);
	make(w, "pc-001", "tools", VOLUME_SHARED, 2);
	make(w, "pc-001", "more", VOLUME_DATA, 3);
	make(w, "pc-002", "other", VOLUME_DATA, 1);
	assert_int_equal(boot_volume_set(w->boot, "data", "physical-block", "512", "ctl", &reason), 0);
	assert_int_equal(open_it(w), array_len(numbers));
	for (unsigned i = 0; i < array_len(numbers); i++) {
		const struct boot_lun *lun = &w->luns[i];
		char text[32];

		assert_int_equal(lun->number, numbers[i]);
		snprintf(text, sizeof(text), "pc-001:%u", numbers[i]);
		assert_int_equal(lun->volume_id, world_volume(w, text).id);
		assert_int_equal(lun->kind, world_volume(w, text).kind);
		assert_int_equal(lun->physical_512, numbers[i] == 7);
		assert_int_equal(lun->disk->read_only, volume_kind_is_shared(lun->kind));
		assert_int_equal(lun->disk->size_bytes, lun->kind == VOLUME_DATA ? 16 << 20 : 4 << 20);
		/* By its serial number a system tells one from the other, also where both are the same version. */
		assert_int_equal(lun->serial[0] == '\0', i == 0);
		for (unsigned other = 0; other < i; other++)
			assert_string_not_equal(lun->serial, w->luns[other].serial);
	}
	/* Not while somebody uses it. */
	assert_int_equal(boot_volume_set(w->boot, "data", "physical-block", "4096", "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "volume data is in use by pc-001"));
	assert_int_equal(world_read_disk(w, w->luns[0].disk, 0), 'd');
	assert_int_equal(world_read_disk(w, w->luns[1].disk, 0), 'd');
	assert_int_equal(world_read_disk(w, w->luns[2].disk, 0), 0);
	assert_int_equal(world_write_disk(w, w->luns[1].disk, 0, 'x', false), -EROFS);
	/* Nobody has used them before now. */
	assert_false(world_volume(w, "data").fresh);
	assert_true(world_volume(w, "other").fresh);
	world_close(w);
	assert_true(boot_volume_is_closed(w->boot, world_volume(w, "data").id));
}

static int last_machine(void *arg, const struct event *event)
{
	if (!strcmp(event->kind, "disk-missing"))
		*(int64_t *)arg = event->machine_id;
	return 0;
}

static int read_missing(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 1000, last_machine, arg);
}

/* Whose disk is said to be missing. */
static int64_t missing_of(struct world *w)
{
	int64_t machine_id = 0;

	assert_int_equal(inventory_read_call(w->inventory, read_missing, &machine_id), 0);
	return machine_id;
}

/* A machine without its data disk can still be asked what is wrong with it. */
static void test_left_out(void **state)
{
	struct world *w = *state;

	make(w, "pc-001", "lost", VOLUME_DATA, 1);
	make(w, "pc-001", "good", VOLUME_DATA, 2);
	assert_int_equal(open_it(w), 3);
	world_close(w);
	unlink_object(w, "lost");
	assert_int_equal(open_it(w), 2);
	assert_null(world_lun(w, 1));
	assert_non_null(world_lun(w, 2));
	assert_int_equal(world_events(w, "volume-left-out"), 1);
	assert_true(boot_volume_is_closed(w->boot, world_volume(w, "lost").id));
	world_close(w);
	/* The next start says that it is lost. */
	world_restart(w);
	assert_int_equal(world_volume(w, "lost").state, VOLUME_FAILED);
	assert_int_equal(world_events(w, "disk-missing"), 1);
	assert_int_equal(missing_of(w), 1);
	assert_int_equal(open_it(w), 2);
	assert_int_equal(world_events(w, "volume-left-out"), 2);
	world_close(w);
	/* Not so its system volume. */
	unlink_object(w, "pc-001:0");
	assert_int_equal(open_it(w), 0);
	assert_true(boot_volume_is_closed(w->boot, world_volume(w, "good").id));
	assert_int_equal(detach(w, "lost", NULL), 0);
	assert_int_equal(boot_volume_remove(w->boot, "lost", "ctl", &reason), 0);
}

/* A golden image that has changed is a shared volume that has changed. */
static void test_golden_changed(void **state)
{
	struct world *w = *state;
	char path[256], command[400];

	world_add_image(w, "tools", 't');
	struct boot_volume_new what = {
		.machine = "pc-001", .name = "tools", .kind = VOLUME_SHARED, .lun = 1, .from = "tools"
	};
	int64_t id;

	assert_int_equal(boot_volume_create(w->boot, &what, "ctl", &id, &reason), 0);
	assert_int_equal(open_it(w), 2);
	world_close(w);
	snprintf(path, sizeof(path), "%s/images/tools@1.raw", w->dir);
	snprintf(command, sizeof(command), "printf x | dd of='%s' bs=1 seek=4096 conv=notrunc status=none", path);
	assert_int_equal(system(command), 0);
	assert_int_equal(open_it(w), 1);
	assert_int_equal(world_events(w, "golden-changed"), 1);
	assert_int_equal(world_events(w, "volume-left-out"), 1);
}

/* Invariant 4 holds for all that a boot writes to. */
static void test_interrupted(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending;

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	make(w, "pc-001", "more", VOLUME_DATA, 2);
	assert_int_equal(open_it(w), 3);
	world_lose_power(w, world_volume(w, "data").object, world_lun(w, 1)->disk);
	assert_int_equal(open_it(w), 0);
	assert_non_null(strstr(why.text, "was interrupted by a loss of power"));
	assert_int_equal(world_events(w, "boot-interrupted"), 1);
	assert_true(boot_volume_is_closed(w->boot, 1));
	assert_true(boot_volume_is_closed(w->boot, world_volume(w, "data").id));
	assert_true(boot_volume_is_closed(w->boot, world_volume(w, "more").id));
	world_boots(w, 1, &current, &pending);
	assert_true(current.interrupted);
	/* The next boot goes on with what is left of it. */
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, 1, 2), 0);
	uint16_t status;

	assert_non_null(world_open(w, 1, 2, &status, &why));
	assert_int_equal(w->lun_count, 3);
}

/* Nobody's boot has lost what an attached volume lost. */
/* What an ephemeral machine keeps is kept as any other's: it boots again, too, where that was lost. */
static void test_interrupted_ephemeral(void **state)
{
	struct world *w = *state;

	assert_int_equal(boot_set(w->boot, "pc-001", "mode", "ephemeral", "ctl", &reason), 0);
	make(w, "pc-001", "data", VOLUME_DATA, 1);
	assert_int_equal(open_it(w), 2);
	world_lose_power(w, world_volume(w, "data").object, world_lun(w, 1)->disk);
	assert_int_equal(open_it(w), 0);
	assert_non_null(strstr(why.text, "was interrupted by a loss of power"));
}

static void test_interrupted_attached(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending;

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	assert_int_equal(open_it(w), 2);
	world_lose_power(w, world_volume(w, "data").object, world_lun(w, 1)->disk);
	assert_int_equal(detach(w, "data", NULL), 0);
	assert_int_equal(open_it(w), 1);
	attach(w, "data", "pc-001");
	assert_non_null(world_lun(w, 1));
	world_boots(w, 1, &current, &pending);
	assert_false(current.interrupted);
}

/* ---- a shared one ---- */

static int delete_version(struct inventory_tx *tx, void *arg)
{
	return version_delete(tx, *(int64_t *)arg);
}

static void test_shared(void **state)
{
	struct world *w = *state;
	struct boot_lun luns[8];
	int64_t version;

	make(w, "pc-001", "tools", VOLUME_SHARED, 1);
	make(w, "pc-002", "cd", VOLUME_CD, 4);
	version = world_volume(w, "tools").version_id;
	attach(w, "tools", "pc-002");
	assert_int_equal(world_children(w), 2);
	assert_int_equal(open_it(w), 2);
	assert_int_equal(world_open_luns(w, 2, 1, luns, &why), 3);
	/* One disk, and so one copy of what is read; also as a CD. */
	assert_ptr_equal(luns[1].disk, world_lun(w, 1)->disk);
	assert_ptr_equal(luns[2].disk, luns[1].disk);
	assert_ptr_not_equal(luns[0].disk, w->luns[0].disk);
	/* It is open until the last has closed it. */
	world_close(w);
	assert_int_equal(world_read_disk(w, luns[1].disk, 0), 'd');
	assert_int_equal(open_it(w), 2);
	assert_ptr_equal(luns[1].disk, world_lun(w, 1)->disk);
	world_close_luns(w, luns, 3);
	assert_int_equal(world_read_disk(w, world_lun(w, 1)->disk, 4096), 'd');
	/* One machine loses it, the other keeps it; its image stays while anybody might want it. */
	assert_int_equal(detach(w, "tools", "pc-002"), 0);
	assert_int_equal(world_read_disk(w, world_lun(w, 1)->disk, 4096), 'd');
	assert_int_equal(detach(w, "tools", "pc-001"), 0);
	assert_null(world_lun(w, 1));
	assert_int_equal(world_write(w, delete_version, &version), -EBUSY);
	assert_int_equal(store_remove_version(w->store, version, "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "2 shared volumes or CDs stand on it"));
	assert_int_equal(boot_volume_remove(w->boot, "tools", "ctl", &reason), 0);
}

/* ---- who is first ---- */

static void test_claimed(void **state)
{
	struct world *w = *state;
	int64_t id;

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	id = world_volume(w, "data").id;
	assert_int_equal(disks_claim(&w->boot->disks, id), 0);
	assert_int_equal(open_it(w), 1);
	assert_int_equal(world_events(w, "volume-left-out"), 1);
	disks_unclaim(&w->boot->disks, id);
	world_close(w);
	assert_int_equal(open_it(w), 2);
	world_close(w);
	assert_int_equal(disks_claim(&w->boot->disks, 1), 0);
	assert_int_equal(open_it(w), 0);
	assert_non_null(strstr(why.text, "being changed or closed just now"));
	disks_unclaim(&w->boot->disks, 1);
	assert_int_equal(open_it(w), 2);
}

struct detacher {
	struct world *world;
	int err;
	struct reason reason;
};

static void *detach_thread(void *arg)
{
	struct detacher *d = arg;

	d->err = boot_volume_detach(d->world->boot, "data", NULL, true, "ctl", &d->reason);
	return NULL;
}

/* It waits for who is opening the volume, and keeps the next one out meanwhile. */
static void test_detach_while_opening(void **state)
{
	struct world *w = *state;
	struct detacher d = { .world = w };
	pthread_t thread;
	int64_t id;

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	id = world_volume(w, "data").id;
	assert_int_equal(disks_open_begin(&w->boot->disks, id), 0);
	assert_int_equal(pthread_create(&thread, NULL, detach_thread, &d), 0);
	while (!disks_is_claimed(&w->boot->disks, id))
		sched_yield();
	assert_string_equal(world_volume(w, "pc-001:1").name, "data");
	assert_int_equal(open_it(w), 1);
	disks_open_end(&w->boot->disks, id, false);
	pthread_join(thread, NULL);
	if (d.err)
		fail_msg("%s", d.reason);
	assert_int_equal(world_volume(w, "pc-001:1").id, 0);
	assert_false(disks_is_claimed(&w->boot->disks, id));
}

static int lose_row(struct inventory_tx *tx, void *arg)
{
	return attachment_remove(tx, 1, *(int64_t *)arg);
}

static int lose_volume(struct inventory_tx *tx, void *arg)
{
	int err = attachment_remove(tx, 1, *(int64_t *)arg);

	return err ? err : volume_delete(tx, *(int64_t *)arg);
}

struct opener {
	struct world *world;
	unsigned count;
	struct boot_lun luns[8];
	struct reason why;
};

static void *open_thread(void *arg)
{
	struct opener *o = arg;

	o->count = world_open_luns(o->world, 1, 1, o->luns, &o->why);
	return NULL;
}

/* While a login has read what there is and holds nothing yet: it waits for the mutex, which glibc marks with a 2. */
static void change_before_hold(struct world *w, int (*run)(struct inventory_tx *tx, void *arg), int64_t id)
{
	pthread_mutex_t *gate = &w->boot->disks.mutex;
	struct opener o = { .world = w };
	pthread_t thread;

	pthread_mutex_lock(gate);
	assert_int_equal(pthread_create(&thread, NULL, open_thread, &o), 0);
	while (__atomic_load_n(&gate->__data.__lock, __ATOMIC_SEQ_CST) != 2)
		sched_yield();
	assert_int_equal(world_write(w, run, &id), 0);
	pthread_mutex_unlock(gate);
	pthread_join(thread, NULL);
	if (o.count != 1)
		fail_msg("%u LUNs: %s", o.count, o.why);
	assert_int_equal(o.luns[0].number, 0);
	world_close_luns(w, o.luns, o.count);
}

/* What a machine had when its login began, and has no more when its disks are opened, is not opened. */
static void test_lost_while_opening(void **state)
{
	struct world *w = *state;
	int64_t id;

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	id = world_volume(w, "data").id;
	change_before_hold(w, lose_row, id);
	assert_true(boot_volume_is_closed(w->boot, id));
	attach(w, "data", "pc-001");
	change_before_hold(w, lose_volume, id);
}

struct mover {
	struct world *world;
	atomic_bool stop;
	unsigned moved;
	int err;
	struct reason reason;
};

/* From one machine to the other and back, as fast as it goes. */
static void *move_thread(void *arg)
{
	struct mover *m = arg;
	struct boot *boot = m->world->boot;

	for (unsigned i = 0; !m->stop && !m->err; i++) {
		m->err = boot_volume_detach(boot, "data", NULL, true, "ctl", &m->reason);
		if (!m->err)
			m->err = boot_volume_attach(boot, "data", i % 2 ? "pc-001" : "pc-002", 1, "ctl", &m->reason);
		m->moved += !m->err;
	}
	return NULL;
}

/*
 * A login and a person at the same time: what a target has opened is its machine's for as long as it is open, and the
 * login never fails for it.
 */
static void test_moved_while_opening(void **state)
{
	enum { LOGINS = 100 };
	struct world *w = *state;
	struct mover m = { .world = w };
	unsigned with = 0;
	pthread_t thread;

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	assert_int_equal(pthread_create(&thread, NULL, move_thread, &m), 0);
	for (unsigned i = 0; i < LOGINS; i++) {
		struct boot_lun luns[8];
		unsigned count = world_open_luns(w, 1, 1, luns, &why);

		if (!count)
			fail_msg("%s", why.text);
		if (count == 2) {
			assert_int_equal(world_volume(w, "pc-001:1").id, luns[1].volume_id);
			assert_int_equal(world_write_disk(w, luns[1].disk, 0, 'x', false), 0);
			with++;
		}
		world_close_luns(w, luns, count);
	}
	m.stop = true;
	pthread_join(thread, NULL);
	if (m.err)
		fail_msg("%s", m.reason);
	print_message("%u moves, %u of %u logins had it\n", m.moved, with, LOGINS);
	assert_true(m.moved > 0);
}

static int find_failed(struct inventory_tx *tx, void *arg)
{
	struct volume volume;
	int err = volume_find(tx, "data", &volume);

	*(bool *)arg = !err && volume.state == VOLUME_FAILED;
	return err;
}

struct failing {
	struct loop_msg msg;
	struct disk *disk;
};

static void fail_on_io(struct loop_msg *msg)
{
	struct disk *disk = container_of(msg, struct failing, msg)->disk;

	disk->on_event(disk->event_arg, DISK_FAILED, "fdatasync failed");
}

static int delete_machine(struct inventory_tx *tx, void *arg)
{
	return machine_delete(tx, *(int64_t *)arg);
}

/* A disk fails under a machine that is gone from the inventory: it has failed all the same. */
static void test_failed(void **state)
{
	struct world *w = *state;
	struct failing failing = { .msg.run = fail_on_io };
	int64_t machine_id = 1;
	bool failed;

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	assert_int_equal(open_it(w), 2);
	assert_int_equal(world_write(w, delete_machine, &machine_id), 0);
	failing.disk = world_lun(w, 1)->disk;
	loop_post(w->io, &failing.msg);
	world_close(w); /* behind it on the loop */
	assert_int_equal(world_write(w, find_failed, &failed), 0);
	assert_true(failed);
	assert_int_equal(world_events(w, "disk-failed"), 1);
	/* Whoever gets it next boots without it, until a person has looked. */
	attach(w, "data", "pc-002");
	assert_non_null(strstr(reason.text, "from its next boot on"));
	struct boot_lun luns[8];

	assert_int_equal(world_open_luns(w, 2, 1, luns, &why), 1);
	world_close_luns(w, luns, 1);
	assert_int_equal(boot_volume_set(w->boot, "data", "state", "ready", "ctl", &reason), 0);
	assert_int_equal(world_open_luns(w, 2, 1, luns, &why), 2);
	world_close_luns(w, luns, 2);
}

static int fail_data(struct inventory_tx *tx, void *arg)
{
	struct volume volume;
	int err = volume_find(tx, "data", &volume);

	(void)arg;
	volume.state = VOLUME_FAILED;
	return err ? err : volume_update(tx, &volume);
}

/* What was written after its last sync does not come back behind a person's back. */
static void test_lifted(void **state)
{
	struct world *w = *state;
	char journal[256];

	make(w, "pc-001", "data", VOLUME_DATA, 1);
	assert_int_equal(open_it(w), 2);
	snprintf(journal, sizeof(journal), "%s/children/%s.journal", w->dir, world_volume(w, "data").object);
	world_die(w, world_volume(w, "data").object, world_lun(w, 1)->disk);
	assert_int_equal(access(journal, F_OK), 0);
	assert_int_equal(world_write(w, fail_data, NULL), 0);
	assert_int_equal(open_it(w), 1);
	world_close(w);
	assert_int_equal(boot_volume_set(w->boot, "data", "state", "ready", "ctl", &reason), 0);
	assert_int_equal(access(journal, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_left_out, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_golden_changed, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_interrupted, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_interrupted_ephemeral, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_interrupted_attached, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_claimed, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_detach_while_opening, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_lost_while_opening, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_moved_while_opening, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_failed, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_lifted, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
