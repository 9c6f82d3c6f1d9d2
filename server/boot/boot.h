/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to answer a machine that asks, and what opens when its target is logged in to (design.md, "Which machine, which
 * boot").
 *
 * Everything here is asynchronous: requests may come from any thread, answers come where they say. boot/ knows neither
 * HTTP nor iSCSI: main hands it struct boot_runtime, through which it asks about running sessions, and makes an
 * iscsi_provider from the target functions below.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "base/buf.h"
#include "base/reason.h"
#include "inventory/activity.h"
#include "inventory/stage.h"
#include "inventory/inventory.h"

#include <stdbool.h>
#include <stdint.h>

struct boot;
struct disk;
struct disk_env;
struct inventory;
struct loop;
struct pool;
struct store;

struct boot_session {
	int64_t machine_id;
	char initiator[IQN_MAX_TEXT];
	char address[PARSE_ENDPOINT_TEXT];
	char portal[PARSE_ENDPOINT_TEXT]; /* the address of ours that it reached */
	bool ipxe;
	int64_t since_ms;
	uint64_t boot;
	uint64_t bytes_read, bytes_written, commands;
	int64_t heard_ms; /* when anything came from it last */
};

/* What main lends: sessions of targets. key is the machine's id. Answers come on reply_loop. */
struct boot_runtime {
	void *arg;
	void (*probe)(void *arg, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
		      void (*answered)(void *answered_arg, bool alive, const struct boot_session *session),
		      void *answered_arg);
	void (*release)(void *arg, uint64_t key, const char *why, struct loop *reply_loop,
			void (*released)(void *released_arg), void *released_arg);
	/* One by one; then once NULL with err: 0, or -errno where those were not all. */
	void (*sessions)(void *arg, uint64_t key, struct loop *reply_loop,
			 void (*each)(void *each_arg, const struct boot_session *session, int err), void *each_arg);
	/* Grows a LUN of an open target, through boot_target_grow; reason is borrowed. -ENOENT: it is not open. */
	void (*resize)(void *arg, uint64_t key, unsigned lun, uint64_t size_bytes, struct loop *reply_loop,
		       void (*resized)(void *resized_arg, int err, const char *reason), void *resized_arg);
	/*
	 * A LUN of an open target comes, through boot_target_open_lun, or goes, through boot_target_close. reason is
	 * borrowed. -ENOENT: the target is not open. detach: -EBUSY: it is in use; not where force.
	 */
	void (*attach)(void *arg, uint64_t key, unsigned lun, struct loop *reply_loop,
		       void (*attached)(void *attached_arg, int err, const char *reason), void *attached_arg);
	void (*detach)(void *arg, uint64_t key, unsigned lun, bool force, struct loop *reply_loop,
		       void (*detached)(void *detached_arg, int err, const char *reason), void *detached_arg);
};

struct boot_config {
	struct inventory *inventory;
	struct store *store;
	struct disk_env *disk_env;
	struct pool *pool;
	struct loop *loop; /* where boot/ does its own sequencing */
	const char *iqn_prefix;
	const char *advertise;	    /* NULL: the address that the client reached */
	const char *ipxe_scripts;   /* templates of the site's own; NULL: none. None of these folders has to exist */
	const char *entries;	    /* entries/NAME.conf; NULL: none */
	const char *templates;	    /* NAME/, of who-am-i volumes; NULL: none */
	const char *boot_file_sets; /* names that boot-file-set= may have, with ", " between them; NULL: none */
};

int boot_new(const struct boot_config *config, struct boot **boot);
/* What the portals are bound to: a machine with multipath=yes is told all of them. Before the first request. */
void boot_set_portals(struct boot *boot, const struct endpoint *list, unsigned count);
/* Before the first request. runtime is borrowed. */
void boot_set_runtime(struct boot *boot, const struct boot_runtime *runtime, uint16_t iscsi_port);
/* The server stops: that its sessions end does not mean that their machines are off. Before they are ended. */
void boot_stopping(struct boot *boot);
void boot_free(struct boot *boot);

/* What is wrong with a file of the site's own; what it was to replace goes on serving. */
struct boot_problem {
	char file[160];
	unsigned line; /* 0: of the whole file */
	struct reason why;
};

/* Reads the site's templates and entries again, as the start does. Events and log say what is refused. Main thread. */
void boot_reload(struct boot *boot);
/* In order of file. Any thread. */
void boot_each_problem(struct boot *boot, void (*each)(void *arg, const struct boot_problem *problem), void *arg);

/* ---- a machine asks (GET /boot) ---- */

/*
 * As the query string said, unescaped, unchecked; "" where missing. Lengths are the caller's problem up to 1 KiB a
 * value.
 */
struct boot_ask {
	char mac[64], uuid[64], serial[SERIAL_TEXT], manufacturer[SERIAL_TEXT], product[SERIAL_TEXT],
		asset[SERIAL_TEXT];
	char platform[16];  /* pcbios, efi */
	char buildarch[16]; /* i386, x86_64, arm64 */
	char version[64];
	char error[32];	  /* errno of a failed sanboot */
	char attempt[16]; /* how often the script has asked again */
	char choose[80];  /* what was chosen in its menu */
	char board_serial[SERIAL_TEXT];
	char secure_boot[8], setup_mode[8]; /* 0, 1; UEFI's variables */
	char cards[256];		    /* MACs of its network cards, by commas; some may be empty */
	char client[PARSE_ENDPOINT_TEXT];   /* its address, from the socket */
	char server[PARSE_ENDPOINT_TEXT];   /* the address that it reached, host only */
	char base_url[128]; /* "http://10.0.0.1:8080", made from the socket, never from the Host header */
};

enum boot_outcome {
	BOOT_SANBOOT,
	BOOT_WAIT,
	BOOT_DENIED,
	BOOT_LOCAL,
	BOOT_INVALID,
	BOOT_BUSY,
	BOOT_MENU,
	BOOT_ENTRY,
	BOOT_OUTCOMES
};
const char *boot_outcome_name(enum boot_outcome outcome); /* "sanboot", "wait", ... */

struct boot_answer {
	int status;	   /* HTTP: 200, 400 (a MAC that is no MAC), 503 */
	struct buf script; /* an iPXE script also with errors, so that the machine can show it */
	enum boot_outcome outcome;
};

/* Any thread. answered runs on an unspecified thread of ours (do not block); the answer is borrowed. */
void boot_request(struct boot *boot, const struct boot_ask *ask,
		  void (*answered)(void *arg, const struct boot_answer *answer), void *arg);
/*
 * GET /boot/taken: a script that boot-once caused has got as far as it can be seen from here. Uses boot-once up; said
 * again, it stays used up. 0; -ENOENT: it is not that machine, or not its boot-once any more; -EAGAIN. answered runs on
 * a thread of ours.
 */
void boot_taken(struct boot *boot, const char *mac, const char *token, const char *client,
		void (*answered)(void *arg, int err), void *arg);
/* GET /boot.ipxe: the script that gathers the identity and chains to /boot. Any thread, at once. */
int boot_first_script(struct boot *boot, const char *base_url, struct buf *script);

/* ---- how far a boot has come; see timeline.h. Any thread, at once ---- */

/*
 * STAGE_DHCP or STAGE_BOOT_FILE of a machine, known or not; mac: in any notation. detail: an address, the name of a
 * file.
 */
void boot_seen_dhcp(struct boot *boot, const char *mac, enum stage stage, const char *detail, int64_t at_ms);
/* The same where only the address is known: a boot file was fetched by HTTP. */
void boot_seen_fetch(struct boot *boot, const char *address, const char *file);
/*
 * What was seen of a MAC (as the inventory writes it) that has not got a script since, in order, from memory. Their
 * number.
 */
unsigned boot_arriving(struct boot *boot, const char *mac, struct stage_record records[STAGE_WAITED + 1]);
/* How many machines boot just now, and how many wait for their turn (max-booting). */
void boot_turns(struct boot *boot, unsigned *booting, unsigned *waiting);
enum { BOOT_HOUR = 360, BOOT_HOUR_STEP_MS = 10000 };
/* What went on in the last hour, every ten seconds, from memory; the oldest first. How many of out are set. */
unsigned boot_last_hour(struct boot *boot, struct activity out[BOOT_HOUR]);
/* What to do about a boot that is stuck behind this stage; why: as its record says. "" where nothing can be said. */
const char *boot_stage_hint(enum stage stage, const char *why);

/* ---- what people do (API, sanbootctl): blocking, for HTTP's own threads; 0 or -errno, reason a sentence ---- */

/* What is said of one that waits; NULL where nothing is. */
struct boot_approval {
	const char *name, *image, *group; /* image: NAME or NAME@V; group: none: no group, whatever policy says */
	bool shared; /* of a conflict: it is another machine at the same dock or adapter, whose MAC is shared from now on */
};

/*
 * which: a MAC or a waiting number. how may be NULL. By why it waits: it is enrolled at once; a conflict takes over the new
 * UUID (no name, image or group: -EINVAL), unless it is shared (-EINVAL: it waits for another reason); a swap without any of
 * them gives the machine in question this MAC, with one of them a machine of its own is enrolled. -ENOENT: nobody waits so;
 * -EEXIST: it is a machine already, or the name is taken; -ENOSPC: max-machines, or no room; -EBUSY: a swap for a machine that
 * runs.
 */
int boot_approve(struct boot *boot, const char *which, const struct boot_approval *how, const char *actor,
		 struct machine *machine, struct reason *reason);
enum { BOOT_MACS_MAX = 8 }; /* network cards of one that is added */

/* A machine that is known before it is switched on; NULL where nothing is said. */
struct boot_machine_new {
	const char *name; /* NULL: by the policy's pattern */
	const char *macs[BOOT_MACS_MAX];
	unsigned mac_count;
	/* group: NULL: as policy says, none: none; image: NAME or NAME@V, NULL: its group's, else the default one */
	const char *group, *image, *address, *note; /* address: IPv4, which it keeps */
};

/*
 * All of the list are enrolled, or none. machines: room for count, as they are then. *failed: which one was refused;
 * count: none in particular. dry_run: nothing is changed, only said whether it could be. -EINVAL, -EEXIST (a name, MAC or
 * address is a machine's), -ENOENT (no such image), -ENOSPC (max-machines, or no room).
 */
int boot_add_machines(struct boot *boot, const struct boot_machine_new *list, unsigned count, bool dry_run,
		      const char *actor, struct machine *machines, unsigned *failed, struct reason *reason);
/*
 * A new machine, with what is on a machine's disk, without a copy: snapshot NULL: what is on it now (it is off: -EBUSY); else one
 * that was taken, also while it runs. new: name, and the MACs of its network cards (mac_count 0: its hardware comes later); group,
 * image, address and note are not looked at: it has the other one's settings. Where layers lie eight deep it has a copy, which
 * takes its time. reason, after success: what to do next, or "". -EINVAL, -EEXIST (name, MAC), -ENOENT, -ENOSPC.
 */
int boot_clone(struct boot *boot, const char *machine, const struct boot_machine_new *new, const char *snapshot,
	       const char *actor, struct machine *made, struct reason *reason);
/* Wake on LAN, to all its network cards. reason, after success: where the packet went. -ENETUNREACH and others: nowhere. */
int boot_wake(struct boot *boot, const char *machine, const char *actor, struct reason *reason);
/* A MAC, whether it waits or not, or a waiting number. -EEXIST: it is a machine. boot_approve takes it back. */
int boot_deny(struct boot *boot, const char *mac, const char *actor, struct reason *reason);
/* One that waits, or was denied, waits no more: it is a stranger again. mac: or its number. -ENOENT. */
int boot_forget(struct boot *boot, const char *mac, const char *actor, struct reason *reason);
/* Ends the sessions of a machine that is said to be gone, and its boot: its secret opens nothing any more. */
int boot_release(struct boot *boot, const char *machine, const char *actor, struct reason *reason);
/* A new empty child of the newest published version of its image. -EBUSY where it runs. */
int boot_reset(struct boot *boot, const char *machine, const char *actor, struct reason *reason);
/* The disk of machine goes to the hardware with new_mac: its old MACs and UUID are replaced. -EBUSY where it runs. */
int boot_swap(struct boot *boot, const char *machine, const char *new_mac, const char *actor, struct reason *reason);
/*
 * Into the trash, where policy keeps it for a while, unless for_good. Its other volumes are nobody's then. reason, after
 * success: how it comes back, or "".
 */
int boot_remove(struct boot *boot, const char *machine, bool for_good, const char *actor, struct reason *reason);
/*
 * which: the name that it had, or "#id"; name NULL: the same again. It has its disk, its snapshots and its target name, and
 * its MACs and other volumes as far as nobody else has them: reason, after success, says which not. -ENOENT; -EEXIST (the
 * name; all of its MACs).
 */
int boot_trash_restore(struct boot *boot, const char *which, const char *name, const char *actor,
		       struct machine *machine, struct reason *reason);
/* For good, with its disk. -ENOENT. */
int boot_trash_delete(struct boot *boot, const char *which, const char *actor, struct reason *reason);
/*
 * KEY=VALUE as "sanbootctl machine set --help" names them, and state=ready, which lifts the hold of a failed disk.
 * image, mode, physical-block and state: -EBUSY where it runs; size also grows a running machine's disk; image: -EEXIST
 * where its disk holds data of its own (reset it first). reason, after success: what to do next, or "".
 */
int boot_set(struct boot *boot, const char *machine, const char *key, const char *value, const char *actor,
	     struct reason *reason);
/*
 * Groups: set takes name, priority, boot, boot-file-set, note, templates, ring. -EEXIST; -ENOENT. A removed one's machines are
 * in none.
 */
int boot_group_add(struct boot *boot, const char *name, const char *actor, struct reason *reason);
int boot_group_set(struct boot *boot, const char *name, const char *key, const char *value, const char *actor,
		   struct reason *reason);
int boot_group_remove(struct boot *boot, const char *name, const char *actor, struct reason *reason);
/* What boot= and boot-once= may name, and menus offer. In order of name. Any thread. */
void boot_each_entry(struct boot *boot, void (*each)(void *arg, const char *name, const char *title, bool menu),
		     void *arg);
/* Is a who-am-i volume of these templates a CD-ROM? Else a disk. Blocks. */
bool boot_templates_are_cdrom(struct boot *boot, const char *templates);
/* The site's templates that are in force, by their path. Any thread. */
void boot_each_template(struct boot *boot, void (*each)(void *arg, const char *file), void *arg);
int boot_mac(struct boot *boot, const char *machine, bool add, const char *mac, const char *actor,
	     struct reason *reason);
/* A MAC of the machine is one of a dock or an adapter, which several machines use; or not any more. -EINVAL; -EBUSY. */
int boot_share_mac(struct boot *boot, const char *machine, const char *mac, bool shared, const char *actor,
		   struct reason *reason);

/*
 * Writes the disk of a machine that is off to a file: store_export, of which `ended` and `arg` are ours. It does not boot before
 * that has ended. 0 and the job; -EBUSY where it runs, and others of store_export_volume.
 */
struct store_export;
int boot_export(struct boot *boot, const char *machine, const struct store_export *how, uint64_t *job,
		struct reason *reason);
/* What is to be published at a time has changed (version_plan), or a rollout has. Any thread, at once. */
void boot_look_at_plans(struct boot *boot);

/* Nobody has the volume open, or is about to: other tools may have it. Any thread, at once. */
bool boot_volume_is_closed(struct boot *boot, int64_t volume_id);

/* ---- volumes that people make: blocking, as above. reason, after success: what to do next, or "" ---- */

struct boot_volume_new {
	const char *machine;   /* it is attached to; NULL: to none */
	const char *name;      /* NULL: one is made */
	enum volume_kind kind; /* data, shared, cd */
	int lun;	       /* -1: the lowest that is free */
	uint64_t size_bytes;   /* data */
	const char *from;      /* shared, cd: NAME (its newest version, published or not) or NAME@V */
};

/* -EINVAL, -EEXIST (name or LUN taken), -ENOENT (no such machine or image), -ENOSPC. */
int boot_volume_create(struct boot *boot, const struct boot_volume_new *create, const char *actor, int64_t *volume_id,
		       struct reason *reason);
/* volume: a name, "#id" or MACHINE:LUN. A machine that runs gets it at once. -EBUSY: another machine has it. */
int boot_volume_attach(struct boot *boot, const char *volume, const char *machine, int lun, const char *actor,
		       struct reason *reason);
/*
 * machine NULL: the only one that has it. -EBUSY: it is in use (commands in the last minute), unless force; what a
 * machine has not written yet is lost then.
 */
int boot_volume_detach(struct boot *boot, const char *volume, const char *machine, bool force, const char *actor,
		       struct reason *reason);
/* With what is on it, and its snapshots. -EBUSY: it is attached. */
int boot_volume_remove(struct boot *boot, const char *volume, const char *actor, struct reason *reason);
/*
 * name, quota, physical-block, state=ready, note; size, also while it is in use (of a machine's system volume, too).
 * physical-block and state: -EBUSY while it is open.
 */
int boot_volume_set(struct boot *boot, const char *volume, const char *key, const char *value, const char *actor,
		    struct reason *reason);

/*
 * Snapshots: of a volume (a name, "#id" or MACHINE:LUN; LUN 0 is the machine's disk) that is closed, its machine off:
 * -EBUSY. What the volume has written becomes a layer, at once and whatever its size; only where layers lie eight deep
 * a copy is made, which takes its time. -EINVAL (the label; a shared volume or CD; an ephemeral machine), -EEXIST (the
 * label), -ENOENT.
 */
int boot_snapshot_take(struct boot *boot, const char *volume, const char *label, const char *actor,
		       struct reason *reason);
/* The volume is as it was. What was there before is kept as an automatic snapshot, of which the last three stay. */
int boot_snapshot_restore(struct boot *boot, const char *volume, const char *label, const char *actor,
			  struct reason *reason);
/*
 * What is on a machine's disk becomes the next version of an image, without a copy: snapshot NULL: what is on it now (its
 * machine is off: -EBUSY), of which a snapshot stays; else one that was taken, also while it runs. The version is published
 * where it is the image's first. What it was made from has to stay. Where earlier snapshots lie below it, or many versions that
 * were promoted, a copy is made, which takes its time. reason, after success: what to do next. -EINVAL, -ENOENT, -EEXIST, -ENOSPC.
 */
int boot_promote(struct boot *boot, const char *machine, const char *image, const char *snapshot, const char *actor,
		 struct image_version *version, struct reason *reason);
/* Also while the volume is in use. Where something stands on it, its object goes when nothing does any more. */
int boot_snapshot_remove(struct boot *boot, const char *volume, const char *label, const char *actor,
			 struct reason *reason);
/* A data volume of that name with what is on a closed data volume now. Nobody has it yet. -EINVAL, -EEXIST, -ENOSPC, -EBUSY. */
int boot_volume_copy(struct boot *boot, const char *volume, const char *name, const char *actor, int64_t *volume_id,
		     struct reason *reason);

/*
 * Maintenance of an image, on a machine that is off (-EBUSY). begin: from its next boot on it has a new disk of image (NULL: the
 * newest published version of its own; else NAME or NAME@V), which stays over its boots; its own one is put aside as it is. end:
 * what it has written becomes the next version of that image, a draft, without a copy (where snapshots were taken meanwhile a
 * copy is made, or too many versions lie below it), unless discard; version->number 0: nothing came of it. The machine has its own disk and mode again, or mode
 * (persistent, ephemeral). reason, after success: what to do next. -EINVAL, -ENOENT, -EEXIST: it is in maintenance already,
 * -ENOSPC.
 */
int boot_maintenance_begin(struct boot *boot, const char *machine, const char *image, const char *actor,
			   struct reason *reason);
int boot_maintenance_end(struct boot *boot, const char *machine, bool discard, const char *mode, const char *actor,
			 struct image_version *version, struct reason *reason);

struct boot_sessions {
	struct boot_session *list; /* free(3) */
	unsigned count;
};
/* machine_id 0: of all machines. Blocking, not on a loop. */
int boot_list_sessions(struct boot *boot, int64_t machine_id, struct boot_sessions *sessions);

/* Bytes of golden images that were read from the disk ahead of machines, since the start: warm.h. Any thread. */
uint64_t boot_read_ahead_bytes(struct boot *boot);

/* ---- targets: what main's iscsi_provider calls. Each answer on reply_loop ---- */

struct boot_credential {
	uint64_t boot; /* 0: none */
	bool pending;
	enum auth_kind auth; /* NONE, CHAP or MUTUAL: what it began under; pending: what holds now */
	char user[NAME_MAX_TEXT], secret[SECRET_TEXT], reverse_user[NAME_MAX_TEXT], reverse_secret[SECRET_TEXT];
};

struct boot_access {
	int64_t machine_id; /* 0: refused */
	uint16_t login_status;
	struct reason reason;
	char iqn[IQN_MAX_TEXT];
	enum auth_kind auth;
	bool many;
	char initiator[IQN_MAX_TEXT]; /* the only one allowed; "" any (auth=none, access=many) */
	struct boot_credential current, pending;
};

void boot_target_find(struct boot *boot, const char *iqn, const char *initiator, struct loop *reply_loop,
		      void (*found)(void *arg, const struct boot_access *access), void *arg);
/* The IQNs that an initiator may open, one by one; then once NULL with err: 0, or -errno, and there was none. */
void boot_target_list(struct boot *boot, const char *initiator, struct loop *reply_loop,
		      void (*each)(void *arg, const char *iqn, int err), void *arg);
void boot_target_begin(struct boot *boot, int64_t machine_id, uint64_t number, struct loop *reply_loop,
		       void (*begun)(void *arg, int err, const char *reason), void *arg);

enum { BOOT_LUN_SERIAL = 40 };

/* An open volume at a LUN. The disk is closed by boot_target_close. */
struct boot_lun {
	unsigned number;
	int64_t volume_id;
	enum volume_kind kind;
	bool cdrom; /* else a disk */
	bool physical_512;
	/* Its own serial number, whatever machine has it under whatever LUN; "": its machine's. */
	char serial[BOOT_LUN_SERIAL];
	struct disk *disk;
};

/*
 * Opens all that the machine has, on loop. The system volume (LUN 0) comes first in luns, which is borrowed; another
 * volume that cannot be opened is left out. count 0: refused, with status and reason.
 */
void boot_target_open(struct boot *boot, int64_t machine_id, uint64_t number, struct loop *loop,
		      void (*opened)(void *arg, const struct boot_lun *luns, unsigned count, uint16_t login_status,
				     const char *reason),
		      void *arg);
/* Opens one more, while the others are open. lun NULL: it cannot be, and reason says why. */
void boot_target_open_lun(struct boot *boot, int64_t machine_id, unsigned lun, struct loop *loop,
			  void (*opened)(void *arg, const struct boot_lun *lun, const char *reason), void *arg);
/* Closes these; closed runs on their loop. Nobody uses them. */
void boot_target_close(struct boot *boot, const struct boot_lun *luns, unsigned count, void (*closed)(void *arg),
		       void *arg);
/*
 * Closes the disk of a LUN, which nobody uses just now, grows it and opens it again. grown, on loop: the disk to go on
 * with, and 0 or -errno with a sentence why it is no larger; disk NULL: it could not be opened again.
 */
void boot_target_grow(struct boot *boot, int64_t machine_id, const struct boot_lun *lun, uint64_t size_bytes,
		      struct loop *loop, void (*grown)(void *arg, struct disk *disk, int err, const char *reason),
		      void *arg);
bool boot_target_begin_needs_closed(struct boot *boot, int64_t machine_id); /* from memory, at once, any thread */
void boot_target_session(struct boot *boot, int64_t machine_id, const struct boot_session *session,
			 const char *ended_why); /* began: NULL */
/* The first READ of a session of boot number. */
void boot_target_first_read(struct boot *boot, int64_t machine_id, uint64_t number);
void boot_target_refused(struct boot *boot, int64_t machine_id, const char *iqn, const char *initiator,
			 const char *address, const char *why);

/* ---- several keys at once ---- */

struct boot_setting {
	const char *key, *value;
};

/*
 * Would boot_set, boot_group_set (of one that is made first: add) or boot_volume_set take all of these? In one job that is rolled
 * back, so each sees what those before it would have changed; the rest of it, and whether something has to be off, is looked at,
 * too. size is not rehearsed: set it first. 0, or what the first that is refused would answer.
 */
int boot_rehearse_set(struct boot *boot, const char *machine, const struct boot_setting *settings, unsigned count,
		      struct reason *reason);
int boot_rehearse_group_set(struct boot *boot, const char *name, bool add, const struct boot_setting *settings,
			    unsigned count, struct reason *reason);
int boot_rehearse_volume_set(struct boot *boot, const char *volume, const struct boot_setting *settings, unsigned count,
			     struct reason *reason);

#endif
