// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A daemon that dies between two steps, for one that runs with this in LD_PRELOAD: every call that changes a file is a
 * step (writes, syncs, new files, names that come and go, lengths). While the file that KILL_AT names is there, steps
 * are counted from 1, and before the one with the number in it the process kills itself with -9; a second number in it says
 * from which count, so that another one begins at 1 again. What that step would have been is left in KILL_AT.last. Of what is written to a file in a row the first three calls are steps, of SQLite's
 * log the first: it says of itself which part counts, and that is the last.
 *
 * Where there is a file KILL_AT.chores at the start, what the daemon does now and then (boot/operator/chores.c) begins a moment
 * after the start, and not after a minute.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int open64(const char *path, int flags, ...);
int openat64(int folder, const char *path, int flags, ...);
ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
int ftruncate64(int fd, off_t len);
int fallocate64(int fd, int mode, off_t offset, off_t len);

int mkdirat(int folder, const char *path, mode_t mode);
int uv_timer_start(void *timer, void *callback, uint64_t timeout_ms, uint64_t repeat_ms);

enum { RUN_STEPS = 3, RUN_STEPS_LOG = 1 };
enum { CHORES_FIRST_MS = 60 * 1000, CHORES_EVERY_MS = 10 * 60 * 1000, CHORES_SOON_MS = 200 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static long steps, count_number;
static char run_path[256];
static unsigned run_length;

/* Is it the same file that was written to just before, and how often in a row? NULL: something else is done. */
static unsigned run_of(const char *path)
{
	unsigned length;

	pthread_mutex_lock(&mutex);
	if (!path || strcmp(path, run_path))
		run_length = 0;
	snprintf(run_path, sizeof(run_path), "%s", path ? path : "");
	length = ++run_length;
	pthread_mutex_unlock(&mutex);
	return length;
}

/* Only system calls: whatever of the C library is called here may be one of those below. */
static void die(const char *at, const char *what, const char *path)
{
	char last[512];
	long fd;

	snprintf(last, sizeof(last), "%s.last", at);
	fd = syscall(SYS_openat, AT_FDCWD, last, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	snprintf(last, sizeof(last), "%s %s", what, path);
	syscall(SYS_write, fd, last, strlen(last));
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Is this the step before which it ends? */
static bool is_last(const char *text)
{
	char *rest;
	long last = strtol(text, &rest, 10), number = strtol(rest, NULL, 10);
	bool found;

	pthread_mutex_lock(&mutex);
	if (number != count_number)
		steps = 0;
	count_number = number;
	found = ++steps == last;
	pthread_mutex_unlock(&mutex);
	return found;
}

static void count(const char *what, const char *path)
{
	const char *at = getenv("KILL_AT");
	char text[32] = "";
	long fd = at ? syscall(SYS_openat, AT_FDCWD, at, O_RDONLY | O_CLOEXEC, 0) : -1;

	if (fd < 0)
		return;
	syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	if (is_last(text))
		die(at, what, path);
}

static void step(const char *what, const char *path)
{
	run_of(NULL);
	count(what, path);
}

/* Of sockets, pipes and the log nothing is left after a crash. */
static void step_fd(const char *what, int fd)
{
	char link[64], path[256];
	struct stat st;
	ssize_t n;
	bool log;

	if (fd == STDERR_FILENO || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	log = n > 4 && !strcmp(path + n - 4, "-wal");
	if (!strstr(what, "write"))
		step(what, path);
	else if (run_of(path) <= (log ? RUN_STEPS_LOG : RUN_STEPS))
		count(what, path);
}

/* ---- names ---- */

static int open_any(int folder, const char *path, int flags, va_list args)
{
	mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;

	if (flags & (O_CREAT | O_TRUNC))
		step("open", path);
	return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define OPEN(name, folder, ...)                           \
	int name(__VA_ARGS__, int flags, ...)             \
	{                                                 \
		va_list args;                             \
		int fd;                                   \
                                                          \
		va_start(args, flags);                    \
		fd = open_any(folder, path, flags, args); \
		va_end(args);                             \
		return fd;                                \
	}

OPEN(open, AT_FDCWD, const char *path)
OPEN(open64, AT_FDCWD, const char *path)
OPEN(openat, folder, int folder, const char *path)
OPEN(openat64, folder, int folder, const char *path)

int mkdir(const char *path, mode_t mode)
{
	step("mkdir", path);
	return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int rename(const char *from, const char *to)
{
	step("rename to", to);
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int link(const char *from, const char *to)
{
	step("link", to);
	return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	step("rename to", to);
	return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	step("link", to);
	return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int unlink(const char *path)
{
	step("unlink", path);
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int unlinkat(int folder, const char *path, int flags)
{
	step("unlink", path);
	return (int)syscall(SYS_unlinkat, folder, path, flags);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
	step("mkdir", path);
	return (int)syscall(SYS_mkdirat, folder, path, mode);
}

int rmdir(const char *path)
{
	step("rmdir", path);
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

/* ---- contents ---- */

ssize_t write(int fd, const void *data, size_t len)
{
	step_fd("write", fd);
	return syscall(SYS_write, fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	step_fd("pwrite", fd);
	return syscall(SYS_pwrite64, fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	return pwrite(fd, data, len, offset);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	step_fd("pwritev2", fd);
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return pwritev2(fd, iov, count, offset, flags);
}

int ftruncate(int fd, off_t len)
{
	step_fd("ftruncate", fd);
	return (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate64(int fd, off_t len)
{
	return ftruncate(fd, len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	step_fd("fallocate", fd);
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int fallocate64(int fd, int mode, off_t offset, off_t len)
{
	return fallocate(fd, mode, offset, len);
}

int fsync(int fd)
{
	step_fd("fsync", fd);
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	step_fd("fdatasync", fd);
	return (int)syscall(SYS_fdatasync, fd);
}

/* ---- time ---- */

int uv_timer_start(void *timer, void *callback, uint64_t timeout_ms, uint64_t repeat_ms)
{
	int (*real)(void *, void *, uint64_t, uint64_t) = dlsym(RTLD_NEXT, "uv_timer_start");
	const char *at = getenv("KILL_AT");
	char path[512];

	if (at && timeout_ms == CHORES_FIRST_MS && repeat_ms == CHORES_EVERY_MS) {
		snprintf(path, sizeof(path), "%s.chores", at);
		if (!access(path, F_OK))
			timeout_ms = CHORES_SOON_MS;
	}
	return real(timer, callback, timeout_ms, repeat_ms);
}
