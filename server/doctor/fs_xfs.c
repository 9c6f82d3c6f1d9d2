// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * XFS: was it unmounted? Its log is a ring of 512-byte blocks, each of which begins with the number of the round (cycle)
 * in which it was written. The head is where the round changes; a file system that was unmounted has an unmount record
 * as its last one. ("XFS Algorithms & Data Structures", "Journaling Log"; Linux fs/xfs/xfs_log_recover.c finds the head so.)
 */
#include "doctor/fs.h"

#include "base/be.h"
#include "base/util.h"

#include <string.h>

enum {
	LOG_BLOCK = 512,
	LOG_MAGIC = (int)0xfeedbabe,
	RECORD_BLOCKS_MAX = 520, /* a record of 256 KiB and its headers */
	OP_UNMOUNT = 0x20,
	HEADER_BYTES = 32768, /* of a record that one header block describes */
};

struct xfs_super {
	char magic[4];
	struct be32 block_size;
	struct be64 blocks, rt_blocks, rt_extents;
	uint8_t uuid[16];
	struct be64 log_start;
	uint8_t inodes[28];
	struct be32 ag_blocks, ag_count, bitmap_blocks, log_blocks;
	struct be16 version, sector_size, inode_size, inodes_per_block;
	char label[12];
	uint8_t block_log, sector_log, inode_log, inodes_log, ag_log;
};

struct log_record {
	struct be32 magic, cycle, version, len;
	struct be64 lsn, tail_lsn;
	struct be32 checksum, previous, ops;
	uint8_t cycles[256];
	struct be32 format;
	uint8_t uuid[16];
	struct be32 size;
};

_Static_assert(offsetof(struct xfs_super, log_start) == 48 && offsetof(struct xfs_super, ag_log) == 124, "xfs_dsb");
_Static_assert(offsetof(struct log_record, ops) == 40 && offsetof(struct log_record, size) == 320, "xlog_rec_header");

struct xfs_log {
	const struct view *view;
	uint64_t at; /* bytes, in the view */
	uint64_t blocks;
};

/* The round in which a block was written; false: it cannot be read. */
static bool block_cycle(const struct xfs_log *log, uint64_t block, uint32_t *cycle)
{
	struct be32 words[2];

	if (!view_read(log->view, log->at + block * LOG_BLOCK, words, sizeof(words)))
		return false;
	*cycle = be32_get(words[be32_get(words[0]) == (uint32_t)LOG_MAGIC]);
	return true;
}

/* The first block that is not of the first one's round; all of one round: 0, where the next would be written. */
static bool find_head(const struct xfs_log *log, uint64_t *head)
{
	uint64_t low = 0, high = log->blocks - 1;
	uint32_t first, cycle;

	if (!block_cycle(log, 0, &first) || !block_cycle(log, high, &cycle))
		return false;
	if (cycle == first) {
		*head = 0;
		return true;
	}
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (!block_cycle(log, middle, &cycle))
			return false;
		*(cycle == first ? &low : &high) = middle;
	}
	*head = high;
	return true;
}

/* The header of the record that ends at the head. */
static bool find_last_record(const struct xfs_log *log, uint64_t head, uint64_t *block, struct log_record *record)
{
	uint64_t limit = min_u64(RECORD_BLOCKS_MAX, log->blocks);

	for (uint64_t back = 1; back <= limit; back++) {
		*block = (head + log->blocks - back) % log->blocks;
		if (!view_read(log->view, log->at + *block * LOG_BLOCK, record, sizeof(*record)))
			return false;
		if (be32_get(record->magic) == (uint32_t)LOG_MAGIC)
			return true;
	}
	return false;
}

static enum fs_state log_state(const struct xfs_log *log)
{
	struct log_record record;
	uint64_t head, block, headers;
	uint8_t op[12];

	if (!log->blocks || !find_head(log, &head) || !find_last_record(log, head, &block, &record))
		return FS_UNTOLD;
	headers = be32_get(record.version) & 2 ? max_u64(1, (be32_get(record.size) + HEADER_BYTES - 1) / HEADER_BYTES) :
						 1;
	if (!view_read(log->view, log->at + (block + headers) % log->blocks * LOG_BLOCK, op, sizeof(op)))
		return FS_UNTOLD;
	/* An operation's header: transaction, length, client, flags. */
	return be32_get(record.ops) == 1 && (op[9] & OP_UNMOUNT) ? FS_CLEAN : FS_UNCLEAN;
}

void fs_look_xfs(const struct view *view, uint64_t start, uint64_t bytes, struct fs_info *info)
{
	struct xfs_super super;
	struct xfs_log log = { .view = view };
	uint64_t block, place;
	uint32_t size;

	info->state = FS_UNTOLD;
	if (!view_read(view, start, &super, sizeof(super)))
		return;
	memcpy(info->label, super.label, sizeof(super.label));
	size = be32_get(super.block_size);
	place = be64_get(super.log_start);
	/* 0: on another device. */
	if (!place || size < 512 || size > 65536 || super.ag_log > 31 || !be32_get(super.ag_blocks))
		return;
	block = (place >> super.ag_log) * be32_get(super.ag_blocks) + (place & ((1ull << super.ag_log) - 1));
	if (block > bytes / size)
		return;
	log.at = start + block * size;
	log.blocks = (uint64_t)be32_get(super.log_blocks) * size / LOG_BLOCK;
	info->state = log_state(&log);
}
