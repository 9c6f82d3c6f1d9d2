// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API: which machine has which DHCP lease. The leases are dnsmasq's; the machines are the inventory's.
 */
#include "http/api_machines.h"

#include "http/text.h"

/* By MAC, each machine (borrowed). A MAC that several share says of none of them that it has the lease. */
static json_t *machines_by_mac(const json_t *machines)
{
	json_t *by_mac = json_object(), *machine, *mac;
	size_t i, k;

	json_array_foreach(machines, i, machine)
		json_array_foreach(json_object_get(machine, "macs"), k, mac)
			json_object_set(by_mac, json_string_value(mac), machine);
	json_array_foreach(machines, i, machine)
		json_array_foreach(json_object_get(machine, "shared_macs"), k, mac)
			json_object_del(by_mac, json_string_value(mac));
	return by_mac;
}

/* Does a lease end after the one that the machine has? 0: never ends. */
static bool ends_later(const struct dhcp_lease *lease, const json_t *other)
{
	json_int_t theirs = json_integer_value(json_object_get(other, "expires_ms"));

	return !json_is_object(other) || (theirs && (!lease->expires_ms || lease->expires_ms > theirs));
}

void api_join_leases(const struct dhcp_status *dhcp, const json_t *machines, json_t *leases)
{
	json_t *by_mac = machines_by_mac(machines), *machine;
	size_t m;

	json_array_foreach(machines, m, machine)
		json_object_set_new(machine, "lease", json_null());
	for (unsigned i = 0; i < dhcp->lease_count; i++) {
		const struct dhcp_lease *lease = &dhcp->leases[i];

		machine = json_object_get(by_mac, lease->mac);
		if (leases)
			json_array_append_new(leases,
					      json_pack("{s:s, s:s, s:o, s:I, s:O}", "mac", lease->mac, "address",
							lease->address, "name", http_text_json(lease->name),
							"expires_ms", (json_int_t)lease->expires_ms, "machine",
							machine ? json_object_get(machine, "name") : json_null()));
		if (machine && ends_later(lease, json_object_get(machine, "lease")))
			json_object_set_new(machine, "lease",
					    json_pack("{s:s, s:I}", "address", lease->address, "expires_ms",
						      (json_int_t)lease->expires_ms));
	}
	json_decref(by_mac);
}
