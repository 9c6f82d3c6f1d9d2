// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What people do with volumes (API, sanbootctl): see boot.h. Blocking: HTTP's own threads.
 *
 * What a volume is stored as is made inside the write job that inserts its row, and goes after the commit that deletes
 * it: a crash in between leaves an object that nobody wrote to, or one that the inventory has given up, and the next
 * start removes both. A machine that runs is told at once: its target's loop opens a new LUN, or closes one, under its
 * sessions.
 */
#include "volume_change.h"

#include "base/util.h"
#include "resize.h"
#include "running.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- attaching ---- */

static int check_lun(struct volume_change *c, struct inventory_tx *tx)
{
	int err;

	if (c->wanted_lun < 0) {
		err = attachment_free_lun(tx, c->machine.id, &c->lun);
		return err == -ENOSPC ?
			       reason_refuse(c->reason, err, "%s has a volume at each LUN from 1 to %d already",
					     c->machine.name, LUN_MAX) :
			       err;
	}
	if (c->wanted_lun == 0)
		return reason_refuse(c->reason, -EINVAL,
				     "LUN 0 is the system volume of %s: choose one from 1 to %d, or none",
				     c->machine.name, LUN_MAX);
	if (c->wanted_lun > LUN_MAX)
		return reason_refuse(c->reason, -EINVAL, "LUN %d: expected 1 to %d", c->wanted_lun, LUN_MAX);
	c->lun = (unsigned)c->wanted_lun;
	return 0;
}

static int attach_rows(struct volume_change *c, struct inventory_tx *tx)
{
	struct holders holders = { 0 };
	unsigned has;
	int err = attachment_lun(tx, c->machine.id, c->volume.id, &has);

	if (!err)
		return reason_refuse(c->reason, -EEXIST, "%s has volume %s already, as LUN %u", c->machine.name,
				     c->volume.name, has);
	if (err == -ENOENT)
		err = change_find_holders(c, tx, &holders);
	if (!err && holders.count && !volume_kind_is_shared(c->volume.kind))
		return reason_refuse(c->reason, -EBUSY,
				     "volume %s belongs to %s (LUN %u): first sanbootctl volume detach %s",
				     c->volume.name, c->holder.name, holders.lun, c->volume.name);
	if (!err)
		err = check_lun(c, tx);
	if (err)
		return err;
	err = attachment_add(tx, c->machine.id, c->lun, c->volume.id);
	if (err == -EEXIST)
		return reason_refuse(c->reason, err,
				     "LUN %u of %s is taken: sanbootctl machine show %s lists its volumes", c->lun,
				     c->machine.name, c->machine.name);
	return err ? err :
		     event_add(tx, "info", "volume-attached", c->actor, c->machine.id, c->machine.name,
			       "volume %s is LUN %u", c->volume.name, c->lun);
}

/* After the commit: a machine that runs gets it now, and the reason says how it will see it. */
static void attach_running(struct volume_change *c)
{
	struct reason why;
	int err = running_attach(c->boot, c->machine.id, c->lun, &why);

	if (err == -ENOENT)
		reason_refuse(c->reason, 0, "%s has volume %s as LUN %u from its next boot on", c->machine.name,
			      c->volume.name, c->lun);
	else if (err)
		reason_refuse(c->reason, 0,
			      "volume %s is LUN %u of %s, which runs, and could not be given it now: %.300s",
			      c->volume.name, c->lun, c->machine.name, why.text);
	else
		reason_refuse(c->reason, 0,
			      "%s runs: it sees LUN %u at once where iscsid runs, else after a rescan; on Linux: for h "
			      "in /sys/class/scsi_host/host*/scan; do echo '- - -' >$h; done",
			      c->machine.name, c->lun);
}

static int attach_run(struct inventory_tx *tx, void *arg)
{
	struct volume_change *c = arg;
	int err = change_find_volume(c, tx);

	if (!err)
		err = change_find_machine(c, tx);
	return err ? err : attach_rows(c, tx);
}

int boot_volume_attach(struct boot *boot, const char *volume, const char *machine, int lun, const char *actor,
		       struct reason *reason)
{
	struct volume_change c = { .boot = boot,
				   .volume_text = volume,
				   .machine_text = machine,
				   .wanted_lun = lun,
				   .actor = actor,
				   .reason = reason };
	int err = change_write(&c, attach_run);

	if (!err)
		attach_running(&c);
	return err;
}

/* ---- creating ---- */

/* "pc-001-data", "pc-001-data-2", ...; without a machine "data", "data-2", ... */
static int choose_name(struct volume_change *c, struct inventory_tx *tx)
{
	struct volume other;
	int err = 0;

	for (unsigned n = 1; !err; n++) {
		char number[16] = "";

		if (n > 1)
			snprintf(number, sizeof(number), "-%u", n);
		snprintf(c->volume.name, sizeof(c->volume.name), "%.40s%s%s%s", c->machine_text ? c->machine.name : "",
			 c->machine_text ? "-" : "", volume_kind_name(c->volume.kind), number);
		err = volume_find(tx, c->volume.name, &other);
	}
	return err == -ENOENT ? 0 : err;
}

static int check_name(struct volume_change *c, struct inventory_tx *tx)
{
	struct volume other;
	int err;

	if (!c->create->name)
		return choose_name(c, tx);
	if (strlen(c->create->name) >= sizeof(c->volume.name) || !volume_name_valid(c->create->name))
		return reason_refuse(c->reason, -EINVAL,
				     "name: expected letters, digits, '-', '_' and '.', at most 63, and no '.' or '-' "
				     "at the beginning");
	snprintf(c->volume.name, sizeof(c->volume.name), "%s", c->create->name);
	err = volume_find(tx, c->volume.name, &other);
	if (!err)
		return reason_refuse(c->reason, -EEXIST, "there is a volume %s already", other.name);
	return err == -ENOENT ? 0 : err;
}

/* NAME or NAME@V. */
static int find_version(struct volume_change *c, struct inventory_tx *tx)
{
	char name[NAME_MAX_TEXT];
	unsigned number;
	int err = -ENOENT;

	if (version_name_parse(c->create->from, name, &number))
		err = number ? version_find(tx, name, number, &c->version) :
			       version_newest_given(tx, name, &c->version);
	if (err == -ENOENT) {
		char shown[80];

		parse_clean_text(c->create->from, shown, sizeof(shown));
		return reason_refuse(c->reason, err, "there is no image %s: sanbootctl image list shows all", shown);
	}
	c->volume.version_id = err ? 0 : c->version.id;
	return err ? err : version_check_given(&c->version, c->reason);
}

/* A golden version as it is: nothing is stored for it. */
static int create_shared(struct volume_change *c, struct inventory_tx *tx)
{
	if (!c->create->from)
		return reason_refuse(c->reason, -EINVAL, "a %s volume is made from an image: say which",
				     volume_kind_name(c->volume.kind));
	if (c->create->size_bytes)
		return reason_refuse(c->reason, -EINVAL, "a %s volume has the size of its image: leave the size out",
				     volume_kind_name(c->volume.kind));
	snprintf(c->volume.backend, sizeof(c->volume.backend), "%s", store_default_backend(c->boot->store));
	return find_version(c, tx);
}

static int create_data(struct volume_change *c, struct inventory_tx *tx)
{
	struct policy policy;
	int err = policy_get(tx, &policy);

	if (c->create->from)
		return reason_refuse(c->reason, -EINVAL, "a data volume begins empty: give it a size, such as 20G");
	if (err)
		return err;
	c->volume.size_bytes = c->create->size_bytes;
	err = store_create_volume(c->boot->store, &c->volume, NULL, &policy, c->machine_text ? c->machine.id : 0,
				  c->reason);
	if (!err)
		c->made = c->volume;
	return err;
}

static int create_run(struct inventory_tx *tx, void *arg)
{
	struct volume_change *c = arg;
	enum volume_kind kind = c->create->kind;
	int err = c->machine_text ? change_find_machine(c, tx) : 0;

	c->volume = (struct volume){ .kind = kind };
	if (!err && kind != VOLUME_DATA && !volume_kind_is_shared(kind))
		return reason_refuse(c->reason, -EINVAL, "kind: expected data, shared or cd");
	if (!err && !c->machine_text && c->create->lun >= 0)
		return reason_refuse(c->reason, -EINVAL,
				     "a LUN is one of a machine: say which machine, or leave the LUN out");
	if (!err)
		err = check_name(c, tx);
	if (!err)
		err = kind == VOLUME_DATA ? create_data(c, tx) : create_shared(c, tx);
	if (!err)
		err = volume_insert(tx, &c->volume);
	if (!err)
		err = event_add(tx, "info", "volume-created", c->actor, c->machine_text ? c->machine.id : 0,
				c->volume.name, "%s volume%s%s", volume_kind_name(kind), c->version.id ? " of " : "",
				c->version.image);
	return err || !c->machine_text ? err : attach_rows(c, tx);
}

int boot_volume_create(struct boot *boot, const struct boot_volume_new *create, const char *actor, int64_t *volume_id,
		       struct reason *reason)
{
	struct volume_change c = { .boot = boot,
				   .create = create,
				   .machine_text = create->machine,
				   .wanted_lun = create->lun,
				   .actor = actor,
				   .reason = reason };
	int err = change_write(&c, create_run);

	if (err)
		return err;
	*volume_id = c.volume.id;
	if (c.machine_text)
		attach_running(&c);
	return 0;
}

/* ---- detaching ---- */

static int refuse_of_group(struct volume_change *c, const struct machine_group *group)
{
	return reason_refuse(
		c->reason, -EBUSY,
		"volume %s is one of group %s's, whose machines all have it: sanbootctl group set %s volumes=... "
		"names others, or none",
		c->volume.name, group->name, group->name);
}

static int detach_run(struct inventory_tx *tx, void *arg)
{
	struct volume_change *c = arg;
	int err = attachment_remove(tx, c->machine.id, c->volume.id);

	if (err == -EBUSY)
		return reason_refuse(c->reason, err, "the group of %s gives it volume %s by now", c->machine.name,
				     c->volume.name);
	if (err == -ENOENT)
		return reason_refuse(c->reason, err, "%s does not have volume %s any more", c->machine.name,
				     c->volume.name);
	return err ? err :
		     event_add(tx, "info", "volume-detached", c->actor, c->machine.id, c->machine.name,
			       "volume %s, which was LUN %u", c->volume.name, c->lun);
}

/* Which machine has it, and may it be taken away? */
static int detach_check(struct volume_change *c, bool force)
{
	unsigned left_ms = c->attached ? presence_resume_left_ms(&c->boot->presence, c->machine.id) : 0;

	if (c->holders > 1)
		return reason_refuse(c->reason, -EINVAL, "%u machines have volume %s: say which one is to lose it",
				     c->holders, c->volume.name);
	if (!c->attached)
		return reason_refuse(c->reason, -ENOENT, "no machine has volume %s", c->volume.name);
	if (c->of_group.id)
		return refuse_of_group(c, &c->of_group);
	if (left_ms && !force)
		return reason_refuse(c->reason, -EBUSY,
				     "%s ran when the server was stopped, and may come back and go on with volume %s: "
				     "wait %u s, or detach it by force",
				     c->machine.name, c->volume.name, (left_ms + 999) / 1000);
	return 0;
}

/* Under the claim, which keeps a machine that logs in meanwhile from opening it again. */
static int detach_claimed(struct volume_change *c, bool force)
{
	int err = detach_check(c, force);

	if (err)
		return err;
	err = running_detach(c->boot, c->machine.id, c->lun, force, c->reason);
	if (err && err != -ENOENT)
		return err;
	if (!volume_kind_is_shared(c->volume.kind) && disks_wait_closed(&c->boot->disks, c->volume.id, BOOT_CLOSE_MS))
		return reason_refuse(c->reason, -EBUSY, "volume %s does not close: try again, and see the log",
				     c->volume.name);
	err = change_write(c, detach_run);
	/* A shared one has no claim: a machine that has opened it in between loses it now. */
	if (!err && volume_kind_is_shared(c->volume.kind))
		running_detach(c->boot, c->machine.id, c->lun, true, c->reason);
	if (!err)
		c->reason->text[0] = '\0';
	return err;
}

int boot_volume_detach(struct boot *boot, const char *volume, const char *machine, bool force, const char *actor,
		       struct reason *reason)
{
	struct volume_change c = {
		.boot = boot, .volume_text = volume, .machine_text = machine, .actor = actor, .reason = reason
	};
	bool claim;
	int err = change_read(&c);

	if (err)
		return err;
	claim = !volume_kind_is_shared(c.volume.kind);
	if (claim)
		err = change_claim(&c);
	if (err)
		return err;
	err = detach_claimed(&c, force);
	if (claim)
		disks_unclaim(&boot->disks, c.volume.id);
	return err;
}

/* ---- resizing ---- */

static int resize_run(struct inventory_tx *tx, void *arg)
{
	struct volume_change *c = arg;
	struct volume volume;
	int err = volume_by_id(tx, c->volume.id, &volume);

	if (err)
		return err;
	volume.size_bytes = c->size_bytes;
	err = volume_update(tx, &volume);
	if (!err)
		err = resize_recorded(tx, volume.id);
	return err ? err :
		     event_add(tx, "info", "volume-resized", c->actor, c->attached ? c->machine.id : 0,
			       volume.kind == VOLUME_SYSTEM ? c->machine.name : volume.name, "%llu bytes",
			       (unsigned long long)c->size_bytes);
}

static int resize(struct boot *boot, const char *volume, const char *size, const char *actor, struct reason *reason)
{
	struct volume_change c = {
		.boot = boot, .volume_text = volume, .actor = actor, .any_kind = true, .reason = reason
	};
	char text[CALLED_TEXT];
	struct resize_what what = { .volume = &c.volume, .called = text };
	int64_t id;
	int err = change_read(&c);

	if (!err)
		err = change_claim(&c);
	if (err)
		return err;
	id = c.volume.id;
	change_called(&c, text);
	what.machine_id = c.attached ? c.machine.id : 0;
	what.lun = c.lun;
	what.actor = actor;
	what.name = c.volume.kind == VOLUME_SYSTEM ? c.machine.name : c.volume.name;
	err = resize_claimed(boot, &what, size, &c.size_bytes, reason);
	if (!err)
		err = change_write(&c, resize_run);
	if (!err)
		resize_say_how(&what, c.machine.name, reason);
	disks_unclaim(&boot->disks, id);
	return err;
}

/* ---- removing ---- */

static int remove_run(struct inventory_tx *tx, void *arg)
{
	struct volume_change *c = arg;
	struct holders holders = { 0 };
	struct machine_group group;
	int64_t group_id;
	int err = volume_by_id(tx, c->volume.id, &c->volume); /* the one that is claimed, however it is called now */

	if (!err && !group_volume_find(tx, c->volume.id, 0, &group_id) && !group_by_id(tx, group_id, &group))
		return refuse_of_group(c, &group);
	if (!err)
		err = change_find_holders(c, tx, &holders);
	if (!err && holders.count)
		return reason_refuse(c->reason, -EBUSY,
				     "volume %s is attached to %s%s: first sanbootctl volume detach %s", c->volume.name,
				     c->holder.name, holders.count > 1 ? " and others" : "", c->volume.name);
	/* A machine that had it is gone, but has not let go of it yet. The claim keeps it closed once it is. */
	if (!err && !disks_is_closed(&c->boot->disks, c->volume.id))
		return reason_refuse(c->reason, -EBUSY, "volume %s is being closed just now: try again",
				     c->volume.name);
	if (!err)
		err = volume_delete(tx, c->volume.id);
	if (!err)
		err = event_add(tx, "info", "volume-removed", c->actor, 0, c->volume.name, "with what was on it");
	if (!err)
		c->given_up = c->volume;
	return err;
}

int boot_volume_remove(struct boot *boot, const char *volume, const char *actor, struct reason *reason)
{
	struct volume_change c = { .boot = boot, .volume_text = volume, .actor = actor, .reason = reason };
	int err;

	err = change_read(&c);
	if (err)
		return err;
	/* Nobody attaches it meanwhile to a machine that opens it. */
	err = change_claim(&c);
	if (err)
		return err;
	err = change_write(&c, remove_run);
	if (err)
		disks_unclaim(&boot->disks, c.volume.id);
	else
		disks_forget(&boot->disks, c.volume.id);
	return err;
}

/* ---- setting ---- */

static int set_special(struct volume_change *c, struct inventory_tx *tx, struct volume *volume)
{
	struct volume other;
	uint64_t bytes;

	if (!strcmp(c->key, "name")) {
		if (!volume_name_valid(c->value) || strlen(c->value) >= sizeof(volume->name))
			return reason_refuse(c->reason, -EINVAL,
					     "name: expected letters, digits, '-', '_' and '.', at most 63");
		if (!volume_find(tx, c->value, &other) && other.id != volume->id)
			return reason_refuse(c->reason, -EEXIST, "there is a volume %s already", other.name);
	}
	if (!strcmp(c->key, "quota") && strcmp(c->value, "policy") &&
	    (!quota_parse(c->value, &bytes) || strlen(c->value) >= sizeof(volume->quota)))
		return reason_refuse(c->reason, -EINVAL,
				     "quota: expected a size such as 20G (1M at least), none, or policy");
	if (strcmp(c->key, "state"))
		return 0;
	if (strcmp(c->value, "ready"))
		return reason_refuse(c->reason, -EINVAL, "state: only ready can be set");
	volume->state_reason[0] = '\0';
	return 0;
}

static int set_run(struct inventory_tx *tx, void *arg)
{
	struct volume_change *c = arg;
	struct volume volume;
	char shown[128];
	int err = volume_by_id(tx, c->volume.id, &volume);

	if (!err)
		err = set_special(c, tx, &volume);
	if (!err)
		err = field_parse(field_by_key(volume_fields, c->key), &volume, c->value, c->reason);
	if (!err)
		err = volume_update(tx, &volume);
	parse_clean_text(c->value, shown, sizeof(shown));
	return err ? err :
		     event_add(tx, "info", "volume-set", c->actor, c->attached ? c->machine.id : 0, c->volume.name,
			       "%s=%s", c->key, shown);
}

static int refuse_open(struct volume_change *c)
{
	return c->attached ? reason_refuse(c->reason, -EBUSY,
					   "volume %s is in use by %s: switch it off, or detach the volume",
					   c->volume.name, c->machine.name) :
			     reason_refuse(c->reason, -EBUSY, "volume %s is being closed just now: try again",
					   c->volume.name);
}

static int refuse_key(const char *key, struct reason *reason)
{
	char shown[80];

	parse_clean_text(key, shown, sizeof(shown));
	return reason_refuse(reason, -EINVAL, "a volume has no key %s: name, size, quota, physical-block, state, note",
			     shown);
}

/* Under a claim, for what may only change while nobody has it open. */
static int set_closed(struct volume_change *c)
{
	struct disks *disks = &c->boot->disks;
	int err;

	err = change_claim(c);
	if (err)
		return err;
	if (!disks_is_closed(disks, c->volume.id))
		err = refuse_open(c);
	else if (!strcmp(c->key, "state") && c->volume.state == VOLUME_FAILED && !strcmp(c->value, "ready"))
		err = store_lift_volume(c->boot->store, &c->volume, c->reason);
	else
		err = 0;
	if (!err)
		err = change_write(c, set_run);
	disks_unclaim(disks, c->volume.id);
	return err;
}

int boot_volume_set(struct boot *boot, const char *volume, const char *key, const char *value, const char *actor,
		    struct reason *reason)
{
	struct volume_change c = {
		.boot = boot, .volume_text = volume, .key = key, .value = value, .actor = actor, .reason = reason
	};
	const struct field *field = field_by_key(volume_fields, key);
	int err;

	if (!strcmp(key, "size"))
		return resize(boot, volume, value, actor, reason);
	if (!field || field->kind == FIELD_REFERENCE)
		return refuse_key(key, reason);
	err = change_read(&c);
	if (err)
		return err;
	return field->right == FIELD_BY_PEOPLE_WHEN_OFF ? set_closed(&c) : change_write(&c, set_run);
}

/* ---- rehearsing several ---- */

struct rehearsal {
	struct volume_change change; /* first */
	const struct boot_setting *settings;
	unsigned count;
};

/* -ECANCELED: all of it would do, and nothing of it is kept. */
static int rehearse_run(struct inventory_tx *tx, void *arg)
{
	struct rehearsal *rehearsal = arg;
	struct volume_change *c = &rehearsal->change;

	for (unsigned i = 0; i < rehearsal->count; i++) {
		int err;

		c->key = rehearsal->settings[i].key;
		c->value = rehearsal->settings[i].value;
		err = strcmp(c->key, "size") ? set_run(tx, c) : 0;
		if (err)
			return err;
	}
	return -ECANCELED;
}

static int rehearse_one(struct volume_change *c, const char *key)
{
	const struct field *field = field_by_key(volume_fields, key);

	if (!strcmp(key, "size"))
		return 0;
	if (!field || field->kind == FIELD_REFERENCE)
		return refuse_key(key, c->reason);
	if (field->right == FIELD_BY_PEOPLE_WHEN_OFF && !disks_is_closed(&c->boot->disks, c->volume.id))
		return refuse_open(c);
	return 0;
}

int boot_rehearse_volume_set(struct boot *boot, const char *volume, const struct boot_setting *settings, unsigned count,
			     struct reason *reason)
{
	struct rehearsal rehearsal = { .change = { .boot = boot, .volume_text = volume, .actor = "", .reason = reason },
				       .settings = settings,
				       .count = count };
	int err = change_read(&rehearsal.change);

	for (unsigned i = 0; i < count && !err; i++)
		err = rehearse_one(&rehearsal.change, settings[i].key);
	if (!err)
		err = change_write(&rehearsal.change, rehearse_run);
	if (err == -ECANCELED)
		reason->text[0] = '\0';
	return err == -ECANCELED ? 0 : err;
}
