/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the administrator asked for: flags and the configuration file, checked, as one struct that does not change.
 * Names and defaults: sanbootd --help.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "base/buf.h"
#include "base/log.h"
#include "base/network.h"
#include "base/parse.h"
#include "base/reason.h"
#include "base/reason.h"
#include "dhcp/dhcp.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	CONFIG_ENDPOINTS_MAX = 16,
	CONFIG_FOLDERS_MAX = 8,
	CONFIG_NETWORKS_MAX = 16,
	CONFIG_PATH_MAX = 512,
	CONFIG_TEXT_MAX = 256
};

struct config_endpoints {
	struct endpoint list[CONFIG_ENDPOINTS_MAX];
	unsigned count;
};

/* What SIGHUP may change of DHCP. Texts as they were given, of the right form. */
struct config_dhcp {
	enum dhcp_mode mode;
	bool force;
	char interfaces[DHCP_INTERFACES_MAX][CONFIG_TEXT_MAX];
	unsigned interface_count;
	char ranges[DHCP_RANGES_MAX][CONFIG_TEXT_MAX];
	unsigned range_count;
	struct config_dhcp_option {
		enum dhcp_option_kind kind;
		char text[CONFIG_TEXT_MAX];
	} options[DHCP_OPTIONS_MAX];
	unsigned option_count;
};

/* Folders whose files requests over the network may name. */
struct config_folders {
	char list[CONFIG_FOLDERS_MAX][CONFIG_TEXT_MAX];
	unsigned count;
};

/* Where proxies are whose word counts on who asks. */
struct config_networks {
	struct network list[CONFIG_NETWORKS_MAX];
	unsigned count;
};

struct config {
	char file[CONFIG_PATH_MAX]; /* the one that was read; "" none */
	char state_dir[CONFIG_PATH_MAX], runtime_dir[CONFIG_PATH_MAX], ipxe_dir[CONFIG_PATH_MAX];
	char ipxe_scripts[CONFIG_PATH_MAX], entries[CONFIG_PATH_MAX], templates[CONFIG_PATH_MAX];
	char boot_files[CONFIG_PATH_MAX];
	struct config_folders import_dirs, export_dirs;
	char boot_file_sets[DHCP_SETS_MAX][CONFIG_TEXT_MAX]; /* NAME:DIR */
	unsigned boot_file_set_count;
	struct config_endpoints http, web, iscsi;
	struct config_networks trusted_proxies;
	char advertise[CONFIG_TEXT_MAX]; /* an IPv4 address or host name; "" the address that the client reached */
	char iqn_prefix[CONFIG_TEXT_MAX];
	struct config_dhcp dhcp;
	unsigned threads;     /* I/O loops, at least 1 */
	uint64_t cache_bytes; /* golden cache; 0: none */
	enum log_level log_level;
};

enum config_result { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION, CONFIG_BAD };

/*
 * Defaults, then the file, then the flags. CONFIG_BAD: reason says where (file and line, or the flag), what was found
 * and what was expected. The environment gives STATE_DIRECTORY and RUNTIME_DIRECTORY, as systemd sets them.
 */
enum config_result config_load(int argc, char *const argv[], struct config *config, struct reason *reason);
/* The names of the options that differ and that no reload puts in force: is there one? The limit of names is the caller's. */
bool config_needs_restart(const struct config *running, const struct config *fresh, struct buf *names);
/* The text of --help. */
void config_help(struct buf *text);

#endif
