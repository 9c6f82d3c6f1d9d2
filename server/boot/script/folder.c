// SPDX-License-Identifier: GPL-2.0-or-later
/* See folder.h. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int folder_wants(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && entry->d_name[len - 1] != '~';
}

int folder_each(const char *folder, void (*each)(void *arg, const char *name, const char *path), void *arg)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int count = scandir(folder, &entries, folder_wants, alphasort);

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		if (i < FOLDER_FILES_MAX &&
		    snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name) < (int)sizeof(path))
			each(arg, entries[i]->d_name, path);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

/* Until max bytes or the end; -errno. */
static ssize_t read_all(int fd, char *to, size_t max)
{
	size_t done = 0;

	while (done < max) {
		ssize_t n = read(fd, to + done, max - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int folder_read(const char *path, size_t max, char **text, size_t *len)
{
	/* Not blocking: it might be a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;
	struct stat st;
	ssize_t got;
	char *made;

	if (fd < 0)
		return -errno;
	made = malloc(max + 2);
	if (!made)
		err = -ENOMEM;
	else if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	if (!err) {
		got = read_all(fd, made, max + 1);
		if (got < 0)
			err = (int)got;
		else if ((size_t)got > max)
			err = -EFBIG;
	}
	close(fd);
	if (err) {
		free(made);
		return err;
	}
	made[got] = '\0';
	*text = made;
	*len = (size_t)got;
	return 0;
}
