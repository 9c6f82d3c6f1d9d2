// SPDX-License-Identifier: GPL-2.0-or-later
/* dnsmasq's host file: see hosts.h. */
#include "dhcp/hosts.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/dhcp.h"
#include "inventory/effective.h"
#include "inventory/inventory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hosts {
	struct inventory_tx *tx;
	struct buf *text;
	const struct machine *machine; /* at hand */
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

static void add_set(struct hosts *hosts, const struct machine *machine)
{
	const char *set = effective_of(machine, NULL, EFFECTIVE_BOOT_FILE_SET).value;

	if (strcmp(set, "default"))
		buf_printf(hosts->text, "set:set-%s,", set);
}

/* The name is left out where the machine has no MAC of its own: what would it be told by? */
static int add_machine(void *arg, const struct machine *machine)
{
	struct hosts *hosts = arg;
	size_t before = hosts->text->len;
	int err = machine_each_mac(hosts->tx, machine->id, MAC_OWN, add_mac, hosts);

	if (err || hosts->text->len == before)
		return err;
	add_set(hosts, machine);
	if (take_address(hosts, machine->address))
		buf_printf(hosts->text, "%s,", machine->address);
	buf_printf(hosts->text, "%s\n", machine->name);
	return 0;
}

/* A MAC of several machines: one of their addresses, nobody's name, nobody's boot files. */
static int add_shared_mac(void *arg, const char *mac)
{
	struct hosts *hosts = arg;
	char line[PARSE_MAC_TEXT + 2];

	snprintf(line, sizeof(line), "\n%s", mac);
	if (strstr(buf_text(hosts->text), line) || !strncmp(buf_text(hosts->text), mac, strlen(mac)))
		return 0;
	buf_add_string(hosts->text, mac);
	if (take_address(hosts, hosts->machine->address))
		buf_printf(hosts->text, ",%s", hosts->machine->address);
	buf_add_string(hosts->text, "\n");
	return 0;
}

static int add_shared(void *arg, const struct machine *machine)
{
	struct hosts *hosts = arg;

	hosts->machine = machine;
	return machine_each_mac(hosts->tx, machine->id, MAC_SHARED, add_shared_mac, hosts);
}

static void cut(struct buf *text, size_t len)
{
	if (text->data)
		text->data[len] = '\0';
	text->len = len;
}

static int add_tags(void *arg, const struct machine *machine)
{
	struct hosts *hosts = arg;
	size_t before = hosts->text->len, with_macs;
	int err = machine_each_mac(hosts->tx, machine->id, MAC_OWN, add_mac, hosts);

	with_macs = hosts->text->len;
	if (!err && with_macs > before)
		add_set(hosts, machine);
	if (!err && hosts->text->len > with_macs)
		hosts->text->data[hosts->text->len - 1] = '\n';
	else
		cut(hosts->text, before);
	return err;
}

/* Denied ones are anybody; the others are at most max-waiting. */
static int add_waiting(void *arg, const struct waiting *waiting)
{
	struct hosts *hosts = arg;
	struct machine machine;

	if (waiting->reason == WAIT_DENIED || machine_by_mac(hosts->tx, waiting->mac, &machine) != -ENOENT)
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
		err = machine_each(tx, add_shared, &hosts);
	if (!err)
		err = waiting_each(tx, add_waiting, &hosts);
	free(hosts.used);
	return err ? err : text->failed ? -ENOMEM : 0;
}

int hosts_make_tags(struct inventory_tx *tx, struct buf *text)
{
	struct hosts hosts = { .tx = tx, .text = text };
	int err = machine_each(tx, add_tags, &hosts);

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

/* ---- sets of boot files that are not there ---- */

enum { MISSING_SETS_SHOWN = 8 };

struct set_check {
	struct inventory_job job;
	const struct dhcp_boot_set *sets;
	unsigned count, missing;
};

static void check_set(struct set_check *check, const char *what, const char *name, const char *set)
{
	if (!set[0] || !strcmp(set, "default"))
		return;
	for (unsigned i = 0; i < check->count; i++)
		if (!strcmp(check->sets[i].name, set))
			return;
	if (check->missing++ < MISSING_SETS_SHOWN)
		log_warning(
			"%s %s is to have the boot files %s, and no boot-file-set = %s:DIR is in the configuration: it gets the "
			"default ones",
			what, name, set, set);
}

static int check_group(void *arg, const struct machine_group *group)
{
	check_set(arg, "group", group->name, group->boot_file_set);
	return 0;
}

static int check_machine(void *arg, const struct machine *machine)
{
	check_set(arg, "machine", machine->name, machine->boot_file_set);
	return 0;
}

static int run_set_check(struct inventory_tx *tx, struct inventory_job *job)
{
	struct set_check *check = container_of(job, struct set_check, job);
	int err = group_each(tx, check_group, check);

	return err ? err : machine_each(tx, check_machine, check);
}

void hosts_check_sets(struct inventory *inventory, const struct dhcp_boot_set *sets, unsigned count)
{
	struct set_check check = { .job.run = run_set_check, .sets = sets, .count = count };

	inventory_read_wait(inventory, &check.job);
	if (check.missing > MISSING_SETS_SHOWN)
		log_warning("so it is with %u more", check.missing - MISSING_SETS_SHOWN);
}
