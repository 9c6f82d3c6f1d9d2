// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Boot files: see ipxe_files.h. Debian 12's package has them for BIOS and UEFI x64; later ones, and iPXE's own release,
 * for more.
 */
#include "dhcp/ipxe_files.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * snponly drives any card that the firmware itself can drive, ipxe only those that it knows. Names with a folder are
 * those of iPXE's release (ipxeboot.tar.gz) and of boot.ipxe.org. Some firmware says 9 where 7 is meant.
 */
const struct boot_kind dhcp_boot_kinds[BOOT_KINDS] = {
	{ "bios", "BIOS", { "0" }, NULL, NULL, { "undionly.kpxe", "ipxe.pxe" }, "apt install ipxe" },
	{ "efi32",
	  "UEFI IA32",
	  { "6" },
	  "15",
	  NULL,
	  { "snponly-i386.efi", "ipxe-i386.efi", "i386/snponly.efi", "i386/ipxe.efi", "i386-efi/snponly.efi",
	    "i386-efi/ipxe.efi" },
	  "iPXE's release, ipxeboot.tar.gz, as --ipxe-dir" },
	{ "efi64",
	  "UEFI x64",
	  { "7", "9" },
	  "16",
	  "-shimx64.efi",
	  { "snponly.efi", "x86_64/snponly.efi", "x86_64-efi/snponly.efi", "ipxe.efi", "x86_64/ipxe.efi",
	    "x86_64-efi/ipxe.efi" },
	  "apt install ipxe" },
	{ "arm64",
	  "UEFI arm64",
	  { "11" },
	  "19",
	  "-shimaa64.efi",
	  { "snponly-arm64.efi", "arm64/snponly.efi", "arm64-efi/snponly.efi", "ipxe-arm64.efi", "arm64/ipxe.efi",
	    "arm64-efi/ipxe.efi" },
	  "package ipxe of Debian 13 or newer, or iPXE's release, ipxeboot.tar.gz, as --ipxe-dir" },
};

/* Characters that dnsmasq's configuration and a URL take as they are; nothing hidden. */
static bool is_plain(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < BOOT_FILE_TEXT && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static bool readable(const char *directory, const char *name)
{
	char path[1024];

	return snprintf(path, sizeof(path), "%s/%s", directory, name) < (int)sizeof(path) && !access(path, R_OK);
}

/* The loader that iPXE's shim starts is named like itself, without "-shimx64". */
static bool shim_complete(const char *directory, const char *name, size_t stem)
{
	char loader[BOOT_FILE_TEXT + 8];

	snprintf(loader, sizeof(loader), "%.*s.efi", (int)stem, name);
	if (readable(directory, loader))
		return true;
	log_warning("%s/%s is not used: the loader that it starts, %s, is not beside it", directory, name, loader);
	return false;
}

static void find_shim(const char *directory, const char *ending, char *found)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, NULL, alphasort);
	bool snponly = false;

	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		size_t len = strlen(name), ending_len = strlen(ending);

		if (len > ending_len && !strcmp(name + len - ending_len, ending) && is_plain(name) && !snponly &&
		    readable(directory, name) && shim_complete(directory, name, len - ending_len)) {
			snponly = !strncmp(name, "snponly", 7);
			if (!found[0] || snponly)
				memcpy(found, name, len + 1);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

int ipxe_files_find(const char *directory, struct ipxe_files *files, struct reason *reason)
{
	unsigned found = 0;

	memset(files, 0, sizeof(*files));
	if (access(directory, R_OK | X_OK))
		return reason_refuse(reason, -errno,
				     "cannot read the boot files in %s: %s; apt install ipxe, or name another folder "
				     "with --ipxe-dir",
				     directory, strerror(errno));
	for (unsigned k = 0; k < BOOT_KINDS; k++) {
		const struct boot_kind *kind = &dhcp_boot_kinds[k];

		if (kind->shim)
			find_shim(directory, kind->shim, files->name[k]);
		for (const char *const *name = kind->names; *name && !files->name[k][0]; name++)
			if (readable(directory, *name))
				snprintf(files->name[k], BOOT_FILE_TEXT, "%s", *name);
		found += files->name[k][0] != '\0';
	}
	if (found)
		return 0;
	return reason_refuse(reason, -ENOENT,
			     "no boot file is in %s; apt install ipxe, or name another folder with --ipxe-dir",
			     directory);
}

void ipxe_files_log_missing(const char *directory, const struct ipxe_files *files)
{
	for (unsigned k = 0; k < BOOT_KINDS; k++)
		if (!files->name[k][0])
			log_info("%s machines cannot boot: there is no %s in %s (%s)", dhcp_boot_kinds[k].machines,
				 dhcp_boot_kinds[k].names[0], directory, dhcp_boot_kinds[k].source);
}
