// SPDX-License-Identifier: GPL-2.0-or-later
/* Several keys of one thing, set all or not at all: see api.h. */
#include "http/api.h"

#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_TEXT = 48, SETTINGS_MAX = 32 };

struct api_settings {
	struct boot_setting list[SETTINGS_MAX];
	char keys[SETTINGS_MAX][KEY_TEXT], values[SETTINGS_MAX][NOTE_TEXT];
	unsigned count;
};

/* "boot_once", as answers have it, is the key that people write boot-once. */
static bool take_key(const char *key, char out[KEY_TEXT])
{
	size_t len = strlen(key);

	if (len >= KEY_TEXT)
		return false;
	for (size_t i = 0; i <= len; i++)
		out[i] = key[i] == '_' ? '-' : key[i];
	return true;
}

/* What takes a value away, as people write it. */
static const char *nothing_of(const char *key)
{
	const struct field *field = field_by_key(machine_fields, key);

	if (!field)
		field = field_by_key(volume_fields, key);
	return field && field->nothing ? field->nothing : "";
}

static bool take_value(const char *key, const json_t *value, char out[NOTE_TEXT])
{
	if (json_is_boolean(value) || json_is_null(value)) {
		const char *text = json_is_true(value) ? "yes" : json_is_false(value) ? "no" : nothing_of(key);

		memcpy(out, text, strlen(text) + 1);
		return true;
	}
	return api_scalar_text(value, out, NOTE_TEXT);
}

static bool add(struct api_settings *settings, const char *key, const json_t *value, struct reason *said)
{
	const unsigned n = settings->count;

	if (n == SETTINGS_MAX || !take_key(key, settings->keys[n])) {
		reason_set(said,
			   n == SETTINGS_MAX ? "at most %d keys at once" : "there is no key of more than %d bytes",
			   n == SETTINGS_MAX ? SETTINGS_MAX : KEY_TEXT - 1);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(settings->keys[i], settings->keys[n]))
			continue;
		reason_set(said, "%s is given twice", settings->keys[n]);
		return false;
	}
	if (!take_value(settings->keys[n], value, settings->values[n])) {
		reason_set(said, "the value of %s must be a text of at most %d bytes", settings->keys[n],
			   NOTE_TEXT - 1);
		return false;
	}
	settings->list[n] = (struct boot_setting){ settings->keys[n], settings->values[n] };
	settings->count++;
	return true;
}

struct api_settings *api_settings_take(struct request *request, struct reason *said)
{
	struct api_settings *settings = calloc(1, sizeof(*settings));
	const char *key;
	json_t *value;

	if (!settings)
		reason_set(said, "out of memory");
	json_object_foreach(request->json, key, value) {
		if (settings && !add(settings, key, value, said)) {
			free(settings);
			return NULL;
		}
	}
	return settings;
}

const struct boot_setting *api_settings_list(const struct api_settings *settings, unsigned *count)
{
	*count = settings->count;
	return settings->list;
}

void api_settings_free(struct api_settings *settings)
{
	free(settings);
}

/* Those that are size, or those that are not. */
static int set_some(struct request *request, const struct api_settings *settings, bool size, api_set_key *set,
		    struct reason *said)
{
	for (unsigned i = 0; i < settings->count; i++) {
		const struct boot_setting *setting = &settings->list[i];
		struct reason reason = { "" };
		int err;

		if (!strcmp(setting->key, "size") != size)
			continue;
		err = set(request, setting->key, setting->value, &reason);
		if (err) {
			*said = reason;
			return err;
		}
		if (!strstr(said->text, reason.text))
			reason_append(said, "%s%s", said->text[0] ? "; " : "", reason.text);
	}
	return 0;
}

int api_set_keys(struct request *request, api_rehearse *rehearse, api_set_key *set, struct reason *said)
{
	struct api_settings *settings = api_settings_take(request, said);
	int err = 0;

	if (!settings)
		return -EINVAL;
	if (settings->count > 1 && rehearse)
		err = rehearse(request, settings->list, settings->count, said);
	if (!err)
		err = set_some(request, settings, true, set, said);
	if (!err)
		err = set_some(request, settings, false, set, said);
	free(settings);
	return err;
}
