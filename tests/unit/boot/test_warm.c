// SPDX-License-Identifier: GPL-2.0-or-later
/* What boots need is learnt from those that get steady, and read ahead: at the start, and with a script. */
#include "world.h"

#include "base/loop.h"
#include "base/util.h"
#include "disk/read_trace.h"
#include "disk/disk.h"
#include "store/read_set.h"
#include "store/store.h"
#include "boot/progress/warm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"

#define MAC1 "52:54:00:bb:00:01"
#define MAC2 "52:54:00:bb:00:02"

enum { READ_AT = 64 << 10, READ_BYTES = 256 << 10 };

static int setup(void **state)
{
	*state = world_new(true);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

/* ---- machines ---- */

struct reading {
	struct disk *disk;
	struct disk_request req;
	struct loop_msg msg;
	sem_t done;
};

static void read_done(struct disk_request *req)
{
	struct reading *reading = req->user;

	assert_int_equal(req->result, 0);
	disk_release(reading->disk, req);
	sem_post(&reading->done);
}

static void read_submit(struct loop_msg *msg)
{
	struct reading *reading = container_of(msg, struct reading, msg);

	disk_submit(reading->disk, &reading->req);
}

static void read_disk(struct world *w, struct disk *disk, uint64_t offset, uint64_t length)
{
	struct reading reading = { .disk = disk, .msg.run = read_submit };

	reading.req = (struct disk_request){
		.op = DISK_READ, .offset = offset, .length = length, .done = read_done, .user = &reading
	};
	sem_init(&reading.done, 0, 0);
	loop_post(w->io, &reading.msg);
	while (sem_wait(&reading.done))
		;
	sem_destroy(&reading.done);
}

static struct disk *begin(struct world *w, const char *mac, struct machine *machine, uint64_t *number)
{
	struct machine_boot current, pending;
	struct disk *disk;
	uint16_t status;
	struct reason reason;

	world_expect(w, mac, "", "", "sanboot", NULL);
	*machine = world_machine(w, mac);
	assert_true(world_boots(w, machine->id, &current, &pending));
	*number = pending.number;
	assert_int_equal(world_begin(w, machine->id, *number), 0);
	disk = world_open(w, machine->id, *number, &status, &reason);
	assert_non_null(disk);
	return disk;
}

/* Until *value is at least `least`: what happens is on a worker that tells nobody. */
static void wait_until(uint64_t (*value)(void *arg), void *arg, uint64_t least)
{
	uint64_t end = time_monotonic_ms() + 20000;

	while (value(arg) < least) {
		struct timespec pause = { .tv_nsec = 2000000 };

		if (time_monotonic_ms() > end)
			fail_msg("%llu, not %llu", (unsigned long long)value(arg), (unsigned long long)least);
		nanosleep(&pause, NULL);
	}
}

struct learnt {
	struct world *world;
	struct image_version version;
};

static uint64_t boots_learnt(void *arg)
{
	struct learnt *learnt = arg;
	struct read_set_info info;

	store_get_read_set_info(learnt->world->store, &learnt->version, &info);
	return info.boots;
}

static uint64_t bytes_read(void *arg)
{
	return boot_read_ahead_bytes(((struct world *)arg)->boot);
}

static int find_version(struct inventory_tx *tx, void *arg)
{
	return version_find(tx, "debian", 1, &((struct learnt *)arg)->version);
}

static struct learnt learnt_of(struct world *w)
{
	struct learnt learnt = { .world = w };

	assert_int_equal(world_write(w, find_version, &learnt), 0);
	return learnt;
}

/* ---- the tests ---- */

static void test_learns_until_steady(void **state)
{
	struct world *w = *state;
	struct learnt learnt = learnt_of(w);
	struct machine machine;
	struct read_set set;
	uint64_t number;
	uint32_t next = 0, first, count;
	struct disk *disk = begin(w, MAC1, &machine, &number);

	read_disk(w, disk, READ_AT, READ_BYTES);
	/* iPXE's session has ended, the system logs in: the same boot goes on. */
	world_close(w);
	disk = world_open(w, machine.id, number, &(uint16_t){ 0 }, &(struct reason){ "" });
	read_disk(w, disk, READ_AT + READ_BYTES, 8192);
	warm_steady(w->boot->warm, machine.id, number + 1); /* not this one */
	warm_steady(w->boot->warm, machine.id, number);
	wait_until(boots_learnt, &learnt, 1);
	read_disk(w, disk, 0, 8192);
	warm_steady(w->boot->warm, machine.id, number); /* is not followed any more */
	world_close(w);
	assert_int_equal(store_load_read_set(w->store, &learnt.version, &set), 0);
	assert_int_equal(set.boots, 1);
	assert_true(read_set_next(&set, &next, &first, &count));
	assert_int_equal(first, READ_AT / BOOT_BLOCK_BYTES);
	assert_int_equal(count, READ_BYTES / BOOT_BLOCK_BYTES + 1);
	assert_false(read_set_next(&set, &next, &first, &count));
	read_set_fini(&set);
}

static void test_follows_a_few(void **state)
{
	struct world *w = *state;
	struct learnt learnt = learnt_of(w);
	struct warm *warm = w->boot->warm;
	struct read_trace *trace;

	for (int64_t id = 1; id <= WARM_FOLLOWED_OF_ONE + 1; id++)
		warm_script(warm, id, 1, &learnt.version);
	trace = warm_trace(warm, WARM_FOLLOWED_OF_ONE + 1, 1, learnt.version.id);
	assert_null(trace);
	assert_null(warm_trace(warm, 1, 2, learnt.version.id));
	assert_null(warm_trace(warm, 1, 1, learnt.version.id + 1));
	trace = warm_trace(warm, 1, 1, learnt.version.id);
	assert_non_null(trace);
	/* The same script again is the same boot; where the disk is open, a new one goes on with its trace. */
	warm_script(warm, 1, 1, &learnt.version);
	assert_false(atomic_load(&trace->stopped));
	warm_script(warm, 1, 2, &learnt.version);
	assert_false(atomic_load(&trace->stopped));
	assert_ptr_equal(warm_trace(warm, 1, 2, learnt.version.id), trace);
	assert_ptr_equal(warm_trace(warm, 1, 1, learnt.version.id), trace);
	read_trace_note(trace, 0, 512);
	read_trace_unref(trace);
	read_trace_unref(trace);
	read_trace_unref(trace);
	/* Else a new boot takes the place of the one before. */
	warm_script(warm, 1, 3, &learnt.version);
	assert_null(warm_trace(warm, 1, 2, learnt.version.id));
	trace = warm_trace(warm, 1, 3, learnt.version.id);
	assert_non_null(trace);
	assert_int_equal(read_trace_count(trace), 0);
	read_trace_unref(trace);
	trace = warm_trace(warm, 1, 3, learnt.version.id);
	assert_non_null(trace);
	/* One place is free again when it has been learnt from. */
	read_trace_note(trace, 0, 512);
	read_trace_unref(trace);
	warm_steady(warm, 1, 3);
	wait_until(boots_learnt, &learnt, 1);
	boot_stopping(w->boot); /* reads nothing ahead any more, still follows */
	for (unsigned i = 0; !trace || i == 0; i++) {
		struct timespec pause = { .tv_nsec = 2000000 };

		assert_true(i < 10000);
		warm_script(warm, WARM_FOLLOWED_OF_ONE + 1, 1, &learnt.version);
		trace = warm_trace(warm, WARM_FOLLOWED_OF_ONE + 1, 1, learnt.version.id);
		if (!trace)
			nanosleep(&pause, NULL);
	}
	read_trace_unref(trace);
}

/* Out of the page cache; false where the file system keeps it. A page that the kernel is busy with stays, the first time. */
static bool drop(struct world *w, const struct image_version *version)
{
	char path[PATH_MAX], byte;
	struct iovec iov = { &byte, 1 };
	bool gone = false;
	int fd;

	snprintf(path, sizeof(path), "%s/images/%s", w->dir, version->file);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (int i = 0; i < 100 && !gone; i++) {
		assert_int_equal(fdatasync(fd), 0);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		gone = preadv2(fd, &iov, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN;
	}
	close(fd);
	return gone;
}

static void test_reads_ahead(void **state)
{
	struct world *w = *state;
	struct learnt learnt = learnt_of(w);
	struct machine machine;
	uint64_t number;
	struct disk *disk = begin(w, MAC1, &machine, &number);

	read_disk(w, disk, READ_AT, READ_BYTES);
	warm_steady(w->boot->warm, machine.id, number);
	wait_until(boots_learnt, &learnt, 1);
	world_close(w);
	if (!drop(w, &learnt.version)) {
		test_skip("the file system of %s keeps its pages in memory", w->dir);
		return;
	}
	/* At the start: it has a machine. */
	world_restart(w);
	wait_until(bytes_read, w, READ_BYTES);
	assert_int_equal(bytes_read(w), READ_BYTES);
}

/* No machine uses the image at the start; the first one that asks for its script makes it be read. */
static void test_reads_ahead_with_a_script(void **state)
{
	struct world *w = *state;
	struct learnt learnt = learnt_of(w);
	struct read_trace *trace = read_trace_new(learnt.version.size_bytes);

	assert_non_null(trace);
	read_trace_note(trace, READ_AT, READ_BYTES);
	assert_int_equal(store_learn_boot(w->store, &learnt.version, trace), 0);
	read_trace_unref(trace);
	if (!drop(w, &learnt.version)) {
		test_skip("the file system of %s keeps its pages in memory", w->dir);
		return;
	}
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	wait_until(bytes_read, w, READ_BYTES);
	assert_int_equal(bytes_read(w), READ_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_learns_until_steady, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follows_a_few, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reads_ahead_with_a_script, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
