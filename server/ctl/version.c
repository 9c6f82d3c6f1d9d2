// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl image create, publish, set, note: what is done with a version. */
#include "ctl/ctl.h"

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/rollout.h"
#include "ctl/table.h"
#include "ctl/when.h"

#include <string.h>

static void print_published(const struct ctl *ctl, const json_t *answer)
{
	long long others = get_number(answer, "machines_on_other_versions");
	const char *newest = get_text(answer, "new_machines_get");
	char at[TABLE_TEXT];

	(void)ctl;
	if (get_text(answer, "planned")[0]) {
		printf("%s will be published at %s\n", get_text(answer, "planned"),
		       table_time(at, get_number(answer, "at_ms")));
		printf("take it back with: sanbootctl image publish %s --at none\n", get_text(answer, "planned"));
		return;
	}
	if (get_text(answer, "not_planned")[0]) {
		printf("%s will not be published by itself; new machines get %s\n", get_text(answer, "not_planned"),
		       newest[0] ? newest : "nothing of this image");
		return;
	}
	printf("%s is published; new machines get %s\n", get_text(answer, "published"), newest);
	if (json_is_true(json_object_get(answer, "ends_rollout")))
		printf("its rollout is done: who has not got it yet gets it at the next boot (sanbootctl machine list)\n");
	else if (others)
		printf("%lld machine%s on other versions until reset (sanbootctl machine reset M)\n", others,
		       others == 1 ? " stays" : "s stay");
}

static int publish_in_rings(const struct ctl *ctl, int64_t at_ms)
{
	json_t *body;

	if (ctl->options[OPTION_AT] && !at_ms) {
		ctl_fail("take a rollout back with: sanbootctl image rollout undo NAME",
			 "--at none does not go with --ring or --then");
		return EXIT_USAGE;
	}
	body = ctl_rollout_body(ctl, at_ms);
	return body ? client_show(ctl, "POST", client_path("images", ctl->args[0], "publish", NULL), body,
				  ctl_print_rollout) :
		      EXIT_USAGE;
}

int run_image_publish(const struct ctl *ctl)
{
	const char *at = ctl->options[OPTION_AT];
	bool dry_run = ctl->options[OPTION_DRY_RUN] != NULL;
	json_t *body = NULL;
	int64_t at_ms = 0;

	if (at && strcmp(at, "none") && !when_parse(at, time_unix_ms(), &at_ms)) {
		ctl_fail("for example: --at \"2027-01-04 06:00\", --at 22:30, --at +8h, or --at none",
			 "--at %s: this is no time", at);
		return EXIT_USAGE;
	}
	if (ctl->options[OPTION_RING] || ctl->options[OPTION_THEN])
		return publish_in_rings(ctl, at_ms);
	if (ctl->options[OPTION_PERSISTENT]) {
		ctl_fail("for example: --then 100% --persistent: all get it at their next boot",
			 "--persistent is for a publication in rings: --ring or --then");
		return EXIT_USAGE;
	}
	if (at || dry_run)
		body = json_object();
	if (at)
		json_object_set_new(body, "at_ms", json_integer(at_ms));
	if (dry_run && (!at || at_ms)) {
		json_object_set_new(body, "dry_run", json_true());
		return client_show(ctl, "POST", client_path("images", ctl->args[0], "publish", NULL), body,
				   ctl_print_try);
	}
	return client_show(ctl, "POST", client_path("images", ctl->args[0], "publish", NULL), body, print_published);
}

static void print_changed(const struct ctl *ctl, const json_t *image)
{
	const json_t *version = json_array_get(json_object_get(image, "versions"), 0);

	(void)ctl;
	printf("%s is %s%s%s\n", get_text(version, "name"), get_text(version, "state"),
	       get_text(version, "note")[0] ? ": " : "", get_text(version, "note"));
}

int run_image_set(const struct ctl *ctl)
{
	json_t *body = client_assignments(ctl, 1);

	if (!body)
		return EXIT_USAGE;
	return client_show(ctl, "PATCH", client_path("images", ctl->args[0], NULL), body, print_changed);
}

int run_image_note(const struct ctl *ctl)
{
	return client_show(ctl, "PATCH", client_path("images", ctl->args[0], NULL),
			   json_pack("{s:s}", "note", ctl->args[1]), print_changed);
}

static void print_created(const struct ctl *ctl, const json_t *answer)
{
	(void)ctl;
	printf("%s is made; new machines do not get it by themselves\n", get_text(answer, "name"));
	printf("install into it: sanbootctl machine set M image=%s\n", get_text(answer, "name"));
}

int run_image_create(const struct ctl *ctl)
{
	if (!ctl->options[OPTION_NAME] || !ctl->options[OPTION_SIZE]) {
		ctl_fail("for example: sanbootctl image create --name windows --size 64G",
			 "say how to call it and how large it is: --name NAME --size SIZE");
		return EXIT_USAGE;
	}
	return client_show(ctl, "POST", client_path("images", "empty", NULL),
			   json_pack("{s:s, s:s}", "name", ctl->options[OPTION_NAME], "size",
				     ctl->options[OPTION_SIZE]),
			   print_created);
}
