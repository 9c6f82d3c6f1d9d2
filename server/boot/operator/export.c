// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A machine's disk is written to a file. It is claimed until that has ended, minutes later: so nobody changes it meanwhile, and
 * its machine waits.
 */
#include "manage.h"

#include "base/util.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

struct export_claim {
	struct boot *boot;
	int64_t volume_id;
};

/* On a worker of store/. */
static void export_ended(void *arg)
{
	struct export_claim *claim = arg;
	struct boot *boot = claim->boot;

	disks_unclaim(&boot->disks, claim->volume_id);
	free(claim);
	in_flight_leave(&boot->in_flight);
}

/* What its header names is checked by who follows it (chain_open). */
static int check_disk(const struct manage *m)
{
	const struct volume *system = &m->machine.system;

	if (system->state == VOLUME_FAILED)
		return reason_refuse(m->reason, -EBUSY,
				     "the disk of %s has failed (%.300s): reset it, or lift that first",
				     m->machine.name, system->state_reason);
	if (!system->object[0])
		return reason_refuse(m->reason, -EINVAL, "%s has no disk yet", m->machine.name);
	return 0;
}

int boot_export(struct boot *boot, const char *machine, const struct store_export *how, uint64_t *job,
		struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = how->actor, .reason = reason };
	struct export_claim *claim;
	struct store_export ours = *how;
	int err = manage_find(&m, machine);

	if (!err)
		err = manage_begin_exclusive(&m);
	if (err)
		return err;
	err = check_disk(&m);
	claim = err ? NULL : calloc(1, sizeof(*claim));
	if (!claim) {
		manage_end_exclusive(&m);
		return err ? err : reason_refuse(reason, -ENOMEM, "no memory");
	}
	*claim = (struct export_claim){ boot, m.machine.system.id };
	ours.ended = export_ended;
	ours.arg = claim;
	in_flight_enter(&boot->in_flight);
	return store_export_volume(boot->store, &m.machine.system, m.machine.name, &ours, job, reason);
}
