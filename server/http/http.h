/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HTTP endpoint: boot scripts and boot files, the pages, the API, metrics; over TCP and, with full rights, over the
 * control socket. The only folder that includes microhttpd.h. Runs on libmicrohttpd's own threads.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"
#include "base/network.h"
#include "base/parse.h"
#include "base/reason.h"
#include "dhcp/status.h"

#include <stddef.h>

struct boot;
struct http;
struct inventory;
struct store;
struct disk_env;

enum { HTTP_PORTALS_MAX = 16, HTTP_FOLDERS_MAX = 8, HTTP_PROXIES_MAX = 16 };

struct http_folders {
	const char *list[HTTP_FOLDERS_MAX]; /* borrowed until http_stop */
	unsigned count;
};

struct http_proxies {
	struct network list[HTTP_PROXIES_MAX];
	unsigned count;
};

struct http_facts {
	const char *version;
	int64_t started_ms;
	struct endpoint portals[HTTP_PORTALS_MAX]; /* of iSCSI, as they are bound */
	unsigned portal_count;
	struct dhcp_status dhcp;
};

struct http_config {
	struct boot *boot;
	struct inventory *inventory;
	struct store *store;
	struct disk_env *disk_env;	       /* for what /metrics says of the golden cache; NULL: nothing */
	const struct endpoint *boot_endpoints; /* --http */
	unsigned boot_endpoint_count;
	const struct endpoint *web_endpoints; /* --web; count 0: the same as boot's */
	unsigned web_endpoint_count;
	const char *control_path;		  /* RUNTIME/control.sock, mode 0660 */
	const char *ipxe_dir;			  /* boot files under /ipxe/NAME for UEFI HTTP boot */
	struct dhcp_boot_set sets[DHCP_SETS_MAX]; /* more of them, under /ipxe/sets/NAME/FILE */
	unsigned set_count;
	const char *boot_files; /* what entries load, under /boot-files/PATH; NULL: nothing */
	/* Where requests over the network may name files of the server's, to be imported or written (allowed.c). */
	struct http_folders import_dirs, export_dirs;
	struct http_proxies trusted_proxies; /* whose forwarded headers count (proxy.c) */
	/*
	 * Fills in what main knows, and HTTP does not; HTTP frees what is in it. Called on HTTP's workers, several at
	 * once.
	 */
	void (*facts)(void *arg, struct http_facts *facts);
	void *facts_arg;
};

/* -errno with a sentence in reason (port taken: which, and how to find by whom). */
int http_start(const struct http_config *config, struct http **http, struct reason *reason);
/* The first bound address, for the ready line. Writes "ADDR:PORT". */
const char *http_address(const struct http *http);
/*
 * Where no administrator password is set: "http://HOST:PORT/setup?token=..." that sets it, once; "" otherwise. The
 * caller logs it. Valid until used or restarted.
 */
const char *http_setup_url(const struct http *http);
/* Stops accepting, ends waiting requests with 503, joins. */
void http_stop(struct http *http);

#endif
