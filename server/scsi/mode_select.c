// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MODE SELECT (SPC-4 §6.9, §6.10). The whole list is checked before anything of it counts: each page must be one of
 * ours, of its length, and differ from the current one only where it can be changed.
 */
#include <string.h>

#include "base/util.h"
#include "scsi/mode.h"
#include "scsi/persist.h"

enum {
	SELECT_PF = 0x10,
	SELECT_SP = 0x01,
	HEADER_6 = 4,
	HEADER_10 = 8,
	PAGE_SPF = 0x40,
	SHORT_DESCRIPTOR = 8,
	LONG_DESCRIPTOR = 16
};

static const struct mode_page *find_page(const struct scsi_lu *lu, uint8_t code, uint8_t subpage)
{
	for (size_t i = 0; i < mode_page_count; i++)
		if (mode_pages[i].page == code && mode_pages[i].subpage == subpage &&
		    (mode_pages[i].types & lu->opcode_types))
			return &mode_pages[i];
	return NULL;
}

static uint64_t number(const uint8_t *at, unsigned bytes)
{
	uint64_t x = 0;

	for (unsigned i = 0; i < bytes; i++)
		x = x << 8 | at[i];
	return x;
}

/* SBC-3 §6.5.2: a descriptor may repeat what the medium is, and cannot change it. False: the task has ended. */
static bool check_descriptor(struct task_state *st, const uint8_t *list, size_t at, size_t len)
{
	bool is_long = len == LONG_DESCRIPTOR;
	uint64_t blocks, most, block_bytes;

	if (!len)
		return true;
	blocks = number(list + at, is_long ? 8 : 4);
	most = is_long ? UINT64_MAX : UINT32_MAX;
	block_bytes = is_long ? number(list + at + 12, 4) : number(list + at + 5, 3);
	if (blocks && blocks != most && blocks != st->lu->blocks) {
		task_fail_parameter(st, (unsigned)at, -1);
		return false;
	}
	if (block_bytes && block_bytes != lu_bytes(st->lu, 1)) {
		task_fail_parameter(st, (unsigned)at + (is_long ? 12 : 5), -1);
		return false;
	}
	return true;
}

/* The page at list[at] into values. Its length, or 0 where the task has ended. */
static size_t take_page(struct task_state *st, const uint8_t *list, size_t at, size_t len, struct mode_values *values)
{
	uint8_t now[MODE_PAGE_BYTES_MAX], mask[MODE_PAGE_BYTES_MAX];
	const struct mode_page *page;
	bool spf = list[at] & PAGE_SPF;

	if (len - at < (spf ? 4u : 2u)) {
		task_fail_list_length(st);
		return 0;
	}
	page = find_page(st->lu, list[at] & 0x3f, spf ? list[at + 1] : 0);
	if (!page || spf != (page->subpage != 0)) {
		task_fail_parameter(st, (unsigned)at, 5);
		return 0;
	}
	mode_page_build(page, st->lu, MODE_CURRENT, now);
	mode_page_build(page, st->lu, MODE_CHANGEABLE, mask);
	if (memcmp(list + at + 1, now + 1, spf ? 3 : 1) != 0) { /* the length */
		task_fail_parameter(st, (unsigned)at + (spf ? 2 : 1), -1);
		return 0;
	}
	if (page->bytes > len - at) {
		task_fail_list_length(st);
		return 0;
	}
	for (unsigned i = spf ? 4 : 2; i < page->bytes; i++) {
		unsigned wrong = (unsigned)(list[at + i] ^ now[i]) & ~(unsigned)mask[i];

		if (wrong) {
			task_fail_parameter(st, (unsigned)at + i, 31 - __builtin_clz(wrong));
			return 0;
		}
	}
	if (page->take)
		page->take(list + at, values);
	return page->bytes;
}

static void on_saved(struct save_waiter *waiter, int err)
{
	struct task_state *st = container_of(waiter, struct task_state, saved);

	if (err)
		task_fail(st, SENSE_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE);
	else
		task_good(st);
}

static void mode_apply(struct task_state *st, const struct mode_values *values, bool save)
{
	struct scsi_lu *lu = st->lu;

	if (!mode_values_equal(&lu->mode, values)) {
		lu->mode = *values;
		/* SPC-4 §6.9.1: all but the one that did it are told. */
		lu_raise_others(lu, st->nexus, UA_MODE_CHANGED);
		lu->written_unchecked = UINT32_MAX;
		lu->threshold_reported = false;
		lu_check_threshold(lu, 0);
	}
	if (!save) {
		task_good(st);
		return;
	}
	lu->saved_mode = lu->mode;
	st->saved.done = on_saved;
	persist_save(lu->target, &st->saved);
}

static void mode_select(struct task_state *st, size_t header_bytes)
{
	bool is_10 = header_bytes == HEADER_10, save = st->task->cdb[1] & SELECT_SP;
	struct mode_values values;
	size_t at, descriptor_bytes, wanted;
	const uint8_t *list;

	if (save && !persist_possible(st->target)) {
		task_fail_cdb(st, 1, 0);
		return;
	}
	if (!(st->task->cdb[1] & SELECT_PF) && st->length) {
		task_fail_cdb(st, 1, 4); /* vendor-specific pages, of which there are none */
		return;
	}
	/* SPC-4 §6.9.1: no list is no error. */
	values = st->lu->mode;
	if (!st->length) {
		mode_apply(st, &values, save);
		return;
	}
	list = task_parameters(st);
	if (!list)
		return;
	if (st->length < header_bytes) {
		task_fail_list_length(st);
		return;
	}
	if (list[is_10 ? 2 : 1]) {
		task_fail_parameter(st, is_10 ? 2 : 1, -1); /* MEDIUM TYPE */
		return;
	}
	descriptor_bytes = is_10 ? number(list + 6, 2) : list[3];
	wanted = is_10 && (list[4] & 0x01) ? LONG_DESCRIPTOR : SHORT_DESCRIPTOR;
	if (descriptor_bytes && descriptor_bytes != wanted) {
		task_fail_parameter(st, is_10 ? 6 : 3, -1);
		return;
	}
	if (descriptor_bytes > st->length - header_bytes) {
		task_fail_list_length(st);
		return;
	}
	if (!check_descriptor(st, list, header_bytes, descriptor_bytes))
		return;
	for (at = header_bytes + descriptor_bytes; at < st->length;) {
		size_t bytes = take_page(st, list, at, st->length, &values);

		if (!bytes)
			return;
		at += bytes;
	}
	mode_apply(st, &values, save);
}

void mode_select_6(struct task_state *st)
{
	mode_select(st, HEADER_6);
}

void mode_select_10(struct task_state *st)
{
	mode_select(st, HEADER_10);
}
