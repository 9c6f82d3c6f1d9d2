// SPDX-License-Identifier: GPL-2.0-or-later
/* One look at a disk: see exam.h. */
#include "doctor/exam.h"

#include "base/util.h"

#include <stdlib.h>

struct exam *exam_new(int fd, uint64_t size)
{
	struct exam *exam = alloc_or_abort(sizeof(*exam));

	exam->fd = fd;
	exam->size = size;
	exam->view = view_of_file(&exam->fd, size);
	tree_source_init(&exam->source, fd);
	buf_init(&exam->lin.fstab, EXAM_TEXT_MAX);
	buf_init(&exam->lin.cmdline, EXAM_TEXT_MAX);
	exam_look_disk(exam);
	exam_look_linux(exam);
	exam_look_windows(exam);
	return exam;
}

void exam_free(struct exam *exam)
{
	exam_windows_fini(&exam->windows);
	buf_fini(&exam->lin.fstab);
	buf_fini(&exam->lin.cmdline);
	free(exam);
}
