// SPDX-License-Identifier: GPL-2.0-or-later
/* Blocking reads, writes and the rest of a request, on a descriptor: see file_io.h. Workers; no state. */
#include "disk/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/disk.h"
#include "disk/file.h"

enum {
	IO_PIECES = 64,		  /* pieces of memory per system call */
	IO_ZERO_BYTES = 64 << 10, /* zeroes per pwrite where a file system cannot punch */
	/*
	 * Per pwrite of what is new. The page cache holds what one of them wrote in one folio, and ext4 goes through all
	 * blocks of a folio for each page that is written there later, and again to write it back. Machines write large
	 * once and small for ever after. What overwrites finds its folios there.
	 */
	IO_WRITE_BYTES = 16 << 10,
};

/* Where a transfer stands in the caller's iovec, which is not ours to change. */
struct cursor {
	const struct iovec *iov;
	int left;    /* pieces, with the present one */
	size_t into; /* bytes of the present one that are done */
};

/* The next pieces, of `most` bytes together at most. */
static int cursor_fill(const struct cursor *cursor, uint64_t most, struct iovec pieces[IO_PIECES])
{
	size_t into = cursor->into;
	int count = 0;

	while (count < cursor->left && count < IO_PIECES && most > 0) {
		const struct iovec *from = &cursor->iov[count];
		size_t length = min_u64(from->iov_len - into, most);

		pieces[count++] = (struct iovec){ (char *)from->iov_base + into, length };
		most -= length;
		into = 0;
	}
	return count;
}

static void cursor_advance(struct cursor *cursor, uint64_t bytes)
{
	while (cursor->left > 0 && bytes >= cursor->iov->iov_len - cursor->into) {
		bytes -= cursor->iov->iov_len - cursor->into;
		cursor->into = 0;
		cursor->iov++;
		cursor->left--;
	}
	cursor->into += bytes;
}

int file_io_move(int fd, enum file_io_kind kind, uint64_t offset, const struct iovec *iov, int iov_count,
		 uint64_t length, int flags, uint64_t *moved)
{
	struct cursor cursor = { iov, iov_count, 0 };
	struct iovec pieces[IO_PIECES];
	bool write = kind != FILE_IO_READ;

	*moved = 0;
	while (*moved < length) {
		off_t at = (off_t)(offset + *moved);
		uint64_t most = kind == FILE_IO_WRITE ? IO_WRITE_BYTES - (uint64_t)at % IO_WRITE_BYTES : UINT64_MAX;
		int count = cursor_fill(&cursor, most, pieces);
		ssize_t n = write ? pwritev2(fd, pieces, count, at, flags) : preadv2(fd, pieces, count, at, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return write ? -EIO : 0;
		*moved += (uint64_t)n;
		cursor_advance(&cursor, (uint64_t)n);
	}
	return 0;
}

void file_io_zero_rest(const struct iovec *iov, int iov_count, uint64_t from)
{
	for (int i = 0; i < iov_count; i++) {
		if (from < iov[i].iov_len) {
			memset((char *)iov[i].iov_base + from, 0, iov[i].iov_len - from);
			from = 0;
		} else {
			from -= iov[i].iov_len;
		}
	}
}

/*
 * The page cache fails a whole folio, a medium fails a block: past the cache, one block at a time, finds which. Where
 * that cannot be done, or the fault has gone, it is where the read stopped.
 */
static uint64_t find_bad_block(int fd, uint64_t from, uint64_t end)
{
	char block[DISK_BLOCK_BYTES] __attribute__((aligned(DISK_PHYSICAL_BYTES)));
	char path[32];
	uint64_t bad = from;
	int direct;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	direct = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	for (uint64_t at = align_down(from, sizeof(block)); at < end; at += sizeof(block)) {
		ssize_t n = pread(direct < 0 ? fd : direct, block, sizeof(block), (off_t)at);

		if (n < 0 && errno == EIO)
			bad = max_u64(at, from);
		if (n < 0)
			break;
	}
	if (direct >= 0)
		close(direct);
	return bad;
}

void file_io_read(int fd, struct file_request *req, uint64_t size_bytes)
{
	uint64_t moved = 0;

	req->result = file_io_move(fd, FILE_IO_READ, req->offset, req->iov, req->iov_count, req->length, 0, &moved);
	if (req->result == -EIO) {
		req->error_offset = find_bad_block(fd, req->offset + moved, req->offset + req->length);
	} else if (!req->result && moved < req->length && req->offset + moved < size_bytes) {
		req->result = -EIO;
		req->error_offset = req->offset + moved;
	} else if (!req->result) {
		file_io_zero_rest(req->iov, req->iov_count, moved);
	}
}

void file_io_write(int fd, struct file_request *req)
{
	uint64_t moved;

	req->result = file_io_move(fd, req->overwrites ? FILE_IO_OVERWRITE : FILE_IO_WRITE, req->offset, req->iov,
				   req->iov_count, req->length, 0, &moved);
}

static int io_fallocate(int fd, int mode, uint64_t offset, uint64_t length)
{
	int err;

	if (length == 0)
		return 0;
	do
		err = fallocate(fd, mode, (off_t)offset, (off_t)length) ? -errno : 0;
	while (err == -EINTR);
	return err;
}

/* On a file system that cannot punch: reads the same as a hole. */
static int write_zeroes(int fd, uint64_t offset, uint64_t length)
{
	static const char zeroes[IO_ZERO_BYTES];
	off_t size = lseek(fd, 0, SEEK_END);
	uint64_t end;

	if (size < 0)
		return -errno;
	end = min_u64(offset + length, (uint64_t)size);
	while (offset < end) {
		struct iovec piece = { (void *)zeroes, min_u64(sizeof(zeroes), end - offset) };
		uint64_t moved;
		int err = file_io_move(fd, FILE_IO_WRITE, offset, &piece, 1, piece.iov_len, 0, &moved);

		if (err)
			return err;
		offset += moved;
	}
	return 0;
}

void file_io_punch(int fd, struct file_request *req)
{
	req->result = io_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, req->offset, req->length);
	if (req->result == -EOPNOTSUPP)
		req->result = write_zeroes(fd, req->offset, req->length);
}

void file_io_allocate(int fd, struct file_request *req)
{
	req->result = io_fallocate(fd, FALLOC_FL_KEEP_SIZE, req->offset, req->length);
}

static void add_extent(struct file_request *req, uint64_t offset, uint64_t end, bool mapped)
{
	if (end > offset)
		req->extents[req->extent_count++] =
			(struct disk_extent){ .offset = offset, .length = end - offset, .mapped = mapped };
}

void file_io_status(int fd, struct file_request *req)
{
	uint64_t at = req->offset, end = req->offset + req->length;

	req->result = 0;
	req->extent_count = 0;
	while (at < end && req->extent_count < req->extent_max) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		uint64_t data_at = data >= 0 ? (uint64_t)data : end; /* ENXIO: no more data */
		off_t hole;

		if (data < 0 && errno != ENXIO) {
			req->result = -errno;
			return;
		}
		data_at = min_u64(data_at, end);
		add_extent(req, at, data_at, false);
		at = data_at;
		if (at >= end || req->extent_count >= req->extent_max)
			return;
		hole = lseek(fd, (off_t)at, SEEK_HOLE);
		if (hole < 0) {
			req->result = -errno;
			return;
		}
		add_extent(req, at, min_u64((uint64_t)hole, end), true);
		at = min_u64((uint64_t)hole, end);
	}
}

int file_io_sync(int fd)
{
	int err;

	do
		err = fdatasync(fd) ? -errno : 0;
	while (err == -EINTR);
	return err;
}
