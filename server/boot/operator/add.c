// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Machines that are known before they are switched on: see boot.h. All of a list, or none: one write job makes their rows
 * and their disks, and where it is not committed the disks go again. (A server that is killed in between leaves objects
 * without a row, which the store removes at the next start.)
 */
#include "add.h"
#include "manage.h"

#include "base/util.h"
#include "boot/ask/ask.h"
#include "boot/ask/enrol.h"
#include "store/store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct addition {
	struct manage manage; /* first: its job is this one's */
	const struct boot_machine_new *list;
	unsigned count, at; /* at: the one in hand, which is refused where it fails; count: none */
	bool dry_run;
	struct machine *machines;
	struct volume *made;
};

static int add_refuse_mac(struct manage *m, struct inventory_tx *tx, const char *text)
{
	struct machine other;
	bool shared = false;
	char shown[80];
	int err;

	parse_clean_text(text, shown, sizeof(shown));
	if (!parse_mac(text, m->mac))
		return reason_refuse(m->reason, -EINVAL, "%s is no MAC address: six pairs of hex digits are expected",
				     shown[0] ? shown : "\"\"");
	err = machine_identify(tx, m->mac, "", &other, &shared);
	if (shared)
		return reason_refuse(
			m->reason, -EEXIST,
			"%s is shared by several machines: another one is enrolled when it asks, by its UUID", m->mac);
	if (!err)
		return reason_refuse(m->reason, -EEXIST, "%s is machine %s already", m->mac, other.name);
	return err == -ENOENT ? 0 : err;
}

static int add_check(struct manage *m, struct inventory_tx *tx, const struct boot_machine_new *new, bool needs_mac)
{
	struct in_addr address;
	struct machine other;
	int err;

	if ((needs_mac && !new->mac_count) || new->mac_count > BOOT_MACS_MAX)
		return reason_refuse(m->reason, -EINVAL, "give the MAC addresses of its network cards, 1 to %d",
				     BOOT_MACS_MAX);
	if (new->name && !machine_name_valid(new->name))
		return reason_refuse(m->reason, -EINVAL, "name: expected letters, digits and '-', at most 63");
	if (new->address && inet_pton(AF_INET, new->address, &address) != 1)
		return reason_refuse(m->reason, -EINVAL, "address: expected an IPv4 address such as 10.0.0.21");
	if (new->note && strlen(new->note) >= NOTE_TEXT)
		return reason_refuse(m->reason, -EINVAL, "note: at most %d bytes", NOTE_TEXT - 1);
	if (!new->name)
		return 0;
	err = machine_by_name(tx, new->name, &other);
	if (!err)
		return reason_refuse(m->reason, -EEXIST, "there is a machine %s already", other.name);
	return err == -ENOENT ? 0 : err;
}

/* What enrolment does not know of: its other cards, its note. */
static int add_rest(struct manage *m, struct inventory_tx *tx, const struct boot_machine_new *new,
		    struct machine *machine)
{
	int err = 0;

	for (unsigned i = 1; i < new->mac_count && !err; i++) {
		err = add_refuse_mac(m, tx, new->macs[i]);
		if (!err)
			err = machine_add_mac(tx, machine->id, m->mac);
		if (!err)
			err = enrol_forget_waiting(tx, m->mac);
	}
	snprintf(machine->note, sizeof(machine->note), "%s", new->note ? new->note : "");
	return err ? err : machine_update(tx, machine);
}

int add_enrol(struct manage *m, struct inventory_tx *tx, const struct boot_machine_new *new,
	      const struct policy *policy, const struct volume *disk, struct machine *machine, struct volume *made)
{
	struct image_version version;
	struct machine_group group;
	struct asker asker = { .mac = "" };
	struct enrolment e = { .asker = &asker,
			       .address = new->address ? new->address : "",
			       .name = new->name,
			       .version = &version,
			       .image_named = new->image,
			       .group = &group,
			       .policy = policy,
			       .disk = disk,
			       .actor = m->actor,
			       .unasked = true };
	int err = add_check(m, tx, new, !disk);

	if (!err)
		err = manage_find_group(m, tx, new->group, policy, &group);
	if (!err)
		err = disk ? version_by_id(tx, disk->version_id, &version) :
			     manage_version_for_new(m, tx, new->image, &group, &version);
	if (!err && new->mac_count) {
		err = add_refuse_mac(m, tx, new->macs[0]);
		memcpy(asker.mac, m->mac, sizeof(asker.mac));
	}
	if (err)
		return err;
	err = enrol_machine(m->boot, tx, &e, machine, m->reason);
	*made = e.made;
	if (!err && new->address && !machine->address[0])
		return reason_refuse(m->reason, -EEXIST, "another machine keeps the address %s", new->address);
	return err ? err : add_rest(m, tx, new, machine);
}

int add_check_room(struct manage *m, struct inventory_tx *tx, const struct policy *policy, unsigned count)
{
	unsigned have;
	int err = machine_count(tx, &have);

	if (!err && (have >= policy->max_machines || count > policy->max_machines - have))
		err = reason_refuse(m->reason, -ENOSPC,
				    "there are %u machines already, and %u more are over the limit: sanbootctl policy set "
				    "max-machines=%u raises it",
				    have, count, have + count);
	return err;
}

static int add_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct addition *a = container_of(container_of(job, struct manage, job), struct addition, manage);
	struct policy policy;
	int err = policy_get(tx, &policy);

	if (!err)
		err = add_check_room(&a->manage, tx, &policy, a->count);
	if (err)
		return err;
	for (a->at = 0; a->at < a->count; a->at++) {
		err = add_enrol(&a->manage, tx, &a->list[a->at], &policy, NULL, &a->machines[a->at], &a->made[a->at]);
		if (err)
			return err;
	}
	return a->dry_run ? -ECANCELED : 0;
}

/* Objects of which nothing became: the job failed, was not committed, or was only tried. */
static void add_delete_made(struct addition *a)
{
	for (unsigned i = 0; i < a->count; i++)
		if (a->made[i].object[0])
			store_delete_object(a->manage.boot->store, &a->made[i]);
}

int boot_add_machines(struct boot *boot, const struct boot_machine_new *list, unsigned count, bool dry_run,
		      const char *actor, struct machine *machines, unsigned *failed, struct reason *reason)
{
	struct addition a = { .manage = { .boot = boot, .actor = actor, .reason = reason },
			      .list = list,
			      .count = count,
			      .at = count,
			      .dry_run = dry_run,
			      .machines = machines };
	int err;

	*failed = count;
	a.made = calloc(count ? count : 1, sizeof(*a.made));
	if (!a.made)
		return reason_refuse(reason, -ENOMEM, "out of memory");
	err = manage_write(&a.manage, add_run);
	if (err)
		add_delete_made(&a);
	free(a.made);
	if (err == -ECANCELED && dry_run) {
		reason->text[0] = '\0';
		return 0;
	}
	if (err && a.at < count)
		*failed = a.at;
	return err;
}
