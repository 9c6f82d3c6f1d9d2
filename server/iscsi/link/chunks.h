/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for Data-Out: chunks of 4 and of 64 KiB, a few of them kept for the next command. Which kind a chunk is its
 * user knows: struct data_out. One loop.
 */
#ifndef ISCSI_CHUNKS_H
#define ISCSI_CHUNKS_H

#include "base/free_list.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct rx_block;

enum { CHUNK_SMALL = 4096, CHUNK_LARGE = 65536, CHUNKS_INLINE = 4 };

struct chunk_pool {
	struct free_list small, large;
};

void chunk_pool_fini(struct chunk_pool *pool);

/*
 * The bytes of one command on their way in: all chunks but the last are large; allocated only as far as data came.
 * Piece i covers the bytes from i * CHUNK_LARGE on. Or one piece for all of them, where they lay when they came.
 */
struct data_out {
	struct iovec *pieces; /* inline_pieces, or malloc'ed */
	unsigned count;	      /* pieces for size_bytes */
	unsigned allocated;   /* of them with memory */
	size_t size_bytes;
	struct rx_block *lent; /* has the bytes; NULL: chunks have */
	struct iovec inline_pieces[CHUNKS_INLINE];
};

/* 0 or -ENOMEM. */
int data_out_init(struct data_out *data, size_t size_bytes);
void data_out_fini(struct data_out *data, struct chunk_pool *pool);
/* Memory for the first upto bytes. 0 or -ENOMEM. */
int data_out_reserve(struct data_out *data, struct chunk_pool *pool, size_t upto_bytes);
/* All its bytes are these, in a block that is lent to it: instead of data_out_reserve and data_out_copy. */
void data_out_lend(struct data_out *data, struct rx_block *block, const uint8_t *bytes);
/* The memory of [offset, offset + len), which is reserved, as at most max pieces; returns their number. */
int data_out_slice(const struct data_out *data, size_t offset, size_t len, struct iovec *iov, int max);
void data_out_copy(struct data_out *data, size_t offset, const void *from, size_t len);

#endif
