// SPDX-License-Identifier: GPL-2.0-or-later
/* See sim_trace.h. */
#include "sim_trace.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sim_private.h"

static bool parse(const char *line, struct sim_trace_op *op)
{
	uint64_t lba, blocks;
	unsigned fua;

	if (sscanf(line, "%c,%" SCNu64 ",%" SCNu64 ",%u", &op->op, &lba, &blocks, &fua) != 4 || !strchr("RWF", op->op))
		return false;
	op->fua = fua;
	op->offset = lba * DISK_BLOCK_BYTES;
	op->length = blocks * DISK_BLOCK_BYTES;
	return op->op == 'F' ? blocks == 0 : blocks > 0 && op->length <= SIM_REQUEST_MAX;
}

bool sim_trace_read(const char *path, struct sim_trace *trace)
{
	FILE *file = fopen(path, "re");
	char line[100];
	unsigned number = 1;
	bool ok = true;

	*trace = (struct sim_trace){ .count = 0 };
	if (!file || !fgets(line, sizeof(line), file)) {
		perror(path);
		ok = false;
	}
	while (ok && fgets(line, sizeof(line), file)) {
		trace->ops = realloc(trace->ops, (trace->count + 1) * sizeof(*trace->ops));
		assert(trace->ops);
		number++;
		ok = parse(line, &trace->ops[trace->count]);
		if (!ok)
			fprintf(stderr, "%s:%u: not op,lba,blocks,fua\n", path, number);
		else
			trace->end =
				max_u64(trace->end, trace->ops[trace->count].offset + trace->ops[trace->count].length);
		trace->count += ok;
	}
	if (ok && !trace->count) {
		fprintf(stderr, "%s: nothing in it\n", path);
		ok = false;
	}
	if (file)
		fclose(file);
	return ok;
}

void sim_trace_free(struct sim_trace *trace)
{
	free(trace->ops);
}
