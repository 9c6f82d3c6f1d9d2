// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Configuration: the file, the flags, the help, and what a reload cannot do, all by the table of config_options.c. A
 * repeatable option given as a flag replaces what the file said, and either replaces the default.
 */
#include "config.h"

#include "base/util.h"
#include "config_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "# ..." at the start of a line or behind white space. */
static void cut_comment(char *line)
{
	for (char *at = strchr(line, '#'); at; at = strchr(at + 1, '#'))
		if (at == line || isspace((unsigned char)at[-1])) {
			*at = '\0';
			return;
		}
}

static bool config_set_line(struct config *config, char *line, uint64_t *seen, struct reason *why)
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
	option = config_option(name, strlen(name));
	if (!option || !option->kind)
		return reason_refuse(why, false,
				     "unknown key \"%s\"; the keys are the flags of sanbootd --help without the dashes",
				     name);
	expected = config_take(config, option, value, seen);
	return expected ? reason_refuse(why, false, "%s = %s: expected %s", name, value, expected) : true;
}

static bool config_read_file(struct config *config, const char *path, bool must_exist, struct reason *reason)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	struct reason why;
	size_t line_size = 0;
	unsigned number = 0;
	uint64_t seen = 0;
	bool ok = true;

	if (!file) {
		if (!must_exist && errno == ENOENT)
			return true;
		return reason_refuse(reason, false, "cannot read the configuration file %s: %s", path, strerror(errno));
	}
	snprintf(config->file, sizeof(config->file), "%s", path);
	while (ok && getline(&line, &line_size, file) >= 0) {
		number++;
		ok = config_set_line(config, line, &seen, &why);
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
	const struct option *option = config_option(arg + 2, len);

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
	if (!option->kind)
		return true; /* --config: already read */
	expected = config_take(config, option, value, seen);
	return expected ? reason_refuse(reason, false, "--%s %s: expected %s", option->name, value, expected) : true;
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
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t seen = 0;

	memset(config, 0, sizeof(*config));
	for (const struct option *option = config_options; option->name; option++) {
		const char *value = option->environment ? getenv(option->environment) : NULL;

		if (value && *value)
			snprintf((char *)config + option->offset, option->size, "%s", value);
		else if (option->standard)
			config_take(config, option, option->standard, &seen);
	}
	make_iqn_prefix(config->iqn_prefix, sizeof(config->iqn_prefix));
	config->cache_bytes = config_memory_bytes() / 8;
	config->threads = cores < 1 ? 1 : cores > CONFIG_THREADS_MAX ? CONFIG_THREADS_MAX : (unsigned)cores;
}

static bool config_check_whole(struct config *config, struct reason *reason)
{
	if (!config->boot_files[0] && snprintf(config->boot_files, sizeof(config->boot_files), "%s/boot-files",
					       config->state_dir) >= (int)sizeof(config->boot_files))
		config->boot_files[0] = '\0'; /* no file is below it then */
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

bool config_needs_restart(const struct config *running, const struct config *fresh, struct buf *names)
{
	for (const struct option *option = config_options; option->name; option++) {
		if (!option->live &&
		    memcmp((const char *)running + option->offset, (const char *)fresh + option->offset, option->size))
			buf_printf(names, "%s%s", names->len ? ", " : "", option->name);
	}
	return names->len;
}

static void help_option(struct buf *text, const struct option *option)
{
	buf_printf(text, "  --%s%s%s\n        %s%s", option->name, option->argument ? " " : "",
		   option->argument ? option->argument : "", option->help, option->count ? "; repeatable" : "");
	if (option->environment)
		buf_printf(text, " (default $%s or %s)", option->environment, option->standard);
	else if (option->standard || option->otherwise)
		buf_printf(text, " (default %s)", option->standard ? option->standard : option->otherwise);
	buf_add_string(text, "\n");
}

void config_help(struct buf *text)
{
	const char *separator = "";

	buf_add_string(
		text,
		"sanbootd boots diskless machines from one golden image: DHCP, iPXE scripts and iSCSI disks from one program.\n\n"
		"usage: sanbootd [FLAG]...\n\n");
	for (const struct option *option = config_options; option->name; option++)
		help_option(text, option);
	buf_add_string(text,
		       "  --version\n  --help\n\n"
		       "Each flag is also a key of the configuration file (state-dir = /srv/sanbootd); flags win.\n"
		       "A reload (SIGHUP) puts changes of these in force, the others need a restart:\n  ");
	for (const struct option *option = config_options; option->name; option++) {
		if (option->live) {
			buf_printf(text, "%s%s", separator, option->name);
			separator = ", ";
		}
	}
	buf_add_string(text, "\nFirst steps: sanbootctl image build debian --name debian --default\n");
}
