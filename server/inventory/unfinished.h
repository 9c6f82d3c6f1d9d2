/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that changes files before the inventory knows of it, or goes on behind the call that began it: written down before it begins,
 * forgotten in the write job that says how it ended. What is found at a start was interrupted by the server's end. Inside a job, like
 * everything of inventory.h.
 */
#ifndef INVENTORY_UNFINISHED_H
#define INVENTORY_UNFINISHED_H

#include "inventory/inventory.h"

enum {
	UNFINISHED_KIND_TEXT = 16,
	UNFINISHED_NAME_TEXT = 160,
	UNFINISHED_DETAIL_TEXT = 64,
	UNFINISHED_FILE_TEXT = 4096
};

#define UNFINISHED_IMPORT "import"
#define UNFINISHED_EXPORT "export"
#define UNFINISHED_RESIZE "resize"

struct unfinished {
	char kind[UNFINISHED_KIND_TEXT];
	int64_t id;			     /* the job's; the volume's */
	char actor[ACTOR_TEXT];		     /* who wanted it */
	char name[UNFINISHED_NAME_TEXT];     /* the image, version, machine or volume, for people */
	char detail[UNFINISHED_DETAIL_TEXT]; /* what its kind has to know */
	char file[UNFINISHED_FILE_TEXT];     /* what is read or written */
};

/* Also once more, with another detail. 0; -EINVAL: a text of it is not UTF-8. */
int unfinished_put(struct inventory_tx *tx, const struct unfinished *what);
/* That there is none is fine. */
int unfinished_forget(struct inventory_tx *tx, const char *kind, int64_t id);
/* each returns 0 to go on. */
int unfinished_each(struct inventory_tx *tx, int (*each)(void *arg, const struct unfinished *what), void *arg);

#endif
