/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ISO 9660 file system of some files, by libisofs: with Rock Ridge and Joliet, so that Linux and Windows see the names
 * as they are, and with the label as it is: cloud-init looks for "cidata". Blocks, any thread. Private to boot/.
 */
#ifndef BOOT_WHOAMI_ISO_H
#define BOOT_WHOAMI_ISO_H

#include <stddef.h>

struct iso_file {
	const char *name;
	const char *data; /* copied */
	size_t len;
};

enum { ISO_BLOCK = 2048, ISO_LABEL_MAX = 16 /* characters that Joliet has for it */ };

/* *iso: free(3); whole blocks. 0 or -errno (libisofs says no more than that it could not). */
int whoami_iso_make(const char *label, const struct iso_file *files, unsigned count, char **iso, size_t *len);

#endif
