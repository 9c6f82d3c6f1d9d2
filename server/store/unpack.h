/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that were packed by gzip, xz or zstd: told from their first bytes, unpacked by that tool in a box (base/box.h),
 * which gets the one descriptor. Zeroes become holes. What it unpacks to is bounded by the largest disk and by the free
 * space, which progress watches. Private to store/.
 */
#ifndef STORE_UNPACK_H
#define STORE_UNPACK_H

#include "base/reason.h"
#include "store/hash.h"

enum packing { PACKED_GZIP, PACKED_XZ, PACKED_ZSTD };

struct unpack {
	enum packing packing;
	int in; /* its offset moves */
	uint64_t in_size;
	int out; /* empty */
	const struct progress *progress;
};

/* By its magic number. False: it is not packed, or in another way. */
bool unpack_is_packed(int fd, enum packing *packing);
const char *unpack_name(enum packing packing); /* "gzip" */
/* "a.qcow2.gz" -> "a.qcow2" */
void unpack_strip_name(char *name);
/* 0 and *size; -ECANCELED; -ENOSPC; or -errno with a sentence that goes on after the file's name. Blocks. */
int unpack_run(const struct unpack *how, uint64_t *size, struct reason *reason);

#endif
