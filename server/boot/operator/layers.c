// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Layers that are joined: see layers.h.
 *
 *     version <- lower (removed) <- upper <- ...        becomes        version <- upper' <- ...
 *
 * Both are closed for ever, so upper' can be made while whoever stands on them is in use. It takes the place of upper under
 * upper's name: the objects over it name that, and say nothing of lower. Who has the old ones open reads on in them; the
 * next one opens the new one, which reads the same. A crash between the change of the file and that of the rows leaves rows
 * that know of one layer more than is needed, and the next round does it again.
 */
#include "layers.h"

#include "base/log.h"
#include "base/util.h"
#include "boot/internal.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>

struct layers_join {
	struct boot *boot;
	int64_t after; /* volumes up to this one are done with, for this round */
	struct snapshot_pair pair;
	struct volume volume, joined;
	struct policy policy;
	struct reason reason;
};

static int layers_find(struct inventory_tx *tx, void *arg)
{
	struct layers_join *join = arg;
	int err = snapshot_find_pair(tx, join->after, &join->pair);

	if (!err)
		err = volume_by_id(tx, join->pair.upper.volume_id, &join->volume);
	return err ? err : policy_get(tx, &join->policy);
}

/* The rows first: where they are no pair any more nothing is replaced. */
static int layers_write(struct inventory_tx *tx, void *arg)
{
	struct layers_join *join = arg;
	int err = snapshot_join_pair(tx, &join->pair);

	if (!err)
		err = store_replace_object(join->boot->store, &join->joined, join->pair.upper.object, &join->reason);
	return err ? err : discarded_forget(tx, join->joined.backend, join->joined.object);
}

/*
 * The copy takes upper's place, and lower goes. Whoever opens the volume meanwhile looks for both by their names, and would
 * miss one of them: nobody begins to while it is claimed, and one that has begun is waited for until the next round. Where several
 * volumes (clones) stand on them they are no pair.
 */
static int layers_replace(struct layers_join *join)
{
	struct disks *disks = &join->boot->disks;
	int64_t id = join->pair.above_id ? join->pair.above_id : join->volume.id;
	int err = disks_claim(disks, id);

	if (err)
		return reason_refuse(&join->reason, err, "somebody else is changing it just now");
	if (disks_is_opening(disks, id))
		err = reason_refuse(&join->reason, -EBUSY, "it is being opened just now");
	if (!err)
		err = inventory_write_call(join->boot->inventory, layers_write, join);
	if (!err)
		store_delete_given_up(join->boot->store);
	disks_unclaim(disks, id);
	return err;
}

static int layers_join_one(struct layers_join *join)
{
	struct store *store = join->boot->store;
	int err;

	join->reason.text[0] = '\0';
	join->joined = join->volume;
	join->joined.version_id = join->pair.upper.version_id;
	err = store_copy_volume(store, &join->joined, join->pair.upper.object, &join->policy, 0, &join->reason);
	if (err)
		return err;
	err = layers_replace(join);
	if (err) {
		store_delete_object(store, &join->joined);
		store_delete_given_up(store);
	}
	return err;
}

void boot_join_layers(struct boot *boot)
{
	struct layers_join join = { .boot = boot };

	while (!atomic_load(&boot->stopping)) {
		int err = inventory_read_call(boot->inventory, layers_find, &join);

		if (err == -ENOENT)
			return;
		if (!err)
			err = layers_join_one(&join);
		if (!err)
			continue;
		/* Another volume may fare better; this one has its turn again in the next round. */
		log_warning("layers of volume #%lld are not joined: %s", (long long)join.pair.upper.volume_id,
			    join.reason.text[0] ? join.reason.text : strerror(-err));
		if (!join.pair.upper.volume_id || join.pair.upper.volume_id <= join.after)
			return;
		join.after = join.pair.upper.volume_id;
	}
}
