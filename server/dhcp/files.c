// SPDX-License-Identifier: GPL-2.0-or-later
/* dnsmasq's files: see files.h. */
#include "dhcp/files.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SCRIPT_MAX_BYTES = 1 << 16,
	LINKS_MAX = 512,
};

int dhcp_write_file(const char *path, const struct buf *text, struct reason *reason)
{
	char temporary[DHCP_PATH_BYTES + 300];
	int fd, err = 0;

	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	errno = 0;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, buf_text(text), text->len) != (ssize_t)text->len || fchmod(fd, 0644) ||
	    rename(temporary, path)) {
		err = errno ? -errno : -EIO;
		reason_set(reason, "cannot write %s: %s", path, strerror(-err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int files_make_directory(const char *path, struct reason *reason)
{
	if ((mkdir(path, 0755) && errno != EEXIST) || chmod(path, 0755))
		return reason_refuse(reason, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

/* ---- TFTP ---- */

static void empty_directory(const char *path)
{
	char entry_path[DHCP_PATH_BYTES + 300];
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		snprintf(entry_path, sizeof(entry_path), "%s/%s", path, entry->d_name);
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlink(entry_path);
	}
	if (dir)
		closedir(dir);
}

static int link_boot_files(const char *directory, const char *root, struct reason *reason)
{
	char from[DHCP_PATH_BYTES + 300], to[DHCP_PATH_BYTES + 300];
	unsigned links = 0;
	struct dirent *entry;
	DIR *dir = opendir(directory);
	int err = 0;

	while (dir && !err && links < LINKS_MAX && (entry = readdir(dir))) {
		if (!ipxe_file_name_safe(entry->d_name) || !strcmp(entry->d_name, "boot.ipxe"))
			continue;
		snprintf(from, sizeof(from), "%s/%s", root, entry->d_name);
		snprintf(to, sizeof(to), "%s/%s", directory, entry->d_name);
		if (symlink(to, from))
			err = reason_refuse(reason, -errno, "cannot make %s: %s", from, strerror(errno));
		links++;
	}
	if (dir)
		closedir(dir);
	return err;
}

/* Loaded by an iPXE that has not asked DHCP itself yet. */
static int write_autoexec(const char *root, const char *server, struct reason *reason)
{
	char path[DHCP_PATH_BYTES + 80];
	struct buf script;
	int err;

	snprintf(path, sizeof(path), "%s/autoexec.ipxe", root);
	if (!access(path, F_OK)) /* the site's own */
		return 0;
	buf_init(&script, SCRIPT_MAX_BYTES);
	buf_printf(&script,
		   "#!ipxe\n"
		   ":again\n"
		   "dhcp || goto failed\n"
		   "chain --replace --autofree tftp://%s/boot.ipxe || goto failed\n"
		   ":failed\n"
		   "echo SANBOOTD no boot.ipxe from %s; asking again in 5 seconds\n"
		   "sleep 5 ||\n"
		   "goto again\n",
		   server, server);
	err = dhcp_write_file(path, &script, reason);
	buf_fini(&script);
	return err;
}

static int write_first_script(const struct dhcp_config *config, const char *root, const char *server,
			      struct reason *reason)
{
	char path[DHCP_PATH_BYTES + 80], url[512];
	struct buf script;
	int err;

	snprintf(url, sizeof(url), "http://%s:%u", config->advertise ? config->advertise : server, config->http_port);
	snprintf(path, sizeof(path), "%s/boot.ipxe", root);
	buf_init(&script, SCRIPT_MAX_BYTES);
	err = config->first_script ? config->first_script(config->first_script_arg, url, &script) : 0;
	if (err)
		reason_set(reason, "cannot make boot.ipxe: %s", strerror(-err));
	else
		err = dhcp_write_file(path, &script, reason);
	buf_fini(&script);
	return err;
}

int dhcp_make_tftp_root(const struct dhcp_config *config, const struct dhcp_network *network,
			const struct ipxe_files *files, struct reason *reason)
{
	char root[DHCP_PATH_BYTES], server[INET_ADDRSTRLEN];
	int err;

	snprintf(root, sizeof(root), "%s/tftp", config->runtime_dir);
	err = files_make_directory(root, reason);
	if (err)
		return err;
	snprintf(root, sizeof(root), "%s/tftp/%s", config->runtime_dir, network->name);
	err = files_make_directory(root, reason);
	if (err)
		return err;
	empty_directory(root);
	inet_ntop(AF_INET, &network->address, server, sizeof(server));
	err = link_boot_files(config->ipxe_dir, root, reason);
	if (!err && files->shim)
		err = write_autoexec(root, server, reason);
	return err ? err : write_first_script(config, root, server, reason);
}

/* ---- leases ---- */

/* May this user walk down to path? Its folders must be open to others (or to root, who may everything). */
static bool reachable(const char *path)
{
	char part[DHCP_PATH_BYTES];
	struct stat st;

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (stat(part, &st) || !(st.st_mode & S_IXOTH))
			return false;
		*slash = '/';
	}
	return stat(part, &st) == 0 && (st.st_mode & S_IXOTH);
}

static const struct passwd *choose_user(const struct dhcp_config *config, const char *leases)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return NULL;
	user = getpwnam("dnsmasq");
	if (!user)
		user = getpwnam("nobody");
	if (user && reachable(leases) && reachable(config->runtime_dir))
		return user;
	log_warning("dnsmasq runs as root: a folder above %s or %s is closed to the user %s; chmod o+x opens it",
		    leases, config->runtime_dir, user ? user->pw_name : "dnsmasq");
	return NULL;
}

int dhcp_prepare_leases(const struct dhcp_config *config, const struct passwd **user, struct reason *reason)
{
	char folder[DHCP_PATH_BYTES], leases[DHCP_PATH_BYTES + 8];
	int err;

	snprintf(folder, sizeof(folder), "%s/dnsmasq", config->state_dir);
	snprintf(leases, sizeof(leases), "%s/leases", folder);
	err = files_make_directory(folder, reason);
	/* Others may pass through the state directory, not list it. */
	if (!err && geteuid() == 0)
		chmod(config->state_dir, 0751);
	*user = choose_user(config, folder);
	if (err || !*user)
		return err;
	if (chown(folder, (*user)->pw_uid, (*user)->pw_gid) ||
	    (chown(leases, (*user)->pw_uid, (*user)->pw_gid) && errno != ENOENT)) {
		return reason_refuse(reason, -errno, "cannot give %s to the user %s: %s", folder, (*user)->pw_name,
				     strerror(errno));
	}
	return 0;
}
