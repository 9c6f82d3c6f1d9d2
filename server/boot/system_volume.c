// SPDX-License-Identifier: GPL-2.0-or-later
/* A system volume that begins anew, and what becomes of the object that it leaves: see internal.h. */
#include "internal.h"

#include "base/pool.h"
#include "base/util.h"
#include "inventory/effective.h"
#include "store/store.h"

#include <stdlib.h>

struct discard {
	struct pool_job job;
	struct boot *boot;
	struct volume volume; /* object "": whatever was given up */
};

static void discard_work(struct pool_job *job)
{
	struct discard *discard = container_of(job, struct discard, job);

	if (discard->volume.object[0])
		store_delete_object(discard->boot->store, &discard->volume);
	if (!discard->volume.object[0] || discard->volume.snapshot_id)
		store_delete_given_up(discard->boot->store);
}

static void discard_done(struct pool_job *job)
{
	struct discard *discard = container_of(job, struct discard, job);
	struct boot *boot = discard->boot;

	free(discard);
	in_flight_leave(&boot->in_flight);
}

static void discard(struct boot *boot, const struct volume *volume)
{
	struct discard *discard = calloc(1, sizeof(*discard));

	if (!discard)
		return; /* the next start removes it */
	discard->boot = boot;
	discard->volume = *volume;
	discard->job = (struct pool_job){ .work = discard_work, .done = discard_done };
	in_flight_enter(&boot->in_flight);
	pool_submit(boot->pool, POOL_SLOW, &discard->job);
}

void boot_discard_object(struct boot *boot, const struct volume *volume)
{
	if (volume->object[0])
		discard(boot, volume);
}

void boot_discard_given_up(struct boot *boot)
{
	static const struct volume all = { .object = "" };

	discard(boot, &all);
}

int boot_renew_system(struct boot *boot, struct machine *machine, const struct image_version *version,
		      const struct policy *policy, struct volume *made, struct volume *given_up, struct reason *reason)
{
	struct volume anew = machine->system;
	int err;

	anew.version_id = version->id;
	anew.snapshot_id = 0;
	err = store_create_volume(boot->store, &anew, version, policy, machine->id, reason);
	if (err)
		return err;
	*given_up = machine->system;
	*made = anew;
	machine->system = anew;
	machine->instance++; /* cloud-init begins anew, too */
	return 0;
}

bool boot_begins_closed(const struct machine *machine, const struct policy *policy)
{
	return effective_mode(machine, policy) == MODE_EPHEMERAL || effective_restore_points(machine, policy) ||
	       effective_templates(machine)[0];
}
