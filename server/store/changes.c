// SPDX-License-Identifier: GPL-2.0-or-later
/* Who came, went or was replaced in the folders that volumes and images lie in: see store_watch_files. */
#include "store/store.h"

#include "store/private.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Not what is written into files: machines do that all the time. Nobody does into an image: whoever did is told once he closes it. */
#define CHANGES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

int store_watch_files(const struct store *store)
{
	static const struct {
		const char *name;
		uint32_t changes;
	} folders[] = { { "children", CHANGES }, { "images", CHANGES | IN_CLOSE_WRITE } };
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), err;
	char path[PATH_MAX];

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (inotify_add_watch(fd, store_path(store, folders[i].name, NULL, path), folders[i].changes) >= 0)
			continue;
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}
