// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Configuration: one table of options serves the file and the flags. A repeatable option given as a flag replaces what
 * the file said.
 */
#include "config.h"

#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_DEFAULT_FILE "/etc/sanbootd/sanbootd.conf"

/* Puts value into config, or says in expected what it should have been. */
typedef bool config_set(struct config *config, size_t offset, const char *value, const char **expected);

struct option {
	const char *name;
	const char *argument; /* NULL: a flag without a value, in the file "yes" or "no" */
	config_set *set;
	size_t offset;
	const char *help;
};

static bool copy_text(char *to, size_t size, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || len >= size)
		return false;
	memcpy(to, value, len + 1);
	return true;
}

static bool set_path(struct config *config, size_t offset, const char *value, const char **expected)
{
	*expected = "an absolute path";
	return value[0] == '/' && copy_text((char *)config + offset, CONFIG_PATH_MAX, value);
}

static bool set_endpoint(struct config *config, size_t offset, const char *value, const char **expected)
{
	struct config_endpoints *endpoints = (struct config_endpoints *)((char *)config + offset);

	*expected = "ADDR:PORT with a numeric address, such as 0.0.0.0:8080 or [::]:8080 (at most 16 of them)";
	return endpoints->count < CONFIG_ENDPOINTS_MAX && parse_endpoint(value, &endpoints->list[endpoints->count]) &&
	       ++endpoints->count;
}

static bool set_advertise(struct config *config, size_t offset, const char *value, const char **expected)
{
	*expected = "an IPv4 address or a host name";
	return strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == strlen(value) &&
	       copy_text((char *)config + offset, CONFIG_TEXT_MAX, value);
}

static bool set_iqn_prefix(struct config *config, size_t offset, const char *value, const char **expected)
{
	*expected = "an iSCSI name without its last part, such as iqn.2026-11.org.example:sanbootd (lower case, at most 180 characters)";
	return !strncmp(value, "iqn.", 4) && strlen(value) <= 180 &&
	       strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.-:") == strlen(value) &&
	       copy_text((char *)config + offset, CONFIG_TEXT_MAX, value);
}

static bool set_dhcp(struct config *config, size_t offset, const char *value, const char **expected)
{
	static const char *const names[] = { [DHCP_OFF] = "off", [DHCP_PROXY] = "proxy", [DHCP_FULL] = "full" };

	(void)offset;
	*expected = "off, proxy or full";
	for (size_t i = 0; i < array_len(names); i++) {
		if (!strcmp(names[i], value)) {
			config->dhcp.mode = (enum dhcp_mode)i;
			return true;
		}
	}
	return false;
}

static bool set_interface(struct config *config, size_t offset, const char *value, const char **expected)
{
	(void)offset;
	*expected = "the name of a network interface (at most 16 of them)";
	return config->dhcp.interface_count < DHCP_INTERFACES_MAX && strlen(value) < 16 && !strpbrk(value, " ,/\t") &&
	       copy_text(config->dhcp.interfaces[config->dhcp.interface_count], CONFIG_TEXT_MAX, value) &&
	       ++config->dhcp.interface_count;
}

static bool set_range(struct config *config, size_t offset, const char *value, const char **expected)
{
	struct reason reason;

	(void)offset;
	*expected = "FIRST,LAST or FIRST,LAST,LEASE, such as 10.0.0.100,10.0.0.200,12h (at most 32 of them)";
	return config->dhcp.range_count < DHCP_RANGES_MAX && dhcp_range_valid(value, &reason) &&
	       copy_text(config->dhcp.ranges[config->dhcp.range_count], CONFIG_TEXT_MAX, value) &&
	       ++config->dhcp.range_count;
}

/* offset: enum dhcp_option_kind */
static bool set_dhcp_option(struct config *config, size_t offset, const char *value, const char **expected)
{
	struct config_dhcp_option *option = &config->dhcp.options[config->dhcp.option_count];

	if (!dhcp_option_valid((enum dhcp_option_kind)offset, value, expected))
		return false;
	*expected = "no more than 64 DHCP options of at most 255 characters each";
	if (config->dhcp.option_count == DHCP_OPTIONS_MAX || !copy_text(option->text, sizeof(option->text), value))
		return false;
	option->kind = (enum dhcp_option_kind)offset;
	config->dhcp.option_count++;
	return true;
}

static uint64_t memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static bool set_yes(struct config *config, size_t offset, const char *value, const char **expected)
{
	bool *to = (bool *)((char *)config + offset);

	*expected = "yes or no";
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return false;
	*to = value[0] == 'y';
	return true;
}

static bool set_cache_size(struct config *config, size_t offset, const char *value, const char **expected)
{
	uint64_t bytes;

	(void)offset;
	*expected = "a size such as 2G, less than the machine's memory, or 0 for none";
	if (!parse_size(value, &bytes) || bytes > memory_bytes())
		return false;
	config->cache_bytes = bytes;
	return true;
}

static bool set_threads(struct config *config, size_t offset, const char *value, const char **expected)
{
	uint64_t count;

	(void)offset;
	*expected = "a number from 1 to 256";
	if (!parse_u64(value, 1, 256, &count))
		return false;
	config->threads = (unsigned)count;
	return true;
}

static bool set_log_level(struct config *config, size_t offset, const char *value, const char **expected)
{
	(void)offset;
	*expected = "error, warning, info or debug";
	return log_parse_level(value, &config->log_level);
}

static const struct option options[] = {
	{ "config", "FILE", NULL, 0, "configuration file (default " CONFIG_DEFAULT_FILE ", if it exists)" },
	{ "state-dir", "DIR", set_path, offsetof(struct config, state_dir),
	  "inventory, images, children, leases (default $STATE_DIRECTORY or /var/lib/sanbootd)" },
	{ "runtime-dir", "DIR", set_path, offsetof(struct config, runtime_dir),
	  "control socket, generated dnsmasq files (default $RUNTIME_DIRECTORY or /run/sanbootd)" },
	{ "http", "ADDR:PORT", set_endpoint, offsetof(struct config, http),
	  "boot scripts and boot files; repeatable (default 0.0.0.0:8080)" },
	{ "web", "ADDR:PORT", set_endpoint, offsetof(struct config, web),
	  "the pages and the API, when they shall live elsewhere; repeatable (default: same as --http)" },
	{ "iscsi", "ADDR:PORT", set_endpoint, offsetof(struct config, iscsi),
	  "iSCSI portals; repeatable (default 0.0.0.0:3260)" },
	{ "advertise", "HOST", set_advertise, offsetof(struct config, advertise),
	  "what scripts name as the server (default: the IPv4 address that the client reached)" },
	{ "iqn-prefix", "PREFIX", set_iqn_prefix, offsetof(struct config, iqn_prefix),
	  "first part of all target names (default iqn.2026-11.<reversed host name>:sanbootd)" },
	{ "dhcp", "off|proxy|full", set_dhcp, 0,
	  "supervised dnsmasq: none, beside an existing DHCP server, or being it (default off)" },
	{ "interface", "NAME", set_interface, 0, "where dnsmasq serves; repeatable" },
	{ "dhcp-range", "FIRST,LAST[,LEASE]", set_range, 0,
	  "with --dhcp full: addresses to give out on the interface in whose network they lie, and for how long (12h); repeatable" },
	{ "dhcp-router", "[INTERFACE:]ADDR,...|none", set_dhcp_option, DHCP_OPTION_ROUTER,
	  "with --dhcp full: the router that machines of its network are told; repeatable (default none)" },
	{ "dhcp-dns", "[INTERFACE:]ADDR,...|none", set_dhcp_option, DHCP_OPTION_DNS,
	  "with --dhcp full: name servers, on all interfaces or one; repeatable (default none)" },
	{ "dhcp-ntp", "[INTERFACE:]ADDR,...|none", set_dhcp_option, DHCP_OPTION_NTP,
	  "with --dhcp full: time servers, on all interfaces or one; repeatable (default none)" },
	{ "dhcp-domain", "[INTERFACE:]NAME,...|none", set_dhcp_option, DHCP_OPTION_DOMAIN,
	  "with --dhcp full: the domain, and after it further ones to search, on all interfaces or one; repeatable (default none)" },
	{ "dhcp-force", NULL, set_yes, offsetof(struct config, dhcp.force),
	  "with --dhcp full: start although another DHCP server answered" },
	{ "ipxe-dir", "DIR", set_path, offsetof(struct config, ipxe_dir),
	  "boot files for TFTP and HTTP boot (default /usr/lib/ipxe)" },
	{ "ipxe-scripts", "DIR", set_path, offsetof(struct config, ipxe_scripts),
	  "scripts of your own in the place of built-in ones (default /etc/sanbootd/ipxe-scripts)" },
	{ "entries", "DIR", set_path, offsetof(struct config, entries),
	  "what machines can boot besides their disk, NAME.conf each (default /etc/sanbootd/entries)" },
	{ "boot-files", "DIR", set_path, offsetof(struct config, boot_files),
	  "files that entries load: kernels, installers (default STATE/boot-files)" },
	{ "cache-size", "SIZE", set_cache_size, 0,
	  "memory for what machines read of golden images; 0: none (default: an eighth of all)" },
	{ "threads", "N", set_threads, 0, "I/O loops (default: one per core)" },
	{ "log-level", "error|warning|info|debug", set_log_level, 0, "what is logged (default info)" },
};

static const struct option *option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < array_len(options); i++)
		if (strlen(options[i].name) == len && !memcmp(options[i].name, name, len))
			return &options[i];
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

/* Repeatable options begin anew with the first flag, whatever the file said. */
static void forget_repeatable(const struct option *option, struct config *config, uint64_t *seen)
{
	uint64_t bit = 1ull << (option - options);

	if (*seen & bit)
		return;
	*seen |= bit;
	if (option->set == set_endpoint)
		((struct config_endpoints *)((char *)config + option->offset))->count = 0;
	else if (option->set == set_interface)
		config->dhcp.interface_count = 0;
	else if (option->set == set_range)
		config->dhcp.range_count = 0;
	else if (option->set == set_dhcp_option)
		forget_dhcp_options(&config->dhcp, (enum dhcp_option_kind)option->offset);
}

/* "# ..." at the start of a line or behind white space. */
static void cut_comment(char *line)
{
	for (char *at = strchr(line, '#'); at; at = strchr(at + 1, '#'))
		if (at == line || isspace((unsigned char)at[-1])) {
			*at = '\0';
			return;
		}
}

static bool config_set_line(struct config *config, char *line, struct reason *why)
{
	char *text, *name, *value;
	const struct option *option;
	const char *expected;

	cut_comment(line);
	text = parse_trim(line);
	if (!*text)
		return true;
	if (!parse_assignment(text, &name, &value))
		return reason_refuse(why, false, "expected KEY = VALUE");
	option = option_find(name, strlen(name));
	if (!option || !option->set)
		return reason_refuse(why, false,
				     "unknown key \"%s\"; the keys are the flags of sanbootd --help without the dashes",
				     name);
	if (!option->set(config, option->offset, value, &expected))
		return reason_refuse(why, false, "%s = %s: expected %s", name, value, expected);
	return true;
}

static bool config_read_file(struct config *config, const char *path, bool must_exist, struct reason *reason)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	struct reason why;
	size_t line_size = 0;
	unsigned number = 0;
	bool ok = true;

	if (!file) {
		if (!must_exist && errno == ENOENT)
			return true;
		return reason_refuse(reason, false, "cannot read the configuration file %s: %s", path, strerror(errno));
	}
	copy_text(config->file, sizeof(config->file), path);
	while (ok && getline(&line, &line_size, file) >= 0) {
		number++;
		ok = config_set_line(config, line, &why);
		if (!ok)
			reason_set(reason, "%s:%u: %s", path, number, why.text);
	}
	if (ok && ferror(file)) {
		reason_set(reason, "cannot read the configuration file %s: %s", path, strerror(EIO));
		ok = false;
	}
	free(line);
	fclose(file);
	return ok;
}

static bool config_set_flag(struct config *config, const char *arg, const char *next, unsigned *used, uint64_t *seen,
			    struct reason *reason)
{
	const char *equals = strchr(arg, '='), *value = equals ? equals + 1 : next, *expected;
	size_t len = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
	const struct option *option = option_find(arg + 2, len);

	*used = 1;
	if (!option)
		return reason_refuse(reason, false, "unknown flag %s; see sanbootd --help", arg);
	if (!option->argument && !equals) {
		value = "yes";
	} else if (!equals) {
		*used = 2;
		if (!next)
			return reason_refuse(reason, false, "--%s needs a value: %s", option->name, option->argument);
	}
	if (!option->set)
		return true; /* --config: already read */
	forget_repeatable(option, config, seen);
	if (!option->set(config, option->offset, value, &expected))
		return reason_refuse(reason, false, "--%s %s: expected %s", option->name, value, expected);
	return true;
}

/* The value of --config, so that the file can be read before the flags that win over it. NULL: not given. */
static const char *find_config_flag(int argc, char *const argv[])
{
	const char *path = NULL;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--config") && i + 1 < argc)
			path = argv[++i];
		else if (!strncmp(argv[i], "--config=", 9))
			path = argv[i] + 9;
	}
	return path;
}

/* "pc1.lab.example.org" -> "org.example.lab.pc1", with only what an iSCSI name may hold (RFC 3722). */
static void make_iqn_prefix(char *prefix, size_t size)
{
	char host[128] = "", *dot;
	struct buf buf;

	gethostname(host, sizeof(host) - 1);
	for (char *c = host; *c; c++)
		*c = isalnum((unsigned char)*c) || *c == '.' || *c == '-' ? (char)tolower((unsigned char)*c) : '-';
	buf_init(&buf, size);
	buf_add_string(&buf, "iqn.2026-11.");
	while ((dot = strrchr(host, '.'))) {
		if (dot[1])
			buf_printf(&buf, "%s.", dot + 1);
		*dot = '\0';
	}
	buf_printf(&buf, "%s:sanbootd", host[0] ? host : "local");
	snprintf(prefix, size, "%s", buf_text(&buf));
	buf_fini(&buf);
}

static void config_defaults(struct config *config)
{
	const char *state = getenv("STATE_DIRECTORY"), *runtime = getenv("RUNTIME_DIRECTORY");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	memset(config, 0, sizeof(*config)); /* padding too: SIGHUP compares two of them */
	config->log_level = LOG_LEVEL_INFO;
	snprintf(config->state_dir, sizeof(config->state_dir), "%s", state && *state ? state : "/var/lib/sanbootd");
	snprintf(config->runtime_dir, sizeof(config->runtime_dir), "%s",
		 runtime && *runtime ? runtime : "/run/sanbootd");
	snprintf(config->ipxe_dir, sizeof(config->ipxe_dir), "/usr/lib/ipxe");
	snprintf(config->ipxe_scripts, sizeof(config->ipxe_scripts), "/etc/sanbootd/ipxe-scripts");
	snprintf(config->entries, sizeof(config->entries), "/etc/sanbootd/entries");
	make_iqn_prefix(config->iqn_prefix, sizeof(config->iqn_prefix));
	config->cache_bytes = memory_bytes() / 8;
	config->threads = cores < 1 ? 1 : cores > 256 ? 256 : (unsigned)cores;
}

static bool config_check_whole(struct config *config, struct reason *reason)
{
	if (!config->http.count)
		config->http.count = parse_endpoint("0.0.0.0:8080", &config->http.list[0]);
	if (!config->boot_files[0] &&
	    snprintf(config->boot_files, sizeof(config->boot_files), "%s/boot-files", config->state_dir) >=
		    (int)sizeof(config->boot_files))
		config->boot_files[0] = '\0'; /* no file is below it then */
	if (!config->iscsi.count)
		config->iscsi.count = parse_endpoint("0.0.0.0:3260", &config->iscsi.list[0]);
	if (config->dhcp.mode != DHCP_OFF && !config->dhcp.interface_count)
		reason_set(reason, "--dhcp %s needs --interface NAME: the network in which the machines are",
			   config->dhcp.mode == DHCP_FULL ? "full" : "proxy");
	else if (config->dhcp.mode == DHCP_FULL && !config->dhcp.range_count)
		reason_set(reason, "--dhcp full needs --dhcp-range FIRST,LAST: the addresses to give out");
	else if (config->dhcp.mode != DHCP_FULL && config->dhcp.force)
		reason_set(reason, "--dhcp-force makes sense only with --dhcp full");
	else
		return true;
	return false;
}

enum config_result config_load(int argc, char *const argv[], struct config *config, struct reason *reason)
{
	const char *file = find_config_flag(argc, argv);
	uint64_t seen = 0;
	unsigned used;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return CONFIG_HELP;
		if (!strcmp(argv[i], "--version"))
			return CONFIG_VERSION;
	}
	config_defaults(config);
	if (!config_read_file(config, file ? file : CONFIG_DEFAULT_FILE, file != NULL, reason))
		return CONFIG_BAD;
	for (int i = 1; i < argc; i += (int)used) {
		if (strncmp(argv[i], "--", 2))
			return reason_refuse(reason, CONFIG_BAD, "unexpected argument \"%s\"; see sanbootd --help",
					     argv[i]);
		if (!config_set_flag(config, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used, &seen, reason))
			return CONFIG_BAD;
	}
	return config_check_whole(config, reason) ? CONFIG_RUN : CONFIG_BAD;
}

void config_help(struct buf *text)
{
	buf_add_string(text, "sanbootd boots diskless machines from one golden image: DHCP, iPXE scripts and iSCSI disks from one program.\n\n"
			     "usage: sanbootd [FLAG]...\n\n");
	for (size_t i = 0; i < array_len(options); i++) {
		buf_printf(text, "  --%s%s%s\n        %s\n", options[i].name, options[i].argument ? " " : "",
			   options[i].argument ? options[i].argument : "", options[i].help);
	}
	buf_add_string(text,
		       "  --version\n  --help\n\n"
		       "Each flag is also a key of the configuration file (state-dir = /srv/sanbootd); flags win.\n"
		       "First steps: sanbootctl image build debian --name debian --default\n");
}
