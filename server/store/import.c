// SPDX-License-Identifier: GPL-2.0-or-later
/* Imports as people ask for them: what is refused at once. The queue is jobs.c, what one import does import_work.c. */
#include "store/store.h"

#include "base/log.h"
#include "store/import_work.h"
#include "store/jobs.h"
#include "store/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* The rest of job is set. Takes its fd. */
static int import_submit(struct store *store, struct job *job, const char *name, const char *source, const char *actor,
			 uint64_t *id, struct reason *reason)
{
	int err;

	snprintf(job->status.name, sizeof(job->status.name), "%s", name);
	log_escape(job->status.source, sizeof(job->status.source), source, strlen(source));
	snprintf(job->actor, sizeof(job->actor), "%s", actor);
	err = jobs_submit(store, job, id, reason);
	if (err)
		close(job->fd);
	return err;
}

int store_import(struct store *store, const char *path, const char *name, enum import_use use, const char *actor,
		 uint64_t *id, struct reason *reason)
{
	struct job job = { .status.kind = JOB_IMPORT, .perform = import_perform, .use = use };
	int err = store_check_image_name(store, name, reason);

	if (!err)
		err = store_open_source(path, &job.fd, reason);
	if (err)
		return err;
	snprintf(job.path, sizeof(job.path), "%s", path);
	return import_submit(store, &job, name, path, actor, id, reason);
}

int store_seal_version(struct store *store, const struct image_version *version, const char *actor, uint64_t *id,
		       struct reason *reason)
{
	struct job job = { .status.kind = JOB_IMPORT, .perform = import_perform, .use = IMPORT_SEALED };
	char source[NAME_MAX_TEXT + 16];
	int err;

	snprintf(source, sizeof(source), "%s@%u", version->image, version->number);
	store_version_path(store, version, job.path, sizeof(job.path));
	if (strcmp(version->format, "raw"))
		return reason_refuse(
			reason, -ENOTSUP,
			"%s was made of a machine's disk and stands on another version: sanbootctl image export %s "
			"/var/tmp/disk.raw, import that, and seal it",
			source, source);
	err = store_verify_version(store, version, reason);
	if (!err)
		err = store_open_source(job.path, &job.fd, reason);
	return err ? err : import_submit(store, &job, version->image, source, actor, id, reason);
}
