// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text keys (RFC 7143 §6.1) and their negotiation (§6.2, §13): the rules; tests/conformance has each key over the wire.
 */
#include "base/buf.h"
#include "cmocka_all.h"
#include "iscsi/wire/keys.h"
#include "iscsi/login/negotiate.h"

#include <stdio.h>
#include <string.h>

#define TEXT(literal) literal, sizeof(literal) - 1

static void test_check_accepts(void **state)
{
	(void)state;
	assert_null(keys_check("", 0));
	assert_null(keys_check(TEXT("A=1\0")));
	assert_null(keys_check(TEXT("A=1\0B=\0\0\0")));
	assert_null(keys_check(TEXT("X-com.example.a@b_c#d:e/f+g=1\0")));
}

static void test_check_refuses(void **state)
{
	(void)state;
	assert_non_null(keys_check(TEXT("A=1")));
	assert_non_null(keys_check(TEXT("A\0")));
	assert_non_null(keys_check(TEXT("=1\0")));
	assert_non_null(keys_check(TEXT("A=1\0A=2\0")));
	assert_non_null(keys_check(TEXT("A B=1\0")));
	assert_non_null(keys_check(TEXT("A\x80=1\0")));
}

static void test_check_bounds(void **state)
{
	char text[16384];
	size_t len = 0;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[1] = '=';
	text[2 + 255] = '\0';
	assert_null(keys_check(text, 2 + 255 + 1));
	text[2 + 255] = 'a';
	text[2 + 256] = '\0';
	assert_non_null(keys_check(text, 2 + 256 + 1));
	memcpy(text, "CHAP_C=", 7);
	text[2 + 256] = 'a';
	text[8000] = '\0';
	assert_null(keys_check(text, 8001));
	for (int i = 0; i < KEYS_MAX; i++)
		len += (size_t)sprintf(text + len, "K%d=1", i) + 1;
	assert_null(keys_check(text, len));
	len += (size_t)sprintf(text + len, "more=1") + 1;
	assert_non_null(keys_check(text, len));
}

static void test_next_and_get(void **state)
{
	static const char text[] = "\0A=1\0\0Bb=x=y\0C=\0";
	char name[KEY_NAME_MAX + 1];
	const char *value;
	size_t at = 0;

	(void)state;
	assert_true(keys_next(text, sizeof(text) - 1, &at, name, &value));
	assert_string_equal(name, "A");
	assert_string_equal(value, "1");
	assert_true(keys_next(text, sizeof(text) - 1, &at, name, &value));
	assert_string_equal(name, "Bb");
	assert_string_equal(value, "x=y");
	assert_true(keys_next(text, sizeof(text) - 1, &at, name, &value));
	assert_string_equal(value, "");
	assert_false(keys_next(text, sizeof(text) - 1, &at, name, &value));
	assert_string_equal(keys_get(text, sizeof(text) - 1, "C"), "");
	assert_null(keys_get(text, sizeof(text) - 1, "B"));
}

static void test_lists(void **state)
{
	const char *list = "one,two,,three";
	char item[4];

	(void)state;
	assert_true(keys_list_has(list, "two"));
	assert_false(keys_list_has(list, "tw"));
	assert_false(keys_list_has("", "x"));
	assert_true(keys_list_next(&list, item, sizeof(item)));
	assert_string_equal(item, "one");
	keys_list_next(&list, item, sizeof(item));
	assert_true(keys_list_next(&list, item, sizeof(item)));
	assert_string_equal(item, "");
	assert_true(keys_list_next(&list, item, sizeof(item)));
	assert_string_equal(item, "thr");
	assert_false(keys_list_next(&list, item, sizeof(item)));
}

static void test_names(void **state)
{
	(void)state;
	assert_true(keys_is_iscsi_name("iqn.2026-11.example:a.b-c:d"));
	assert_true(keys_is_iscsi_name("eui.02004567A425678D"));
	assert_true(keys_is_iscsi_name("naa.52004567BA64678D"));
	assert_false(keys_is_iscsi_name("iqn."));
	assert_false(keys_is_iscsi_name("pc-1"));
	assert_false(keys_is_iscsi_name("iqn.2026-11.a,b"));
	assert_false(keys_is_iscsi_name("iqn.2026-11.a\nb"));
}

/* ---- negotiation ---- */

static struct negotiation negotiation;
static struct buf reply;

static int setup(void **state)
{
	(void)state;
	negotiation_init(&negotiation);
	buf_init(&reply, 65536);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&reply);
	return 0;
}

static const char *answer(const char *name)
{
	return keys_get(buf_text(&reply), reply.len, name);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_null(negotiate(&negotiation, NEGOTIATE_LOGIN, "", 0, &reply));
	assert_int_equal(reply.len, 0);
	assert_int_equal(negotiation.params.max_send_data, 8192);
	assert_int_equal(negotiation.params.max_burst, 262144);
	assert_int_equal(negotiation.params.first_burst, 65536);
	assert_int_equal(negotiation.params.max_r2ts, 1);
	assert_true(negotiation.params.initial_r2t && negotiation.params.immediate_data);
}

static void test_result_functions(void **state)
{
	(void)state;
	assert_null(negotiate(&negotiation, NEGOTIATE_LOGIN,
			      TEXT("MaxBurstLength=1048576\0FirstBurstLength=2097152\0InitialR2T=No\0ImmediateData=No\0"
				   "MaxOutstandingR2T=3\0DefaultTime2Wait=5\0MaxRecvDataSegmentLength=0x10000\0"
				   "HeaderDigest=CRC32C,None\0ErrorRecoveryLevel=2\0"),
			      &reply));
	assert_int_equal(negotiation.params.max_burst, 1048576);
	assert_int_equal(negotiation.params.first_burst, 262144);
	assert_false(negotiation.params.initial_r2t || negotiation.params.immediate_data);
	assert_int_equal(negotiation.params.max_r2ts, 3);
	assert_int_equal(negotiation.params.time2wait, 5);
	assert_int_equal(negotiation.params.max_send_data, 65536);
	assert_true(negotiation.params.header_digest && !negotiation.params.data_digest);
	assert_string_equal(answer("ErrorRecoveryLevel"), "0");
	assert_null(answer("MaxRecvDataSegmentLength"));
}

static void test_rejected_value_changes_nothing(void **state)
{
	(void)state;
	assert_null(negotiate(&negotiation, NEGOTIATE_LOGIN,
			      TEXT("MaxBurstLength=1\0InitialR2T=perhaps\0DataDigest=x\0"), &reply));
	assert_string_equal(answer("MaxBurstLength"), "Reject");
	assert_string_equal(answer("InitialR2T"), "Reject");
	assert_string_equal(answer("DataDigest"), "Reject");
	assert_int_equal(negotiation.params.max_burst, 262144);
	assert_true(negotiation.params.initial_r2t);
}

static void test_phases(void **state)
{
	(void)state;
	assert_null(negotiate(&negotiation, NEGOTIATE_FULL, TEXT("MaxRecvDataSegmentLength=512\0"), &reply));
	assert_int_equal(negotiation.params.max_send_data, 512);
	assert_non_null(negotiate(&negotiation, NEGOTIATE_FULL, TEXT("MaxBurstLength=512\0"), &reply));
	assert_non_null(negotiate(&negotiation, NEGOTIATE_LOGIN, TEXT("SendTargets=All\0"), &reply));
}

/* The longest answer fits into what every initiator takes before it has declared anything. */
static void test_longest_answer(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, KEYS_TEXT_MAX);
	for (int i = 0; i < 64; i++) {
		buf_printf(&text, "X-%061d=%d", i, i);
		buf_add(&text, "", 1);
	}
	buf_add(&text,
		TEXT("MaxBurstLength=16777215\0FirstBurstLength=16777215\0IFMarkInt=x\0OFMarkInt=x\0IFMarker=Yes\0"
		     "OFMarker=Yes\0HeaderDigest=None\0DataDigest=None\0MaxConnections=1\0InitialR2T=No\0"
		     "ImmediateData=No\0DefaultTime2Wait=1\0DefaultTime2Retain=1\0MaxOutstandingR2T=1\0"
		     "DataPDUInOrder=No\0DataSequenceInOrder=No\0ErrorRecoveryLevel=0\0iSCSIProtocolLevel=1\0"
		     "TaskReporting=RFC3720\0"));
	assert_null(keys_check(buf_text(&text), text.len));
	assert_null(negotiate(&negotiation, NEGOTIATE_LOGIN, buf_text(&text), text.len, &reply));
	assert_true(reply.len < 8192 - 200);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_accepts),
		cmocka_unit_test(test_check_refuses),
		cmocka_unit_test(test_check_bounds),
		cmocka_unit_test(test_next_and_get),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_result_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rejected_value_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_phases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_answer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
