/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 as it lies in the file, in the one geometry that we write: version 3, 128 KiB clusters, 16-bit refcounts,
 * extended L2 entries. Words and bits as in QEMU's docs/interop/qcow2.txt. Private to disk/.
 */
#ifndef DISK_QCOW2_FORMAT_H
#define DISK_QCOW2_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/be.h"

enum {
	QCOW2_MAGIC = 0x514649fb,
	QCOW2_VERSION = 3,
	QCOW2_CLUSTER_BITS = 17,
	QCOW2_CLUSTER_BYTES = 1 << QCOW2_CLUSTER_BITS,
	QCOW2_SUBCLUSTER_BITS = 12,
	QCOW2_SUBCLUSTER_BYTES = 1 << QCOW2_SUBCLUSTER_BITS,
	QCOW2_SUBCLUSTERS = 32, /* per cluster */
	QCOW2_REFCOUNT_ORDER = 4,
	QCOW2_L2_ENTRIES = QCOW2_CLUSTER_BYTES / 16,   /* per L2 table */
	QCOW2_TABLE_ENTRIES = QCOW2_CLUSTER_BYTES / 8, /* 8-byte entries per cluster of an L1 or refcount table */
	QCOW2_REFCOUNTS = QCOW2_CLUSTER_BYTES / 2,     /* per refcount block */
	QCOW2_PIECE_BYTES = 4096,		       /* metadata is read and written in such pieces */
	QCOW2_PIECES = QCOW2_CLUSTER_BYTES / QCOW2_PIECE_BYTES, /* per table */
	QCOW2_PIECE_ENTRIES = QCOW2_PIECE_BYTES / 16,		/* L2 entries per piece */
	QCOW2_PIECE_REFCOUNTS = QCOW2_PIECE_BYTES / 2,
	QCOW2_BACKING_MAX = 1023, /* bytes of a backing file name */
	QCOW2_HEADER_MIN = 104,
	QCOW2_HEADER_BYTES = 112, /* of the header that we write */
	QCOW2_HEADER_SECTOR =
		512, /* header, extensions and, where it fits, the backing file name: changed in one write */
	QCOW2_LONG_NAME_AT =
		2048, /* where a backing file name lies that does not fit; beyond anything that QEMU writes */
	QCOW2_HEADER_AREA = 4096,
	QCOW2_REFTABLE_CLUSTERS_MAX = 64,
};

#define QCOW2_TABLE_SPAN ((uint64_t)QCOW2_L2_ENTRIES * QCOW2_CLUSTER_BYTES)    /* guest bytes per L2 table: 1 GiB */
#define QCOW2_PIECE_SPAN ((uint64_t)QCOW2_PIECE_ENTRIES * QCOW2_CLUSTER_BYTES) /* guest bytes per L2 piece: 32 MiB */
#define QCOW2_SIZE_MAX ((uint64_t)16 << 40)
/*
 * What a file may measure: all data, all tables, and room. Bounds the memory of a walk (one bit per cluster: 33 MiB).
 */
#define QCOW2_FILE_MAX ((uint64_t)33 << 40)

/* incompatible_features */
#define QCOW2_INCOMPAT_DIRTY (1ull << 0)
#define QCOW2_INCOMPAT_CORRUPT (1ull << 1)
#define QCOW2_INCOMPAT_DATA_FILE (1ull << 2)
#define QCOW2_INCOMPAT_COMPRESSION (1ull << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2 (1ull << 4)

/*
 * autoclear_features: ours says that nobody else has written since we did; QEMU clears it when it opens for writing.
 */
#define QCOW2_AUTOCLEAR_OURS (1ull << 47)

/* header extensions */
enum {
	QCOW2_EXT_END = 0,
	QCOW2_EXT_FEATURE_NAMES = 0x6803f857,
	QCOW2_EXT_BITMAPS = 0x23852875,
	QCOW2_EXT_CRYPTO = 0x0537be77,
	QCOW2_EXT_DATA_FILE = 0x44415441,
	QCOW2_EXT_OURS = 0x53414e42, /* "SANB" */
};
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau

/* L1 and L2 entries */
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_COPIED (1ull << 63)
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_L1_RESERVED 0x7f000000000001ffull
#define QCOW2_L2_RESERVED 0x3f000000000001ffull

struct qcow2_wire_header {
	struct be32 magic, version;
	struct be64 backing_offset;
	struct be32 backing_size, cluster_bits;
	struct be64 size;
	struct be32 crypt_method, l1_size;
	struct be64 l1_offset, reftable_offset;
	struct be32 reftable_clusters, snapshot_count;
	struct be64 snapshot_offset;
	struct be64 incompatible, compatible, autoclear;
	struct be32 refcount_order, header_length;
	uint8_t compression_type, padding[7];
};
_Static_assert(sizeof(struct qcow2_wire_header) == QCOW2_HEADER_BYTES, "header");

struct qcow2_wire_ext {
	struct be32 type, length;
};

/*
 * Our own extension, QCOW2_EXT_OURS: what the next open must know. In the first sector of the file, so that it and
 * the header change together or not at all.
 */
struct qcow2_wire_marks {
	struct be32 version; /* 1 */
	struct be32 flags;   /* QCOW2_MARK_... */
	struct be64 generation;
	char boot_id[40];	  /* text, padded with NUL */
	struct be64 free_hint;	  /* no cluster below this one is free; 0: not known */
	struct be32 crc, padding; /* CRC32C of all before it */
};

enum {
	QCOW2_MARKS_VERSION = 1,
	QCOW2_MARK_JOURNAL = 1,	    /* the journal of this generation holds acknowledged map changes */
	QCOW2_MARK_UNSYNCED = 2,    /* acknowledged bytes may live only in the page cache of the host's boot_id */
	QCOW2_MARK_INTERRUPTED = 4, /* acknowledged bytes were lost, and nothing was written since */
	QCOW2_MARK_LEAKS = 8,	    /* clusters could not be given back */
};

struct qcow2_wire_l2 {
	struct be64 descriptor; /* host cluster offset, QCOW2_COPIED */
	struct be64 bitmap;	/* low half: allocated, high half: reads as zeroes */
};

/* An L2 entry, taken apart. */
struct qcow2_entry {
	uint64_t host;	/* 0: no host cluster */
	uint32_t alloc; /* one bit per subcluster */
	uint32_t zero;
};

static inline struct qcow2_entry qcow2_entry_get(const struct qcow2_wire_l2 *wire)
{
	uint64_t bitmap = be64_get(wire->bitmap);

	return (struct qcow2_entry){
		.host = be64_get(wire->descriptor) & QCOW2_OFFSET_MASK,
		.alloc = (uint32_t)bitmap,
		.zero = (uint32_t)(bitmap >> 32),
	};
}

static inline struct qcow2_wire_l2 qcow2_entry_put(struct qcow2_entry entry)
{
	return (struct qcow2_wire_l2){
		.descriptor = be64_put(entry.host ? entry.host | QCOW2_COPIED : 0),
		.bitmap = be64_put((uint64_t)entry.zero << 32 | entry.alloc),
	};
}

/* Bits first to last-1 of a bitmap of subclusters. */
static inline uint32_t qcow2_mask(unsigned first, unsigned last)
{
	return (uint32_t)(((1ull << last) - 1) & ~((1ull << first) - 1));
}

#endif
