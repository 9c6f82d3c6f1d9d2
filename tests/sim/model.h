/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a disk may hold: for each 512-byte sector, the versions that a reader could get, oldest first.
 *
 * The first is what the last flush made durable; behind it all that was written since, whether acknowledged, failed
 * or in flight. The newest acknowledged one is what a read returns, or a failed or unanswered one behind it
 * (invariant 1). After a power cut any of them may come back (invariant 2); once seen, it is the only one.
 *
 * Each version says who wrote it: its bytes follow from the number of the write and the sector.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct model;

/* What a read that is submitted now may return, and what it may not, once it is done. */
struct model_snapshot {
	uint64_t offset, length;
	struct model_version *versions;
	uint32_t *first; /* of each sector, and the end */
};

/* golden_bytes of the disk hold the golden content, the rest zeroes. */
struct model *model_new(uint64_t size_bytes, uint64_t golden_bytes);
void model_free(struct model *model);
/* The disk was made larger: zeroes from its old end on. */
void model_grow(struct model *model, uint64_t size_bytes);

/* The golden content at offset; every third 64 KiB is a hole. False: zeroes. */
bool model_golden(uint64_t offset, unsigned char sector[512]);

/* What a write writes: bytes like no other's, zeroes, or what the golden image has there. */
enum model_kind { MODEL_NEW, MODEL_ZERO, MODEL_GOLDEN };

/* A write is submitted: its number. Then: the bytes that it writes. */
uint32_t model_begin(struct model *model, uint64_t offset, uint64_t length, enum model_kind kind);
void model_content(const struct model *model, uint32_t write, uint64_t offset, unsigned char *data, uint64_t length);
/* It is done. durable: acknowledged with FUA. */
void model_end(struct model *model, uint32_t write, bool ok, bool durable);

/* A flush that is submitted at a time makes durable what had ended by then. */
uint64_t model_now(const struct model *model);
void model_flushed(struct model *model, uint64_t time);

void model_snapshot_take(const struct model *model, uint64_t offset, uint64_t length, struct model_snapshot *snapshot);
void model_snapshot_drop(struct model_snapshot *snapshot);
/* Whether data is what a read with that snapshot may return. What is wrong goes to why. */
bool model_check(const struct model *model, const struct model_snapshot *snapshot, const unsigned char *data, char *why,
		 size_t why_size);
/* Whether zeroes are, or have become so since: what a status may say, which is in no order with changes in flight. */
bool model_check_zero(const struct model *model, const struct model_snapshot *snapshot, uint64_t offset,
		      uint64_t length);

/* Whether nobody has ever written there, and it has been zeroes from the beginning. */
bool model_is_untouched(const struct model *model, uint64_t offset, uint64_t length);

/* A crash: what is in flight will not be answered. */
void model_crash(struct model *model, bool power_cut);
/* The disk says that the power cuts have lost nothing: then nothing acknowledged may be missing (invariant 4). */
void model_expect_all(struct model *model);
/* Acknowledged writes were not flushed. */
bool model_is_unflushed(const struct model *model);
/* What is read after crashes; from now on it is what these sectors hold. */
bool model_resolve(struct model *model, uint64_t offset, const unsigned char *data, uint64_t length, char *why,
		   size_t why_size);

#endif
