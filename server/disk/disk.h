/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk: bytes at offsets, asynchronous, owned by one I/O loop.
 *
 * Every function here is called on the loop that owns the disk, unless it says otherwise, and every callback comes
 * there, never from inside the call that caused it. Requests are never short: the whole range, or an error.
 * Reads lend, writes borrow: see struct disk_request. Overlapping requests are ordered as they were submitted, but for
 * DISK_STATUS, which may already show later ones that are under way.
 */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/loop.h"
#include "base/reason.h"

struct disk;
struct disk_env;

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_WRITE_ZEROES, /* reads as zeroes afterwards; may or may not take space (unmap: should give it back) */
	DISK_DISCARD,	   /* like WRITE_ZEROES with unmap: reads as zeroes, also where the backing file has data */
	DISK_FLUSH,	   /* everything acknowledged before it was submitted is durable when it completes */
	DISK_STATUS,	   /* which parts of the range are mapped */
};

enum {
	DISK_BLOCK_BYTES = 512,	     /* offsets and lengths are multiples of it */
	DISK_PHYSICAL_BYTES = 4096,  /* what costs nothing extra */
	DISK_CHAIN_MAX = 8,	     /* files in a backing chain */
	DISK_REQUEST_MAX = 4u << 20, /* most bytes of one read or write; the other ops take any length */
	DISK_FLUSHES = 64,	     /* disks that flush at a time */
	DISK_SYNC_WORKERS = 16,	     /* what the pool should have for them */
};

/* What DISK_STATUS found: adjacent extents, in order. */
struct disk_extent {
	uint64_t offset, length; /* bytes */
	bool mapped;		 /* false: deallocated, reads as zeroes */
};

struct disk_request {
	enum disk_op op;
	bool fua;      /* WRITE, WRITE_ZEROES, DISCARD: durable before done */
	bool unmap;    /* WRITE_ZEROES: give the space back */
	bool allocate; /* WRITE: takes its space even where it changes nothing, so that a later one cannot lack it */
	uint64_t offset, length; /* bytes; 0, 0 for FLUSH */
	/*
	 * WRITE: the caller's bytes, borrowed until done; their sum is length.
	 * READ: set by the disk before done with result 0: pieces that the disk lends until disk_release, in order, sum
	 * is length.
	 */
	struct iovec *iov;
	int iov_count;
	/* STATUS: the caller's array; the disk sets extent_count. It may stop early when the array is full. */
	struct disk_extent *extents;
	unsigned extent_max, extent_count;

	int result;	       /* 0 or -errno: EIO, ENOSPC (BUSY first, see disk_space), EROFS, EINVAL, ECANCELED */
	uint64_t error_offset; /* with EIO on a read: the first byte that could not be had */
	void (*done)(struct disk_request *req);
	void *user; /* the caller's */

	/* private to the disk that has it */
	struct disk *disk;
	void *private;
	struct disk_request *next, *prev;
	/* private to disk.c */
	struct disk_request *order_next, *order_prev; /* all of a disk, as submitted */
	struct disk_request *soon_next;
	enum disk_held { DISK_HELD_NOT, DISK_HELD_BY_ORDER, DISK_HELD_BY_BUFFERS } held; /* from the engine */
	bool reserved;
};

/* What a disk tells its owner, unasked, on its loop; the owner logs it. text is for people, borrowed. */
enum disk_event {
	DISK_FAILED,   /* a sync failed: writes and flushes fail from now on, reads go on (invariant 5) */
	DISK_NO_SPACE, /* writes cannot be stored at present (invariant 6) */
};

struct disk_info {
	uint64_t size_bytes;
	bool read_only;
	uint64_t allocated_bytes; /* what it takes on the file system, as st_blocks says */
	bool failed;
};

/* The operations of one kind of disk. Only disk.c calls them, after checking range, alignment and flags. */
struct disk_ops {
	const char *name; /* "raw", "qcow2" */
	/*
	 * Who orders overlapping requests. false: disk.c, a request waits for every earlier one that it overlaps unless
	 * both read (raw). true: the engine does so itself, per cluster (qcow2); disk.c hands on at once, in order.
	 */
	bool orders;
	void (*submit)(struct disk *disk, struct disk_request *req);
	void (*release)(struct disk *disk, struct disk_request *req);
	void (*info)(const struct disk *disk, struct disk_info *info);
	/* All requests are done and released by then. Flushes, marks clean, frees the disk, then calls closed. */
	void (*close)(struct disk *disk, void (*closed)(void *arg, int err), void *arg);
};

/* The part that every disk has; embedded first in each kind. */
struct disk {
	const struct disk_ops *ops;
	struct loop *loop;
	uint64_t size_bytes;
	bool read_only;
	void (*on_event)(void *arg, enum disk_event event, const char *text);
	void *event_arg;
	unsigned in_flight; /* submitted and not done, plus lent and not released */
	bool closing;
	/* a close that waits for in_flight to reach 0 */
	void (*closed)(void *arg, int err);
	void *closed_arg;
	/* private to disk.c */
	struct disk_env *env;
	struct disk_request *order_first, *order_last;
	unsigned held, held_by_buffers; /* requests: all of the held, and those that only lack memory */
	struct disk *wait_next;		/* others that wait for the loop's buffers */
	struct loop_msg close_msg;
};

/*
 * Checks, then hands on. A request that does not fit (range, alignment, read-only) fails in the next turn of the loop.
 */
void disk_submit(struct disk *disk, struct disk_request *req);
/* Gives back what a read lent. Once for each READ that was done with result 0; not needed otherwise. */
void disk_release(struct disk *disk, struct disk_request *req);
void disk_get_info(const struct disk *disk, struct disk_info *info);
/*
 * Refuses new requests (ECANCELED), waits for those in flight and for lent pieces, flushes, closes, frees. err: what
 * the last flush said.
 */
void disk_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg);

/* For implementations: completes req with result, now (they call it from their own callbacks, never inside submit). */
void disk_complete(struct disk_request *req, int result);

/* ---- opening: what the store hands to boot ---- */

struct pool;
/* disk_env: what all disks of a process share: the workers, buffers for each loop, the file seam. */
/* loops: the I/O loops on which disks will be opened. Start-up only. 0 or -errno. */
int disk_env_new(struct pool *pool, struct loop *const *loops, unsigned loop_count, struct disk_env **env);
void disk_env_free(struct disk_env *env); /* all disks are closed */
/*
 * Memory in which what disks read of golden images stays, for all who read it after them (golden_cache.h). Start-up,
 * before any disk is opened; once. 0: none, the page cache does it. 0 or -errno.
 */
int disk_env_set_cache(struct disk_env *env, uint64_t bytes);

struct disk_cache_info {
	uint64_t size_bytes, used_bytes;
	uint64_t hit_bytes, miss_bytes; /* read of golden images since the start: from the cache, and not */
};

/* Any thread. All 0 where there is none. */
void disk_env_cache_info(struct disk_env *env, struct disk_cache_info *info);

struct read_trace;

struct disk_open {
	const char *path; /* copied */
	struct read_trace
		*trace; /* notes what is read of the golden image (read_trace.h); borrowed until opened; may be NULL */
	bool read_only;
	bool ephemeral;	      /* never synced; thrown away after a loss of power */
	uint64_t quota_bytes; /* most that the child may take on the file system; 0: no bound */
	void (*on_event)(void *arg, enum disk_event event, const char *text);
	void *event_arg;
};

struct disk_opened {
	struct disk *disk; /* NULL where err */
	int err; /* -errno: EBUSY locked by another process, EUCLEAN corrupt, ENOTSUP unknown feature or geometry... */
	struct reason reason; /* where err: one sentence naming the file, what is wrong and what to do */
	/*
	 * The child was left open by a host that has gone down since (another boot_id): acknowledged writes that were
	 * not flushed are lost, so the boot that made them must not go on (invariant 4). It has been recovered and is
	 * consistent.
	 */
	bool interrupted;
};

/*
 * Opens a child (qcow2 with its whole backing chain) or a raw file, by what its header says (format "raw" or "qcow2").
 * opened runs on loop; its argument is borrowed. Only without memory (-ENOMEM) it runs inside the call.
 */
void disk_open_file(struct disk_env *env, struct loop *loop, const char *format, const struct disk_open *how,
		    void (*opened)(void *arg, const struct disk_opened *result), void *arg);
/* For who opens disks by other names: there is none of this one. -EINVAL, told on loop in a later turn. */
void disk_open_refuse(struct loop *loop, const char *reason,
		      void (*opened)(void *arg, const struct disk_opened *result), void *arg);
/* The one answer that comes from inside the call: without memory nothing can be posted. -ENOMEM and its reason. */
void disk_opened_without_memory(void (*opened)(void *arg, const struct disk_opened *result), void *arg);

#endif
