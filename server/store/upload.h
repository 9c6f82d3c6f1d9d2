/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is sent to us to be imported: a job of its own until all of it is there, then an import like any other. Its file has
 * no name, so that a crash leaves nothing of it. Private to store/.
 */
#ifndef STORE_UPLOAD_H
#define STORE_UPLOAD_H

struct job;
struct store;

/* Waits until all is there, and makes an import of it; or ends it: canceled, abandoned. Blocks, on a slow worker. */
void upload_perform(struct store *store, struct job *job);

#endif
