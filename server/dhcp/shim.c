// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding a shim: see shim.h. Its names, and what it then loads from the same place (shim.c of github.com/ipxe/shim,
 * automatic_next_path):
 *
 *     snponly-shimx64.efi              snponly.efi
 *     x86_64-sb/snponly-shim.efi       x86_64-sb/snponly.efi     a link of iPXE's release to
 *     x86_64-sb/shimx64.efi            x86_64-sb/ipxe.efi        where the links were lost, this is left
 */
#include "dhcp/shim.h"

#include "base/log.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Shims and iPXE have about a megabyte. */
enum { SHIM_PATH_BYTES = 1024, PROGRAM_MAX_BYTES = 16 << 20 };

static const char any_ending[] = "-shim.efi", first_loader[] = "ipxe.efi";

bool shim_read_program(const char *path, struct efi_program *program)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t *data = NULL;
	struct stat st;
	ssize_t got = -1;
	bool read_it;

	*program = (struct efi_program){ 0 };
	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= PROGRAM_MAX_BYTES)
		data = malloc((size_t)st.st_size);
	if (data)
		got = pread(fd, data, (size_t)st.st_size, 0);
	read_it = got > 0 && efi_program_parse(data, (size_t)got, program);
	free(data);
	close(fd);
	return read_it;
}

/* Characters that dnsmasq's configuration and a URL take as they are; nothing hidden. */
static bool is_plain(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static bool strip(const char *name, const char *ending, char stem[BOOT_FILE_TEXT])
{
	size_t len = strlen(name), ending_len = strlen(ending);

	if (len <= ending_len || strcmp(name + len - ending_len, ending) != 0)
		return false;
	snprintf(stem, BOOT_FILE_TEXT, "%.*s", (int)(len - ending_len), name);
	return true;
}

/* Is this a shim's name, and what does it load? folder "": --ipxe-dir itself, which has files of every kind. */
static bool name_loader(const struct shim_kind *kind, const char *folder, const char *name, char loader[BOOT_FILE_TEXT])
{
	char stem[BOOT_FILE_TEXT];
	const char *slash = folder[0] ? "/" : "";

	if (folder[0] && !strcmp(name, kind->ending + 1))
		return snprintf(loader, BOOT_FILE_TEXT, "%s/%s", folder, first_loader) < BOOT_FILE_TEXT;
	if (!strip(name, kind->ending, stem) && !strip(name, any_ending, stem))
		return false;
	return snprintf(loader, BOOT_FILE_TEXT, "%s%s%s.efi", folder, slash, stem) < BOOT_FILE_TEXT;
}

/*
 * For these machines? What is no EFI program is judged by its name, which says it but for X-shim.efi in a folder of
 * several kinds.
 */
static bool is_for(const struct shim_kind *kind, const char *path, bool name_says, struct efi_program *program)
{
	return shim_read_program(path, program) ? program->machine == kind->machine : name_says;
}

/* Fills found, where this file is a shim that can be used. */
static bool try_file(const char *directory, const struct shim_kind *kind, const char *folder, const char *name,
		     struct shim *found)
{
	char path[SHIM_PATH_BYTES], loader_path[SHIM_PATH_BYTES], stem[BOOT_FILE_TEXT];
	bool name_says = folder[0] || !strip(name, any_ending, stem);
	struct efi_program shim, loader;

	*found = (struct shim){ 0 };
	if (!is_plain(name) || !name_loader(kind, folder, name, found->loader) ||
	    snprintf(found->name, BOOT_FILE_TEXT, "%s%s%s", folder, folder[0] ? "/" : "", name) >= BOOT_FILE_TEXT ||
	    snprintf(path, sizeof(path), "%s/%s", directory, found->name) >= (int)sizeof(path) ||
	    snprintf(loader_path, sizeof(loader_path), "%s/%s", directory, found->loader) >= (int)sizeof(loader_path) ||
	    access(path, R_OK) || !is_for(kind, path, name_says, &shim))
		return false;
	if (access(loader_path, R_OK)) {
		log_warning("%s is not used: the loader that it starts, %s, is not beside it", path, found->loader);
		return false;
	}
	if (!is_for(kind, loader_path, true, &loader)) {
		log_warning("%s is not used: the loader that it starts, %s, is for other machines", path,
			    found->loader);
		return false;
	}
	found->loader_unsigned = loader.machine && !loader.is_signed;
	found->ca_2011 = shim.ca_2011;
	found->ca_2023 = shim.ca_2023;
	return true;
}

/* Signed iPXE first; of that snponly, which drives whatever the firmware drives. */
static unsigned rank(const struct shim *shim)
{
	const char *slash = strrchr(shim->name, '/');

	return (shim->loader_unsigned ? 0 : 2) + !strncmp(slash ? slash + 1 : shim->name, "snponly", 7);
}

static void find_in(const char *directory, const struct shim_kind *kind, const char *folder, struct shim *best)
{
	char path[SHIM_PATH_BYTES];
	struct dirent **entries;
	int count = -1;

	if (snprintf(path, sizeof(path), "%s/%s", directory, folder) < (int)sizeof(path))
		count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		struct shim found;

		if (try_file(directory, kind, folder, entries[i]->d_name, &found) &&
		    (!best->name[0] || rank(&found) > rank(best)))
			*best = found;
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

bool shim_find(const char *directory, const struct shim_kind *kind, struct shim *shim)
{
	*shim = (struct shim){ 0 };
	find_in(directory, kind, "", shim);
	for (unsigned i = 0; i < SHIM_FOLDERS && kind->folders[i]; i++)
		find_in(directory, kind, kind->folders[i], shim);
	return shim->name[0];
}

const char *shim_describe(const struct shim *shim, char text[SHIM_SENTENCE_TEXT])
{
	if (!shim->name[0])
		snprintf(text, SHIM_SENTENCE_TEXT, "must be off: there is no shim");
	else if (shim->loader_unsigned)
		snprintf(text, SHIM_SENTENCE_TEXT,
			 "on only where %s is enrolled by hand (MOK): it is not signed, and the shim refuses it",
			 shim->loader);
	else if (shim->ca_2011 || shim->ca_2023)
		snprintf(text, SHIM_SENTENCE_TEXT, "may be on where the firmware trusts %s%s%s",
			 shim->ca_2011 ? "Microsoft Corporation UEFI CA 2011" : "",
			 shim->ca_2011 && shim->ca_2023 ? " or " : "", shim->ca_2023 ? "Microsoft UEFI CA 2023" : "");
	else
		snprintf(text, SHIM_SENTENCE_TEXT,
			 "may be on where the firmware trusts the shim, which Microsoft has not signed");
	return text;
}
