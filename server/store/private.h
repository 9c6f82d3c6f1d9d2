/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of store/ share. */
#ifndef STORE_PRIVATE_H
#define STORE_PRIVATE_H

#include "base/reason.h"
#include "store/store.h"

#include "base/pool.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum {
	VERIFIED_KEPT = 64,
	STATE_DIR_TEXT = 512,
	STORE_HOLE_BYTES = 32768, /* zeroes of this length and alignment become holes of a golden file */
};
#define STORE_SIZE_MAX ((uint64_t)16 << 40)

struct export;
struct reach;
struct shared_disk;
struct store_backend;

enum { JOB_KINDS = JOB_UPLOAD + 1, JOB_LANES = 2 };

/* An import or an export: jobs.h. */
struct job {
	struct job_status status;
	void (*perform)(struct store *store, struct job *job);
	void (*ended)(void *arg); /* may be NULL */
	void *ended_arg;
	char actor[ACTOR_TEXT];
	int64_t since_ms; /* when its present pass began; monotonic */
	char path[PATH_MAX];
	enum import_use use;
	int fd;		     /* import: the input; export: the folder; -1 when done with */
	struct export *what; /* export: what is written, and how */
	char mark[9];	     /* export: of the names that its file has before its own */
	void (*forget)(struct export *what);
	/* under the mutex */
	bool recorded;		/* the inventory knows of it, and it may begin */
	bool cancel;		/* it is to end */
	bool received, writing; /* upload: all is there; a piece is being written */
	int64_t touched_ms;	/* when the last one was; monotonic */
	bool entering;		/* too late for that: the inventory, or the folder, has it */
	char canceled_by[ACTOR_TEXT];
};

/* Works jobs of one kind off, one after the other. */
struct job_lane {
	struct store *store;
	enum job_kind kind;
	bool running; /* `work` is queued or runs; under the mutex */
	struct pool_job work;
};

/* What store_verify_version found out by hashing: so that it hashes once, not once for each machine that waits. */
struct verified {
	int64_t version_id; /* 0: free */
	uint64_t inode;
	int64_t mtime_ns;
	bool busy; /* somebody is hashing it */
	int err;
	uint64_t used;
};

struct store {
	char dir[STATE_DIR_TEXT];
	char inventory_path[STATE_DIR_TEXT + 16];
	char qemu_img[256];
	int lock_fd;
	struct reach *reach;
	bool stopped; /* store_stop */
	struct pool *pool;
	struct inventory *inventory;
	atomic_bool closing; /* jobs end early */

	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t changed;
	struct job jobs[JOBS_KEPT]; /* a ring, by id */
	uint64_t next_job;	    /* id of the next */
	struct job_lane lanes[JOB_KINDS][JOB_LANES];
	struct verified verified[VERIFIED_KEPT];
	uint64_t verified_clock;

	const struct store_backend *const *backends; /* NULL ends; the first is what new volumes get */
	pthread_mutex_t shared_mutex;		     /* guards the list, not what is in it */
	struct shared_disk *shared;		     /* shared.c */
};

/* STATE/FOLDER/NAME; folder or name may be NULL. Returns out. */
const char *store_path(const struct store *store, const char *folder, const char *name, char out[PATH_MAX]);
/* Is it the name of a file in one of our folders: no '/', not hidden, not too long? */
bool store_file_name_valid(const char *name);
int64_t stat_mtime_ns(const struct stat *st);
/* fsync of a file or folder, by name. 0 or -errno. */
int store_sync_path(const char *path);
/* Removes a file; that it is not there is fine. Others are logged. */
void store_unlink(const char *path);
/* Keeps the reserve of the policy (NULL: none) and `more` bytes free: 0, or -ENOSPC with a sentence. */
int store_check_space(const struct store *store, const struct policy *policy, uint64_t more, struct reason *reason);

/* Runs run(tx, arg) as a job and waits. Not on a loop, not inside another job. */
int store_write(struct store *store, int (*run)(struct inventory_tx *tx, void *arg), void *arg);
int store_read(struct store *store, int (*run)(struct inventory_tx *tx, void *arg), void *arg);
int store_get_policy(struct store *store, struct policy *policy);

/* learn.c: the version that a read set in images/ is of; false where the file is none. */
bool store_is_read_set(const char *name, char version_file[NAME_MAX + 1]);
/* The version is removed. */
void store_forget_read_set(const struct store *store, const struct image_version *version);

/* Bytes that the files of a folder take. */
uint64_t store_folder_allocated(const struct store *store, const char *folder);
/* STATE/images/FILE of a version. */
void store_version_path(const struct store *store, const struct image_version *version, char *out, size_t out_size);

/* discard.c: reserved: also what was about to be made, as nobody can be making it any more. */
int store_delete_discarded(struct store *store, const struct store_backend *backend, bool reserved);

/* flatten.c: what was announced, and then interrupted, is done, or forgotten. */
void store_finish_flat(struct store *store);

/* reclaim.c: files and rows agree again. */
int store_reclaim(struct store *store, struct reason *reason);
/* unfinished.c: what the end of the server interrupted is undone, or was done; events say which. After the files were settled. */
int store_settle_unfinished(struct store *store);

/* Said before minutes go into it: is it the name of an image, new or known? version_insert makes sure. */
int store_check_image_name(struct store *store, const char *text, struct reason *reason);

/* source.c */
/* A file or disk of the server's that somebody names; read-only. 0 or -errno with a sentence. */
int store_open_source(const char *path, int *fd, struct reason *reason);
/* How many bytes it has. 0 or -EINVAL. */
int store_source_size(int fd, uint64_t *size);

#endif
