// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One import, on a slow worker:
 *
 *     QUEUED -> CHECKING -> CONVERTING -> HASHING -> DONE         tmp/import-N.raw -> images/NAME@V.raw
 *                  `-----------`------------`------> FAILED
 *
 * The file is made in tmp/. When it is whole, hashed and durable, one inventory job links it into images/ and inserts
 * the row. Its name in tmp/ goes last: at the next start a file in images/ that has a second name in tmp/ and no row is
 * the remains of a crash in between, and goes (reclaim.c). So a crash at any point leaves nothing, or a complete
 * version.
 */
#include "store/import_work.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "doctor/doctor.h"
#include "store/convert.h"
#include "store/hash.h"
#include "store/clone_warnings.h"
#include "store/private.h"
#include "store/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	FILE_TEXT = 100,
	NUMBERS_TRIED = 1000,
	QEMU_LOCK_WRITER = 101, /* the byte that QEMU locks in a file that it may write (block/file-posix.c) */
};

/* One import at work. */
struct work {
	struct store *store;
	struct import *import;
	char file_text[FILE_TEXT]; /* the input's name, for people */
	struct policy policy;
	char tmp[PATH_MAX];  /* "" not made */
	char copy[PATH_MAX]; /* of an input that qemu-img may not read; "" none */
	int out, copy_fd;
	enum import_stage stage;
	bool no_space;
	char changes[1536]; /* of a sealed one */
	struct image_version version;
	char published_file[PATH_MAX]; /* images/NAME@V.raw once linked */
	struct reason reason;
};

/* ---- status ---- */

static void import_set(struct store *store, struct import *import, enum import_stage stage, unsigned percent,
		       const char *text)
{
	pthread_mutex_lock(&store->mutex);
	if (import->status.stage != stage || import->status.percent != percent || text) {
		import->status.stage = stage;
		import->status.percent = percent;
		if (text)
			snprintf(import->status.text, sizeof(import->status.text), "%s", text);
	}
	pthread_mutex_unlock(&store->mutex);
}

static bool work_is_canceled(struct work *work)
{
	bool canceled;

	pthread_mutex_lock(&work->store->mutex);
	canceled = work->import->cancel;
	pthread_mutex_unlock(&work->store->mutex);
	return canceled;
}

static bool work_step(void *arg, unsigned percent)
{
	struct work *work = arg;
	struct reason reason;

	import_set(work->store, work->import, work->stage, percent, NULL);
	/* The machines that run need the reserve more than this import does. */
	if (work->stage == IMPORT_CONVERTING)
		work->no_space = store_check_space(work->store, &work->policy, 0, &reason) == -ENOSPC;
	return !work->store->closing && !work->no_space && !work_is_canceled(work);
}

static int work_refuse_canceled(struct work *work)
{
	return reason_refuse(&work->reason, -ECANCELED, "canceled by %s; nothing of it is left",
			     work->import->canceled_by);
}

/* Why a pass over the bytes ended early. */
static int work_fail_pass(struct work *work, int err)
{
	if (err == -ECANCELED && work->no_space) {
		store_check_space(work->store, &work->policy, 0, &work->reason);
		return -ENOSPC;
	}
	if (err == -ECANCELED && work_is_canceled(work))
		return work_refuse_canceled(work);
	if (err == -ECANCELED)
		return reason_refuse(&work->reason, err, "the server was stopped: import it again");
	if (err == -ENODATA)
		return reason_refuse(&work->reason, err, "%s became shorter while it was read", work->file_text);
	return reason_refuse(&work->reason, err, "%s could not be copied: %s", work->file_text, strerror(-err));
}

/* ---- steps ---- */

static int open_tmp(struct work *work, const char *suffix, char path[PATH_MAX])
{
	char name[64], random[9];
	int fd;

	secret_text(random, sizeof(random) - 1);
	snprintf(name, sizeof(name), "import-%llu-%s%s", (unsigned long long)work->import->status.id, random, suffix);
	fd = open(store_path(work->store, "tmp", name, path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		int err = -errno;

		reason_refuse(&work->reason, err, "%s cannot be made: %s", path, strerror(-err));
		path[0] = '\0';
		return err;
	}
	return fd;
}

static bool has_writer(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_LOCK_WRITER, .l_len = 1 };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

static int work_check(struct work *work, struct stat *st, uint64_t *in_size, struct probe *probe)
{
	struct import *import = work->import;
	struct reason reason;
	struct view view;
	int err;

	if (fstat(import->fd, st) || store_source_size(import->fd, in_size))
		return reason_refuse(&work->reason, -EINVAL, "%s is neither a file nor a disk", work->file_text);
	if (has_writer(import->fd))
		return reason_refuse(&work->reason, -EBUSY,
				     "%s is being written to by a virtual machine: shut that down first",
				     work->file_text);
	view = view_of_file(&import->fd, *in_size);
	err = probe_image(&view, import->path, probe, &reason);
	if (err)
		return reason_refuse(&work->reason, err, "%s %.400s", work->file_text, reason.text);
	err = store_get_policy(work->store, &work->policy);
	if (err)
		return reason_refuse(&work->reason, err, "the policy could not be read: %s", strerror(-err));
	return store_check_space(work->store, &work->policy, min_u64((uint64_t)st->st_blocks * 512, *in_size),
				 &work->reason);
}

/* qemu-img runs as the user "nobody": an input that this user may not read is copied to where it may. */
static int work_copy_input(struct work *work, uint64_t in_size, const struct progress *progress)
{
	int err;

	import_set(work->store, work->import, IMPORT_CONVERTING, 0,
		   "copying it to where qemu-img, without privileges, can read it");
	work->copy_fd = open_tmp(work, ".in", work->copy);
	if (work->copy_fd < 0)
		return work->copy_fd;
	err = copy_file_sparse(work->import->fd, in_size, work->copy_fd, in_size, HASH_WHOLE, progress, NULL);
	if (!err && fchmod(work->copy_fd, 0644))
		err = -errno;
	return err ? work_fail_pass(work, err) : 0;
}

static int work_convert(struct work *work, const struct stat *st, uint64_t in_size, const struct probe *probe,
			uint64_t size)
{
	struct progress progress = { work_step, work };
	struct convert how = {
		.qemu_img = work->store->qemu_img, .format = probe->format, .out = work->out, .progress = &progress
	};
	char text[100];
	struct reason reason;
	uint64_t qemu_size = 0, needed = 0;
	int err = 0;

	work->stage = IMPORT_CONVERTING;
	if (!S_ISREG(st->st_mode) || !convert_can_read(st))
		err = work_copy_input(work, in_size, &progress);
	if (err)
		return err;
	how.in = work->copy_fd >= 0 ? work->copy_fd : work->import->fd;
	snprintf(text, sizeof(text), "converting from %s", probe_format_name(probe->format));
	import_set(work->store, work->import, IMPORT_CONVERTING, 0, text);
	err = convert_check(&how, &reason);
	if (!err)
		err = convert_size(&how, &qemu_size, &reason);
	/* If qemu-img saw less of the disk than we do, the rest would become zeroes. It counts in whole blocks. */
	if (!err && qemu_size != align_up(probe->size_bytes, 512) && qemu_size != align_down(probe->size_bytes, 512))
		err = reason_refuse(&reason, -EUCLEAN,
				    "holds a disk of %llu bytes by its header, of %llu bytes by qemu-img: it is damaged",
				    (unsigned long long)probe->size_bytes, (unsigned long long)qemu_size);
	if (!err)
		err = convert_measure(&how, &needed, &reason);
	if (!err && store_check_space(work->store, &work->policy, needed, &work->reason))
		return -ENOSPC;
	if (!err && ftruncate(work->out, (off_t)size))
		return work_fail_pass(work, -errno);
	if (!err)
		err = convert_run(&how, &reason);
	if (err == -ECANCELED)
		return work_fail_pass(work, err);
	if (err)
		return reason_refuse(&work->reason, err, "%s %.400s", work->file_text, reason.text);
	work->stage = IMPORT_HASHING;
	import_set(work->store, work->import, IMPORT_HASHING, 0, "taking its SHA-256");
	err = hash_file(work->out, size, hash_kind_for(work->out, size), &progress, work->version.sha256);
	return err ? work_fail_pass(work, err) : 0;
}

/* A copy that shares its blocks where the file system can, mended; and its SHA-256. */
static int work_copy_sealed(struct work *work, uint64_t in_size, uint64_t size)
{
	struct progress progress = { work_step, work };
	int err = 0;

	work->stage = IMPORT_CONVERTING;
	import_set(work->store, work->import, IMPORT_CONVERTING, 0, "copying");
	if (ioctl(work->out, FICLONE, work->import->fd))
		err = copy_file_sparse(work->import->fd, in_size, work->out, size, HASH_WHOLE, &progress, NULL);
	if (err)
		return work_fail_pass(work, err);
	import_set(work->store, work->import, IMPORT_CONVERTING, 99, "sealing");
	err = doctor_seal(work->out, size, work->changes, sizeof(work->changes), &work->reason);
	if (err)
		return err;
	work->stage = IMPORT_HASHING;
	import_set(work->store, work->import, IMPORT_HASHING, 0, "taking its SHA-256");
	err = hash_file(work->out, size, hash_kind_for(work->out, size), &progress, work->version.sha256);
	return err ? work_fail_pass(work, err) : 0;
}

static int work_copy(struct work *work, uint64_t in_size, uint64_t size)
{
	struct progress progress = { work_step, work };
	int err;

	work->stage = IMPORT_CONVERTING;
	import_set(work->store, work->import, IMPORT_CONVERTING, 0, "copying, and taking its SHA-256");
	err = copy_file_sparse(work->import->fd, in_size, work->out, size, hash_kind_for(work->import->fd, in_size),
			       &progress, work->version.sha256);
	return err ? work_fail_pass(work, err) : 0;
}

/* Read-only, durable, looked into: what looks may open it only once all may read it. */
static int work_seal(struct work *work, uint64_t original_bytes, uint64_t size)
{
	struct image_version *version = &work->version;
	struct buf lines;
	struct stat st;

	if (fchmod(work->out, 0444) || fsync(work->out) || fstat(work->out, &st)) {
		int err = -errno;

		return reason_refuse(&work->reason, err, "the new file could not be stored: %s", strerror(-err));
	}
	buf_init(&lines, sizeof(version->warnings) - 1);
	clone_warnings(work->out, original_bytes, size, &lines);
	snprintf(version->warnings, sizeof(version->warnings), "%s", buf_text(&lines));
	buf_fini(&lines);
	version->size_bytes = size;
	version->inode = st.st_ino;
	version->mtime_ns = stat_mtime_ns(&st);
	snprintf(version->format, sizeof(version->format), "raw");
	snprintf(version->image, sizeof(version->image), "%s", work->import->status.name);
	snprintf(version->source, sizeof(version->source), "%s", work->import->status.source);
	return 0;
}

/* ---- publishing ---- */

/* images/NAME@V.raw for the next V that is free, also of files that no row names. */
static int work_link(struct work *work, unsigned number)
{
	struct image_version *version = &work->version;
	char folder[PATH_MAX];
	int err;

	for (unsigned tries = 0; tries < NUMBERS_TRIED; tries++, number++) {
		version->number = number;
		snprintf(version->file, sizeof(version->file), "%s@%u.raw", version->image, number);
		store_path(work->store, "images", version->file, work->published_file);
		if (!link(work->tmp, work->published_file)) {
			err = store_sync_path(store_path(work->store, "images", NULL, folder));
			if (err)
				store_unlink(work->published_file);
			return err;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int work_insert(struct inventory_tx *tx, struct work *work)
{
	struct image_version *version = &work->version, published;
	/* An image for volumes does not have to boot. */
	const char *warnings = work->import->use == IMPORT_FOR_VOLUMES ? "" : version->warnings;
	bool for_machines = work->import->use == IMPORT_FOR_MACHINES || work->import->use == IMPORT_AS_DEFAULT;
	int err;

	/* The first one is what new machines get; a later one when somebody publishes it. */
	err = version_find(tx, version->image, 0, &published);
	if (err && err != -ENOENT)
		return err;
	version->state = err && for_machines ? VERSION_PUBLISHED : VERSION_READY;
	err = version_insert(tx, version);
	if (!err && work->import->use == IMPORT_AS_DEFAULT)
		err = image_set_default(tx, version->image);
	if (!err)
		err = event_add(tx, "info", work->import->use == IMPORT_SEALED ? "image-sealed" : "image-imported",
				work->import->actor, 0, version->image, "%s@%u from %s, %llu MiB%s%s%s", version->image,
				version->number, version->source, (unsigned long long)(version->size_bytes >> 20),
				version->state == VERSION_PUBLISHED ? "" : "; not published yet",
				warnings[0] ? ". " : "", warnings);
	return err;
}

static int work_publish_run(struct inventory_tx *tx, void *arg)
{
	struct work *work = arg;
	unsigned number;
	int err = version_next_number(tx, work->version.image, &number);

	if (!err)
		err = work_link(work, number);
	if (err) {
		work->published_file[0] = '\0';
		return err;
	}
	return work_insert(tx, work);
}

static int work_publish(struct work *work)
{
	bool canceled;
	int err;

	pthread_mutex_lock(&work->store->mutex);
	canceled = work->import->cancel;
	work->import->entering = !canceled;
	pthread_mutex_unlock(&work->store->mutex);
	if (canceled)
		return work_refuse_canceled(work);
	err = store_write(work->store, work_publish_run, work);
	if (!err)
		return 0;
	if (work->published_file[0])
		store_unlink(work->published_file);
	if (err == -ENOTUNIQ) /* it came while this one was read */
		return reason_refuse(&work->reason, err,
				     "there is an image by now whose name is %s but for its case: give this one another",
				     work->version.image);
	return reason_refuse(&work->reason, err, "%s could not be entered into the inventory: %s", work->version.image,
			     strerror(-err));
}

/* ---- all of it ---- */

static int work_run(struct work *work)
{
	struct stat st, after;
	struct probe probe;
	uint64_t in_size = 0, size;
	int err;

	work->stage = IMPORT_CHECKING;
	import_set(work->store, work->import, IMPORT_CHECKING, 0, "looking at what it is");
	err = work_check(work, &st, &in_size, &probe);
	if (err)
		return err;
	size = align_up(probe.size_bytes, 512);
	work->out = open_tmp(work, ".raw", work->tmp);
	if (work->out < 0)
		return work->out;
	if (work->import->use == IMPORT_SEALED)
		err = work_copy_sealed(work, in_size, size);
	else
		err = probe.format == FORMAT_RAW ? work_copy(work, in_size, size) :
						   work_convert(work, &st, in_size, &probe, size);
	if (err)
		return err;
	if (S_ISREG(st.st_mode) && (fstat(work->import->fd, &after) || stat_mtime_ns(&after) != stat_mtime_ns(&st)))
		return reason_refuse(&work->reason, -EBUSY,
				     "%s was changed while it was read: end whatever writes to it, and import it again",
				     work->file_text);
	err = work_seal(work, probe.size_bytes, size);
	return err ? err : work_publish(work);
}

static void work_finish(struct work *work, int err)
{
	struct store *store = work->store;
	struct import *import = work->import;
	struct import_status *status = &import->status;

	if (work->tmp[0])
		store_unlink(work->tmp);
	if (work->copy[0])
		store_unlink(work->copy);
	if (work->out >= 0)
		close(work->out);
	if (work->copy_fd >= 0)
		close(work->copy_fd);
	close(import->fd);
	pthread_mutex_lock(&store->mutex);
	import->fd = -1;
	status->stage = err ? IMPORT_FAILED : IMPORT_DONE;
	status->canceled = err && import->cancel;
	status->percent = err ? status->percent : 100;
	if (err) {
		snprintf(status->text, sizeof(status->text), "%s", work->reason.text);
	} else {
		snprintf(status->text, sizeof(status->text), "%s@%u%s", work->version.image, work->version.number,
			 work->version.state == VERSION_PUBLISHED ? " is published" :
								    " is ready; publish it to give it to new machines");
		snprintf(status->warnings, sizeof(status->warnings), "%s", work->version.warnings);
		snprintf(status->changes, sizeof(status->changes), "%s", work->changes);
		status->version_id = work->version.id;
	}
	pthread_mutex_unlock(&store->mutex);
	if (err && status->canceled)
		inventory_event(store->inventory, "info", "image-import-canceled", import->canceled_by, 0, status->name,
				"%s: %s", work->file_text, work->reason.text);
	else if (err)
		inventory_event(store->inventory, "warning", "image-import-failed", import->actor, 0, status->name,
				"%s", work->reason.text);
}

void import_perform(struct store *store, struct import *import)
{
	struct work *work = calloc(1, sizeof(*work));
	const char *slash = strrchr(import->path, '/');

	if (!work) {
		close(import->fd);
		import->fd = -1;
		import_set(store, import, IMPORT_FAILED, 0, "no memory");
		return;
	}
	*work = (struct work){ .store = store, .import = import, .out = -1, .copy_fd = -1 };
	log_escape(work->file_text, sizeof(work->file_text), slash + 1, strlen(slash + 1));
	work_finish(work, work_run(work));
	free(work);
}
