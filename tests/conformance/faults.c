// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk that goes bad, for a daemon that runs with this in LD_PRELOAD: preadv2, pwritev2 and fdatasync as the kernel
 * would have them, but for the lines of the file that FAULTS names, which is read again at every call:
 *
 *	read PART OFFSET	the 512 bytes at OFFSET of files with PART in their name cannot be read: EIO, short before it
 *	sync PART		fdatasync fails with EIO
 *	full PART		a write that would take space fails with ENOSPC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags);

/* Whether there is a line of that kind for this file; where: its OFFSET, if it has to lie in start to end. */
static int is_bad(const char *kind, int fd, long long start, long long end, long long *where)
{
	char link[64], path[512], line[512], word[16], part[256];
	const char *name = getenv("FAULTS");
	int bad = 0, saved = errno;
	FILE *faults = name ? fopen(name, "re") : NULL;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = faults ? readlink(link, path, sizeof(path) - 1) : -1;
	path[n > 0 ? n : 0] = '\0';
	while (n > 0 && !bad && fgets(line, sizeof(line), faults)) {
		long long at = 0;

		if (sscanf(line, "%15s %255s %lld", word, part, &at) < 2 || strcmp(word, kind) || !strstr(path, part))
			continue;
		bad = !where || (at < end && at + 512 > start);
		if (bad && where)
			*where = at;
	}
	if (faults)
		fclose(faults);
	errno = saved;
	return bad;
}

static long long sum(const struct iovec *iov, int count)
{
	long long bytes = 0;

	for (int i = 0; i < count; i++)
		bytes += (long long)iov[i].iov_len;
	return bytes;
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	long long bad, length = sum(iov, count);
	ssize_t n = syscall(SYS_preadv2, fd, iov, count, offset, 0, flags);

	if (n <= 0 || !is_bad("read", fd, offset, offset + length, &bad))
		return n;
	if (bad > offset)
		return n < bad - offset ? n : (ssize_t)(bad - offset);
	errno = EIO;
	return -1;
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return preadv2(fd, iov, count, offset, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (is_bad("full", fd, 0, 0, NULL) && lseek(fd, offset, SEEK_DATA) != offset) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return pwritev2(fd, iov, count, offset, flags);
}

int fdatasync(int fd)
{
	if (is_bad("sync", fd, 0, 0, NULL)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}
