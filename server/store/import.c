// SPDX-License-Identifier: GPL-2.0-or-later
/* Imports as people ask for them: what is refused at once. The queue is jobs.c, what one import does import_work.c. */
#include "store/store.h"

#include "base/log.h"
#include "store/import_work.h"
#include "store/jobs.h"
#include "store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Refused at once, where what is named can never be read to its end and again. */
static int import_check_kind(int fd, const char *path, struct reason *reason)
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

static int import_open(const char *path, int *fd, struct reason *reason)
{
	int err;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return reason_refuse(
			reason, -EINVAL,
			"the file must be named with its whole path on the server, such as /srv/images/debian.qcow2");
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return reason_refuse(reason, errno == ENOENT ? -ENOENT : -EINVAL, "%.300s: %s", path, strerror(errno));
	err = import_check_kind(*fd, path, reason);
	if (err)
		close(*fd);
	return err;
}

struct import_name {
	const char *name;
	char similar[NAME_MAX_TEXT];
};

static int find_similar(struct inventory_tx *tx, void *arg)
{
	struct import_name *name = arg;

	return image_find_similar(tx, name->name, name->similar);
}

int store_check_image_name(struct store *store, const char *text, struct reason *reason)
{
	struct import_name name = { .name = text };

	if (!image_name_valid(text))
		return reason_refuse(reason, -EINVAL,
				     "an image is named with letters, digits, '-', '_' and '.', at most 63 of them");
	if (!store_read(store, find_similar, &name) && strcmp(name.similar, text))
		return reason_refuse(reason, -ENOTUNIQ,
				     "there is an image %s already, and names that differ by case only would be taken for "
				     "each other: give this one another name, or %s for a new version of that image",
				     name.similar, name.similar);
	return 0;
}

int store_import(struct store *store, const char *path, const char *name, enum import_use use, const char *actor,
		 uint64_t *id, struct reason *reason)
{
	struct job job = { .status.kind = JOB_IMPORT, .perform = import_perform, .use = use };
	int err = store_check_image_name(store, name, reason);

	if (!err)
		err = import_open(path, &job.fd, reason);
	if (err)
		return err;
	snprintf(job.status.name, sizeof(job.status.name), "%s", name);
	log_escape(job.status.source, sizeof(job.status.source), path, strlen(path));
	snprintf(job.path, sizeof(job.path), "%s", path);
	snprintf(job.actor, sizeof(job.actor), "%s", actor);
	err = jobs_submit(store, &job, id, reason);
	if (err)
		close(job.fd);
	return err;
}
