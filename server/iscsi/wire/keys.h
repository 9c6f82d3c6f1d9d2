/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text keys (RFC 7143 §6.1): "Key=Value" pairs, each ended by a NUL.
 *
 * keys_check accepts a whole text first; the other functions may then be used on it. What a text may be is bounded
 * here: KEYS_TEXT_MAX bytes, KEYS_MAX pairs. Any thread.
 */
#ifndef ISCSI_KEYS_H
#define ISCSI_KEYS_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum {
	KEYS_TEXT_MAX = 65536, /* bytes of one text, all its PDUs together */
	KEYS_MAX = 96,	       /* pairs in one text */
	KEY_NAME_MAX = 63,     /* §6.1 */
	KEY_VALUE_MAX = 255,   /* §6.1, unless the key says otherwise: */
	KEY_BINARY_MAX = 8192, /* CHAP_C, CHAP_R: 1024 bytes of binary; a hostile one is cut off by its decoder */
};

/* NULL: well formed, no key twice (§6.2). Otherwise what is wrong, for the log. */
const char *keys_check(const char *text, size_t len);
/*
 * Steps through a checked text: *at 0 at first. False at the end. name is cut at '=' and copied to name_out; value
 * points into text.
 */
bool keys_next(const char *text, size_t len, size_t *at, char name_out[KEY_NAME_MAX + 1], const char **value);
/* The value of a key in a checked text; NULL where it is absent. */
const char *keys_get(const char *text, size_t len, const char *name);
void keys_add(struct buf *reply, const char *name, const char *value);
void keys_add_number(struct buf *reply, const char *name, unsigned long value);

/* Lists (§6.1: comma-separated): whether item is in it. */
bool keys_list_has(const char *list, const char *item);
/* Steps through a list: copies the next item (cut to size). False at the end. */
bool keys_list_next(const char **list, char *item, size_t size);

/* §4.2.7: iqn., eui. or naa. with a sane alphabet, at most 223 bytes. */
bool keys_is_iscsi_name(const char *name);

#endif
