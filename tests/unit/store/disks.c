// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/disks.h"

#include "disk_block.h"

#include "base/util.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

void disks_start(struct disks *d, struct fixture *f)
{
	*d = (struct disks){ .f = f };
	for (unsigned i = 0; i < array_len(d->loops); i++) {
		char name[8];

		snprintf(name, sizeof(name), "io-%u", i);
		d->loops[i] = loop_new(i);
		assert_non_null(d->loops[i]);
		assert_int_equal(loop_start(d->loops[i], name), 0);
	}
	assert_int_equal(disk_env_new(f->pool, d->loops, array_len(d->loops), &d->env), 0);
}

void disks_stop(struct disks *d)
{
	for (unsigned i = 0; i < array_len(d->loops); i++)
		loop_stop(d->loops[i]);
	disk_env_free(d->env);
	for (unsigned i = 0; i < array_len(d->loops); i++)
		loop_free(d->loops[i]);
}

/* ---- open and close ---- */

struct call {
	struct loop_msg msg;
	void (*run)(void *arg);
	void *arg;
	struct store *store;
	struct disk_env *env;
	struct loop *loop;
	const struct volume *volume;
	const struct image_version *version;
	struct disk *disk;
	int err;
	struct reason reason;
	sem_t done;
};

static void call_opened(void *arg, const struct disk_opened *result)
{
	struct call *call = arg;

	call->disk = result->disk;
	call->err = result->err;
	reason_set(&call->reason, "%s", result->reason.text);
	sem_post(&call->done);
}

static void call_wait(struct call *call)
{
	sem_wait(&call->done);
	sem_destroy(&call->done);
}

static void open_run(struct loop_msg *msg)
{
	struct call *call = container_of(msg, struct call, msg);
	const struct store_open how = { .env = call->env };

	store_open_volume(call->store, call->loop, call->volume, call->version, &how, call_opened, call);
}

struct disk *disks_open(struct disks *d, unsigned loop, const struct volume *volume,
			const struct image_version *version, int *err, struct reason *reason)
{
	struct call call = { .msg.run = open_run,
			     .store = d->f->store,
			     .env = d->env,
			     .loop = d->loops[loop],
			     .volume = volume,
			     .version = version };

	sem_init(&call.done, 0, 0);
	loop_post(d->loops[loop], &call.msg);
	call_wait(&call);
	*err = call.err;
	*reason = call.reason;
	assert_true((call.disk != NULL) != (call.err != 0));
	return call.disk;
}

static void call_closed(void *arg, int err)
{
	struct call *call = arg;

	call->err = err;
	sem_post(&call->done);
}

static void close_run(struct loop_msg *msg)
{
	struct call *call = container_of(msg, struct call, msg);

	store_close_volume(call->store, call->disk, call_closed, call);
}

int disks_close(struct disks *d, struct disk *disk)
{
	struct call call = { .msg.run = close_run, .store = d->f->store, .disk = disk };

	sem_init(&call.done, 0, 0);
	loop_post(disk->loop, &call.msg);
	call_wait(&call);
	return call.err;
}

static void call_run(struct loop_msg *msg)
{
	struct call *call = container_of(msg, struct call, msg);

	call->run(call->arg);
	sem_post(&call->done);
}

void disks_on_loop(struct disks *d, unsigned loop, void (*run)(void *arg), void *arg)
{
	struct call call = { .msg.run = call_run, .run = run, .arg = arg };

	sem_init(&call.done, 0, 0);
	loop_post(d->loops[loop], &call.msg);
	call_wait(&call);
}

/* ---- reading and writing ---- */

int disks_write(struct disk *disk, uint64_t offset, unsigned char byte)
{
	return disk_block_write(disk, offset, byte, false);
}

int disks_read(struct disk *disk, uint64_t offset)
{
	return disk_block_read(disk, offset);
}
