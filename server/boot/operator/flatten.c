// SPDX-License-Identifier: GPL-2.0-or-later
/* Versions become one file: see flatten.h, and store/flatten.c for how that is safe under machines that run. */
#include "flatten.h"

#include "base/log.h"
#include "base/util.h"
#include "boot/internal.h"
#include "disk/qcow2.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { FLATTEN_BYTES_PER_MS = 64 << 10 /* 64 MiB a second */, FLATTEN_NAP_MS = 50 };

struct flatten_pace {
	struct boot *boot;
	uint64_t began_ms, bytes;
};

/* As often as it is ahead of its time it sleeps. */
static bool flatten_step(void *arg, uint64_t bytes)
{
	struct flatten_pace *pace = arg;

	pace->bytes += bytes;
	while (!atomic_load(&pace->boot->stopping) &&
	       pace->bytes / FLATTEN_BYTES_PER_MS > time_monotonic_ms() - pace->began_ms + FLATTEN_NAP_MS)
		usleep(FLATTEN_NAP_MS * 1000);
	return !atomic_load(&pace->boot->stopping);
}

struct flatten_find {
	int64_t after;
	struct image_version version;
};

static int flatten_find(struct inventory_tx *tx, void *arg)
{
	struct flatten_find *find = arg;

	return version_find_deep(tx, FLATTEN_DEPTH, find->after, &find->version);
}

void boot_flatten_versions(struct boot *boot)
{
	struct flatten_find find = { .after = 0 };

	while (!atomic_load(&boot->stopping) && !inventory_read_call(boot->inventory, flatten_find, &find)) {
		struct flatten_pace pace = { .boot = boot, .began_ms = time_monotonic_ms() };
		const struct qcow2_step step = { .step = flatten_step, .arg = &pace };
		struct reason reason = { "" };
		int err = store_flatten_version(boot->store, &find.version, &step, &reason);

		find.after = find.version.id;
		if (err && err != -ECANCELED)
			log_warning("%s@%u goes on as several files, one over the other: %s", find.version.image,
				    find.version.number, reason.text[0] ? reason.text : strerror(-err));
	}
}
