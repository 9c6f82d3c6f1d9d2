// SPDX-License-Identifier: GPL-2.0-or-later
/* dhcp: the host file as text: whose MAC, address, name and set of boot files stand on which line. */
#include "cmocka_all.h"

#include "dhcp/hosts.h"
#include "inventory/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAC(n) "52:54:00:aa:00:0" #n
#define UUID(n) "5a4b0075-0000-4000-8000-00000000000" #n

struct site {
	char dir[64], file[96];
	struct inventory *inventory;
	int64_t group;
	struct buf text;
};

static int set_up(void **state)
{
	struct site *site = calloc(1, sizeof(*site));
	struct reason reason;

	snprintf(site->dir, sizeof(site->dir), "/tmp/sanbootd-test-hosts-XXXXXX");
	if (!mkdtemp(site->dir))
		return -1;
	snprintf(site->file, sizeof(site->file), "%s/inventory.db", site->dir);
	*state = site;
	return inventory_open(site->file, &site->inventory, &reason);
}

static int tear_down(void **state)
{
	struct site *site = *state;
	char command[128];

	inventory_close(site->inventory);
	snprintf(command, sizeof(command), "rm -r %s", site->dir);
	buf_fini(&site->text);
	free(site);
	return system(command);
}

struct made {
	const char *name, *mac, *uuid, *address, *set;
	bool in_group;
};

static int64_t make(struct inventory_tx *tx, const struct site *site, const struct made *made)
{
	struct machine m = { .created_ms = 1, .seen_ms = 1, .system = { .version_id = 1, .backend = "files" } };

	snprintf(m.name, sizeof(m.name), "%s", made->name);
	snprintf(m.iqn, sizeof(m.iqn), "iqn.2026-11.test:%s", made->name);
	snprintf(m.system.object, sizeof(m.system.object), "child-%s", made->name);
	snprintf(m.uuid, sizeof(m.uuid), "%s", made->uuid);
	snprintf(m.address, sizeof(m.address), "%s", made->address);
	snprintf(m.boot_file_set, sizeof(m.boot_file_set), "%s", made->set);
	m.group_id = made->in_group ? site->group : 0;
	assert_int_equal(machine_insert(tx, &m, made->mac), 0);
	return m.id;
}

static void prepare(struct inventory_tx *tx, struct site *site)
{
	struct image_version version = { .image = "golden",
					 .number = 1,
					 .state = VERSION_PUBLISHED,
					 .file = "golden@1.raw",
					 .format = "raw",
					 .size_bytes = 1 << 20 };
	struct machine_group group = { .name = "lab", .boot_file_set = "new" };

	memset(version.sha256, 'a', 64);
	assert_int_equal(version_insert(tx, &version), 0);
	assert_int_equal(group_insert(tx, &group), 0);
	site->group = group.id;
}

static int fill(struct inventory_tx *tx, void *arg)
{
	struct site *site = arg;
	struct waiting waits = { .mac = MAC(1), .reason = WAIT_APPROVAL, .seen_ms = 1 };
	int64_t first;

	prepare(tx, site);
	first = make(tx, site, &(struct made){ "a", MAC(1), UUID(1), "10.0.0.1", "old", true });
	make(tx, site, &(struct made){ "b", MAC(2), UUID(2), "10.0.0.2", "", true });
	make(tx, site, &(struct made){ "c", MAC(3), UUID(3), "10.0.0.3", "default", true });
	make(tx, site, &(struct made){ "d", MAC(4), UUID(4), "", "", false });
	/* The first one's MAC is a dock's by now, where another one waits; and it has a card of its own. */
	assert_int_equal(machine_share_mac(tx, first, MAC(1), true), 0);
	make(tx, site, &(struct made){ "e", MAC(1), UUID(5), "10.0.0.5", "old", false });
	assert_int_equal(machine_add_mac(tx, first, MAC(6)), 0);
	return waiting_put(tx, &waits, 8);
}

static int read_hosts(struct inventory_tx *tx, void *arg)
{
	return hosts_make(tx, &((struct site *)arg)->text);
}

static int read_tags(struct inventory_tx *tx, void *arg)
{
	return hosts_make_tags(tx, &((struct site *)arg)->text);
}

static void test_lines(void **state)
{
	struct site *site = *state;

	buf_init(&site->text, 1 << 16);
	assert_int_equal(inventory_write_call(site->inventory, fill, site), 0);
	assert_int_equal(inventory_read_call(site->inventory, read_hosts, site), 0);
	/* What several share is nobody's: one line for all of them, no name, no set, no address that is somebody's own. */
	assert_string_equal(buf_text(&site->text),
			    MAC(6) ",set:set-old,10.0.0.1,a\n" MAC(2) ",set:set-new,10.0.0.2,b\n" MAC(
				    3) ",10.0.0.3,c\n" MAC(4) ",d\n" MAC(1) "\n");
	buf_reset(&site->text);
	assert_int_equal(inventory_read_call(site->inventory, read_tags, site), 0);
	assert_string_equal(buf_text(&site->text), MAC(6) ",set:set-old\n" MAC(2) ",set:set-new\n");
}

static int fill_docked(struct inventory_tx *tx, void *arg)
{
	struct site *site = arg;
	int64_t first;

	prepare(tx, site);
	first = make(tx, site, &(struct made){ "a", MAC(1), UUID(1), "10.0.0.1", "", false });
	assert_int_equal(machine_share_mac(tx, first, MAC(1), true), 0);
	make(tx, site, &(struct made){ "b", MAC(1), UUID(2), "", "", false });
	return 0;
}

/* Nobody has a MAC of his own: still one line, with the address that the first of them had. */
static void test_docked(void **state)
{
	struct site *site = *state;

	buf_init(&site->text, 1 << 16);
	assert_int_equal(inventory_write_call(site->inventory, fill_docked, site), 0);
	assert_int_equal(inventory_read_call(site->inventory, read_hosts, site), 0);
	assert_string_equal(buf_text(&site->text), MAC(1) ",10.0.0.1\n");
	buf_reset(&site->text);
	assert_int_equal(inventory_read_call(site->inventory, read_tags, site), 0);
	assert_string_equal(buf_text(&site->text), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
					    cmocka_unit_test_setup_teardown(test_docked, set_up, tear_down) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
