// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking into images: the warnings of an import, and `image check`. */
#include "store/clone_warnings.h"

#include "base/buf.h"
#include "doctor/doctor.h"
#include "store/private.h"
#include "store/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_TEXT = 900 };

static const char more[] = "\nThere is more: sanbootctl image check says all of it.";

/* False: it does not fit any more. */
static bool add_line(struct buf *lines, const char *line)
{
	size_t len = strlen(line) + 1;

	if (lines->len + len + sizeof(more) > lines->limit)
		return false;
	if (lines->len)
		buf_add_string(lines, "\n");
	buf_add_string(lines, line);
	return true;
}

void clone_warnings(int fd, uint64_t original_bytes, uint64_t size, struct buf *lines)
{
	struct doctor_report *report = calloc(1, sizeof(*report));
	char line[LINE_TEXT];
	bool fits = true;

	if (original_bytes % 512)
		add_line(lines, "Its size was not a multiple of 512 bytes: zeroes were added. It may be cut off.");
	if (!report) {
		add_line(lines, "It could not be looked into: no memory.");
		return;
	}
	doctor_check(fd, size, report);
	for (unsigned i = 0; i < report->count && fits; i++) {
		if (report->findings[i].severity == DOCTOR_HINT)
			continue;
		snprintf(line, sizeof(line), "%s %s", report->findings[i].what, report->findings[i].todo);
		fits = add_line(lines, line);
	}
	if (!fits)
		buf_add_string(lines, more);
	free(report);
}

int store_check_version(struct store *store, const struct image_version *version, struct doctor_report *report,
			struct reason *reason)
{
	char path[PATH_MAX];
	int fd;

	store_version_path(store, version, path, sizeof(path));
	if (strcmp(version->format, "raw"))
		return reason_refuse(
			reason, -ENOTSUP,
			"%s@%u was made of a machine's disk and stands on another version: it is not looked into as "
			"it is. qemu-img convert -O raw %.200s /var/tmp/disk.raw makes one that can be",
			version->image, version->number, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return reason_refuse(reason, -errno, "%s: %s", path, strerror(errno));
	doctor_check(fd, version->size_bytes, report);
	close(fd);
	return 0;
}

int store_check_file(const char *path, struct doctor_report *report, struct reason *reason)
{
	struct probe probe = { .format = FORMAT_RAW };
	struct view view;
	uint64_t size = 0;
	int fd, err = store_open_source(path, &fd, reason);

	if (err)
		return err;
	err = store_source_size(fd, &size);
	if (err) {
		reason_refuse(reason, err, "%.300s is neither a file nor a disk", path);
	} else {
		struct reason why;

		view = view_of_file(&fd, size);
		err = probe_image(&view, path, &probe, &why);
		if (err)
			reason_refuse(reason, err, "%.300s %.400s", path, why.text);
	}
	if (!err && probe.format != FORMAT_RAW)
		err = reason_refuse(reason, -EINVAL,
				    "%.300s is %s, and only raw disks are looked into as they are: import it, or qemu-img "
				    "convert -O raw",
				    path, probe_format_name(probe.format));
	if (!err)
		doctor_check(fd, size, report);
	close(fd);
	return err;
}
