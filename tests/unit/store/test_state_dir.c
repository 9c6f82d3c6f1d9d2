// SPDX-License-Identifier: GPL-2.0-or-later
/* The state directory: its lock, which one process has, and what cannot be one. */
#include "store/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int lock_left = -1; /* what a killed process has left behind, until the first wait for it */

int usleep(useconds_t us)
{
	struct timespec pause = { .tv_nsec = (long)us * 1000 };

	if (lock_left >= 0)
		close(lock_left);
	lock_left = -1;
	return nanosleep(&pause, NULL);
}

static int lock_as(struct fixture *f, long pid)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[600], text[32];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", f->state);
	snprintf(text, sizeof(text), "%ld\n", pid);
	fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &whole), 0);
	return fd;
}

/* The lock of one that is dead is waited for, that of one that lives is not. */
static void test_lock_left_behind(void **state)
{
	struct fixture *f = *state;
	struct store *second;
	struct reason reason;
	pid_t dead = fork();

	if (!dead)
		_exit(0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	fixture_close(f);
	lock_left = lock_as(f, getpid());
	assert_int_equal(pool_new((const unsigned[POOL_CLASSES]){ 1, 1, 1, 1 }, &f->pool), 0);
	assert_int_equal(store_open(f->state, f->pool, &second, &reason), -EBUSY);
	assert_true(lock_left >= 0);
	pool_free(f->pool);
	close(lock_left);
	lock_left = lock_as(f, dead);
	fixture_open(f);
	assert_int_equal(lock_left, -1);
}

static void test_lock(void **state)
{
	struct fixture *f = *state;
	struct store *second;
	char pid[32];
	struct reason reason;

	assert_int_equal(store_open(f->state, f->pool, &second, &reason), -EBUSY);
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(reason.text, pid));
	assert_non_null(strstr(reason.text, "--state-dir"));
	fixture_close(f);
	fixture_open(f); /* it goes with the process, not with the file */
}

static void test_bad_state_dir(void **state)
{
	struct fixture *f = *state;
	char path[600];
	struct reason reason;
	struct store *store;

	make_file(input(f, "file"), "", 0, 0);
	assert_int_equal(store_open(input(f, "file"), f->pool, &store, &reason), -ENOTDIR);
	assert_int_equal(store_open(input(f, "no/such"), f->pool, &store, &reason), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(store_open(path, f->pool, &store, &reason), -ENAMETOOLONG);
}

static void test_no_qemu_img(void **state)
{
	struct fixture *f = *state;
	char *path = strdup(getenv("PATH"));
	struct reason reason = { "" };
	struct store *store;

	/* /usr/bin is always searched: only where it is not there can it be missing. */
	if (!access("/usr/bin/qemu-img", X_OK)) {
		assert_int_equal(setenv("PATH", "", 1), 0);
		assert_int_equal(store_open(input(f, "other"), f->pool, &store, &reason), 0);
		store_close(store);
		assert_int_equal(setenv("PATH", path, 1), 0);
	}
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lock_left_behind, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_lock, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_bad_state_dir, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_qemu_img, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
