// SPDX-License-Identifier: GPL-2.0-or-later
/* What holds for a machine: see effective.h. Where each says its word is found by the key, in the tables of fields. */
#include "inventory/effective.h"

#include "base/log.h"
#include "base/util.h"

#include <string.h>

static const struct setting {
	const char *key;
	const char *built_in; /* where policy has no such key */
} settings[EFFECTIVE_KEYS] = {
	[EFFECTIVE_BOOT] = { "boot", "disk" },
	[EFFECTIVE_BOOT_FILE_SET] = { "boot-file-set", "default" },
	[EFFECTIVE_IMAGE] = { "image", "" },
	[EFFECTIVE_MODE] = { "mode", "persistent" },
	[EFFECTIVE_NAME_PATTERN] = { "name-pattern", "" },
	[EFFECTIVE_QUOTA] = { "quota", "none" },
	[EFFECTIVE_RESTORE_POINTS] = { "restore-points", "0" },
	[EFFECTIVE_RING] = { "ring", "none" },
	[EFFECTIVE_TEMPLATES] = { "templates", "none" },
};

/* "" where it says nothing. */
static const char *word_in(const struct field *field, const void *record)
{
	const char *word;

	if (!field)
		return "";
	if (field->kind == FIELD_TEXT)
		return (const char *)record + field->offset;
	word = field_word(field, record);
	return field->nothing && !strcmp(word, field->nothing) ? "" : word;
}

static const char *own_word(const struct machine *machine, const char *key)
{
	const struct field *field = field_by_key(machine_fields, key);

	return field ? word_in(field, machine) : word_in(field_by_key(volume_fields, key), &machine->system);
}

struct effective effective_of(const struct machine *machine, const struct policy *policy, enum effective_key key)
{
	const char *name = settings[key].key;
	struct effective found = { .from = FROM_MACHINE };
	bool given;

	/* Its own image is not a word but a version, which it always has. */
	if (key == EFFECTIVE_IMAGE) {
		if (!machine->image_inherited || !machine->group.image[0])
			return (struct effective){ "", FROM_MACHINE };
	} else {
		found.value = own_word(machine, name);
		if (found.value[0])
			return found;
	}
	found = (struct effective){ word_in(field_by_key(group_fields, name), &machine->group), FROM_GROUP };
	if (found.value[0])
		return found;
	found.value = policy ? policy_text(policy, name, &given) : NULL;
	if (!found.value)
		return (struct effective){ settings[key].built_in, FROM_DEFAULT };
	found.from = given ? FROM_POLICY : FROM_DEFAULT;
	return found;
}

const char *effective_key_name(enum effective_key key)
{
	return settings[key].key;
}

const char *effective_from_name(enum effective_from from)
{
	static const char *const names[] = {
		[FROM_MACHINE] = "machine", [FROM_GROUP] = "group", [FROM_POLICY] = "policy", [FROM_DEFAULT] = "default"
	};

	return names[from];
}

bool effective_find(const char *name, enum effective_key *key)
{
	for (unsigned i = 0; i < EFFECTIVE_KEYS; i++) {
		if (!strcmp(settings[i].key, name)) {
			*key = (enum effective_key)i;
			return true;
		}
	}
	return false;
}

bool effective_takes_away(const char *name, const char *value)
{
	const struct policy none = { .given = 0 };
	enum effective_key key;
	bool given;

	return effective_find(name, &key) &&
	       (!strcmp(value, "group") || (!strcmp(value, "policy") && policy_text(&none, name, &given)));
}

/* ---- as values ---- */

/* What was stored was valid: the file was changed by others. */
static void warn(const struct machine *machine, enum effective_key key, struct effective effective)
{
	log_warning("inventory: machine %s: %s=%s (%s) is not valid: the policy's holds", machine->name,
		    settings[key].key, effective.value, effective_from_name(effective.from));
}

enum machine_mode effective_mode(const struct machine *machine, const struct policy *policy)
{
	struct effective effective = effective_of(machine, policy, EFFECTIVE_MODE);
	enum machine_mode mode;

	if (machine->mode != MODE_GROUP)
		return machine->mode;
	if (machine_mode_parse(effective.value, &mode) && (mode == MODE_PERSISTENT || mode == MODE_EPHEMERAL))
		return mode;
	warn(machine, EFFECTIVE_MODE, effective);
	return machine_mode_parse(policy->mode, &mode) && mode != MODE_GROUP ? mode : MODE_PERSISTENT;
}

unsigned effective_restore_points(const struct machine *machine, const struct policy *policy)
{
	struct effective effective = effective_of(machine, policy, EFFECTIVE_RESTORE_POINTS);
	unsigned count = 0;

	/* In maintenance a layer between would have to be copied for the version. */
	if (effective_mode(machine, policy) == MODE_EPHEMERAL || machine->mode == MODE_MAINTENANCE)
		return 0;
	if (!restore_points_parse(effective.value, &count)) {
		warn(machine, EFFECTIVE_RESTORE_POINTS, effective);
		restore_points_parse(policy->restore_points, &count);
	}
	return count;
}

uint64_t effective_quota(const struct machine *machine, const struct volume *volume, const struct policy *policy)
{
	struct effective effective = effective_of(machine, policy, EFFECTIVE_QUOTA);
	uint64_t bytes = 0;
	bool given;

	if (volume->kind != VOLUME_SYSTEM)
		effective = volume->quota[0] ? (struct effective){ volume->quota, FROM_MACHINE } :
					       (struct effective){ policy_text(policy, "quota", &given), FROM_POLICY };
	if (!quota_parse(effective.value, &bytes)) {
		warn(machine, EFFECTIVE_QUOTA, effective);
		quota_parse(policy->quota, &bytes);
	}
	return bytes;
}

static const char *or_none(const struct machine *machine, enum effective_key key)
{
	const char *value = effective_of(machine, NULL, key).value;

	return strcmp(value, "none") ? value : "";
}

const char *effective_templates(const struct machine *machine)
{
	return or_none(machine, EFFECTIVE_TEMPLATES);
}

const char *effective_ring(const struct machine *machine)
{
	return or_none(machine, EFFECTIVE_RING);
}
