/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of disk/ stand on: a loop on this thread, workers, an environment, and a directory of their own. */
#ifndef TESTS_DISK_FIXTURE_H
#define TESTS_DISK_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "disk/engine.h"

struct fixture {
	struct loop *loop;
	struct pool *pool;
	struct disk_env *env;
	char dir[64];
};

/* cmocka's setup and teardown: *state is a struct fixture. The directory goes with all that is in it. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* dir/name, in a buffer of the fixture's that the next 8 calls leave alone. */
const char *fixture_path(const struct fixture *fx, const char *name);
/* Runs the loop until *flag. */
void fixture_wait(struct fixture *fx, const bool *flag);
/* Writes size bytes of data at offset of a file that need not be there; grows it to at least `end`. */
void fixture_put(const char *path, uint64_t offset, const void *data, size_t size, uint64_t end);
/* Runs a shell command, output to dir/out. Its exit status. */
int fixture_shell(const struct fixture *fx, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether the directory's file system can read without waiting (RWF_NOWAIT). tmpfs and overlayfs cannot; there the engine never reads inline. */
bool fixture_reads_now(const struct fixture *fx);
/* Bytes that depend on where they are and on seed. */
void fixture_pattern(void *data, size_t size, uint64_t offset, unsigned seed);

/* A file of the directory, opened; flags: DISK_ENV_*. */
struct file *fixture_open_file(struct fixture *fx, const char *name, unsigned flags);
/* Submits a request of a file, and waits. Its result. */
int fixture_file_run(struct fixture *fx, struct file *file, struct file_request *req);

/* Opens, and waits. NULL: see result. */
struct disk *fixture_open(struct fixture *fx,
			  void (*open)(struct disk_env *env, struct loop *loop, const struct disk_open *how,
				       void (*opened)(void *arg, const struct disk_opened *result), void *arg),
			  const struct disk_open *how, struct disk_opened *result);
/* Closes, and waits. What closed said. */
int fixture_close(struct fixture *fx, struct disk *disk);

/* A request that is submitted, waited for and released. Their result. */
int fixture_read(struct fixture *fx, struct disk *disk, uint64_t offset, void *data, size_t length);
/* Any request, and its result. */
int fixture_run(struct fixture *fx, struct disk *disk, struct disk_request *req);
int fixture_write(struct fixture *fx, struct disk *disk, uint64_t offset, const void *data, size_t length, bool fua);
int fixture_zero(struct fixture *fx, struct disk *disk, enum disk_op op, uint64_t offset, uint64_t length);
int fixture_flush(struct fixture *fx, struct disk *disk);

#endif
