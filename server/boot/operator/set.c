// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KEY=VALUE of a machine: see boot.h. What a key changes, and whether the machine must be off for it, is in the tables
 * of fields (inventory/field.h); here are the rules of their own that some have. Nothing here destroys data: an image is
 * only changed where the disk holds nothing of its own.
 */
#include "manage.h"

#include "maintenance.h"
#include "resize.h"

#include "base/secret.h"
#include "base/util.h"
#include "boot/ask/want.h"
#include "boot/whoami/whoami.h"
#include "member_luns.h"
#include "inventory/effective.h"
#include "inventory/rollout.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The fields of its system volume that are set at the machine. */
static const char *const system_keys[] = { "image", "size", "quota", "physical-block", "state" };

/* NULL: there is no such key. *of_system: it is its system volume's. */
static const struct field *find_field(const char *key, bool *of_system)
{
	const struct field *field = field_by_key(machine_fields, key);

	*of_system = !field;
	for (unsigned i = 0; i < array_len(system_keys) && !field; i++) {
		if (!strcmp(system_keys[i], key))
			field = field_by_key(volume_fields, key);
	}
	return field;
}

/* The words that take its own word away are as good as the field's own. */
static int set_by_kind(struct manage *m)
{
	bool of_system;
	const struct field *field = find_field(m->key, &of_system);
	const char *value = effective_takes_away(m->key, m->value) ? field->nothing : m->value;

	return field_parse(field, of_system ? (void *)&m->machine.system : &m->machine, value, m->reason);
}

/* Each changes m->machine. Inside the write job. */

static int set_name(struct manage *m, struct inventory_tx *tx)
{
	struct machine other;
	int err;

	if (!machine_name_valid(m->value))
		return reason_refuse(m->reason, -EINVAL, "name: expected letters, digits and '-', at most 63");
	err = machine_by_name(tx, m->value, &other);
	if (!err && other.id != m->machine.id)
		return reason_refuse(m->reason, -EEXIST, "there is a machine %s already", other.name);
	if (err && err != -ENOENT)
		return err;
	snprintf(m->machine.name, sizeof(m->machine.name), "%s", m->value);
	return 0;
}

/* "group": the disk that it has stays, and the next one is of its group's image. */
static int set_image(struct manage *m, struct inventory_tx *tx)
{
	struct image_version version;
	struct policy policy;
	int err;

	m->machine.image_inherited = effective_takes_away(m->key, m->value);
	if (m->machine.image_inherited)
		return 0;
	err = manage_find_version(m, tx, m->value, &version);
	if (!err)
		err = policy_get(tx, &policy);
	/* Said of what it has: no rollout is to give it another one. */
	if (err || version.id == m->machine.system.version_id)
		return err ? err : rollout_note_chosen(tx, &m->machine);
	if (!want_image_is_free(&m->machine, &policy))
		return reason_refuse(m->reason, -EEXIST,
				     "the disk of %s holds data of its own, which another image would destroy: first "
				     "sanbootctl machine reset %s, then this again before it boots",
				     m->machine.name, m->machine.name);
	err = manage_renew_system(m, tx, &version);
	if (!err)
		err = rollout_note_chosen(tx, &m->machine);
	return err ? err : machine_boot_end_all(tx, m->machine.id);
}

/* Maintenance has a disk of its own, and began or ended just now. */
static int set_mode(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	if (manage_is_maintenance(&m->machine, m->value))
		return reason_refuse(m->reason, -EBUSY, "somebody else is changing the mode of %s just now: try again",
				     m->machine.name);
	return set_by_kind(m);
}

/* "" is nothing of its own, for which people write the word in nothing. */
static int set_boot_text(struct manage *m, const char *nothing, char text[BOOT_TEXT])
{
	struct reason why;

	if (!strcmp(m->value, nothing)) {
		text[0] = '\0';
		return 0;
	}
	if (!want_valid(m->boot->entries, m->value, &why))
		return reason_refuse(m->reason, -EINVAL, "%s: %s; %s takes it away", m->key, why.text, nothing);
	snprintf(text, BOOT_TEXT, "%s", m->value);
	return 0;
}

static int set_boot(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	return set_boot_text(m, "group", m->machine.boot);
}

/* A new token, so that an earlier script does not use up this boot-once. */
static int set_boot_once(struct manage *m, struct inventory_tx *tx)
{
	int err = set_boot_text(m, "none", m->machine.boot_once);

	(void)tx;
	if (!err)
		secret_text(m->machine.boot_once_token, BOOT_SECRET_CHARS);
	return err;
}

/* It has grown already (grow_system); what is kept is for the disks that come after this one. */
static int set_size(struct manage *m, struct inventory_tx *tx)
{
	m->machine.system.size_bytes = m->size_bytes;
	return resize_recorded(tx, m->machine.system.id);
}

static int set_boot_file_set(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	return manage_take_boot_set(m, "group", m->machine.boot_file_set);
}

/* Said again, it also offers the portals again that were given up (boot/portals.h). */
static int set_multipath(struct manage *m, struct inventory_tx *tx)
{
	int err = field_parse(field_by_key(machine_fields, m->key), &m->machine, m->value, m->reason);

	(void)tx;
	if (!err)
		m->machine.lost_portals[0] = '\0';
	return err;
}

static int set_group(struct manage *m, struct inventory_tx *tx)
{
	struct machine_group group;
	int err = manage_find_group(m, tx, m->value, NULL, &group);

	if (!err)
		m->machine.group_id = group.id;
	return err;
}

/* From its next boot on. */
static int check_templates(struct manage *m)
{
	return strcmp(m->value, "group") && strcmp(m->value, "none") ? whoami_check(m->boot, m->value, m->reason) : 0;
}

static int set_ring(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	if (strcmp(m->value, "group") && strcmp(m->value, "none") && !rollout_ring_valid(m->value))
		return reason_refuse(m->reason, -EINVAL,
				     "ring: expected letters, digits, '-', '_' and '.', at most 63; or group, or none");
	return set_by_kind(m);
}

/* What policy takes, or nothing of its own. */
static int set_as_policy(struct manage *m, struct inventory_tx *tx)
{
	const char *expected;

	(void)tx;
	if (!effective_takes_away(m->key, m->value) && !policy_value_valid(m->key, m->value, &expected))
		return reason_refuse(m->reason, -EINVAL, "%s: expected %s; or group: as its group says, else policy",
				     m->key, expected);
	return set_by_kind(m);
}

/* Before the inventory says so: it may be written again, from what is durable of it. */
static int lift_system(struct manage *m)
{
	if (m->machine.system.state != VOLUME_FAILED || strcmp(m->value, "ready"))
		return 0;
	return store_lift_volume(m->boot->store, &m->machine.system, m->reason);
}

/* Lifts what a failed disk left behind (invariant 5): the person has looked at it. */
static int set_state(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	if (strcmp(m->value, "ready"))
		return reason_refuse(m->reason, -EINVAL, "state: only ready can be set");
	m->machine.system.state = VOLUME_READY;
	m->machine.system.state_reason[0] = '\0';
	return 0;
}

static int grow_system(struct manage *m)
{
	char called[NAME_MAX_TEXT + 16];
	struct resize_what what = { .volume = &m->machine.system, .machine_id = m->machine.id, .called = called };
	int64_t id = m->machine.system.id;
	int err;

	snprintf(called, sizeof(called), "the disk of %s", m->machine.name);
	if (disks_claim(&m->boot->disks, id))
		return reason_refuse(m->reason, -EBUSY, "somebody else is changing %s just now: try again", called);
	/* Again: it may have got another object since. */
	err = manage_find(m, m->which);
	if (!err && m->machine.system.id != id)
		err = reason_refuse(m->reason, -EBUSY, "%s is another machine by now: try again", m->which);
	what.actor = m->actor;
	what.name = m->machine.name;
	if (!err)
		err = resize_claimed(m->boot, &what, m->value, &m->size_bytes, m->reason);
	disks_unclaim(&m->boot->disks, id);
	m->grew_online = what.online;
	return err;
}

/* What a field needs besides its kind (inventory/field.h). */
static const struct set_rule {
	const char *key;
	int (*set)(struct manage *m, struct inventory_tx *tx); /* NULL: the field's kind says all */
	int (*before)(struct manage *m);		       /* blocking, before the write job; NULL: nothing */
	int (*inside)(struct manage *m);		       /* blocking, once nobody has the disk any more */
} set_rules[] = {
	{ "name", set_name, NULL, NULL },
	{ "image", set_image, NULL, NULL },
	{ "mode", set_mode, NULL, NULL },
	{ "boot", set_boot, NULL, NULL },
	{ "boot-once", set_boot_once, NULL, NULL },
	{ "group", set_group, NULL, NULL },
	{ "state", set_state, NULL, lift_system },
	{ "boot-file-set", set_boot_file_set, NULL, NULL },
	{ "restore-points", set_as_policy, NULL, NULL },
	{ "ring", set_ring, NULL, NULL },
	{ "size", set_size, grow_system, NULL },
	{ "quota", set_as_policy, NULL, NULL },
	{ "templates", NULL, check_templates, NULL },
	{ "multipath", set_multipath, NULL, NULL },
};

static const struct set_rule *find_rule(const char *key)
{
	static const struct set_rule none = { .key = NULL };

	for (unsigned i = 0; i < array_len(set_rules); i++) {
		if (!strcmp(set_rules[i].key, key))
			return &set_rules[i];
	}
	return &none;
}

static int refuse_key(struct manage *m, const char *key)
{
	char shown[80], keys[300] = "";
	size_t len = 0;

	for (const struct field *field = machine_fields; field->column; field++) {
		if (field->key)
			len += (size_t)snprintf(keys + len, sizeof(keys) - len, "%s, ", field->key);
	}
	for (unsigned i = 0; i < array_len(system_keys); i++)
		len += (size_t)snprintf(keys + len, sizeof(keys) - len, "%s%s", i ? ", " : "", system_keys[i]);
	parse_clean_text(key, shown, sizeof(shown));
	return reason_refuse(m->reason, -EINVAL, "there is no key %s: %s", shown, keys);
}

/* As it is now, with its group. */
static int set_read_again(struct manage *m, struct inventory_tx *tx)
{
	struct policy policy;
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (!err)
		err = policy_get(tx, &policy);
	m->begins_closed = !err && boot_begins_closed(&m->machine, &policy);
	return err;
}

static int set_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	char before[NAME_MAX_TEXT], shown[128];
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (err)
		return err;
	memcpy(before, m->machine.name, sizeof(before));
	err = member_luns_read(&m->luns, tx, false);
	if (!err)
		err = find_rule(m->key)->set ? find_rule(m->key)->set(m, tx) : set_by_kind(m);
	if (!err)
		err = machine_update(tx, &m->machine);
	if (!err)
		err = member_luns_read(&m->luns, tx, true);
	if (!err)
		err = set_read_again(m, tx);
	parse_clean_text(m->value, shown, sizeof(shown));
	if (!err)
		err = event_add(tx, "info", "machine-set", m->actor, m->machine.id, before, "%s=%s", m->key, shown);
	return err;
}

/* What to know or do next. */
static void set_say(struct manage *m)
{
	struct machine *machine = &m->machine;

	resize_say_how(&(struct resize_what){ .online = m->grew_online }, machine->name, m->reason);
	if (!strcmp(m->key, "templates"))
		reason_set(m->reason, "that counts from the next boot of %s on", machine->name);
	if (!strcmp(m->key, "image") && machine->image_inherited)
		reason_set(m->reason,
			   "%s gets the image of its group where its disk begins anew: at a reset, and at its next boot if "
			   "it is ephemeral or was never used%s",
			   machine->name, machine->group.image[0] ? "" : "; but it is in no group that has one");
	if (!strcmp(m->key, "group") && machine->group.mode[0] && machine->mode != MODE_GROUP)
		reason_set(m->reason,
			   "its mode stays its own: sanbootctl machine set %s mode=group gives it the group's",
			   machine->name);
	member_luns_apply(m->boot, &m->luns, m->reason);
}

int boot_set(struct boot *boot, const char *machine, const char *key, const char *value, const char *actor,
	     struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .key = key, .value = value };
	const struct set_rule *rule = find_rule(key);
	bool of_system, exclusive;
	const struct field *field = find_field(key, &of_system);
	int err;

	if (!field)
		return refuse_key(&m, key);
	exclusive = field->right == FIELD_BY_PEOPLE_WHEN_OFF;
	err = manage_find(&m, machine);
	m.luns.machine_id = m.machine.id;
	if (!err && !strcmp(key, "mode") && manage_is_maintenance(&m.machine, value))
		return manage_set_maintenance(&m);
	if (!err && rule->before)
		err = rule->before(&m);
	if (!err && exclusive)
		err = manage_begin_exclusive(&m);
	if (err)
		return err;
	if (rule->inside)
		err = rule->inside(&m);
	if (!err)
		err = manage_write(&m, set_run);
	if (!err)
		set_say(&m);
	if (!err)
		presence_set_begins_closed(&boot->presence, m.machine.id, m.begins_closed);
	member_luns_fini(&m.luns);
	if (exclusive)
		manage_end_exclusive(&m);
	return err;
}

/* ---- rehearsing several ---- */

struct rehearsal {
	struct manage manage; /* first: set_run finds it by its job */
	const struct boot_setting *settings;
	unsigned count;
};

/* -ECANCELED: all of it would do, and nothing of it is kept. */
static int rehearse_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	const struct rehearsal *rehearsal = container_of(m, struct rehearsal, manage);

	for (unsigned i = 0; i < rehearsal->count; i++) {
		int err;

		m->key = rehearsal->settings[i].key;
		m->value = rehearsal->settings[i].value;
		err = strcmp(m->key, "size") ? set_run(tx, job) : 0;
		if (err)
			return err;
	}
	return -ECANCELED;
}

/* What is no matter of the inventory alone. */
static int rehearse_one(struct manage *m, const struct boot_setting *setting)
{
	const struct set_rule *rule = find_rule(setting->key);
	bool of_system;
	const struct field *field = find_field(setting->key, &of_system);

	m->key = setting->key;
	m->value = setting->value;
	if (!field)
		return refuse_key(m, m->key);
	if (rule->before && rule->before != grow_system) {
		int err = rule->before(m);

		if (err)
			return err;
	}
	return field->right == FIELD_BY_PEOPLE_WHEN_OFF ? manage_refuse_if_running(m) : 0;
}

int boot_rehearse_set(struct boot *boot, const char *machine, const struct boot_setting *settings, unsigned count,
		      struct reason *reason)
{
	struct rehearsal rehearsal = { .manage = { .boot = boot, .actor = "", .reason = reason },
				       .settings = settings,
				       .count = count };
	int err = manage_find(&rehearsal.manage, machine);

	for (unsigned i = 0; i < count && !err; i++)
		err = rehearse_one(&rehearsal.manage, &settings[i]);
	if (!err)
		err = manage_write(&rehearsal.manage, rehearse_run);
	if (err == -ECANCELED)
		reason->text[0] = '\0';
	return err == -ECANCELED ? 0 : err;
}
