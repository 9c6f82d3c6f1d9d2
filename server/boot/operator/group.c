// SPDX-License-Identifier: GPL-2.0-or-later
/* What people do with groups (API, sanbootctl): see boot.h and manage.h. */
#include "manage.h"

#include "base/util.h"
#include "boot/ask/want.h"
#include "boot/whoami/whoami.h"
#include "inventory/effective.h"
#include "inventory/rollout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group_change {
	struct manage manage; /* first: manage_write's job is in it */
	struct machine_group group;
	struct reason said; /* after success: what it means for its machines */
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

static int set_by_kind(struct manage *m, struct machine_group *group, const char *value)
{
	return field_parse(field_by_key(group_fields, m->key), group, value, m->reason);
}

static int set_name(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	int err = group_check_name(m, m->value);

	(void)tx;
	return err ? err : set_by_kind(m, group, m->value);
}

static int set_priority(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	const char *digits = m->value + (m->value[0] == '-');
	uint64_t number;

	(void)tx;
	if (!parse_u64(digits, 0, GROUP_PRIORITY_MAX, &number))
		return reason_refuse(m->reason, -EINVAL,
				     "priority: expected a number from -%d to %d, higher goes first",
				     GROUP_PRIORITY_MAX, GROUP_PRIORITY_MAX);
	group->priority = digits == m->value ? (int64_t)number : -(int64_t)number;
	return 0;
}

static int set_boot(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	struct reason why;

	(void)tx;
	if (!want_valid(m->boot->entries, m->value, &why))
		return reason_refuse(m->reason, -EINVAL, "boot: %s", why.text);
	return set_by_kind(m, group, m->value);
}

static int set_boot_file_set(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	(void)tx;
	return manage_take_boot_set(m, "default", group->boot_file_set);
}

/* A note; templates, which boot_group_set has looked at. */
static int set_text(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	(void)tx;
	return set_by_kind(m, group, m->value);
}

/* The image itself: which version of it a machine gets is up to what is published. */
static int set_image(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	struct image_version version;
	int err;

	if (!strcmp(m->value, "policy"))
		return set_by_kind(m, group, "");
	if (strchr(m->value, '@'))
		return reason_refuse(
			m->reason, -EINVAL,
			"image: expected the name of an image; its machines get the version that is published");
	err = manage_find_version(m, tx, m->value, &version);
	return err ? err : set_by_kind(m, group, version.image);
}

/* What policy takes under the same key, or as that says. */
static int set_as_policy(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	const char *expected;

	(void)tx;
	if (!strcmp(m->value, "policy"))
		return set_by_kind(m, group, "");
	if (!policy_value_valid(m->key, m->value, &expected))
		return reason_refuse(m->reason, -EINVAL, "%s: expected %s; or policy: as that says", m->key, expected);
	return set_by_kind(m, group, m->value);
}

static int find_shared(struct manage *m, struct inventory_tx *tx, const char *name, struct volume *volume)
{
	char shown[80];
	int err = volume_find(tx, name, volume);

	parse_clean_text(name, shown, sizeof(shown));
	if (err == -ENOENT || err == -EINVAL)
		return reason_refuse(m->reason, -EINVAL,
				     "volumes: there is no volume %s: sanbootctl volume list shows all", shown);
	if (!err && !volume_kind_is_shared(volume->kind))
		return reason_refuse(
			m->reason, -EINVAL,
			"volumes: %s is a %s volume, which one machine at a time has; a group's are shared disks "
			"or CDs: sanbootctl volume create --shared NAME --from IMAGE",
			shown, volume_kind_name(volume->kind));
	return err;
}

/* "tools,office"; none. */
static int set_volumes(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	int64_t ids[GROUP_VOLUMES_MAX];
	char names[NOTE_TEXT], *rest = names;
	unsigned count = 0;
	int err = 0;

	snprintf(names, sizeof(names), "%s", strcmp(m->value, "none") ? m->value : "");
	for (char *name = strsep(&rest, ","); name && !err; name = strsep(&rest, ",")) {
		struct volume volume;

		if (!name[0])
			continue;
		if (count == GROUP_VOLUMES_MAX)
			return reason_refuse(m->reason, -EINVAL, "volumes: at most %d", GROUP_VOLUMES_MAX);
		err = find_shared(m, tx, name, &volume);
		ids[count++] = volume.id;
	}
	return err ? err : group_volume_set(tx, group->id, ids, count);
}

static int set_ring(struct manage *m, struct inventory_tx *tx, struct machine_group *group)
{
	(void)tx;
	if (strcmp(m->value, "none") && !rollout_ring_valid(m->value))
		return reason_refuse(m->reason, -EINVAL,
				     "ring: expected letters, digits, '-', '_' and '.', at most 63; or none");
	return set_by_kind(m, group, m->value);
}

static const struct group_key {
	const char *name;
	int (*set)(struct manage *m, struct inventory_tx *tx, struct machine_group *group);
} group_keys[] = {
	{ "name", set_name },
	{ "priority", set_priority },
	{ "note", set_text },
	{ "boot", set_boot },
	{ "boot-file-set", set_boot_file_set },
	{ "templates", set_text },
	{ "image", set_image },
	{ "mode", set_as_policy },
	{ "name-pattern", set_as_policy },
	{ "quota", set_as_policy },
	{ "restore-points", set_as_policy },
	{ "ring", set_ring },
	{ "volumes", set_volumes },
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

/* ---- who follows ---- */

struct followers {
	int64_t group_id;
	enum effective_key key;
	unsigned count;	 /* machines that have no word of their own */
	unsigned losing; /* of those, how many are persistent, and have something to lose */
	struct policy policy;
};

static int count_follower(void *arg, const struct machine *machine)
{
	struct followers *f = arg;

	if (machine->group_id != f->group_id || effective_of(machine, &f->policy, f->key).from == FROM_MACHINE)
		return 0;
	f->count++;
	f->losing += effective_mode(machine, &f->policy) != MODE_EPHEMERAL && !machine->system.fresh;
	return 0;
}

/* Those that follow the key as things are now. */
static int count_followers(struct inventory_tx *tx, int64_t group_id, enum effective_key key, struct followers *f)
{
	int err = policy_get(tx, &f->policy);

	f->group_id = group_id;
	f->key = key;
	f->count = f->losing = 0;
	return err ? err : machine_each(tx, count_follower, f);
}

static const char *when_it_counts(enum effective_key key)
{
	switch (key) {
	case EFFECTIVE_NAME_PATTERN:
		return "for machines that come into it without a name";
	case EFFECTIVE_IMAGE:
		return "where a disk begins anew: new machines, resets, boots of ephemeral ones";
	default:
		return "from the next boot on";
	}
}

/* Before the change and after it: what it means for the machines that are in the group. */
static void set_explain(struct group_change *change, enum effective_key key, const struct followers *before,
			const struct followers *after, char explained[160])
{
	const struct machine_group *group = &change->group;

	snprintf(explained, 160, ", %s", when_it_counts(key));
	if (key != EFFECTIVE_NAME_PATTERN && group->machines)
		snprintf(explained, 160, ", for %u of its %u machines, %s", after->count, group->machines,
			 when_it_counts(key));
	reason_set(&change->said, "that counts%s", explained + 1);
	if (key == EFFECTIVE_MODE && before->losing && !after->losing)
		reason_append(
			&change->said,
			"; %u of them begin with a new disk then, and what is on theirs is lost: sanbootctl machine set M "
			"mode=persistent excepts one",
			before->losing);
}

static int set_inherited(struct group_change *change, struct inventory_tx *tx, char explained[160])
{
	struct manage *m = &change->manage;
	struct followers before, after;
	enum effective_key key;
	int err;

	if (!effective_find(m->key, &key))
		return group_update(tx, &change->group);
	err = count_followers(tx, change->group.id, key, &before);
	if (!err)
		err = group_update(tx, &change->group);
	if (!err)
		err = count_followers(tx, change->group.id, key, &after);
	if (!err)
		set_explain(change, key, &before, &after, explained);
	return err;
}

static int set_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct group_change *change = change_of(job);
	struct manage *m = &change->manage;
	char before[NAME_MAX_TEXT], shown[128], explained[160] = "";
	int err = group_find(m, tx, &change->group);

	if (err)
		return err;
	memcpy(before, change->group.name, sizeof(before));
	if (!strcmp(m->key, "volumes"))
		m->luns.group_id = change->group.id;
	err = member_luns_read(&m->luns, tx, false);
	if (!err)
		err = group_find_key(m->key)->set(m, tx, &change->group);
	if (!err)
		err = taken_name(m, set_inherited(change, tx, explained), change->group.name);
	if (!err)
		err = member_luns_read(&m->luns, tx, true);
	if (!err && m->luns.group_id && change->group.machines)
		reason_set(&change->said, "that counts for its %u machines; those that are off see it when they boot",
			   change->group.machines);
	parse_clean_text(m->value, shown, sizeof(shown));
	return err ? err : event_add(tx, "info", "group-set", m->actor, 0, before, "%s=%s%s", m->key, shown, explained);
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

/* ---- removing ---- */

static int name_volume(void *arg, const struct volume *volume)
{
	struct reason *names = arg;

	reason_append(names, "%s%s", names->text[0] ? ", " : "", volume->name);
	return 0;
}

/* What its machines had by it. */
static int remove_explain(struct group_change *change, struct inventory_tx *tx)
{
	struct reason keys = { "" }, volumes = { "" };
	const struct machine_group *group = &change->group;
	int err = group_volume_each(tx, group->id, name_volume, &volumes);

	for (const struct field *field = group_fields; field->column; field++) {
		enum effective_key key;

		/* Machines keep the image and the name that they have. */
		if (field->key && effective_find(field->key, &key) && key != EFFECTIVE_IMAGE &&
		    key != EFFECTIVE_NAME_PATTERN && ((const char *)group + field->offset)[0])
			reason_append(&keys, "%s%s", keys.text[0] ? ", " : "", field->key);
	}
	reason_set(&change->said, "%u machines were in it", group->machines);
	if (keys.text[0])
		reason_append(&change->said,
			      "; where they have none of their own, %s are as policy says from the next boot on",
			      keys.text);
	if (volumes.text[0])
		reason_append(&change->said, "; they lose its volumes %.200s", volumes.text);
	return err;
}

static int remove_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct group_change *change = change_of(job);
	struct manage *m = &change->manage;
	int err = group_find(m, tx, &change->group);

	if (!err)
		err = remove_explain(change, tx);
	m->luns.group_id = change->group.id;
	if (!err)
		err = member_luns_read(&m->luns, tx, false);
	if (!err)
		err = group_delete(tx, change->group.id);
	return err ? err :
		     event_add(tx, "info", "group-removed", m->actor, 0, change->group.name, "removed; %s",
			       change->said.text);
}

/* The job; then what it means for machines that run, and what there is to say. */
static int change_write(struct group_change *change, int (*run)(struct inventory_tx *tx, struct inventory_job *job))
{
	struct manage *m = &change->manage;
	int err = manage_write(m, run);

	if (!err) {
		reason_set(m->reason, "%s", change->said.text);
		member_luns_apply(m->boot, &m->luns, m->reason);
	}
	member_luns_fini(&m->luns);
	return err;
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
	if (!group_find_key(key)) {
		reason_set(reason, "there is no key %s:", shown);
		for (size_t i = 0; i < array_len(group_keys); i++)
			reason_append(reason, "%s %s", i ? "," : "", group_keys[i].name);
		return -EINVAL;
	}
	return !strcmp(key, "templates") && strcmp(value, "none") ? whoami_check(boot, value, reason) : 0;
}

int boot_group_set(struct boot *boot, const char *name, const char *key, const char *value, const char *actor,
		   struct reason *reason)
{
	struct group_change change = {
		.manage = { .boot = boot, .actor = actor, .reason = reason, .which = name, .key = key, .value = value }
	};
	int err = group_check_key(boot, key, value, reason);

	return err ? err : change_write(&change, set_run);
}

int boot_group_remove(struct boot *boot, const char *name, const char *actor, struct reason *reason)
{
	struct group_change change = { .manage = { .boot = boot, .actor = actor, .reason = reason, .which = name } };

	return change_write(&change, remove_run);
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
		member_luns_fini(&m->luns); /* nothing of it will be so */
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
