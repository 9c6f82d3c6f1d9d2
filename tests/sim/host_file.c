// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One file of the simulated host: see host.h.
 *
 * now[] is the page cache, durable[] the medium; they differ only where the log says so. A log entry holds whole
 * sectors as they were after a change, so that each is a version that the medium may have got. Entries leave the log
 * by a sync.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "host_file.h"

struct log_entry {
	struct log_entry *next;
	uint64_t order, offset, length; /* whole sectors */
	bool punched;			/* zeroes, data not there */
	uint64_t size;			/* of the file, if this one survives: where it ended */
	unsigned char data[];
};

/* ---- the log ---- */

static void *map(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert(p != MAP_FAILED);
	return p;
}

static void log_add(struct host *host, struct host_file *f, uint64_t offset, uint64_t length, bool punched)
{
	uint64_t start = align_down(offset, SECTOR), end = align_up(offset + length, SECTOR);
	struct log_entry *e = malloc(sizeof(*e) + (punched ? 0 : end - start));

	assert(e);
	*e = (struct log_entry){ .offset = start, .length = end - start, .punched = punched };
	e->order = host->next_order++;
	e->size = punched ? 0 : offset + length;
	if (!punched)
		memcpy(e->data, f->now + start, end - start);
	*f->last = e;
	f->last = &e->next;
}

/* The medium gets the sectors of an entry that chance keeps. */
static void log_write_back(struct host *host, struct host_file *f, const struct log_entry *e, unsigned percent)
{
	for (uint64_t at = 0; at < e->length; at += SECTOR) {
		if (percent < 100 && !prng_percent(host->prng, percent))
			continue;
		if (e->punched)
			memset(f->durable + e->offset + at, 0, SECTOR);
		else
			memcpy(f->durable + e->offset + at, e->data + at, SECTOR);
		f->durable_size = max_u64(f->durable_size, min_u64(e->size, e->offset + at + SECTOR));
	}
}

void host_file_sync(struct host *host, struct host_file *f, uint64_t order, unsigned percent)
{
	struct log_entry *e;

	while ((e = f->first) && e->order < order) {
		log_write_back(host, f, e, percent);
		f->first = e->next;
		if (!f->first)
			f->last = &f->first;
		free(e);
	}
}

/* ---- changing ---- */

void host_file_set_allocated(struct host_file *f, uint64_t offset, uint64_t end, bool allocated)
{
	for (uint64_t b = offset / BLOCK; b * BLOCK < end; b++) {
		if (allocated)
			f->allocated[b / 8] |= (unsigned char)(1u << b % 8);
		else
			f->allocated[b / 8] &= (unsigned char)~(1u << b % 8);
	}
}

uint64_t host_file_allocated_bytes(const struct host_file *f)
{
	uint64_t blocks = 0;

	for (uint64_t i = 0; i < align_up(f->size, BLOCK) / BLOCK / 8 + 1; i++)
		blocks += (unsigned)__builtin_popcount(f->allocated[i]);
	return blocks * BLOCK;
}

bool host_file_is_allocated(const struct host_file *f, uint64_t offset, uint64_t length)
{
	for (uint64_t b = offset / BLOCK; b * BLOCK < offset + length; b++)
		if (!(f->allocated[b / 8] >> b % 8 & 1))
			return false;
	return true;
}

/* The first length bytes of iov, from byte `from` on, into the page cache at offset. */
void host_file_write(struct host *host, struct host_file *f, const struct file_request *req, uint64_t from,
		     uint64_t length)
{
	uint64_t at = 0;

	if (length == 0)
		return;
	for (int i = 0; i < req->iov_count && at < from + length; i++) {
		uint64_t piece = req->iov[i].iov_len;
		uint64_t start = max_u64(at, from), end = min_u64(at + piece, from + length);

		if (start < end)
			memcpy(f->now + req->offset + start, (char *)req->iov[i].iov_base + (start - at), end - start);
		at += piece;
	}
	f->size = max_u64(f->size, req->offset + from + length);
	host_file_set_allocated(f, req->offset + from, req->offset + from + length, true);
	log_add(host, f, req->offset + from, length, false);
}

void host_file_punch(struct host *host, struct host_file *f, uint64_t offset, uint64_t length)
{
	uint64_t end = min_u64(offset + length, align_up(f->size, BLOCK)), start, limit;

	if (offset >= end)
		return;
	memset(f->now + offset, 0, end - offset);
	/* Whole blocks are given back; what is left of others is written. */
	start = align_up(offset, BLOCK);
	limit = align_down(end, BLOCK);
	if (start < limit)
		host_file_set_allocated(f, start, limit, false);
	if (offset % SECTOR || end % SECTOR)
		log_add(host, f, offset, end - offset, false);
	else
		log_add(host, f, offset, end - offset, true);
}

/* ---- crashes ---- */

static bool is_zero(const unsigned char *data, size_t size)
{
	return size == 0 || (data[0] == 0 && !memcmp(data, data + 1, size - 1));
}

/* The page cache forgets an entry; blocks that were given back and hold something again are allocated after all. */
static void log_forget(struct host_file *f, const struct log_entry *e)
{
	memcpy(f->now + e->offset, f->durable + e->offset, e->length);
	for (uint64_t at = align_down(e->offset, BLOCK); e->punched && at < e->offset + e->length; at += BLOCK)
		if (!is_zero(f->now + at, BLOCK) && !host_file_is_allocated(f, at, BLOCK)) {
			host_file_set_allocated(f, at, at + BLOCK, true);
			f->came_back_bytes += BLOCK;
		}
}

void host_file_crash(struct host *host, struct host_file *f, enum host_crash kind)
{
	/* Nothing, little, half, most, or all of what was not synced; per sector or per write. */
	static const unsigned chances[] = { 0, 10, 50, 90, 100 };
	unsigned percent = chances[prng_below(host->prng, array_len(chances))];
	bool whole_writes = prng_percent(host->prng, 30);
	struct log_entry *e;

	if (kind == HOST_KILL)
		return;
	for (e = f->first; e; e = e->next) {
		if (!whole_writes)
			log_write_back(host, f, e, percent);
		else if (prng_percent(host->prng, percent))
			log_write_back(host, f, e, 100);
	}
	while ((e = f->first)) {
		log_forget(f, e);
		f->first = e->next;
		free(e);
	}
	f->last = &f->first;
	f->size = f->durable_size;
}

/* ---- the file itself ---- */

struct host_file *host_file_find(struct host *host, const char *path, bool create)
{
	struct host_file *f;

	for (f = host->files; f; f = f->next)
		if (!strcmp(f->path, path))
			return f;
	if (!create)
		return NULL;
	f = calloc(1, sizeof(*f));
	assert(f);
	f->path = strdup(path);
	assert(f->path);
	f->now = map(FILE_MAX_BYTES);
	f->durable = map(FILE_MAX_BYTES);
	f->allocated = map(FILE_MAX_BYTES / BLOCK / 8);
	f->last = &f->first;
	f->next = host->files;
	host->files = f;
	return f;
}

void host_file_remove(struct host *host, struct host_file *f)
{
	struct host_file **at = &host->files;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->removed = true;
	if (f->readers + f->writers + f->unlocked == 0)
		host_file_free(f);
}

void host_file_free(struct host_file *f)
{
	struct log_entry *next;

	for (struct log_entry *e = f->first; e; e = next) {
		next = e->next;
		free(e);
	}
	munmap(f->now, FILE_MAX_BYTES);
	munmap(f->durable, FILE_MAX_BYTES);
	munmap(f->allocated, FILE_MAX_BYTES / BLOCK / 8);
	free(f->path);
	free(f);
}

void host_file_import(struct host_file *f, int fd)
{
	struct stat st;

	assert(fstat(fd, &st) == 0 && (uint64_t)st.st_size <= FILE_MAX_BYTES);
	f->size = f->durable_size = (uint64_t)st.st_size;
	for (off_t at = 0, hole; (at = lseek(fd, at, SEEK_DATA)) >= 0; at = hole) {
		hole = lseek(fd, at, SEEK_HOLE);
		assert(pread(fd, f->now + at, (size_t)(hole - at), at) == hole - at);
		memcpy(f->durable + at, f->now + at, (size_t)(hole - at));
		host_file_set_allocated(f, (uint64_t)at, (uint64_t)hole, true);
	}
}

void host_file_export(struct host_file *f, int fd)
{
	for (uint64_t b = 0; b * BLOCK < f->size; b++) {
		uint64_t length = min_u64(BLOCK, f->size - b * BLOCK);

		if (f->allocated[b / 8] >> b % 8 & 1)
			assert(pwrite(fd, f->now + b * BLOCK, length, (off_t)(b * BLOCK)) == (ssize_t)length);
	}
	assert(ftruncate(fd, (off_t)f->size) == 0);
}
