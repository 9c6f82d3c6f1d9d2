// SPDX-License-Identifier: GPL-2.0-or-later
/* What every command may say: why it failed, and the question before something is destroyed. */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <unistd.h>

int ctl_fail(const char *hint, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("sanbootctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (hint[0])
		fprintf(stderr, "  %s\n", hint);
	return EXIT_REFUSED;
}

bool ctl_confirm(const struct ctl *ctl, const char *format, ...)
{
	char answer[16] = "";
	va_list args;

	if (ctl->yes)
		return true;
	fflush(stdout);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		fputs("\n", stderr);
		ctl_fail("add --yes", "refused: this cannot be undone, and there is no terminal to ask on");
		return false;
	}
	fputs(" [y/N] ", stderr);
	if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
		fputs("nothing was done\n", stderr);
		return false;
	}
	return true;
}
