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
#include "disk/qcow2.h"
#include "sim_private.h"

enum {
	IDLE_TURNS = 5000, /* of 1 ms: then it hangs */
	GAP_BYTES = 1 << 30,
	TABLE_BYTES = 1 << 30, /* what an L2 table of ours maps */
};

/* ---- the formats ---- */

uint64_t sim_place(const struct sim *sim, uint64_t at, uint64_t *length)
{
	uint64_t into = at % sim->window_bytes;

	*length = min_u64(*length, sim->window_bytes - into);
	return sim->windows[at / sim->window_bytes] + into;
}

static void write_golden(const struct sim *sim, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unsigned char sector[512];
	uint64_t end = sim->disk_bytes, length = sizeof(sector);

	if (sim->golden_bytes < sim->size_bytes)
		end = sim_place(sim, sim->golden_bytes, &length);
	assert(fd >= 0 && ftruncate(fd, (off_t)end) == 0);
	for (uint64_t at = 0; at < sim->golden_bytes; at += sizeof(sector))
		if (model_golden(at, sector))
			assert(pwrite(fd, sector, sizeof(sector), (off_t)sim_place(sim, at, &length)) ==
			       (ssize_t)sizeof(sector));
	close(fd);
}

static void raw_prepare(struct sim *sim)
{
	sim->golden_bytes = sim->size_bytes;
	write_golden(sim, sim->path);
}

static void qcow2_prepare(struct sim *sim)
{
	struct qcow2_create how = { .path = sim->path, .size_bytes = sim->disk_bytes };
	char reason[256] = "";

	sim->golden_bytes = 0;
	if (prng_percent(&sim->prng, 80)) {
		sim->golden_bytes = sim->size_bytes;
		if (prng_percent(&sim->prng, 30))
			sim->golden_bytes = (prng_below(&sim->prng, sim->size_bytes / 512) + 1) * 512;
		write_golden(sim, sim->golden);
		how.backing = "golden";
		how.backing_format = "raw";
	}
	if (qcow2_create(&how, reason, sizeof(reason)))
		sim_fail(sim, "creating: %s", reason);
}

static void qcow2_look(struct sim *sim, bool clean)
{
	struct qcow2_check result = { 0 };
	char reason[256] = "";
	int err;

	host_store(&sim->host, sim->path);
	err = qcow2_check(sim->path, false, &result, reason, sizeof(reason));
	if (err || result.corruptions)
		sim_fail(sim, "the file is corrupt (%d, %" PRIu64 " clusters): %s", err, result.corruptions, reason);
	else if (clean && result.leaks)
		sim_fail(sim, "%" PRIu64 " clusters leak in a file that was closed", result.leaks);
}

static void raw_look(struct sim *sim, bool clean)
{
	(void)sim;
	(void)clean;
}

static const struct format {
	const char *name;
	bool tells_interruption, remembers_failure, grows;
	void (*open)(struct disk_env *env, struct loop *loop, const struct disk_open *how,
		     void (*opened)(void *arg, const struct disk_opened *result), void *arg);
	void (*prepare)(struct sim *sim);
	void (*look)(struct sim *sim, bool clean); /* at the file, while nobody has it open */
} formats[] = {
	{ "raw", false, false, false, raw_disk_open, raw_prepare, raw_look },
	{ "qcow2", true, true, true, qcow2_disk_open, qcow2_prepare, qcow2_look },
};

static const struct format *format_of(const struct sim *sim)
{
	for (size_t i = 0; i < array_len(formats); i++)
		if (!strcmp(formats[i].name, sim->options->format))
			return &formats[i];
	return &formats[0];
}

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

void sim_turn(struct sim *sim)
{
	loop_run_once(sim->loop, false);
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
	/* What is ephemeral is thrown away after a power cut. */
	enum host_crash kind = prng_percent(&sim->prng, 50) || sim->ephemeral ? HOST_KILL : HOST_CUT;

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

static void restart(struct sim *sim)
{
	host_restart(&sim->host);
	format_of(sim)->look(sim, false);
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
	/* The journal says so to the next process, where the child had its first change and the journal can be written. */
	sim->must_fail = sim->must_fail || (format_of(sim)->remembers_failure && sim->changed && sim->host.sync_failed &&
					    !sim->write_errors);
	if (sim->must_fail && !sim->last && prng_percent(&sim->prng, 30))
		host_plan_crash(&sim->host, HOST_KILL, prng_below(&sim->prng, 4) + 1);
}

/* True: sim->disk. False: a crash came first, or something is wrong. */
static bool open_disk(struct sim *sim)
{
	struct disk_open how = {
		.path = sim->path, .ephemeral = sim->ephemeral, .on_event = on_event, .event_arg = sim
	};

	sim->disk_failed = sim->changed = false;
	sim->opened = false;
	format_of(sim)->open(sim->env, sim->loop, &how, on_opened, sim);
	while (!sim->opened)
		sim_turn(sim);
	sim->disk = sim->opening.disk;
	if (sim->opening.err) {
		sim_say(sim, "not opened: %s", sim->opening.reason);
		if (!sim->host.crashed && !sim->sync_failed)
			sim_fail(sim, "opening failed: %s", sim->opening.reason);
		return false;
	}
	sim_say(sim, "opened%s", sim->opening.interrupted ? ", interrupted" : "");
	if (sim->disk->size_bytes != sim->disk_bytes)
		sim_fail(sim, "it has %" PRIu64 " bytes instead of %" PRIu64, sim->disk->size_bytes, sim->disk_bytes);
	if (format_of(sim)->tells_interruption) {
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

/* ---- qemu-img's opinion ---- */

static bool model_agrees(struct sim *sim, const char *raw)
{
	int fd = open(raw, O_RDONLY | O_CLOEXEC);
	static unsigned char data[64 << 10];
	bool ok = fd >= 0;

	for (uint64_t at = 0, length; ok && at < sim->size_bytes; at += length) {
		uint64_t offset;

		length = min_u64(sizeof(data), sim->size_bytes - at);
		offset = sim_place(sim, at, &length);
		ok = pread(fd, data, length, (off_t)offset) == (ssize_t)length &&
		     model_resolve(sim->model, at, data, length, sim->why, sizeof(sim->why));
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

static void ask_qemu(struct sim *sim)
{
	char command[1024], raw[300];

	host_store(&sim->host, sim->path);
	snprintf(raw, sizeof(raw), "%s.raw", sim->path);
	snprintf(command, sizeof(command), "qemu-img check -q -f %s %s && qemu-img convert -f %s -O raw %s %s",
		 sim->options->format, sim->path, sim->options->format, sim->path, raw);
	if (system(!strcmp(sim->options->format, "raw") ? strstr(command, "&& ") + 3 : command))
		sim_fail(sim, "qemu-img is not content");
	else if (!model_agrees(sim, raw))
		sim_fail(sim, "qemu-img reads something else");
	unlink(raw);
}

/* ---- a life ---- */

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
		format_of(sim)->look(sim, false);
		return;
	}
	model_flushed(sim->model, model_now(sim->model));
	format_of(sim)->look(sim, true);
	if (!sim->why[0] && prng_percent(&sim->prng, sim->options->qemu))
		ask_qemu(sim);
	if (!sim->ephemeral && prng_percent(&sim->prng, 25)) {
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
	while (sim->submitted < ops && !sim->host.crashed && !sim->why[0]) {
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
			plan_crash(sim, 3 * sim->options->ops);
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

/* One window that is the disk, or four in a disk that needs several L2 tables, often across their bounds. */
static void choose_size(struct sim *sim)
{
	uint64_t unit = prng_percent(&sim->prng, 70) ? 4096 : 512, end = 0;
	unsigned count = 1;

	if (format_of(sim)->grows && prng_percent(&sim->prng, 40))
		count = SIM_WINDOWS;
	sim->window_bytes = (prng_below(&sim->prng, (8 << 20) / unit / count) + 1) * unit;
	sim->size_bytes = count * sim->window_bytes;
	for (unsigned i = 0; i < count; i++) {
		uint64_t gap = count == 1 ? 0 : prng_below(&sim->prng, GAP_BYTES / unit) * unit;
		uint64_t bound = align_up(end + sim->window_bytes, TABLE_BYTES);

		sim->windows[i] = end + gap;
		if (count > 1 && prng_percent(&sim->prng, 50))
			sim->windows[i] = bound - sim->window_bytes / 2 / unit * unit;
		end = sim->windows[i] + sim->window_bytes;
	}
	sim->disk_bytes = end;
}

static void prepare(struct sim *sim)
{
	static const unsigned inline_percents[] = { 0, 50, 95 };

	snprintf(sim->path, sizeof(sim->path), "%s/disk", sim->options->dir);
	snprintf(sim->golden, sizeof(sim->golden), "%s/golden", sim->options->dir);
	unlink(sim->path);
	unlink(sim->golden);
	choose_size(sim);
	sim->ephemeral = prng_percent(&sim->prng, 10);
	sim->depth = (unsigned)prng_below(&sim->prng, SIM_DEPTH) + 1;
	choose_faults(sim);
	format_of(sim)->prepare(sim);
	if (sim->why[0])
		return;
	sim->model = model_new(sim->size_bytes, sim->golden_bytes);
	host_load(&sim->host, sim->path);
	if (access(sim->golden, F_OK) == 0)
		host_load(&sim->host, sim->golden);
	sim->host.inline_percent = inline_percents[prng_below(&sim->prng, array_len(inline_percents))];
	if (prng_percent(&sim->prng, 40))
		sim->host.journal_slots = 4 + (unsigned)prng_below(&sim->prng, prng_percent(&sim->prng, 50) ? 6 : 40);
	for (unsigned i = 0; i < SIM_DEPTH; i++) {
		sim->ops[i].sim = sim;
		sim->ops[i].data = malloc(SIM_REQUEST_MAX);
		assert(sim->ops[i].data);
	}
}

static void tidy(struct sim *sim)
{
	for (unsigned i = 0; i < SIM_DEPTH; i++)
		free(sim->ops[i].data);
	if (sim->model)
		model_free(sim->model);
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
