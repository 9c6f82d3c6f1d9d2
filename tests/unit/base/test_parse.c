// SPDX-License-Identifier: GPL-2.0-or-later
/* base/parse: what is accepted, and that everything else is not. */
#include "cmocka_all.h"

#include "base/parse.h"
#include "base/util.h"

static void test_u64(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_true(parse_u64("0", 0, 10, &v));
	assert_int_equal(v, 0);
	assert_true(parse_u64("18446744073709551615", 0, UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	v = 7;
	assert_false(parse_u64("18446744073709551616", 0, UINT64_MAX, &v));
	assert_false(parse_u64("", 0, 10, &v));
	assert_false(parse_u64("11", 0, 10, &v));
	assert_false(parse_u64("1 ", 0, 10, &v));
	assert_false(parse_u64("-1", 0, 10, &v));
	assert_false(parse_u64("+1", 0, 10, &v));
	assert_false(parse_u64("0x1", 0, 10, &v));
	assert_int_equal(v, 7);
}

static void test_number(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(parse_number("0x1F", 0, 100, &v));
	assert_int_equal(v, 31);
	assert_true(parse_number("31", 0, 100, &v));
	assert_false(parse_number("0x", 0, 100, &v));
	assert_false(parse_number("0xg", 0, 100, &v));
	assert_false(parse_number("0x10000000000000000", 0, UINT64_MAX, &v));
}

static void test_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },	   { "512", 512 },	  { "4k", 4096 },	  { "4KiB", 4096 },
		{ "1M", 1 << 20 }, { "2GB", 2ull << 30 }, { "16T", 16ull << 40 }, { "16777215T", 16777215ull << 40 },
		{ "100B", 100 }
	};
	static const char *const bad[] = { "", "k", "1X", "1KK", "16777216T", "1.5G", "-1", " 1", "1 M", "1iB" };
	uint64_t v = 0;

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		assert_true(parse_size(good[i].text, &v));
		assert_true(v == good[i].bytes);
	}
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(parse_size(bad[i], &v));
}

static void test_percent(void **state)
{
	unsigned p;

	(void)state;
	assert_true(parse_percent("5%", &p));
	assert_int_equal(p, 5);
	assert_false(parse_percent("5", &p));
	assert_false(parse_percent("101%", &p));
	assert_false(parse_percent("%", &p));
	assert_false(parse_percent("5%%", &p));
}

static void test_mac(void **state)
{
	static const char *const good[] = { "52:54:00:AB:cd:01", "52-54-00-ab-cd-01", "52.54.00.ab.cd.01",
					    "5254.00AB.cd01",	 "5254:00ab:cd01",    "525400abcd01" };
	static const char *const bad[] = { "",
					   "52:54:00:ab:cd",
					   "52:54:00:ab:cd:0g",
					   "52:54-00:ab:cd:01",
					   "525400abcd0",
					   "01:00:5e:00:00:01",
					   "00:00:00:00:00:00",
					   "52:54:00:ab:cd:01 ",
					   "ff:ff:ff:ff:ff:ff",
					   "52:54:00:ab:cd:01:02",
					   "5254:00ab:cd:01:",
					   "5254.00ab:cd01",
					   "5254.00ab.cd0",
					   "5254.00ab.cd011",
					   "5254..00ab.cd1",
					   "525.400ab.cd01",
					   ".5254.00abcd01",
					   "5254-00ab-cd01", /* names of machines may look so */
					   "525400-abcd01",
					   "525400.abcd01",
					   "0000.0000.0000",
					   "0100.5e00.0001",
					   "52_54_00_ab_cd_01" };
	char mac[PARSE_MAC_TEXT];

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		assert_true(parse_mac(good[i], mac));
		assert_string_equal(mac, "52:54:00:ab:cd:01");
	}
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(parse_mac(bad[i], mac));
}

static void test_uuid(void **state)
{
	char uuid[PARSE_UUID_TEXT];

	(void)state;
	assert_true(parse_uuid("4C4C4544-0042-3510-8052-B4C04F4D3432", uuid));
	assert_string_equal(uuid, "4c4c4544-0042-3510-8052-b4c04f4d3432");
	assert_false(parse_uuid("4C4C4544-0042-3510-8052-B4C04F4D343", uuid));
	assert_false(parse_uuid("4C4C454400423510-8052-B4C04F4D3432aa", uuid));
	assert_false(parse_uuid_is_placeholder("4c4c4544-0042-3510-8052-b4c04f4d3432"));
	assert_true(parse_uuid_is_placeholder("00000000-0000-0000-0000-000000000000"));
	assert_true(parse_uuid_is_placeholder("ffffffff-ffff-ffff-ffff-ffffffffffff"));
	assert_true(parse_uuid_is_placeholder("03000200-0400-0500-0006-000700080009"));
}

static void test_serial(void **state)
{
	(void)state;
	assert_true(parse_serial_is_placeholder(""));
	assert_true(parse_serial_is_placeholder("0"));
	assert_true(parse_serial_is_placeholder("00000000"));
	assert_true(parse_serial_is_placeholder("To Be Filled By O.E.M."));
	assert_true(parse_serial_is_placeholder("Default string  "));
	assert_false(parse_serial_is_placeholder("5CG1234XYZ"));
}

static void test_endpoint(void **state)
{
	static const char *const good[] = { "0.0.0.0:0", "10.77.0.1:3260", "[::]:8080", "[fd00::1]:65535" };
	static const char *const bad[] = { "",	     "10.77.0.1", "10.77.0.1:", "10.77.0.1:65536", "host:80",	  ":80",
					   "::1:80", "[::1:80",	  "[]:80",	"10.77.0.1:80x",   "1.2.3.4.5:80" };
	struct endpoint e;
	char text[PARSE_ENDPOINT_TEXT];

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		assert_true(parse_endpoint(good[i], &e));
		assert_string_equal(endpoint_format(&e, text), good[i]);
	}
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(parse_endpoint(bad[i], &e));
	assert_true(parse_endpoint("[::ffff:10.0.0.1]:80", &e));
	assert_string_equal(endpoint_format_host(&e, text), "10.0.0.1");
	assert_int_equal(endpoint_port(&e), 80);
}

static void test_trim(void **state)
{
	char spaces[] = " \t ", text[] = " \ta b \n", none[] = "x";

	(void)state;
	assert_string_equal(parse_trim(spaces), "");
	assert_string_equal(parse_trim(text), "a b");
	assert_string_equal(parse_trim(none), "x");
}

static void test_assignment(void **state)
{
	char text[] = " a b = c = d ", empty[] = "=", none[] = "a b";
	char *key, *value;

	(void)state;
	assert_true(parse_assignment(text, &key, &value));
	assert_string_equal(key, "a b");
	assert_string_equal(value, "c = d");
	assert_true(parse_assignment(empty, &key, &value));
	assert_string_equal(key, "");
	assert_string_equal(value, "");
	assert_false(parse_assignment(none, &key, &value));
	assert_string_equal(none, "a b");
}

static void test_clean_text(void **state)
{
	char out[8];

	(void)state;
	parse_clean_text("  a\tb\x7f\xc3\xa4  ", out, sizeof(out));
	assert_string_equal(out, "a?b???");
	parse_clean_text("12345 789", out, sizeof(out));
	assert_string_equal(out, "12345 7");
	parse_clean_text("   ", out, sizeof(out));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trim),	cmocka_unit_test(test_assignment), cmocka_unit_test(test_clean_text),
		cmocka_unit_test(test_u64),	cmocka_unit_test(test_number),	   cmocka_unit_test(test_size),
		cmocka_unit_test(test_percent), cmocka_unit_test(test_mac),	   cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_serial),	cmocka_unit_test(test_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
