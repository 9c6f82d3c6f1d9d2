// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What dnsmasq serves by TFTP: see tftp.h.
 *
 *     RUNTIME/tftp/INTERFACE/boot.ipxe, autoexec.ipxe     ours
 *                            undionly.kpxe -> IPXE-DIR/undionly.kpxe, and so on
 *                            arm64/                       a folder of ours where a loader lies in it, else a link
 *                                snponly.efi -> IPXE-DIR/arm64/snponly.efi
 *                                autoexec.ipxe
 *                            sets/NAME/                   the same of each set of boot files
 */
#include "dhcp/tftp.h"

#include "dhcp/autoexec.h"
#include "dhcp/files.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SCRIPT_MAX_BYTES = 1 << 16,
	LINKS_MAX = 512,
	ENTRY_PATH_BYTES = DHCP_PATH_BYTES + 600,
};

struct root {
	const struct dhcp_config *config;
	const struct ipxe_files *files;
	const char *directory; /* where they are */
	char path[DHCP_PATH_BYTES];
	char server[INET_ADDRSTRLEN];
	unsigned links;
	struct reason *reason;
};

/* What an earlier start made: links and files, and folders (depth: so many) with the same in them. */
static void empty_directory(const char *path, unsigned depth)
{
	char entry_path[ENTRY_PATH_BYTES];
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(entry_path, sizeof(entry_path), "%s/%s", path, entry->d_name);
		/* A link is removed, never followed: behind it are the site's files. */
		if (!unlink(entry_path) || !depth)
			continue;
		empty_directory(entry_path, depth - 1);
		rmdir(entry_path);
	}
	if (dir)
		closedir(dir);
}

/* Is one of the loaders in this folder of --ipxe-dir? */
static bool holds_loader(const struct ipxe_files *files, const char *folder)
{
	size_t len = strlen(folder);

	for (unsigned k = 0; k < BOOT_KINDS; k++)
		if (!strncmp(files->name[k], folder, len) && files->name[k][len] == '/')
			return true;
	return false;
}

/* Any name but one that dnsmasq's log, which we read by lines, could not show. */
static bool is_served(const char *name)
{
	for (const char *at = name; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int make_link(struct root *root, const char *from, const char *to)
{
	root->links++;
	if (symlink(to, from))
		return reason_refuse(root->reason, -errno, "cannot make %s: %s", from, strerror(errno));
	return 0;
}

/* Loaded by an iPXE that has not asked DHCP itself yet. */
static int write_autoexec(struct root *root, const char *folder)
{
	char path[ENTRY_PATH_BYTES], site[ENTRY_PATH_BYTES], url[INET_ADDRSTRLEN + 32];
	struct buf script;
	int err;

	snprintf(path, sizeof(path), "%s/autoexec.ipxe", folder);
	if (!access(path, F_OK)) /* the site's own */
		return 0;
	snprintf(site, sizeof(site), "%s/autoexec.ipxe", root->directory);
	if (!access(site, F_OK))
		return make_link(root, path, site);
	buf_init(&script, SCRIPT_MAX_BYTES);
	snprintf(url, sizeof(url), "tftp://%s/boot.ipxe", root->server);
	dhcp_make_autoexec(&script, url, root->server);
	err = dhcp_write_file(path, &script, root->reason);
	buf_fini(&script);
	return err;
}

/* Names that stand for something else at the top. */
static bool is_ours(const struct root *root, const char *name)
{
	return !strcmp(name, "boot.ipxe") || (root->config->set_count && !strcmp(name, "sets"));
}

/* Links in folder, and autoexec.ipxe; depth: further folders below it that may hold loaders. */
static int link_boot_files(struct root *root, const char *directory, const char *folder, unsigned depth)
{
	char from[ENTRY_PATH_BYTES], to[ENTRY_PATH_BYTES];
	struct dirent *entry;
	DIR *dir = opendir(directory);
	int err = 0;

	while (dir && !err && root->links < LINKS_MAX && (entry = readdir(dir))) {
		if (!is_served(entry->d_name) || (depth && is_ours(root, entry->d_name)))
			continue;
		snprintf(from, sizeof(from), "%.1023s/%s", folder, entry->d_name);
		snprintf(to, sizeof(to), "%.1023s/%s", directory, entry->d_name);
		if (!depth || !holds_loader(root->files, entry->d_name)) {
			err = make_link(root, from, to);
			continue;
		}
		err = dhcp_make_directory(from, root->reason);
		if (!err)
			err = link_boot_files(root, to, from, depth - 1);
	}
	if (dir)
		closedir(dir);
	return err ? err : write_autoexec(root, folder);
}

static int write_first_script(struct root *root)
{
	const struct dhcp_config *config = root->config;
	char path[ENTRY_PATH_BYTES], url[512];
	struct buf script;
	int err;

	snprintf(url, sizeof(url), "http://%s:%u", config->advertise ? config->advertise : root->server,
		 config->http_port);
	snprintf(path, sizeof(path), "%s/boot.ipxe", root->path);
	buf_init(&script, SCRIPT_MAX_BYTES);
	err = config->first_script ? config->first_script(config->first_script_arg, url, &script) : 0;
	if (err)
		reason_set(root->reason, "cannot make boot.ipxe: %s", strerror(-err));
	else
		err = dhcp_write_file(path, &script, root->reason);
	buf_fini(&script);
	return err;
}

static int make_sets(const struct root *root)
{
	char folder[DHCP_PATH_BYTES + 64];
	int err = 0;

	snprintf(folder, sizeof(folder), "%s/" BOOT_SETS, root->path);
	if (root->config->set_count)
		err = dhcp_make_directory(folder, root->reason);
	for (unsigned i = 0; !err && i < root->config->set_count; i++) {
		const struct dhcp_boot_set *set = &root->config->sets[i];
		struct root of_set = *root;

		of_set.files = &root->files[1 + i];
		of_set.directory = set->directory;
		of_set.links = 0;
		snprintf(folder, sizeof(folder), "%s/" BOOT_SETS "%s", root->path, set->name);
		err = dhcp_make_directory(folder, root->reason);
		if (!err)
			err = link_boot_files(&of_set, set->directory, folder, 1);
	}
	return err;
}

int tftp_make_root(const struct dhcp_config *config, const struct dhcp_network *network, const struct ipxe_files *files,
		   struct reason *reason)
{
	struct root root = { .config = config, .files = files, .directory = config->ipxe_dir, .reason = reason };
	int err;

	snprintf(root.path, sizeof(root.path), "%s/tftp", config->runtime_dir);
	err = dhcp_make_directory(root.path, reason);
	if (err)
		return err;
	snprintf(root.path, sizeof(root.path), "%s/tftp/%s", config->runtime_dir, network->name);
	err = dhcp_make_directory(root.path, reason);
	if (err)
		return err;
	empty_directory(root.path, 3);
	inet_ntop(AF_INET, &network->address, root.server, sizeof(root.server));
	err = link_boot_files(&root, config->ipxe_dir, root.path, 1);
	if (!err)
		err = make_sets(&root);
	return err ? err : write_first_script(&root);
}
