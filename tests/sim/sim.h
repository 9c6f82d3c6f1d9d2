/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histories of a disk on the simulated host: it is opened, used, interrupted anywhere, opened again, and every byte
 * that it gives back is compared with the model. What is checked are design.md's invariants 1 to 5 and, for qcow2,
 * the file itself after each crash and each close. A history follows from its seed alone.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_trace;

struct sim_options {
	const char *format; /* "raw", "qcow2" */
	const char *dir;    /* real files go here, to be created and checked */
	unsigned ops;	    /* requests in one life of the disk, about */
	unsigned lives;	    /* at most so many in a history */
	unsigned qemu;	    /* percent of the clean closes after which qemu-img looks, too */
	bool verbose;
	const struct sim_trace *trace; /* a recorded boot, instead of random requests; NULL: none */
};

/* What happened in all histories so far. */
struct sim_counts {
	uint64_t requests, kills, cuts, closes, opens_interrupted;
};

/* True when nothing was wrong; what was, goes to standard error. */
bool sim_run(const struct sim_options *options, uint64_t seed, struct sim_counts *counts);

#endif
