// SPDX-License-Identifier: GPL-2.0-or-later
/* The smaller commands of SBC-3: capacity, START STOP UNIT, SYNCHRONIZE CACHE, PRE-FETCH, READ DEFECT DATA. */
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/handlers.h"

/* ---- READ CAPACITY (§5.15, §5.16) ---- */

struct capacity_10 {
	struct be32 last_lba, block_bytes;
};

struct capacity_16 {
	struct be64 last_lba;
	struct be32 block_bytes;
	uint8_t protection, exponents, provisioning, lowest_aligned, reserved[16];
};

enum { CAPACITY_LBPME = 0x80, CAPACITY_LBPRZ = 0x40 };

void sbc_read_capacity_10(struct task_state *st)
{
	struct capacity_10 *out = task_buffer(st, sizeof(*out));

	if (!out)
		return;
	/* 2 TiB and more: FFFFFFFFh, ask READ CAPACITY(16). */
	out->last_lba = be32_put((uint32_t)min_u64(st->lu->blocks - 1, UINT32_MAX));
	out->block_bytes = be32_put((uint32_t)lu_bytes(st->lu, 1));
	task_data(st, sizeof(*out));
}

void sbc_read_capacity_16(struct task_state *st)
{
	struct capacity_16 *out = task_buffer(st, sizeof(*out));

	if (!out)
		return;
	out->last_lba = be64_put(st->lu->blocks - 1);
	out->block_bytes = be32_put(SCSI_BLOCK);
	out->exponents = st->lu->physical_exponent;
	out->provisioning = CAPACITY_LBPME | CAPACITY_LBPRZ;
	task_data(st, sizeof(*out));
}

/* ---- flushing ---- */

/* §5.18. The whole cache: a disk has no smaller flush. IMMED or not, status comes when it is done, which is allowed. */
void sbc_synchronize_cache(struct task_state *st)
{
	task_flush(st, task_good);
}

/*
 * §5.17. Stopping flushes the cache, and that is all: a stopped disk would lock out the next boot, since iPXE never
 * sends START. Nothing can be ejected (LOEJ), and of the power conditions there are ACTIVE and LU_CONTROL.
 */
void sbc_start_stop(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	unsigned condition = cdb[4] >> 4;
	bool no_flush = cdb[4] & 0x04, loej = cdb[4] & 0x02, start = cdb[4] & 0x01;

	if (condition != 0x0 && condition != 0x1 && condition != 0x7) {
		task_fail_cdb(st, 4, 7);
		return;
	}
	/* Where there is a power condition, LOEJ and START are ignored. */
	if (!condition && loej) {
		task_fail_cdb(st, 4, 1);
		return;
	}
	if (condition || start || no_flush)
		task_good(st);
	else
		task_flush(st, task_good);
}

/* ---- PRE-FETCH (§5.10) ---- */

/*
 * The data is now as near as it gets; the pieces go back. GOOD, not CONDITION MET: whether all of it stays cannot be
 * known.
 */
static void prefetch_done(struct task_state *st)
{
	task_give_back(st);
	task_good(st);
}

void sbc_prefetch(struct task_state *st)
{
	task_disk(st, DISK_READ, st->lba, min_u64(st->blocks, SCSI_TRANSFER_BLOCKS_MAX), prefetch_done);
}

/* ---- READ DEFECT DATA (§5.13, §5.14): the lists are there, and empty ---- */

void sbc_read_defects_10(struct task_state *st)
{
	uint8_t *out = task_buffer(st, 4);

	if (!out)
		return;
	out[1] = st->task->cdb[2]; /* PLISTV, GLISTV and format as they were asked for */
	task_data(st, 4);
}

void sbc_read_defects_12(struct task_state *st)
{
	uint8_t *out = task_buffer(st, 8);

	if (!out)
		return;
	out[1] = st->task->cdb[1] & 0x1f;
	task_data(st, 8);
}
