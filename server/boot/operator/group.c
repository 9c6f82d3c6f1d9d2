// SPDX-License-Identifier: GPL-2.0-or-later
/* What people do with groups (API, sanbootctl): see boot.h and manage.h. */
#include "manage.h"

#include "base/util.h"
#include "boot/ask/want.h"
#include "boot/whoami/whoami.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group_change {
	struct manage manage; /* first: manage_write's job is in it */
	struct machine_group group;
};

static struct group_change *change_of(struct inventory_job *job)
{
	return container_of(container_of(job, struct manage, job), struct group_change, manage);
}

static int group_find(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	char shown[80];
	int err = group_by_name(tx, m->which, group);

	parse_clean_text(m->which, shown, sizeof(shown));
	return err == -ENOENT ?
		       reason_refuse(m->reason, err, "there is no group %s: sanbootctl group list shows all", shown) :
		       err;
}

static int group_check_name(struct manage *m, const char *name)
{
	return group_name_valid(name) ? 0 :
					reason_refuse(m->reason, -EINVAL,
						      "a group's name is made of letters, digits, '-', '_' and '.', at "
						      "most 63, and is not none");
}

static int set_name(struct manage *m, struct machine_group *group)
{
	int err = group_check_name(m, m->value);

	if (!err)
		snprintf(group->name, sizeof(group->name), "%s", m->value);
	return err;
}

static int set_priority(struct manage *m, struct machine_group *group)
{
	const char *digits = m->value + (m->value[0] == '-');
	uint64_t number;

	if (!parse_u64(digits, 0, GROUP_PRIORITY_MAX, &number))
		return reason_refuse(m->reason, -EINVAL,
				     "priority: expected a number from -%d to %d, higher goes first",
				     GROUP_PRIORITY_MAX, GROUP_PRIORITY_MAX);
	group->priority = digits == m->value ? (int)number : -(int)number;
	return 0;
}

static int set_boot(struct manage *m, struct machine_group *group)
{
	struct reason why;

	if (!want_valid(m->boot->entries, m->value, &why))
		return reason_refuse(m->reason, -EINVAL, "boot: %s", why.text);
	snprintf(group->boot, sizeof(group->boot), "%s", m->value);
	return 0;
}

static int set_boot_file_set(struct manage *m, struct machine_group *group)
{
	return manage_take_boot_set(m, "default", group->boot_file_set);
}

static int set_note(struct manage *m, struct machine_group *group)
{
	if (strlen(m->value) >= sizeof(group->note))
		return reason_refuse(m->reason, -EINVAL, "note: at most %zu bytes", sizeof(group->note) - 1);
	snprintf(group->note, sizeof(group->note), "%s", m->value);
	return 0;
}

static int set_templates(struct manage *m, struct machine_group *group)
{
	/* boot_group_set has looked at them. */
	snprintf(group->templates, sizeof(group->templates), "%s", strcmp(m->value, "none") ? m->value : "");
	return 0;
}

static const struct group_key {
	const char *name;
	int (*set)(struct manage *m, struct machine_group *group);
} group_keys[] = {
	{ "name", set_name }, { "priority", set_priority },
	{ "boot", set_boot }, { "boot-file-set", set_boot_file_set },
	{ "note", set_note }, { "templates", set_templates },
};

static const struct group_key *group_find_key(const char *name)
{
	for (size_t i = 0; i < array_len(group_keys); i++)
		if (!strcmp(group_keys[i].name, name))
			return &group_keys[i];
	return NULL;
}

static int taken_name(struct manage *m, int err, const char *name)
{
	return err == -EEXIST ? reason_refuse(m->reason, err, "there is a group %s already", name) : err;
}

static int set_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct group_change *change = change_of(job);
	struct manage *m = &change->manage;
	char before[NAME_MAX_TEXT], shown[128];
	int err = group_find(m, tx, &change->group);

	if (err)
		return err;
	memcpy(before, change->group.name, sizeof(before));
	err = group_find_key(m->key)->set(m, &change->group);
	if (!err)
		err = taken_name(m, group_update(tx, &change->group), change->group.name);
	parse_clean_text(m->value, shown, sizeof(shown));
	return err ? err : event_add(tx, "info", "group-set", m->actor, 0, before, "%s=%s", m->key, shown);
}

static int add_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct group_change *change = change_of(job);
	struct manage *m = &change->manage;
	int err;

	snprintf(change->group.name, sizeof(change->group.name), "%s", m->which);
	err = taken_name(m, group_insert(tx, &change->group), change->group.name);
	return err ? err : event_add(tx, "info", "group-added", m->actor, 0, change->group.name, "new group");
}

static int remove_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct group_change *change = change_of(job);
	struct manage *m = &change->manage;
	int err = group_find(m, tx, &change->group);

	if (!err)
		err = group_delete(tx, change->group.id);
	return err ? err :
		     event_add(tx, "info", "group-removed", m->actor, 0, change->group.name,
			       "removed; %u machines were in it", change->group.machines);
}

int boot_group_add(struct boot *boot, const char *name, const char *actor, struct reason *reason)
{
	struct group_change change = { .manage = { .boot = boot, .actor = actor, .reason = reason, .which = name } };
	int err = group_check_name(&change.manage, name);

	return err ? err : manage_write(&change.manage, add_run);
}

/* What is no matter of the inventory. */
static int group_check_key(struct boot *boot, const char *key, const char *value, struct reason *reason)
{
	char shown[80];

	parse_clean_text(key, shown, sizeof(shown));
	if (!group_find_key(key))
		return reason_refuse(reason, -EINVAL,
				     "there is no key %s: name, priority, boot, boot-file-set, note, templates", shown);
	return !strcmp(key, "templates") && strcmp(value, "none") ? whoami_check(boot, value, reason) : 0;
}

int boot_group_set(struct boot *boot, const char *name, const char *key, const char *value, const char *actor,
		   struct reason *reason)
{
	struct group_change change = {
		.manage = { .boot = boot, .actor = actor, .reason = reason, .which = name, .key = key, .value = value }
	};
	int err = group_check_key(boot, key, value, reason);

	return err ? err : manage_write(&change.manage, set_run);
}

int boot_group_remove(struct boot *boot, const char *name, const char *actor, struct reason *reason)
{
	struct group_change change = { .manage = { .boot = boot, .actor = actor, .reason = reason, .which = name } };

	return manage_write(&change.manage, remove_run);
}

/* ---- rehearsing several ---- */

struct rehearsal {
	struct group_change change; /* first: the jobs find it */
	bool add;
	const struct boot_setting *settings;
	unsigned count;
};

/* -ECANCELED: all of it would do, and nothing of it is kept. */
static int rehearse_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct rehearsal *rehearsal = container_of(change_of(job), struct rehearsal, change);
	struct manage *m = &rehearsal->change.manage;
	int err = rehearsal->add ? add_run(tx, job) : 0;

	for (unsigned i = 0; i < rehearsal->count && !err; i++) {
		m->key = rehearsal->settings[i].key;
		m->value = rehearsal->settings[i].value;
		err = set_run(tx, job);
		if (!strcmp(m->key, "name"))
			m->which = m->value; /* for those behind it */
	}
	return err ? err : -ECANCELED;
}

int boot_rehearse_group_set(struct boot *boot, const char *name, bool add, const struct boot_setting *settings,
			    unsigned count, struct reason *reason)
{
	struct rehearsal rehearsal = {
		.change.manage = { .boot = boot, .actor = "", .reason = reason, .which = name },
		.add = add,
		.settings = settings,
		.count = count,
	};
	int err = add ? group_check_name(&rehearsal.change.manage, name) : 0;

	for (unsigned i = 0; i < count && !err; i++)
		err = group_check_key(boot, settings[i].key, settings[i].value, reason);
	if (!err)
		err = manage_write(&rehearsal.change.manage, rehearse_run);
	if (err == -ECANCELED)
		reason->text[0] = '\0';
	return err == -ECANCELED ? 0 : err;
}
