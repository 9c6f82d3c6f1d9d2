// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl volume ... */
#include "base/util.h"
#include "ctl/client.h"
#include "ctl/image.h"
#include "ctl/table.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HOLDERS_SHOWN = 3, IMAGE_NAME_TEXT = 64 };

/* ---- lists ---- */

/* "pc-001 LUN 1, pc-002 LUN 1 and 254 more". */
static const char *holders_text(const json_t *volume, char *out, size_t out_size)
{
	const json_t *machines = json_object_get(volume, "machines");
	size_t len = 0, i;
	json_t *machine;

	out[0] = '\0';
	json_array_foreach(machines, i, machine) {
		if (i == HOLDERS_SHOWN) {
			snprintf(out + len, out_size - len, " and %zu more", json_array_size(machines) - i);
			break;
		}
		len += (size_t)snprintf(out + len, out_size - len, "%s%.63s LUN %lld", i ? ", " : "",
					get_text(machine, "machine"), (long long)get_number(machine, "lun"));
	}
	return out;
}

static bool is_system(const json_t *volume)
{
	return !strcmp(get_text(volume, "kind"), "system");
}

static void print_volume_row(struct table *table, const json_t *volume)
{
	char number[TABLE_TEXT], size[TABLE_TEXT], used[TABLE_TEXT], holders[512];
	const bool read_only = json_is_true(json_object_get(volume, "read_only"));

	table_add(table, get_text(volume, "label"));
	snprintf(number, sizeof(number), "#%lld", (long long)get_number(volume, "id"));
	table_add(table, number);
	table_add(table, get_text(volume, "kind"));
	table_add(table, get_text(volume, "state"));
	table_add(table, table_bytes(size, get_number(volume, "virtual_bytes")));
	table_add(table, read_only ? "" : table_bytes(used, get_number(volume, "allocated_bytes")));
	table_add(table, get_text(volume, "image"));
	table_add(table, holders_text(volume, holders, sizeof(holders)));
}

static void print_volumes(const struct ctl *ctl, const json_t *answer)
{
	const json_t *volumes = json_object_get(answer, "volumes");
	const bool all = ctl->options[OPTION_ALL] != NULL;
	unsigned systems = 0, others = 0;
	struct table *table;
	json_t *volume;
	size_t i;

	json_array_foreach(volumes, i, volume) {
		systems += is_system(volume);
		others += !is_system(volume);
	}
	if (others || (all && systems)) {
		table = table_new("VOLUME", "NUMBER", "KIND", "STATE", "SIZE", "USED", "IMAGE", "MACHINES", NULL);
		json_array_foreach(volumes, i, volume)
			if (all || !is_system(volume))
				print_volume_row(table, volume);
		table_print(table);
	} else {
		puts("no volumes yet; a second disk: sanbootctl volume create --machine M --size 20G");
	}
	if (systems && !all)
		printf("\nand the disk that each of %u machine%s boots from: sanbootctl volume list --all\n", systems,
		       systems == 1 ? "" : "s");
}

int run_volume_list(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("volumes", NULL), NULL, print_volumes);
}

/* ---- one volume ---- */

static void print_volume(const struct ctl *ctl, const json_t *volume)
{
	static const char *const fields[] = { "kind", "image", "quota", "note" };
	const bool read_only = json_is_true(json_object_get(volume, "read_only"));
	char size[TABLE_TEXT], used[TABLE_TEXT], created[TABLE_TEXT];
	const char *why = get_text(volume, "state_reason"), *error = get_text(volume, "error");
	json_t *machine;
	size_t i;

	(void)ctl;
	print_field("volume", "%s, #%lld", get_text(volume, "label"), (long long)get_number(volume, "id"));
	print_field("state", "%s%s%s", get_text(volume, "state"), why[0] ? ": " : "", why);
	for (i = 0; i < array_len(fields); i++)
		if (get_text(volume, fields[i])[0] && !(read_only && !strcmp(fields[i], "quota")))
			print_field(fields[i], "%s", get_text(volume, fields[i]));
	table_bytes(size, get_number(volume, "virtual_bytes"));
	if (read_only)
		print_field("size", "%s, read-only", size);
	else
		print_field("size", "%s of %s, %s", table_bytes(used, get_number(volume, "allocated_bytes")), size,
			    json_is_true(json_object_get(volume, "clean")) ? "closed" :
									     "in use, or not closed cleanly");
	print_field("file", "%s (%s)", get_text(volume, "path"), get_text(volume, "format"));
	if (error[0])
		print_field("", "%s", error);
	if (get_number(volume, "physical_block") == 512)
		print_field("physical-block", "512: for systems that know no other");
	print_field("created", "%s", table_time(created, get_number(volume, "created_ms")));
	json_array_foreach(json_object_get(volume, "machines"), i, machine)
		print_field(i ? "" : "machines", "%s, LUN %lld", get_text(machine, "machine"),
			    (long long)get_number(machine, "lun"));
}

int run_volume_show(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("volumes", ctl->args[0], NULL), NULL, print_volume);
}

/* ---- what the commands below share ---- */

/* What does not fit together, and where to read more. An exit code. */
static int usage(const struct ctl *ctl, const char *text)
{
	char hint[128];

	snprintf(hint, sizeof(hint), "see: sanbootctl %s --help", ctl->command->words);
	ctl_fail(hint, "%s", text);
	return EXIT_USAGE;
}

static void add_lun(const struct ctl *ctl, json_t *body)
{
	if (ctl->numbers[OPTION_LUN])
		json_object_set_new(body, "lun", json_integer(ctl->numbers[OPTION_LUN]));
}

/* METHOD on volumes/V, or volumes/V/verb; says what was done, and what to do next. */
static int act(const struct ctl *ctl, const char *method, const char *verb, json_t *body, const char *done)
{
	return client_act(ctl, method, client_path("volumes", ctl->args[0], verb, NULL), body, done);
}

/* ---- creating ---- */

/* Whether --from names a file: it has a '/', which no image's name has, or there is a file of that name. */
static bool is_file(const char *from)
{
	struct stat st;

	return strchr(from, '/') || (!stat(from, &st) && !S_ISDIR(st.st_mode));
}

/*
 * An image's name from a file's: "/srv/Debian 12.iso" is "Debian-12.iso". With its ending: a CD must not become the next
 * version of the image that machines boot from.
 */
static void image_name(const char *path, char name[IMAGE_NAME_TEXT])
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t o = 0;

	for (size_t i = 0; base[i] && o + 1 < IMAGE_NAME_TEXT; i++) {
		char c = isalnum((unsigned char)base[i]) || strchr("-_.", base[i]) ? base[i] : '-';

		if (o || (c != '-' && c != '.'))
			name[o++] = c;
	}
	name[o] = '\0';
	if (!o)
		strcpy(name, "volume");
}

static const char *volume_name(const struct ctl *ctl)
{
	return ctl->options[OPTION_SHARED] ? ctl->options[OPTION_SHARED] : ctl->options[OPTION_NAME];
}

/* What cannot work is said before a large file is imported: 0 or an exit code. */
static int check_machine(const struct ctl *ctl, const char *name, json_int_t lun)
{
	char *path = client_path("machines", name, NULL);
	json_t *machine, *taken;
	int code = EXIT_DONE;
	size_t i;

	if (!client_call(ctl, "GET", path ? path : "", NULL, &machine))
		code = EXIT_REFUSED;
	json_array_foreach(json_object_get(machine, "luns"), i, taken)
		if (lun && get_number(taken, "lun") == lun)
			code = ctl_fail("", "LUN %lld of %s is taken by volume %s", (long long)lun,
					get_text(machine, "name"), get_text(taken, "volume"));
	json_decref(machine);
	free(path);
	return code;
}

static int check_name(const struct ctl *ctl, const char *name)
{
	json_t *answer, *volume;
	int code = EXIT_DONE;
	size_t i;

	if (!client_call(ctl, "GET", "/api/v1/volumes", NULL, &answer))
		return EXIT_REFUSED;
	json_array_foreach(json_object_get(answer, "volumes"), i, volume)
		if (!strcasecmp(get_text(volume, "name"), name))
			code = ctl_fail("", "there is a volume %s already", get_text(volume, "name"));
	json_decref(answer);
	return code;
}

/* The file becomes an image, which the volume is then made from. */
static int import_file(const struct ctl *ctl, json_t *body, char version[IMAGE_VERSION_TEXT])
{
	const char *from = ctl->options[OPTION_FROM], *name = volume_name(ctl), *machine = ctl->options[OPTION_MACHINE];
	char path[PATH_MAX], made[IMAGE_NAME_TEXT];
	int code = EXIT_DONE;

	if (ctl->url)
		return ctl_fail("copy the file to the server and run sanbootctl there, without --url; or name an image",
				"an import reads a file of the server's own");
	if (!ctl_find_image_file(from, path))
		return EXIT_REFUSED;
	if (machine)
		code = check_machine(ctl, machine, get_number(body, "lun"));
	if (code == EXIT_DONE && name)
		code = check_name(ctl, name);
	if (code != EXIT_DONE)
		return code;
	if (!name)
		image_name(path, made);
	code = ctl_import_image_for_volume(ctl, path, name ? name : made, version);
	if (code == EXIT_DONE)
		json_object_set_new(body, "image", json_string(version));
	return code;
}

static int create(const struct ctl *ctl, json_t *body)
{
	char imported[IMAGE_VERSION_TEXT] = "";
	const char *from = ctl->options[OPTION_FROM];
	json_t *volume, *machines;
	int code = from && is_file(from) ? import_file(ctl, body, imported) : EXIT_DONE;

	if (code != EXIT_DONE) {
		json_decref(body);
		return code;
	}
	if (from && !imported[0])
		json_object_set_new(body, "image", json_string(from));
	code = client_do(ctl, "POST", "/api/v1/volumes", body, &volume);
	if (code != EXIT_DONE) {
		if (imported[0])
			fprintf(stderr,
				"  %s was imported and stays: use it with --from %s, or sanbootctl image remove %s\n",
				imported, imported, imported);
		return code;
	}
	if (!ctl->json) {
		machines = json_object_get(volume, "machines");
		printf("volume %s is made%s%s\n", get_text(volume, "label"), imported[0] ? ", from image " : "",
		       imported);
		print_hint(volume);
		if (!json_array_size(machines))
			printf("give it to a machine with: sanbootctl volume attach %s M\n", get_text(volume, "label"));
	}
	json_decref(volume);
	return code;
}

/* What belongs together, said in the words of the command; NULL: it fits. */
static const char *misfit(const struct ctl *ctl, const char *kind)
{
	const char *const *o = ctl->options;
	const bool data = !strcmp(kind, "data");

	if (!data && strcmp(kind, "cd") && strcmp(kind, "shared"))
		return "--kind: expected data or cd; a shared one is made with --shared NAME";
	if (o[OPTION_SHARED] && o[OPTION_NAME])
		return "--shared says the name already: leave --name out";
	if (o[OPTION_SHARED] && data)
		return "a shared volume is read-only: leave --kind out, or say --kind cd";
	if (data && o[OPTION_FROM])
		return "a data volume begins empty: for what is in a file or an image, say --shared NAME, or --kind cd";
	if (data && !o[OPTION_SIZE])
		return "say how large: --size 20G";
	if (data && !o[OPTION_MACHINE])
		return "say whose it is: --machine M";
	if (!data && !o[OPTION_FROM])
		return "say what is on it: --from FILE, or --from IMAGE";
	if (!data && o[OPTION_SIZE])
		return "it has the size of what is on it: leave --size out";
	if (!o[OPTION_SHARED] && !strcmp(kind, "shared"))
		return "a shared volume has a name: --shared NAME";
	if (!o[OPTION_MACHINE] && !o[OPTION_SHARED])
		return "say which machine gets it (--machine M), or how it is called (--shared NAME)";
	if (!o[OPTION_MACHINE] && o[OPTION_LUN])
		return "a LUN is a machine's: say which machine with --machine M";
	return NULL;
}

int run_volume_create(const struct ctl *ctl)
{
	const char *kind = ctl->options[OPTION_KIND], *wrong;
	json_t *body;

	if (!kind)
		kind = ctl->options[OPTION_SHARED] ? "shared" : "data";
	wrong = misfit(ctl, kind);
	if (wrong)
		return usage(ctl, wrong);
	body = json_pack("{s:s, s:s*, s:s*, s:s*}", "kind", kind, "name", volume_name(ctl), "machine",
			 ctl->options[OPTION_MACHINE], "size", ctl->options[OPTION_SIZE]);
	add_lun(ctl, body);
	return create(ctl, body);
}

/* ---- one request each ---- */

int run_volume_attach(const struct ctl *ctl)
{
	json_t *body = json_pack("{s:s}", "machine", ctl->args[1]);

	add_lun(ctl, body);
	return act(ctl, "POST", "attach", body, "attached");
}

int run_volume_detach(const struct ctl *ctl)
{
	json_t *body = json_pack("{s:b}", "force", ctl->options[OPTION_FORCE] != NULL);

	if (ctl->arg_count == 2)
		json_object_set_new(body, "machine", json_string(ctl->args[1]));
	return act(ctl, "POST", "detach", body, "detached; what is on it stays");
}

int run_volume_resize(const struct ctl *ctl)
{
	return act(ctl, "PATCH", NULL, json_pack("{s:s}", "size", ctl->args[1]), "resized");
}

int run_volume_set(const struct ctl *ctl)
{
	json_t *body = client_assignments(ctl, 1);

	return body ? act(ctl, "PATCH", NULL, body, "done") : EXIT_USAGE;
}

int run_volume_remove(const struct ctl *ctl)
{
	if (!ctl_confirm(ctl, "Volume %s is deleted, with everything that was written to it. Go on?", ctl->args[0]))
		return EXIT_REFUSED;
	return act(ctl, "DELETE", NULL, NULL, "removed");
}
