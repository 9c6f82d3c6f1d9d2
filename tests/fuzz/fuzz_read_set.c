// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: the file of a read set. With a checksum made right, so that what lies behind it is reached. What is
 * accepted is in order, within the image, is written again as it was read, and takes one more boot.
 */
#include "store/read_set.h"

#include "base/be.h"
#include "base/crc32c.h"
#include "disk/read_trace.h"
#include "inventory/inventory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCKS = 1 << 16 };

static const struct image_version version = { .size_bytes = (uint64_t)BLOCKS * BOOT_BLOCK_BYTES, .sha256 = "f" };

static void check_order(const struct read_set *set)
{
	uint32_t next = 0, first, count;
	uint64_t end = 0;

	while (read_set_next(set, &next, &first, &count)) {
		if (!count || first < end || (uint64_t)first + count > BLOCKS)
			abort();
		end = (uint64_t)first + count;
	}
}

static void check(struct read_set *set, const uint8_t *data, size_t size)
{
	struct read_trace *trace = read_trace_new(version.size_bytes);
	uint64_t needed = read_set_needed_bytes(set);
	uint8_t *again;
	size_t again_size;

	check_order(set);
	if (!trace || read_set_encode(set, &version, &again, &again_size))
		abort();
	if (again_size != size || memcmp(again, data, size))
		abort();
	free(again);
	read_trace_note(trace, size % BLOCKS * BOOT_BLOCK_BYTES, (uint64_t)data[size - 1] * BOOT_BLOCK_BYTES + 1);
	if (read_set_merge(set, trace))
		abort();
	check_order(set);
	if (read_set_needed_bytes(set) > needed + read_trace_count(trace) * BOOT_BLOCK_BYTES)
		abort();
	read_trace_unref(trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct read_set set = { 0 };
	const char *wrong;
	uint8_t *copy = malloc(size + 1);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (size >= 4) {
		struct be32 crc = be32_put(crc32c(0, copy, size - 4));

		memcpy(copy + size - 4, &crc, 4);
	}
	if (!read_set_decode(&set, &version, copy, size, &wrong))
		check(&set, copy, size);
	read_set_fini(&set);
	free(copy);
	return 0;
}
