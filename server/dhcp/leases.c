// SPDX-License-Identifier: GPL-2.0-or-later
/* See leases.h. */
#include "dhcp/leases.h"

#include "dhcp/files.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASES_MAX = 16384, LEASES_STEP = 256 };

/* Leaves out what is in no name that dnsmasq takes: it writes none of it, but others may have written the file. */
static void clean(char *word)
{
	char *to = word;

	for (const char *from = word; *from; from++)
		if (*from >= ' ' && *from < 127 && *from != '"' && *from != '\\')
			*to++ = *from;
	*to = '\0';
}

bool leases_parse(const char *line, struct dhcp_lease *lease)
{
	size_t digits = strspn(line, "0123456789");
	char address[64];
	struct in_addr parsed;
	long long expires;

	/* EXPIRY MAC ADDRESS NAME CLIENT-ID; what is no IPv4 lease has no such address. */
	if (digits < 1 || digits > 12 ||
	    sscanf(line, "%lld %63s %63s %255s", &expires, lease->mac, address, lease->name) != 4 ||
	    inet_pton(AF_INET, address, &parsed) != 1)
		return false;
	inet_ntop(AF_INET, &parsed, lease->address, sizeof(lease->address));
	if (!strcmp(lease->name, "*"))
		lease->name[0] = '\0';
	clean(lease->mac);
	clean(lease->name);
	lease->expires_ms = expires * 1000;
	return true;
}

/* Room for one more; false without memory. */
static bool make_room(struct dhcp_lease **list, unsigned count)
{
	struct dhcp_lease *more;

	if (count % LEASES_STEP)
		return true;
	more = realloc(*list, (count + LEASES_STEP) * sizeof(*more));
	if (more)
		*list = more;
	return more;
}

void leases_read(const char *state_dir, struct dhcp_lease **list, unsigned *count)
{
	char path[DHCP_PATH_BYTES], line[2048];
	FILE *file;

	*list = NULL;
	*count = 0;
	snprintf(path, sizeof(path), "%s/dnsmasq/leases", state_dir);
	file = fopen(path, "re");
	if (!file)
		return;
	while (*count < LEASES_MAX && fgets(line, sizeof(line), file) && make_room(list, *count))
		*count += leases_parse(line, &(*list)[*count]);
	fclose(file);
}
