// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening a qcow2 disk: one job on a worker builds all of it, then the loop gets it.
 *
 *	open, lock ---> header, L1, refcount table ---> (child) marks ---> recover ---> backing file, the same, ...
 *
 * What the marks of a child that is opened for writing say decides:
 *
 *	nobody else wrote, JOURNAL, boot_id of now    the process died: replay; a missing journal refuses; a poisoned
 *	                                              one is laid over the maps in memory, and nothing is written
 *	nobody else wrote, JOURNAL, other boot_id     the host died: the journal is worth nothing; interrupted
 *	somebody else wrote, JOURNAL                  the journal is void; interrupted
 *	UNSYNCED, other boot_id                       interrupted
 *	none, nobody else wrote                       clean: nothing to do
 *
 * In all cases but the last the maps are walked, refcounts mended and leaks given back (recover). "interrupted" stays
 * in the marks, and is told at every open, until somebody writes to the child.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "disk/read_trace.h"
#include "disk/qcow2_engine.h"
#include "disk/qcow2_meta.h"

struct opening {
	struct pool_job job;
	struct disk_env *env;
	struct loop *loop;
	struct disk_open how; /* path: our copy */
	struct qcow2 *q;
	struct qcow2_header header; /* of the file that was opened last */
	void (*opened)(void *arg, const struct disk_opened *result);
	void *arg;
	struct disk_opened result;
	char path[];
};

static int refuse(struct opening *o, int err, const char *text)
{
	return reason_refuse(&o->result.reason, err, "%s", text);
}

static int refuse_path(struct opening *o, int err, const char *path, const char *text)
{
	return reason_refuse(&o->result.reason, err, "%s %s", path, text);
}

static int no_memory(struct opening *o)
{
	return refuse_path(o, -ENOMEM, o->how.path, "cannot be opened: out of memory");
}

/* ---- recovery of a child ---- */

enum journal_state { JOURNAL_NONE, JOURNAL_VALID, JOURNAL_VOID };

static bool same_boot(const struct opening *o, const struct qcow2_header *h)
{
	const char *now = disk_env_boot_id(o->env);

	return now[0] && !strcmp(now, h->boot_id);
}

static enum journal_state journal_state(const struct opening *o, const struct qcow2_header *h)
{
	if (h->torn)
		return JOURNAL_VOID;
	if (!(h->flags & QCOW2_MARK_JOURNAL))
		return JOURNAL_NONE;
	return h->ours && same_boot(o, h) ? JOURNAL_VALID : JOURNAL_VOID;
}

static bool is_interrupted(const struct opening *o, const struct qcow2_header *h)
{
	if (h->torn || h->flags & QCOW2_MARK_INTERRUPTED)
		return true;
	if (h->flags & QCOW2_MARK_JOURNAL && !h->ours)
		return true;
	return h->flags & QCOW2_MARK_UNSYNCED && !same_boot(o, h);
}

/* The journal over the maps, in memory. *poisoned: a sync had failed. */
static int replay(struct opening *o, struct qcow2_meta *m, bool *poisoned)
{
	struct file *journal;
	int err = disk_env_open_file(o->env, o->loop, o->q->journal_path, DISK_ENV_READ_ONLY | DISK_ENV_NO_LOCK,
				     &journal);

	if (!err) {
		err = journal_replay(journal, m->header.generation, m->header.boot_id, qcow2_meta_change, m);
		journal->ops->close(journal);
	}
	*poisoned = err == -EHWPOISON;
	if (!err || *poisoned)
		return 0;
	if (m->reason.text[0])
		return refuse(o, err, m->reason.text);
	if (err == -ENOENT)
		return reason_refuse(&o->result.reason, -EUCLEAN,
				     "%.100s was in use when its server died, and its .journal is missing or "
				     "another's; put it back, or give up what it held: qemu-img check -r leaks",
				     o->how.path);
	return reason_refuse(&o->result.reason, err, "%.120s cannot be read: %s", o->q->journal_path, strerror(-err));
}

static int note_leak(void *arg, uint64_t first, uint64_t count)
{
	struct qcow2 *q = arg;

	return qcow2_runs_add(&q->mature, first, count);
}

static int recover(struct opening *o, struct qcow2_meta *m, enum journal_state state)
{
	struct qcow2_header *h = &m->header;
	uint64_t reclaimed;
	int err;

	if (state == JOURNAL_VALID) {
		err = replay(o, m, &o->q->failed);
		/* Invariant 5 outlives the process: reads go on, nothing is written. */
		if (err || o->q->failed)
			return err;
	}
	err = qcow2_meta_mend_later(m, h->size_bytes, note_leak, o->q, &reclaimed);
	if (err)
		return refuse(o, err, m->reason.text);
	if (reclaimed)
		log_info("%s: %llu clusters that were lost are given back", o->how.path, (unsigned long long)reclaimed);
	h->flags &= ~(uint32_t)(QCOW2_MARK_JOURNAL | QCOW2_MARK_LEAKS);
	/* Nothing is unsynced any more: mending has synced it, or it was lost with the host. */
	if (o->result.interrupted)
		h->flags = QCOW2_MARK_INTERRUPTED;
	/* Leaks are given back later: punching takes long, and a machine waits for its disk. */
	if (o->q->mature.count)
		h->flags |= QCOW2_MARK_LEAKS;
	h->incompatible &= ~QCOW2_INCOMPAT_DIRTY;
	h->free_hint = qcow2_meta_first_free(m);
	err = qcow2_meta_write_header(m);
	if (err)
		return refuse(o, err, m->reason.text);
	if (state != JOURNAL_NONE)
		disk_env_unlink(o->env, o->q->journal_path);
	return 0;
}

/* The child, opened for writing: what its marks ask for. */
static int settle_child(struct opening *o, struct qcow2_meta *m)
{
	struct qcow2_header *h = &m->header;
	enum journal_state state = journal_state(o, h);

	o->result.interrupted = is_interrupted(o, h);
	if (state == JOURNAL_NONE && h->ours && !(h->incompatible & QCOW2_INCOMPAT_DIRTY) &&
	    !(h->flags & QCOW2_MARK_LEAKS) && m->block_count >= qcow2_refcount_blocks(h->size_bytes) &&
	    (!o->result.interrupted || h->flags & QCOW2_MARK_INTERRUPTED))
		return 0;
	if (state != JOURNAL_NONE)
		log_info("%s: was not closed: recovering it%s", o->how.path,
			 o->result.interrupted ? "; what was not flushed is lost" : "");
	return recover(o, m, state);
}

/* What the journal laid over the maps and may not be written. */
static int keep_overlays(struct qcow2_layer *layer, const struct qcow2_meta *m)
{
	int err = 0;

	for (unsigned t = 0; m->overlays && t < m->header.l1_size; t++)
		for (unsigned p = 0; m->overlays[t] && p < QCOW2_PIECES && !err; p++)
			if (m->overlays[t][p])
				err = qcow2_piece_insert(&layer->l2, t * QCOW2_PIECES + p, m->overlays[t][p]->data);
	return err;
}

/* ---- layers ---- */

static int load_qcow2(struct opening *o, struct qcow2_layer *layer, bool child)
{
	struct qcow2 *q = o->q;
	struct qcow2_meta m;
	int err = qcow2_meta_load(&m, layer->file, layer->path);

	if (err)
		refuse(o, err, m.reason.text);
	if (!err && child && !o->how.read_only)
		err = settle_child(o, &m);
	else if (!err && m.header.ours && m.header.flags & QCOW2_MARK_JOURNAL)
		err = refuse_path(o, -EUCLEAN, layer->path,
				  "was not closed properly; open it once for writing, which recovers it");
	else if (!err && child)
		o->result.interrupted = is_interrupted(o, &m.header);
	if (err)
		goto out;
	o->header = m.header;
	if (child)
		q->header = m.header;
	layer->size_bytes = m.header.size_bytes;
	layer->l1 = m.l1;
	m.l1 = NULL;
	err = qcow2_pieces_init(&layer->l2, layer->file, layer->path, layer->l1, m.header.l1_size);
	layer->l2.limit_bytes = m.clusters * QCOW2_CLUSTER_BYTES;
	if (!err && child && !o->how.read_only) {
		q->block_count = m.block_count;
		q->end_bytes = q->virgin_bytes = m.clusters * QCOW2_CLUSTER_BYTES;
		q->free_hint = m.header.free_hint;
		q->reftable = realloc(m.reftable, m.block_count * sizeof(*m.reftable));
		if (!q->reftable)
			q->reftable = m.reftable;
		m.reftable = NULL;
		err = qcow2_pieces_init(&q->refcounts, layer->file, layer->path, q->reftable, q->block_count);
		if (!err && q->failed)
			err = keep_overlays(layer, &m);
	}
	if (err)
		no_memory(o);
out:
	qcow2_meta_fini(&m);
	return err;
}

static int open_layer(struct opening *o, unsigned index, bool raw)
{
	struct qcow2_layer *layer = &o->q->layers[index];
	unsigned flags = DISK_ENV_READ_ONLY;
	int err;

	if (index == 0 && !o->how.read_only)
		flags = o->how.ephemeral ? DISK_ENV_NO_SYNC : 0;
	else if (index > 0)
		flags |= DISK_ENV_GOLDEN;
	layer->raw = raw;
	err = disk_env_open_file(o->env, o->loop, layer->path, flags, &layer->file);
	if (err) {
		disk_env_explain(err, layer->path, &o->result.reason);
		return err;
	}
	if (raw) {
		layer->size_bytes = layer->file->size_bytes;
		return 0;
	}
	return load_qcow2(o, layer, index == 0);
}

/* The path of the next file of the chain. A file that came before, under whatever name, is a circle. */
static int next_path(struct opening *o, const struct qcow2_layer *layer, char **path)
{
	struct qcow2 *q = o->q;

	*path = qcow2_backing_path(layer->path, o->header.backing);
	if (!*path)
		return no_memory(o);
	for (unsigned i = 0; i < q->layer_count; i++)
		if (disk_env_same_file(o->env, q->layers[i].path, *path)) {
			free(*path);
			return refuse_path(o, -EUCLEAN, o->how.path,
					   "has a chain of backing files that goes in a circle");
		}
	if (q->layer_count == DISK_CHAIN_MAX) {
		free(*path);
		return refuse_path(o, -ENOTSUP, o->how.path,
				   "has more than 8 files in its backing chain, or they go in a circle");
	}
	return 0;
}

static int open_chain(struct opening *o)
{
	struct qcow2 *q = o->q;
	struct qcow2_layer *layer;
	bool raw = false;

	q->layers[0].path = strdup(o->how.path);
	if (!q->layers[0].path || asprintf(&q->journal_path, "%s.journal", o->how.path) < 0) {
		q->journal_path = NULL;
		return no_memory(o);
	}
	for (;;) {
		char *path;
		int err;

		layer = &q->layers[q->layer_count++];
		err = open_layer(o, q->layer_count - 1, raw);
		if (err)
			return err;
		if (raw || !o->header.backing[0])
			return 0;
		raw = !strcmp(o->header.backing_format, "raw");
		err = next_path(o, layer, &path);
		if (err)
			return err;
		q->layers[q->layer_count].path = path;
	}
}

/* ---- the job ---- */

static void opening_work(struct pool_job *job)
{
	struct opening *o = container_of(job, struct opening, job);
	struct qcow2 *q = o->q;
	int err = open_chain(o);

	if (err) {
		if (!q->layer_count)
			q->layer_count = 1;
		qcow2_free(q);
		o->q = NULL;
		o->result.err = err;
		o->result.interrupted = false;
		return;
	}
	q->file = q->layers[0].file;
	syncs_init(&q->syncs, q->file);
	q->unsynced = q->header.flags & (QCOW2_MARK_UNSYNCED | QCOW2_MARK_INTERRUPTED);
	q->ephemeral = o->how.ephemeral;
	q->quota_bytes = o->how.quota_bytes;
	qcow2_waiters_init(&q->table_waiters);
	qcow2_waiters_init(&q->grow_waiters);
	qcow2_waiters_init(&q->reap_waiters);
	qcow2_waiters_init(&q->begin_waiters);
	qcow2_waiters_init(&q->fail_waiters);
	qcow2_waiters_init(&q->flush.waiting);
	qcow2_waiters_init(&q->flush.running);
	for (unsigned i = 0; i < q->header.l1_size; i++)
		if (q->layers[0].l1[i])
			q->l1_reserved[i * 8 / QCOW2_PIECE_BYTES] = true;
}

static void opening_done(struct pool_job *job)
{
	struct opening *o = container_of(job, struct opening, job);

	if (o->q) {
		disk_init(&o->q->disk, o->env, o->loop, &qcow2_ops, &o->how, o->q->layers[0].size_bytes);
		/* Of a raw file only: there the bytes lie where the machine reads them. */
		if (o->how.trace && o->q->layer_count == 2 && o->q->layers[1].raw)
			o->q->trace = read_trace_ref(o->how.trace);
		qcow2_reap(o->q);
		o->result.disk = &o->q->disk;
	}
	o->opened(o->arg, &o->result);
	if (o->q && o->q->failed)
		disk_report(&o->q->disk, DISK_FAILED, "%s: could not be synced when it was last in use: writes fail",
			    o->path);
	free(o);
}

void qcow2_disk_open(struct disk_env *env, struct loop *loop, const struct disk_open *how,
		     void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	size_t path_size = strlen(how->path) + 1;
	struct opening *o = calloc(1, sizeof(*o) + path_size);
	struct qcow2 *q = calloc(1, sizeof(*q));

	if (!o || !q) {
		free(o);
		free(q);
		disk_opened_without_memory(opened, arg);
		return;
	}
	*o = (struct opening){
		.job = { .work = opening_work, .done = opening_done, .loop = loop },
		.env = env,
		.loop = loop,
		.how = *how,
		.q = q,
		.opened = opened,
		.arg = arg,
	};
	memcpy(o->path, how->path, path_size);
	o->how.path = o->path;
	disk_env_submit(env, POOL_SLOW, &o->job);
}
