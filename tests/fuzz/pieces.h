/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An input as a disk. One whose first byte is not 1 is the disk. Otherwise it is one that is mostly empty: 1, its size (8
 * bytes), then pieces: offset (8), length (2), bytes.
 */
#ifndef FUZZ_PIECES_H
#define FUZZ_PIECES_H

#include "base/be.h"
#include "doctor/view.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct piece_header {
	struct be64 offset;
	struct be16 len;
};

struct input {
	const uint8_t *data; /* pieces, or all bytes */
	size_t size;
	bool pieces;
};

static inline void overlay(uint64_t offset, uint8_t *out, size_t len, uint64_t at, const uint8_t *piece,
			   size_t piece_len)
{
	uint64_t from = at > offset ? at : offset, end = offset + len, piece_end;

	if (at > UINT64_MAX - piece_len)
		return;
	piece_end = at + piece_len;
	if (piece_end < end)
		end = piece_end;
	if (from < end)
		memcpy(out + (from - offset), piece + (from - at), end - from);
}

static inline bool input_read(void *arg, uint64_t offset, void *out, size_t len)
{
	const struct input *input = arg;
	size_t at = 0;

	if (!input->pieces) {
		if (len > input->size || offset > input->size - len)
			abort();
		memcpy(out, input->data + offset, len);
		return true;
	}
	memset(out, 0, len);
	while (input->size - at >= sizeof(struct piece_header)) {
		struct piece_header header;
		size_t piece_len;

		memcpy(&header, input->data + at, sizeof(header));
		at += sizeof(header);
		piece_len = be16_get(header.len);
		if (piece_len > input->size - at)
			piece_len = input->size - at;
		overlay(offset, out, len, be64_get(header.offset), input->data + at, piece_len);
		at += piece_len;
	}
	return true;
}

/* input lives as long as the view. */
static inline struct view input_view(struct input *input, const uint8_t *data, size_t size)
{
	struct view view = { input_read, input, size };
	struct be64 view_size;

	*input = (struct input){ data, size, false };
	if (size >= 9 && data[0] == 1) {
		memcpy(&view_size, data + 1, sizeof(view_size));
		view.size = be64_get(view_size) & ((1ull << 45) - 1);
		*input = (struct input){ data + 9, size - 9, true };
	}
	return view;
}

#endif
