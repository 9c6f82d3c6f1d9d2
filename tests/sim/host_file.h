/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One file of the simulated host, its page cache and its medium. Between host.c, host_file.c and host_ops.c. */
#ifndef SIM_HOST_FILE_H
#define SIM_HOST_FILE_H

#include "host.h"

enum { SECTOR = 512, BLOCK = 4096 };

#define FILE_MAX_BYTES (UINT64_C(1) << 34) /* as address space; little of it is touched */

struct log_entry;

struct host_file {
	struct host_file *next;
	char *path;
	unsigned char *now, *durable; /* FILE_MAX_BYTES each, of which little is touched */
	unsigned char *allocated;     /* a bit for each block */
	uint64_t size, durable_size;
	uint64_t came_back_bytes; /* given back, but a power cut came before that was durable */
	struct log_entry *first, **last;
	unsigned readers, writers, unlocked; /* handles */
	bool removed;
};

/* Finds, makes, removes (once it is closed) a file. */
struct host_file *host_file_find(struct host *host, const char *path, bool create);
void host_file_remove(struct host *host, struct host_file *file);
void host_file_free(struct host_file *file);

/* The bytes from to from + length of a FILE_WRITE reach the page cache. */
void host_file_write(struct host *host, struct host_file *file, const struct file_request *req, uint64_t from,
		     uint64_t length);
void host_file_punch(struct host *host, struct host_file *file, uint64_t offset, uint64_t length);
uint64_t host_file_allocated_bytes(const struct host_file *file);
void host_file_set_allocated(struct host_file *file, uint64_t offset, uint64_t end, bool allocated);
bool host_file_is_allocated(const struct host_file *file, uint64_t offset, uint64_t length);
/*
 * What is older than order reaches the medium, and leaves the log. percent < 100: only some of it, and the rest never
 * will: a sync that failed.
 */
void host_file_sync(struct host *host, struct host_file *file, uint64_t order, unsigned percent);
/* What survives of it. */
void host_file_crash(struct host *host, struct host_file *file, enum host_crash kind);

/* From and to a real file. */
void host_file_import(struct host_file *file, int fd);
void host_file_export(struct host_file *file, int fd);

/* ---- host_ops.c ---- */

int host_file_open(struct host *host, struct host_file *inode, struct loop *loop, unsigned flags, struct file **file);
/* Does what is left to do of a request, now. */
void host_file_finish(struct host *host, struct host_op *op);
/* A part of a write in flight reaches the page cache before it is done. */
void host_file_begin(struct host *host, struct host_op *op);

#endif
