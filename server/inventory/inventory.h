/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inventory: machines, images, boots, policy, events, in one SQLite file (WAL, synchronous=FULL). Only this folder
 * includes sqlite3.h. The schema is db/schema.sql plus numbered migrations, compiled in.
 *
 * Work is done in jobs. A write job's run is called on the one writer thread, inside a savepoint of a transaction that
 * commits everything that was queued; a failing job (run < 0) undoes its own changes only. A read job's run is called
 * on a reader thread, which sees one consistent state. Inside run, the functions below are plain calls that take the
 * tx. done comes after the commit (so what it is told is durable), posted to job->loop, or, where that is NULL, on the
 * inventory's thread (keep it short). Times are Unix milliseconds. All texts are UTF-8 and NUL-terminated, and are
 * never cut: too long is -EINVAL.
 */
#ifndef INVENTORY_INVENTORY_H
#define INVENTORY_INVENTORY_H

#include "base/loop.h"
#include "base/parse.h"
#include "base/reason.h"
#include "inventory/field.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inventory;
struct inventory_tx;

struct inventory_job {
	int (*run)(struct inventory_tx *tx, struct inventory_job *job); /* 0 or -errno */
	void (*done)(struct inventory_job *job, int err);		/* may be NULL */
	struct loop *loop;
	/* private */
	struct inventory_job *next;
	struct loop_msg msg;
	int err;
	bool changed;
};

/*
 * Opens or makes the file and migrates it. 0 or -errno with a sentence in reason (a newer schema, a corrupt file,
 * locked by another process: each said with what to do). Main thread, at start.
 */
int inventory_open(const char *path, struct inventory **inventory, struct reason *reason);
/* Runs what is queued, then closes. */
void inventory_close(struct inventory *inventory);
/* Any thread. */
void inventory_write(struct inventory *inventory, struct inventory_job *job);
void inventory_read(struct inventory *inventory, struct inventory_job *job);
/* The same, waiting for the result. Never on an I/O loop. Returns what done would be told. */
int inventory_write_wait(struct inventory *inventory, struct inventory_job *job);
int inventory_read_wait(struct inventory *inventory, struct inventory_job *job);
/* The same for one function with one argument. */
int inventory_write_call(struct inventory *inventory, int (*run)(struct inventory_tx *tx, void *arg), void *arg);
int inventory_read_call(struct inventory *inventory, int (*run)(struct inventory_tx *tx, void *arg), void *arg);

/* ---- machines ---- */

enum {
	NAME_MAX_TEXT = 64,
	IDENTITY_TEXT = 72,
	IQN_MAX_TEXT = 224,
	SECRET_TEXT = 40,
	NOTE_TEXT = 512,
	SERIAL_TEXT = 128,
	REASON_TEXT = 512,
	BOOT_TEXT = 256,
	QUOTA_TEXT = 24,
	CARDS_MAX = 7,
	CARDS_TEXT = CARDS_MAX * PARSE_MAC_TEXT, /* by commas */
	BOOT_SET_TEXT = 32,
	PORTALS_TEXT = 256,
	MODE_TEXT = 16
};

/*
 * MODE_MAINTENANCE: maintenance.h; only its functions set it. MODE_GROUP: as its group says, and without one as policy says;
 * effective_mode (effective.h) knows.
 */
enum machine_mode { MODE_PERSISTENT, MODE_EPHEMERAL, MODE_MAINTENANCE, MODE_GROUP };
enum told { TOLD_UNKNOWN, TOLD_OFF, TOLD_ON }; /* a switch of its firmware, as far as the machine says */
enum auth_kind { AUTH_POLICY, AUTH_NONE, AUTH_CHAP, AUTH_MUTUAL }; /* AUTH_POLICY: what the policy says */
/* ---- volumes: design.md, "Volumes" ---- */

enum volume_kind {
	VOLUME_SYSTEM, /* what a machine boots from: a differencing child of a golden version; LUN 0, one for each machine */
	VOLUME_DATA,	 /* a machine's own; survives reset, another image, swap */
	VOLUME_SHARED,	 /* a golden version as it is, for any number of machines; nobody writes to it */
	VOLUME_CD,	 /* the same as a CD-ROM */
	VOLUME_WHO_AM_I, /* generated for one machine: who it is, for cloud-init or Windows */
};
enum volume_state {
	VOLUME_READY,
	VOLUME_FAILED, /* it failed (invariant 5): not opened until a person resets it or lifts that */
};
/* LUN_HIGHEST: Windows looks at no LUN above it. */
enum { LUN_MAX = 255, LUN_HIGHEST = 254, BACKEND_TEXT = 16 };

struct volume {
	int64_t id;
	enum volume_kind kind;
	char backend[BACKEND_TEXT]; /* which of store/'s backends keeps it: "files" */
	char name[NAME_MAX_TEXT];   /* unique whatever its case; "": system or who-am-i, which go by their machine */
	char object[NAME_MAX_TEXT]; /* what its backend calls it; "": it has nothing of its own, it is its version */
	char serial
		[NAME_MAX_TEXT]; /* initiators know it again by it; "": a system volume, known by its machine, or set when it is made */
	int64_t snapshot_id;	/* the snapshot that its object stands on (snapshot.h); 0: its version, or nothing */
	int64_t version_id;	/* the golden version that it was made from, or is; 0: none */
	uint64_t size_bytes;	/* at least so much, whatever its version has; 0: as that */
	char quota[QUOTA_TEXT]; /* the most that it may take in its backend: a size, or none; "": as policy says */
	bool physical_512;	/* it says that a physical block has 512 bytes, for old systems; else 4096 */
	enum volume_state state;
	char state_reason[REASON_TEXT];
	bool fresh; /* never opened for a login: it may be made again if a loss of power damaged it */
	char note[NOTE_TEXT];
	int64_t created_ms;
};

/*
 * What machines have in common. The texts in the second half are what each machine of it has unless it says otherwise
 * (effective.h); "": as policy says, or what is built in.
 */
struct machine_group {
	int64_t id;
	char name[NAME_MAX_TEXT];
	int64_t priority; /* higher: sooner, when the server takes machines in turns */
	char note[NOTE_TEXT];
	char boot[BOOT_TEXT];		   /* as machine.boot */
	char boot_file_set[BOOT_SET_TEXT]; /* as machine.boot_file_set */
	char templates[NAME_MAX_TEXT];	   /* as machine.templates */
	char image[NAME_MAX_TEXT];	   /* what new ones get, and who has its image where a disk begins anew */
	char mode[MODE_TEXT];
	char name_pattern[NAME_MAX_TEXT]; /* of those that come into it without a name */
	char quota[QUOTA_TEXT];		  /* of a system volume */
	char restore_points[QUOTA_TEXT];
	char ring[NAME_MAX_TEXT]; /* as machine.ring */
	unsigned machines;	  /* how many are in it; only read, and not with a machine */
};

enum { GROUP_PRIORITY_MAX = 1000, GROUP_VOLUMES_MAX = 16 }; /* priority: and -1000 at least */

struct machine {
	int64_t id;
	char name[NAME_MAX_TEXT];   /* host name: letters, digits, '-'; unique */
	char iqn[IQN_MAX_TEXT];	    /* fixed at enrolment; unique */
	char uuid[PARSE_UUID_TEXT]; /* "" not known or a placeholder */
	char serial[SERIAL_TEXT];   /* "" likewise */
	char product[SERIAL_TEXT];  /* manufacturer and product, as the machine said; for people */
	enum machine_mode mode;
	enum auth_kind auth;
	bool access_many;
	char note[NOTE_TEXT];
	char address[PARSE_ENDPOINT_TEXT]; /* the IPv4 address that it keeps; "" not yet known */
	int64_t created_ms, seen_ms;
	bool no_gateway;      /* keep the gateway out of the iBFT */
	int64_t group_id;     /* 0: none */
	char boot[BOOT_TEXT]; /* disk, local, menu, an entry's name, a URL; "": its group's, and without that disk */
	char boot_once[BOOT_TEXT];	   /* the same, for the next boot alone; "": none */
	char boot_once_token[SECRET_TEXT]; /* says which boot_once a machine has used up; new with each */
	bool multipath;			   /* its script names every portal */
	char board_serial[SERIAL_TEXT];	   /* as the machine said; for people */
	enum told secure_boot, setup_mode; /* UEFI's Secure Boot is on; it has no keys yet */
	char cards[CARDS_TEXT];		   /* MACs of its other network cards, as it said */
	char boot_file_set[BOOT_SET_TEXT]; /* which boot files DHCP names to it; "default"; "": as its group says */
	char lost_portals[PORTALS_TEXT];   /* but these, which its system did not reach: "10.0.1.1:3260 ..." */
	char ring[NAME_MAX_TEXT];	   /* of rollouts; none: none; "": its group's */
	char restore_points[QUOTA_TEXT];   /* how many are kept: a number; "": as policy says */
	char templates[NAME_MAX_TEXT];	   /* of its who-am-i volume; none: it has none; "": its group's */
	int64_t instance;		   /* one more with each new disk; 0 when it is inserted: 1 */
	bool image_inherited;		   /* where its disk begins anew: its group's image, if that has one */
	struct volume system;		   /* LUN 0; its own row, which comes and goes with the machine's */
	struct machine_group group;	   /* as it was when the machine was read; id 0: it is in none. Only read */
};

/* Lookups: 0, -ENOENT, or -EIO. The record is written only on success. */
int machine_by_id(struct inventory_tx *tx, int64_t id, struct machine *machine);
/* -ENOTUNIQ: several machines share it. */
int machine_by_mac(struct inventory_tx *tx, const char *mac, struct machine *machine);
/*
 * Whose hardware has this MAC and this UUID ("": not known)? A MAC of its own names a machine whatever the UUID is. *shared:
 * the MAC is shared, so it names a machine only together with that one's UUID; else -ENOENT.
 */
int machine_identify(struct inventory_tx *tx, const char *mac, const char *uuid, struct machine *machine, bool *shared);
/* One that has this MAC, with this token of a boot-once. */
int machine_by_token(struct inventory_tx *tx, const char *mac, const char *token, struct machine *machine);
int machine_by_iqn(struct inventory_tx *tx, const char *iqn, struct machine *machine);
int machine_by_name(struct inventory_tx *tx, const char *name, struct machine *machine);
int machine_by_uuid(struct inventory_tx *tx, const char *uuid, struct machine *machine);     /* -ENOTUNIQ: several */
int machine_by_serial(struct inventory_tx *tx, const char *serial, struct machine *machine); /* -ENOTUNIQ: several */
/* One that has told that another card of it has this MAC. -ENOTUNIQ: several. */
int machine_by_card(struct inventory_tx *tx, const char *mac, struct machine *machine);
/* Name, MAC in any notation (-ENOTUNIQ: several share it), or "#id". */
int machine_find(struct inventory_tx *tx, const char *text, struct machine *machine);
/* In order of name. each returns 0 to go on. */
int machine_each(struct inventory_tx *tx, int (*each)(void *arg, const struct machine *machine), void *arg);
int machine_count(struct inventory_tx *tx, unsigned *count);

/* With its system volume; both ids are set. mac "": its hardware is not known yet. -EEXIST: name, IQN or MAC taken (a shared MAC is not). */
int machine_insert(struct inventory_tx *tx, struct machine *machine, const char *mac);
/* Writes all fields but what is fixed, and its system volume as volume_update does. -EEXIST: name taken. */
int machine_update(struct inventory_tx *tx, const struct machine *machine);
/* With its MACs, boots, target state and system volume. Its events stay, and its other volumes, which nobody has then. */
int machine_delete(struct inventory_tx *tx, int64_t id);
int machine_add_mac(struct inventory_tx *tx, int64_t id,
		    const char *mac); /* -EEXIST: belongs to a machine, and is not shared */
int machine_remove_mac(struct inventory_tx *tx, int64_t id, const char *mac); /* -ENOENT; -EBUSY: its last one */
/*
 * A MAC of the machine is shared (of a dock, an adapter): several may have it. -ENOENT: it has no such MAC; -EINVAL: it has no
 * UUID, by which it would be known; no longer shared: -EBUSY: several have it.
 */
int machine_share_mac(struct inventory_tx *tx, int64_t id, const char *mac, bool shared);
enum mac_kind { MAC_ANY, MAC_OWN, MAC_SHARED };
int machine_each_mac(struct inventory_tx *tx, int64_t id, enum mac_kind kind, int (*each)(void *arg, const char *mac),
		     void *arg);
/* The next free name for a pattern such as "pc-{n:03}", in a write job. -EINVAL: no such pattern. */
int machine_next_name(struct inventory_tx *tx, const char *pattern, char name[NAME_MAX_TEXT]);
/* "pc-{n:03}", "lab-{n}": exactly one {n} or {n:0W}, else host name characters. */
bool machine_name_pattern_valid(const char *pattern);
bool machine_name_valid(const char *name);

/* 0, -ENOENT, or -EIO. */
int volume_by_id(struct inventory_tx *tx, int64_t id, struct volume *volume);
/* A name, "#id", or MACHINE:LUN, where MACHINE is as for machine_find. */
int volume_find(struct inventory_tx *tx, const char *text, struct volume *volume);
/* In order of id. each returns 0 to go on. */
int volume_each(struct inventory_tx *tx, int (*each)(void *arg, const struct volume *volume), void *arg);
/* volume->id is set. -EEXIST: the name or the object is taken; -EINVAL: volume_name_valid. */
int volume_insert(struct inventory_tx *tx, struct volume *volume);
/*
 * Writes all fields but what is fixed. An object that changes is given up, unless a snapshot has it, and so are layers
 * on which nothing stands any more. -EEXIST: the name is taken.
 */
int volume_update(struct inventory_tx *tx, const struct volume *volume);
/* With its snapshots; its objects are given up. -EBUSY: it is attached. */
int volume_delete(struct inventory_tx *tx, int64_t id);
/* As an image's name, without ':' and '#'. */
bool volume_name_valid(const char *name);
/* May several machines have it at a time? */
bool volume_kind_is_shared(enum volume_kind kind);
/* Shared, or generated: nobody writes to it, so nobody has to hold it. */
bool volume_kind_is_read_only(enum volume_kind kind);
const char *volume_kind_name(enum volume_kind kind); /* "system", "data", "shared", "cd", "who-am-i" */
bool volume_kind_parse(const char *text, enum volume_kind *kind);

/*
 * -EEXIST: the LUN is taken, or the machine has the volume already; -EBUSY: another machine has it; -ENOENT: no such
 * machine or volume; -EINVAL: LUN 0 is the system volume's, and only its; above LUN_MAX.
 */
int attachment_add(struct inventory_tx *tx, int64_t machine_id, unsigned lun, int64_t volume_id);
/* -ENOENT: it is not attached there; -EBUSY: the machine's group gives it the volume. */
int attachment_remove(struct inventory_tx *tx, int64_t machine_id, int64_t volume_id);
/* The lowest LUN from 1 on that is free. -ENOSPC: none. */
int attachment_free_lun(struct inventory_tx *tx, int64_t machine_id, unsigned *lun);
/* The highest one that is free, from LUN_HIGHEST on: a system has it last. -ENOSPC: none. */
int attachment_high_lun(struct inventory_tx *tx, int64_t machine_id, unsigned *lun);
/* The LUN of a volume at a machine. -ENOENT. */
int attachment_lun(struct inventory_tx *tx, int64_t machine_id, int64_t volume_id, unsigned *lun);
/* What a machine has, in order of LUN, the system volume first. each returns 0 to go on. */
int attachment_each(struct inventory_tx *tx, int64_t machine_id,
		    int (*each)(void *arg, unsigned lun, const struct volume *volume), void *arg);
/* Who has a volume, in order of machine id. */
int attachment_each_machine(struct inventory_tx *tx, int64_t volume_id,
			    int (*each)(void *arg, int64_t machine_id, unsigned lun), void *arg);

/*
 * Objects of a backend that committed changes have given up (a volume that was deleted, or got another object): they
 * go, whatever crash comes between. Other objects that no volume names may be somebody's data, say after an old backup
 * of the inventory.
 */
int discarded_each(struct inventory_tx *tx, const char *backend, bool reserved,
		   int (*each)(void *arg, const char *object), void *arg);
/* For one that is about to be made: given up as well, but until the next start told only to who asks for the reserved. */
int object_reserve(struct inventory_tx *tx, const char *backend, const char *object);
/* Given up no more, or gone. */
int discarded_forget(struct inventory_tx *tx, const char *backend, const char *object);

/* ---- groups of machines ---- */

int group_by_id(struct inventory_tx *tx, int64_t id, struct machine_group *group); /* -ENOENT */
int group_by_name(struct inventory_tx *tx, const char *name,
		  struct machine_group *group); /* whatever its case; -ENOENT */
/* In order of name. */
int group_each(struct inventory_tx *tx, int (*each)(void *arg, const struct machine_group *group), void *arg);
/* id is set. -EEXIST: the name is taken; -EINVAL: group_name_valid, the priority. */
int group_insert(struct inventory_tx *tx, struct machine_group *group);
int group_update(struct inventory_tx *tx, const struct machine_group *group);
/* Its machines are in none then, without what came by it; new ones neither, where policy sent them into it. -ENOENT. */
int group_delete(struct inventory_tx *tx, int64_t id);
/* As an image's name, and not "none". */
bool group_name_valid(const char *name);

/*
 * Volumes of a group: each of its machines, now and later, has them, under the lowest LUN that is free there; one that has
 * such a volume by itself keeps that. A machine whose LUNs are all taken goes without.
 */
int group_volume_each(struct inventory_tx *tx, int64_t group_id, int (*each)(void *arg, const struct volume *volume),
		      void *arg); /* in order of name */
/* These, and no others. -EINVAL: one is not shared. */
int group_volume_set(struct inventory_tx *tx, int64_t group_id, const int64_t *volume_ids, unsigned count);
/* The id of the group that has it: this one, or (0) the first. -ENOENT. */
int group_volume_find(struct inventory_tx *tx, int64_t volume_id, int64_t group_id, int64_t *found_id);
struct group_lun {
	int64_t machine_id;
	unsigned lun;
	int64_t volume_id;
};
/* What came to machines by their group, in order of machine and LUN: to one, or to all of a group; 0: any. */
int group_lun_each(struct inventory_tx *tx, int64_t machine_id, int64_t group_id,
		   int (*each)(void *arg, const struct group_lun *lun), void *arg);

/* ---- boots: design.md, "Which machine, which boot" ---- */

enum machine_boot_state { MACHINE_BOOT_PENDING, MACHINE_BOOT_CURRENT, MACHINE_BOOT_ENDED };

struct machine_boot {
	int64_t machine_id;
	uint64_t number; /* 1, 2, ... of this machine */
	enum machine_boot_state state;
	char secret[SECRET_TEXT];	  /* the machine proves itself with it */
	char reverse_secret[SECRET_TEXT]; /* the target does (mutual) */
	char mac[PARSE_MAC_TEXT];
	char address[PARSE_ENDPOINT_TEXT];
	int64_t issued_ms, started_ms, ended_ms; /* 0: not yet */
	bool interrupted;    /* its unflushed writes were lost with the server's power: no more logins (invariant 4) */
	int64_t version_id;  /* chosen in a menu: the login makes its disk anew from this one; 0: none */
	bool running;	     /* had sessions when the server last knew; what a restart interrupts */
	enum auth_kind auth; /* the rule under which it began, which it keeps; AUTH_POLICY: not known */
	int64_t ran_version_id; /* what its disk was made from when it began; 0: not known */
};

/* -ENOENT where there is none. At most one each per machine. */
int machine_boot_pending(struct inventory_tx *tx, int64_t machine_id, struct machine_boot *boot);
int machine_boot_current(struct inventory_tx *tx, int64_t machine_id, struct machine_boot *boot);
/* A new pending boot; number is set. -EEXIST: there is one. */
int machine_boot_issue(struct inventory_tx *tx, struct machine_boot *boot);
/*
 * The pending boot with this number becomes current, the current one ends; secrets of ended boots are wiped. -ESTALE:
 * it is not pending.
 */
int machine_boot_begin(struct inventory_tx *tx, int64_t machine_id, uint64_t number);
/* The current boot ends without another (reset, swap, release); pending ones are dropped too. */
int machine_boot_end_all(struct inventory_tx *tx, int64_t machine_id);
/* Sets version_id of the pending boot with this number (0: none). -ESTALE: it is not pending. */
int machine_boot_choose(struct inventory_tx *tx, int64_t machine_id, uint64_t number, int64_t version_id);
int machine_boot_set_auth(struct inventory_tx *tx, int64_t machine_id, uint64_t number, enum auth_kind auth);
/* It begins on this version. */
int machine_boot_set_version(struct inventory_tx *tx, int64_t machine_id, uint64_t number, int64_t version_id);
/* Its machine was seen just now, too. */
int machine_boot_set_running(struct inventory_tx *tx, int64_t machine_id, uint64_t number, bool running);
/* At the start: machines that are marked running have been seen, as late as nobody knows; so just now. */
int machine_boot_saw_running(struct inventory_tx *tx);
/* Machines whose current boot is marked running. each returns 0 to go on. */
int machine_boot_each_running(struct inventory_tx *tx, int (*each)(void *arg, int64_t machine_id), void *arg);
int machine_boot_set_interrupted(struct inventory_tx *tx, int64_t machine_id, uint64_t number);
/* Newest first, at most max. */
int machine_boot_each(struct inventory_tx *tx, int64_t machine_id, unsigned max,
		      int (*each)(void *arg, const struct machine_boot *boot), void *arg);

/*
 * What a target must keep over a restart (reservations with APTPL, saved mode pages). -ENOENT: nothing. *blob: free(3).
 */
int machine_scsi_state_save(struct inventory_tx *tx, int64_t machine_id, const void *blob, size_t len);
int machine_scsi_state_load(struct inventory_tx *tx, int64_t machine_id, void **blob, size_t *len);

/* ---- who waits ---- */

enum waiting_reason {
	WAIT_APPROVAL, /* enrol=approve */
	WAIT_CONFLICT, /* a known MAC with another UUID */
	WAIT_SWAP,     /* an unknown MAC with a known UUID or serial, or beside a known MAC: offered as a replacement */
	WAIT_NO_IMAGE,
	WAIT_NO_SPACE,
	WAIT_FULL,   /* max-machines reached */
	WAIT_DENIED, /* a person said no */
};

struct waiting {
	int64_t number; /* shown on its screen */
	char mac[PARSE_MAC_TEXT];
	char uuid[PARSE_UUID_TEXT], serial[SERIAL_TEXT], product[SERIAL_TEXT];
	char cards[CARDS_TEXT]; /* MACs of its other network cards, as it said */
	char address[PARSE_ENDPOINT_TEXT];
	enum waiting_reason reason;
	int64_t machine_id; /* CONFLICT, SWAP: the machine in question; 0 otherwise */
	int64_t first_ms, seen_ms;
};

int waiting_by_mac(struct inventory_tx *tx, const char *mac, struct waiting *waiting);
int waiting_by_number(struct inventory_tx *tx, int64_t number, struct waiting *waiting);
/*
 * Inserts or refreshes (by MAC; number and first_ms are kept and set in *waiting). Beyond max: entries not seen for a
 * day go, oldest first; then
 * -ENOSPC. Denied ones are not counted and not evicted by this, but are bounded by 10 * max themselves, oldest dropped.
 */
int waiting_put(struct inventory_tx *tx, struct waiting *waiting, unsigned max);
int waiting_remove(struct inventory_tx *tx, const char *mac);
int waiting_each(struct inventory_tx *tx, int (*each)(void *arg, const struct waiting *waiting), void *arg);

/* ---- what was taken for an identity and is none: the same on several boards ---- */

enum hardware_id { HARDWARE_UUID, HARDWARE_SERIAL };

int hardware_is_shared(struct inventory_tx *tx, enum hardware_id id, const char *text, bool *shared); /* "" never is */
/* Learnt: from now on it counts as a placeholder, and no machine and nobody who waits has it any more. */
int hardware_set_shared(struct inventory_tx *tx, enum hardware_id id, const char *text);

/* ---- images ---- */

/*
 * "The newest published": published last, so that publishing an older version again goes back to it.
 *
 *     DRAFT      still being made: no machine and no volume gets it
 *     TEST       whoever names it (NAME@V) gets it, nobody else
 *     PUBLISHED  the one that was published last is what new machines get
 *     RETIRED    who has it keeps it, nobody new gets it
 */
enum version_state { VERSION_DRAFT, VERSION_TEST, VERSION_PUBLISHED, VERSION_RETIRED };
enum { ACTOR_TEXT = 64 };

struct image_version {
	int64_t id;
	char image[NAME_MAX_TEXT];
	unsigned number;	  /* NAME@number */
	enum version_state state; /* the newest published one is what new machines get */
	char file[128];		  /* in images/ */
	char format[16];	  /* "raw"; "qcow2" after a promotion */
	uint64_t size_bytes;
	char sha256[IDENTITY_TEXT]; /* when published, in lower-case hex: of all of it, or marked (store/hash.h) */
	uint64_t inode;		    /* a change of inode or mtime triggers a new hash (invariant 7) */
	int64_t mtime_ns;
	int64_t created_ms;
	char source[256];    /* what it was imported from; for people */
	char warnings[1024]; /* lines: why a clone might not boot */
	bool is_default;     /* its image is the default one */
	bool is_newest;	     /* of its image the one that was published last; only read */
	unsigned newest;     /* the number of that one; 0: none is published; only read */
	char note[NOTE_TEXT];
	int64_t publish_at_ms;		 /* 0: that is not planned */
	char publish_by[ACTOR_TEXT];	 /* who planned it */
	unsigned machines;		 /* how many have a system volume that was made from it */
	unsigned volumes;		 /* how many others stand on it */
	unsigned snapshots;		 /* how many stand on it, or stood when they were taken */
	unsigned trashed;		 /* machines in the trash that were made from it */
	int64_t parent_id;		 /* the version that it stands on; 0: none. It was promoted */
	char parent[NAME_MAX_TEXT + 16]; /* NAME@V; "" */
	unsigned depth;			 /* files that lie one over the other, with its own; only read */
	unsigned versions;		 /* that stand on it */
	unsigned rollouts;		 /* that run or are stopped, and need it */
};

int version_by_id(struct inventory_tx *tx, int64_t id, struct image_version *version);
/* number 0: the newest published one. */
int version_find(struct inventory_tx *tx, const char *image, unsigned number, struct image_version *version);
/* What a new machine gets: the newest published version of the default image. -ENOENT: none. */
int version_default(struct inventory_tx *tx, struct image_version *version);
/* The same of a machine that comes into this group (id 0: none): the newest published version of its image, or the default. */
int version_of_group(struct inventory_tx *tx, const struct machine_group *group, struct image_version *version);
int version_each(struct inventory_tx *tx, int (*each)(void *arg, const struct image_version *version), void *arg);
/* The number that the next version of this name will get (1 for a new name). */
int version_next_number(struct inventory_tx *tx, const char *image, unsigned *number);
/* An image that has this name, or else one that differs from it by case only. -ENOENT. */
int image_find_similar(struct inventory_tx *tx, const char *name, char similar[NAME_MAX_TEXT]);
/*
 * id is set. The first image that has a published version becomes the default. -EEXIST; -ENOTUNIQ: the image is new, and
 * there is one that differs by case only.
 */
int version_insert(struct inventory_tx *tx, struct image_version *version);
int version_publish(struct inventory_tx *tx, int64_t id);
const char *version_state_name(enum version_state state); /* "draft", "test", ... */
bool version_state_parse(const char *text, enum version_state *state);
/* May a machine or a volume that names it get it? -ESTALE with a sentence that says what to do. */
int version_check_given(const struct image_version *version, struct reason *reason);
/* Does its image offer something newer to whoever has it? Those who were given a version to test are not outdated by older ones. */
bool version_is_outdated(const struct image_version *version);
/* The newest one that a volume may have. -ENOENT. */
int version_newest_given(struct inventory_tx *tx, const char *image, struct image_version *version);

struct published {
	struct image_version version, newest; /* newest: what new machines get now */
	unsigned others;		      /* machines that stay on other versions of the image */
	bool ends_rollout;		      /* they get it at their next boot, as far as that loses nothing */
};

/* Publishes, with its event; what was planned for it is done with. -ESTALE: it is retired; with a sentence. */
int version_publish_by(struct inventory_tx *tx, int64_t id, const char *actor, struct published *published,
		       struct reason *reason);
/*
 * Draft, test or retired, with its event: nobody new gets it by itself any more. -EINVAL, with a sentence, where that is published,
 * or new machines would be without an image.
 */
int version_set_state(struct inventory_tx *tx, int64_t id, enum version_state state, const char *actor,
		      struct reason *reason);
int version_set_note(struct inventory_tx *tx, int64_t id, const char *note, const char *actor, struct reason *reason);
/*
 * It is to be published at that time; 0: no more. -EINVAL (the past, or further away than ten years), -ESTALE (retired), -ENOENT
 * (nothing was planned), with a sentence.
 */
int version_plan(struct inventory_tx *tx, int64_t id, int64_t at_ms, const char *actor, struct reason *reason);
/* The first one that is planned; -ENOENT: none. */
int version_planned(struct inventory_tx *tx, struct image_version *version);
int version_set_identity(struct inventory_tx *tx, int64_t id, const char *sha256, uint64_t inode, int64_t mtime_ns);
/*
 * A version that stands on another one becomes one that stands on nothing. First its new file is announced; then, in one job,
 * that takes the old one's name and it is done; so whoever finds the row finds the old file, or the announced one.
 */
struct version_flat {
	int64_t version_id;
	char sha256[IDENTITY_TEXT]; /* of the new file */
	uint64_t inode;
	int64_t mtime_ns;
};
/* The first one above `after` under which so many files lie, itself included, and whose identity is known. -ENOENT. */
int version_find_deep(struct inventory_tx *tx, unsigned depth, int64_t after, struct image_version *version);
int version_flat_announce(struct inventory_tx *tx, const struct version_flat *flat);
/* What is announced: the first one of a version from this one on. -ENOENT. */
int version_flat_next(struct inventory_tx *tx, int64_t from, struct version_flat *flat);
int version_flat_forget(struct inventory_tx *tx, int64_t version_id);
/* With its event. -ENOENT: the version is gone. */
int version_flat_done(struct inventory_tx *tx, const struct version_flat *flat);
/*
 * -EBUSY: volumes stand on it, a rollout needs it, or a group has its image, of which it is the last. With the last version
 * its image goes.
 */
int version_delete(struct inventory_tx *tx, int64_t id);
int image_set_default(struct inventory_tx *tx, const char *image); /* -ENOENT */
/* NAME or NAME@V; number 0 where there is none. False: it is neither. */
bool version_name_parse(const char *text, char name[NAME_MAX_TEXT], unsigned *number);
bool image_name_valid(const char *name); /* letters, digits, '-', '_', '.', not starting with '.' or '-' */

/* ---- policy ---- */

enum enrol_kind { ENROL_AUTO, ENROL_APPROVE, ENROL_DENY };

struct policy {
	enum enrol_kind enrol;
	enum auth_kind auth; /* NONE, CHAP or MUTUAL */
	/* as they were said; what holds for a machine is up to its group, too (effective.h) */
	char name_pattern[NAME_MAX_TEXT];
	char mode[MODE_TEXT];
	char quota[QUOTA_TEXT];		 /* the most that a volume may take: a size, or none */
	char restore_points[QUOTA_TEXT]; /* how many a persistent machine keeps */
	char group[NAME_MAX_TEXT];	 /* that new machines come into; none */
	unsigned max_machines, max_waiting;
	unsigned max_booting;		  /* machines at a time between their script and a steady system; 0: no limit */
	uint64_t reserve_bytes;		  /* where reserve is a size */
	unsigned reserve_percent;	  /* where reserve_bytes is 0 */
	unsigned trash_s;		  /* how long removed machines are kept with their disks; 0: not */
	unsigned keep_snapshots_s;	  /* how long snapshots that people took stay; 0: for ever */
	unsigned keep_points_s;		  /* the same of those that the server took; 0: for ever */
	unsigned keep_idle_s;		  /* machines not seen for so long go to the trash; 0: never */
	unsigned keep_versions;		  /* how many of an image stay that new machines do not get; 0: all */
	unsigned keep_ephemeral;	  /* how many last disks of an ephemeral machine stay, */
	unsigned keep_ephemeral_s;	  /* and how long; 0: no bound */
	uint64_t low_space_bytes;	  /* with less room than that some of them go early; */
	unsigned low_space_percent;	  /* where low_space_bytes is 0; 0: never */
	unsigned menu_timeout;		  /* seconds; 0: a menu waits */
	char menu_default[NAME_MAX_TEXT]; /* what it takes then: disk, local, or an entry */
	unsigned rollout_min_boots;	  /* rollouts: less boots of a new version say nothing */
	unsigned rollout_drop;		  /* how far the share of steady boots may fall, in percent of all */
	unsigned rollout_wait_s;	  /* how long a step has to prove itself; 0: not */
	bool rollout_back;		  /* machines go back where the brake stops one */
	unsigned given;			  /* which keys somebody has set: policy_text */
};

int policy_get(struct inventory_tx *tx, struct policy *policy);
/* What a key that is kept as a text says, and whether somebody has set it. NULL: there is no such key. */
const char *policy_text(const struct policy *policy, const char *key, bool *given);
/* Would the policy of this key, which there is, take the value? *expected: what it takes. */
bool policy_value_valid(const char *key, const char *value, const char **expected);
/* A size of 1M at least, or "none", which is 0. */
bool quota_parse(const char *text, uint64_t *bytes);
enum { RESTORE_POINTS_MAX = 5 }; /* disks lie at most eight deep */
/* A number up to RESTORE_POINTS_MAX. */
bool restore_points_parse(const char *text, unsigned *count);
/* KEY and VALUE as "sanbootctl policy show" names them; -EINVAL or -ENOENT (no such key) with a sentence in reason. */
int policy_set(struct inventory_tx *tx, const char *key, const char *value, struct reason *reason);
int policy_each(struct inventory_tx *tx, int (*each)(void *arg, const char *key, const char *value), void *arg);

/* Small named values: "iqn-prefix", "admin-password" (a crypt(5) hash), ... -ENOENT. */
int setting_get(struct inventory_tx *tx, const char *name, char *value, size_t value_size);
int setting_set(struct inventory_tx *tx, const char *name, const char *value);

/* ---- events: what changed, and why ---- */

struct event {
	int64_t id;
	int64_t at_ms;
	char level[8];		    /* info, warning, error */
	char kind[32];		    /* "enrolled", "boot-started", "login-refused", ... */
	char actor[64];		    /* "machine", "ctl", "web:admin", "server" */
	int64_t machine_id;	    /* 0: none */
	char object[NAME_MAX_TEXT]; /* the name of the machine, image or policy key */
	char text[REASON_TEXT];
};

/*
 * Recorded with the transaction; at most the last 100,000 are kept. Also written to the log, at its level, once
 * committed. The exception to "cut never": a text too long ends in "...", and what is not UTF-8 becomes '?'.
 */
int event_add(struct inventory_tx *tx, const char *level, const char *kind, const char *actor, int64_t machine_id,
	      const char *object, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* From a loop or anywhere: queues a write job that adds it. */
void inventory_event(struct inventory *inventory, const char *level, const char *kind, const char *actor,
		     int64_t machine_id, const char *object, const char *format, ...)
	__attribute__((format(printf, 7, 8)));
/* Those with id > after, oldest first, at most max; with after < 0 the newest max. machine_id 0: all. */
int event_each(struct inventory_tx *tx, int64_t after, int64_t machine_id, unsigned max,
	       int (*each)(void *arg, const struct event *event), void *arg);
/*
 * Grows with each commit that changed anything: event streams and pages wait on it. Any thread. Returns false at the
 * time-out.
 */
bool inventory_wait_change(struct inventory *inventory, uint64_t *seen, unsigned timeout_ms);
/*
 * Calls changed on the inventory's thread after each commit that changed anything (dhcp's host file, event streams).
 * Before the first job.
 */
void inventory_on_change(struct inventory *inventory, void (*changed)(void *arg), void *arg);

/* Words for people and JSON. */
const char *waiting_reason_name(enum waiting_reason reason); /* "approval", "conflict", ... */
const char *policy_enrol_name(enum enrol_kind enrol);
const char *machine_mode_name(enum machine_mode mode);
bool machine_mode_parse(const char *text, enum machine_mode *mode);
bool policy_auth_parse(const char *text, enum auth_kind *auth); /* none, chap, mutual, policy */

#endif
