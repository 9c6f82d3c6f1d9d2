/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dnsmasq, for DHCP and TFTP: its configuration as text, and its supervision.
 *
 * In full mode every enrolled machine keeps its address for ever: the host file names it by MAC, and dnsmasq ignores
 * client ids.
 */
#ifndef DHCP_DHCP_H
#define DHCP_DHCP_H

#include "base/buf.h"
#include "base/parse.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dhcp;
struct inventory;
struct loop;

enum dhcp_mode { DHCP_OFF, DHCP_PROXY, DHCP_FULL };

/* Other boot files than those of --ipxe-dir, which DHCP names to some of the enrolled machines. */
enum { DHCP_SETS_MAX = 8, DHCP_SET_TEXT = 32 };

struct dhcp_boot_set {
	const char *name, *directory;
};

enum { DHCP_INTERFACES_MAX = 16, DHCP_RANGES_MAX = 32, DHCP_OPTIONS_MAX = 64, DHCP_FILE_TEXT = 128 };

enum dhcp_option_kind { DHCP_OPTION_ROUTER, DHCP_OPTION_DNS, DHCP_OPTION_NTP, DHCP_OPTION_DOMAIN };

struct dhcp_option {
	enum dhcp_option_kind kind;
	const char *text; /* [INTERFACE:]VALUE[,VALUE]..., or [INTERFACE:]none */
};

/* A step of a machine's boot. What fetches by HTTP is seen by the HTTP server. */
enum dhcp_seen_kind {
	DHCP_SEEN_ASKED,  /* firmware or iPXE asked DHCP, in proxy mode PXE */
	DHCP_SEEN_LEASED, /* and was given address; full mode */
	DHCP_SEEN_FILE, /* file (as under --ipxe-dir, or boot.ipxe, autoexec.ipxe) was sent whole by TFTP to address */
};

struct dhcp_seen {
	enum dhcp_seen_kind kind;
	char mac[PARSE_MAC_TEXT];
	char address[INET_ADDRSTRLEN]; /* LEASED, FILE */
	char file[DHCP_FILE_TEXT];     /* FILE */
	int64_t at_ms;
};

struct dhcp_config {
	enum dhcp_mode mode;
	const char *interfaces[DHCP_INTERFACES_MAX];
	unsigned interface_count;
	/* FIRST,LAST[,LEASE], each for the interface in whose network it lies; full */
	const char *ranges[DHCP_RANGES_MAX];
	unsigned range_count;
	/*
	 * Full. Nothing is sent where nothing is said. A router goes to its own network; what is for one interface wins
	 * there.
	 */
	struct dhcp_option options[DHCP_OPTIONS_MAX];
	unsigned option_count;
	bool force; /* start although another DHCP server answered */
	const char *ipxe_dir;
	struct dhcp_boot_set sets[DHCP_SETS_MAX];
	unsigned set_count;
	const char *state_dir, *runtime_dir;
	uint16_t http_port;
	const char *advertise; /* NULL: each interface's own address */
	/* The script that boot.ipxe is, for TFTP: 0 or -errno. Called during dhcp_start and dhcp_reload only. */
	int (*first_script)(void *arg, const char *base_url, struct buf *script);
	void *first_script_arg;
	struct inventory *inventory;
	struct loop *loop; /* supervision happens on it; it must outlive dhcp_stop */
	/*
	 * What machines are seen to do; on the loop, not after dhcp_stop. Each exchange is reported (one boot has
	 * several: firmware's, then iPXE's), at most some hundred a second. The MAC is what the packets or the
	 * neighbour table say. NULL: nobody wants to know.
	 */
	void (*seen)(void *arg, const struct dhcp_seen *seen);
	void *seen_arg;
	/*
	 * One of the interfaces has another address: dhcp_reload, with what is in force, has everything follow that was made
	 * from the old one. On the loop, not after dhcp_stop. NULL: nobody wants to know.
	 */
	void (*moved)(void *arg);
	void *moved_arg;
};

/* Are these texts of the right form? Where not, a sentence in reason, or what was expected. */
bool dhcp_range_valid(const char *text, struct reason *reason);
/* NAME:DIR, with an absolute path: the name, and where in text the path begins. False: it is not of that form. */
bool dhcp_boot_set_parse(const char *text, char name[DHCP_SET_TEXT], const char **directory);
bool dhcp_option_valid(enum dhcp_option_kind kind, const char *text, const char **expected);

/*
 * Checks (dnsmasq present, interfaces exist and have an address, ranges fit, boot files present, no other DHCP server
 * answers a DISCOVER in full mode), writes the configuration, starts dnsmasq and supervises it. -errno with a sentence.
 * Main thread; blocks up to 3 s for the DISCOVER. With DHCP_OFF and interfaces dnsmasq serves TFTP there, and no DHCP;
 * without interfaces nothing runs until dhcp_reload. config is copied.
 */
int dhcp_start(const struct dhcp_config *config, struct dhcp **dhcp, struct reason *reason);
/*
 * Puts another configuration in force: mode, interfaces, ranges, options, boot files, addresses (inventory, loop and
 * directories stay). All checks of dhcp_start come first, dnsmasq's own among them; where one fails, or dnsmasq does
 * not come up with it, what was in force is again, and -errno with a sentence. Machines notice nothing but a second or
 * two without DHCP. Main thread; blocks as dhcp_start does.
 */
int dhcp_reload(struct dhcp *dhcp, const struct dhcp_config *config, struct reason *reason);
/* The inventory has changed: writes the host file again if it differs, and tells dnsmasq. Any thread. */
void dhcp_refresh(struct dhcp *dhcp);
/* Ends dnsmasq and waits for it; frees. */
void dhcp_stop(struct dhcp *dhcp);

#endif
