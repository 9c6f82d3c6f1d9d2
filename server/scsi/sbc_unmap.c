// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Thin provisioning (SBC-3 §4.7): UNMAP (§5.28), WRITE SAME (§5.45, §5.46), GET LBA STATUS (§5.4). LBPRZ=1: what was
 * unmapped reads as zeroes, so WRITE SAME of zeroes may be done without data, and with UNMAP gives the space back.
 *
 * ANCHOR (§4.7.1: no later write to the LBA fails for want of space) is done by storing zeroes, also over holes
 * (disk_request.allocate): the space is then the machine's own. The LBA has gone from anchored to mapped by itself
 * (§4.7.3.5 permits that at any time), so GET LBA STATUS says mapped (0h), never anchored (2h): a disk could not tell
 * the two apart after a restart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/handlers.h"

/* ---- the same block again and again ---- */

enum {
	PATTERN_BYTES = 64 << 10,
	PATTERN_PIECES = 16, /* one disk request: 1 MiB of pieces that are all the same memory */
	PATTERN_STEP_BLOCKS = PATTERN_PIECES * PATTERN_BYTES / SCSI_BLOCK,
};

static void pattern_step(struct task_state *st)
{
	uint8_t *pattern = (uint8_t *)(st->iov + PATTERN_PIECES);
	size_t left;
	int count = 0;

	st->progress += st->chunk;
	st->chunk = min_u64(st->blocks - st->progress, PATTERN_STEP_BLOCKS);
	if (!st->chunk) {
		st->then(st);
		return;
	}
	for (left = st->chunk * SCSI_BLOCK; left; count++) {
		st->iov[count] = (struct iovec){ .iov_base = pattern, .iov_len = min_u64(left, PATTERN_BYTES) };
		left -= st->iov[count].iov_len;
	}
	st->write_iov = st->iov;
	st->write_count = count;
	task_disk(st, DISK_WRITE, st->lba + st->progress, st->chunk, pattern_step);
}

/* Fills st->blocks from st->lba on; then follows. The pattern is made once for a task. */
static void pattern_write(struct task_state *st, const uint8_t *block, void (*then)(struct task_state *st))
{
	if (!st->iov) {
		uint8_t *pattern;

		st->iov = malloc(PATTERN_PIECES * sizeof(*st->iov) + PATTERN_BYTES);
		if (!st->iov) {
			task_status(st, SCSI_BUSY);
			return;
		}
		pattern = (uint8_t *)(st->iov + PATTERN_PIECES);
		for (size_t at = 0; at < PATTERN_BYTES; at += SCSI_BLOCK)
			memcpy(pattern + at, block, SCSI_BLOCK);
	}
	st->progress = st->chunk = 0;
	st->then = then;
	pattern_step(st);
}

static const uint8_t zero_block[SCSI_BLOCK];

/* ---- UNMAP ---- */

struct unmap_header {
	struct be16 length, descriptors_length;
	uint8_t reserved[4];
};

struct unmap_descriptor {
	struct be64 lba;
	struct be32 blocks;
	uint8_t reserved[4];
};

static const struct unmap_descriptor *unmap_descriptors(const struct task_state *st)
{
	return (const struct unmap_descriptor *)(st->buffer + sizeof(struct unmap_header));
}

static void unmap_step(struct task_state *st)
{
	const struct unmap_descriptor *d = unmap_descriptors(st);

	while (st->item < st->item_count && !be32_get(d[st->item].blocks))
		st->item++;
	if (st->item == st->item_count) {
		task_good(st);
		return;
	}
	d += st->item++;
	st->lba = be64_get(d->lba);
	st->blocks = be32_get(d->blocks);
	st->allocate = st->task->cdb[1] & SBC_UNMAP_ANCHOR;
	if (st->allocate)
		pattern_write(st, zero_block, unmap_step);
	else
		task_disk(st, DISK_DISCARD, st->lba, st->blocks, unmap_step);
}

/* All of them, before the first is obeyed. False: the task has ended. */
static bool unmap_check(struct task_state *st)
{
	const struct unmap_descriptor *d = unmap_descriptors(st);
	uint64_t total = 0;

	for (unsigned i = 0; i < st->item_count; i++) {
		uint64_t lba = be64_get(d[i].lba), blocks = be32_get(d[i].blocks);
		unsigned at = (unsigned)(sizeof(struct unmap_header) + i * sizeof(*d));

		total += blocks;
		if (lba > st->lu->blocks || blocks > st->lu->blocks - lba) {
			task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
			return false;
		}
		if (total > SCSI_UNMAP_BLOCKS_MAX) {
			task_fail_parameter(st, at + 8, -1);
			return false;
		}
	}
	return true;
}

void sbc_unmap(struct task_state *st)
{
	const struct unmap_header *header;
	size_t bytes;

	if (!st->length) { /* §5.28.1: no list is no error */
		task_good(st);
		return;
	}
	header = (const struct unmap_header *)task_parameters(st);
	if (!header)
		return;
	if (st->length < sizeof(*header)) {
		task_fail_list_length(st);
		return;
	}
	/* A descriptor that is not whole is ignored; more than the list holds is an error. */
	bytes = be16_get(header->descriptors_length);
	if (bytes > st->length - sizeof(*header)) {
		task_fail_list_length(st);
		return;
	}
	st->item_count = (unsigned)(bytes / sizeof(struct unmap_descriptor));
	if (st->item_count > SCSI_UNMAP_DESCRIPTORS_MAX) {
		task_fail_parameter(st, 2, -1);
		return;
	}
	if (unmap_check(st))
		unmap_step(st);
}

/* ---- WRITE SAME ---- */

static bool is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, SCSI_BLOCK - 1) == 0;
}

void sbc_write_same(struct task_state *st)
{
	const struct scsi_task *task = st->task;
	bool unmap = task->cdb[1] & SBC_SAME_UNMAP, anchor = task->cdb[1] & SBC_SAME_ANCHOR;
	bool ndob = st->op->cdb_bytes == 16 && (task->cdb[1] & SBC_SAME_NDOB);
	uint8_t block[SCSI_BLOCK] = { 0 };

	/* One block, no more and no less: there is no rule for what else to write. */
	if (!ndob && (task->out_len < SCSI_BLOCK || (task->out_expected && task->out_expected != SCSI_BLOCK))) {
		task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
		return;
	}
	if (!ndob)
		task_copy_out(st, 0, block, SCSI_BLOCK);
	/* With UNMAP, a block that unmapped ones would not read as is written all the same: §4.7.3.4.3 (LBPRZ=1). */
	st->allocate = anchor;
	if (is_zero(block) && !anchor)
		task_disk_flags(st, DISK_WRITE_ZEROES, st->lba, st->blocks, false, unmap, task_good);
	else
		pattern_write(st, block, task_good);
}

/* ---- GET LBA STATUS ---- */

enum {
	STATUS_EXTENTS_MAX = 256,
	STATUS_BLOCKS_MAX = 1 << 25, /* 16 GiB a command: bounds what one command makes a disk look at */
	STATUS_MAPPED = 0,
	STATUS_DEALLOCATED = 1,
};

struct lba_status_header {
	struct be32 length;
	uint8_t reserved[4];
};

struct lba_status_descriptor {
	struct be64 lba;
	struct be32 blocks;
	uint8_t status, reserved[3];
};

static void lba_status_answer(struct task_state *st)
{
	const struct disk_extent *extents = st->extents;
	unsigned count = st->req.extent_count;
	struct lba_status_header *out =
		task_buffer(st, sizeof(*out) + max_u64(count, 1) * sizeof(struct lba_status_descriptor));
	struct lba_status_descriptor *d;
	uint64_t at = st->lba, end = st->lba + st->chunk;
	size_t used = 0;

	if (!out)
		return;
	d = (struct lba_status_descriptor *)(out + 1);
	/* §5.4.2.3: the first begins with the block that was asked for, each other where the one before it ends. */
	for (unsigned i = 0; i < count && at < end; i++) {
		uint64_t extent_end = min_u64((extents[i].offset + extents[i].length) / SCSI_BLOCK, end);

		if (extent_end <= at)
			continue;
		d[used].lba = be64_put(at);
		d[used].blocks = be32_put((uint32_t)(extent_end - at));
		d[used++].status = extents[i].mapped ? STATUS_MAPPED : STATUS_DEALLOCATED;
		at = extent_end;
	}
	if (!used) { /* nothing is known: 0h says just that */
		d[0].lba = be64_put(st->lba);
		d[0].blocks = be32_put((uint32_t)st->chunk);
		used = 1;
	}
	out->length = be32_put((uint32_t)(4 + used * sizeof(*d)));
	task_data(st, sizeof(*out) + used * sizeof(*d));
}

void sbc_get_lba_status(struct task_state *st)
{
	size_t room = st->length > sizeof(struct lba_status_header) ? st->length - sizeof(struct lba_status_header) : 0;
	unsigned extents =
		(unsigned)max_u64(min_u64(room / sizeof(struct lba_status_descriptor), STATUS_EXTENTS_MAX), 1);

	st->extents = calloc(extents, sizeof(*st->extents));
	if (!st->extents) {
		task_status(st, SCSI_BUSY);
		return;
	}
	st->chunk = min_u64(st->lu->blocks - st->lba, STATUS_BLOCKS_MAX);
	st->extent_max = extents;
	task_disk(st, DISK_STATUS, st->lba, st->chunk, lba_status_answer);
}
