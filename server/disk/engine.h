/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kinds of disk (raw, qcow2) and the simulator share: how a disk is opened, what it may ask of disk.c and of
 * the environment. Private to disk/ and its tests.
 *
 * Opening is blocking work on one worker: files come from disk_env_open_file, their metadata is read, replayed and
 * repaired with file->ops->run (disk_file_read and so on). Then the disk is handed to its loop, and from there on
 * everything is asynchronous through file->ops->submit. Nothing in an engine touches a descriptor, so the simulator
 * can stand under it.
 */
#ifndef DISK_ENGINE_H
#define DISK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/reason.h"
#include "disk/disk.h"
#include "disk/file.h"

/* ---- kinds of disk: disk_open_file hands on to one of these. how->path is copied. ---- */

void raw_disk_open(struct disk_env *env, struct loop *loop, const struct disk_open *how,
		   void (*opened)(void *arg, const struct disk_opened *result), void *arg);
void qcow2_disk_open(struct disk_env *env, struct loop *loop, const struct disk_open *how,
		     void (*opened)(void *arg, const struct disk_opened *result), void *arg);

/* ---- what an engine asks of disk.c, on the loop ---- */

/* Fills in the part that every disk has. The rest of *disk is the engine's. */
void disk_init(struct disk *disk, struct disk_env *env, struct loop *loop, const struct disk_ops *ops,
	       const struct disk_open *how, uint64_t size_bytes);
/*
 * Completes req in the next turn of the loop: what submit uses where the answer is there at once. All that complete so
 * in one turn share one wake-up. From a callback of a file, disk_complete does it directly.
 */
void disk_complete_soon(struct disk_request *req, int result);
/*
 * Tells the owner (disk->on_event), who logs it under the machine's name; logs where there is none. From a callback,
 * never from inside submit.
 */
void disk_report(struct disk *disk, enum disk_event event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- files ---- */

enum disk_env_open_flags {
	DISK_ENV_READ_ONLY = 1, /* and FILE_LOCK_SHARED_READ; without it FILE_LOCK_EXCLUSIVE */
	DISK_ENV_CREATE = 2,	/* makes it where it is missing, mode 0600, its name durable before return */
	DISK_ENV_NO_SYNC = 4,	/* ephemeral: FILE_SYNC completes at once */
	DISK_ENV_GOLDEN = 16, /* a backing file: it never changes, so what is read of it may stay in the golden cache */
	DISK_ENV_NO_LOCK = 8, /* a file that the lock of another one covers (the journal beside its child) */
};

/*
 * Blocking, on a worker: opens path (O_CLOEXEC), locks it as QEMU would, and makes it a file that belongs to loop. A
 * regular file, or -EINVAL. 0 or -errno: ENOENT, EBUSY (locked by another process), ...
 */
int disk_env_open_file(struct disk_env *env, struct loop *loop, const char *path, unsigned flags, struct file **file);
/* What err of disk_env_open_file means and what to do: one sentence, for struct disk_opened. */
void disk_env_explain(int err, const char *path, struct reason *reason);
/* Blocking, on a worker: whether both names lead to one file, by whatever links. */
bool disk_env_same_file(struct disk_env *env, const char *path, const char *other);
/* Blocking, on a worker: removes a name, durably. 0 or -errno; one that is not there is no error. */
int disk_env_unlink(struct disk_env *env, const char *path);

/*
 * Blocking, on the worker that opens a disk (and before the file is used on its loop): file->ops->run with one piece of
 * memory. 0 or -errno. Reads beyond the end give zeroes.
 */
int disk_file_read(struct file *file, uint64_t offset, void *data, size_t length);
int disk_file_write(struct file *file, uint64_t offset, const void *data, size_t length);
int disk_file_sync(struct file *file);
int disk_file_punch(struct file *file, uint64_t offset, uint64_t length);
int disk_file_allocate(struct file *file, uint64_t offset, uint64_t length);

/* ---- what the environment has ---- */

/* Work on a worker, as pool_submit; in the simulator it is one more thing in flight. Engines use no pool directly. */
void disk_env_submit(struct disk_env *env, enum pool_class class, struct pool_job *job);
/*
 * The file (its inode) that is being read ahead, 0: none. Who waits for a part of it gets it soonest if that goes on,
 * so such reads do not count below. One at a time; any thread.
 */
void disk_env_set_read_ahead(struct disk_env *env, uint64_t inode);
uint64_t disk_env_read_ahead(const struct disk_env *env);
/* How many other reads wait for a disk on workers. Any thread. */
unsigned disk_env_reads_waiting(const struct disk_env *env);
/* One more (1), one less (-1). */
void disk_env_note_read(struct disk_env *env, int change);
/* The host's boot_id, 36 characters as the kernel writes it; another one after a power cut, also in the simulator. */
const char *disk_env_boot_id(const struct disk_env *env);

enum disk_env_limit {
	DISK_ENV_JOURNAL_ENTRIES, /* of each half of a journal */
	DISK_ENV_REAP_AT_CLOSE,	  /* clusters and runs of blocks that a close gives back to the file system */
};
/* usual, or less in the simulator. */
unsigned disk_env_limit(const struct disk_env *env, enum disk_env_limit which, unsigned usual);

enum {
	DISK_BUFFERS_LIMIT = 256u << 20, /* most that the reads of one loop hold: beyond it disk.c keeps them back */
	DISK_BUFFERS_KEEP = 64u << 20,	 /* most free bytes that a loop keeps for the next read */
	DISK_ZEROES_BYTES = DISK_REQUEST_MAX, /* length of the zero region */
};

/*
 * Memory aligned to 4 KiB, on loop. bytes is rounded up to a power of two of at least 4 KiB and at most
 * DISK_REQUEST_MAX. NULL only without memory: disk.c has already held back reads beyond DISK_BUFFERS_LIMIT (their
 * length is reserved from submit to release), so engines need no queue of their own. put: with the same bytes, on the
 * same loop.
 */
void *disk_buffers_get(struct disk_env *env, struct loop *loop, size_t bytes);
void disk_buffers_put(struct disk_env *env, struct loop *loop, void *data, size_t bytes);

/*
 * Memory of DISK_SMALL_BYTES for what a request needs while it runs, on loop; not zeroed. NULL without memory. put: on
 * the same loop.
 */
enum { DISK_SMALL_BYTES = 1024 };
void *disk_small_get(struct disk_env *env, struct loop *loop);
void disk_small_put(struct disk_env *env, struct loop *loop, void *memory);

/* On loop: who may flush (flush_turn.h). */
struct flush_turns *disk_env_flush_turns(struct disk_env *env, struct loop *loop);

/* What the files of loop have dirty, on loop: dirty.h. */
struct dirty_budget *disk_env_dirty(struct disk_env *env, const struct loop *loop);

/* On loop: so many bytes of a file that is cached were in memory, or were not. */
void disk_env_count_cache(struct disk_env *env, const struct loop *loop, bool hit, uint64_t bytes);

/* DISK_ZEROES_BYTES of zeroes that take no memory: what a read of nothing points at. Never written (it would fault). */
void *disk_env_zeroes(const struct disk_env *env);

/* ---- the seam under files, for the simulator ---- */

struct disk_env_ops {
	/* As the functions of the same name above. */
	int (*open_file)(void *arg, struct disk_env *env, struct loop *loop, const char *path, unsigned flags,
			 struct file **file);
	bool (*same_file)(void *arg, const char *path, const char *other);
	int (*unlink)(void *arg, const char *path);
	const char *(*boot_id)(void *arg);
	void (*submit)(void *arg, enum pool_class class, struct pool_job *job);
	/* Lower bounds than the usual ones, so that a short history meets them; NULL or 0: the usual one. */
	unsigned (*limit)(void *arg, enum disk_env_limit which);
};

/* Before any disk is opened. ops and arg outlive env. */
void disk_env_set_ops(struct disk_env *env, const struct disk_env_ops *ops, void *arg);

#endif
