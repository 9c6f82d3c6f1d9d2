// SPDX-License-Identifier: GPL-2.0-or-later
/* VirtualBox's VDI: see probe.h. */
#include "store/probe.h"

#include "base/be.h"
#include "base/util.h"
#include "store/private.h"

#include <errno.h>
#include <string.h>

struct vdi_header { /* VirtualBox's src/VBox/Storage/VDICore.h: version 1.1 */
	char text[64];
	struct le32 signature, version, header_size, type, flags;
	char description[256];
	struct le32 blocks_at, data_at, geometry[4], unused;
	struct le64 size;
	struct le32 block_size, block_extra, blocks, blocks_allocated;
	uint8_t uuid[16], snapshot[16], parent[16], parent_snapshot[16];
};
_Static_assert(offsetof(struct vdi_header, size) == 368, "VDI header");

enum {
	VDI_VERSION = 0x00010001,
	VDI_DYNAMIC = 1,
	VDI_FIXED = 2,
	VDI_DIFFERENCING = 4,
	VDI_FREE = -2,
	VDI_CHUNK = 1024, /* entries that are read at a time */
};

/* The blocks must lie in the file: qemu-img would read what is cut off as zeroes. */
static int vdi_check_blocks(const struct view *view, const struct vdi_header *h, struct reason *reason)
{
	uint64_t at = le32_get(h->blocks_at), left = le32_get(h->blocks), block = le32_get(h->block_size);
	struct le32 table[VDI_CHUNK];

	if (block < 512 || (block & (block - 1)) || left > STORE_SIZE_MAX / block || left * block < le64_get(h->size))
		return reason_refuse(reason, -EINVAL, "is damaged: its VDI header makes no sense");
	while (left) {
		size_t count = (size_t)min_u64(left, VDI_CHUNK);

		if (!view_read(view, at, table, count * sizeof(table[0])))
			return reason_refuse(reason, -EINVAL,
					     "is cut off or damaged: its VDI block table does not fit into it");
		for (size_t i = 0; i < count; i++) {
			uint32_t number = le32_get(table[i]);

			if (number < (uint32_t)VDI_FREE && le32_get(h->data_at) + (number + 1) * block > view->size)
				return reason_refuse(reason, -EINVAL,
						     "is cut off: blocks of its disk lie beyond its end. Copy it again");
		}
		at += count * sizeof(table[0]);
		left -= count;
	}
	return 0;
}

int probe_vdi(const struct view *view, uint64_t *size_bytes, struct reason *reason)
{
	static const uint8_t no_parent[16];
	struct vdi_header h;

	if (!view_read(view, 0, &h, sizeof(h)))
		return reason_refuse(reason, -EINVAL, "is cut off: a VDI header does not fit into it");
	if (le32_get(h.version) != VDI_VERSION)
		return reason_refuse(
			reason, -EINVAL,
			"is a VDI of another version than 1.1: convert it where it was made (VBoxManage clonemedium "
			"OLD NEW --format VDI)");
	if (le32_get(h.type) == VDI_DIFFERENCING || memcmp(h.parent, no_parent, sizeof(no_parent)))
		return reason_refuse(
			reason, -EINVAL,
			"is a VirtualBox snapshot, so it is not complete by itself: make one file of all first "
			"(VBoxManage clonemedium OLD NEW)");
	if (le32_get(h.type) != VDI_DYNAMIC && le32_get(h.type) != VDI_FIXED)
		return reason_refuse(reason, -EINVAL, "is a VDI of type %u, which nobody knows", le32_get(h.type));
	*size_bytes = le64_get(h.size);
	return vdi_check_blocks(view, &h, reason);
}
