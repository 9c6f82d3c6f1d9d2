/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The syncs of one file, one at a time: what keeps design.md's invariant 5 free of a gap. Private to disk/.
 *
 *	submit        all that wait become the served ones
 *	IDLE ------------------> RUNNING ---done: some wait---> RUNNING
 *	  ^                         |
 *	  +------done: none waits---+            a failure: all fail, now and for ever
 *
 * The kernel tells a failed writeback once, to one fdatasync, and counts the pages as clean. A second one that starts
 * before the result of the first is known would succeed, and so would a flush that finds nothing more to sync. So a
 * sync that is asked for while one runs waits for the end of that, and then shares the next one with all that wait.
 *
 * On the file's loop.
 */
#ifndef DISK_SYNC_H
#define DISK_SYNC_H

#include <stdbool.h>

#include "disk/file.h"

struct syncs {
	struct file *file;
	struct file_request io;
	bool running;
	int error;			    /* sticks */
	struct file_request *served;	    /* by the running one */
	struct file_request *first, **last; /* wait for the next */
};

void syncs_init(struct syncs *syncs, struct file *file);
/*
 * req->done runs later, when all is durable that was written before this call, or with -errno. Of req only done and
 * user count.
 */
void syncs_submit(struct syncs *syncs, struct file_request *req);
/* One is under way, and may yet say that something is lost. */
static inline bool syncs_running(const struct syncs *syncs)
{
	return syncs->running;
}

#endif
