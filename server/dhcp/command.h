/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How dnsmasq is run: its command line, and the question whether it likes a configuration. Private to dhcp/. */
#ifndef DHCP_COMMAND_H
#define DHCP_COMMAND_H

#include "base/reason.h"

#include <stddef.h>

struct passwd;

enum { COMMAND_ARGS = 20, COMMAND_TEXT = 1200 };

struct command_line {
	const char *argv[COMMAND_ARGS]; /* NULL ends */
	char texts[4][COMMAND_TEXT];	/* what argv points at where it is no constant */
};

/*
 * dnsmasq in the foreground, ending with the thread that starts it, as user (NULL: as ourselves) with no more rights
 * than DHCP takes.
 * -ENOENT with a sentence where a program is missing.
 */
int dnsmasq_command_make(const char *conf_path, const struct passwd *user, struct command_line *line,
			 struct reason *reason);
/* dnsmasq --test: 0, or -EINVAL with its own words. Main thread; blocks until it has ended. */
int dnsmasq_command_test(const char *conf_path, struct reason *reason);

#endif
