/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One volume of a target: prepared on a worker, opened and closed on the target's loop. Private to boot/.
 *
 *     boot_volume_hold (worker) -> rows are read -> boot_volume_prepare (worker) -> boot_volume_open (loop) -> in use
 *     -> boot_volume_close (loop)
 *
 * Hold before the rows are read: a person's change may be giving the volume another object just now.
 */
#ifndef BOOT_LOGIN_VOLUME_H
#define BOOT_LOGIN_VOLUME_H

#include "base/reason.h"
#include "boot/internal.h"

#include "store/store.h"

struct read_trace;
struct volume_user;

/* A volume on its way to being a LUN. */
struct target_volume {
	struct boot *boot;
	struct loop *loop;
	int64_t machine_id;
	unsigned lun;
	bool ephemeral;	      /* the machine needs its disk for one boot only; system volumes only */
	uint64_t quota_bytes; /* 0: no bound */
	struct volume volume;
	struct image_version version; /* id 0: none */
	char layer[NAME_MAX_TEXT];    /* the object of the snapshot that it stands on; "": none */
	bool held;		      /* disks_open_begin was said */
	int err;		      /* it cannot be opened: -errno and why */
	struct reason reason;
	struct read_trace *trace; /* NULL: nobody follows; referenced */
	struct volume_user *user; /* whom events of the disk concern */
	struct disk *disk;	  /* NULL: it is not open */
	bool interrupted;	  /* it lost writes with the server's power */
	uint64_t number;	  /* of the boot: what a who-am-i volume is made for */
	bool cdrom;		  /* it is one; else a disk */
	void (*opened)(struct target_volume *volume);
	void *owner;
};

/* True: it is ours to open, or needs no holding (read-only). False: err and reason say why not. */
bool boot_volume_hold(struct target_volume *volume);
/* Gives it back unopened; nothing where it is not held. */
void boot_volume_unhold(struct target_volume *volume);
/*
 * Blocking, with volume and version as the inventory has them: is it all right, is its golden version what was published
 * (invariant 7), is a fresh one durable? err and reason are set where not.
 */
void boot_volume_prepare(struct target_volume *volume);
/* The object of the snapshot that a volume stands on; "": none. Inside a job. */
int boot_volume_read_layer(struct inventory_tx *tx, const struct volume *volume, char layer[NAME_MAX_TEXT]);
/* Blocking: what its layers take counts against its quota. */
void boot_volume_count_layers(struct target_volume *volume);
/* On loop: opens it; opened comes there, with disk, or err and reason. It is given back where it could not be opened. */
void boot_volume_open(struct target_volume *volume);

/* Closes the disk of a LUN, and gives the volume back. closed, on its loop. */
void boot_volume_close(struct boot *boot, const struct boot_lun *lun, void (*closed)(void *arg), void *arg);

/* The machine that an open disk's events are of; NULL: it is shared. Opening the disk again hands it on, or frees it. */
struct volume_user *boot_volume_user_of(const struct disk *disk);
void boot_volume_user_free(struct volume_user *user);
/* What its disk is opened with. */
struct store_open boot_volume_how(const struct target_volume *volume);

#endif
