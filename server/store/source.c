// SPDX-License-Identifier: GPL-2.0-or-later
/* A file or disk of the server's that somebody names: to be imported, or to be looked into. */
#include "store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Refused at once, where what is named can never be read to its end and again. */
static int source_check_kind(int fd, const char *path, struct reason *reason)
{
	struct stat st;

	if (fstat(fd, &st))
		return reason_refuse(reason, -EINVAL, "%.300s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		return reason_refuse(reason, -EINVAL, "%.300s is a folder: name the file in it that holds the disk",
				     path);
	return reason_refuse(
		reason, -EINVAL,
		"%.300s is neither a file nor a disk, and an import reads more than once: send what comes from "
		"it (cat %.300s | sanbootctl image import - --name NAME)",
		path, path);
}

int store_source_size(int fd, uint64_t *size)
{
	struct stat st;
	off_t end;

	if (fstat(fd, &st))
		return -EINVAL;
	end = S_ISREG(st.st_mode) ? st.st_size : S_ISBLK(st.st_mode) ? lseek(fd, 0, SEEK_END) : -1;
	if (end < 0)
		return -EINVAL;
	*size = (uint64_t)end;
	return 0;
}

int store_open_source(const char *path, int *fd, struct reason *reason)
{
	int err;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return reason_refuse(
			reason, -EINVAL,
			"the file must be named with its whole path on the server, such as /srv/images/debian.qcow2");
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return reason_refuse(reason, errno == ENOENT ? -ENOENT : -EINVAL, "%.300s: %s", path, strerror(errno));
	err = source_check_kind(*fd, path, reason);
	if (err)
		close(*fd);
	return err;
}
