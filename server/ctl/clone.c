// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine clone; machine rescue: how other tools look into a disk. */
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

static void print_cloned(const struct ctl *ctl, const json_t *answer)
{
	printf("%s is there, with what %s on the disk of %s\n", get_text(answer, "name"),
	       ctl->options[OPTION_SNAPSHOT] ? "was" : "is", ctl->args[0]);
	print_hint(answer);
}

int run_machine_clone(const struct ctl *ctl)
{
	json_t *macs = json_array(), *body;

	for (unsigned i = 2; i < ctl->arg_count; i++)
		json_array_append_new(macs, json_string(ctl->args[i]));
	body = json_pack("{s:s, s:o}", "name", ctl->args[1], "macs", macs);
	if (ctl->options[OPTION_SNAPSHOT])
		json_object_set_new(body, "snapshot", json_string(ctl->options[OPTION_SNAPSHOT]));
	return client_show(ctl, "POST", client_path("machines", ctl->args[0], "clone", NULL), body, print_cloned);
}

/* ---- rescue ---- */

/* For a shell. free(3) */
static char *quoted(const char *path)
{
	char *out = malloc(4 * strlen(path) + 3), *at = out;

	if (!out)
		return NULL;
	*at++ = '\'';
	for (; *path; path++) {
		if (*path == '\'') {
			memcpy(at, "'\\''", 4);
			at += 4;
		} else {
			*at++ = *path;
		}
	}
	*at++ = '\'';
	*at = '\0';
	return out;
}

/* Of a snapshot, whose file nobody writes to: always. NULL, and it is said, where it has none of that name. */
static const char *snapshot_path(const struct ctl *ctl, const json_t *machine)
{
	const char *label = ctl->options[OPTION_SNAPSHOT];
	json_t *snapshot;
	size_t i;

	json_array_foreach(json_object_get(machine, "snapshots"), i, snapshot)
		if (!json_is_true(json_object_get(snapshot, "removed")) &&
		    !strcasecmp(get_text(snapshot, "label"), label))
			return get_text(snapshot, "path");
	ctl_fail("", "%s has no snapshot %s: sanbootctl machine snapshots %s shows all", ctl->args[0], label,
		 ctl->args[0]);
	return NULL;
}

/* Of its disk, while nobody has it. NULL, and it is said. */
static const char *disk_path(const struct ctl *ctl, const json_t *machine)
{
	const json_t *disk = json_object_get(machine, "disk");
	bool runs = json_array_size(json_object_get(machine, "sessions")) > 0;

	if (get_text(disk, "error")[0]) {
		ctl_fail("", "the disk of %s cannot be read: %s", ctl->args[0], get_text(disk, "error"));
		return NULL;
	}
	if (json_is_true(json_object_get(disk, "clean")))
		return get_text(disk, "path");
	ctl_fail("or name one of its snapshots: --snapshot LABEL", "%s",
		 runs ? "it runs: shut it down first" :
			"its disk is in use, or was not closed in order: start the machine once more, and shut it down");
	return NULL;
}

/* What it takes to look into it, a line each. */
static void print_rescue(const char *path, bool of_snapshot, bool writes)
{
	char *file = quoted(path);

	puts("modprobe nbd max_part=16");
	printf("qemu-nbd --connect=/dev/nbd0 --format=qcow2 %s%s\n", writes ? "" : "--read-only ", file ? file : path);
	printf("mount %s/dev/nbd0p1 /mnt    # lsblk /dev/nbd0 shows what is on it\n", writes ? "" : "-o ro ");
	printf("umount /mnt; qemu-nbd --disconnect /dev/nbd0    # afterwards%s\n",
	       of_snapshot ? "" : ": until then the machine cannot boot from it");
	free(file);
}

int run_machine_rescue(const struct ctl *ctl)
{
	bool of_snapshot = ctl->options[OPTION_SNAPSHOT] != NULL, writes = ctl->options[OPTION_WRITE] != NULL;
	char *path = client_path("machines", ctl->args[0], NULL);
	json_t *machine = NULL;
	const char *file;
	int code = EXIT_REFUSED;

	if (of_snapshot && writes) {
		free(path);
		ctl_fail("clone it, and write to the clone: sanbootctl machine clone M NEW --snapshot LABEL",
			 "a snapshot never changes");
		return EXIT_USAGE;
	}
	if (path && client_call(ctl, "GET", path, NULL, &machine)) {
		file = of_snapshot ? snapshot_path(ctl, machine) : disk_path(ctl, machine);
		if (file && ctl->json) {
			json_t *answer =
				json_pack("{s:s, s:s, s:b}", "path", file, "format", "qcow2", "read_only", !writes);

			client_print(answer);
			json_decref(answer);
		} else if (file) {
			print_rescue(file, of_snapshot, writes);
		}
		code = file ? EXIT_DONE : EXIT_REFUSED;
	}
	json_decref(machine);
	free(path);
	return code;
}
