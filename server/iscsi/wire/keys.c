// SPDX-License-Identifier: GPL-2.0-or-later
/* Text keys: see keys.h. */
#include "iscsi/wire/keys.h"

#include "base/buf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* §6.1: standard-label, which key names are made of. */
static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || strchr(".-+@_#:/", c);
}

static const char *check_pair(const char *pair, size_t len)
{
	const char *equals = memchr(pair, '=', len);
	size_t name_len;

	if (!equals)
		return "a key without a value";
	name_len = (size_t)(equals - pair);
	if (name_len == 0 || name_len > KEY_NAME_MAX)
		return "a key name of a wrong length";
	for (size_t i = 0; i < name_len; i++)
		if (!pair[i] || !is_name_char(pair[i]))
			return "a key name with a wrong character";
	if (len - name_len - 1 > (strncmp(pair, "CHAP_", 5) ? KEY_VALUE_MAX : KEY_BINARY_MAX))
		return "a value that is too long";
	return NULL;
}

static bool same_name(const char *a, const char *b)
{
	size_t a_len = strcspn(a, "="), b_len = strcspn(b, "=");

	return a_len == b_len && !memcmp(a, b, a_len);
}

const char *keys_check(const char *text, size_t len)
{
	const char *pairs[KEYS_MAX];
	unsigned count = 0;

	if (len > KEYS_TEXT_MAX)
		return "a text that is too long";
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\0', len - at), *wrong;
		size_t pair_len;

		/* §6.1: every pair, also the last one, is followed by a NUL. */
		if (!end)
			return "a text without its last NUL";
		pair_len = (size_t)(end - text) - at;
		/* Some initiators count the padding as text: empty pairs. */
		if (pair_len > 0) {
			wrong = check_pair(text + at, pair_len);
			if (wrong)
				return wrong;
			if (count == KEYS_MAX)
				return "too many keys";
			for (unsigned i = 0; i < count; i++)
				if (same_name(pairs[i], text + at))
					return "a key twice";
			pairs[count++] = text + at;
		}
		at += pair_len + 1;
	}
	return NULL;
}

bool keys_next(const char *text, size_t len, size_t *at, char name_out[KEY_NAME_MAX + 1], const char **value)
{
	const char *equals;

	while (*at < len && !text[*at])
		++*at;
	if (*at >= len)
		return false;
	equals = strchr(text + *at, '=');
	snprintf(name_out, KEY_NAME_MAX + 1, "%.*s", (int)(equals - text) - (int)*at, text + *at);
	*value = equals + 1;
	*at = (size_t)(equals - text) + 1 + strlen(*value) + 1;
	return true;
}

const char *keys_get(const char *text, size_t len, const char *name)
{
	char found[KEY_NAME_MAX + 1];
	const char *value;

	for (size_t at = 0; keys_next(text, len, &at, found, &value);)
		if (!strcmp(found, name))
			return value;
	return NULL;
}

void keys_add(struct buf *reply, const char *name, const char *value)
{
	buf_printf(reply, "%s=%s", name, value);
	buf_add(reply, "", 1);
}

void keys_add_number(struct buf *reply, const char *name, unsigned long value)
{
	buf_printf(reply, "%s=%lu", name, value);
	buf_add(reply, "", 1);
}

bool keys_list_next(const char **list, char *item, size_t size)
{
	size_t len = strcspn(*list, ",");

	if (!**list)
		return false;
	snprintf(item, size, "%.*s", (int)len, *list);
	*list += len;
	if (**list == ',')
		++*list;
	return true;
}

bool keys_list_has(const char *list, const char *item)
{
	char at[KEY_VALUE_MAX + 1];

	while (keys_list_next(&list, at, sizeof(at)))
		if (!strcmp(at, item))
			return true;
	return false;
}

bool keys_is_iscsi_name(const char *name)
{
	size_t len = strlen(name);

	if (len <= 4 || len > 223)
		return false;
	if (strncasecmp(name, "iqn.", 4) && strncasecmp(name, "eui.", 4) && strncasecmp(name, "naa.", 4))
		return false;
	/* §4.2.7.2: what stringprep leaves of ASCII; other UTF-8 is let through. */
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < 0x80 && !isalnum(c) && !strchr(".-:", c))
			return false;
	}
	return true;
}
