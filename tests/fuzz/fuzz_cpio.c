// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: the names in an initramfs. However the bytes come, the names are the same: the first byte says in which pieces they
 * are pushed in the second time.
 */
#include "doctor/cpio.h"
#include "doctor/initramfs.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct names {
	uint64_t hash;
	unsigned count;
	struct initramfs initramfs;
};

static void add_name(void *arg, const char *name)
{
	struct names *names = arg;

	names->count++;
	for (const char *c = name; *c; c++)
		names->hash = names->hash * 31 + (unsigned char)*c;
	initramfs_add_name(&names->initramfs, name);
}

static size_t push_all(struct cpio *cpio, const uint8_t *data, size_t size, size_t piece)
{
	size_t all = 0;

	while (all < size) {
		size_t part = size - all < piece ? size - all : piece, taken = cpio_push(cpio, data + all, part);

		all += taken;
		if (taken < part)
			break;
	}
	return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct names whole, parts;
	static struct cpio first, second;

	if (!size)
		return 0;
	memset(&whole, 0, sizeof(whole));
	memset(&parts, 0, sizeof(parts));
	cpio_init(&first, add_name, &whole);
	cpio_init(&second, add_name, &parts);
	if (push_all(&first, data + 1, size - 1, SIZE_MAX) != push_all(&second, data + 1, size - 1, data[0] + 1u) ||
	    whole.count != parts.count || whole.hash != parts.hash || cpio_is_whole(&first) != cpio_is_whole(&second))
		abort();
	return 0;
}
