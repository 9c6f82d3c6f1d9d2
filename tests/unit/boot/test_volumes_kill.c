// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server is killed while people make, attach, detach, grow and remove volumes, reset machines, and machines log in:
 * after the next start each row has its object, each object its row, and each machine opens all that it has.
 */
#include "world.h"

#include "base/log.h"
#include "base/util.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

enum { ROUNDS = 30, STEPS_MAX = 40, NAMES = 6 };

/* ---- who is killed ---- */

static void log_in(struct world *w, int64_t machine_id)
{
	struct boot_lun luns[8];
	struct reason why;
	unsigned count = world_open_luns(w, machine_id, 1, luns, &why);

	for (unsigned i = 0; i < count; i++) {
		if (!luns[i].disk->read_only)
			world_write_disk(w, luns[i].disk, (uint64_t)(rand() % 256) * 4096, 'x', rand() % 2);
	}
	if (count)
		world_close_luns(w, luns, count);
}

static void step(struct world *w)
{
	char name[16], size[16];
	struct reason reason;
	const char *machine = rand() % 2 ? "pc-001" : "pc-002";
	struct boot_volume_new what = { .name = name, .lun = -1, .size_bytes = 8 << 20 };
	int64_t id;

	snprintf(name, sizeof(name), "v%d", rand() % NAMES);
	snprintf(size, sizeof(size), "%dM", 8 + rand() % 64);
	switch (rand() % 10) {
	case 0:
		what.kind = VOLUME_SHARED;
		what.size_bytes = 0;
		what.from = "debian";
		boot_volume_create(w->boot, &what, "ctl", &id, &reason);
		return;
	case 1:
	case 2:
	case 3:
		what.kind = VOLUME_DATA;
		what.machine = rand() % 2 ? machine : NULL;
		boot_volume_create(w->boot, &what, "ctl", &id, &reason);
		return;
	case 4:
		boot_volume_attach(w->boot, name, machine, -1, "ctl", &reason);
		return;
	case 5:
		boot_volume_detach(w->boot, name, machine, true, "ctl", &reason);
		return;
	case 6:
		boot_volume_set(w->boot, name, "size", size, "ctl", &reason);
		return;
	case 7:
		boot_volume_detach(w->boot, name, machine, true, "ctl", &reason);
		boot_volume_remove(w->boot, name, "ctl", &reason);
		return;
	case 8:
		boot_reset(w->boot, machine, "ctl", &reason);
		return;
	default:
		log_in(w, 1 + rand() % 2);
		return;
	}
}

/* Says after each step that it is done, until it is killed. */
static void go_on_until_killed(struct world *w, int done, unsigned seed)
{
	world_start(w);
	srand(seed);
	for (;;) {
		step(w);
		if (write(done, "", 1) != 1)
			_exit(1);
	}
}

/* ---- what has to hold ---- */

struct census {
	struct world *world;
	unsigned objects, attached, discarded;
};

static int check_volume(void *arg, const struct volume *volume)
{
	struct census *census = arg;
	struct volume_info info;

	if (!volume->object[0])
		return 0;
	census->objects++;
	if (store_volume_info(census->world->store, volume, NULL, &info) || volume->state != VOLUME_READY ||
	    info.virtual_bytes < volume->size_bytes)
		return -EUCLEAN;
	return 0;
}

static int count_attached(void *arg, unsigned lun, const struct volume *volume)
{
	struct census *census = arg;

	(void)lun;
	(void)volume;
	census->attached++;
	return 0;
}

static int count_discarded(void *arg, const char *object)
{
	struct census *census = arg;

	(void)object;
	census->discarded++;
	return 0;
}

static int take_census(struct inventory_tx *tx, void *arg)
{
	struct census *census = arg;
	int err = volume_each(tx, check_volume, census);

	if (!err)
		err = attachment_each(tx, 1, count_attached, census);
	return err ? err : discarded_each(tx, "files", count_discarded, census);
}

static void check(struct world *w)
{
	struct census census = { .world = w };
	struct boot_lun luns[8];
	struct reason why;
	unsigned count;

	assert_int_equal(world_write(w, take_census, &census), 0);
	assert_int_equal(world_children(w), census.objects);
	assert_int_equal(census.discarded, 0);
	count = world_open_luns(w, 1, 1, luns, &why);
	if (count != census.attached)
		fail_msg("%u of %u volumes open: %s", count, census.attached, why.text);
	world_close_luns(w, luns, count);
}

static void test_kill(void **state)
{
	struct world *w = *state;
	unsigned made = 0;

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	srand(7);
	for (unsigned round = 0; round < ROUNDS; round++) {
		int done[2], steps = 1 + rand() % STEPS_MAX;
		unsigned seed = (unsigned)rand();
		char byte;
		pid_t pid;

		world_stop(w);
		assert_int_equal(pipe(done), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			close(done[0]);
			go_on_until_killed(w, done[1], seed);
		}
		close(done[1]);
		/* In one of the steps after these: any moment will do. */
		for (int i = 0; i < steps; i++)
			assert_int_equal(read(done[0], &byte, 1), 1);
		usleep((useconds_t)(rand() % 10000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(done[0]);
		world_start(w);
		check(w);
		made = world_events(w, "volume-created");
	}
	print_message("%u volumes were made over %d kills\n", made, ROUNDS);
	assert_true(made > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kill, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
