// SPDX-License-Identifier: GPL-2.0-or-later
/* Machines, MACs, names, boots, target state: what the inventory keeps of each machine. */
#include "inventory/fixture.h"

#include "base/util.h"
#include "inventory/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int insert_two(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1);
	struct machine one = make_machine(1, version), two = make_machine(2, version);

	(void)arg;
	strcpy(one.uuid, "4c4c4544-0042-3510-8052-b4c04f4d3132");
	strcpy(two.uuid, one.uuid);
	strcpy(one.serial, "SERIAL-1");
	one.system.size_bytes = (uint64_t)40 << 30;
	one.system.physical_512 = true;
	strcpy(one.system.quota, "3M");
	strcpy(one.note, "a note, umlauts: \xc3\xa4");
	assert_int_equal(machine_insert(tx, &one, "52:54:00:00:00:01"), 0);
	assert_int_equal(machine_insert(tx, &two, "52-54-00-00-00-02"), 0);
	assert_int_equal(one.id, 1);
	assert_int_equal(two.id, 2);
	return 0;
}

static int look_up(struct inventory_tx *tx, void *arg)
{
	struct machine m;
	unsigned count;

	(void)arg;
	assert_int_equal(machine_count(tx, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(machine_by_id(tx, 1, &m), 0);
	assert_string_equal(m.name, "pc-001");
	assert_string_equal(m.note, "a note, umlauts: \xc3\xa4");
	assert_true(m.system.fresh);
	assert_int_equal(m.seen_ms, 2);
	assert_int_equal(m.system.size_bytes, (uint64_t)40 << 30);
	assert_true(m.system.physical_512);
	assert_string_equal(m.system.quota, "3M");
	assert_int_equal(machine_by_mac(tx, "52:54:00:00:00:02", &m), 0);
	assert_int_equal(m.id, 2);
	assert_int_equal(machine_by_iqn(tx, "iqn.2026-11.test:2", &m), 0);
	assert_int_equal(machine_by_name(tx, "PC-002", &m), 0);
	assert_int_equal(machine_by_serial(tx, "SERIAL-1", &m), 0);
	assert_int_equal(m.id, 1);
	assert_int_equal(machine_by_uuid(tx, "4c4c4544-0042-3510-8052-b4c04f4d3132", &m), -ENOTUNIQ);
	assert_int_equal(machine_by_uuid(tx, "", &m), -ENOENT);
	assert_int_equal(machine_by_serial(tx, "", &m), -ENOENT);
	assert_int_equal(machine_by_id(tx, 3, &m), -ENOENT);
	assert_int_equal(machine_by_mac(tx, "a text that is much longer than a MAC", &m), -ENOENT);
	assert_int_equal(machine_by_name(tx, "\xff", &m), -ENOENT);
	assert_int_equal(machine_find(tx, "#2", &m), 0);
	assert_int_equal(machine_find(tx, "525400000001", &m), 0);
	assert_int_equal(m.id, 1);
	assert_int_equal(machine_find(tx, "pc-002", &m), 0);
	assert_int_equal(machine_find(tx, "#2x", &m), -ENOENT);
	assert_int_equal(machine_find(tx, "", &m), -ENOENT);
	return 0;
}

static void test_lookup(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_read(*state, look_up, NULL), 0);
	fixture_reopen(*state);
	assert_int_equal(in_read(*state, look_up, NULL), 0);
}

static int refused(struct inventory_tx *tx, void *arg)
{
	struct machine m = make_machine(3, 1);

	(void)arg;
	assert_int_equal(machine_insert(tx, &m, "no mac"), -EINVAL);
	return -EINVAL;
}

static int refused_more(struct inventory_tx *tx, void *arg)
{
	struct machine m = make_machine(3, 1);

	(void)arg;
	strcpy(m.name, "PC-001");
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -EEXIST);
	m = make_machine(3, 1);
	strcpy(m.iqn, "iqn.2026-11.test:1");
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -EEXIST);
	m = make_machine(3, 99);
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -ENOENT);
	m = make_machine(3, 1);
	memset(m.note, 'x', sizeof(m.note)); /* no NUL */
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -EINVAL);
	m = make_machine(3, 1);
	strcpy(m.product, "latin1 \xe4");
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -EINVAL);
	m = make_machine(3, 1);
	strcpy(m.uuid, "no uuid");
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -EINVAL);
	m = make_machine(3, 1);
	strcpy(m.uuid, "4C4C4544-0042-3510-8052-B4C04F4D3132"); /* not as look-ups write it */
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -EINVAL);
	m = make_machine(3, 1);
	m.mode = (enum machine_mode)7;
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:03"), -EINVAL);
	m = make_machine(3, 1);
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:02"),
			 -EEXIST); /* its MAC: the row must go by the rollback */
	return -EEXIST;
}

static int count_is_two(struct inventory_tx *tx, void *arg)
{
	unsigned count;

	(void)arg;
	assert_int_equal(machine_count(tx, &count), 0);
	assert_int_equal(count, 2);
	return 0;
}

static void test_refused(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_write(*state, refused, NULL), -EINVAL);
	assert_int_equal(in_write(*state, refused_more, NULL), -EEXIST);
	assert_int_equal(in_read(*state, count_is_two, NULL), 0);
}

static int collect(void *arg, const char *text)
{
	strcat(arg, text);
	strcat(arg, ";");
	return 0;
}

static int change(struct inventory_tx *tx, void *arg)
{
	struct machine m, other;
	struct waiting w = { .mac = "52:54:00:00:00:09", .reason = WAIT_SWAP, .machine_id = 1 };
	struct waiting denied = { .mac = "52:54:00:00:00:0a", .reason = WAIT_DENIED, .machine_id = 1 };
	char list[256] = "";

	(void)arg;
	assert_int_equal(machine_by_id(tx, 1, &m), 0);
	strcpy(m.name, "pc-002");
	assert_int_equal(machine_update(tx, &m), -EEXIST);
	strcpy(m.name, "no_host");
	assert_int_equal(machine_update(tx, &m), -EINVAL);
	strcpy(m.name, "renamed");
	strcpy(m.system.object, "child-new");
	m.system.state = VOLUME_FAILED;
	strcpy(m.system.state_reason, "disk on fire");
	assert_int_equal(machine_update(tx, &m), 0);
	assert_int_equal(machine_by_name(tx, "renamed", &other), 0);
	assert_int_equal(other.system.state, VOLUME_FAILED);
	assert_string_equal(other.system.state_reason, "disk on fire");
	assert_string_equal(other.iqn, "iqn.2026-11.test:1");
	m.id = 77;
	assert_int_equal(machine_update(tx, &m), -ENOENT);

	assert_int_equal(machine_add_mac(tx, 1, "52:54:00:00:00:02"), -EEXIST);
	assert_int_equal(machine_add_mac(tx, 1, "5254000000AA"), 0);
	assert_int_equal(machine_each_mac(tx, 1, MAC_ANY, collect, list), 0);
	assert_string_equal(list, "52:54:00:00:00:01;52:54:00:00:00:aa;");
	assert_int_equal(machine_remove_mac(tx, 1, "52:54:00:00:00:02"), -ENOENT);
	assert_int_equal(machine_remove_mac(tx, 1, "52:54:00:00:00:01"), 0);
	assert_int_equal(machine_remove_mac(tx, 1, "52:54:00:00:00:aa"), -EBUSY);

	assert_int_equal(waiting_put(tx, &w, 10), 0);
	assert_int_equal(w.machine_id, 1);
	assert_int_equal(waiting_put(tx, &denied, 10), 0);
	assert_int_equal(machine_delete(tx, 1), 0);
	assert_int_equal(machine_delete(tx, 1), -ENOENT);
	/* Who was to replace it asks again; who was refused stays so. */
	assert_int_equal(waiting_by_mac(tx, w.mac, &w), -ENOENT);
	assert_int_equal(waiting_by_mac(tx, denied.mac, &denied), 0);
	assert_int_equal(denied.machine_id, 0);
	assert_int_equal(machine_by_mac(tx, "52:54:00:00:00:aa", &m), -ENOENT);
	list[0] = '\0';
	assert_int_equal(discarded_each(tx, "files", false, collect, list), 0);
	assert_string_equal(list, "child-1;child-new;");
	assert_int_equal(discarded_forget(tx, "files", "child-1"), 0);
	/* An id is never used again: events speak of it. */
	m = make_machine(5, 1);
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:05"), 0);
	assert_int_equal(m.id, 3);
	assert_int_equal(machine_by_uuid(tx, "", &m), -ENOENT); /* the only one without: that is no UUID */
	return 0;
}

static void test_change(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_write(*state, change, NULL), 0);
}

static void expect_discarded(struct inventory_tx *tx, const char *want)
{
	char list[256] = "";

	assert_int_equal(discarded_each(tx, "files", false, collect, list), 0);
	assert_string_equal(list, want);
}

/* What discarded_each names is deleted: never what a machine has, and not for ever. */
static int give_up_children(struct inventory_tx *tx, void *arg)
{
	const int64_t day_ms = 86400 * 1000;
	struct machine m;

	(void)arg;
	assert_int_equal(machine_by_id(tx, 1, &m), 0);
	strcpy(m.system.object, "second");
	assert_int_equal(machine_update(tx, &m), 0);
	expect_discarded(tx, "child-1;");
	strcpy(m.system.object, "child-1");
	assert_int_equal(machine_update(tx, &m), 0);
	expect_discarded(tx, "second;");
	tx->now_ms += 29 * day_ms;
	assert_int_equal(machine_delete(tx, 2), 0);
	expect_discarded(tx, "child-2;second;");
	tx->now_ms += 2 * day_ms;
	strcpy(m.system.object, "third");
	assert_int_equal(machine_update(tx, &m), 0);
	expect_discarded(tx, "child-1;child-2;");
	return 0;
}

static void test_children_given_up(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_write(*state, give_up_children, NULL), 0);
}

struct pairs {
	struct inventory_tx *tx;
	unsigned count;
};

static int count_inner(void *arg, const struct machine *machine)
{
	(void)machine;
	return ++((struct pairs *)arg)->count > 4;
}

static int each_again(void *arg, const struct machine *machine)
{
	struct pairs *pairs = arg;

	(void)machine;
	return machine_each(pairs->tx, count_inner, pairs);
}

static int pairs_of_machines(struct inventory_tx *tx, void *arg)
{
	struct pairs pairs = { .tx = tx };

	(void)arg;
	assert_int_equal(machine_each(tx, each_again, &pairs), 0);
	assert_int_equal(pairs.count, 4);
	return 0;
}

/* The same question, asked while it is being answered. */
static void test_questions_within_questions(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_read(*state, pairs_of_machines, NULL), 0);
}

static void test_names(void **state)
{
	static const char *const good[] = { "pc-1", "a",
					    "7",    "PC",
					    "a--b", "x123456789012345678901234567890123456789012345678901234567890ab" };
	static const char *const bad[] = { "",
					   "-a",
					   "a-",
					   "a.b",
					   "a_b",
					   "\xc3\xa4",
					   "a b",
					   "525400123456",
					   "52-54-00-12-34-56",
					   "x123456789012345678901234567890123456789012345678901234567890abc" };
	static const char *const good_patterns[] = { "pc-{n:03}", "lab-{n}", "{n}", "{n:09}x", "a{n}b" };
	static const char *const bad_patterns[] = {
		"pc",	      "pc-{n",
		"pc-{n:3}",   "pc-{n:00}",
		"pc-{n:010}", "{n}{n}",
		"pc_{n}",     "-{n}",
		"{n}-",	      "",
		"{m}",	      "{n:03",
		"a{n}}",      "x1234567890123456789012345678901234567890123456789012345{n:09}"
	};

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(machine_name_valid(good[i]));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(machine_name_valid(bad[i]));
	for (size_t i = 0; i < array_len(good_patterns); i++)
		assert_true(machine_name_pattern_valid(good_patterns[i]));
	for (size_t i = 0; i < array_len(bad_patterns); i++)
		assert_false(machine_name_pattern_valid(bad_patterns[i]));
	assert_true(image_name_valid("debian-12.x_y"));
	assert_false(image_name_valid(".hidden"));
	assert_false(image_name_valid("-x"));
	assert_false(image_name_valid("a/b"));
	assert_false(image_name_valid("a@1"));
	assert_false(image_name_valid(""));
}

static int next_names(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1);
	char name[NAME_MAX_TEXT], mac[PARSE_MAC_TEXT];
	struct machine renamed;

	(void)arg;
	for (unsigned n = 1; n <= 20; n++) {
		struct machine m = make_machine(n, version);

		assert_int_equal(machine_next_name(tx, "PC-{n:03}", name), 0);
		assert_string_equal(name + 2, m.name + 2);
		make_mac(mac, n);
		assert_int_equal(machine_insert(tx, &m, mac), 0);
	}
	/* What becomes free is used again; what was never inserted is not left out. */
	assert_int_equal(machine_delete(tx, 7), 0);
	assert_int_equal(machine_next_name(tx, "pc-{n:03}", name), 0);
	assert_string_equal(name, "pc-007");
	assert_int_equal(machine_next_name(tx, "pc-{n:03}", name), 0);
	assert_string_equal(name, "pc-007");
	assert_int_equal(machine_by_id(tx, 5, &renamed), 0);
	strcpy(renamed.name, "office");
	assert_int_equal(machine_update(tx, &renamed), 0);
	assert_int_equal(machine_next_name(tx, "pc-{n:03}", name), 0);
	assert_string_equal(name, "pc-005");
	assert_int_equal(machine_next_name(tx, "other-{n}", name), 0);
	assert_string_equal(name, "other-1");
	assert_int_equal(machine_next_name(tx, "none", name), -EINVAL);
	/* Twelve digits are a MAC, not a name. */
	assert_int_equal(machine_next_name(tx, "52540000000{n}", name), 0);
	assert_string_equal(name, "5254000000010");
	return 0;
}

static void test_next_name(void **state)
{
	assert_int_equal(in_write(*state, next_names, NULL), 0);
}

static int take_name_and_fail(struct inventory_tx *tx, void *arg)
{
	struct machine m = make_machine(1, 1);

	(void)arg;
	assert_int_equal(machine_next_name(tx, "pc-{n:03}", m.name), 0);
	assert_string_equal(m.name, "pc-001");
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:01"), 0);
	assert_int_equal(machine_next_name(tx, "pc-{n:03}", m.name), 0);
	assert_string_equal(m.name, "pc-002");
	return -ECANCELED;
}

static int one_version(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	make_version(tx, 1);
	return 0;
}

/* What SQLite does by itself after some errors of the disk. */
static int take_name_and_lose_all(struct inventory_tx *tx, void *arg)
{
	assert_int_equal(take_name_and_fail(tx, arg), -ECANCELED);
	assert_int_equal(db_run(tx->db, "ROLLBACK"), 0);
	return 0;
}

static void test_next_name_after_rollback(void **state)
{
	assert_int_equal(in_write(*state, one_version, NULL), 0);
	assert_int_equal(in_write(*state, take_name_and_fail, NULL), -ECANCELED);
	assert_int_equal(in_write(*state, take_name_and_fail, NULL), -ECANCELED);
	assert_int_equal(in_write(*state, take_name_and_lose_all, NULL), -EIO);
	assert_int_equal(in_write(*state, take_name_and_lose_all, NULL), -EIO);
}

static int count_boots(void *arg, const struct machine_boot *boot)
{
	unsigned *count = arg;

	assert_true(boot->state != MACHINE_BOOT_ENDED || (!boot->secret[0] && !boot->reverse_secret[0]));
	return ++*count == 1000;
}

static int boots(struct inventory_tx *tx, void *arg)
{
	struct machine_boot b = { .machine_id = 1,
				  .secret = "secret",
				  .reverse_secret = "reverse",
				  .mac = "52:54:00:00:00:01" },
			    found;
	unsigned count = 0;

	(void)arg;
	assert_int_equal(machine_boot_pending(tx, 1, &found), -ENOENT);
	assert_int_equal(machine_boot_issue(tx, &b), 0);
	assert_int_equal(b.number, 1);
	assert_int_equal(machine_boot_pending(tx, 1, &found), 0);
	assert_string_equal(found.secret, "secret");
	assert_true(found.issued_ms > 0);
	assert_int_equal(machine_boot_current(tx, 1, &found), -ENOENT);
	assert_int_equal(machine_boot_begin(tx, 1, 2), -ESTALE);
	assert_int_equal(machine_boot_begin(tx, 1, 1), 0);
	assert_int_equal(machine_boot_begin(tx, 1, 1), -ESTALE);
	assert_int_equal(machine_boot_current(tx, 1, &found), 0);
	assert_true(found.started_ms > 0);
	assert_int_equal(machine_boot_set_interrupted(tx, 1, 1), 0);
	assert_int_equal(machine_boot_set_interrupted(tx, 1, 9), -ENOENT);
	assert_int_equal(machine_boot_issue(tx, &b), 0);
	assert_int_equal(b.number, 2);
	assert_int_equal(machine_boot_begin(tx, 1, 2), 0);
	assert_int_equal(machine_boot_current(tx, 1, &found), 0);
	assert_int_equal(found.number, 2);
	assert_false(found.interrupted);
	assert_int_equal(machine_boot_issue(tx, &b), 0);
	assert_int_equal(machine_boot_end_all(tx, 1), 0);
	assert_int_equal(machine_boot_pending(tx, 1, &found), -ENOENT);
	assert_int_equal(machine_boot_current(tx, 1, &found), -ENOENT);
	/* Number 3 was dropped, and is not given out again. */
	assert_int_equal(machine_boot_issue(tx, &b), 0);
	assert_int_equal(b.number, 4);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(machine_boot_begin(tx, 1, b.number), 0);
		assert_int_equal(machine_boot_issue(tx, &b), 0);
	}
	assert_int_equal(machine_boot_each(tx, 1, 1000, count_boots, &count), 0);
	assert_in_range(count, 60, 66);
	b.machine_id = 99;
	assert_int_equal(machine_boot_issue(tx, &b), -ENOENT);
	return 0;
}

static int second_pending(struct inventory_tx *tx, void *arg)
{
	struct machine_boot b = { .machine_id = 2 };

	(void)arg;
	assert_int_equal(machine_boot_issue(tx, &b), 0);
	return machine_boot_issue(tx, &b);
}

static void test_boots(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_write(*state, boots, NULL), 0);
	assert_int_equal(in_write(*state, second_pending, NULL), -EEXIST);
}

static int list_running(void *arg, int64_t machine_id)
{
	snprintf((char *)arg + strlen(arg), 64 - strlen(arg), "%lld;", (long long)machine_id);
	return 0;
}

/* What a restart goes by: who was logged in, and under which rule. */
static int running(struct inventory_tx *tx, void *arg)
{
	struct machine_boot b = { .machine_id = 1 }, other = { .machine_id = 2 }, found;
	char list[64] = "";

	(void)arg;
	assert_int_equal(machine_boot_issue(tx, &b), 0);
	assert_int_equal(machine_boot_begin(tx, 1, 1), 0);
	assert_int_equal(machine_boot_issue(tx, &other), 0);
	assert_int_equal(machine_boot_begin(tx, 2, 1), 0);
	assert_int_equal(machine_boot_issue(tx, &b), 0);
	assert_int_equal(machine_boot_set_auth(tx, 1, 1, AUTH_MUTUAL), 0);
	assert_int_equal(machine_boot_set_running(tx, 1, 1, true), 0);
	assert_int_equal(machine_boot_each_running(tx, list_running, list), 0);
	assert_string_equal(list, "1;");
	assert_int_equal(machine_boot_current(tx, 1, &found), 0);
	assert_true(found.running);
	assert_int_equal(found.auth, AUTH_MUTUAL);
	assert_int_equal(machine_boot_pending(tx, 1, &found), 0);
	assert_false(found.running);
	assert_int_equal(found.auth, AUTH_POLICY);
	/* The next boot has not logged in yet, whatever the one before it did. */
	assert_int_equal(machine_boot_begin(tx, 1, 2), 0);
	list[0] = '\0';
	assert_int_equal(machine_boot_each_running(tx, list_running, list), 0);
	assert_string_equal(list, "");
	return 0;
}

static void test_running(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_write(*state, running, NULL), 0);
}

static int target_states(struct inventory_tx *tx, void *arg)
{
	static const char blob[] = "a\0b";
	static char big[(1 << 20) + 1];
	void *loaded;
	size_t len;

	(void)arg;
	assert_int_equal(machine_scsi_state_load(tx, 1, &loaded, &len), -ENOENT);
	assert_int_equal(machine_scsi_state_save(tx, 1, "first", 5), 0);
	assert_int_equal(machine_scsi_state_save(tx, 1, blob, sizeof(blob)), 0);
	assert_int_equal(machine_scsi_state_load(tx, 1, &loaded, &len), 0);
	assert_int_equal(len, sizeof(blob));
	assert_memory_equal(loaded, blob, sizeof(blob));
	free(loaded);
	assert_int_equal(machine_scsi_state_save(tx, 1, big, sizeof(big)), -EINVAL);
	assert_int_equal(machine_scsi_state_save(tx, 1, NULL, 0), 0);
	assert_int_equal(machine_scsi_state_load(tx, 1, &loaded, &len), -ENOENT);
	assert_int_equal(machine_scsi_state_save(tx, 99, "x", 1), -ENOENT);
	return 0;
}

static void test_target_state(void **state)
{
	assert_int_equal(in_write(*state, insert_two, NULL), 0);
	assert_int_equal(in_write(*state, target_states, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lookup, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_change, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_children_given_up, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_questions_within_questions, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_next_name, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_next_name_after_rollback, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_boots, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_running, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_target_state, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
