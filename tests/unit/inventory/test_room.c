// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file system is full, because machines have filled it: people must still get in and make room, nothing of what
 * happens meanwhile is lost, and a restart does not lock everybody out. On a small tmpfs, in a mount namespace.
 */
#include "inventory/fixture.h"
#include "inventory/token.h"
#include "skip.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHANGES = 100 };

struct small {
	char dir[64], path[96];
	struct inventory *inventory;
};

static bool small_open(struct small *small)
{
	struct reason reason = { "" };

	*small = (struct small){ .dir = "/tmp/sanbootd-room.XXXXXX" };
	assert_non_null(mkdtemp(small->dir));
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("room", small->dir, "tmpfs", 0, "size=32m")) {
		test_skip("a tmpfs of its own needs root: %s", strerror(errno));
		rmdir(small->dir);
		return false;
	}
	snprintf(small->path, sizeof(small->path), "%s/inventory.db", small->dir);
	if (inventory_open(small->path, &small->inventory, &reason))
		fail_msg("%s", reason.text);
	return true;
}

static void small_close(struct small *small)
{
	inventory_close(small->inventory);
	assert_int_equal(umount(small->dir), 0);
	rmdir(small->dir);
}

/* To the last block. */
static void fill(struct small *small)
{
	static const char block[4096] = { 1 };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/disk", small->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) == sizeof(block))
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

/* What a log-in, a policy and an event write, and more of it than fits into blocks that are half empty by chance. */
static int change(struct inventory_tx *tx, void *arg)
{
	unsigned n = *(unsigned *)arg;
	struct token token = { .label = "web", .expires_ms = INT64_MAX };
	char hash[65], quota[32];
	struct reason reason;
	int err;

	snprintf(hash, sizeof(hash), "%064x", n);
	snprintf(quota, sizeof(quota), "%uM", 100 + n);
	err = token_insert(tx, hash, &token);
	if (!err)
		err = policy_set(tx, "quota", quota, &reason);
	if (!err)
		err = event_add(tx, "info", "test", "test", 0, "", "change %u of a time when there was no room", n);
	return err;
}

static void change_much(struct small *small, unsigned first)
{
	for (unsigned n = first; n < first + CHANGES; n++) {
		int err = inventory_write_call(small->inventory, change, &n);

		if (err)
			fail_msg("change %u: %s", n, strerror(-err));
	}
}

static int look(struct inventory_tx *tx, void *arg)
{
	struct policy policy;
	int err = policy_get(tx, &policy);

	if (!err)
		quota_parse(policy.quota, arg);
	return err;
}

static void check(struct small *small, unsigned last)
{
	uint64_t quota;

	assert_int_equal(inventory_read_call(small->inventory, look, &quota), 0);
	assert_int_equal(quota, (uint64_t)(100 + last) << 20);
}

static void test_changes_when_all_is_full(void **state)
{
	struct small small;

	(void)state;
	if (!small_open(&small))
		return;
	fill(&small);
	change_much(&small, 0);
	check(&small, CHANGES - 1);
	small_close(&small);
}

/* Clean, and so without a WAL: there is room for a new one. */
static void test_a_start_when_all_is_full(void **state)
{
	struct reason reason = { "" };
	struct small small;

	(void)state;
	if (!small_open(&small))
		return;
	fill(&small);
	change_much(&small, 0);
	inventory_close(small.inventory);
	fill(&small);
	if (inventory_open(small.path, &small.inventory, &reason))
		fail_msg("%s", reason.text);
	fill(&small);
	check(&small, CHANGES - 1);
	change_much(&small, CHANGES);
	check(&small, 2 * CHANGES - 1);
	small_close(&small);
}

/* Once there is room again, what was used up is kept anew. */
static void test_room_is_kept_anew(void **state)
{
	char path[128];
	struct small small;

	(void)state;
	if (!small_open(&small))
		return;
	for (unsigned round = 0; round < 3; round++) {
		fill(&small);
		change_much(&small, round * CHANGES);
		snprintf(path, sizeof(path), "%s/disk", small.dir);
		assert_int_equal(truncate(path, 0), 0);
		change_much(&small, round * CHANGES + 1000);
	}
	small_close(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_when_all_is_full),
		cmocka_unit_test(test_a_start_when_all_is_full),
		cmocka_unit_test(test_room_is_kept_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
