// SPDX-License-Identifier: GPL-2.0-or-later
/* What is written and not yet on the disk: see dirty.h. */
#include "disk/dirty.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/engine.h"

enum {
	DIRTY_PERCENT = 10,
	DIRTY_FLOOR_MIN = 32 << 20,
	ANSWER_FRESH_MS = 20, /* no new question */
	ANSWER_OLD_MS = 1000, /* others may have written meanwhile */
};

/* /proc/sys/vm/NAME, or missing. */
static uint64_t sysctl_vm(const char *name, uint64_t missing)
{
	unsigned long long value;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	file = fopen(path, "re");
	if (!file)
		return missing;
	if (fscanf(file, "%llu", &value) != 1)
		value = missing;
	fclose(file);
	return value;
}

void dirty_budget_init(struct dirty_budget *budget, struct disk_env *env, struct loop *loop, unsigned shares)
{
	uint64_t memory = (uint64_t)max_u64(sysconf(_SC_PHYS_PAGES), 0) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t background = sysctl_vm("dirty_background_bytes", 0);

	if (!background)
		background = memory / 100 * min_u64(sysctl_vm("dirty_background_ratio", DIRTY_PERCENT), 100);
	*budget = (struct dirty_budget){ .env = env, .loop = loop, .vmstat = "/proc/vmstat", .shares = shares };
	budget->floor = budget->limit = max_u64(background / 2, DIRTY_FLOOR_MIN) / shares;
}

static void unlink_dirty(struct dirty_budget *budget, struct dirty *dirty)
{
	*(dirty->older ? &dirty->older->newer : &budget->oldest) = dirty->newer;
	*(dirty->newer ? &dirty->newer->older : &budget->newest) = dirty->older;
}

static void append_dirty(struct dirty_budget *budget, struct dirty *dirty)
{
	dirty->newer = NULL;
	dirty->older = budget->newest;
	*(budget->newest ? &budget->newest->newer : &budget->oldest) = dirty;
	budget->newest = dirty;
}

void dirty_add(struct dirty_budget *budget, struct dirty *dirty, uint64_t bytes, uint64_t most)
{
	bytes = min_u64(bytes, most - min_u64(most, dirty->bytes));
	if (!bytes)
		return;
	if (!dirty->bytes)
		append_dirty(budget, dirty);
	dirty->bytes += bytes;
	budget->bytes += bytes;
}

void dirty_settle(struct dirty_budget *budget, struct dirty *dirty, uint64_t bytes)
{
	bytes = min_u64(bytes, dirty->bytes);
	if (!bytes)
		return;
	unlink_dirty(budget, dirty);
	dirty->bytes -= bytes;
	budget->bytes -= bytes;
	/* The same page may have been counted often, so the kernel has no more room than it said: the limit falls, too. */
	budget->limit = max_u64(budget->limit - min_u64(budget->limit, bytes), budget->floor);
	if (dirty->bytes)
		append_dirty(budget, dirty);
}

/* ---- asking the kernel ---- */

/* Bytes that can become dirty before the kernel begins to write back, less an eighth of that threshold. On a worker. */
static uint64_t kernel_room(const char *path)
{
	uint64_t dirty = 0, threshold = 0, pages;
	char line[128], name[64];
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %" SCNu64, name, &pages) != 2)
			continue;
		if (!strcmp(name, "nr_dirty") || !strcmp(name, "nr_writeback"))
			dirty += pages;
		else if (!strcmp(name, "nr_dirty_background_threshold"))
			threshold = pages - pages / 8;
	}
	fclose(file);
	return (threshold - min_u64(threshold, dirty)) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void ask_work(struct pool_job *job)
{
	struct dirty_budget *budget = container_of(job, struct dirty_budget, ask);

	budget->room_bytes = kernel_room(budget->vmstat) / budget->shares;
}

static void ask_done(struct pool_job *job)
{
	struct dirty_budget *budget = container_of(job, struct dirty_budget, ask);

	budget->asking = false;
	budget->answered_ms = time_monotonic_ms();
	budget->limit = max_u64(budget->floor, budget->bytes + budget->room_bytes);
}

static bool answer_is_younger(const struct dirty_budget *budget, uint64_t ms)
{
	return budget->answered_ms && time_monotonic_ms() - budget->answered_ms < ms;
}

static void ask(struct dirty_budget *budget)
{
	if (budget->asking || answer_is_younger(budget, ANSWER_FRESH_MS))
		return;
	budget->asking = true;
	budget->ask = (struct pool_job){ .work = ask_work, .done = ask_done, .loop = budget->loop };
	disk_env_submit(budget->env, POOL_READ, &budget->ask);
}

enum dirty_grant dirty_grants(struct dirty_budget *budget, uint64_t bytes)
{
	uint64_t after = budget->bytes + bytes;

	/* Before the limit is reached, so that nobody waits for the answer. */
	if (after > budget->limit - budget->floor / 4 ||
	    (after > budget->floor && !answer_is_younger(budget, ANSWER_OLD_MS)))
		ask(budget);
	if (after <= budget->limit)
		return DIRTY_GRANTED;
	return budget->asking ? DIRTY_UNKNOWN : DIRTY_FULL;
}
