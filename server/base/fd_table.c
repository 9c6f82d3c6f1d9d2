// SPDX-License-Identifier: GPL-2.0-or-later
/* Room for file descriptors, made before threads share them. */
#include "base/fd_table.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

void fd_table_prepare(void)
{
	struct rlimit limit;
	int last = FD_TABLE_DESCRIPTORS - 1, fd, far;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < FD_TABLE_DESCRIPTORS)
		last = (int)limit.rlim_cur - 1;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* The table never shrinks: one descriptor at its end, and gone again, is enough. */
	far = fcntl(fd, F_DUPFD_CLOEXEC, last);
	if (far >= 0)
		close(far);
	close(fd);
}
