// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Jobs are written down before they begin, and what is found at a start was interrupted by the server's end: it is undone, or was done
 * already, an event says which, and the list of jobs shows it under the number that it had.
 *
 *     import   nothing of it is left (reclaim.c): failed
 *     export   its file is in its place, which its inode tells, or nothing of it is left once its other names are gone
 *     resize   the disk has that size, and its row gets it; or it never grew
 */
#include "store/jobs.h"

#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"
#include "inventory/unfinished.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of(enum job_kind kind)
{
	return kind == JOB_EXPORT ? UNFINISHED_EXPORT : UNFINISHED_IMPORT;
}

/* ---- what jobs write down ---- */

static int put(struct inventory_tx *tx, void *arg)
{
	return unfinished_put(tx, arg);
}

int job_record(struct store *store, const struct job *job, uint64_t inode)
{
	struct unfinished what = { .id = (int64_t)job->status.id };

	snprintf(what.kind, sizeof(what.kind), "%s", kind_of(job->status.kind));
	snprintf(what.actor, sizeof(what.actor), "%s", job->actor);
	snprintf(what.name, sizeof(what.name), "%s", job->status.name);
	snprintf(what.detail, sizeof(what.detail), "%s %llu", job->mark, (unsigned long long)inode);
	snprintf(what.file, sizeof(what.file), "%s", job->status.kind == JOB_EXPORT ? job->path : job->status.source);
	return store_write(store, put, &what);
}

struct note {
	const struct job_status *status;
	const char *level, *kind, *actor, *text;
};

static int write_note(struct inventory_tx *tx, void *arg)
{
	const struct note *note = arg;
	int err = unfinished_forget(tx, kind_of(note->status->kind), (int64_t)note->status->id);

	return err ? err : event_add(tx, note->level, note->kind, note->actor, 0, note->status->name, "%s", note->text);
}

void job_note(struct store *store, const struct job_status *status, const char *level, const char *kind,
	      const char *actor, const char *format, ...)
{
	char text[sizeof(struct reason) + 512];
	struct note note = { status, level, kind, actor, text };
	va_list args;
	int err;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err = store_write(store, write_note, &note);
	if (err)
		log_error("store: how %s %llu ended could not be written down: %s (%s)", kind_of(status->kind),
			  (unsigned long long)status->id, strerror(-err), text);
}

/* ---- at a start ---- */

struct settle {
	struct store *store;
	struct unfinished *list;
	size_t count;
};

static int take(void *arg, const struct unfinished *what)
{
	struct settle *settle = arg;
	struct unfinished *list = reallocarray(settle->list, settle->count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	settle->list = list;
	list[settle->count++] = *what;
	return 0;
}

static int read_all(struct inventory_tx *tx, void *arg)
{
	return unfinished_each(tx, take, arg);
}

/* It stands in the list of jobs as it did, but that it has ended. */
static struct job_status *list_again(struct store *store, const struct unfinished *what, enum job_kind kind)
{
	struct job *job = &store->jobs[(uint64_t)what->id % JOBS_KEPT];
	struct job_status *status = &job->status;

	*job = (struct job){ .fd = -1, .recorded = true };
	status->id = (uint64_t)what->id;
	status->kind = kind;
	status->stage = JOB_FAILED;
	log_escape(status->source, sizeof(status->source), what->file, strlen(what->file));
	snprintf(status->name, sizeof(status->name), "%s", what->name);
	if (store->next_job <= status->id)
		store->next_job = status->id + 1;
	return status;
}

static void settle_import(struct store *store, const struct unfinished *what)
{
	struct job_status *status = list_again(store, what, JOB_IMPORT);

	snprintf(status->text, sizeof(status->text),
		 "%s: the server ended before it was done, and nothing of it is left: import it again", status->source);
	job_note(store, status, "warning", "image-import-failed", what->actor, "%s", status->text);
}

void job_hidden_name(const char *mark, bool folder, char name[64])
{
	snprintf(name, 64, ".sanbootd-%s%.32s", folder ? "export-" : "", mark);
}

/* Its names beside its own go. True: it is in its place. */
static bool settle_files(const struct unfinished *what)
{
	const char *slash = strrchr(what->file, '/'), *space = strchr(what->detail, ' ');
	char mark[16], folder_path[UNFINISHED_FILE_TEXT], name[64], file[80];
	uint64_t inode = 0;
	struct stat st;
	int folder;

	if (!slash || !space || !parse_u64(space + 1, 0, UINT64_MAX, &inode))
		return false;
	snprintf(mark, sizeof(mark), "%.*s", (int)(space - what->detail), what->detail);
	snprintf(folder_path, sizeof(folder_path), "%.*s", slash == what->file ? 1 : (int)(slash - what->file),
		 what->file);
	folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return false;
	job_hidden_name(mark, false, name);
	unlinkat(folder, name, 0);
	job_hidden_name(mark, true, name);
	snprintf(file, sizeof(file), "%s/file", name);
	unlinkat(folder, file, 0);
	unlinkat(folder, name, AT_REMOVEDIR);
	inode = !fstatat(folder, slash + 1, &st, AT_SYMLINK_NOFOLLOW) && st.st_ino == inode ? inode : 0;
	close(folder);
	return inode != 0;
}

static void settle_export(struct store *store, const struct unfinished *what)
{
	struct job_status *status = list_again(store, what, JOB_EXPORT);

	if (settle_files(what)) {
		status->stage = JOB_DONE;
		status->percent = 100;
		snprintf(status->text, sizeof(status->text), "%s", status->source);
		job_note(store, status, "info", "exported", what->actor, "%s was written to %s", status->name,
			 status->source);
		return;
	}
	snprintf(status->text, sizeof(status->text),
		 "%s: the server ended before it was done, and nothing of it is left: export it again", status->source);
	job_note(store, status, "warning", "export-failed", what->actor, "%s", status->text);
}

struct resized {
	const struct unfinished *what;
	uint64_t size_bytes; /* 0: it did not grow */
	int64_t machine_id;
};

static int take_owner(void *arg, int64_t machine_id, unsigned lun)
{
	struct resized *resized = arg;

	(void)lun;
	resized->machine_id = machine_id;
	return 1;
}

static int write_size(struct inventory_tx *tx, void *arg)
{
	struct resized *resized = arg;
	const struct unfinished *what = resized->what;
	struct volume volume;
	int err = unfinished_forget(tx, what->kind, what->id);

	if (!err)
		err = volume_by_id(tx, what->id, &volume);
	if (!err)
		err = attachment_each_machine(tx, what->id, take_owner, resized);
	if (err < 0)
		return err == -ENOENT ? 0 : err;
	if (!resized->size_bytes)
		return event_add(tx, "warning", "volume-resize-failed", what->actor, resized->machine_id, what->name,
				 "the server ended before it was larger: nothing is changed; resize it again");
	volume.size_bytes = resized->size_bytes;
	err = volume_update(tx, &volume);
	return err ? err :
		     event_add(tx, "info", "volume-resized", what->actor, resized->machine_id, what->name, "%llu bytes",
			       (unsigned long long)resized->size_bytes);
}

static int read_volume(struct inventory_tx *tx, void *arg)
{
	struct volume *volume = arg;

	return volume_by_id(tx, volume->id, volume);
}

static void settle_resize(struct store *store, const struct unfinished *what)
{
	struct resized resized = { .what = what };
	struct volume volume = { .id = what->id };
	struct volume_info info;
	uint64_t wanted;
	int err;

	if (parse_u64(what->detail, 1, UINT64_MAX, &wanted) && !store_read(store, read_volume, &volume) &&
	    !store_volume_info(store, &volume, NULL, &info) && info.virtual_bytes == wanted)
		resized.size_bytes = wanted;
	err = store_write(store, write_size, &resized);
	if (err)
		log_error("store: the size of %s could not be written down: %s", what->name, strerror(-err));
}

int store_settle_unfinished(struct store *store)
{
	struct settle settle = { .store = store };
	int err = store_read(store, read_all, &settle);

	for (size_t i = 0; i < settle.count && !err; i++) {
		const struct unfinished *what = &settle.list[i];

		if (!strcmp(what->kind, UNFINISHED_IMPORT))
			settle_import(store, what);
		else if (!strcmp(what->kind, UNFINISHED_EXPORT))
			settle_export(store, what);
		else if (!strcmp(what->kind, UNFINISHED_RESIZE))
			settle_resize(store, what);
	}
	free(settle.list);
	return err;
}
