// SPDX-License-Identifier: GPL-2.0-or-later
/* One look at the inventory for an asker: see lookup.h. Inside a read or a write job. */
#include "lookup.h"

#include <errno.h>
#include <string.h>

/* -ENOENT is an answer, not a failure. */
static int lookup_absent(int err, bool *found)
{
	*found = err == 0;
	return err == -ENOENT ? 0 : err;
}

/*
 * An unknown MAC: is its UUID or its serial a machine's? One that several machines share identifies none of them
 * (-ENOTUNIQ).
 */
static int lookup_twin(struct inventory_tx *tx, const struct asker *asker, struct lookup *lookup)
{
	int err = asker->uuid[0] ? machine_by_uuid(tx, asker->uuid, &lookup->machine) : -ENOENT;

	if ((err == -ENOENT || err == -ENOTUNIQ) && asker->serial[0])
		err = machine_by_serial(tx, asker->serial, &lookup->machine);
	if (err == -ENOTUNIQ)
		err = -ENOENT;
	return lookup_absent(err, &lookup->facts.twin);
}

static int lookup_boots(struct inventory_tx *tx, struct lookup *lookup)
{
	bool found;
	int err = lookup_absent(machine_boot_current(tx, lookup->machine.id, &lookup->current), &found);

	if (!err)
		err = lookup_absent(machine_boot_pending(tx, lookup->machine.id, &lookup->pending), &found);
	return err;
}

/* When the server takes machines in turns. */
static int lookup_priority(struct inventory_tx *tx, struct lookup *lookup)
{
	struct machine_group group;
	bool found;
	int err;

	if (!lookup->machine.group_id)
		return 0;
	err = lookup_absent(group_by_id(tx, lookup->machine.group_id, &group), &found);
	if (!err && found)
		lookup->priority = group.priority;
	return err;
}

static int lookup_known(struct boot *boot, struct inventory_tx *tx, const struct asker *asker, struct lookup *lookup)
{
	const struct machine *machine = &lookup->machine;

	lookup->facts.conflict = machine->uuid[0] && asker->uuid[0] && strcmp(machine->uuid, asker->uuid);
	lookup->facts.failed = machine->system.state == VOLUME_FAILED;
	lookup->facts.image = true;
	int err = want_lookup(tx, boot->entries, asker, machine, &lookup->want);

	lookup->facts.want = lookup->want.kind;
	if (!err)
		err = version_by_id(tx, lookup->want.version_id ? lookup->want.version_id : machine->system.version_id,
				    &lookup->version);
	if (!err)
		err = lookup_priority(tx, lookup);
	return err ? err : lookup_boots(tx, lookup);
}

static int lookup_unknown(struct inventory_tx *tx, const struct asker *asker, struct lookup *lookup)
{
	unsigned count = 0;
	int err = lookup_twin(tx, asker, lookup);

	if (!err)
		err = machine_count(tx, &count);
	if (!err)
		err = lookup_absent(version_default(tx, &lookup->version), &lookup->facts.image);
	lookup->facts.full = count >= lookup->policy.max_machines;
	return err;
}

int lookup_make(struct boot *boot, struct inventory_tx *tx, const struct asker *asker, struct lookup *lookup)
{
	struct decide_facts given = lookup->facts;
	int err;

	memset(lookup, 0, sizeof(*lookup));
	lookup->facts.stranger = given.stranger;
	lookup->facts.running = given.running;
	lookup->facts.no_space = given.no_space;
	err = policy_get(tx, &lookup->policy);
	if (!err)
		err = lookup_absent(waiting_by_mac(tx, asker->mac, &lookup->waiting), &lookup->waits);
	if (!err)
		err = lookup_absent(machine_by_mac(tx, asker->mac, &lookup->machine), &lookup->facts.known);
	if (err)
		return err;
	lookup->facts.enrol = lookup->policy.enrol;
	lookup->facts.denied = lookup->waits && lookup->waiting.reason == WAIT_DENIED;
	return lookup->facts.known ? lookup_known(boot, tx, asker, lookup) : lookup_unknown(tx, asker, lookup);
}
