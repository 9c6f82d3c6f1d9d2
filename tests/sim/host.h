/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that does not exist: files in memory under disk/'s seams (struct file_ops, struct disk_env_ops), a page
 * cache that a power cut empties, workers that take whatever comes, in an order that a seed decides. One thread.
 *
 * A file is what is durable, plus a log of what was written since the last sync: the page cache is both together.
 *
 *	power cut     per 512-byte sector, what is durable or any version of the log; from requests in flight, any part
 *	process kill  the page cache, with any part of the requests in flight; what was not synced is still not synced
 *
 * From the instant of a crash nothing changes any more: every call fails with EIO, so that the engine can be closed
 * and its memory freed; then host_restart. Out of space is a state: writes that need new 4 KiB blocks fail while
 * `full` is set.
 */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/engine.h"
#include "prng.h"

enum host_crash { HOST_RUNS, HOST_KILL, HOST_CUT };

struct host_file;
struct host_op;

struct host {
	struct prng *prng;
	/* The faults that happen, in 1/1000 of the requests; the owner sets them at any time. */
	unsigned read_errors, write_errors, sync_errors;
	bool full;
	unsigned inline_percent;		 /* how often read_now and write_now work */
	bool sync_failed;			 /* a sync has failed */
	uint64_t syncs;				 /* that reached the medium, good or bad */
	unsigned journal_entries, reap_at_close; /* enum disk_env_limit; 0: the usual */

	enum host_crash crashed;
	char boot_id[37];
	/* private */
	enum host_crash crash_kind;
	uint64_t crash_after; /* requests; 0: no crash planned */
	unsigned boots;
	uint64_t next_order;
	struct host_file *files;
	struct host_op *ops; /* in flight, unordered */
	unsigned op_count, op_capacity;
	unsigned open_files;
};

extern const struct disk_env_ops host_env_ops; /* arg: the host */

void host_init(struct host *host, struct prng *prng);
void host_fini(struct host *host);

/* Takes over what a real file holds, as durable. Only where the host has no file of that name open. */
void host_load(struct host *host, const char *path);
/* Writes what a reader would see now (after a restart: what survived) to the real file of the same name, sparse. */
void host_store(struct host *host, const char *path);

/* What it takes on the medium, 0 where there is no such file. */
uint64_t host_allocated(struct host *host, const char *path);
/* What it had given back and takes again, since power cuts came before that was durable. forget: counted anew from now on. */
uint64_t host_came_back(struct host *host, const char *path, bool forget);
/* Removes it, if it is there; nobody has it open. */
void host_forget(struct host *host, const char *path);

/* Does one thing that is in flight, at random. False where there is nothing. */
bool host_step(struct host *host);
/* A crash when so many more requests have been done (of all files, inline ones too). */
void host_plan_crash(struct host *host, enum host_crash kind, uint64_t after);
void host_cancel_crash(struct host *host);
/* A crash now. */
void host_crash(struct host *host, enum host_crash kind);
/* After a crash, when all files are closed. */
void host_restart(struct host *host);

/* ---- for host.c, host_file.c and host_ops.c ---- */

/* What is in flight: a request of a file, or a job of a worker. */
struct host_op {
	struct file_request *req; /* NULL: job */
	struct pool_job *job;
	uint64_t order; /* SYNC: of the last thing in the log that it covers */
};

void host_add(struct host *host, struct host_op op);
/* Counts a request towards the planned crash; true when it must fail because the host is down. */
bool host_is_down(struct host *host);

#endif
