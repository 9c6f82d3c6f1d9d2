// SPDX-License-Identifier: GPL-2.0-or-later
/* Every option of sanbootctl, in one table: parsing, the checks and the help come from it. */
#include "ctl/ctl.h"

#include "base/parse.h"
#include "base/util.h"

#include <string.h>

/*
 * Where an option means something else to another command it has one row for each meaning; all rows of a name are flags,
 * or none is.
 */
static const struct option_row rows[] = {
	{ OPTION_NAME, "name", "NAME", OPTION_TEXT, 0, 0, "image build debian|image import|machine approve",
	  "its name" },
	{ OPTION_NAME, "name", "NAME", OPTION_TEXT, 0, 0, "volume create",
	  "its name (default: made from the machine's)" },
	{ OPTION_DEFAULT, "default", NULL, OPTION_FLAG, 0, 0, "image build debian|image import",
	  "new machines get it" },
	{ OPTION_SUITE, "suite", "SUITE", OPTION_TEXT, 0, 0, "image build debian",
	  "Debian's release (default: bookworm)" },
	{ OPTION_PROFILE, "profile", "PROFILE", OPTION_TEXT, 0, 0, "image build debian",
	  "minimal, demo or test (default: minimal)" },
	{ OPTION_INITRAMFS, "initramfs", "TOOL", OPTION_TEXT, 0, 0, "image build debian",
	  "what makes it: initramfs-tools (default) or dracut" },
	{ OPTION_SIZE, "size", "MIB", OPTION_NUMBER, 1024, 64 << 20, "image build debian",
	  "size of the disk that machines see, for example 16384" },
	{ OPTION_ROOT_PASSWORD, "root-password", "P", OPTION_TEXT, 0, 0, "image build debian",
	  "of the image; or in the environment as ROOT_PASSWORD" },
	{ OPTION_MIRROR, "mirror", "URL", OPTION_TEXT, 0, 0, "image build debian",
	  "where Debian's packages come from" },
	{ OPTION_MULTIPATH, "multipath", NULL, OPTION_FLAG, 0, 0, "image build debian",
	  "its root is on a multipath map, with a path to each portal (machine set NAME multipath=yes)" },
	{ OPTION_WORK, "work", "DIR", OPTION_TEXT, 0, 0, "image build debian", "for downloads and the finished file" },
	{ OPTION_CLOUD_INIT, "cloud-init", NULL, OPTION_FLAG, 0, 0, "image build debian",
	  "with cloud-init, for machine set M templates=cloud-init" },

	{ OPTION_NAME, "name", "NAME", OPTION_TEXT, 0, 0, "image create", "its name" },
	{ OPTION_SIZE, "size", "SIZE", OPTION_TEXT, 0, 0, "image create",
	  "such as 64G; it takes no room until something is written" },
	{ OPTION_FORMAT, "format", "FORMAT", OPTION_TEXT, 0, 0, "image export|machine export",
	  "raw, qcow2, vhdx, vhd, vmdk or vdi (default: as FILE ends)" },
	{ OPTION_FORCE, "force", NULL, OPTION_FLAG, 0, 0, "image export|machine export",
	  "replace the file where there is one" },
	{ OPTION_AT, "at", "TIME", OPTION_TEXT, 0, 0, "image publish",
	  "later: \"2027-01-04 06:00\", 22:30 (today or tomorrow), +90m, +8h, +2d; none takes a plan back" },
	{ OPTION_RING, "ring", "RING", OPTION_TEXT, 0, 0, "image publish",
	  "first to the machines of this ring (machine set M ring=RING), at their next boot" },
	{ OPTION_THEN, "then", "STEPS", OPTION_TEXT, 0, 0, "image publish",
	  "and then to others: 25%,50%@22:00,100%; each step once the one before has proven itself, or at its time" },
	{ OPTION_PERSISTENT, "persistent", NULL, OPTION_FLAG, 0, 0, "image publish",
	  "also to machines that keep their disk: what is on it becomes a snapshot, and they begin anew" },

	{ OPTION_ALL, "all", NULL, OPTION_FLAG, 0, 0, "machine approve", "all that wait for approval" },
	{ OPTION_DOCK, "dock", NULL, OPTION_FLAG, 0, 0, "machine approve",
	  "of a conflict: it is another machine at the same dock or adapter, whose MAC is shared from now on" },
	{ OPTION_IMAGE, "image", "IMAGE", OPTION_TEXT, 0, 0, "machine approve", "another image than the default one" },
	{ OPTION_WAITING, "waiting", NULL, OPTION_FLAG, 0, 0, "machine list", "only machines that wait" },
	{ OPTION_SECRETS, "secrets", NULL, OPTION_FLAG, 0, 0, "machine show", "with the CHAP secrets of its boots" },

	{ OPTION_IMAGE, "image", "IMAGE", OPTION_TEXT, 0, 0, "machine add", "another image than the default one" },
	{ OPTION_FOR_GOOD, "for-good", NULL, OPTION_FLAG, 0, 0, "machine remove",
	  "not into the trash: it cannot come back" },
	{ OPTION_AS, "as", "IMAGE", OPTION_TEXT, 0, 0, "machine promote",
	  "the image whose next version it becomes, or a new one" },
	{ OPTION_SNAPSHOT, "snapshot", "LABEL", OPTION_TEXT, 0, 0, "machine promote|machine clone|machine rescue",
	  "what was on its disk then, also while it runs" },
	{ OPTION_WRITE, "write", NULL, OPTION_FLAG, 0, 0, "machine rescue", "to change what is on its disk, too" },
	{ OPTION_IMAGE, "image", "IMAGE", OPTION_TEXT, 0, 0, "machine maintenance",
	  "begin: the image or version that it works on (default: the newest published version of its own)" },
	{ OPTION_DISCARD, "discard", NULL, OPTION_FLAG, 0, 0, "machine maintenance",
	  "end: give up what it has written" },
	{ OPTION_TO, "to", "TIME", OPTION_TEXT, 0, 0, "machine restore|volume restore",
	  "the last snapshot before then: 2026-12-24, \"2026-12-24 08:00\", monday, yesterday" },
	{ OPTION_NAME, "name", "NAME", OPTION_TEXT, 0, 0, "machine trash restore", "another one than it had" },
	{ OPTION_GROUP, "group", "GROUP", OPTION_TEXT, 0, 0, "machine add|machine approve",
	  "that it comes into, or none (default: as policy says)" },
	{ OPTION_GROUP, "group", "GROUP", OPTION_TEXT, 0, 0, "machine wake", "all machines of this group" },
	{ OPTION_ADDRESS, "address", "ADDRESS", OPTION_TEXT, 0, 0, "machine add",
	  "the IPv4 address that it keeps (default: the one that it gets first)" },
	{ OPTION_NOTE, "note", "TEXT", OPTION_TEXT, 0, 0, "machine add", "for people" },
	{ OPTION_DRY_RUN, "dry-run", NULL, OPTION_FLAG, 0, 0, "machine add|machine import-csv",
	  "change nothing, only say whether it could be done" },
	{ OPTION_DRY_RUN, "dry-run", NULL, OPTION_FLAG, 0, 0, "image publish",
	  "change nothing, only say who would get what when" },

	{ OPTION_MACHINE, "machine", "M", OPTION_TEXT, 0, 0, "volume create", "the machine that gets it" },
	{ OPTION_SIZE, "size", "SIZE", OPTION_TEXT, 0, 0, "volume create",
	  "of an empty disk, such as 20G; it takes room as it is filled" },
	{ OPTION_LUN, "lun", "N", OPTION_NUMBER, 1, 255, "volume create|volume attach",
	  "default: the lowest that is free; LUN 0 is the disk that the machine boots from" },
	{ OPTION_KIND, "kind", "KIND", OPTION_TEXT, 0, 0, "volume create", "data (default), or cd" },
	{ OPTION_SHARED, "shared", "NAME", OPTION_TEXT, 0, 0, "volume create",
	  "a read-only disk for any number of machines" },
	{ OPTION_FROM, "from", "FILE|IMAGE", OPTION_TEXT, 0, 0, "volume create",
	  "what is on it: a file, which is imported first, or IMAGE[@V]" },
	{ OPTION_ALL, "all", NULL, OPTION_FLAG, 0, 0, "volume list", "also the disks that machines boot from" },
	{ OPTION_FORCE, "force", NULL, OPTION_FLAG, 0, 0, "volume detach",
	  "also while it is in use: what the machine has not written yet is lost" },

	{ OPTION_ALL, "all", NULL, OPTION_FLAG, 0, 0, "retention show", "also each thing that stays" },

	{ OPTION_FOLLOW, "follow", NULL, OPTION_FLAG, 0, 0, "events", "go on with what happens from now" },
	{ OPTION_MACHINE, "machine", "M", OPTION_TEXT, 0, 0, "events", "only of this machine" },
	{ OPTION_MAX, "max", "N", OPTION_NUMBER, 1, 1000, "events", "how many (default: 50)" },
	{ OPTION_SERVER, "server", "ADDR", OPTION_TEXT, 0, 0, "dhcp-snippet",
	  "sanbootd as the machines reach it (default: where it says that it listens)" },
	{ OPTION_DAYS, "days", "N", OPTION_NUMBER, 1, 3650, "token create", "how long it is valid (default: 365)" },
	{ OPTION_SCOPE, "scope", "SCOPE", OPTION_TEXT, 0, 0, "token create",
	  "viewer: look; operator (default): all but passwords and tokens; administrator" },

	{ OPTION_JSON, "json", NULL, OPTION_FLAG, 0, 0, NULL, "JSON, for programs" },
	{ OPTION_YES, "yes", NULL, OPTION_FLAG, 0, 0, NULL, "do not ask before something is destroyed" },
	{ OPTION_RUNTIME_DIR, "runtime-dir", "DIR", OPTION_TEXT, 0, 0, NULL,
	  "where sanbootd's control.sock is (default: /run/sanbootd)" },
	{ OPTION_URL, "url", "URL", OPTION_TEXT, 0, 0, NULL,
	  "another host's sanbootd, for example http://10.0.0.1:8080" },
	{ OPTION_TOKEN, "token", "TOKEN", OPTION_TEXT, 0, 0, NULL,
	  "with --url; better: in the environment as SANBOOTD_TOKEN" },
	{ OPTION_VERSION, "version", NULL, OPTION_FLAG, 0, 0, NULL, "which sanbootctl this is" },
	{ OPTION_HELP, "help", NULL, OPTION_FLAG, 0, 0, NULL, "this text; also after a command" },
};

const struct option_row *option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < array_len(rows); i++)
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
			return &rows[i];
	return NULL;
}

const char *option_name(enum option option)
{
	size_t i = 0;

	while (rows[i].option != option)
		i++;
	return rows[i].name;
}

/* Is a word one of "a|b|c"? */
static bool is_among(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;; list++) {
		if (!strncmp(list, word, len) && (!list[len] || list[len] == '|'))
			return true;
		list = strchr(list, '|');
		if (!list)
			return false;
	}
}

const struct option_row *option_of(const struct command *command, const struct option_row *last)
{
	for (const struct option_row *row = last ? last + 1 : rows; row < rows + array_len(rows); row++)
		if (command ? row->commands && is_among(row->commands, command->words) : !row->commands)
			return row;
	return NULL;
}

static const struct option_row *row_for(const struct command *command, enum option option)
{
	const struct option_row *row = NULL;

	while ((row = option_of(command, row)))
		if (row->option == option)
			break;
	return row;
}

bool option_check(struct ctl *ctl, enum option option)
{
	const struct option_row *row = row_for(NULL, option);
	const char *value = ctl->options[option];
	uint64_t number;

	if (!row)
		row = row_for(ctl->command, option);
	if (!row) {
		fprintf(stderr, "sanbootctl: %s does not take --%s\n  see: sanbootctl %s --help\n", ctl->command->words,
			option_name(option), ctl->command->words);
		return false;
	}
	if (row->kind != OPTION_NUMBER)
		return true;
	if (!parse_u64(value, row->min, row->max, &number)) {
		fprintf(stderr, "sanbootctl: --%s %s: expected a number from %u to %u\n  %s\n", row->name, value,
			row->min, row->max, row->help);
		return false;
	}
	ctl->numbers[option] = (unsigned)number;
	return true;
}

void option_help(FILE *out, const struct command *command)
{
	for (const struct option_row *row = option_of(command, NULL); row; row = option_of(command, row)) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", row->name, row->argument ? " " : "",
			 row->argument ? row->argument : "");
		fprintf(out, "  %-17s  ", left);
		if (row->kind == OPTION_NUMBER)
			fprintf(out, "%u to %u; ", row->min, row->max);
		fprintf(out, "%s\n", row->help);
	}
}
