// SPDX-License-Identifier: GPL-2.0-or-later
/* Words for people and JSON. */
#include "inventory/private.h"

#include <string.h>

const char *const machine_mode_words[] = { [MODE_PERSISTENT] = "persistent",
					   [MODE_EPHEMERAL] = "ephemeral",
					   [MODE_MAINTENANCE] = "maintenance",
					   [MODE_GROUP] = "group",
					   NULL };
const char *const policy_auth_words[] = {
	[AUTH_POLICY] = "policy", [AUTH_NONE] = "none", [AUTH_CHAP] = "chap", [AUTH_MUTUAL] = "mutual", NULL
};
const char *const volume_kind_words[] = {
	[VOLUME_SYSTEM] = "system", [VOLUME_DATA] = "data",	    [VOLUME_SHARED] = "shared",
	[VOLUME_CD] = "cd",	    [VOLUME_WHO_AM_I] = "who-am-i", NULL
};
static const char *const enrol_words[] = {
	[ENROL_AUTO] = "auto", [ENROL_APPROVE] = "approve", [ENROL_DENY] = "deny", NULL
};
static const char *const reason_words[] = { [WAIT_APPROVAL] = "approval", [WAIT_CONFLICT] = "conflict",
					    [WAIT_SWAP] = "swap",	  [WAIT_NO_IMAGE] = "no-image",
					    [WAIT_NO_SPACE] = "no-space", [WAIT_FULL] = "full",
					    [WAIT_DENIED] = "denied",	  NULL };

static const char *word(const char *const *words, unsigned value)
{
	for (unsigned i = 0; words[i]; i++) {
		if (i == value)
			return words[i];
	}
	return "unknown";
}

static bool word_find(const char *const *words, const char *text, unsigned *value)
{
	for (unsigned i = 0; words[i]; i++) {
		if (words[i][0] && !strcmp(words[i], text)) {
			*value = i;
			return true;
		}
	}
	return false;
}

const char *waiting_reason_name(enum waiting_reason reason)
{
	return word(reason_words, reason);
}

const char *policy_enrol_name(enum enrol_kind enrol)
{
	return word(enrol_words, enrol);
}

const char *volume_kind_name(enum volume_kind kind)
{
	return word(volume_kind_words, kind);
}

const char *machine_mode_name(enum machine_mode mode)
{
	return word(machine_mode_words, mode);
}

bool machine_mode_parse(const char *text, enum machine_mode *mode)
{
	unsigned value;

	if (!word_find(machine_mode_words, text, &value))
		return false;
	*mode = (enum machine_mode)value;
	return true;
}

bool policy_auth_parse(const char *text, enum auth_kind *auth)
{
	unsigned value;

	if (!word_find(policy_auth_words, text, &value))
		return false;
	*auth = (enum auth_kind)value;
	return true;
}

bool volume_kind_parse(const char *text, enum volume_kind *kind)
{
	unsigned value;

	if (!word_find(volume_kind_words, text, &value))
		return false;
	*kind = (enum volume_kind)value;
	return true;
}
