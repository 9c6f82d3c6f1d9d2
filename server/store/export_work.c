// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One export, on a slow worker:
 *
 *     QUEUED -> CHECKING -> CONVERTING -> DONE          a file without a name -> FOLDER/FILE
 *                  `-----------`--------> FAILED
 *
 * The new file has no name (O_TMPFILE) until it is whole and durable, so a crash leaves nothing of it. Where the file system
 * cannot do that (network file systems), it is in a folder .sanbootd-export-MARK of ours, which the next start removes after a
 * crash (unfinished.c). Nothing that is there is overwritten: with force the new file takes the old one's place by a rename.
 */
#include "store/export.h"

#include "base/util.h"
#include "store/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ROOM_BYTES = 1 << 20 };

struct export_work {
	struct store *store;
	struct job *job;
	struct export *what;
	struct policy policy;
	bool beside_us; /* on the file system of the state directory, whose reserve it must leave */
	bool no_space;
	enum job_stage stage;
	int out;
	char hidden[64]; /* the folder where it is made; "": it has no name */
	struct reason reason;
};

/* ---- room ---- */

static int check_room(struct export_work *work, uint64_t more, struct reason *reason)
{
	struct statvfs fs;
	uint64_t left, needed_mib = (more >> 20) + 1;

	if (work->beside_us)
		return store_check_space(work->store, &work->policy, more, reason);
	if (fstatvfs(work->job->fd, &fs))
		return 0;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (left >= more + ROOM_BYTES)
		return 0;
	return reason_refuse(reason, -ENOSPC, "the file system of %.200s has %llu MiB free, and %llu MiB are needed",
			     work->job->path, (unsigned long long)(left >> 20), (unsigned long long)needed_mib);
}

static bool work_step(void *arg, unsigned percent)
{
	struct export_work *work = arg;
	struct reason reason;

	job_set(work->store, work->job, work->stage, percent, NULL, 0);
	work->no_space = check_room(work, 0, &reason) == -ENOSPC;
	return !work->store->closing && !work->no_space && !job_is_canceled(work->store, work->job);
}

static int refuse_stopped(struct export_work *work)
{
	if (work->no_space)
		return check_room(work, 0, &work->reason) ?
			       -ENOSPC :
			       reason_refuse(&work->reason, -ENOSPC, "there was no room left");
	if (job_is_canceled(work->store, work->job))
		return reason_refuse(&work->reason, -ECANCELED, "canceled by %s; nothing of it is left",
				     work->job->canceled_by);
	return reason_refuse(&work->reason, -ECANCELED, "the server was stopped: export it again");
}

/* ---- the new file ---- */

static int open_hidden(struct export_work *work)
{
	int folder, fd;

	job_hidden_name(work->job->mark, true, work->hidden);
	if (mkdirat(work->job->fd, work->hidden, 0700)) {
		int err = -errno;

		work->hidden[0] = '\0';
		return err;
	}
	folder = openat(work->job->fd, work->hidden, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = folder < 0 ? -1 : openat(folder, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		fd = -errno;
	if (folder >= 0)
		close(folder);
	return fd;
}

static int open_out(struct export_work *work)
{
	work->out = openat(work->job->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (work->out < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT))
		work->out = open_hidden(work);
	else if (work->out < 0)
		work->out = -errno;
	if (work->out < 0)
		return reason_refuse(&work->reason, work->out, "no file can be made beside %.300s: %s", work->job->path,
				     strerror(-work->out));
	return 0;
}

static int link_as(struct export_work *work, const char *name)
{
	char from[NAME_MAX + 64];

	if (work->hidden[0]) {
		snprintf(from, sizeof(from), "%s/file", work->hidden);
		return linkat(work->job->fd, from, work->job->fd, name, 0) ? -errno : 0;
	}
	snprintf(from, sizeof(from), "/proc/self/fd/%d", work->out);
	return linkat(AT_FDCWD, from, work->job->fd, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* The new file takes the place of an old one: under another name first, for a link never replaces anything. */
static int replace(struct export_work *work)
{
	char name[64];
	int err;

	job_hidden_name(work->job->mark, false, name);
	err = link_as(work, name);
	if (!err && renameat(work->job->fd, name, work->job->fd, work->what->file)) {
		err = -errno;
		unlinkat(work->job->fd, name, 0);
	}
	return err;
}

static int name_out(struct export_work *work)
{
	const struct export *what = work->what;
	struct stat st;
	int err = 0;

	if (!strcmp(what->format->driver, "vmdk"))
		err = export_name_vmdk(work->out, what->file);
	if (!err && (fchmod(work->out, 0640) || fsync(work->out)))
		err = -errno;
	if (err)
		return reason_refuse(&work->reason, err, "%.300s could not be written: %s", work->job->path,
				     strerror(-err));
	if (!job_enter(work->store, work->job))
		return refuse_stopped(work);
	err = fstat(work->out, &st) ? -errno : job_record(work->store, work->job, st.st_ino);
	if (!err)
		err = what->force ? replace(work) : link_as(work, what->file);
	if (err == -EEXIST)
		return reason_refuse(&work->reason, err, "%.300s came meanwhile, and was left as it is",
				     work->job->path);
	if (!err && fsync(work->job->fd))
		err = -errno;
	return err ? reason_refuse(&work->reason, err, "%.300s could not be named: %s", work->job->path,
				   strerror(-err)) :
		     0;
}

static void close_out(struct export_work *work)
{
	char name[sizeof(work->hidden) + 8];

	if (work->out >= 0)
		close(work->out);
	if (!work->hidden[0])
		return;
	snprintf(name, sizeof(name), "%s/file", work->hidden);
	unlinkat(work->job->fd, name, 0);
	unlinkat(work->job->fd, work->hidden, AT_REMOVEDIR);
}

/* ---- all of it ---- */

static int work_prepare(struct export_work *work)
{
	struct stat folder, state;

	if (store_get_policy(work->store, &work->policy))
		return reason_refuse(&work->reason, -EIO, "the policy could not be read");
	work->beside_us =
		!fstat(work->job->fd, &folder) && !stat(work->store->dir, &state) && folder.st_dev == state.st_dev;
	return open_out(work);
}

static int work_run(struct export_work *work)
{
	const struct export *what = work->what;
	struct progress progress = { work_step, work };
	struct convert_export how = { .qemu_img = work->store->qemu_img,
				      .chain = &what->chain,
				      .driver = what->format->driver,
				      .options = what->format->options,
				      .progress = &progress };
	uint64_t needed = 0;
	char text[64];
	int err = work_prepare(work);

	if (err)
		return err;
	how.out = work->out;
	err = convert_measure_chain(&how, &needed, &work->reason);
	if (!err)
		err = check_room(work, needed, &work->reason);
	if (err)
		return err == -ECANCELED ? refuse_stopped(work) : err;
	snprintf(text, sizeof(text), "converting to %s", what->format->shown);
	work->stage = JOB_CONVERTING;
	job_set(work->store, work->job, JOB_CONVERTING, 0, text, what->size_bytes);
	err = convert_export(&how, &work->reason);
	if (err == -ECANCELED)
		return refuse_stopped(work);
	return err ? err : name_out(work);
}

void export_perform(struct store *store, struct job *job)
{
	struct export_work work = { .store = store, .job = job, .what = job->what, .stage = JOB_CHECKING, .out = -1 };
	const struct job_status *status = &job->status;
	char text[sizeof(status->text)];
	int err;

	job_set(store, job, JOB_CHECKING, 0, "looking at what it takes", 0);
	err = work_run(&work);
	close_out(&work);
	snprintf(text, sizeof(text), "%s, as %s", status->source, work.what->format->shown);
	if (err && job_is_canceled(store, job))
		job_note(store, status, "info", "export-canceled", job->canceled_by, "%s: %s", status->source,
			 work.reason.text);
	else if (err)
		job_note(store, status, "warning", "export-failed", job->actor, "%s: %s", status->source,
			 work.reason.text);
	else
		job_note(store, status, "info", "exported", job->actor, "%s was written to %s", status->name, text);
	job_end(store, job, err, err ? work.reason.text : text);
}
