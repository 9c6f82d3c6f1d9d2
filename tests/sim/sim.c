// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lives of a disk: see sim.h.
 *
 *	        crash while opening, in use or closing         +--> closed --(power cut)--+
 *	           +------------------------------+            |                          |
 *	           v                              |            |                          |
 *	(restart) open -----> verify -----> use --+--> close --+                          |
 *	           ^                                                                      |
 *	           +----------------------------------------------------------------------+
 */
#include "sim.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "sim_private.h"

enum {
	IDLE_TURNS = 5000, /* of 1 ms: then it hangs */
};

/* ---- helpers ---- */

void sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (sim->why[0])
		return;
	va_start(args, format);
	vsnprintf(sim->why, sizeof(sim->why), format, args);
	va_end(args);
}

void sim_say(const struct sim *sim, const char *format, ...)
{
	va_list args;

	if (!sim->options->verbose)
		return;
	printf("  life %u: ", sim->life);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void other_runs(struct flush_turn *turn)
{
	container_of(turn, struct sim, other)->other_flushes = SIM_HAS_TURN;
}

/* now: rather now than later. */
static void other_disk(struct sim *sim, bool now)
{
	struct flush_turns *turns = disk_env_flush_turns(sim->env, sim->loop);

	if (!now && !prng_percent(&sim->prng, 3))
		return;
	if (sim->other_flushes == SIM_HAS_TURN) {
		sim->other_flushes = SIM_NO_TURN;
		flush_turn_give(turns);
	} else if (!now && sim->other_flushes == SIM_NO_TURN) {
		sim->other_flushes = flush_turn_take(turns, &sim->other) ? SIM_HAS_TURN : SIM_WAITS;
	}
}

void sim_turn(struct sim *sim)
{
	loop_run_once(sim->loop, false);
	if (sim->others)
		other_disk(sim, sim->idle > 0);
	if (host_step(&sim->host)) {
		sim->idle = 0;
		return;
	}
	/* Nothing but the loop's own timers and messages can go on. */
	if (++sim->idle > 16)
		usleep(1000);
	if (sim->idle > IDLE_TURNS) {
		fprintf(stderr, "FAILED seed %" PRIu64 ", life %u: the disk hangs\n", sim->seed, sim->life);
		abort();
	}
}

static void set_faults(struct sim *sim, bool on)
{
	sim->host.read_errors = on ? sim->read_errors : 0;
	sim->host.write_errors = on ? sim->write_errors : 0;
	sim->host.sync_errors = on ? sim->sync_errors : 0;
	if (!on)
		sim->host.full = false;
}

static void plan_crash(struct sim *sim, uint64_t within)
{
	enum host_crash kind = prng_percent(&sim->prng, 50) ? HOST_KILL : HOST_CUT;

	host_plan_crash(&sim->host, kind, prng_below(&sim->prng, within) + 1);
}

/* ---- crashes ---- */

/* The model learns of a crash. in_use: by a disk, which may have had something to lose. */
static void note_crash(struct sim *sim, bool in_use)
{
	bool cut = sim->host.crashed == HOST_CUT;

	sim_say(sim, "%s%s", cut ? "power cut" : "kill", in_use ? "" : " while closed");
	*(cut ? &sim->counts->cuts : &sim->counts->kills) += 1;
	if (cut)
		sim->must_fail = false;
	if (cut && model_is_unflushed(sim->model))
		sim->interrupted = SIM_MUST;
	else if (cut && in_use && sim->interrupted == SIM_MUST_NOT)
		sim->interrupted = SIM_MAY;
	model_crash(sim->model, cut);
}

/* ---- open and close ---- */

static void on_opened(void *arg, const struct disk_opened *result)
{
	struct sim *sim = arg;

	sim->opened = true;
	sim->opening = *result;
}

static void on_closed(void *arg, int err)
{
	struct sim *sim = arg;

	sim->closed = true;
	sim->close_err = err;
}

static void on_event(void *arg, enum disk_event event, const char *text)
{
	struct sim *sim = arg;

	sim_say(sim, "event %d: %s", event, text);
	if (event != DISK_FAILED || sim->host.crashed)
		return;
	sim->disk_failed = true;
	/*
	 * The journal says so to the next process, where the child had its first change and the journal can be written.
	 */
	sim->must_fail =
		sim->must_fail || (sim->format->maps && sim->changed && sim->host.sync_failed && !sim->write_errors);
	if (sim->must_fail && !sim->last && prng_percent(&sim->prng, 30))
		host_plan_crash(&sim->host, HOST_KILL, prng_below(&sim->prng, 4) + 1);
}

/* True: sim->disk. False: a crash came first, or something is wrong. */
static bool open_disk(struct sim *sim)
{
	struct disk_open how = {
		.path = sim->path,
		.ephemeral = sim->ephemeral,
		.quota_bytes = sim->quota_bytes,
		.on_event = on_event,
		.event_arg = sim,
	};

	sim->disk_failed = sim->changed = false;
	sim->opened = false;
	sim->format->open(sim->env, sim->loop, &how, on_opened, sim);
	while (!sim->opened)
		sim_turn(sim);
	sim->disk = sim->opening.disk;
	if (sim->opening.err) {
		sim_say(sim, "not opened: %s", sim->opening.reason.text);
		if (!sim->host.crashed && !sim->sync_failed && !sim->careless)
			sim_fail(sim, "opening failed: %s", sim->opening.reason.text);
		return false;
	}
	sim_say(sim, "opened%s", sim->opening.interrupted ? ", interrupted" : "");
	if (sim->careless)
		return true;
	if (sim->disk->size_bytes != sim->disk_bytes)
		sim_fail(sim, "it has %" PRIu64 " bytes instead of %" PRIu64, sim->disk->size_bytes, sim->disk_bytes);
	if (sim->format->maps) {
		if (sim->opening.interrupted && sim->interrupted == SIM_MUST_NOT)
			sim_fail(sim, "it says that it was interrupted, and was not");
		if (!sim->opening.interrupted && sim->interrupted == SIM_MUST)
			model_expect_all(sim->model);
	}
	if (sim->must_fail && !sim->disk_failed)
		sim_fail(sim, "it was told that a sync has failed, and the next process does not know");
	sim->counts->opens_interrupted += sim->opening.interrupted;
	/* It may say so again until somebody writes. */
	sim->interrupted = sim->opening.interrupted ? SIM_MAY : SIM_MUST_NOT;
	return true;
}

static void close_disk(struct sim *sim)
{
	sim->closed = false;
	disk_close(sim->disk, on_closed, sim);
	while (!sim->closed)
		sim_turn(sim);
	sim->disk = NULL;
	/* Jobs that nobody waits for. */
	while (host_step(&sim->host))
		loop_run_once(sim->loop, false);
	loop_run_once(sim->loop, false);
	if (sim->host.open_files)
		sim_fail(sim, "%u files are still open after the close", sim->host.open_files);
}

/* ---- a life ---- */

/*
 * What the power left of an ephemeral disk may be anything. It is opened and read without harm to us, then thrown away.
 */
static void throw_away(struct sim *sim)
{
	sim->careless = true;
	set_faults(sim, false);
	if (open_disk(sim)) {
		sim_ops_verify(sim);
		sim_ops_drain(sim);
		close_disk(sim);
	}
	sim->careless = false;
	sim_make_again(sim);
}

static void restart(struct sim *sim)
{
	bool cut = sim->host.crashed == HOST_CUT;

	host_restart(&sim->host);
	if (sim->ephemeral && cut)
		throw_away(sim);
	else
		sim_look(sim, false);
}

/* The disk is gone; what it left behind. */
static void after_close(struct sim *sim)
{
	if (sim->host.crashed) {
		note_crash(sim, true);
		restart(sim);
		return;
	}
	host_cancel_crash(&sim->host);
	sim->counts->closes++;
	if (sim->close_err) {
		sim_say(sim, "close: %d", sim->close_err);
		if (!sim->disk_failed && !sim->may_fill && !sim->write_errors && !sim->read_errors && !sim->sync_errors)
			sim_fail(sim, "closing failed: %s", strerror(-sim->close_err));
		/* As if it had been killed: nothing is lost, nothing is promised. */
		model_crash(sim->model, false);
		sim_look(sim, false);
		return;
	}
	model_flushed(sim->model, model_now(sim->model));
	sim_look(sim, true);
	if (!sim->why[0] && prng_percent(&sim->prng, sim->options->qemu))
		sim_ask_qemu(sim);
	if (!sim->why[0])
		sim_between(sim);
	if (prng_percent(&sim->prng, 25)) {
		host_crash(&sim->host, HOST_CUT);
		note_crash(sim, false);
		restart(sim);
	}
}

static void use(struct sim *sim)
{
	unsigned ops = (unsigned)prng_below(&sim->prng, 2 * sim->options->ops) + 1;
	unsigned pace = 20 + (unsigned)prng_below(&sim->prng, 80);

	set_faults(sim, !sim->disk_failed);
	sim->submitted = 0;
	sim_ops_begin(sim);
	while (sim->submitted < ops && !sim_ops_over(sim) && !sim->host.crashed && !sim->why[0]) {
		if (prng_percent(&sim->prng, pace))
			sim_ops_turn(sim);
		if (sim->may_fill && prng_percent(&sim->prng, 2))
			sim->host.full = !sim->host.full;
		sim_turn(sim);
	}
}

static void live(struct sim *sim, bool last)
{
	sim->last = last;
	/* What earlier ones left is given back now. */
	if (last)
		sim->host.reap_at_close = 0;
	host_cancel_crash(&sim->host);
	if (!last && prng_percent(&sim->prng, 20))
		plan_crash(sim, 40);
	if (!open_disk(sim)) {
		/* A crash in the same turn as the answer of a worker: nothing is open, or it is a leak. */
		loop_run_once(sim->loop, false);
		if (sim->host.crashed && !sim->why[0]) {
			note_crash(sim, true);
			restart(sim);
		}
		return;
	}
	sim_ops_verify(sim);
	if (!last && !sim->host.crashed && !sim->why[0]) {
		if (prng_percent(&sim->prng, 75))
			plan_crash(sim, (sim->options->trace ? 1 : 3) * (uint64_t)sim->options->ops);
		use(sim);
	} else if (sim->disk_failed) {
		/* The next process after the one whose sync failed: nothing that it says is durable may be so. */
		use(sim);
	}
	set_faults(sim, false);
	sim_ops_drain(sim);
	close_disk(sim);
	after_close(sim);
}

/* ---- a history ---- */

static void choose_faults(struct sim *sim)
{
	switch (prng_below(&sim->prng, 8)) {
	case 0:
		sim->read_errors = 20;
		break;
	case 1:
		sim->write_errors = 10;
		break;
	case 2:
		sim->sync_errors = 50;
		break;
	case 3:
		sim->may_fill = true;
		break;
	case 4:
		sim->read_errors = sim->write_errors = sim->sync_errors = 5;
		sim->may_fill = true;
		break;
	default:
		break;
	}
}

static void prepare(struct sim *sim)
{
	static const unsigned inline_percents[] = { 0, 50, 95 };

	sim->ephemeral = prng_percent(&sim->prng, 10);
	sim->depth = (unsigned)prng_below(&sim->prng, SIM_DEPTH) + 1;
	choose_faults(sim);
	sim->host.inline_percent = inline_percents[prng_below(&sim->prng, array_len(inline_percents))];
	sim->other.run = other_runs;
	sim->others = prng_percent(&sim->prng, 30);
	if (sim->others)
		disk_env_flush_turns(sim->env, sim->loop)->limit = 1;
	/* So small that a few requests fill it. */
	if (prng_percent(&sim->prng, 40))
		sim->host.journal_entries = 4 + (unsigned)prng_below(&sim->prng, prng_percent(&sim->prng, 50) ? 6 : 40);
	if (prng_percent(&sim->prng, 20))
		sim->host.reap_at_close = 1 + (unsigned)prng_below(&sim->prng, 8);
	for (unsigned i = 0; i < SIM_DEPTH; i++) {
		sim->ops[i].sim = sim;
		sim->ops[i].data = malloc(SIM_REQUEST_MAX);
		assert(sim->ops[i].data);
	}
	sim_make(sim);
}

static void tidy(struct sim *sim)
{
	if (sim->other_flushes == SIM_HAS_TURN)
		flush_turn_give(disk_env_flush_turns(sim->env, sim->loop));
	for (unsigned i = 0; i < SIM_DEPTH; i++)
		free(sim->ops[i].data);
	if (sim->model)
		model_free(sim->model);
	free(sim->windows);
	host_fini(&sim->host);
	loop_free(sim->loop);
	disk_env_free(sim->env);
	free(sim);
}

bool sim_run(const struct sim_options *options, uint64_t seed, struct sim_counts *counts)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	unsigned lives;
	bool ok;

	assert(sim);
	sim->options = options;
	sim->counts = counts;
	sim->seed = seed;
	sim->prng.state = seed * 0xd1342543de82ef95u;
	sim->interrupted = SIM_MUST_NOT;
	host_init(&sim->host, &sim->prng);
	sim->loop = loop_new(0);
	assert(sim->loop && disk_env_new(NULL, &sim->loop, 1, &sim->env) == 0);
	disk_env_set_ops(sim->env, &host_env_ops, &sim->host);
	prepare(sim);
	lives = (unsigned)prng_below(&sim->prng, options->lives) + 1;
	for (sim->life = 0; sim->life <= lives && !sim->why[0]; sim->life++) {
		live(sim, sim->life == lives);
		/* After that nobody but a person may go on: look once more, if it still opens, then end. */
		sim->sync_failed = sim->host.sync_failed || sim->disk_failed;
		if (sim->sync_failed && sim->life < lives)
			sim->life = lives - 1;
	}
	ok = !sim->why[0];
	if (!ok)
		fprintf(stderr, "FAILED seed %" PRIu64 ", life %u: %s\n", seed, sim->life - 1, sim->why);
	tidy(sim);
	return ok;
}
