/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal beside a child: map changes that are acknowledged and not yet in the maps, so that they survive the
 * death of the process (design.md, invariant 1). It is never synced: what the host's power takes, it takes (invariant
 * 4).
 *
 * Two halves of a preallocated file. A change is appended to the present half; when that is full, or a flush begins,
 * the other half takes over, once a flush that began after its last entry has put all of them into the maps. Entries
 * are absolute, so replaying a half that is already in the maps, then the younger half, gives what replaying the
 * younger one alone would. That needs whole halves: the first block of a half that is taken again is one page, which a
 * dying process writes or does not write, so of the older half nothing is left or all.
 *
 * Each entry carries a CRC32C over itself, the generation, the half's epoch and its place; replay stops at the first
 * that does not fit. Private to disk/. On the disk's loop, but journal_create and journal_replay, which block.
 */
#ifndef DISK_JOURNAL_H
#define DISK_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/engine.h"
#include "disk/qcow2_format.h"

struct journal;

enum {
	JOURNAL_HALF_BYTES = 128 << 10,
	JOURNAL_BYTES = 2 * JOURNAL_HALF_BYTES,
	JOURNAL_RUN_MAX = QCOW2_PIECE_ENTRIES, /* clusters of one change */
};

/* From now on `count` guest clusters from first have this L2 entry. More than one: entry.host is 0. */
struct journal_change {
	uint64_t first;
	unsigned count;
	uint64_t table; /* where their L2 table is in the file; the L1 entry names it too */
	struct qcow2_entry entry;
};

/* Told when its changes are in the file; embedded in what waits. */
struct journal_waiter {
	struct journal_waiter *next;
	uint64_t ticket;
	void (*done)(struct journal_waiter *waiter, int err);
};

/* What the journal asks of its owner. */
struct journal_owner {
	/* Most of the present half is used, or all of it: maps should be written soon. */
	void (*filling)(void *arg);
	/* It cannot be written: nothing will be recorded any more. */
	void (*failed)(void *arg, int err);
	void *arg;
};

/* Blocking, on a worker: makes or takes over the file at path, preallocates it, voids what it holds. 0 or -errno. */
int journal_create(struct disk_env *env, struct loop *loop, const char *path, bool ephemeral, uint64_t generation,
		   const struct journal_owner *owner, struct journal **journal);
/* Nobody waits any more. The file stays. */
void journal_close(struct journal *journal);

/* Takes a copy. -ENOMEM: nothing was added. */
int journal_add(struct journal *journal, const struct journal_change *change);
/* done runs later, when everything added so far is written. */
void journal_wait(struct journal *journal, struct journal_waiter *waiter);
/* How many added changes are not yet handed to the file. */
unsigned journal_backlog(const struct journal *journal);
/* Everything that was added so far ends here; and is everything up to there in the file? */
uint64_t journal_position(const struct journal *journal);
bool journal_is_written(const struct journal *journal, uint64_t position);
/*
 * Changes were refused for want of room (their requests failed), so that a replay may bring back entries which they did
 * away with: the clusters of those must not be used for anything else while this journal lives.
 */
bool journal_has_gap(const struct journal *journal);

/*
 * A flush takes its snapshot of the maps now; it is durable, or err says why not. Then those who wait for room are
 * told err, rather than tried again and again.
 */
void journal_flush_begins(struct journal *journal);
void journal_flush_ends(struct journal *journal, int err);
/*
 * Nothing is added any more, and whoever replays it learns that a sync has failed (invariant 5). waiter->done runs
 * later, when that is written or cannot be. Once.
 */
void journal_poison(struct journal *journal, struct journal_waiter *waiter);

/*
 * Blocking, on a worker: gives all changes of that generation, in order. change returns 0 or -errno, which ends it.
 * -ENOENT: there is no journal of that generation and boot_id; -EHWPOISON: it was poisoned, after all of its changes
 * were given.
 */
int journal_replay(struct file *file, uint64_t generation, const char *boot_id,
		   int (*change)(void *arg, const struct journal_change *change), void *arg);

#endif
