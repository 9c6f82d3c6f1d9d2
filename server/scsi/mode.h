/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mode pages (SPC-4 §7.5, SBC-3 §6.5) and the commands that read and change them. Private to scsi/. */
#ifndef SCSI_MODE_H
#define SCSI_MODE_H

#include "scsi/task.h"

enum {
	MODE_PAGE_RECOVERY = 0x01,
	MODE_PAGE_CACHING = 0x08,
	MODE_PAGE_CONTROL = 0x0a,
	MODE_PAGE_POWER = 0x1a,
	MODE_PAGE_EXCEPTIONS = 0x1c,
	MODE_PAGE_CAPABILITIES = 0x2a,
	MODE_PAGE_ALL = 0x3f,
	MODE_SUBPAGE_PROVISIONING = 0x02, /* of 1Ch */
	MODE_SUBPAGE_ALL = 0xff,
};

/* SPC-4 §6.11.1, PC field */
enum mode_control { MODE_CURRENT, MODE_CHANGEABLE, MODE_DEFAULT, MODE_SAVED };

/* One page, described once: how it looks with given values, what of it can be changed, how a new one is taken over. */
struct mode_page {
	uint8_t types; /* of device that have it: OPCODE_DISK... */
	uint8_t page, subpage;
	uint8_t bytes; /* with its header */
	void (*build)(const struct mode_values *values, uint8_t *page);
	void (*mask)(uint8_t *page); /* ones where it can be changed; the page is zeroed */
	void (*take)(const uint8_t *page, struct mode_values *values);
};

extern const struct mode_page mode_pages[];
extern const size_t mode_page_count;
enum { MODE_PAGE_BYTES_MAX = 32 };

struct mode_values mode_defaults(void);
bool mode_values_equal(const struct mode_values *a, const struct mode_values *b);
/* The page as it is sent, header and all; out holds MODE_PAGE_BYTES_MAX. */
void mode_page_build(const struct mode_page *page, const struct scsi_lu *lu, enum mode_control control, uint8_t *out);

void mode_sense_6(struct task_state *st);
void mode_sense_10(struct task_state *st);
void mode_select_6(struct task_state *st);
void mode_select_10(struct task_state *st);

#endif
