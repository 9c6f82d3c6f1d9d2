// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KEY=VALUE of a machine: see boot.h. One table: the key, what it changes, and whether the machine must
 * be off for it. Nothing here destroys data: an image is only changed where the disk holds nothing of its own.
 */
#include "manage.h"

#include "base/secret.h"
#include "base/util.h"
#include "boot/ask/want.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Each changes m->machine. Inside the write job. */

static int set_name(struct manage *m, struct inventory_tx *tx)
{
	struct machine other;
	int err;

	if (!machine_name_valid(m->value))
		return manage_refuse(m, -EINVAL, "name: expected letters, digits and '-', at most 63");
	err = machine_by_name(tx, m->value, &other);
	if (!err && other.id != m->machine.id)
		return manage_refuse(m, -EEXIST, "there is a machine %s already", other.name);
	if (err && err != -ENOENT)
		return err;
	snprintf(m->machine.name, sizeof(m->machine.name), "%s", m->value);
	return 0;
}

static int set_image(struct manage *m, struct inventory_tx *tx)
{
	struct image_version version;
	int err = manage_find_version(m, tx, m->value, &version);

	if (err || version.id == m->machine.version_id)
		return err;
	if (!m->machine.child_fresh && m->machine.mode != MODE_EPHEMERAL)
		return manage_refuse(m, -EEXIST,
				     "the disk of %s holds data of its own, which another image would destroy: first "
				     "sanbootctl machine reset %s, then this again before it boots",
				     m->machine.name, m->machine.name);
	err = manage_replace_child(m, tx, &version);
	return err ? err : boot_end_all(tx, m->machine.id);
}

static int set_mode(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	if (!machine_mode_parse(m->value, &m->machine.mode))
		return manage_refuse(m, -EINVAL, "mode: expected persistent or ephemeral");
	return 0;
}

static int set_auth(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	if (!auth_kind_parse(m->value, &m->machine.auth))
		return manage_refuse(m, -EINVAL, "auth: expected policy, none, chap or mutual");
	return 0;
}

/* One of two words. */
static int set_word(struct manage *m, const char *no, const char *yes, bool *value)
{
	if (!strcmp(m->value, no))
		*value = false;
	else if (!strcmp(m->value, yes))
		*value = true;
	else
		return manage_refuse(m, -EINVAL, "%s: expected %s or %s", m->key, no, yes);
	return 0;
}

static int set_access(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	return set_word(m, "one", "many", &m->machine.access_many);
}

/* "": nothing of its own, which people say with a word. */
static int set_boot_text(struct manage *m, const char *nothing, char text[BOOT_TEXT])
{
	char why[400];

	if (!strcmp(m->value, nothing)) {
		text[0] = '\0';
		return 0;
	}
	if (!want_valid(m->boot->entries, m->value, why, sizeof(why)))
		return manage_refuse(m, -EINVAL, "%s: %s; %s takes it away", m->key, why, nothing);
	snprintf(text, BOOT_TEXT, "%s", m->value);
	return 0;
}

static int set_boot(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	return set_boot_text(m, "group", m->machine.boot);
}

/* A new token: what an earlier script would use up is not this one. */
static int set_boot_once(struct manage *m, struct inventory_tx *tx)
{
	int err = set_boot_text(m, "none", m->machine.boot_once);

	(void)tx;
	if (!err)
		secret_text(m->machine.boot_once_token, BOOT_SECRET_CHARS);
	return err;
}

/* How the disk describes itself: a running system would be told by nobody. */
static int set_physical_block(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	return set_word(m, "4096", "512", &m->machine.physical_512);
}

/* manage_grow has done it; what is kept is for the disks that come after this one. */
static int set_size(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	m->machine.size_bytes = m->size_bytes;
	return 0;
}

static int set_group(struct manage *m, struct inventory_tx *tx)
{
	struct machine_group group = { .id = 0 };
	char shown[80];
	int err = strcmp(m->value, "none") ? group_by_name(tx, m->value, &group) : 0;

	parse_clean_text(m->value, shown, sizeof(shown));
	if (err == -ENOENT)
		return manage_refuse(m, -EINVAL, "group: there is no group %s; make it with: sanbootctl group add %s",
				     shown, shown);
	if (!err)
		m->machine.group_id = group.id;
	return err;
}

static int set_no_gateway(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	return set_word(m, "no", "yes", &m->machine.no_gateway);
}

static int set_multipath(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	return set_word(m, "no", "yes", &m->machine.multipath);
}

/* From the next opening of its disk on. */
static int set_quota(struct manage *m, struct inventory_tx *tx)
{
	uint64_t bytes;

	(void)tx;
	if (strcmp(m->value, "policy") &&
	    (!quota_parse(m->value, &bytes) || strlen(m->value) >= sizeof(m->machine.quota)))
		return manage_refuse(m, -EINVAL, "quota: expected a size such as 20G (1M at least), none, or policy");
	snprintf(m->machine.quota, sizeof(m->machine.quota), "%s", strcmp(m->value, "policy") ? m->value : "");
	return 0;
}

static int set_note(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	if (strlen(m->value) >= sizeof(m->machine.note))
		return manage_refuse(m, -EINVAL, "note: at most %zu bytes", sizeof(m->machine.note) - 1);
	snprintf(m->machine.note, sizeof(m->machine.note), "%s", m->value);
	return 0;
}

/* Before the inventory says so: the child may be written again, from what is in its file. */
static int lift_child(struct manage *m)
{
	if (m->machine.state != MACHINE_FAILED || strcmp(m->value, "ready"))
		return 0;
	return store_lift_child(m->boot->store, m->machine.child, m->reason, m->reason_size);
}

/* Lifts what a failed disk left behind (invariant 5): the person has looked at it. */
static int set_state(struct manage *m, struct inventory_tx *tx)
{
	(void)tx;
	if (strcmp(m->value, "ready"))
		return manage_refuse(m, -EINVAL, "state: only ready can be set");
	m->machine.state = MACHINE_READY;
	m->machine.state_reason[0] = '\0';
	return 0;
}

static const struct set_key {
	const char *name;
	int (*set)(struct manage *m, struct inventory_tx *tx);
	bool exclusive; /* the disk is concerned: not while it runs */
	int (*before)(struct manage *m); /* blocking, before the write job; NULL: nothing */
	int (*inside)(struct manage *m); /* blocking, once nobody has the disk any more */
} set_keys[] = {
	{ "name", set_name, false, NULL, NULL },
	{ "image", set_image, true, NULL, NULL },
	{ "mode", set_mode, true, NULL, NULL },
	{ "auth", set_auth, false, NULL, NULL },
	{ "access", set_access, false, NULL, NULL },
	{ "boot", set_boot, false, NULL, NULL },
	{ "boot-once", set_boot_once, false, NULL, NULL },
	{ "group", set_group, false, NULL, NULL },
	{ "no-gateway", set_no_gateway, false, NULL, NULL },
	{ "multipath", set_multipath, false, NULL, NULL },
	{ "note", set_note, false, NULL, NULL },
	{ "state", set_state, true, NULL, lift_child },
	{ "size", set_size, false, manage_grow, NULL },
	{ "physical-block", set_physical_block, true, NULL, NULL },
	{ "quota", set_quota, false, NULL, NULL },
};

static const struct set_key *set_find_key(const char *name)
{
	for (unsigned i = 0; i < array_len(set_keys); i++)
		if (!strcmp(set_keys[i].name, name))
			return &set_keys[i];
	return NULL;
}

static int set_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	char before[NAME_MAX_TEXT], shown[128];
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (err)
		return err;
	memcpy(before, m->machine.name, sizeof(before));
	err = set_find_key(m->key)->set(m, tx);
	if (!err)
		err = machine_update(tx, &m->machine);
	parse_clean_text(m->value, shown, sizeof(shown));
	if (!err)
		err = event_add(tx, "info", "machine-set", m->actor, m->machine.id, before, "%s=%s", m->key, shown);
	return err;
}

int boot_set(struct boot *boot, const char *machine, const char *key, const char *value, const char *actor,
	     char *reason, size_t reason_size)
{
	struct manage m = {
		.boot = boot, .actor = actor, .reason = reason, .reason_size = reason_size, .key = key, .value = value
	};
	const struct set_key *entry = set_find_key(key);
	char shown[80];
	int err;

	if (!entry) {
		parse_clean_text(key, shown, sizeof(shown));
		return manage_refuse(&m, -EINVAL,
				     "there is no key %s: name, image, mode, auth, access, boot, boot-once, group, no-gateway, "
				     "multipath, note, state, size, physical-block, quota", shown);
	}
	err = manage_find(&m, machine);
	if (!err && entry->before)
		err = entry->before(&m);
	if (!err && entry->exclusive)
		err = manage_begin_exclusive(&m);
	if (err)
		return err;
	if (entry->inside)
		err = entry->inside(&m);
	if (!err)
		err = manage_write(&m, set_run);
	if (!err)
		slots_set_ephemeral(&boot->slots, m.machine.id, m.machine.mode == MODE_EPHEMERAL);
	if (entry->exclusive)
		manage_end_exclusive(&m);
	return err;
}
