/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iPXE's shim: what firmware with Secure Boot starts, because Microsoft signed it, and which starts the iPXE beside it.
 * Private to dhcp/, but for what status.h shows; blocks.
 */
#ifndef DHCP_SHIM_H
#define DHCP_SHIM_H

#include "dhcp/efi_program.h"

#include <stdbool.h>

enum { BOOT_FILE_TEXT = 128, SHIM_FOLDERS = 3, SHIM_SENTENCE_TEXT = 512 };

/* Where shims of one kind of firmware are looked for. */
struct shim_kind {
	const char *ending;		   /* "-shimx64.efi" */
	unsigned machine;		   /* enum efi_machine */
	const char *folders[SHIM_FOLDERS]; /* of this kind alone; NULL ends */
};

struct shim {
	char name[BOOT_FILE_TEXT];   /* under --ipxe-dir; "" none */
	char loader[BOOT_FILE_TEXT]; /* what it starts, likewise */
	bool loader_unsigned;	     /* of which the shim cannot know that it is good */
	bool ca_2011, ca_2023;	     /* Microsoft's, which signed it */
};

/* False: that is no EFI program, or cannot be read. */
bool shim_read_program(const char *path, struct efi_program *program);
/* False: there is none, and shim says so. One that lacks its loader is not used, and the log says why. */
bool shim_find(const char *directory, const struct shim_kind *kind, struct shim *shim);
/* Half a sentence behind "Secure Boot: ", for who has such machines. */
const char *shim_describe(const struct shim *shim, char text[SHIM_SENTENCE_TEXT]);

#endif
