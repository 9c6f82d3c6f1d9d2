// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One import, on a slow worker:
 *
 *     QUEUED -> CHECKING -> CONVERTING -> HASHING -> DONE         tmp/import-N.raw -> images/NAME@V.raw
 *                  `-----------`------------`------> FAILED
 *
 * The file is made in tmp/. When it is whole, hashed and durable, it becomes a version (enter.h). What is packed is unpacked
 * into a file of its own first, and told from its own bytes then.
 */
#include "store/import_work.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/util.h"
#include "doctor/doctor.h"
#include "store/convert.h"
#include "store/enter.h"
#include "store/hash.h"
#include "store/clone_warnings.h"
#include "store/jobs.h"
#include "store/private.h"
#include "store/probe.h"
#include "store/unpack.h"

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
	QEMU_LOCK_WRITER = 101, /* the byte that QEMU locks in a file that it may write (block/file-posix.c) */
};

/* One import at work. */
struct work {
	struct store *store;
	struct job *import;
	char file_text[FILE_TEXT]; /* the input's name, for people */
	struct policy policy;
	int in;		     /* what is read: the file, or what was packed into it */
	char tmp[PATH_MAX];  /* "" not made */
	char copy[PATH_MAX]; /* unpacked, or of an input that qemu-img may not read; "" none */
	int out, copy_fd;
	enum job_stage stage;
	bool no_space;
	char changes[1536]; /* of a sealed one */
	struct image_version version;
	struct reason reason;
};

/* ---- status ---- */

static bool work_is_canceled(struct work *work)
{
	return job_is_canceled(work->store, work->import);
}

/* A pass over so many bytes begins. */
static void work_begin(struct work *work, enum job_stage stage, const char *text, uint64_t bytes)
{
	work->stage = stage;
	job_set(work->store, work->import, stage, 0, text, bytes);
}

static bool work_step(void *arg, unsigned percent)
{
	struct work *work = arg;
	struct reason reason;

	job_set(work->store, work->import, work->stage, percent, NULL, 0);
	/* The machines that run need the reserve more than this import does. */
	if (work->stage == JOB_CONVERTING)
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
	char stem[32];

	snprintf(stem, sizeof(stem), "import-%llu", (unsigned long long)work->import->status.id);
	return enter_make_file(work->store, stem, suffix, path, &work->reason);
}

static bool has_writer(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_LOCK_WRITER, .l_len = 1 };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

static int work_check(struct work *work, struct stat *st, uint64_t *in_size)
{
	struct job *import = work->import;
	int err;

	if (fstat(import->fd, st) || store_source_size(import->fd, in_size))
		return reason_refuse(&work->reason, -EINVAL, "%s is neither a file nor a disk", work->file_text);
	if (has_writer(import->fd))
		return reason_refuse(&work->reason, -EBUSY,
				     "%s is being written to by a virtual machine: shut that down first",
				     work->file_text);
	err = store_get_policy(work->store, &work->policy);
	if (err)
		return reason_refuse(&work->reason, err, "the policy could not be read: %s", strerror(-err));
	return 0;
}

/* What is packed is unpacked first, into a file of ours: *in_size is that one's size then. */
static int work_unpack(struct work *work, enum packing packing, uint64_t *in_size)
{
	struct progress progress = { work_step, work };
	struct unpack how = { .packing = packing, .in = work->import->fd, .in_size = *in_size, .progress = &progress };
	struct reason reason = { "" };
	char text[64];
	int err;

	snprintf(text, sizeof(text), "unpacking it (%s)", unpack_name(packing));
	work_begin(work, JOB_CONVERTING, text, *in_size);
	work->copy_fd = open_tmp(work, ".in", work->copy);
	if (work->copy_fd < 0)
		return work->copy_fd;
	how.out = work->copy_fd;
	err = unpack_run(&how, in_size, &reason);
	if (err == -ECANCELED || err == -ENOSPC)
		return work_fail_pass(work, err);
	if (err)
		return reason_refuse(&work->reason, err, "%s %.400s", work->file_text, reason.text);
	if (fchmod(work->copy_fd, 0644))
		return work_fail_pass(work, -errno);
	work->in = work->copy_fd;
	return 0;
}

static int work_probe(struct work *work, uint64_t in_size, struct probe *probe)
{
	struct view view = view_of_file(&work->in, in_size);
	char name[PATH_MAX];
	struct reason reason;
	int err;

	snprintf(name, sizeof(name), "%s", work->import->path);
	if (work->in != work->import->fd)
		unpack_strip_name(name);
	err = probe_image(&view, name, probe, &reason);
	return err ? reason_refuse(&work->reason, err, "%s %.400s", work->file_text, reason.text) : 0;
}

/* qemu-img runs as the user "nobody": an input that this user may not read is copied to where it may. */
static int work_copy_input(struct work *work, uint64_t in_size, const struct progress *progress)
{
	int err;

	work_begin(work, JOB_CONVERTING, "copying it to where qemu-img, without privileges, can read it", in_size);
	work->copy_fd = open_tmp(work, ".in", work->copy);
	if (work->copy_fd < 0)
		return work->copy_fd;
	err = copy_file_sparse(work->import->fd, in_size, work->copy_fd, in_size, HASH_WHOLE, progress, NULL);
	if (!err && fchmod(work->copy_fd, 0644))
		err = -errno;
	if (!err)
		work->in = work->copy_fd;
	return err ? work_fail_pass(work, err) : 0;
}

static int work_hash(struct work *work, uint64_t size)
{
	struct progress progress = { work_step, work };
	int err;

	work_begin(work, JOB_HASHING, "taking its SHA-256", size);
	err = hash_file(work->out, size, hash_kind_for(work->out, size), &progress, work->version.sha256);
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

	if (work->in == work->import->fd && (!S_ISREG(st->st_mode) || !convert_can_read(st)))
		err = work_copy_input(work, in_size, &progress);
	if (err)
		return err;
	how.in = work->in;
	snprintf(text, sizeof(text), "converting from %s", probe_format_name(probe->format));
	work_begin(work, JOB_CONVERTING, text, size);
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
	return work_hash(work, size);
}

/* What was unpacked is already what it is to be, but for its last block. */
static int work_keep(struct work *work, uint64_t size)
{
	work->out = work->copy_fd;
	work->copy_fd = -1;
	snprintf(work->tmp, sizeof(work->tmp), "%s", work->copy);
	work->copy[0] = '\0';
	return ftruncate(work->out, (off_t)size) ? work_fail_pass(work, -errno) : work_hash(work, size);
}

static int work_copy(struct work *work, uint64_t in_size, uint64_t size)
{
	struct progress progress = { work_step, work };
	int err;

	work_begin(work, JOB_CONVERTING, "copying, and taking its SHA-256", size);
	err = copy_file_sparse(work->import->fd, in_size, work->out, size, hash_kind_for(work->import->fd, in_size),
			       &progress, work->version.sha256);
	return err ? work_fail_pass(work, err) : 0;
}

/* A copy that shares its blocks where the file system can, mended; and its SHA-256. */
static int work_copy_sealed(struct work *work, uint64_t in_size, uint64_t size)
{
	struct progress progress = { work_step, work };
	int err = 0;

	work_begin(work, JOB_CONVERTING, "copying", size);
	if (ioctl(work->out, FICLONE, work->import->fd))
		err = copy_file_sparse(work->import->fd, in_size, work->out, size, HASH_WHOLE, &progress, NULL);
	if (err)
		return work_fail_pass(work, err);
	work_begin(work, JOB_CONVERTING, "sealing", 0);
	err = doctor_seal(work->out, size, work->changes, sizeof(work->changes), &work->reason);
	return err ? err : work_hash(work, size);
}

/* Read-only, durable, looked into: what looks may open it only once all may read it. */
static int work_seal(struct work *work, uint64_t original_bytes, uint64_t size)
{
	struct image_version *version = &work->version;
	struct buf lines;
	int err;

	snprintf(version->image, sizeof(version->image), "%.63s", work->import->status.name);
	snprintf(version->source, sizeof(version->source), "%s", work->import->status.source);
	err = enter_seal_file(work->out, size, version, &work->reason);
	if (err)
		return err;
	buf_init(&lines, sizeof(version->warnings) - 1);
	clone_warnings(work->out, original_bytes, size, &lines);
	snprintf(version->warnings, sizeof(version->warnings), "%s", buf_text(&lines));
	buf_fini(&lines);
	return 0;
}

static int work_enter(struct work *work)
{
	struct enter entry = {
		.tmp = work->tmp,
		.version = &work->version,
		.actor = work->import->actor,
		.use = work->import->use,
		.job = (int64_t)work->import->status.id,
	};

	return job_enter(work->store, work->import) ? enter_version(work->store, &entry, &work->reason) :
						      work_refuse_canceled(work);
}

/* ---- all of it ---- */

static int work_make(struct work *work, const struct stat *st, uint64_t in_size, const struct probe *probe,
		     uint64_t size)
{
	int err;

	if (probe->format == FORMAT_RAW && work->in == work->copy_fd)
		return work_keep(work, size);
	err = store_check_space(work->store, &work->policy,
				work->in == work->copy_fd ? 0 : min_u64((uint64_t)st->st_blocks * 512, in_size),
				&work->reason);
	if (err)
		return err;
	work->out = open_tmp(work, ".raw", work->tmp);
	if (work->out < 0)
		return work->out;
	if (work->import->use == IMPORT_SEALED)
		return work_copy_sealed(work, in_size, size);
	return probe->format == FORMAT_RAW ? work_copy(work, in_size, size) :
					     work_convert(work, st, in_size, probe, size);
}

static int work_run(struct work *work)
{
	struct stat st, after;
	struct probe probe;
	uint64_t in_size = 0, size;
	enum packing packing;
	int err;

	work_begin(work, JOB_CHECKING, "looking at what it is", 0);
	err = work_check(work, &st, &in_size);
	if (!err && work->import->use != IMPORT_SEALED && unpack_is_packed(work->import->fd, &packing))
		err = work_unpack(work, packing, &in_size);
	if (!err)
		err = work_probe(work, in_size, &probe);
	if (err)
		return err;
	size = align_up(probe.size_bytes, 512);
	err = work_make(work, &st, in_size, &probe, size);
	if (err)
		return err;
	if (S_ISREG(st.st_mode) && (fstat(work->import->fd, &after) || stat_mtime_ns(&after) != stat_mtime_ns(&st)))
		return reason_refuse(&work->reason, -EBUSY,
				     "%s was changed while it was read: end whatever writes to it, and import it again",
				     work->file_text);
	err = work_seal(work, probe.size_bytes, size);
	return err ? err : work_enter(work);
}

static void work_forget_files(struct work *work)
{
	if (work->tmp[0])
		store_unlink(work->tmp);
	if (work->copy[0])
		store_unlink(work->copy);
	if (work->out >= 0)
		close(work->out);
	if (work->copy_fd >= 0)
		close(work->copy_fd);
}

static void work_finish(struct work *work, int err)
{
	struct store *store = work->store;
	struct job *import = work->import;
	struct job_status *status = &import->status;
	const struct image_version *version = &work->version;
	char text[sizeof(status->text)];

	work_forget_files(work);
	if (err && job_is_canceled(store, import)) {
		job_note(store, status, "info", "image-import-canceled", import->canceled_by, "%s: %s", work->file_text,
			 work->reason.text);
	} else if (err) {
		job_note(store, status, "warning", "image-import-failed", import->actor, "%s", work->reason.text);
	} else {
		pthread_mutex_lock(&store->mutex);
		snprintf(status->warnings, sizeof(status->warnings), "%s", version->warnings);
		snprintf(status->changes, sizeof(status->changes), "%s", work->changes);
		status->version_id = version->id;
		pthread_mutex_unlock(&store->mutex);
	}
	snprintf(text, sizeof(text), "%s@%u%s", version->image, version->number,
		 version->state == VERSION_PUBLISHED ? " is published" :
						       " is ready; publish it to give it to new machines");
	job_end(store, import, err, err ? work->reason.text : text);
}

void import_perform(struct store *store, struct job *import)
{
	struct work *work = calloc(1, sizeof(*work));
	const char *slash = strrchr(import->path, '/');

	if (!work) {
		job_note(store, &import->status, "warning", "image-import-failed", import->actor, "no memory");
		job_end(store, import, -ENOMEM, "no memory");
		return;
	}
	*work = (struct work){ .store = store, .import = import, .in = import->fd, .out = -1, .copy_fd = -1 };
	log_escape(work->file_text, sizeof(work->file_text), slash + 1, strlen(slash + 1));
	work_finish(work, work_run(work));
	free(work);
}
