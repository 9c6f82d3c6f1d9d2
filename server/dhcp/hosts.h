/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsmasq's host file: the machines that are known, their names and addresses. Private to dhcp/. */
#ifndef DHCP_HOSTS_H
#define DHCP_HOSTS_H

#include "base/buf.h"
#include "dhcp/ranges.h"

struct dhcp_boot_set;
struct inventory;
struct inventory_tx;

/*
 * A line for each machine with its MACs, the tag of its set of boot files, its address where it has one, and its name; one for
 * each MAC that several share; and one for each that waits for a person, so that its address stays its own however long that
 * takes. Inside an inventory job.
 */
int hosts_make(struct inventory_tx *tx, struct buf *text);
/* Beside another DHCP server: only which machine has which set of boot files. Inside an inventory job. */
int hosts_make_tags(struct inventory_tx *tx, struct buf *text);
/*
 * Machines whose address lies in none of the ranges give it up, with an event each: they get another at their next
 * boot. Waits for the inventory; not on a loop.
 */
int hosts_release(struct inventory *inventory, const struct dhcp_ranges *ranges);
/*
 * Logs which machines and groups name a set of boot files that there is not (any more): they get the default ones. Waits for the
 * inventory; not on a loop.
 */
void hosts_check_sets(struct inventory *inventory, const struct dhcp_boot_set *sets, unsigned count);

#endif
