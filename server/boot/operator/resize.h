/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Larger volumes, also while somebody uses them. Blocking: HTTP's own threads, never a loop. Private to boot/. */
#ifndef BOOT_RESIZE_H
#define BOOT_RESIZE_H

#include "base/reason.h"
#include "boot/internal.h"

/* What is to grow, and who has it. */
struct resize_what {
	const struct volume *volume;
	int64_t machine_id; /* 0: nobody has it */
	unsigned lun;
	const char *called; /* in sentences: "the disk of pc-001" */
	const char *actor;  /* who wants it */
	const char *name;   /* the machine's or the volume's, in events */
	bool online;	    /* the answer: it grew under sessions, which have to look again */
};

/*
 * text: a size as people write it; *size_bytes is what it says. The volume, which the caller has claimed and read since,
 * has so much afterwards, durably; what is left is to write it into its row, with resize_recorded: where the server ends before that,
 * the next start does it. 0, or -errno with a sentence: -EINVAL, -EBUSY, -EIO,
 * -ENOSPC.
 */
int resize_claimed(struct boot *boot, struct resize_what *what, const char *text, uint64_t *size_bytes,
		   struct reason *reason);
/* In the write job that writes the row. */
int resize_recorded(struct inventory_tx *tx, int64_t volume_id);
/* How the machine that has it sees that it is larger; nothing where nobody has it open. */
void resize_say_how(const struct resize_what *what, const char *machine, struct reason *reason);

#endif
