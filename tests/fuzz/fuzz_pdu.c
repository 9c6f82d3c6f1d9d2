// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: PDU framing. The first byte chooses digests and how the rest is cut into pieces; whatever the cuts, the
 * same events and the same data must come out. What was framed is built again and must frame to the same.
 */
#include "iscsi/wire/pdu.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_DATA = 4096, SEEN_MAX = 1 << 17 };

struct seen {
	uint8_t bytes[SEEN_MAX];
	size_t len;
};

static void note(struct seen *seen, const void *data, size_t len)
{
	if (len > SEEN_MAX - seen->len)
		len = SEEN_MAX - seen->len;
	memcpy(seen->bytes + seen->len, data, len);
	seen->len += len;
}

/* Builds what came in, and frames that. */
static void rebuild(const struct pdu_in *in, const struct bhs *bhs, const uint8_t *data, size_t len)
{
	struct pdu_out out = { .iov = &out.inline_iov,
			       .data_len = len,
			       .inline_iov = { (void *)(uintptr_t)data, len } };
	struct iovec iov[4];
	struct pdu_in again;
	bool whole;
	int count;

	memcpy(out.head, bhs, BHS_BYTES);
	((struct bhs *)out.head)->ahs_words = 0;
	pdu_out_seal(&out, in->header_digest, in->data_digest);
	count = pdu_out_gather(&out, iov, 4, &whole);
	pdu_in_init(&again, MAX_DATA);
	again.header_digest = in->header_digest;
	again.data_digest = in->data_digest;
	for (int i = 0; i < count; i++) {
		const uint8_t *at = iov[i].iov_base, *piece;
		size_t left = iov[i].iov_len, piece_len;

		for (enum pdu_event event = PDU_HEADER; event != PDU_MORE;) {
			event = pdu_in_next(&again, &at, &left, &piece, &piece_len);
			if (event > PDU_END || (event == PDU_END && again.data_digest_bad))
				abort();
		}
	}
	if (!whole || pdu_in_partial(&again))
		abort();
}

/* Feeds all of it, at most step bytes at a time; false after a framing error. */
static bool feed(struct pdu_in *in, const uint8_t *data, size_t size, size_t step, struct seen *seen)
{
	static uint8_t segment[MAX_DATA];
	size_t segment_len = 0;

	while (size > 0) {
		size_t left = size < step ? size : step, piece_len;
		const uint8_t *piece, *content;
		enum pdu_event event = PDU_HEADER;

		size -= left;
		while (event != PDU_MORE) {
			struct bhs bhs;

			memcpy(&bhs, pdu_in_bhs(in), sizeof(bhs));
			event = pdu_in_next(in, &data, &left, &piece, &piece_len);
			if (event == PDU_HEADER) {
				note(seen, in->header, in->header_len);
				pdu_in_ahs(in, AHS_EXTENDED_CDB, &content, &piece_len);
				segment_len = 0;
			} else if (event == PDU_DATA) {
				note(seen, piece, piece_len);
				memcpy(segment + segment_len, piece, piece_len);
				segment_len += piece_len;
			} else if (event == PDU_END) {
				note(seen, in->data_digest_bad ? "bad" : "end", 3);
				rebuild(in, &bhs, segment, segment_len);
			} else if (event != PDU_MORE) {
				return false;
			}
		}
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen seen[2];
	static struct pdu_in in;
	bool fine[2];

	if (!size)
		return 0;
	for (int i = 0; i < 2; i++) {
		pdu_in_init(&in, MAX_DATA);
		in.header_digest = data[0] & 1;
		in.data_digest = data[0] & 2;
		seen[i].len = 0;
		fine[i] = feed(&in, data + 1, size - 1, i ? 1 + (data[0] >> 2) : size, &seen[i]);
	}
	if (fine[0] != fine[1] || seen[0].len != seen[1].len || memcmp(seen[0].bytes, seen[1].bytes, seen[0].len))
		abort();
	return 0;
}
