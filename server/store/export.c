// SPDX-License-Identifier: GPL-2.0-or-later
/* Exports as people ask for them: what is refused at once. The queue is jobs.c, what one export does export_work.c. */
#include "store/export.h"

#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "store/backend.h"
#include "store/chain.h"
#include "store/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIB ((uint64_t)1 << 30)

static const struct export_format formats[] = {
	{ "raw", "raw", "raw", "", 0, "" },
	{ "qcow2", "qcow2", "qcow2", "compat=1.1", 0, "" },
	{ "vhdx", "VHDX", "vhdx", "subformat=dynamic", 0, "" },
	/* Without force_size it grows to whole cylinders. 2040 GiB: what its geometry and Hyper-V allow. */
	{ "vhd", "VHD", "vpc", "subformat=dynamic,force_size=on", 2040 * GIB, "vhdx" },
	{ "vmdk", "VMDK", "vmdk", "subformat=monolithicSparse", 0, "" },
	{ "vdi", "VDI", "vdi", "", 0, "" },
};

const struct export_format *store_export_format(const char *name)
{
	for (size_t i = 0; i < array_len(formats); i++)
		if (!strcasecmp(formats[i].name, name))
			return &formats[i];
	return NULL;
}

const char *store_export_formats(void)
{
	return "raw, qcow2, vhdx, vhd, vmdk or vdi";
}

/* ---- where to ---- */

/* Files of the state directory are the server's own, also those of other names. */
static int refuse_state_dir(const struct store *store, const char *folder, struct reason *reason)
{
	char real[PATH_MAX], state[PATH_MAX];
	size_t len;

	if (!realpath(folder, real) || !realpath(store->dir, state))
		return 0;
	len = strlen(state);
	if (strncmp(real, state, len) || (real[len] && real[len] != '/'))
		return 0;
	return reason_refuse(reason, -EINVAL, "%.300s is the server's own folder: name another one", folder);
}

/* The folder is opened, the file's name set. 0 or -errno with a sentence. */
static int open_folder(const struct store *store, const char *path, struct job *job, struct export *what,
		       struct reason *reason)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	size_t len = slash ? strlen(slash + 1) : 0;
	int err;

	if (path[0] != '/' || strlen(path) >= PATH_MAX || !len || len > NAME_MAX - 32 || !strcmp(slash + 1, ".") ||
	    !strcmp(slash + 1, ".."))
		return reason_refuse(
			reason, -EINVAL,
			"the file must be named with its whole path on the server, such as /srv/exports/lab.vhdx");
	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	snprintf(what->file, sizeof(what->file), "%s", slash + 1);
	err = refuse_state_dir(store, folder, reason);
	if (err)
		return err;
	job->fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job->fd >= 0)
		return 0;
	return reason_refuse(reason, errno == ENOENT ? -ENOENT : -EINVAL, "the folder %.300s: %s", folder,
			     strerror(errno));
}

static int check_target(int folder, const struct export *what, const char *path, struct reason *reason)
{
	struct stat st;

	if (fstatat(folder, what->file, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : reason_refuse(reason, -errno, "%.300s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return reason_refuse(reason, -EINVAL, "%.300s is there, and is no file: name another one", path);
	if (what->force)
		return 0;
	return reason_refuse(reason, -EEXIST,
			     "%.300s is there already: name another file, or say --force to replace it", path);
}

static int check_size(const struct export *what, struct reason *reason)
{
	const struct export_format *format = what->format;

	if (!format->size_max || what->size_bytes <= format->size_max)
		return 0;
	return reason_refuse(reason, -EINVAL, "a %s holds %llu GiB at most, and this disk has %llu: take %s instead",
			     format->shown, (unsigned long long)(format->size_max / GIB),
			     (unsigned long long)(what->size_bytes / GIB), format->too_large);
}

/* ---- both kinds ---- */

static void forget(struct export *what)
{
	chain_close(&what->chain);
	free(what);
}

/* what->chain is open, and is the job's from here on. */
static int submit(struct store *store, struct export *what, const char *name, const struct store_export *how,
		  uint64_t *id, struct reason *reason)
{
	struct job job = { .status.kind = JOB_EXPORT,
			   .perform = export_perform,
			   .ended = how->ended,
			   .ended_arg = how->arg,
			   .fd = -1,
			   .what = what,
			   .forget = forget };
	int err;

	what->format = how->format;
	what->force = how->force;
	err = check_size(what, reason);
	if (!err)
		err = open_folder(store, how->path, &job, what, reason);
	if (!err)
		err = check_target(job.fd, what, how->path, reason);
	snprintf(job.status.name, sizeof(job.status.name), "%s", name);
	log_escape(job.status.source, sizeof(job.status.source), how->path, strlen(how->path));
	snprintf(job.path, sizeof(job.path), "%s", how->path);
	snprintf(job.actor, sizeof(job.actor), "%s", how->actor);
	secret_text(job.mark, sizeof(job.mark) - 1);
	if (!err)
		err = jobs_submit(store, &job, id, reason);
	if (!err)
		return 0;
	if (job.fd >= 0)
		close(job.fd);
	forget(what);
	return err;
}

static int export_version(struct store *store, const struct image_version *version, const struct store_export *how,
			  uint64_t *id, struct reason *reason)
{
	struct export *what;
	char name[NAME_MAX_TEXT + 16];
	int err = store_verify_version(store, version, reason);

	if (err)
		return err;
	what = calloc(1, sizeof(*what));
	if (!what)
		return reason_refuse(reason, -ENOMEM, "no memory");
	what->size_bytes = version->size_bytes;
	err = chain_open(store, "images", version->file, version->format, &what->chain, reason);
	if (err) {
		free(what);
		return err;
	}
	snprintf(name, sizeof(name), "%s@%u", version->image, version->number);
	return submit(store, what, name, how, id, reason);
}

int store_export_version(struct store *store, const struct image_version *version, const struct store_export *how,
			 uint64_t *id, struct reason *reason)
{
	int err = export_version(store, version, how, id, reason);

	if (err && how->ended)
		how->ended(how->arg);
	return err;
}

static int export_volume(struct store *store, const struct volume *volume, const char *name,
			 const struct store_export *how, uint64_t *id, struct reason *reason)
{
	const struct store_backend *backend = store_backend_find(store, volume->backend);
	struct volume_info info;
	struct export *what;
	int err;

	if (!backend || !backend->open_chain)
		return reason_refuse(reason, -ENOTSUP, "%s is kept in a way that cannot be exported", name);
	err = backend->info(store, volume, NULL, &info);
	if (err)
		return reason_refuse(reason, err, "the disk of %s cannot be read: %s", name, strerror(-err));
	if (!info.clean)
		return reason_refuse(
			reason, -EBUSY,
			"the disk of %s was not closed in order: start it once and shut it down, then export it", name);
	what = calloc(1, sizeof(*what));
	if (!what)
		return reason_refuse(reason, -ENOMEM, "no memory");
	what->size_bytes = info.virtual_bytes;
	err = backend->open_chain(store, volume->object, &what->chain, reason);
	if (err) {
		free(what);
		return err;
	}
	return submit(store, what, name, how, id, reason);
}

int store_export_volume(struct store *store, const struct volume *volume, const char *name,
			const struct store_export *how, uint64_t *id, struct reason *reason)
{
	int err = export_volume(store, volume, name, how, id, reason);

	if (err && how->ended)
		how->ended(how->arg);
	return err;
}
