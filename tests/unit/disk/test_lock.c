// SPDX-License-Identifier: GPL-2.0-or-later
/* lock.c: who may open what beside whom, ourselves and QEMU. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk/file.h"
#include "disk/fixture.h"

enum { K = 1024, M = 1024 * 1024 };

static void test_locks(void **state)
{
	struct fixture *fx = *state;
	struct file *a, *b, *none = NULL;

	fixture_put(fixture_path(fx, "l"), 0, "x", 1, 64 * K);
	a = fixture_open_file(fx, "l", DISK_ENV_READ_ONLY);
	b = fixture_open_file(fx, "l", DISK_ENV_READ_ONLY);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "l"), 0, &none), -EBUSY);
	assert_null(none);
	a->ops->close(a);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "l"), 0, &none), -EBUSY);
	b->ops->close(b);
	/* Free at once, although a worker still closes the descriptor. */
	a = fixture_open_file(fx, "l", 0);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "l"), 0, &none), -EBUSY);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "l"), DISK_ENV_READ_ONLY, &none),
			 -EBUSY);
	b = fixture_open_file(fx, "l", DISK_ENV_NO_LOCK);
	b->ops->close(b);
	a->ops->close(a);
	a = fixture_open_file(fx, "l", 0);
	a->ops->close(a);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "none"), 0, &none), -ENOENT);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fx->dir, DISK_ENV_READ_ONLY, &none), -EINVAL);
}

static void test_qemu_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct file *file;

	assert_int_equal(fixture_shell(fx, "qemu-img create -f qcow2 child.qcow2 16M"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-img info child.qcow2"), 0);
	file = fixture_open_file(fx, "child.qcow2", 0);
	assert_int_equal(fixture_shell(fx, "qemu-img info child.qcow2"), 1);
	assert_int_equal(fixture_shell(fx, "qemu-img info child.qcow2 2>&1 | grep -q 'lock'"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-io -f qcow2 -c 'write 0 64k' child.qcow2"), 1);
	assert_int_equal(fixture_shell(fx, "qemu-img check child.qcow2"), 1);
	assert_int_equal(fixture_shell(fx, "qemu-img convert -O raw child.qcow2 copy.raw"), 1);
	/* With --force-share the header, but no content: what is in the file is behind our maps. */
	assert_int_equal(fixture_shell(fx, "qemu-img info -U child.qcow2"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-img convert -U -O raw child.qcow2 copy.raw"), 1);
	file->ops->close(file);
	assert_int_equal(fixture_shell(fx, "qemu-img info child.qcow2"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-io -f qcow2 -c 'write 0 64k' child.qcow2"), 0);
}

static void test_golden_is_read_together(void **state)
{
	struct fixture *fx = *state;
	struct file *a, *b;

	assert_int_equal(fixture_shell(fx, "qemu-img create -f raw golden.raw 16M"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-io -f raw -c 'write -P 7 1M 1M' golden.raw"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-img create -f qcow2 -b golden.raw -F raw child.qcow2"), 0);
	a = fixture_open_file(fx, "golden.raw", DISK_ENV_READ_ONLY);
	b = fixture_open_file(fx, "golden.raw", DISK_ENV_READ_ONLY);
	assert_int_equal(fixture_shell(fx, "qemu-img convert -f raw -O qcow2 golden.raw copy.qcow2"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-img compare golden.raw copy.qcow2"), 0);
	/* QEMU writes a child over it, but not it. */
	assert_int_equal(fixture_shell(fx, "qemu-io -f qcow2 -c 'write 0 64k' child.qcow2"), 0);
	assert_int_equal(fixture_shell(fx, "qemu-io -f raw -c 'write 0 64k' golden.raw"), 1);
	assert_int_equal(fixture_shell(fx, "qemu-img resize -f raw golden.raw 32M"), 1);
	a->ops->close(a);
	b->ops->close(b);
}

/* qemu-io on name, waiting for commands; up once it has answered the first. */
static pid_t start_qemu_io(struct fixture *fx, const char *arguments, const char *name, int *commands)
{
	int in[2], out[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execlp("qemu-io", "qemu-io", arguments, "-f", "raw", fixture_path(fx, name), (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*commands = in[1];
	assert_int_equal(write(*commands, "length\n", 7), 7);
	do
		assert_int_equal(read(out[0], &byte, 1), 1);
	while (byte != '1'); /* "16 MiB" */
	close(out[0]);
	return pid;
}

static void test_qemu_refuses_us(void **state)
{
	struct fixture *fx = *state;
	struct file *file = NULL;
	int commands, status;
	pid_t pid;

	fixture_put(fixture_path(fx, "held.raw"), 0, "x", 1, 16 * M);
	pid = start_qemu_io(fx, "-n", "held.raw", &commands);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "held.raw"), 0, &file), -EBUSY);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "held.raw"), DISK_ENV_READ_ONLY, &file),
			 -EBUSY);
	close(commands);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* A reader bars the writer only. */
	pid = start_qemu_io(fx, "-r", "held.raw", &commands);
	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, "held.raw"), 0, &file), -EBUSY);
	file = fixture_open_file(fx, "held.raw", DISK_ENV_READ_ONLY);
	file->ops->close(file);
	close(commands);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	file = fixture_open_file(fx, "held.raw", 0);
	file->ops->close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_qemu_is_refused),
		cmocka_unit_test(test_golden_is_read_together),
		cmocka_unit_test(test_qemu_refuses_us),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
