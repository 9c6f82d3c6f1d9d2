/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recorded boot: what a machine asked its disk, in order. tests/sim/boots, 512-byte blocks. */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

struct sim_trace_op {
	char op; /* R, W, F */
	bool fua;
	uint64_t offset, length; /* bytes */
};

struct sim_trace {
	struct sim_trace_op *ops;
	unsigned count;
	uint64_t end; /* of all that it touches, bytes */
};

/* From a file of lines "op,lba,blocks,fua", the first being that heading. False: what is wrong is on standard error. */
bool sim_trace_read(const char *path, struct sim_trace *trace);
void sim_trace_free(struct sim_trace *trace);

#endif
