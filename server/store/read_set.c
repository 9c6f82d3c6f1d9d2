// SPDX-License-Identifier: GPL-2.0-or-later
/* What boots need of an image: see read_set.h. Merging two sorted lists of runs, and the bytes of the file. */
#include "store/read_set.h"

#include "base/be.h"
#include "base/crc32c.h"
#include "base/util.h"
#include "disk/read_trace.h"
#include "inventory/inventory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SCORE_MAX = 255, SET_VERSION = 1, RUNS_FIRST = 256 };

void read_set_fini(struct read_set *set)
{
	free(set->runs);
	*set = (struct read_set){ 0 };
}

/* ---- merging ---- */

struct merge {
	struct boot_run *runs;
	uint32_t count, room;
	unsigned floor; /* lower scores are forgotten */
	uint32_t boots; /* with this one */
};

/* Rounded away from where it was: a block that nobody reads any more gets to 0. */
static unsigned new_score(unsigned score, bool read, uint32_t boots)
{
	unsigned weight = boots < READ_SET_BOOTS ? boots : READ_SET_BOOTS;

	return read ? score + (SCORE_MAX - score + weight - 1) / weight : score - (score + weight - 1) / weight;
}

static int add_run(struct merge *m, uint32_t first, uint32_t end, unsigned score, bool read)
{
	struct boot_run *last = m->count ? &m->runs[m->count - 1] : NULL;

	score = new_score(score, read, m->boots);
	if (score == 0 || score < m->floor)
		return 0;
	if (last && last->score == score && last->first + last->count == first) {
		last->count += end - first;
		return 0;
	}
	if (m->count == READ_SET_RUNS_MAX)
		return -E2BIG;
	if (m->count == m->room) {
		uint32_t room = m->room ? 2 * m->room : RUNS_FIRST;
		struct boot_run *runs = reallocarray(m->runs, room, sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		m->runs = runs;
		m->room = room;
	}
	m->runs[m->count++] = (struct boot_run){ .first = first, .count = end - first, .score = (uint8_t)score };
	return 0;
}

/* A run of one of the lists, what is left of it; nothing left: first is NONE. */
struct cursor {
	uint32_t first, end;
};
#define NONE UINT32_MAX

static void next_old(const struct read_set *set, uint32_t *index, struct cursor *old)
{
	bool more = *index < set->run_count;
	const struct boot_run *run = more ? &set->runs[*index] : NULL;

	*old = more ? (struct cursor){ run->first, run->first + run->count } : (struct cursor){ NONE, NONE };
}

static void next_read(const struct read_trace *trace, struct cursor *read)
{
	uint32_t first, count;

	if (read_trace_next(trace, read->end, &first, &count))
		*read = (struct cursor){ first, first + count };
	else
		*read = (struct cursor){ NONE, NONE };
}

/* Up to where both lists say the same from `at` on. */
static uint32_t until(const struct cursor *c, uint32_t at)
{
	return c->first <= at ? c->end : c->first;
}

static int merge_runs(struct merge *m, const struct read_set *set, const struct read_trace *trace)
{
	struct cursor old, read = { 0, 0 };
	uint32_t index = 0;

	next_old(set, &index, &old);
	next_read(trace, &read);
	while (old.first != NONE || read.first != NONE) {
		uint32_t at = old.first < read.first ? old.first : read.first;
		uint32_t end = until(&old, at) < until(&read, at) ? until(&old, at) : until(&read, at);
		bool was = old.first == at, is = read.first == at;
		int err = add_run(m, at, end, was ? set->runs[index].score : 0, is);

		if (err)
			return err;
		if (was)
			old.first = end;
		if (is)
			read.first = end;
		if (was && old.first == old.end) {
			index++;
			next_old(set, &index, &old);
		}
		if (is && read.first == read.end)
			next_read(trace, &read);
	}
	return 0;
}

int read_set_merge(struct read_set *set, const struct read_trace *trace)
{
	static const unsigned floors[] = { 1, READ_SET_NEEDED / 2, READ_SET_NEEDED, SCORE_MAX / 2, SCORE_MAX };
	uint64_t blocks = read_trace_count(trace);
	struct merge m = { .boots = set->boots < UINT32_MAX ? set->boots + 1 : set->boots };
	int err = -E2BIG;

	if (blocks == 0)
		return -ENODATA;
	if (blocks > READ_SET_BLOCKS_MAX)
		return -E2BIG;
	for (size_t i = 0; err == -E2BIG && i < array_len(floors); i++) {
		m.count = 0;
		m.floor = floors[i];
		err = merge_runs(&m, set, trace);
	}
	if (err) {
		free(m.runs);
		return err;
	}
	free(set->runs);
	*set = (struct read_set){ .boots = m.boots, .run_count = m.count, .runs = m.runs };
	return 0;
}

/* ---- looking ---- */

bool read_set_next(const struct read_set *set, uint32_t *next, uint32_t *first, uint32_t *count)
{
	uint32_t i = *next;
	const struct boot_run *runs = set->runs;

	while (i < set->run_count && runs[i].score < READ_SET_NEEDED)
		i++;
	*next = i;
	if (i == set->run_count)
		return false;
	*first = runs[i].first;
	*count = 0;
	for (; i < set->run_count && runs[i].score >= READ_SET_NEEDED && runs[i].first == *first + *count; i++)
		*count += runs[i].count;
	*next = i;
	return true;
}

uint64_t read_set_needed_bytes(const struct read_set *set)
{
	uint32_t next = 0, first, count;
	uint64_t blocks = 0;

	while (read_set_next(set, &next, &first, &count))
		blocks += count;
	return blocks * BOOT_BLOCK_BYTES;
}

/* ---- the file ---- */

static const char magic[8] = "sbtdBOOT";

struct file_header {
	char magic[8];
	struct be32 version, block_bytes;
	struct be64 size_bytes; /* of the image */
	char sha256[64];
	struct be32 boots, run_count;
};

struct file_run {
	struct be32 first, count;
	uint8_t score;
};

struct file_end {
	struct be32 crc32c; /* of all before */
};

static size_t file_size(uint32_t run_count)
{
	return sizeof(struct file_header) + (size_t)run_count * sizeof(struct file_run) + sizeof(struct file_end);
}

size_t read_set_size_max(void)
{
	return file_size(READ_SET_RUNS_MAX);
}

int read_set_encode(const struct read_set *set, const struct image_version *version, uint8_t **data, size_t *size)
{
	size_t body = file_size(set->run_count) - sizeof(struct file_end);
	uint8_t *bytes = calloc(1, file_size(set->run_count));
	struct file_header *header = (void *)bytes;
	struct file_run *runs;
	struct file_end *end;

	if (!bytes)
		return -ENOMEM;
	runs = (void *)(bytes + sizeof(*header));
	end = (void *)(bytes + body);
	memcpy(header->magic, magic, sizeof(magic));
	header->version = be32_put(SET_VERSION);
	header->block_bytes = be32_put(BOOT_BLOCK_BYTES);
	header->size_bytes = be64_put(version->size_bytes);
	memcpy(header->sha256, version->sha256, sizeof(header->sha256));
	header->boots = be32_put(set->boots);
	header->run_count = be32_put(set->run_count);
	for (uint32_t i = 0; i < set->run_count; i++)
		runs[i] = (struct file_run){ be32_put(set->runs[i].first), be32_put(set->runs[i].count),
					     set->runs[i].score };
	end->crc32c = be32_put(crc32c(0, bytes, body));
	*data = bytes;
	*size = body + sizeof(*end);
	return 0;
}

/* Length before structure, structure before meaning. What is wrong, or NULL. */
static const char *check_header(const struct file_header *header, const uint8_t *data, size_t size)
{
	const struct file_end *end;
	uint32_t run_count;

	if (size < file_size(0))
		return "it is too short";
	if (memcmp(header->magic, magic, sizeof(magic)) || be32_get(header->version) != SET_VERSION ||
	    be32_get(header->block_bytes) != BOOT_BLOCK_BYTES)
		return "it is of another kind";
	run_count = be32_get(header->run_count);
	if (run_count > READ_SET_RUNS_MAX || size != file_size(run_count))
		return "its length is not what it says";
	end = (const void *)(data + size - sizeof(*end));
	if (be32_get(end->crc32c) != crc32c(0, data, size - sizeof(*end)))
		return "its checksum is wrong";
	return NULL;
}

static bool read_runs(struct boot_run *runs, const struct file_run *from, uint32_t count, uint64_t blocks)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct boot_run run = { be32_get(from[i].first), be32_get(from[i].count), from[i].score };

		if (!run.count || !run.score || run.first < end || (uint64_t)run.first + run.count > blocks)
			return false;
		end = (uint64_t)run.first + run.count;
		runs[i] = run;
	}
	return true;
}

int read_set_decode(struct read_set *set, const struct image_version *version, const uint8_t *data, size_t size,
		    const char **wrong)
{
	const struct file_header *header = (const void *)data;
	uint64_t blocks = version->size_bytes / BOOT_BLOCK_BYTES + (version->size_bytes % BOOT_BLOCK_BYTES != 0);
	struct boot_run *runs;
	uint32_t run_count;

	*wrong = check_header(header, data, size);
	if (*wrong)
		return -EUCLEAN;
	if (be64_get(header->size_bytes) != version->size_bytes ||
	    memcmp(header->sha256, version->sha256, sizeof(header->sha256))) {
		*wrong = "it is of another image";
		return -ESTALE;
	}
	run_count = be32_get(header->run_count);
	runs = calloc(run_count ? run_count : 1, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	if (!read_runs(runs, (const void *)(data + sizeof(*header)), run_count, blocks)) {
		*wrong = "its blocks are not in order";
		free(runs);
		return -EUCLEAN;
	}
	*set = (struct read_set){ .boots = be32_get(header->boots), .run_count = run_count, .runs = runs };
	return 0;
}
