/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What boots of a golden version have needed of it: runs of blocks, each with a score. Learnt from the traces of boots
 * (disk/read_trace.h), kept beside the image as FILE.bootset, read ahead before the next machine asks.
 *
 * A score is the share of boots that read the block, 0 to 255: the mean of the first 8, then the newest counts an
 * eighth. A block is needed where it is a quarter or more, so what one boot in many reads (a backup, an update) does
 * not count for long, and the set does not grow to the whole image. No state; any thread.
 */
#ifndef STORE_READ_SET_H
#define STORE_READ_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct read_trace;
struct image_version;

enum {
	READ_SET_BOOTS = 8,	       /* the newest boot counts one in so many */
	READ_SET_NEEDED = 64,	       /* score */
	READ_SET_RUNS_MAX = 65536,     /* beyond it the least needed blocks are forgotten */
	READ_SET_BLOCKS_MAX = 1 << 19, /* 4 GiB: a boot that reads more is not learnt from */
};

struct boot_run {
	uint32_t first, count; /* blocks of BOOT_BLOCK_BYTES */
	uint8_t score;	       /* not 0 */
};

/* Zero-initialise. */
struct read_set {
	uint32_t boots; /* learnt from */
	uint32_t run_count;
	struct boot_run *runs; /* in order, apart, owned */
};

void read_set_fini(struct read_set *set);
/* One more boot. 0; -ENOMEM, -E2BIG (the boot read too much) or -ENODATA (nothing): set is as it was. */
int read_set_merge(struct read_set *set, const struct read_trace *trace);
/* From run *next on: blocks in a row that are needed, whatever their scores. False: no more. */
bool read_set_next(const struct read_set *set, uint32_t *next, uint32_t *first, uint32_t *count);
uint64_t read_set_needed_bytes(const struct read_set *set);

/* As it lies in the file: a header with the version's identity, the runs, a CRC32C. *data: free(3). 0 or -ENOMEM. */
int read_set_encode(const struct read_set *set, const struct image_version *version, uint8_t **data, size_t *size);
/* 0; -ENOMEM; -ESTALE: of another image; -EUCLEAN: broken, with what is wrong. *set is untouched then. */
int read_set_decode(struct read_set *set, const struct image_version *version, const uint8_t *data, size_t size,
		    const char **wrong);
/* The longest file that there can be. */
size_t read_set_size_max(void);

#endif
