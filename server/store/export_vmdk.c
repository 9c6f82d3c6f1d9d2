// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VMDK of one file has its description inside, and that names the file (Virtual Disk Format 5.0, "Extent Description"). What
 * qemu-img makes has no name yet: it writes that of its descriptor.
 */
#include "store/export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VMDK_DESCRIPTOR_AT = 512, VMDK_DESCRIPTOR_BYTES = 20 * 512 };

int export_name_vmdk(int fd, const char *file)
{
	static const char made[] = " SPARSE \"";
	char old[VMDK_DESCRIPTOR_BYTES + 1] = "", text[VMDK_DESCRIPTOR_BYTES] = "", *extent, *end;
	int len;

	if (pread(fd, old, VMDK_DESCRIPTOR_BYTES, VMDK_DESCRIPTOR_AT) != VMDK_DESCRIPTOR_BYTES)
		return -EIO;
	extent = strstr(old, made);
	end = extent ? strchr(extent + strlen(made), '"') : NULL;
	if (!end)
		return -EIO;
	extent += strlen(made);
	len = snprintf(text, sizeof(text), "%.*s%s%s", (int)(extent - old), old, file, end);
	if (len < 0 || (size_t)len >= sizeof(text))
		return -ENAMETOOLONG;
	return pwrite(fd, text, sizeof(text), VMDK_DESCRIPTOR_AT) == (ssize_t)sizeof(text) ? 0 : -EIO;
}
