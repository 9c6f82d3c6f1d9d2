// SPDX-License-Identifier: GPL-2.0-or-later
/* What a machine says of itself: what is taken, what is ignored, what is refused. */
#include "boot/ask/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct boot_ask plain(void)
{
	return (struct boot_ask){
		.mac = "52-54-00-AA-00-01",
		.uuid = "5A4B0075-0000-4000-8000-000000000001",
		.serial = "vm1",
		.manufacturer = "QEMU",
		.product = "Standard PC",
		.platform = "pcbios",
		.error = "2d0de13b",
		.attempt = "7",
		.client = "10.0.0.7:41000",
		.server = "10.0.0.1",
		.base_url = "http://10.0.0.1:8080",
	};
}

static void test_plain(void **state)
{
	struct boot_ask ask = plain();
	struct asker asker;
	struct reason reason = { "" };

	(void)state;
	assert_true(ask_check(&ask, &asker, &reason));
	assert_string_equal(asker.mac, "52:54:00:aa:00:01");
	assert_string_equal(asker.uuid, "5a4b0075-0000-4000-8000-000000000001");
	assert_string_equal(asker.serial, "vm1");
	assert_string_equal(asker.product, "QEMU Standard PC");
	assert_int_equal(asker.platform, PLATFORM_BIOS);
	assert_int_equal(asker.attempt, 7);
	assert_string_equal(asker.error, "2d0de13b");
	assert_string_equal(asker.client, "10.0.0.7");
	assert_string_equal(asker.server, "10.0.0.1");
	assert_string_equal(asker.base_url, "http://10.0.0.1:8080");
}

/* What a machine says of its hardware: bounded, and none of it is believed to be more than it is. */
static void test_hardware(void **state)
{
	struct boot_ask ask = plain();
	struct asker asker;
	struct reason reason = { "" };

	(void)state;
	assert_true(ask_check(&ask, &asker, &reason));
	assert_string_equal(asker.cards, "");
	assert_int_equal(asker.secure_boot, TOLD_UNKNOWN);
	snprintf(ask.board_serial, sizeof(ask.board_serial), "B<7>\x01\n ");
	snprintf(ask.secure_boot, sizeof(ask.secure_boot), "1");
	snprintf(ask.setup_mode, sizeof(ask.setup_mode), "0");
	/* Its own, twice, what is none, none at all; as iPXE writes them and as people do. */
	snprintf(ask.cards, sizeof(ask.cards),
		 "525400aa0001,525400AA0002,,52:54:00:aa:00:02,01005e000001,x'\"<,525400aa0003,");
	assert_true(ask_check(&ask, &asker, &reason));
	assert_string_equal(asker.cards, "52:54:00:aa:00:02,52:54:00:aa:00:03");
	assert_int_equal(asker.secure_boot, TOLD_ON);
	assert_int_equal(asker.setup_mode, TOLD_OFF);
	assert_null(strpbrk(asker.board_serial, "\x01\n"));
	snprintf(ask.secure_boot, sizeof(ask.secure_boot), "yes");
	snprintf(ask.board_serial, sizeof(ask.board_serial), "To be filled by O.E.M.");
	snprintf(ask.cards, sizeof(ask.cards), "%s%s",
		 "525400aa0002,525400aa0003,525400aa0004,525400aa0005,525400aa0006,525400aa0007,525400aa0008,",
		 "525400aa0009,525400aa000a");
	assert_true(ask_check(&ask, &asker, &reason));
	assert_int_equal(asker.secure_boot, TOLD_UNKNOWN);
	assert_string_equal(asker.board_serial, "");
	assert_int_equal(strlen(asker.cards), CARDS_TEXT - 1);
	assert_string_equal(asker.cards + CARDS_TEXT - PARSE_MAC_TEXT, "52:54:00:aa:00:08");
}

static void test_macs(void **state)
{
	static const char *const bad[] = { "",
					   "x",
					   "52:54:00:12:34",
					   "52:54:00:12:34:56:78",
					   "01:00:5e:00:00:01",
					   "00:00:00:00:00:00",
					   "ff:ff:ff:ff:ff:ff",
					   "52:54:00:12:34:5g",
					   "${mac}",
					   "52:54:00:12:34:56\n",
					   "' OR 1=1 --" };
	struct asker asker;
	struct reason reason;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct boot_ask ask = plain();

		snprintf(ask.mac, sizeof(ask.mac), "%s", bad[i]);
		reason.text[0] = '\0';
		assert_false(ask_check(&ask, &asker, &reason));
		assert_non_null(strstr(reason.text, "mac="));
		assert_null(strchr(reason.text, '\n'));
		/* What is needed to ask again is there. */
		assert_string_equal(asker.base_url, "http://10.0.0.1:8080");
		assert_int_equal(asker.attempt, 7);
	}
}

static void test_placeholders(void **state)
{
	static const char *const uuids[] = { "", "nonsense", "00000000-0000-0000-0000-000000000000",
					     "ffffffff-ffff-ffff-ffff-ffffffffffff",
					     "03000200-0400-0500-0006-000700080009" };
	static const char *const serials[] = { "", " ", "To be filled by O.E.M.", "Default string", "0", "None" };
	struct asker asker;
	struct reason reason;

	(void)state;
	for (size_t i = 0; i < sizeof(uuids) / sizeof(uuids[0]); i++) {
		struct boot_ask ask = plain();

		snprintf(ask.uuid, sizeof(ask.uuid), "%s", uuids[i]);
		assert_true(ask_check(&ask, &asker, &reason));
		assert_string_equal(asker.uuid, "");
	}
	for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		struct boot_ask ask = plain();

		snprintf(ask.serial, sizeof(ask.serial), "%s", serials[i]);
		assert_true(ask_check(&ask, &asker, &reason));
		assert_string_equal(asker.serial, "");
	}
}

static void test_nonsense(void **state)
{
	struct boot_ask ask = plain();
	struct asker asker;
	struct reason reason;

	(void)state;
	memset(ask.product, 'p', sizeof(ask.product) - 1);
	memset(ask.manufacturer, '\xff', sizeof(ask.manufacturer) - 1);
	snprintf(ask.serial, sizeof(ask.serial), "  a\tb\x01 \x7f${x}  ");
	snprintf(ask.error, sizeof(ask.error), "rm -rf");
	snprintf(ask.attempt, sizeof(ask.attempt), "99999999999");
	snprintf(ask.platform, sizeof(ask.platform), "amiga");
	snprintf(ask.client, sizeof(ask.client), "nowhere");
	snprintf(ask.server, sizeof(ask.server), "10.0.0.1\" ||");
	assert_true(ask_check(&ask, &asker, &reason));
	assert_string_equal(asker.serial, "a?b? ?${x}");
	assert_string_equal(asker.error, "");
	assert_int_equal(asker.attempt, 0);
	assert_int_equal(asker.platform, PLATFORM_UNKNOWN);
	assert_string_equal(asker.client, "");
	assert_string_equal(asker.server, "");
	assert_int_equal(strlen(asker.product), sizeof(asker.product) - 1);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *given, *host;
	} cases[] = {
		{ "10.0.0.7", "10.0.0.7" },
		{ "10.0.0.7:1", "10.0.0.7" },
		{ "fd00::7", "fd00::7" },
		{ "[fd00::7]:41000", "fd00::7" },
		{ "", "" },
		{ "10.0.0.7:99999", "" },
		{ "10.0.0.7 ", "" },
	};
	struct reason reason;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_ask ask = plain();
		struct asker asker;

		snprintf(ask.client, sizeof(ask.client), "%s", cases[i].given);
		assert_true(ask_check(&ask, &asker, &reason));
		assert_string_equal(asker.client, cases[i].host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	     cmocka_unit_test(test_hardware), cmocka_unit_test(test_macs),
		cmocka_unit_test(test_placeholders), cmocka_unit_test(test_nonsense), cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
