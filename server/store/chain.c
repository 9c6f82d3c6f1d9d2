// SPDX-License-Identifier: GPL-2.0-or-later
/* See chain.h. */
#include "store/chain.h"

#include "disk/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the next one is, as a header names it: beside it, or ../images/NAME, ../children/NAME. NULL: somewhere else. */
static const char *next_file(const char *backing, const char **folder)
{
	static const char *const folders[] = { "images", "children" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t len = strlen(folders[i]);

		if (!strncmp(backing, "../", 3) && !strncmp(backing + 3, folders[i], len) && backing[3 + len] == '/') {
			*folder = folders[i];
			backing += 4 + len;
			break;
		}
	}
	return store_file_name_valid(backing) ? backing : NULL;
}

static int open_one(const char *path, bool raw, struct convert_chain *chain, struct reason *reason)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, &st) || (!convert_can_read(&st) && fchmod(fd, (st.st_mode | S_IROTH) & 07777))) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return reason_refuse(reason, err, "%.300s: %s", path, strerror(-err));
	}
	chain->files[chain->count] = fd;
	chain->raw[chain->count++] = raw;
	return 0;
}

int chain_open(struct store *store, const char *folder, const char *file, const char *format,
	       struct convert_chain *chain, struct reason *reason)
{
	char path[PATH_MAX];
	struct qcow2_info info = { 0 };
	int err = 0;

	chain->count = 0;
	while (!err) {
		bool raw = !strcmp(format, "raw");

		if (chain->count == CONVERT_CHAIN_MAX) {
			err = reason_refuse(reason, -EMLINK, "%s stands on too many files", file);
			break;
		}
		err = open_one(store_path(store, folder, file, path), raw, chain, reason);
		if (!err && !raw)
			err = qcow2_read_info(path, &info, reason);
		if (err || raw || !info.backing[0])
			break;
		file = next_file(info.backing, &folder);
		if (!file)
			err = reason_refuse(reason, -ESTALE, "%.300s stands on %.300s, which is not one of ours", path,
					    info.backing);
		format = info.backing_format;
	}
	if (err)
		chain_close(chain);
	return err;
}

void chain_close(struct convert_chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++) {
		struct stat st;

		/* Golden files are read-only for all; the others are ours alone. */
		if (!chain->raw[i] && !fstat(chain->files[i], &st) && (st.st_mode & S_IWUSR) && (st.st_mode & S_IROTH))
			fchmod(chain->files[i], st.st_mode & 07770);
		close(chain->files[i]);
	}
	chain->count = 0;
}
