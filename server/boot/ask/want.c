// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a machine is to boot: see want.h.
 *
 * A menu never destroys: it offers another image only where the machine's disk is new at each boot anyway, or was
 * never used. The choice belongs to the pending boot; the disk is made when its login begins that boot, not when
 * somebody asks.
 */
#include "want.h"

#include "inventory/effective.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool want_image_is_free(const struct machine *machine, const struct policy *policy)
{
	/* In maintenance it was chosen, and becomes a version. */
	return machine->mode != MODE_MAINTENANCE && (effective_mode(machine, policy) == MODE_EPHEMERAL ||
						     (machine->system.fresh && !machine->system.snapshot_id));
}

static void want_entry(struct entries *entries, const char *text, struct want *want)
{
	snprintf(want->text, sizeof(want->text), "%s", text);
	if (entry_url_valid(text) && strlen(text) < sizeof(want->entry.url)) {
		want->entry = (struct entry){ .kind = ENTRY_CHAIN };
		snprintf(want->entry.url, sizeof(want->entry.url), "%s", text);
		snprintf(want->entry.title, sizeof(want->entry.title), "%.*s", ENTRY_TITLE_TEXT - 1, text);
		want->found = true;
	} else {
		want->found = entries_find(entries, text, &want->entry);
	}
	want->kind = want->found && want->entry.disk ? WANT_ENTRY_DISK : WANT_ENTRY;
}

static void want_text(struct entries *entries, const char *text, struct want *want)
{
	if (!strcmp(text, "disk") || !strcmp(text, "cd"))
		want->kind = WANT_DISK;
	else if (!strcmp(text, "local"))
		want->kind = WANT_LOCAL;
	else if (!strcmp(text, "menu"))
		want->kind = WANT_MENU;
	else
		want_entry(entries, text, want);
}

static int find_cd(void *arg, unsigned lun, const struct volume *volume)
{
	unsigned *cd_lun = arg;

	if (volume->kind == VOLUME_CD)
		*cd_lun = lun;
	return *cd_lun != 0;
}

/* Its first CD. Where it has none, its screen says so, as for an entry that is missing. */
static int want_cd(struct inventory_tx *tx, const struct machine *machine, struct want *want)
{
	int err = attachment_each(tx, machine->id, find_cd, &want->cd_lun);

	if (err < 0 || want->cd_lun)
		return err < 0 ? err : 0;
	want->kind = WANT_ENTRY;
	snprintf(want->text, sizeof(want->text), "cd");
	return 0;
}

/* What the script of a menu says was chosen. False: nothing that it offered, so it is shown again. */
static int want_choice(struct inventory_tx *tx, struct entries *entries, const char *choose,
		       const struct machine *machine, const struct policy *policy, struct want *want, bool *offered)
{
	struct image_version version;
	int err;

	*offered = true;
	if (!strcmp(choose, "disk") || !strcmp(choose, "local")) {
		want_text(entries, choose, want);
		return 0;
	}
	if (!strncmp(choose, "entry:", 6)) {
		want_entry(entries, choose + 6, want);
		*offered = want->found && want->entry.name[0] && want->entry.menu;
		return 0;
	}
	*offered = false;
	if (strncmp(choose, "image:", 6) || !want_image_is_free(machine, policy))
		return 0;
	err = version_find(tx, choose + 6, 0, &version);
	if (err)
		return err == -ENOENT ? 0 : err;
	*offered = true;
	want->kind = WANT_DISK;
	want->version_id = version.id;
	return 0;
}

/* ---- what a menu offers ---- */

static int add_image(void *arg, const struct image_version *version)
{
	struct want *want = arg;

	for (unsigned i = 0; i < want->image_count; i++)
		if (!strcmp(want->images[i].name, version->image))
			return 0;
	if (want->image_count < WANT_IMAGES_MAX && version->state == VERSION_PUBLISHED)
		memcpy(want->images[want->image_count++].name, version->image, sizeof(version->image));
	return 0;
}

/* All but the one that its disk has been made from. */
static int want_images(struct inventory_tx *tx, const struct machine *machine, const struct policy *policy,
		       struct want *want)
{
	struct image_version version;
	unsigned kept = 0;
	int err;

	want->images_free = want_image_is_free(machine, policy);
	if (!want->images_free)
		return 0;
	err = version_each(tx, add_image, want);
	for (unsigned i = 0; i < want->image_count && !err; i++) {
		err = version_find(tx, want->images[i].name, 0, &version);
		if (err || version.id == machine->system.version_id)
			continue;
		memmove(want->images[kept].name, version.image, sizeof(version.image));
		want->images[kept++].number = version.number;
	}
	want->image_count = kept;
	return err;
}

int want_lookup(struct inventory_tx *tx, struct entries *entries, const struct asker *asker,
		const struct machine *machine, const struct policy *policy, struct want *want)
{
	const char *text = machine->boot_once;
	bool offered;
	int err;

	*want = (struct want){ .once = text[0] != '\0' };
	if (!text[0])
		text = effective_of(machine, NULL, EFFECTIVE_BOOT).value;
	want_text(entries, text, want);
	if (!strcmp(text, "cd"))
		return want_cd(tx, machine, want);
	if (want->kind != WANT_MENU)
		return 0;
	if (asker->choose[0]) {
		struct want choice = { .once = want->once, .chosen = true };

		err = want_choice(tx, entries, asker->choose, machine, policy, &choice, &offered);
		if (err)
			return err;
		if (offered) {
			*want = choice;
			return 0;
		}
	}
	return want_images(tx, machine, policy, want);
}

bool want_valid(struct entries *entries, const char *text, struct reason *reason)
{
	struct want want = { 0 };
	char names[256];

	if (strlen(text) < BOOT_TEXT)
		want_text(entries, text, &want);
	if (text[0] && strlen(text) < BOOT_TEXT &&
	    ((want.kind != WANT_ENTRY && want.kind != WANT_ENTRY_DISK) || want.found))
		return true;
	entries_names(entries, names, sizeof(names));
	return reason_refuse(reason, false, "expected disk, cd, local, menu, a URL, or an entry (there are: %s)",
			     names);
}

int want_use_once(struct inventory_tx *tx, struct machine *machine)
{
	char used[BOOT_TEXT];
	int err;

	memcpy(used, machine->boot_once, sizeof(used));
	machine->boot_once[0] = '\0';
	err = machine_update(tx, machine);
	return err ? err :
		     event_add(tx, "info", "boot-once", "machine", machine->id, machine->name,
			       "it has taken boot-once=%s: its next boot is as always", used);
}
