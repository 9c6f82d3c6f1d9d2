// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What people do with machines (API, sanbootctl): release, reset, swap, remove; see boot.h and manage.h.
 *
 * What touches a disk is exclusive: the machine does not run (asked, and asked again after the claim), its child is
 * closed, and the claim keeps logins away until it is done. Then one write job changes the rows and makes the new file;
 * the old file goes after the commit.
 */
#include "manage.h"

#include "base/log.h"
#include "base/util.h"
#include "boot/ask/answer.h"
#include "boot/ask/enrol.h"
#include "boot/progress/progress.h"
#include "inventory/effective.h"
#include "inventory/trash.h"
#include "running.h"
#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int manage_write(struct manage *m, int (*run)(struct inventory_tx *tx, struct inventory_job *job))
{
	int err;

	m->reason->text[0] = '\0';
	m->job = (struct inventory_job){ .run = run };
	err = inventory_write_wait(m->boot->inventory, &m->job);
	if (err && m->made.object[0])
		store_delete_object(m->boot->store, &m->made);
	if (!err && m->given_up.object[0])
		boot_discard_given_up(m->boot);
	if (err == -ENOENT)
		reason_default(m->reason, err, "the machine has been removed meanwhile");
	return reason_default(m->reason, err, "the inventory could not be changed: %s", strerror(-err));
}

static int manage_find_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);

	return machine_find(tx, m->which, &m->machine);
}

int manage_find(struct manage *m, const char *machine)
{
	char shown[80];
	int err;

	m->which = machine;
	m->job = (struct inventory_job){ .run = manage_find_run };
	err = inventory_read_wait(m->boot->inventory, &m->job);
	if (err == -ENOTUNIQ)
		return reason_refuse(m->reason, -EINVAL, "several machines share the MAC address %s: name the machine",
				     machine);
	if (err == -ENOENT || err == -EINVAL) {
		parse_clean_text(machine, shown, sizeof(shown));
		return reason_refuse(m->reason, -ENOENT, "there is no machine %s: sanbootctl machine list shows all",
				     shown);
	}
	return err ? reason_refuse(m->reason, err, "the inventory cannot be read: %s", strerror(-err)) : 0;
}

static int manage_refuse_running(struct manage *m, const struct boot_session *session)
{
	char where[160], since[32];

	answer_session(session, where, sizeof(where), since, sizeof(since));
	return reason_refuse(
		m->reason, -EBUSY,
		"%s runs: %s, since %s; shut it down or, if it is gone, release it: sanbootctl machine release %s",
		m->machine.name, where, since, m->machine.name);
}

/* After the claim: a login that had begun before it may have become a session meanwhile. */
static int manage_check_sessions(struct manage *m)
{
	struct boot_sessions sessions;
	int err = boot_list_sessions(m->boot, m->machine.id, &sessions);

	if (err)
		return reason_refuse(m->reason, err, "it cannot be seen whether %s runs: %s", m->machine.name,
				     strerror(-err));
	if (sessions.count)
		err = manage_refuse_running(m, &sessions.list[0]);
	free(sessions.list);
	return err;
}

int manage_refuse_if_running(struct manage *m)
{
	struct presence_table *table = &m->boot->presence;
	struct boot_session session;
	unsigned left_ms;
	bool alive;

	running_probe(m->boot, m->machine.id, &alive, &session);
	if (alive)
		return manage_refuse_running(m, &session);
	left_ms = presence_resume_left_ms(table, m->machine.id);
	if (left_ms)
		return reason_refuse(m->reason, -EBUSY,
				     "%s ran when the server was stopped, and may come back: wait %u s or, if it is "
				     "gone, release it: sanbootctl machine release %s",
				     m->machine.name, (left_ms + 999) / 1000, m->machine.name);
	return 0;
}

int manage_close(struct manage *m, int64_t volume_id)
{
	int err = manage_check_sessions(m);

	if (err)
		return err;
	/* A disk stays open for a while after its last session. */
	running_release(m->boot, m->machine.id, "its disk is needed by a person");
	if (disks_wait_closed(&m->boot->disks, volume_id, BOOT_CLOSE_MS))
		return reason_refuse(m->reason, -EBUSY, "the disk of %s does not close: try again, and see the log",
				     m->machine.name);
	return 0;
}

static int manage_again_run(struct inventory_tx *tx, void *arg)
{
	struct manage *m = arg;

	return machine_by_id(tx, m->machine.id, &m->machine);
}

/* Maintenance that began or ended before the claim has given it another disk. */
static int manage_read_again(struct manage *m)
{
	int err = inventory_read_call(m->boot->inventory, manage_again_run, m);

	if (err == -ENOENT)
		return reason_refuse(m->reason, err, "the machine has been removed meanwhile");
	if (err)
		return reason_refuse(m->reason, err, "the inventory cannot be read: %s", strerror(-err));
	return m->machine.system.id == m->claimed ?
		       0 :
		       reason_refuse(m->reason, -EBUSY, "somebody else has changed the disk of %s just now: try again",
				     m->machine.name);
}

int manage_begin_exclusive(struct manage *m)
{
	int err = manage_refuse_if_running(m);

	if (err)
		return err;
	m->claimed = m->machine.system.id;
	if (disks_claim(&m->boot->disks, m->claimed))
		return reason_refuse(m->reason, -EBUSY, "somebody else is changing %s just now: try again",
				     m->machine.name);
	err = manage_read_again(m);
	if (!err)
		err = manage_close(m, m->claimed);
	if (err)
		disks_unclaim(&m->boot->disks, m->claimed);
	return err;
}

void manage_end_exclusive(struct manage *m)
{
	disks_unclaim(&m->boot->disks, m->claimed);
}

/* A write job on a machine that does not run, with nobody logging in meanwhile. */
static int manage_write_exclusive(struct manage *m, const char *machine,
				  int (*run)(struct inventory_tx *tx, struct inventory_job *job))
{
	int err = manage_find(m, machine);

	if (!err)
		err = manage_begin_exclusive(m);
	if (err)
		return err;
	err = manage_write(m, run);
	manage_end_exclusive(m);
	return err;
}

int manage_find_version(struct manage *m, struct inventory_tx *tx, const char *image, struct image_version *version)
{
	char name[NAME_MAX_TEXT];
	unsigned number;
	int err;

	if (!version_name_parse(image, name, &number))
		return reason_refuse(m->reason, -EINVAL, "image: expected NAME or NAME@V");
	err = version_find(tx, name, number, version);
	if (err == -ENOENT)
		return reason_refuse(m->reason, err, "there is no %s%s: sanbootctl image list shows all", image,
				     number ? "" : ", or nothing of it is published");
	return err ? err : version_check_given(version, m->reason);
}

int manage_find_group(struct manage *m, struct inventory_tx *tx, const char *name, const struct policy *policy,
		      struct machine_group *group)
{
	char shown[80];
	int err;

	*group = (struct machine_group){ .id = 0 };
	if (!name)
		return enrol_group(tx, policy, group);
	err = strcmp(name, "none") ? group_by_name(tx, name, group) : 0;
	parse_clean_text(name, shown, sizeof(shown));
	return err == -ENOENT ?
		       reason_refuse(m->reason, -EINVAL, "there is no group %s; make it with: sanbootctl group add %s",
				     shown, shown) :
		       err;
}

int manage_version_for_new(struct manage *m, struct inventory_tx *tx, const char *image,
			   const struct machine_group *group, struct image_version *version)
{
	int err = image ? manage_find_version(m, tx, image, version) : version_of_group(tx, group, version);

	if (err == -ENOENT && !image && group->image[0])
		return reason_refuse(m->reason, err,
				     "nothing of %s is published, which is the image of group %s: sanbootctl image "
				     "publish %s@V, or name another image",
				     group->image, group->name, group->image);
	if (err == -ENOENT && !image)
		return reason_refuse(m->reason, err,
				     "there is no image yet: sanbootctl image import FILE --name NAME --default");
	return err;
}

int manage_renew_system(struct manage *m, struct inventory_tx *tx, const struct image_version *version)
{
	struct machine *machine = &m->machine;
	struct policy policy;
	int err = policy_get(tx, &policy);

	if (!err)
		err = boot_renew_system(m->boot, machine, version, &policy, &m->made, &m->given_up, m->reason);
	if (err)
		return err;
	machine->system.state = VOLUME_READY;
	machine->system.state_reason[0] = '\0';
	return 0;
}

/* ---- a copy that becomes a version ---- */

struct version_copy {
	struct policy policy;
	int64_t root_id; /* in: the version; out: the first one that it stands on */
};

static int version_copy_run(struct inventory_tx *tx, void *arg)
{
	struct version_copy *copy = arg;
	struct image_version version = { .parent_id = copy->root_id };
	int err = policy_get(tx, &copy->policy);

	while (!err && version.parent_id) {
		copy->root_id = version.parent_id;
		err = version_by_id(tx, version.parent_id, &version);
	}
	return err;
}

int manage_copy_for_version(struct manage *m, struct volume *volume, bool whole)
{
	struct version_copy copy = { .root_id = volume->version_id };
	char from[NAME_MAX_TEXT];
	int err = inventory_read_call(m->boot->inventory, version_copy_run, &copy);

	if (err)
		return reason_refuse(m->reason, err, "the inventory cannot be read: %s", strerror(-err));
	memcpy(from, volume->object, sizeof(from));
	if (!whole)
		return store_copy_volume(m->boot->store, volume, from, &copy.policy, 0, m->reason);
	volume->version_id = copy.root_id;
	return store_copy_whole(m->boot->store, volume, from, &copy.policy, 0, m->reason);
}

static bool is_in(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = names; (at = strstr(at, name)); at += len)
		if ((at == names || at[-1] == ' ') && (!at[len] || at[len] == ','))
			return len > 0;
	return false;
}

int manage_take_boot_set(struct manage *m, const char *none, char set[BOOT_SET_TEXT])
{
	const char *sets = m->boot->boot_file_sets;

	if (strcmp(m->value, none) && strcmp(m->value, "default") && !is_in(sets, m->value))
		return reason_refuse(
			m->reason, -EINVAL,
			"boot-file-set: expected %s%s or one of the sets in the server's configuration (there "
			"are: %s; boot-file-set = NAME:DIR makes one)",
			none, strcmp(none, "default") ? ", default" : "", sets[0] ? sets : "none");
	snprintf(set, BOOT_SET_TEXT, "%s", strcmp(m->value, none) ? m->value : "");
	return 0;
}

/* ---- release ---- */

static int release_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	int err = machine_boot_end_all(tx, m->machine.id);

	return err ? err :
		     event_add(tx, "info", "released", m->actor, m->machine.id, m->machine.name,
			       "its sessions are ended");
}

/* The secrets go first: what is still alive must not come back with them. */
int boot_release(struct boot *boot, const char *machine, const char *actor, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason };
	int err = manage_find(&m, machine);

	if (!err)
		err = manage_write(&m, release_run);
	if (!err) {
		presence_set_resume(&boot->presence, m.machine.id, 0);
		running_release(boot, m.machine.id, "released by a person");
		progress_released(boot, m.machine.id);
	}
	return err;
}

/* ---- reset ---- */

int manage_newest_version(struct inventory_tx *tx, int64_t version_id, struct image_version *version)
{
	int err = version_by_id(tx, version_id, version);

	if (err)
		return err;
	err = version_find(tx, version->image, 0, version);
	return err == -ENOENT ? 0 : err;
}

/* The newest published one of its group's image, or of the same image; the same again where none is published. */
static int reset_version(struct manage *m, struct inventory_tx *tx, struct image_version *version)
{
	if (effective_of(&m->machine, NULL, EFFECTIVE_IMAGE).value[0])
		return manage_version_for_new(m, tx, NULL, &m->machine.group, version);
	return manage_newest_version(tx, m->machine.system.version_id, version);
}

static int reset_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct image_version version;
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (!err)
		err = reset_version(m, tx, &version);
	if (!err)
		err = manage_renew_system(m, tx, &version);
	if (!err)
		err = machine_update(tx, &m->machine);
	if (!err)
		err = machine_boot_end_all(tx, m->machine.id);
	if (!err)
		err = event_add(tx, "info", "reset", m->actor, m->machine.id, m->machine.name, "a new disk from %s@%u",
				version.image, version.number);
	return err;
}

int boot_reset(struct boot *boot, const char *machine, const char *actor, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason };

	return manage_write_exclusive(&m, machine, reset_run);
}

/* ---- swap ---- */

struct swap_macs {
	char list[16][PARSE_MAC_TEXT];
	unsigned count;
};

static int swap_collect_mac(void *arg, const char *mac)
{
	struct swap_macs *macs = arg;

	if (macs->count < array_len(macs->list))
		snprintf(macs->list[macs->count++], PARSE_MAC_TEXT, "%s", mac);
	return 0;
}

/* All MACs but mac go, 16 at a time: the list must not change while it is walked. */
static int swap_drop_other_macs(struct inventory_tx *tx, int64_t id, const char *mac)
{
	bool more = true;

	while (more) {
		struct swap_macs macs = { .count = 0 };
		int err = machine_each_mac(tx, id, MAC_ANY, swap_collect_mac, &macs);

		more = false;
		for (unsigned i = 0; i < macs.count && !err; i++) {
			if (!strcmp(macs.list[i], mac))
				continue;
			err = machine_remove_mac(tx, id, macs.list[i]);
			more = macs.count == array_len(macs.list);
		}
		if (err)
			return err;
	}
	return 0;
}

int manage_swap_hardware(struct manage *m, struct inventory_tx *tx, const struct waiting *row)
{
	struct machine *machine = &m->machine;
	int err = machine_add_mac(tx, machine->id, m->mac);

	if (err == -EEXIST)
		err = 0; /* its own: checked by the caller */
	if (!err)
		err = swap_drop_other_macs(tx, machine->id, m->mac);
	if (err)
		return err;
	/* The new hardware tells the rest when it asks. */
	snprintf(machine->uuid, sizeof(machine->uuid), "%s", row ? row->uuid : "");
	snprintf(machine->serial, sizeof(machine->serial), "%s", row ? row->serial : "");
	snprintf(machine->product, sizeof(machine->product), "%s", row ? row->product : "");
	snprintf(machine->cards, sizeof(machine->cards), "%s", row ? row->cards : "");
	machine->board_serial[0] = '\0';
	machine->secure_boot = machine->setup_mode = TOLD_UNKNOWN;
	err = machine_update(tx, machine);
	if (!err)
		err = enrol_forget_waiting(tx, m->mac);
	return err;
}

static int swap_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct machine other;
	struct waiting row;
	bool waits, shared = false;
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (err)
		return err;
	err = machine_identify(tx, m->mac, m->machine.uuid, &other, &shared);
	if (shared)
		return reason_refuse(m->reason, -EEXIST,
				     "%s is shared by several machines, and cannot be the only one of %s", m->mac,
				     m->machine.name);
	if (!err && other.id != m->machine.id)
		return reason_refuse(m->reason, -EEXIST,
				     "%s belongs to machine %s: remove that one first: sanbootctl machine remove %s",
				     m->mac, other.name, other.name);
	if (!err || err == -ENOENT)
		err = waiting_by_mac(tx, m->mac, &row);
	waits = err == 0;
	if (!err || err == -ENOENT)
		err = manage_swap_hardware(m, tx, waits ? &row : NULL);
	if (!err)
		err = machine_boot_end_all(tx, m->machine.id);
	if (!err)
		err = event_add(tx, "info", "swapped", m->actor, m->machine.id, m->machine.name,
				"its disk is now for %s", m->mac);
	return err;
}

int boot_swap(struct boot *boot, const char *machine, const char *new_mac, const char *actor, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason };

	if (!parse_mac(new_mac, m.mac))
		return reason_refuse(reason, -EINVAL,
				     "the new MAC address is none: six pairs of hex digits are expected");
	return manage_write_exclusive(&m, machine, swap_run);
}

/* ---- remove ---- */

static int remove_check(struct inventory_tx *tx, const struct manage *m)
{
	const struct manage_expiry *expiry = m->expiry;
	int64_t seen_ms = m->machine.seen_ms > m->machine.created_ms ? m->machine.seen_ms : m->machine.created_ms;
	int err = expiry ? expiry->check(tx, expiry->arg) : 0;

	if (err || !expiry || (seen_ms == expiry->since_ms && m->kept))
		return err;
	return reason_refuse(m->reason, -ENOENT, "%s was seen meanwhile", m->machine.name);
}

static int remove_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct policy policy;
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (!err && m->machine.mode == MODE_MAINTENANCE)
		err = reason_refuse(m->reason, -EBUSY,
				    "%s is in maintenance, and its own disk is put aside: first sanbootctl machine "
				    "maintenance %s end",
				    m->machine.name, m->machine.name);
	if (err)
		return err;
	err = policy_get(tx, &policy);
	m->kept = !m->for_good && policy.trash_s;
	if (!err)
		err = remove_check(tx, m);
	if (!err && m->kept)
		err = trash_put(tx, m->machine.id, m->actor);
	else if (!err)
		err = machine_delete(tx, m->machine.id);
	if (err)
		return err;
	if (!m->kept)
		m->given_up = m->machine.system;
	return event_add(tx, "info", "removed", m->actor, m->machine.id, m->machine.name, "%s%s%s%s",
			 m->kept ? "removed; its disk is in the trash" : "removed, with its disk",
			 m->expiry ? " (" : "", m->expiry ? m->expiry->why : "", m->expiry ? ")" : "");
}

static int manage_remove(struct manage *m, const char *machine)
{
	struct boot *boot = m->boot;
	int err = manage_find(m, machine);

	if (!err)
		err = manage_begin_exclusive(m);
	if (err)
		return err;
	err = manage_write(m, remove_run);
	if (err) {
		manage_end_exclusive(m);
		return err;
	}
	disks_forget(&boot->disks, m->machine.system.id);
	presence_forget(&boot->presence, m->machine.id);
	progress_removed(boot, m->machine.id);
	return 0;
}

int boot_remove_idle(struct boot *boot, const struct manage_expiry *expiry, const char *actor, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .expiry = expiry };
	char which[32];

	snprintf(which, sizeof(which), "#%lld", (long long)expiry->id);
	return manage_remove(&m, which);
}

int boot_remove(struct boot *boot, const char *machine, bool for_good, const char *actor, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .for_good = for_good };
	int err = manage_remove(&m, machine);

	if (err)
		return err;
	if (m.kept)
		reason_set(reason, "its disk is in the trash: sanbootctl machine trash restore %s brings both back",
			   m.machine.name);
	return 0;
}
