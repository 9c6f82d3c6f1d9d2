// SPDX-License-Identifier: GPL-2.0-or-later
/* One look at the inventory for an asker: see look.h. Inside a read or a write job. */
#include "look.h"

#include <errno.h>
#include <string.h>

/* -ENOENT is an answer, not a failure. */
static int look_absent(int err, bool *found)
{
	*found = err == 0;
	return err == -ENOENT ? 0 : err;
}

/*
 * An unknown MAC: is its UUID or its serial a machine's? One that several machines share identifies none of them
 * (-ENOTUNIQ).
 */
static int look_twin(struct inventory_tx *tx, const struct asker *asker, struct look *look)
{
	int err = asker->uuid[0] ? machine_by_uuid(tx, asker->uuid, &look->machine) : -ENOENT;

	if ((err == -ENOENT || err == -ENOTUNIQ) && asker->serial[0])
		err = machine_by_serial(tx, asker->serial, &look->machine);
	if (err == -ENOTUNIQ)
		err = -ENOENT;
	return look_absent(err, &look->facts.twin);
}

static int look_boots(struct inventory_tx *tx, struct look *look)
{
	bool found;
	int err = look_absent(machine_boot_current(tx, look->machine.id, &look->current), &found);

	if (!err)
		err = look_absent(machine_boot_pending(tx, look->machine.id, &look->pending), &found);
	return err;
}

/* When the server takes machines in turns. */
static int look_priority(struct inventory_tx *tx, struct look *look)
{
	struct machine_group group;
	bool found;
	int err;

	if (!look->machine.group_id)
		return 0;
	err = look_absent(group_by_id(tx, look->machine.group_id, &group), &found);
	if (!err && found)
		look->priority = group.priority;
	return err;
}

static int look_known(struct boot *boot, struct inventory_tx *tx, const struct asker *asker, struct look *look)
{
	const struct machine *machine = &look->machine;

	look->facts.conflict = machine->uuid[0] && asker->uuid[0] && strcmp(machine->uuid, asker->uuid);
	look->facts.failed = machine->system.state == VOLUME_FAILED;
	look->facts.image = true;
	int err = want_look(tx, boot->entries, asker, machine, &look->want);

	look->facts.want = look->want.kind;
	if (!err)
		err = version_by_id(tx, look->want.version_id ? look->want.version_id : machine->system.version_id,
				    &look->version);
	if (!err)
		err = look_priority(tx, look);
	return err ? err : look_boots(tx, look);
}

static int look_unknown(struct inventory_tx *tx, const struct asker *asker, struct look *look)
{
	unsigned count = 0;
	int err = look_twin(tx, asker, look);

	if (!err)
		err = machine_count(tx, &count);
	if (!err)
		err = look_absent(version_default(tx, &look->version), &look->facts.image);
	look->facts.full = count >= look->policy.max_machines;
	return err;
}

int look_up(struct boot *boot, struct inventory_tx *tx, const struct asker *asker, struct look *look)
{
	struct decide_facts given = look->facts;
	int err;

	memset(look, 0, sizeof(*look));
	look->facts.stranger = given.stranger;
	look->facts.running = given.running;
	look->facts.no_space = given.no_space;
	err = policy_get(tx, &look->policy);
	if (!err)
		err = look_absent(waiting_by_mac(tx, asker->mac, &look->waiting), &look->waits);
	if (!err)
		err = look_absent(machine_by_mac(tx, asker->mac, &look->machine), &look->facts.known);
	if (err)
		return err;
	look->facts.enrol = look->policy.enrol;
	look->facts.denied = look->waits && look->waiting.reason == WAIT_DENIED;
	return look->facts.known ? look_known(boot, tx, asker, look) : look_unknown(tx, asker, look);
}
