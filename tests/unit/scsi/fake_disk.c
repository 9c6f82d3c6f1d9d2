// SPDX-License-Identifier: GPL-2.0-or-later
/* A disk in memory: see fake_disk.h. What a read lends is allocated for it, so that a late use shows under ASan. */
#include "fake_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fake_disk *fake_disk_new(uint64_t size_bytes)
{
	struct fake_disk *fake = calloc(1, sizeof(*fake));

	assert(fake);
	fake->disk.size_bytes = size_bytes;
	fake->bytes = calloc(1, size_bytes);
	fake->mapped = calloc(size_bytes / DISK_PHYSICAL_BYTES + 1, sizeof(bool));
	assert(fake->bytes && fake->mapped);
	return fake;
}

void fake_disk_free(struct fake_disk *fake)
{
	assert(!fake->pending && !fake->lent);
	free(fake->bytes);
	free(fake->mapped);
	free(fake);
}

void disk_submit(struct disk *disk, struct disk_request *req)
{
	struct fake_disk *fake = (struct fake_disk *)disk;

	req->disk = disk;
	req->next = NULL;
	if (fake->last)
		fake->last->next = req;
	else
		fake->first = req;
	fake->last = req;
	fake->pending++;
	disk->in_flight++;
}

void disk_get_info(const struct disk *disk, struct disk_info *info)
{
	const struct fake_disk *fake = (const struct fake_disk *)disk;

	*info = (struct disk_info){ .size_bytes = disk->size_bytes, .read_only = disk->read_only };
	info->allocated_bytes = fake->allocated_bytes;
	for (uint64_t i = 0; !fake->allocated_bytes && i < disk->size_bytes / DISK_PHYSICAL_BYTES; i++)
		info->allocated_bytes += fake->mapped[i] ? DISK_PHYSICAL_BYTES : 0;
}

void disk_release(struct disk *disk, struct disk_request *req)
{
	struct fake_disk *fake = (struct fake_disk *)disk;

	assert(fake->lent);
	fake->lent--;
	disk->in_flight--;
	for (int i = 0; i < req->iov_count; i++)
		free(req->iov[i].iov_base);
	free(req->iov);
	req->iov = NULL;
}

static void fake_read(struct fake_disk *fake, struct disk_request *req)
{
	size_t piece = fake->piece_bytes ? fake->piece_bytes : req->length;

	req->iov = calloc(req->length / piece + 1, sizeof(*req->iov));
	assert(req->iov);
	req->iov_count = 0;
	for (uint64_t at = 0; at < req->length; at += req->iov[req->iov_count++].iov_len) {
		struct iovec *v = &req->iov[req->iov_count];

		v->iov_len = req->length - at < piece ? req->length - at : piece;
		v->iov_base = malloc(v->iov_len);
		assert(v->iov_base);
		memcpy(v->iov_base, fake->bytes + req->offset + at, v->iov_len);
	}
	fake->lent++;
	fake->reads++;
}

static void fake_map(struct fake_disk *fake, const struct disk_request *req, bool mapped)
{
	uint64_t first = req->offset / DISK_PHYSICAL_BYTES,
		 end = (req->offset + req->length + DISK_PHYSICAL_BYTES - 1) / DISK_PHYSICAL_BYTES;

	if (!mapped) { /* only whole ones go */
		first = (req->offset + DISK_PHYSICAL_BYTES - 1) / DISK_PHYSICAL_BYTES;
		end = (req->offset + req->length) / DISK_PHYSICAL_BYTES;
	}
	for (uint64_t i = first; i < end; i++)
		fake->mapped[i] = mapped;
}

static void fake_write(struct fake_disk *fake, const struct disk_request *req)
{
	uint64_t at = req->offset, sum = 0;

	for (int i = 0; i < req->iov_count; i++) {
		assert(req->iov[i].iov_len <= req->length - sum);
		if (req->iov[i].iov_len)
			memcpy(fake->bytes + at, req->iov[i].iov_base, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
		sum += req->iov[i].iov_len;
	}
	assert(sum == req->length);
	fake_map(fake, req, true);
	fake->writes++;
	fake->fua_writes += req->fua;
}

static void fake_zero(struct fake_disk *fake, const struct disk_request *req, bool unmap)
{
	memset(fake->bytes + req->offset, 0, req->length);
	fake_map(fake, req, !unmap);
}

static void fake_status(struct fake_disk *fake, struct disk_request *req)
{
	uint64_t at = req->offset, end = req->offset + req->length;

	assert(req->extent_max);
	fake->statuses++;
	req->extent_count = 0;
	while (at < end) {
		bool mapped = fake->mapped[at / DISK_PHYSICAL_BYTES];
		uint64_t next = (at / DISK_PHYSICAL_BYTES + 1) * DISK_PHYSICAL_BYTES;
		struct disk_extent *e = req->extent_count ? &req->extents[req->extent_count - 1] : NULL;

		if (next > end)
			next = end;
		if (e && e->mapped == mapped)
			e->length += next - at;
		else if (req->extent_count == req->extent_max)
			return;
		else
			req->extents[req->extent_count++] = (struct disk_extent){ at, next - at, mapped };
		at = next;
	}
}

static int fake_do(struct fake_disk *fake, struct disk_request *req)
{
	assert(req->offset % DISK_BLOCK_BYTES == 0 && req->length % DISK_BLOCK_BYTES == 0);
	assert(req->length <= fake->disk.size_bytes && req->offset <= fake->disk.size_bytes - req->length);
	assert(req->length || req->op == DISK_FLUSH);
	if (req->op == DISK_READ || req->op == DISK_WRITE)
		assert(req->length <= DISK_REQUEST_MAX);
	if (req->length > fake->longest)
		fake->longest = req->length;
	if (fake->fail_result && req->op == fake->fail_op) {
		int result = fake->fail_result;

		if (!fake->fail_after || !fake->fail_after--) {
			if (!fake->fail_always)
				fake->fail_result = 0;
			req->error_offset = fake->fail_offset;
			return result;
		}
	}
	switch (req->op) {
	case DISK_READ:
		fake_read(fake, req);
		break;
	case DISK_WRITE:
		fake->allocates += req->allocate;
		fake_write(fake, req);
		break;
	case DISK_WRITE_ZEROES:
		fake_zero(fake, req, req->unmap);
		fake->zeroes++;
		fake->unmaps += req->unmap;
		break;
	case DISK_DISCARD:
		fake_zero(fake, req, true);
		fake->discards++;
		break;
	case DISK_FLUSH:
		fake->flushes++;
		break;
	case DISK_STATUS:
		fake_status(fake, req);
		break;
	}
	return 0;
}

bool fake_disk_step(struct fake_disk *fake)
{
	struct disk_request *req = fake->first;

	if (!req)
		return false;
	fake->first = req->next;
	if (!fake->first)
		fake->last = NULL;
	fake->pending--;
	req->result = fake_do(fake, req);
	/* A read is in flight until it is given back. */
	if (req->op != DISK_READ || req->result)
		fake->disk.in_flight--;
	req->done(req);
	return true;
}

void fake_disk_run(struct fake_disk *fake)
{
	while (fake_disk_step(fake))
		;
}
