// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl: the entry. */
#include "ctl/ctl.h"

int main(int argc, char *argv[])
{
	return ctl_main(argc, argv);
}
