// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dnsmasq's configuration: see dnsmasq_config.h. Only our own file is read (-C), DNS is off, and nothing makes this
 * host a router: the router option is emptied, and dnsmasq sends no router advertisements (router.c sends one that
 * says: no router).
 */
#include "dhcp/dnsmasq_config.h"

#include "dhcp/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

enum { SET_FILE_TEXT = BOOT_FILE_TEXT + DHCP_SET_TEXT + 8 };

static void add_common(const struct dhcp_config *config, struct buf *text)
{
	buf_add_string(text,
		       "# Made by sanbootd at each start; changes here are lost.\n"
		       "port=0\nbind-dynamic\nexcept-interface=lo\nlog-dhcp\nlog-facility=-\nno-hosts\nno-resolv\n");
	for (unsigned i = 0; i < config->interface_count; i++)
		buf_printf(text, "interface=%s\n", config->interfaces[i]);
	buf_add_string(text, "enable-tftp\ntftp-max=2048\n");
	for (unsigned i = 0; i < config->interface_count; i++)
		buf_printf(text, "tftp-root=%s/tftp/%s,%s\n", config->runtime_dir, config->interfaces[i],
			   config->interfaces[i]);
}

/* The lease file, and tags by what the client says of itself. */
static void add_clients(const struct dhcp_config *config, struct buf *text)
{
	/* Also in proxy mode, where it stays empty: dnsmasq opens one, and its own default is not ours to write. */
	buf_printf(text, "dhcp-leasefile=%s/dnsmasq/leases\n", config->state_dir);
	/* iPXE shows itself by option 175 or by its user class. */
	buf_add_string(text, "dhcp-match=set:ipxe,175\ndhcp-userclass=set:ipxe,iPXE\n");
	for (const struct boot_kind *kind = dhcp_boot_kinds; kind < dhcp_boot_kinds + BOOT_KINDS; kind++) {
		for (const char *const *arch = kind->arches; *arch; arch++)
			buf_printf(text, "dhcp-match=set:%s,option:client-arch,%s\n", kind->tag, *arch);
		if (kind->http_arch)
			buf_printf(
				text,
				"dhcp-match=set:http,option:client-arch,%s\ndhcp-match=set:http-%s,option:client-arch,%s\n",
				kind->http_arch, kind->tag, kind->http_arch);
	}
}

/* ---- boot files: those of --ipxe-dir, and those of each set ---- */

static const char *set_file(const struct dhcp_config *config, const struct ipxe_files *files, unsigned set,
			    unsigned kind, char path[SET_FILE_TEXT])
{
	if (set)
		snprintf(path, SET_FILE_TEXT, BOOT_SETS "%s/%s", config->sets[set - 1].name, files[set].name[kind]);
	else
		snprintf(path, SET_FILE_TEXT, "%s", files[0].name[kind]);
	return path;
}

/* ",tag:set-NAME" for who has this set. Without one: who has none in which there is such a file. */
static void add_set_tags(const struct dhcp_config *config, const struct ipxe_files *files, unsigned set, unsigned kind,
			 struct buf *text)
{
	if (set)
		buf_printf(text, ",tag:set-%s", config->sets[set - 1].name);
	for (unsigned i = 0; !set && i < config->set_count; i++)
		if (files[1 + i].name[kind][0])
			buf_printf(text, ",tag:!set-%s", config->sets[i].name);
}

/* UEFI HTTP boot: a URL, and in full mode HTTPClient back (in proxy mode dhcp-pxe-vendor does it). */
static void add_http_boot(const struct dhcp_config *config, const struct dhcp_network *networks,
			  const struct ipxe_files *files, struct buf *text)
{
	for (unsigned i = 0; i < config->interface_count; i++) {
		char address[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &networks[i].address, address, sizeof(address));
		for (unsigned at = 0; at < (1 + config->set_count) * BOOT_KINDS; at++) {
			unsigned set = at / BOOT_KINDS, k = at % BOOT_KINDS;
			char path[SET_FILE_TEXT];

			if (!dhcp_boot_kinds[k].http_arch || !files[set].name[k][0])
				continue;
			buf_printf(text, "dhcp-boot=tag:!ipxe,tag:http-%s,tag:%s", dhcp_boot_kinds[k].tag,
				   networks[i].name);
			add_set_tags(config, files, set, k, text);
			buf_printf(text, ",http://%s:%u/ipxe/%s\n", config->advertise ? config->advertise : address,
				   config->http_port, set_file(config, files, set, k, path));
		}
	}
}

static int add_full(const struct dhcp_config *config, const struct dhcp_network *networks,
		    const struct dhcp_ranges *ranges, const struct ipxe_files *files, struct buf *text,
		    struct reason *reason)
{
	int err = options_add_config(config, networks, text, reason);

	if (err)
		return err;
	ranges_add_config(ranges, networks, text);
	buf_printf(text,
		   "dhcp-hostsfile=%s/dnsmasq.hosts\n"
		   "dhcp-authoritative\nno-ping\n"
		   /* Firmware, iPXE and initramfs of one machine send different client ids; its MAC is what stays. */
		   "dhcp-ignore-clid\n"
		   /* dnsmasq would name itself as the router where none is named. */
		   "dhcp-option=option:router\n"
		   /* iPXE's no-pxedhcp: no second DHCP server to wait for. */
		   "dhcp-option-force=tag:ipxe,encap:175,176,1b\n"
		   "dhcp-option-force=tag:!ipxe,tag:http,60,HTTPClient\n"
		   "dhcp-boot=tag:ipxe,boot.ipxe\n",
		   config->runtime_dir);
	for (unsigned at = 0; at < (1 + config->set_count) * BOOT_KINDS; at++) {
		unsigned set = at / BOOT_KINDS, k = at % BOOT_KINDS;
		char path[SET_FILE_TEXT];

		if (!files[set].name[k][0])
			continue;
		buf_printf(text, "dhcp-boot=tag:!ipxe,tag:%s", dhcp_boot_kinds[k].tag);
		add_set_tags(config, files, set, k, text);
		buf_printf(text, ",%s\n", set_file(config, files, set, k, path));
	}
	add_http_boot(config, networks, files, text);
	return 0;
}

static void add_services(const struct dhcp_config *config, const struct ipxe_files *files, unsigned kind,
			 const char *arch, struct buf *text)
{
	char path[SET_FILE_TEXT];

	for (unsigned set = 0; set <= config->set_count; set++) {
		if (!files[set].name[kind][0])
			continue;
		buf_add_string(text, "pxe-service=tag:!ipxe");
		add_set_tags(config, files, set, kind, text);
		buf_printf(text, ",%s,\"sanbootd\",%s\n", arch, set_file(config, files, set, kind, path));
	}
}

/* Beside another server: only what to boot, by PXE's own menu of one entry without a prompt. */
static void add_proxy(const struct dhcp_config *config, const struct dhcp_network *networks,
		      const struct ipxe_files *files, struct buf *text)
{
	char subnet[INET_ADDRSTRLEN];

	buf_add_string(text, "dhcp-pxe-vendor=PXEClient,HTTPClient\ndhcp-boot=tag:ipxe,boot.ipxe\n");
	/* No leases are given, and dnsmasq would keep none in a folder that is not ours. */
	buf_add_string(text, "leasefile-ro\n");
	for (unsigned i = 0; i < config->interface_count; i++) {
		struct in_addr network = { networks[i].address.s_addr & networks[i].netmask.s_addr };

		buf_printf(text, "dhcp-range=%s,proxy\n", inet_ntop(AF_INET, &network, subnet, sizeof(subnet)));
	}
	if (config->set_count)
		buf_printf(text, "dhcp-hostsfile=%s/dnsmasq.hosts\n", config->runtime_dir);
	for (unsigned k = 0; k < BOOT_KINDS; k++)
		for (const char *const *arch = dhcp_boot_kinds[k].arches; *arch; arch++) {
			buf_printf(text, "pxe-service=tag:ipxe,%s,\"sanbootd\",boot.ipxe\n", *arch);
			add_services(config, files, k, *arch, text);
		}
	add_http_boot(config, networks, files, text);
}

int dnsmasq_make_config(const struct dhcp_config *config, const struct dhcp_network *networks,
			const struct dhcp_ranges *ranges, const struct ipxe_files *files, struct buf *text,
			struct reason *reason)
{
	int err = 0;

	add_common(config, text);
	if (config->mode != DHCP_OFF)
		add_clients(config, text);
	if (config->mode == DHCP_FULL)
		err = add_full(config, networks, ranges, files, text, reason);
	else if (config->mode == DHCP_PROXY)
		add_proxy(config, networks, files, text);
	if (!err && text->failed)
		err = reason_refuse(reason, -ENOMEM, "out of memory");
	return err;
}
