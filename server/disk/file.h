/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file under a disk: the seam between the engine and the operating system. Private to disk/ and its tests.
 *
 * The engine (qcow2, raw) sees only this. file.c is the real one; tests/sim has a fake that completes in a seeded
 * random order, fails what it likes and loses unsynced writes at a power cut. All calls and callbacks on the owning
 * loop; callbacks never inside the call. The caller keeps the request and its memory until done.
 */
#ifndef DISK_FILE_H
#define DISK_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/pool.h"

struct disk_env;
struct disk_extent;
struct file;
struct golden_image;
struct hole_map;
struct loop;

enum file_op {
	FILE_READ,  /* never short: beyond the end of the file reads as zeroes */
	FILE_WRITE, /* never short */
	FILE_SYNC,  /* fdatasync: everything whose done ran before the submission is durable; one at a time: sync.h */
	FILE_PUNCH, /* the range reads as zeroes and takes no space */
	FILE_ALLOCATE, /* fallocate with KEEP_SIZE: later writes there do not fail for space; EOPNOTSUPP where unknown */
	FILE_STATUS,   /* which parts of the range hold data (SEEK_DATA); the end of the file is a hole */
};

struct file_request {
	enum file_op op;
	uint64_t offset, length;
	const struct iovec *iov; /* READ: filled; WRITE: borrowed until done */
	int iov_count;
	bool overwrites;       /* WRITE: all of the range has been written before; a hint */
	int result;	       /* 0 or -errno */
	uint64_t error_offset; /* READ with EIO: the first byte that could not be read */
	/* STATUS: the caller's array, filled as struct disk_request says */
	struct disk_extent *extents;
	unsigned extent_max, extent_count;
	void (*done)(struct file_request *req);
	void *user;
	/* private to the file */
	struct file *file;
	struct file_request *next;
	void *private;
	bool counted; /* READ: machines that wait for a disk */
	struct pool_job job;
};

struct file_ops {
	void (*submit)(struct file *file, struct file_request *req);
	/*
	 * Tries to read at once, from the page cache, without blocking: true when the whole range was read (holes
	 * count as zeroes). The engine's fast path; false: submit it.
	 */
	bool (*read_now)(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count, uint64_t length);
	/* Writes at once where that cannot wait for a disk (design.md, "Inline"): true when all of it was written. */
	bool (*write_now)(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count, uint64_t length);
	/* The same, with the hint that all of the range has been written before. */
	bool (*overwrite_now)(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count,
			      uint64_t length);
	/*
	 * True when the range lies wholly in a hole, or beyond the end (hole_map.h; false where not known). Only for
	 * files opened read-only, which nobody changes.
	 */
	bool (*is_hole)(struct file *file, uint64_t offset, uint64_t length);
	uint64_t (*allocated_bytes)(const struct file *file);
	/*
	 * Nothing in flight; frees. Never blocks the loop (hands the descriptor to a worker), but the lock is free at
	 * return. Also on the worker that opened it.
	 */
	void (*close)(struct file *file);
	/*
	 * Does req now, blocking, on the worker that opened the file and before it is used on its loop. Returns
	 * req->result; done is not called.
	 */
	int (*run)(struct file *file, struct file_request *req);
};

struct file {
	const struct file_ops *ops;
	struct loop *loop;
	uint64_t size_bytes;	     /* at open */
	uint64_t inode;		     /* of a read-only one; 0: not known */
	struct golden_image *golden; /* what memory holds of it; NULL: not cached */
	struct hole_map *holes;	     /* of a read-only one; NULL: not known */
};

/*
 * Takes over an open descriptor (O_CLOEXEC, locks held on it stay with it). NULL without memory.
 * no_sync: FILE_SYNC completes at once (ephemeral children).
 */
struct file *file_new(struct disk_env *env, struct loop *loop, int fd, uint64_t size_bytes, bool read_only,
		      bool no_sync);

/* QEMU's own byte-range locks on an open file description (OFD), the same bytes that block/file-posix.c uses. */
enum file_lock {
	FILE_LOCK_SHARED_READ, /* we read, others may read; nobody may write (golden) */
	FILE_LOCK_EXCLUSIVE    /* we write, nobody else writes or resizes, and no consistent read is promised (child) */
};
/* 0, or -EBUSY where another process has it in a way that conflicts. Blocks: workers. */
int file_lock(int fd, enum file_lock lock);
/* Gives all of them back. Does not block. */
void file_unlock(int fd);

#endif
