// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: a beat, as another host may have left it. What is accepted is what we would write of it, and is the same
 * beat as itself. So that more than the length is reached, what is too short is filled up as ours are.
 */
#include "store/beat_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const void *data, size_t size)
{
	struct beat_record record;
	char again[BEAT_BYTES];

	if (!beat_record_parse(data, size, &record))
		return;
	beat_record_format(&record, again);
	if (size != BEAT_BYTES || memcmp(again, data, size) != 0 || beat_record_compare(&record, &record))
		abort();
	beat_record_life(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size + 1), filled[BEAT_BYTES];

	if (!exact)
		return 0;
	memcpy(exact, data, size);
	check(exact, size);
	free(exact);
	memset(filled, ' ', sizeof(filled));
	memcpy(filled, data, size < sizeof(filled) ? size : sizeof(filled));
	filled[BEAT_BYTES - 1] = '\n';
	check(filled, sizeof(filled));
	return 0;
}
