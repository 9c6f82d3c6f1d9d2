/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The write log: memory that outlives the process, into which small writes are acknowledged. Private to disk/.
 *
 * What a machine was told is written lies here, or in its child, before it is told (design.md, invariant 1). A write into
 * it waits for nothing, whatever the file system below does; workers bring it down to the children behind (wlog_front.h). A
 * loss of power takes it, as it may take all that was not flushed.
 *
 * Each I/O loop has an area: a mapped file on tmpfs, allocated whole before the first use, so that a file system that
 * fills up later cannot take its pages away.
 *
 *	head | slot headers, 64 bytes each | pages, 4 KiB each
 *
 * A slot is one page of one disk. Its header is complete before its state says LIVE, and a dying process leaves its
 * stores in order, so a slot is there or it is not; the CRC is for what should not happen. Where two slots are the same
 * page, the one with the higher number counts.
 *
 *	FREE --take--> TAKEN --commit--> LIVE --free--> FREE
 *	                                  |  ^
 *	                        orphan, or|  | claim: its disk is opened
 *	             the process dies     v  |
 *	                                 ORPHAN
 *
 * A disk is named by an id of 48 bits that its child's header has (qcow2_log_id), and that a foreign writer or another
 * boot of the host makes void. The path's hash is there to find what nobody will claim any more.
 *
 * Areas of processes that have died stay what they are until all of their slots are free. One that a living process has
 * is locked, and left alone.
 */
#ifndef DISK_WLOG_H
#define DISK_WLOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/reason.h"

struct disk_env;
struct loop;
struct wlog_front;

enum {
	WLOG_PAGE_BYTES = 4096,
	WLOG_SLOTS_MIN = 16, /* of an area */
};

/* Where areas lie: files (wlog_file.c), or what the simulator has instead. All of it may block. */
struct wlog_memory {
	void *data;
	uint64_t bytes;
	unsigned number;
	int fd;
};

struct wlog_host {
	/* Zeroes that are really there, under a number that no other has. 0 or -errno. */
	int (*make)(void *arg, uint64_t bytes, struct wlog_memory *memory);
	/* The next one that a dead process has left; the first call begins. -ENOENT: no more. */
	int (*find)(void *arg, struct wlog_memory *memory);
	/* Not used any more. remove: nor by the next process. */
	void (*drop)(void *arg, struct wlog_memory *memory, bool remove);
	void *arg;
};

struct wlog;
struct wlog_area;
struct wlog_wire_slot;

struct wlog_slot {
	struct wlog_area *area;
	struct wlog_wire_slot *wire;
	uint8_t *data;
	uint64_t page; /* of the disk */
	uint64_t seq;
	/* The rest belongs to wlog_front.c, but for next, which also links what is free. */
	struct wlog_front *front;
	struct wlog_slot *older, *newer; /* of the same page: older is on its way down */
	uint64_t since;			 /* what was acknowledged then is in it, and not below yet */
	struct wlog_slot *next, *prev;	 /* of the disk, by since */
	struct wlog_slot *bucket_next;
	unsigned pins; /* reads that have it lent */
	int error;     /* of the last try to bring it down */
	bool indexed;  /* the newest of its page */
	bool going;    /* on its way down */
	bool dead;     /* free, but for its pins */
};

/* Slots that lie together in a list, by next. */
struct wlog_slots {
	struct wlog_slot *first;
	unsigned count;
};

struct wlog_info {
	uint64_t size_bytes, used_bytes;
	uint64_t written;      /* requests that were acknowledged from here, since the start */
	uint64_t orphan_bytes; /* of disks that are not open */
};

/*
 * Start-up: takes over what dead processes have left, and makes an area of bytes / loop_count for each loop. Of another
 * boot_id: void. Where no area can be had there is none, and reason says why; what was left is there all the same. 0 or
 * -errno; *wlog is set also then, but for -ENOMEM.
 */
int wlog_new(const struct wlog_host *host, struct disk_env *env, struct loop *const *loops, unsigned loop_count,
	     uint64_t bytes, struct wlog **wlog);
/* All disks are closed. What nobody brought down stays for the next process. */
void wlog_free(struct wlog *wlog);
/* NULL: that loop has none. */
struct wlog_area *wlog_area_of(struct wlog *wlog, unsigned loop_index);
/*
 * Any thread. Whether all that a disk in use (as its marks say) had in the log must be here: a dead process of this boot left
 * its log, or the disk was used in this one. Otherwise it was lost.
 */
bool wlog_found(struct wlog *wlog, uint64_t id);
/* Any thread: that disk was closed, and not properly. The next process has to find this log, also where nothing is in it. */
void wlog_keep(struct wlog *wlog, uint64_t id);
/* All areas together. */
uint64_t wlog_size(const struct wlog *wlog);
/* Any thread. */
void wlog_get_info(struct wlog *wlog, struct wlog_info *info);
void wlog_count_write(struct wlog_area *area);

/* On the area's loop. How many can be taken. */
unsigned wlog_room(struct wlog_area *area);
unsigned wlog_slot_count(const struct wlog_area *area);
/* On the area's loop; there is room. Its page is the caller's to fill. */
struct wlog_slot *wlog_take(struct wlog_area *area);
/* From here on it survives the process. */
void wlog_commit(struct wlog_slot *slot, uint64_t id, uint64_t path, uint64_t page, uint64_t seq);
/* What it says does not count any more; its page stays. */
void wlog_void(struct wlog_slot *slot);
/* Any thread: void, and free. */
void wlog_release(struct wlog_slot *slot);

/* Any thread: nobody has the disk open any more; links the slot by next. */
void wlog_orphan(struct wlog *wlog, struct wlog_slot *slot);
/*
 * Any thread: takes the orphans of that disk, oldest first. Those that are of the same path under another id go: that
 * child is not there any more.
 */
struct wlog_slots wlog_claim(struct wlog *wlog, uint64_t id, uint64_t path);
/* Any thread: all of that path go. */
void wlog_forget(struct wlog *wlog, uint64_t path);
void wlog_discard(struct wlog_slots *slots);
uint64_t wlog_path_hash(const char *path);

/* ---- wlog_file.c ---- */

/*
 * Files in the folder dir, which has to be on tmpfs. Start-up. 0, or -errno with reason: what to do, or to expect.
 */
int wlog_files_new(const char *dir, struct wlog_host *host, struct reason *reason);
void wlog_files_free(struct wlog_host *host);

#endif
