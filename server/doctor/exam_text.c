// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts of checks, and texts of images by the line: see exam.h. */
#include "doctor/exam.h"

#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void exam_detail_set(struct exam_detail *detail, unsigned which, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(detail->text[which], sizeof(detail->text[which]), format, args);
	va_end(args);
}

void exam_detail_add(struct exam_detail *detail, unsigned which, const char *text)
{
	char *to = detail->text[which];
	size_t have = strlen(to);

	snprintf(to + have, sizeof(detail->text[which]) - have, "%s%s", have ? ", " : "", text);
}

bool exam_next_line(const char **text, char *line, size_t size)
{
	size_t len = strcspn(*text, "\n");

	if (!**text)
		return false;
	snprintf(line, size, "%.*s", (int)min_u64(len, size - 1), *text);
	*text += len + ((*text)[len] == '\n');
	return true;
}
