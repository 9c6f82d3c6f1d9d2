/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The language of a who-am-i volume's templates: {name} stands for a value, quoted as the file needs it. Pure, any
 * thread. Private to boot/.
 *
 * Values are made of characters that no file gives a meaning (fill_clean), so nothing of them can become a key, an
 * element or a command. What is left to do is YAML's types: there 0012 is the number 10, and the digits of a MAC are one
 * to the base of 60. So in YAML (and JSON, which is a part of it) a plain scalar with a placeholder in it becomes a
 * quoted one as a whole.
 */
#ifndef BOOT_WHOAMI_FILL_H
#define BOOT_WHOAMI_FILL_H

#include "base/buf.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>

enum fill_var {
	FILL_NAME,	   /* of the machine */
	FILL_WINDOWS_NAME, /* the same, as Windows takes it: at most 15 characters, not digits alone */
	FILL_MAC,
	FILL_UUID,
	FILL_SERIAL,
	FILL_PRODUCT,
	FILL_IP,
	FILL_GROUP,
	FILL_IMAGE,
	FILL_VERSION, /* of the image */
	FILL_SERVER,
	FILL_INSTANCE, /* the same for as long as it has this disk, and no other machine's */
	FILL_BRACE,    /* "{", whatever the values */
	FILL_VARS
};

struct fill_values {
	const char *value[FILL_VARS]; /* borrowed; NULL: "" */
};

enum fill_kind {
	FILL_YAML,
	FILL_TEXT, /* XML, scripts, what is not known: values as they are */
	FILL_NOT   /* not text: copied */
};

/* By the file's name and how it begins. */
enum fill_kind fill_kind_of(const char *file, const char *text, size_t len);
/*
 * Appends the text to out, with its placeholders replaced. values NULL: only checks. 0, or -EINVAL with the line and
 * why: there is no such placeholder. -ENOMEM shows in out.
 */
int fill_text(enum fill_kind kind, const char *text, size_t len, const struct fill_values *values, struct buf *out,
	      unsigned *line, struct reason *why);
/* A value as templates get it: other characters than letters, digits, space and ._:@/+,=- become '_'. Returns out. */
const char *fill_clean(const char *value, char *out, size_t out_size);
/* A machine's name as Windows takes it (NetBIOS): at most 15 characters, and not digits alone. */
enum { FILL_WINDOWS_NAME_TEXT = 16 };
void fill_windows_name(const char *name, char out[FILL_WINDOWS_NAME_TEXT]);

#endif
