// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Larger volumes: see resize.h. Where the volume is open, its target's loop closes, grows and opens it again under its
 * sessions (login/grow.c); where it is closed, it is grown here, under a claim, which keeps it closed.
 */
#include "resize.h"

#include "inventory/unfinished.h"
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

/* ---- what the next start must know, where the server ends before the row says it ---- */

static int record_put(struct inventory_tx *tx, void *arg)
{
	return unfinished_put(tx, arg);
}

static int record_forget(struct inventory_tx *tx, void *arg)
{
	const struct unfinished *what = arg;

	return unfinished_forget(tx, what->kind, what->id);
}

int resize_recorded(struct inventory_tx *tx, int64_t volume_id)
{
	return unfinished_forget(tx, UNFINISHED_RESIZE, volume_id);
}

static int grow_recorded(struct boot *boot, struct resize_what *what, uint64_t size_bytes, struct reason *reason)
{
	struct unfinished record = { .kind = UNFINISHED_RESIZE, .id = what->volume->id };
	int err;

	snprintf(record.actor, sizeof(record.actor), "%s", what->actor);
	snprintf(record.name, sizeof(record.name), "%s", what->name);
	snprintf(record.detail, sizeof(record.detail), "%llu", (unsigned long long)size_bytes);
	err = inventory_write_call(boot->inventory, record_put, &record);
	if (err)
		return reason_refuse(reason, err, "it could not be written down, and nothing is changed: %s",
				     strerror(-err));
	err = grow(boot, what, size_bytes, reason);
	if (err)
		inventory_write_call(boot->inventory, record_forget, &record);
	return err;
}

int resize_claimed(struct boot *boot, struct resize_what *what, const char *text, uint64_t *size_bytes,
		   struct reason *reason)
{
	int err = check(boot, what, text, size_bytes, reason);

	return err ? err : grow_recorded(boot, what, *size_bytes, reason);
}

void resize_say_how(const struct resize_what *what, const char *machine, struct reason *reason)
{
	if (what->online)
		reason_set(reason,
			   "%s runs: it sees the new size after a rescan; on Linux: for d in "
			   "/sys/class/scsi_device/*:%u; do echo 1 >$d/device/rescan; done",
			   machine, what->lun);
}
