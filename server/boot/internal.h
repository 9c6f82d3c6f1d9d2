/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of boot/ share: the struct, system volumes that begin anew, events. Private to boot/. */
#ifndef BOOT_INTERNAL_H
#define BOOT_INTERNAL_H

#include "base/reason.h"
#include "boot/boot.h"
#include "disks.h"
#include "in_flight.h"
#include "presence.h"

#include <stdatomic.h>

struct chores;
struct entries;
struct flood;
struct objects;
struct plans;
struct sampler;
struct stages;
struct templates;
struct timeline;
struct turns;
struct warm;

enum {
	BOOT_SEEN_MS = 60000,	 /* how old "last seen" may be before it is written again */
	BOOT_PROBE_MS = 5000,	 /* how long a running machine has to answer */
	BOOT_RESUME_MS = 120000, /* how long after the server's start a machine that ran has to log in again */
	BOOT_CLOSE_MS = 20000,	 /* how long a released child may take to close */
	BOOT_SHORT_ID = 10,	 /* characters of a target's id: 50 bits */
	BOOT_SECRET_CHARS = 16,	 /* 80 bits; Windows takes 12 to 16 */
	BOOT_ASK_SECONDS = 5,	 /* until a waiting machine asks again */
	BOOT_PORTALS_MAX = 16,
	LOGIN_NOT_FOUND = 0x0203, /* RFC 7143 §11.13.5 */
	LOGIN_FORBIDDEN = 0x0202,
	LOGIN_UNAVAILABLE = 0x0301,
};

struct boot {
	/* const after boot_set_runtime */
	struct inventory *inventory;
	struct store *store;
	struct disk_env *disk_env;
	struct pool *pool;
	struct loop *loop;
	char iqn_prefix[IQN_MAX_TEXT];
	char advertise[256]; /* "": the address that the client reached */
	const struct boot_runtime *runtime;
	uint16_t iscsi_port;
	struct endpoint portals[BOOT_PORTALS_MAX];
	unsigned portal_count;
	char ipxe_scripts[512], entries_folder[512], templates_folder[512]; /* "": none */
	char boot_file_sets[512]; /* names, with ", " between them; "": none */

	struct templates *templates; /* with locks of their own */
	struct entries *entries;

	struct presence_table presence; /* by machine */
	struct disks disks;		/* by volume */
	atomic_bool stopping;		/* sessions that end from now on do so because the server stops */
	struct flood *flood;
	struct timeline *timeline; /* these five: progress/ */
	struct sampler *sampler;
	struct turns *turns;
	struct warm *warm;
	struct stages *stages;
	struct objects *objects;
	struct plans *plans;
	struct chores *chores;

	struct in_flight in_flight; /* every asynchronous call enters and leaves, and boot_free waits for it */
};

/* system_volume.c */
/*
 * Deletes a volume's object on a worker: that of a big file waits for the disk. Nothing refers to it any more. Nothing
 * happens where it has none.
 */
void boot_discard_object(struct boot *boot, const struct volume *volume);
/*
 * Deletes, on a worker, the objects that committed changes have given up: that of a disk on which 10 GiB were written takes a
 * second, and a person waits.
 */
void boot_discard_given_up(struct boot *boot);
/*
 * A machine's system volume begins anew, from version: its new object is made and put into machine; *given_up is the old
 * one, whose object goes when that is committed; where the commit fails, that of *made goes. Inside a write job, the
 * volume closed.
 */
int boot_renew_system(struct boot *boot, struct machine *machine, const struct image_version *version,
		      const struct policy *policy, struct volume *made, struct volume *given_up, struct reason *reason);

/* Must its target be closed when its next boot begins? Its disk starts anew then, becomes a layer, or tells it who it is. */
bool boot_begins_closed(const struct machine *machine, const struct policy *policy);

/* Queues an event of the machine with this id (0: of none); level, kind and actor are literals. Any thread. */
void boot_note(struct boot *boot, const char *level, const char *kind, const char *actor, int64_t machine_id,
	       const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The same for the machine that has this target name, if there is one; iqn: a peer's, made of printable characters. */
void boot_note_target(struct boot *boot, const char *level, const char *kind, const char *actor, const char *iqn,
		      const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif
