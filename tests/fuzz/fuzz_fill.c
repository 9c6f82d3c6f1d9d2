// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: a template of a who-am-i volume, by the file names that say how it is read. What the check lets through is
 * made with any values; and a value, whatever it is made of, changes nothing but itself: the same bytes stand around it.
 */
#include "boot/whoami/fill.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False: refused, with a line and a reason. */
static bool make(const char *file, const char *text, size_t len, const struct fill_values *values, struct buf *out)
{
	struct reason why = { "" };
	unsigned line = 0, lines = 1;
	int err;

	buf_init(out, 64 << 20);
	err = fill_text(fill_kind_of(file, text, len), text, len, values, out, &line, &why);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	if (err && (!why.text[0] || !line || line > lines))
		abort();
	return !err;
}

static void clean_all(char texts[FILL_VARS][16], const char *value, struct fill_values *values)
{
	for (int i = 0; i < FILL_VARS; i++)
		values->value[i] = fill_clean(value, texts[i], sizeof(texts[i]));
}

static void try_file(const char *file, const char *text, size_t len)
{
	char plain_texts[FILL_VARS][16], mean_texts[FILL_VARS][16];
	struct fill_values plain, mean;
	struct buf checked, one, two;

	clean_all(plain_texts, "abcdefgh", &plain);
	clean_all(mean_texts, "\"\n}: #0'", &mean);
	if (make(file, text, len, NULL, &checked)) {
		if (!make(file, text, len, &plain, &one) || !make(file, text, len, &mean, &two))
			abort();
		if (one.len != two.len || one.len < checked.len)
			abort();
		for (size_t i = 0; i < one.len; i++)
			if (one.data[i] != two.data[i] && !strchr("abcdefgh", one.data[i]))
				abort();
		buf_fini(&one);
		buf_fini(&two);
	}
	buf_fini(&checked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = { "meta-data", "user-data", "x.json", "Unattend.xml" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		try_file(files[i], (const char *)data, size);
	return 0;
}
