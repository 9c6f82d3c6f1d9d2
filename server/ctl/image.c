// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl image ..., but for building one (build.c) and importing (import.c). */
#include "ctl/image.h"

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REMARK_TEXT = 192 };

/* ---- progress ---- */

void ctl_progress_show(struct progress *progress, unsigned percent, const char *text)
{
	char safe[256];
	bool news;

	if (progress->quiet)
		return;
	news = strcmp(progress->text, text) != 0;
	if (!news && percent == progress->percent)
		return;
	printable(safe, sizeof(safe), text);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%3u%%  %.100s", percent, safe);
	else if (news || percent >= progress->percent + 10)
		fprintf(stderr, "%3u%%  %s\n", percent, safe);
	else
		return;
	fflush(stderr);
	progress->percent = percent;
	progress->shown = true;
	snprintf(progress->text, sizeof(progress->text), "%s", text);
}

void ctl_progress_end(struct progress *progress)
{
	if (progress->shown && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	progress->shown = false;
}

/* ---- lists ---- */

/* What is behind its line: who gets it, what is planned, what somebody noted. */
static const char *remark(const json_t *image, const json_t *version, bool newest, char text[REMARK_TEXT])
{
	char at[TABLE_TEXT];
	const char *who = !newest					  ? "" :
			  json_is_true(json_object_get(image, "default")) ? "new machines get this one" :
									    "the newest published";
	const char *note = get_text(version, "note");
	const int64_t planned = get_number(version, "publish_at_ms");

	snprintf(text, REMARK_TEXT, "%s%s%s%s%s%.60s%s", who, planned && who[0] ? "; " : "",
		 planned ? "to be published at " : "", planned ? table_time(at, planned) : "",
		 note[0] && (planned || who[0]) ? "; " : "", note, who[0] || planned || note[0] ? "" : " ");
	return text;
}

static void print_versions(const json_t *images)
{
	struct table *table =
		table_new("IMAGE", "STATE", "SIZE", "ON DISK", "MACHINES", "VOLUMES", "DEPTH", "CREATED", " ", NULL);
	json_t *image, *version;
	size_t i, v;

	json_array_foreach(images, i, image) {
		json_array_foreach(json_object_get(image, "versions"), v, version) {
			char size[TABLE_TEXT], cost[TABLE_TEXT], created[TABLE_TEXT], text[REMARK_TEXT];
			bool newest = get_number(version, "version") == get_number(image, "published");

			table_add(table, get_text(version, "name"));
			table_add(table, get_text(version, "state"));
			table_add(table, table_bytes(size, get_number(version, "size_bytes")));
			table_add(table, table_bytes(cost, get_number(version, "allocated_bytes")));
			table_add_number(table, get_number(version, "machines"));
			table_add_number(table, get_number(version, "volumes"));
			table_add_number(table, get_number(version, "depth"));
			table_add(table, table_time(created, get_number(version, "created_ms")));
			table_add(table, remark(image, version, newest, text));
		}
	}
	table_print(table);
}

static void print_images(const struct ctl *ctl, const json_t *answer)
{
	(void)ctl;
	if (json_array_size(json_object_get(answer, "images")))
		print_versions(json_object_get(answer, "images"));
	else
		puts("no images yet; make one with: sanbootctl image build debian --name debian\n"
		     "or take one in with:  sanbootctl image import FILE --name NAME");
}

int run_image_list(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("images", NULL), NULL, print_images);
}

static void print_version(const json_t *version)
{
	char size[TABLE_TEXT], cost[TABLE_TEXT], created[TABLE_TEXT], at[TABLE_TEXT];
	json_t *warning;
	size_t i;

	print_field("version", "%s", get_text(version, "name"));
	print_field("state", "%s", get_text(version, "state"));
	if (get_number(version, "publish_at_ms"))
		print_field("", "to be published at %s (%s)", table_time(at, get_number(version, "publish_at_ms")),
			    get_text(version, "publish_by"));
	if (get_text(version, "note")[0])
		print_field("note", "%s", get_text(version, "note"));
	print_field("size", "%s, %s on disk", table_bytes(size, get_number(version, "size_bytes")),
		    table_bytes(cost, get_number(version, "allocated_bytes")));
	if (get_text(version, "parent")[0])
		print_field("stands on", "%s; %lld files lie one over the other", get_text(version, "parent"),
			    (long long)get_number(version, "depth"));
	print_field("machines", "%lld", (long long)get_number(version, "machines"));
	if (get_number(version, "volumes"))
		print_field("volumes", "%lld (sanbootctl volume list)", (long long)get_number(version, "volumes"));
	if (get_number(version, "snapshots"))
		print_field("snapshots", "%lld", (long long)get_number(version, "snapshots"));
	print_field("created", "%s", table_time(created, get_number(version, "created_ms")));
	print_field("source", "%s", get_text(version, "source"));
	print_field("file", "%s (%s)", get_text(version, "file"), get_text(version, "format"));
	if (get_number(version, "boots_learnt"))
		print_field("a boot needs", "%s of it, read ahead (learnt from %lld boots)",
			    table_bytes(size, get_number(version, "boot_bytes")),
			    (long long)get_number(version, "boots_learnt"));
	if (get_text(version, "data_sha256")[0])
		print_field("sha256", "%s (of its data only: it is mostly zeroes)", get_text(version, "data_sha256"));
	else
		print_field("sha256", "%s", get_text(version, "sha256"));
	json_array_foreach(json_object_get(version, "warnings"), i, warning)
		print_field(i ? "" : "warnings", "%s", json_string_value(warning));
}

static void print_image(const struct ctl *ctl, const json_t *image)
{
	json_t *version;
	size_t i;

	(void)ctl;
	print_field("image", "%s%s", get_text(image, "name"),
		    json_is_true(json_object_get(image, "default")) ? " (default)" : "");
	if (get_number(image, "published"))
		print_field("new machines", "%s@%lld", get_text(image, "name"),
			    (long long)get_number(image, "published"));
	if (get_number(image, "outdated"))
		print_field("outdated", "%lld of its machines have an older version (sanbootctl machine list)",
			    (long long)get_number(image, "outdated"));
	json_array_foreach(json_object_get(image, "versions"), i, version) {
		putchar('\n');
		print_version(version);
	}
}

int run_image_show(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("images", ctl->args[0], NULL), NULL, print_image);
}

static void print_versions_of(const struct ctl *ctl, const json_t *image)
{
	json_t *list = json_pack("[O]", image);

	(void)ctl;
	print_versions(list);
	json_decref(list);
}

int run_image_versions(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("images", ctl->args[0], NULL), NULL, print_versions_of);
}

/* ---- changes ---- */

static void print_default(const struct ctl *ctl, const json_t *answer)
{
	(void)answer;
	printf("new machines get %s\n", ctl->args[0]);
}

int run_image_default(const struct ctl *ctl)
{
	return client_show(ctl, "POST", client_path("images", ctl->args[0], "default", NULL), NULL, print_default);
}

int run_image_remove(const struct ctl *ctl)
{
	if (!ctl_confirm(ctl, "The golden image %s is deleted. Go on?", ctl->args[0]))
		return EXIT_REFUSED;
	return client_act(ctl, "DELETE", client_path("images", ctl->args[0], NULL), NULL, "removed");
}
