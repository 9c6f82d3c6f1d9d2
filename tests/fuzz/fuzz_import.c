// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz harness: files that somebody wants to import: what they are. The input: pieces.h. */
#include "pieces.h"

#include "store/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input;
	struct view view = input_view(&input, data, size);
	struct probe probe;
	struct reason reason;

	if (!probe_image(&view, "disk.img", &probe, &reason) &&
	    (!probe.size_bytes || probe.size_bytes > (uint64_t)16 << 40))
		abort();
	return 0;
}
