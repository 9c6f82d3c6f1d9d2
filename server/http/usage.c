// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What volumes take: see usage.h. Looks at one file for each image version in use and for each volume with data of its
 * own; the system volumes have been looked at with their machines. A data volume is thin, but nothing of it is shared:
 * it counts as itself, with and without copies.
 */
#include "http/usage.h"

#include "base/util.h"
#include "inventory/maintenance.h"
#include "inventory/snapshot.h"
#include "inventory/trash.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct usage_version {
	struct image_version version;
	unsigned readers; /* attached volumes that are made from it, or are it */
};

struct usage_read {
	struct inventory_tx *tx;
	struct usage *usage;
};

static int add_version(void *arg, const struct image_version *version)
{
	struct usage *usage = arg;
	/* Each of its machines has a system volume of its own. */
	const struct usage_version used = { .version = *version, .readers = version->machines };

	return array_append(&usage->versions, &usage->version_count, &used, sizeof(used));
}

static int add_reader(void *arg, int64_t machine_id, unsigned lun)
{
	struct usage_version *version = arg;

	(void)machine_id;
	(void)lun;
	version->readers++;
	return 0;
}

static int add_volume(void *arg, const struct volume *volume)
{
	struct usage_read *read = arg;
	struct usage *usage = read->usage;

	if ((unsigned)volume->kind >= VOLUME_KINDS)
		return 0;
	usage->count[volume->kind]++;
	if (volume->kind == VOLUME_SYSTEM)
		return 0; /* measured with their machines; those in the trash or put aside below */
	if (!volume_kind_is_shared(volume->kind))
		return array_append(&usage->own, &usage->own_count, volume, sizeof(*volume));
	for (unsigned i = 0; i < usage->version_count; i++) {
		if (usage->versions[i].version.id == volume->version_id)
			return attachment_each_machine(read->tx, volume->id, add_reader, &usage->versions[i]);
	}
	return 0;
}

static int add_snapshot(void *arg, const struct snapshot *snapshot)
{
	struct usage_read *read = arg;
	struct usage *usage = read->usage;
	struct volume layer;
	int err = volume_by_id(read->tx, snapshot->volume_id, &layer);

	if (err)
		return err;
	memcpy(layer.object, snapshot->object, sizeof(layer.object));
	return array_append(&usage->layers, &usage->snapshots, &layer, sizeof(layer));
}

static int add_trash(void *arg, const struct trash_entry *entry)
{
	struct usage *usage = arg;

	return array_append(&usage->own, &usage->own_count, &entry->system, sizeof(entry->system));
}

static int add_aside(void *arg, const struct maintenance *maintenance, const struct volume *aside)
{
	struct usage *usage = arg;

	(void)maintenance;
	return array_append(&usage->own, &usage->own_count, aside, sizeof(*aside));
}

int usage_read(struct inventory_tx *tx, struct usage *usage)
{
	struct usage_read read = { .tx = tx, .usage = usage };
	int err = version_each(tx, add_version, usage);

	if (!err)
		err = volume_each(tx, add_volume, &read);
	if (!err)
		err = trash_each(tx, add_trash, usage);
	if (!err)
		err = maintenance_each(tx, add_aside, usage);
	return err ? err : snapshot_each(tx, 0, add_snapshot, &read);
}

/* 0 where its file cannot be looked at. */
static uint64_t allocated_bytes(struct http *http, const struct volume *volume)
{
	struct volume_info info;

	return store_volume_info(http->config.store, volume, NULL, &info) ? 0 : info.allocated_bytes;
}

void usage_measure(struct http *http, const json_t *machines, struct usage *usage)
{
	json_t *machine;
	size_t i;

	json_array_foreach(machines, i, machine)
		usage->bytes[VOLUME_SYSTEM] += (uint64_t)json_integer_value(
			json_object_get(json_object_get(machine, "disk"), "allocated_bytes"));
	for (unsigned v = 0; v < usage->own_count; v++)
		usage->bytes[usage->own[v].kind] += allocated_bytes(http, &usage->own[v]);
	for (unsigned s = 0; s < usage->snapshots; s++)
		usage->snapshots_bytes += allocated_bytes(http, &usage->layers[s]);
	for (unsigned v = 0; v < usage->version_count; v++) {
		const struct usage_version *version = &usage->versions[v];
		uint64_t bytes;

		if (!version->readers)
			continue;
		bytes = store_version_allocated(http->config.store, &version->version);
		usage->once_bytes += bytes;
		usage->copied_bytes += bytes * version->readers;
	}
}

void usage_fini(struct usage *usage)
{
	free(usage->own);
	free(usage->layers);
	free(usage->versions);
	usage->own = NULL;
	usage->layers = NULL;
	usage->versions = NULL;
	usage->own_count = usage->version_count = 0;
}

bool usage_shows(const struct usage *usage, unsigned kind)
{
	return kind != VOLUME_WHO_AM_I || usage->count[kind];
}

json_t *usage_volumes_json(const struct usage *usage)
{
	json_t *json = json_object();

	for (unsigned kind = 0; kind < VOLUME_KINDS; kind++) {
		if (usage_shows(usage, kind))
			json_object_set_new(json, volume_kind_name((enum volume_kind)kind),
					    json_pack("{s:i, s:I}", "count", (int)usage->count[kind], "bytes",
						      (json_int_t)usage->bytes[kind]));
	}
	return json;
}

json_t *usage_snapshots_json(const struct usage *usage)
{
	return json_pack("{s:i, s:I}", "count", (int)usage->snapshots, "bytes", (json_int_t)usage->snapshots_bytes);
}

json_t *usage_sharing_json(const struct usage *usage)
{
	uint64_t own = usage->snapshots_bytes, full, stored;

	for (unsigned kind = 0; kind < VOLUME_KINDS; kind++)
		own += usage->bytes[kind];
	full = usage->copied_bytes + own;
	stored = usage->once_bytes + own;
	return json_pack("{s:I, s:I, s:I, s:i}", "full_copies_bytes", (json_int_t)full, "stored_bytes",
			 (json_int_t)stored, "saved_bytes", (json_int_t)(full - stored), "saved_percent",
			 full ? (int)((double)(full - stored) * 100.0 / (double)full) : 0);
}
