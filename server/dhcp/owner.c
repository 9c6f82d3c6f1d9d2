// SPDX-License-Identifier: GPL-2.0-or-later
/* Other processes, from /proc: see owner.h. */
#include "dhcp/owner.h"

#include "base/log.h"
#include "base/util.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { INODES_MAX = 16, STRAY_TERM_MS = 3000, STRAY_KILL_MS = 2000 };

struct inodes {
	unsigned long long list[INODES_MAX];
	unsigned count;
};

static void find_inodes(const char *table, unsigned port, struct inodes *inodes)
{
	FILE *file = fopen(table, "re");
	unsigned long long inode;
	unsigned local_port;
	char line[512];

	while (file && inodes->count < INODES_MAX && fgets(line, sizeof(line), file))
		/* sl local:port remote:port state queues timer retransmits uid timeout inode */
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %llu", &local_port, &inode) == 2 &&
		    local_port == port && inode)
			inodes->list[inodes->count++] = inode;
	if (file)
		fclose(file);
}

static bool has_one(const char *pid, const struct inodes *inodes)
{
	char path[300], link[64];
	unsigned long long inode;
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		if (len <= 0)
			continue;
		link[len] = '\0';
		for (unsigned i = 0; sscanf(link, "socket:[%llu]", &inode) == 1 && i < inodes->count; i++)
			found = found || inodes->list[i] == inode;
	}
	if (dir)
		closedir(dir);
	return found;
}

static void describe(const char *pid, char *text, size_t text_size)
{
	char path[300], name[64] = "", shown[sizeof(name) * 4];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file && fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
	log_escape(shown, sizeof(shown), name, strlen(name));
	snprintf(text, text_size, "%s (process %s)", shown[0] ? shown : "a program", pid);
}

bool owner_of_udp_port(unsigned port, char *text, size_t text_size)
{
	struct inodes inodes = { .count = 0 };
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	find_inodes("/proc/net/udp", port, &inodes);
	find_inodes("/proc/net/udp6", port, &inodes);
	dir = inodes.count ? opendir("/proc") : NULL;
	while (dir && !found && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) && has_one(entry->d_name, &inodes)) {
			describe(entry->d_name, text, text_size);
			found = true;
		}
	if (dir)
		closedir(dir);
	return found;
}

/* ---- strays ---- */

static bool has_argument(const char *pid, const char *argument)
{
	char path[300], text[4096];
	size_t len = strlen(argument) + 1;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	for (const char *at = text; at < text + got; at += strlen(at) + 1)
		if ((size_t)(text + got - at) >= len - 1 && !strcmp(at, argument))
			return true;
	return false;
}

/* The same network, the same file tree: elsewhere the same path is another's. */
static bool same_namespaces(const char *pid)
{
	static const char *const kinds[] = { "net", "mnt" };
	struct stat ours, theirs;
	char path[300];

	for (size_t i = 0; i < array_len(kinds); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		if (stat(path, &ours))
			return false;
		snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kinds[i]);
		if (stat(path, &theirs) || ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev)
			return false;
	}
	return true;
}

/* The descriptor names this very process: its number may be another's by now. */
static void end_stray(const char *pid, const char *argument)
{
	int fd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return;
	if (has_argument(pid, argument) && !syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0)) {
		if (poll(&ended, 1, STRAY_TERM_MS) == 0 && !syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0))
			poll(&ended, 1, STRAY_KILL_MS);
		log_warning("ended a dnsmasq (process %s) that an earlier sanbootd had left behind", pid);
	}
	close(fd);
}

void owner_end_strays(const char *argument)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) && has_argument(entry->d_name, argument) &&
		    same_namespaces(entry->d_name))
			end_stray(entry->d_name, argument);
	if (dir)
		closedir(dir);
}
