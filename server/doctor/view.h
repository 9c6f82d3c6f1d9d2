/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes of an image that somebody else made: a file, or memory in tests. Every read is checked against the size, so
 * parsers above it need only bound how much they read. For doctor/ and store/.
 */
#ifndef DOCTOR_VIEW_H
#define DOCTOR_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view {
	/* Reads exactly len bytes, wholly inside size; false: it could not. */
	bool (*read)(void *arg, uint64_t offset, void *data, size_t len);
	void *arg;
	uint64_t size; /* bytes */
};

/* False where the range is not wholly inside, or cannot be read. */
static inline bool view_read(const struct view *view, uint64_t offset, void *data, size_t len)
{
	if (len > view->size || offset > view->size - len)
		return false;
	return !len || view->read(view->arg, offset, data, len);
}

/* A view of an open file; fd must outlive it. */
struct view view_of_file(const int *fd, uint64_t size);

/* Little-endian integers as FAT, GPT, VHDX and VMDK have them. */
struct le16 {
	uint8_t b[2];
};
struct le32 {
	uint8_t b[4];
};
struct le64 {
	uint8_t b[8];
};

static inline uint16_t le16_get(struct le16 v)
{
	return (uint16_t)(v.b[0] | v.b[1] << 8);
}

static inline uint32_t le32_get(struct le32 v)
{
	return v.b[0] | (uint32_t)v.b[1] << 8 | (uint32_t)v.b[2] << 16 | (uint32_t)v.b[3] << 24;
}

static inline uint64_t le64_get(struct le64 v)
{
	uint64_t x = 0;

	for (int i = 7; i >= 0; i--)
		x = x << 8 | v.b[i];
	return x;
}

static inline struct le64 le64_put(uint64_t value)
{
	struct le64 v;

	for (int i = 0; i < 8; i++)
		v.b[i] = (uint8_t)(value >> 8 * i);
	return v;
}

#endif
