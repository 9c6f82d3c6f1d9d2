// SPDX-License-Identifier: GPL-2.0-or-later
/* What is written and not yet on the disk: see dirty.h. */
#include "disk/dirty.h"

#include <stdio.h>
#include <unistd.h>

#include "base/util.h"

enum { DIRTY_PERCENT = 10, DIRTY_LIMIT_MIN = 32 << 20 };

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

void dirty_budget_init(struct dirty_budget *budget, unsigned shares)
{
	uint64_t memory = (uint64_t)max_u64(sysconf(_SC_PHYS_PAGES), 0) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t background = sysctl_vm("dirty_background_bytes", 0);

	if (!background)
		background = memory / 100 * min_u64(sysctl_vm("dirty_background_ratio", DIRTY_PERCENT), 100);
	*budget = (struct dirty_budget){ .limit = max_u64(background / 2, DIRTY_LIMIT_MIN) / shares };
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

void dirty_add(struct dirty_budget *budget, struct dirty *dirty, uint64_t bytes)
{
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
	if (dirty->bytes)
		append_dirty(budget, dirty);
}
