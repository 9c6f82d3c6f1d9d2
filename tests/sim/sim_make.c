// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disk of a history: how large it is, what it starts from, and what people do with it between its lives: put
 * another child over it, make it larger, throw it away.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/qcow2.h"
#include "disk/qcow2_format.h"
#include "sim_private.h"

#define GROW_BYTES (UINT64_C(3) << 30) /* so that there are more tables */
#define DISK_MAX_BYTES (UINT64_C(8) << 30)

enum {
	GAP_BYTES = 1 << 30,
	TABLE_BYTES = 1 << 30, /* what an L2 table of ours maps */
	WINDOWS = 4,
	SIZE_MAX_BYTES = 8 << 20,
	GOLDEN_UNIT = 64 << 10, /* model_golden has data or a hole for as much */
	MARGIN_BYTES = 1 << 20, /* tables and marks, beyond a quota */
};

static const struct sim_format formats[] = {
	{ "raw", raw_disk_open, .maps = false },
	{ "qcow2", qcow2_disk_open, .maps = true },
};

/* ---- places ---- */

uint64_t sim_place(const struct sim *sim, uint64_t at, uint64_t *length)
{
	uint64_t i = at / sim->window_bytes, into = at % sim->window_bytes, together = sim->window_bytes - into;
	uint64_t place = sim->windows[i] + into;

	for (; together < *length && i + 1 < sim->window_count; i++) {
		if (sim->windows[i + 1] != sim->windows[i] + sim->window_bytes)
			break;
		together += sim->window_bytes;
	}
	*length = min_u64(*length, together);
	return place;
}

uint64_t sim_unplace(const struct sim *sim, uint64_t offset)
{
	unsigned low = 0, high = sim->window_count;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (sim->windows[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	assert(offset - sim->windows[low] < sim->window_bytes);
	return low * sim->window_bytes + (offset - sim->windows[low]);
}

/* One window that is the disk, or four in a disk that needs several L2 tables, often across their bounds. */
static void choose_windows(struct sim *sim)
{
	uint64_t unit = prng_percent(&sim->prng, 70) ? 4096 : 512, end = 0;
	unsigned count = sim->format->maps && prng_percent(&sim->prng, 40) ? WINDOWS : 1;

	sim->window_count = count;
	sim->windows = calloc(count, sizeof(*sim->windows));
	assert(sim->windows);
	sim->window_bytes = (prng_below(&sim->prng, SIZE_MAX_BYTES / unit / count) + 1) * unit;
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

/* A recorded boot: every cluster that it touches is a window. */
static void trace_windows(struct sim *sim, const struct sim_trace *trace)
{
	uint64_t clusters = align_up(trace->end, QCOW2_CLUSTER_BYTES) / QCOW2_CLUSTER_BYTES;
	bool *touched = calloc(clusters, sizeof(*touched));

	sim->windows = calloc(clusters, sizeof(*sim->windows));
	assert(touched && sim->windows);
	for (unsigned i = 0; i < trace->count; i++) {
		const struct sim_trace_op *op = &trace->ops[i];

		for (uint64_t at = op->offset; at < op->offset + op->length; at += DISK_BLOCK_BYTES)
			touched[at / QCOW2_CLUSTER_BYTES] = true;
	}
	for (uint64_t c = 0; c < clusters; c++)
		if (touched[c])
			sim->windows[sim->window_count++] = c * QCOW2_CLUSTER_BYTES;
	sim->window_bytes = QCOW2_CLUSTER_BYTES;
	sim->disk_bytes = clusters * QCOW2_CLUSTER_BYTES;
	free(touched);
}

/* ---- files ---- */

static void write_golden(const struct sim *sim, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static unsigned char unit[GOLDEN_UNIT];
	uint64_t end = sim->disk_bytes, length = 1;

	if (sim->golden_bytes < sim->size_bytes)
		end = sim_place(sim, sim->golden_bytes, &length);
	assert(fd >= 0 && ftruncate(fd, (off_t)end) == 0);
	for (uint64_t at = 0; at < sim->golden_bytes; at += length) {
		uint64_t offset;
		bool data = true;

		length = min_u64(GOLDEN_UNIT - at % GOLDEN_UNIT, sim->golden_bytes - at);
		offset = sim_place(sim, at, &length);
		for (uint64_t i = 0; i < length && data; i += DISK_BLOCK_BYTES)
			data = model_golden(at + i, unit + i);
		assert(!data || pwrite(fd, unit, length, (off_t)offset) == (ssize_t)length);
	}
	close(fd);
}

static void make_child(struct sim *sim, const char *backing, const char *backing_format)
{
	struct qcow2_create how = {
		.path = sim->path, .size_bytes = sim->disk_bytes, .backing = backing, .backing_format = backing_format
	};
	struct reason reason = { "" };

	unlink(sim->path);
	if (qcow2_create(&how, &reason))
		sim_fail(sim, "creating: %s", reason.text);
	else
		host_load(&sim->host, sim->path);
	sim->interrupted = SIM_MUST_NOT;
}

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* A fresh disk, and the model of it. */
static void make_disk(struct sim *sim)
{
	if (!sim->format->maps) {
		write_golden(sim, sim->path);
		host_load(&sim->host, sim->path);
	} else if (sim->golden_bytes) {
		make_child(sim, name_of(sim->golden), "raw");
	} else {
		make_child(sim, NULL, NULL);
	}
	sim->layers = 1;
	sim->model = model_new(sim->size_bytes, sim->golden_bytes);
	sim->interrupted = SIM_MUST_NOT;
	sim->must_fail = false;
}

/* The child becomes what a new one stands on. */
static void put_child_above(struct sim *sim)
{
	char layer[300];

	snprintf(layer, sizeof(layer), "%s/layer%u", sim->options->dir, sim->layers++);
	host_store(&sim->host, sim->path);
	if (rename(sim->path, layer))
		sim_fail(sim, "%s: %s", layer, strerror(errno));
	host_load(&sim->host, layer);
	host_forget(&sim->host, sim->path);
	make_child(sim, name_of(layer), "qcow2");
	sim_say(sim, "another child over it: %u files", sim->layers + (sim->golden_bytes != 0));
}

/* ---- public ---- */

void sim_make(struct sim *sim)
{
	snprintf(sim->path, sizeof(sim->path), "%s/disk", sim->options->dir);
	snprintf(sim->golden, sizeof(sim->golden), "%s/golden", sim->options->dir);
	sim->format = &formats[0];
	for (size_t i = 0; i < array_len(formats); i++)
		if (!strcmp(formats[i].name, sim->options->format))
			sim->format = &formats[i];
	if (sim->options->trace)
		trace_windows(sim, sim->options->trace);
	else
		choose_windows(sim);
	sim->size_bytes = sim->window_count * sim->window_bytes;
	sim->golden_bytes = sim->format->maps && prng_percent(&sim->prng, 20) ? 0 : sim->size_bytes;
	if (sim->format->maps && sim->golden_bytes && prng_percent(&sim->prng, 30))
		sim->golden_bytes = (prng_below(&sim->prng, sim->size_bytes / 512) + 1) * 512;
	if (sim->format->maps && sim->golden_bytes) {
		write_golden(sim, sim->golden);
		host_load(&sim->host, sim->golden);
	}
	make_disk(sim);
	for (unsigned more = prng_percent(&sim->prng, 15) ? 1 + (unsigned)prng_below(&sim->prng, 6) : 0; more; more--)
		if (sim->format->maps && !sim->ephemeral)
			put_child_above(sim);
	if (sim->format->maps && prng_percent(&sim->prng, 15))
		sim->quota_bytes = host_allocated(&sim->host, sim->path) + prng_below(&sim->prng, sim->size_bytes / 2);
}

void sim_make_again(struct sim *sim)
{
	char journal[300];

	snprintf(journal, sizeof(journal), "%s.journal", sim->path);
	host_forget(&sim->host, sim->path);
	host_forget(&sim->host, journal);
	model_free(sim->model);
	make_disk(sim);
}

static void grow(struct sim *sim)
{
	uint64_t most = sim->window_count == 1 ? SIZE_MAX_BYTES / 2 : GROW_BYTES;
	uint64_t more = (prng_below(&sim->prng, most / 512) + 1) * 512;
	struct reason reason = { "" };

	host_store(&sim->host, sim->path);
	if (qcow2_grow(sim->path, sim->disk_bytes + more, &reason))
		sim_fail(sim, "growing: %s", reason.text);
	host_load(&sim->host, sim->path);
	sim->disk_bytes += more;
	sim_say(sim, "grown to %" PRIu64, sim->disk_bytes);
	if (sim->window_count > 1)
		return;
	sim->window_bytes = sim->size_bytes = sim->disk_bytes;
	model_grow(sim->model, sim->size_bytes);
}

void sim_between(struct sim *sim)
{
	if (!sim->format->maps || sim->ephemeral)
		return;
	if (prng_percent(&sim->prng, 20) && sim->layers + (sim->golden_bytes != 0) < DISK_CHAIN_MAX)
		put_child_above(sim);
	if (prng_percent(&sim->prng, 10) && !sim->options->trace && sim->disk_bytes < DISK_MAX_BYTES)
		grow(sim);
}

void sim_look(struct sim *sim, bool clean)
{
	struct qcow2_check result = { 0 };
	/* A disk that was opened and closed has given back again what a power cut had brought back. */
	bool gives_back = clean && !sim->host.reap_at_close;
	uint64_t most = sim->quota_bytes + MARGIN_BYTES + host_came_back(&sim->host, sim->path, gives_back);
	struct reason reason = { "" };
	int err;

	if (sim->ephemeral && sim->host.syncs)
		sim_fail(sim, "an ephemeral disk synced");
	if (!sim->format->maps)
		return;
	if (sim->quota_bytes && host_allocated(&sim->host, sim->path) > most)
		sim_fail(sim, "it takes %" PRIu64 " bytes with a quota of %" PRIu64,
			 host_allocated(&sim->host, sim->path), sim->quota_bytes);
	host_store(&sim->host, sim->path);
	err = qcow2_check(sim->path, false, &result, &reason);
	if (err || result.corruptions)
		sim_fail(sim, "the file is corrupt (%d, %" PRIu64 " clusters): %s", err, result.corruptions,
			 reason.text);
	else if (clean && result.leaks && !sim->host.reap_at_close)
		sim_fail(sim, "%" PRIu64 " clusters leak in a file that was closed", result.leaks);
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

void sim_ask_qemu(struct sim *sim)
{
	char command[1024], raw[300];

	host_store(&sim->host, sim->path);
	snprintf(raw, sizeof(raw), "%s.raw", sim->path);
	snprintf(command, sizeof(command), "qemu-img check -q -f %s %s && qemu-img convert -f %s -O raw %s %s",
		 sim->format->name, sim->path, sim->format->name, sim->path, raw);
	if (system(sim->format->maps ? command : strstr(command, "&& ") + 3))
		sim_fail(sim, "qemu-img is not content");
	else if (!model_agrees(sim, raw))
		sim_fail(sim, "qemu-img reads something else");
	unlink(raw);
}
