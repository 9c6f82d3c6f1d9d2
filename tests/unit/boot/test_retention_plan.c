// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes by itself: the plan, as a table from facts. */
#include "cmocka_all.h"

#include "base/util.h"
#include "boot/operator/retention_plan.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define NOW (1000 * DAY_MS)
enum { DAY_S = 24 * 3600 };

static struct retention plan;

static int setup(void **state)
{
	(void)state;
	plan = (struct retention){ .now_ms = NOW, .total_bytes = 1000, .free_bytes = 500, .policy.trash_s = 7 * DAY_S };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	retention_fini(&plan);
	return 0;
}

static struct retention_item *add(enum retention_kind kind, int64_t id, int64_t owner_id, int64_t days_old)
{
	const struct retention_item item = {
		.kind = kind, .id = id, .owner_id = owner_id, .since_ms = NOW - days_old * DAY_MS, .bytes = 10
	};

	assert_int_equal(array_append(&plan.list, &plan.count, &item, sizeof(item)), 0);
	return &plan.list[plan.count - 1];
}

static const struct retention_item *find(enum retention_kind kind, int64_t id)
{
	for (unsigned i = 0; i < plan.count; i++) {
		if (plan.list[i].kind == kind && plan.list[i].id == id)
			return &plan.list[i];
	}
	fail_msg("%s %lld is not in the plan", retention_kind_name(kind), (long long)id);
	return NULL;
}

static void expect(enum retention_kind kind, int64_t id, int64_t due_ms, const char *rule)
{
	const struct retention_item *item = find(kind, id);

	assert_int_equal(item->due_ms, due_ms);
	assert_string_equal(item->rule, rule);
	assert_true(item->why[0]);
}

/* By default the trash is emptied after a week, and nothing else goes. */
static void test_defaults(void **state)
{
	(void)state;
	for (int kind = 0; kind < RETENTION_KINDS; kind++)
		add((enum retention_kind)kind, 1, 1, 500);
	add(RETENTION_TRASH, 2, 2, 3);
	plan.policy.keep_ephemeral = 2;
	retention_plan(&plan);
	expect(RETENTION_TRASH, 1, NOW, "trash=7d");
	expect(RETENTION_TRASH, 2, NOW + 4 * DAY_MS, "trash=7d");
	expect(RETENTION_EPHEMERAL, 1, 0, "keep-ephemeral=2");
	expect(RETENTION_POINT, 1, 0, "keep-restore-points=forever");
	expect(RETENTION_SNAPSHOT, 1, 0, "keep-snapshots=forever");
	expect(RETENTION_VERSION, 1, 0, "keep-versions=forever");
	expect(RETENTION_IDLE, 1, 0, "keep-idle=forever");
	assert_int_equal(plan.due, 1);
	assert_int_equal(plan.due_bytes, 10);
}

static void test_ages(void **state)
{
	static const struct {
		enum retention_kind kind;
		int64_t days;
		int64_t due_in_days; /* 0: now */
		const char *rule;
	} rows[] = {
		{ RETENTION_SNAPSHOT, 91, 0, "keep-snapshots=90d" },
		{ RETENTION_SNAPSHOT, 90, 0, "keep-snapshots=90d" },
		{ RETENTION_SNAPSHOT, 89, 1, "keep-snapshots=90d" },
		{ RETENTION_POINT, 2, 0, "keep-restore-points=36h" },
		{ RETENTION_EPHEMERAL, 3, 0, "keep-ephemeral=1d" },
		{ RETENTION_EPHEMERAL, 0, 1, "keep-ephemeral=1d" },
		{ RETENTION_IDLE, 181, 0, "keep-idle=180d" },
		{ RETENTION_IDLE, 170, 10, "keep-idle=180d" },
	};

	(void)state;
	plan.policy.keep_snapshots_s = 90 * DAY_S;
	plan.policy.keep_points_s = DAY_S + DAY_S / 2;
	plan.policy.keep_ephemeral = 16;
	plan.policy.keep_ephemeral_s = DAY_S;
	plan.policy.keep_idle_s = 180 * DAY_S;
	for (size_t i = 0; i < array_len(rows); i++)
		add(rows[i].kind, (int64_t)i, 1, rows[i].days);
	retention_plan(&plan);
	for (size_t i = 0; i < array_len(rows); i++)
		expect(rows[i].kind, (int64_t)i, NOW + rows[i].due_in_days * DAY_MS, rows[i].rule);
	/* What goes later comes behind what goes now, the soonest first. */
	assert_int_equal(plan.due, 5);
	for (unsigned i = 1; i < plan.count; i++)
		assert_true(plan.list[i - 1].due_ms <= plan.list[i].due_ms);
}

static void test_counts(void **state)
{
	(void)state;
	plan.policy.keep_ephemeral = 2;
	plan.policy.keep_versions = 1;
	for (int64_t i = 1; i <= 3; i++) {
		add(RETENTION_EPHEMERAL, i, 1, 10 - i);
		add(RETENTION_EPHEMERAL, 10 + i, 2, 10 - i);
	}
	for (unsigned number = 1; number <= 5; number++) {
		struct retention_item *item = add(RETENTION_VERSION, number, 0, 50 - number);

		item->number = number;
		strcpy(item->owner, "debian");
		item->in_turn = number == 2;
		if (number == 2 || number == 3)
			strcpy(item->needed, number == 2 ? "new machines get it" : "machines have it");
	}
	strcpy(add(RETENTION_VERSION, 9, 0, 900)->owner, "windows");
	retention_plan(&plan);
	expect(RETENTION_EPHEMERAL, 1, NOW, "keep-ephemeral=2");
	expect(RETENTION_EPHEMERAL, 2, 0, "keep-ephemeral=2");
	expect(RETENTION_EPHEMERAL, 3, 0, "keep-ephemeral=2");
	expect(RETENTION_EPHEMERAL, 11, NOW, "keep-ephemeral=2");
	expect(RETENTION_VERSION, 5, 0, "keep-versions=1");
	expect(RETENTION_VERSION, 4, NOW, "keep-versions=1");
	expect(RETENTION_VERSION, 3, 0, "keep-versions=1");
	assert_string_equal(find(RETENTION_VERSION, 3)->why, "machines have it");
	expect(RETENTION_VERSION, 2, 0, "keep-versions=1");
	expect(RETENTION_VERSION, 1, NOW, "keep-versions=1");
	expect(RETENTION_VERSION, 9, 0, "keep-versions=1");
}

/* Nothing is kept: none of the disks of ephemeral boots, and nothing in the trash. But nobody goes past it. */
static void test_none(void **state)
{
	(void)state;
	plan.policy.trash_s = 0;
	plan.policy.keep_idle_s = DAY_S;
	add(RETENTION_EPHEMERAL, 1, 1, 0);
	add(RETENTION_TRASH, 1, 1, 0);
	add(RETENTION_IDLE, 1, 1, 500);
	retention_plan(&plan);
	expect(RETENTION_EPHEMERAL, 1, NOW, "keep-ephemeral=none");
	expect(RETENTION_TRASH, 1, NOW, "trash=none");
	expect(RETENTION_IDLE, 1, 0, "keep-idle=1d");
	assert_non_null(strstr(find(RETENTION_IDLE, 1)->why, "trash=none"));
}

static void test_grace(void **state)
{
	(void)state;
	plan.changed_ms = NOW - 60 * 1000;
	add(RETENTION_TRASH, 1, 1, 30);
	add(RETENTION_TRASH, 2, 2, 6);
	retention_plan(&plan);
	assert_int_equal(plan.grace_ms, plan.changed_ms + RETENTION_GRACE_MS);
	expect(RETENTION_TRASH, 1, plan.grace_ms, "trash=7d");
	expect(RETENTION_TRASH, 2, NOW + DAY_MS, "trash=7d");
	assert_int_equal(plan.due, 1);
	plan.changed_ms = NOW - RETENTION_GRACE_MS;
	retention_plan(&plan);
	assert_int_equal(plan.grace_ms, 0);
	expect(RETENTION_TRASH, 1, NOW, "trash=7d");
}

static void low_space(uint64_t free_bytes)
{
	plan.free_bytes = free_bytes;
	retention_plan(&plan);
	assert_int_equal(plan.low_bytes, 100);
}

/* Early: the trash, then disks of ephemeral boots, then restore points, the oldest first; as much as is needed. */
static void test_low_space(void **state)
{
	(void)state;
	plan.policy.low_space_percent = 10;
	plan.policy.keep_ephemeral = 16;
	add(RETENTION_SNAPSHOT, 1, 1, 900);
	strcpy(add(RETENTION_VERSION, 1, 1, 900)->owner, "debian");
	add(RETENTION_POINT, 1, 1, 300);
	add(RETENTION_POINT, 2, 1, 400)->bytes = 0; /* its machine's disk stands on it */
	add(RETENTION_EPHEMERAL, 1, 1, 5);
	add(RETENTION_TRASH, 1, 1, 2);
	add(RETENTION_TRASH, 2, 2, 3);
	add(RETENTION_TRASH, 3, 3, 9); /* goes in any case */
	low_space(500);
	assert_int_equal(plan.due, 1);
	low_space(90);
	assert_int_equal(plan.due, 1);
	low_space(89);
	assert_int_equal(plan.due, 2);
	expect(RETENTION_TRASH, 2, NOW, "low-space");
	assert_true(find(RETENTION_TRASH, 2)->early);
	expect(RETENTION_TRASH, 1, NOW + 5 * DAY_MS, "trash=7d");
	low_space(65);
	assert_int_equal(plan.due, 4);
	expect(RETENTION_EPHEMERAL, 1, NOW, "low-space");
	expect(RETENTION_POINT, 1, 0, "keep-restore-points=forever");
	low_space(1);
	assert_int_equal(plan.due, 5);
	expect(RETENTION_POINT, 1, NOW, "low-space");
	expect(RETENTION_POINT, 2, 0, "keep-restore-points=forever");
	expect(RETENTION_SNAPSHOT, 1, 0, "keep-snapshots=forever");
	expect(RETENTION_VERSION, 1, 0, "keep-versions=forever");
	/* In this order. */
	for (unsigned i = 1; i < plan.due; i++)
		assert_true(plan.list[i - 1].kind <= plan.list[i].kind);
	/* Those that are oldest go first, and what is needed never does. */
	strcpy(plan.list[0].needed, "somebody has it");
	plan.list[0].since_ms = 1;
	low_space(1);
	assert_int_equal(plan.due, 4);
	/* Nor before the grace is over. */
	plan.changed_ms = NOW - 1000;
	low_space(1);
	expect(RETENTION_EPHEMERAL, 1, plan.grace_ms, "low-space");
	plan.policy.low_space_bytes = 2;
	plan.free_bytes = 3;
	retention_plan(&plan);
	assert_int_equal(plan.low_bytes, 2);
	assert_false(find(RETENTION_EPHEMERAL, 1)->early);
}

static void test_versions(void **state)
{
	static const struct {
		struct image_version version;
		const char *needed; /* a part of it; NULL: nobody does */
	} rows[] = {
		{ { .state = VERSION_PUBLISHED }, NULL },
		{ { .state = VERSION_RETIRED }, NULL },
		{ { .state = VERSION_PUBLISHED, .is_newest = true }, "new machines" },
		{ { .state = VERSION_TEST }, "tested" },
		{ { .state = VERSION_DRAFT }, "draft" },
		{ { .state = VERSION_PUBLISHED, .publish_at_ms = 1 }, "published" },
		{ { .state = VERSION_RETIRED, .machines = 1 }, "machines" },
		{ { .state = VERSION_RETIRED, .trashed = 1 }, "trash" },
		{ { .state = VERSION_RETIRED, .volumes = 1 }, "volumes" },
		{ { .state = VERSION_RETIRED, .versions = 1 }, "later versions" },
		{ { .state = VERSION_RETIRED, .snapshots = 1 }, "snapshots" },
	};
	char needed[RETENTION_WHY_TEXT];

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		retention_version_needed(&rows[i].version, needed);
		if (rows[i].needed)
			assert_non_null(strstr(needed, rows[i].needed));
		else
			assert_string_equal(needed, "");
	}
}

/* Nothing at all. */
static void test_empty(void **state)
{
	(void)state;
	plan.policy.low_space_percent = 90;
	plan.free_bytes = 1;
	retention_plan(&plan);
	assert_int_equal(plan.due, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_low_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
