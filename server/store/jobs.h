/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Imports and exports as jobs: a ring of them, worked off by two jobs of the pool for each kind, so that a small one does
 * not wait behind a huge one, and they never take all slow workers. Private to store/.
 *
 *     QUEUED -> CHECKING -> CONVERTING -> HASHING -> DONE
 *         `---------`------------`-----------`-----> FAILED
 */
#ifndef STORE_JOBS_H
#define STORE_JOBS_H

#include "base/reason.h"
#include "store/private.h"

void jobs_init(struct store *store);
/* Ends what runs, forgets what is queued. */
void jobs_fini(struct store *store);

/*
 * Queues it: how has all but status.id and status.stage. From 0 on its fd, path and what belong to the job; `perform`
 * closes and ends them, and so does jobs_drop where it never runs. -EBUSY with a sentence.
 */
int jobs_submit(struct store *store, const struct job *how, uint64_t *id, struct reason *reason);

/* Under the mutex; NULL. */
struct job *jobs_find(struct store *store, uint64_t id);

/* ---- what the inventory knows of them, for the next start: unfinished.c ---- */

/* Before it begins; and, with its inode, before the file of an export gets a name. 0 or -errno. */
int job_record(struct store *store, const struct job *job, uint64_t inode);
/* How it ended, as an event; the record goes with it. Waits for the inventory. */
void job_note(struct store *store, const struct job_status *status, const char *level, const char *kind,
	      const char *actor, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The name beside its own that the file of an export has for a moment, or (folder) the folder that it is made in. */
void job_hidden_name(const char *mark, bool folder, char name[64]);

/* ---- for perform ---- */

/* What is left of it is another job's, of another kind. Nothing of job is used after this. */
void jobs_requeue(struct store *store, struct job *job, enum job_kind kind,
		  void (*perform)(struct store *store, struct job *job));

/* text NULL: as it was; bytes: of the pass that begins with text, 0: not known. */
void job_set(struct store *store, struct job *job, enum job_stage stage, unsigned percent, const char *text,
	     uint64_t bytes);
bool job_is_canceled(struct store *store, struct job *job);
/* It is too late to cancel it. False: somebody did. */
bool job_enter(struct store *store, struct job *job);
/* It has ended: DONE, or FAILED where err; text is copied. Nothing of job is used after this. */
void job_end(struct store *store, struct job *job, int err, const char *text);

#endif
