// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API: which machine has which DHCP lease. The leases are dnsmasq's, in what main says of itself; the machines are
 * the inventory's.
 */
#include "http/api_machines.h"

#include "http/json.h"

/* By MAC, each machine (borrowed). */
static json_t *machines_by_mac(const json_t *machines)
{
	json_t *by_mac = json_object(), *machine, *mac;
	size_t i, k;

	json_array_foreach(machines, i, machine)
		json_array_foreach(json_object_get(machine, "macs"), k, mac)
			json_object_set(by_mac, json_string_value(mac), machine);
	return by_mac;
}

/* Does a lease end after the one that the machine has? 0: never ends. */
static bool ends_later(const json_t *lease, const json_t *other)
{
	json_int_t a = json_integer_value(json_object_get(lease, "expires_ms")),
		   b = json_integer_value(json_object_get(other, "expires_ms"));

	return !json_is_object(other) || (b && (!a || a > b));
}

void api_join_leases(const json_t *main_status, const json_t *machines)
{
	json_t *by_mac = machines_by_mac(machines), *machine, *lease;
	size_t i;

	json_array_foreach(machines, i, machine)
		json_object_set_new(machine, "lease", json_null());
	json_array_foreach(json_object_get(json_object_get(main_status, "dhcp"), "leases"), i, lease) {
		machine = json_object_get(by_mac, api_text(lease, "mac"));
		json_object_set(lease, "machine", machine ? json_object_get(machine, "name") : json_null());
		if (machine && ends_later(lease, json_object_get(machine, "lease")))
			json_object_set_new(machine, "lease",
					    json_pack("{s:O, s:O}", "address", json_object_get(lease, "address"),
						      "expires_ms", json_object_get(lease, "expires_ms")));
	}
	json_decref(by_mac);
}
