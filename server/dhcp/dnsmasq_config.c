// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dnsmasq's configuration: see dnsmasq_config.h. Only our own file is read (-C), DNS is off, and nothing makes this host a router: the
 * router option is emptied, and dnsmasq sends no router advertisements (router.c sends one that says: no router).
 */
#include "dhcp/dnsmasq_config.h"

#include "base/parse.h"
#include "base/util.h"
#include "inventory/inventory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct range {
	struct in_addr first, last;
	char lease[32];
};

static bool valid_lease(const char *lease)
{
	size_t digits = strspn(lease, "0123456789");

	if (!strcmp(lease, "infinite"))
		return true;
	return digits > 0 && digits < 9 && (!lease[digits] || (strchr("smhdw", lease[digits]) && !lease[digits + 1]));
}

static int parse_range(const char *text, struct range *range, char *reason, size_t reason_size)
{
	char first[64], last[64];
	int fields = sscanf(text, "%63[^,],%63[^,],%31[^,]", first, last, range->lease);

	if (fields < 3)
		snprintf(range->lease, sizeof(range->lease), "12h");
	if (fields < 2 || inet_pton(AF_INET, first, &range->first) != 1 || inet_pton(AF_INET, last, &range->last) != 1) {
		snprintf(reason, reason_size, "--dhcp-range %s: expected FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h", text);
		return -EINVAL;
	}
	if (ntohl(range->first.s_addr) > ntohl(range->last.s_addr)) {
		snprintf(reason, reason_size, "--dhcp-range %s: the first address is behind the last", text);
		return -EINVAL;
	}
	if (!valid_lease(range->lease)) {
		snprintf(reason, reason_size, "--dhcp-range %s: \"%s\" is no lease time; expected such as 12h, 45m or infinite", text, range->lease);
		return -EINVAL;
	}
	return 0;
}

static bool in_subnet(const struct dhcp_network *network, struct in_addr address)
{
	return ((address.s_addr ^ network->address.s_addr) & network->netmask.s_addr) == 0;
}

static int add_range(const struct dhcp_config *config, const struct dhcp_network *networks, struct buf *text, char *reason,
		     size_t reason_size)
{
	char first[INET_ADDRSTRLEN], last[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN];
	const struct dhcp_network *network = NULL;
	struct range range;
	int err = parse_range(config->range, &range, reason, reason_size);

	if (err)
		return err;
	for (unsigned i = 0; i < config->interface_count && !network; i++)
		if (in_subnet(&networks[i], range.first) && in_subnet(&networks[i], range.last))
			network = &networks[i];
	if (!network) {
		snprintf(reason, reason_size, "--dhcp-range %s lies in the subnet of no --interface (%s has %s)", config->range, networks[0].name,
			 inet_ntop(AF_INET, &networks[0].address, first, sizeof(first)));
		return -EINVAL;
	}
	if (ntohl(network->address.s_addr) >= ntohl(range.first.s_addr) && ntohl(network->address.s_addr) <= ntohl(range.last.s_addr)) {
		snprintf(reason, reason_size, "--dhcp-range %s contains this server's own address %s", config->range,
			 inet_ntop(AF_INET, &network->address, first, sizeof(first)));
		return -EINVAL;
	}
	inet_ntop(AF_INET, &range.first, first, sizeof(first));
	inet_ntop(AF_INET, &range.last, last, sizeof(last));
	inet_ntop(AF_INET, &network->netmask, mask, sizeof(mask));
	buf_printf(text, "dhcp-range=%s,%s,%s,%s\n", first, last, mask, range.lease);
	return 0;
}

static void add_common(const struct dhcp_config *config, struct buf *text)
{
	buf_add_string(text, "# Made by sanbootd at each start; changes here are lost.\n"
			     "port=0\nbind-dynamic\nexcept-interface=lo\nlog-dhcp\nlog-facility=-\nno-hosts\nno-resolv\n");
	for (unsigned i = 0; i < config->interface_count; i++)
		buf_printf(text, "interface=%s\n", config->interfaces[i]);
	buf_add_string(text, "enable-tftp\ntftp-max=512\n");
	for (unsigned i = 0; i < config->interface_count; i++)
		buf_printf(text, "tftp-root=%s/tftp/%s,%s\n", config->runtime_dir, config->interfaces[i], config->interfaces[i]);
}

/* The lease file, and tags by what the client says of itself. */
static void add_clients(const struct dhcp_config *config, struct buf *text)
{
	/* Also in proxy mode, where it stays empty: dnsmasq opens one, and its own default is not ours to write. */
	buf_printf(text, "dhcp-leasefile=%s/dnsmasq/leases\n", config->state_dir);
	/* iPXE shows itself by option 175 or by its user class. */
	buf_add_string(text, "dhcp-match=set:ipxe,175\ndhcp-userclass=set:ipxe,iPXE\n");
	for (const struct boot_kind *kind = boot_kinds; kind < boot_kinds + BOOT_KINDS; kind++) {
		for (const char *const *arch = kind->arches; *arch; arch++)
			buf_printf(text, "dhcp-match=set:%s,option:client-arch,%s\n", kind->tag, *arch);
		if (kind->http_arch)
			buf_printf(text, "dhcp-match=set:http,option:client-arch,%s\ndhcp-match=set:http-%s,option:client-arch,%s\n", kind->http_arch,
				   kind->tag, kind->http_arch);
	}
}

/* UEFI HTTP boot: a URL, and in full mode HTTPClient back (in proxy mode dhcp-pxe-vendor does it). */
static void add_http_boot(const struct dhcp_config *config, const struct dhcp_network *networks, const struct boot_files *files, struct buf *text)
{
	for (unsigned i = 0; i < config->interface_count; i++) {
		char address[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &networks[i].address, address, sizeof(address));
		for (unsigned k = 0; k < BOOT_KINDS; k++)
			if (boot_kinds[k].http_arch && files->name[k][0])
				buf_printf(text, "dhcp-boot=tag:!ipxe,tag:http-%s,tag:%s,http://%s:%u/ipxe/%s\n", boot_kinds[k].tag, networks[i].name,
					   config->advertise ? config->advertise : address, config->http_port, files->name[k]);
	}
}

static int add_full(const struct dhcp_config *config, const struct dhcp_network *networks, const struct boot_files *files, struct buf *text,
		    char *reason, size_t reason_size)
{
	int err = add_range(config, networks, text, reason, reason_size);

	if (err)
		return err;
	buf_printf(text,
		   "dhcp-hostsfile=%s/dnsmasq.hosts\n"
		   "dhcp-authoritative\nno-ping\n"
		   /* Firmware, iPXE and initramfs of one machine send different client ids; its MAC is what stays. */
		   "dhcp-ignore-clid\n"
		   /* dnsmasq would name itself as the router. */
		   "dhcp-option=option:router\n"
		   /* iPXE's no-pxedhcp: no second DHCP server to wait for. */
		   "dhcp-option-force=tag:ipxe,encap:175,176,1b\n"
		   "dhcp-option-force=tag:!ipxe,tag:http,60,HTTPClient\n"
		   "dhcp-boot=tag:ipxe,boot.ipxe\n",
		   config->runtime_dir);
	for (unsigned k = 0; k < BOOT_KINDS; k++)
		if (files->name[k][0])
			buf_printf(text, "dhcp-boot=tag:!ipxe,tag:%s,%s\n", boot_kinds[k].tag, files->name[k]);
	add_http_boot(config, networks, files, text);
	return 0;
}

/* Beside another server: only what to boot, by PXE's own menu of one entry without a prompt. */
static void add_proxy(const struct dhcp_config *config, const struct dhcp_network *networks, const struct boot_files *files, struct buf *text)
{
	char subnet[INET_ADDRSTRLEN];

	buf_add_string(text, "dhcp-pxe-vendor=PXEClient,HTTPClient\ndhcp-boot=tag:ipxe,boot.ipxe\n");
	/* No leases are given, and dnsmasq would keep none in a folder that is not ours. */
	buf_add_string(text, "leasefile-ro\n");
	for (unsigned i = 0; i < config->interface_count; i++) {
		struct in_addr network = { networks[i].address.s_addr & networks[i].netmask.s_addr };

		buf_printf(text, "dhcp-range=%s,proxy\n", inet_ntop(AF_INET, &network, subnet, sizeof(subnet)));
	}
	for (unsigned k = 0; k < BOOT_KINDS; k++)
		for (const char *const *arch = boot_kinds[k].arches; *arch; arch++) {
			buf_printf(text, "pxe-service=tag:ipxe,%s,\"sanbootd\",boot.ipxe\n", *arch);
			if (files->name[k][0])
				buf_printf(text, "pxe-service=tag:!ipxe,%s,\"sanbootd\",%s\n", *arch, files->name[k]);
		}
	add_http_boot(config, networks, files, text);
}

int dnsmasq_make_config(const struct dhcp_config *config, const struct dhcp_network *networks, const struct boot_files *files, struct buf *text,
			char *reason, size_t reason_size)
{
	int err = 0;

	add_common(config, text);
	if (config->mode != DHCP_OFF)
		add_clients(config, text);
	if (config->mode == DHCP_FULL)
		err = add_full(config, networks, files, text, reason, reason_size);
	else if (config->mode == DHCP_PROXY)
		add_proxy(config, networks, files, text);
	if (!err && text->failed) {
		snprintf(reason, reason_size, "out of memory");
		err = -ENOMEM;
	}
	return err;
}

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

int dnsmasq_make_hosts(struct inventory_tx *tx, struct buf *text)
{
	struct hosts hosts = { .tx = tx, .text = text };
	int err = machine_each(tx, add_machine, &hosts);

	free(hosts.used);
	return err ? err : text->failed ? -ENOMEM : 0;
}
