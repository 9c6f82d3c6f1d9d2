/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The metadata of a qcow2 file that nobody uses: loaded, walked, mended. All of it blocks (workers, tools), through
 * file->ops->run. Private to disk/.
 *
 * Memory is bounded by the file's length: 8 bytes per GiB of disk, one bit per cluster of the file, 8 bytes per
 * refcount block, and what the journal touches.
 */
#ifndef DISK_QCOW2_META_H
#define DISK_QCOW2_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"
#include "disk/file.h"
#include "disk/journal.h"
#include "disk/qcow2_header.h"

enum {
	QCOW2_BLOCKS_MAX = 8192, /* refcount blocks of one file */
};

/* 4 KiB of an L2 table that differ, or may, from what is in the file. */
struct qcow2_overlay {
	struct be64 data[QCOW2_PIECE_BYTES / 8];
};

struct qcow2_meta {
	struct file *file;
	const char *path; /* borrowed */
	struct qcow2_header header;
	uint64_t *l1;	    /* header.l1_size offsets; 0: none */
	uint64_t *reftable; /* block_count offsets; 0: none */
	unsigned block_count;
	uint64_t clusters; /* of the file, the last one perhaps in part */
	/* what a journal says beyond the file: [L1 index][piece] */
	struct qcow2_overlay ***overlays;
	uint32_t l1_dirty; /* 4 KiB pieces of L1 */
	/* what a walk found */
	uint8_t *used; /* one bit per cluster */
	uint64_t allocated, corruptions;
	/* a sentence about the first thing that is wrong */
	struct reason reason;
};

/*
 * Header and top tables. 0 or -errno, then reason says why. fini in either case; the file stays open. path is
 * borrowed.
 */
int qcow2_meta_load(struct qcow2_meta *meta, struct file *file, const char *path);
void qcow2_meta_fini(struct qcow2_meta *meta);

/* Lays a journal's change over the maps; for journal_replay, arg is the meta. */
int qcow2_meta_change(void *arg, const struct journal_change *change);
/* Writes what was laid over, where it differs from the file. */
int qcow2_meta_write_overlays(struct qcow2_meta *meta, bool *wrote);

/*
 * Finds all clusters that are in use. 0 also where something is corrupt (corruptions, reason); -errno where it cannot
 * be read.
 */
int qcow2_meta_walk(struct qcow2_meta *meta);
/*
 * Compares refcounts with what the walk found; missing: too low (a corruption), leaked: too high. raise and lower
 * correct them in the file; what is lowered to 0 is punched.
 */
int qcow2_meta_refcounts(struct qcow2_meta *meta, bool raise, bool lower, uint64_t *missing, uint64_t *leaked);
/* Refcount blocks for all that a disk of that size may hold; synced. */
int qcow2_meta_cover(struct qcow2_meta *meta, uint64_t size_bytes);
/*
 * Walks, refuses what is corrupt (-EUCLEAN), and makes the file consistent and durable: refcounts that cover a disk
 * of that size, what was laid over, and leaks given back (clusters in *reclaimed). Marks and header are the caller's.
 */
int qcow2_meta_mend(struct qcow2_meta *meta, uint64_t size_bytes, uint64_t *reclaimed);
/* Called for clusters that leaked, of which some in a row are told at once. 0 or -errno. */
typedef int qcow2_meta_leak(void *arg, uint64_t first, uint64_t count);
/* The same, but leaks are told instead, and keep their refcounts. */
int qcow2_meta_mend_later(struct qcow2_meta *meta, uint64_t size_bytes, qcow2_meta_leak *leak, void *arg,
			  uint64_t *leaked);
/* The first cluster that is not in use, after a walk. */
uint64_t qcow2_meta_first_free(const struct qcow2_meta *meta);
/*
 * Writes the header as it is in memory. Does not sync, but where the backing file name has to be in its place first.
 */
int qcow2_meta_write_header(struct qcow2_meta *meta);

/*
 * A file over a descriptor, for those that have no loop: only run and close work. fd is taken over. NULL without
 * memory.
 */
struct file *qcow2_file_of(int fd, uint64_t size_bytes);

/* Opens a file that nobody else has open, locked; it is the caller's to close. 0 or -errno with a sentence. */
int qcow2_open_closed(const char *path, bool write, struct file **file, struct reason *reason);
/* What nobody may touch now: a journal still holds changes of it. 0 or -EBUSY. */
int qcow2_refuse_open(struct qcow2_meta *meta);

#endif
