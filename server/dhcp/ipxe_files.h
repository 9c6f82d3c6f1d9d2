/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which iPXE each kind of firmware is given, and which of them are there. Private to dhcp/. */
#ifndef DHCP_IPXE_FILES_H
#define DHCP_IPXE_FILES_H

#include "base/buf.h"
#include "base/reason.h"
#include "dhcp/shim.h"

#include <stdbool.h>
#include <stddef.h>

enum { BOOT_KINDS = 4 };

/* One kind of firmware, by its architectures in option 93 (RFC 4578 §2.1 and IANA's registry). */
struct boot_kind {
	const char *tag;       /* dnsmasq's: "bios" */
	const char *machines;  /* for people: "BIOS" */
	const char *arches[3]; /* loads by TFTP; NULL ends */
	const char *http_arch; /* loads by HTTP; NULL: never does */
	struct shim_kind shim; /* ending NULL: there is no Secure Boot for it */
	const char *names[7];  /* files that would do, the best first; NULL ends */
	const char *source;    /* where such a file comes from */
};

extern const struct boot_kind dhcp_boot_kinds[BOOT_KINDS];

/* Where the files of a set are, under --ipxe-dir as it is served: BOOT_SETS "NAME/FILE". */
#define BOOT_SETS "sets/"

struct ipxe_files {
	char name[BOOT_KINDS][BOOT_FILE_TEXT]; /* under --ipxe-dir; "" none */
	struct shim shim[BOOT_KINDS];	       /* where name is that of a shim: more of it */
};

/*
 * Chooses for each kind: a shim with its loader beside it, else the first name that is there (and, as far as it says
 * so, is for these machines). A shim starts its iPXE with Secure Boot off, too. 0, or
 * -ENOENT with a sentence where there is no file for any kind, -errno where the directory cannot be read.
 */
int ipxe_files_find(const char *directory, struct ipxe_files *files, struct reason *reason);
/*
 * Logs what is missing, with where it comes from, and what Secure Boot needs. set: NULL for --ipxe-dir, which a set may leave
 * things to.
 */
void ipxe_files_log(const char *directory, const char *set, const struct ipxe_files *files);

#endif
