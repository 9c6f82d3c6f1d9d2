/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsmasq's host file: the machines that are known, their names and addresses. Private to dhcp/. */
#ifndef DHCP_HOSTS_H
#define DHCP_HOSTS_H

#include "base/buf.h"
#include "dhcp/ranges.h"

struct inventory;
struct inventory_tx;

/*
 * A line for each machine with its MACs, its address where it has one, and its name; and one for each that waits for a
 * person, so that its address stays its own however long that takes. Inside an inventory job.
 */
int hosts_make(struct inventory_tx *tx, struct buf *text);
/*
 * Machines whose address lies in none of the ranges give it up, with an event each: they get another at their next
 * boot. Waits for the inventory; not on a loop.
 */
int hosts_release(struct inventory *inventory, const struct dhcp_ranges *ranges);

#endif
