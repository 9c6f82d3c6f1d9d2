// SPDX-License-Identifier: GPL-2.0-or-later
/* Who a logical unit is, for standard INQUIRY data and vital product data alike (SPC-4 §6.6, §7.8). */
#include <stdio.h>
#include <string.h>

#include "scsi/handlers.h"

/* Fills out with ASCII, padded with blanks to size, never terminated (SPC-4 §4.4.1). */
static void inquiry_put_text(void *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	memset(out, ' ', size);
	memcpy(out, text, len < size ? len : size);
}

void inquiry_put_vendor(const struct scsi_lu *lu, uint8_t vendor[8], uint8_t product[16])
{
	inquiry_put_text(vendor, 8, "SANBOOT");
	inquiry_put_text(product, 16, lu && lu->type == SCSI_CDROM ? "Diskless CD-ROM" : "Diskless Disk");
}

size_t inquiry_serial(const struct scsi_lu *lu, char out[INQUIRY_SERIAL_MAX])
{
	int len;

	if (lu->serial[0])
		len = snprintf(out, INQUIRY_SERIAL_MAX, "%s", lu->serial);
	else if (lu->number)
		len = snprintf(out, INQUIRY_SERIAL_MAX, "%.100s-%u", lu->target->serial, lu->number);
	else
		len = snprintf(out, INQUIRY_SERIAL_MAX, "%.100s", lu->target->serial);
	return (size_t)len;
}

/* Four characters: the version without what does not fit, and without a dot at its end. */
void inquiry_put_revision(uint8_t revision[4])
{
	inquiry_put_text(revision, 4, SANBOOTD_VERSION);
	if (revision[3] == '.')
		revision[3] = ' ';
}

uint8_t inquiry_peripheral(const struct task_state *st)
{
	switch (st->lun_kind) {
	case LUN_UNIT:
		return (uint8_t)st->lu->type; /* connected */
	case LUN_WELL_KNOWN:
		return 0x1e;
	default: /* SPC-4 §6.6.2: no logical unit can be there */
		return 0x7f;
	}
}
