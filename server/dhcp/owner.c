// SPDX-License-Identifier: GPL-2.0-or-later
/* The owner of a UDP port, from /proc: see owner.h. */
#include "dhcp/owner.h"

#include "base/log.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INODES_MAX = 16 };

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
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %llu", &local_port, &inode) == 2 && local_port == port && inode)
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
