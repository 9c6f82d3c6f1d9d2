// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disc in a CD-ROM drive (MMC-6): complete, one session, one data track that begins at block 0 and takes the whole
 * disk. Small ones are CDs, large ones DVDs: that decides how systems look at them, not what they can read.
 */
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/handlers.h"

enum {
	CD_FRAMES = 75, /* a second */
	CD_LEAD_IN_FRAMES = 150,
	CD_BLOCKS_MAX = 80 * 60 * CD_FRAMES,
	TRACK_LEAD_OUT = 0xaa,
	TRACK_DATA = 0x14, /* ADR 1; a data track */
};

bool mmc_is_dvd(const struct scsi_lu *lu)
{
	return lu->blocks > CD_BLOCKS_MAX;
}

static uint32_t last_block(const struct scsi_lu *lu)
{
	return (uint32_t)min_u64(lu->blocks - 1, UINT32_MAX);
}

static void put32(uint8_t *out, uint32_t x)
{
	const struct be32 v = be32_put(x);

	memcpy(out, &v, sizeof(v));
}

/* ---- READ TOC/PMA/ATIP (§6.25) ---- */

enum { TOC_TRACKS = 0, TOC_SESSIONS = 1, TOC_RAW = 2 };

/* Minutes, seconds and frames from the beginning of the disc. What cannot be said that way is the largest that can. */
static void put_msf(uint8_t out[3], uint64_t lba)
{
	uint64_t frames = min_u64(lba + CD_LEAD_IN_FRAMES, (255 * 60 + 59) * CD_FRAMES + 74);

	out[0] = (uint8_t)(frames / CD_FRAMES / 60);
	out[1] = (uint8_t)(frames / CD_FRAMES % 60);
	out[2] = (uint8_t)(frames % CD_FRAMES);
}

static size_t put_track(uint8_t *out, uint8_t track, uint64_t lba, bool msf)
{
	out[1] = TRACK_DATA;
	out[2] = track;
	if (msf)
		put_msf(out + 5, lba);
	else
		put32(out + 4, (uint32_t)min_u64(lba, UINT32_MAX));
	return 8;
}

/* §6.25.3.3, as in the lead-in: session, ADR and control, 0, point, 0 0 0, 0, then what the point says. */
static size_t put_point(uint8_t *out, uint8_t point, const uint8_t value[3])
{
	out[0] = 1;
	out[1] = TRACK_DATA;
	out[3] = point;
	memcpy(out + 8, value, 3);
	return 11;
}

static size_t put_raw(const struct scsi_lu *lu, uint8_t *out)
{
	static const uint8_t one[3] = { 1 };
	uint8_t begin[3], end[3];
	size_t len = 0;

	put_msf(begin, 0);
	put_msf(end, lu->blocks);
	len += put_point(out + len, 0xa0, one); /* first track */
	len += put_point(out + len, 0xa1, one); /* last track */
	len += put_point(out + len, 0xa2, end); /* lead-out */
	len += put_point(out + len, 1, begin);
	return len;
}

void mmc_read_toc(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	unsigned format = cdb[2] ? cdb[2] : cdb[9] >> 6, from = cdb[6];
	bool msf = cdb[1] & 0x02;
	struct be16 length;
	size_t len = 4;
	uint8_t *out;

	if (format > TOC_RAW || (format == TOC_RAW && mmc_is_dvd(st->lu))) {
		task_fail_cdb(st, cdb[2] ? 2 : 9, -1);
		return;
	}
	/* A track (of the raw list: a session) that is not there. */
	if (from > 1 && format != TOC_SESSIONS && !(format == TOC_TRACKS && from == TRACK_LEAD_OUT)) {
		task_fail_cdb(st, 6, -1);
		return;
	}
	out = task_buffer(st, 64);
	if (!out)
		return;
	out[2] = out[3] = 1; /* first and last track, or session */
	if (format == TOC_RAW) {
		len += put_raw(st->lu, out + len);
	} else {
		if (format == TOC_SESSIONS || from <= 1)
			len += put_track(out + len, 1, 0, msf);
		if (format == TOC_TRACKS)
			len += put_track(out + len, TRACK_LEAD_OUT, st->lu->blocks, msf);
	}
	length = be16_put((uint16_t)(len - 2));
	memcpy(out, &length, sizeof(length));
	task_data(st, len);
}

/* ---- READ DISC INFORMATION (§6.21), READ TRACK INFORMATION (§6.26) ---- */

void mmc_read_disc_information(struct task_state *st)
{
	uint8_t *out;

	if (st->task->cdb[1]) { /* nothing but the standard one */
		task_fail_cdb(st, 1, 2);
		return;
	}
	out = task_buffer(st, 34);
	if (!out)
		return;
	out[1] = 32;
	out[2] = 0x0e;			       /* last session and disc are complete */
	out[3] = out[4] = out[5] = out[6] = 1; /* first track; sessions; first and last track of the last one */
	out[7] = 0x20;			       /* URU: unrestricted use */
	task_data(st, 34);
}

enum { ADDRESS_LBA = 0, ADDRESS_TRACK = 1, ADDRESS_SESSION = 2 };

void mmc_read_track_information(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	uint32_t address = (uint32_t)cdb[2] << 24 | (uint32_t)cdb[3] << 16 | (uint32_t)cdb[4] << 8 | cdb[5];
	uint8_t *out;

	if (cdb[1] > ADDRESS_SESSION) {
		task_fail_cdb(st, 1, 1);
		return;
	}
	if (cdb[1] == ADDRESS_LBA && address >= st->lu->blocks) {
		task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
		return;
	}
	if (cdb[1] != ADDRESS_LBA && address != 1) {
		task_fail_cdb(st, 2, -1);
		return;
	}
	out = task_buffer(st, 36);
	if (!out)
		return;
	out[1] = 34;
	out[2] = out[3] = 1; /* track, session */
	out[5] = TRACK_DATA & 0x0f;
	out[6] = 0x01; /* data mode 1 */
	out[7] = 0x02; /* LRA_V */
	put32(out + 24, (uint32_t)min_u64(st->lu->blocks, UINT32_MAX));
	put32(out + 28, last_block(st->lu));
	task_data(st, 36);
}

/* ---- READ DISC STRUCTURE (§6.22), of a DVD-ROM ---- */

enum { STRUCTURE_PHYSICAL = 0x00, STRUCTURE_COPYRIGHT = 0x01, STRUCTURE_LIST = 0xff, DVD_FIRST_SECTOR = 0x30000 };

static void structure_physical(const struct scsi_lu *lu, uint8_t *out)
{
	out[0] = 0x01; /* DVD-ROM, version 1 */
	out[1] = 0x0f; /* 120 mm, no rate specified */
	out[2] = 0x01; /* one layer, embossed data */
	put32(out + 4, DVD_FIRST_SECTOR);
	put32(out + 8, DVD_FIRST_SECTOR + last_block(lu));
}

static void structure_list(uint8_t *out)
{
	static const struct {
		uint8_t format, readable;
		struct be16 length;
	} list[] = {
		{ STRUCTURE_PHYSICAL, 0x40, { { 2052 >> 8, 2052 & 0xff } } },
		{ STRUCTURE_COPYRIGHT, 0x40, { { 0, 8 } } },
	};

	memcpy(out, list, sizeof(list));
}

void mmc_read_disc_structure(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	size_t len = cdb[7] == STRUCTURE_PHYSICAL ? 2052 : cdb[7] == STRUCTURE_COPYRIGHT ? 8 : 12;
	struct be16 length = be16_put((uint16_t)(len - 2));
	uint8_t *out;

	if (!mmc_is_dvd(st->lu)) {
		task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_INCOMPATIBLE_MEDIUM);
		return;
	}
	if (cdb[1] || (cdb[7] > STRUCTURE_COPYRIGHT && cdb[7] != STRUCTURE_LIST)) {
		task_fail_cdb(st, cdb[1] ? 1 : 7, -1);
		return;
	}
	if (cdb[6]) {
		task_fail_cdb(st, 6, -1); /* there is but one layer */
		return;
	}
	out = task_buffer(st, len);
	if (!out)
		return;
	memcpy(out, &length, sizeof(length));
	if (cdb[7] == STRUCTURE_PHYSICAL)
		structure_physical(st->lu, out + 4);
	else if (cdb[7] == STRUCTURE_LIST)
		structure_list(out + 4);
	task_data(st, len);
}

/* ---- READ CD (§6.17): the user data, and nothing else of a sector ---- */

void mmc_read_cd(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	unsigned type = cdb[1] >> 2, parts = cdb[9];

	if (type != 0 && type != 2) { /* any, mode 1 */
		task_fail_cdb(st, 1, 4);
		return;
	}
	if (parts & ~0x10u) {
		task_fail_cdb(st, 9, -1);
		return;
	}
	if (parts)
		sbc_read(st);
	else
		task_good(st); /* nothing was asked for */
}
