// SPDX-License-Identifier: GPL-2.0-or-later
/* The simulated host: what is in flight, crashes, and the environment that engines see. See host.h. */
#include "host.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "host_file.h"

void host_init(struct host *host, struct prng *prng)
{
	*host = (struct host){ .prng = prng, .inline_percent = 50 };
	snprintf(host->boot_id, sizeof(host->boot_id), "00000000-0000-4000-8000-%012u", host->boots);
}

void host_fini(struct host *host)
{
	while (host->files)
		host_file_remove(host, host->files);
	free(host->ops);
}

void host_load(struct host *host, const char *path)
{
	struct host_file *old = host_file_find(host, path, false);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert(fd >= 0);
	if (old)
		host_file_remove(host, old);
	host_file_import(host_file_find(host, path, true), fd);
	close(fd);
}

uint64_t host_allocated(struct host *host, const char *path)
{
	const struct host_file *file = host_file_find(host, path, false);

	return file ? host_file_allocated_bytes(file) : 0;
}

uint64_t host_came_back(struct host *host, const char *path, bool forget)
{
	struct host_file *file = host_file_find(host, path, false);

	if (!file)
		return 0;
	if (forget)
		file->came_back_bytes = 0;
	return file->came_back_bytes;
}

void host_forget(struct host *host, const char *path)
{
	struct host_file *file = host_file_find(host, path, false);

	if (file)
		host_file_remove(host, file);
}

void host_store(struct host *host, const char *path)
{
	struct host_file *file = host_file_find(host, path, false);
	int fd;

	unlink(path);
	if (!file)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert(fd >= 0);
	host_file_export(file, fd);
	close(fd);
}

/* ---- crashes ---- */

void host_plan_crash(struct host *host, enum host_crash kind, uint64_t after)
{
	host->crash_kind = kind;
	host->crash_after = after;
}

void host_cancel_crash(struct host *host)
{
	host->crash_after = 0;
}

void host_crash(struct host *host, enum host_crash kind)
{
	assert(!host->crashed);
	for (unsigned i = 0; i < host->op_count; i++)
		if (prng_percent(host->prng, 50))
			host_file_begin(host, &host->ops[i]);
	for (struct host_file *f = host->files; f; f = f->next)
		host_file_crash(host, f, kind);
	host->crash_after = 0;
	host->crashed = kind;
}

bool host_is_down(struct host *host)
{
	if (!host->crashed && host->crash_after && --host->crash_after == 0)
		host_crash(host, host->crash_kind);
	return host->crashed != HOST_RUNS;
}

void host_restart(struct host *host)
{
	assert(host->op_count == 0 && host->open_files == 0);
	if (host->crashed == HOST_CUT)
		host->boots++;
	host->crashed = HOST_RUNS;
	snprintf(host->boot_id, sizeof(host->boot_id), "00000000-0000-4000-8000-%012u", host->boots);
}

/* ---- what is in flight ---- */

void host_add(struct host *host, struct host_op op)
{
	if (host->op_count == host->op_capacity) {
		host->op_capacity = host->op_capacity ? 2 * host->op_capacity : 64;
		host->ops = realloc(host->ops, host->op_capacity * sizeof(*host->ops));
		assert(host->ops);
	}
	host->ops[host->op_count++] = op;
}

static void finish_job(struct pool_job *job);

bool host_step(struct host *host)
{
	struct host_op op;
	unsigned i;

	if (host->op_count == 0)
		return false;
	i = (unsigned)prng_below(host->prng, host->op_count);
	if (!host->crashed && prng_percent(host->prng, 10)) {
		host_file_begin(host, &host->ops[i]);
		return true;
	}
	op = host->ops[i];
	host->ops[i] = host->ops[--host->op_count];
	if (op.req)
		host_file_finish(host, &op);
	else
		finish_job(op.job);
	return true;
}

/* ---- workers ---- */

static void run_job_done(struct loop_msg *msg)
{
	struct pool_job *job = container_of(msg, struct pool_job, msg);

	job->done(job);
}

static void finish_job(struct pool_job *job)
{
	job->work(job);
	if (!job->done)
		return;
	if (!job->loop) {
		job->done(job);
		return;
	}
	job->msg.run = run_job_done;
	loop_post(job->loop, &job->msg);
}

static void env_submit(void *arg, enum pool_class class, struct pool_job *job)
{
	(void)class;
	host_add(arg, (struct host_op){ .job = job });
}

/* ---- files ---- */

static int env_open_file(void *arg, struct disk_env *env, struct loop *loop, const char *path, unsigned flags,
			 struct file **file)
{
	struct host *host = arg;
	struct host_file *inode;

	(void)env;
	if (host_is_down(host))
		return -EIO;
	inode = host_file_find(host, path, flags & DISK_ENV_CREATE && !(flags & DISK_ENV_READ_ONLY));
	if (!inode)
		return -ENOENT;
	return host_file_open(host, inode, loop, flags, file);
}

static bool env_same_file(void *arg, const char *path, const char *other)
{
	(void)arg;
	return !strcmp(path, other);
}

static int env_unlink(void *arg, const char *path)
{
	struct host *host = arg;
	struct host_file *inode;

	if (host_is_down(host))
		return -EIO;
	inode = host_file_find(host, path, false);
	if (inode)
		host_file_remove(host, inode);
	return 0;
}

static const char *env_boot_id(void *arg)
{
	const struct host *host = arg;

	return host->boot_id;
}

static unsigned env_limit(void *arg, enum disk_env_limit which)
{
	const struct host *host = arg;

	return which == DISK_ENV_JOURNAL_ENTRIES ? host->journal_entries : host->reap_at_close;
}

const struct disk_env_ops host_env_ops = {
	.open_file = env_open_file,
	.same_file = env_same_file,
	.unlink = env_unlink,
	.boot_id = env_boot_id,
	.submit = env_submit,
	.limit = env_limit,
};
