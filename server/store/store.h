/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images and children as files under the state directory:
 *
 *     STATE/images/NAME@V.raw      golden, read-only (0444)
 *     STATE/images/NAME@V.raw.bootset   what its boots need of it (boot_set.h)
 *     STATE/children/CHILD         qcow2, backing file "../images/NAME@V.raw"
 *     STATE/tmp/                   imports in progress; emptied at start
 *
 * What is on the disk and what is in the inventory agree after every start: store_reclaim removes what nobody refers
 * to. All of it blocks and runs on workers (or HTTP threads), never on a loop, unless said otherwise.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "inventory/inventory.h"

#include <stdbool.h>
#include <stdint.h>

struct boot_set;
struct boot_trace;
struct disk_env;
struct pool;
struct store;

/*
 * Makes the folders, takes the lock of the state directory (STATE/lock: another process there is -EBUSY with its pid in
 * reason), finds qemu-img. The lock must be taken before the inventory is opened: call this first, with inventory NULL,
 * then store_attach.
 */
int store_open(const char *state_dir, struct pool *pool, struct store **store, char *reason, size_t reason_size);
/*
 * Then: removes orphans of an earlier crash (files without rows), makes fresh children that are missing, checks that
 * images are there.
 */
int store_attach(struct store *store, struct inventory *inventory, char *reason, size_t reason_size);
/*
 * Ends what is being imported (which needs the inventory and the pool: call it before theirs are closed), gives the
 * lock back.
 */
void store_close(struct store *store);
const char *store_inventory_path(const struct store *store);

/* ---- images ---- */

enum import_stage { IMPORT_QUEUED, IMPORT_CHECKING, IMPORT_CONVERTING, IMPORT_HASHING, IMPORT_DONE, IMPORT_FAILED };

struct import_status {
	uint64_t id;
	enum import_stage stage;
	char name[NAME_MAX_TEXT];
	unsigned percent;
	char text[REASON_TEXT]; /* what it is doing; why it failed and what to do */
	int64_t version_id;	/* DONE */
	char warnings[1024];	/* DONE: lines */
};

/*
 * Begins an import in the background (POOL_SLOW): raw, qcow2, VHD, VHDX, VMDK; the format is probed by us from magic
 * numbers and given to qemu-img explicitly. 0 and *id, or -EINVAL/-ENOENT with a sentence. qemu-img runs without
 * privileges; its progress is followed.
 */
int store_import(struct store *store, const char *path, const char *name, bool make_default, const char *actor,
		 uint64_t *id, char *reason, size_t reason_size);
/* -ENOENT. Any thread. The last 32 imports are remembered. */
int store_import_status(struct store *store, uint64_t id, struct import_status *status);
int store_remove_version(struct store *store, int64_t version_id, const char *actor, char *reason, size_t reason_size);

/*
 * Is the golden file what was published? Cheap when inode and mtime are unchanged; hashes otherwise. 0, -ESTALE
 * (changed), -ENOENT, with a sentence.
 */
int store_verify_version(struct store *store, const struct image_version *version, char *reason, size_t reason_size);
/* Bytes that a golden version takes on the file system; 0 where it is gone. */
uint64_t store_version_allocated(struct store *store, const struct image_version *version);

/*
 * What boots of a version need of it: boot_set.h. A broken file is said, removed, and as if it were not there: -ENOENT.
 */
int store_load_boot_set(const struct store *store, const struct image_version *version, struct boot_set *set);
/*
 * One more boot, as it was traced; one caller at a time. 0 or -errno: -E2BIG: it read more than a boot does; -ENODATA:
 * nothing; -ENOENT: the image is gone.
 */
int store_learn_boot(struct store *store, const struct image_version *version, const struct boot_trace *trace);

struct boot_set_info {
	uint32_t boots;	       /* learnt from; 0: nothing is known */
	uint64_t needed_bytes; /* that are read ahead */
};
void store_get_boot_set_info(const struct store *store, const struct image_version *version,
			     struct boot_set_info *info);

/* ---- children ---- */

/* A name for a new child file: unguessable, never used before. */
void store_child_name(char child[NAME_MAX_TEXT], int64_t machine_hint);
/*
 * Makes the file (about 1 ms, not synced: see machine.child_fresh). -ENOSPC below the reserve. Safe inside an inventory
 * write job.
 */
int store_create_child(struct store *store, const char *child, const struct image_version *version,
		       const struct policy *policy, char *reason, size_t reason_size);
/*
 * A closed child is to have at least so many bytes (0: as it is), durably; what is added reads as zeroes. Never
 * shrinks. On a worker, or inside an inventory write job for a child that was made there.
 */
int store_grow_child(struct store *store, const char *child, uint64_t size_bytes, char *reason, size_t reason_size);
/* A closed child whose sync had failed goes on from what is in its file: qcow2_give_up_journal. On a worker. */
int store_lift_child(struct store *store, const char *child, char *reason, size_t reason_size);
/* Makes a fresh child durable (its file and its directory entry) before its first login is answered. */
int store_sync_child(struct store *store, const char *child);
void store_delete_child(struct store *store, const char *child);
/* STATE/children/CHILD. out_size 0 is not allowed. */
void store_child_path(const struct store *store, const char *child, char *out, size_t out_size);
void store_version_path(const struct store *store, const struct image_version *version, char *out, size_t out_size);

struct child_info {
	uint64_t virtual_bytes, allocated_bytes;
	const char *format; /* as qemu-img names it */
	bool clean; /* closed: other tools may open it */
};
/* What the file says, without locking it (works while it is open). -ENOENT, -EUCLEAN. */
int store_child_info(const struct store *store, const char *child, struct child_info *info);

struct store_space {
	uint64_t total_bytes, free_bytes, reserve_bytes;
	uint64_t images_bytes, children_bytes; /* allocated */
};
int store_get_space(struct store *store, const struct policy *policy, struct store_space *space);

#endif
