// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU's image locks (block/file-posix.c): one byte per permission, as open-file-description locks, all of them shared.
 *
 * A holder of permission p has a read lock on byte 100 + p; one that does not share p with others has a read lock on
 * byte 200 + p. Whoever wants p asks whether somebody else has 200 + p, whoever does not share p whether somebody has
 * 100 + p. Both take their locks first and ask afterwards, so of two that conflict at most one stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "disk/file.h"

enum {
	PERM_CONSISTENT_READ = 1 << 0,
	PERM_WRITE = 1 << 1,
	PERM_WRITE_UNCHANGED = 1 << 2,
	PERM_RESIZE = 1 << 3,
	PERM_COUNT = 4,

	LOCK_PERM_BASE = 100,
	LOCK_SHARED_BASE = 200,
};

static const struct lock_kind {
	unsigned takes, keeps_from_others;
} kinds[] = {
	[FILE_LOCK_SHARED_READ] = { PERM_CONSISTENT_READ, PERM_WRITE | PERM_RESIZE },
	/* What lies in the file of an open child is behind what its maps in memory say: not even a reader gets in. */
	[FILE_LOCK_EXCLUSIVE] = { PERM_CONSISTENT_READ | PERM_WRITE | PERM_RESIZE,
				  PERM_CONSISTENT_READ | PERM_WRITE | PERM_WRITE_UNCHANGED | PERM_RESIZE },
};

static int lock_byte(int fd, int byte)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* -EBUSY where somebody else has the byte. */
static int test_byte(int fd, int byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	return lock.l_type == F_UNLCK ? 0 : -EBUSY;
}

static int lock_and_test(int fd, const struct lock_kind *kind)
{
	int err = 0;

	for (int p = 0; p < PERM_COUNT && !err; p++) {
		if (kind->takes & 1u << p)
			err = lock_byte(fd, LOCK_PERM_BASE + p);
		if (!err && kind->keeps_from_others & 1u << p)
			err = lock_byte(fd, LOCK_SHARED_BASE + p);
	}
	for (int p = 0; p < PERM_COUNT && !err; p++) {
		if (kind->takes & 1u << p)
			err = test_byte(fd, LOCK_SHARED_BASE + p);
		if (!err && kind->keeps_from_others & 1u << p)
			err = test_byte(fd, LOCK_PERM_BASE + p);
	}
	return err;
}

void file_unlock(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(fd, F_OFD_SETLK, &lock);
}

int file_lock(int fd, enum file_lock lock)
{
	int err = lock_and_test(fd, &kinds[lock]);

	if (err)
		file_unlock(fd);
	return err;
}
