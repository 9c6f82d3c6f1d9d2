// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a site puts beside the program: templates and entries of its own, read at the start and on SIGHUP (those of
 * who-am-i volumes whenever they are needed). See boot.h.
 */
#include "internal.h"

#include "base/log.h"
#include "boot/script/entry.h"
#include "boot/script/templates.h"
#include "boot/whoami/whoami.h"

#include <stdio.h>

static void reload_say(void *arg, const char *file)
{
	(void)arg;
	log_info("boot: %s is in force", file);
}

static void reload_problem(void *arg, const struct boot_problem *problem)
{
	struct boot *boot = arg;
	char line[24] = "";

	if (problem->line)
		snprintf(line, sizeof(line), ":%u", problem->line);
	/* The event's line in the log is enough. */
	inventory_event(boot->inventory, "error", "file-refused", "server", 0, "", "%s%s is not used: %s",
			problem->file, line, problem->why.text);
}

void boot_reload(struct boot *boot)
{
	templates_load(boot->templates, boot->ipxe_scripts[0] ? boot->ipxe_scripts : NULL);
	entries_load(boot->entries, boot->entries_folder[0] ? boot->entries_folder : NULL);
	templates_each(boot->templates, reload_say, NULL);
	boot_each_problem(boot, reload_problem, boot);
}

void boot_each_problem(struct boot *boot, void (*each)(void *arg, const struct boot_problem *problem), void *arg)
{
	templates_each_problem(boot->templates, each, arg);
	entries_each_problem(boot->entries, each, arg);
	whoami_each_problem(boot, each, arg);
}

void boot_each_template(struct boot *boot, void (*each)(void *arg, const char *file), void *arg)
{
	templates_each(boot->templates, each, arg);
}

struct each_entry {
	void (*each)(void *arg, const char *name, const char *title, bool menu);
	void *arg;
};

static void tell_entry(void *arg, const struct entry *entry)
{
	struct each_entry *each = arg;

	each->each(each->arg, entry->name, entry->title, entry->menu);
}

void boot_each_entry(struct boot *boot, void (*each)(void *arg, const char *name, const char *title, bool menu),
		     void *arg)
{
	struct each_entry tell = { .each = each, .arg = arg };

	entries_each(boot->entries, tell_entry, &tell);
}
