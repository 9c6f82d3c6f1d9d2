/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a worker does with a descriptor: all of it blocks, none of it is short, EINTR is handled. Private to file.c.
 */
#ifndef DISK_FILE_IO_H
#define DISK_FILE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct file_request;

enum file_io_kind {
	FILE_IO_READ,
	FILE_IO_WRITE,
	FILE_IO_OVERWRITE, /* all of the range has been written before; if that is wrong, later small writes cost more */
};

/*
 * Moves length bytes (the sum of iov) between fd and memory. 0 or -errno; *moved says how far it came. A read also
 * ends, with 0, at the end of the file. flags: RWF_NOWAIT or 0; with it a read ends, with 0, where it would have to
 * wait.
 */
int file_io_move(int fd, enum file_io_kind kind, uint64_t offset, const struct iovec *iov, int iov_count,
		 uint64_t length, int flags, uint64_t *moved);
/* Zeroes the memory of iov from byte `from` on. */
void file_io_zero_rest(const struct iovec *iov, int iov_count, uint64_t from);

/*
 * FILE_READ. size_bytes: what the file had when it was opened; an earlier end is an error (somebody truncated it).
 */
void file_io_read(int fd, struct file_request *req, uint64_t size_bytes);
void file_io_write(int fd, struct file_request *req);
void file_io_punch(int fd, struct file_request *req);
void file_io_allocate(int fd, struct file_request *req);
void file_io_status(int fd, struct file_request *req);
int file_io_sync(int fd);

#endif
