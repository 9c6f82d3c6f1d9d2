// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes wrong on the way: changes that do not commit, commands that are refused, disks that fail or fill up,
 * askers who lie. Nothing is left half done, and who comes next is served.
 */
#include "world.h"

#include "broken_commit.h"

#include "base/loop.h"
#include "base/util.h"
#include "boot/ask/flood.h"
#include "boot/progress/stages.h"
#include "boot/progress/timeline.h"
#include "boot/script/entry.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;

/* Until what boot/ has under way is done: files that are given up are deleted in the background. */
static void settle(struct world *w)
{
	in_flight_wait(&w->boot->in_flight);
}

static struct machine enrol(struct world *w, const char *mac)
{
	world_expect(w, mac, "", "", "sanboot", NULL);
	return world_machine(w, mac);
}

static void set(struct world *w, const char *key, const char *value)
{
	if (boot_set(w->boot, MAC1, key, value, "ctl", &reason))
		fail_msg("%s=%s: %s", key, value, reason.text);
}

static void open_disk(struct world *w, const struct machine *machine, uint64_t number)
{
	uint16_t status;
	struct reason why;

	if (!world_open(w, machine->id, number, &status, &why))
		fail_msg("%s", why.text);
}

/* ---- changes that do not commit ---- */

static void test_enrolment_without_commit(void **state)
{
	struct world *w = *state;
	struct boot_ask ask = world_ask_of(MAC1, "", "");
	struct reply reply;

	break_commit(w->store, "enrolled");
	reply = world_ask(w, &ask);
	assert_int_equal(reply.status, 503);
	assert_string_equal(reply.outcome, "busy");
	free(reply.script);
	settle(w);
	assert_int_equal(world_machine_count(w), 0);
	assert_int_equal(world_children(w), 0);
	mend_commit(w->store);
	world_expect(w, MAC1, "", "", "sanboot", "machine pc-001");
	assert_int_equal(world_children(w), 1);
}

static void test_approval_without_commit(void **state)
{
	struct world *w = *state;

	world_policy(w, "enrol", "approve");
	world_expect(w, MAC1, "", "", "wait", NULL);
	break_commit(w->store, "enrolled");
	assert_true(boot_approve(w->boot, MAC1, NULL, "ctl", NULL, &reason) < 0);
	assert_true(reason.text[0]);
	assert_int_equal(world_children(w), 0);
	mend_commit(w->store);
	world_expect(w, MAC1, "", "", "wait", NULL);
	assert_int_equal(boot_approve(w->boot, MAC1, NULL, "ctl", NULL, &reason), 0);
}

static void test_reset_without_commit(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	break_commit(w->store, "reset");
	assert_true(boot_reset(w->boot, MAC1, "ctl", &reason) < 0);
	assert_true(reason.text[0]);
	assert_string_equal(world_machine(w, MAC1).system.object, machine.system.object);
	assert_int_equal(world_children(w), 1);
	/* The machine goes on with the disk that it has. */
	open_disk(w, &machine, 1);
	mend_commit(w->store);
}

static void test_boot_without_commit(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct machine_boot current, pending;

	set(w, "mode", "ephemeral");
	break_commit(w->store, "boot-started");
	assert_true(world_begin(w, machine.id, 1) < 0);
	settle(w);
	assert_int_equal(world_children(w), 1);
	assert_string_equal(world_machine(w, MAC1).system.object, machine.system.object);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(current.number, 0);
	mend_commit(w->store);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	settle(w);
	assert_int_equal(world_children(w), 1); /* and the one before is gone */
	open_disk(w, &machine, 1);
}

/* ---- refused, and then? ---- */

/* A person has the disk: no boot begins on it until that is over. */
static void test_boot_under_a_claim(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct machine_boot current, pending;

	assert_int_equal(disks_claim(&w->boot->disks, machine.system.id), 0);
	assert_int_equal(world_begin(w, machine.id, 1), -EBUSY);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(pending.number, 1);
	disks_unclaim(&w->boot->disks, machine.system.id);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
}

/* Nobody answered the probe, and then somebody was logged in: the disk is his, and the claim is given back. */
static void test_late_session(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	open_disk(w, &machine, 1);
	w->alive = false;
	w->sessions = 1;
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "pc-001 runs"));
	assert_non_null(w->disk);
	assert_string_equal(world_machine(w, MAC1).system.object, machine.system.object);
	w->sessions = 0;
	assert_int_equal(boot_reset(w->boot, MAC1, "ctl", &reason), 0);
	assert_string_not_equal(world_machine(w, MAC1).system.object, machine.system.object);
}

/* The pending boot was for the image that the machine had. */
static void test_new_image_ends_the_boot(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct machine_boot current, pending;

	world_add_image(w, "other", 'o');
	set(w, "image", "other");
	assert_false(world_boots(w, machine.id, &current, &pending));
	assert_int_equal(world_find(w, machine.iqn, "").login_status, 0x0202);
}

/* Its place among those that may boot goes to the next one. */
static void test_release_and_turns(void **state)
{
	struct world *w = *state;

	world_policy(w, "max-booting", "1");
	enrol(w, MAC1);
	world_expect(w, MAC2, "", "", "wait", "number 1 of 1");
	assert_int_equal(boot_release(w->boot, MAC1, "ctl", &reason), 0);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
}

/* Words that mean something where a group's name could stand. */
static void test_group_names(void **state)
{
	struct world *w = *state;

	assert_int_equal(boot_group_add(w->boot, "lab", "ctl", &reason), 0);
	assert_int_equal(boot_group_set(w->boot, "lab", "name", "none", "ctl", &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "a group's name"));
	assert_int_equal(boot_group_set(w->boot, "lab", "name", "a b", "ctl", &reason), -EINVAL);
	assert_int_equal(boot_group_set(w->boot, "lab", "name", "", "ctl", &reason), -EINVAL);
	assert_int_equal(boot_group_set(w->boot, "lab", "name", "room-3", "ctl", &reason), 0);
}

/* Boards that tell a serial number and no UUID: yes to the new one is no to the old one. */
static void test_swap_without_uuids(void **state)
{
	struct world *w = *state;

	world_expect(w, MAC1, "", "vm1", "sanboot", NULL);
	world_expect(w, MAC2, "", "vm1", "wait", "the UUID or serial number of machine pc-001");
	assert_int_equal(boot_approve(w->boot, MAC2, NULL, "ctl", NULL, &reason), 0);
	world_expect(w, MAC2, "", "vm1", "sanboot", "machine pc-001");
	world_expect(w, MAC1, "", "vm1", "wait", NULL);
	assert_int_equal(world_machine_count(w), 1);
}

/* ---- disks ---- */

struct event_call {
	struct loop_msg msg;
	struct disk *disk;
	sem_t done;
};

static void raise_failure(struct loop_msg *msg)
{
	struct event_call *call = container_of(msg, struct event_call, msg);

	call->disk->on_event(call->disk->event_arg, DISK_FAILED, "fdatasync failed");
	sem_post(&call->done);
}

static void fail_disk(struct world *w)
{
	struct event_call call = { .msg.run = raise_failure, .disk = w->disk };

	assert_non_null(w->disk->on_event);
	sem_init(&call.done, 0, 0);
	loop_post(w->io, &call.msg);
	sem_wait(&call.done);
	sem_destroy(&call.done);
}

/* Said once, however often it fails; and of a disk that was grown while in use, too. */
static void test_failure_of_a_grown_disk(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);

	assert_int_equal(world_begin(w, machine.id, 1), 0);
	open_disk(w, &machine, 1);
	set(w, "size", "16M");
	fail_disk(w);
	fail_disk(w);
	assert_int_equal(world_events(w, "disk-failed"), 1);
	assert_int_equal(world_machine(w, MAC1).system.state, VOLUME_FAILED);
}

/* How many blocks of a disk can be written, from an offset on, before it is full. */
static unsigned fill(struct world *w, uint64_t offset, unsigned most)
{
	for (unsigned i = 0; i < most; i++) {
		int err = world_write_block(w, offset + (uint64_t)i * 4096, 'x', false);

		if (err) {
			assert_int_equal(err, -ENOSPC);
			return i;
		}
	}
	return most;
}

static void test_quota(void **state)
{
	enum { MIB_BLOCKS = 256 };
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);

	set(w, "quota", "2M");
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	open_disk(w, &machine, 1);
	assert_in_range(fill(w, 0, 4 * MIB_BLOCKS), 1, 2 * MIB_BLOCKS);
	/* A larger disk may not take more of the server's. */
	set(w, "size", "16M");
	assert_in_range(fill(w, 8 << 20, 8 * MIB_BLOCKS), 0, MIB_BLOCKS);
	/* Who may write more, may from the next opening on. */
	set(w, "quota", "none");
	world_close(w);
	open_disk(w, &machine, 1);
	assert_int_equal(fill(w, 8 << 20, 4 * MIB_BLOCKS), 4 * MIB_BLOCKS);
}

/* An ephemeral disk stays one while it grows, and the next one is as large. */
static void test_size_of_an_ephemeral_disk(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct volume_info info;

	set(w, "mode", "ephemeral");
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	open_disk(w, &machine, 1);
	set(w, "size", "16M");
	assert_int_equal(w->disk->size_bytes, 16 << 20);
	world_close(w);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, machine.id, 2), 0);
	machine = world_machine(w, MAC1);
	assert_int_equal(store_volume_info(w->store, &machine.system, NULL, &info), 0);
	assert_int_equal(info.virtual_bytes, 16 << 20);
}

/* ---- askers ---- */

static int add_macs(struct inventory_tx *tx, void *arg)
{
	int err = 0;

	for (unsigned n = 0; n < FLOOD_NEW_BURST + 50 && !err; n++) {
		char mac[PARSE_MAC_TEXT];

		snprintf(mac, sizeof(mac), "52:54:00:bb:%02x:%02x", n >> 8, n & 255);
		err = machine_add_mac(tx, *(int64_t *)arg, mac);
	}
	return err;
}

/* MACs that are known, claimed by somebody who has none of them, are as cheap to invent as others. */
static void test_strangers_with_known_macs(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	unsigned refused = 0;

	assert_int_equal(world_write(w, add_macs, &machine.id), 0);
	for (unsigned n = 0; n < FLOOD_NEW_BURST + 50; n++) {
		char mac[PARSE_MAC_TEXT];
		struct reply reply;

		snprintf(mac, sizeof(mac), "52:54:00:bb:%02x:%02x", n >> 8, n & 255);
		struct boot_ask ask = world_ask_of(mac, "", "");

		ask.client[0] = '\0'; /* in no neighbour table */
		reply = world_ask(w, &ask);
		assert_int_equal(reply.status == 503, !strcmp(reply.outcome, "busy"));
		refused += reply.status == 503;
		free(reply.script);
	}
	/* A second brings one more. */
	assert_in_range(refused, 1, 50);
}

static int see_long_ago(struct inventory_tx *tx, void *arg)
{
	struct machine machine;
	int err = machine_by_mac(tx, arg, &machine);

	machine.seen_ms -= 3600 * 1000;
	return err ? err : machine_update(tx, &machine);
}

static void test_seen(void **state)
{
	struct world *w = *state;
	int64_t before = time_unix_ms();

	enrol(w, MAC1);
	assert_int_equal(world_write(w, see_long_ago, (void *)MAC1), 0);
	assert_true(world_machine(w, MAC1).seen_ms < before);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_true(world_machine(w, MAC1).seen_ms >= before);
}

struct taking {
	sem_t done;
	int err;
};

static void taken(void *arg, int err)
{
	struct taking *taking = arg;

	taking->err = err;
	sem_post(&taking->done);
}

static int take(struct world *w, const char *token, const char *client)
{
	struct taking taking;

	sem_init(&taking.done, 0, 0);
	boot_taken(w->boot, MAC1, token, client, taken, &taking);
	sem_wait(&taking.done);
	sem_destroy(&taking.done);
	return taking.err;
}

/* Who has read the token on the wire, and not the machine's MAC, uses nothing up. */
static void test_stranger_takes_boot_once(void **state)
{
	struct world *w = *state;
	struct machine machine;

	enrol(w, MAC1);
	set(w, "boot-once", "local");
	machine = world_machine(w, MAC1);
	assert_int_equal(take(w, machine.boot_once_token, "not an address"), -ENOENT);
	assert_string_equal(world_machine(w, MAC1).boot_once, "local");
	assert_int_equal(take(w, machine.boot_once_token, "127.0.0.1"), 0);
	assert_string_equal(world_machine(w, MAC1).boot_once, "");
}

struct refusal {
	int64_t machine_id;
	char object[NAME_MAX_TEXT];
	unsigned count;
};

static int take_refusal(void *arg, const struct event *event)
{
	struct refusal *refusal = arg;

	if (strcmp(event->kind, "login-refused"))
		return 0;
	refusal->count++;
	refusal->machine_id = event->machine_id;
	memcpy(refusal->object, event->object, sizeof(refusal->object));
	return 0;
}

static int read_refusal(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 1000, take_refusal, arg);
}

/* The event of a login that found no boot is the machine's, though only its target's name was known. */
static void test_whose_login_was_refused(void **state)
{
	struct world *w = *state;
	struct machine machine = enrol(w, MAC1);
	struct refusal refusal = { .count = 0 };

	boot_target_refused(w->boot, 0, machine.iqn, "iqn.x:i", "10.0.0.9:1", "no boot of this machine is under way");
	assert_int_equal(world_write(w, read_refusal, &refusal), 0);
	assert_int_equal(refusal.count, 1);
	assert_int_equal(refusal.machine_id, machine.id);
	assert_string_equal(refusal.object, "pc-001");
}

/* An iBFT has room for so many targets. */
static void test_many_portals(void **state)
{
	struct world *w = *state;
	struct endpoint portals[12];
	struct boot_ask ask = world_ask_of(MAC1, "", "");
	struct reply reply;
	unsigned count = 0;

	for (unsigned i = 0; i < array_len(portals); i++) {
		char text[32];

		snprintf(text, sizeof(text), "127.0.%u.1:3260", i);
		assert_true(parse_endpoint(text, &portals[i]));
	}
	boot_set_portals(w->boot, portals, array_len(portals));
	enrol(w, MAC1);
	set(w, "multipath", "yes");
	reply = world_ask(w, &ask);
	assert_string_equal(reply.outcome, "sanboot");
	for (const char *at = strstr(reply.script, "sanboot --drive"); (at = strstr(at, " iscsi:")); at++)
		count++;
	assert_int_equal(count, PORTALS_OFFERED_MAX);
	free(reply.script);
}

static void test_entry_paths(void **state)
{
	static const char *const bad[] = { "../x", "a/../b", "a//b", "/x", "a/./b", "./x",
					   "a/..", "a:b",    "-x",   "a/", "a/-b",  "a b" };
	char text[128];
	struct boot_problem problem = { 0 };
	struct entry entry;

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		snprintf(text, sizeof(text), "kind = linux\nkernel = %s\n", bad[i]);
		if (entry_parse("x", text, strlen(text), &entry, &problem))
			fail_msg("kernel = %s", bad[i]);
		assert_int_equal(problem.line, 2);
	}
	snprintf(text, sizeof(text), "kind = linux\nkernel = a/b-1/c.d\ninitrd = .disk/a/.initrd\n");
	assert_true(entry_parse("x", text, strlen(text), &entry, &problem));
}

/* ---- boots that are late, or done: by a clock that runs ahead ---- */

static void run_ahead(struct world *w, unsigned by_ms)
{
	timeline_tick(w->boot->timeline, time_unix_ms() + by_ms, time_monotonic_ms() + by_ms);
	stages_changed(w->boot->stages);
}

static void test_steady_boot_frees_its_turn(void **state)
{
	struct world *w = *state;
	struct boot_session session = { .address = "10.0.0.9:1", .boot = 1 };
	unsigned booting = 1, waiting;
	struct machine machine;
	uint64_t seen = 0;

	world_policy(w, "max-booting", "1");
	machine = enrol(w, MAC1);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	boot_target_session(w->boot, machine.id, &session, NULL);
	world_expect(w, MAC2, "", "", "wait", "number 1 of 1");
	run_ahead(w, 2 * TIMELINE_STEADY_MS);
	/* That it is steady is written down, too. */
	for (boot_turns(w->boot, &booting, &waiting); booting; boot_turns(w->boot, &booting, &waiting))
		if (!inventory_wait_change(w->inventory, &seen, 10000))
			fail_msg("it is steady, and still has its turn");
	world_expect(w, MAC2, "", "", "sanboot", NULL);
}

/* Whoever asks for an address here may well boot from another server; and of those who do not there may be many. */
static void test_events_of_others(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 20; i++) {
		char mac[PARSE_MAC_TEXT];

		snprintf(mac, sizeof(mac), "52:54:00:cc:00:%02x", i);
		boot_seen_dhcp(w->boot, mac, STAGE_DHCP, "10.0.0.9", time_unix_ms());
	}
	run_ahead(w, 10 * TIMELINE_FILE_MS);
	world_restart(w); /* stopping writes what has not been written yet */
	assert_int_equal(world_events(w, "stuck"), 0);
	for (unsigned i = 0; i < 20; i++) {
		char mac[PARSE_MAC_TEXT];

		snprintf(mac, sizeof(mac), "52:54:00:cc:01:%02x", i);
		boot_seen_dhcp(w->boot, mac, STAGE_BOOT_FILE, "boot.ipxe", time_unix_ms());
	}
	run_ahead(w, 10 * TIMELINE_SCRIPT_MS);
	world_restart(w);
	assert_in_range(world_events(w, "stuck"), 1, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_enrolment_without_commit),
		TEST(test_approval_without_commit),
		TEST(test_reset_without_commit),
		TEST(test_boot_without_commit),
		TEST(test_boot_under_a_claim),
		TEST(test_late_session),
		TEST(test_new_image_ends_the_boot),
		TEST(test_release_and_turns),
		TEST(test_group_names),
		TEST(test_swap_without_uuids),
		TEST(test_failure_of_a_grown_disk),
		TEST(test_quota),
		TEST(test_size_of_an_ephemeral_disk),
		TEST(test_strangers_with_known_macs),
		TEST(test_seen),
		TEST(test_stranger_takes_boot_once),
		TEST(test_whose_login_was_refused),
		TEST(test_many_portals),
		cmocka_unit_test(test_entry_paths),
		TEST(test_steady_boot_frees_its_turn),
		TEST(test_events_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
