/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backend keeps the bytes of volumes. One table of functions each; a new backend is a folder of its own and a
 * line in store_backends (store.c). Nothing above store/ knows which one keeps what: paths and formats come from here
 * only as text to show.
 *
 * A volume's object is its name in its backend. All functions block, and run on workers, on HTTP's threads or inside an
 * inventory write job, never on a loop, except open. 0 or -errno, with a sentence in reason. Private to store/.
 */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "base/reason.h"
#include "store/store.h"

struct convert_chain;

/* A volume at the start, when objects and rows have to agree again. */
struct reclaim_volume {
	struct volume volume;
	int64_t machine_id;	   /* 0: no machine has it, or several */
	char owner[NAME_MAX_TEXT]; /* for people: the machine's name, or the volume's own */
	bool ephemeral;		   /* its machine needs it for one boot only */
	char layer[NAME_MAX_TEXT]; /* the object of the snapshot that it stands on; "": none */
};

struct reclaim_rows {
	struct reclaim_volume *volumes; /* of this backend, with an object */
	size_t count;
	const struct image_version *versions;
	size_t version_count;
	bool same_boot; /* the host has not started again since the last start: what was written is still there */
};

struct store_backend {
	const char *name;   /* volume.backend */
	const char *suffix; /* of the names of its objects */
	/*
	 * Makes the object that volume->object names, of volume->kind: a differencing child of the version, or an empty
	 * disk of size_bytes where version is NULL. Not synced. -ENOSPC, -EINVAL (nothing that it can make). Where it
	 * fails nothing is left.
	 */
	int (*create)(struct store *store, const struct volume *volume, const struct image_version *version,
		      struct reason *reason);
	/*
	 * Makes the object that volume->object names: empty, over the object layer, which is closed. That is durable on
	 * return, and nobody writes to it any more. -EMLINK: no more objects may lie one over the other; -EBUSY: it was
	 * not closed in order.
	 */
	int (*snapshot)(struct store *store, const struct volume *volume, const char *layer, struct reason *reason);
	/*
	 * Makes the object that volume->object names with what the closed object from reads as, but without its layers:
	 * on the golden version below them, or on nothing. Durable. May take long.
	 */
	int (*copy)(struct store *store, const struct volume *volume, const char *from, struct reason *reason);
	/*
	 * The same without the golden versions that were promoted, too: on the first one, which stands on nothing. NULL: this
	 * backend cannot.
	 */
	int (*copy_whole)(struct store *store, const struct volume *volume, const char *from, struct reason *reason);
	/*
	 * The object from, which is closed, takes the place of another, under its name, at once and durably: both read the
	 * same. Who has the other one open goes on with that.
	 */
	int (*replace)(struct store *store, const char *object, const char *from, struct reason *reason);
	/*
	 * The closed object, which nobody writes to any more, has a second name, path, in the file system of the state
	 * directory, under which it is a golden version: a qcow2 file that stands on another one. *size_bytes: of the disk.
	 * -EMLINK: it stands on other objects, or on too many versions; -EBUSY: it was not closed in order; -ENOTSUP, or
	 * NULL: this backend cannot.
	 */
	int (*publish)(struct store *store, const char *object, const char *path, uint64_t *size_bytes,
		       struct reason *reason);
	/* As store_open_volume; a volume without an object is its version, read-only. Any thread; opened on loop. */
	void (*open)(struct store *store, struct loop *loop, const struct volume *volume,
		     const struct image_version *version, const struct store_open *how,
		     void (*opened)(void *arg, const struct disk_opened *result), void *arg);
	int (*grow)(struct store *store, const char *object, uint64_t size_bytes, struct reason *reason);
	int (*lift)(struct store *store, const char *object, struct reason *reason);
	int (*sync)(struct store *store, const char *object);
	/* A volume without an object is its version. Sets format and path also where it fails. */
	int (*info)(struct store *store, const struct volume *volume, const struct image_version *version,
		    struct volume_info *info);
	/* As store_check_volume. */
	int (*check)(struct store *store, const struct volume *volume, const struct image_version *version,
		     const char *layer, uint64_t *identity, struct reason *reason);
	void (*remove)(struct store *store, const char *object);
	/* All objects that there are, known or not. each returns 0 to go on. */
	int (*list)(struct store *store, int (*each)(void *arg, const char *object), void *arg);
	/* Bytes that all its objects take. */
	uint64_t (*used_bytes)(struct store *store);
	/* At the start, for each of its volumes: makes it again where it is fresh, or needed for one boot only; or says that it is lost. */
	void (*reclaim)(struct store *store, const struct reclaim_rows *rows, const struct reclaim_volume *volume);
	/* A closed object and all that it stands on, for qemu-img (chain.h). NULL: it has no files. */
	int (*open_chain)(struct store *store, const char *object, struct convert_chain *chain, struct reason *reason);
	/*
	 * Does an object, known or not, stand on this file of images/, whatever the inventory says of it? NULL: that cannot
	 * differ.
	 */
	bool (*stands_on)(struct store *store, const char *object, const char *version_file);
	/* Of an object that no volume names: was it never used? Then what made it did not commit, and the object goes. */
	bool (*is_unused)(struct store *store, const char *object);
};

extern const struct store_backend store_files; /* files/files.c */

/* NULL: there is none of this name. */
const struct store_backend *store_backend_find(const struct store *store, const char *name);

/* ---- for reclaim ---- */

/* The version of a volume among the rows; NULL. */
const struct image_version *reclaim_version(const struct reclaim_rows *rows, int64_t version_id);
/* Makes the object again: it is fresh, or needed for one boot only. */
int reclaim_make_again(struct store *store, const struct reclaim_volume *volume, const struct image_version *version);
/* Its object does not stand on what its row says: an event for its machine. Whoever opens it is refused. */
void reclaim_say_rebased(struct store *store, const struct reclaim_volume *volume, const char *text);
/* Records that a volume is lost (failed), or was made again, with an event for its machine. */
void reclaim_record(struct store *store, const struct reclaim_volume *volume, bool failed, const char *text);

#endif
