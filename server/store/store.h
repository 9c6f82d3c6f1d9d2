/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images and volumes under the state directory. A volume is kept by a backend (backend.h); "files" has:
 *
 *     STATE/images/NAME@V.raw      golden, read-only (0444)
 *     STATE/images/NAME@V.raw.bootset   what its boots need of it (read_set.h)
 *     STATE/children/OBJECT        qcow2; a system volume's has the backing file "../images/NAME@V.raw"
 *     STATE/tmp/                   imports in progress; emptied at start
 *
 * What is on the disk and what is in the inventory agree after every start: store_reclaim removes what nobody refers
 * to. All of it blocks and runs on workers (or HTTP threads), never on a loop, unless said otherwise.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/reason.h"
#include "disk/disk.h"
#include "inventory/inventory.h"

#include <stdbool.h>
#include <stdint.h>

struct read_set;
struct read_trace;
struct pool;
struct store;

/*
 * Makes the folders, takes the lock of the state directory (STATE/lock: another process there is -EBUSY with its pid in
 * reason; so is one on another host or mount, which locks do not reach: reach.h), finds qemu-img. Blocks, there for some
 * seconds. The lock must be taken before the inventory is opened: call this first, with inventory NULL, then store_attach.
 */
int store_open(const char *state_dir, struct pool *pool, struct store **store, struct reason *reason);
/*
 * Then: removes orphans of an earlier crash (files without rows), makes fresh volumes that are missing, checks that
 * images are there.
 */
int store_attach(struct store *store, struct inventory *inventory, struct reason *reason);
/* What a person is to know of where the state directory is, a sentence each. Any thread. */
void store_each_warning(struct store *store, void (*each)(void *arg, const char *text), void *arg);
/* Ends imports and exports, and begins no more: whoever waits for `ended` is told. */
void store_stop_jobs(struct store *store);
/* Ends what is being imported. The inventory and the pool are used until then, and no more afterwards. */
void store_stop(struct store *store);
/* Gives the lock back, which keeps other servers from the inventory, too: close that before, and call store_stop first. */
void store_close(struct store *store);
const char *store_inventory_path(const struct store *store);

/* ---- images ---- */

/* Imports and exports: what goes on in the background. Of each kind two run at a time, the others wait. */
enum job_kind { JOB_IMPORT, JOB_EXPORT, JOB_UPLOAD /* an import that is still being sent to us */ };
enum job_stage { JOB_QUEUED, JOB_RECEIVING, JOB_CHECKING, JOB_CONVERTING, JOB_HASHING, JOB_DONE, JOB_FAILED };

/*
 * What is imported for: a first version is published, so that machines get it, unless it is for volumes only. Sealed: a
 * copy of a version, mended (doctor_seal); it is never published by itself.
 */
enum import_use { IMPORT_FOR_MACHINES, IMPORT_AS_DEFAULT, IMPORT_FOR_VOLUMES, IMPORT_SEALED };

struct job_status {
	uint64_t id;
	enum job_kind kind;
	enum job_stage stage;
	bool canceled;	  /* FAILED: because somebody wanted it so */
	char source[256]; /* import: the file, escaped; export: where to */
	char name[160];	  /* the image; export: the version or the volume */
	unsigned percent;
	uint64_t bytes_total, bytes_done; /* of what it does just now; 0: not known */
	uint64_t bytes_per_s;		  /* 0: not known */
	int64_t seconds_left;		  /* -1: not known */
	char text[sizeof(struct reason)]; /* what it is doing; why it failed and what to do */
	int64_t version_id;		  /* DONE, of an import */
	char warnings[1024];		  /* DONE: lines */
	char changes[1536];		  /* DONE, of one that was sealed: lines */
};

/*
 * Begins an import in the background (POOL_SLOW): raw, qcow2, VHD, VHDX, VMDK, VDI, each also compressed by gzip, xz or
 * zstd; the format is probed by us from magic numbers and given to qemu-img explicitly. 0 and *id, or
 * -EINVAL/-ENOENT/-EBUSY with a sentence. qemu-img runs without privileges; its progress is followed.
 */
int store_import(struct store *store, const char *path, const char *name, enum import_use use, const char *actor,
		 uint64_t *id, struct reason *reason);
/* The same for a sealed copy of a version, as the next version of its image. */
int store_seal_version(struct store *store, const struct image_version *version, const char *actor, uint64_t *id,
		       struct reason *reason);
/*
 * The same of what is sent to us: bytes in order, a piece at a time, then store_upload_end. file: how it was called, for its
 * ending and for people; size_bytes: of all of it, 0: not known. Nothing for ten minutes ends it.
 */
int store_upload(struct store *store, const char *file, const char *name, uint64_t size_bytes, enum import_use use,
		 const char *actor, uint64_t *id, struct reason *reason);
/* offset: where the last piece ended (bytes_done), else -ESTALE. -ENOENT, -EALREADY, -EBUSY, -ENOSPC with a sentence. */
int store_upload_write(struct store *store, uint64_t id, uint64_t offset, const void *data, size_t len,
		       struct reason *reason);
int store_upload_end(struct store *store, uint64_t id, struct reason *reason);
/*
 * An image of zeroes, for an installation; at once. Its version is one to test: new machines do not get it by themselves.
 * -EINVAL (name, size), -ENOTUNIQ, -EEXIST (there is an image of that name), -ENOSPC.
 */
int store_create_image(struct store *store, const char *name, uint64_t size_bytes, const char *actor,
		       struct image_version *version, struct reason *reason);

/* raw, qcow2, VHDX, VHD, VMDK, VDI, as people and qemu-img call them. NULL: there is no such format. */
struct export_format;
const struct export_format *store_export_format(const char *name);
/* "raw, qcow2, ..." */
const char *store_export_formats(void);

struct store_export {
	const struct export_format *format;
	const char *path; /* on the server, whole; its folder has to be there */
	bool force;	  /* what is there is replaced, at the end and at once */
	const char *actor;
	/* The export has ended, or was never begun: on a worker, or inside the call. May be NULL. */
	void (*ended)(void *arg);
	void *arg;
};

/*
 * Begins to write a golden version to a file, in the background; nothing is at path before it is whole. 0 and *id, or
 * -EINVAL/-ENOENT/-EEXIST/-ENOSPC/-EBUSY with a sentence.
 */
int store_export_version(struct store *store, const struct image_version *version, const struct store_export *how,
			 uint64_t *id, struct reason *reason);
/* The same of a volume that is closed, and that nobody opens before `ended`. name: for people. */
int store_export_volume(struct store *store, const struct volume *volume, const char *name,
			const struct store_export *how, uint64_t *id, struct reason *reason);

/* -ENOENT. Any thread. The last 32 jobs are remembered. */
int store_job_status(struct store *store, uint64_t id, struct job_status *status);
enum { JOBS_KEPT = 32 };
/* All that are remembered, oldest first; how many. Any thread. */
unsigned store_job_list(struct store *store, struct job_status list[JOBS_KEPT]);
/*
 * Nothing comes of it, and nothing of it stays; it has FAILED when this returns, or does within the second. -ENOENT;
 * -EALREADY with a sentence: it has ended, or what it made is being entered.
 */
int store_job_cancel(struct store *store, uint64_t id, const char *actor, struct reason *reason);
int store_remove_version(struct store *store, int64_t version_id, const char *actor, struct reason *reason);
/* The same, where check says 0 inside the job that deletes its row: what else it says is returned. why: for the event. */
struct store_removal {
	int64_t version_id;
	const char *actor, *why;
	int (*check)(struct inventory_tx *tx, void *arg, const struct image_version *version);
	void *arg;
};
int store_remove_version_if(struct store *store, const struct store_removal *removal, struct reason *reason);

struct doctor_report;
/*
 * What would stop a clone of it from booting (doctor/doctor.h). Blocks for a second or two. 0 or -errno with a sentence:
 * it cannot be looked at. A file: a raw disk of the server's, by its whole path.
 */
int store_check_version(struct store *store, const struct image_version *version, struct doctor_report *report,
			struct reason *reason);
int store_check_file(const char *path, struct doctor_report *report, struct reason *reason);

/*
 * The closed object of layer becomes a version, at once: image, number and source are given; file, format, size, inode, time
 * and parent are set. Inside the write job that inserts it; store_promote_end once it is committed, or not. 0; -EMLINK: it
 * lies on other layers (a copy without them can be promoted), or too deep; -EBUSY: it was not closed in order; -EEXIST: the
 * file is there; others; with a sentence.
 */
int store_promote_object(struct store *store, const struct volume *layer, struct image_version *version,
			 struct reason *reason);
void store_promote_end(struct store *store, const struct image_version *version, bool committed);
struct qcow2_step;
/*
 * A version that stands on others, and whose identity is known, becomes one file under its name, while machines use it: who
 * has it open goes on with the old ones. Takes its time, as step says, and the room of the whole. 0 or -errno with a sentence.
 */
int store_flatten_version(struct store *store, const struct image_version *version, const struct qcow2_step *step,
			  struct reason *reason);
/* Takes the SHA-256 of a version that has none yet. May take long. 0; -ESTALE: it is not the file that was published. */
int store_identify_version(struct store *store, const struct image_version *version);
/*
 * Is the golden file what was published? Cheap when inode and mtime are unchanged; hashes otherwise. 0, -ESTALE
 * (changed), -ENOENT, with a sentence.
 */
int store_verify_version(struct store *store, const struct image_version *version, struct reason *reason);
/* Bytes that a golden version takes on the file system; 0 where it is gone. */
uint64_t store_version_allocated(struct store *store, const struct image_version *version);

/*
 * What boots of a version need of it: read_set.h. A broken file is said, removed, and as if it were not there: -ENOENT.
 */
int store_load_read_set(const struct store *store, const struct image_version *version, struct read_set *set);
/*
 * One more boot, as it was traced; one caller at a time. 0 or -errno: -E2BIG: it read more than a boot does; -ENODATA:
 * nothing; -ENOENT: the image is gone.
 */
int store_learn_boot(struct store *store, const struct image_version *version, const struct read_trace *trace);

struct read_ahead;
struct read_ahead_result;
/*
 * Reads these ranges of a golden version ahead (disk/read_ahead.h; how->path is set here). Blocks. As read_ahead_run;
 * -ENOTSUP: this kind of version is not read ahead.
 */
int store_read_ahead(const struct store *store, const struct image_version *version, struct read_ahead *how,
		     struct read_ahead_result *result);

struct read_set_info {
	uint32_t boots;	       /* learnt from; 0: nothing is known */
	uint64_t needed_bytes; /* that are read ahead */
};
void store_get_read_set_info(const struct store *store, const struct image_version *version,
			     struct read_set_info *info);

/* ---- volumes: each call goes to the backend that keeps the volume (backend.h) ---- */

/* What keeps new volumes where nobody says otherwise. */
const char *store_default_backend(const struct store *store);
/*
 * Makes the object of a new volume, or of a system volume that begins anew (about 1 ms, not synced: see volume.fresh).
 * In: kind, version_id, size_bytes, and backend ("" takes the first that can). Out, in *volume: backend, object, fresh.
 * The object's name is unguessable and never used before; machine_hint (0: none) makes it easier to tell. version: that
 * of version_id; NULL where it has none. -ENOSPC below the reserve; -EINVAL. Where it fails, nothing is left and object
 * is "". Safe inside an inventory write job.
 */
int store_create_volume(struct store *store, struct volume *volume, const struct image_version *version,
			const struct policy *policy, int64_t machine_hint, struct reason *reason);
/*
 * The object of volume takes the place of another one of its backend, under that one's name: both read the same. Who has
 * that one open goes on with it. 0 or -errno with a sentence.
 */
int store_replace_object(struct store *store, const struct volume *volume, const char *object, struct reason *reason);
/*
 * A closed volume is to have at least so many bytes (0: as it is), durably; what is added reads as zeroes. Never
 * shrinks. On a worker, or inside an inventory write job for one that was made there.
 */
int store_grow_volume(struct store *store, const struct volume *volume, uint64_t size_bytes, struct reason *reason);
/* A closed volume whose sync had failed goes on from what is durable of it. On a worker. */
int store_lift_volume(struct store *store, const struct volume *volume, struct reason *reason);
/* Makes a fresh volume durable before its first login is answered. 0 or -errno. */
int store_sync_volume(struct store *store, const struct volume *volume);
/* Nothing was ever written to its object, which is closed. False where that cannot be said. */
bool store_volume_is_unused(struct store *store, const struct volume *volume);
/* Its object goes; nothing refers to it any more. That it is not there is fine. */
void store_delete_object(struct store *store, const struct volume *volume);
/* The objects go that committed changes have given up. Waits for the inventory. */
void store_delete_given_up(struct store *store);
/*
 * A volume is to go on in a new, empty object over layer, which is an object of its backend that is closed and nobody
 * writes to any more: its own until now, or that of one of its snapshots. In, out and errors as store_create_volume;
 * besides -EMLINK: the chain would get too deep, and -EBUSY: the layer was not closed in order. layer is durable on
 * return. Safe inside an inventory write job.
 */
int store_snapshot_volume(struct store *store, struct volume *volume, const char *layer, const struct policy *policy,
			  int64_t machine_hint, struct reason *reason);
/*
 * The same, but the new object is a copy of the closed object from, without layers. May take long, and writes to the
 * inventory itself: what a crash leaves is removed at the next start unless a volume has it by then; whoever gives it
 * to one forgets that (discarded_forget) in the same job.
 */
int store_copy_volume(struct store *store, struct volume *volume, const char *from, const struct policy *policy,
		      int64_t machine_hint, struct reason *reason);

/*
 * The same without the versions below it that were promoted, too: it stands on the first one, which is volume->version_id.
 * -ENOTSUP: its backend cannot.
 */
int store_copy_whole(struct store *store, struct volume *volume, const char *from, const struct policy *policy,
		     int64_t machine_hint, struct reason *reason);

/*
 * Volumes of the backend "generated" have what their user makes for them. content: whole blocks of 2048 bytes, which the
 * next opening gets, and one more block; stamp: for what it was made. Whoever has an earlier content open keeps that.
 */
int store_generate_volume(struct store *store, const struct volume *volume, const char *stamp, const void *content,
			  size_t len, struct reason *reason);
/* What is there was made for that, and is as it was made. */
bool store_is_generated(struct store *store, const struct volume *volume, const char *stamp);

struct volume_info {
	uint64_t virtual_bytes, allocated_bytes;
	uint64_t layers_bytes; /* allocated by the layers that it stands on */
	unsigned depth;	       /* files that lie one over the other, with its own; 0: not known */
	bool clean;	       /* closed: other tools may open it */
	char format[16];       /* how other tools call what it is */
	char path[4096];       /* where they find it */
};
/*
 * What is known of a volume without opening it (works while it is open). version: that of version_id; may be NULL for a
 * volume with an object. -ENOENT, -EUCLEAN; format and path are set all the same.
 */
int store_volume_info(struct store *store, const struct volume *volume, const struct image_version *version,
		      struct volume_info *info);

/*
 * Is a volume's object there, and does it stand on what the inventory says: layer (the object of its snapshot; "": none),
 * else version, else nothing? Also while it is open. *identity: of the object; another one under the same name is another
 * object; 0: the backend cannot tell. -ENOENT; -ESTALE: it stands on something else; others; with a sentence that says what to
 * do.
 */
int store_check_volume(struct store *store, const struct volume *volume, const struct image_version *version,
		       const char *layer, uint64_t *identity, struct reason *reason);
/*
 * A descriptor that is readable when files of volumes or images came, went, or took the place of others. What can be
 * read of it is thrown away. Closed by the caller. -errno.
 */
int store_watch_files(const struct store *store);

struct store_open {
	struct disk_env *env;
	bool ephemeral;		  /* never synced; thrown away after a loss of power */
	uint64_t quota_bytes;	  /* most that it may take; 0: no bound */
	struct read_trace *trace; /* notes what is read of its golden version; borrowed until opened; may be NULL */
	void (*on_event)(void *arg, enum disk_event event, const char *text);
	void *event_arg;
};
/*
 * Opens a volume as a disk on loop, where it is called. A shared one is opened once for each loop, for all who have it there: on_event does
 * not apply to it. version: that of version_id; NULL where it has none. opened runs on loop, its argument is borrowed;
 * only without memory (-ENOMEM) it runs inside the call.
 */
void store_open_volume(struct store *store, struct loop *loop, const struct volume *volume,
		       const struct image_version *version, const struct store_open *how,
		       void (*opened)(void *arg, const struct disk_opened *result), void *arg);
/* Closes what store_open_volume gave, on its loop; a shared disk when its last user has closed it. As disk_close. */
void store_close_volume(struct store *store, struct disk *disk, void (*closed)(void *arg, int err), void *arg);

struct store_space {
	uint64_t total_bytes, free_bytes, reserve_bytes;
	uint64_t images_bytes, volumes_bytes; /* allocated: golden images, and the objects of volumes */
};
int store_get_space(struct store *store, const struct policy *policy, struct store_space *space);

#endif
