// SPDX-License-Identifier: GPL-2.0-or-later
/* Every option of sanbootd, in one table: see config_options.h. */
#include "config_options.h"

#include "base/util.h"

#include <string.h>
#include <unistd.h>

struct kind {
	/* Takes a value; false: it is none. */
	bool (*take)(struct config *config, const struct option *option, const char *value);
	const char *expected;
};

#define MEMBER(member) .offset = offsetof(struct config, member), .size = sizeof(((struct config *)0)->member)
#define LIST(member, number) MEMBER(member), .count = offsetof(struct config, number)

static bool copy_text(char *to, size_t size, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || len >= size)
		return false;
	strncpy(to, value, size); /* zeroes behind it: members are compared */
	return true;
}

static void *member_of(struct config *config, const struct option *option)
{
	return (char *)config + option->offset;
}

static bool take_path(struct config *config, const struct option *option, const char *value)
{
	return value[0] == '/' && copy_text(member_of(config, option), option->size, value);
}

static bool take_endpoint(struct config *config, const struct option *option, const char *value)
{
	struct config_endpoints *endpoints = member_of(config, option);

	return endpoints->count < CONFIG_ENDPOINTS_MAX && parse_endpoint(value, &endpoints->list[endpoints->count]) &&
	       ++endpoints->count;
}

static bool take_network(struct config *config, const struct option *option, const char *value)
{
	struct config_networks *networks = member_of(config, option);

	return networks->count < CONFIG_NETWORKS_MAX && network_parse(value, &networks->list[networks->count]) &&
	       ++networks->count;
}

static bool take_host(struct config *config, const struct option *option, const char *value)
{
	return strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == strlen(value) &&
	       copy_text(member_of(config, option), option->size, value);
}

static bool take_iqn_prefix(struct config *config, const struct option *option, const char *value)
{
	return !strncmp(value, "iqn.", 4) && strlen(value) <= 180 &&
	       strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.-:") == strlen(value) &&
	       copy_text(member_of(config, option), option->size, value);
}

static bool take_dhcp_mode(struct config *config, const struct option *option, const char *value)
{
	static const char *const names[] = { [DHCP_OFF] = "off", [DHCP_PROXY] = "proxy", [DHCP_FULL] = "full" };
	enum dhcp_mode *mode = member_of(config, option);
	unsigned i = 0;

	while (i < array_len(names) && strcmp(names[i], value))
		i++;
	if (i < array_len(names))
		*mode = (enum dhcp_mode)i;
	return i < array_len(names);
}

/* The next one of a list of texts. */
static bool add_text(struct config *config, const struct option *option, const char *value)
{
	unsigned *count = (unsigned *)((char *)config + option->count);
	char(*texts)[CONFIG_TEXT_MAX] = member_of(config, option);

	return *count < option->size / CONFIG_TEXT_MAX && copy_text(texts[*count], CONFIG_TEXT_MAX, value) && ++*count;
}

static bool take_interface(struct config *config, const struct option *option, const char *value)
{
	return strlen(value) < 16 && !strpbrk(value, " ,/\t") && add_text(config, option, value);
}

static bool take_folder(struct config *config, const struct option *option, const char *value)
{
	return value[0] == '/' && add_text(config, option, value);
}

/* No name twice. */
static bool take_boot_set(struct config *config, const struct option *option, const char *value)
{
	char name[DHCP_SET_TEXT], other[DHCP_SET_TEXT];
	const char *directory;

	if (!dhcp_boot_set_parse(value, name, &directory))
		return false;
	for (unsigned i = 0; i < config->boot_file_set_count; i++)
		if (dhcp_boot_set_parse(config->boot_file_sets[i], other, &directory) && !strcmp(name, other))
			return false;
	return add_text(config, option, value);
}

static bool take_range(struct config *config, const struct option *option, const char *value)
{
	struct reason reason;

	return dhcp_range_valid(value, &reason) && add_text(config, option, value);
}

/* Of the right form: config_take has asked. */
static bool take_dhcp_option(struct config *config, const struct option *option, const char *value)
{
	struct config_dhcp_option *to = &config->dhcp.options[config->dhcp.option_count];

	if (config->dhcp.option_count == DHCP_OPTIONS_MAX || !copy_text(to->text, sizeof(to->text), value))
		return false;
	to->kind = option->dhcp_option;
	config->dhcp.option_count++;
	return true;
}

static bool take_yes(struct config *config, const struct option *option, const char *value)
{
	bool *to = member_of(config, option);

	if (strcmp(value, "yes") && strcmp(value, "no"))
		return false;
	*to = value[0] == 'y';
	return true;
}

uint64_t config_memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static bool take_cache_size(struct config *config, const struct option *option, const char *value)
{
	uint64_t bytes;

	return parse_size(value, &bytes) && bytes <= config_memory_bytes() &&
	       memcpy(member_of(config, option), &bytes, sizeof(bytes));
}

static bool take_threads(struct config *config, const struct option *option, const char *value)
{
	unsigned *threads = member_of(config, option);
	uint64_t count;

	if (!parse_u64(value, 1, CONFIG_THREADS_MAX, &count))
		return false;
	*threads = (unsigned)count;
	return true;
}

static bool take_log_level(struct config *config, const struct option *option, const char *value)
{
	return log_parse_level(value, member_of(config, option));
}

static const struct kind
	a_path = { take_path, "an absolute path" },
	an_endpoint = { take_endpoint,
			"ADDR:PORT with a numeric address, such as 0.0.0.0:8080 or [::]:8080 (at most 16 of them)" },
	a_network = { take_network,
		      "an address, or ADDR/BITS with nothing beyond the bits, such as 10.0.0.5 or fd00::/8 (at most 16 of them)" },
	a_host = { take_host, "an IPv4 address or a host name" },
	a_prefix = { take_iqn_prefix,
		     "an iSCSI name without its last part, such as iqn.2026-11.org.example:sanbootd (lower case, at most 180 characters)" },
	a_mode = { take_dhcp_mode, "off, proxy or full" },
	an_interface = { take_interface, "the name of a network interface (at most 16 of them)" },
	a_range = { take_range,
		    "FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h (at most 32 of them)" },
	a_boot_set = { take_boot_set,
		       "NAME:DIR, such as ms2023:/srv/ipxe-2023: a name of letters, digits, - and _ (not default or group, none twice), and an absolute path (at most 8 of them)" },
	a_dhcp_option = { take_dhcp_option, "no more than 64 DHCP options of at most 255 characters each" },
	a_folder = { take_folder, "an absolute path of at most 255 characters (at most 8 of them)" },
	yes_or_no = { take_yes, "yes or no" },
	a_size = { take_cache_size, "a size such as 2G, less than the machine's memory, or 0 for none" },
	a_number = { take_threads, "a number from 1 to 256" },
	a_level = { take_log_level, "error, warning, info or debug" };

const struct option config_options[] = {
	{ "config", "FILE", .otherwise = CONFIG_DEFAULT_FILE ", if it exists", .help = "configuration file" },
	{ "state-dir", "DIR", &a_path, MEMBER(state_dir), .environment = "STATE_DIRECTORY",
	  .standard = "/var/lib/sanbootd", .help = "inventory, images, children, leases" },
	{ "runtime-dir", "DIR", &a_path, MEMBER(runtime_dir), .environment = "RUNTIME_DIRECTORY",
	  .standard = "/run/sanbootd", .help = "control socket, generated dnsmasq files" },
	{ "http", "ADDR:PORT", &an_endpoint, LIST(http, http.count), .standard = "0.0.0.0:8080",
	  .help = "boot scripts and boot files" },
	{ "web", "ADDR:PORT", &an_endpoint, LIST(web, web.count), .otherwise = "same as --http",
	  .help = "the pages and the API, on addresses of their own" },
	{ "trusted-proxy", "ADDR[/BITS]", &a_network, LIST(trusted_proxies.list, trusted_proxies.count),
	  .otherwise = "none",
	  .help = "proxies before the pages and the API, whose X-Forwarded-For, -Proto, -Host and -Prefix count" },
	{ "iscsi", "ADDR:PORT", &an_endpoint, LIST(iscsi, iscsi.count), .standard = "0.0.0.0:3260",
	  .help = "iSCSI portals" },
	{ "advertise", "HOST", &a_host, MEMBER(advertise), .otherwise = "the IPv4 address that the client reached",
	  .help = "what scripts name as the server" },
	{ "iqn-prefix", "PREFIX", &a_prefix, MEMBER(iqn_prefix),
	  .otherwise = "iqn.2026-11.<reversed host name>:sanbootd", .help = "first part of all target names" },
	{ "dhcp", "off|proxy|full", &a_mode, MEMBER(dhcp.mode), .standard = "off", .live = true,
	  .help = "supervised dnsmasq: none, beside an existing DHCP server, or being it" },
	{ "interface", "NAME", &an_interface, LIST(dhcp.interfaces, dhcp.interface_count), .live = true,
	  .help = "where dnsmasq serves" },
	{ "dhcp-range", "FIRST,LAST[,LEASE]", &a_range, LIST(dhcp.ranges, dhcp.range_count), .live = true,
	  .help = "with --dhcp full: addresses to give out on the interface in whose network they lie, and for how long (12h)" },
	{ "dhcp-router", "[INTERFACE:]ADDR,...|none", &a_dhcp_option, LIST(dhcp.options, dhcp.option_count),
	  .dhcp_option = DHCP_OPTION_ROUTER, .otherwise = "none", .live = true,
	  .help = "with --dhcp full: the router that machines of its network are told" },
	{ "dhcp-dns", "[INTERFACE:]ADDR,...|none", &a_dhcp_option, LIST(dhcp.options, dhcp.option_count),
	  .dhcp_option = DHCP_OPTION_DNS, .otherwise = "none", .live = true,
	  .help = "with --dhcp full: name servers, on all interfaces or one" },
	{ "dhcp-ntp", "[INTERFACE:]ADDR,...|none", &a_dhcp_option, LIST(dhcp.options, dhcp.option_count),
	  .dhcp_option = DHCP_OPTION_NTP, .otherwise = "none", .live = true,
	  .help = "with --dhcp full: time servers, on all interfaces or one" },
	{ "dhcp-domain", "[INTERFACE:]NAME,...|none", &a_dhcp_option, LIST(dhcp.options, dhcp.option_count),
	  .dhcp_option = DHCP_OPTION_DOMAIN, .otherwise = "none", .live = true,
	  .help = "with --dhcp full: the domain, and after it further ones to search, on all interfaces or one" },
	{ "dhcp-force", NULL, &yes_or_no, MEMBER(dhcp.force), .live = true,
	  .help = "with --dhcp full: start although another DHCP server answered" },
	{ "ipxe-dir", "DIR", &a_path, MEMBER(ipxe_dir), .standard = "/usr/lib/ipxe",
	  .help = "boot files for TFTP and HTTP boot" },
	{ "boot-file-set", "NAME:DIR", &a_boot_set, LIST(boot_file_sets, boot_file_set_count), .otherwise = "none",
	  .help = "other boot files for some machines: machine set M boot-file-set=NAME" },
	{ "ipxe-scripts", "DIR", &a_path, MEMBER(ipxe_scripts), .standard = "/etc/sanbootd/ipxe-scripts",
	  .help = "scripts of your own in the place of built-in ones" },
	{ "entries", "DIR", &a_path, MEMBER(entries), .standard = "/etc/sanbootd/entries",
	  .help = "what machines can boot besides their disk, NAME.conf each" },
	{ "templates", "DIR", &a_path, MEMBER(templates), .standard = "/etc/sanbootd/templates",
	  .help = "what tells machines who they are: a folder NAME each, for machine set M templates=NAME" },
	{ "boot-files", "DIR", &a_path, MEMBER(boot_files), .otherwise = "STATE/boot-files",
	  .help = "files that entries load: kernels, installers" },
	{ "import-dir", "DIR", &a_folder, LIST(import_dirs.list, import_dirs.count), .otherwise = "none",
	  .help = "files here may be named by imports over the network (with a token); the control socket may name any" },
	{ "export-dir", "DIR", &a_folder, LIST(export_dirs.list, export_dirs.count), .otherwise = "none",
	  .help = "the same for exports, which write files here" },
	{ "cache-size", "SIZE", &a_size, MEMBER(cache_bytes), .otherwise = "an eighth of all",
	  .help = "memory for what machines read of golden images; 0: none" },
	{ "threads", "N", &a_number, MEMBER(threads), .otherwise = "one per core", .help = "I/O loops" },
	{ "log-level", "error|warning|info|debug", &a_level, MEMBER(log_level), .standard = "info", .live = true,
	  .help = "what is logged" },
	{ 0 },
};

const struct option *config_option(const char *name, size_t len)
{
	for (const struct option *option = config_options; option->name; option++)
		if (strlen(option->name) == len && !memcmp(option->name, name, len))
			return option;
	return NULL;
}

static void forget_dhcp_options(struct config_dhcp *dhcp, enum dhcp_option_kind kind)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < dhcp->option_count; i++)
		if (dhcp->options[i].kind != kind)
			dhcp->options[kept++] = dhcp->options[i];
	memset(&dhcp->options[kept], 0, (dhcp->option_count - kept) * sizeof(dhcp->options[0]));
	dhcp->option_count = kept;
}

/* What earlier sources said of an option that may be given several times. */
static void forget(const struct option *option, struct config *config)
{
	if (option->kind == &a_dhcp_option) {
		forget_dhcp_options(&config->dhcp, option->dhcp_option);
		return;
	}
	memset(member_of(config, option), 0, option->size); /* lists are compared */
	*(unsigned *)((char *)config + option->count) = 0;
}

const char *config_take(struct config *config, const struct option *option, const char *value, uint64_t *seen)
{
	uint64_t bit = 1ull << (option - config_options);
	const char *expected;

	if (option->count && !(*seen & bit))
		forget(option, config);
	*seen |= bit;
	if (option->kind == &a_dhcp_option && !dhcp_option_valid(option->dhcp_option, value, &expected))
		return expected;
	return option->kind->take(config, option, value) ? NULL : option->kind->expected;
}
