/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The timeline of a boot: when it reached which stage. Inside a job, like everything of inventory.h; times are Unix
 * milliseconds.
 */
#ifndef INVENTORY_STAGE_H
#define INVENTORY_STAGE_H

#include "inventory/inventory.h"

/* In the order in which a boot goes through them. A boot need not show all of them. */
enum stage {
	STAGE_DHCP,	    /* its firmware asked for an address */
	STAGE_BOOT_FILE,    /* it was given a boot file: iPXE, or iPXE its first script */
	STAGE_WAITED,	    /* it asked for its script and had to wait: for a person, an image, its turn */
	STAGE_SCRIPT,	    /* it was given the script that leads to its disk */
	STAGE_IPXE_LOGIN,   /* iPXE logged in to its target */
	STAGE_FIRST_READ,   /* the first READ of the boot */
	STAGE_LOADER_DONE,  /* the last command of iPXE's session before the kernel logged in, or before a silence */
	STAGE_KERNEL_LOGIN, /* another initiator than iPXE logged in */
	STAGE_STEADY,	    /* the system's session has stood for a while without a break */
	STAGES
};

enum { STAGE_DETAIL_TEXT = 128, STAGE_WHY_TEXT = 512 };

struct stage_record {
	int64_t machine_id;
	uint64_t number; /* of the boot */
	enum stage stage;
	int64_t at_ms;
	char detail[STAGE_DETAIL_TEXT];
	int64_t stuck_ms; /* 0: not. Means something only while no later stage is there */
	char why[STAGE_WHY_TEXT];
};

/* Keeps what is there already, or replaces it. -ENOENT: there is no such boot (any more). */
int stage_put(struct inventory_tx *tx, const struct stage_record *record, bool replace);
/* It does not get beyond this stage: stuck_ms and why of a record that is there. -ENOENT. */
int stage_set_stuck(struct inventory_tx *tx, const struct stage_record *record);
/* All stages of a boot go: the same pending boot is asked for anew. */
int stage_clear(struct inventory_tx *tx, int64_t machine_id, uint64_t number);
/* In the order of the stages. each returns 0 to go on. */
int stage_each(struct inventory_tx *tx, int64_t machine_id, uint64_t number,
	       int (*each)(void *arg, const struct stage_record *record), void *arg);

const char *stage_name(enum stage stage); /* "dhcp", "boot-file", ... */

#endif
