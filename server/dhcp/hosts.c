// SPDX-License-Identifier: GPL-2.0-or-later
/* dnsmasq's host file: see hosts.h. */
#include "dhcp/hosts.h"

#include "base/util.h"
#include "inventory/inventory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct hosts {
	struct inventory_tx *tx;
	struct buf *text;
	/* Addresses given so far: dnsmasq refuses the second use of one. */
	in_addr_t *used;
	unsigned used_count, used_capacity;
};

static int add_mac(void *arg, const char *mac)
{
	struct hosts *hosts = arg;

	buf_printf(hosts->text, "%s,", mac);
	return 0;
}

static bool take_address(struct hosts *hosts, const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		return false;
	for (unsigned i = 0; i < hosts->used_count; i++)
		if (hosts->used[i] == address.s_addr)
			return false;
	if (hosts->used_count == hosts->used_capacity) {
		unsigned capacity = hosts->used_capacity ? 2 * hosts->used_capacity : 64;
		in_addr_t *used = realloc(hosts->used, capacity * sizeof(*used));

		if (!used)
			return false;
		hosts->used = used;
		hosts->used_capacity = capacity;
	}
	hosts->used[hosts->used_count++] = address.s_addr;
	return true;
}

static int add_machine(void *arg, const struct machine *machine)
{
	struct hosts *hosts = arg;
	int err = machine_each_mac(hosts->tx, machine->id, add_mac, hosts);

	if (err)
		return err;
	if (take_address(hosts, machine->address))
		buf_printf(hosts->text, "%s,", machine->address);
	buf_printf(hosts->text, "%s\n", machine->name);
	return 0;
}

/* Denied ones are anybody; the others are at most max-waiting. */
static int add_waiting(void *arg, const struct waiting *waiting)
{
	struct hosts *hosts = arg;
	struct machine machine;

	if (waiting->reason == WAIT_DENIED || !machine_by_mac(hosts->tx, waiting->mac, &machine))
		return 0;
	buf_add_string(hosts->text, waiting->mac);
	if (take_address(hosts, waiting->address))
		buf_printf(hosts->text, ",%s", waiting->address);
	buf_add_string(hosts->text, "\n");
	return 0;
}

int hosts_make(struct inventory_tx *tx, struct buf *text)
{
	struct hosts hosts = { .tx = tx, .text = text };
	int err = machine_each(tx, add_machine, &hosts);

	if (!err)
		err = waiting_each(tx, add_waiting, &hosts);
	free(hosts.used);
	return err ? err : text->failed ? -ENOMEM : 0;
}

/* ---- addresses that are in no range any more ---- */

struct release {
	struct inventory_job job;
	const struct dhcp_ranges *ranges;
	int64_t *ids;
	unsigned count, capacity;
};

static int find_outside(void *arg, const struct machine *machine)
{
	struct release *release = arg;
	struct in_addr address;

	if (inet_pton(AF_INET, machine->address, &address) != 1 || ranges_contain(release->ranges, address))
		return 0;
	if (release->count == release->capacity) {
		unsigned capacity = release->capacity ? 2 * release->capacity : 64;
		int64_t *ids = realloc(release->ids, capacity * sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		release->ids = ids;
		release->capacity = capacity;
	}
	release->ids[release->count++] = machine->id;
	return 0;
}

static int run_release(struct inventory_tx *tx, struct inventory_job *job)
{
	struct release *release = container_of(job, struct release, job);
	struct machine machine;
	int err = machine_each(tx, find_outside, release);

	for (unsigned i = 0; !err && i < release->count; i++) {
		err = machine_by_id(tx, release->ids[i], &machine);
		if (err)
			break;
		event_add(tx, "info", "address-released", "server", machine.id, machine.name,
			  "%s is in no --dhcp-range any more: it gets another address at its next boot",
			  machine.address);
		machine.address[0] = '\0';
		err = machine_update(tx, &machine);
	}
	return err;
}

int hosts_release(struct inventory *inventory, const struct dhcp_ranges *ranges)
{
	struct release release = { .job.run = run_release, .ranges = ranges };
	int err = inventory_write_wait(inventory, &release.job);

	free(release.ids);
	return err;
}
