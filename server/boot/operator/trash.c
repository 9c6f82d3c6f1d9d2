// SPDX-License-Identifier: GPL-2.0-or-later
/* The trash (API, sanbootctl): removed machines come back, or go for good; see boot.h and inventory/trash.h. */
#include "boot/operator/trash.h"

#include "manage.h"

#include "base/util.h"
#include "inventory/trash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct trash_change {
	struct manage manage; /* first: manage_write's job is in it */
	struct trash_entry entry;
	struct trash_restored restored;
};

static struct trash_change *change_of(struct inventory_job *job)
{
	return container_of(container_of(job, struct manage, job), struct trash_change, manage);
}

static int trash_look_up(struct manage *m, struct inventory_tx *tx, struct trash_entry *entry)
{
	char shown[80];
	int err = trash_find(tx, m->which, entry);

	if (err != -ENOENT && err != -EINVAL)
		return err;
	parse_clean_text(m->which, shown, sizeof(shown));
	return reason_refuse(m->reason, -ENOENT,
			     "there is no %s in the trash: sanbootctl machine trash list shows what is", shown);
}

/* ---- back ---- */

static int restore_refuse(struct manage *m, const struct trash_entry *entry, int err)
{
	const char *name = m->name ? m->name : entry->name;

	if (err == -EEXIST)
		return reason_refuse(m->reason, err,
				     "there is a machine %s by now: give this one another name (sanbootctl machine trash "
				     "restore '#%lld' --name NAME)",
				     name, (long long)entry->id);
	if (err == -EADDRNOTAVAIL)
		return reason_refuse(m->reason, -EEXIST,
				     "all network cards that %s had are other machines' by now (%s): take one from them "
				     "(sanbootctl machine mac remove M MAC) or remove that machine first",
				     entry->name, entry->macs);
	return err;
}

static int restore_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct trash_change *c = change_of(job);
	struct manage *m = &c->manage;
	int err = trash_look_up(m, tx, &c->entry);

	if (err)
		return err;
	err = trash_restore(tx, c->entry.id, m->name ? m->name : "", &c->restored);
	if (err)
		return restore_refuse(m, &c->entry, err);
	return event_add(tx, "info", "restored", m->actor, c->restored.machine.id, c->restored.machine.name,
			 "back from the trash, with its disk");
}

int boot_trash_restore(struct boot *boot, const char *which, const char *name, const char *actor,
		       struct machine *machine, struct reason *reason)
{
	struct trash_change c = { .manage = { .boot = boot, .actor = actor, .reason = reason, .which = which } };
	int err;

	c.manage.name = name && name[0] ? name : NULL;
	if (c.manage.name && !machine_name_valid(name))
		return reason_refuse(reason, -EINVAL, "name: expected letters, digits and '-', at most 63");
	err = manage_write(&c.manage, restore_run);
	if (err)
		return err;
	*machine = c.restored.machine;
	reason->text[0] = '\0';
	if (c.restored.others[0])
		reason_append(reason, "another machine has %s by now. ", c.restored.others);
	if (c.restored.volumes_lost)
		reason_append(reason, "%u volume%s that it had %s gone, or another machine's by now.",
			      c.restored.volumes_lost, c.restored.volumes_lost == 1 ? "" : "s",
			      c.restored.volumes_lost == 1 ? "is" : "are");
	return 0;
}

/* ---- for good ---- */

static int delete_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct trash_change *c = change_of(job);
	struct manage *m = &c->manage;
	int err = m->expiry ? m->expiry->check(tx, m->expiry->arg) : 0;

	if (!err)
		err = trash_look_up(m, tx, &c->entry);
	if (!err && m->expiry && c->entry.removed_ms != m->expiry->since_ms)
		err = -ENOENT; /* it was back meanwhile, and was removed again */
	if (err)
		return err;
	m->given_up = c->entry.system;
	err = trash_delete(tx, c->entry.id);
	return err ? err :
		     event_add(tx, "info", "removed", m->actor, c->entry.id, c->entry.name,
			       "gone from the trash, with its disk%s%s%s", m->expiry ? " (" : "",
			       m->expiry ? m->expiry->why : "", m->expiry ? ")" : "");
}

static int trash_delete_write(struct trash_change *c)
{
	int err = manage_write(&c->manage, delete_run);

	if (!err)
		disks_forget(&c->manage.boot->disks, c->entry.system.id);
	return err;
}

int boot_trash_delete(struct boot *boot, const char *which, const char *actor, struct reason *reason)
{
	struct trash_change c = { .manage = { .boot = boot, .actor = actor, .reason = reason, .which = which } };

	return trash_delete_write(&c);
}

int boot_trash_expire(struct boot *boot, const struct manage_expiry *expiry, const char *actor, struct reason *reason)
{
	struct trash_change c = { .manage = { .boot = boot, .actor = actor, .reason = reason, .expiry = expiry } };
	char which[32];

	snprintf(which, sizeof(which), "#%lld", (long long)expiry->id);
	c.manage.which = which;
	return trash_delete_write(&c);
}
