// SPDX-License-Identifier: GPL-2.0-or-later
/* What may be dirty before something is written back: dirty.c, by way of file.c on real files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk/dirty.h"
#include "disk/file.h"
#include "disk/fixture.h"

enum { M = 1024 * 1024 };

static struct dirty_budget *budget_of(struct fixture *fx)
{
	return disk_env_dirty(fx->env, fx->loop);
}

/* And nobody has been asked. vmstat: where the kernel's figures are said to be. */
static void set_budget(struct fixture *fx, uint64_t bytes, const char *vmstat)
{
	budget_of(fx)->floor = budget_of(fx)->limit = bytes;
	budget_of(fx)->vmstat = vmstat;
	budget_of(fx)->answered_ms = 0;
}

static void wait_for_answer(struct fixture *fx)
{
	while (!budget_of(fx)->answered_ms)
		loop_run_once(fx->loop, true);
}

static void sync_file(struct fixture *fx, struct file *file)
{
	struct file_request req = { .op = FILE_SYNC };

	assert_int_equal(fixture_file_run(fx, file, &req), 0);
}

static char data[M];

static bool write_megabyte(struct file *file, unsigned at)
{
	struct iovec iov = { data, sizeof(data) };

	return file->ops->write_now(file, (uint64_t)at * M, &iov, 1, sizeof(data));
}

/* A file of so many MiB of which nothing is dirty. */
static struct file *open_written(struct fixture *fx, const char *name, unsigned megabytes)
{
	struct file *file = fixture_open_file(fx, name, DISK_ENV_CREATE);
	struct iovec iov = { data, sizeof(data) };

	for (unsigned i = 0; i < megabytes; i++) {
		struct file_request req = {
			.op = FILE_WRITE, .offset = (uint64_t)i * M, .length = M, .iov = &iov, .iov_count = 1
		};

		assert_int_equal(fixture_file_run(fx, file, &req), 0);
	}
	sync_file(fx, file);
	assert_int_equal(budget_of(fx)->bytes, 0);
	return file;
}

/* The files of a loop share a budget: who has been dirty for longest is written back, and may be closed meanwhile. */
static void test_oldest_gives_up(void **state)
{
	struct fixture *fx = *state;
	struct file *old = open_written(fx, "old", 8), *other = open_written(fx, "other", 8);
	struct dirty_budget *budget = budget_of(fx);

	set_budget(fx, 4 * M, "/dev/null");
	for (unsigned i = 0; i < 3; i++)
		assert_true(write_megabyte(old, i));
	assert_true(write_megabyte(other, 0));
	assert_int_equal(budget->bytes, 4 * M);
	/* A little more than the limit, while the kernel is asked ... */
	assert_true(write_megabyte(other, 1));
	/* ... but no more than that. */
	assert_false(write_megabyte(other, 2));
	wait_for_answer(fx);
	/* It names no room: the older one is written back. */
	assert_false(write_megabyte(old, 0));
	old->ops->close(old);
	while (budget->bytes > 2 * M)
		loop_run_once(fx->loop, true);
	while (!write_megabyte(other, 2))
		loop_run_once(fx->loop, true);
	other->ops->close(other);
}

static void on_done(struct file_request *req)
{
	*(bool *)req->user = true;
}

/* What is overwritten is dirty once. */
static void test_at_most_the_file(void **state)
{
	struct fixture *fx = *state;
	struct file *file = open_written(fx, "once", 2);
	bool done = false;
	struct file_request sync = { .op = FILE_SYNC, .done = on_done, .user = &done };

	set_budget(fx, 8 * M, "/dev/null");
	for (unsigned i = 0; i < 10; i++)
		assert_true(write_megabyte(file, i % 2));
	assert_int_equal(budget_of(fx)->bytes, 2 * M);
	/* Beside a sync that will take these away, it may be dirty again. No turn of the loop: it stays under way. */
	file->ops->submit(file, &sync);
	for (unsigned written = 0; written < 10;)
		written += write_megabyte(file, written % 2);
	assert_int_equal(budget_of(fx)->bytes, 4 * M);
	fixture_wait(fx, &done);
	assert_int_equal(budget_of(fx)->bytes, 2 * M);
	file->ops->close(file);
	assert_int_equal(budget_of(fx)->bytes, 0);
}

/* Beyond the floor, the limit is what the kernel has room for. */
static void test_room_of_the_kernel(void **state)
{
	enum { THRESHOLD = 4096, DIRTY = 500, WRITEBACK = 12 };
	struct fixture *fx = *state;
	uint64_t room = (uint64_t)(THRESHOLD - THRESHOLD / 8 - DIRTY - WRITEBACK) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct file *file = open_written(fx, "room", 32);
	struct dirty_budget *budget = budget_of(fx);
	FILE *vmstat = fopen(fixture_path(fx, "vmstat"), "w");

	assert_non_null(vmstat);
	fprintf(vmstat, "nr_free_pages 99999\nnr_dirty %d\nnr_writeback %d\nnr_dirty_threshold 99999\n", DIRTY,
		WRITEBACK);
	fprintf(vmstat, "nr_dirty_background_threshold %d\n", THRESHOLD);
	assert_int_equal(fclose(vmstat), 0);
	set_budget(fx, 4 * M, fixture_path(fx, "vmstat"));
	for (unsigned i = 0; i < 4; i++)
		assert_true(write_megabyte(file, i));
	wait_for_answer(fx);
	assert_int_equal(budget->limit, budget->bytes + room);
	for (unsigned i = 4; i < 13; i++)
		assert_true(write_megabyte(file, i));
	/* What the disk has now was counted; that it was dirty, too, nobody knows. */
	sync_file(fx, file);
	assert_int_equal(budget->limit, budget->floor);
	file->ops->close(file);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oldest_gives_up),
		cmocka_unit_test(test_at_most_the_file),
		cmocka_unit_test(test_room_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
