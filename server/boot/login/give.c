// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rollouts at a login: see give.h. Nothing is copied. A disk that is new at each boot, or was never used, begins anew from the
 * other version. Of another one what it holds is kept as a layer, as with a restore (operator/snapshots.c): the object is
 * the snapshot's from then on, so nothing that was written is lost, whichever way a rollout goes.
 */
#include "give.h"

#include "boot/ask/want.h"
#include "inventory/effective.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { KEPT_LABELS = 100 };

struct give {
	struct boot *boot;
	struct inventory_tx *tx;
	struct machine *machine;
	uint64_t number;
	struct rollout_next next;
	struct policy policy;
	struct volume made, given_up; /* object "": none */
	struct snapshot kept;	      /* id 0: nothing was */
	struct reason reason;
};

static int skipped(struct give *g, const char *why)
{
	return event_add(g->tx, "warning", "version-skipped", "server", g->machine->id, g->machine->name,
			 "boot %llu begins without %s: %.380s", (unsigned long long)g->number, g->next.name, why);
}

/* May what it holds become a layer? *why: a sentence. */
static bool can_be_kept(struct give *g, struct volume_info *info, const char **why)
{
	int err = store_volume_info(g->boot->store, &g->machine->system, NULL, info);

	*why = err ? "its disk cannot be read" :
		     "the server was stopped while the disk was in use, and it was not closed in order";
	return !err && info->clean;
}

/* "before-lab-3": its number instead of '@', which a label has not. Others may be there already. */
static int keep(struct give *g, const struct volume *before, uint64_t size_bytes)
{
	struct snapshot *kept = &g->kept;
	const char *at = strrchr(g->next.name, '@');
	int err = -EEXIST;

	*kept = (struct snapshot){ .volume_id = before->id,
				   .parent_id = before->snapshot_id,
				   .version_id = before->version_id,
				   .size_bytes = size_bytes,
				   .automatic = true };
	memcpy(kept->object, before->object, sizeof(kept->object));
	for (unsigned i = 1; i <= KEPT_LABELS && err == -EEXIST; i++) {
		int len = snprintf(kept->label, sizeof(kept->label), "before-%.*s-%s",
				   at ? (int)(at - g->next.name > 30 ? 30 : at - g->next.name) : 0, g->next.name,
				   at ? at + 1 : "");

		if (i > 1)
			snprintf(kept->label + len, sizeof(kept->label) - (size_t)len, "-%u", i);
		err = snapshot_insert(g->tx, kept);
	}
	return err;
}

/* Anew from the version. Its object is made first: where that fails, nothing has changed. */
static int renew(struct give *g)
{
	struct image_version version;
	int err = version_by_id(g->tx, g->next.version_id, &version);

	if (err)
		return reason_refuse(&g->reason, err, "that version is gone");
	return boot_renew_system(g->boot, g->machine, &version, &g->policy, &g->made, &g->given_up, &g->reason);
}

/* On over what it had when it got the version that it goes back from. */
static int restore(struct give *g, const struct snapshot *snapshot)
{
	struct volume anew = g->machine->system;
	int err;

	anew.version_id = snapshot->version_id;
	err = store_snapshot_volume(g->boot->store, &anew, snapshot->object, &g->policy, g->machine->id, &g->reason);
	if (err)
		return err;
	anew.snapshot_id = snapshot->id;
	g->given_up = g->machine->system;
	g->made = anew;
	g->machine->system = anew;
	g->machine->instance = g->next.instance;
	return 0;
}

/* -ENOENT: it is not there any more. */
static int find_kept(struct give *g, struct snapshot *snapshot)
{
	int err = snapshot_by_id(g->tx, g->next.snapshot_id, snapshot);

	return err ? err : snapshot->removed || snapshot->volume_id != g->machine->system.id ? -ENOENT : 0;
}

static int tell(struct give *g, const char *old)
{
	return event_add(g->tx, "info", "version-given", "server", g->machine->id, g->machine->name,
			 "boot %llu %s %s, and its disk was made from %s%s%s", (unsigned long long)g->number,
			 g->next.back ? "goes back to" : "begins with", g->next.name, old,
			 g->kept.id ? "; what was on it is snapshot " : "", g->kept.id ? g->kept.label : "");
}

/* The rows that go with the new volume. */
static int write_rows(struct give *g, const struct volume *before, int64_t instance, uint64_t size_bytes, bool keeps)
{
	struct image_version old;
	char name[NAME_MAX_TEXT + 16];
	int err = version_by_id(g->tx, before->version_id, &old);

	if (err)
		return err;
	snprintf(name, sizeof(name), "%s@%u", old.image, old.number);
	if (keeps) {
		g->given_up.object[0] = '\0'; /* the snapshot has it */
		err = keep(g, before, size_bytes);
	}
	if (!err)
		err = volume_update(g->tx, &g->machine->system);
	if (!err && keeps)
		err = snapshot_keep_automatic(g->tx, before->id, g->machine->system.snapshot_id);
	if (!err && g->next.back)
		err = rollout_went_back(g->tx, g->next.rollout_id, g->machine->id);
	else if (!err)
		err = rollout_gave(g->tx, g->next.rollout_id, g->machine->id, g->kept.id, instance);
	return err ? err : tell(g, name);
}

/* *given false: it was not to be. */
static int give(struct give *g, bool *given)
{
	const struct volume before = g->machine->system;
	const int64_t instance = g->machine->instance;
	bool ephemeral = effective_mode(g->machine, &g->policy) == MODE_EPHEMERAL;
	/* Who has never used its disk loses nothing with it. */
	bool restores = g->next.back && g->next.kept && !ephemeral, keeps = !want_image_is_free(g->machine, &g->policy);
	struct volume_info info = { .virtual_bytes = 0 };
	struct snapshot snapshot;
	const char *why;
	int err;

	if (restores && before.fresh)
		keeps = false;
	if (keeps && !can_be_kept(g, &info, &why))
		return skipped(g, why);
	err = restores ? find_kept(g, &snapshot) : 0;
	if (err == -ENOENT) {
		err = rollout_went_back(g->tx, g->next.rollout_id, g->machine->id);
		return err ? err : skipped(g, "what was on its disk before is gone: its snapshot was removed");
	}
	if (err)
		return err;
	err = restores ? restore(g, &snapshot) : renew(g);
	if (err) {
		reason_default(&g->reason, err, "%s", strerror(-err));
		return skipped(g, g->reason.text);
	}
	*given = true;
	return write_rows(g, &before, instance, info.virtual_bytes, keeps);
}

int boot_give_version(struct boot *boot, struct inventory_tx *tx, struct machine *machine, uint64_t number,
		      struct volume *made, struct volume *given_up, bool *given)
{
	struct give g = { .boot = boot, .tx = tx, .machine = machine, .number = number };
	int err = rollout_next(tx, machine, &g.next);

	*given = false;
	/* New machines and those that are reset have it already. */
	if (!err && g.next.has_from)
		err = rollout_gave(tx, g.next.has_from, machine->id, 0, machine->instance);
	/* iSCSI closes it first (boot_target_begin_needs_closed); it is open where a rollout began only now. */
	if (err || !g.next.rollout_id || !disks_is_closed(&boot->disks, machine->system.id))
		return err;
	err = policy_get(tx, &g.policy);
	if (!err)
		err = give(&g, given);
	*made = g.made;
	*given_up = g.given_up;
	return err;
}
