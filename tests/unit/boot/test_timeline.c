// SPDX-License-Identifier: GPL-2.0-or-later
/* The timeline of boots, with a clock that the test moves. */
#include "boot/progress/timeline.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

enum { T0 = 1000000 };
#define MAC "52:54:00:00:00:01"

static struct timeline *timeline;
static struct timeline_change changes[TIMELINE_CHANGES];

static int setup(void **state)
{
	(void)state;
	timeline = timeline_new();
	assert_non_null(timeline);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	timeline_free(timeline);
	return 0;
}

static void tick(int64_t now_ms)
{
	timeline_tick(timeline, now_ms, (uint64_t)(now_ms - T0 / 2));
}

/* Everything that has changed, as text: "put dhcp 5, stuck script 7". Times are seconds since T0. */
static const char *taken(void)
{
	static const char *const kinds[] = { "put", "replace", "clear", "stuck", "ask" };
	static char text[8192];
	unsigned count = timeline_take(timeline, changes, TIMELINE_CHANGES);
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		const struct stage_record *r = &changes[i].record;
		int64_t at = changes[i].kind == TIMELINE_STUCK ? r->stuck_ms : r->at_ms;

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? ", " : "", kinds[changes[i].kind]);
		if (changes[i].kind != TIMELINE_CLEAR && changes[i].kind != TIMELINE_ASK)
			len += (size_t)snprintf(text + len, sizeof(text) - len, " %s %d%s", stage_name(r->stage),
						(int)((at - T0) / 1000), changes[i].tell ? "!" : "");
	}
	return text;
}

static int64_t at(unsigned seconds)
{
	return T0 + (int64_t)seconds * 1000;
}

static void begin(uint64_t number, unsigned seconds)
{
	timeline_script(timeline, 7, number, MAC, "10.0.0.7", NULL, at(seconds));
}

static void test_a_whole_boot(void **state)
{
	(void)state;
	timeline_arrival(timeline, MAC, STAGE_DHCP, "10.0.0.7", at(0));
	timeline_arrival(timeline, MAC, STAGE_BOOT_FILE, "snponly.efi", at(1));
	timeline_arrival(timeline, MAC, STAGE_DHCP, "10.0.0.7", at(2));
	timeline_arrival(timeline, MAC, STAGE_BOOT_FILE, "boot.ipxe", at(3));
	assert_string_equal(taken(), "");
	begin(1, 4);
	assert_string_equal(taken(), "clear, put dhcp 0, put boot-file 1, put script 4");
	assert_string_equal(changes[2].record.detail, "snponly.efi, boot.ipxe");
	assert_string_equal(changes[3].record.detail, "10.0.0.7");
	assert_int_equal(changes[3].record.machine_id, 7);
	timeline_session_began(timeline, 7, 1, true, "10.0.0.7:1", at(5));
	timeline_first_read(timeline, 7, 1, at(6));
	timeline_first_read(timeline, 7, 1, at(7));
	timeline_session_began(timeline, 7, 1, false, "10.0.0.7:2", at(20));
	timeline_ipxe_heard(timeline, 7, 1, at(15), at(20));
	assert_string_equal(taken(), "put ipxe-login 5, put first-read 6, replace loader-done 5, put kernel-login 20, "
				     "replace loader-done 15");
	tick(at(39));
	assert_string_equal(taken(), "");
	tick(at(40));
	assert_string_equal(taken(), "put steady 40");
	assert_true(timeline_is_idle(timeline));
	tick(at(5000));
	assert_string_equal(taken(), "");
}

static void test_the_daemon_takes_over_before_it_is_steady(void **state)
{
	(void)state;
	begin(1, 0);
	timeline_session_began(timeline, 7, 1, true, "", at(1));
	timeline_session_began(timeline, 7, 1, false, "", at(10));
	timeline_session_ended(timeline, 7, 1, false, at(28), "closed");
	tick(at(31));
	timeline_session_began(timeline, 7, 1, false, "", at(32));
	tick(at(51));
	assert_null(strstr(taken(), "steady"));
	tick(at(52));
	assert_string_equal(taken(), "put steady 52");
}

static void test_no_login_after_the_script(void **state)
{
	(void)state;
	assert_true(timeline_is_idle(timeline));
	begin(1, 0);
	assert_false(timeline_is_idle(timeline));
	tick(at(59));
	assert_string_equal(taken(), "clear, put script 0");
	assert_false(timeline_is_idle(timeline));
	tick(at(60));
	assert_string_equal(taken(), "stuck script 60!");
	assert_non_null(strstr(changes[0].record.why, "3260"));
	assert_true(timeline_hint(STAGE_SCRIPT, "")[0]);
	assert_true(timeline_is_idle(timeline));
	/* Once; and again where a later stage does not come, without another event. */
	tick(at(200));
	assert_string_equal(taken(), "");
	timeline_session_began(timeline, 7, 1, true, "", at(201));
	tick(at(261));
	assert_string_equal(taken(), "put ipxe-login 201, stuck ipxe-login 261");
}

static void test_a_problem_is_named(void **state)
{
	(void)state;
	begin(1, 0);
	timeline_problem(timeline, 7, "its login was refused: wrong secret", true);
	timeline_problem(timeline, 8, "of another machine", true);
	tick(at(60));
	taken();
	assert_string_equal(changes[2].record.why, "its login was refused: wrong secret");
}

static void test_the_loader_is_asked_about(void **state)
{
	(void)state;
	begin(1, 0);
	timeline_session_began(timeline, 7, 1, true, "", at(1));
	timeline_first_read(timeline, 7, 1, at(2));
	taken();
	tick(at(31));
	assert_string_equal(taken(), "");
	tick(at(32));
	assert_string_equal(taken(), "ask");
	/* It still loads. */
	timeline_ipxe_heard(timeline, 7, 1, at(31), at(32));
	tick(at(60));
	assert_string_equal(taken(), "");
	tick(at(61));
	assert_string_equal(taken(), "ask");
	/* It does not: since then. */
	timeline_ipxe_heard(timeline, 7, 1, at(31), at(61));
	assert_string_equal(taken(), "replace loader-done 31");
	/* Somebody chose from a menu. */
	tick(at(151));
	assert_string_equal(taken(), "ask");
	timeline_ipxe_heard(timeline, 7, 1, at(150), at(151));
	tick(at(180));
	assert_string_equal(taken(), "ask");
	timeline_ipxe_heard(timeline, 7, 1, at(150), at(180));
	assert_string_equal(taken(), "replace loader-done 150");
	tick(at(270));
	assert_string_equal(taken(), "ask");
	timeline_ipxe_heard(timeline, 7, 1, 0, at(270));
	assert_string_equal(taken(), "stuck loader-done 270!");
	assert_non_null(strstr(changes[0].record.why, "initramfs"));
}

static void test_a_kernel_without_a_lasting_session(void **state)
{
	(void)state;
	begin(1, 0);
	timeline_session_began(timeline, 7, 1, true, "", at(1));
	timeline_first_read(timeline, 7, 1, at(2));
	timeline_session_ended(timeline, 7, 1, true, at(9), "closed by its peer");
	timeline_session_began(timeline, 7, 1, false, "", at(10));
	timeline_session_ended(timeline, 7, 1, false, at(20), "reset");
	assert_non_null(strstr(taken(), "replace loader-done 9, put kernel-login 10"));
	tick(at(189));
	assert_string_equal(taken(), "");
	tick(at(190));
	assert_string_equal(taken(), "stuck kernel-login 190!");
	assert_ptr_equal(strstr(changes[0].record.why,
				"the system's session ended: reset; the system's session does not last"),
			 changes[0].record.why);
}

static void test_a_script_that_is_asked_for_again(void **state)
{
	(void)state;
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(0));
	begin(1, 1);
	assert_string_equal(taken(), "clear, put dhcp 0, put script 1");
	begin(1, 30);
	assert_string_equal(taken(), "");
	/* Switched off and on before any login: the same pending boot, another power-on. */
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(40));
	begin(1, 41);
	assert_string_equal(taken(), "clear, put dhcp 40, put script 41");
	/* The same where nobody saw the DHCP. */
	begin(1, 2000);
	assert_string_equal(taken(), "clear, put script 2000");
}

static void test_what_the_kernel_asks_is_no_power_on(void **state)
{
	(void)state;
	begin(1, 0);
	timeline_session_began(timeline, 7, 1, true, "", at(1));
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(9));
	timeline_session_began(timeline, 7, 1, false, "", at(10));
	taken();
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(50));
	begin(2, 52);
	assert_string_equal(taken(), "clear, put dhcp 50, put script 52");
}

static void test_waiting(void **state)
{
	(void)state;
	timeline_arrival(timeline, MAC, STAGE_BOOT_FILE, "boot.ipxe", at(0));
	for (unsigned seconds = 5; seconds < 1000; seconds += 5) {
		timeline_arrival(timeline, MAC, STAGE_WAITED, "for approval", at(seconds));
		tick(at(seconds));
	}
	begin(1, 1000);
	assert_string_equal(taken(), "clear, put boot-file 0, put waited 5, put script 1000");
	/* Long gone, and back: what was seen then does not count. */
	timeline_arrival(timeline, MAC, STAGE_WAITED, "", at(2000));
	timeline_arrival(timeline, MAC, STAGE_BOOT_FILE, "boot.ipxe", at(3000));
	begin(2, 3001);
	assert_string_equal(taken(), "clear, put boot-file 3000, put script 3001");
	/* A reset while it waits. */
	timeline_arrival(timeline, MAC, STAGE_WAITED, "", at(3010));
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(3015));
	begin(3, 3020);
	assert_string_equal(taken(), "clear, put dhcp 3015, put script 3020");
}

static void test_a_boot_file_and_nothing_more(void **state)
{
	(void)state;
	timeline_arrival(timeline, MAC, STAGE_BOOT_FILE, "snponly.efi", at(0));
	timeline_arrival(timeline, "10.0.0.9", STAGE_BOOT_FILE, "snponly.efi", at(0));
	tick(at(60));
	assert_string_equal(taken(), "stuck boot-file 60!");
	assert_string_equal(changes[0].mac, MAC);
	assert_int_equal(changes[0].record.machine_id, 0);
	tick(at(600));
	assert_string_equal(taken(), "");
}

static void test_an_address_and_nothing_more(void **state)
{
	struct stage_record records[STAGE_WAITED + 1];

	(void)state;
	assert_int_equal(timeline_arriving(timeline, MAC, records), 0);
	timeline_arrival(timeline, MAC, STAGE_DHCP, "10.0.0.7", at(0));
	assert_int_equal(timeline_arriving(timeline, MAC, records), 1);
	assert_int_equal(records[0].stuck_ms, 0);
	tick(at(60));
	assert_string_equal(taken(), "stuck dhcp 60!");
	assert_int_equal(timeline_arriving(timeline, MAC, records), 1);
	assert_int_equal(records[0].stage, STAGE_DHCP);
	assert_int_equal(records[0].stuck_ms, at(60));
	assert_string_equal(records[0].detail, "10.0.0.7");
	assert_non_null(strstr(records[0].why, "TFTP"));
	/* It did come. */
	timeline_arrival(timeline, MAC, STAGE_BOOT_FILE, "boot.ipxe", at(70));
	assert_int_equal(timeline_arriving(timeline, MAC, records), 2);
	assert_int_equal(records[1].stuck_ms, 0);
	tick(at(130));
	assert_string_equal(taken(), "stuck boot-file 130!");
	assert_int_equal(timeline_arriving(timeline, MAC, records), 2);
	assert_int_equal(records[0].stuck_ms, 0);
	assert_int_equal(records[1].stuck_ms, at(130));
	/* Whoever waits is not stuck. */
	timeline_arrival(timeline, MAC, STAGE_WAITED, "for approval", at(140));
	tick(at(1000));
	assert_string_equal(taken(), "");
}

static void test_by_address(void **state)
{
	(void)state;
	timeline_arrival(timeline, "10.0.0.7", STAGE_BOOT_FILE, "boot.ipxe", at(0));
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(1));
	begin(1, 2);
	assert_string_equal(taken(), "clear, put dhcp 1, put boot-file 0, put script 2");
}

static void test_a_clock_that_was_set(void **state)
{
	(void)state;
	begin(1, 0);
	timeline_tick(timeline, at(1), 1000);
	timeline_tick(timeline, at(3602), 2000); /* an hour ahead, after one second */
	assert_null(strstr(taken(), "stuck"));
	timeline_tick(timeline, at(3659), 59000);
	assert_string_equal(taken(), "");
	timeline_tick(timeline, at(3660), 60000);
	assert_string_equal(taken(), "stuck script 3660!");
}

static void test_both_tables_are_bounded(void **state)
{
	char mac[PARSE_MAC_TEXT];

	(void)state;
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(0));
	for (unsigned i = 0; i < 3 * TIMELINE_ARRIVALS; i++) {
		snprintf(mac, sizeof(mac), "52:54:00:01:%02x:%02x", i >> 8 & 255, i & 255);
		timeline_arrival(timeline, mac, STAGE_DHCP, "", at(1 + i / 100));
		if (i % 500 == 0) /* whoever is heard of stays */
			timeline_arrival(timeline, MAC, STAGE_BOOT_FILE, "boot.ipxe", at(1 + i / 100));
	}
	begin(1, 40);
	assert_string_equal(taken(), "clear, put dhcp 0, put boot-file 1, put script 40");
	for (unsigned i = 0; i < 3 * TIMELINE_TRACKS; i++)
		timeline_script(timeline, 100 + i, 1, "", "", NULL, at(50));
	assert_int_equal(timeline_take(timeline, changes, TIMELINE_CHANGES), TIMELINE_CHANGES);
	assert_int_equal(timeline_take(timeline, changes, TIMELINE_CHANGES), 0);
	tick(at(120));
	assert_int_equal(timeline_take(timeline, changes, TIMELINE_CHANGES), TIMELINE_TRACKS + TIMELINE_ARRIVALS - 1);
}

static void test_without_a_script(void **state)
{
	(void)state;
	timeline_session_began(timeline, 7, 1, true, "", at(0));
	tick(at(600));
	assert_string_equal(taken(), "put ipxe-login 0");
	assert_true(timeline_is_idle(timeline));
	timeline_session_began(timeline, 7, 1, false, "", at(601));
	tick(at(621));
	assert_string_equal(taken(), "replace loader-done 0, put kernel-login 601, put steady 621");
}

static void test_an_earlier_boot_is_over(void **state)
{
	(void)state;
	begin(1, 0);
	begin(2, 10);
	taken();
	tick(at(65));
	assert_string_equal(taken(), "");
	tick(at(70));
	assert_string_equal(taken(), "stuck script 70!");
	assert_int_equal(changes[0].record.number, 2);
	timeline_session_began(timeline, 7, 2, true, "", at(71));
	taken();
	timeline_forget(timeline, 7);
	tick(at(200));
	assert_string_equal(taken(), "");
}

/* A restart of the server: the next attempt knows nothing of the first one, and must not throw away what is stored. */
static void test_after_a_restart(void **state)
{
	(void)state;
	begin(1, 3000);
	assert_string_equal(taken(), "clear, put script 3000");
	assert_int_equal(changes[0].record.at_ms, at(2400)); /* an older one was another power-on */
	/* Its firmware was heard of since: another power-on, whatever is stored. */
	timeline_arrival(timeline, MAC, STAGE_DHCP, "", at(3010));
	begin(1, 3011);
	assert_string_equal(taken(), "clear, put dhcp 3010, put script 3011");
	assert_int_equal(changes[0].record.at_ms, 0);
	/* It waits for its turn between two attempts: that is none. */
	timeline_arrival(timeline, MAC, STAGE_WAITED, "for its turn", at(3020));
	begin(1, 3025);
	assert_string_equal(taken(), "");
}

/* A machine that was given something else after its script is not stuck: it does not want its disk. */
static void test_something_else(void **state)
{
	(void)state;
	begin(1, 0);
	taken();
	timeline_elsewhere(timeline, 7);
	tick(at(100));
	assert_string_equal(taken(), "");
	assert_true(timeline_is_idle(timeline));
	/* Its disk after all. */
	begin(1, 110);
	tick(at(169));
	assert_string_equal(taken(), "");
	tick(at(170));
	assert_string_equal(taken(), "stuck script 170!");
	/* One that has begun its boot is followed on, whoever asks with its MAC. */
	begin(2, 200);
	timeline_session_began(timeline, 7, 2, true, "", at(201));
	timeline_elsewhere(timeline, 7);
	taken();
	tick(at(261));
	assert_string_equal(taken(), "stuck ipxe-login 261!");
}

/* ---- several portals ---- */

#define A "10.0.0.1:3260"
#define B "10.0.1.1:3260"

static void begin_at_two(unsigned seconds)
{
	static const struct portals_offer two = { .count = 2, .list = { { "10.0.0.1", 3260 }, { "10.0.1.1", 3260 } } };

	timeline_script(timeline, 7, 1, MAC, "10.0.0.7", &two, at(seconds));
	timeline_session_began(timeline, 7, 1, true, "", at(seconds));
	timeline_first_read(timeline, 7, 1, at(seconds));
}

static void system_at(const char *portal, unsigned seconds)
{
	timeline_reached(timeline, 7, 1, portal);
	timeline_session_began(timeline, 7, 1, false, "", at(seconds));
}

/* iscsistart logs in at one portal after the other, and waits for ever for the one that is dead. */
static void test_one_session_of_two_is_not_steady(void **state)
{
	(void)state;
	begin_at_two(0);
	system_at(A, 10);
	timeline_used(timeline, 7, 1, 1 << 20, 0); /* the partition table */
	taken();
	tick(at(29));
	assert_string_equal(taken(), "");
	tick(at(30));
	assert_string_equal(taken(), "ask");
	tick(at(31));
	assert_string_equal(taken(), "");
	tick(at(35));
	assert_string_equal(taken(), "ask");
	tick(at(69));
	taken();
	tick(at(70));
	assert_non_null(strstr(taken(), "stuck kernel-login 70!"));
	for (unsigned i = 0; i < 2; i++) {
		if (changes[i].kind != TIMELINE_STUCK)
			continue;
		assert_string_equal(changes[i].portals, B);
		assert_non_null(strstr(changes[i].record.why, "logged in at " A " and waits for portal " B ","));
		assert_non_null(strstr(timeline_hint(STAGE_KERNEL_LOGIN, changes[i].record.why), "multipath=yes"));
	}
	assert_false(timeline_is_idle(timeline));
	/* The portal is back. */
	system_at(B, 300);
	tick(at(319));
	assert_string_equal(taken(), "");
	tick(at(320));
	assert_string_equal(taken(), "put steady 320");
	assert_string_equal(changes[0].portals, A " " B);
	assert_string_equal(changes[0].record.detail, "");
	assert_true(timeline_is_idle(timeline));
}

static void test_two_portals_are_steady(void **state)
{
	(void)state;
	begin_at_two(0);
	system_at(A, 10);
	system_at(B, 12);
	/* iscsid logs in anew, at each of them */
	timeline_session_ended(timeline, 7, 1, false, at(20), "closed");
	system_at(A, 21);
	taken();
	tick(at(40));
	assert_string_equal(taken(), "");
	tick(at(41));
	assert_string_equal(taken(), "put steady 41");
	assert_string_equal(changes[0].portals, "");
	assert_true(timeline_is_idle(timeline));
}

/* A system that logs in at one portal and runs is steady: what it writes, or reads, shows it. */
static void test_one_portal_will_do(void **state)
{
	static const struct {
		uint64_t read, written;
	} used[] = { { 0, 512 }, { TIMELINE_USED_BYTES, 0 } };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		begin_at_two(0);
		system_at(A, 10);
		tick(at(30));
		timeline_used(timeline, 7, 1, used[i].read, used[i].written);
		taken();
		tick(at(34));
		assert_string_equal(taken(), "");
		tick(at(35));
		assert_string_equal(taken(), "put steady 35");
		assert_string_equal(changes[0].record.detail, "without " B);
		assert_true(timeline_is_idle(timeline));
	}
}

static void test_what_a_script_leaves_out_is_in_its_detail(void **state)
{
	static const struct portals_offer one = { .count = 1,
						  .list = { { "10.0.0.1", 3260 } },
						  .left_out = "10.0.1.1:3260 (eth1 has no link)" };

	(void)state;
	timeline_script(timeline, 7, 1, MAC, "10.0.0.7", &one, at(0));
	taken();
	assert_string_equal(changes[1].record.detail, "10.0.0.7, without 10.0.1.1:3260 (eth1 has no link)");
	/* One that it names is one that it needs not wait for. */
	system_at(A, 10);
	tick(at(30));
	assert_non_null(strstr(taken(), "put steady 30"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_whole_boot),
		TEST(test_the_daemon_takes_over_before_it_is_steady),
		TEST(test_no_login_after_the_script),
		TEST(test_a_problem_is_named),
		TEST(test_the_loader_is_asked_about),
		TEST(test_a_kernel_without_a_lasting_session),
		TEST(test_a_script_that_is_asked_for_again),
		TEST(test_what_the_kernel_asks_is_no_power_on),
		TEST(test_waiting),
		TEST(test_a_boot_file_and_nothing_more),
		TEST(test_an_address_and_nothing_more),
		TEST(test_by_address),
		TEST(test_a_clock_that_was_set),
		TEST(test_both_tables_are_bounded),
		TEST(test_without_a_script),
		TEST(test_an_earlier_boot_is_over),
		TEST(test_after_a_restart),
		TEST(test_something_else),
		TEST(test_one_session_of_two_is_not_steady),
		TEST(test_two_portals_are_steady),
		TEST(test_one_portal_will_do),
		TEST(test_what_a_script_leaves_out_is_in_its_detail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
