// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests to the disk of a history, and whether their answers are right. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "sim_private.h"

enum { BLOCK = 512, PAGE = 4096 };

/* After a crash nobody hears answers any more. */
static bool is_down(const struct sim *sim)
{
	return sim->host.crashed != HOST_RUNS || sim->careless;
}

static bool error_is_allowed(const struct sim_op *op)
{
	const struct sim *sim = op->sim;

	switch (op->req.result) {
	case -EIO:
		if (op->req.op == DISK_READ || op->req.op == DISK_STATUS)
			return sim->read_errors;
		return sim->read_errors || sim->write_errors || sim->sync_errors;
	case -ENOSPC:
		return (sim->may_fill || sim->quota_bytes) && op->req.op != DISK_READ;
	default:
		return false;
	}
}

static void op_free(struct sim_op *op)
{
	model_snapshot_drop(&op->snapshot);
	op->state = SIM_FREE;
}

/* ---- answers ---- */

static const char *op_name(enum disk_op op)
{
	static const char *const names[] = { "read", "write", "write zeroes", "discard", "flush", "status" };

	return names[op];
}

/* What is lent, into data; false where its length is wrong. */
static bool gather(const struct disk_request *req, unsigned char *data)
{
	uint64_t at = 0;

	for (int i = 0; i < req->iov_count; i++) {
		if (req->iov[i].iov_len > req->length - at)
			return false;
		memcpy(data + at, req->iov[i].iov_base, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
	return at == req->length;
}

static void read_answered(struct sim_op *op)
{
	struct sim *sim = op->sim;
	const struct disk_request *req = &op->req;
	char why[400];

	op->state = SIM_LENT;
	if (!gather(req, op->data))
		sim_fail(sim, "a read of %llu bytes lent another number", (unsigned long long)req->length);
	else if (op->verifies && !model_resolve(sim->model, op->at, op->data, req->length, why, sizeof(why)))
		sim_fail(sim, "%s", why);
	else if (!op->verifies && !model_check(sim->model, &op->snapshot, op->data, why, sizeof(why)))
		sim_fail(sim, "%s", why);
}

/* A hole of the golden image, or nothing at all, is known not to be there from the first time that one asks. */
static void check_mapped(struct sim_op *op, const struct disk_extent *e)
{
	for (uint64_t at = align_up(e->offset, PAGE); at + PAGE <= e->offset + e->length; at += PAGE)
		if (model_is_untouched(op->sim->model, op->at + (at - op->req.offset), PAGE))
			sim_fail(op->sim, "status says that %llu is mapped, where nothing ever was",
				 (unsigned long long)at);
}

static void status_answered(struct sim_op *op)
{
	struct sim *sim = op->sim;
	uint64_t at = op->req.offset, end = op->req.offset + op->req.length;

	if (op->req.extent_count == 0 || op->req.extent_count > SIM_EXTENTS)
		sim_fail(sim, "status gave %u extents", op->req.extent_count);
	for (unsigned i = 0; i < op->req.extent_count && !sim->why[0]; i++) {
		const struct disk_extent *e = &op->extents[i];

		if (e->offset != at || e->length == 0 || e->length % BLOCK || e->length > end - at)
			sim_fail(sim, "status: extent %u is %llu+%llu, after %llu", i, (unsigned long long)e->offset,
				 (unsigned long long)e->length, (unsigned long long)at);
		else if (!e->mapped &&
			 !model_check_zero(sim->model, &op->snapshot, op->at + (e->offset - op->req.offset), e->length))
			sim_fail(sim, "status says that %llu+%llu is not mapped, but there is something",
				 (unsigned long long)e->offset, (unsigned long long)e->length);
		if (e->mapped && sim->format->maps)
			check_mapped(op, e);
		at += e->length;
	}
	if (!sim->why[0] && at < end && op->req.extent_count < SIM_EXTENTS)
		sim_fail(sim, "status stopped early at %llu", (unsigned long long)at);
}

static void change_answered(struct sim_op *op)
{
	struct sim *sim = op->sim;
	bool ok = op->req.result == 0;

	if (ok && op->failed_before)
		sim_fail(sim, "a %s succeeded after a sync had failed", op_name(op->req.op));
	if (op->req.op == DISK_FLUSH && ok)
		model_flushed(sim->model, op->flush_time);
	else if (op->req.op != DISK_FLUSH)
		model_end(sim->model, op->write, ok, op->req.fua);
	/* Writing what was there already is no change, and so may leave no trace. */
	if (op->req.op != DISK_FLUSH && ok && op->kind == MODEL_NEW) {
		sim->interrupted = SIM_MUST_NOT;
		sim->changed = true;
	}
}

static void on_done(struct disk_request *req)
{
	struct sim_op *op = req->user;
	struct sim *sim = op->sim;

	sim->idle = 0;
	if (is_down(sim)) {
		if (req->op == DISK_READ && req->result == 0)
			op->state = SIM_LENT;
		else
			op_free(op);
		return;
	}
	if (sim->options->verbose || req->result)
		sim_say(sim, "%s %llu+%llu (write %u): %d", op_name(req->op), (unsigned long long)req->offset,
			(unsigned long long)req->length, op->write, req->result);
	if (req->result && !error_is_allowed(op))
		sim_fail(sim, "%s %llu+%llu failed with %s", op_name(req->op), (unsigned long long)req->offset,
			 (unsigned long long)req->length, strerror(-req->result));
	if (req->op == DISK_READ && req->result == -EIO &&
	    (req->error_offset < req->offset || req->error_offset - req->offset >= req->length))
		sim_fail(sim, "a read of %llu+%llu names the bad byte %llu", (unsigned long long)req->offset,
			 (unsigned long long)req->length, (unsigned long long)req->error_offset);
	if (req->op == DISK_READ && req->result == 0) {
		read_answered(op);
		return;
	}
	if (req->op == DISK_STATUS && req->result == 0)
		status_answered(op);
	if (req->op != DISK_READ && req->op != DISK_STATUS)
		change_answered(op);
	op_free(op);
}

/* What was lent must not have changed meanwhile. */
static void give_back(struct sim_op *op)
{
	const struct disk_request *req = &op->req;
	uint64_t at = 0;

	for (int i = 0; i < req->iov_count && !is_down(op->sim); i++) {
		if (memcmp(op->data + at, req->iov[i].iov_base, req->iov[i].iov_len))
			sim_fail(op->sim, "a lent read of %llu+%llu changed", (unsigned long long)req->offset,
				 (unsigned long long)req->length);
		at += req->iov[i].iov_len;
	}
	disk_release(op->sim->disk, &op->req);
	op_free(op);
}

/* ---- questions ---- */

/* Lengths from one block to SIM_REQUEST_MAX, the small ones as likely as the large; often where others have been. */
static void choose_range(struct sim *sim, struct sim_op *op)
{
	struct disk_request *req = &op->req;
	struct prng *prng = &sim->prng;
	uint64_t unit = prng_percent(prng, 50) && sim->size_bytes % PAGE == 0 ? PAGE : BLOCK;
	uint64_t most = min_u64(sim->size_bytes, SIM_REQUEST_MAX) / unit;
	uint64_t span = sim->size_bytes / unit;

	while (most > 1 && prng_percent(prng, 65))
		most = (most + 3) / 4;
	if (prng_percent(prng, 60))
		span = max_u64(most, span / 16);
	req->length = (prng_below(prng, most) + 1) * unit;
	op->at = prng_below(prng, span - req->length / unit + 1) * unit;
	req->offset = sim_place(sim, op->at, &req->length);
	op->length = req->length;
	if ((req->op == DISK_DISCARD || req->op == DISK_WRITE_ZEROES) && prng_percent(prng, 4)) {
		op->at = req->offset = 0;
		op->length = sim->size_bytes;
		req->length = sim->disk_bytes;
	}
}

static enum disk_op choose_op(struct prng *prng)
{
	unsigned n = (unsigned)prng_below(prng, 100);

	if (n < 35)
		return DISK_READ;
	if (n < 76)
		return DISK_WRITE;
	if (n < 81)
		return DISK_WRITE_ZEROES;
	if (n < 88)
		return DISK_DISCARD;
	return n < 96 ? DISK_FLUSH : DISK_STATUS;
}

/* New bytes most of the time; some are zeroes, or what the golden image has there. */
static enum model_kind choose_kind(struct prng *prng)
{
	unsigned n = (unsigned)prng_below(prng, 100);

	return n < 80 ? MODEL_NEW : n < 88 ? MODEL_GOLDEN : MODEL_ZERO;
}

static void choose_request(struct sim *sim, struct sim_op *op)
{
	struct disk_request *req = &op->req;

	req->op = choose_op(&sim->prng);
	if (req->op != DISK_FLUSH)
		choose_range(sim, op);
	if (req->op == DISK_WRITE || req->op == DISK_WRITE_ZEROES || req->op == DISK_DISCARD) {
		req->fua = prng_percent(&sim->prng, 10);
		req->unmap = prng_percent(&sim->prng, 50);
	}
}

static void trace_request(struct sim *sim, struct sim_op *op)
{
	const struct sim_trace_op *from = &sim->options->trace->ops[sim->trace_at++];
	struct disk_request *req = &op->req;

	req->op = from->op == 'R' ? DISK_READ : from->op == 'W' ? DISK_WRITE : DISK_FLUSH;
	req->fua = from->fua;
	if (req->op == DISK_FLUSH)
		return;
	req->offset = from->offset;
	req->length = op->length = from->length;
	op->at = sim_unplace(sim, from->offset);
}

static void cut_in_pieces(struct sim *sim, struct sim_op *op)
{
	uint64_t at = 0;

	for (int i = 0; i < SIM_PIECES; i++) {
		uint64_t left = op->req.length - at;
		uint64_t piece = i == SIM_PIECES - 1 ? left : prng_below(&sim->prng, left / BLOCK + 1) * BLOCK;

		op->iov[i] = (struct iovec){ op->data + at, piece };
		at += piece;
	}
	op->req.iov = op->iov;
	op->req.iov_count = SIM_PIECES;
}

static void submit(struct sim *sim, struct sim_op *op)
{
	struct disk_request *req = &op->req;

	op->state = SIM_SUBMITTED;
	op->verifies = false;
	op->kind = MODEL_NEW;
	op->write = 0;
	*req = (struct disk_request){ .done = on_done, .user = op };
	if (sim->options->trace)
		trace_request(sim, op);
	else
		choose_request(sim, op);
	op->failed_before = sim->disk_failed || (req->op == DISK_FLUSH && sim->host.sync_failed);
	if (req->op == DISK_FLUSH)
		op->flush_time = model_now(sim->model);
	if (req->op == DISK_READ || req->op == DISK_STATUS)
		model_snapshot_take(sim->model, op->at, op->length, &op->snapshot);
	req->extents = op->extents;
	req->extent_max = SIM_EXTENTS;
	if (req->op == DISK_WRITE_ZEROES || req->op == DISK_DISCARD)
		op->write = model_begin(sim->model, op->at, op->length, MODEL_ZERO);
	if (req->op == DISK_WRITE) {
		op->kind = choose_kind(&sim->prng);
		op->write = model_begin(sim->model, op->at, op->length, op->kind);
		model_content(sim->model, op->write, op->at, op->data, req->length);
		cut_in_pieces(sim, op);
	}
	sim->submitted++;
	sim->counts->requests++;
	if (sim->options->verbose)
		sim_say(sim, "submit %s %llu+%llu (write %u)%s kind %d", op_name(req->op),
			(unsigned long long)req->offset, (unsigned long long)req->length, op->write,
			req->fua ? " fua" : "", op->kind);
	disk_submit(sim->disk, req);
	if (op->state != SIM_SUBMITTED)
		sim_fail(sim, "a request was done inside its submission");
}

void sim_ops_begin(struct sim *sim)
{
	sim->submitted = 0;
	/* A machine that starts, or what is left of one that was not heard of for a while. */
	sim->trace_at = 0;
	if (sim->options->trace && prng_percent(&sim->prng, 50))
		sim->trace_at = (unsigned)prng_below(&sim->prng, sim->options->trace->count);
}

bool sim_ops_over(const struct sim *sim)
{
	return sim->options->trace && sim->trace_at >= sim->options->trace->count;
}

void sim_ops_turn(struct sim *sim)
{
	struct sim_op *op = &sim->ops[prng_below(&sim->prng, sim->depth)];

	if (op->state == SIM_LENT)
		give_back(op);
	else if (op->state == SIM_FREE && !sim_ops_over(sim))
		submit(sim, op);
}

void sim_ops_drain(struct sim *sim)
{
	bool busy = true;

	while (busy) {
		busy = false;
		for (unsigned i = 0; i < SIM_DEPTH; i++) {
			if (sim->ops[i].state == SIM_LENT)
				give_back(&sim->ops[i]);
			busy = busy || sim->ops[i].state != SIM_FREE;
		}
		if (!busy)
			break;
		sim_turn(sim);
	}
}

void sim_ops_verify(struct sim *sim)
{
	struct sim_op *op = &sim->ops[0];

	for (uint64_t at = 0; at < sim->size_bytes && !sim->why[0] && !sim->host.crashed; at += op->req.length) {
		uint64_t length = min_u64(sim->size_bytes - at, SIM_REQUEST_MAX);
		uint64_t offset = sim_place(sim, at, &length);

		op->at = at;
		op->req = (struct disk_request){
			.op = DISK_READ, .offset = offset, .length = length, .done = on_done, .user = op
		};
		op->state = SIM_SUBMITTED;
		op->verifies = true;
		op->write = 0;
		disk_submit(sim->disk, &op->req);
		sim_ops_drain(sim);
	}
}
