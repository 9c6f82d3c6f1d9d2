/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One import from its file to its row. Private to store/. */
#ifndef STORE_IMPORT_WORK_H
#define STORE_IMPORT_WORK_H

struct job;
struct store;

/* Takes a queued import to DONE or FAILED and closes its file. Blocks, on a slow worker. */
void import_perform(struct store *store, struct job *import);

#endif
