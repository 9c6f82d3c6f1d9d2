// SPDX-License-Identifier: GPL-2.0-or-later
#include "inventory/fixture.h"

#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must_open(struct fixture *f)
{
	struct reason reason = { "" };

	if (inventory_open(f->path, &f->inventory, &reason))
		fail_msg("%s", reason.text);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/sanbootd-inventory-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/inventory.db", f->dir);
	must_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	struct fixture *f = *state;

	inventory_close(f->inventory);
	for (size_t i = 0; i < array_len(endings); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", f->path, endings[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

void fixture_reopen(struct fixture *f)
{
	inventory_close(f->inventory);
	must_open(f);
}

int in_write(struct fixture *f, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_write_call(f->inventory, run, arg);
}

int in_read(struct fixture *f, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_read_call(f->inventory, run, arg);
}

int64_t make_version(struct inventory_tx *tx, unsigned number)
{
	struct image_version v = {
		.image = "golden", .number = number, .state = VERSION_PUBLISHED, .format = "raw", .size_bytes = 1 << 20
	};

	snprintf(v.file, sizeof(v.file), "golden@%u.raw", number);
	memset(v.sha256, 'a', 64);
	assert_int_equal(version_insert(tx, &v), 0);
	return v.id;
}

struct machine make_machine(unsigned n, int64_t version_id)
{
	struct machine m = { .auth = AUTH_POLICY,
			     .created_ms = 1,
			     .seen_ms = 2,
			     .system = { .version_id = version_id, .backend = "files", .fresh = true } };

	snprintf(m.name, sizeof(m.name), "pc-%03u", n);
	snprintf(m.iqn, sizeof(m.iqn), "iqn.2026-11.test:%u", n);
	snprintf(m.system.object, sizeof(m.system.object), "child-%u", n);
	return m;
}

void make_mac(char mac[PARSE_MAC_TEXT], unsigned n)
{
	snprintf(mac, PARSE_MAC_TEXT, "52:54:00:%02x:%02x:%02x", n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff);
}
