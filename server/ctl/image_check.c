// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl image check: what would stop a clone from booting, in the order of how bad it is. */
#include "ctl/image.h"

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/table.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *severity, *title;
} titles[] = {
	{ "stops-boot", "Stops the boot" },
	{ "risk", "Some machines, or not always" },
	{ "clones-clash", "The same in all clones, and must not be" },
	{ "hint", "Good to know" },
};

static void print_parts(const json_t *report)
{
	struct table *table = table_new("PART", "SIZE", "HOLDS", "STATE", "LOOKED INTO", NULL);
	json_t *part;
	size_t i;

	json_array_foreach(json_object_get(report, "parts"), i, part) {
		char size[TABLE_TEXT];

		table_add(table, get_text(part, "name"));
		table_add(table, get_number(part, "bytes") ? table_bytes(size, get_number(part, "bytes")) : "");
		table_add(table, get_text(part, "holds"));
		table_add(table, get_text(part, "state"));
		table_add(table, json_is_true(json_object_get(part, "looked_into")) ? "yes" : "no");
	}
	table_print(table);
}

static void print_findings(const json_t *report, const char *severity, const char *title, bool is_image)
{
	json_t *finding;
	bool any = false;
	size_t i;

	json_array_foreach(json_object_get(report, "findings"), i, finding) {
		char what[1024], todo[1024];

		if (strcmp(get_text(finding, "severity"), severity))
			continue;
		if (!any)
			printf("\n%s:\n", title);
		any = true;
		printable(what, sizeof(what), get_text(finding, "what"));
		printable(todo, sizeof(todo), get_text(finding, "todo"));
		printf("  %s\n      %s%s\n", what, todo,
		       is_image && json_is_true(json_object_get(finding, "sealable")) ? " Or: sanbootctl image seal." :
											"");
	}
}

static void print_report(const struct ctl *ctl, const json_t *report)
{
	char image[512], system[128];

	printable(image, sizeof(image), get_text(report, "image"));
	printable(system, sizeof(system), get_text(report, "system"));
	printf("%s: %s%s%s, looked into in %.2f s\n", image, system[0] ? system : "no system was found",
	       get_text(report, "initiator")[0] ? ", " : "", get_text(report, "initiator"),
	       (double)get_number(report, "took_ms") / 1000);
	if (json_array_size(json_object_get(report, "parts"))) {
		putchar('\n');
		print_parts(report);
	}
	for (size_t i = 0; i < array_len(titles); i++)
		print_findings(report, titles[i].severity, titles[i].title, !strchr(ctl->args[0], '/'));
	if (!json_array_size(json_object_get(report, "findings")))
		puts("\nNothing was found that would stop a clone from booting.");
}

/* What has a '/' is a file, anything else an image: a file beside it changes nothing. */
static char *check_path(const struct ctl *ctl)
{
	char file[PATH_MAX], *escaped, *path = NULL;

	if (!strchr(ctl->args[0], '/'))
		return client_path("images", ctl->args[0], "check", NULL);
	if (ctl->url) {
		ctl_fail("run sanbootctl on the server, without --url",
			 "a file that is checked is one of the server's");
		return NULL;
	}
	if (!ctl_find_image_file(ctl->args[0], file))
		return NULL;
	escaped = curl_easy_escape(NULL, file, 0);
	if (escaped && asprintf(&path, "/api/v1/file-check?path=%s", escaped) < 0)
		path = NULL;
	curl_free(escaped);
	return path;
}

int run_image_check(const struct ctl *ctl)
{
	char *path = check_path(ctl);
	json_t *report;
	int code;

	if (!path)
		return EXIT_REFUSED;
	code = client_do(ctl, "GET", path, NULL, &report);
	free(path);
	if (code == EXIT_DONE && !ctl->json)
		print_report(ctl, report);
	if (code == EXIT_DONE && !json_is_true(json_object_get(report, "boots")))
		code = EXIT_REFUSED;
	json_decref(report);
	return code;
}
