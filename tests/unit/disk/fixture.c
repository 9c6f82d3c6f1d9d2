// SPDX-License-Identifier: GPL-2.0-or-later
/* See fixture.h. */
#include "disk/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

int fixture_setup(void **state)
{
	const unsigned threads[POOL_CLASSES] = { 2, 2, 1, 1 };
	struct fixture *fx = calloc(1, sizeof(*fx));

	assert_non_null(fx);
	/* On a real file system: tmpfs has neither RWF_NOWAIT everywhere nor the holes of ext4. */
	snprintf(fx->dir, sizeof(fx->dir), "/var/tmp/sanbootd-disk-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	fx->loop = loop_new(0);
	assert_non_null(fx->loop);
	loop_set_name(fx->loop, "io-0"); /* watched: it never waits */
	assert_int_equal(pool_new(threads, &fx->pool), 0);
	assert_int_equal(disk_env_new(fx->pool, &fx->loop, 1, &fx->env), 0);
	*state = fx;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *fx = *state;

	pool_free(fx->pool);
	loop_free(fx->loop);
	disk_env_free(fx->env);
	assert_int_equal(fixture_shell(fx, "rm -rf %s", fx->dir), 0);
	free(fx);
	return 0;
}

const char *fixture_path(const struct fixture *fx, const char *name)
{
	static char paths[8][160];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", fx->dir, name);
	return path;
}

void fixture_wait(struct fixture *fx, const bool *flag)
{
	while (!*flag)
		loop_run_once(fx->loop, true);
}

void fixture_put(const char *path, uint64_t offset, const void *data, size_t size, uint64_t end)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, size, (off_t)offset), (ssize_t)size);
	if (lseek(fd, 0, SEEK_END) < (off_t)end)
		assert_int_equal(ftruncate(fd, (off_t)end), 0);
	close(fd);
}

int fixture_shell(const struct fixture *fx, const char *format, ...)
{
	char command[1024], all[1200];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(all, sizeof(all), "cd %s && { %s; } >out 2>&1", fx->dir, command);
	status = system(all);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool fixture_reads_now(const struct fixture *fx)
{
	const char *path = fixture_path(fx, "now");
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	int fd;
	bool now;

	fixture_put(path, 0, &byte, 1, 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	now = preadv2(fd, &iov, 1, 0, RWF_NOWAIT) >= 0 || errno != EOPNOTSUPP;
	close(fd);
	unlink(path);
	return now;
}

void fixture_pattern(void *data, size_t size, uint64_t offset, unsigned seed)
{
	unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++) {
		uint64_t x = (offset + i) * 0x9e3779b97f4a7c15u + seed * 0x100000001b3u;

		bytes[i] = (unsigned char)(x >> 37);
	}
}

struct opening {
	struct disk_opened result;
	bool done;
};

static void on_opened(void *arg, const struct disk_opened *result)
{
	struct opening *opening = arg;

	opening->result = *result;
	opening->done = true;
}

struct disk *fixture_open(struct fixture *fx,
			  void (*open_disk)(struct disk_env *env, struct loop *loop, const struct disk_open *how,
					    void (*opened)(void *arg, const struct disk_opened *result), void *arg),
			  const struct disk_open *how, struct disk_opened *result)
{
	struct opening opening = { .done = false };

	open_disk(fx->env, fx->loop, how, on_opened, &opening);
	assert_false(opening.done);
	fixture_wait(fx, &opening.done);
	if (result)
		*result = opening.result;
	return opening.result.disk;
}

struct closing {
	int err;
	bool done;
};

static void on_closed(void *arg, int err)
{
	struct closing *closing = arg;

	closing->err = err;
	closing->done = true;
}

int fixture_close(struct fixture *fx, struct disk *disk)
{
	struct closing closing = { .done = false };

	disk_close(disk, on_closed, &closing);
	assert_false(closing.done);
	fixture_wait(fx, &closing.done);
	return closing.err;
}

static void on_done(struct disk_request *req)
{
	*(bool *)req->user = true;
}

static int run(struct fixture *fx, struct disk *disk, struct disk_request *req)
{
	bool done = false;

	req->user = &done;
	req->done = on_done;
	disk_submit(disk, req);
	assert_false(done);
	fixture_wait(fx, &done);
	return req->result;
}

int fixture_read(struct fixture *fx, struct disk *disk, uint64_t offset, void *data, size_t length)
{
	struct disk_request req = { .op = DISK_READ, .offset = offset, .length = length };
	size_t at = 0;

	if (run(fx, disk, &req))
		return req.result;
	for (int i = 0; i < req.iov_count; i++) {
		assert_true(req.iov[i].iov_len <= length - at);
		memcpy((char *)data + at, req.iov[i].iov_base, req.iov[i].iov_len);
		at += req.iov[i].iov_len;
	}
	assert_int_equal(at, length);
	disk_release(disk, &req);
	return 0;
}

int fixture_run(struct fixture *fx, struct disk *disk, struct disk_request *req)
{
	return run(fx, disk, req);
}

int fixture_write(struct fixture *fx, struct disk *disk, uint64_t offset, const void *data, size_t length, bool fua)
{
	struct iovec iov = { (void *)data, length };
	struct disk_request req = {
		.op = DISK_WRITE, .offset = offset, .length = length, .iov = &iov, .iov_count = 1, .fua = fua
	};

	return run(fx, disk, &req);
}

int fixture_zero(struct fixture *fx, struct disk *disk, enum disk_op op, uint64_t offset, uint64_t length)
{
	struct disk_request req = { .op = op, .offset = offset, .length = length, .unmap = true };

	return run(fx, disk, &req);
}

int fixture_flush(struct fixture *fx, struct disk *disk)
{
	struct disk_request req = { .op = DISK_FLUSH };

	return run(fx, disk, &req);
}

struct file *fixture_open_file(struct fixture *fx, const char *name, unsigned flags)
{
	struct file *file = NULL;

	assert_int_equal(disk_env_open_file(fx->env, fx->loop, fixture_path(fx, name), flags, &file), 0);
	assert_non_null(file);
	return file;
}

static void on_file_done(struct file_request *req)
{
	*(bool *)req->user = true;
}

int fixture_file_run(struct fixture *fx, struct file *file, struct file_request *req)
{
	bool done = false;

	req->user = &done;
	req->done = on_file_done;
	file->ops->submit(file, req);
	assert_false(done);
	fixture_wait(fx, &done);
	return req->result;
}
