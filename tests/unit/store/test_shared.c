// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Golden versions that many have as they are: opened once for each loop, counted, closed by the last; and what keeps
 * them.
 */
#include "store/disks.h"
#include "store/fixture.h"

#include "base/util.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GOLDEN_BYTES = 4 << 20 };

struct shared {
	struct fixture *f;
	struct disks d;
	struct image_version version;
	struct volume volume; /* of version */
};

static struct image_version import_filled(struct fixture *f, const char *name, unsigned char byte)
{
	char *bytes = malloc(GOLDEN_BYTES), file[32];

	assert_non_null(bytes);
	memset(bytes, byte, GOLDEN_BYTES);
	snprintf(file, sizeof(file), "%s.raw", name);
	make_file(input(f, file), bytes, GOLDEN_BYTES, GOLDEN_BYTES);
	free(bytes);
	return import_version(f, input(f, file), name);
}

static int setup(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	void *fixture;

	assert_non_null(s);
	assert_int_equal(fixture_setup(&fixture), 0);
	s->f = fixture;
	s->version = import_filled(s->f, "golden", 'g');
	s->volume = (struct volume){ .kind = VOLUME_SHARED, .backend = "files", .version_id = s->version.id };
	disks_start(&s->d, s->f);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct shared *s = *state;
	void *fixture = s->f;

	disks_stop(&s->d);
	free(s);
	return fixture_teardown(&fixture);
}

static struct disk *open_on(struct shared *s, unsigned loop)
{
	struct reason reason;
	int err;
	struct disk *disk = disks_open(&s->d, loop, &s->volume, &s->version, &err, &reason);

	if (!disk)
		fail_msg("%s", reason.text);
	return disk;
}

/* Does this process have it open? Once for each disk. */
static unsigned open_files(struct shared *s)
{
	char command[600];
	FILE *pipe;
	unsigned count = 0;

	snprintf(command, sizeof(command), "ls -l /proc/%d/fd | grep -c '/images/%s$'", (int)getpid(), s->version.file);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	pclose(pipe);
	return count;
}

/* A file is closed by a worker, some time after its disk. */
static void wait_for_files(struct shared *s, unsigned want)
{
	while (open_files(s) != want)
		sched_yield();
}

static void test_users(void **state)
{
	struct shared *s = *state;
	struct volume as_cd = { .kind = VOLUME_CD, .backend = "files", .version_id = s->version.id };
	struct image_version other = import_filled(s->f, "other", 'o');
	struct volume of_other = { .kind = VOLUME_SHARED, .backend = "files", .version_id = other.id };
	struct disk *first = open_on(s, 0), *second = open_on(s, 0), *third, *elsewhere = open_on(s, 1), *another;
	struct reason reason;
	int err;

	assert_ptr_equal(first, second);
	assert_ptr_not_equal(first, elsewhere);
	third = disks_open(&s->d, 0, &as_cd, &s->version, &err, &reason);
	assert_ptr_equal(first, third);
	another = disks_open(&s->d, 0, &of_other, &other, &err, &reason);
	assert_ptr_not_equal(first, another);
	assert_int_equal(disks_read(another, 0), 'o');
	assert_int_equal(disks_read(elsewhere, 0), 'g');
	wait_for_files(s, 2);
	assert_int_equal(disks_close(&s->d, another), 0);
	/* Whoever closes: the others go on; the last one's close is the disk's. */
	assert_int_equal(disks_close(&s->d, first), 0);
	assert_int_equal(disks_close(&s->d, elsewhere), 0);
	wait_for_files(s, 1);
	assert_int_equal(disks_read(second, 8192), 'g');
	assert_int_equal(disks_close(&s->d, second), 0);
	assert_int_equal(disks_read(third, 8192), 'g');
	assert_int_equal(disks_close(&s->d, third), 0);
	wait_for_files(s, 0);
	/* And again. */
	first = open_on(s, 0);
	assert_int_equal(disks_read(first, 8192), 'g');
	assert_int_equal(disks_close(&s->d, first), 0);
}

/* ---- several things in one turn of the loop ---- */

struct turn {
	struct shared *s;
	struct store_open how;
	struct disk *close;    /* first */
	unsigned opens, again; /* how many are opened; and once more, by those who are told that it failed */
	atomic_uint opened, failed, closed;
	struct disk *disks[64];
	struct reason reason;
	sem_t done;
};

static void turn_opened(void *arg, const struct disk_opened *result)
{
	struct turn *t = arg;

	assert_int_equal(result->disk == NULL, result->err != 0);
	if (result->disk) {
		t->disks[t->opened++] = result->disk;
	} else {
		t->failed++;
		reason_set(&t->reason, "%s", result->reason.text);
	}
	if (!result->disk && t->again) {
		t->again--;
		store_open_volume(t->s->f->store, t->s->d.loops[0], &t->s->volume, &t->s->version, &t->how, turn_opened,
				  t);
	}
	sem_post(&t->done);
}

static void turn_closed(void *arg, int err)
{
	struct turn *t = arg;

	assert_int_equal(err, 0);
	t->closed++;
	sem_post(&t->done);
}

static void turn_run(void *arg)
{
	struct turn *t = arg;
	struct store *store = t->s->f->store;

	if (t->close)
		store_close_volume(store, t->close, turn_closed, t);
	for (unsigned i = 0; i < t->opens; i++)
		store_open_volume(store, t->s->d.loops[0], &t->s->volume, &t->s->version, &t->how, turn_opened, t);
	/* Nobody is told within the call. */
	assert_int_equal(t->opened + t->failed + t->closed, 0);
}

static void turn(struct turn *t, struct shared *s)
{
	unsigned answers = t->opens + t->again + (t->close != NULL);

	t->s = s;
	t->how = (struct store_open){ .env = s->d.env };
	sem_init(&t->done, 0, 0);
	disks_on_loop(&s->d, 0, turn_run, t);
	while (answers--)
		sem_wait(&t->done);
	sem_destroy(&t->done);
}

static void test_together(void **state)
{
	struct shared *s = *state;
	struct turn t = { .opens = 40 };

	turn(&t, s);
	assert_int_equal(t.opened, 40);
	wait_for_files(s, 1);
	for (unsigned i = 0; i < t.opens; i++) {
		assert_ptr_equal(t.disks[i], t.disks[0]);
		if (i)
			assert_int_equal(disks_close(&s->d, t.disks[i]), 0);
	}
	assert_int_equal(disks_read(t.disks[0], 0), 'g');
	assert_int_equal(disks_close(&s->d, t.disks[0]), 0);
	wait_for_files(s, 0);
}

/* The last one closes it, and others want it in the same moment: they get another disk, once it is closed. */
static void test_open_while_closing(void **state)
{
	struct shared *s = *state;
	struct turn t = { .close = open_on(s, 0), .opens = 3 };

	turn(&t, s);
	assert_int_equal(t.closed, 1);
	assert_int_equal(t.opened, 3);
	wait_for_files(s, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(disks_read(t.disks[i], 4096), 'g');
		assert_int_equal(disks_close(&s->d, t.disks[i]), 0);
	}
	wait_for_files(s, 0);
	/* One of two closes it: it stays. */
	t = (struct turn){ .close = open_on(s, 0), .opens = 1 };
	struct disk *other = open_on(s, 0);

	turn(&t, s);
	assert_ptr_equal(t.disks[0], other);
	assert_int_equal(disks_close(&s->d, other), 0);
	assert_int_equal(disks_close(&s->d, other), 0);
	wait_for_files(s, 0);
}

/* All who wait are told why; who tries again at once gets an answer, too. */
static void test_missing(void **state)
{
	struct shared *s = *state;
	struct turn t = { .opens = 3, .again = 2 };
	char path[PATH_MAX], away[PATH_MAX];

	snprintf(path, sizeof(path), "%s", in_state(s->f, "images", s->version.file));
	snprintf(away, sizeof(away), "%s", in_state(s->f, "tmp", "away"));
	assert_int_equal(rename(path, away), 0);
	turn(&t, s);
	assert_int_equal(t.opened, 0);
	assert_int_equal(t.failed, 5);
	assert_non_null(strstr(t.reason.text, s->version.file));
	/* It is back. */
	assert_int_equal(rename(away, path), 0);
	t = (struct turn){ .opens = 1 };
	turn(&t, s);
	assert_int_equal(t.opened, 1);
	assert_int_equal(disks_close(&s->d, t.disks[0]), 0);
	/* Open while it goes: who has it keeps it, whoever joins gets the same. */
	struct disk *disk = open_on(s, 0);

	assert_int_equal(rename(path, away), 0);
	assert_ptr_equal(open_on(s, 0), disk);
	assert_int_equal(disks_read(disk, 1 << 20), 'g');
	assert_int_equal(disks_close(&s->d, disk), 0);
	t = (struct turn){ .close = disk, .opens = 1 };
	turn(&t, s);
	assert_int_equal(t.closed, 1);
	assert_int_equal(t.failed, 1);
	assert_int_equal(rename(away, path), 0);
}

/* ---- two loops at once ---- */

struct hammer {
	struct shared *s;
	unsigned loop;
};

static void *hammer_thread(void *arg)
{
	struct hammer *h = arg;

	for (int i = 0; i < 100; i++) {
		struct disk *one = open_on(h->s, h->loop), *two = open_on(h->s, h->loop);

		assert_ptr_equal(one, two);
		assert_int_equal(disks_read(one, (uint64_t)i * 4096), 'g');
		assert_int_equal(disks_close(&h->s->d, one), 0);
		assert_int_equal(disks_close(&h->s->d, two), 0);
	}
	return NULL;
}

static void test_two_loops(void **state)
{
	struct shared *s = *state;
	struct hammer other = { s, 1 }, mine = { s, 0 };
	struct disk *here = open_on(s, 0), *there = open_on(s, 1);
	pthread_t thread;

	assert_ptr_not_equal(here, there);
	assert_int_equal(disks_close(&s->d, here), 0);
	assert_int_equal(disks_close(&s->d, there), 0);
	assert_int_equal(pthread_create(&thread, NULL, hammer_thread, &other), 0);
	hammer_thread(&mine);
	pthread_join(thread, NULL);
	wait_for_files(s, 0);
}

/* ---- what keeps a version ---- */

static int insert_volume(struct inventory_tx *tx, void *arg)
{
	return volume_insert(tx, arg);
}

static int delete_volume(struct inventory_tx *tx, void *arg)
{
	return volume_delete(tx, *(int64_t *)arg);
}

static void test_remove_version(void **state)
{
	struct shared *s = *state;
	struct store *store = s->f->store;
	struct volume cd = { .kind = VOLUME_CD, .name = "cd", .backend = "files", .version_id = s->version.id };
	struct reason reason;
	struct machine machine;

	assert_int_equal(in_write(s->f, insert_volume, &cd), 0);
	assert_int_equal(store_remove_version(store, s->version.id, "test", &reason), -EBUSY);
	assert_non_null(
		strstr(reason.text, "golden@1 is in use: 0 machines were made from it, and 1 shared volumes or CDs"));
	assert_int_equal(access(in_state(s->f, "images", s->version.file), F_OK), 0);
	machine = enrol(s->f, &s->version, 1);
	assert_int_equal(store_remove_version(store, s->version.id, "test", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "1 machines were made from it"));
	assert_int_equal(in_write(s->f, delete_volume, &cd.id), 0);
	assert_int_equal(store_remove_version(store, s->version.id, "test", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "0 shared volumes"));
	assert_int_equal(get_version(s->f, "golden", 1).machines, machine.id != 0);
}

/* ---- images for volumes ---- */

static int64_t import_again(struct shared *s, const char *name, enum import_use use)
{
	struct job_status status = import_for(s->f, input(s->f, "golden.raw"), name, use);

	assert_int_equal(status.stage, JOB_DONE);
	return status.version_id;
}

static int read_version(struct inventory_tx *tx, void *arg)
{
	struct image_version *version = arg;

	return version_by_id(tx, version->id, version);
}

struct imported {
	unsigned warned, all; /* events of images that are imported: those that say who cannot boot them */
};

static int count_imported(void *arg, const struct event *event)
{
	struct imported *imported = arg;

	if (strcmp(event->kind, "image-imported"))
		return 0;
	imported->all++;
	imported->warned += strstr(event->text, "no machine can boot it") != NULL;
	return 0;
}

static int read_imported(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, -1, 0, 100, count_imported, arg);
}

/* What is no disk that a machine could boot is no fault where it is to be none. */
static void test_events_of_imports(void **state)
{
	struct shared *s = *state;
	struct image_version version = { .id = import_again(s, "data", IMPORT_FOR_VOLUMES) };
	struct imported before = { 0 }, after = { 0 };

	assert_int_equal(in_write(s->f, read_version, &version), 0);
	assert_non_null(strstr(version.warnings, "no machine can boot it")); /* for whoever publishes it after all */
	assert_int_equal(in_write(s->f, read_imported, &before), 0);
	import_again(s, "data", IMPORT_FOR_MACHINES);
	assert_int_equal(in_write(s->f, read_imported, &after), 0);
	assert_int_equal(before.all, 2);
	assert_int_equal(after.all, 3);
	assert_int_equal(before.warned, 1); /* that of the image of the fixture */
	assert_int_equal(after.warned, 2);
}

static int read_default(struct inventory_tx *tx, void *arg)
{
	return version_default(tx, arg);
}

static void test_import_for_volumes(void **state)
{
	struct shared *s = *state;
	struct image_version version = { .id = import_again(s, "iso", IMPORT_FOR_VOLUMES) }, fallback;

	assert_int_equal(in_write(s->f, read_version, &version), 0);
	assert_int_equal(version.state, VERSION_TEST);
	assert_false(version.is_default);
	/* A second one as well; and who imports for machines gets what it always got. */
	version.id = import_again(s, "iso", IMPORT_FOR_VOLUMES);
	assert_int_equal(in_write(s->f, read_version, &version), 0);
	assert_int_equal(version.number, 2);
	assert_int_equal(version.state, VERSION_TEST);
	version.id = import_again(s, "debian", IMPORT_FOR_MACHINES);
	assert_int_equal(in_write(s->f, read_version, &version), 0);
	assert_int_equal(version.state, VERSION_PUBLISHED);
	assert_int_equal(in_write(s->f, read_default, &fallback), 0);
	assert_string_equal(fallback.image, "golden");
	version.id = import_again(s, "debian", IMPORT_AS_DEFAULT);
	assert_int_equal(in_write(s->f, read_version, &version), 0);
	assert_true(version.is_default);
	assert_int_equal(version.state, VERSION_TEST);
}

/* In an empty store what is imported for volumes does not become what new machines get. */
static void test_first_import_for_volumes(void **state)
{
	struct shared *s = *state;
	struct image_version version;
	struct reason reason;

	assert_int_equal(store_remove_version(s->f->store, s->version.id, "test", &reason), 0);
	import_again(s, "iso", IMPORT_FOR_VOLUMES);
	assert_int_equal(in_write(s->f, read_default, &version), -ENOENT);
	import_again(s, "debian", IMPORT_FOR_MACHINES);
	assert_int_equal(in_write(s->f, read_default, &version), 0);
	assert_string_equal(version.image, "debian");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_users, setup, teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_while_closing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_loops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_of_imports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_import_for_volumes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_import_for_volumes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
