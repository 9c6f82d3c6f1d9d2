/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that nobody knows, told together as one event: the log, where each has its line, is read by few. Private to store/. */
#ifndef STORE_STRANGERS_H
#define STORE_STRANGERS_H

#include <stdbool.h>

struct store;

/* Zero-initialise. */
struct strangers {
	unsigned count;
	bool cut; /* not all are in some */
	char some[400];
};

void strangers_add(struct strangers *strangers, const char *name);
/* Where there are some: "3 WHAT: a, b, c". */
void strangers_tell(struct store *store, const struct strangers *strangers, const char *kind, const char *what);

#endif
