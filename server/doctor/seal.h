/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The changes that sealing makes, as a table; seal.c makes them. Private to doctor/. */
#ifndef DOCTOR_SEAL_H
#define DOCTOR_SEAL_H

#include "doctor/exam.h"

/* One change: lines for debugfs, and what is written to the file that they call SEAL_CONTENT. */
struct seal_edit {
	struct buf commands, content;
};

#define SEAL_CONTENT "/dev/fd/4"

struct seal_change {
	const char *code; /* of the finding that it mends */
	/* False: not in this image. */
	bool (*make)(const struct exam *exam, struct seal_edit *edit);
	const char *does;
};

extern const struct seal_change seal_changes[]; /* one without a code ends it */

#endif
