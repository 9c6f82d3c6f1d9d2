// SPDX-License-Identifier: GPL-2.0-or-later
/* The smaller commands of SPC-4: TEST UNIT READY, REQUEST SENSE, REPORT LUNS, diagnostics, LOG SENSE, PREVENT ALLOW. */
#include <string.h>

#include "base/be.h"
#include "scsi/handlers.h"

/* SPC-4 §6.47. A file is always ready. */
void spc_test_unit_ready(struct task_state *st)
{
	task_good(st);
}

/*
 * SPC-4 §6.39: GOOD, with sense data as data-in: a pending unit attention, or nothing to tell. For a LUN without
 * logical unit it says so there, too (§6.39.1).
 */
void spc_request_sense(struct task_state *st)
{
	struct sense sense = { .key = SENSE_NO_SENSE, .code = ASC_NO_ADDITIONAL };
	bool descriptor = st->task->cdb[1] & 0x01;
	uint8_t *out = task_buffer(st, SCSI_SENSE_MAX);

	if (!out)
		return;
	if (st->lun_kind == LUN_NONE)
		sense = (struct sense){ .key = SENSE_ILLEGAL_REQUEST, .code = ASC_LOGICAL_UNIT_NOT_SUPPORTED };
	else if (st->lu)
		lu_take_attention(st->lu, st->nexus, &sense);
	task_data(st, sense_encode(&sense, descriptor, out));
}

/* ---- REPORT LUNS (SPC-4 §6.33) ---- */

struct lun_list {
	struct be32 length;
	uint8_t reserved[4];
	uint8_t luns[][8];
};

enum { SELECT_ADDRESSED = 0x00, SELECT_WELL_KNOWN = 0x01, SELECT_ALL = 0x02 };

void spc_report_luns(struct task_state *st)
{
	uint8_t select = st->task->cdb[2];
	struct lun_list *list;
	unsigned count = 0;

	if (select > SELECT_ALL) {
		task_fail_cdb(st, 2, -1);
		return;
	}
	list = task_buffer(st, sizeof(*list) + (SCSI_LUNS + 1) * sizeof(list->luns[0]));
	if (!list)
		return;
	for (unsigned i = 0; i < SCSI_LUNS && select != SELECT_WELL_KNOWN; i++)
		if (st->target->lus[i])
			list->luns[count++][1] = (uint8_t)i; /* peripheral device addressing */
	if (select != SELECT_ADDRESSED) {
		list->luns[count][0] = 0xc1;
		list->luns[count++][1] = 0x01;
	}
	list->length = be32_put(count * 8);
	/* SPC-4 §6.33.1: what it tells is what REPORTED LUNS DATA HAS CHANGED is about. */
	for (unsigned i = 0; i < SCSI_LUNS; i++)
		if (st->target->lus[i])
			lu_drop_attention(st->target->lus[i], st->nexus, UA_LUNS_CHANGED);
	task_data(st, sizeof(*list) + (size_t)count * 8);
}

/* ---- diagnostics ---- */

/* SPC-4 §6.42: the default self-test, which a file passes; the mask lets nothing else through. */
void spc_send_diagnostic(struct task_state *st)
{
	task_good(st);
}

/* SPC-4 §6.32: the list of supported diagnostic pages, which is that page alone. */
void spc_receive_diagnostic(struct task_state *st)
{
	bool page_valid = st->task->cdb[1] & 0x01;
	uint8_t *out;

	if (st->task->cdb[2]) {
		task_fail_cdb(st, page_valid ? 2 : 1, -1);
		return;
	}
	out = task_buffer(st, 5);
	if (!out)
		return;
	out[3] = 1; /* page length: one page code, 00h */
	task_data(st, 5);
}

/* ---- LOG SENSE (SPC-4 §6.8): the page list, and logical block provisioning (SBC-3 §6.4.3) ---- */

enum { LOG_PAGE_LIST = 0x00, LOG_PAGE_PROVISIONING = 0x0c, LOG_SUBPAGES = 0xff, LOG_USED_RESOURCES = 0x0002 };

struct log_page {
	uint8_t code, subpage;
	struct be16 length;
};

struct log_used {
	struct be16 code;
	uint8_t control, length;
	struct be32 count;
	uint8_t scope, reserved[3];
};

static size_t log_list(uint8_t *out, bool subpages)
{
	static const uint8_t codes[] = { LOG_PAGE_LIST, LOG_PAGE_PROVISIONING };
	size_t len = 0;

	for (size_t i = 0; i < sizeof(codes); i++) {
		out[len++] = codes[i];
		if (subpages)
			out[len++] = 0;
	}
	if (subpages) { /* the list of pages and subpages itself */
		out[len++] = LOG_PAGE_LIST;
		out[len++] = LOG_SUBPAGES;
	}
	return len;
}

static size_t log_provisioning(const struct task_state *st, uint8_t *out)
{
	struct log_used used = { .code = be16_put(LOG_USED_RESOURCES), .control = 0x03, .length = 8, .scope = 0x01 };
	unsigned from = (unsigned)st->task->cdb[5] << 8 | st->task->cdb[6];

	if (from > LOG_USED_RESOURCES)
		return 0;
	used.count = be32_put(lu_used_sets(st->lu));
	memcpy(out, &used, sizeof(used));
	return sizeof(used);
}

void spc_log_sense(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	uint8_t code = cdb[2] & 0x3f, subpage = cdb[3];
	struct log_page *page;
	size_t len;

	/* Cumulative values only (PC=01b); threshold and default values do not exist. */
	if ((cdb[2] >> 6) != 1 && (cdb[2] >> 6) != 0) {
		task_fail_cdb(st, 2, 7);
		return;
	}
	if (code != LOG_PAGE_LIST && code != LOG_PAGE_PROVISIONING) {
		task_fail_cdb(st, 2, 5);
		return;
	}
	if (subpage && !(code == LOG_PAGE_LIST && subpage == LOG_SUBPAGES)) {
		task_fail_cdb(st, 3, -1);
		return;
	}
	page = task_buffer(st, sizeof(*page) + 64);
	if (!page)
		return;
	page->code = code;
	if (subpage) {
		page->code |= 0x40; /* SPF */
		page->subpage = subpage;
	}
	len = code == LOG_PAGE_LIST ? log_list((uint8_t *)(page + 1), subpage != 0) :
				      log_provisioning(st, (uint8_t *)(page + 1));
	page->length = be16_put((uint16_t)len);
	task_data(st, sizeof(*page) + len);
}

/* SPC-4 §6.13. The medium cannot be removed, so to prevent it is easy. */
void spc_prevent_allow(struct task_state *st)
{
	task_good(st);
}
