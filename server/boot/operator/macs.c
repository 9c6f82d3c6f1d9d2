// SPDX-License-Identifier: GPL-2.0-or-later
/* MACs of machines: added, removed, shared with others; see boot.h and manage.h. No disk is touched. */
#include "manage.h"

#include "base/util.h"
#include "boot/ask/enrol.h"

#include <errno.h>

static int mac_add(struct manage *m, struct inventory_tx *tx)
{
	struct machine other;
	bool shared = false;
	int err = machine_identify(tx, m->mac, m->machine.uuid, &other, &shared);

	if (!err)
		return reason_refuse(m->reason, -EEXIST, "%s belongs to machine %s already", m->mac, other.name);
	if (err != -ENOENT)
		return err;
	if (shared && !m->machine.uuid[0])
		return reason_refuse(
			m->reason, -EINVAL,
			"%s is shared by several machines, and the UUID of %s is not known, by which it would "
			"be told from them",
			m->mac, m->machine.name);
	err = machine_add_mac(tx, m->machine.id, m->mac);
	if (!err)
		err = enrol_forget_waiting(tx, m->mac);
	return err;
}

int manage_share_mac(struct manage *m, struct inventory_tx *tx)
{
	int err = machine_share_mac(tx, m->machine.id, m->mac, m->shared);

	if (err == -ENOENT)
		return reason_refuse(m->reason, err, "%s has no MAC address %s", m->machine.name, m->mac);
	if (err == -EINVAL)
		return reason_refuse(m->reason, err,
				     "the UUID of %s is not known, by which it would be told from others with %s",
				     m->machine.name, m->mac);
	if (err == -EBUSY)
		return reason_refuse(m->reason, err,
				     "several machines have %s: take it from the others first: sanbootctl machine mac "
				     "remove M %s",
				     m->mac, m->mac);
	return err ? err :
		     event_add(tx, "info", m->shared ? "mac-shared" : "mac-unshared", m->actor, m->machine.id,
			       m->machine.name,
			       m->shared ? "MAC address %s is shared: it names a machine only together with its UUID" :
					   "MAC address %s is its own",
			       m->mac);
}

static int share_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	return err ? err : manage_share_mac(m, tx);
}

int boot_share_mac(struct boot *boot, const char *machine, const char *mac, bool shared, const char *actor,
		   struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .shared = shared };
	int err;

	if (!parse_mac(mac, m.mac))
		return reason_refuse(reason, -EINVAL, "this is no MAC address: six pairs of hex digits are expected");
	err = manage_find(&m, machine);
	return err ? err : manage_write(&m, share_run);
}

static int mac_remove(struct manage *m, struct inventory_tx *tx)
{
	int err = machine_remove_mac(tx, m->machine.id, m->mac);

	if (err == -ENOENT)
		return reason_refuse(m->reason, err, "%s has no MAC address %s", m->machine.name, m->mac);
	if (err == -EBUSY)
		return reason_refuse(m->reason, err,
				     "%s is the only MAC address of %s: add another one first, or remove the machine",
				     m->mac, m->machine.name);
	return err;
}

static int mac_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct manage *m = container_of(job, struct manage, job);
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	if (!err)
		err = m->add ? mac_add(m, tx) : mac_remove(m, tx);
	if (!err)
		err = event_add(tx, "info", m->add ? "mac-added" : "mac-removed", m->actor, m->machine.id,
				m->machine.name, m->add ? "MAC address %s added" : "MAC address %s removed", m->mac);
	return err;
}

int boot_mac(struct boot *boot, const char *machine, bool add, const char *mac, const char *actor,
	     struct reason *reason)
{
	struct manage m = { .boot = boot, .actor = actor, .reason = reason, .add = add };
	int err;

	if (!parse_mac(mac, m.mac))
		return reason_refuse(reason, -EINVAL, "this is no MAC address: six pairs of hex digits are expected");
	err = manage_find(&m, machine);
	return err ? err : manage_write(&m, mac_run);
}
