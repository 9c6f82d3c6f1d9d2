// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of the simulated host that outlives a process: what the write log lies in (disk/wlog.h). A kill leaves it as it was at
 * that instant, and what was being filled then half filled; a power cut takes it, or leaves it there under another boot_id, as a
 * folder on a disk would.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

enum { HEAD = 4096, HEADER = 64, PAGE = 4096 };

struct host_memory {
	struct host_memory *next;
	unsigned number;
	uint64_t bytes;
	unsigned char *data, *saved; /* saved: as it was at the crash */
	bool used;		     /* by a process */
};

static int memory_make(void *arg, uint64_t bytes, struct wlog_memory *memory)
{
	struct host *host = arg;
	struct host_memory *m;

	if (host_is_down(host))
		return -EIO;
	if (prng_percent(host->prng, host->memory_refused))
		return -ENOSPC;
	m = calloc(1, sizeof(*m));
	assert(m);
	m->data = calloc(1, bytes);
	assert(m->data);
	m->number = ++host->memory_number;
	m->bytes = bytes;
	m->used = true;
	m->next = host->memories;
	host->memories = m;
	*memory = (struct wlog_memory){ .data = m->data, .bytes = bytes, .number = m->number };
	return 0;
}

static int memory_find(void *arg, struct wlog_memory *memory)
{
	struct host *host = arg;

	for (struct host_memory *m = host->memories; m; m = m->next) {
		if (m->used)
			continue;
		m->used = true;
		*memory = (struct wlog_memory){ .data = m->data, .bytes = m->bytes, .number = m->number };
		return 0;
	}
	return -ENOENT;
}

static void forget(struct host *host, struct host_memory *m)
{
	struct host_memory **at = &host->memories;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	free(m->data);
	free(m->saved);
	free(m);
}

static void memory_drop(void *arg, struct wlog_memory *memory, bool remove)
{
	struct host *host = arg;
	struct host_memory *m = host->memories;

	while (m && m->number != memory->number)
		m = m->next;
	assert(m && m->used);
	m->used = false;
	/* From the instant of a crash nothing changes any more. */
	if (remove && !host->crashed)
		forget(host, m);
}

struct wlog_host host_memory_ops(struct host *host)
{
	return (struct wlog_host){ .make = memory_make, .find = memory_find, .drop = memory_drop, .arg = host };
}

unsigned host_memory_count(const struct host *host)
{
	unsigned count = 0;

	for (const struct host_memory *m = host->memories; m; m = m->next)
		count++;
	return count;
}

static void scribble(struct host *host, unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)prng_next(host->prng);
}

/* A slot that was not there yet had been begun: its page, its header, but not its state, which comes last. */
static void tear(struct host *host, struct host_memory *m)
{
	uint64_t slots = (m->bytes - HEAD) / (HEADER + PAGE), slot = prng_below(host->prng, slots);
	unsigned char *header = m->saved + HEAD + slot * HEADER;
	static const unsigned char zero[4];

	if (memcmp(header, zero, sizeof(zero)))
		return;
	scribble(host, header + 4, prng_below(host->prng, HEADER - 3));
	scribble(host, m->saved + m->bytes - (slots - slot) * PAGE, PAGE);
}

void host_memory_crash(struct host *host)
{
	for (struct host_memory *m = host->memories; m; m = m->next) {
		m->saved = malloc(m->bytes);
		assert(m->saved);
		memcpy(m->saved, m->data, m->bytes);
		tear(host, m);
	}
}

void host_memory_restart(struct host *host, bool cut)
{
	struct host_memory *m = host->memories, *next;

	for (; m; m = next) {
		next = m->next;
		assert(!m->used);
		if (cut && prng_percent(host->prng, 50)) {
			forget(host, m);
			continue;
		}
		free(m->data);
		m->data = m->saved;
		m->saved = NULL;
	}
}

void host_memory_fini(struct host *host)
{
	while (host->memories)
		forget(host, host->memories);
}
