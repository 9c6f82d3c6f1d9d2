// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/reason.h"

#include <stdio.h>
#include <string.h>

void reason_set(struct reason *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
}

void reason_append_args(struct reason *reason, const char *format, va_list args)
{
	size_t used = strlen(reason->text);

	vsnprintf(reason->text + used, sizeof(reason->text) - used, format, args);
}

void reason_append(struct reason *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	reason_append_args(reason, format, args);
	va_end(args);
}

int reason_refuse(struct reason *reason, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	return err;
}

int reason_default(struct reason *reason, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (err && !reason->text[0])
		vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	return err;
}
