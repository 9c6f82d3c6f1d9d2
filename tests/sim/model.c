// SPDX-License-Identifier: GPL-2.0-or-later
/* See model.h. */
#include "model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum { SECTOR = 512, WORDS = SECTOR / 8, ZERO = 0, GOLDEN = 1, FIRST_WRITE = 2, GARBAGE = UINT32_MAX };

enum { PENDING_KILL = 1, PENDING_CUT = 2 };

struct model_version {
	uint32_t content; /* ZERO, GOLDEN, or the number of a write */
	uint32_t write;	  /* whose version it is: they are in the order of submission */
};

struct sector {
	struct model_version *versions;
	uint16_t count, capacity;
	uint8_t pending; /* crashes since it was last read */
	bool listed;	 /* in model->several */
};

struct write {
	uint64_t offset, length;
	uint64_t ended; /* time; 0: in flight */
	bool ok;
	enum model_kind kind;
};

struct model {
	uint64_t size_bytes, golden_bytes, time;
	struct sector *sectors;
	struct write *writes;
	uint32_t write_count, write_capacity;
	uint64_t *several; /* sectors with more than one version, perhaps */
	uint64_t several_count;
};

/* ---- content ---- */

static uint64_t word_of(uint32_t content, uint64_t sector, unsigned i)
{
	uint64_t z = ((uint64_t)content << 32 | (uint32_t)sector) + i * 0x9e3779b97f4a7c15u;

	if (i == 0)
		return z;
	z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9u;
	return z ^ z >> 32;
}

static void fill(uint32_t content, uint64_t sector, unsigned char data[SECTOR])
{
	uint64_t words[WORDS];

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = content == ZERO ? 0 : word_of(content, sector, i);
	memcpy(data, words, SECTOR);
}

static uint32_t content_of(const unsigned char data[SECTOR], uint64_t sector)
{
	uint64_t words[WORDS];
	uint32_t content;

	memcpy(words, data, SECTOR);
	content = (uint32_t)(words[0] >> 32);
	if (content != ZERO && (uint32_t)words[0] != (uint32_t)sector)
		return GARBAGE;
	for (unsigned i = 0; i < WORDS; i++)
		if (words[i] != (content == ZERO ? 0 : word_of(content, sector, i)))
			return GARBAGE;
	return content;
}

static bool is_golden(uint64_t offset)
{
	return (offset >> 16) % 3 != 1;
}

bool model_golden(uint64_t offset, unsigned char data[SECTOR])
{
	if (is_golden(offset))
		fill(GOLDEN, offset / SECTOR, data);
	return is_golden(offset);
}

static const char *content_name(const unsigned char data[SECTOR], uint64_t sector, char name[64])
{
	uint32_t content = content_of(data, sector);
	uint64_t word;

	memcpy(&word, data, 8);
	if (content == ZERO)
		snprintf(name, 64, "zeroes");
	else if (content == GOLDEN)
		snprintf(name, 64, "golden");
	else if (content == GARBAGE)
		snprintf(name, 64, "garbage (write %u of sector %u?)", (unsigned)(word >> 32), (unsigned)word);
	else
		snprintf(name, 64, "write %u", content);
	return name;
}

/* ---- versions ---- */

static struct sector *sector_at(const struct model *model, uint64_t offset)
{
	return &model->sectors[offset / SECTOR];
}

static void version_add(struct model *model, uint64_t index, struct model_version version)
{
	struct sector *s = &model->sectors[index];

	if (s->count == s->capacity) {
		s->capacity = (uint16_t)(s->capacity ? 2 * s->capacity : 2);
		s->versions = realloc(s->versions, s->capacity * sizeof(*s->versions));
		assert(s->versions);
	}
	s->versions[s->count++] = version;
	if (s->count > 1 && !s->listed) {
		s->listed = true;
		model->several[model->several_count++] = index;
	}
}

/* Drops what is older than the i-th. */
static void version_forget_before(struct sector *s, unsigned i)
{
	memmove(s->versions, s->versions + i, (s->count - i) * sizeof(*s->versions));
	s->count = (uint16_t)(s->count - i);
}

static uint32_t write_new(struct model *model, uint64_t offset, uint64_t length, enum model_kind kind)
{
	if (model->write_count == model->write_capacity) {
		model->write_capacity *= 2;
		model->writes = realloc(model->writes, model->write_capacity * sizeof(*model->writes));
		assert(model->writes);
	}
	model->writes[model->write_count] = (struct write){ .offset = offset, .length = length, .kind = kind };
	return model->write_count++;
}

static bool is_acknowledged(const struct model *model, const struct model_version *v)
{
	return model->writes[v->write].ended && model->writes[v->write].ok;
}

static bool ended_by(const struct model *model, const struct model_version *v, uint64_t time)
{
	return is_acknowledged(model, v) && model->writes[v->write].ended <= time;
}

/* The newest acknowledged version; there always is one. */
static unsigned newest_acknowledged(const struct model *model, const struct sector *s)
{
	unsigned i = s->count - 1u;

	while (i > 0 && !is_acknowledged(model, &s->versions[i]))
		i--;
	return i;
}

/* What a write of that kind and number has at offset. */
static uint32_t content_at(const struct model *model, enum model_kind kind, uint32_t id, uint64_t offset)
{
	if (kind == MODEL_GOLDEN)
		return offset < model->golden_bytes && is_golden(offset) ? GOLDEN : ZERO;
	return kind == MODEL_ZERO ? ZERO : id;
}

struct model *model_new(uint64_t size_bytes, uint64_t golden_bytes)
{
	struct model *model = calloc(1, sizeof(*model));

	assert(model);
	model->size_bytes = size_bytes;
	model->golden_bytes = golden_bytes;
	model->time = 1;
	model->sectors = calloc(size_bytes / SECTOR, sizeof(*model->sectors));
	model->several = calloc(size_bytes / SECTOR, sizeof(*model->several));
	model->write_capacity = 256;
	model->writes = calloc(model->write_capacity, sizeof(*model->writes));
	assert(model->sectors && model->several && model->writes);
	/* 0: what there was from the beginning; GOLDEN: so that no write has its number. */
	model->writes[0] = model->writes[1] = (struct write){ .ended = 1, .ok = true };
	model->write_count = FIRST_WRITE;
	for (uint64_t at = 0; at < size_bytes; at += SECTOR)
		version_add(model, at / SECTOR, (struct model_version){ content_at(model, MODEL_GOLDEN, 0, at), 0 });
	return model;
}

void model_grow(struct model *model, uint64_t size_bytes)
{
	uint64_t from = model->size_bytes / SECTOR, sectors = size_bytes / SECTOR;

	model->sectors = realloc(model->sectors, sectors * sizeof(*model->sectors));
	model->several = realloc(model->several, sectors * sizeof(*model->several));
	assert(model->sectors && model->several);
	memset(model->sectors + from, 0, (sectors - from) * sizeof(*model->sectors));
	model->size_bytes = size_bytes;
	for (uint64_t i = from; i < sectors; i++)
		version_add(model, i, (struct model_version){ ZERO, 0 });
}

void model_free(struct model *model)
{
	for (uint64_t i = 0; i < model->size_bytes / SECTOR; i++)
		free(model->sectors[i].versions);
	free(model->sectors);
	free(model->several);
	free(model->writes);
	free(model);
}

/* ---- writing ---- */

uint32_t model_begin(struct model *model, uint64_t offset, uint64_t length, enum model_kind kind)
{
	uint32_t id = write_new(model, offset, length, kind);

	for (uint64_t at = offset; at < offset + length; at += SECTOR)
		version_add(model, at / SECTOR, (struct model_version){ content_at(model, kind, id, at), id });
	return id;
}

void model_content(const struct model *model, uint32_t id, uint64_t offset, unsigned char *data, uint64_t length)
{
	for (uint64_t at = 0; at < length; at += SECTOR)
		fill(content_at(model, model->writes[id].kind, id, offset + at), (offset + at) / SECTOR, data + at);
}

void model_end(struct model *model, uint32_t id, bool ok, bool durable)
{
	struct write *w = &model->writes[id];

	w->ended = ++model->time;
	w->ok = ok;
	for (uint64_t at = w->offset; ok && durable && at < w->offset + w->length; at += SECTOR) {
		struct sector *s = sector_at(model, at);

		for (unsigned i = 0; i < s->count; i++) {
			if (s->versions[i].write == id) {
				version_forget_before(s, i);
				break;
			}
		}
	}
}

uint64_t model_now(const struct model *model)
{
	return model->time;
}

void model_flushed(struct model *model, uint64_t time)
{
	uint64_t kept = 0;

	for (uint64_t n = 0; n < model->several_count; n++) {
		uint64_t index = model->several[n];
		struct sector *s = &model->sectors[index];
		unsigned i = s->count - 1u;

		while (i > 0 && !ended_by(model, &s->versions[i], time))
			i--;
		version_forget_before(s, i);
		s->listed = s->count > 1;
		if (s->listed)
			model->several[kept++] = index;
	}
	model->several_count = kept;
}

/* ---- reading ---- */

void model_snapshot_take(const struct model *model, uint64_t offset, uint64_t length, struct model_snapshot *snapshot)
{
	uint64_t sectors = length / SECTOR;
	uint32_t total = 0;

	*snapshot = (struct model_snapshot){ .offset = offset, .length = length };
	snapshot->first = calloc(sectors + 1, sizeof(*snapshot->first));
	for (uint64_t i = 0; i < sectors; i++) {
		const struct sector *s = sector_at(model, offset + i * SECTOR);

		snapshot->first[i] = total;
		total += s->count - newest_acknowledged(model, s);
	}
	snapshot->first[sectors] = total;
	snapshot->versions = calloc(total, sizeof(*snapshot->versions));
	assert(snapshot->first && snapshot->versions);
	for (uint64_t i = 0; i < sectors; i++) {
		const struct sector *s = sector_at(model, offset + i * SECTOR);
		uint32_t count = snapshot->first[i + 1] - snapshot->first[i];

		memcpy(snapshot->versions + snapshot->first[i], s->versions + s->count - count,
		       count * sizeof(*s->versions));
	}
}

void model_snapshot_drop(struct model_snapshot *snapshot)
{
	free(snapshot->first);
	free(snapshot->versions);
	*snapshot = (struct model_snapshot){ .first = NULL };
}

/* From the newest back to the first that is acknowledged by now. */
static bool snapshot_allows(const struct model *model, const struct model_snapshot *snapshot, uint64_t i,
			    uint32_t content)
{
	for (uint32_t v = snapshot->first[i + 1]; v-- > snapshot->first[i];) {
		if (snapshot->versions[v].content == content)
			return true;
		if (is_acknowledged(model, &snapshot->versions[v]))
			return false;
	}
	return false;
}

bool model_check(const struct model *model, const struct model_snapshot *snapshot, const unsigned char *data, char *why,
		 size_t why_size)
{
	for (uint64_t i = 0; i < snapshot->length / SECTOR; i++) {
		uint64_t sector = snapshot->offset / SECTOR + i;
		char name[64];

		if (snapshot_allows(model, snapshot, i, content_of(data + i * SECTOR, sector)))
			continue;
		snprintf(why, why_size, "offset %llu reads as %s, expected write %u",
			 (unsigned long long)sector * SECTOR, content_name(data + i * SECTOR, sector, name),
			 snapshot->versions[snapshot->first[i + 1] - 1].write);
		return false;
	}
	return true;
}

/* A newer version than the snapshot's that is zeroes. */
static bool became_zero(const struct model *model, uint64_t offset, uint32_t newest)
{
	const struct sector *s = sector_at(model, offset);

	for (unsigned i = 0; i < s->count; i++)
		if (s->versions[i].content == ZERO && s->versions[i].write > newest)
			return true;
	return false;
}

bool model_check_zero(const struct model *model, const struct model_snapshot *snapshot, uint64_t offset,
		      uint64_t length)
{
	for (uint64_t at = offset; at < offset + length; at += SECTOR) {
		uint64_t i = (at - snapshot->offset) / SECTOR;

		if (!snapshot_allows(model, snapshot, i, ZERO) &&
		    !became_zero(model, at, snapshot->versions[snapshot->first[i + 1] - 1].write))
			return false;
	}
	return true;
}

bool model_is_untouched(const struct model *model, uint64_t offset, uint64_t length)
{
	for (uint64_t at = offset; at < offset + length; at += SECTOR) {
		const struct sector *s = sector_at(model, at);

		if (s->count != 1 || s->versions[0].write || s->versions[0].content != ZERO)
			return false;
	}
	return true;
}

/* ---- crashes ---- */

void model_crash(struct model *model, bool power_cut)
{
	for (uint32_t id = FIRST_WRITE; id < model->write_count; id++) {
		struct write *w = &model->writes[id];

		if (!w->ended)
			w->ended = ++model->time; /* and not ok */
	}
	for (uint64_t i = 0; i < model->size_bytes / SECTOR; i++)
		model->sectors[i].pending |= power_cut ? PENDING_CUT : PENDING_KILL;
}

void model_expect_all(struct model *model)
{
	for (uint64_t i = 0; i < model->size_bytes / SECTOR; i++)
		if (model->sectors[i].pending)
			model->sectors[i].pending = PENDING_KILL;
}

bool model_is_unflushed(const struct model *model)
{
	for (uint64_t n = 0; n < model->several_count; n++) {
		const struct sector *s = &model->sectors[model->several[n]];

		if (s->count > 1 && newest_acknowledged(model, s) > 0)
			return true;
	}
	return false;
}

static bool resolve_sector(struct model *model, uint64_t index, uint32_t content, uint32_t crash_write)
{
	struct sector *s = &model->sectors[index];
	unsigned oldest = s->pending & PENDING_CUT ? 0 : newest_acknowledged(model, s);
	unsigned i = s->count;

	while (i > oldest && s->versions[i - 1].content != content)
		i--;
	if (i == oldest)
		return false;
	if (s->pending & PENDING_CUT)
		s->count = 0;
	s->pending = 0;
	if (s->count != 1)
		version_add(model, index, (struct model_version){ content, crash_write });
	return true;
}

bool model_resolve(struct model *model, uint64_t offset, const unsigned char *data, uint64_t length, char *why,
		   size_t why_size)
{
	uint32_t crash_write = write_new(model, offset, length, MODEL_NEW);

	model->writes[crash_write].ended = ++model->time;
	model->writes[crash_write].ok = true;
	for (uint64_t at = 0; at < length; at += SECTOR) {
		uint64_t sector = (offset + at) / SECTOR;
		const struct sector *s = &model->sectors[sector];
		char name[64];
		size_t n;

		if (resolve_sector(model, sector, content_of(data + at, sector), crash_write))
			continue;
		n = (size_t)snprintf(why, why_size, "after a %s offset %llu reads as %s, not as one of these writes:",
				     s->pending & PENDING_CUT ? "power cut" : "crash that lost nothing",
				     (unsigned long long)sector * SECTOR, content_name(data + at, sector, name));
		for (unsigned i = 0; i < s->count && n < why_size; i++)
			n += (size_t)snprintf(why + n, why_size - n, " %u%s", s->versions[i].write,
					      is_acknowledged(model, &s->versions[i]) ? "" : "?");
		return false;
	}
	return true;
}
