/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes of 4 KiB of an open disk, waited for with a semaphore; from any thread but the disk's loop. */
#ifndef UNIT_DISK_BLOCK_H
#define UNIT_DISK_BLOCK_H

#include "cmocka_all.h"

#include "base/loop.h"
#include "base/util.h"
#include "disk/disk.h"

#include <semaphore.h>
#include <string.h>

struct disk_block {
	struct loop_msg msg;
	struct disk *disk;
	struct disk_request request;
	struct iovec iov;
	unsigned char bytes[4096];
	sem_t done;
};

static inline void disk_block_done(struct disk_request *request)
{
	struct disk_block *block = request->user;
	size_t at = 0;

	for (int i = 0; request->op == DISK_READ && !request->result && i < request->iov_count; i++) {
		memcpy(block->bytes + at, request->iov[i].iov_base, request->iov[i].iov_len);
		at += request->iov[i].iov_len;
	}
	if (request->op == DISK_READ && !request->result)
		disk_release(block->disk, request);
	sem_post(&block->done);
}

static inline void disk_block_run(struct loop_msg *msg)
{
	struct disk_block *block = container_of(msg, struct disk_block, msg);

	disk_submit(block->disk, &block->request);
}

static inline int disk_block_transfer(struct disk_block *block, struct disk *disk, enum disk_op op, uint64_t offset,
				      bool fua)
{
	block->msg.run = disk_block_run;
	block->disk = disk;
	block->iov = (struct iovec){ block->bytes, sizeof(block->bytes) };
	block->request = (struct disk_request){ .op = op,
						.fua = fua,
						.offset = offset,
						.length = sizeof(block->bytes),
						.iov = op == DISK_WRITE ? &block->iov : NULL,
						.iov_count = op == DISK_WRITE,
						.done = disk_block_done,
						.user = block };
	sem_init(&block->done, 0, 0);
	loop_post(disk->loop, &block->msg);
	sem_wait(&block->done);
	sem_destroy(&block->done);
	return block->request.result;
}

/* 0 or -errno. */
static inline int disk_block_write(struct disk *disk, uint64_t offset, unsigned char byte, bool fua)
{
	struct disk_block block;

	memset(block.bytes, byte, sizeof(block.bytes));
	return disk_block_transfer(&block, disk, DISK_WRITE, offset, fua);
}

/* The first byte, once all are the same; -errno. */
static inline int disk_block_read(struct disk *disk, uint64_t offset)
{
	struct disk_block block;
	int err = disk_block_transfer(&block, disk, DISK_READ, offset, false);

	for (size_t i = 1; i < sizeof(block.bytes) && !err; i++)
		assert_int_equal(block.bytes[i], block.bytes[0]);
	return err ? err : block.bytes[0];
}

#endif
