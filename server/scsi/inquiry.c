// SPDX-License-Identifier: GPL-2.0-or-later
/* INQUIRY (SPC-4 §6.6): who we are. The vital product data pages are in vpd.c. */
#include "base/be.h"
#include "scsi/handlers.h"

enum { INQUIRY_EVPD = 0x01 };

/* SPC-4 table 168 */
struct inquiry_data {
	uint8_t peripheral, removable, version, format, additional_length, flags5, flags6, flags7;
	uint8_t vendor[8], product[16], revision[4], vendor_specific[20], obsolete, reserved1;
	struct be16 versions[8];
	uint8_t reserved2[22];
};

/* SPC-4 annex E: SAM-5, SPC-4, SBC-3 (or MMC-6), iSCSI, no revision claimed */
enum { STANDARD_SBC_3 = 0x04c0, STANDARD_MMC_6 = 0x04e0, STANDARDS = 4 };

static void put_standards(struct be16 versions[STANDARDS], bool cdrom)
{
	versions[0] = be16_put(0x00a0);
	versions[1] = be16_put(0x0460);
	versions[2] = be16_put(cdrom ? STANDARD_MMC_6 : STANDARD_SBC_3);
	versions[3] = be16_put(0x0960);
}

void spc_inquiry(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	bool cdrom = st->lu && st->lu->type == SCSI_CDROM;
	struct inquiry_data *d;

	if (cdb[1] & INQUIRY_EVPD) {
		vpd_inquiry(st);
		return;
	}
	if (cdb[2]) {
		task_fail_cdb(st, 2, -1);
		return;
	}
	d = task_buffer(st, sizeof(*d));
	if (!d)
		return;
	d->peripheral = inquiry_peripheral(st);
	d->removable = cdrom ? 0x80 : 0;
	d->version = 0x06; /* SPC-4 */
	d->format = 0x12;  /* HISUP, response data format 2 */
	d->additional_length = sizeof(*d) - 5;
	d->flags7 = 0x02; /* CMDQUE */
	inquiry_put_vendor(st->lu, d->vendor, d->product);
	inquiry_put_revision(d->revision);
	put_standards(d->versions, cdrom);
	task_data(st, sizeof(*d));
}
