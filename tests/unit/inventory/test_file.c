// SPDX-License-Identifier: GPL-2.0-or-later
/* The file itself: who may read it, what it keeps and what not, and what others wrote into it. */
#include "inventory/fixture.h"

#include "base/buf.h"
#include "inventory/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void change(struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* A file that was copied back by somebody with a wide umask. */
static void test_mode(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(chmod(f->path, 0644), 0);
	fixture_reopen(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_no_links(void **state)
{
	struct fixture *f = *state;
	struct inventory *other;
	char link[128];
	struct reason reason = { "" };

	inventory_close(f->inventory);
	f->inventory = NULL;
	snprintf(link, sizeof(link), "%s/link.db", f->dir);
	assert_int_equal(symlink(f->path, link), 0);
	assert_int_equal(inventory_open(link, &other, &reason), -ELOOP);
	assert_non_null(strstr(reason.text, link));
	assert_int_equal(unlink(link), 0);
}

static int machine_of_no_version(struct inventory_tx *tx, void *arg)
{
	struct machine m = make_machine(1, 99);

	(void)arg;
	return machine_insert(tx, &m, "52:54:00:00:00:01");
}

static int read_synchronous(struct inventory_tx *tx, void *arg)
{
	struct query q;

	query_begin(&q, tx, "PRAGMA synchronous");
	return query_number(&q, arg);
}

/* What each connection has to be told anew, also where nothing was migrated. */
static void test_opened_again(void **state)
{
	struct fixture *f = *state;
	int64_t synchronous;

	fixture_reopen(f);
	assert_int_equal(in_write(f, machine_of_no_version, NULL), -ENOENT);
	assert_int_equal(in_write(f, read_synchronous, &synchronous), 0);
	assert_int_equal(synchronous, 2); /* FULL: a commit is on the disk when it is answered */
}

enum { MACHINES = 20 };

static const char secret[] = "Xs7Gk2pQ9vLw4Zr8";

/* Some machines, each of which boots. */
static int boot_all(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1);

	(void)arg;
	for (unsigned n = 1; n <= MACHINES; n++) {
		struct machine m = make_machine(n, version);
		struct machine_boot boot = { 0 };
		char mac[PARSE_MAC_TEXT];

		make_mac(mac, n);
		assert_int_equal(machine_insert(tx, &m, mac), 0);
		boot.machine_id = m.id;
		strcpy(boot.secret, secret);
		assert_int_equal(machine_boot_issue(tx, &boot), 0);
		assert_int_equal(machine_boot_begin(tx, m.id, boot.number), 0);
	}
	return 0;
}

static int end_all(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	for (int64_t id = 1; id <= MACHINES; id++)
		assert_int_equal(machine_boot_end_all(tx, id), 0);
	return 0;
}

static bool file_has(const struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "r");
	char block[4096];
	struct buf all;
	size_t n;
	bool has;

	assert_non_null(file);
	buf_init(&all, 64 << 20);
	while ((n = fread(block, 1, sizeof(block), file)) > 0)
		buf_add(&all, block, n);
	fclose(file);
	has = memmem(all.data, all.len, text, strlen(text));
	buf_fini(&all);
	return has;
}

/* The secret of a boot that ended is nowhere in the file any more: backups are made of it. */
static void test_old_secrets_are_wiped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in_write(f, boot_all, NULL), 0);
	fixture_reopen(f);
	assert_true(file_has(f, secret));
	assert_int_equal(in_write(f, end_all, NULL), 0);
	fixture_reopen(f);
	assert_false(file_has(f, secret));
}

static int find_first(struct inventory_tx *tx, void *arg)
{
	struct machine m;

	(void)arg;
	return machine_by_id(tx, 1, &m);
}

/* Texts that we would not have written are not taken for what they look like. */
static void test_texts_of_others(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in_write(f, boot_all, NULL), 0);
	assert_int_equal(in_read(f, find_first, NULL), 0);
	change(f, "UPDATE machine SET name = printf('%.64c', 'x') WHERE id = 1");
	assert_int_equal(in_read(f, find_first, NULL), -EUCLEAN);
	change(f, "UPDATE machine SET name = 'pc' || char(0) || 'x' WHERE id = 1");
	assert_int_equal(in_read(f, find_first, NULL), -EUCLEAN);
	change(f, "UPDATE machine SET name = printf('%.63c', 'x') WHERE id = 1");
	assert_int_equal(in_read(f, find_first, NULL), 0);
}

static int read_policy(struct inventory_tx *tx, void *arg)
{
	return policy_get(tx, arg);
}

/* After a downgrade, or a hand in the file: what is not understood has its default, and the rest holds. */
static void test_policy_of_others(void **state)
{
	struct fixture *f = *state;
	struct policy policy;

	change(f,
	       "INSERT INTO policy VALUES ('enrol', 'sometimes'), ('of-a-later-version', '1'), ('max-machines', '7')");
	assert_int_equal(in_read(f, read_policy, &policy), 0);
	assert_int_equal(policy.enrol, ENROL_AUTO);
	assert_int_equal(policy.max_machines, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mode, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_links, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_opened_again, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_old_secrets_are_wiped, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_texts_of_others, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_policy_of_others, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
