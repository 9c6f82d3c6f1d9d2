/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk in memory that completes when it is told to, in the order of submission, fails what it is told to, and counts.
 * It stands in for disk/disk.c (it defines disk_submit and so on), so that no test here needs a file.
 */
#ifndef TEST_FAKE_DISK_H
#define TEST_FAKE_DISK_H

#include "disk/disk.h"

struct fake_disk {
	struct disk disk; /* first */
	uint8_t *bytes;
	bool *mapped;			   /* for each physical block */
	uint64_t allocated_bytes;	   /* what info says; 0: counts mapped */
	struct disk_request *first, *last; /* submitted */
	unsigned pending, lent;
	unsigned reads, writes, allocates, fua_writes, zeroes, unmaps, discards, flushes, statuses;
	uint64_t longest;
	/* the next request of fail_op, after skipping fail_after, ends with fail_result */
	enum disk_op fail_op;
	int fail_result;
	unsigned fail_after;
	uint64_t fail_offset;
	bool fail_always;
	size_t piece_bytes; /* reads are lent in pieces of so much; 0: one */
};

struct fake_disk *fake_disk_new(uint64_t size_bytes);
/* Nothing may be pending or lent. */
void fake_disk_free(struct fake_disk *fake);
/* Completes the oldest request. False: there was none. */
bool fake_disk_step(struct fake_disk *fake);
/* Completes all, and what they bring on. */
void fake_disk_run(struct fake_disk *fake);

#endif
