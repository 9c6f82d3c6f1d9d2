// SPDX-License-Identifier: GPL-2.0-or-later
/* One look at the inventory for an asker: see lookup.h. Inside a read or a write job. */
#include "lookup.h"

#include "inventory/effective.h"
#include "inventory/rollout.h"

#include "enrol.h"

#include <errno.h>
#include <string.h>

/* -ENOENT is an answer, not a failure. */
static int lookup_absent(int err, bool *found)
{
	*found = err == 0;
	return err == -ENOENT ? 0 : err;
}

static int lookup_boots(struct inventory_tx *tx, struct lookup *lookup)
{
	bool found;
	int err = lookup_absent(machine_boot_current(tx, lookup->machine.id, &lookup->current), &found);

	if (!err)
		err = lookup_absent(machine_boot_pending(tx, lookup->machine.id, &lookup->pending), &found);
	return err;
}

/* Its group's image, where it has none of its own and its disk holds nothing that another one would destroy. */
static int lookup_group_image(struct inventory_tx *tx, struct lookup *lookup)
{
	const char *image = effective_of(&lookup->machine, &lookup->policy, EFFECTIVE_IMAGE).value;
	struct image_version version;
	int err;

	if (!image[0] || !strcmp(image, lookup->version.image) || lookup->want.version_id ||
	    !want_image_is_free(&lookup->machine, &lookup->policy))
		return 0;
	err = version_find(tx, image, 0, &version);
	if (err)
		return err == -ENOENT ? 0 : err;
	lookup->want.version_id = version.id;
	lookup->version = version;
	return 0;
}

/* What the boot begins with that this leads to. */
static int lookup_version(struct inventory_tx *tx, struct lookup *lookup)
{
	int64_t id = lookup->want.version_id;
	struct rollout_next next;
	int err = rollout_next(tx, &lookup->machine, &next);

	if (!err && !id)
		id = next.rollout_id ? next.version_id : lookup->machine.system.version_id;
	return err ? err : version_by_id(tx, id, &lookup->version);
}

static int lookup_known(struct boot *boot, struct inventory_tx *tx, const struct asker *asker, struct lookup *lookup)
{
	const struct machine *machine = &lookup->machine;

	lookup->facts.conflict = machine->uuid[0] && asker->uuid[0] && strcmp(machine->uuid, asker->uuid);
	lookup->facts.failed = machine->system.state == VOLUME_FAILED;
	lookup->facts.image = true;
	int err = want_lookup(tx, boot->entries, asker, machine, &lookup->policy, &lookup->want);

	lookup->facts.want = lookup->want.kind;
	if (!err)
		err = lookup_version(tx, lookup);
	if (!err)
		err = lookup_group_image(tx, lookup);
	lookup->priority = (int)machine->group.priority; /* when the server takes machines in turns */
	return err ? err : lookup_boots(tx, lookup);
}

static int lookup_unknown(struct inventory_tx *tx, struct asker *asker, struct lookup *lookup)
{
	unsigned count = 0;
	int err = twin_find(tx, asker, lookup->running_id, &lookup->proofs, &lookup->machine, &lookup->facts.twin,
			    lookup->card);

	/* Whether the machine in question runs says much. */
	if (!err && lookup->facts.twin)
		err = lookup_boots(tx, lookup);
	if (!err)
		err = machine_count(tx, &count);
	if (!err)
		err = enrol_group(tx, &lookup->policy, &lookup->group);
	if (!err)
		err = lookup_absent(version_of_group(tx, &lookup->group, &lookup->version), &lookup->facts.image);
	lookup->facts.full = count >= lookup->policy.max_machines;
	return err;
}

/* What the caller knows, and nothing else. */
static void lookup_clear(struct lookup *lookup)
{
	struct lookup given = *lookup;

	memset(lookup, 0, sizeof(*lookup));
	lookup->facts.stranger = given.facts.stranger;
	lookup->facts.no_space = given.facts.no_space;
	lookup->probed_id = given.probed_id;
	lookup->running_id = given.running_id;
	lookup->proofs = given.proofs;
	explicit_bzero(&given, sizeof(given)); /* secrets */
}

/* A shared MAC is a machine's only together with its UUID. */
static int lookup_machine(struct inventory_tx *tx, const struct asker *asker, struct lookup *lookup)
{
	int err = lookup_absent(machine_identify(tx, asker->mac, asker->uuid, &lookup->machine, &lookup->shared),
				&lookup->facts.known);

	lookup->facts.nameless = lookup->shared && !asker->uuid[0];
	return err;
}

int lookup_make(struct boot *boot, struct inventory_tx *tx, struct asker *asker, struct lookup *lookup)
{
	int err;

	lookup_clear(lookup);
	err = policy_get(tx, &lookup->policy);
	if (!err)
		err = twin_clean(tx, asker);
	if (!err)
		err = lookup_absent(waiting_by_mac(tx, asker->mac, &lookup->waiting), &lookup->waits);
	if (!err)
		err = lookup_machine(tx, asker, lookup);
	if (err)
		return err;
	lookup->facts.enrol = lookup->policy.enrol;
	lookup->facts.denied = lookup->waits && lookup->waiting.reason == WAIT_DENIED;
	lookup->facts.running = lookup->machine.id && lookup->machine.id == lookup->running_id;
	return lookup->facts.known ? lookup_known(boot, tx, asker, lookup) : lookup_unknown(tx, asker, lookup);
}
