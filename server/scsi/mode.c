// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mode pages, and MODE SENSE (SPC-4 §6.11, §6.12). What can be changed is in struct mode_values; a page is made
 * from it each time that it is asked for, so current, default and saved values cannot disagree with what the target
 * does.
 */
#include "scsi/mode.h"

#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/persist.h"

enum {
	CACHING_WCE = 0x04,
	CONTROL_D_SENSE = 0x04,
	CONTROL_GLTSD = 0x02,
	CONTROL_SWP = 0x08,
	DEVICE_WP = 0x80,
	DEVICE_DPOFUA = 0x10,
	PAGE_PS = 0x80,
	PAGE_SPF = 0x40,
	SENSE_DBD = 0x08,
	SENSE_LLBAA = 0x10,
	/* logical block provisioning page */
	THRESHOLD_ENABLED = 0x80,
	THRESHOLD_INCREASING = 0x01,
	THRESHOLD_USED = 0x02,
	PAGE_HEADER = 2,
	SUBPAGE_HEADER = 4,
};

/* SPC-4 §7.5.5: mode parameter headers and block descriptors (SBC-3 §6.5.2) */
struct mode_header_6 {
	uint8_t length, medium, device, descriptors;
};

struct mode_header_10 {
	struct be16 length;
	uint8_t medium, device, long_lba, reserved;
	struct be16 descriptors;
};

struct block_descriptor {
	struct be32 blocks;
	uint8_t reserved;
	struct be24 block_bytes;
};

struct long_block_descriptor {
	struct be64 blocks;
	uint8_t reserved[4];
	struct be32 block_bytes;
};

/* SBC-3 §6.5.7: one threshold descriptor, soft, on the space used */
struct provisioning_page {
	uint8_t page, subpage;
	struct be16 length;
	uint8_t flags, reserved[11];
	uint8_t enabled, resource, reserved2[2];
	struct be32 count;
};

/* ---- the pages ---- */

/* SBC-3 §6.5.8. AWRE, ARRE: whatever lies below relocates by itself. */
static void recovery_build(const struct mode_values *v, uint8_t *page)
{
	(void)v;
	page[2] = 0xc0;
}

/* SBC-3 §6.5.5 */
static void caching_build(const struct mode_values *v, uint8_t *page)
{
	page[2] = v->wce ? CACHING_WCE : 0;
	page[4] = page[5] = 0xff;   /* DISABLE PREFETCH TRANSFER LENGTH: never */
	page[8] = page[9] = 0xff;   /* MAXIMUM PREFETCH */
	page[10] = page[11] = 0xff; /* and its ceiling */
}

static void caching_mask(uint8_t *page)
{
	page[2] = CACHING_WCE;
}

static void caching_take(const uint8_t *page, struct mode_values *v)
{
	v->wce = page[2] & CACHING_WCE;
}

/* SPC-4 §7.5.8. Restricted reordering (overlapping requests keep their order), no TAS, QERR=0. */
static void control_build(const struct mode_values *v, uint8_t *page)
{
	page[2] = (uint8_t)(CONTROL_GLTSD | (v->d_sense ? CONTROL_D_SENSE : 0));
	page[4] = v->swp ? CONTROL_SWP : 0;
	page[9] = SCSI_NO_SPACE_BUSY_MS / 100; /* BUSY TIMEOUT PERIOD, in 100 ms */
}

static void control_mask(uint8_t *page)
{
	page[2] = CONTROL_D_SENSE;
	page[4] = CONTROL_SWP;
}

static void control_take(const uint8_t *page, struct mode_values *v)
{
	v->d_sense = page[2] & CONTROL_D_SENSE;
	v->swp = page[4] & CONTROL_SWP;
}

/* SPC-4 §7.5.11: DEXCPT, there are no informational exceptions. */
static void exceptions_build(const struct mode_values *v, uint8_t *page)
{
	(void)v;
	page[2] = 0x08;
}

static void provisioning_build(const struct mode_values *v, uint8_t *page)
{
	struct provisioning_page *p = (struct provisioning_page *)page;

	p->enabled = (uint8_t)(THRESHOLD_INCREASING | (v->threshold_enabled ? THRESHOLD_ENABLED : 0));
	p->resource = THRESHOLD_USED;
	p->count = be32_put(v->threshold_count);
}

static void provisioning_mask(uint8_t *page)
{
	struct provisioning_page *p = (struct provisioning_page *)page;

	p->enabled = THRESHOLD_ENABLED;
	p->count = be32_put(UINT32_MAX);
}

static void provisioning_take(const uint8_t *page, struct mode_values *v)
{
	const struct provisioning_page *p = (const struct provisioning_page *)page;

	v->threshold_enabled = p->enabled & THRESHOLD_ENABLED;
	v->threshold_count = be32_get(p->count);
}

/* ---- those of a CD-ROM (MMC-6 §7) ---- */

/* Read error recovery (§7.3) without retries, power condition (§7.5) without timers: all 0. */
static void zero_build(const struct mode_values *v, uint8_t *page)
{
	(void)v;
	(void)page;
}

/* MMC-3 §6.3.11, CD/DVD capabilities and mechanical status, which Linux looks at: CDs and DVDs are read, not written. */
static void capabilities_build(const struct mode_values *v, uint8_t *page)
{
	enum { SPEED_KB = 50 * 176, BUFFER_KB = 2048 };
	const struct be16 speed = be16_put(SPEED_KB), buffer = be16_put(BUFFER_KB);

	(void)v;
	page[2] = 0x3b; /* CD-R, CD-RW, DVD-ROM, DVD-R, DVD-RAM */
	page[6] = 0x21; /* a tray that nobody can open; PREVENT is understood */
	memcpy(page + 8, &speed, sizeof(speed));
	memcpy(page + 12, &buffer, sizeof(buffer));
	memcpy(page + 14, &speed, sizeof(speed));
}

enum { DISK = OPCODE_DISK, CD = OPCODE_CDROM };

const struct mode_page mode_pages[] = {
	{ DISK, MODE_PAGE_RECOVERY, 0, 12, recovery_build, NULL, NULL },
	{ CD, MODE_PAGE_RECOVERY, 0, 12, zero_build, NULL, NULL },
	{ DISK, MODE_PAGE_CACHING, 0, 20, caching_build, caching_mask, caching_take },
	{ DISK | CD, MODE_PAGE_CONTROL, 0, 12, control_build, control_mask, control_take },
	{ CD, MODE_PAGE_POWER, 0, 12, zero_build, NULL, NULL },
	{ DISK, MODE_PAGE_EXCEPTIONS, 0, 12, exceptions_build, NULL, NULL },
	{ DISK, MODE_PAGE_EXCEPTIONS, MODE_SUBPAGE_PROVISIONING, sizeof(struct provisioning_page), provisioning_build,
	  provisioning_mask, provisioning_take },
	{ CD, MODE_PAGE_CAPABILITIES, 0, 26, capabilities_build, NULL, NULL },
};
const size_t mode_page_count = array_len(mode_pages);

struct mode_values mode_defaults(void)
{
	return (struct mode_values){ .wce = true };
}

bool mode_values_equal(const struct mode_values *a, const struct mode_values *b)
{
	return a->wce == b->wce && a->d_sense == b->d_sense && a->swp == b->swp &&
	       a->threshold_enabled == b->threshold_enabled && a->threshold_count == b->threshold_count;
}

void mode_page_build(const struct mode_page *page, const struct scsi_lu *lu, enum mode_control control, uint8_t *out)
{
	struct mode_values defaults = mode_defaults();

	memset(out, 0, page->bytes);
	switch (control) {
	case MODE_CURRENT:
		page->build(&lu->mode, out);
		break;
	case MODE_CHANGEABLE:
		if (page->mask)
			page->mask(out);
		break;
	case MODE_DEFAULT:
		page->build(&defaults, out);
		break;
	case MODE_SAVED:
		page->build(&lu->saved_mode, out);
		break;
	}
	out[0] = page->page;
	if (page->take && persist_possible(lu->target))
		out[0] |= PAGE_PS;
	if (page->subpage) {
		out[0] |= PAGE_SPF;
		out[1] = page->subpage;
		out[3] = (uint8_t)(page->bytes - SUBPAGE_HEADER);
	} else {
		out[1] = (uint8_t)(page->bytes - PAGE_HEADER);
	}
}

/* ---- MODE SENSE ---- */

struct mode_request {
	enum mode_control control;
	uint8_t page, subpage;
	bool long_lba;
};

static bool page_wanted(const struct scsi_lu *lu, const struct mode_page *page, const struct mode_request *want)
{
	if (!(page->types & lu->opcode_types))
		return false;
	if (want->page != MODE_PAGE_ALL && want->page != page->page)
		return false;
	return want->subpage == page->subpage || want->subpage == MODE_SUBPAGE_ALL;
}

/* The block descriptor; its length. A CD-ROM has none (MMC-6 §7.2.1). */
static size_t put_block_descriptor(const struct scsi_lu *lu, bool long_lba, uint8_t *out)
{
	if (lu->type == SCSI_CDROM)
		return 0;
	if (long_lba) {
		struct long_block_descriptor d = { .blocks = be64_put(lu->blocks),
						   .block_bytes = be32_put(SCSI_BLOCK) };

		memcpy(out, &d, sizeof(d));
		return sizeof(d);
	}
	struct block_descriptor d = { .blocks = be32_put((uint32_t)min_u64(lu->blocks, UINT32_MAX)) };

	d.block_bytes.b[1] = SCSI_BLOCK >> 8;
	memcpy(out, &d, sizeof(d));
	return sizeof(d);
}

/* Block descriptor and pages behind a header of header_bytes; the whole length, or 0 where the task has ended. */
static size_t mode_sense(struct task_state *st, size_t header_bytes, size_t *descriptor_bytes, uint8_t **data)
{
	const uint8_t *cdb = st->task->cdb;
	struct mode_request want = { .control = (enum mode_control)(cdb[2] >> 6),
				     .page = cdb[2] & 0x3f,
				     .subpage = cdb[3] };
	size_t len = header_bytes;
	unsigned found = 0;

	/* SPC-4 §6.11.1: saved values only where something can be saved */
	if (want.control == MODE_SAVED && !persist_possible(st->target)) {
		task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED);
		return 0;
	}
	*data = task_buffer(st, header_bytes + sizeof(struct long_block_descriptor) +
					mode_page_count * MODE_PAGE_BYTES_MAX);
	if (!*data)
		return 0;
	want.long_lba = header_bytes == sizeof(struct mode_header_10) && (cdb[1] & SENSE_LLBAA);
	*descriptor_bytes = cdb[1] & SENSE_DBD ? 0 : put_block_descriptor(st->lu, want.long_lba, *data + len);
	len += *descriptor_bytes;
	for (size_t i = 0; i < mode_page_count; i++) {
		if (!page_wanted(st->lu, &mode_pages[i], &want))
			continue;
		mode_page_build(&mode_pages[i], st->lu, want.control, *data + len);
		len += mode_pages[i].bytes;
		found++;
	}
	if (found)
		return len;
	task_fail_cdb(st, want.subpage ? 3 : 2, want.subpage ? -1 : 5);
	return 0;
}

static uint8_t device_parameter(const struct scsi_lu *lu)
{
	if (lu->type == SCSI_CDROM)
		return 0; /* MMC-6 §7.2.1: reserved */
	return (uint8_t)(DEVICE_DPOFUA | (lu->read_only || lu->mode.swp ? DEVICE_WP : 0));
}

void mode_sense_6(struct task_state *st)
{
	struct mode_header_6 header = { .device = device_parameter(st->lu) };
	size_t descriptor_bytes, len;
	uint8_t *data;

	len = mode_sense(st, sizeof(header), &descriptor_bytes, &data);
	if (!len)
		return;
	header.length = (uint8_t)(len - 1);
	header.descriptors = (uint8_t)descriptor_bytes;
	memcpy(data, &header, sizeof(header));
	task_data(st, len);
}

void mode_sense_10(struct task_state *st)
{
	struct mode_header_10 header = { .device = device_parameter(st->lu) };
	size_t descriptor_bytes, len;
	uint8_t *data;

	len = mode_sense(st, sizeof(header), &descriptor_bytes, &data);
	if (!len)
		return;
	header.length = be16_put((uint16_t)(len - 2));
	header.long_lba = descriptor_bytes == sizeof(struct long_block_descriptor);
	header.descriptors = be16_put((uint16_t)descriptor_bytes);
	memcpy(data, &header, sizeof(header));
	task_data(st, len);
}
