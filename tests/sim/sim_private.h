/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between sim.c (lives of a disk), sim_make.c (the disk) and sim_ops.c (requests to it). */
#ifndef SIM_PRIVATE_H
#define SIM_PRIVATE_H

#include "disk/flush_turn.h"
#include "host.h"
#include "model.h"
#include "sim.h"
#include "sim_trace.h"

enum {
	SIM_DEPTH = 32,		   /* most requests at once */
	SIM_REQUEST_MAX = 2 << 20, /* bytes */
	SIM_EXTENTS = 16,
	SIM_PIECES = 3, /* of a write's memory */
};

struct sim_format {
	const char *name;
	void (*open)(struct disk_env *env, struct loop *loop, const struct disk_open *how,
		     void (*opened)(void *arg, const struct disk_opened *result), void *arg);
	bool maps; /* a child: it tells interruptions, remembers failures, stands on others, grows */
};

enum sim_state { SIM_FREE, SIM_SUBMITTED, SIM_LENT };

/* One request and what belongs to it. */
struct sim_op {
	struct disk_request req;
	struct sim *sim;
	enum sim_state state;
	uint64_t at, length;  /* of the request, as the model counts */
	uint32_t write;	      /* the model's number */
	enum model_kind kind; /* of a write */
	uint64_t flush_time;
	bool failed_before; /* the disk had said DISK_FAILED when this was submitted */
	bool verifies;	    /* a read after a crash */
	struct model_snapshot snapshot;
	struct iovec iov[SIM_PIECES];
	struct disk_extent extents[SIM_EXTENTS];
	unsigned char *data; /* SIM_REQUEST_MAX bytes: to write, or as first read */
};

struct sim {
	const struct sim_options *options;
	struct sim_counts *counts;
	uint64_t seed;
	struct prng prng;
	struct host host;
	struct loop *loop;
	struct disk_env *env;
	struct model *model;
	char path[256], golden[256];
	/*
	 * A large disk is used in some windows only, so that its maps are many and the model small: what the model
	 * has at offset x lies at windows[x / window_bytes] + x % window_bytes. size_bytes and golden_bytes are the
	 * model's.
	 */
	uint64_t size_bytes, golden_bytes, window_bytes, disk_bytes;
	uint64_t *windows; /* ascending */
	unsigned window_count;
	const struct sim_format *format;
	uint64_t quota_bytes; /* 0: none */
	unsigned layers;      /* qcow2 files of the chain */
	unsigned trace_at;    /* what comes next of the recorded boot */
	unsigned depth;
	bool ephemeral;
	/* faults that this history may have */
	unsigned read_errors, write_errors, sync_errors;
	bool may_fill;
	/* another disk of the loop, which flushes when it likes, and takes the only turn there is */
	bool others;
	struct flush_turn other;
	enum { SIM_NO_TURN, SIM_WAITS, SIM_HAS_TURN } other_flushes;

	struct disk *disk;
	bool careless;	  /* whatever it answers is right */
	bool disk_failed; /* DISK_FAILED in this life */
	bool changed;	  /* a change was acknowledged in this life */
	bool must_fail;	  /* DISK_FAILED was told, and only a power cut may forget it */
	bool sync_failed; /* in an earlier one: it may refuse to open */
	/* What the next open that succeeds may say. SIM_MUST: or else nothing is missing. */
	enum { SIM_MAY, SIM_MUST, SIM_MUST_NOT } interrupted;
	bool opened, closed;
	struct disk_opened opening;
	int close_err;
	struct sim_op ops[SIM_DEPTH];
	unsigned life, submitted;
	bool last;     /* life */
	unsigned idle; /* turns without anything to do */
	char why[512]; /* what is wrong; "" so far nothing */
};

/* The first complaint counts. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_say(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Where the model's offset lies on the disk, and how much of length from there is together. */
uint64_t sim_place(const struct sim *sim, uint64_t at, uint64_t *length);
/* The other way round, for what lies in a window. */
uint64_t sim_unplace(const struct sim *sim, uint64_t offset);

/* Makes the files and the model. */
void sim_make(struct sim *sim);
/* A new one in place of what was thrown away. */
void sim_make_again(struct sim *sim);
/* What people do with a disk that was closed properly. */
void sim_between(struct sim *sim);
/* At the file, while nobody has it open. clean: it was closed properly. */
void sim_look(struct sim *sim, bool clean);
void sim_ask_qemu(struct sim *sim);

/* One turn: the loop, and one thing of the host. Gives up on a disk that does nothing any more. */
void sim_turn(struct sim *sim);

/* A life begins. */
void sim_ops_begin(struct sim *sim);
/* The recorded boot is at its end. */
bool sim_ops_over(const struct sim *sim);
/* Submits a request at random, or the next of the recorded boot, or gives one back. */
void sim_ops_turn(struct sim *sim);
/* Gives back what is lent, waits for what is submitted. */
void sim_ops_drain(struct sim *sim);
/* Reads the whole disk; what it says is what is. */
void sim_ops_verify(struct sim *sim);

#endif
