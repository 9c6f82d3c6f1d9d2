/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 files that nobody has open: create, look at, check, grow, copy. All of it blocks: for workers and tools.
 * Opening one as a disk is disk_open_file's work. Format: docs/interop/qcow2.txt of QEMU; our geometry: version 3,
 * 128 KiB clusters, 16-bit refcounts, extended L2 entries (32 subclusters of 4 KiB).
 */
#ifndef DISK_QCOW2_H
#define DISK_QCOW2_H

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qcow2_create {
	const char *path;	    /* must not exist */
	uint64_t size_bytes;	    /* multiple of 512, at most 16 TiB, at least the backing file's */
	const char *backing;	    /* relative to the directory of path; NULL: none */
	const char *backing_format; /* "raw" or "qcow2" */
};

/* 0 or -errno, with a sentence in reason. Does not sync: the caller says when it must be durable. */
int qcow2_create(const struct qcow2_create *how, struct reason *reason);

struct qcow2_info {
	uint64_t size_bytes;
	uint64_t allocated_bytes; /* st_blocks * 512 */
	char backing[1024];	  /* "" where there is none */
	char backing_format[16];
	bool clean; /* closed properly: other tools may open it */
	uint64_t generation;
};

/* Reads the header only. 0 or -errno (EUCLEAN, ENOTSUP) with a sentence in reason. */
int qcow2_read_info(const char *path, struct qcow2_info *info, struct reason *reason);

struct qcow2_check {
	uint64_t corruptions, leaks; /* clusters */
	uint64_t allocated_clusters;
};

/* Walks all metadata. repair_leaks gives leaked clusters back. Bounded memory (a bitmap of the file's clusters). */
int qcow2_check(const char *path, bool repair_leaks, struct qcow2_check *result, struct reason *reason);

/* Grows a closed child; what is beyond its backing file reads as zeroes. Never shrinks. */
int qcow2_grow(const char *path, uint64_t size_bytes, struct reason *reason);

/*
 * A new file in the folder of a closed one that reads the same, without the qcow2 files of that folder below it: it stands
 * on what lies below those, an image of another folder or a raw one, or on nothing. Costs what is read differently from
 * that, rounded to 4 KiB. 0 or
 * -errno with a sentence in reason, and then there is no file. Does not sync.
 */
int qcow2_copy(const char *from, const char *to, struct reason *reason);
/*
 * The same without any qcow2 file below it, in whatever folder: on the raw image at the end, which has to be found from the new file's
 * folder as from that of the lowest.
 */
int qcow2_copy_whole(const char *from, const char *to, struct reason *reason);

/* Told of each cluster with data, so that it may take its time; false: stop (-ECANCELED). */
struct qcow2_step {
	bool (*step)(void *arg, uint64_t bytes);
	void *arg;
};
/* The same without anything below it, also raw files: it stands on nothing. In any folder. */
int qcow2_copy_flat(const char *from, const char *to, const struct qcow2_step *step, struct reason *reason);
/* Do two closed files read the same, with all that lies below them? -EBADMSG: no. */
int qcow2_compare(const char *one, const char *other, const struct qcow2_step *step, struct reason *reason);

/*
 * A person lifts what a failed sync left behind: a closed child goes on from what is in its file, as after a loss of
 * power. Its journal, which says that the sync failed, is given up; the file is made consistent, and the next open
 * says "interrupted". Nothing where there is no such journal. 0 or -errno with a sentence in reason. Blocks.
 */
int qcow2_give_up_journal(const char *path, struct reason *reason);

#endif
