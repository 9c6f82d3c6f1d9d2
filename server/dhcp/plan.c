// SPDX-License-Identifier: GPL-2.0-or-later
/* Checked configurations: see plan.h. */
#include "dhcp/plan.h"

#include "base/log.h"
#include "dhcp/command.h"
#include "dhcp/dnsmasq_config.h"
#include "dhcp/files.h"
#include "dhcp/owner.h"
#include "dhcp/tftp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DISCOVER_MS = 2500, TEXT_MAX_BYTES = 1 << 20, DHCP_SERVER_PORT = 67 };

/* Copies one text; NULL stays NULL. */
static bool own(const char **text)
{
	if (!*text)
		return true;
	*text = strdup(*text);
	return *text;
}

static bool own_texts(struct dhcp_config *config)
{
	/* All of them, so that plan_free may free all of them. */
	bool owned = own(&config->ipxe_dir);

	for (unsigned i = 0; i < config->set_count; i++) {
		owned = own(&config->sets[i].name) && owned;
		owned = own(&config->sets[i].directory) && owned;
	}
	owned = own(&config->state_dir) && owned;
	owned = own(&config->runtime_dir) && owned;
	owned = own(&config->advertise) && owned;
	for (unsigned i = 0; i < config->interface_count; i++)
		owned = own(&config->interfaces[i]) && owned;
	for (unsigned i = 0; i < config->range_count; i++)
		owned = own(&config->ranges[i]) && owned;
	for (unsigned i = 0; i < config->option_count; i++)
		owned = own(&config->options[i].text) && owned;
	return owned;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	free((char *)(uintptr_t)plan->config.ipxe_dir);
	for (unsigned i = 0; i < plan->config.set_count; i++) {
		free((char *)(uintptr_t)plan->config.sets[i].name);
		free((char *)(uintptr_t)plan->config.sets[i].directory);
	}
	free((char *)(uintptr_t)plan->config.state_dir);
	free((char *)(uintptr_t)plan->config.runtime_dir);
	free((char *)(uintptr_t)plan->config.advertise);
	for (unsigned i = 0; i < plan->config.interface_count; i++)
		free((char *)(uintptr_t)plan->config.interfaces[i]);
	for (unsigned i = 0; i < plan->config.range_count; i++)
		free((char *)(uintptr_t)plan->config.ranges[i]);
	for (unsigned i = 0; i < plan->config.option_count; i++)
		free((char *)(uintptr_t)plan->config.options[i].text);
	buf_fini(&plan->text);
	free(plan);
}

void plan_conf_path(const struct plan *plan, char *path, size_t path_size)
{
	snprintf(path, path_size, "%s/dnsmasq.conf", plan->config.runtime_dir);
}

static int test(const struct plan *plan, struct reason *reason)
{
	char path[DHCP_PATH_BYTES];
	int err;

	snprintf(path, sizeof(path), "%s/dnsmasq.conf.new", plan->config.runtime_dir);
	err = dhcp_write_file(path, &plan->text, reason);
	if (!err)
		err = dnsmasq_command_test(path, reason);
	unlink(path);
	return err;
}

static int find_set(const struct dhcp_boot_set *set, struct ipxe_files *files, struct reason *reason)
{
	struct reason why;
	int err = ipxe_files_find(set->directory, files, &why);

	return err ? reason_refuse(reason, err,
				   "boot-file-set %s: there is no boot file in %s, or it cannot be read: %s", set->name,
				   set->directory, strerror(-err)) :
		     0;
}

bool dhcp_boot_set_parse(const char *text, char name[DHCP_SET_TEXT], const char **directory)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	if (!len || len >= DHCP_SET_TEXT || text[len] != ':' || text[len + 1] != '/')
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	*directory = text + len + 1;
	/* What people say for none of them. */
	return strcmp(name, "default") && strcmp(name, "group");
}

static int check(struct plan *plan, struct reason *reason)
{
	const struct dhcp_config *config = &plan->config;
	int err = 0;

	plan->runs = config->interface_count > 0;
	if (!plan->runs && config->mode != DHCP_OFF)
		return reason_refuse(reason, -EINVAL,
				     "DHCP needs --interface NAME: the network in which the machines are");
	if (!plan->runs)
		return 0;
	for (unsigned i = 0; !err && i < config->interface_count; i++)
		err = dhcp_network_find(config->interfaces[i], &plan->networks[i], reason);
	if (!err)
		err = ipxe_files_find(config->ipxe_dir, &plan->files[0], reason);
	for (unsigned i = 0; !err && i < config->set_count; i++)
		err = find_set(&config->sets[i], &plan->files[1 + i], reason);
	if (!err && config->mode == DHCP_FULL)
		err = ranges_make(config, plan->networks, &plan->ranges, reason);
	if (!err)
		err = dnsmasq_make_config(config, plan->networks, &plan->ranges, plan->files, &plan->text, reason);
	return err ? err : test(plan, reason);
}

int plan_new(const struct dhcp_config *config, struct plan **out, struct reason *reason)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	int err;

	if (!plan)
		return -ENOMEM;
	plan->config = *config;
	buf_init(&plan->text, TEXT_MAX_BYTES);
	if (own_texts(&plan->config)) {
		err = check(plan, reason);
	} else {
		err = reason_refuse(reason, -ENOMEM, "out of memory");
	}
	if (err)
		plan_free(plan);
	else
		*out = plan;
	return err;
}

static bool same_text(const char *a, const char *b)
{
	return !a || !b ? a == b : !strcmp(a, b);
}

/* The script that boot.ipxe is names an address, which dnsmasq's configuration need not. */
static bool same_networks(const struct plan *a, const struct plan *b)
{
	if (a->config.interface_count != b->config.interface_count)
		return false;
	for (unsigned i = 0; i < a->config.interface_count; i++)
		if (strcmp(a->networks[i].name, b->networks[i].name) ||
		    a->networks[i].address.s_addr != b->networks[i].address.s_addr ||
		    a->networks[i].netmask.s_addr != b->networks[i].netmask.s_addr)
			return false;
	return true;
}

bool plan_same(const struct plan *a, const struct plan *b)
{
	return same_networks(a, b) && a->config.mode == b->config.mode && a->config.http_port == b->config.http_port &&
	       same_text(a->config.advertise, b->config.advertise) &&
	       same_text(a->config.ipxe_dir, b->config.ipxe_dir) && !memcmp(a->files, b->files, sizeof(a->files)) &&
	       a->text.len == b->text.len && !strcmp(buf_text(&a->text), buf_text(&b->text));
}

/* ---- other servers ---- */

static bool own_address(struct in_addr address)
{
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all))
		return false;
	for (struct ifaddrs *at = all; at && !found; at = at->ifa_next)
		found = at->ifa_addr && at->ifa_addr->sa_family == AF_INET &&
			((struct sockaddr_in *)at->ifa_addr)->sin_addr.s_addr == address.s_addr;
	freeifaddrs(all);
	return found;
}

static bool served(const struct plan *now, const char *interface)
{
	for (unsigned i = 0; now && now->config.mode == DHCP_FULL && i < now->config.interface_count; i++)
		if (!strcmp(now->config.interfaces[i], interface))
			return true;
	return false;
}

int plan_check_alone(const struct plan *plan, const struct plan *now, struct reason *reason)
{
	if (plan->config.mode != DHCP_FULL || plan->config.force)
		return 0;
	for (unsigned i = 0; i < plan->config.interface_count; i++) {
		const char *name = plan->networks[i].name;
		char address[INET_ADDRSTRLEN], owner[300] = "";
		struct in_addr server;
		int found = served(now, name) ? 0 : dhcp_discover(&plan->networks[i], DISCOVER_MS, &server);

		if (found < 0) {
			log_warning("cannot ask for other DHCP servers on %s: %s", name, strerror(-found));
		} else if (found) {
			inet_ntop(AF_INET, &server, address, sizeof(address));
			if (!own_address(server) || !owner_of_udp_port(DHCP_SERVER_PORT, owner, sizeof(owner)))
				owner[0] = '\0';
			return reason_refuse(reason, -EADDRINUSE,
					     "another DHCP server, %s%s%s, answers on %s; start with --dhcp proxy to "
					     "work beside it, or with --dhcp-force to be a second one",
					     address, owner[0] ? " on this host: " : "", owner, name);
		}
	}
	return 0;
}

bool plan_has_hosts(const struct plan *plan)
{
	return plan->config.mode == DHCP_FULL || (plan->config.mode == DHCP_PROXY && plan->config.set_count);
}

int plan_write(const struct plan *plan, struct reason *reason)
{
	char path[DHCP_PATH_BYTES];
	int err;

	plan_conf_path(plan, path, sizeof(path));
	err = dhcp_write_file(path, &plan->text, reason);
	for (unsigned i = 0; !err && i < plan->config.interface_count; i++)
		err = tftp_make_root(&plan->config, &plan->networks[i], plan->files, reason);
	return err;
}
