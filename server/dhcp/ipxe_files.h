/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which iPXE each kind of firmware is given, and which of them are there. Private to dhcp/. */
#ifndef DHCP_IPXE_FILES_H
#define DHCP_IPXE_FILES_H

#include "base/buf.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>

enum { BOOT_KINDS = 4, BOOT_FILE_TEXT = 128 };

/* One kind of firmware, by its architectures in option 93 (RFC 4578 §2.1 and IANA's registry). */
struct boot_kind {
	const char *tag;       /* dnsmasq's: "bios" */
	const char *machines;  /* for people: "BIOS" */
	const char *arches[3]; /* loads by TFTP; NULL ends */
	const char *http_arch; /* loads by HTTP; NULL: never does */
	const char *shim;      /* how the name of its Secure Boot shim ends; NULL: none */
	const char *names[7];  /* files that would do, the best first; NULL ends */
	const char *source;    /* where such a file comes from */
};

extern const struct boot_kind dhcp_boot_kinds[BOOT_KINDS];

struct ipxe_files {
	char name[BOOT_KINDS][BOOT_FILE_TEXT]; /* under --ipxe-dir; "" none */
};

/*
 * Chooses for each kind: a shim (X-shimx64.efi, with its X.efi beside it), else the first name that is there. 0, or
 * -ENOENT with a sentence where there is no file for any kind, -errno where the directory cannot be read.
 */
int ipxe_files_find(const char *directory, struct ipxe_files *files, struct reason *reason);
/* Logs what is missing, once, with where it comes from. */
void ipxe_files_log_missing(const char *directory, const struct ipxe_files *files);

#endif
