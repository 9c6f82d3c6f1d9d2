// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl as a whole: parse, run, an exit code. */
#include "ctl/ctl.h"

#include <stdlib.h>

int ctl_main(int argc, char *const argv[])
{
	struct ctl *ctl = malloc(sizeof(*ctl));
	int code;

	if (!ctl)
		return ctl_fail("", "out of memory");
	if (!ctl_parse(argc, argv, ctl)) {
		code = EXIT_USAGE;
	} else if (ctl->help) {
		ctl_help(stdout, ctl);
		code = EXIT_DONE;
	} else if (ctl->version) {
		printf("sanbootctl %s\n", SANBOOTD_VERSION);
		code = EXIT_DONE;
	} else {
		code = ctl->command->run(ctl);
	}
	free(ctl);
	if (fflush(stdout) && code == EXIT_DONE)
		code = ctl_fail("", "what it says could not be written");
	return code;
}
