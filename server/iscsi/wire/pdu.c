// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PDU framing: see pdu.h.
 *
 *     IN_HEADER (BHS, then AHS and header digest) -> IN_DATA -> IN_TRAILER (padding, data digest) -> IN_HEADER
 */
#include "iscsi/wire/pdu.h"

#include "base/crc32c.h"
#include "base/util.h"

#include <string.h>

/* §13.1: the CRC's bytes lie on the wire least significant first. */
static void digest_put(uint8_t *at, uint32_t crc)
{
	for (int i = 0; i < DIGEST_BYTES; i++, crc >>= 8)
		at[i] = (uint8_t)crc;
}

static bool digest_matches(const uint8_t *at, uint32_t crc)
{
	uint8_t wanted[DIGEST_BYTES];

	digest_put(wanted, crc);
	return !memcmp(at, wanted, DIGEST_BYTES);
}

static void pdu_in_restart(struct pdu_in *in)
{
	in->state = PDU_IN_HEADER;
	in->have = 0;
	in->need = BHS_BYTES;
	in->header_len = 0;
}

void pdu_in_init(struct pdu_in *in, uint32_t max_data)
{
	*in = (struct pdu_in){ .max_data = max_data };
	pdu_in_restart(in);
}

static void take(struct pdu_in *in, uint8_t *to, const uint8_t **at, size_t *len)
{
	size_t n = min_u64(*len, in->need - in->have);

	if (!n)
		return;
	memcpy(to + in->have, *at, n);
	in->have += (uint32_t)n;
	*at += n;
	*len -= n;
}

static enum pdu_event header_next(struct pdu_in *in, const uint8_t **at, size_t *len)
{
	const struct bhs *bhs = pdu_in_bhs(in);

	for (;;) {
		take(in, in->header, at, len);
		if (in->have < in->need)
			return PDU_MORE;
		if (in->header_len)
			break;
		/* The BHS says how much more header there is. */
		in->header_len = BHS_BYTES + bhs->ahs_words * 4u;
		in->need = in->header_len + (in->header_digest ? DIGEST_BYTES : 0);
		if (in->have == in->need)
			break;
	}
	if (in->header_digest && !digest_matches(in->header + in->header_len, crc32c(0, in->header, in->header_len)))
		return PDU_BAD_HEADER_DIGEST;
	in->data_len = in->data_left = be24_get(bhs->data_len);
	if (in->data_len > in->max_data)
		return PDU_TOO_LONG;
	in->pad = -in->data_len & 3;
	in->crc = 0;
	in->data_digest_bad = false;
	in->have = 0;
	/* §11.2.3: no data segment, no data digest */
	in->need = in->data_len ? in->pad + (in->data_digest ? DIGEST_BYTES : 0) : 0;
	in->state = in->data_len ? PDU_IN_DATA : PDU_IN_TRAILER;
	return PDU_HEADER;
}

static enum pdu_event trailer_next(struct pdu_in *in, const uint8_t **at, size_t *len)
{
	take(in, in->trailer, at, len);
	if (in->have < in->need)
		return PDU_MORE;
	if (in->data_len && in->data_digest)
		in->data_digest_bad = !digest_matches(in->trailer + in->pad, crc32c(in->crc, in->trailer, in->pad));
	pdu_in_restart(in);
	return PDU_END;
}

enum pdu_event pdu_in_next(struct pdu_in *in, const uint8_t **at, size_t *len, const uint8_t **piece, size_t *piece_len)
{
	switch (in->state) {
	case PDU_IN_HEADER:
		return header_next(in, at, len);
	case PDU_IN_DATA:
		if (!*len)
			return PDU_MORE;
		*piece = *at;
		*piece_len = min_u64(*len, in->data_left);
		*at += *piece_len;
		*len -= *piece_len;
		pdu_in_direct(in, *piece, *piece_len);
		return PDU_DATA;
	case PDU_IN_TRAILER:
		break;
	}
	return trailer_next(in, at, len);
}

void pdu_in_direct(struct pdu_in *in, const void *data, size_t len)
{
	if (in->data_digest)
		in->crc = crc32c(in->crc, data, len);
	in->data_left -= (uint32_t)len;
	if (!in->data_left)
		in->state = PDU_IN_TRAILER;
}

bool pdu_in_partial(const struct pdu_in *in)
{
	return in->state != PDU_IN_HEADER || in->have > 0;
}

const struct bhs *pdu_in_bhs(const struct pdu_in *in)
{
	return (const struct bhs *)in->header;
}

bool pdu_in_ahs(const struct pdu_in *in, uint8_t type, const uint8_t **content, size_t *len)
{
	size_t left = pdu_in_bhs(in)->ahs_words * 4u;
	const uint8_t *at = in->header + BHS_BYTES;

	*content = NULL;
	*len = 0;
	while (left > 0) {
		size_t ahs_len, whole;

		/* AHSLength counts neither itself, nor the type, nor padding; it includes the type-specific byte. */
		if (left < 4)
			return false;
		ahs_len = (size_t)((at[0] << 8) | at[1]);
		whole = align_up(3 + ahs_len, 4);
		if (whole > left || ahs_len == 0)
			return false;
		if (at[2] == type) {
			*content = at + 4;
			*len = ahs_len - 1;
		}
		at += whole;
		left -= whole;
	}
	return true;
}

void pdu_out_seal(struct pdu_out *out, bool header_digest, bool data_digest)
{
	struct bhs *bhs = (struct bhs *)out->head;
	uint32_t pad = -(uint32_t)out->data_len & 3;

	bhs->data_len = be24_put((uint32_t)out->data_len);
	out->head_len = BHS_BYTES;
	if (header_digest) {
		digest_put(out->head + BHS_BYTES, crc32c(0, out->head, BHS_BYTES));
		out->head_len += DIGEST_BYTES;
	}
	out->tail_len = 0;
	if (out->data_len) {
		memset(out->tail, 0, pad);
		out->tail_len = pad;
	}
	if (out->data_len && data_digest) {
		const struct iovec *piece = out->iov;
		size_t offset = out->offset, left = out->data_len;
		uint32_t crc = 0;

		for (; left > 0; piece++, offset = 0) {
			size_t n = min_u64(piece->iov_len - offset, left);

			crc = crc32c(crc, (const uint8_t *)piece->iov_base + offset, n);
			left -= n;
		}
		digest_put(out->tail + pad, crc32c(crc, out->tail, pad));
		out->tail_len += DIGEST_BYTES;
	}
	out->total = out->head_len + out->data_len + out->tail_len;
	out->sent = 0;
}

int pdu_out_gather(const struct pdu_out *out, struct iovec *iov, int max, bool *whole)
{
	size_t skip = out->sent, left = out->data_len, offset = out->offset;
	const struct iovec *piece = out->iov;
	int used = 0;

	*whole = false;
	if (skip < out->head_len) {
		if (used == max)
			return used;
		iov[used++] = (struct iovec){ (uint8_t *)(uintptr_t)out->head + skip, out->head_len - skip };
		skip = 0;
	} else {
		skip -= out->head_len;
	}
	for (; left > 0; piece++, offset = 0) {
		size_t n = min_u64(piece->iov_len - offset, left);

		left -= n;
		if (skip >= n) {
			skip -= n;
			continue;
		}
		if (used == max)
			return used;
		iov[used++] = (struct iovec){ (uint8_t *)piece->iov_base + offset + skip, n - skip };
		skip = 0;
	}
	if (skip < out->tail_len) {
		if (used == max)
			return used;
		iov[used++] = (struct iovec){ (uint8_t *)(uintptr_t)out->tail + skip, out->tail_len - skip };
	}
	*whole = true;
	return used;
}
