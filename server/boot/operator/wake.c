// SPDX-License-Identifier: GPL-2.0-or-later
/* A person switches a machine on: see boot.h. */
#include "manage.h"

#include "base/util.h"
#include "magic_packet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct waking {
	struct manage manage; /* first */
	char macs[BOOT_MACS_MAX][PARSE_MAC_TEXT];
	unsigned mac_count;
	char where[256];
};

static struct waking *waking_of(struct inventory_job *job)
{
	return container_of(container_of(job, struct manage, job), struct waking, manage);
}

static int wake_take_mac(void *arg, const char *mac)
{
	struct waking *waking = arg;

	if (waking->mac_count < BOOT_MACS_MAX)
		snprintf(waking->macs[waking->mac_count++], PARSE_MAC_TEXT, "%s", mac);
	return 0;
}

static int wake_macs_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct waking *waking = waking_of(job);

	return machine_each_mac(tx, waking->manage.machine.id, MAC_ANY, wake_take_mac, waking);
}

static int wake_event_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct waking *waking = waking_of(job);

	return event_add(tx, "info", "woken", waking->manage.actor, waking->manage.machine.id,
			 waking->manage.machine.name, "a magic packet went to %s", waking->where);
}

int boot_wake(struct boot *boot, const char *machine, const char *actor, struct reason *reason)
{
	struct waking waking = { .manage = { .boot = boot, .actor = actor, .reason = reason } };
	struct manage *m = &waking.manage;
	int err = manage_find(m, machine);

	if (err)
		return err;
	m->job = (struct inventory_job){ .run = wake_macs_run };
	err = inventory_read_wait(boot->inventory, &m->job);
	if (err)
		return reason_refuse(reason, err, "the inventory cannot be read: %s", strerror(-err));
	if (!waking.mac_count)
		return reason_refuse(
			reason, -EINVAL,
			"%s has no network card yet: sanbootctl machine mac add %s MAC, when its hardware is there",
			m->machine.name, m->machine.name);
	for (unsigned i = 0; i < waking.mac_count && !err; i++)
		err = magic_packet_send(waking.macs[i], m->machine.address, waking.where, sizeof(waking.where), reason);
	if (!err)
		err = manage_write(m, wake_event_run);
	if (!err)
		reason_set(reason, "a magic packet went to %s; its firmware has to allow it (Wake on LAN)",
			   waking.where);
	return err;
}
