// SPDX-License-Identifier: GPL-2.0-or-later
/* What all changes of volumes begin and end with: see volume_change.h. */
#include "volume_change.h"

#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int change_write(struct volume_change *c, int (*run)(struct inventory_tx *tx, void *arg))
{
	const struct volume *gone;
	int err;

	c->reason->text[0] = '\0';
	err = inventory_write_call(c->boot->inventory, run, c);
	gone = err ? &c->made : &c->given_up;
	if (gone->object[0])
		store_delete_object(c->boot->store, gone);
	if (!err && gone->object[0])
		store_delete_given_up(c->boot->store);
	return reason_default(c->reason, err, "the inventory could not be changed: %s", strerror(-err));
}

/* ---- finding ---- */

int change_find_machine(struct volume_change *c, struct inventory_tx *tx)
{
	char shown[80];
	int err = machine_find(tx, c->machine_text, &c->machine);

	if (err != -ENOENT && err != -EINVAL)
		return err;
	parse_clean_text(c->machine_text, shown, sizeof(shown));
	return reason_refuse(c->reason, -ENOENT, "there is no machine %s: sanbootctl machine list shows all", shown);
}

int change_find_volume(struct volume_change *c, struct inventory_tx *tx)
{
	char shown[80];
	int err = volume_find(tx, c->volume_text, &c->volume);

	if (err == -ENOENT || err == -EINVAL) {
		size_t len = strlen(c->volume_text);

		parse_clean_text(c->volume_text, shown, sizeof(shown));
		/* Every machine has one. */
		if (len > 2 && !strcmp(c->volume_text + len - 2, ":0") && strlen(shown) == len)
			return reason_refuse(c->reason, -ENOENT,
					     "there is no machine %.*s: sanbootctl machine list shows all",
					     (int)len - 2, shown);
		return reason_refuse(c->reason, -ENOENT, "there is no volume %s: sanbootctl volume list shows all",
				     shown);
	}
	if (!err && c->volume.kind == VOLUME_WHO_AM_I)
		return reason_refuse(c->reason, -EINVAL,
				     "%s is generated for its machine, from its templates: sanbootctl machine set M "
				     "templates=NAME changes it, templates=none takes it away",
				     c->volume_text);
	if (!err && c->volume.kind == VOLUME_SYSTEM && !c->any_kind)
		return reason_refuse(c->reason, -EINVAL,
				     "%s is the system volume of a machine: it comes and goes with it (sanbootctl "
				     "machine reset, set, swap, remove)",
				     c->volume_text);
	return err;
}

static int take_holder(void *arg, int64_t machine_id, unsigned lun)
{
	struct holders *holders = arg;

	holders->machine_id = machine_id;
	holders->lun = lun;
	holders->count++;
	return 0;
}

int change_find_holders(struct volume_change *c, struct inventory_tx *tx, struct holders *holders)
{
	int err = attachment_each_machine(tx, c->volume.id, take_holder, holders);

	if (!err && holders->count)
		err = machine_by_id(tx, holders->machine_id, &c->holder);
	return err;
}

static int find_of_group(struct volume_change *c, struct inventory_tx *tx)
{
	int64_t id;
	int err = c->machine.group_id ? group_volume_find(tx, c->volume.id, c->machine.group_id, &id) : -ENOENT;

	c->of_group = (struct machine_group){ .id = 0 };
	if (!err)
		c->of_group = c->machine.group;
	return err == -ENOENT ? 0 : err;
}

/* The volume, and the machine that has it: the one that was named, or the only one. */
static int find_attached(struct inventory_tx *tx, void *arg)
{
	struct volume_change *c = arg;
	struct holders holders = { 0 };
	int err = change_find_volume(c, tx);

	c->holder = (struct machine){ .id = 0 };
	if (!err)
		err = policy_get(tx, &c->policy);
	if (!err && c->machine_text) {
		err = change_find_machine(c, tx);
		if (!err)
			err = attachment_lun(tx, c->machine.id, c->volume.id, &c->lun);
		c->attached = !err;
		if (err == -ENOENT)
			reason_default(c->reason, err, "%s does not have volume %s", c->machine.name, c->volume.name);
		return err ? err : find_of_group(c, tx);
	}
	if (!err)
		err = change_find_holders(c, tx, &holders);
	if (err)
		return err;
	c->attached = holders.count == 1;
	c->holders = holders.count;
	c->machine = c->holder;
	c->lun = holders.lun;
	return find_of_group(c, tx);
}

int change_read(struct volume_change *c)
{
	int err;

	c->reason->text[0] = '\0';
	err = inventory_read_call(c->boot->inventory, find_attached, c);
	return reason_default(c->reason, err, "the inventory cannot be read: %s", strerror(-err));
}

const char *change_called(const struct volume_change *c, char out[CALLED_TEXT])
{
	if (c->volume.kind == VOLUME_SYSTEM)
		snprintf(out, CALLED_TEXT, "the disk of %s", c->machine.name);
	else
		snprintf(out, CALLED_TEXT, "volume %s", c->volume.name);
	return out;
}

int change_claim(struct volume_change *c)
{
	struct disks *disks = &c->boot->disks;
	int64_t id = c->volume.id;
	char text[CALLED_TEXT];
	int err;

	if (disks_claim(disks, id))
		return reason_refuse(c->reason, -EBUSY, "somebody else is changing %s just now: try again",
				     change_called(c, text));
	err = change_read(c);
	if (!err && c->volume.id != id)
		err = reason_refuse(c->reason, -EBUSY, "%s is another volume by now: try again", c->volume_text);
	if (err)
		disks_unclaim(disks, id);
	return err;
}
