// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory for Data-Out: see chunks.h. */
#include "iscsi/link/chunks.h"

#include "base/util.h"
#include "iscsi/link/rx_pool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_SMALL = 256, KEEP_LARGE = 64 };

static void *chunk_get(struct chunk_pool *pool, bool large)
{
	return large ? free_list_get(&pool->large, CHUNK_LARGE) : free_list_get(&pool->small, CHUNK_SMALL);
}

static void chunk_put(struct chunk_pool *pool, void *chunk, bool large)
{
	if (large)
		free_list_put(&pool->large, chunk, KEEP_LARGE);
	else
		free_list_put(&pool->small, chunk, KEEP_SMALL);
}

void chunk_pool_fini(struct chunk_pool *pool)
{
	free_list_fini(&pool->small);
	free_list_fini(&pool->large);
}

int data_out_init(struct data_out *data, size_t size_bytes)
{
	data->size_bytes = size_bytes;
	data->allocated = 0;
	data->lent = NULL;
	data->count = (unsigned)((size_bytes + CHUNK_LARGE - 1) / CHUNK_LARGE);
	data->pieces = data->inline_pieces;
	if (data->count > CHUNKS_INLINE) {
		data->pieces = malloc(data->count * sizeof(*data->pieces));
		if (!data->pieces) {
			data->count = 0;
			return -ENOMEM;
		}
	}
	for (unsigned i = 0; i < data->count; i++)
		data->pieces[i].iov_len = min_u64(CHUNK_LARGE, size_bytes - (size_t)i * CHUNK_LARGE);
	return 0;
}

static bool is_large(const struct data_out *data, unsigned i)
{
	return data->pieces[i].iov_len > CHUNK_SMALL;
}

void data_out_fini(struct data_out *data, struct chunk_pool *pool)
{
	for (unsigned i = 0; i < data->allocated; i++)
		chunk_put(pool, data->pieces[i].iov_base, is_large(data, i));
	if (data->lent)
		rx_block_return(data->lent);
	data->lent = NULL;
	if (data->pieces != data->inline_pieces)
		free(data->pieces);
	data->pieces = data->inline_pieces;
	data->count = data->allocated = 0;
}

int data_out_reserve(struct data_out *data, struct chunk_pool *pool, size_t upto_bytes)
{
	while (data->allocated < data->count && (size_t)data->allocated * CHUNK_LARGE < upto_bytes) {
		void *chunk = chunk_get(pool, is_large(data, data->allocated));

		if (!chunk)
			return -ENOMEM;
		data->pieces[data->allocated++].iov_base = chunk;
	}
	return 0;
}

void data_out_lend(struct data_out *data, struct rx_block *block, const uint8_t *bytes)
{
	if (data->pieces != data->inline_pieces)
		free(data->pieces);
	data->pieces = data->inline_pieces;
	data->pieces[0] = (struct iovec){ (void *)(uintptr_t)bytes, data->size_bytes };
	data->count = 1;
	data->lent = block;
}

int data_out_slice(const struct data_out *data, size_t offset, size_t len, struct iovec *iov, int max)
{
	int used = 0;

	while (len > 0 && used < max) {
		const struct iovec *piece = &data->pieces[offset / CHUNK_LARGE];
		size_t skip = offset % CHUNK_LARGE, n = min_u64(piece->iov_len - skip, len);

		iov[used++] = (struct iovec){ (uint8_t *)piece->iov_base + skip, n };
		offset += n;
		len -= n;
	}
	return used;
}

void data_out_copy(struct data_out *data, size_t offset, const void *from, size_t len)
{
	while (len > 0) {
		const struct iovec *piece = &data->pieces[offset / CHUNK_LARGE];
		size_t skip = offset % CHUNK_LARGE, n = min_u64(piece->iov_len - skip, len);

		memcpy((uint8_t *)piece->iov_base + skip, from, n);
		from = (const uint8_t *)from + n;
		offset += n;
		len -= n;
	}
}
