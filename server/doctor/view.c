// SPDX-License-Identifier: GPL-2.0-or-later
/* A file as a view: see view.h. */
#include "doctor/view.h"

#include <errno.h>
#include <unistd.h>

static bool file_read(void *arg, uint64_t offset, void *data, size_t len)
{
	int fd = *(const int *)arg;
	uint8_t *at = data;

	while (len) {
		ssize_t n = pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

struct view view_of_file(const int *fd, uint64_t size)
{
	return (struct view){ .read = file_read, .arg = (void *)(uintptr_t)fd, .size = size };
}
