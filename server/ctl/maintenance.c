// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine maintenance: a machine works on the next version of an image. */
#include "ctl/client.h"
#include "ctl/table.h"

#include <string.h>

static int begin(const struct ctl *ctl)
{
	json_t *body = json_object();

	if (ctl->options[OPTION_IMAGE])
		json_object_set_new(body, "image", json_string(ctl->options[OPTION_IMAGE]));
	return client_act(ctl, "POST", client_path("machines", ctl->args[0], "maintenance", NULL), body,
			  "in maintenance");
}

static void print_ended(const struct ctl *ctl, const json_t *answer)
{
	printf("%s has its own disk again\n", ctl->args[0]);
	print_hint(answer);
}

static int end(const struct ctl *ctl)
{
	bool discard = ctl->options[OPTION_DISCARD] != NULL;

	if (discard && !ctl_confirm(ctl, "What %s has written in its maintenance is lost. Go on?", ctl->args[0]))
		return EXIT_REFUSED;
	return client_show(ctl, "DELETE", client_path("machines", ctl->args[0], "maintenance", NULL),
			   json_pack("{s:b}", "discard", discard), print_ended);
}

int run_machine_maintenance(const struct ctl *ctl)
{
	const char *verb = ctl->args[1];
	bool begins = !strcmp(verb, "begin");

	if (begins && ctl->options[OPTION_DISCARD]) {
		ctl_fail("for example: sanbootctl machine maintenance pc-001 end --discard", "--discard goes with end");
		return EXIT_USAGE;
	}
	if (!strcmp(verb, "end") && ctl->options[OPTION_IMAGE]) {
		ctl_fail("for example: sanbootctl machine maintenance pc-001 begin --image lab",
			 "--image goes with begin");
		return EXIT_USAGE;
	}
	if (begins)
		return begin(ctl);
	if (!strcmp(verb, "end"))
		return end(ctl);
	ctl_fail("for example: sanbootctl machine maintenance pc-001 begin", "%s: say begin or end", verb);
	return EXIT_USAGE;
}
