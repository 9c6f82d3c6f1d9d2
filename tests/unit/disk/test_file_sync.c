// SPDX-License-Identifier: GPL-2.0-or-later
/* file.c and sync.c on real files: what may be written inline, and syncs, which run one at a time and fail for all that
 * wait. */
#include "disk/file_faults.h"
#include "disk/sync.h"

struct sync {
	struct file_request req;
	bool done;
};

static void sync_submit(struct file *file, struct sync *sync)
{
	*sync = (struct sync){ .req = { .op = FILE_SYNC, .done = on_done, .user = &sync->done } };
	file->ops->submit(file, &sync->req);
}

/* Written to a moment ago, and nothing is dirty. */
static void warm(struct fixture *fx, struct file *file)
{
	static char data[4 * K];

	assert_int_equal(run_data(fx, file, FILE_WRITE, 0, data, sizeof(data), NULL), 0);
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), 0);
}

static void test_write_now_rules(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "now", DISK_ENV_CREATE);
	static char data[M];
	struct iovec iov = { data, sizeof(data) };
	struct sync sync;
	unsigned inline_writes = 0;
	bool again = false;

	fixture_pattern(data, sizeof(data), 0, 7);
	assert_false(file->ops->write_now(file, 512, &iov, 1, sizeof(data)));
	iov.iov_len = 512;
	assert_false(file->ops->write_now(file, 0, &iov, 1, 512));
	iov.iov_len = M;
	/* The first one may need what the file system has not in memory. */
	assert_false(file->ops->write_now(file, 0, &iov, 1, M));
	warm(fx, file);
	assert_true(file->ops->write_now(file, 0, &iov, 1, M));
	faults.blocked = 1;
	sync_submit(file, &sync);
	while (!faults.syncing)
		usleep(100);
	assert_false(file->ops->write_now(file, 0, &iov, 1, M));
	faults.blocked = 0;
	fixture_wait(fx, &sync.done);
	/* The budget: after so much, which may all be dirty in a file so long, it starts writing back, and then takes
	 * more. */
	assert_int_equal(run_data(fx, file, FILE_WRITE, 1024LL * M, data, sizeof(data), NULL), 0);
	while (inline_writes < 1000 && file->ops->write_now(file, M, &iov, 1, M))
		inline_writes++;
	assert_in_range(inline_writes, 16, 256);
	while (!again) {
		again = file->ops->write_now(file, M, &iov, 1, M);
		if (!again)
			loop_run_once(fx->loop, true);
	}
	faults.write_error = ENOSPC;
	assert_false(file->ops->write_now(file, 0, &iov, 1, M));
	assert_int_equal(run_data(fx, file, FILE_WRITE, 0, data, sizeof(data), NULL), -ENOSPC);
	file->ops->close(file);
}

/* The loop's writes and a worker's syncs are never in the kernel at the same time, and many of either get there. */
static void test_write_now_beside_sync(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "beside", DISK_ENV_CREATE);
	static char data[4 * K];
	struct iovec iov = { data, sizeof(data) };
	struct sync sync = { .done = true };
	unsigned written = 0;

	warm(fx, file);
	faults.overlaps = 0;
	while (faults.syncs < 200 || written < 2000) {
		if (sync.done)
			sync_submit(file, &sync);
		written += file->ops->write_now(file, 0, &iov, 1, sizeof(data));
		loop_run_once(fx->loop, false);
	}
	fixture_wait(fx, &sync.done);
	assert_int_equal(faults.overlaps, 0);
	file->ops->close(file);
}

static void submit_shared(struct syncs *one_at_a_time, struct sync *syncs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		syncs[i] = (struct sync){ .req = { .done = on_done, .user = &syncs[i].done } };
		syncs_submit(one_at_a_time, &syncs[i].req);
	}
}

static void test_syncs_are_shared(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "shared", DISK_ENV_CREATE);
	struct syncs one_at_a_time;
	struct sync syncs[10];

	syncs_init(&one_at_a_time, file);
	faults.blocked = 1;
	submit_shared(&one_at_a_time, syncs, array_len(syncs));
	assert_true(syncs_running(&one_at_a_time));
	faults.blocked = 0;
	for (unsigned i = 0; i < array_len(syncs); i++) {
		fixture_wait(fx, &syncs[i].done);
		assert_int_equal(syncs[i].req.result, 0);
	}
	/* The first began before the others came; one more serves those. */
	assert_int_equal(faults.syncs, 2);
	assert_false(syncs_running(&one_at_a_time));
	file->ops->close(file);
}

/* Also those fail that came while the failing one ran, and no second one is tried: it would succeed. */
static void test_failed_sync_fails_all(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "fails", DISK_ENV_CREATE);
	struct syncs one_at_a_time;
	struct sync syncs[10], late;

	syncs_init(&one_at_a_time, file);
	faults.blocked = 1;
	faults.sync_error = EIO;
	submit_shared(&one_at_a_time, syncs, array_len(syncs));
	faults.blocked = 0;
	for (unsigned i = 0; i < array_len(syncs); i++) {
		fixture_wait(fx, &syncs[i].done);
		assert_int_equal(syncs[i].req.result, -EIO);
	}
	submit_shared(&one_at_a_time, &late, 1);
	assert_false(late.done);
	fixture_wait(fx, &late.done);
	assert_int_equal(late.req.result, -EIO);
	assert_int_equal(faults.syncs, 1);
	file->ops->close(file);
}

static void test_failed_sync_sticks(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "sticks", DISK_ENV_CREATE);

	faults.sync_error = EIO;
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), -EIO);
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), -EIO);
	assert_int_equal(faults.syncs, 1);
	file->ops->close(file);
	/* In opening, too. */
	file = fixture_open_file(fx, "sticks", 0);
	faults.sync_error = EIO;
	assert_int_equal(disk_file_sync(file), -EIO);
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), -EIO);
	file->ops->close(file);
}

static void test_ephemeral_never_syncs(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "ephemeral", DISK_ENV_CREATE | DISK_ENV_NO_SYNC);

	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), 0);
	assert_int_equal(disk_file_sync(file), 0);
	assert_int_equal(faults.syncs, 0);
	file->ops->close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_write_now_rules, faults_reset),
		cmocka_unit_test_setup(test_write_now_beside_sync, faults_reset),
		cmocka_unit_test_setup(test_syncs_are_shared, faults_reset),
		cmocka_unit_test_setup(test_failed_sync_fails_all, faults_reset),
		cmocka_unit_test_setup(test_failed_sync_sticks, faults_reset),
		cmocka_unit_test_setup(test_ephemeral_never_syncs, faults_reset),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
