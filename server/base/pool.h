/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker threads for what may block: file reads, file writes, syncs, and slow work (open, import, hash, SQL).
 *
 * Each class has threads of its own, so that a sync never waits behind an import. A lane (one per file) bounds how many
 * of its jobs run at the same time in each class, so that one stuck disk leaves workers for the others.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/loop.h"

struct pool;

enum pool_class { POOL_READ, POOL_WRITE, POOL_SYNC, POOL_SLOW, POOL_CLASSES };

/* Bounds one file's share. Zero-initialise; embed in what owns the file; must outlive its jobs. Private fields. */
struct pool_lane {
	unsigned running[POOL_CLASSES];
};

/*
 * One piece of work. Embed it; the caller owns the memory, and must keep it until done has run.
 * work runs on a worker. done then runs on loop, or, where loop is NULL, on the worker. Where more jobs wait than there
 * are workers, one takes several that have an ahead at once, and calls it for each before it does the first: a good moment
 * to start what work will wait for. They then wait for each other, so they should be on the same disk. ahead may be NULL,
 * and may not be called at all.
 */
struct pool_job {
	void (*work)(struct pool_job *job);
	void (*ahead)(struct pool_job *job);
	void (*done)(struct pool_job *job); /* may be NULL */
	struct loop *loop;
	struct pool_lane *lane; /* may be NULL: no bound */
	/* private */
	struct pool_job *next;
	enum pool_class class;
	struct loop_msg msg;
};

/* threads: how many per class. 0 or -errno. */
int pool_new(const unsigned threads[POOL_CLASSES], struct pool **pool);
/* Runs all that is queued, then ends the threads. */
void pool_free(struct pool *pool);
/* Any thread. Jobs of one lane and class start in the order in which they were submitted. */
void pool_submit(struct pool *pool, enum pool_class class, struct pool_job *job);

#endif
