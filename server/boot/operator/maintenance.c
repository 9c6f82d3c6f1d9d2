// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Maintenance of an image: see boot.h and inventory/maintenance.h.
 *
 *     begin    one job: a new child of a version is the machine's disk; its own one is put aside as it is
 *     end      one job: that child's file becomes the next version, a draft, under a second name (as with promote.c); the
 *              machine has its own disk again; the child's row goes
 *
 * Both on a machine that is off, with its disk claimed. Nothing is copied, unless snapshots were taken meanwhile, or
 * too many versions that were promoted lie below: then the version is made of a copy without those, which is announced before the
 * job (manage_copy_for_version).
 */
#include "maintenance.h"

#include "base/log.h"
#include "base/util.h"
#include "inventory/maintenance.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct upkeep {
	struct manage m;       /* first: manage_write's job is in it */
	const char *mode_text; /* NULL: its own one */
	bool discard;
	struct volume copied;	      /* object "": none was needed */
	struct image_version version; /* begin: what it works on; end: what came of it; number 0: nothing */
	bool linked, too_deep;
};

static struct upkeep *upkeep_of(struct inventory_job *job)
{
	return container_of(container_of(job, struct manage, job), struct upkeep, m);
}

/* ---- begin ---- */

/* "; pc-003 is in maintenance of debian, too: ..." or "" */
static int begin_others(struct upkeep *u, struct inventory_tx *tx, char *text, size_t size)
{
	char name[NAME_MAX_TEXT] = "";
	unsigned others = 0;
	int err = maintenance_count_others(tx, u->version.image, u->m.machine.id, &others, name);

	text[0] = '\0';
	if (!err && others == 1)
		snprintf(text, size, "; %s is in maintenance of %s, too: each becomes a draft of its own", name,
			 u->version.image);
	else if (!err && others)
		snprintf(text, size, "; %s and %u more are in maintenance of %s, too: each becomes a draft of its own",
			 name, others - 1, u->version.image);
	return err;
}

/* With the settings of its own disk. */
static int begin_make(struct upkeep *u, struct inventory_tx *tx)
{
	struct manage *m = &u->m;
	const struct volume *own = &m->machine.system;
	struct volume work = { .kind = VOLUME_SYSTEM,
			       .version_id = u->version.id,
			       .size_bytes = own->size_bytes,
			       .physical_512 = own->physical_512 };
	struct policy policy;
	int err = policy_get(tx, &policy);

	memcpy(work.backend, own->backend, sizeof(work.backend));
	memcpy(work.quota, own->quota, sizeof(work.quota));
	if (!err)
		err = store_create_volume(m->boot->store, &work, &u->version, &policy, m->machine.id, m->reason);
	if (err)
		return err;
	m->made = work;
	return maintenance_begin(tx, &m->machine, &work, m->actor);
}

static int begin_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct upkeep *u = upkeep_of(job);
	struct manage *m = &u->m;
	char others[2 * NAME_MAX_TEXT + 100];
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (err)
		return err;
	if (m->machine.mode == MODE_MAINTENANCE)
		return reason_refuse(m->reason, -EEXIST,
				     "%s is in maintenance already: sanbootctl machine maintenance %s end",
				     m->machine.name, m->machine.name);
	err = m->image ? manage_find_version(m, tx, m->image, &u->version) :
			 manage_newest_version(tx, m->machine.system.version_id, &u->version);
	if (!err)
		err = begin_make(u, tx);
	if (!err)
		err = machine_boot_end_all(tx, m->machine.id);
	if (!err)
		err = begin_others(u, tx, others, sizeof(others));
	return err ? err :
		     event_add(tx, "info", "maintenance-began", m->actor, m->machine.id, m->machine.name,
			       "works on a new disk of %s@%u; its own one is put aside%s", u->version.image,
			       u->version.number, others);
}

int boot_maintenance_begin(struct boot *boot, const char *machine, const char *image, const char *actor,
			   struct reason *reason)
{
	struct upkeep u = { .m = { .boot = boot, .actor = actor, .reason = reason, .image = image } };
	int err = manage_find(&u.m, machine);

	if (!err)
		err = manage_begin_exclusive(&u.m);
	if (err)
		return err;
	err = manage_write(&u.m, begin_run);
	manage_end_exclusive(&u.m);
	if (!err)
		reason_set(reason,
			   "from its next boot on it works on a new disk of %s@%u; when it is off again: sanbootctl machine "
			   "maintenance %s end",
			   u.version.image, u.version.number, u.m.machine.name);
	return err;
}

/* ---- end ---- */

/* A mode that is not maintenance. */
static int end_parse_mode(const char *text, enum machine_mode *mode, struct reason *reason)
{
	struct machine parsed = { .mode = MODE_PERSISTENT };
	int err = field_parse(field_by_key(machine_fields, "mode"), &parsed, text, reason);

	if (!err && parsed.mode == MODE_MAINTENANCE)
		return reason_refuse(reason, -EINVAL, "mode: expected what it is to be after its maintenance");
	if (!err)
		*mode = parsed.mode;
	return err;
}

static int end_find(struct upkeep *u, struct inventory_tx *tx, enum machine_mode *mode)
{
	struct manage *m = &u->m;
	struct maintenance maintenance;
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (!err)
		err = maintenance_of(tx, m->machine.id, &maintenance);
	if (err == -ENOENT)
		return reason_refuse(m->reason, -EINVAL,
				     "%s is not in maintenance: sanbootctl machine maintenance %s begin",
				     m->machine.name, m->machine.name);
	*mode = maintenance.mode;
	if (!err && u->mode_text)
		err = end_parse_mode(u->mode_text, mode, m->reason);
	return err;
}

/* Has it, or who repaired its disk meanwhile, written anything? */
static bool end_has_work(const struct upkeep *u)
{
	const struct volume *work = &u->m.machine.system;

	return work->snapshot_id || !store_volume_is_unused(u->m.boot->store, work);
}

/* The next version of the image that it worked on. */
static int end_make_version(struct upkeep *u, struct inventory_tx *tx)
{
	struct manage *m = &u->m;
	const struct volume *work = &m->machine.system;
	struct image_version base, *version = &u->version;
	int err = version_by_id(tx, work->version_id, &base);

	*version = (struct image_version){ .state = VERSION_DRAFT };
	memcpy(version->image, base.image, sizeof(version->image));
	snprintf(version->source, sizeof(version->source), "%s, in maintenance of %s@%u", m->machine.name, base.image,
		 base.number);
	if (!err && work->state == VOLUME_FAILED)
		err = reason_refuse(
			m->reason, -EIO,
			"the disk of %s failed: lift that first (sanbootctl machine set %s state=ready), or give up "
			"what is on it (maintenance %s end --discard)",
			m->machine.name, m->machine.name, m->machine.name);
	if (!err)
		err = version_next_number(tx, version->image, &version->number);
	if (!err)
		err = store_promote_object(m->boot->store, u->copied.object[0] ? &u->copied : work, version, m->reason);
	u->too_deep = err == -EMLINK;
	u->linked = !err;
	return err ? err : version_insert(tx, version);
}

static int end_note(struct upkeep *u, struct inventory_tx *tx)
{
	const struct manage *m = &u->m;
	char text[NAME_MAX_TEXT + 80];

	if (u->version.number)
		snprintf(text, sizeof(text), "what it has written is %s@%u, a draft", u->version.image,
			 u->version.number);
	else
		snprintf(text, sizeof(text), u->discard ? "what it has written is given up" : "it has written nothing");
	return event_add(tx, "info", "maintenance-ended", m->actor, m->machine.id, m->machine.name,
			 "%s; it has its own disk again", text);
}

static int end_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct upkeep *u = upkeep_of(job);
	struct manage *m = &u->m;
	struct volume work;
	enum machine_mode mode = MODE_PERSISTENT;
	int err = end_find(u, tx, &mode);

	u->version = (struct image_version){ .number = 0 };
	u->too_deep = false;
	if (!err && !u->discard && end_has_work(u))
		err = end_make_version(u, tx);
	work = m->machine.system;
	if (!err)
		err = maintenance_end(tx, &m->machine, mode);
	if (!err)
		err = machine_boot_end_all(tx, m->machine.id);
	if (!err)
		err = end_note(u, tx);
	if (!err)
		m->given_up = work;
	return err;
}

static int end_write(struct upkeep *u)
{
	int err;

	u->linked = false;
	err = manage_write(&u->m, end_run);
	if (u->linked)
		store_promote_end(u->m.boot->store, &u->version, !err);
	return err;
}

/* Where it stands on snapshots, or on too many versions: without them. What it is called goes again; the version's name stays. */
static int end_copy(struct upkeep *u, bool whole)
{
	struct manage *m = &u->m;
	int err;

	u->copied = m->machine.system;
	err = manage_copy_for_version(m, &u->copied, whole);
	if (!err)
		err = end_write(u);
	else
		u->copied.object[0] = '\0';
	if (u->copied.object[0])
		store_delete_object(m->boot->store, &u->copied);
	store_delete_given_up(m->boot->store);
	return err;
}

int boot_maintenance_end(struct boot *boot, const char *machine, bool discard, const char *mode, const char *actor,
			 struct image_version *version, struct reason *reason)
{
	struct upkeep u = { .m = { .boot = boot, .actor = actor, .reason = reason },
			    .discard = discard,
			    .mode_text = mode };
	int err = manage_find(&u.m, machine);

	if (!err)
		err = manage_begin_exclusive(&u.m);
	if (err)
		return err;
	err = end_write(&u);
	if (err == -EMLINK && u.too_deep && u.m.machine.system.snapshot_id)
		err = end_copy(&u, false);
	if (err == -EMLINK && u.too_deep)
		err = end_copy(&u, true);
	if (err) {
		manage_end_exclusive(&u.m);
		return err;
	}
	disks_forget(&boot->disks, u.m.claimed);
	*version = u.version;
	if (version->number)
		reason_set(reason,
			   "what it has written is %s@%u, a draft that nobody gets yet; try it with: sanbootctl image set %s@%u "
			   "state=test",
			   version->image, version->number, version->image, version->number);
	else
		reason_set(reason,
			   discard ? "what it had written is gone" : "it had written nothing: there is no new version");
	return 0;
}

/* ---- machine set M mode=... ---- */

bool manage_is_maintenance(const struct machine *machine, const char *mode)
{
	return machine->mode == MODE_MAINTENANCE || !strcmp(mode, "maintenance");
}

int manage_set_maintenance(struct manage *m)
{
	struct image_version version;

	if (strcmp(m->value, "maintenance"))
		return boot_maintenance_end(m->boot, m->which, false, m->value, m->actor, &version, m->reason);
	if (m->machine.mode != MODE_MAINTENANCE)
		return boot_maintenance_begin(m->boot, m->which, NULL, m->actor, m->reason);
	reason_set(m->reason, "%s is in maintenance already", m->machine.name);
	return 0;
}
