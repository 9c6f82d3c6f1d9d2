// SPDX-License-Identifier: GPL-2.0-or-later
/* A program in a box: what it is given, what it is not, and how it ends. */
#include "cmocka_all.h"

#include "base/box.h"
#include "base/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct out {
	char text[4096];
	size_t len, enough; /* enough: it wants no more after so many bytes */
	unsigned steps;
};

static bool take(void *arg, const void *data, size_t len)
{
	struct out *out = arg;
	size_t part = (size_t)min_u64(len, sizeof(out->text) - 1 - out->len);

	memcpy(out->text + out->len, data, part);
	out->len += part;
	out->text[out->len] = '\0';
	return !out->enough || out->len < out->enough;
}

static int shell(const char *lines, const struct box *more, struct out *out, struct box_end *end)
{
	const char *const argv[] = { "/bin/sh", "-c", lines, "sh", box_name, NULL };
	struct box box = *more;

	memset(out->text, 0, sizeof(out->text));
	out->len = 0;
	box.argv = argv;
	box.memory_mib = 512;
	box.take = take;
	box.arg = out;
	return box_run(&box, end);
}

/* A file in a folder that only we may enter. */
static int private_file(char dir[64])
{
	char path[128];
	int fd;

	strcpy(dir, "/var/tmp/sanbootd-box-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/disk", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "content", 7), 7);
	return fd;
}

static void remove_private(int fd, const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/disk", dir);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_given(void **state)
{
	static struct box_end end;
	static struct out out;
	char dir[64];
	int fd = private_file(dir), input = memfd_create("input", MFD_CLOEXEC);
	struct box box = { .files = { fd }, .file_count = 1, .input = input, .setting = "ANSWER=42" };

	(void)state;
	assert_int_equal(write(input, "asked", 5), 5);
	assert_int_equal(lseek(input, 0, SEEK_SET), 0);
	assert_int_equal(shell("cat \"$1\"; cat /dev/fd/3; cat; echo $ANSWER; echo said >&2; exit 3", &box, &out, &end),
			 0);
	assert_string_equal(out.text, "contentcontentasked42\n");
	assert_string_equal(end.text, "said\n");
	assert_int_equal(end.code, 3);
	assert_int_equal(end.signal, 0);
	close(input);
	remove_private(fd, dir);
}

static void test_not_given(void **state)
{
	static struct box_end end;
	static struct out out;
	char dir[64], lines[256];
	int fd = private_file(dir), other = open("/etc/hostname", O_RDONLY);
	struct box box = { .files = { fd }, .file_count = 1, .input = -1 };

	(void)state;
	/* Also what is not close-on-exec, and the folder's own name. */
	snprintf(lines, sizeof(lines),
		 "cat; ls /proc/self/fd | wc -l; cat %s/disk; id -u; grep -c : /proc/self/net/dev", dir);
	assert_int_equal(shell(lines, &box, &out, &end), 0);
	if (geteuid()) {
		test_skip("not root: nothing is taken away");
	} else {
		assert_int_equal(strcmp(out.text, "5\n65534\n1\n"), 0); /* 0 to 3 and that of ls; lo */
		assert_non_null(strstr(end.text, "denied"));
	}
	if (other >= 0)
		close(other);
	remove_private(fd, dir);
}

static bool stop_soon(void *arg)
{
	struct out *out = arg;

	return ++out->steps < 3;
}

static void test_ends(void **state)
{
	static struct box_end end;
	static struct out out;
	struct box box = { .input = -1 };

	(void)state;
	box.timeout_ms = 200;
	assert_int_equal(shell("echo x; exec sleep 600", &box, &out, &end), -ETIMEDOUT);
	assert_string_equal(out.text, "x\n");
	box.timeout_ms = 0;
	box.step = stop_soon;
	assert_int_equal(shell("exec sleep 600", &box, &out, &end), -ECANCELED);
	box.step = NULL;
	out.enough = 100;
	assert_int_equal(shell("exec yes", &box, &out, &end), 0);
	assert_true(end.enough);
	out.enough = 0;
	assert_int_equal(shell("kill -9 $$", &box, &out, &end), 0);
	assert_int_equal(end.code, -1);
	assert_int_equal(end.signal, 9);
	/* More than it may have. */
	assert_int_equal(shell("x=x; while :; do x=$x$x; done", &box, &out, &end), 0);
	assert_int_not_equal(end.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_not_given),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
