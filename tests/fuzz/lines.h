/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An input as lines of text, for harnesses of parsers that take one line at a time. */
#ifndef FUZZ_LINES_H
#define FUZZ_LINES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* each may write into its line. */
static inline void each_line(const uint8_t *data, size_t size, void (*each)(void *arg, char *line), void *arg)
{
	char *text = malloc(size + 1);

	if (!text)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *line = text, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		each(arg, line);
	}
	free(text);
}

#endif
