/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of store/files/ share. */
#ifndef STORE_FILES_FILES_H
#define STORE_FILES_FILES_H

#include "store/backend.h"

enum { FILES_BACKING_TEXT = 160 };
#define FILES_JOURNAL_SUFFIX ".journal"
/* What a child's header calls its golden version, by the version's file. */
#define FILES_BACKING "../images/%s"

/* files_check.c */
int files_check(struct store *store, const struct volume *volume, const struct image_version *version,
		const char *layer, uint64_t *identity, struct reason *reason);

bool files_stands_on(struct store *store, const char *object, const char *version_file);

/* reclaim_files.c */
void files_reclaim(struct store *store, const struct reclaim_rows *rows, const struct reclaim_volume *volume);
bool files_is_unused(struct store *store, const char *object);

#endif
