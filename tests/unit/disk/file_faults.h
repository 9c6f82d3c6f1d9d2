/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that goes bad, for tests of file.c on real files: the system calls below stand before libc's in the program
 * that includes this. They can be told to be short, to be interrupted, to fail from an offset on.
 */
#ifndef TESTS_DISK_FILE_FAULTS_H
#define TESTS_DISK_FILE_FAULTS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/fixture.h"
#include "skip.h"

static struct {
	atomic_int interrupts;	     /* so many calls fail with EINTR */
	atomic_ulong most_bytes;     /* of one call; 0: no bound */
	atomic_long bad_offset;	     /* reads that touch this byte fail with EIO; -1: none */
	atomic_int write_error;	     /* of every write; 0: none */
	atomic_int sync_error;	     /* of the next sync; 0: none */
	atomic_int syncs;	     /* how many ran */
	atomic_int blocked;	     /* syncs wait while it is not 0 */
	atomic_int syncing, writing; /* calls that are in the kernel */
	atomic_int overlaps;	     /* of a sync and a write */
	atomic_ulong wide_writes;    /* that reach from one 16 KiB of the file into the next */
} faults = { .bad_offset = -1 };

static inline int faults_reset(void **state)
{
	(void)state;
	faults.interrupts = faults.write_error = faults.sync_error = faults.syncs = faults.blocked = 0;
	faults.most_bytes = 0;
	faults.bad_offset = -1;
	return 0;
}

static inline bool interrupted(void)
{
	if (faults.interrupts <= 0)
		return false;
	faults.interrupts--;
	errno = EINTR;
	return true;
}

/* At most so many bytes of iov, in one piece: short on purpose. */
static inline int shorten(const struct iovec *iov, int count, struct iovec *piece)
{
	if (faults.most_bytes == 0 || count == 0)
		return 0;
	*piece = iov[0];
	piece->iov_len = min_u64(piece->iov_len, faults.most_bytes);
	return 1;
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	long bad = faults.bad_offset;
	struct iovec piece;

	if (interrupted())
		return -1;
	if (shorten(iov, count, &piece)) {
		iov = &piece;
		count = 1;
	}
	if (bad >= 0) {
		size_t total = 0;

		for (int i = 0; i < count; i++)
			total += iov[i].iov_len;
		/* As the page cache does: what comes before the bad page is had. */
		if (offset <= bad && (size_t)(bad - offset) < total) {
			long page = bad / 4096 * 4096;

			if (offset >= page || flags & RWF_NOWAIT) {
				errno = flags & RWF_NOWAIT ? EAGAIN : EIO;
				return -1;
			}
			piece = iov[0];
			piece.iov_len = min_u64(piece.iov_len, (uint64_t)(page - offset));
			iov = &piece;
			count = 1;
		}
	}
	return syscall(SYS_preadv2, fd, iov, count, offset, 0, flags);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	long bad = faults.bad_offset;

	if (bad >= 0 && offset <= bad && (size_t)(bad - offset) < size) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, data, size, offset);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct iovec piece;
	ssize_t n;

	if (interrupted())
		return -1;
	if (faults.write_error) {
		errno = faults.write_error;
		return -1;
	}
	if (shorten(iov, count, &piece)) {
		iov = &piece;
		count = 1;
	}
	faults.writing++;
	faults.overlaps += faults.syncing != 0;
	n = syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
	faults.writing--;
	faults.wide_writes += n > 0 && offset / 16384 != (offset + n - 1) / 16384;
	return n;
}

int fdatasync(int fd)
{
	int error = atomic_exchange(&faults.sync_error, 0);
	int result;

	faults.syncing++;
	while (faults.blocked)
		usleep(100);
	faults.syncs++;
	faults.overlaps += faults.writing != 0;
	result = error ? -1 : (int)syscall(SYS_fdatasync, fd);
	faults.syncing--;
	if (error)
		errno = error;
	return result;
}

/* ---- helpers ---- */

static inline void on_done(struct file_request *req)
{
	*(bool *)req->user = true;
}

static inline int run_range(struct fixture *fx, struct file *file, enum file_op op, uint64_t offset, uint64_t length)
{
	struct file_request req = { .op = op, .offset = offset, .length = length };

	return fixture_file_run(fx, file, &req);
}

static inline int run_data(struct fixture *fx, struct file *file, enum file_op op, uint64_t offset, void *data,
			   size_t length, uint64_t *error_offset)
{
	/* Three pieces, so that the iovec is walked. */
	struct iovec iov[3] = { { data, 100 }, { (char *)data + 100, 0 }, { (char *)data + 100, length - 100 } };
	struct file_request req = { .op = op, .offset = offset, .length = length, .iov = iov, .iov_count = 3 };
	int err = fixture_file_run(fx, file, &req);

	if (error_offset)
		*error_offset = req.error_offset;
	return err;
}

static inline void drop_cache(struct fixture *fx, const char *name)
{
	int fd = open(fixture_path(fx, name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	fsync(fd);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

enum { K = 1024, M = 1024 * 1024 };

#endif
