// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The write log on real memory: what it answers, what waits, what a process that dies leaves in it, and to whom. Kills anywhere
 * are in test_qcow2_kill.c, power cuts and failures in the simulation.
 *
 * The one who dies is this program again: `die PATH DIR`.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/env.h"
#include "disk/qcow2_fixture.h"

enum { DISK_BYTES = 64 * MIB, LOG_BYTES = 2 * MIB, WRITES = 6, PAGE = 4096 };

static char dir[] = "/dev/shm/sanbootd-log-XXXXXX";

static int setup(void **state)
{
	int err = fixture_setup(state);

	strcpy(strrchr(dir, '-') + 1, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	make_golden(*state, "golden", 8 * MIB);
	make_child(*state, "child", DISK_BYTES, "golden", "raw");
	return err;
}

static int teardown(void **state)
{
	disk_env_drop_log(((struct fixture *)*state)->env);
	shell_works(*state, "rm -r %s", dir);
	return fixture_teardown(state);
}

static void log_begins(struct fixture *fx)
{
	struct reason reason;

	assert_int_equal(disk_env_set_log(fx->env, dir, LOG_BYTES, &reason), 0);
}

static struct disk_log_info log_info(struct fixture *fx)
{
	struct disk_log_info info;

	disk_env_log_info(fx->env, &info);
	return info;
}

/* One after the other, each in a place of its own, with the bytes of a pattern. The first may go past the log. */
static int write_some(struct fixture *fx, struct disk *disk, unsigned seed)
{
	unsigned char data[PAGE];

	for (uint64_t i = 0; i < WRITES; i++) {
		int err;

		fixture_pattern(data, sizeof(data), i * MIB, seed);
		err = fixture_write(fx, disk, i * MIB, data, sizeof(data), false);
		if (err)
			return err;
	}
	return 0;
}

static unsigned count_written(struct fixture *fx, struct disk *disk, unsigned seed)
{
	unsigned char data[PAGE], expected[PAGE];
	unsigned found = 0;

	for (uint64_t i = 0; i < WRITES; i++) {
		fixture_pattern(expected, sizeof(expected), i * MIB, seed);
		assert_int_equal(fixture_read(fx, disk, i * MIB, data, sizeof(data)), 0);
		found += !memcmp(data, expected, sizeof(data));
	}
	return found;
}

static int die_main(const char *path, const char *log_dir)
{
	const unsigned threads[POOL_CLASSES] = { 2, 2, 1, 1 };
	struct disk_open how = { .path = path };
	struct fixture fx = { .dir = "" };
	struct reason reason;
	struct disk *disk;

	fx.loop = loop_new(0);
	if (pool_new(threads, &fx.pool) || disk_env_new(fx.pool, &fx.loop, 1, &fx.env) ||
	    disk_env_set_log(fx.env, log_dir, LOG_BYTES, &reason))
		return 4;
	disk = fixture_open(&fx, qcow2_disk_open, &how, NULL);
	if (!disk || write_some(&fx, disk, 1) || fixture_flush(&fx, disk) || write_some(&fx, disk, 2))
		return 5;
	/* Nothing of the second round has come down yet: no loop has run since. */
	disk_env_log_info(fx.env, &(struct disk_log_info){ 0 });
	raise(SIGKILL);
	return 7;
}

static void die(struct fixture *fx)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/proc/self/exe", "writer", "die", fixture_path(fx, "child"), dir, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static struct disk *open_it(struct fixture *fx, bool expect_interrupted)
{
	struct disk_open how = { .path = fixture_path(fx, "child") };
	bool interrupted;
	struct disk *disk = open_child_how(fx, &how, &interrupted);

	assert_int_equal(interrupted, expect_interrupted);
	return disk;
}

/* Acknowledged into memory, read from there, and in the child after a flush. */
static void test_answers(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	log_begins(fx);
	disk = open_it(fx, false);
	assert_int_equal(write_some(fx, disk, 1), 0);
	/* The first one began the child: the marks come before anything else. */
	assert_int_equal(log_info(fx).writes, WRITES - 1);
	assert_int_equal(log_info(fx).used_bytes, (WRITES - 1) * PAGE);
	assert_int_equal(count_written(fx, disk, 1), WRITES);
	/* Another time, in the place of what is there. */
	assert_int_equal(write_some(fx, disk, 2), 0);
	assert_int_equal(count_written(fx, disk, 2), WRITES);
	assert_int_equal(log_info(fx).used_bytes, WRITES * PAGE);
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_int_equal(log_info(fx).used_bytes, 0);
	assert_int_equal(count_written(fx, disk, 2), WRITES);
	assert_int_equal(fixture_close(fx, disk), 0);
	/* A process that ends in order leaves nothing behind. */
	disk_env_drop_log(fx->env);
	shell_works(fx, "test -z \"$(ls %s)\"", dir);
}

/* What is older than a second comes down by itself. */
static void test_comes_down(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	log_begins(fx);
	disk = open_it(fx, false);
	assert_int_equal(write_some(fx, disk, 1), 0);
	assert_true(log_info(fx).used_bytes > 0);
	while (log_info(fx).used_bytes)
		loop_run_once(fx->loop, true);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

static void test_taken_over(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	die(fx);
	log_begins(fx);
	assert_int_equal(log_info(fx).left_bytes, WRITES * PAGE);
	disk = open_it(fx, false);
	assert_int_equal(log_info(fx).left_bytes, 0);
	assert_int_equal(count_written(fx, disk, 2), WRITES);
	assert_int_equal(fixture_close(fx, disk), 0);
	/* The area of the dead process goes with its last page. */
	disk = open_it(fx, false);
	assert_int_equal(count_written(fx, disk, 2), WRITES);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

/* Without a log of its own a process finds what is left, too. */
static void test_switched_off(void **state)
{
	struct fixture *fx = *state;
	struct reason reason;
	struct disk *disk;

	die(fx);
	assert_int_equal(disk_env_set_log(fx->env, dir, 0, &reason), 0);
	disk = open_it(fx, false);
	assert_int_equal(count_written(fx, disk, 2), WRITES);
	assert_int_equal(write_some(fx, disk, 3), 0);
	assert_int_equal(log_info(fx).writes, 0);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* Somebody emptied the folder: what was flushed is there, and the disk says that something was lost. */
static void test_lost(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	die(fx);
	shell_works(fx, "rm %s/*", dir);
	log_begins(fx);
	disk = open_it(fx, true);
	assert_int_equal(count_written(fx, disk, 1), WRITES);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* QEMU wrote to it before we came: what the log has is void, as is the journal. */
static void test_foreign_writer(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	die(fx);
	shell_works(fx, "qemu-io -c 'write -P 7 32M 64k' child");
	log_begins(fx);
	disk = open_it(fx, true);
	assert_int_equal(count_written(fx, disk, 1), WRITES);
	assert_int_equal(log_info(fx).left_bytes, 0);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* Another child of that name: what the log has of the one before goes. */
static void test_replaced(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	die(fx);
	shell_works(fx, "rm child child.journal");
	make_child(fx, "child", DISK_BYTES, "golden", "raw");
	log_begins(fx);
	assert_int_equal(log_info(fx).left_bytes, WRITES * PAGE);
	disk = open_it(fx, false);
	assert_int_equal(log_info(fx).left_bytes, 0);
	assert_int_equal(count_written(fx, disk, 2), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	die(fx);
	disk_env_drop_log(fx->env);
	log_begins(fx);
	disk_env_forget_log(fx->env, fixture_path(fx, "child"));
	assert_int_equal(log_info(fx).left_bytes, 0);
}

/* What a living process has is not taken. */
static void test_locked(void **state)
{
	struct fixture *fx = *state;
	struct disk_env *other;
	struct reason reason;

	log_begins(fx);
	assert_int_equal(disk_env_new(fx->pool, &fx->loop, 1, &other), 0);
	assert_int_equal(disk_env_set_log(other, dir, LOG_BYTES, &reason), 0);
	shell_works(fx, "test $(ls %s | wc -l) = 2", dir);
	disk_env_free(other);
	shell_works(fx, "test $(ls %s | wc -l) = 1", dir);
}

/* A folder that is not in memory, and one in which there is no room. */
static void test_refused(void **state)
{
	struct fixture *fx = *state;
	struct reason reason;

	assert_int_equal(disk_env_set_log(fx->env, fx->dir, LOG_BYTES, &reason), -ENOTSUP);
	assert_non_null(strstr(reason.text, "is not in memory (tmpfs)"));
	assert_int_equal(disk_env_set_log(fx->env, dir, UINT64_C(1) << 50, &reason), -ENOSPC);
	assert_non_null(strstr(reason.text, "has no room for it"));
	shell_works(fx, "test -z \"$(ls %s)\"", dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_comes_down, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_switched_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[1], "die"))
		return die_main(argv[2], argv[3]);
	return cmocka_run_group_tests_name("write log", tests, NULL, NULL);
}
