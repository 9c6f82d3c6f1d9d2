// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a person says of machines that wait: see boot.h. Yes means, by why it waits:
 *
 *     approval, no image, no space, full, denied
 *                 it is enrolled now (with the name, the image and the group that were given)
 *     conflict    the machine that has this MAC has a new board: it takes over the UUID and keeps its disk. Or, where that is
 *                 said, it is another machine at the same dock or adapter: the MAC is shared from then on
 *     swap        with a name, an image or a group: it is another machine, and is enrolled as such. Without: it is the machine
 *                 in question with another network card; with the same UUID, or where that card or a known one was seen
 *                 beside the other, the MAC is added, else (same serial) its hardware is replaced. Not while that machine runs: then this is another one
 *
 * None of this touches a disk that exists, so nothing else has to wait for a running machine.
 */
#include "manage.h"

#include "base/util.h"
#include "boot/ask/ask.h"
#include "boot/ask/enrol.h"
#include "boot/ask/twin.h"
#include "running.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Then it is a machine of its own. */
static bool says_what_it_gets(const struct manage *m)
{
	return m->name || m->image || m->group;
}

/* "52:54:00:12:34:56" or "7" or "#7". */
static int approve_find(struct manage *m, struct inventory_tx *tx, struct waiting *row)
{
	const char *digits = m->which[0] == '#' ? m->which + 1 : m->which;
	struct machine machine;
	uint64_t number;
	char shown[80];
	int err;

	if (parse_mac(m->which, m->mac)) {
		err = waiting_by_mac(tx, m->mac, row);
		if (err == -ENOENT && !machine_by_mac(tx, m->mac, &machine))
			return reason_refuse(m->reason, -EEXIST, "%s is machine %s already", m->mac, machine.name);
	} else if (parse_u64(digits, 1, INT64_MAX, &number)) {
		err = waiting_by_number(tx, (int64_t)number, row);
	} else {
		return reason_refuse(m->reason, -EINVAL, "expected a MAC address or the number that the machine shows");
	}
	if (err == -ENOENT) {
		parse_clean_text(m->which, shown, sizeof(shown));
		return reason_refuse(m->reason, err, "no machine waits as %s: sanbootctl machine list shows who does",
				     shown);
	}
	if (!err)
		memcpy(m->mac, row->mac, sizeof(m->mac));
	return err;
}

static int approve_check_room(struct manage *m, struct inventory_tx *tx, const struct policy *policy)
{
	unsigned count;
	int err = machine_count(tx, &count);

	if (err || count < policy->max_machines)
		return err;
	return reason_refuse(m->reason, -ENOSPC,
			     "there are %u machines already: sanbootctl policy set max-machines=N raises the limit",
			     count);
}

static int approve_enrol(struct manage *m, struct inventory_tx *tx, const struct waiting *row)
{
	struct image_version version;
	struct machine_group group;
	struct policy policy;
	struct asker asker = { 0 };
	struct enrolment e = { .asker = &asker,
			       .address = "",
			       .name = m->name,
			       .version = &version,
			       .image_named = m->image,
			       .group = &group,
			       .policy = &policy,
			       .actor = m->actor };
	int err = policy_get(tx, &policy);

	if (!err)
		err = approve_check_room(m, tx, &policy);
	if (!err)
		err = manage_find_group(m, tx, m->group, &policy, &group);
	if (!err)
		err = manage_version_for_new(m, tx, m->image, &group, &version);
	if (err)
		return err;
	memcpy(asker.mac, row->mac, sizeof(asker.mac));
	memcpy(asker.uuid, row->uuid, sizeof(asker.uuid));
	memcpy(asker.serial, row->serial, sizeof(asker.serial));
	memcpy(asker.product, row->product, sizeof(asker.product));
	memcpy(asker.cards, row->cards, sizeof(asker.cards));
	memcpy(asker.client, row->address, sizeof(asker.client));
	err = enrol_machine(m->boot, tx, &e, &m->machine, m->reason);
	m->made = e.made;
	if (err == -EEXIST && m->name)
		return reason_refuse(m->reason, err, "there is a machine %s already", m->name);
	return err;
}

/* What row says of the board. */
static void approve_take_board(struct machine *machine, const struct waiting *row)
{
	if (row->uuid[0])
		memcpy(machine->uuid, row->uuid, sizeof(machine->uuid));
	if (row->serial[0])
		memcpy(machine->serial, row->serial, sizeof(machine->serial));
	if (row->product[0])
		memcpy(machine->product, row->product, sizeof(machine->product));
}

static int approve_conflict(struct manage *m, struct inventory_tx *tx, const struct waiting *row)
{
	struct machine *machine = &m->machine;
	int err;

	if (says_what_it_gets(m))
		return reason_refuse(
			m->reason, -EINVAL,
			"%s belongs to machine %s: either it is that one (without a name, image or group), or "
			"another one at the same dock or adapter: sanbootctl machine approve %s --dock",
			row->mac, machine->name, row->mac);
	approve_take_board(machine, row);
	err = machine_update(tx, machine);
	if (!err)
		err = enrol_forget_waiting(tx, row->mac);
	if (!err)
		err = event_add(tx, "info", "conflict-resolved", m->actor, machine->id, machine->name,
				"%s has a new board: UUID %s", row->mac, row->uuid);
	return err;
}

static int approve_swap(struct manage *m, struct inventory_tx *tx, const struct waiting *row)
{
	struct machine *machine = &m->machine;
	bool same = row->uuid[0] && !strcmp(row->uuid, machine->uuid);
	char card[PARSE_MAC_TEXT];
	int err = twin_find_card(tx, machine, row->mac, row->cards, card);

	same = same || card[0];
	if (err)
		return err;
	if (!same) {
		err = manage_swap_hardware(m, tx, row);
	} else {
		approve_take_board(machine, row);
		err = machine_update(tx, machine);
		if (!err)
			err = machine_add_mac(tx, machine->id, row->mac);
		if (!err)
			err = enrol_forget_waiting(tx, row->mac);
	}
	if (!err)
		err = event_add(tx, "info", same ? "mac-added" : "swapped", m->actor, machine->id, machine->name,
				same ? "%s is another network card of it" : "its disk is now for %s", row->mac);
	return err;
}

/* Another machine at the dock or adapter of m->machine. */
static int approve_shared(struct manage *m, struct inventory_tx *tx, const struct waiting *row)
{
	int err = !row->uuid[0] || !strcmp(row->uuid, m->machine.uuid) ? -EINVAL : 0;

	if (err)
		return reason_refuse(m->reason, err, "%s does not tell another UUID than machine %s", row->mac,
				     m->machine.name);
	err = manage_share_mac(m, tx);
	return err ? err : approve_enrol(m, tx, row);
}

static int approve_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct waiting row;
	bool is_shared = false;
	int err = approve_find(m, tx, &row);

	if (err)
		return err;
	/* The MAC may be a machine's by now, whatever the row says. */
	err = machine_identify(tx, row.mac, row.uuid, &m->machine, &is_shared);
	if (!err && m->shared && !is_shared)
		return approve_shared(m, tx, &row);
	if (!err)
		return approve_conflict(m, tx, &row);
	if (err != -ENOENT)
		return err;
	if (m->shared && !is_shared)
		return reason_refuse(m->reason, -EINVAL, "no machine has %s yet: approve it without --dock", row.mac);
	if (row.reason == WAIT_SWAP && row.machine_id && !says_what_it_gets(m)) {
		err = machine_by_id(tx, row.machine_id, &m->machine);
		if (err != -ENOENT)
			return err ? err : approve_swap(m, tx, &row);
	}
	return approve_enrol(m, tx, &row);
}

static int approve_look_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct waiting row;
	int err = approve_find(m, tx, &row);

	if (err || row.reason != WAIT_SWAP || !row.machine_id || says_what_it_gets(m))
		return err;
	err = machine_by_id(tx, row.machine_id, &m->machine);
	return err == -ENOENT ? 0 : err;
}

/* It may have waited since before the machine in question was switched on. */
static int approve_refuse_running(struct manage *m)
{
	struct boot_session session;
	bool alive = false;
	int err;

	m->reason->text[0] = '\0';
	m->job = (struct inventory_job){ .run = approve_look_run };
	err = inventory_read_wait(m->boot->inventory, &m->job);
	if (!err && m->machine.id)
		running_probe(m->boot, m->machine.id, &alive, &session);
	if (alive)
		return reason_refuse(m->reason, -EBUSY,
				     "%s runs just now, so %s is another machine with the same UUID or serial number: "
				     "give it a name of its own (sanbootctl machine approve %s --name NAME)",
				     m->machine.name, m->mac, m->mac);
	return reason_default(m->reason, err, "the inventory cannot be read: %s", strerror(-err));
}

static const char *text_or_null(const char *text)
{
	return text && text[0] ? text : NULL;
}

int boot_approve(struct boot *boot, const char *which, const struct boot_approval *how, const char *actor,
		 struct machine *machine, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .which = which };
	int err;

	if (how) {
		m.name = text_or_null(how->name);
		m.image = text_or_null(how->image);
		m.group = text_or_null(how->group);
		m.shared = how->shared;
	}
	if (m.name && !machine_name_valid(m.name))
		return reason_refuse(reason, -EINVAL, "name: expected letters, digits and '-', at most 63");
	err = approve_refuse_running(&m);
	if (!err)
		err = manage_write(&m, approve_run);
	if (!err && machine)
		*machine = m.machine;
	return err;
}

/* ---- no ---- */

static int deny_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct waiting row = { .number = 0 };
	struct machine machine;
	struct policy policy;
	int err = waiting_by_mac(tx, m->mac, &row);

	if (err && err != -ENOENT)
		return err;
	if (err == -ENOENT && !machine_by_mac(tx, m->mac, &machine))
		return reason_refuse(m->reason, -EEXIST,
				     "%s is machine %s: remove it (sanbootctl machine remove %s), or let it boot from "
				     "its own disk (sanbootctl machine set %s boot=local)",
				     m->mac, machine.name, machine.name, machine.name);
	err = policy_get(tx, &policy);
	if (err)
		return err;
	memcpy(row.mac, m->mac, sizeof(row.mac));
	row.reason = WAIT_DENIED;
	row.seen_ms = time_unix_ms();
	if (!row.first_ms)
		row.first_ms = row.seen_ms;
	err = waiting_put(tx, &row, policy.max_waiting);
	return err ? err : event_add(tx, "info", "denied", m->actor, 0, "", "%s is refused", m->mac);
}

static int deny_find_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct waiting row;

	return approve_find(m, tx, &row);
}

/* A MAC, whether it waits or not; or the number of one that waits. */
int boot_deny(struct boot *boot, const char *mac, const char *actor, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .which = mac };
	int err;

	if (!parse_mac(mac, m.mac)) {
		err = manage_write(&m, deny_find_run);
		if (err)
			return err;
	}
	return manage_write(&m, deny_run);
}

static int forget_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	struct waiting row;
	int err = approve_find(m, tx, &row);

	if (!err)
		err = waiting_remove(tx, row.mac);
	return err ? err :
		     event_add(tx, "info", "forgotten", m->actor, 0, "", "%s waits no more: it is a stranger again",
			       row.mac);
}

int boot_forget(struct boot *boot, const char *mac, const char *actor, struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .which = mac };

	return manage_write(&m, forget_run);
}
