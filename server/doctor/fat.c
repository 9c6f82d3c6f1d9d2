// SPDX-License-Identifier: GPL-2.0-or-later
/* FAT, read only: see fat.h. */
#include "doctor/fat.h"

#include "base/util.h"

#include <string.h>
#include <strings.h>

enum {
	STEPS_MAX =
		1 << 20, /* table look-ups and reads: an initramfs in small clusters, too; done in a second or two */
	FOLDER_BYTES_MAX = 2 << 20, /* FAT §6.1: 65536 entries */
	ENTRY_BYTES = 32,
	ATTR_VOLUME = 0x08,
	ATTR_FOLDER = 0x10,
	ATTR_LONG = 0x0f,
	LONG_LAST = 0x40,
	LONG_CHARS = 13,
	LONG_ENTRIES = 20,
};

struct boot_sector {
	uint8_t jump[3], oem[8];
	struct le16 sector_bytes;
	uint8_t cluster_sectors;
	struct le16 reserved;
	uint8_t tables;
	struct le16 root_entries, sectors16;
	uint8_t media;
	struct le16 table_sectors16, track, heads;
	struct le32 hidden, sectors32, table_sectors32;
	uint8_t flags32[4];
	struct le32 root_cluster;
};

static bool is_power_of_2(uint32_t x)
{
	return x && !(x & (x - 1));
}

bool fat_init(struct fat *fat, const struct view *view, uint64_t start, uint64_t length)
{
	uint64_t sectors, table_sectors, before_data;
	struct boot_sector b;
	uint32_t sector, root_sectors;

	if (!view_read(view, start, &b, sizeof(b)))
		return false;
	sector = le16_get(b.sector_bytes);
	if ((b.jump[0] != 0xeb && b.jump[0] != 0xe9) || sector < 512 || sector > 4096 || !is_power_of_2(sector) ||
	    !is_power_of_2(b.cluster_sectors) || !le16_get(b.reserved) || b.tables < 1 || b.tables > 2)
		return false;
	sectors = le16_get(b.sectors16) ? le16_get(b.sectors16) : le32_get(b.sectors32);
	table_sectors = le16_get(b.table_sectors16) ? le16_get(b.table_sectors16) : le32_get(b.table_sectors32);
	root_sectors = (le16_get(b.root_entries) * ENTRY_BYTES + sector - 1) / sector;
	before_data = le16_get(b.reserved) + b.tables * table_sectors + root_sectors;
	if (!table_sectors || sectors <= before_data || sectors * sector > length)
		return false;
	*fat = (struct fat){
		.view = view, .start = start, .cluster_bytes = sector * b.cluster_sectors, .budget = STEPS_MAX
	};
	fat->clusters = (uint32_t)((sectors - before_data) / b.cluster_sectors);
	/* FAT §3.5: the number of clusters alone says which FAT it is. */
	fat->bits = fat->clusters < 4085 ? 12 : fat->clusters < 65525 ? 16 : 32;
	fat->table = start + (uint64_t)le16_get(b.reserved) * sector;
	fat->root = fat->table + b.tables * table_sectors * sector;
	fat->data = start + before_data * sector;
	fat->root_entries = le16_get(b.root_entries);
	fat->root_cluster = fat->bits == 32 ? le32_get(b.root_cluster) : 0;
	return fat->clusters && table_sectors * sector * 8 / fat->bits >= fat->clusters + 2ull &&
	       fat->clusters < 0x0ffffff7;
}

static bool fat_step(struct fat *fat)
{
	if (!fat->budget)
		return false;
	fat->budget--;
	return true;
}

static bool fat_has_cluster(const struct fat *fat, uint32_t cluster)
{
	return cluster >= 2 && cluster - 2 < fat->clusters;
}

/* The cluster after this one; 0 at the end of a chain, and where there is none. */
static uint32_t fat_next_cluster(struct fat *fat, uint32_t cluster)
{
	uint8_t b[4] = { 0 };
	uint32_t next;

	if (!fat_step(fat))
		return 0;
	if (fat->bits == 12) {
		if (!view_read(fat->view, fat->table + cluster + cluster / 2, b, 2))
			return 0;
		next = (uint32_t)(b[0] | b[1] << 8);
		next = cluster & 1 ? next >> 4 : next & 0xfff;
	} else if (fat->bits == 16) {
		if (!view_read(fat->view, fat->table + 2ull * cluster, b, 2))
			return 0;
		next = (uint32_t)(b[0] | b[1] << 8);
	} else {
		if (!view_read(fat->view, fat->table + 4ull * cluster, b, 4))
			return 0;
		next = (b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24) & 0x0fffffff;
	}
	return fat_has_cluster(fat, next) ? next : 0;
}

void fat_open(struct fat *fat, const struct fat_entry *entry, struct fat_file *file)
{
	*file = (struct fat_file){ .fat = fat };
	if (!entry && fat->bits != 32) {
		file->left = (uint64_t)fat->root_entries * ENTRY_BYTES;
		return;
	}
	file->cluster = entry ? entry->cluster : fat->root_cluster;
	file->left = !entry || entry->folder ? FOLDER_BYTES_MAX : entry->size;
	if (!fat_has_cluster(fat, file->cluster))
		file->left = 0;
}

size_t fat_read(struct fat_file *file, void *data, size_t len)
{
	struct fat *fat = file->fat;
	uint8_t *out = data;
	size_t done = 0;

	while (done < len && file->left) {
		size_t part = (size_t)min_u64(len - done, file->left);
		uint64_t at = fat->root + file->in_cluster;

		if (file->cluster) {
			if (file->in_cluster == fat->cluster_bytes) {
				file->cluster = fat_next_cluster(fat, file->cluster);
				file->in_cluster = 0;
				if (!file->cluster) {
					file->left = 0;
					break;
				}
			}
			part = (size_t)min_u64(part, fat->cluster_bytes - file->in_cluster);
			at = fat->data + (uint64_t)(file->cluster - 2) * fat->cluster_bytes + file->in_cluster;
		}
		if (!fat_step(fat) || !view_read(fat->view, at, out + done, part)) {
			file->left = 0;
			break;
		}
		file->in_cluster += (uint32_t)part;
		file->left -= part;
		done += part;
	}
	return done;
}

/* "BOOTX64 EFI" -> "BOOTX64.EFI" */
static void short_name(const uint8_t *raw, char *name)
{
	size_t len = 0;

	for (int i = 0; i < 11; i++) {
		if (i == 8 && raw[8] != ' ')
			name[len++] = '.';
		if (raw[i] != ' ')
			name[len++] = raw[i] > 0x20 && raw[i] < 0x7f ? (char)raw[i] : '?';
	}
	name[len] = '\0';
}

static uint8_t short_checksum(const uint8_t *raw)
{
	uint8_t sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + raw[i]);
	return sum;
}

/* A long name is spread over the entries before the short one, last part first (FAT §7.1). */
struct long_name {
	char text[LONG_ENTRIES * LONG_CHARS + 1];
	uint8_t checksum;
	unsigned next; /* number of the part that must come; 0: all are there */
	bool valid;
};

static void long_name_add(struct long_name *name, const uint8_t *raw)
{
	static const uint8_t at[LONG_CHARS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
	unsigned number = raw[0] & 0x1f;

	if (raw[0] & LONG_LAST) {
		*name = (struct long_name){ .checksum = raw[13],
					    .next = number,
					    .valid = number >= 1 && number <= LONG_ENTRIES };
	}
	if (!name->valid || !number || number != name->next || raw[13] != name->checksum) {
		name->valid = false;
		return;
	}
	name->next--;
	for (unsigned i = 0; i < LONG_CHARS; i++) {
		unsigned c = (unsigned)(raw[at[i]] | raw[at[i] + 1] << 8);

		name->text[(number - 1) * LONG_CHARS + i] = (char)(c == 0 || c == 0xffff ? '\0' :
								   c >= 0x20 && c < 0x7f ? (int)c :
											   '?');
	}
}

bool fat_next(struct fat_file *folder, struct fat_entry *entry)
{
	struct long_name name = { .valid = false };
	uint8_t raw[ENTRY_BYTES];

	while (fat_read(folder, raw, sizeof(raw)) == sizeof(raw) && raw[0]) {
		if (raw[0] == 0xe5) {
			name.valid = false;
			continue;
		}
		if ((raw[11] & 0x3f) == ATTR_LONG) {
			long_name_add(&name, raw);
			continue;
		}
		if ((raw[11] & ATTR_VOLUME) || raw[0] == '.') {
			name.valid = false;
			continue;
		}
		*entry = (struct fat_entry){ .folder = raw[11] & ATTR_FOLDER };
		entry->cluster = (uint32_t)(raw[26] | raw[27] << 8);
		if (folder->fat->bits == 32)
			entry->cluster |= (uint32_t)(raw[20] | raw[21] << 8) << 16;
		if (!entry->folder)
			entry->size =
				raw[28] | (uint32_t)raw[29] << 8 | (uint32_t)raw[30] << 16 | (uint32_t)raw[31] << 24;
		if (name.valid && !name.next && name.checksum == short_checksum(raw) &&
		    strlen(name.text) < sizeof(entry->name))
			memcpy(entry->name, name.text, strlen(name.text) + 1);
		else
			short_name(raw, entry->name);
		return true;
	}
	folder->left = 0;
	return false;
}

bool fat_find(struct fat *fat, const char *path, struct fat_entry *entry)
{
	struct fat_entry found;
	struct fat_file folder;

	fat_open(fat, NULL, &folder);
	for (;;) {
		size_t len = strcspn(path, "/");

		do {
			if (!fat_next(&folder, &found))
				return false;
		} while (strlen(found.name) != len || strncasecmp(found.name, path, len));
		if (!path[len]) {
			*entry = found;
			return true;
		}
		if (!found.folder)
			return false;
		fat_open(fat, &found, &folder);
		path += len + 1;
	}
}
