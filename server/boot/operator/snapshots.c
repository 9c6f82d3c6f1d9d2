// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Snapshots of volumes, and copies: see boot.h. Blocking: HTTP's own threads.
 *
 *     the volume's object          before      after a snapshot      after its restore
 *                                  A           B                     C
 *                                              A = the snapshot      A = the snapshot    B = an automatic one, over A
 *
 * Nothing of a disk is copied: what the volume had becomes a layer, and the volume goes on in an empty object over one.
 * That object is made inside the write job that changes the rows: a crash in between leaves an object that nobody wrote
 * to, and the next start removes it. Only where the chain of layers would get too deep, the volume goes on in a copy,
 * which is made before the job.
 *
 * The volume has to be closed, and is claimed.
 */
#include "manage.h"
#include "volume_change.h"

#include "base/util.h"
#include "inventory/rollout.h"
#include "inventory/effective.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct snapshot_change {
	struct volume_change c;
	struct manage m; /* the machine that has it: to ask whether it runs */
	const char *label;
	struct snapshot snapshot; /* made, or restored */
	struct volume_info info;
	struct volume copied; /* object "": none was needed */
	struct volume next;   /* the volume as it goes on */
	bool too_deep, stays;
	unsigned automatic;
};

static struct snapshot_change change_of(struct boot *boot, const char *volume, const char *label, const char *actor,
					struct reason *reason)
{
	return (struct snapshot_change){
		.c = { .boot = boot, .volume_text = volume, .actor = actor, .any_kind = true, .reason = reason },
		.label = label,
	};
}

static int64_t machine_of(const struct snapshot_change *s)
{
	return s->c.attached ? s->c.machine.id : 0;
}

static int note(struct snapshot_change *s, struct inventory_tx *tx, const char *kind, const char *text)
{
	const struct volume *volume = &s->c.volume;
	char shown[NAME_MAX_TEXT];

	parse_clean_text(s->label, shown, sizeof(shown));
	return event_add(tx, "info", kind, s->c.actor, machine_of(s),
			 volume->kind == VOLUME_SYSTEM ? s->c.machine.name : volume->name, "%s%s", shown, text);
}

/* ---- a volume that is closed, and stays so ---- */

static int check_kind(struct snapshot_change *s)
{
	struct volume_change *c = &s->c;

	if (!c->volume.object[0])
		return reason_refuse(c->reason, -EINVAL,
				     "volume %s is a golden version as it is, which never changes: it needs no snapshots",
				     c->volume.name);
	if (c->volume.kind == VOLUME_SYSTEM && effective_mode(&c->machine, &c->policy) == MODE_EPHEMERAL)
		return reason_refuse(
			c->reason, -EINVAL,
			"%s begins each boot with a new disk: first sanbootctl machine set %s mode=persistent",
			c->machine.name, c->machine.name);
	return 0;
}

/* What cannot be a layer. */
static int check_state(struct snapshot_change *s)
{
	struct volume_change *c = &s->c;
	char called[CALLED_TEXT];
	int err;

	change_called(c, called);
	if (c->volume.state == VOLUME_FAILED)
		return reason_refuse(c->reason, -EIO, "%s failed: first lift that (state=ready), or reset it", called);
	err = store_volume_info(c->boot->store, &c->volume, NULL, &s->info);
	if (err)
		return reason_refuse(c->reason, err, "%s cannot be read: %s", called,
				     err == -ENOENT ? "its file is missing" : strerror(-err));
	if (!s->info.clean)
		return reason_refuse(
			c->reason, -EBUSY,
			"%s was not closed in order, as the server was stopped while it was in use: start the machine once "
			"more, shut it down, and try again",
			called);
	return 0;
}

/* Its machine does not run, it is closed, and claimed: end_exclusive. */
static int begin_exclusive(struct snapshot_change *s)
{
	struct volume_change *c = &s->c;
	char called[CALLED_TEXT];
	int err = change_read(c);

	if (!err)
		err = check_kind(s);
	s->m = (struct manage){ .boot = c->boot, .actor = c->actor, .reason = c->reason, .machine = c->machine };
	if (!err && c->attached)
		err = manage_refuse_if_running(&s->m);
	if (!err)
		err = change_claim(c);
	if (err)
		return err;
	if (machine_of(s) && machine_of(s) != s->m.machine.id)
		err = reason_refuse(c->reason, -EBUSY, "%s belongs to another machine by now: try again",
				    change_called(c, called));
	else if (c->attached)
		err = manage_close(&s->m, c->volume.id);
	else if (!disks_is_closed(&c->boot->disks, c->volume.id))
		err = reason_refuse(c->reason, -EBUSY, "%s is being closed just now: try again",
				    change_called(c, called));
	if (!err)
		err = check_state(s);
	if (err)
		disks_unclaim(&c->boot->disks, c->volume.id);
	return err;
}

static void end_exclusive(struct snapshot_change *s)
{
	disks_unclaim(&s->c.boot->disks, s->c.volume.id);
}

/* ---- how it goes on ---- */

static int64_t hint_of(const struct snapshot_change *s)
{
	return s->c.volume.kind == VOLUME_SYSTEM ? 0 : machine_of(s);
}

/* s->next in an object over the layer of a snapshot, or in the copy that was made of it. Inside the job. */
static int go_on_over(struct snapshot_change *s, struct inventory_tx *tx, const struct snapshot *snapshot)
{
	struct volume_change *c = &s->c;
	struct policy policy;
	int err;

	if (s->copied.object[0]) {
		memcpy(s->next.object, s->copied.object, sizeof(s->next.object));
		s->next.fresh = false;
		s->next.snapshot_id = 0;
		c->made = s->copied;
		return discarded_forget(tx, s->copied.backend, s->copied.object);
	}
	err = policy_get(tx, &policy);
	if (err)
		return err;
	err = store_snapshot_volume(c->boot->store, &s->next, snapshot->object, &policy, hint_of(s), c->reason);
	s->too_deep = err == -EMLINK;
	if (err)
		return err;
	s->next.snapshot_id = snapshot->id;
	c->made = s->next;
	return 0;
}

/* A copy of what layer reads as, in s->copied. Before the job: it may take long. */
static int copy_object(struct snapshot_change *s, const char *layer)
{
	struct volume_change *c = &s->c;
	int err;

	s->copied = c->volume;
	err = store_copy_volume(c->boot->store, &s->copied, layer, &c->policy, hint_of(s), c->reason);
	if (err)
		s->copied.object[0] = '\0';
	return err;
}

/* The job; and once more over a copy where the chain would get too deep. layer is known only after the first time. */
static int write_rows(struct snapshot_change *s, int (*run)(struct inventory_tx *tx, void *arg))
{
	int err = change_write(&s->c, run);

	if (!err || !s->too_deep)
		return err;
	err = copy_object(s, s->snapshot.object);
	return err ? err : change_write(&s->c, run);
}

/* The row of what the volume is until now. */
static int insert_present(struct snapshot_change *s, struct inventory_tx *tx, struct snapshot *snapshot)
{
	const struct volume *volume = &s->c.volume;

	snapshot->volume_id = volume->id;
	snapshot->parent_id = volume->snapshot_id;
	snapshot->version_id = volume->version_id;
	snapshot->size_bytes = s->info.virtual_bytes;
	memcpy(snapshot->object, volume->object, sizeof(snapshot->object));
	return snapshot_insert(tx, snapshot);
}

/* ---- taking one ---- */

static int check_label(struct snapshot_change *s)
{
	if (snapshot_label_valid(s->label))
		return 0;
	return reason_refuse(
		s->c.reason, -EINVAL,
		"label: expected letters, digits, '-', '_' and '.', at most 63, and no '.' or '-' at the beginning");
}

static int take_run(struct inventory_tx *tx, void *arg)
{
	struct snapshot_change *s = container_of((struct volume_change *)arg, struct snapshot_change, c);
	struct volume_change *c = &s->c;
	int err = volume_by_id(tx, c->volume.id, &c->volume);

	if (err)
		return err;
	s->snapshot = (struct snapshot){ .automatic = false };
	snprintf(s->snapshot.label, sizeof(s->snapshot.label), "%s", s->label);
	err = insert_present(s, tx, &s->snapshot);
	if (err == -EEXIST)
		return reason_refuse(c->reason, err, "there is a snapshot %s already", s->label);
	s->next = c->volume;
	if (!err)
		err = go_on_over(s, tx, &s->snapshot);
	if (!err)
		err = volume_update(tx, &s->next);
	return err ? err : note(s, tx, "snapshot-taken", "");
}

int boot_snapshot_take(struct boot *boot, const char *volume, const char *label, const char *actor,
		       struct reason *reason)
{
	struct snapshot_change s = change_of(boot, volume, label, actor, reason);
	int err = check_label(&s);

	if (!err)
		err = begin_exclusive(&s);
	if (err)
		return err;
	err = write_rows(&s, take_run);
	end_exclusive(&s);
	return err;
}

/* ---- going back to one ---- */

static int find_snapshot(struct snapshot_change *s, struct inventory_tx *tx)
{
	struct volume_change *c = &s->c;
	char shown[80], called[CALLED_TEXT];
	int err = snapshot_find(tx, c->volume.id, s->label, &s->snapshot);

	if (err != -ENOENT && err != -EINVAL)
		return err;
	parse_clean_text(s->label, shown, sizeof(shown));
	return reason_refuse(c->reason, -ENOENT, "%s has no snapshot %s: sanbootctl %s snapshots %s shows all",
			     change_called(c, called), shown, c->volume.kind == VOLUME_SYSTEM ? "machine" : "volume",
			     c->volume.kind == VOLUME_SYSTEM ? c->machine.name : c->volume.name);
}

/* Nobody has used what is there, and it can be had again. */
static int is_worthless(struct inventory_tx *tx, const struct volume *volume, bool *worthless)
{
	struct snapshot base = { .removed = false };
	int err = volume->snapshot_id ? snapshot_by_id(tx, volume->snapshot_id, &base) : 0;

	*worthless = volume->fresh && !base.removed;
	return err;
}

struct numbered {
	char stem[NAME_MAX_TEXT];
	uint64_t last; /* 0: none */
};

static int find_number(void *arg, const struct snapshot *snapshot)
{
	struct numbered *numbered = arg;
	size_t len = strlen(numbered->stem);
	uint64_t number = 1;

	if (strncasecmp(snapshot->label, numbered->stem, len))
		return 0;
	if (!snapshot->label[len] ||
	    (snapshot->label[len] == '-' && parse_u64(snapshot->label + len + 1, 1, UINT32_MAX, &number)))
		numbered->last = max_u64(numbered->last, number);
	return 0;
}

/* "before-LABEL", "before-LABEL-2", ...: a higher number is a later one. */
static int keep_present(struct snapshot_change *s, struct inventory_tx *tx)
{
	struct snapshot kept = { .automatic = true };
	struct numbered numbered = { .last = 0 };
	int err;

	snprintf(numbered.stem, sizeof(numbered.stem), "before-%.40s", s->snapshot.label);
	err = snapshot_each(tx, s->c.volume.id, find_number, &numbered);
	if (err)
		return err;
	if (numbered.last)
		snprintf(kept.label, sizeof(kept.label), "%.48s-%llu", numbered.stem,
			 (unsigned long long)numbered.last + 1);
	else
		memcpy(kept.label, numbered.stem, sizeof(kept.label));
	return insert_present(s, tx, &kept);
}

static int restore_run(struct inventory_tx *tx, void *arg)
{
	struct snapshot_change *s = container_of((struct volume_change *)arg, struct snapshot_change, c);
	struct volume_change *c = &s->c;
	bool worthless;
	int err = volume_by_id(tx, c->volume.id, &c->volume);

	if (!err)
		err = find_snapshot(s, tx);
	if (!err)
		err = is_worthless(tx, &c->volume, &worthless);
	if (!err && !worthless)
		err = keep_present(s, tx);
	if (err)
		return err;
	s->next = c->volume;
	s->next.version_id = s->snapshot.version_id;
	err = go_on_over(s, tx, &s->snapshot);
	if (!err)
		err = volume_update(tx, &s->next);
	if (!err)
		err = snapshot_keep_automatic(tx, c->volume.id, s->snapshot.id);
	/* What a person has gone back to, no rollout replaces at its next boot. */
	if (!err && c->volume.kind == VOLUME_SYSTEM && c->volume.version_id != s->next.version_id) {
		c->machine.system.version_id = s->next.version_id;
		err = rollout_note_chosen(tx, &c->machine);
	}
	/* What still runs from the other content must not go on. */
	if (!err && c->volume.kind == VOLUME_SYSTEM)
		err = machine_boot_end_all(tx, c->machine.id);
	if (!err)
		err = note(s, tx, "snapshot-restored",
			   worthless ? "" : "; what was there before is kept as an automatic snapshot");
	if (!err && worthless)
		c->given_up = c->volume;
	return err;
}

int boot_snapshot_restore(struct boot *boot, const char *volume, const char *label, const char *actor,
			  struct reason *reason)
{
	struct snapshot_change s = change_of(boot, volume, label, actor, reason);
	int err = begin_exclusive(&s);

	if (err)
		return err;
	err = write_rows(&s, restore_run);
	end_exclusive(&s);
	/* Also snapshots that were removed long ago, and that the volume stood on until now. */
	if (!err)
		boot_discard_given_up(boot);
	return err;
}

/* ---- removing one ---- */

static int remove_run(struct inventory_tx *tx, void *arg)
{
	struct snapshot_change *s = container_of((struct volume_change *)arg, struct snapshot_change, c);
	int err = find_snapshot(s, tx);

	if (!err)
		err = snapshot_remove(tx, s->snapshot.id, &s->stays);
	return err ? err : note(s, tx, "snapshot-removed", s->stays ? "; its file goes once nothing stands on it" : "");
}

/* No claim: nobody has its object open, unless the volume stands on it, and then it stays. */
int boot_snapshot_remove(struct boot *boot, const char *volume, const char *label, const char *actor,
			 struct reason *reason)
{
	struct snapshot_change s = change_of(boot, volume, label, actor, reason);
	char called[CALLED_TEXT];
	int err = change_read(&s.c);

	if (!err)
		err = change_write(&s.c, remove_run);
	if (err)
		return err;
	store_delete_given_up(boot->store);
	if (s.stays)
		reason_refuse(s.c.reason, 0,
			      "%s or another snapshot stands on it: what it holds goes once nothing does any more",
			      change_called(&s.c, called));
	return 0;
}

/* ---- copying a volume ---- */

static int copy_run(struct inventory_tx *tx, void *arg)
{
	struct snapshot_change *s = container_of((struct volume_change *)arg, struct snapshot_change, c);
	struct volume_change *c = &s->c;
	struct volume copy = {
		.kind = c->volume.kind,
		.size_bytes = c->volume.size_bytes,
		.physical_512 = c->volume.physical_512,
	};
	int err;

	memcpy(copy.backend, s->copied.backend, sizeof(copy.backend));
	memcpy(copy.object, s->copied.object, sizeof(copy.object));
	memcpy(copy.quota, c->volume.quota, sizeof(copy.quota));
	snprintf(copy.name, sizeof(copy.name), "%s", s->label);
	c->made = s->copied;
	err = volume_insert(tx, &copy);
	if (err == -EEXIST)
		return reason_refuse(c->reason, err, "there is a volume %s already", s->label);
	if (!err)
		err = discarded_forget(tx, copy.backend, copy.object);
	if (!err)
		err = event_add(tx, "info", "volume-created", c->actor, 0, copy.name, "a copy of %s", c->volume.name);
	s->next = copy;
	return err;
}

static int check_copy(struct inventory_tx *tx, void *arg)
{
	struct snapshot_change *s = arg;
	struct volume other;
	int err;

	if (strlen(s->label) >= NAME_MAX_TEXT || !volume_name_valid(s->label))
		return reason_refuse(
			s->c.reason, -EINVAL,
			"name: expected letters, digits, '-', '_' and '.', at most 63, and no '.' or '-' at the beginning");
	err = volume_find(tx, s->label, &other);
	if (!err)
		return reason_refuse(s->c.reason, -EEXIST, "there is a volume %s already", other.name);
	return err == -ENOENT ? 0 : err;
}

int boot_volume_copy(struct boot *boot, const char *volume, const char *name, const char *actor, int64_t *volume_id,
		     struct reason *reason)
{
	struct snapshot_change s = change_of(boot, volume, name, actor, reason);
	int err = 0;

	s.c.any_kind = false;
	reason->text[0] = '\0';
	err = inventory_read_call(boot->inventory, check_copy, &s);
	if (err && !reason->text[0])
		reason_refuse(s.c.reason, err, "the inventory cannot be read: %s", strerror(-err));
	if (!err)
		err = begin_exclusive(&s);
	if (err)
		return err;
	err = copy_object(&s, s.c.volume.object);
	if (!err)
		err = change_write(&s.c, copy_run);
	end_exclusive(&s);
	if (!err)
		*volume_id = s.next.id;
	return err;
}
