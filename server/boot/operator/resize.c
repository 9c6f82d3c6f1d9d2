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

static int check(struct boot *boot, const struct resize_what *what, const char *text, uint64_t *size_bytes,
		 struct reason *reason)
{
	struct volume_info info;
	int err;

	if (!parse_size(text, size_bytes) || !*size_bytes || *size_bytes % RESIZE_UNIT_BYTES)
		return reason_refuse(reason, -EINVAL, "size: expected a multiple of 4 KiB, such as 40G");
	if (!what->volume->object[0])
		return reason_refuse(reason, -EINVAL, "%s is a golden version as it is: its size is its image's",
				     what->called);
	if (what->volume->state == VOLUME_FAILED)
		return reason_refuse(reason, -EIO, "%s failed: first reset it, or lift that (state=ready)",
				     what->called);
	err = store_volume_info(boot->store, what->volume, NULL, &info);
	if (err)
		return reason_refuse(reason, err, "%s cannot be read", what->called);
	if (*size_bytes >= info.virtual_bytes)
		return 0;
	return reason_refuse(reason, -EINVAL, "%s has %llu bytes already, and a disk only grows: nothing is changed",
			     what->called, (unsigned long long)info.virtual_bytes);
}

/* The claim keeps it closed where it is closed. */
static int grow(struct boot *boot, struct resize_what *what, uint64_t size_bytes, struct reason *reason)
{
	int err = what->machine_id ? running_resize(boot, what->machine_id, what->lun, size_bytes, reason) : -ENOENT;

	what->online = !err;
	if (err != -ENOENT)
		return err;
	if (disks_wait_closed(&boot->disks, what->volume->id, BOOT_CLOSE_MS))
		return reason_refuse(reason, -EBUSY, "%s does not close: try again, and see the log", what->called);
	return store_grow_volume(boot->store, what->volume, size_bytes, reason);
}

int resize_claimed(struct boot *boot, struct resize_what *what, const char *text, uint64_t *size_bytes,
		   struct reason *reason)
{
	int err = check(boot, what, text, size_bytes, reason);

	return err ? err : grow(boot, what, *size_bytes, reason);
}

void resize_say_how(const struct resize_what *what, const char *machine, struct reason *reason)
{
	if (what->online)
		reason_set(reason,
			   "%s runs: it sees the new size after a rescan; on Linux: for d in "
			   "/sys/class/scsi_device/*:%u; do echo 1 >$d/device/rescan; done",
			   machine, what->lun);
}
