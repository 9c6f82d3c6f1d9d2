// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Larger volumes: see resize.h. Where the volume is open, its target's loop closes, grows and opens it again under its
 * sessions (login/grow.c); where it is closed, it is grown here, under a claim, which keeps it closed.
 */
#include "resize.h"

#include "running.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RESIZE_UNIT_BYTES = 4096 };

static int check(struct boot *boot, const struct resize_what *what, const char *text, uint64_t *size_bytes, char *reason,
		 size_t reason_size)
{
	struct volume_info info;
	int err;

	if (!parse_size(text, size_bytes) || !*size_bytes || *size_bytes % RESIZE_UNIT_BYTES) {
		snprintf(reason, reason_size, "size: expected a multiple of 4 KiB, such as 40G");
		return -EINVAL;
	}
	if (!what->volume->object[0]) {
		snprintf(reason, reason_size, "%s is a golden version as it is: its size is its image's", what->called);
		return -EINVAL;
	}
	if (what->volume->state == VOLUME_FAILED) {
		snprintf(reason, reason_size, "%s failed: first reset it, or lift that (state=ready)", what->called);
		return -EIO;
	}
	err = store_volume_info(boot->store, what->volume, NULL, &info);
	if (err) {
		snprintf(reason, reason_size, "%s cannot be read", what->called);
		return err;
	}
	if (*size_bytes >= info.virtual_bytes)
		return 0;
	snprintf(reason, reason_size, "%s has %llu bytes already, and a disk only grows: nothing is changed",
		 what->called, (unsigned long long)info.virtual_bytes);
	return -EINVAL;
}

/* The claim keeps it closed where it is closed. */
static int grow(struct boot *boot, struct resize_what *what, uint64_t size_bytes, char *reason,
			size_t reason_size)
{
	int err = what->machine_id ? running_resize(boot, what->machine_id, what->lun, size_bytes, reason, reason_size)
				   : -ENOENT;

	what->online = !err;
	if (err != -ENOENT)
		return err;
	if (disks_wait_closed(&boot->disks, what->volume->id, BOOT_CLOSE_MS)) {
		snprintf(reason, reason_size, "%s does not close: try again, and see the log", what->called);
		return -EBUSY;
	}
	return store_grow_volume(boot->store, what->volume, size_bytes, reason, reason_size);
}

int resize_claimed(struct boot *boot, struct resize_what *what, const char *text, uint64_t *size_bytes,
		   char *reason, size_t reason_size)
{
	int err = check(boot, what, text, size_bytes, reason, reason_size);

	return err ? err : grow(boot, what, *size_bytes, reason, reason_size);
}
