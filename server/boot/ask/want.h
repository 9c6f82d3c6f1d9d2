/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a known machine is to boot: its boot-once, its own, its group's, else its disk; and what was chosen in its menu.
 * Private to boot/.
 */
#ifndef BOOT_WANT_H
#define BOOT_WANT_H

#include "ask.h"
#include "base/reason.h"
#include "boot/script/entry.h"
#include "decide.h"

enum { WANT_IMAGES_MAX = 24 };

struct want {
	enum decide_want kind;
	bool once;	      /* boot-once says so */
	bool chosen;	      /* in the menu */
	char text[BOOT_TEXT]; /* an entry's name, or a URL */
	bool found;	      /* there is such an entry, or it is a URL */
	struct entry entry;   /* where found; a URL is one of kind chain without a name */
	unsigned cd_lun;      /* WANT_DISK: it boots from this CD, its disk beside it; 0: from its disk */
	int64_t version_id;   /* an image was chosen: a disk of it; 0: none was */
	/* WANT_MENU: images that may be chosen, their newest published versions */
	struct {
		char name[NAME_MAX_TEXT];
		unsigned number;
	} images[WANT_IMAGES_MAX];
	unsigned image_count;
	bool images_free; /* another image would destroy nothing: the disk is new at each boot, or was never used */
};

/* Inside a job. 0 or -errno. */
int want_lookup(struct inventory_tx *tx, struct entries *entries, const struct asker *asker,
		const struct machine *machine, const struct policy *policy, struct want *want);
/* disk, local, menu, a URL, or an entry that there is; else a sentence in reason. */
bool want_valid(struct entries *entries, const char *text, struct reason *reason);
/* Another image would destroy nothing of this machine. */
bool want_image_is_free(const struct machine *machine, const struct policy *policy);
/* Uses up the boot-once of a machine, with an event. Inside a write job. */
int want_use_once(struct inventory_tx *tx, struct machine *machine);

#endif
