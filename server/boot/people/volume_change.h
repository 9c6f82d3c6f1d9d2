/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thing that a person asked of a volume: what was asked, and what was found. Private to boot/. */
#ifndef BOOT_VOLUME_CHANGE_H
#define BOOT_VOLUME_CHANGE_H

#include "boot/internal.h"

struct volume_change {
	struct boot *boot;
	const char *actor;
	char *reason; /* the caller's; after success: what to do next, or "" */
	size_t reason_size;
	/* what was asked; NULL where there is no such thing */
	const char *volume_text, *machine_text, *key, *value;
	const struct boot_volume_new *create;
	int wanted_lun; /* -1: any */
	bool any_kind;	/* system volumes, too */
	uint64_t size_bytes;
	/* what was found */
	struct volume volume;
	struct machine machine; /* that was named, or that has it */
	struct machine holder;
	struct image_version version;
	unsigned lun, holders;
	bool attached; /* to machine, as lun */
	/* made in the job: its object is deleted again where the commit fails; and one that the commit gave up */
	struct volume made, given_up;
};

#endif
