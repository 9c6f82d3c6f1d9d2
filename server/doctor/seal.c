// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sealing: see doctor.h.
 *
 *     look: is it clean? -> e2fsck -p -> look again -> debugfs, once for each change -> e2fsck -fn -> look: is each finding gone?
 *
 * The order matters. What debugfs writes into a file system with a journal that is not empty is undone by the next replay,
 * though e2fsck -fn finds it good; and it exits 0 when its commands failed: it looks like success until somebody else reads it.
 */
#include "doctor/seal.h"

#include "base/box.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MEMORY_MIB = 4096,
	TIMEOUT_MS = 1800 * 1000,
	FSCK_MENDED = 3, /* exit status: at most "errors corrected, reboot" */
	FSCK_WRONG = 4,	 /* errors are left */
	WORDS_TEXT = 300,
};

struct sealing {
	int fd;
	uint64_t size;
	uint64_t start; /* bytes: of its root */
	struct doctor_report before;
	char *changes;
	unsigned changes_size;
	struct reason *reason;
};

/* ---- programs ---- */

static void last_words(const struct box_end *end, char out[WORDS_TEXT])
{
	size_t from = end->len > WORDS_TEXT - 1 ? end->len - (WORDS_TEXT - 1) : 0, len = 0;

	for (const char *c = end->text + from; *c; c++)
		out[len++] = *c >= 0x20 && *c < 0x7f ? *c : ' ';
	out[len] = '\0';
}

/* Exit status, or -errno with a sentence. */
static int run_tool(struct sealing *sealing, const char *const *argv, int input, int content)
{
	struct box box = { .argv = argv,
			   .files = { sealing->fd, content },
			   .file_count = content >= 0 ? 2 : 1,
			   .input = input,
			   .memory_mib = MEMORY_MIB,
			   .timeout_ms = TIMEOUT_MS };
	struct box_end *end = alloc_or_abort(sizeof(*end));
	char words[WORDS_TEXT];
	int err = box_run(&box, end);

	last_words(end, words);
	if (!err && end->code < 0)
		err = -EIO;
	if (err)
		reason_refuse(sealing->reason, err, "%s could not do its work: %s. %s", argv[0], strerror(-err), words);
	else
		err = end->code;
	free(end);
	return err;
}

static int run_fsck(struct sealing *sealing, const char *how)
{
	char target[64];
	const char *const argv[] = { "/usr/sbin/e2fsck", how, target, NULL };

	snprintf(target, sizeof(target), "/dev/fd/3?offset=%llu", (unsigned long long)sealing->start);
	return run_tool(sealing, argv, -1, -1);
}

static int memory_file(const struct buf *buf)
{
	int fd = memfd_create("seal", MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, buf_text(buf), buf->len) != (ssize_t)buf->len || lseek(fd, 0, SEEK_SET))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int run_debugfs(struct sealing *sealing, const struct seal_edit *edit)
{
	char target[64];
	const char *const argv[] = { "/usr/sbin/debugfs", "-w", "-f", "-", target, NULL };
	int commands = memory_file(&edit->commands), content = memory_file(&edit->content), status;

	snprintf(target, sizeof(target), "/dev/fd/3?offset=%llu", (unsigned long long)sealing->start);
	if (commands < 0 || content < 0 || edit->commands.failed || edit->content.failed)
		status = reason_refuse(sealing->reason, -ENOMEM, "no memory");
	else
		status = run_tool(sealing, argv, commands, content);
	if (commands >= 0)
		close(commands);
	if (content >= 0)
		close(content);
	if (status > 0)
		return reason_refuse(sealing->reason, -EIO, "debugfs could not write to it (exit status %d)", status);
	return status;
}

/* ---- before ---- */

/* The root is one that can be written to. */
static int find_root(struct sealing *sealing, const struct exam *exam)
{
	const struct exam_part *part = exam->lin.part;

	if (!part)
		return reason_refuse(sealing->reason, -ENOTSUP,
				     "no Linux was found in it that could be looked into: seal it in the original "
				     "(sanbootctl image check says what)");
	if (part->fs.kind != FS_EXT || !part->bytes)
		return reason_refuse(
			sealing->reason, -ENOTSUP,
			"its root (%s) is on %s: only ext4 on a partition can be written to without mounting it. Do it in "
			"the original (sanbootctl image check says what)",
			part->name, part->bytes ? fs_kind_name(part->fs.kind) : "LVM");
	/* What is written there the next replay would undo; and e2fsck and debugfs 1.47 forget the offset when they replay. */
	if (part->fs.state != FS_CLEAN)
		return reason_refuse(
			sealing->reason, -EUCLEAN,
			"its root (%s) was not unmounted: shut the original down in order, and import it again",
			part->name);
	sealing->start = part->start;
	return 0;
}

static int put_in_order(struct sealing *sealing)
{
	int status = run_fsck(sealing, "-p");
	if (status > FSCK_MENDED)
		return reason_refuse(
			sealing->reason, -EUCLEAN,
			"its root has errors that e2fsck does not mend by itself: fsck in the original, and import it again");
	return status < 0 ? status : 0;
}

static bool is_found(const struct doctor_report *report, const char *code)
{
	for (unsigned i = 0; i < report->count; i++) {
		if (!strcmp(report->findings[i].code, code))
			return true;
	}
	return false;
}

/* ---- the changes ---- */

static void add_change(struct sealing *sealing, const char *does)
{
	size_t have = strlen(sealing->changes);

	snprintf(sealing->changes + have, sealing->changes_size - have, "%s%s", have ? "\n" : "", does);
}

static int make_change(struct sealing *sealing, const struct exam *exam, const struct seal_change *change)
{
	struct seal_edit edit;
	int err = 0;

	buf_init(&edit.commands, EXAM_TEXT_MAX);
	buf_init(&edit.content, EXAM_TEXT_MAX + 65536);
	if (change->make(exam, &edit)) {
		err = run_debugfs(sealing, &edit);
		if (!err)
			add_change(sealing, change->does);
	}
	buf_fini(&edit.commands);
	buf_fini(&edit.content);
	return err;
}

static int make_changes(struct sealing *sealing, const struct exam *exam)
{
	int err = 0;

	for (const struct seal_change *change = seal_changes; change->code && !err; change++) {
		if (is_found(&sealing->before, change->code))
			err = make_change(sealing, exam, change);
	}
	if (!err && !sealing->changes[0])
		err = reason_refuse(sealing->reason, -EALREADY, "there is nothing in it to mend: it is sealed already");
	return err;
}

/* ---- after ---- */

/* Every finding that a change was for is gone, and none came. */
static int read_back(struct sealing *sealing)
{
	struct doctor_report *after = alloc_or_abort(sizeof(*after));
	int err = 0;

	doctor_check(sealing->fd, sealing->size, after);
	for (unsigned i = 0; i < after->count && !err; i++) {
		const char *code = after->findings[i].code;

		if (is_found(&sealing->before, code) && !after->findings[i].sealable)
			continue;
		err = reason_refuse(sealing->reason, -EIO, "a change did not hold: %s", after->findings[i].what);
	}
	free(after);
	return err;
}

static int seal_root(struct sealing *sealing)
{
	struct exam *exam = exam_new(sealing->fd, sealing->size);
	int err = find_root(sealing, exam), before = 0, after;

	exam_free(exam);
	if (!err)
		err = put_in_order(sealing);
	if (!err) {
		before = run_fsck(sealing, "-fn");
		err = before < 0 ? before : 0;
	}
	if (err)
		return err;
	/* Anew: as it is in order. */
	exam = exam_new(sealing->fd, sealing->size);
	exam_report(exam, &sealing->before);
	err = make_changes(sealing, exam);
	exam_free(exam);
	if (err)
		return err;
	after = run_fsck(sealing, "-fn");
	if (after >= FSCK_WRONG && after != before)
		return reason_refuse(sealing->reason, -EIO,
				     "e2fsck finds errors in it after the changes: that is a bug of ours");
	return after < 0 ? after : read_back(sealing);
}

int doctor_seal(int fd, uint64_t size, char *changes, unsigned changes_size, struct reason *reason)
{
	struct sealing *sealing = alloc_or_abort(sizeof(*sealing));
	struct stat st;
	int err = 0;

	*sealing = (struct sealing){
		.fd = fd, .size = size, .changes = changes, .changes_size = changes_size, .reason = reason
	};
	changes[0] = '\0';
	if (fstat(fd, &st) || fchmod(fd, 0666))
		err = reason_refuse(reason, -EIO, "it could not be prepared: %s", strerror(errno));
	if (!err) {
		err = seal_root(sealing);
		fchmod(fd, st.st_mode & 07777);
	}
	free(sealing);
	return err;
}
