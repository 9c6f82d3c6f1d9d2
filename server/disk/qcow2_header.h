/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 header, its extensions and our marks, as values. Bytes in, values or a refusal out; no I/O. Any thread.
 * Private to disk/.
 */
#ifndef DISK_QCOW2_HEADER_H
#define DISK_QCOW2_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"
#include "disk/qcow2_format.h"

struct qcow2_header {
	uint64_t size_bytes;
	uint64_t l1_offset, reftable_offset;
	uint32_t l1_size, reftable_clusters;
	uint64_t incompatible, compatible;   /* as read; only DIRTY and EXTENDED_L2 get past the parser */
	char backing[QCOW2_BACKING_MAX + 1]; /* "" where there is none */
	char backing_format[8];		     /* "raw" or "qcow2"; "" without a backing file */
	/*
	 * Our marks. ours: nobody else has written since. torn: they are ours, but do not add up (a write that power
	 * loss cut in two), and say the worst that they could have said.
	 */
	bool ours, torn;
	uint32_t flags;
	uint64_t generation, free_hint;
	char boot_id[40];
	/* Extensions that are not ours to judge, kept as they are. */
	uint32_t others_bytes;
	uint8_t others[256];
};

/*
 * Reads the first cluster of a file (data_len may be less where the file is shorter) of file_bytes bytes. 0, -EUCLEAN
 * for what is corrupt, -ENOTSUP for what we do not do (import converts it); reason gets a phrase that follows the
 * file's name.
 */
int qcow2_header_parse(const uint8_t *data, size_t data_len, uint64_t file_bytes, struct qcow2_header *header,
		       struct reason *reason);
/*
 * The opposite, in our layout, with QCOW2_AUTOCLEAR_OURS set: what to write at offset 0. From then on only the first
 * sector ever changes. true: the backing file name is long and lies at QCOW2_LONG_NAME_AT; where somebody else's
 * header is replaced, it has to be durable before the first sector is written.
 */
bool qcow2_header_build(const struct qcow2_header *header, uint8_t area[QCOW2_HEADER_AREA]);

/* How many refcount blocks a disk of that size needs for everything it may ever hold, itself included. */
uint64_t qcow2_refcount_blocks(uint64_t size_bytes);
static inline uint64_t qcow2_l1_entries(uint64_t size_bytes)
{
	return (size_bytes + QCOW2_TABLE_SPAN - 1) / QCOW2_TABLE_SPAN;
}

/* dir(path) + "/" + name, or name where it is absolute. malloc'ed; NULL without memory. */
char *qcow2_backing_path(const char *path, const char *name);

#endif
