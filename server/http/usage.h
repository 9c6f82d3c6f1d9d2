/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many volumes there are of each kind, what they take, and what is saved because golden images are stored once.
 * Private to the folder; on workers. Filled in two steps, so that no file is looked at inside a transaction.
 */
#ifndef HTTP_USAGE_H
#define HTTP_USAGE_H

#include "http/core.h"
#include "inventory/inventory.h"

#include <jansson.h>

enum { VOLUME_KINDS = VOLUME_WHO_AM_I + 1 };

struct usage_version;

/* Zero-initialise. */
struct usage {
	unsigned count[VOLUME_KINDS];
	uint64_t bytes[VOLUME_KINDS]; /* of their own: a shared volume or a CD takes nothing beyond its image */
	unsigned snapshots;	      /* those that are removed, and stay for a while, as well */
	uint64_t snapshots_bytes;
	/* Golden images in use: what they take, and what they would take with a copy for each machine that reads them. */
	uint64_t once_bytes, copied_bytes;
	/* private, until usage_measure has been called */
	struct volume *own; /* volumes with an object, but for the system volumes of machines */
	unsigned own_count;
	struct volume *layers; /* as their volume was when a snapshot was taken */
	struct usage_version *versions;
	unsigned version_count;
};

/* Inside a read job. 0 or -errno; usage_fini is to be called in either case. */
int usage_read(struct inventory_tx *tx, struct usage *usage);
/* After it. machines: all of them (api_machines), which have the sizes of the system volumes. */
void usage_measure(struct http *http, const json_t *machines, struct usage *usage);
void usage_fini(struct usage *usage);
/* A kind that is shown: all but those that there are not yet. */
bool usage_shows(const struct usage *usage, unsigned kind);
/* {"data": {"count": 3, "bytes": 1000}, ...} */
json_t *usage_volumes_json(const struct usage *usage);
/* {"count": 3, "bytes": 1000} */
json_t *usage_snapshots_json(const struct usage *usage);
/* Against a full copy for each machine: {"full_copies_bytes", "stored_bytes", "saved_bytes", "saved_percent"}. */
json_t *usage_sharing_json(const struct usage *usage);

#endif
