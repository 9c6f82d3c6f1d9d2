// SPDX-License-Identifier: GPL-2.0-or-later
/* dnsmasq's files: see files.h. */
#include "dhcp/files.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int dhcp_make_directory(const char *path, struct reason *reason)
{
	if ((mkdir(path, 0755) && errno != EEXIST) || chmod(path, 0755))
		return reason_refuse(reason, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
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
	err = dhcp_make_directory(folder, reason);
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
