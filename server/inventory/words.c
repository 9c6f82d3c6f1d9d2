// SPDX-License-Identifier: GPL-2.0-or-later
/* Words for people and JSON. */
#include "inventory/inventory.h"

#include "base/util.h"

#include <string.h>

static const char *const modes[] = { [MODE_PERSISTENT] = "persistent", [MODE_EPHEMERAL] = "ephemeral" };
static const char *const auths[] = {
	[AUTH_POLICY] = "policy", [AUTH_NONE] = "none", [AUTH_CHAP] = "chap", [AUTH_MUTUAL] = "mutual"
};
static const char *const enrols[] = { [ENROL_AUTO] = "auto", [ENROL_APPROVE] = "approve", [ENROL_DENY] = "deny" };
static const char *const reasons[] = {
	[WAIT_APPROVAL] = "approval", [WAIT_CONFLICT] = "conflict", [WAIT_SWAP] = "swap",
	[WAIT_NO_IMAGE] = "no-image", [WAIT_NO_SPACE] = "no-space", [WAIT_FULL] = "full",
	[WAIT_DENIED] = "denied",
};

static const char *word(const char *const *words, size_t count, unsigned value)
{
	return value < count ? words[value] : "unknown";
}

static bool word_find(const char *const *words, size_t count, const char *text, unsigned *value)
{
	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(words[i], text)) {
			*value = i;
			return true;
		}
	}
	return false;
}

const char *machine_mode_name(enum machine_mode mode)
{
	return word(modes, array_len(modes), mode);
}

const char *auth_kind_name(enum auth_kind auth)
{
	return word(auths, array_len(auths), auth);
}

const char *waiting_reason_name(enum waiting_reason reason)
{
	return word(reasons, array_len(reasons), reason);
}

const char *enrol_kind_name(enum enrol_kind enrol)
{
	return word(enrols, array_len(enrols), enrol);
}

bool machine_mode_parse(const char *text, enum machine_mode *mode)
{
	unsigned value;

	if (!word_find(modes, array_len(modes), text, &value))
		return false;
	*mode = (enum machine_mode)value;
	return true;
}

bool auth_kind_parse(const char *text, enum auth_kind *auth)
{
	unsigned value;

	if (!word_find(auths, array_len(auths), text, &value))
		return false;
	*auth = (enum auth_kind)value;
	return true;
}
