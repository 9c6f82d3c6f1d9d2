// SPDX-License-Identifier: GPL-2.0-or-later
/* Rollouts as rows: whom each step reaches, what is refused, how they go on, stop and end; and that a thousand machines cost little. */
#include "inventory/fixture.h"

#include "inventory/rollout.h"
#include "inventory/stage.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MACHINES = 20 };

static struct reason reason;

/* golden@1 is published, golden@2 to be tested; machines from id 1 on, ephemeral, the first three in ring canary by themselves or a group. */
struct site {
	int64_t old, new;
	struct machine machines[MACHINES];
};

static int64_t add_version(struct inventory_tx *tx, unsigned number, enum version_state state)
{
	struct image_version v = {
		.image = "golden", .number = number, .state = state, .format = "raw", .size_bytes = 1 << 20
	};

	snprintf(v.file, sizeof(v.file), "golden@%u.raw", number);
	assert_int_equal(version_insert(tx, &v), 0);
	return v.id;
}

static void add_machine(struct inventory_tx *tx, unsigned n, int64_t version_id, struct machine *machine)
{
	char mac[PARSE_MAC_TEXT];

	*machine = make_machine(n, version_id);
	machine->mode = MODE_EPHEMERAL;
	machine->system.fresh = false;
	make_mac(mac, n);
	assert_int_equal(machine_insert(tx, machine, mac), 0);
}

static void make_site(struct inventory_tx *tx, struct site *site)
{
	struct machine_group group = { .name = "front", .ring = "Canary" };

	site->old = add_version(tx, 1, VERSION_PUBLISHED);
	site->new = add_version(tx, 2, VERSION_DRAFT);
	assert_int_equal(group_insert(tx, &group), 0);
	for (unsigned i = 0; i < MACHINES; i++)
		add_machine(tx, i, site->old, &site->machines[i]);
	strcpy(site->machines[0].ring, "canary");
	site->machines[1].group_id = group.id;
	site->machines[2].group_id = group.id;
	site->machines[3].group_id = group.id;
	strcpy(site->machines[3].ring, "none");
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(machine_update(tx, &site->machines[i]), 0);
		assert_int_equal(machine_by_id(tx, site->machines[i].id, &site->machines[i]), 0); /* with its group */
	}
}

static struct rollout plan(const struct site *site)
{
	return (struct rollout){ .version_id = site->new,
				 .step_count = 3,
				 .steps = { { .ring = "canary" }, { .percent = 30 }, { .percent = 100 } } };
}

static void begin(struct inventory_tx *tx, struct rollout *r)
{
	if (rollout_begin(tx, r, "anna", &reason))
		fail_msg("%s", reason.text);
}

static struct rollout now(struct inventory_tx *tx)
{
	struct rollout r;

	assert_int_equal(rollout_of(tx, "golden", &r), 0);
	return r;
}

/* "golden@2", "" or "<golden@1": what its next boot begins with. */
static const char *next(struct inventory_tx *tx, const struct machine *machine)
{
	static char text[NAME_MAX_TEXT + 17];
	struct rollout_next next;

	assert_int_equal(rollout_next(tx, machine, &next), 0);
	snprintf(text, sizeof(text), "%s%s", next.back ? "<" : "", next.name);
	return text;
}

/* The machine is one of those that have it. */
static void give(struct inventory_tx *tx, struct machine *machine, int64_t version_id, int64_t rollout_id)
{
	machine->system.version_id = version_id;
	assert_int_equal(machine_update(tx, machine), 0);
	assert_int_equal(rollout_gave(tx, rollout_id, machine->id, 0, machine->instance), 0);
}

/* A boot of it on what it has. steady_ms: how long it took; 0: it never got there. */
static void boots(struct inventory_tx *tx, const struct machine *machine, int64_t steady_ms)
{
	struct machine_boot boot = { .machine_id = machine->id };
	int64_t at_ms = time_unix_ms();

	assert_int_equal(machine_boot_issue(tx, &boot), 0);
	assert_int_equal(machine_boot_begin(tx, machine->id, boot.number), 0);
	assert_int_equal(machine_boot_set_version(tx, machine->id, boot.number, machine->system.version_id), 0);
	struct stage_record record = {
		.machine_id = machine->id, .number = boot.number, .stage = STAGE_SCRIPT, .at_ms = at_ms
	};
	assert_int_equal(stage_put(tx, &record, false), 0);
	if (!steady_ms) {
		record.stuck_ms = at_ms;
		assert_int_equal(stage_set_stuck(tx, &record), 0);
		return;
	}
	record.stage = STAGE_STEADY;
	record.at_ms = at_ms + steady_ms;
	assert_int_equal(stage_put(tx, &record, false), 0);
}

static void set_policy(struct inventory_tx *tx, const char *key, const char *value)
{
	if (policy_set(tx, key, value, &reason))
		fail_msg("%s", reason.text);
}

static void look(struct inventory_tx *tx)
{
	int64_t next_ms;

	assert_int_equal(rollout_look(tx, &next_ms), 0);
}

static void expect(int err, int wanted, const char *part)
{
	if (err != wanted || !strstr(reason.text, part))
		fail_msg("%d and \"%s\", not %d and \"%s\"", wanted, part, err, reason.text);
}

static void in_job(void **state, int (*run)(struct inventory_tx *tx, void *arg))
{
	reason.text[0] = '\0';
	assert_int_equal(in_write(*state, run, NULL), 0);
}

/* ---- a percentage ---- */

/* A higher one contains the lower one, each is about as large as it says, and another version begins with others. */
static void test_percent(void **state)
{
	unsigned counts[101] = { 0 }, same = 0;

	(void)state;
	for (int64_t id = 1; id <= 10000; id++) {
		bool before = false;

		for (unsigned percent = 1; percent <= 100; percent++) {
			bool among = rollout_among(id, 7, percent);

			assert_true(among || !before);
			assert_int_equal(among, rollout_among(id, 7, percent));
			counts[percent] += among;
			before = among;
		}
		same += rollout_among(id, 7, 10) && rollout_among(id, 8, 10);
	}
	for (unsigned percent = 1; percent <= 100; percent++)
		assert_in_range(counts[percent], percent * 100 - 200 + (percent < 3 ? 150 : 0), percent * 100 + 200);
	assert_int_equal(counts[100], 10000);
	assert_in_range(same, 50, 150);
}

/* ---- steps ---- */

/* The last step publishes it, and machines that are in no ring get it, too. */
static void last_step(struct inventory_tx *tx, struct site *site, const struct rollout *r)
{
	struct image_version v;

	look(tx);
	assert_int_equal(now(tx).steps_begun, 3);
	assert_int_equal(version_find(tx, "golden", 0, &v), 0);
	assert_int_equal(v.number, 2);
	for (unsigned i = 3; i < MACHINES; i++) {
		if (site->machines[i].system.version_id != site->old)
			continue;
		assert_string_equal(next(tx, &site->machines[i]), "golden@2");
		give(tx, &site->machines[i], site->new, r->id);
		boots(tx, &site->machines[i], 30000);
	}
	assert_int_equal(now(tx).state, ROLLOUT_RUNNING);
	look(tx);
	assert_int_equal(now(tx).state, ROLLOUT_DONE);
	/* Who comes late gets it; who was given another one by a person keeps that. */
	site->machines[5].system.version_id = site->old;
	assert_int_equal(machine_update(tx, &site->machines[5]), 0);
	assert_string_equal(next(tx, &site->machines[5]), "golden@2");
	assert_int_equal(rollout_note_chosen(tx, &site->machines[5]), 0);
	assert_string_equal(next(tx, &site->machines[5]), "");
}

static int steps_run(struct inventory_tx *tx, void *arg)
{
	struct site site;
	struct rollout r;
	struct image_version v;
	unsigned among = 0;

	(void)arg;
	make_site(tx, &site);
	set_policy(tx, "rollout-wait", "none");
	r = plan(&site);
	assert_string_equal(next(tx, &site.machines[0]), "");
	begin(tx, &r);
	/* A draft is to be tested then; the first step has begun. */
	assert_int_equal(version_by_id(tx, site.new, &v), 0);
	assert_int_equal(v.state, VERSION_TEST);
	assert_int_equal(now(tx).steps_begun, 1);
	for (unsigned i = 0; i < MACHINES; i++)
		assert_string_equal(next(tx, &site.machines[i]), i < 3 ? "golden@2" : "");
	/* Nobody has booted, so nothing is proven. */
	look(tx);
	assert_int_equal(now(tx).steps_begun, 1);
	for (unsigned i = 0; i < 3; i++) {
		give(tx, &site.machines[i], site.new, r.id);
		boots(tx, &site.machines[i], 30000);
		look(tx);
		assert_int_equal(now(tx).steps_begun, i < 2 ? 1 : 2); /* three machines are fewer than four boots */
	}
	for (unsigned i = 3; i < MACHINES; i++) {
		bool in = rollout_among(site.machines[i].id, site.new, 30);

		among += in;
		assert_string_equal(next(tx, &site.machines[i]), in ? "golden@2" : "");
	}
	assert_in_range(among, 1, MACHINES - 4);
	for (unsigned i = 3; i < MACHINES; i++) {
		if (!rollout_among(site.machines[i].id, site.new, 30))
			continue;
		give(tx, &site.machines[i], site.new, r.id);
		boots(tx, &site.machines[i], 30000);
	}
	last_step(tx, &site, &r);
	return 0;
}

static void test_steps(void **state)
{
	in_job(state, steps_run);
}

/* A step waits as long as policy says; one with a time begins then, if the one before has begun. */
static int times_run(struct inventory_tx *tx, void *arg)
{
	struct site site;
	struct rollout r;
	int64_t next_ms, soon_ms = time_unix_ms() + 3000;

	(void)arg;
	make_site(tx, &site);
	r = plan(&site);
	r.steps[1].at_ms = soon_ms;
	begin(tx, &r);
	assert_int_equal(rollout_look(tx, &next_ms), 0);
	assert_int_equal(next_ms, soon_ms);
	for (unsigned i = 0; i < 3; i++) {
		give(tx, &site.machines[i], site.new, r.id);
		boots(tx, &site.machines[i], 30000);
	}
	look(tx);
	assert_int_equal(now(tx).proven_ms, 0); /* an hour */
	assert_int_equal(now(tx).steps_begun, 1);
	return 0;
}

static int look_run(struct inventory_tx *tx, void *arg)
{
	look(tx);
	*(unsigned *)arg = now(tx).steps_begun;
	return 0;
}

static void test_times(void **state)
{
	struct timespec wait = { .tv_nsec = 50000000 };
	unsigned begun = 1;

	in_job(state, times_run);
	while (begun == 1) {
		nanosleep(&wait, NULL);
		assert_int_equal(in_write(*state, look_run, &begun), 0);
	}
	assert_int_equal(begun, 2); /* and nobody has shown that it is good, for the last one */
}

/* ---- what is refused ---- */

static void refused_steps(struct inventory_tx *tx, const struct site *site)
{
	struct rollout r;

	r = plan(site);
	strcpy(r.steps[0].ring, "nowhere");
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "no machine of golden is in ring nowhere");
	assert_non_null(strstr(reason.text, "machine set M ring=nowhere"));
	r = plan(site);
	r.steps[0].at_ms = time_unix_ms() - 1000;
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "step 1: that time is over");
	r = plan(site);
	r.steps[0].at_ms = time_unix_ms() + 7200000;
	r.steps[1].at_ms = time_unix_ms() + 3600000;
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "step 2: its time is not after that of step 1");
	r = plan(site);
	r.steps[2].percent = 20;
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "20 % is not more than the 30 %");
	r = plan(site);
	r.steps[1].percent = 100;
	strcpy(r.steps[2].ring, "late");
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "nobody is left");
	r = plan(site);
	strcpy(r.steps[1].ring, "CANARY");
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "has had its step already");
	r = plan(site);
	strcpy(r.steps[0].ring, "a b");
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "a ring's name is made of");
	r = plan(site);
	r.steps[1].percent = 101;
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "1 to 100 percent");
	r = plan(site);
	r.step_count = 0;
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "1 to 16 steps");
	r = plan(site);
	r.version_id = site->old;
	expect(rollout_begin(tx, &r, "anna", &reason), -ESTALE, "golden@1 is published");
}

static int refused_run(struct inventory_tx *tx, void *arg)
{
	struct site site;
	struct rollout r;
	struct published published;

	(void)arg;
	make_site(tx, &site);
	refused_steps(tx, &site);
	/* Of machines with data on their disks none gets it by itself. */
	for (unsigned i = 0; i < 3; i++) {
		site.machines[i].mode = MODE_PERSISTENT;
		assert_int_equal(machine_update(tx, &site.machines[i]), 0);
	}
	r = plan(&site);
	expect(rollout_begin(tx, &r, "anna", &reason), -EINVAL, "--persistent includes them");
	r.persistent = true;
	begin(tx, &r);
	r = plan(&site);
	expect(rollout_begin(tx, &r, "anna", &reason), -ESTALE, "being rolled out already");
	/* Its versions stay while it runs, and no other one is published beside it. */
	expect(version_set_state(tx, site.new, VERSION_RETIRED, "anna", &reason), -ESTALE, "image rollout undo golden");
	assert_int_equal(version_delete(tx, site.new), -EBUSY);
	expect(version_publish_by(tx, site.old, "anna", &published, &reason), -ESTALE, "image rollout undo golden");
	assert_int_equal(version_publish_by(tx, site.new, "anna", &published, &reason), 0);
	assert_true(published.ends_rollout);
	assert_int_equal(now(tx).state, ROLLOUT_DONE);
	assert_int_equal(version_publish_by(tx, site.old, "anna", &published, &reason), 0);
	assert_false(published.ends_rollout);
	assert_int_equal(now(tx).state, ROLLOUT_REPLACED);
	assert_string_equal(next(tx, &site.machines[0]), "");
	expect(rollout_undo(tx, "golden", "anna", &reason), -ENOENT, "is replaced: it cannot be undone");
	expect(rollout_stop(tx, "other", "", false, "anna", &reason), -ENOENT, "nothing of other is or was rolled out");
	return 0;
}

static void test_refused(void **state)
{
	in_job(state, refused_run);
}

/* ---- who keeps what it has ---- */

static int count_standings(void *arg, const struct rollout_place *place)
{
	((unsigned *)arg)[place->standing]++;
	return 0;
}

static int standings_run(struct inventory_tx *tx, void *arg)
{
	struct site site;
	struct rollout r;
	unsigned counts[ROLLOUT_OUTSIDE + 1] = { 0 };
	int64_t newer;

	(void)arg;
	make_site(tx, &site);
	newer = add_version(tx, 3, VERSION_TEST);
	site.machines[0].mode = MODE_PERSISTENT; /* with data */
	site.machines[1].system.version_id = newer;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(machine_update(tx, &site.machines[i]), 0);
	r = plan(&site);
	r.step_count = 1;
	begin(tx, &r);
	r = now(tx);
	assert_int_equal(rollout_each_machine(tx, &r, count_standings, counts), 0);
	assert_int_equal(counts[ROLLOUT_KEEPS_DISK], 1);
	assert_int_equal(counts[ROLLOUT_NEWER], 1);
	assert_int_equal(counts[ROLLOUT_GETS], 1);
	assert_int_equal(counts[ROLLOUT_OUTSIDE], MACHINES - 3);
	assert_string_equal(next(tx, &site.machines[0]), "");
	assert_string_equal(next(tx, &site.machines[1]), "");
	/* One whose disk nobody has used loses nothing with it. */
	site.machines[0].system.fresh = true;
	assert_int_equal(machine_update(tx, &site.machines[0]), 0);
	assert_string_equal(next(tx, &site.machines[0]), "golden@2");
	return 0;
}

static void test_standings(void **state)
{
	in_job(state, standings_run);
}

/* ---- the brake ---- */

/* One job after the other: what happens within one has one time. */
static struct site braked;

static int brake_run(struct inventory_tx *tx, void *arg)
{
	struct site site;
	struct image_version v;
	struct rollout r;

	(void)arg;
	make_site(tx, &site);
	set_policy(tx, "rollout-wait", "none");
	set_policy(tx, "rollout-brake", "back");
	set_policy(tx, "rollout-min-boots", "3");
	for (unsigned i = 0; i < MACHINES; i++)
		boots(tx, &site.machines[i], 30000);
	r = plan(&site);
	r.steps[0] = (struct rollout_step){ .percent = 10 };
	r.step_count = 2;
	r.steps[1] = (struct rollout_step){ .percent = 100 };
	begin(tx, &r);
	for (unsigned i = 0; i < MACHINES; i++)
		if (rollout_among(site.machines[i].id, site.new, 10))
			give(tx, &site.machines[i], site.new, r.id);
	/* The step of all has begun, and then boots fail. */
	assert_int_equal(rollout_begin_step(tx, &r), 0);
	for (unsigned i = 0; i < 3; i++)
		give(tx, &site.machines[i], site.new, r.id);
	boots(tx, &site.machines[0], 30000);
	boots(tx, &site.machines[1], 0);
	look(tx);
	assert_int_equal(now(tx).state, ROLLOUT_RUNNING); /* two are too few */
	boots(tx, &site.machines[2], 0);
	look(tx);
	r = now(tx);
	assert_int_equal(r.state, ROLLOUT_STOPPED);
	assert_true(r.back);
	assert_non_null(strstr(r.why, "only 1 of 3 boots got to a steady system, and of the old version 20 of 20 did"));
	/* New machines get the old one again, and those that have the new one go back. */
	assert_int_equal(version_find(tx, "golden", 0, &v), 0);
	assert_int_equal(v.number, 1);
	assert_string_equal(next(tx, &site.machines[0]), "<golden@1");
	assert_string_equal(next(tx, &site.machines[9]), "");
	braked = site;
	return 0;
}

static int back_run(struct inventory_tx *tx, void *arg)
{
	struct site *site = &braked;

	(void)arg;
	site->machines[0].system.version_id = site->old;
	assert_int_equal(machine_update(tx, &site->machines[0]), 0);
	assert_int_equal(rollout_went_back(tx, now(tx).id, site->machines[0].id), 0);
	assert_string_equal(next(tx, &site->machines[0]), "");
	return 0;
}

static int resume_run(struct inventory_tx *tx, void *arg)
{
	struct site site = braked;
	struct image_version v;
	struct rollout r;

	(void)arg;
	/* Mended by hand: it goes on, without those boots, and also to those that have gone back. */
	assert_int_equal(rollout_resume(tx, "golden", "anna", &reason), 0);
	look(tx);
	r = now(tx);
	assert_int_equal(r.state, ROLLOUT_RUNNING);
	assert_string_equal(next(tx, &site.machines[0]), "golden@2");
	assert_string_equal(next(tx, &site.machines[1]), "");
	assert_int_equal(version_find(tx, "golden", 0, &v), 0);
	assert_int_equal(v.number, 2);
	assert_int_equal(rollout_undo(tx, "golden", "anna", &reason), 0);
	assert_int_equal(version_find(tx, "golden", 0, &v), 0);
	assert_int_equal(v.number, 1);
	assert_string_equal(next(tx, &site.machines[1]), "<golden@1");
	assert_string_equal(next(tx, &site.machines[9]), "");
	return 0;
}

static void test_brake(void **state)
{
	const struct timespec moment = { .tv_nsec = 5000000 };

	in_job(state, brake_run);
	nanosleep(&moment, NULL);
	in_job(state, back_run);
	nanosleep(&moment, NULL);
	in_job(state, resume_run);
}

static int slow_run(struct inventory_tx *tx, void *arg)
{
	struct site site;
	struct rollout r;

	(void)arg;
	make_site(tx, &site);
	for (unsigned i = 0; i < MACHINES; i++)
		boots(tx, &site.machines[i], 30000 + (int64_t)i);
	r = plan(&site);
	begin(tx, &r);
	for (unsigned i = 0; i < 3; i++) {
		give(tx, &site.machines[i], site.new, r.id);
		boots(tx, &site.machines[i], 70000);
	}
	look(tx);
	assert_int_equal(now(tx).state, ROLLOUT_RUNNING);
	boots(tx, &site.machines[0], 65000);
	look(tx);
	r = now(tx);
	assert_int_equal(r.state, ROLLOUT_STOPPED);
	assert_false(r.back); /* policy: stop */
	assert_non_null(strstr(r.why, "70.0 s"));
	assert_string_equal(next(tx, &site.machines[0]), "");
	return 0;
}

static void test_slow(void **state)
{
	in_job(state, slow_run);
}

/* One machine that is broken by itself: at most three of its boots count. */
static int one_broken_run(struct inventory_tx *tx, void *arg)
{
	struct brake_facts facts;
	struct site site;
	struct rollout r;

	(void)arg;
	make_site(tx, &site);
	r = plan(&site);
	begin(tx, &r);
	for (unsigned i = 0; i < 3; i++)
		give(tx, &site.machines[i], site.new, r.id);
	for (unsigned i = 0; i < 10; i++)
		boots(tx, &site.machines[0], 0);
	assert_int_equal(rollout_facts(tx, &r, &facts), 0);
	assert_int_equal(facts.new.failed, 3);
	assert_int_equal(facts.new.steady, 0);
	assert_int_equal(facts.old.steady + facts.old.failed, 0);
	look(tx);
	assert_int_equal(now(tx).state, ROLLOUT_RUNNING);
	return 0;
}

static void test_one_broken(void **state)
{
	in_job(state, one_broken_run);
}

/* ---- a thousand machines ---- */

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static int thousand_run(struct inventory_tx *tx, void *arg)
{
	unsigned counts[ROLLOUT_OUTSIDE + 1] = { 0 };
	struct machine machine;
	struct site site;
	struct rollout r;
	double began;

	(void)arg;
	make_site(tx, &site);
	for (unsigned i = MACHINES; i < 1000; i++) {
		add_machine(tx, i, site.old, &machine);
		for (unsigned boot = 0; boot < 3; boot++)
			boots(tx, &machine, 30000);
	}
	r = plan(&site);
	began = cpu_ms();
	begin(tx, &r);
	assert_int_equal(rollout_each_machine(tx, &r, count_standings, counts), 0);
	look(tx);
	assert_true(cpu_ms() - began < 1000);
	assert_int_equal(counts[ROLLOUT_GETS] + counts[ROLLOUT_LATER], 1000);
	return 0;
}

static void test_thousand(void **state)
{
	in_job(state, thousand_run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percent),
		cmocka_unit_test_setup_teardown(test_steps, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_times, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_standings, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_brake, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_slow, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_one_broken, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_thousand, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
