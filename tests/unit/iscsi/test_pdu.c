// SPDX-License-Identifier: GPL-2.0-or-later
/* PDU framing (RFC 7143 §11.2, §13.1), memory for Data-Out, CHAP (RFC 1994). */
#include "base/crc32c.h"
#include "base/secret.h"
#include "cmocka_all.h"
#include "iscsi/login/chap.h"
#include "iscsi/link/chunks.h"
#include "iscsi/wire/pdu.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DATA = 8192 };

/* Builds a PDU with that much data, from pieces of odd sizes; returns its bytes. */
static size_t build(uint8_t *wire, size_t data_len, bool header_digest, bool data_digest)
{
	static uint8_t data[MAX_DATA];
	struct iovec pieces[] = { { data, 5 }, { data + 5, 1000 }, { data + 1005, MAX_DATA - 1005 } }, iov[8];
	struct pdu_out out = { .iov = pieces, .data_len = data_len };
	size_t len = 0;
	bool whole;
	int count;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	out.head[0] = OP_NOP_OUT;
	pdu_out_seal(&out, header_digest, data_digest);
	count = pdu_out_gather(&out, iov, 8, &whole);
	assert_true(whole);
	for (int i = 0; i < count; i++) {
		memcpy(wire + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	assert_int_equal(len, out.total);
	return len;
}

static void test_round_trip(void **state)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 4, 5, 511, 1005, 1006, MAX_DATA };
	static uint8_t wire[MAX_DATA + 128];

	(void)state;
	for (size_t i = 0; i < 4 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		bool header_digest = i & 1, data_digest = i & 2;
		size_t wanted = lengths[i / 4], len = build(wire, wanted, header_digest, data_digest), got = 0;

		for (size_t step = 1; step < len; step += 13) {
			struct pdu_in in;
			unsigned ends = 0;

			got = 0;
			pdu_in_init(&in, MAX_DATA);
			in.header_digest = header_digest;
			in.data_digest = data_digest;
			for (size_t at = 0; at < len; at += step) {
				const uint8_t *from = wire + at, *piece;
				size_t left = at + step < len ? step : len - at, piece_len;
				enum pdu_event event;

				while ((event = pdu_in_next(&in, &from, &left, &piece, &piece_len)) != PDU_MORE) {
					assert_true(event <= PDU_END);
					if (event == PDU_DATA)
						for (size_t k = 0; k < piece_len; k++, got++)
							assert_int_equal(piece[k], (uint8_t)(got * 7));
					if (event == PDU_END) {
						assert_false(in.data_digest_bad);
						ends++;
					}
				}
			}
			assert_int_equal(ends, 1);
			assert_int_equal(got, wanted);
			assert_false(pdu_in_partial(&in));
		}
	}
}

static enum pdu_event last_event(struct pdu_in *in, const uint8_t *wire, size_t len)
{
	const uint8_t *piece;
	size_t piece_len;
	enum pdu_event event, last = PDU_MORE;

	while ((event = pdu_in_next(in, &wire, &len, &piece, &piece_len)) != PDU_MORE) {
		last = event;
		if (event > PDU_END)
			break;
	}
	return last;
}

static void test_digest_errors(void **state)
{
	uint8_t wire[256];
	size_t len = build(wire, 10, true, true);
	struct pdu_in in;

	(void)state;
	pdu_in_init(&in, MAX_DATA);
	in.header_digest = in.data_digest = true;
	wire[BHS_BYTES + DIGEST_BYTES + 3] ^= 1;
	assert_int_equal(last_event(&in, wire, len), PDU_END);
	assert_true(in.data_digest_bad);
	wire[20] ^= 1;
	assert_int_equal(last_event(&in, wire, len), PDU_BAD_HEADER_DIGEST);
}

/* Appendix A.4: the digests of known data, as they lie on the wire. */
static void test_known_digests(void **state)
{
	uint8_t zeroes[32] = { 0 }, ones[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(crc32c(0, zeroes, 32), 0x8a9136aa); /* aa 36 91 8a */
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
}

static void test_too_long(void **state)
{
	uint8_t wire[BHS_BYTES] = { OP_NOP_OUT };
	struct pdu_in in;

	(void)state;
	((struct bhs *)wire)->data_len = be24_put(MAX_DATA + 1);
	pdu_in_init(&in, MAX_DATA);
	assert_int_equal(last_event(&in, wire, sizeof(wire)), PDU_TOO_LONG);
}

/* §11.2.2 */
static void test_ahs(void **state)
{
	uint8_t wire[BHS_BYTES + 24] = { OP_SCSI_COMMAND, 0, 0, 0, 6 };
	static const uint8_t segments[24] = {
		0, 5, AHS_BIDI_READ_LENGTH, 0, 0, 0, 2, 0, 0, 6, AHS_EXTENDED_CDB, 0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 1, 9, 0
	};
	const uint8_t *content;
	struct pdu_in in;
	size_t len;

	(void)state;
	memcpy(wire + BHS_BYTES, segments, sizeof(segments));
	pdu_in_init(&in, MAX_DATA);
	assert_int_equal(last_event(&in, wire, sizeof(wire)), PDU_END);
	assert_true(pdu_in_ahs(&in, AHS_EXTENDED_CDB, &content, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(content, "\1\2\3\4\5", 5);
	assert_true(pdu_in_ahs(&in, 77, &content, &len));
	assert_null(content);
	in.header[BHS_BYTES + 9] = 200;
	assert_false(pdu_in_ahs(&in, AHS_EXTENDED_CDB, &content, &len));
}

/* A send that takes some bytes at a time never repeats and never leaves out one. */
static void test_gather_after_partial_sends(void **state)
{
	static uint8_t data[3000], wire[4096], sent[4096];
	struct iovec pieces[] = { { data, 100 }, { data + 100, 1 }, { data + 101, 2899 } };
	struct pdu_out out = { .iov = pieces, .offset = 3, .data_len = 2001 };
	size_t len = 0;

	(void)state;
	secret_bytes(data, sizeof(data));
	pdu_out_seal(&out, true, true);
	for (size_t step = 1; step < 300; step += 7) {
		for (out.sent = 0, len = 0; out.sent < out.total;) {
			struct iovec iov[2];
			bool whole;
			int count = pdu_out_gather(&out, iov, 2, &whole);
			size_t n = 0;

			for (int i = 0; i < count && n < step; i++) {
				size_t take = iov[i].iov_len < step - n ? iov[i].iov_len : step - n;

				memcpy(sent + len, iov[i].iov_base, take);
				len += take;
				n += take;
			}
			assert_true(n > 0);
			out.sent += n;
		}
		assert_int_equal(len, out.total);
		assert_memory_equal(sent + out.head_len, data + 3, 2001);
		if (step == 1)
			memcpy(wire, sent, len);
		else
			assert_memory_equal(wire, sent, len);
	}
}

static void test_data_out(void **state)
{
	static const size_t sizes[] = { 0, 1, 512, 4096, 4097, 65536, 65537, 70000, 4 << 20 };
	struct chunk_pool pool = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct data_out data;
		uint8_t *pattern = malloc(sizes[i] + 1);
		size_t at = 0;

		secret_bytes(pattern, sizes[i]);
		assert_int_equal(data_out_init(&data, sizes[i]), 0);
		for (at = 0; at < sizes[i];) {
			size_t n = sizes[i] - at < 10007 ? sizes[i] - at : 10007;

			assert_int_equal(data_out_reserve(&data, &pool, at + n), 0);
			data_out_copy(&data, at, pattern + at, n);
			at += n;
		}
		for (unsigned k = 0, from = 0; k < data.count; k++) {
			assert_memory_equal(data.pieces[k].iov_base, pattern + from, data.pieces[k].iov_len);
			from += (unsigned)data.pieces[k].iov_len;
		}
		data_out_fini(&data, &pool);
		free(pattern);
	}
	chunk_pool_fini(&pool);
}

static void test_data_out_is_lazy(void **state)
{
	struct chunk_pool pool = { 0 };
	struct data_out data;

	(void)state;
	assert_int_equal(data_out_init(&data, 4 << 20), 0);
	assert_int_equal(data.allocated, 0);
	assert_int_equal(data_out_reserve(&data, &pool, 1), 0);
	assert_int_equal(data.allocated, 1);
	assert_int_equal(data_out_reserve(&data, &pool, 65537), 0);
	assert_int_equal(data.allocated, 2);
	data_out_fini(&data, &pool);
	chunk_pool_fini(&pool);
}

static void test_chap(void **state)
{
	uint8_t out[CHAP_DIGEST_MAX];
	char hex[2 * CHAP_DIGEST_MAX + 1];

	(void)state;
	assert_true(chap_respond(CHAP_MD5, 1, "secret", "challenge", 9, out));
	secret_hex(hex, out, 16);
	/* printf '\001secretchallenge' | md5sum, sha256sum */
	assert_string_equal(hex, "46e47770030e2b4e26a0db72a7efec00");
	assert_true(chap_respond(CHAP_SHA256, 1, "secret", "challenge", 9, out));
	secret_hex(hex, out, 32);
	assert_string_equal(hex, "2dfa0526f4764864b7c3c5bc6596bcead3d8dbd984f4fc1d9f330299f0beced4");
	assert_int_equal(chap_choose("1,7,5"), CHAP_SHA256);
	assert_int_equal(chap_choose("5"), CHAP_MD5);
	assert_int_equal(chap_choose("55,x,,"), 0);
}

static void test_chap_decode(void **state)
{
	uint8_t out[4];
	size_t len;

	(void)state;
	assert_true(chap_decode("0x1fAb", out, sizeof(out), &len));
	assert_int_equal(len, 2);
	assert_memory_equal(out, "\x1f\xab", 2);
	assert_true(chap_decode("0xfab", out, sizeof(out), &len));
	assert_memory_equal(out, "\x0f\xab", 2);
	assert_true(chap_decode("0bAQID", out, sizeof(out), &len));
	assert_int_equal(len, 3);
	assert_memory_equal(out, "\1\2\3", 3);
	assert_true(chap_decode("0BAQI=", out, sizeof(out), &len));
	assert_int_equal(len, 2);
	for (const char *const *bad =
		     (const char *const[]){ "", "0", "0x", "1f", "0xg", "0b*", "0x0102030405", "0q11", NULL };
	     *bad; bad++)
		assert_false(chap_decode(*bad, out, sizeof(out), &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_digest_errors),
		cmocka_unit_test(test_known_digests), cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_ahs),	      cmocka_unit_test(test_gather_after_partial_sends),
		cmocka_unit_test(test_data_out),      cmocka_unit_test(test_data_out_is_lazy),
		cmocka_unit_test(test_chap),	      cmocka_unit_test(test_chap_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
