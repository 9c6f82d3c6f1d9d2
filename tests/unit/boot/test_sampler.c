// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes on, sample by sample: the last hour, and ten minutes together in the inventory. */
#include "cmocka_all.h"

#include "base/loop.h"
#include "boot/in_flight.h"
#include "boot/progress/progress.h"
#include "boot/progress/sampler.h"
#include "world.h"

#include <errno.h>
#include <uv.h>

/* The sampler's timer is the only one of its length. */
static void fire(uv_handle_t *handle, void *arg)
{
	uv_timer_t *timer = (uv_timer_t *)handle;

	(void)arg;
	if (handle->type == UV_TIMER && uv_timer_get_repeat(timer) == SAMPLER_STEP_MS)
		timer->timer_cb(timer);
}

/* Ten seconds have passed. */
static void look(void *arg)
{
	struct world *w = arg;

	uv_walk(loop_uv(w->loop), fire, NULL);
}

/* One sample, to its end; how many there are then. */
static unsigned sample(struct world *w, struct activity hour[SAMPLER_HOUR])
{
	loop_call(w->loop, look, w);
	in_flight_wait(&w->boot->in_flight);
	return boot_last_hour(w->boot, hour);
}

static void test_bytes_and_machines(void **state)
{
	struct world *w = *state;
	struct activity hour[SAMPLER_HOUR];
	struct boot_session ended = { .machine_id = 7, .boot = 1, .bytes_read = 1000, .bytes_written = 300 };

	w->session = (struct boot_session){ .machine_id = 7, .boot = 1, .bytes_read = 1000, .bytes_written = 100 };
	w->sessions = 2; /* of one machine */
	assert_int_equal(sample(w, hour), 1);
	assert_int_equal(hour[0].running, 1);
	assert_int_equal(hour[0].read_bytes, 2000);
	assert_int_equal(hour[0].written_bytes, 200);
	assert_int_equal(hour[0].free_bytes, 0);

	/* One has ended, having written more; the other went on. */
	w->sessions = 1;
	w->session.bytes_read = 1500;
	progress_session(w->boot, 7, &ended, "it logged out");
	assert_int_equal(sample(w, hour), 2);
	assert_int_equal(hour[1].read_bytes, 500);
	assert_int_equal(hour[1].written_bytes, 200);

	/* One that is missed, because it ends while they are told, takes nothing back; it is there the next time. */
	w->sessions = 0;
	assert_int_equal(sample(w, hour), 3);
	assert_int_equal(hour[2].running, 0);
	assert_int_equal(hour[2].read_bytes, 0);
	ended.bytes_read = 1600;
	ended.bytes_written = 100;
	progress_session(w->boot, 7, &ended, "it logged out");
	assert_int_equal(sample(w, hour), 4);
	assert_int_equal(hour[3].read_bytes, 100);
	assert_int_equal(hour[3].written_bytes, 0);
}

/* Where the list of sessions was not whole nothing is said of that time. */
static void test_no_list(void **state)
{
	struct world *w = *state;
	struct activity hour[SAMPLER_HOUR];

	w->sessions_err = -ENOMEM;
	assert_int_equal(sample(w, hour), 0);
	w->sessions_err = 0;
	assert_int_equal(sample(w, hour), 1);
}

static void test_boots(void **state)
{
	struct world *w = *state;
	struct activity hour[SAMPLER_HOUR];
	struct machine_boot current, pending;
	int64_t id;

	world_expect(w, "52:54:00:aa:00:01", "", "", "sanboot", NULL);
	id = world_machine(w, "52:54:00:aa:00:01").id;
	world_boots(w, id, &current, &pending);
	assert_int_equal(world_begin(w, id, pending.number), 0);
	assert_int_equal(sample(w, hour), 1);
	assert_int_equal(hour[0].boots, 1);
	assert_int_equal(sample(w, hour), 2);
	assert_int_equal(hour[1].boots, 0);
}

struct read {
	unsigned count;
	struct activity last;
};

static int add(void *arg, const struct activity *activity)
{
	struct read *read = arg;

	read->count++;
	read->last = *activity;
	return 0;
}

static int read_run(struct inventory_tx *tx, void *arg)
{
	return activity_each(tx, 0, add, arg);
}

static void test_ten_minutes(void **state)
{
	struct world *w = *state;
	struct activity hour[SAMPLER_HOUR];
	struct read read = { 0 };

	w->session = (struct boot_session){ .machine_id = 7, .boot = 1 };
	for (unsigned i = 0; i < SAMPLER_TOGETHER; i++) {
		assert_int_equal(inventory_read_call(w->inventory, read_run, &read), 0);
		assert_int_equal(read.count, 0);
		w->sessions = i == 5;
		w->session.bytes_read = i == 5 ? 512 : 0;
		sample(w, hour);
	}
	assert_int_equal(inventory_read_call(w->inventory, read_run, &read), 0);
	assert_int_equal(read.count, 1);
	assert_int_equal(read.last.running, 1);
	assert_int_equal(read.last.read_bytes, 512);
	assert_int_equal(read.last.at_ms, hour[SAMPLER_TOGETHER - 1].at_ms);
	assert_true(read.last.free_bytes > 0);
}

/* The oldest goes. */
static void test_an_hour(void **state)
{
	struct world *w = *state;
	struct activity hour[SAMPLER_HOUR];
	int64_t second;

	sample(w, hour);
	sample(w, hour);
	second = hour[1].at_ms;
	for (unsigned i = 2; i <= SAMPLER_HOUR; i++)
		sample(w, hour);
	assert_int_equal(boot_last_hour(w->boot, hour), SAMPLER_HOUR);
	assert_int_equal(hour[0].at_ms, second);
	for (unsigned i = 1; i < SAMPLER_HOUR; i++)
		assert_true(hour[i].at_ms >= hour[i - 1].at_ms);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_bytes_and_machines), TEST(test_no_list), TEST(test_boots),
		TEST(test_ten_minutes),	       TEST(test_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
