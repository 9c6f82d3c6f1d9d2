// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The drive of a CD-ROM (MMC-6): features, events, mechanism. What lies in it is in mmc_disc.c.
 *
 * It is a drive whose medium never changes, and which cannot be opened: a medium comes and goes with its logical unit.
 * It has the commands that Linux (sr, cdrom_id), Windows, GRUB, EDK2 and iPXE send.
 */
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/handlers.h"

/* ---- START STOP UNIT (§6.42) ---- */

/* Nothing turns, so that every power condition is as good as another; nothing can be ejected or loaded. */
void mmc_start_stop(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	unsigned condition = cdb[4] >> 4;

	if (condition > 0x3 && condition != 0x5)
		task_fail_cdb(st, 4, 7);
	else if (!condition && (cdb[4] & 0x02) && !(cdb[4] & 0x01))
		task_fail_cdb(st, 4, 1); /* LOEJ without START: eject */
	else
		task_good(st);
}

/* ---- GET CONFIGURATION (§6.5, §5) ---- */

enum { PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };
enum { RT_ALL = 0, RT_CURRENT = 1, RT_ONE = 2, FEATURE_BYTES_MAX = 12 };
enum { ON_CD = 1, ON_DVD = 2, ALWAYS = 4 }; /* when a feature is current; ALWAYS is also "persistent" */

static const struct feature {
	uint16_t code;
	uint8_t current; /* ON_CD... */
	uint8_t version;
	uint8_t len;
	uint8_t data[8];
} features[] = {
	{ 0x0000, ALWAYS, 0, 8, { 0, PROFILE_DVD_ROM, 0, 0, 0, PROFILE_CD_ROM, 0, 0 } }, /* profiles; see put_feature */
	{ 0x0001, ALWAYS, 2, 8, { 0, 0, 0, 1 } },					 /* core: SCSI family */
	{ 0x0002, ALWAYS, 1, 4, { 0x02 } },						 /* morphing: OCEVENT */
	{ 0x0003, ALWAYS, 0, 4, { 0x21 } }, /* removable medium: a tray that cannot be opened; LOCK */
	{ 0x0010, ON_CD | ON_DVD, 0, 8, { 0, 0, 0x08, 0, 0, 1, 0x01 } }, /* random readable: 2048 bytes, 1 block, PP */
	{ 0x001d, ON_CD, 0, 0, { 0 } },					 /* multi-read */
	{ 0x001e, ON_CD, 2, 4, { 0 } },					 /* CD read: no C2, no CD text */
	{ 0x001f, ON_DVD, 1, 4, { 0 } },				 /* DVD read */
	{ 0x0100, ALWAYS, 0, 0, { 0 } },				 /* power management */
};

/* §5.2.2: its length. */
static size_t put_feature(const struct feature *f, bool dvd, uint8_t *out)
{
	bool current = f->current & (ALWAYS | (dvd ? ON_DVD : ON_CD));
	const struct be16 code = be16_put(f->code);

	memcpy(out, &code, sizeof(code));
	out[2] = (uint8_t)(f->version << 2 | (f->current == ALWAYS ? 0x02 : 0) | current);
	out[3] = f->len;
	memcpy(out + 4, f->data, f->len);
	if (f->code == 0x0000)
		out[dvd ? 6 : 10] = 0x01; /* CURRENTP */
	return 4u + f->len;
}

void mmc_get_configuration(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	unsigned from = (unsigned)cdb[2] << 8 | cdb[3], which = cdb[1];
	bool dvd = mmc_is_dvd(st->lu);
	const struct be16 profile = be16_put(dvd ? PROFILE_DVD_ROM : PROFILE_CD_ROM);
	struct be32 length;
	size_t len = 8;
	uint8_t *out;

	if (which > RT_ONE) {
		task_fail_cdb(st, 1, 1);
		return;
	}
	out = task_buffer(st, 8 + array_len(features) * FEATURE_BYTES_MAX);
	if (!out)
		return;
	for (size_t i = 0; i < array_len(features); i++) {
		const struct feature *f = &features[i];

		if (which == RT_ONE ? f->code != from : f->code < from)
			continue;
		if (which == RT_CURRENT && !(f->current & (ALWAYS | (dvd ? ON_DVD : ON_CD))))
			continue;
		len += put_feature(f, dvd, out + len);
	}
	length = be32_put((uint32_t)(len - 4));
	memcpy(out, &length, sizeof(length));
	memcpy(out + 6, &profile, sizeof(profile));
	task_data(st, len);
}

/* ---- GET EVENT STATUS NOTIFICATION (§6.7) ---- */

enum {
	EVENT_OPERATIONAL = 1,
	EVENT_POWER = 2,
	EVENT_MEDIA = 4,
	EVENT_CLASSES = 1 << EVENT_OPERATIONAL | 1 << EVENT_POWER | 1 << EVENT_MEDIA,
	EVENT_NONE = 0x80, /* NEA: none of the classes that were asked for is there */
	MEDIA_NEW = 0x02,
	MEDIA_PRESENT = 0x02,
	POWER_ACTIVE = 0x01,
};

/*
 * Polled only. One event there is: the medium is new, once for each nexus. Else the first of the classes that were asked
 * for says that nothing has changed.
 */
void mmc_get_event_status(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	unsigned classes = cdb[4] & EVENT_CLASSES, class;
	bool *told = &st->nexus->media_told[st->lu->number], news;
	uint8_t *out;

	if (!(cdb[1] & 0x01)) {
		task_fail_cdb(st, 1, 0);
		return;
	}
	out = task_buffer(st, 8);
	if (!out)
		return;
	out[3] = EVENT_CLASSES;
	if (!classes) {
		out[1] = 2;
		out[2] = EVENT_NONE;
		task_data(st, 4);
		return;
	}
	news = (classes & 1 << EVENT_MEDIA) && !*told;
	class = news ? (unsigned)EVENT_MEDIA : (unsigned)__builtin_ctz(classes);
	out[1] = 6;
	out[2] = (uint8_t) class;
	if (class == EVENT_MEDIA) {
		out[4] = news ? MEDIA_NEW : 0;
		out[5] = MEDIA_PRESENT;
		/* With less room than for the event it has not been told. */
		*told = *told || st->length >= 6;
	} else if (class == EVENT_POWER) {
		out[5] = POWER_ACTIVE;
	}
	task_data(st, 8);
}

/* ---- MECHANISM STATUS (§6.8): idle, and no changer ---- */

void mmc_mechanism_status(struct task_state *st)
{
	uint8_t *out = task_buffer(st, 8);

	if (!out)
		return;
	out[5] = 1; /* slots, without a table of them */
	task_data(st, 8);
}
