/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The insides of an open qcow2 disk, shared by the qcow2_*.c files. Private to them. All of it on the disk's loop,
 * but qcow2_open.c and what it calls, which build it on a worker before the loop sees it.
 *
 *	submit -> order (overlaps wait) -> read | write | zero -> map, alloc -> file -> map again -> journal -> done
 *	                                                           flush: refcounts, data | maps | frees
 *
 * Waiting. A step that cannot go on now takes a struct qcow2_waiter, returns QCOW2_WAIT, and is run again from its
 * beginning later; steps are written so that what was done already is found done. waiter->result says what went wrong
 * with what it waited for.
 *
 * Truth. The maps in memory are the truth; the file follows at a flush (qcow2_flush.c says in which order), the
 * journal before a change is acknowledged. An L2 entry gets its host cluster when the cluster is allocated, and a
 * subcluster's bit only when its bytes are in the file, so that a map may be written at any moment of a request's
 * life.
 */
#ifndef DISK_QCOW2_ENGINE_H
#define DISK_QCOW2_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "disk/engine.h"
#include "disk/flush_turn.h"
#include "disk/journal.h"
#include "disk/qcow2_format.h"
#include "disk/qcow2_header.h"
#include "disk/sync.h"

enum {
	QCOW2_WAIT = 1,		     /* see above; errors are negative */
	QCOW2_PIECES_IDLE = 12,	     /* clean pieces that a layer keeps whatever their age */
	QCOW2_PIECES_BUSY = 256,     /* clean pieces that it keeps at most */
	QCOW2_PIECES_AGE = 4,	     /* flushes that an unused clean piece survives */
	QCOW2_DIRTY_MAX = 512,	     /* dirty L2 pieces at which changes wait for a flush */
	QCOW2_FREES_MAX = 4096,	     /* runs of freed clusters, or of freed blocks, at which discards wait for one */
	QCOW2_GROW_BYTES = 32 << 20, /* the file grows in such steps */
};

struct qcow2;

struct qcow2_waiter {
	struct qcow2_waiter *next;
	void (*run)(struct qcow2_waiter *waiter);
	int result; /* 0, or why what it waited for failed */
};

struct qcow2_waiters {
	struct qcow2_waiter *first, **last;
};

void qcow2_waiters_init(struct qcow2_waiters *list);
/* Returns QCOW2_WAIT. */
int qcow2_wait(struct qcow2_waiters *list, struct qcow2_waiter *waiter);
/* Runs those that wait now; not those that come to wait meanwhile. */
void qcow2_wake(struct qcow2_waiters *list, int result);

/* ---- qcow2_map.c: L2 tables and refcount blocks, in pieces ---- */

struct qcow2_pieces;

/* 4 KiB of an L2 table or a refcount block. */
struct qcow2_piece {
	struct qcow2_pieces *owner;
	uint8_t *data;	 /* NULL: not loaded */
	uint8_t *stable; /* what the running flush writes; may be data, which then must not change; NULL: nothing */
	struct qcow2_piece *next, *prev; /* of the ring that it is in: owner->clean or owner->dirty */
	struct qcow2_piece *flush_next;
	struct qcow2_waiters waiters;
	unsigned index; /* table * QCOW2_PIECES + piece */
	unsigned pins;	/* requests that will come back to it */
	unsigned used;	/* owner->age when it was last looked at */
	bool dirty;
	bool reserved; /* has its space in the file */
	bool busy;     /* being loaded or reserved */
	struct file_request io;
	struct iovec iov;
};

/* All tables of one kind of one file. */
struct qcow2_pieces {
	struct file *file;
	const char *path;
	const uint64_t *offsets; /* of each table in the file, in its 56 bits; 0: there is none */
	unsigned table_count;
	struct qcow2_piece ***tables;	   /* [table][piece], both made when first needed */
	struct qcow2_piece *clean, *dirty; /* rings; clean: the oldest first */
	unsigned clean_count, dirty_count;
	unsigned age;	      /* flushes so far */
	uint64_t limit_bytes; /* entries point below it */
	bool told_corrupt;
};

/* table_count pointers are made. 0 or -ENOMEM. */
int qcow2_pieces_init(struct qcow2_pieces *pieces, struct file *file, const char *path, const uint64_t *offsets,
		      unsigned table_count);
void qcow2_pieces_fini(struct qcow2_pieces *pieces);
/* The piece with its data; its table exists. QCOW2_WAIT, or -errno. Valid until the next turn, longer when pinned. */
int qcow2_piece_get(struct qcow2_pieces *pieces, unsigned index, struct qcow2_waiter *waiter,
		    struct qcow2_piece **piece);
/* Makes sure that writing it later cannot fail for lack of space. 0, QCOW2_WAIT, -ENOSPC, ... */
int qcow2_piece_reserve(struct qcow2_piece *piece, struct qcow2_waiter *waiter);
/* Its data, to be changed now; marks it dirty. NULL without memory. */
uint8_t *qcow2_piece_change(struct qcow2_piece *piece);
/* Puts a piece there that is not in the file, and dirty. 0 or -ENOMEM. */
int qcow2_piece_insert(struct qcow2_pieces *pieces, unsigned index, const void *data);
uint64_t qcow2_piece_offset(const struct qcow2_piece *piece);
/*
 * Marks what is dirty as belonging to the flush that begins (stable = data, clean), and hands it over, linked by
 * flush_next.
 */
struct qcow2_piece *qcow2_pieces_take_dirty(struct qcow2_pieces *pieces);
/* The flush of that one is over. ok false: dirty again. */
void qcow2_piece_settle(struct qcow2_piece *piece, bool ok);
/* Drops pieces that nobody has used for some flushes. */
void qcow2_pieces_trim(struct qcow2_pieces *pieces);

/* ---- qcow2_find.c: where bytes are ---- */

/* One file of the chain. */
struct qcow2_layer {
	struct file *file;
	char *path;
	bool raw;
	uint64_t size_bytes; /* as a disk */
	/* qcow2 only */
	uint64_t *l1; /* l2.table_count offsets, without flags */
	struct qcow2_pieces l2;
};

/* A run of a disk's bytes that lie together. */
struct qcow2_extent {
	uint64_t guest, length; /* bytes */
	struct file *file;	/* NULL: zeroes */
	uint64_t offset;	/* in file */
	unsigned layer;		/* where it was found; layer_count: beyond all */
	/* private to qcow2_read.c */
	struct golden_slot *slot; /* pinned: the bytes are, or will be, at data */
	uint8_t *data;
	bool done; /* they are */
};

/*
 * Where the bytes from offset on are, looking from layer `first` down; at most length of them. 0, QCOW2_WAIT or
 * -errno.
 */
int qcow2_find(struct qcow2 *q, unsigned first, uint64_t offset, uint64_t length, struct qcow2_waiter *waiter,
	       struct qcow2_extent *extent);
/* Whether the layers below the child have nothing but zeroes there; false where that is not known at once. */
bool qcow2_backing_is_zero(struct qcow2 *q, uint64_t offset, uint64_t length);
/* The entry of a guest cluster in its piece, checked. 0 or -EIO (corrupt: logged, the first time). */
int qcow2_entry_read(const struct qcow2_piece *piece, uint64_t guest_cluster, struct qcow2_entry *entry);
static inline unsigned qcow2_piece_of_cluster(uint64_t guest_cluster)
{
	return (unsigned)(guest_cluster / QCOW2_PIECE_ENTRIES);
}

/* ---- requests ---- */

/* An operation that holds blocks of the disk: qcow2_order.c. */
struct qcow2_hold {
	uint64_t first, last; /* 4 KiB blocks, last excluded */
	bool changes;
	bool waiting;
	struct qcow2_hold *next, *prev;		   /* all, as they came */
	struct qcow2_hold *blocked, *blocked_next; /* those that wait for this one */
	void (*granted)(struct qcow2_hold *hold);
};

/* Whether anything earlier stands in the way. */
bool qcow2_hold_conflicts(const struct qcow2 *q, uint64_t first, uint64_t last, bool changes);
/* Takes its place in the order. true: granted at once; false: granted is called later. */
bool qcow2_hold_take(struct qcow2 *q, struct qcow2_hold *hold);
/* Gives up what lies before block first. */
void qcow2_hold_shrink(struct qcow2 *q, struct qcow2_hold *hold, uint64_t first);
void qcow2_hold_drop(struct qcow2 *q, struct qcow2_hold *hold);

struct qcow2_reader;

/* One transfer between a file and memory, part of something bigger. */
struct qcow2_io {
	struct file_request file;
	struct iovec iov;
	const struct qcow2_extent *extent;
	bool fills; /* whole pages of a golden slot */
};

/* Bytes of the disk on their way into memory: qcow2_read.c. */
struct qcow2_reader {
	struct qcow2 *q;
	uint64_t offset, length;
	void (*done)(struct qcow2_reader *reader);
	void *user; /* the caller's */
	int result;
	uint64_t error_offset;
	struct iovec *iov; /* the answer: pieces of buffer, golden data and zeroes */
	int iov_count;
	/* private */
	struct qcow2_waiter waiter;
	uint64_t found; /* bytes mapped so far */
	struct qcow2_extent *extents;
	unsigned extent_count, extent_room;
	void *buffer;
	size_t buffer_bytes;
	struct qcow2_io *io; /* those that go to workers */
	unsigned pending;
	/* not initialised */
	struct iovec first_iov[8];
	struct qcow2_extent first_extents[8];
};

/* done may be called inside. Zero-initialise before, up to first_iov. iov stays valid until fini. */
void qcow2_reader_start(struct qcow2_reader *reader, struct qcow2 *q, uint64_t offset, uint64_t length,
			void (*done)(struct qcow2_reader *reader));
void qcow2_reader_fini(struct qcow2_reader *reader);

/* Bytes on their way into the child, their blocks held by the caller: qcow2_write.c. */
struct qcow2_writer {
	struct qcow2 *q;
	uint64_t offset, length;
	const struct iovec *iov; /* borrowed */
	int iov_count;
	void (*done)(struct qcow2_writer *writer);
	int result;
	/* private */
	struct qcow2_waiter waiter;
	int step;
	uint64_t at;
	uint64_t promised; /* bytes */
	struct qcow2_piece *pinned[2];
	unsigned pinned_count;
	uint64_t start, end;	       /* what is written: offset and length, with filled edges */
	struct qcow2_reader *fills[2]; /* NULL: that edge needs none */
	struct iovec *pieces;	       /* fill, iov, fill; or iov itself */
	int piece_count;
	struct file_request *io; /* those that go to workers */
	struct iovec *io_iov;
	unsigned pending; /* fills or io */
	int error;
	struct journal_waiter journal_waiter;
	bool same, asked;	       /* qcow2_same.c: there is nothing to write; the file system below was asked, */
	uint64_t hole_start, hole_end; /* and has nothing between these */
	/* not initialised */
	struct file_request first_io[2];
	struct iovec first_io_iov[4];
};

/* done may be called inside. Zero-initialise before, up to first_io. */
void qcow2_writer_start(struct qcow2_writer *writer, struct qcow2 *q, uint64_t offset, uint64_t length,
			const struct iovec *iov, int iov_count, void (*done)(struct qcow2_writer *writer));

/*
 * qcow2_same.c: whether these very bytes are what one reads there now, without the child having them. 0, QCOW2_WAIT
 * (the writer's step is run again), -errno.
 */
int qcow2_same(struct qcow2_writer *writer, bool *same);

/* What the disk entry points do; disk.c has checked the request. */
void qcow2_submit_read(struct qcow2 *q, struct disk_request *req);
void qcow2_release_read(struct qcow2 *q, struct disk_request *req);
void qcow2_submit_write(struct qcow2 *q, struct disk_request *req);
void qcow2_submit_zero(struct qcow2 *q, struct disk_request *req);
void qcow2_submit_status(struct qcow2 *q, struct disk_request *req);

/* ---- qcow2_runs.c: lists of what is given back ---- */

struct qcow2_run {
	uint64_t first, count; /* host clusters */
};

struct qcow2_runs {
	struct qcow2_run *runs;
	unsigned count, room;
};

/* Blocks of a guest cluster that became zeroes while its host cluster stays. */
struct qcow2_punch {
	uint64_t guest_cluster, host;
	uint32_t mask; /* never 0 */
};

struct qcow2_punches {
	struct qcow2_punch *punches;
	unsigned count, room;
};

/* 0 or -ENOMEM. */
int qcow2_runs_add(struct qcow2_runs *runs, uint64_t first, uint64_t count);
/* Sorts by place in the file and merges neighbours: clusters are freed in the order of the disk, which is another. */
void qcow2_runs_sort(struct qcow2_runs *runs);
int qcow2_punches_add(struct qcow2_punches *list, const struct qcow2_punch *punch);

/* ---- qcow2_alloc.c: host clusters ---- */

/* An L2 table for that entry of L1, and its piece, loaded and reserved. 0, QCOW2_WAIT, -errno. */
int qcow2_prepare_piece(struct qcow2 *q, uint64_t guest_cluster, struct qcow2_waiter *waiter,
			struct qcow2_piece **piece);
/* Takes a free cluster: its refcount is 1 from now on. 0, QCOW2_WAIT, -ENOSPC, ... */
int qcow2_alloc_cluster(struct qcow2 *q, struct qcow2_waiter *waiter, uint64_t *host);
/* Gives a cluster back that no L2 entry in memory names any more; it is reused after the next flush. 0 or -ENOMEM. */
int qcow2_free_cluster(struct qcow2 *q, uint64_t host);
/* Whether the child may grow by that many bytes: its quota. 0 or -ENOSPC. */
int qcow2_check_quota(struct qcow2 *q, uint64_t bytes);

/* ---- qcow2_reap.c ---- */

/* Gives back what a flush has made mature, in the background. */
void qcow2_reap(struct qcow2 *q);
/* From now on only so much that a close does not take long. */
void qcow2_reap_closing(struct qcow2 *q);
/* Tries again what failed. */
void qcow2_reap_stuck(struct qcow2 *q);

/* ---- qcow2_flush.c ---- */

/*
 * waiter runs when all that was acknowledged before is durable, or with -errno. Returns QCOW2_WAIT, 0 where nothing
 * is to be done, -EIO.
 */
int qcow2_flush(struct qcow2 *q, struct qcow2_waiter *waiter);
/* waiter runs when the maps of now are in the file, also where nobody asked for durability. QCOW2_WAIT or -EIO. */
int qcow2_flush_maps(struct qcow2 *q, struct qcow2_waiter *waiter);
/* Gets maps written in the background. */
void qcow2_flush_soon(struct qcow2 *q);
/* As qcow2_flush, but also the refcounts that may otherwise wait. For close. */
int qcow2_flush_all(struct qcow2 *q, struct qcow2_waiter *waiter);
/* What the journal tells its owner; arg is the disk. */
void qcow2_journal_filling(void *arg);
void qcow2_journal_failed(void *arg, int err);
/*
 * Invariant 5: from now on nothing is written. Nobody is told before the journal says so too, so that what was told
 * holds also for the next process: qcow2_wait_failed. Then DISK_FAILED.
 */
void qcow2_fail(struct qcow2 *q, const char *what, int err);
/* Before -EIO is answered because of q->failed: -EIO where that may be told now, otherwise QCOW2_WAIT. */
int qcow2_wait_failed(struct qcow2 *q, struct qcow2_waiter *waiter);
/* -ENOSPC was met: tells the owner, once until writes work again. Any context. */
void qcow2_report_full(struct qcow2 *q);

/* ---- qcow2_mark.c: the marks in the header ---- */

/* Before the first change: journal, marks, sync. 0 when it was done, QCOW2_WAIT, -errno. */
int qcow2_begin(struct qcow2 *q, struct qcow2_waiter *waiter);
/* The last steps of a close: flush, marks, journal, files; frees q. */
void qcow2_close(struct qcow2 *q, void (*closed)(void *arg, int err), void *arg);
/* Closes the files and frees all. Loop or worker. */
void qcow2_free(struct qcow2 *q);

/* ---- the disk ---- */

enum qcow2_begun { QCOW2_CLEAN, QCOW2_BEGINNING, QCOW2_BEGUN };

enum qcow2_flush_stage {
	QCOW2_FLUSH_IDLE,
	QCOW2_FLUSH_TURN,      /* waits until others have flushed */
	QCOW2_FLUSH_REFCOUNTS, /* writing them; data is in the file already */
	QCOW2_FLUSH_SYNC_DATA,
	QCOW2_FLUSH_MAPS,
	QCOW2_FLUSH_SYNC_MAPS,
};

struct qcow2_flushing {
	enum qcow2_flush_stage stage;
	struct flush_turn turn;
	struct qcow2_waiters waiting, running; /* those for the next flush, those of this one */
	bool wanted;			       /* somebody wants maps written, whether anybody waits or not */
	bool wanted_all;		       /* and refcounts, also where only those changed */
	/* what this one writes */
	bool maps;
	struct qcow2_piece *refcounts, *l2;
	uint32_t l1; /* pieces of L1 */
	struct qcow2_l1_write *l1_writes;
	struct qcow2_runs frees; /* what it makes free */
	struct qcow2_punches punches;
	uint64_t journal_position; /* of the snapshot */
	unsigned pending;
	int error;
	struct file_request sync;
	struct qcow2_waiter failed; /* it waits to be told */
};

struct qcow2 {
	struct disk disk;
	unsigned layer_count;
	struct qcow2_layer layers[DISK_CHAIN_MAX]; /* 0 is the child */
	struct file *file;			   /* of the child */
	struct syncs syncs;			   /* of file */
	struct qcow2_header header;		   /* of the child */
	struct read_trace *trace;		   /* of layer 1, while the machine boots; NULL: none */
	bool ephemeral;
	uint64_t quota_bytes;
	uint64_t promised_bytes; /* of the quota, to writes under way */

	unsigned same_misses; /* qcow2_same.c: comparisons in vain */
	struct qcow2_hold *hold_first, *hold_last;
	unsigned changes; /* holds that change */

	/* maps of the child: L1 in layers[0].l1, one bit per 4 KiB of it that is dirty */
	uint32_t l1_dirty;
	bool l1_reserved[QCOW2_PIECES];
	bool table_busy; /* the I/O of a new L2 table is under way; one table at a time */
	struct qcow2_waiters table_waiters;
	uint64_t new_table;   /* a cluster that is to become the next L2 table; 0: none */
	bool new_table_empty; /* and it is known to be zeroes */
	unsigned table_piece; /* of L1, being reserved */
	struct file_request table_io;
	struct iovec table_iov;

	/* refcounts */
	uint64_t *reftable; /* offsets of refcount blocks */
	unsigned block_count;
	struct qcow2_pieces refcounts;
	uint64_t free_hint;    /* no cluster below it is free */
	uint64_t end_bytes;    /* the file reaches to here, and clusters below may be used */
	uint64_t virgin_bytes; /* beyond it nothing was ever written */
	bool growing;
	struct qcow2_waiters grow_waiters;
	struct file_request grow_io;
	struct iovec grow_iov;

	struct qcow2_runs frees;  /* freed in memory; the next flush makes them durable */
	struct qcow2_runs mature; /* durable; to be punched and decremented */
	struct qcow2_runs stuck;  /* punching or decrementing them failed */
	bool retried;		  /* that was tried again */
	bool leaks;		  /* some are not even known any more */
	struct qcow2_punches punches, mature_punches;
	bool reaping;
	uint64_t reap_position; /* of the journal: what made them mature */
	struct journal_waiter reap_journal;
	unsigned reap_left; /* of what a close gives back in any case */
	uint64_t reap_until_ms;
	struct qcow2_run reap_run;
	struct qcow2_punch reap_punch;
	struct qcow2_hold reap_hold;
	struct qcow2_waiter reap_waiter;
	struct file_request reap_io;
	struct qcow2_waiters reap_waiters; /* those who wait for a free cluster, or for the end of it */

	/* marks and journal */
	enum qcow2_begun begun;
	struct qcow2_waiters begin_waiters;
	struct qcow2_waiter begin_failed;
	struct pool_job job; /* of a beginning or a close */
	/* what the job leaves for the loop */
	int job_result;
	struct journal *job_journal;
	uint32_t old_flags; /* before the beginning */
	struct file_request mark_io;
	struct iovec mark_iov;
	char *journal_path;
	struct journal *journal; /* NULL until begun */

	bool unsynced; /* the file was written since the last sync was submitted */
	bool failed;   /* invariant 5 */
	bool failing;  /* and the journal does not say so yet */
	const char *fail_what;
	int fail_err;
	struct journal_waiter fail_journal;
	struct qcow2_waiters fail_waiters;
	bool full; /* told so */
	bool full_posted;
	struct loop_msg full_msg;
	struct qcow2_flushing flush;

	/* closing */
	void (*closed)(void *arg, int err);
	void *closed_arg;
	int close_error;
	bool flushed; /* for the last time: the marks are next */
	struct qcow2_waiter close_waiter;
	struct loop_msg close_msg;

	uint8_t header_sector[QCOW2_HEADER_SECTOR];
};

extern const struct disk_ops qcow2_ops;

static inline struct qcow2 *qcow2_of(const struct disk *disk)
{
	return container_of(disk, struct qcow2, disk);
}

#endif
