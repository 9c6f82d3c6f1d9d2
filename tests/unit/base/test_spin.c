// SPDX-License-Identifier: GPL-2.0-or-later
/* When a loop stays awake: spin.c by itself, and in a loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/loop.h"
#include "base/spin.h"
#include "base/util.h"

enum { WORK_NS = 7000 };

/* A peer that comes gap_ns after the last work; gives whether the loop stayed awake until then. */
struct peer {
	struct spin spin;
	uint64_t now_ns;
	bool awake;
};

static bool comes_after(struct peer *peer, uint64_t gap_ns)
{
	uint64_t due_ns = peer->now_ns + gap_ns;
	bool awake = peer->awake;

	for (; awake && peer->now_ns < due_ns; peer->now_ns += 500)
		awake = spin_go_on(&peer->spin, peer->now_ns);
	peer->now_ns = max_u64(peer->now_ns, due_ns);
	due_ns = peer->now_ns;
	peer->now_ns += WORK_NS;
	peer->awake = spin_worked(&peer->spin, due_ns, peer->now_ns);
	return awake;
}

static unsigned awake_of(struct peer *peer, unsigned times, uint64_t gap_ns)
{
	unsigned awake = 0;

	while (times-- > 0)
		awake += comes_after(peer, gap_ns);
	return awake;
}

static struct peer new_peer(void)
{
	struct peer peer = { .now_ns = 5000000000 };

	spin_init(&peer.spin);
	return peer;
}

static void test_near_peer(void **state)
{
	struct peer peer = new_peer();

	(void)state;
	assert_int_equal(awake_of(&peer, 16, SPIN_SHORT_NS / 2), 0);
	assert_in_range(awake_of(&peer, 100, SPIN_NS / 2), 98, 100);
}

/* Nothing is spent on one who is far, however long it goes on. */
static void test_far_peer(void **state)
{
	struct peer peer = new_peer();

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		assert_int_equal(awake_of(&peer, 1, 100000), 0);
		assert_false(peer.awake);
	}
}

/* Who comes just too late: few looks in vain. */
static void test_too_late(void **state)
{
	struct peer peer = new_peer();
	unsigned looks = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		comes_after(&peer, SPIN_NS + SPIN_NS / 2);
		looks += peer.awake;
	}
	assert_in_range(looks, 100, 1300);
}

/* Someone who was near and is not any more: two looks, and then it sleeps until he is near again for a while. */
static void test_goes_away(void **state)
{
	struct peer peer = new_peer();
	unsigned looks = 0;

	(void)state;
	awake_of(&peer, 1000, 1000);
	assert_true(peer.awake);
	for (unsigned i = 0; i < 100; i++) {
		comes_after(&peer, 1000000);
		looks += peer.awake;
	}
	assert_in_range(looks, 0, 2);
	assert_int_equal(awake_of(&peer, 8, 1000), 0);
	assert_in_range(awake_of(&peer, 100, 1000), 80, 100);
}

static void work(struct loop_msg *msg)
{
	(void)msg;
	loop_works(loop_current());
}

/* A loop whose peers have come back at once until it stays awake for them. */
static struct loop *loop_awake(void)
{
	struct loop *loop = loop_new(0);
	struct loop_msg msg = { .run = work };
	bool awake = false;

	assert_non_null(loop);
	for (unsigned i = 0; i < 100000 && !awake; i++) {
		loop_post(loop, &msg);
		loop_run_once(loop, false);
		/* The turn after the work decides. */
		loop_run_once(loop, false);
		awake = uv_backend_timeout(loop_uv(loop)) == 0;
	}
	assert_true(awake);
	return loop;
}

static void test_loop(void **state)
{
	struct loop *loop = loop_awake();

	(void)state;
	usleep(1000);
	loop_run_once(loop, false);
	assert_int_not_equal(uv_backend_timeout(loop_uv(loop)), 0);
	loop_free(loop);
}

static unsigned looks, looks_until_work;

static bool look(void *arg)
{
	if (++looks < looks_until_work)
		return false;
	loop_works(arg);
	return true;
}

/* It looks while it is awake, not more in a turn when there was something, and not when it sleeps. */
static void test_look(void **state)
{
	struct loop *loop = loop_awake();
	unsigned before;

	(void)state;
	loop_set_poll(loop, look, loop);
	looks_until_work = 2;
	loop_run_once(loop, false);
	assert_int_equal(looks, 2);
	looks_until_work = UINT32_MAX;
	usleep(1000);
	loop_run_once(loop, false);
	before = looks;
	loop_run_once(loop, false);
	assert_int_equal(looks, before);
	loop_set_poll(loop, NULL, NULL);
	loop_free(loop);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near_peer), cmocka_unit_test(test_far_peer), cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_goes_away), cmocka_unit_test(test_loop),	   cmocka_unit_test(test_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
