/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of boot/ share: the struct, one look at the inventory, enrolment. Private to boot/. */
#ifndef BOOT_INTERNAL_H
#define BOOT_INTERNAL_H

#include "ask.h"
#include "boot/boot.h"
#include "decide.h"
#include "entry.h"
#include "flood.h"
#include "slot.h"
#include "stages.h"
#include "templates.h"
#include "timeline.h"
#include "turns.h"
#include "want.h"
#include "warm.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	BOOT_SEEN_MS = 60000,	  /* how old "last seen" may be before it is written again */
	BOOT_PROBE_MS = 5000,	  /* how long a running machine has to answer */
	BOOT_RESUME_MS = 120000,  /* how long after the server's start a machine that ran has to log in again */
	BOOT_CLOSE_MS = 20000,	  /* how long a released child may take to close */
	BOOT_SHORT_ID = 10,	  /* characters of a target's id: 50 bits */
	BOOT_SECRET_CHARS = 16,	  /* 80 bits; Windows takes 12 to 16 */
	BOOT_ASK_SECONDS = 5,	  /* until a waiting machine asks again */
	BOOT_PORTALS_MAX = 16,
	BOOT_URIS_MAX = 8,	  /* that a script names, where multipath is asked for */
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
	char ipxe_scripts[512], entries_folder[512]; /* "": none */

	struct templates *templates; /* with locks of their own */
	struct entries *entries;

	struct slots slots;
	atomic_bool stopping; /* sessions that end from now on do so because the server stops */
	struct stages *stages;
	struct turns *turns;
	struct flood *flood;
	struct warm *warm;

	pthread_mutex_t mutex; /* guards in_flight */
	pthread_cond_t idle;   /* in_flight has become 0 */
	unsigned in_flight;    /* asynchronous calls whose answer has not been given */
};

/* Every asynchronous call is framed by these, so that boot_free can wait. */
void boot_enter(struct boot *boot);
void boot_leave(struct boot *boot);
/* Deletes a child's file on a worker: unlink(2) of a big file waits for the disk. Nothing refers to it any more. */
void boot_discard_child(struct boot *boot, const char *child);

/* Queues an event of the machine with this id (0: of none); level, kind and actor are literals. Any thread. */
void boot_note(struct boot *boot, const char *level, const char *kind, const char *actor, int64_t machine_id,
	       const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The same for the machine that has this target name, if there is one; iqn: a peer's, made of printable characters. */
void boot_note_target(struct boot *boot, const char *level, const char *kind, const char *actor, const char *iqn,
		      const char *format, ...) __attribute__((format(printf, 6, 7)));

/* ---- look.c: what the inventory says of an asker ---- */

struct look {
	struct decide_facts facts;
	struct policy policy;
	struct machine machine;	      /* facts.known: its own; facts.twin: the one in question; else id 0 */
	struct image_version version; /* known: what its child was made from; else what a new one gets; id 0: none */
	bool waits;
	struct waiting waiting;		     /* its row, where waits */
	struct boot_record current, pending; /* number 0: none */
	int priority;			     /* known: its group's */
	struct want want;		     /* known */
};

/* stranger, running and no_space are kept as the caller set them, everything else is filled in. 0 or -errno. */
int look_up(struct boot *boot, struct inventory_tx *tx, const struct asker *asker, struct look *look);

/* ---- enrol.c ---- */

/* What a new machine is made of. */
struct enrolment {
	const struct asker *asker; /* mac, uuid, serial, product */
	const char *address;	   /* that it keeps; "" where not known for sure */
	const char *name;	   /* NULL: by the pattern */
	const struct image_version *version;
	const struct policy *policy;
	const char *actor;
	char child[NAME_MAX_TEXT]; /* out: made, or tried; to be deleted where the job fails */
};

/*
 * In a write job: file, row, MAC, pending boot, event; the waiting row goes. 0; -ENOSPC: no room for a child, nothing
 * was made; -EEXIST: the name is taken; others. Where it fails the file is gone again; the caller deletes it (child)
 * where the commit fails.
 */
int enrol_machine(struct boot *boot, struct inventory_tx *tx, struct enrolment *enrolment, struct machine *machine,
		  char *reason, size_t reason_size);
/* A pending boot with fresh secrets. */
int enrol_issue_boot(struct inventory_tx *tx, int64_t machine_id, const char *mac, const char *address,
		     struct boot_record *pending);
/* The address if no machine keeps it yet, "" otherwise. */
int enrol_free_address(struct inventory_tx *tx, const char *address, char out[PARSE_ENDPOINT_TEXT]);
/* Its row of the waiting list goes, if there is one. */
int enrol_forget_waiting(struct inventory_tx *tx, const char *mac);
void enrol_initiator(const char *iqn, char initiator[IQN_MAX_TEXT]);
const char *enrol_user(const char *iqn); /* the short id: part of iqn */
/* What applies to a machine: its own, or the policy's. */
enum auth_kind enrol_auth(const struct machine *machine, const struct policy *policy);

/* ---- answer.c: scripts ---- */

struct answer_facts {
	const struct asker *asker;
	const struct look *look; /* may be NULL with reason */
	enum decision decision;
	const char *reason; /* NULL, or why */
	const struct boot_session *running;
	const struct turn *turn; /* NULL: it does not wait for its turn */
};

void answer_make(struct boot *boot, const struct answer_facts *facts, struct boot_answer *answer);
/* status 400 or 503: says reason and asks again. */
void answer_error(struct boot *boot, const struct asker *asker, int status, const char *outcome, const char *reason,
		  struct boot_answer *answer);

/* Who runs, for people: "10.0.0.7 (iPXE)", "22 Nov 14:03:05". */
void answer_session(const struct boot_session *session, char *where, size_t where_size, char *since, size_t since_size);

/* ---- resume.c: machines that ran when the server stopped ---- */

/* At the start. 0 or -errno. */
int resume_load(struct boot *boot);
/* A session of this boot began or ended. */
void resume_session(struct boot *boot, int64_t machine_id, uint64_t number, bool began);

/* ---- running.c: sessions, asked by threads that may block ---- */

/* Is it running? alive false where there is no session that answers. */
void running_probe(struct boot *boot, int64_t machine_id, bool *alive, struct boot_session *session);
void running_release(struct boot *boot, int64_t machine_id, const char *why);
/* As iscsi_server_resize: 0 or -errno with a sentence; -ENOENT: not open, and nothing was done. */
int running_resize(struct boot *boot, int64_t machine_id, uint64_t size_bytes, char *reason, size_t reason_size);

#endif
