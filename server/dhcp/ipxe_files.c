// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Boot files: see ipxe_files.h. Debian 12's package has them for BIOS and UEFI x64; later ones, and iPXE's own release,
 * for more. The latter's archive:
 *
 *     undionly.kpxe -> x86_64/undionly.kpxe     so for each file of x86_64
 *     i386/, x86_64/, arm64/ and more           not signed
 *     x86_64-sb/, arm64-sb/                     signed, with their shims; sb -> x86_64-sb
 */
#include "dhcp/ipxe_files.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * snponly drives any card that the firmware itself can drive, ipxe only those that it knows. Names with a folder are
 * those of iPXE's release (ipxeboot.tar.gz) and of boot.ipxe.org. Some firmware says 9 where 7 is meant.
 */
const struct boot_kind dhcp_boot_kinds[BOOT_KINDS] = {
	{ "bios", "BIOS", { "0" }, NULL, { .ending = NULL }, { "undionly.kpxe", "ipxe.pxe" }, "apt install ipxe" },
	{ "efi32",
	  "UEFI IA32",
	  { "6" },
	  "15",
	  { .machine = EFI_MACHINE_I386 },
	  { "snponly-i386.efi", "ipxe-i386.efi", "i386/snponly.efi", "i386/ipxe.efi", "i386-efi/snponly.efi",
	    "i386-efi/ipxe.efi" },
	  "iPXE's release, ipxeboot.tar.gz, as --ipxe-dir" },
	{ "efi64",
	  "UEFI x64",
	  { "7", "9" },
	  "16",
	  { "-shimx64.efi", EFI_MACHINE_X64, { "x86_64-sb", "x86_64" } },
	  { "snponly.efi", "x86_64/snponly.efi", "x86_64-efi/snponly.efi", "ipxe.efi", "x86_64/ipxe.efi",
	    "x86_64-efi/ipxe.efi" },
	  "apt install ipxe" },
	{ "arm64",
	  "UEFI arm64",
	  { "11" },
	  "19",
	  { "-shimaa64.efi", EFI_MACHINE_ARM64, { "arm64-sb", "arm64" } },
	  { "snponly-arm64.efi", "arm64/snponly.efi", "arm64-efi/snponly.efi", "ipxe-arm64.efi", "arm64/ipxe.efi",
	    "arm64-efi/ipxe.efi" },
	  "package ipxe of Debian 13 or newer, or iPXE's release, ipxeboot.tar.gz, as --ipxe-dir" },
};

/* There, and for these machines as far as it says so. */
static bool usable(const char *directory, const char *name, unsigned machine)
{
	struct efi_program program;
	char path[1024];

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path) || access(path, R_OK))
		return false;
	return !machine || !shim_read_program(path, &program) || program.machine == machine;
}

static void choose(const char *directory, const struct boot_kind *kind, char file[BOOT_FILE_TEXT], struct shim *shim)
{
	if (kind->shim.ending && shim_find(directory, &kind->shim, shim))
		memcpy(file, shim->name, BOOT_FILE_TEXT);
	for (const char *const *name = kind->names; *name && !file[0]; name++)
		if (usable(directory, *name, kind->shim.machine))
			snprintf(file, BOOT_FILE_TEXT, "%s", *name);
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
		choose(directory, &dhcp_boot_kinds[k], files->name[k], &files->shim[k]);
		found += files->name[k][0] != '\0';
	}
	if (found)
		return 0;
	return reason_refuse(reason, -ENOENT,
			     "no boot file is in %s; apt install ipxe, or name another folder with --ipxe-dir",
			     directory);
}

static void log_secure_boot(const char *directory, const char *set, const struct boot_kind *kind, const char *file,
			    const struct shim *shim)
{
	char text[SHIM_SENTENCE_TEXT], of_set[64] = "";

	if (set)
		snprintf(of_set, sizeof(of_set), " of boot-file-set %s", set);

	if (shim->name[0])
		log_info("%s machines%s are given %s, which starts %s; Secure Boot %s", kind->machines, of_set, file,
			 shim->loader, shim_describe(shim, text));
	else
		log_info("%s machines%s are given %s; Secure Boot %s in %s (iPXE's release 2.0.0 or newer, "
			 "ipxeboot.tar.gz, as --ipxe-dir has one)",
			 kind->machines, of_set, file, shim_describe(shim, text), directory);
}

void ipxe_files_log(const char *directory, const char *set, const struct ipxe_files *files)
{
	for (unsigned k = 0; k < BOOT_KINDS; k++) {
		const struct boot_kind *kind = &dhcp_boot_kinds[k];

		if (!files->name[k][0] && set)
			continue; /* as without one */
		if (!files->name[k][0])
			log_info("%s machines cannot boot: there is no %s in %s (%s)", kind->machines, kind->names[0],
				 directory, kind->source);
		else if (kind->shim.ending)
			log_secure_boot(directory, set, kind, files->name[k], &files->shim[k]);
	}
}
